//! What a hostile program or library may say, each with its message, and what links.

use megabinary_format::Digest;

use crate::{LinkPlan, Megabinary, PlannedEntry, PlannedKind, PlannedModule, link};

const NAME: &str = "libz.so.1";
const PLACE: &str = "67108864 65536 32768 512";

/// What a library is called that has one function `f`.
fn identity(place: &str) -> String {
    let text = format!("vkernel library 1\n{NAME}\n{place}\nf i>i\n");
    format!("sha256:{}", Digest::of(text.as_bytes()).hex())
}

fn library() -> String {
    let identity = identity(PLACE);
    format!(
        r#"(module
            (import "env" "__indirect_function_table" (table 33280 funcref))
            (import "env" "malloc" (func $malloc (param i32) (result i32)))
            (import "env" "__stack_pointer" (global (mut i32)))
            (import "env" "memory" (memory 1025 65536 shared))
            (func $f (export "f") (param i32) (result i32) (call $malloc (local.get 0)))
            (elem (i32.const 32768) func $f)
            (data (i32.const 67108864) "hello")
            (@custom "vkernel.library"
                "vkernel-library 1\nname {NAME}\nidentity {identity}\nmemory 67108864 65536\nslots 32768 512\n"))"#
    )
}

fn program() -> String {
    let identity = identity(PLACE);
    format!(
        r#"(module
            (import "wali" "SYS_getpid" (func (result i64)))
            (import "env" "memory" (memory 1026 65536 shared))
            (table (export "__indirect_function_table") 33280 33280 funcref)
            (global (export "__stack_pointer") (mut i32) (i32.const 65536))
            (func (export "malloc") (param i32) (result i32) (local.get 0))
            (func (export "_start"))
            (@custom "vkernel.libraries" "{NAME} {identity}\n"))"#
    )
}

fn linked(program: &str, library: Option<&str>, entry: &str) -> Result<Megabinary, String> {
    let module = |name: &str, text: &str| PlannedModule {
        name: name.into(),
        wasm: wat::parse_str(text).unwrap(),
    };
    let mut modules = vec![module("program", program)];
    modules.extend(library.map(|library| module(NAME, library)));
    link(LinkPlan {
        name: "i".into(),
        modules,
        entries: vec![PlannedEntry {
            name: "program".into(),
            kind: PlannedKind::Module(entry.into()),
            argv_prefix: vec![],
        }],
        ..LinkPlan::default()
    })
    .map_err(|error| error.to_string())
}

/// Changes the program's text, or the library's.
fn refused(which: &str, from: &str, to: &str, expected: &str) {
    let change = |text: String, is_it: bool| match is_it {
        true => {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        }
        false => text,
    };
    let program = change(program(), which == "program");
    let library = change(library(), which == "library");
    let message = linked(&program, Some(&library), "program").unwrap_err();
    assert!(
        message.contains(expected),
        "expected `{expected}` in `{message}`"
    );
}

#[test]
fn a_program_has_its_library() {
    let linked = linked(&program(), Some(&library()), "program").unwrap();
    let [program, library] = linked.modules() else {
        panic!("{:?}", linked.modules().len());
    };
    assert_eq!(program.libraries, [NAME]);
    assert!(library.facts.library.is_some());
    assert_eq!(library.cold.contents[&(67108864 / 4096)][..5], *b"hello");
    // Its code and data only: no exports to be read at a start.
    assert!(!library.normalised.windows(5).any(|w| w == b"hello"));
}

#[test]
fn a_library_that_nobody_uses_is_left_out() {
    let alone = program().replace("vkernel.libraries", "something.else");
    let linked = linked(&alone, Some(&library()), "program").unwrap();
    assert_eq!(linked.modules().len(), 1);
}

#[test]
fn what_is_not_there() {
    let message = linked(&program(), None, "program").unwrap_err();
    assert!(
        message.contains("uses the shared library `libz.so.1`, which no recipe"),
        "{message}"
    );
    let message = linked(&program(), Some(&library()), NAME).unwrap_err();
    assert!(message.contains("it is a shared library"), "{message}");
}

#[test]
fn programs_that_do_not_fit() {
    let check = |from: &str, to: &str, expected: &str| refused("program", from, to, expected);
    check("sha256:", "sha256:0", "build the module again");
    check(
        "(memory 1026",
        "(memory 1024",
        "ends before the library's place",
    );
    check("\"malloc\"", "\"calloc\"", "does not export `malloc`");
    check(
        "(param i32) (result i32) (local.get 0)",
        "(param i32)",
        "the library calls it as",
    );
    check(
        "(export \"__indirect_function_table\")",
        "",
        "does not export `__indirect_function_table`",
    );
    check(
        "(export \"__stack_pointer\")",
        "",
        "does not export `__stack_pointer`",
    );
    check(
        "libz.so.1 sha",
        "libz.so.1sha",
        "its list of shared libraries cannot be read",
    );
    check(
        "vkernel.libraries\" \"",
        "vkernel.libraries\" \"libz.so.1 1\\n",
        "twice",
    );
}

#[test]
fn libraries_that_are_none() {
    let check = |from: &str, to: &str, expected: &str| refused("library", from, to, expected);
    check(
        "identity sha256:",
        "identity sha256:1",
        "offers other functions",
    );
    check("export \"f\"", "export \"g\"", "offers other functions");
    check("name libz.so.1", "name libz/1", "cannot be read");
    check(
        "memory 67108864 65536",
        "memory 67108864 131072",
        "offers other functions",
    );
    check("slots 32768 512", "slots 0 512", "cannot be read");
    check(
        "(elem (i32.const 32768)",
        "(elem (i32.const 32767)",
        "slots that are not its own",
    );
    check(
        "(elem (i32.const 32768)",
        "(elem (i32.const 33280)",
        "slots that are not its own",
    );
    check(
        "(i32.const 67108864)",
        "(i32.const 67108863)",
        "data outside of its place",
    );
    check(
        "(i32.const 67108864)",
        "(i32.const 67174396)",
        "data outside of its place",
    );
    check(
        "(data (i32.const 67108864)",
        "(data",
        "data that are nowhere",
    );
    check("(elem", "(memory 1) (elem", "a memory of its own");
    check("(elem", "(table 1 funcref) (elem", "a table of its own");
    check(
        "(elem",
        "(global (mut i32) (i32.const 0)) (elem",
        "variables",
    );
    check("(elem", "(start $s) (func $s) (elem", "a start function");
    check("(elem", "(tag) (elem", "exceptions");
    check(
        "\"env\" \"malloc\"",
        "\"wali\" \"SYS_getpid\"",
        "the import `wali.SYS_getpid`",
    );
    check("65536 shared", "65536", "the import `env.memory`");
    check(
        "(global (mut i32)))",
        "(global i32))",
        "the import `env.__stack_pointer`",
    );
    check(
        "(call $malloc (local.get 0))",
        "(table.set (i32.const 0) (ref.null func)) (local.get 0)",
        "change tables",
    );
    check(
        "(table 33280",
        "(table 33281",
        "the import `env.__indirect_function_table`",
    );
}
