// SPDX-License-Identifier: GPL-3.0-or-later
//! The stack: how deep each way through a module can get before GRUB's own code runs.
//!
//! Every function's depth at each of its calls is read from its instructions, and the calls are
//! followed. What cannot be bounded is a complaint: recursion, and frames whose size only the
//! machine knows. Calls through a table may lead to whatever data refers to.

mod function;
mod object;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Formatter, Result as Written};

use anyhow::{Result, bail};

use self::function::{Callee, Function};
use self::object::{Code, Place};
use super::Subject;

/// Most bytes that a module may have on the stack: i386-pc has 60 KiB for everything.
const LIMIT: i64 = 4096;

/// Functions of GRUB, and what they call of ours.
const CALLBACKS: &[(&str, &str)] = &[
    ("grub_loader_unset", "multiboot2_unload"),
    ("grub_mmap_iterate", "map_hook"),
    ("grub_efi_mmap_iterate", "map_hook"),
];

/// A way through the module: functions, and bytes on the stack when each calls the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way(Vec<(String, i64)>);

impl Way {
    /// Bytes on the stack at its end.
    pub(crate) fn depth(&self) -> i64 {
        self.0.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Its first function and its depth.
    pub(crate) fn sum(&self) -> String {
        let first = self.0.first().map_or("?", |(name, _)| name);
        format!("{first} {}", self.depth())
    }
}

impl Display for Way {
    fn fmt(&self, out: &mut Formatter<'_>) -> Written {
        write!(out, "{} bytes", self.depth())?;
        for (name, bytes) in &self.0 {
            write!(out, ", {name} {bytes}")?;
        }
        Ok(())
    }
}

/// Every way through the module has a depth that is known and small.
pub(crate) fn shallow(subject: &Subject<'_>) -> Vec<String> {
    let ways = match ways(&subject.file) {
        Ok(ways) => ways,
        Err(error) => return vec![format!("{error:#}")],
    };
    let deep = ways.iter().filter(|way| way.depth() >= LIMIT);
    deep.map(|way| format!("{LIMIT} bytes of stack are too many: {way}"))
        .collect()
}

/// Finds the deepest way from each function that only GRUB calls, the deepest of them first.
///
/// # Errors
///
/// What makes a depth unknown.
pub(crate) fn ways(file: &::object::File<'_>) -> Result<Vec<Way>> {
    let mut code = Code::read(file)?;
    let mut graph = Graph {
        functions: read_all(&mut code)?,
        deepest: BTreeMap::new(),
        open: Vec::new(),
        code,
    };
    let called: BTreeSet<Place> = graph
        .functions
        .values()
        .flat_map(|function| function.calls.keys())
        .flat_map(|callee| graph.targets(callee))
        .collect();
    let mut found = Vec::new();
    for start in graph.code.starts() {
        let way = graph.way(start)?;
        if !called.contains(&start) {
            found.push(way);
        }
    }
    found.sort_by_key(|way| -way.depth());
    Ok(found)
}

/// Reads all functions, those included that only a call shows.
fn read_all(code: &mut Code<'_>) -> Result<BTreeMap<Place, Function>> {
    loop {
        let mut all = BTreeMap::new();
        for start in code.starts() {
            all.insert(start, function::read(code, start)?);
        }
        let called: BTreeSet<Place> = all
            .values()
            .flat_map(|function| function.calls.keys())
            .filter_map(|callee| match callee {
                Callee::Inside(place) => Some(*place),
                Callee::Outside(_) | Callee::Table => None,
            })
            .collect();
        // A function that was taken for the end of another one changes that one.
        if !called
            .into_iter()
            .fold(false, |new, place| code.note(place) | new)
        {
            return Ok(all);
        }
    }
}

struct Graph<'a> {
    code: Code<'a>,
    functions: BTreeMap<Place, Function>,
    /// The deepest way from a function on.
    deepest: BTreeMap<Place, Way>,
    /// Functions whose calls are being followed.
    open: Vec<Place>,
}

impl Graph<'_> {
    /// The deepest way from a function on.
    fn way(&mut self, start: Place) -> Result<Way> {
        if let Some(known) = self.deepest.get(&start) {
            return Ok(known.clone());
        }
        let name = self.code.name(start);
        if let Some(first) = self.open.iter().position(|place| *place == start) {
            let names = self.open[first..]
                .iter()
                .map(|place| self.code.name(*place));
            let names = Vec::from_iter(names).join(" calls ");
            bail!("recursion: {names} calls {name}");
        }
        let Some(function) = self.functions.get(&start) else {
            return Ok(Way(Vec::new()));
        };
        let mut best = Way(vec![(name.clone(), function.own)]);
        let calls: Vec<(Place, i64)> = function
            .calls
            .iter()
            .flat_map(|(callee, depth)| self.targets(callee).into_iter().map(|to| (to, *depth)))
            .collect();
        self.open.push(start);
        for (to, depth) in calls {
            let further = self.way(to)?;
            if depth + further.depth() > best.depth() {
                best = Way([vec![(name.clone(), depth)], further.0].concat());
            }
        }
        self.open.pop();
        self.deepest.insert(start, best.clone());
        Ok(best)
    }

    /// Functions of this object that a call may lead to.
    fn targets(&self, callee: &Callee) -> Vec<Place> {
        let known = |place: &&Place| self.functions.contains_key(place);
        match callee {
            Callee::Inside(place) => vec![*place],
            Callee::Table => self.code.in_tables.iter().filter(known).copied().collect(),
            Callee::Outside(name) => {
                let ours = CALLBACKS.iter().filter(|(theirs, _)| theirs == name);
                ours.filter_map(|(_, ours)| self.code.named(ours)).collect()
            }
        }
    }
}
