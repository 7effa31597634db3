// SPDX-License-Identifier: GPL-3.0-or-later
//! One offence against each lint that this repository denies.
//!
//! No crate contains this file: `cargo xtask lint` compiles it alone, under the loader's own lint
//! table, and every line with a mark must be refused for what its mark names.

pub mod ffi {
    //! As the loader's folder of this name: unsafe code may stand here.
    #![expect(unsafe_code, reason = "the offences below are about how it stands")]

    /// Two operations.
    #[must_use]
    pub fn two(a: &u8, b: &u8) -> u8 {
        let (a, b) = (&raw const *a, &raw const *b);
        // SAFETY: both are references.
        unsafe { (*a).max(*b) } //~ clippy::multiple_unsafe_ops_per_block
    }

    /// No reason.
    #[must_use]
    pub fn silent(a: &u8) -> u8 {
        let a = &raw const *a;
        unsafe { *a } //~ clippy::undocumented_unsafe_blocks
    }

    /// A reason for nothing.
    #[must_use]
    pub fn chatty(a: u8) -> u8 {
        // SAFETY: nothing happens.
        a //~ clippy::unnecessary_safety_comment
    }

    /// Nothing is said of what the caller owes.
    pub unsafe fn unexplained() {} //~ clippy::missing_safety_doc

    /// Nothing is owed.
    ///
    /// # Safety
    ///
    /// None.
    pub fn explained() {} //~ clippy::unnecessary_safety_doc

    /// The whole function counts as one block.
    ///
    /// # Safety
    ///
    /// `a` can be read.
    #[must_use]
    pub unsafe fn bare(a: *const u8) -> u8 {
        *a //~ unsafe_op_in_unsafe_fn
    }

    /// Rust's calling convention under C's name.
    #[unsafe(no_mangle)]
    pub fn unconventional() {} //~ clippy::no_mangle_with_rust_abi

    mod one {
        unsafe extern "C" {
            pub(super) fn twice(a: u8);
        }
    }

    mod other {
        unsafe extern "C" {
            pub(super) fn twice(a: u64); //~ clashing_extern_declarations
        }
    }

    /// A cast that takes more than it says.
    #[must_use]
    pub fn narrow(a: *const u32) -> *const u8 {
        a as *const u8 //~ clippy::as_conversions clippy::ptr_as_ptr
    }

    /// A reference that becomes a pointer in passing.
    #[must_use]
    pub fn forget(a: &u32) -> *const u32 {
        a as *const u32 //~ clippy::as_conversions clippy::ref_as_ptr
    }

    /// The same with a fresh borrow.
    #[must_use]
    pub fn borrow(a: u32) -> usize {
        let at = &a as *const u32; //~ clippy::as_conversions clippy::borrow_as_ptr
        at.addr()
    }

    /// Calls what is declared twice.
    pub fn call() {
        // SAFETY: nothing is behind it.
        unsafe { one::twice(1) };
        // SAFETY: as above.
        unsafe { other::twice(1) };
    }
}

/// Unsafe code elsewhere.
#[must_use]
pub fn elsewhere(a: &u8) -> u8 {
    let a = &raw const *a;
    // SAFETY: a reference.
    unsafe { *a } //~ unsafe_code
}

/// An index that nobody checked.
#[must_use]
pub fn index(bytes: &[u8], at: usize) -> u8 {
    bytes[at] //~ clippy::indexing_slicing
}

/// A slice that nobody checked.
#[must_use]
pub fn slice(bytes: &[u8], at: usize) -> &[u8] {
    &bytes[at..] //~ clippy::indexing_slicing
}

/// A sum that may overflow.
#[must_use]
pub fn add(a: u32, b: u32) -> u32 {
    a + b //~ clippy::arithmetic_side_effects
}

/// A product in place.
pub fn multiply(a: &mut u32, b: u32) {
    *a *= b; //~ clippy::arithmetic_side_effects
}

/// A quotient by 0.
#[must_use]
pub fn divide(a: u32, b: u32) -> u32 {
    a / b //~ clippy::arithmetic_side_effects
}

/// A number that may be cut.
#[must_use]
pub fn cut(a: u64) -> u32 {
    a as u32 //~ clippy::as_conversions
}

/// Nothing where something was expected.
#[must_use]
pub fn unwrap(a: Option<u8>) -> u8 {
    a.unwrap() //~ clippy::unwrap_used
}

/// The same with words.
#[must_use]
pub fn expect(a: Option<u8>) -> u8 {
    a.expect("something") //~ clippy::expect_used
}

/// The end in plain words.
pub fn end() {
    panic!("at the disco"); //~ clippy::panic
}

/// Work for later.
pub fn later() {
    todo!() //~ clippy::todo
}

/// A way that nobody goes.
pub fn never() {
    unreachable!() //~ clippy::unreachable
}

/// Registers that nobody saves.
#[must_use]
pub fn float(a: f32) -> f32 {
    a * a //~ clippy::float_arithmetic
}

/// More than a frame should hold.
#[must_use]
pub fn large() -> u8 {
    let array = [1u8; 513]; //~ clippy::large_stack_arrays
    array.iter().fold(0, |sum, byte| sum ^ byte)
}

/// More than four parameters.
#[must_use]
pub fn many(a: u8, b: u8, c: u8, d: u8, e: u8) -> u8 { //~ clippy::too_many_arguments
    a ^ b ^ c ^ d ^ e
}

/// Fails for reasons that nobody names.
pub fn fail() -> Result<(), ()> { //~ clippy::missing_errors_doc clippy::result_unit_err
    Err(())
}

/// A value that is lost when nobody looks at it.
pub struct Value(u8);

impl Value {
    /// Reads it.
    pub fn get(&self) -> u8 { //~ clippy::must_use_candidate
        self.0
    }
}

/// Names a_function as if it were a word. //~ clippy::doc_markdown
pub fn word() {}

pub fn secret() {} //~ missing_docs

mod inner {
    pub fn loud() {} //~ unreachable_pub
}

/// A name that not everybody can type.
pub fn größe() {} //~ non_ascii_idents

#[allow(dead_code, reason = "allowed, not expected")] //~ clippy::allow_attributes
fn allowed() {}

#[expect(dead_code)] //~ clippy::allow_attributes_without_reason
fn wordless() {}

/// What clippy denies by itself.
#[must_use]
pub fn needless() -> u8 {
    return 1; //~ clippy::needless_return
}
