// SPDX-License-Identifier: GPL-3.0-or-later
//! Resolved objects beside what GNU ld makes of the same input.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget};

use super::*;
use crate::cmd::{output, system};

/// Two parts of a module, to be linked with each other. `ADDR` loads an address and `PTR` stores
/// one, in the form of each processor.
const FIRST: &str = "
 .text
 .globl mb2_first, mb2_end
 .type grub_mod_init, @function
grub_mod_init:
 call mb2_second; call mb2_last
 ADDR grub_printf
 ADDR table
 ADDR message
 jmp mb2_first
 .type grub_mod_fini, @function
grub_mod_fini:
 ADDR counter + 12
 call cold
mb2_first: ret
mb2_end:
 .section .text.unlikely, \"ax\"
cold: call mb2_last; ret
 .section .rodata.str1.1, \"aMS\", @progbits, 1
 .string \"something else\"
message: .string \"a message\"
 .section .rodata, \"a\"
 .long 7
table: PTR mb2_first, mb2_last + 1, grub_env_get, table - 4, away
away: .long mb2_last - .
 .section .module_license, \"a\"; .string \"LICENSE=GPLv3+\"
 .section .modname; .string \"multiboot2\"
 .section .moddeps; .string \"boot\"
";

const SECOND: &str = "
 .text
 .globl mb2_second, mb2_last, counter
 nop; mb2_second:
 ADDR counter
 call local; ret
 PTR mb2_end - .
local: ADDR message2
 ret
mb2_last: jmp mb2_first
 .data; .long 1, 2, 3
counter: .long 4, 5, 6, 7
 PTR cell
 .bss
 .skip 20; cell: .skip 8
 .section .rodata.str1.1, \"aMS\", @progbits, 1
message2: .string \"another one\"
 .section .comment; .string \"not needed\"
 .section .debug_info; .long mb2_second
 .section .note.GNU-stack, \"\"
";

/// Gives each section a place, so that two links can be compared.
const SCRIPT: &str = "SECTIONS {
 .text 0x100000 : { *(.text) }
 .text.unlikely 0x180000 : { *(.text.unlikely) }
 .rodata 0x200000 : { *(.rodata) }
 .strings 0x280000 : { *(.rodata.str1.1) }
 .module_license 0x2c0000 : { *(.module_license) }
 .data 0x300000 : { *(.data) }
 .bss 0x400000 : { *(.bss COMMON) }
 /DISCARD/ : { *(*) }
}";

#[derive(Clone, Copy, PartialEq, Debug)]
enum Width {
    Narrow,
    Wide,
}

const BOTH: [Width; 2] = [Width::Narrow, Width::Wide];

/// A folder that is removed at the end of its test.
struct Bench {
    folder: PathBuf,
    width: Width,
}

