// SPDX-License-Identifier: GPL-3.0-or-later
//! Which modules GRUB has to load before ours: computed from the symbols, never typed.

use std::collections::BTreeSet;

use crate::stock::Stock;

/// Returns the modules that define one of `undefined`.
///
/// When the set is that of the distribution's own multiboot2.mod, its order is kept too.
pub(crate) fn compute<'a>(stock: &Stock, undefined: impl Iterator<Item = &'a str>) -> Vec<String> {
    let found: BTreeSet<&String> = undefined
        .filter_map(|symbol| stock.defined.get(symbol))
        .collect();
    if same_set(&found, &stock.deps) {
        return stock.deps.clone();
    }
    found.into_iter().cloned().collect()
}

fn same_set(found: &BTreeSet<&String>, deps: &[String]) -> bool {
    *found == deps.iter().collect()
}

/// Names the modules that ours needs and the stock one does not, if there are any.
///
/// Needing fewer is no trouble: those that moddep.lst names are then in an image for nothing.
pub(crate) fn added(stock: &Stock, deps: &[String]) -> Option<String> {
    let new: Vec<&str> = deps
        .iter()
        .filter(|dep| !stock.deps.contains(dep))
        .map(String::as_str)
        .collect();
    (!new.is_empty()).then(|| new.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock() -> Stock {
        let defined = [
            ("grub_loader_set", "boot"),
            ("grub_relocator_new", "relocator"),
        ];
        Stock {
            defined: defined.map(|(s, m)| (s.to_owned(), m.to_owned())).into(),
            named: BTreeSet::new(),
            deps: vec!["relocator".to_owned(), "boot".to_owned()],
            size: 1,
        }
    }

    #[test]
    fn symbols_of_the_kernel_need_no_module() {
        assert!(compute(&stock(), ["grub_malloc"].into_iter()).is_empty());
    }

    #[test]
    fn the_same_set_keeps_the_stock_order() {
        let deps = compute(
            &stock(),
            ["grub_loader_set", "grub_relocator_new"].into_iter(),
        );
        assert_eq!(deps, ["relocator", "boot"]);
        assert_eq!(added(&stock(), &deps), None);
    }

    #[test]
    fn only_a_new_dependency_is_named() {
        let deps = compute(&stock(), ["grub_loader_set"].into_iter());
        assert_eq!(deps, ["boot"]);
        assert_eq!(added(&stock(), &deps), None);
        let more = ["boot".to_owned(), "elf".to_owned()];
        assert_eq!(added(&stock(), &more).as_deref(), Some("elf"));
    }
}
