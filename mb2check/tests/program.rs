// SPDX-License-Identifier: GPL-3.0-or-later
//! The program as scripts and people meet it.

mod kernels;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::CommandFactory;
use kernels::{BASE, built, image};
use mb2_testkit::compress::{gzip, xz};
use mb2_testkit::header::{HeaderBuilder, Relocatable, Tag};
use mb2_testkit::image::Class;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a good kernel, a bad one and a module.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(TempDir::new().unwrap());
        let header = HeaderBuilder::new()
            .tag(Tag::InformationRequest(vec![6]))
            .tag(Tag::Framebuffer(640, 480, 32));
        files.write("good", &built(Class::Elf64, &header).bytes);
        let bad = HeaderBuilder::new().checksum(1);
        files.write("bad", &built(Class::Elf64, &bad).bytes);
        files.write("module", &[7; 5000]);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mb2check"));
        command.args(args).current_dir(self.0.path());
        command.output().unwrap()
    }

    /// Expects a status; returns what was printed and what was complained of.
    #[track_caller]
    fn status(&self, args: &[&str], status: i32) -> (String, String) {
        let output = self.run(args);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert_eq!(output.status.code(), Some(status), "{out}{err}");
        (out, err)
    }

    #[track_caller]
    fn json(&self, args: &[&str], status: i32) -> Value {
        let args = [&["--json"], args].concat();
        serde_json::from_str(&self.status(&args, status).0).unwrap()
    }
}

#[test]
fn the_status_is_for_scripts() {
    let files = Files::new();
    assert_eq!(files.status(&["-q", "good"], 0), Default::default());
    assert_eq!(files.status(&["-q", "bad"], 1), Default::default());
    assert_eq!(files.status(&["-q", "good", "bad"], 1), Default::default());
    let (_, complaint) = files.status(&["-q", "bad", "nothing", "good"], 2);
    assert_eq!(
        complaint,
        "mb2check: nothing: No such file or directory (os error 2)\n"
    );
    files.status(&["-q", "nothing", "bad"], 2);
    for args in [
        &[][..],
        &["--memory", "much", "good"],
        &["--svg", "good", "bad"],
        &["--what"],
    ] {
        files.status(args, 2);
    }
    // A module that finds no room is a refusal, too.
    files.write("large", &vec![0; 3 << 20]);
    let (out, _) = files.status(&["--memory", "5M", "--module", "large", "good"], 1);
    assert!(
        out.contains("refused by module2") && out.contains("large: no free memory"),
        "{out}"
    );
}

#[test]
fn modules_can_lie_behind_the_kernel() {
    let files = Files::new();
    let first = |args: &[&str]| {
        let report = files.json(&[args, &["--module", "module x", "good"]].concat(), 0);
        let chunks = report[0]["placement"]["chunks"].as_array().unwrap().clone();
        let of = |what: &str| {
            let mut all = chunks.iter().filter(|chunk| {
                let name = chunk["what"].as_str().unwrap();
                name.starts_with(what)
            });
            all.next_back().unwrap().clone()
        };
        let behind = of("segment")["last"].as_u64().unwrap() + 1 + (1 << 20);
        (of("module")["first"].as_u64().unwrap(), behind)
    };
    let (at, behind) = first(&[]);
    assert!(at < behind);
    let (at, behind) = first(&["--modules-after-kernel"]);
    assert_eq!(at, behind.next_multiple_of(0x1000));
}

