// SPDX-License-Identifier: GPL-3.0-or-later
//! One function: how deep its stack is at each of its calls.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register,
};

use super::object::{Code, Place, Referent};

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Callee {
    /// A function of this object.
    Inside(Place),
    /// A function of GRUB.
    Outside(String),
    /// Whatever data of this object refers to.
    Table,
}

/// A function's stack, in bytes behind its return address.
#[derive(Debug, Default)]
pub(super) struct Function {
    /// The most that it uses itself.
    pub(super) own: i64,
    /// What it calls, and its depth there, with the return address that the call puts down.
    pub(super) calls: BTreeMap<Callee, i64>,
}

/// Reads the function that starts at a place.
///
/// # Errors
///
/// If its depth cannot be known.
pub(super) fn read(code: &Code<'_>, start: Place) -> Result<Function> {
    let (width, word) = if code.is_64() { (64, 8) } else { (32, 4) };
    let bytes = code.bytes(start)?;
    let decoder = Decoder::with_ip(width, bytes, start.offset, DecoderOptions::NONE);
    let mut walk = Walk {
        code,
        start,
        word,
        listing: decoder.into_iter().map(|i| (i.ip(), i)).collect(),
        frame: None,
        factory: InstructionInfoFactory::new(),
        found: Function::default(),
    };
    let mut depths: BTreeMap<u64, i64> = BTreeMap::new();
    let mut open = vec![(start.offset, 0)];
    while let Some((ip, depth)) = open.pop() {
        // The stack is as deep as on the first way: compilers leave it no choice.
        if let Some(instruction) = walk.listing.get(&ip).copied()
            && depths.insert(ip, depth).is_none()
        {
            for next in walk.step(&instruction, depth)? {
                if !depths.contains_key(&next.0) {
                    open.push(next);
                }
            }
        }
    }
    Ok(walk.found)
}

struct Walk<'a> {
    code: &'a Code<'a>,
    start: Place,
    word: i64,
    listing: BTreeMap<u64, Instruction>,
    /// Depth that the frame pointer keeps.
    frame: Option<i64>,
    factory: InstructionInfoFactory,
    found: Function,
}

