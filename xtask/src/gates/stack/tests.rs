// SPDX-License-Identifier: GPL-3.0-or-later
//! Ways through small objects whose depth can be counted by hand.

use super::super::tests::{Assembled, accepted, gate, refused};
use super::*;

/// The ways through a piece of assembly.
fn found(width: &str, source: &str) -> Result<Vec<String>> {
    let object = Assembled::new(width, source);
    let ways = ways(&object.subject().file)?;
    Ok(ways.iter().map(ToString::to_string).collect())
}

/// The deepest one on 32 bit.
fn deepest(source: &str) -> String {
    let mut all = found("--32", source).unwrap();
    all.swap_remove(0)
}

fn why(source: &str) -> String {
    found("--32", source).unwrap_err().to_string()
}

/// Makes symbols functions, as compilers do.
fn functions(names: &[&str], body: &str) -> String {
    let types = names.iter().map(|n| format!(".type {n}, @function\n"));
    format!("{}.text\n{body}", types.collect::<String>())
}

#[test]
fn every_call_adds_its_frame_and_its_return_address() {
    let source = functions(
        &["a", "b"],
        "a: push %ebx\n sub $0x20, %esp\n call b\n add $0x20, %esp\n pop %ebx\n ret\n\
         b: push $1\n push $2\n call outside\n add $8, %esp\n ret\n",
    );
    assert_eq!(deepest(&source), "52 bytes, a 40, b 12");
    // The same with addresses that GRUB fills in, and with functions apart.
    let source = functions(
        &["a", "b"],
        "a: push %rbx\n movabs $b, %rax\n call *%rax\n pop %rbx\n ret\n\
         .section .text.b, \"ax\"\nb: sub $0x18, %rsp\n add $0x18, %rsp\n ret\n",
    );
    assert_eq!(found("--64", &source).unwrap(), ["40 bytes, a 16, b 24"]);
}

#[test]
fn every_way_of_making_a_frame_is_understood() {
    for (body, depth) in [
        ("lea -0x40(%esp), %esp\n lea 0x40(%esp), %esp", 64),
        ("push %ebp\n mov %esp, %ebp\n sub $0x30, %esp\n leave", 52),
        (
            "push %ebp\n mov %esp, %ebp\n push %ebx\n lea -4(%ebp), %esp\n pop %ebx\n pop %ebp",
            8,
        ),
        (
            "push %ebp\n mov %esp, %ebp\n and $-16, %esp\n mov %ebp, %esp\n pop %ebp",
            19,
        ),
        ("pusha\n popa\n pushf\n popf", 32),
    ] {
        let source = functions(&["a"], &format!("a: {body}\n ret\n"));
        assert_eq!(
            deepest(&source),
            format!("{depth} bytes, a {depth}"),
            "{body}"
        );
    }
}

#[test]
fn the_deeper_branch_counts() {
    let source = functions(
        &["a", "b"],
        "a: test %eax, %eax\n jz 1f\n push $1\n push $2\n call b\n add $8, %esp\n ret\n\
         1: jmp b\n\
         b: sub $0x10, %esp\n add $0x10, %esp\n ret\n",
    );
    assert_eq!(deepest(&source), "28 bytes, a 12, b 16");
}

#[test]
fn a_function_that_ends_with_a_call_leaves_no_frame() {
    let source = functions(
        &["a", "b"],
        "a: push %ebx\n pop %ebx\n jmp b\nb: sub $0x10, %esp\n add $0x10, %esp\n ret\n",
    );
    assert_eq!(deepest(&source), "16 bytes, a 0, b 16");
}

#[test]
fn jump_tables_lead_on_inside_a_function() {
    let source = functions(
        &["a"],
        "a: jmp *table(,%eax,4)\n\
         one: push $1\n pop %eax\n ret\n\
         two: sub $0x100, %esp\n add $0x100, %esp\n ret\n\
         .section .rodata\ntable: .long one, two\n",
    );
    assert_eq!(deepest(&source), "256 bytes, a 256");
}

#[test]
fn tables_of_functions_lead_to_all_of_them() {
    let source = functions(
        &["a", "b", "c"],
        "a: call *table(,%eax,4)\n ret\n\
         b: push $1\n pop %eax\n ret\nc: sub $0x100, %esp\n add $0x100, %esp\n ret\n\
         .section .rodata\ntable: .long b, c\n",
    );
    assert_eq!(deepest(&source), "260 bytes, a 4, c 256");
}

#[test]
fn callbacks_lie_on_the_stack_of_their_caller() {
    let source = functions(
        &["a", "multiboot2_unload"],
        "a: sub $0x100, %esp\n call grub_loader_unset\n add $0x100, %esp\n ret\n\
         multiboot2_unload: push $1\n pop %eax\n ret\n",
    );
    assert_eq!(deepest(&source), "264 bytes, a 260, multiboot2_unload 4");
}

#[test]
fn functions_without_a_name_are_found_by_their_callers() {
    let body = "nop\n .globl a\na: push %ebx\n call 1f\n pop %ebx\n ret\n\
                1: sub $0x20, %esp\n add $0x20, %esp\n ret\n";
    let source = functions(&["a"], body);
    assert_eq!(deepest(&source), "40 bytes, a 8, code at 0x9 32");
}

#[test]
fn a_deep_way_is_refused() {
    let chain = |frame: u32| {
        let mut source = String::from(".text\n");
        for n in 0..8 {
            source += &format!(
                ".type f{n}, @function\nf{n}: push %rbp\n mov %rsp, %rbp\n \
                 add $-{frame}, %rsp\n call f{}\n leave\n ret\n",
                n + 1
            );
        }
        source + ".type f8, @function\nf8: ret\n"
    };
    // 8 times a frame, a saved register and a return address.
    let check = |frame| gate("--64", &chain(frame), shallow);
    assert_eq!(check(488), Vec::<String>::new());
    let complaints = check(496);
    assert_eq!(complaints.len(), 1);
    assert!(complaints[0].contains("are too many: 4096 bytes, f0 512, f1 512"));
}

#[test]
fn recursion_is_refused() {
    let source = functions(
        &["a", "b", "c"],
        "a: call b\n ret\nb: call c\n ret\nc: call b\n ret\n",
    );
    assert_eq!(why(&source), "recursion: b calls c calls b");
    refused(&functions(&["a"], "a: call a\n ret\n"), shallow);
    // A loop is none.
    accepted(&functions(&["a"], "a: dec %eax\n jnz a\n ret\n"), shallow);
}

#[test]
fn a_stack_that_only_the_machine_knows_is_refused() {
    for body in [
        "sub %eax, %esp",
        "mov %eax, %esp",
        "xchg %eax, %esp",
        "lea (%esp,%eax), %esp",
        "mov (%eax), %esp",
    ] {
        let complaint = why(&functions(&["a"], &format!("a: nop\n {body}\n ret\n")));
        assert_eq!(complaint, "a+0x1: stack frame of unknown size", "{body}");
    }
    let complaint = why(&functions(&["a"], "a: pop %eax\n ret\n"));
    assert_eq!(complaint, "a+0x0: the stack is not its own");
}
