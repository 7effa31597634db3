// SPDX-License-Identifier: GPL-3.0-or-later
//! Each gate meets an object that it has to refuse, and one that it has to let pass.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// An assembled object that is removed at the end of its test.
pub(super) struct Assembled(PathBuf, Vec<u8>);

impl Assembled {
    pub(super) fn new(width: &str, source: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = std::env::temp_dir().join(format!("mb2-gate-{}-{number}", std::process::id()));
        let (text, object) = (base.with_extension("s"), base.with_extension("o"));
        fs::write(&text, source).unwrap();
        output(system("as").arg(width).arg(&text).arg("-o").arg(&object)).unwrap();
        fs::remove_file(text).unwrap();
        let bytes = fs::read(&object).unwrap();
        Self(object, bytes)
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        Subject::parse(&self.1, &self.0).unwrap()
    }
}

impl Drop for Assembled {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Runs one gate over a piece of assembly.
pub(super) fn gate(
    width: &str,
    source: &str,
    gate: impl Fn(&Subject<'_>) -> Vec<String>,
) -> Vec<String> {
    let object = Assembled::new(width, source);
    gate(&object.subject())
}

/// Both widths refuse what only one of them needs to be asked.
pub(super) fn refused(source: &str, check: impl Fn(&Subject<'_>) -> Vec<String>) {
    for width in ["--32", "--64"] {
        assert!(
            !gate(width, source, &check).is_empty(),
            "{width} let pass: {source}"
        );
    }
}

pub(super) fn accepted(source: &str, check: impl Fn(&Subject<'_>) -> Vec<String>) {
    for width in ["--32", "--64"] {
        let complaints = gate(width, source, &check);
        assert!(
            complaints.is_empty(),
            "{width} refused: {source}: {complaints:?}"
        );
    }
}

fn stock() -> Stock {
    Stock {
        defined: BTreeMap::from([("grub_loader_set".to_owned(), "boot".to_owned())]),
        named: BTreeSet::from(["grub_loader_set".to_owned(), "grub_malloc".to_owned()]),
        deps: Vec::new(),
        size: 1000,
    }
}

#[test]
fn plt_relocation_is_refused_on_32_bit() {
    let source = ".text\n call memcmp@PLT\n";
    assert!(gate("--32", source, relocs::types)[0].contains("0x4"));
}

#[test]
fn got_relocation_is_refused_on_64_bit() {
    let source = ".text\n movq memcmp@GOTPCREL(%rip), %rax\n";
    assert_eq!(gate("--64", source, relocs::types).len(), 1);
}

#[test]
fn short_address_is_refused_on_64_bit() {
    assert_eq!(
        gate("--64", ".text\n movl $there, %eax\n", relocs::types).len(),
        1
    );
    assert_eq!(
        gate("--64", ".text\n call outside\n", relocs::types).len(),
        1
    );
}

#[test]
fn plain_addresses_pass() {
    assert!(
        gate(
            "--32",
            ".text\n call outside\n .data\n .long x\n",
            relocs::types
        )
        .is_empty()
    );
    assert!(gate("--64", ".text\n movabsq $x, %rax\n", relocs::types).is_empty());
    assert!(gate("--64", ".text\n call mb2_grub_free@PLT\n", relocs::types).is_empty());
    let inside = ".text\n call next\n .globl next\nnext: ret\n";
    assert!(gate("--64", inside, relocs::types).is_empty());
}

#[test]
fn planted_panic_edge_is_refused() {
    let source = ".text\n .long mb2_grub_fatal\n";
    assert_eq!(gate("--32", source, relocs::no_fatal_edge).len(), 1);
    let source = ".text\n movabsq $mb2_grub_fatal, %rax\n";
    assert_eq!(gate("--64", source, relocs::no_fatal_edge).len(), 1);
}

#[test]
fn unused_name_of_the_fatal_shim_is_no_edge() {
    accepted(
        ".text\n .globl mb2_grub_fatal\n nop\n",
        relocs::no_fatal_edge,
    );
}

#[test]
fn panic_and_formatting_machinery_is_refused() {
    for name in [
        "_ZN4core9panicking5panic17h0123456789abcdefE",
        "_RNvNtCs1_4core9panicking9panic_fmt",
        "_ZN4core5slice5index16slice_index_fail17h0E",
        "_RNvNtNtNtCs1_4core5slice20copy_from_slice_impl17len_mismatch_fail",
        "_RNvNtCs1_4core4cell22panic_already_borrowed",
        "_ZN4core3fmt5write17h0123456789abcdefE",
        "_RNvNtCs1_4core3fmt5write",
        "__rust_alloc",
        "__udivdi3",
    ] {
        refused(
            &format!(".text\n{name}: ret\n"),
            symbols::no_panic_machinery,
        );
    }
    accepted(".text\nmb2_rs_boot: ret\n", symbols::no_panic_machinery);
}

#[test]
fn function_that_ends_grub_is_refused() {
    for name in ["grub_fatal", "grub_abort", "grub_exit"] {
        let source = format!(".data\n .long {name}\n");
        refused(&source, symbols::no_way_out);
    }
    accepted(".data\n .long grub_error\n", symbols::no_way_out);
}

#[test]
fn trap_is_refused() {
    for trap in ["ud2", "int3", "int $0x10"] {
        refused(&format!(".text\nf: {trap}\n"), code::no_trap);
    }
    accepted(".text\nint: jmp int\n inc %eax\n", code::no_trap);
}

#[test]
fn second_static_is_refused() {
    let object = |name: &str, section: &str| {
        format!(".section {section}\n .type {name}, @object\n .size {name}, 4\n{name}: .zero 4\n")
    };
    let one = object("a", ".bss,\"aw\",@nobits") + &object("b", ".rodata,\"a\"");
    accepted(&one, symbols::one_static);
    refused(&(one.clone() + &object("c", ".bss")), symbols::one_static);
    refused(&(one + &object("c", ".data")), symbols::one_static);
}

#[test]
fn direct_call_of_grub_is_refused() {
    refused(".data\n .long grub_malloc\n", symbols::only_contract);
    refused(".data\n .long memcpy\n", symbols::only_contract);
    accepted(".data\n .long mb2_grub_malloc\n", symbols::only_contract);
}

#[test]
fn globals_have_to_be_the_exports() {
    let exports = ["mb2_rs_boot".to_owned()];
    let check = |subject: &Subject<'_>| symbols::globals_are(subject, &exports);
    accepted(".text\n .globl mb2_rs_boot\nmb2_rs_boot: ret\n", check);
    refused(".text\nmb2_rs_boot: ret\n", check);
    refused(
        ".text\n .globl mb2_rs_boot, more\nmb2_rs_boot: ret\nmore: ret\n",
        check,
    );
}

#[test]
fn symbol_unknown_to_the_distribution_is_refused() {
    let check = |subject: &Subject<'_>| symbols::known_to(subject, &stock());
    refused(".data\n .long grub_invented\n", check);
    accepted(".data\n .long grub_malloc\n .long grub_loader_set\n", check);
}

#[test]
fn definition_of_grubs_names_is_refused() {
    let check = |subject: &Subject<'_>| symbols::not_taken_from(subject, &stock());
    refused(".text\n .globl grub_malloc\ngrub_malloc: ret\n", check);
    accepted(".text\ngrub_malloc: ret\n", check);
}

#[test]
fn thread_local_symbol_is_refused() {
    refused(
        ".section .tbss,\"awT\",@nobits\n .type x, @tls_object\nx: .zero 4\n",
        symbols::types,
    );
    accepted(".text\n .type x, @function\nx: ret\n", symbols::types);
}

#[test]
fn vector_and_float_instructions_are_refused() {
    for instruction in [
        "movaps %xmm0, %xmm1",
        "paddb %mm0, %mm1",
        "fld1",
        "fninit",
        "emms",
        "fxch %st(1)",
    ] {
        refused(
            &format!(".text\nf: {instruction}\n"),
            code::no_vector_or_float,
        );
    }
    accepted(
        ".text\nf: jmp f1\n .skip 0xed\nf1: ret\n",
        code::no_vector_or_float,
    );
    accepted(
        ".text\nf: mov %fs:0, %eax\n rep stosb\n nopw %cs:0(%eax)\n",
        code::no_vector_or_float,
    );
}

#[test]
fn instruction_later_than_i386_is_refused_on_32_bit() {
    for instruction in ["lock xaddl %eax, (%ecx)", "bswap %eax", "cmovne %eax, %ecx"] {
        let source = format!(".text\nf: {instruction}\n");
        assert_eq!(
            gate("--32", &source, code::no_later_instruction).len(),
            1,
            "{instruction}"
        );
    }
    assert!(gate("--64", ".text\nf: bswap %eax\n", code::no_later_instruction).is_empty());
}

#[test]
fn large_and_unknown_stack_frames_are_refused() {
    let check = code::small_frames;
    assert!(gate("--32", ".text\nf: sub $0x400, %esp\n", check)[0].contains("1024 bytes in f"));
    assert_eq!(
        gate("--64", ".text\nf: sub $0x1000, %rsp\n", check).len(),
        1
    );
    assert_eq!(
        gate("--64", ".text\nf: lea -0x800(%rsp), %rsp\n", check).len(),
        1
    );
    assert_eq!(gate("--32", ".text\nf: sub %eax, %esp\n", check).len(), 1);
    assert!(
        gate(
            "--32",
            ".text\nf: sub $0x3fc, %esp\n add $0x500, %esp\n",
            check
        )
        .is_empty()
    );
}

#[test]
fn section_that_no_script_knows_is_refused() {
    refused(".section .odd,\"a\"\n .long 1\n", shape::rust_sections);
    refused(
        ".section .rodata.str1.1,\"a\"\n .long 1\n",
        shape::rust_sections,
    );
    accepted(
        ".section .note.GNU-stack,\"\"\n .section .rodata,\"a\"\n",
        shape::rust_sections,
    );
}

#[test]
fn module_needs_its_names_and_the_right_permissions() {
    let names = ".section .modname\n .section .moddeps\n .section .module_license,\"a\"\n";
    accepted(
        &format!("{names} .section .rodata.str1.1,\"a\"\n"),
        shape::module_sections,
    );
    refused(".section .modname\n", shape::module_sections);
    for odd in [
        ".text.hot,\"awx\"",
        ".rodata,\"aw\"",
        ".rodata,\"ax\"",
        ".data.here,\"awx\"",
    ] {
        refused(&format!("{names} .section {odd}\n"), shape::module_sections);
    }
    refused(
        &format!("{names} .section .textual,\"ax\"\n"),
        shape::module_sections,
    );
}

#[test]
fn growth_past_the_budget_is_refused() {
    let subject = |len| Subject {
        len,
        ..Assembled::new("--64", "").leak()
    };
    let allowed = shape::SIZE_LIMIT * 10;
    assert!(shape::size(&subject(allowed), 1000).is_empty());
    assert_eq!(shape::size(&subject(allowed + 1), 1000).len(), 1);
}

impl Assembled {
    /// Gives up the object's memory, for tests that only need some subject.
    fn leak(self) -> Subject<'static> {
        let bytes: &'static [u8] = Box::leak(self.1.clone().into_boxed_slice());
        Subject::parse(bytes, &self.0).unwrap()
    }
}
