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

use core::ffi::CStr;

/// Result of everything in this crate that can fail.
pub type Outcome<T = ()> = core::result::Result<T, Failed>;

/// Something failed and was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// Where reports go.
pub trait Report {
    /// Takes the reason to stop and the numbers of its text, in order.
    fn report(&mut self, kind: Kind, numbers: &[u64]) -> Failed;

    /// Reports a kind whose text has no number.
    #[inline(never)] // shorter to call than to repeat; so are the next two
    fn refuse(&mut self, kind: Kind) -> Failed {
        self.report(kind, &[])
    }

    /// Reports a kind with one or two numbers.
    #[inline(never)]
    fn refuse2(&mut self, kind: Kind, a: u64, b: u64) -> Failed {
        self.report(kind, &[a, b])
    }

    /// Reports a kind with three numbers.
    #[inline(never)]
    #[expect(clippy::too_many_arguments, reason = "shorter to call than a slice")]
    fn refuse3(&mut self, kind: Kind, a: u64, b: u64, c: u64) -> Failed {
        self.report(kind, &[a, b, c])
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
}

/// Most numbers that a text has.
pub const MAX_VALUES: usize = 6;

/// A report as a value, for hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub kind: Kind,
    /// The numbers, in the order of the text; the rest is 0.
    pub values: [u64; MAX_VALUES],
}

impl Error {
    /// An error with its numbers.
    #[must_use]
    pub fn new(kind: Kind, numbers: &[u64]) -> Self {
        let mut values = [0; MAX_VALUES];
        fill(&mut values, numbers);
        Self { kind, values }
    }
}

/// Copies as many numbers as both sides have.
pub(crate) fn fill(values: &mut [u64; MAX_VALUES], numbers: &[u64]) {
    for (value, number) in values.iter_mut().zip(numbers) {
        *value = *number;
    }
}

/// The last report, kept; for hosts that want to look at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept(pub Option<Error>);

impl Report for Kept {
    fn report(&mut self, kind: Kind, numbers: &[u64]) -> Failed {
        self.0 = Some(Error::new(kind, numbers));
        Failed
    }
}

/// Makes [`Kind`] from rows of name, class and text.
///
/// All texts lie in one string, each behind the letter of its class and before
/// a NUL, in the order of the kinds: a table of pointers would be larger than
/// the search for the n-th NUL.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $class:literal $text:literal;)*) => {
        /// Everything that stops a command.
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
    /// The letter of the class, the text, and all texts behind it.
    #[expect(clippy::as_conversions, reason = "the discriminant")]
    fn row(self) -> (u8, &'static [u8]) {
        let mut texts = TEXTS;
        for _ in 0..self as u8 {
            while let [letter, rest @ ..] = texts {
                texts = rest;
                if *letter == 0 {
                    break;
                }
            }
        }
        texts
            .split_first()
            .map_or((0, &[]), |(&class, text)| (class, text))
    }

    /// Class of the error.
    #[must_use]
    pub fn code(self) -> Code {
        match self.row().0 {
            b'A' => Code::BadArgument,
            b'F' => Code::FileRead,
            b'M' => Code::OutOfMemory,
            b'O' => Code::BadOs,
            b'U' => Code::UnknownOs,
            _ => Code::Bug,
        }
    }

    /// The printf format; `%s` is the name of the file and comes first, `%llu`
    /// and `%llx` are the numbers.
    #[must_use]
    pub fn text(self) -> &'static CStr {
        CStr::from_bytes_until_nul(self.row().1).unwrap_or_default()
    }

    /// Tells whether the text starts with the name of the file.
    #[must_use]
    pub fn names_file(self) -> bool {
        let text = self.text().to_bytes();
        text.windows(2).any(|pair| pair == b"%s")
    }
}

