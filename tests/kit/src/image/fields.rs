// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the fields of ELF structures lie (ELF, chapters 1 and 2; 64-bit: ELF-64).

/// ELF class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// 32-bit structures.
    Elf32,
    /// 64-bit structures.
    Elf64,
}

impl Class {
    /// Number in the identification bytes.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Elf32 => 1,
            Self::Elf64 => 2,
        }
    }

    /// Machine number that goes with it on x86.
    #[must_use]
    pub fn machine(self) -> u16 {
        match self {
            Self::Elf32 => 3,
            Self::Elf64 => 62,
        }
    }

    /// Length of the file header.
    #[must_use]
    pub fn ehdr_len(self) -> usize {
        match self {
            Self::Elf32 => 52,
            Self::Elf64 => 64,
        }
    }

    /// Length of a program header.
    #[must_use]
    pub fn phdr_len(self) -> usize {
        match self {
            Self::Elf32 => 32,
            Self::Elf64 => 56,
        }
    }

    /// Length of a section header.
    #[must_use]
    pub fn shdr_len(self) -> usize {
        match self {
            Self::Elf32 => 40,
            Self::Elf64 => 64,
        }
    }
}

/// Offset and width of a field in both classes.
pub(super) struct Place {
    elf32: (usize, usize),
    elf64: (usize, usize),
}

impl Place {
    pub(super) fn of(&self, class: Class) -> (usize, usize) {
        match class {
            Class::Elf32 => self.elf32,
            Class::Elf64 => self.elf64,
        }
    }
}

macro_rules! fields {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident = $a:literal $b:literal, $c:literal $d:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$field_doc])* $field,)* }

        impl $name {
            pub(super) fn place(self) -> Place {
                match self { $(Self::$field => Place { elf32: ($a, $b), elf64: ($c, $d) },)* }
            }
        }
    };
}

fields! {
    /// Fields of the file header: offset and width, 32-bit and 64-bit.
    Ehdr {
        /// First four bytes.
        Magic = 0 4, 0 4;
        /// Class byte.
        Class = 4 1, 4 1;
        /// Byte order byte.
        Data = 5 1, 5 1;
        /// Version byte of the identification.
        IdentVersion = 6 1, 6 1;
        /// `e_type`.
        Type = 16 2, 16 2;
        /// `e_machine`.
        Machine = 18 2, 18 2;
        /// `e_version`.
        Version = 20 4, 20 4;
        /// `e_entry`.
        Entry = 24 4, 24 8;
        /// `e_phoff`.
        PhOff = 28 4, 32 8;
        /// `e_shoff`.
        ShOff = 32 4, 40 8;
        /// `e_ehsize`.
        EhSize = 40 2, 52 2;
        /// `e_phentsize`.
        PhEntSize = 42 2, 54 2;
        /// `e_phnum`.
        PhNum = 44 2, 56 2;
        /// `e_shentsize`.
        ShEntSize = 46 2, 58 2;
        /// `e_shnum`.
        ShNum = 48 2, 60 2;
        /// `e_shstrndx`.
        ShStrNdx = 50 2, 62 2;
    }
}

fields! {
    /// Fields of a program header.
    Phdr {
        /// `p_type`.
        Type = 0 4, 0 4;
        /// `p_flags`.
        Flags = 24 4, 4 4;
        /// `p_offset`.
        Offset = 4 4, 8 8;
        /// `p_vaddr`.
        VAddr = 8 4, 16 8;
        /// `p_paddr`.
        PAddr = 12 4, 24 8;
        /// `p_filesz`.
        FileSz = 16 4, 32 8;
        /// `p_memsz`.
        MemSz = 20 4, 40 8;
        /// `p_align`.
        Align = 28 4, 48 8;
    }
}

fields! {
    /// Fields of a section header.
    Shdr {
        /// `sh_name`.
        Name = 0 4, 0 4;
        /// `sh_type`.
        Type = 4 4, 4 4;
        /// `sh_flags`.
        Flags = 8 4, 8 8;
        /// `sh_addr`.
        Addr = 12 4, 16 8;
        /// `sh_offset`.
        Offset = 16 4, 24 8;
        /// `sh_size`.
        Size = 20 4, 32 8;
        /// `sh_link`.
        Link = 24 4, 40 4;
        /// `sh_info`.
        Info = 28 4, 44 4;
        /// `sh_addralign`.
        AddrAlign = 32 4, 48 8;
        /// `sh_entsize`.
        EntSize = 36 4, 56 8;
    }
}