impl Walk<'_> {
    /// Takes one instruction at a depth; returns where the processor may be next, and how deep.
    fn step(&mut self, i: &Instruction, depth: i64) -> Result<Vec<(u64, i64)>> {
        let after = self.after(i, depth)?;
        ensure!(after >= 0, "{}: the stack is not its own", self.describe(i));
        self.found.own = self.found.own.max(after);
        let here = i.next_ip();
        Ok(match i.flow_control() {
            FlowControl::Next | FlowControl::Interrupt => vec![(here, after)],
            FlowControl::Return | FlowControl::Exception => Vec::new(),
            FlowControl::ConditionalBranch => {
                let mut next = self.jump(i, depth);
                next.push((here, depth));
                next
            }
            FlowControl::UnconditionalBranch | FlowControl::IndirectBranch => self.jump(i, depth),
            FlowControl::Call | FlowControl::IndirectCall => {
                self.call(self.target(i), depth + self.word);
                // What the callee takes off is not counted: more is never less.
                vec![(here, depth)]
            }
            _ => anyhow::bail!("{}: the way on is not known", self.describe(i)),
        })
    }

    /// The depth behind an instruction that only moves the stack.
    fn after(&mut self, i: &Instruction, depth: i64) -> Result<i64> {
        let stack = |register: Register| register.full_register() == Register::RSP;
        let frame = |register: Register| register.full_register() == Register::RBP;
        let immediate = i.try_immediate(1).ok().map(u64::cast_signed);
        match i.mnemonic() {
            Mnemonic::Mov if frame(i.op0_register()) && stack(i.op1_register()) => {
                self.frame = Some(depth);
            }
            Mnemonic::Leave if self.frame.is_some() => {
                return Ok(self.frame.unwrap_or_default() - self.word);
            }
            Mnemonic::Mov if stack(i.op0_register()) && frame(i.op1_register()) => {
                if let Some(depth) = self.frame {
                    return Ok(depth);
                }
            }
            Mnemonic::Sub | Mnemonic::Add | Mnemonic::And if stack(i.op0_register()) => {
                if let Some(number) = immediate {
                    return Ok(match i.mnemonic() {
                        Mnemonic::Sub => depth + number,
                        Mnemonic::Add => depth - number,
                        // At worst the address is one byte short of the alignment.
                        _ => depth + !number,
                    });
                }
            }
            Mnemonic::Lea if stack(i.op0_register()) && i.memory_index() == Register::None => {
                let displacement = self.displacement(i);
                if stack(i.memory_base()) {
                    return Ok(depth - displacement);
                }
                if let Some(depth) = self.frame.filter(|_| frame(i.memory_base())) {
                    return Ok(depth - displacement);
                }
            }
            _ if i.is_stack_instruction() => {
                let call = i.flow_control() != FlowControl::Next;
                let step = if call { 0 } else { i.stack_pointer_increment() };
                return Ok(depth - i64::from(step));
            }
            _ => {}
        }
        let used = self.factory.info(i).used_registers();
        let written = |access| !matches!(access, OpAccess::Read | OpAccess::CondRead);
        let moved = used
            .iter()
            .any(|u| stack(u.register()) && written(u.access()));
        ensure!(!moved, "{}: stack frame of unknown size", self.describe(i));
        Ok(depth)
    }

    fn displacement(&self, i: &Instruction) -> i64 {
        match self.word {
            4 => i64::from((i.memory_displacement64() as u32).cast_signed()),
            _ => i.memory_displacement64().cast_signed(),
        }
    }

    /// Takes a jump; returns where it leads inside of the function.
    fn jump(&mut self, i: &Instruction, depth: i64) -> Vec<(u64, i64)> {
        match self.target(i) {
            Callee::Inside(place) if self.is_here(place) => vec![(place.offset, depth)],
            Callee::Table => {
                let tables = self.code.in_tables.iter();
                let here = tables.filter(|place| self.is_here(**place));
                here.map(|place| (place.offset, depth)).collect()
            }
            // The return address is there already.
            callee => {
                self.call(callee, depth);
                Vec::new()
            }
        }
    }

    fn is_here(&self, place: Place) -> bool {
        place.section == self.start.section && self.listing.contains_key(&place.offset)
    }

    fn call(&mut self, callee: Callee, depth: i64) {
        self.found.own = self.found.own.max(depth);
        let deepest = self.found.calls.entry(callee).or_insert(depth);
        *deepest = depth.max(*deepest);
    }

    /// What a call or a jump leads to.
    fn target(&self, i: &Instruction) -> Callee {
        if let Some(referent) = self.reference(i) {
            return self.callee(referent, i);
        }
        match i.op0_kind() {
            OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => {
                Callee::Inside(Place {
                    offset: i.near_branch_target(),
                    ..self.start
                })
            }
            OpKind::Register => self.loaded(i),
            _ => Callee::Table,
        }
    }

    /// What was loaded last into the register that a call or a jump goes through.
    fn loaded(&self, i: &Instruction) -> Callee {
        let load = |other: &&Instruction| {
            other.mnemonic() == Mnemonic::Mov && other.op0_register() == i.op0_register()
        };
        let before = self.listing.range(..i.ip()).map(|(_, other)| other);
        let last = before.rev().find(load);
        let referent = last.and_then(|other| Some((self.reference(other)?, other)));
        referent.map_or(Callee::Table, |(referent, other)| {
            self.callee(referent, other)
        })
    }

    fn reference(&self, i: &Instruction) -> Option<&Referent> {
        self.code.reference(self.start.section, i.ip()..i.next_ip())
    }

    fn callee(&self, referent: &Referent, i: &Instruction) -> Callee {
        match referent {
            Referent::Outside(name) => Callee::Outside(name.clone()),
            // Through memory: what stands there is written elsewhere.
            Referent::Inside(place) if !self.code.is_code(*place) => Callee::Table,
            Referent::Inside(_) if i.op0_kind() == OpKind::Memory => Callee::Table,
            Referent::Inside(place) => Callee::Inside(*place),
        }
    }

    fn describe(&self, i: &Instruction) -> String {
        let inside = i.ip() - self.start.offset;
        format!("{}+{inside:#x}", self.code.name(self.start))
    }
}
