// SPDX-License-Identifier: GPL-3.0-or-later
//! What can be odd about a kernel, and what loaders may do about it.

/// Something that the two loaders may leave different in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The bytes of the image.
    Image,
    /// What the image's base is called.
    Base,
    /// Where the kernel is entered.
    Entry,
    /// Section headers and sections.
    Sections,
    /// Which section holds the names.
    Names,
    /// Whether boot services stay.
    Services,
    /// The video mode that is asked for.
    Mode,
    /// Whether there are SMBIOS tables.
    Smbios,
}

/// A row of the table below.
struct Row {
    why: &'static str,
    refusals: &'static [&'static str],
    failures: &'static [&'static str],
    changes: &'static [Change],
}

macro_rules! oddities {
    ($($(#[$doc:meta])* $name:ident: $why:literal, refused $refused:expr, fails $fails:expr, changes $changes:expr;)*) => {
        /// Something odd about a kernel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Oddity {
            $($(#[$doc])* $name,)*
        }

        impl Oddity {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            fn row(self) -> Row {
                use Change::*;
                match self {
                    $(Self::$name => Row {
                        why: $why,
                        refusals: &$refused,
                        failures: &$fails,
                        changes: &$changes,
                    },)*
                }
            }
        }
    };
}

impl Oddity {
    /// What the two loaders make of it.
    #[must_use]
    pub fn why(self) -> &'static str {
        self.row().why
    }

    /// Parts of the texts with which our loader refuses it; none if it does not.
    #[must_use]
    pub fn refusals(self) -> &'static [&'static str] {
        self.row().refusals
    }

    /// Whether our loader has to refuse it: there is no account of what follows
    /// if it does not.
    #[must_use]
    pub fn is_fatal(self) -> bool {
        let row = self.row();
        !row.refusals.is_empty() && row.failures.is_empty() && row.changes.is_empty()
    }

    /// Parts of the texts with which the C loader fails at it, or of the
    /// account of how it broke.
    #[must_use]
    pub fn failures(self) -> &'static [&'static str] {
        self.row().failures
    }

    /// What may differ when both start it.
    #[must_use]
    pub fn changes(self) -> &'static [Change] {
        self.row().changes
    }
}

const FRAME: [&str; 3] = ["header at", "header tag", "no end tag"];
/// The program headers are not where C looks.
const FAR: &str = "program header at a too high offset";
/// The error names the tag, which is in a buffer that C has freed already.
const FREED: &str = "heap-use-after-free";
/// What would do, if anything would, is named.
const NO_PLACE: [&str; 2] = ["no free memory", "no room in"];
const MEMORY: [&str; 2] = ["couldn't find suitable memory", "out of memory"];
/// In any way: with an error, in a crash, or not at all.
const ANYHOW: &str = "";
const CUT: &str = "premature end of file";
/// The second where the file's size is unknown.
const TABLE: [&str; 2] = ["ELF headers", CUT];