#[test]
fn bad_input_gets_one_line() {
    let files = Files::new();
    fs::create_dir(files.path("folder")).unwrap();
    let kernel = fs::read(files.path("good")).unwrap();
    let packed = gzip(&kernel).unwrap();
    files.write("cut.gz", &packed[..packed.len() / 2]);
    files.write("cut.xz", &xz(&kernel).unwrap()[..200]);
    files.write("cut.zst", &[0x28, 0xb5, 0x2f, 0xfd, 0, 0]);
    files.write("bomb.gz", &gzip(&vec![0; 4 << 20]).unwrap());
    files.write("bad.map", b"0-fff usable\nnonsense\n");
    files.write("binary.map", &[0xff, 0xfe]);
    for (args, words) in [
        (&["folder"][..], "folder: is a directory"),
        (&["cut.gz"], "cut.gz: gzip data: "),
        (&["cut.xz"], "cut.xz: xz data: "),
        (&["cut.zst"], "cut.zst: zstd data: "),
        (
            &["--limit", "1M", "bomb.gz"],
            "bomb.gz: gzip data: more than 1048576 bytes",
        ),
        (&["--limit", "1K", "good"], "good: more than 1024 bytes"),
        (&["--map", "none.map", "good"], "none.map: No such file"),
        (
            &["--map", "bad.map", "good"],
            "bad.map: line 2: not a range: nonsense",
        ),
        (&["--map", "binary.map", "good"], "binary.map: no text"),
        (&["--module", "none x", "good"], "none: No such file"),
    ] {
        let (out, complaint) = files.status(args, 2);
        assert_eq!(out, "");
        assert!(
            complaint.starts_with(&format!("mb2check: {words}")),
            "{complaint}"
        );
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
    files.write("empty", b"");
    let (out, _) = files.status(&["empty"], 1);
    assert!(out.contains("near miss: the file is empty"), "{out}");
}

#[test]
fn packed_files_are_unpacked() {
    let files = Files::new();
    let kernel = fs::read(files.path("good")).unwrap();
    files.write("gzip", &gzip(&kernel).unwrap());
    files.write("xz", &xz(&kernel).unwrap());
    let zstd =
        ruzstd::encoding::compress_to_vec(&kernel[..], ruzstd::encoding::CompressionLevel::Fastest);
    files.write("zstd", &zstd);
    for name in ["gzip", "xz", "zstd"] {
        let report = files.json(&[name], 0);
        assert_eq!(report[0]["packing"], name);
        assert_eq!(report[0]["size"], kernel.len());
        assert_eq!(report[0]["image"], files.json(&["good"], 0)[0]["image"]);
    }
    // A module that is not to be unpacked has its stored size.
    let packed = fs::metadata(files.path("gzip")).unwrap().len();
    let report = files.json(&["--module", "--nounzip gzip a=b", "good"], 0);
    let chunk = &report[0]["placement"]["chunks"][2];
    let size = chunk["last"].as_u64().unwrap() - chunk["first"].as_u64().unwrap() + 1;
    assert_eq!(chunk["what"], "sections");
    let chunk = &report[0]["placement"]["chunks"][3];
    let pages = chunk["last"].as_u64().unwrap() - chunk["first"].as_u64().unwrap() + 1;
    assert_eq!(
        (chunk["what"].as_str(), pages),
        (Some("module gzip"), packed.next_multiple_of(4096))
    );
    assert!(size > 0);
}

#[test]
fn json_has_the_whole_report() {
    let files = Files::new();
    let args = [
        "--module",
        "module root=x",
        "--command-line",
        "a b",
        "good",
        "bad",
    ];
    let reports = files.json(&args, 1);
    let good = &reports[0];
    assert_eq!(good["loads"], true);
    assert_eq!(good["machine"]["firmware"], "bios");
    let tags = good["header"]["tags"].as_array().unwrap();
    assert_eq!(
        (tags.len(), &tags[1]["fields"][2]["value"]),
        (2, &Value::from(32))
    );
    assert_eq!(good["image"]["format"], "ELF64");
    assert_eq!(good["image"]["segments"][1]["lies_at"], BASE + 0x4000);
    assert_eq!(good["placement"]["entry"], BASE + 0x800);
    assert_eq!(good["placement"]["gfxpayload"], "640x480x32,640x480,auto");
    let chunks = good["placement"]["chunks"].as_array().unwrap();
    let names: Vec<_> = chunks
        .iter()
        .map(|chunk| chunk["what"].as_str().unwrap())
        .collect();
    let expected = [
        "segment 0",
        "segment 1",
        "sections",
        "module module",
        "boot information",
    ];
    assert_eq!(names, expected);
    let tags = good["information"]["tags"].as_array().unwrap();
    let text = |kind: u64| {
        let tag = tags.iter().find(|tag| tag["kind"] == kind).unwrap();
        tag["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(text(1), "\"a b\"");
    assert!(text(3).ends_with("\"root=x\""), "{}", text(3));
    let bad = &reports[1];
    assert_eq!(
        (&bad["loads"], &bad["refusal"]["reason"]),
        (&false.into(), &"NoHeader".into())
    );
    assert_eq!(bad["near_misses"].as_array().unwrap().len(), 1);
}

#[test]
fn machines_decide_where_a_kernel_lies() {
    let files = Files::new();
    let tags = HeaderBuilder::new()
        .optional(Tag::EfiBootServices)
        .optional(Tag::EntryEfi64(BASE + 0x900))
        .tag(Tag::Relocatable(Relocatable {
            min: 0,
            max: u32::MAX,
            align: 0x1000,
            preference: 2,
        }));
    files.write("moves", &built(Class::Elf64, &tags).bytes);
    let place = |args: &[&str]| {
        let report = files.json(&[args, &["moves"]].concat(), 0);
        let place = &report[0]["placement"];
        (place["load_base"].clone(), place["keeps_services"].clone())
    };
    assert_eq!(
        place(&["--memory", "1G"]),
        ((0x4000_0000 - 0x5000).into(), false.into())
    );
    let efi = place(&["--firmware", "efi64", "--memory", "1G"]);
    assert_eq!(efi, ((0x3e00_0000 - 0x5000).into(), true.into()));
    let efi = place(&["--firmware", "efi32", "--memory", "1G"]);
    assert_eq!(efi, ((0x3e00_0000 - 0x5000).into(), false.into()));
    files.write(
        "map",
        b"0x1000-0x9ffff available\n0x100000-0x5fffff available\n",
    );
    assert_eq!(
        place(&["--map", "map"]),
        ((0x60_0000 - 0x5000).into(), false.into())
    );
}

#[test]
fn text_is_for_people() {
    let files = Files::new();
    let (plain, _) = files.status(&["good"], 0);
    for words in [
        "good: taken (bios)",
        "5 framebuffer, required, width 0x280, height 0x1e0, depth 0x20",
        "linked to 0x400000, lies at 0x400000 (as linked)",
        "██ segment 1",
        "boot information",
        "memory map",
    ] {
        assert!(plain.contains(words), "{words} is not in\n{plain}");
    }
    assert!(!plain.contains('\u{1b}'), "no colours in a pipe");
    let (colored, _) = files.status(&["--color", "always", "good"], 0);
    assert!(colored.contains("\u{1b}[1m"));
    let (bad, _) = files.status(&["bad"], 1);
    let first: Vec<_> = bad.lines().take(2).collect();
    assert_eq!(
        first,
        [
            "bad: refused by multiboot2 (bios)",
            "  error: no multiboot header found."
        ]
    );
}

#[test]
fn svg_is_well_formed_and_has_every_piece() {
    let files = Files::new();
    fs::rename(files.path("good"), files.path("<&>")).unwrap();
    let (svg, _) = files.status(&["--svg", "<&>"], 0);
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    assert!(svg.contains("&lt;&amp;&gt;: taken (bios)"), "{svg}");
    for words in [
        "segment 0",
        "segment 1",
        "boot information",
        "0x404000",
        "reserved",
    ] {
        assert!(svg.contains(words), "{words}");
    }
    // As many shapes as pieces in the text.
    let (text, _) = files.status(&["<&>"], 0);
    let pieces = text.lines().filter(|line| line.contains('│')).count();
    assert_eq!(svg.matches("<rect").count(), pieces);
}

#[test]
fn manual_and_completions_come_with_it() {
    let files = Files::new();
    let (man, _) = files.status(&["--generate", "man"], 0);
    assert!(man.contains(".TH mb2check 1") && man.contains("Exit status:"));
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (text, _) = files.status(&["--generate", shell], 0);
        assert!(text.contains("firmware"), "{shell}");
    }
    let (help, _) = files.status(&["--help"], 0);
    assert!(help.contains("0  every image is taken"));
}

/// The same verdict as GRUB's own tool, where both look at the header alone.
#[test]
fn grub_file_agrees_where_it_is_installed() {
    let tool = Path::new("/usr/bin/grub-file");
    if !tool.exists() {
        return;
    }
    let files = Files::new();
    for name in ["good", "bad", "module"] {
        let mut theirs = Command::new(tool);
        theirs.arg("--is-x86-multiboot2").arg(files.path(name));
        let theirs = theirs.status().unwrap().code();
        assert_eq!(files.run(&["-q", name]).status.code(), theirs, "{name}");
    }
}

#[test]
fn large_images_do_not_need_large_files() {
    let files = Files::new();
    let mut large = image(Class::Elf64, &HeaderBuilder::new());
    large.segments[1].mem_len = 100 << 20;
    files.write("large", &large.build().unwrap().bytes);
    files.status(&["-q", "large"], 0);
    files.status(&["-q", "--memory", "64M", "large"], 1);
}

/// The kernel of README.md: its checksum is wrong.
#[test]
fn readme_shows_what_is_printed() {
    let files = Files::new();
    let header = HeaderBuilder::new().checksum(0x17ad_af21);
    files.write("kernel.elf", &built(Class::Elf32, &header).bytes);
    let (out, _) = files.status(&["kernel.elf"], 1);
    let verdict = out.split("\n\n").next().unwrap();
    let shown = format!("$ mb2check kernel.elf\n{verdict}\n");
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    assert!(readme.contains(&shown), "README.md lacks\n{shown}");
}

/// Every option is in the manual of the repository.
#[test]
fn the_document_names_every_option() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mb2check.md");
    let document = fs::read_to_string(document).unwrap();
    for option in mb2check::cli::Cli::command().get_arguments() {
        let name = option.get_long().map(|long| format!("`--{long}"));
        let known = name.is_none_or(|name| document.contains(&name));
        assert!(known, "{option} is not in docs/mb2check.md");
    }
}
