// SPDX-License-Identifier: GPL-3.0-or-later
//! Header tags that do not change where the image goes.

use super::Variant;
use crate::error::Result;
use crate::header::Tag;
use crate::image::Class;
use crate::kernel::{BASE, KernelSpec};
use crate::payload::Payload;

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let elf = || KernelSpec::elf(Class::Elf32);
    // 13 is left out: the reference does not know it.
    let known: Vec<u32> = (0..=21).filter(|kind| *kind != 13).collect();
    let list = [
        (
            "request-basics",
            elf().tag(Tag::InformationRequest(vec![4, 6])),
        ),
        (
            "request-everything",
            elf().tag(Tag::InformationRequest(known)),
        ),
        (
            "request-nothing",
            elf().tag(Tag::InformationRequest(Vec::new())),
        ),
        (
            "request-unknown-optional",
            elf().optional(Tag::InformationRequest(vec![6, 4711])),
        ),
        (
            "request-twice",
            elf()
                .tag(Tag::InformationRequest(vec![6]))
                .tag(Tag::InformationRequest(vec![9])),
        ),
        ("module-alignment", elf().tag(Tag::ModuleAlignment)),
        (
            "unknown-optional",
            elf().optional(Tag::Raw(4711, None, vec![1; 13])),
        ),
        (
            "entry-tag-twice",
            KernelSpec {
                entry_tag: true,
                ..elf().tag(Tag::Entry(BASE))
            },
        ),
        (
            "many-tags",
            (0..60).fold(elf(), |spec, n| {
                spec.optional(Tag::Raw(1000 + n, None, vec![0xff; usize::from(n)]))
            }),
        ),
    ];
    let mut variants = Vec::new();
    for (name, spec) in list {
        variants.push(Variant::of(name, &spec, payload)?);
    }
    let plain = || Variant::of("", &elf(), payload);
    let named = |name: &str, variant: Variant| Variant {
        name: name.to_owned(),
        ..variant
    };
    variants.push(named(
        "arguments",
        plain()?.arguments(&["one", "two=2", "three"]),
    ));
    let special = [
        "a b",
        r#"say "x""#,
        "it's",
        r"back\slash",
        "",
        "$HOME",
        "x;y{z}",
    ];
    variants.push(named("arguments-special", plain()?.arguments(&special)));
    let long = "y".repeat(3000);
    variants.push(named("arguments-long", plain()?.arguments(&[&long, "end"])));
    Ok(variants)
}
