// SPDX-License-Identifier: GPL-3.0-or-later
//! Kernels that numbers choose, the same ones for the same numbers: legal ones
//! of every shape, and some with a few wrong numbers.

mod damage;
mod elf;
mod flat;
mod header;

pub use damage::{mend, mutate};

use crate::error::Result;
use crate::image::Class;

/// A sequence of numbers that its seed decides (a linear congruence), the same
/// everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence number `index` of a family.
    #[must_use]
    pub fn new(seed: u64, index: u64) -> Self {
        let mut random = Self(seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Neighbours start alike.
        random.next();
        random.next();
        random
    }

    /// The next number, of 31 bits.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: u32) -> u32 {
        self.index(end as usize) as u32
    }

    /// The index of one of `count` things, or 0.
    pub fn index(&mut self, count: usize) -> usize {
        self.next() as usize % count.max(1)
    }

    /// Bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }

    /// One of a list that is not empty.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.index(list.len())]
    }

    /// Brings a list into another order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.index(end + 1));
        }
    }
}

/// What images are made for.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    /// Where fixed images are linked, physical address.
    pub base: u32,
    /// There is a 64-bit UEFI that could stay.
    pub efi64: bool,
}

/// A kernel file; in two of three nothing is wrong on purpose.
///
/// # Errors
///
/// [`crate::Error::Image`] if the numbers contradict each other.
pub fn kernel(random: &mut Random, ground: &Ground) -> Result<Vec<u8>> {
    let mut file = match random.below(4) {
        0 => flat::file(random, ground),
        n => elf::file(random, ground, [Class::Elf32, Class::Elf64][n as usize % 2])?,
    };
    if random.one_in(3) {
        mutate(&mut file, random, ground.base);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_give_the_same_kernel() {
        let ground = Ground {
            base: 0x40_0000,
            efi64: true,
        };
        let files =
            |seed| (0..200).map(move |n| kernel(&mut Random::new(seed, n), &ground).unwrap());
        assert!(files(1).eq(files(1)));
        let different = files(1).zip(files(2)).filter(|(a, b)| a != b).count();
        assert!(different > 190, "{different}");
    }

    #[test]
    fn numbers_reach_every_place() {
        let mut random = Random::new(7, 0);
        let mut seen = [0; 10];
        for _ in 0..1000 {
            seen[random.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| count > 50), "{seen:?}");
    }
}