kinds! {
    /// The command was called while it was running.
    Busy = "B" "%s: the loader is busy";
    /// GRUB failed and set no error.
    Unexplained = "B" "%s: GRUB failed without a reason";
    /// No file was named.
    NoFileName = "A" "filename expected";
    /// A module or `boot` came before any kernel.
    NoKernel = "A" "you need to load the kernel first";
    /// The file ended before all of a part was read.
    FileEnd = "F" "premature end of file %s";
    /// The file system does not tell the size of a file that needs it.
    UnknownSize = "O" "%s: unknown file size";
    /// There is no header (Multiboot2, 3.1.1).
    NoHeader = "A" "no multiboot header found";
    /// Offset and length of a header that does not end where it may.
    HeaderLength = "O" "%s: header at 0x%llx: length 0x%llx is below 0x18 or passes 0x%llx";
    /// Type, offset and size of a tag that is shorter than its fields or
    /// longer than the header.
    TagSize = "O" "%s: header tag %llu at 0x%llx: wrong size 0x%llx";
    /// Offset where the next tag should have been.
    NoEndTag = "O" "%s: no end tag in the header up to 0x%llx";
    /// Type of a required tag that this loader does not know.
    UnknownTag = "U" "unsupported tag: 0x%llx";
    /// Type of information that is required and that this loader does not
    /// know.
    UnknownRequest = "U" "unsupported information tag: 0x%llx";
    /// A flat image without an entry address.
    NoEntryTag = "U" "load address tag without entry address tag";
    /// Alignment of the relocatable tag.
    PlacementAlign = "O" "%s: alignment 0x%llx is not a power of two";
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
    ElfTable = "O" "%s: no room for %llu ELF headers of %llu bytes at 0x%llx";
    /// Nothing to load.
    NoSegment = "O" "%s: nothing to load";
    /// Index, file size and memory size of a segment.
    SegmentSize = "O" "%s: segment %llu: file size 0x%llx is above memory size 0x%llx";
    /// Index, address and memory size of a segment.
    SegmentRange = "O" "%s: segment %llu at 0x%llx, size 0x%llx crosses 4 GiB border";
    /// Index, first and last address of one segment and another.
    Overlap = "O" "%s: segment %llu (0x%llx-0x%llx) overlaps segment %llu (0x%llx-0x%llx)";
    /// The ELF entry is in no segment.
    EntryNotInSegment = "O" "entry point isn't in a segment";
    /// Address of an entry that is outside the image.
    EntryOutside = "O" "%s: entry 0x%llx is outside the image";
    /// Index, offset and size of a section that ends behind the file.
    SectionRange = "O" "%s: section %llu at 0x%llx, size 0x%llx ends behind the file";
    /// Index and alignment of a section.
    SectionAlign = "O" "%s: section %llu: alignment 0x%llx is not a power of two";
    /// `header_addr` and the header's offset, which do not fit (Multiboot2,
    /// 3.1.5).
    HeaderAddr = "O" "%s: address tag: header_addr 0x%llx does not fit offset 0x%llx";
    /// `load_end_addr` and `load_addr` (Multiboot2, 3.1.5).
    LoadEnd = "O" "%s: address tag: load_end_addr 0x%llx is not above 0x%llx";
    /// `bss_end_addr` and the end of what is loaded (Multiboot2, 3.1.5).
    BssEnd = "O" "%s: address tag: bss_end_addr 0x%llx is below load end 0x%llx";
    /// End and start of a flat image that is empty or ends above 4 GiB.
    ImageEnd = "O" "%s: address tag: image end 0x%llx is not in 0x%llx-4 GiB";
    /// First and last address that are needed, the first that is not free, and
    /// GRUB's type of the memory there, 0 for none.
    NotFree = "O" "%s: 0x%llx-0x%llx is not free memory: 0x%llx has type %llu";
    /// Size, lowest address, and address that the end must not pass.
    NoRoom = "M" "%s: no free memory for 0x%llx bytes in 0x%llx-0x%llx";
    /// The kernel needs a console and there is none.
    NoConsole = "O" "OS requires a console but none is available";
}
