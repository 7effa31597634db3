// SPDX-License-Identifier: GPL-3.0-or-later
//! What is odd about sections.

use super::elf::{ELSEWHERE, Fields, Table};
use super::{Case, Kernel, Loose, N, Oddity, number};
use crate::image::{SHT_NOBITS, SHT_REL, SHT_RELA};

/// From here on a number of sections is in section header 0.
const RESERVED: N = 0xff00;

const SHT_NULL: u32 = 0;

pub(super) fn read(
    kernel: &mut Kernel,
    case: &Case<'_>,
    fields: Fields<'_>,
    (mut table, first_is_good): (Table, bool),
) {
    let names = fields.get(0, [(50, 2), (62, 2)]);
    kernel.note(Oddity::NameIndex, names == ELSEWHERE && first_is_good);
    let many = fields.get(table.at, [(20, 4), (32, 8)]);
    if table.at == 0 {
        return kernel.note(Oddity::SectionsNowhere, table.count != 0);
    }
    if table.count == 0 {
        if !first_is_good || many < RESERVED {
            return;
        }
        kernel.note(Oddity::ManySections, true);
        table.count = many;
    }
    let least = if fields.wide { 64 } else { 40 };
    if table.stride < least || table.end() > case.file.len() as N {
        return kernel.note(Oddity::SectionTable, true);
    }
    kernel.stride = table.stride as usize;
    for (index, at) in table.entries().enumerate() {
        let kind = number(fields.file, at + 4, 4) as u32;
        let [addr, offset, size] = [[(12, 4), (16, 8)], [(16, 4), (24, 8)], [(20, 4), (32, 8)]]
            .map(|field| fields.get(at, field));
        let align = fields.get(at, [(32, 4), (48, 8)]);
        kernel.note(Oddity::Relocations, [SHT_REL, SHT_RELA].contains(&kind));
        if addr != 0 || size == 0 {
            continue;
        }
        if [SHT_NULL, SHT_NOBITS].contains(&kind) {
            kernel.note(Oddity::EmptySection, true);
            continue;
        }
        kernel.note(Oddity::SectionAlign0, align == 0);
        let good = align.max(1).is_power_of_two() && align <= 1 << 31;
        kernel.note(Oddity::SectionAlign, !good);
        if offset + size > case.file.len() as N {
            kernel.note(Oddity::SectionCut, true);
            continue;
        }
        kernel.loose.push(Loose {
            index,
            offset: offset as usize,
            size: size as usize,
        });
    }
}
