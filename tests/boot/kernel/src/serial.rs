// SPDX-License-Identifier: GPL-3.0-or-later
//! The first serial port, and lines made of words and hexadecimal numbers.

use crate::cpu;

const DATA: u16 = 0x3f8;
const LINE_STATUS: u16 = DATA + 5;
const TRANSMIT_EMPTY: u8 = 0x20;

/// Sets 115200 baud, 8N1, queues on, no interrupts.
pub(crate) fn init() {
    cpu::out8(DATA + 1, 0);
    cpu::out8(DATA + 3, 0x80);
    cpu::out8(DATA, 1);
    cpu::out8(DATA + 1, 0);
    cpu::out8(DATA + 3, 0x03);
    cpu::out8(DATA + 2, 0xc7);
    cpu::out8(DATA + 4, 0x03);
}

fn put(byte: u8) {
    while cpu::in8(LINE_STATUS) & TRANSMIT_EMPTY == 0 {}
    cpu::out8(DATA, byte);
}

/// A line under construction; it is finished when the value goes away.
#[must_use]
pub(crate) struct Line;

impl Line {
    /// Starts a line with the prefix that every line of ours carries.
    pub(crate) fn start(word: &str) -> Self {
        Line.text("mb2k ").text(word)
    }

    /// Adds text as it is.
    pub(crate) fn text(self, text: &str) -> Self {
        text.bytes().for_each(put);
        self
    }

    /// Adds the lowest `digits` hexadecimal digits of `value`.
    pub(crate) fn hex(self, value: u64, digits: u32) -> Self {
        for index in (0..digits).rev() {
            let digit = (value >> (4 * index)) as u8 & 15;
            put(if digit < 10 {
                b'0' + digit
            } else {
                b'a' - 10 + digit
            });
        }
        self
    }

    /// Adds ` name=` and eight digits.
    pub(crate) fn field32(self, name: &str, value: u32) -> Self {
        self.text(" ").text(name).text("=").hex(u64::from(value), 8)
    }

    /// Adds ` name=` and sixteen digits.
    pub(crate) fn field64(self, name: &str, value: u64) -> Self {
        self.text(" ").text(name).text("=").hex(value, 16)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        put(b'\r');
        put(b'\n');
    }
}
