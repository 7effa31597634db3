// SPDX-License-Identifier: GPL-3.0-or-later
//! The writer of boot information, call by call, into memory of any length.

use arbitrary::Arbitrary;
use mb2::info::{EfiMapRoom, InfoType, Writer, close};

/// A call.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum Call {
    Bytes(Vec<u8>),
    Zeroes(u8),
    Short(u16),
    Words(Vec<u32>),
    Tag(u32, Vec<u32>, Vec<u8>),
    /// Calls inside a tag that has begun.
    Nested(u32, Vec<Call>),
    Patch(u16, u16),
    Skip(u8),
    Truncate(u16),
    /// Room for a map, and how much of it is used.
    Map(u8, u8, [u32; 2]),
    Close,
}

/// What stands in memory before.
const STALE: u8 = 0xa5;

/// The same in an obvious way: a position, and memory that takes what fits
/// as a whole.
struct Plain {
    at: usize,
    memory: Vec<u8>,
}

impl Plain {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        if at + bytes.len() <= self.memory.len() {
            self.memory[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.put(self.at, bytes);
        self.at += bytes.len();
    }

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.bytes(&word.to_le_bytes());
        }
    }

    fn end(&mut self, start: usize) {
        let len = self.at.saturating_sub(start) as u32;
        self.put(start + 4, &len.to_le_bytes());
        let padding = vec![0; self.at.next_multiple_of(8) - self.at];
        self.bytes(&padding);
    }

    fn call(&mut self, call: &Call) {
        let start = self.at;
        match call {
            Call::Bytes(bytes) => self.bytes(bytes),
            Call::Zeroes(len) => self.bytes(&vec![0; usize::from(*len)]),
            Call::Short(value) => self.bytes(&value.to_le_bytes()),
            Call::Words(words) => self.words(words),
            Call::Tag(kind, words, bytes) => {
                self.words(&[*kind, 0]);
                self.words(words);
                self.bytes(bytes);
                self.end(start);
            }
            Call::Nested(kind, calls) => {
                self.words(&[*kind, 0]);
                for call in calls {
                    self.call(call);
                }
                self.end(start);
            }
            Call::Patch(at, len) => self.put(usize::from(*at), &u32::from(*len).to_le_bytes()),
            Call::Skip(len) => self.at += usize::from(*len),
            Call::Truncate(len) => self.at = self.at.min(usize::from(*len)),
            Call::Map(room, used, descriptor) => {
                let used = (*used).min(*room);
                self.words(&[17, 0, 0, 0]);
                self.bytes(&vec![0; usize::from(*room)]);
                self.end(start);
                let all = self.memory.get_mut(start + 16..).unwrap_or_default();
                let len = all.len().min(usize::from(*room));
                all[..len].fill(0xee);
                self.at = start;
                self.words(&[17, 0, descriptor[0], descriptor[1]]);
                self.at += usize::from(used);
                self.end(start);
            }
            Call::Close => {
                self.words(&[0, 0]);
                self.end(start);
                self.put(0, &(self.at as u32).to_le_bytes());
            }
        }
    }
}

fn apply(call: &Call, out: &mut Writer<'_>) {
    match call {
        Call::Bytes(bytes) => out.bytes(bytes),
        Call::Zeroes(len) => out.zeroes((*len).into()),
        Call::Short(value) => out.u16(*value),
        Call::Words(words) => out.words(words),
        Call::Tag(kind, words, bytes) => out.tag(InfoType(*kind), words, bytes),
        Call::Nested(kind, calls) => {
            let start = out.begin(InfoType(*kind));
            for call in calls {
                apply(call, out);
            }
            out.end(start);
        }
        Call::Patch(at, len) => out.patch_u32((*at).into(), (*len).into()),
        Call::Skip(len) => out.skip((*len).into()),
        Call::Truncate(len) => out.truncate((*len).into()),
        Call::Map(room, used, descriptor) => {
            let place = EfiMapRoom::reserve(out, (*room).into());
            let all = place.memory(out);
            let len = all.len().min((*room).into());
            all[..len].fill(0xee);
            place.settle(out, (*used).min(*room).into(), *descriptor);
        }
        Call::Close => close(out),
    }
}

/// Memory of this length is written as the obvious way says, and no byte
/// behind it; over no memory the same is counted.
pub(crate) fn check(len: u16, calls: &[Call]) {
    let mut plain = Plain {
        at: 0,
        memory: vec![STALE; len.into()],
    };
    let mut memory = plain.memory.clone();
    let mut out = Writer::new(&mut memory);
    let mut counter = Writer::new(&mut []);
    for call in calls {
        plain.call(call);
        apply(call, &mut out);
        apply(call, &mut counter);
        assert_eq!((out.len(), counter.len()), (plain.at, plain.at));
    }
    assert_eq!(out.is_complete(), plain.at <= plain.memory.len());
    assert_eq!(out.is_empty(), plain.at == 0);
    assert_eq!(memory, plain.memory);
}