oddities! {
    /// The header or a tag has a wrong length, or the end tag is missing.
    HeaderFrame: "C looks at no length (D1, D2, D3)",
        refused FRAME, fails [], changes [];
    /// Information of type 13 is asked for.
    SmbiosRequest: "C does not know SMBIOS, and looks for a required type's name in freed memory",
        refused [], fails [FREED], changes [Smbios];
    /// The 32-bit UEFI entry is required.
    Efi32Entry: "C does not know tag 8, and looks for its name in freed memory",
        refused [], fails [FREED], changes [];
    /// The image wants an alignment that is no power of two.
    PlacementAlign: "C uses it as a mask (D9)",
        refused ["is not a power of two"], fails [], changes [];
    /// The window allows only memory that is not free, or the lowest free page,
    /// which the hand-over's own code needs.
    NoPlace: "C looks for that page when it is too late to fail (D24)",
        refused NO_PLACE, fails [], changes [];
    /// Boot services are to stay, and there is no entry beside them.
    NoServicesEntry: "C keeps them for a kernel that cannot use them (D16)",
        refused [], fails MEMORY, changes [Services];
    /// The 32-bit UEFI entry is used, beside boot services.
    BesideEfi32: "C keeps them, and takes the entry that ends them",
        refused [], fails [ANYHOW], changes [Services, Entry];
    /// A fixed image is linked to memory that is not free.
    NotFree: "C does not look at the map (D15)",
        refused ["is not free memory", "no free memory", "no room in"], fails [], changes [];
    /// An image beside boot services cannot be where it will run.
    MovesOverServices: "C moves it over memory of the firmware (D25)",
        refused NO_PLACE, fails [], changes [];
    /// Program headers with wrong sizes, or not in the file.
    ProgramTable: "C reads what is in its buffer (D6)",
        refused TABLE, fails [], changes [];
    /// Program headers behind the first 32 KiB.
    FarPrograms: "C refuses them (D6)",
        refused [], fails [FAR], changes [];
    /// The number of program headers is in section header 0.
    ManyPrograms: "C takes 65535 for the number (D7)",
        refused TABLE, fails [FAR], changes [];
    /// A segment has more bytes in the file than in memory.
    SegmentSize: "C reads over the end (D4)",
        refused ["file size"], fails [], changes [];
    /// A segment ends above 4 GiB.
    SegmentRange: "C adds in 32 bits (D5)",
        refused ["crosses 4 GiB"], fails [], changes [];
    /// A segment ends at 4 GiB.
    SegmentTop: "C refuses it for ELF64 and wraps for ELF32",
        refused [], fails ["4 GiB border", "out of range", "out of memory"], changes [];
    /// A segment is not in the file.
    SegmentCut: "C reads as much as a word can say",
        refused [CUT], fails [], changes [];
    /// Two segments share memory.
    Overlap: "C merges them if the image moves",
        refused ["overlaps"], fails [], changes [];
    /// An empty segment.
    EmptySegment: "C counts it for bounds and overlap (D24)",
        refused [], fails ["overlap detected", "4 GiB border", "invalid min/max", "find suitable", "out of memory"], changes [Base];
    /// No segment has memory.
    NoSegment: "C loads nothing and starts it",
        refused ["nothing to load"], fails [], changes [];
    /// The entry is in no loaded segment.
    EntryNotInSegment: "C takes headers of all types (D13)",
        refused ["entry point isn't in a segment"], fails [], changes [];
    /// A tag names an entry outside the image.
    EntryOutside: "C does not look",
        refused ["outside the image"], fails [], changes [];
    /// Only a tag names an entry that can be used.
    EntryByTag: "C wants one in the file header too (D13)",
        refused [], fails ["entry point isn't in a segment", "invalid entry point"], changes [];
    /// Another header covers the entry, before the segment that holds it.
    EntryElsewhere: "C takes the first header of any type (D13)",
        refused [], fails ["invalid entry point"], changes [Entry];
    /// There are sections, but their table has no place.
    SectionsNowhere: "C reads the file header as sections",
        refused [], fails [ANYHOW], changes [Sections];
    /// Section headers with wrong sizes, or not in the file.
    SectionTable: "C reads and writes beside them (D8)",
        refused TABLE, fails [], changes [];
    /// The number of sections is in section header 0.
    ManySections: "C sees none (D7)",
        refused TABLE, fails [], changes [Sections];
    /// Section header 0 is asked for a number, and a file of unknown size ends
    /// before it.
    SectionZeroCut: "C does not ask it",
        refused [CUT], fails [], changes [];
    /// The index of the names is in section header 0.
    NameIndex: "C passes 65535 on (D7)",
        refused [], fails [], changes [Names];
    /// A section of relocations.
    Relocations: "C refuses the file (D11)",
        refused [], fails ["ELF files with relocs"], changes [];
    /// The dynamic section of an image that may be moved is in no loaded segment.
    DynamicNowhere: "C applies no relocations",
        refused ["are in no segment"], fails [], changes [];
    /// A section without contents has no address.
    EmptySection: "C reads it from the file (D10)",
        refused [], fails [ANYHOW], changes [Sections];
    /// A section to load has alignment 0.
    SectionAlign0: "C loads it to address 0, or hangs (D9)",
        refused [], fails ["Misused"], changes [];
    /// A section to load has an alignment that is no power of two.
    SectionAlign: "C uses it as a mask (D9)",
        refused ["is not a power of two"], fails [], changes [];
    /// A section to load is not in the file.
    SectionCut: "C reads as much as a word can say",
        refused ["ends behind the file", CUT], fails [], changes [];
    /// The header of a flat file is not where its addresses say.
    FlatHeader: "C seeks to a negative offset (D14)",
        refused ["does not fit offset"], fails [], changes [];
    /// A flat file ends before it starts.
    FlatEnd: "C takes a negative size (D14c)",
        refused ["load_end_addr"], fails [], changes [];
    /// A flat file is shorter than it says.
    FlatCut: "C gives the kernel what was in memory before (D14d)",
        refused [CUT], fails [], changes [];
    /// The zeroed part of a flat file ends inside what is loaded.
    FlatBss: "C destroys the heap (D14b)",
        refused ["bss_end_addr"], fails [], changes [];
    /// A flat image is empty or ends above 4 GiB.
    FlatRange: "C does not look (D14e)",
        refused ["image end"], fails [], changes [];
    /// A flat file with an implied start and an explicit end.
    FlatImplied: "C computes the size from the start that is not there (D14a)",
        refused [], fails [ANYHOW], changes [Image];
    /// A flat file without an end, of unknown size.
    FlatUnsized: "C computes with the size that is not there (D24)",
        refused ["unknown file size"], fails [], changes [];
    /// The wish for a framebuffer has a number of 2^31 or more.
    HugeMode: "C writes it with a sign; no screen is so large",
        refused [], fails [], changes [Mode];
    /// The screen has a palette.
    Palette: "C reserves no room for it (D20)",
        refused [], fails ["Crashed"], changes [];
    /// Segments and sections are so many that it depends on their order whether
    /// they are too many.
    Scattered: "C bounds no work",
        refused ["too many pieces"], fails MEMORY, changes [];
    /// Image, sections and modules need most of the memory.
    Large: "it depends on the order whether all find room",
        refused ["no free memory", "no room in", "out of memory"], fails MEMORY, changes [];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_oddity_allows_something_and_says_why() {
        for &odd in Oddity::ALL {
            let allows = !odd.refusals().is_empty()
                || !odd.failures().is_empty()
                || !odd.changes().is_empty();
            assert!(allows && !odd.why().is_empty(), "{odd:?}");
        }
    }
}
