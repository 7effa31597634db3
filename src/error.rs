// SPDX-License-Identifier: GPL-3.0-or-later
//! What can go wrong, and the text that the user reads.
//!
//! Whoever finds something wrong reports it where it stands, as GRUB's own
//! code does, and passes on only the fact: [`Failed`]. What a report becomes is
//! the business of the [`Report`] that the caller hands in: GRUB's error in the
//! module, a value on the host.
//!
//! Where GRUB has a text for a case, its words are kept, so that translations
//! keep working. Texts are printf formats: GRUB's own printf fills them in.

mod packed;

use core::ffi::CStr;
use packed::{FIRST_TEXT, FRAGMENT, packed, start};

/// Result of everything in this crate that can fail.
pub type Outcome<T = ()> = core::result::Result<T, Failed>;

/// Something failed and was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// Where reports go.
pub trait Report {
    /// Takes the reason to stop and the numbers of its text, in order; the
    /// rest is 0.
    fn report(&mut self, kind: Kind, numbers: &Numbers) -> Failed;

    /// Reports are about what has this name from now on.
    fn name(&mut self, _name: &CStr) {}

    /// Reports a kind whose text has no number.
    #[inline(never)] // shorter to call than to repeat; so are the next three
    fn refuse(&mut self, kind: Kind) -> Failed {
        self.refuse3(kind, 0, 0, 0)
    }

    /// Reports a kind with one number of 32 bits.
    #[inline(never)]
    fn refuse1(&mut self, kind: Kind, a: u32) -> Failed {
        self.refuse3(kind, a.into(), 0, 0)
    }

    /// Reports a kind with two numbers.
    #[inline(never)]
    fn refuse2(&mut self, kind: Kind, a: u64, b: u64) -> Failed {
        self.refuse3(kind, a, b, 0)
    }

    /// Reports a kind with three numbers.
    #[inline(never)]
    #[expect(clippy::too_many_arguments, reason = "shorter to call than a slice")]
    fn refuse3(&mut self, kind: Kind, a: u64, b: u64, c: u64) -> Failed {
        self.report(kind, &[a, b, c, 0, 0, 0])
    }
}

/// Class of an error, as GRUB's `grub_err_t` names it (GRUB,
/// include/grub/err.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// `GRUB_ERR_BAD_ARGUMENT`
    BadArgument,
    /// `GRUB_ERR_BAD_OS`
    BadOs,
    /// `GRUB_ERR_UNKNOWN_OS`
    UnknownOs,
    /// `GRUB_ERR_FILE_READ_ERROR`
    FileRead,
    /// `GRUB_ERR_OUT_OF_MEMORY`
    OutOfMemory,
    /// `GRUB_ERR_BUG`
    Bug,
    /// `GRUB_ERR_NONE`: a line for the user, and no error.
    None,
}

/// Most numbers that a text has.
pub const MAX_VALUES: usize = 6;

/// The numbers of a text.
pub type Numbers = [u64; MAX_VALUES];

/// A report as a value, for hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub kind: Kind,
    /// The numbers, in the order of the text; the rest is 0.
    pub values: Numbers,
}

impl Error {
    /// An error with its numbers.
    #[must_use]
    pub fn new(kind: Kind, numbers: &[u64]) -> Self {
        let mut values = [0; MAX_VALUES];
        for (value, number) in values.iter_mut().zip(numbers) {
            *value = *number;
        }
        Self { kind, values }
    }
}

/// The last report, kept; for hosts that want to look at it.
///
/// ```
/// use mb2::error::{Kept, Kind, Report};
///
/// let mut kept = Kept::default();
/// let _failed = kept.refuse1(Kind::EntryOutside, 0x10);
/// let error = kept.0.unwrap();
/// assert_eq!(error.kind.text(), c"%s: entry 0x%llx is outside the image");
/// assert_eq!(error.values[0], 0x10);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept(pub Option<Error>);

impl Report for Kept {
    fn report(&mut self, kind: Kind, numbers: &Numbers) -> Failed {
        self.0 = Some(Error {
            kind,
            values: *numbers,
        });
        Failed
    }
}