impl Bench {
    fn new(width: Width) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mb2-resolve-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self { folder, width }
    }

    fn choose<T>(&self, narrow: T, wide: T) -> T {
        match self.width {
            Width::Narrow => narrow,
            Width::Wide => wide,
        }
    }

    fn assemble(&self, name: &str, source: &str) -> PathBuf {
        let load = |line: &str| match line.split_once("ADDR ") {
            Some((before, what)) => self.choose(
                format!("{before} movl ${what}, %eax\n"),
                format!("{before} movabsq ${what}, %rax\n"),
            ),
            None => format!("{}\n", line.replace("PTR", self.choose(".long", ".quad"))),
        };
        let text = self.folder.join(name).with_extension("s");
        let object = text.with_extension("o");
        fs::write(&text, source.lines().map(load).collect::<String>()).unwrap();
        let mut assembler = system("as");
        assembler.arg(self.choose("--32", "--64"));
        output(assembler.arg(&text).arg("-o").arg(&object)).unwrap();
        object
    }

    fn ld(&self) -> std::process::Command {
        let mut ld = system("ld");
        ld.args(["-m", self.choose("elf_i386", "elf_x86_64")]);
        ld
    }

    /// Assembles and links what will be resolved.
    fn module(&self, sources: &[&str]) -> Vec<u8> {
        let path = self.folder.join("linked.o");
        let mut ld = self.ld();
        ld.arg("-r").arg("-o").arg(&path);
        for (number, source) in sources.iter().enumerate() {
            ld.arg(self.assemble(&format!("part{number}"), source));
        }
        output(&mut ld).unwrap();
        fs::read(path).unwrap()
    }

    /// Returns name, address and bytes of all that is loaded once the object has its addresses.
    fn placed(&self, object: &[u8]) -> Vec<(String, u64, Vec<u8>)> {
        let [script, input, program] =
            ["script", "input.o", "program"].map(|name| self.folder.join(name));
        fs::write(&script, SCRIPT).unwrap();
        fs::write(&input, object).unwrap();
        let mut ld = self.ld();
        ld.args(["-e", "0"]);
        ld.args([
            "--defsym=grub_printf=0x500010",
            "--defsym=grub_env_get=0x500020",
        ]);
        ld.arg("-T").arg(script).arg(input).arg("-o").arg(&program);
        output(&mut ld).unwrap();
        let bytes = fs::read(program).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let loaded = file.sections().filter(|s| s.address() != 0);
        let contents = |s: object::Section<'_, '_>| {
            let name = s.name().unwrap().to_owned();
            (name, s.address(), s.data().unwrap().to_vec())
        };
        loaded.map(contents).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Lists section, offset, symbol and addend of all relocations.
fn relocations(object: &[u8]) -> Vec<(String, u64, String, i64)> {
    let file = object::File::parse(object).unwrap();
    let mut found = Vec::new();
    for section in file.sections() {
        for (offset, relocation) in section.relocations() {
            let RelocationTarget::Symbol(index) = relocation.target() else {
                panic!("a relocation against no symbol");
            };
            let symbol = file.symbol_by_index(index).unwrap();
            let mut name = symbol.name().unwrap().to_owned();
            if symbol.kind() == object::SymbolKind::Section {
                let home = symbol.section_index().unwrap();
                let home = file.section_by_index(home).unwrap();
                home.name().unwrap().clone_into(&mut name);
            }
            let addend = if relocation.has_implicit_addend() {
                let begin = usize::try_from(offset).unwrap();
                let place = &section.data().unwrap()[begin..begin + 4];
                i32::from_le_bytes(place.try_into().unwrap()).into()
            } else {
                relocation.addend()
            };
            found.push((section.name().unwrap().to_owned(), offset, name, addend));
        }
    }
    found
}

fn names(object: &[u8]) -> Vec<String> {
    let file = object::File::parse(object).unwrap();
    let named = file
        .symbols()
        .filter(|s| s.kind() != object::SymbolKind::Section);
    let mut names: Vec<_> = named.map(|s| s.name().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn complaint(width: Width, source: &str) -> String {
    let module = Bench::new(width).module(&[source]);
    format!("{:#}", resolve(&module).unwrap_err())
}

#[test]
fn loaded_bytes_are_those_of_the_original() {
    for width in BOTH {
        let bench = Bench::new(width);
        let original = bench.module(&[FIRST, SECOND]);
        let resolved = resolve(&original).unwrap();
        assert!(relocations(&resolved).len() < relocations(&original).len());
        let (before, after) = (bench.placed(&original), bench.placed(&resolved));
        assert_eq!(before.len(), 7, "{before:x?}");
        assert_eq!(before, after, "{width:?}");
    }
}

#[test]
fn call_inside_a_section_needs_no_relocation() {
    for width in BOTH {
        let bench = Bench::new(width);
        let caller = ".text\n call there\n jmp there - 2\n .long there - .\n";
        let called = ".text\n .globl there\n .skip 300\nthere: ret\n";
        let original = bench.module(&[caller, called]);
        assert_eq!(relocations(&original).len(), 3);
        let resolved = resolve(&original).unwrap();
        assert_eq!(relocations(&resolved), []);
        let file = object::File::parse(&*resolved).unwrap();
        let text = file.section_by_name(".text").unwrap();
        assert_eq!(text.data().unwrap(), bench.placed(&original)[0].2);
        assert!(
            !file
                .sections()
                .any(|s| s.name().unwrap().starts_with(".rel"))
        );
        assert!(names(&resolved).is_empty());
    }
}

#[test]
fn reference_to_another_section_is_section_and_offset() {
    for width in BOTH {
        let bench = Bench::new(width);
        let source = ".data\n .long 1, 2\n .globl x\nx: .long 3\n .text\n nop\n ADDR x + 4\n";
        let resolved = resolve(&bench.module(&[source])).unwrap();
        let expected = (
            ".text".to_owned(),
            bench.choose(2, 3),
            ".data".to_owned(),
            12,
        );
        assert_eq!(relocations(&resolved), [expected]);
        assert!(names(&resolved).is_empty());
    }
}

#[test]
fn undefined_and_common_symbols_are_left_alone() {
    for width in BOTH {
        let source = ".text\n call grub_printf\n ADDR room + 2\n .comm room, 8\n .globl unused\n";
        let original = Bench::new(width).module(&[source]);
        let resolved = resolve(&original).unwrap();
        assert_eq!(relocations(&original).len(), 2);
        assert_eq!(relocations(&resolved), relocations(&original));
        assert_eq!(names(&resolved), ["grub_printf", "room"]);
    }
}

#[test]
fn only_names_that_grub_looks_for_remain() {
    for width in BOTH {
        let resolved = resolve(&Bench::new(width).module(&[FIRST, SECOND])).unwrap();
        let kept = [
            "grub_env_get",
            "grub_mod_fini",
            "grub_mod_init",
            "grub_printf",
        ];
        assert_eq!(names(&resolved), kept);
        let file = object::File::parse(&*resolved).unwrap();
        assert!(!file.symbols().any(|s| s.is_global() && !s.is_undefined()));
    }
}

#[test]
fn only_sections_that_grub_reads_remain() {
    for width in BOTH {
        let original = Bench::new(width).module(&[FIRST, SECOND]);
        let resolved = resolve(&original).unwrap();
        let before = object::File::parse(&*original).unwrap();
        let after = object::File::parse(&*resolved).unwrap();
        for name in [".modname", ".moddeps", ".module_license", ".bss"] {
            let [before, after] = [&before, &after].map(|f| f.section_by_name(name).unwrap());
            assert_eq!(before.data().unwrap(), after.data().unwrap());
            assert_eq!(before.size(), after.size());
            assert_eq!(before.align(), after.align());
        }
        for name in [".comment", ".debug_info", ".note.GNU-stack"] {
            assert!(before.section_by_name(name).is_some(), "{name}");
            assert!(after.section_by_name(name).is_none(), "{name}");
        }
        let mut tables = Vec::new();
        for section in &Builder::read(&*resolved).unwrap().sections {
            assert!(!section.sh_flags.contains(elf::SHF_MERGE));
            if matches!(section.data, SectionData::Relocation(_)) {
                assert!(section.sh_flags.contains(elf::SHF_INFO_LINK));
                tables.push(section.name.to_string());
            }
        }
        let prefix = if width == Width::Wide {
            ".rela"
        } else {
            ".rel"
        };
        let patched = [".text", ".text.unlikely", ".rodata", ".data"];
        assert_eq!(tables, patched.map(|name| format!("{prefix}{name}")));
    }
}

#[test]
fn resolving_twice_changes_nothing() {
    for width in BOTH {
        let once = resolve(&Bench::new(width).module(&[FIRST, SECOND])).unwrap();
        assert!(once == resolve(&once).unwrap());
    }
}

#[test]
fn value_that_does_not_fit_is_refused() {
    let far = ".text\n nop\n .long there - . + 0x7fffffff\n";
    for width in BOTH {
        let module = Bench::new(width).module(&[far, ".globl there\n .skip 8\nthere: ret\n"]);
        let text = format!("{:#}", resolve(&module).unwrap_err());
        assert!(text.contains(".text+0x1 against there"), "{text}");
        assert!(text.contains("the distance does not fit"), "{text}");
    }
    let data = ".data\n nop\n .globl x\nx: ret\n";
    let text = complaint(
        Width::Narrow,
        &format!(".text\n .long x + 0x7fffffff\n {data}"),
    );
    assert!(
        text.contains(".text+0x0 against x: the addend does not fit"),
        "{text}"
    );
    let far = format!(".text\n .quad x + 0x7fffffffffffffff\n {data}");
    let text = complaint(Width::Wide, &far);
    assert!(
        text.contains("against x: the addend is too large"),
        "{text}"
    );
}

#[test]
fn type_that_grub_does_not_know_is_refused() {
    let text = complaint(Width::Narrow, ".text\n call memcmp@PLT\n");
    assert!(
        text.contains("type 0x4 at .text+0x1 against memcmp: GRUB does not"),
        "{text}"
    );
    let text = complaint(Width::Wide, ".data\n .long x\n .text\n .globl x\nx: ret\n");
    assert!(
        text.contains("type 0xa at .data+0x0 against x: GRUB does not"),
        "{text}"
    );
}

#[test]
fn reference_to_a_section_that_is_not_loaded_is_refused() {
    for width in BOTH {
        let text = complaint(
            width,
            ".data\n PTR x\n .section .comment\n .globl x\nx: .long 1\n",
        );
        assert!(text.contains("against x: .comment is not loaded"), "{text}");
    }
}

#[test]
fn program_is_refused() {
    let bench = Bench::new(Width::Wide);
    bench.placed(&bench.module(&[".text\n nop\n"]));
    let program = fs::read(bench.folder.join("program")).unwrap();
    assert!(resolve(&program).is_err());
}
