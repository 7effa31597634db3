// SPDX-License-Identifier: GPL-3.0-or-later
//! Rules that a search over the sources can check.

use super::{Texts, words};

/// Folders whose code turns values into values and has no effects.
const PURE: &[&str] = &["src/wire/", "src/plan/", "src/info/"];

/// Longest file, in lines, without its unit tests.
const FILE_LIMIT: usize = 420;

/// All C files of the glue together, in lines that are neither empty nor comment.
const GLUE_LIMIT: usize = 520;

/// Returns the places whose words contain `wanted` one after the other.
fn sequence(texts: &Texts, folder: &str, wanted: &[&str]) -> Vec<String> {
    let found = texts
        .code(folder)
        .filter(|(_, line)| contains(line, wanted));
    found.map(|(place, _)| place).collect()
}

fn contains(line: &str, wanted: &[&str]) -> bool {
    words(line)
        .windows(wanted.len())
        .any(|window| window == wanted)
}

/// Rule 1: `unsafe` stands only in src/ffi.
pub(crate) fn unsafe_in_ffi(texts: &Texts) -> Vec<String> {
    let mut found = Vec::new();
    for next in ["{", "fn", "impl", "extern", "trait", "("] {
        found.extend(sequence(texts, "src/", &["unsafe", next]));
    }
    found.retain(|place| !place.starts_with("src/ffi/"));
    found
}

/// Rule 2: no function of GRUB is called or declared; shims are.
pub(crate) fn no_direct_call(texts: &Texts) -> Vec<String> {
    let direct = |line: &str| {
        let words = words(line);
        words
            .windows(2)
            .any(|w| w[0].starts_with("grub_") && w[1] == "(")
    };
    texts
        .code("src/")
        .filter(|(_, line)| direct(line))
        .map(|(place, _)| place)
        .collect()
}

/// Rule 3: both sides include the contract, Rust repeats no declaration, and no function of the
/// contract takes a 64-bit integer, which C and Rust pass in different ways on i386. The fake of
/// GRUB stands behind the glue and knows nothing of it.
pub(crate) fn one_contract(texts: &Texts) -> Vec<String> {
    let mut readers: Vec<_> = texts.under("module-glue/", ".c").collect();
    readers.extend(
        texts
            .all()
            .filter(|(path, _)| *path == "grub-headers/wrapper.h"),
    );
    let without = readers
        .iter()
        .filter(|(_, text)| !text.contains("mb2_abi.h"));
    let mut found: Vec<String> = without
        .map(|(path, _)| format!("{path} does not include mb2_abi.h"))
        .collect();
    let foreign = |line: &str| contains(line, &["extern", "\"", "C", "\""]);
    let elsewhere = texts.code("src/").filter(|(_, line)| foreign(line));
    found.extend(
        elsewhere
            .map(|(place, _)| place)
            .filter(|place| !place.starts_with("src/ffi/")),
    );
    for (path, text) in texts.under("grub-headers/mb2_abi", ".h") {
        let functions = text.split("MB2_ABI ").skip(1);
        let functions = functions.filter_map(|text| text.split(';').next());
        let wide = functions.filter(|function| takes_wide(function));
        found.extend(wide.map(|function| format!("{path}: 64-bit argument: {}", function.trim())));
    }
    found
}

/// Tells whether a declaration in C has a parameter of a 64-bit integer type.
fn takes_wide(function: &str) -> bool {
    let parameters = function.split_once('(').map_or("", |(_, rest)| rest);
    let mut parameters = parameters.split(',');
    parameters.any(|parameter| parameter.contains("int64_t") && !parameter.contains('*'))
}

/// Rule 7: pure code names neither the boundary nor the effects.
pub(crate) fn pure_code(texts: &Texts) -> Vec<String> {
    let mut found = Vec::new();
    for folder in PURE {
        for effect in ["ffi", "platform"] {
            found.extend(sequence(texts, folder, &["crate", ":", ":", effect]));
        }
    }
    found
}

/// Rule 9: a parameter called like an address has a type that says so.
pub(crate) fn typed_addresses(texts: &Texts) -> Vec<String> {
    let loose = |line: &str| {
        let words = words(line);
        words.contains(&"fn")
            && words.windows(3).any(|w| {
                ["addr", "at", "base"].contains(&w[0])
                    && w[1] == ":"
                    && ["u32", "u64", "usize"].contains(&w[2])
            })
    };
    let found = texts.code("src/").filter(|(_, line)| loose(line));
    found
        .map(|(place, _)| place)
        .filter(|place| !place.starts_with("src/ffi/"))
        .collect()
}