/// Makes [`Kind`] from rows of name, class and text.
///
/// All texts lie in one string, each behind the letter of its class and before
/// a NUL, in the order of the kinds: a table of pointers would be larger than
/// the search for the n-th NUL. The letter is small when the text takes the
/// name of the file. The module has them packed ([`packed`](mod@packed)).
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $class:literal $text:literal;)*) => {
        /// Everything that stops a command, and what else a user reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// All kinds, for tests and tables.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }

        const TEXTS: &[u8] = concat!($($class, $text, "\0",)*).as_bytes();
    };
}

impl Kind {
    /// The letter of the class, and the text with its NUL.
    fn row(self) -> (u8, &'static [u8]) {
        let mut rows = TEXTS.split_inclusive(|byte| *byte == 0);
        let row = rows.nth(self.number().into()).unwrap_or_default();
        row.split_first()
            .map_or((0, &[]), |(&class, text)| (class, text))
    }

    #[expect(clippy::as_conversions, reason = "the discriminant")]
    fn number(self) -> u8 {
        self as u8
    }

    /// Writes the text, its NUL and some of the texts behind it, and returns the
    /// letter of the class.
    pub fn unpack(self, into: &mut [u8; MAX_TEXT]) -> u8 {
        let mut at = start(self.number().wrapping_add(FIRST_TEXT));
        let class = packed(at);
        // Behind the fragment that is being written, else 0.
        let mut back = 0;
        for to in into {
            loop {
                at = at.wrapping_add(1); // first the class
                *to = packed(at);
                if *to >= FRAGMENT {
                    back = at;
                    at = start(*to & !FRAGMENT).wrapping_sub(1);
                } else if *to == 0 && back != 0 {
                    at = back;
                    back = 0;
                } else {
                    break;
                }
            }
        }
        class
    }

    /// Class of the error.
    #[must_use]
    pub fn code(self) -> Code {
        Code::of(self.row().0)
    }

    /// The printf format; `%s` is the name of the file and comes first, `%llu`
    /// and `%llx` are the numbers.
    #[must_use]
    pub fn text(self) -> &'static CStr {
        CStr::from_bytes_until_nul(self.row().1).unwrap_or_default()
    }

    /// Tells whether the text takes the name of the file.
    #[must_use]
    pub fn names_file(self) -> bool {
        self.row().0.is_ascii_lowercase()
    }
}

/// Bytes of the longest text, NUL included.
pub const MAX_TEXT: usize = 128;

impl Code {
    /// The class that a row's letter stands for.
    pub(crate) const fn of(letter: u8) -> Self {
        match letter.to_ascii_uppercase() {
            b'A' => Self::BadArgument,
            b'F' => Self::FileRead,
            b'M' => Self::OutOfMemory,
            b'N' => Self::None,
            b'O' => Self::BadOs,
            b'U' => Self::UnknownOs,
            _ => Self::Bug,
        }
    }
}

