// SPDX-License-Identifier: GPL-3.0-or-later
//! Makes the bindings to the GRUB tree that the module is built for.
//!
//! Host builds need no GRUB and get none.

use std::env;
use std::path::{Path, PathBuf};

/// Preprocessor flags of the configured GRUB tree, set by `cargo xtask`
/// or by GRUB's own make (see `Makefile.am`).
const FLAGS: &str = "MB2_GRUB_CPPFLAGS";

fn main() {
    println!("cargo::rerun-if-env-changed={FLAGS}");
    println!("cargo::rerun-if-changed=grub-headers/layout.c");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let Ok(flags) = env::var(FLAGS) else {
        println!(
            "cargo::error={FLAGS} is not set: build the module with `cargo xtask module`, \
             or inside a GRUB tree with make"
        );
        return;
    };
    check_layouts();
    let bindings = bindgen::Builder::default()
        .header("grub-headers/wrapper.h")
        .clang_arg("-Igrub-headers")
        .clang_args(own_headers())
        .clang_args(flags.split_whitespace())
        // Every header that was read, GRUB's too.
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
        .use_core()
        .rust_target(bindgen::RustTarget::stable(85, 0).unwrap_or_default())
        .rust_edition(bindgen::RustEdition::Edition2024)
        .formatter(bindgen::Formatter::Prettyplease)
        .allowlist_function("mb2_grub_.*")
        .allowlist_type("mb2_.*")
        .allowlist_type("grub_err_t|grub_memory_type|grub_file_type|grub_verify_string_type")
        .allowlist_var("MB2_.*|MULTIBOOT.*|PACKAGE_STRING")
        .opaque_type("grub_file|grub_relocator")
        .default_enum_style(bindgen::EnumVariation::NewType {
            is_bitfield: false,
            is_global: false,
        })
        .derive_default(true)
        .layout_tests(true)
        .generate_cstr(true)
        .generate();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    match bindings {
        Ok(bindings) => {
            if let Err(error) = bindings.write_to_file(out.join("sys.rs")) {
                println!("cargo::error=cannot write the bindings: {error}");
            }
        }
        Err(error) => println!(
            "cargo::error=bindgen cannot read GRUB's headers (libclang-14-dev and a configured \
             GRUB tree are needed): {error}"
        ),
    }
}

/// Has the C compiler check the sizes of what crosses the line.
fn check_layouts() {
    let wide = env::var("CARGO_CFG_TARGET_POINTER_WIDTH").as_deref() == Ok("64");
    let checked = cc::Build::new()
        .file("grub-headers/layout.c")
        .include("grub-headers")
        .target(if wide {
            "x86_64-unknown-linux-gnu"
        } else {
            "i686-unknown-linux-gnu"
        })
        .flag("-ffreestanding")
        .cargo_metadata(false)
        .try_compile_intermediates();
    if let Err(error) = checked {
        println!(
            "cargo::error=the C compiler refuses grub-headers/layout.c (gcc-multilib is needed): {error}"
        );
    }
}

/// Where the compiler's own headers are: libclang does not find them by itself
/// when it is loaded through the link that Debian installs.
fn own_headers() -> Option<String> {
    if env::var_os("LIBCLANG_PATH").is_some() {
        return None;
    }
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = path.read_dir().into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let versions = folders(Path::new("/usr/lib"));
    let newest = versions
        .iter()
        .filter(|path| path.to_string_lossy().contains("/llvm-"))
        .flat_map(|path| folders(&path.join("lib/clang")))
        .filter(|path| path.join("include/stdarg.h").exists())
        .max();
    newest.map(|path| format!("-isystem{}", path.join("include").display()))
}
