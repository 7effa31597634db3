// SPDX-License-Identifier: GPL-3.0-or-later
//! What GRUB's verifiers see of kernels, modules and their command lines.
//!
//! These boots are no part of [`super::all`]: they need keys, or a chip that measures, which
//! whoever runs the machines has to bring.

use super::Variant;
use super::script::join_arguments;
use super::session::{NO_KERNEL, Session};
use crate::bytes::noise;
use crate::compress::gzip;
use crate::error::Result;
use crate::image::Class;
use crate::kernel::KernelSpec;
use crate::payload::Payload;

/// Whose key has to sign something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// GRUB is told to trust it.
    Trusted,
    /// GRUB does not know it.
    Foreign,
}

/// A session that is complete once its files are signed.
pub struct Signed {
    /// The session. It wants the public key that GRUB trusts as `/key.pub`.
    pub variant: Variant,
    /// For each signature the file that it is for, the bytes that are signed, and by whom. GRUB
    /// looks for it in a file with `.sig` behind the name.
    pub signatures: Vec<(String, Vec<u8>, Signer)>,
}

/// Modules of GRUB that have to be there before signatures are demanded of all files.
const BEFORE: [&str; 4] = [
    "insmod pgp",
    "insmod gcry_rsa",
    "insmod gcry_sha256",
    "insmod gzio",
];

const BAD: &str = "bad signature";

/// A kernel and modules with detached signatures, and others whose signature is wrong, missing or
/// from somebody else. GRUB looks at the file as it is stored, packed or not.
///
/// # Errors
///
/// Only if an image description contradicts itself.
pub fn signed(payload: &Payload) -> Result<Signed> {
    let mut kernel = KernelSpec::elf(Class::Elf64).build(payload)?;
    kernel.bytes = gzip(&kernel.bytes)?;
    let (plain, other) = (noise(71, 5000), noise(72, 70_000));
    let packed = gzip(&other)?;
    let variant = Variant::boots("signatures", kernel)
        .arguments(&["signed"])
        .module(&["plain"], plain.clone())
        .packed_module(&["unpacked"], packed.clone(), &other)
        .nounzip_module(&["stored"], packed.clone());
    let good = variant.files.iter();
    let mut signatures: Vec<_> = good
        .map(|(name, bytes)| (name.clone(), bytes.clone(), Signer::Trusted))
        .collect();
    // Each of these would load but for its signature.
    let image = KernelSpec::elf(Class::Elf32).build(payload)?.bytes;
    let mut session = Session::of(variant);
    for (kind, good, whole) in [
        ("kernel", &image, gzip(&image)?),
        ("module", &other, packed),
    ] {
        for (name, stored, signed) in [
            ("tampered", &tampered(good), Some((good, Signer::Trusted))),
            ("unsigned", good, None),
            ("foreign", good, Some((good, Signer::Foreign))),
            ("unpacked", &whole, Some((good, Signer::Trusted))),
        ] {
            let name = format!("{name}-{kind}");
            if let Some((bytes, signer)) = signed {
                signatures.push((name.clone(), bytes.clone(), signer));
            }
            session = session.file(&name, stored.clone());
        }
    }
    let session = session
        .commands(&BEFORE)
        .commands(&["trust /key.pub", "set check_signatures=enforce"])
        .works("kernel", "multiboot2 /kernel first")
        .fails("tampered", "multiboot2 /tampered-kernel", BAD)
        .step("tampered-leaves-nothing", &["boot"], &[NO_KERNEL])
        .fails(
            "unsigned",
            "multiboot2 /unsigned-kernel",
            "file `/unsigned-kernel.sig' not found",
        )
        .step("unsigned-leaves-nothing", &["boot"], &[NO_KERNEL])
        .fails("foreign", "multiboot2 /foreign-kernel", "public key")
        .fails("unpacked", "multiboot2 /unpacked-kernel", BAD)
        .begins(2)
        .fails("tampered-module", "module2 /tampered-module", BAD)
        .fails(
            "unsigned-module",
            "module2 /unsigned-module",
            "file `/unsigned-module.sig' not found",
        )
        .fails("foreign-module", "module2 /foreign-module", "public key")
        .fails("unpacked-module", "module2 /unpacked-module", BAD)
        .fails(
            "unpacked-module-stored",
            "module2 --nounzip /unpacked-module",
            BAD,
        );
    Ok(Signed {
        variant: session.finish(),
        signatures,
    })
}

/// The same but for its last bit.
fn tampered(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes
}

/// A boot, and what a verifier that measures everything is shown of it.
pub struct Measured {
    /// The boot.
    pub variant: Variant,
    /// Commands and command lines, in order.
    pub strings: Vec<String>,
    /// Names of files whose bytes are measured as they are stored, in order.
    pub files: Vec<String>,
}

/// A packed kernel with sections and three modules, with command lines that GRUB has to quote.
///
/// # Errors
///
/// Only if an image description contradicts itself.
pub fn measured(payload: &Payload) -> Result<Measured> {
    const KERNEL: &[&str] = &["kernel", "a \"b\" c"];
    const STORED: &[&str] = &["it's", r"a\b", "two words"];
    let mut kernel = KernelSpec::elf(Class::Elf64).build(payload)?;
    kernel.bytes = gzip(&kernel.bytes)?;
    let large = noise(73, 300_000);
    let packed = gzip(&large)?;
    let variant = Variant::boots("measured", kernel)
        .arguments(KERNEL)
        .module(&[], noise(74, 4097))
        .packed_module(&["unpacked"], packed.clone(), &large)
        .nounzip_module(STORED, packed);
    let mut strings = Vec::new();
    for (command, arguments) in [
        ("multiboot2 /kernel", KERNEL),
        ("module2 /module0", &[]),
        ("module2 /module1", &["unpacked"]),
        ("module2 --nounzip /module2", STORED),
    ] {
        // The command as its words, then what the loader makes of them for the kernel.
        strings.push([&[command], arguments].concat().join(" "));
        strings.push(join_arguments(arguments));
    }
    strings.push("boot".to_owned());
    let files = variant.files.iter().map(|(name, _)| name.clone()).collect();
    Ok(Measured {
        variant,
        strings,
        files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_but_the_unsigned_have_a_signature() {
        let Signed {
            variant,
            signatures,
        } = signed(&Payload::dummy()).unwrap();
        for (name, stored) in &variant.files {
            let found: Vec<_> = signatures.iter().filter(|(of, ..)| of == name).collect();
            let right = |(_, bytes, signer): &&(_, Vec<u8>, _)| {
                bytes == stored && *signer == Signer::Trusted
            };
            let good = found.iter().copied().any(|one| right(&one));
            assert_eq!(
                found.len(),
                usize::from(!name.starts_with("unsigned")),
                "{name}"
            );
            assert_eq!(good, !name.contains('-'), "{name}");
        }
    }

    #[test]
    fn a_measured_boot_says_all_that_it_types() {
        let measured = measured(&Payload::dummy()).unwrap();
        assert_eq!(measured.files.len(), 4);
        assert_eq!(measured.strings.len(), 2 * 4 + 1);
        assert_eq!(measured.strings[1], measured.variant.cmdline);
        for (line, string) in measured
            .variant
            .script
            .iter()
            .zip(measured.strings.iter().step_by(2))
        {
            let words: Vec<&str> = string.split(' ').take(2).collect();
            assert!(line.starts_with(&words.join(" ")), "{line}");
        }
    }
}
