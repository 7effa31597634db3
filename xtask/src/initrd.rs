// SPDX-License-Identifier: GPL-3.0-or-later
//! An initial RAM disk for Linux: an archive in the form that cpio calls "newc".
//!
//! Every entry is a header of hexadecimal digits, its name and its bytes. The form is described
//! in Linux's Documentation/driver-api/early-userspace/buffer-format.rst.

/// Kinds of files, as in the mode of an entry.
const FOLDER: u32 = 0o040_000;
const CHARACTERS: u32 = 0o020_000;
const REGULAR: u32 = 0o100_000;

/// The name of the entry that ends an archive.
const TRAILER: &str = "TRAILER!!!";

/// An archive that grows.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

/// What a header says beside name and length.
#[derive(Clone, Copy, Default)]
struct Entry {
    mode: u32,
    links: u32,
    /// Major and minor number of the device that it stands for.
    device: (u32, u32),
}

impl Archive {
    /// Adds a folder.
    #[must_use]
    pub(crate) fn folder(mut self, name: &str) -> Self {
        let entry = Entry {
            mode: FOLDER | 0o755,
            links: 2,
            ..Entry::default()
        };
        self.add(name, entry, &[]);
        self
    }

    /// Adds a character device.
    #[must_use]
    pub(crate) fn device(mut self, name: &str, major: u32, minor: u32) -> Self {
        let entry = Entry {
            mode: CHARACTERS | 0o600,
            links: 1,
            device: (major, minor),
        };
        self.add(name, entry, &[]);
        self
    }

    /// Adds a program.
    #[must_use]
    pub(crate) fn program(mut self, name: &str, bytes: &[u8]) -> Self {
        let entry = Entry {
            mode: REGULAR | 0o755,
            links: 1,
            ..Entry::default()
        };
        self.add(name, entry, bytes);
        self
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let entry = Entry {
            links: 1,
            ..Entry::default()
        };
        self.add(TRAILER, entry, &[]);
        self.bytes
    }

    fn add(&mut self, name: &str, entry: Entry, bytes: &[u8]) {
        self.entries += 1;
        let (major, minor) = entry.device;
        let fields = [
            self.entries, // number of the inode
            entry.mode,
            0, // owner
            0, // group
            entry.links,
            0, // time
            bytes.len() as u32,
            0, // major and minor number of the disk it comes from
            0,
            major,
            minor,
            name.len() as u32 + 1,
            0, // checksum, which this form does not have
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(bytes);
        self.pad();
    }

    /// Headers and contents begin at multiples of four.
    fn pad(&mut self) {
        let whole = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(whole, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn entries_are_laid_out_as_linux_reads_them() {
        let bytes = Archive::default()
            .folder("dev")
            .device("dev/console", 5, 1)
            .program("init", b"12345")
            .finish();
        let text = String::from_utf8(bytes).unwrap();
        let heads: Vec<usize> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert_eq!(heads.len(), 4);
        assert!(heads.iter().all(|at| at % 4 == 0));
        let field = |entry: usize, index: usize| {
            let from = heads[entry] + 6 + 8 * index;
            u32::from_str_radix(&text[from..from + 8], 16).unwrap()
        };
        assert_eq!(field(0, 1), 0o040_755);
        assert_eq!((field(1, 9), field(1, 10)), (5, 1));
        assert_eq!((field(2, 6), field(2, 11)), (5, 5));
        let contents = (heads[2] + 110 + 5).next_multiple_of(4);
        assert_eq!(&text[contents..contents + 5], "12345");
        assert!(text.trim_end_matches('\0').ends_with("TRAILER!!!"));
    }
}
