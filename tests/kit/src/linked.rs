// SPDX-License-Identifier: GPL-3.0-or-later
//! Kernels as a linker makes them, which only run when the loader relocates
//! them: sources in tests/boot/linked, everything else here.

use crate::bytes::{noise, u16_at, u32_at, u64_at};
use crate::error::{Error, Result};
use crate::header::Relocatable;
use crate::image::PT_LOAD;
use crate::kernel::{BASE, Expected, ExpectedBlob, Kernel};
use crate::payload::Cpu;

/// How the linker tells what has to be relocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A position-independent executable; without addends on i386, with them
    /// on x86-64.
    Pie,
    /// The same, with as many relocations packed as can be.
    Packed,
    /// An ordinary executable whose relocations are kept.
    Kept,
}

/// Where a kernel wants to lie, all of it away from other places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Where it was linked to.
    Still,
    /// Below that.
    Low,
    /// As high as can be.
    High,
}

/// One kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The processor's mode.
    pub cpu: Cpu,
    /// How relocations are told.
    pub form: Form,
    /// Where it wants to lie.
    pub wish: Wish,
}

impl Recipe {
    /// All kernels.
    pub fn all() -> impl Iterator<Item = Self> {
        let cpus = [Cpu::I386, Cpu::X86_64].into_iter();
        let forms = [Form::Pie, Form::Packed, Form::Kept];
        let wishes = [Wish::Still, Wish::Low, Wish::High];
        let pairs = cpus.flat_map(move |cpu| forms.map(|form| (cpu, form)));
        pairs.flat_map(move |(cpu, form)| wishes.map(|wish| Self { cpu, form, wish }))
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> String {
        let class = match self.cpu {
            Cpu::I386 => "elf32",
            Cpu::X86_64 => "elf64",
        };
        let form = match (self.form, self.cpu) {
            (Form::Pie, Cpu::I386) => "rel",
            (Form::Pie, Cpu::X86_64) => "rela",
            (Form::Packed, _) => "relr",
            (Form::Kept, _) => "emit-relocs",
        };
        let wish = match self.wish {
            Wish::Still => "still",
            Wish::Low => "low",
            Wish::High => "high",
        };
        format!("{class}-{form}-{wish}")
    }

    /// What its header asks for.
    #[must_use]
    pub fn place(self) -> Relocatable {
        let (min, max, preference) = match self.wish {
            Wish::Still => (BASE, 0x1000_0000, 1),
            Wish::Low => (0x100_0000, BASE - 0x80_0000, 1),
            Wish::High => (BASE + 0x100_0000, 0xffff_ffff, 2),
        };
        Relocatable {
            min,
            max,
            align: 0x1000,
            preference,
        }
    }

    /// Arguments for `gcc`, in front of `-c FILE -o OUTPUT`.
    #[must_use]
    pub fn compiler_args(self) -> Vec<String> {
        let place = self.place();
        let defines = [
            format!("-DLINK_BASE={BASE:#x}"),
            format!("-DMIN={:#x}", place.min),
            format!("-DMAX={:#x}", place.max),
            format!("-DPREFERENCE={}", place.preference),
        ];
        let common = [
            "-Os",
            "-std=gnu11",
            "-ffreestanding",
            "-fno-stack-protector",
            "-fcf-protection=none",
            "-fno-asynchronous-unwind-tables",
            "-fvisibility=hidden",
            "-mgeneral-regs-only",
            "-mno-red-zone",
            "-Wall",
            "-Wextra",
            "-Werror",
        ];
        // Code that runs anywhere is rare on i386: it would need a table of addresses.
        let own: &[&str] = match (self.cpu, self.form) {
            (Cpu::I386, _) => &["-m32", "-fno-pic"],
            (Cpu::X86_64, Form::Kept) => &["-m64", "-fno-pic"],
            (Cpu::X86_64, _) => &["-m64", "-fpie"],
        };
        let fixed = common.iter().chain(own).map(|arg| (*arg).to_owned());
        fixed.chain(defines).collect()
    }

    /// Arguments for `ld`, in front of `-T link.ld -o OUTPUT OBJECT…`.
    #[must_use]
    pub fn linker_args(self) -> Vec<String> {
        let mode = match self.cpu {
            Cpu::I386 => "elf_i386",
            Cpu::X86_64 => "elf_x86_64",
        };
        let common = [
            "-m",
            mode,
            "-znotext",
            "-znorelro",
            "-znoexecstack",
            "-zmax-page-size=4096",
            "--no-warn-rwx-segments",
        ];
        let own: &[&str] = match self.form {
            Form::Pie => &["-pie", "--no-dynamic-linker"],
            Form::Packed => &["-pie", "--no-dynamic-linker", "-zpack-relative-relocs"],
            Form::Kept => &["-static", "--emit-relocs"],
        };
        let args = common.iter().chain(own).map(|arg| (*arg).to_owned());
        args.chain([format!("--defsym=base={BASE:#x}")]).collect()
    }

    /// Takes the linker's file.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] if it has no segment at [`BASE`].
    pub fn kernel(self, bytes: Vec<u8>) -> Result<Linked> {
        let end = end(&bytes).filter(|end| *end > BASE);
        let end = end.ok_or_else(|| Error::Image(format!("{} has no segment", self.name())))?;
        Ok(Linked {
            recipe: self,
            kernel: self.wrap(bytes, end - BASE),
        })
    }

    /// A file of the same shape that cannot run, for host tests.
    #[must_use]
    pub fn dummy(self) -> Linked {
        let bytes = noise(self.name().len() as u64, 0x2000);
        Linked {
            recipe: self,
            kernel: self.wrap(bytes, 0x2000),
        }
    }

    fn wrap(self, bytes: Vec<u8>, span: u32) -> Kernel {
        let blob = ExpectedBlob {
            offset: 0,
            fnv: 0,
            ranges: Vec::new(),
        };
        Kernel {
            bytes,
            expected: Expected {
                link_base: BASE,
                span,
                blob32: blob.clone(),
                blob64: blob,
                efi32_entry: false,
                efi64_entry: false,
                relocatable: Some(self.place()),
                loose_sections: Vec::new(),
            },
        }
    }
}

/// A finished kernel.
#[derive(Clone, Debug)]
pub struct Linked {
    /// How it was made.
    pub recipe: Recipe,
    /// The file, and what a correct boot shows.
    pub kernel: Kernel,
}

/// The highest end of a segment.
fn end(file: &[u8]) -> Option<u32> {
    let wide = file.get(4) == Some(&2);
    let word = |at: usize| match wide {
        true => u64_at(file, at),
        false => u32_at(file, at).map(u64::from),
    };
    let [table, stride, count] = if wide { [32, 54, 56] } else { [28, 42, 44] };
    let [paddr, memory] = if wide { [24, 40] } else { [12, 20] };
    let table = word(table)? as usize;
    let [stride, count] = [stride, count].map(|at| u16_at(file, at).map(usize::from));
    let mut end = 0;
    for index in 0..count? {
        let at = table + index * stride?;
        if u32_at(file, at)? == PT_LOAD {
            end = end.max(word(at + paddr)? + word(at + memory)?);
        }
    }
    u32::try_from(end).ok()
}