/// Rule 12: an entry checks, converts, calls and reports. It does not loop.
pub(crate) fn short_entries(texts: &Texts) -> Vec<String> {
    let found = texts.code("src/ffi/entry.rs").filter(|(_, line)| {
        let first = words(line).first().copied().unwrap_or_default();
        ["for", "while", "loop"].contains(&first)
    });
    found.map(|(place, _)| place).collect()
}

/// Rule 12: what C hands to an entry goes to `Args::new`, which checks it, and to nothing else.
/// The functions that the compiler calls, in rt.rs, owe what C's own owe.
pub(crate) fn checked_entries(texts: &Texts) -> Vec<String> {
    let mut found = Vec::new();
    let (mut in_head, mut parameters) = (false, Vec::new());
    for (place, line) in texts.code("src/ffi/") {
        let is_entry = contains(line, &["extern", "\"", "C", "\"", "fn"]);
        if place.starts_with("src/ffi/rt.rs") {
            continue;
        }
        if is_entry && !place.starts_with("src/ffi/entry.rs") {
            found.push(place);
            continue;
        }
        let words = words(line);
        in_head |= is_entry;
        if in_head {
            let named = words.windows(3).filter(|w| w[1] == ":" && w[2] != ":");
            parameters.extend(named.map(|w| w[0]));
            in_head = !line.trim_end().ends_with('{');
        } else if line.starts_with('}') {
            parameters.clear();
        } else if words.iter().any(|word| parameters.contains(word))
            && !contains(line, &["Args", ":", ":", "new", "("])
        {
            found.push(place);
        }
    }
    found
}

/// Rule 14: at most one static, and it is not `mut`.
pub(crate) fn one_static(texts: &Texts) -> Vec<String> {
    let is_static = |line: &str| {
        let mut words = words(line).into_iter().peekable();
        if words.next_if_eq(&"pub").is_some() && words.next_if_eq(&"(").is_some() {
            words.by_ref().find(|word| *word == ")");
        }
        words.next() == Some("static")
    };
    let all: Vec<String> = texts
        .code("src/")
        .filter(|(_, line)| is_static(line))
        .map(|(place, _)| place)
        .collect();
    let mut found = sequence(texts, "src/", &["static", "mut"]);
    if all.len() > 1 {
        found.extend(all);
    }
    found
}

/// Rule 16: memory comes from shims that can refuse.
pub(crate) fn no_alloc(texts: &Texts) -> Vec<String> {
    sequence(texts, "src/", &["extern", "crate", "alloc"])
}

/// Marks a layout that only puts fields in order.
const ORDER_ONLY: &str = "#[repr(C)] // order:";

/// Rule 17: each file asserts the size of every layout that it fixes; one that nobody else reads
/// is marked, since only its length in instructions counts.
pub(crate) fn asserted_layouts(texts: &Texts) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in texts.under("src/", ".rs") {
        let count = |wanted: &[&str]| text.lines().filter(|line| contains(line, wanted)).count();
        let marked = text.lines().filter(|line| line.contains(ORDER_ONLY));
        let layouts = count(&["repr", "(", "C"]) - marked.count();
        let asserts = count(&["const_assert_eq", "!"]) + count(&["assert_eq_size", "!"]);
        if asserts < layouts {
            found.push(format!("{path}: {layouts} repr(C), {asserts} asserted"));
        }
    }
    found
}

/// Rule 20: nothing panics, so nothing documents it.
pub(crate) fn no_panics_section(texts: &Texts) -> Vec<String> {
    let found = texts
        .under("src/", ".rs")
        .filter(|(_, text)| text.contains("# Panics"));
    found.map(|(path, _)| path.to_owned()).collect()
}

/// Rule 22: a handler under `cfg(not(test))` breaks integration tests.
pub(crate) fn no_cfg_not_test(texts: &Texts) -> Vec<String> {
    sequence(texts, "src/", &["not", "(", "test", ")"])
}

