// SPDX-License-Identifier: GPL-3.0-or-later
//! The fuzzer's first inputs: the images of the boot tests, Debian's Xen, and the headers of
//! all of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use mb2_testkit::bytes::{noise, u32_at};
use mb2_testkit::header::MAGIC;
use mb2_testkit::kernel::KernelSpec;
use mb2_testkit::payload::Payload;
use mb2_testkit::{compress, image, variants};

use super::{Target, folder};
use crate::{testkernel, toolchain, ui, xen};

/// Bytes of a file that are searched for the header.
pub(super) const WINDOW: usize = 0x8000;

/// Longest file that is changed again and again. Larger images are cut.
pub(super) const LONGEST: usize = 0x1_0000;

/// Bytes behind a file that say what is done with it, as in tests/oracle/script.rs.
pub(super) const SCRIPT_LEN: usize = 48;

/// Starts of scripts: firmware, peculiarities. All kernels of the kit are linked at 64 MiB,
/// except those for machines whose memory lies where the fake has its own.
const MACHINES: [[u8; 2]; 3] = [[0, 2], [1, 2], [2, 2]];
const BESIDE_SERVICES: [u8; 2] = [2, 1];

/// Where that memory lies.
const BESIDE_BASE: u32 = 0x1020_0000;

/// Makes the seeds of all targets anew.
///
/// # Errors
///
/// If an image cannot be made or fetched.
pub(super) fn make() -> Result<()> {
    let payload = testkernel::build(&toolchain::find()?)?;
    let step = ui::step("making the first inputs");
    let xen = compress::gunzip(&fs::read(xen::image()?)?).context("Debian's Xen is no gzip")?;
    let mut seeds = Seeds::default();
    for variant in variants::all(&payload)? {
        for (name, bytes) in &variant.files {
            seeds.image(&format!("{}-{name}", variant.name), bytes);
        }
    }
    for (name, bytes) in beside_services(&payload)? {
        seeds.scripted(&name, &bytes, &BESIDE_SERVICES);
    }
    seeds.image("xen", &xen);
    seeds.whole("xen", &xen);
    for number in 0..16 {
        let bytes = noise(number, 64 << (number % 5));
        seeds.add(
            Target::Information,
            format!("noise-{number}"),
            bytes.clone(),
        );
        seeds.add(Target::Placement, format!("noise-{number}"), bytes.clone());
        seeds.add(Target::Relocate, format!("noise-{number}"), bytes);
        seeds.add(Target::Flat, format!("noise-{number}"), noise(number, 40));
    }
    seeds.write()?;
    step.done();
    Ok(())
}

/// Images that are run once, since they are too long to be changed.
///
/// # Errors
///
/// If the folder cannot be read.
pub(super) fn whole(target: Target) -> Result<Vec<PathBuf>> {
    match target {
        Target::Load => super::files(&folder().join("seeds/whole")),
        _ => Ok(Vec::new()),
    }
}

/// Inputs by folder and name.
#[derive(Default)]
struct Seeds(BTreeMap<(&'static str, String), Vec<u8>>);

impl Seeds {
    fn add(&mut self, target: Target, name: String, bytes: Vec<u8>) {
        self.0.insert((target.name(), name), bytes);
    }

    /// An image of any size, on all machines; files without a header are modules.
    fn image(&mut self, name: &str, bytes: &[u8]) {
        let Some(header) = header(bytes) else { return };
        self.add(Target::Header, format!("{name}-header"), header.to_vec());
        let start = &bytes[..bytes.len().min(WINDOW)];
        self.add(Target::Header, name.to_owned(), start.to_vec());
        let short = match bytes.len() > LONGEST {
            true => image::shortened(bytes, WINDOW),
            false => Some(bytes.to_vec()),
        };
        let Some(short) = short else { return };
        for machine in MACHINES {
            self.scripted(name, &short, &machine);
        }
        // Anything can be done with it.
        let script = noise(bytes.len() as u64, SCRIPT_LEN);
        self.scripted(&format!("{name}-script"), &short, &script);
        self.scripted(&format!("{name}-header"), header, &[]);
    }

    /// An image on one machine; the script of zeroes behind it loads it and starts it.
    fn scripted(&mut self, name: &str, bytes: &[u8], script: &[u8]) {
        let mut whole = bytes.to_vec();
        whole.extend(script);
        whole.resize(bytes.len() + SCRIPT_LEN, 0);
        let hash = mb2_testkit::bytes::fnv1a64(script);
        if bytes.starts_with(b"\x7fELF") {
            self.add(Target::Elf, name.to_owned(), whole.clone());
        }
        self.add(Target::Load, format!("{name}-{hash:x}"), whole);
    }

    /// An image that is run once as it is.
    fn whole(&mut self, name: &str, bytes: &[u8]) {
        for machine in MACHINES {
            // Linked at 2 MiB, and may be moved.
            let mut whole = bytes.to_vec();
            whole.push(machine[0]);
            whole.resize(bytes.len() + SCRIPT_LEN, 0);
            let name = format!("{name}-{}", machine[0]);
            self.0.insert(("whole", name), whole);
        }
    }

    fn write(&self) -> Result<()> {
        let seeds = folder().join("seeds");
        if seeds.exists() {
            fs::remove_dir_all(&seeds)?;
        }
        for ((target, name), bytes) in &self.0 {
            let place = seeds.join(target);
            fs::create_dir_all(&place)?;
            fs::write(place.join(name), bytes)?;
        }
        Ok(())
    }
}

/// The Multiboot2 header of a file, if it has one.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    let mut places = (0..bytes.len().min(WINDOW)).step_by(8);
    let start = places.find(|at| u32_at(bytes, *at) == Some(MAGIC))?;
    let len = u32_at(bytes, start + 8)? as usize;
    bytes.get(start..start.checked_add(len)?)
}

/// Kernels that keep boot services, for memory that lies where the fake has its own.
fn beside_services(payload: &Payload) -> Result<Vec<(String, Vec<u8>)>> {
    let mut list = Vec::new();
    for class in [image::Class::Elf32, image::Class::Elf64] {
        for sections in [false, true] {
            let spec = KernelSpec {
                base: BESIDE_BASE,
                boot_services: true,
                entry_efi64: true,
                sections,
                ..KernelSpec::elf(class)
            };
            let name = format!("beside-{class:?}-{sections}");
            list.push((name, spec.build(payload)?.bytes));
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_gets_seeds_that_are_not_too_long() {
        let payload = Payload::dummy();
        let mut seeds = Seeds::default();
        for variant in variants::all(&payload).unwrap() {
            for (name, bytes) in &variant.files {
                seeds.image(name, bytes);
            }
        }
        for target in [Target::Header, Target::Elf, Target::Load] {
            let of_target = seeds
                .0
                .iter()
                .filter(|((name, _), _)| *name == target.name());
            let lens: Vec<usize> = of_target.map(|(_, bytes)| bytes.len()).collect();
            assert!(lens.len() > 5, "{target:?}");
            let longest = lens.into_iter().max();
            assert!(longest <= Some(target.max_len()), "{target:?}: {longest:?}");
        }
    }

    #[test]
    fn a_header_is_cut_out_of_its_file() {
        let header_alone = mb2_testkit::header::HeaderBuilder::new().build();
        let mut bytes = vec![0; 64];
        bytes.extend(&header_alone);
        bytes.extend([7; 100]);
        assert_eq!(header(&bytes), Some(&header_alone[..]));
        assert_eq!(header(&[0; 100]), None);
    }
}
