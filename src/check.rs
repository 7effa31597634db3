// SPDX-License-Identifier: GPL-3.0-or-later
//! What `multiboot2 --check` prints while a file is planned.

use crate::error::{Kind, MAX_VALUES, Outcome};
use crate::load::Load;
use crate::params::Options;
use crate::platform::Platform;
use crate::wire::header::{Header, TagType};

/// Lines of the known tags, by type.
const TAGS: [Kind; 11] = [
    Kind::SaysIgnored, // the end tag, which is not met
    Kind::SaysRequest,
    Kind::SaysAddress,
    Kind::SaysEntryTag,
    Kind::SaysConsole,
    Kind::SaysFramebuffer,
    Kind::SaysModuleAlign,
    Kind::SaysServicesTag,
    Kind::SaysEntryEfi32,
    Kind::SaysEntryEfi64,
    Kind::SaysRelocatable,
];

/// Prints a line.
#[inline(never)] // shorter to call than to repeat
fn say(platform: &mut impl Platform, line: Kind, numbers: &[u32]) {
    let mut all = [0; MAX_VALUES];
    for (to, &from) in all.iter_mut().zip(numbers) {
        *to = from.into();
    }
    platform.say(line, &all);
}

/// Prints the tags up to one that is refused.
///
/// # Errors
///
/// Those of [`crate::wire::header::Tags::next`].
#[inline(never)] // keeps the caller's stack frame small
pub(crate) fn header(header: &Header<'_>, platform: &mut impl Platform) -> Outcome {
    say(platform, Kind::SaysHeader, &[header.offset]);
    let mut tags = header.tags();
    while let Some(tag) = tags.next(platform)? {
        let number = tag.kind.0;
        let Some(&line) = TAGS.get(usize::from(number)) else {
            if !tag.optional {
                break;
            }
            say(platform, Kind::SaysIgnored, &[number.into()]);
            continue;
        };
        // A line for each type that a request names.
        let request = tag.kind == TagType::INFORMATION_REQUEST;
        for first in 0..if request { tag.field_count() } else { 1 } {
            let mut fields = [0; MAX_VALUES];
            for (to, field) in fields.iter_mut().zip(first..) {
                *to = tag.field(field).into();
            }
            platform.say(line, &fields);
        }
    }
    Ok(())
}

impl<P: Platform> Load<'_, P> {
    /// Tells whether nothing is to be loaded.
    pub(crate) fn checks(&self) -> bool {
        self.options.contains(Options::CHECK)
    }

    /// Prints a line of a check.
    #[inline(never)] // shorter to call than to repeat
    pub(crate) fn say(&mut self, line: Kind, numbers: &[u32]) {
        if self.checks() {
            say(self.platform, line, numbers);
        }
    }

    /// Prints how the kernel is entered.
    pub(crate) fn say_entry(&mut self, entry: u32) {
        self.say(Kind::SaysEntry, &[entry]);
        if self.platform.machine().has_services() {
            let line = match self.session.kernel.params.keep_services {
                true => Kind::SaysServicesKept,
                false => Kind::SaysServicesEnded,
            };
            self.say(line, &[]);
        }
    }
}
