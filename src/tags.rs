// SPDX-License-Identifier: GPL-3.0-or-later
//! [`Tags`]: what the boot information says of modules and of the screen.

#[cfg(doc)]
use crate::error::Failed;
use crate::error::Outcome;
use crate::info::Writer;
use crate::platform::Platform;
use crate::table::copy;

/// Tags of the boot information that are written before the rest.
pub struct Tags<P: Platform> {
    buffer: Option<P::Buffer>,
    len: usize,
}

impl<P: Platform> Default for Tags<P> {
    fn default() -> Self {
        Self {
            buffer: None,
            len: 0,
        }
    }
}

impl<P: Platform> Tags<P> {
    /// The first `len` bytes of a buffer that tags were written to.
    pub fn new(buffer: P::Buffer, len: usize) -> Self {
        Self {
            buffer: Some(buffer),
            len,
        }
    }

    /// The tags, in the order in which they came.
    pub fn bytes(&self) -> &[u8] {
        let tags: &[u8] = self.buffer.as_deref().unwrap_or_default();
        tags.get(..self.len).unwrap_or_default()
    }

    /// Appends what `write` writes; when that fails the tags are as they were.
    ///
    /// # Errors
    ///
    /// [`Failed`] when GRUB's heap is full.
    #[inline(never)] // keeps the callers' stack frames small
    pub fn append(&mut self, platform: &mut P, write: &dyn Fn(&mut Writer<'_>)) -> Outcome {
        let mut counter = Writer::new(&mut []);
        write(&mut counter);
        let len = self.len.saturating_add(counter.len());
        if self.buffer.as_ref().is_none_or(|tags| tags.len() < len) {
            let mut larger = platform.alloc(len.saturating_mul(2))?;
            copy(&mut larger, self.bytes());
            self.buffer = Some(larger);
        }
        if let Some(tags) = &mut self.buffer {
            let free = tags.get_mut(self.len..).unwrap_or_default();
            write(&mut Writer::new(free));
        }
        self.len = len;
        Ok(())
    }
}