kinds! {
    /// The command was called while it was running.
    Busy = "b" "%s: busy";
    /// GRUB failed and set no error.
    Unexplained = "b" "%s: unexplained failure";
    /// An option that is none.
    UnknownOption = "a" "unknown argument `%s'";
    /// No file was named.
    NoFileName = "A" "filename expected";
    /// A module or `boot` came before any kernel.
    NoKernel = "A" "you need to load the kernel first";
    /// The file ended before all of a part was read.
    FileEnd = "f" "premature end of file %s";
    /// The file system does not tell the size of a file that needs it.
    UnknownSize = "o" "%s: unknown file size";
    /// There is no header (Multiboot2, 3.1.1).
    NoHeader = "A" "no multiboot header found";
    /// Offset and length of a header that does not end where it may.
    HeaderLength = "o" "%s: header at 0x%llx: length 0x%llx is below 0x18 or passes 0x%llx";
    /// Type, offset and size of a tag that is shorter than its fields or
    /// longer than the header.
    TagSize = "o" "%s: header tag %llu at 0x%llx: wrong size 0x%llx";
    /// Offset where the next tag should have been.
    NoEndTag = "o" "%s: no end tag in the header up to 0x%llx";
    /// Type of a required tag that this loader does not know.
    UnknownTag = "U" "unsupported tag: 0x%llx";
    /// Type of information that is required and that this loader does not
    /// know.
    UnknownRequest = "U" "unsupported information tag: 0x%llx";
    /// A flat image without an entry address.
    NoEntryTag = "U" "load address tag without entry address tag";
    /// Alignment of the relocatable tag.
    PlacementAlign = "o" "%s: alignment 0x%llx is not a power of two";
    /// The relocatable tag leaves no room for the image.
    PlacementRange = "O" "invalid min/max address and/or load size";
    /// Not an ELF file, or one of the wrong byte order.
    ElfMagic = "U" "invalid arch-independent ELF magic";
    /// An ELF file for another machine.
    ElfMachine = "U" "invalid arch-dependent ELF magic";
    /// An ELF file that is neither executable nor shared.
    ElfType = "U" "this ELF file is not of the right type";
    /// Count, entry size and offset of a table of headers that is not in the
    /// file.
    ElfTable = "o" "%s: no room for %llu ELF headers of %llu bytes at 0x%llx";
    /// Nothing to load.
    NoSegment = "o" "%s: nothing to load";
    /// Index, file size and memory size of a segment.
    SegmentSize = "o" "%s: segment %llu: file size 0x%llx is above 0x%llx";
    /// Index, address and memory size of a segment.
    SegmentRange = "o" "%s: segment %llu at 0x%llx, size 0x%llx crosses 4 GiB border";
    /// Index, first and last address of one segment and another.
    Overlap = "o" "%s: segment %llu (0x%llx-0x%llx) overlaps %llu (0x%llx-0x%llx)";
    /// The ELF entry is in no segment.
    EntryNotInSegment = "O" "entry point isn't in a segment";
    /// Address of an entry that is outside the image.
    EntryOutside = "o" "%s: entry 0x%llx is outside the image";
    /// More chunks than an image may have, or more returns to earlier places of
    /// its file.
    Scattered = "o" "%s: in too many pieces";
    /// Index, offset and size of a section that ends behind the file.
    SectionRange = "o" "%s: section %llu at 0x%llx, size 0x%llx ends behind the file";
    /// Index and alignment of a section.
    SectionAlign = "o" "%s: section %llu: alignment 0x%llx is not a power of two";
    /// Dynamic tag, size and address of a table that is not in the image.
    RelocationTable = "o" "%s: DT %llu: 0x%llx bytes at 0x%llx are in no segment";
    /// Section or dynamic tag of a table of relocations, its size, and the size
    /// of an entry.
    RelocationEntry = "o" "%s: section/DT %llu: 0x%llx bytes have no entries of 0x%llx";
    /// Section or dynamic tag, index, type and place of a relocation; so are
    /// the next two.
    RelocationType = "o" "%s: section/DT %llu, relocation %llu: unknown type %llu at 0x%llx";
    /// Its place, symbol or target is in no segment.
    RelocationOutside = "o" "%s: section/DT %llu, relocation %llu: type %llu at 0x%llx leaves the image";
    /// Its result has too many bits.
    RelocationFit = "o" "%s: section/DT %llu, relocation %llu: type %llu at 0x%llx does not fit";
    /// `header_addr` and the header's offset, which do not fit (Multiboot2,
    /// 3.1.5).
    HeaderAddr = "o" "%s: header_addr 0x%llx does not fit offset 0x%llx";
    /// `load_end_addr` and `load_addr` (Multiboot2, 3.1.5).
    LoadEnd = "o" "%s: load_end_addr 0x%llx is not above 0x%llx";
    /// `bss_end_addr` and the end of what is loaded (Multiboot2, 3.1.5).
    BssEnd = "o" "%s: bss_end_addr 0x%llx is below load end 0x%llx";
    /// End and start of a flat image that is empty or ends above 4 GiB.
    ImageEnd = "o" "%s: image end 0x%llx is not in 0x%llx-4 GiB";
    /// First and last address that are needed, the first that is not free, and
    /// GRUB's type of the memory there, 0 for none.
    NotFree = "o" "%s: 0x%llx-0x%llx is not free memory: 0x%llx has type %llu";
    /// First and last address that are allowed, the first that is not free, GRUB's
    /// type of the memory there, 0 for none, and the size and the nearest address
    /// of a place that would do.
    Elsewhere = "m" "%s: no room in 0x%llx-0x%llx: 0x%llx has type %llu; 0x%llx bytes fit at 0x%llx";
    /// Size, lowest address, and address that the end must not pass.
    NoRoom = "m" "%s: no free memory for 0x%llx bytes in 0x%llx-0x%llx";
    /// The kernel needs a console and there is none.
    NoConsole = "O" "OS requires a console but none is available";
    /// The kernel has no console and does without.
    Blind = "N" "WARNING: no console will be available to OS";
    /// Lines of `--check`, which have no name: offset of the header.
    SaysHeader = "n" "%sheader at 0x%llx";
    /// A type of an information request; the other tags follow with their fields
    /// (Multiboot2, 3.1.4 to 3.1.13).
    SaysRequest = "n" "%s  information request: type %llu";
    /// The address tag.
    SaysAddress = "n" "%s  address: header 0x%llx load 0x%llx load_end 0x%llx bss_end 0x%llx";
    /// The entry address tag.
    SaysEntryTag = "n" "%s  entry address: 0x%llx";
    /// The console flags tag.
    SaysConsole = "n" "%s  console flags: 0x%llx";
    /// The framebuffer tag.
    SaysFramebuffer = "n" "%s  framebuffer: width %llu, height %llu, depth %llu";
    /// The module alignment tag.
    SaysModuleAlign = "n" "%s  module alignment";
    /// The EFI boot services tag.
    SaysServicesTag = "n" "%s  EFI boot services";
    /// The EFI i386 entry address tag.
    SaysEntryEfi32 = "n" "%s  EFI i386 entry address: 0x%llx";
    /// The EFI amd64 entry address tag.
    SaysEntryEfi64 = "n" "%s  EFI amd64 entry address: 0x%llx";
    /// The relocatable tag.
    SaysRelocatable = "n" "%s  relocatable: min 0x%llx, max 0x%llx, align 0x%llx, preference %llu";
    /// Type of a tag that this loader does not know.
    SaysIgnored = "n" "%s  tag %llu: ignored";
    /// Address of a fixed image.
    SaysFixed = "n" "%snot relocatable: stays at 0x%llx";
    /// Address of a relocatable image.
    SaysLowest = "n" "%srelocatable: lies at 0x%llx, the lowest free address";
    /// The same with the other preference.
    SaysHighest = "n" "%srelocatable: lies at 0x%llx, the highest free address";
    /// Index, offset and file size, address and memory size of a segment, and its
    /// address after the move.
    SaysSegment = "n" "%ssegment %llu: file 0x%llx+0x%llx, memory 0x%llx+0x%llx, lies at 0x%llx";
    /// The entry after the move.
    SaysEntry = "n" "%sentry at 0x%llx";
    /// Boot services stay.
    SaysServicesKept = "n" "%sEFI boot services: kept";
    /// Boot services end before the kernel starts.
    SaysServicesEnded = "n" "%sEFI boot services: ended";
    /// Number of section headers, and the section with the names.
    SaysSections = "n" "%ssections: %llu, names in %llu";
    /// Index, offset, size and address of a section that is loaded by itself.
    SaysSection = "n" "%ssection %llu: file 0x%llx+0x%llx, lies at 0x%llx";
    /// Number of relocations, and the addresses between which the image moves.
    SaysRelocations = "n" "%srelocations: %llu, from 0x%llx to 0x%llx";
    /// The file can be loaded.
    SaysGood = "n" "%sno fault found";
}