/// Rule 23: nothing waits for a fixed time.
pub(crate) fn no_sleep(texts: &Texts) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["src/", "tests/", "fuzz/", "xtask/src/", "mb2check/"] {
        found.extend(sequence(texts, folder, &["sleep", "("]));
    }
    found
}

/// Rule 25: the licence stands at the top of every source.
pub(crate) fn licence_lines(texts: &Texts) -> Vec<String> {
    let endings = [".rs", ".c", ".h", ".ld", ".S", ".sh", ".am", ".def"];
    let folders = [
        "src/",
        "module-glue/",
        "grub-headers/",
        "tests/",
        "fuzz/",
        "mb2check/",
        "xtask/",
        "build.rs",
    ];
    let sources = texts.all().filter(|(path, _)| {
        folders.iter().any(|f| path.starts_with(f)) && endings.iter().any(|e| path.ends_with(e))
    });
    let without = sources.filter(|(_, text)| {
        !text
            .lines()
            .take(2)
            .any(|line| line.contains("SPDX-License-Identifier: GPL-3.0-or-later"))
    });
    without.map(|(path, _)| path.to_owned()).collect()
}

/// Rule 25: a file is read in one sitting, and the glue decides nothing.
pub(crate) fn short_files(texts: &Texts) -> Vec<String> {
    let mut found = Vec::new();
    let mut glue = 0;
    for (path, text) in texts.all() {
        if path.ends_with(".rs") && !path.ends_with("/tests.rs") {
            let code = text
                .split("#[cfg(test)]\nmod tests")
                .next()
                .unwrap_or_default();
            let lines = code.lines().count();
            if lines > FILE_LIMIT {
                found.push(format!("{path}: {lines} lines, at most {FILE_LIMIT}"));
            }
        }
        if path.starts_with("module-glue/") && path.ends_with(".c") {
            let says = |line: &&str| {
                let line = line.trim_start();
                !line.is_empty() && !["/*", "*", "//"].iter().any(|c| line.starts_with(c))
            };
            glue += text.lines().filter(says).count();
        }
    }
    if glue > GLUE_LIMIT {
        found.push(format!(
            "module-glue/*.c: {glue} lines, at most {GLUE_LIMIT}"
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::one;
    use super::*;

    /// The rule accepts the first text and finds an offence in the second.
    fn rule(check: fn(&Texts) -> Vec<String>, path: &str, good: &str, bad: &str) {
        assert_eq!(check(&one(path, good)), Vec::<String>::new(), "{good}");
        assert!(!check(&one(path, bad)).is_empty(), "{bad}");
    }

    #[test]
    fn unsafe_outside_ffi_is_an_offence() {
        rule(
            unsafe_in_ffi,
            "src/a.rs",
            "// unsafe {\n",
            "let a = unsafe  { b };\n",
        );
        rule(
            unsafe_in_ffi,
            "src/a.rs",
            "let unsafely = 1;\n",
            "unsafe impl Sync for A {}\n",
        );
        rule(
            unsafe_in_ffi,
            "src/a.rs",
            "#[no_std]\n",
            "#[unsafe(no_mangle)]\n",
        );
        assert!(unsafe_in_ffi(&one("src/ffi/a.rs", "unsafe { b }")).is_empty());
    }

    #[test]
    fn direct_call_of_grub_is_an_offence() {
        rule(
            no_direct_call,
            "src/a.rs",
            "sys::mb2_grub_malloc(1)",
            "sys::grub_malloc(1)",
        );
        rule(
            no_direct_call,
            "src/a.rs",
            "f: *mut sys::grub_file)",
            "fn grub_free(p: *mut u8);",
        );
    }

    #[test]
    fn reader_without_the_contract_is_an_offence() {
        rule(
            one_contract,
            "module-glue/a.c",
            "#include <mb2_abi.h>",
            "#include <grub/dl.h>",
        );
        rule(
            one_contract,
            "src/a.rs",
            "fn a() {}",
            "extern \"C\" fn a() {}",
        );
        rule(
            one_contract,
            "grub-headers/mb2_abi.h",
            "MB2_ABI uint64_t a (uint32_t b, const uint64_t *c);",
            "MB2_ABI uint32_t a (struct d *b,\n uint64_t c);",
        );
    }

    #[test]
    fn effect_in_pure_code_is_an_offence() {
        rule(
            pure_code,
            "src/plan/a.rs",
            "use crate::units;",
            "use crate::platform::Platform;",
        );
        rule(
            pure_code,
            "src/wire/a.rs",
            "use crate::error;",
            "use crate::ffi::sys;",
        );
    }

    #[test]
    fn loose_address_is_an_offence() {
        rule(
            typed_addresses,
            "src/a.rs",
            "fn a(at: PhysAddr)",
            "fn a(x: u8, at: u64)",
        );
    }

    #[test]
    fn loop_in_an_entry_is_an_offence() {
        rule(
            short_entries,
            "src/ffi/entry.rs",
            "report(run())",
            "    while x {",
        );
    }

    #[test]
    fn use_of_what_c_hands_over_is_an_offence() {
        let entry = |body: &str| {
            format!(
                "unsafe extern \"C\" fn a(argc: c_int, argv: *mut *mut c_char) -> u32 {{\n    \
                 {body}\n}}\n\nfn b(argv: u8) {{\n    c(argv);\n}}\n"
            )
        };
        let good = entry("let args = unsafe { Args::new(argc, argv) };\n    run(&args)");
        for bad in [
            "run(*argv)",
            "if argc > 0 { run(1) }",
            "let n = argc as usize;",
        ] {
            rule(checked_entries, "src/ffi/entry.rs", &good, &entry(bad));
        }
        let long = "extern \"C\" fn a(\n    argc: c_int,\n) -> u32 {\n    run(argc)\n}\n";
        rule(checked_entries, "src/ffi/entry.rs", &good, long);
        rule(
            checked_entries,
            "src/ffi/a.rs",
            "fn a(argc: c_int) {\n    run(argc)\n}\n",
            "extern \"C\" fn a() {}\n",
        );
    }

    #[test]
    fn second_static_is_an_offence() {
        let one_line = "pub(crate) static A: u8 = 0;\nfn a() -> &'static str;\n";
        rule(
            one_static,
            "src/a.rs",
            one_line,
            "static A: u8 = 0;\npub static B: u8 = 0;\n",
        );
        rule(one_static, "src/a.rs", one_line, "static mut A: u8 = 0;\n");
    }

    #[test]
    fn alloc_crate_is_an_offence() {
        rule(
            no_alloc,
            "src/lib.rs",
            "fn alloc() {}",
            "extern crate alloc;",
        );
    }

    #[test]
    fn layout_without_assert_is_an_offence() {
        let layout = "#[repr(C)]\nstruct A(u32);\n";
        let good = format!("{layout}const_assert_eq!(size_of::<A>(), 4);\n");
        rule(asserted_layouts, "src/a.rs", &good, layout);
        let marked = format!("#[repr(C)] // order: short first\nstruct B;\n{good}");
        let other = format!("#[repr(C)] // order: short first\nstruct B;\n{layout}");
        rule(asserted_layouts, "src/a.rs", &marked, &other);
    }

    #[test]
    fn documented_panic_is_an_offence() {
        rule(
            no_panics_section,
            "src/a.rs",
            "/// # Errors",
            "/// # Panics",
        );
    }

    #[test]
    fn code_that_tests_do_not_see_is_an_offence() {
        rule(
            no_cfg_not_test,
            "src/a.rs",
            "#[cfg(test)]",
            "#[cfg(not(test))]",
        );
    }

    #[test]
    fn sleep_is_an_offence() {
        let bad = ["thread::sl", "eep(one_second)"].concat();
        rule(no_sleep, "xtask/src/a.rs", "// well", &bad);
    }

    #[test]
    fn missing_licence_is_an_offence() {
        let good = "// SPDX-License-Identifier: GPL-3.0-or-later\n";
        rule(licence_lines, "src/a.rs", good, "//! A.\n");
    }

    #[test]
    fn long_file_is_an_offence() {
        let tests = format!(
            "#[cfg(test)]
mod tests {{
{}}}
",
            "
"
            .repeat(FILE_LIMIT)
        );
        rule(
            short_files,
            "src/a.rs",
            &tests,
            &"
"
            .repeat(FILE_LIMIT + 1),
        );
        let glue = "a;
"
        .repeat(GLUE_LIMIT + 1);
        rule(
            short_files,
            "module-glue/a.c",
            "/* a */
",
            &glue,
        );
    }
}