#[cfg(test)]
mod tests {
    use super::packed::{FRAGMENTS, PACKED};
    use super::*;

    #[test]
    fn a_small_letter_means_a_name_in_the_text() {
        for kind in Kind::ALL {
            let text = kind.text().to_str().unwrap();
            assert_eq!(kind.names_file(), text.contains("%s"), "{kind:?}");
        }
    }

    #[test]
    fn texts_are_unpacked_as_they_were_packed() {
        for kind in Kind::ALL {
            let mut into = [0xff; MAX_TEXT];
            let class = kind.unpack(&mut into);
            let text = CStr::from_bytes_until_nul(&into).unwrap();
            assert_eq!((class, text), (kind.row().0, kind.text()), "{kind:?}");
        }
        let fragments = FRAGMENTS.iter().filter(|&&byte| byte == 0);
        assert_eq!(fragments.count(), usize::from(FIRST_TEXT));
        assert!(PACKED.len() * 3 < TEXTS.len() * 2 + FRAGMENTS.len() * 3);
    }

    #[test]
    fn every_kind_has_its_own_text() {
        let texts: Vec<_> = Kind::ALL.iter().map(|kind| kind.text()).collect();
        for (index, text) in texts.iter().enumerate() {
            assert!(!text.is_empty() && !texts[..index].contains(text));
        }
        assert_eq!(Kind::NoHeader.text(), c"no multiboot header found");
        assert_eq!(Kind::NoHeader.code(), Code::BadArgument);
    }
}
