//! Shared libraries that are linked into a program, and calls whose types are known when it runs
//! (`docs/shared-objects.md`): as the host's dynamic linker and libffi have them, where a host has them, and
//! errors for everything else.
//!
//! Needs root (programs with Linux system calls run in a root of their own), `out/musl-1.2.5`,
//! `out/libffi-3.4.8` (`polybuild recipes/libffi/3.4.8/recipe.toml`) and `tests/install`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use polybuild_e2e::{
    Said,
    guests::{args, run_wasm},
    linux::driver,
    run, workspace,
};

/// The two variants, and the option that chooses each.
const VARIANTS: [(&str, &[&str]); 2] = [("single", &[]), ("threads", &["-pthread"])];

#[track_caller]
fn well(said: Said) -> Said {
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    said
}

fn source(name: &str) -> String {
    let path = workspace().join("tests/shared-objects").join(name);
    path.to_str().unwrap().to_owned()
}

fn vkcc(folder: &Path, options: &[&str], line: &str) -> Said {
    let mut command = driver("vkcc", folder);
    command.env("VKCC_SHARED", "linked").args(options);
    run(command.args(["-O2", "-w"]).args(words(line)))
}

fn gcc(folder: &Path, line: &str) {
    let mut command = Command::new("gcc");
    well(run(command.arg("-w").args(words(line)).current_dir(folder)));
}

/// A command line's words; those that end in `.c` are ours.
fn words(line: &str) -> impl Iterator<Item = String> + '_ {
    line.split_whitespace()
        .map(|word| match word.ends_with(".c") {
            true => source(word),
            false => word.to_owned(),
        })
}

fn ours(folder: &Path, module: &str, arguments: &[&str]) -> Said {
    let mut command = run_wasm(&folder.join(module));
    command.arg("--dir");
    command.arg(format!("{}::/w", folder.display()));
    run(args(command.args(["--workdir", "/w"]), arguments))
}

/// `first.so`, and `second.so` of two objects, for both variants' programs.
fn libraries(folder: &Path, options: &[&str]) {
    well(vkcc(folder, options, "-shared -o first.so first.c"));
    well(vkcc(
        folder,
        options,
        "-shared -o second.so second.c second_too.c -lm",
    ));
}

fn libffi(variant: &str) -> (String, String) {
    let folder = workspace().join("out/libffi-3.4.8/libffi/libffi");
    assert!(
        folder.is_dir(),
        "{} is missing: run `polybuild recipes/libffi/3.4.8/recipe.toml`",
        folder.display()
    );
    let path = |path: PathBuf| path.to_str().unwrap().to_owned();
    (
        path(folder.join("include")),
        path(folder.join(variant).join("lib")),
    )
}

#[test]
fn libraries_are_found_as_the_hosts_are() {
    let native = tempfile::tempdir().unwrap();
    let native = native.path();
    let shared = "-fPIC -shared -Wl,-Bsymbolic -o";
    gcc(native, &format!("{shared} first.so first.c"));
    gcc(
        native,
        &format!("{shared} second.so second.c second_too.c -lm"),
    );
    gcc(native, "-rdynamic -o program program.c -ldl");
    let arguments = ["./first.so", "first_api", "./second.so", "second_api"];
    let expected = well(run(Command::new(native.join("program"))
        .args(arguments)
        .current_dir(native)));
    for (variant, options) in VARIANTS {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        libraries(folder, options);
        let line = "-rdynamic -mloadable=first.so -mloadable=second.so -o program.wasm program.c";
        well(vkcc(folder, options, line));
        let said = well(ours(folder, "program.wasm", &arguments));
        assert_eq!(said.stdout, expected.stdout, "{variant}");
    }
}

#[test]
fn what_is_no_library_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    libraries(folder, &[]);
    well(vkcc(folder, &[], "-mloadable=first.so -o open.wasm open.c"));
    well(vkcc(folder, &[], "-o plain.wasm open.c"));
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    let stub = String::from_utf8(fs::read(folder.join("first.so")).unwrap()).unwrap();
    let digest = stub.lines().nth(2).unwrap();
    let other = digest.replace(|c: char| c.is_ascii_digit(), "0");
    write("other.so", stub.replace(digest, &other).as_bytes());
    write("elf.so", &fs::read("/proc/self/exe").unwrap());
    write("module.so", b"\0asm\x01\0\0\0");
    write("empty.so", b"");
    write("long.so", &[stub.as_bytes(), &[b'\n'; 1 << 20]].concat());
    write("nul.so", stub.replace("first", "fir\0t").as_bytes());
    write(
        "folder.so",
        stub.replace("first.so", "a/first.so").as_bytes(),
    );
    write("cut.so", &stub.as_bytes()[..stub.len() - 1]);
    write("nameless.so", stub.replace("first.so", "").as_bytes());
    write("libc.so", b"vkernel-shared-object 1\nlibc.so.6\n");
    fs::create_dir(folder.join("a.so")).unwrap();
    well(run(Command::new("mkfifo").arg(folder.join("pipe.so"))));

    let none = "it is no shared object: its first line is not `vkernel-shared-object 1'";
    let way_in = "link the library into the program ([[extension]] in a recipe)";
    let check = |module: &str, cases: &[(&str, &str)]| {
        let paths: Vec<&str> = cases.iter().map(|(path, _)| *path).collect();
        let said = well(ours(folder, module, &paths));
        let expected: String = cases
            .iter()
            .map(|(path, why)| match *why {
                "opened" | "first: constructor\nopened" => format!("{why}\n"),
                _ => format!("Error loading shared library {path}: {why}\n"),
            })
            .collect();
        assert_eq!(said.stdout, format!("{expected}bad handle: 1\n"));
    };
    let machine = format!("it is machine code (ELF), which cannot be loaded here: {way_in}");
    let module = format!(
        "it is a WebAssembly module, and modules are not loaded into a program that runs: {way_in}"
    );
    let second = format!("the program has no library `second.so': {way_in}");
    check(
        "open.wasm",
        &[
            ("./first.so", "first: constructor\nopened"),
            ("./first.so", "opened"),
            ("first.so", "opened"),
            ("./libc.so", "opened"),
            ("libm.so.6", "opened"),
            ("./second.so", &second),
            (
                "./other.so",
                "it stands for another build of `first.so' than the one that is linked into the program",
            ),
            ("./elf.so", &machine),
            ("./module.so", &module),
            ("./empty.so", none),
            ("./long.so", none),
            ("./nul.so", none),
            ("./folder.so", none),
            ("./cut.so", none),
            ("./nameless.so", none),
            ("./a.so", "it is no regular file"),
            ("./pipe.so", "it is no regular file"),
            ("/dev/null", "it is no regular file"),
            ("./absent.so", "No such file or directory"),
            ("absent.so", "No such file or directory"),
            ("", "No such file or directory"),
        ],
    );
    let first = format!("the program has no library `first.so': {way_in}");
    check(
        "plain.wasm",
        &[("./first.so", &first), ("libc.so.6", "opened")],
    );
}

#[test]
fn a_library_of_an_archive_offers_what_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    well(vkcc(folder, &[], "-c -o offered.o offered.c"));
    well(run(driver("vkar", folder).args([
        "rcs",
        "liboffered.a",
        "offered.o",
    ])));
    let shared = "-shared -o offered.so liboffered.a -Wl,--export=";
    well(vkcc(folder, &[], &format!("{shared}one")));
    let line = "-rdynamic -mloadable=offered.so -o offers.wasm offers.c";
    well(vkcc(folder, &[], line));
    let arguments = ["./offered.so", "one", "two", "counted"];
    let said = well(ours(folder, "offers.wasm", &arguments));
    assert_eq!(said.stdout, "one: 1\ntwo: 0\ncounted: 0\n1\n");
    let said = vkcc(folder, &[], &format!("{shared}three"));
    assert_eq!(said.status, 1);
    let why = "it is to export `three`, which no object of it defines";
    assert!(said.stderr.contains(why), "{said:?}");
    // A member that nobody else asks for.
    well(vkcc(
        folder,
        &[],
        "-shared -o offered.so -Wl,-u,one liboffered.a",
    ));
    well(vkcc(folder, &[], line));
    let said = well(ours(folder, "offers.wasm", &arguments));
    assert_eq!(said.stdout, "one: 1\ntwo: 1\ncounted: 1\n1\n");
}

#[test]
fn the_driver_says_what_it_cannot_make() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    libraries(folder, &[]);
    fs::copy(folder.join("first.so"), folder.join("mixed.so")).unwrap();
    fs::copy(folder.join("second.so.a"), folder.join("mixed.so.a")).unwrap();
    fs::copy(folder.join("first.so"), folder.join("alone.so")).unwrap();
    fs::write(folder.join("text.so"), "no library\n").unwrap();
    let check = |line: &str, expected: &str| {
        let said = vkcc(folder, &[], line);
        assert_ne!(said.status, 0, "{line}");
        assert!(said.stderr.contains(expected), "{line}: {}", said.stderr);
    };
    check(
        "-shared -o third.so first.so",
        "cannot be part of another one",
    );
    check(
        "-shared -Wl,-soname,a/b -o third.so first.c",
        "cannot be called `a/b`",
    );
    check("-mloadable=mixed.so open.c", "make both again");
    check(
        "-mloadable=text.so open.c",
        "no library that `vkcc -shared` made",
    );
    check(
        "-mloadable=alone.so open.c",
        "reading the library's objects in alone.so.a",
    );
    check("-mloadable=absent.so open.c", "reading absent.so");
    let refused = run(driver("vkcc", folder).args(["-shared", &source("first.c")]));
    assert!(refused.stderr.contains("VKCC_SHARED"), "{}", refused.stderr);
}

#[test]
fn equal_inputs_give_equal_programs() {
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        libraries(folder.path(), &[]);
        let (include, lib) = libffi("single");
        let line = format!(
            "-rdynamic -mloadable=first.so -mloadable=second.so -I{include} -o calls.wasm calls.c open.o \
             -L{lib} -lffi"
        );
        well(vkcc(folder.path(), &[], "-Dmain=other -c -o open.o open.c"));
        well(vkcc(folder.path(), &[], &line));
        ["first.so", "first.so.a", "second.so", "calls.wasm"]
            .map(|name| fs::read(folder.path().join(name)).unwrap())
    };
    assert!(make() == make());
}

#[test]
fn calls_and_callbacks_are_as_elsewhere() {
    let expected = fs::read_to_string(source("calls.txt")).unwrap();
    for (variant, options) in VARIANTS {
        let folder = tempfile::tempdir().unwrap();
        let (include, lib) = libffi(variant);
        let line = format!("-I{include} -o calls.wasm calls.c -L{lib} -lffi");
        well(vkcc(folder.path(), options, &line));
        let said = well(ours(folder.path(), "calls.wasm", &[]));
        assert_eq!(said.stdout, expected, "{variant}");
    }
}

#[test]
fn threads_have_their_callbacks() {
    let folder = tempfile::tempdir().unwrap();
    let (include, lib) = libffi("threads");
    let line = format!("-I{include} -o crowd.wasm crowd.c -L{lib} -lffi");
    well(vkcc(folder.path(), &["-pthread"], &line));
    let said = well(ours(folder.path(), "crowd.wasm", &[]));
    assert_eq!(said.stdout, "wrong: 0\nchild: 0\nleft over: 0\n");
}

#[test]
fn calls_of_another_type_are_errors() {
    let expected = fs::read_to_string(source("checked.txt")).unwrap();
    for (variant, options) in VARIANTS {
        let folder = tempfile::tempdir().unwrap();
        let (include, lib) = libffi(variant);
        let line = format!("-I{include} -o checked.wasm checked.c -L{lib} -lffi");
        well(vkcc(folder.path(), options, &line));
        let said = well(ours(folder.path(), "checked.wasm", &[]));
        assert_eq!(said.stdout, expected, "{variant}");
        // 128 and SIGABRT.
        let said = ours(folder.path(), "checked.wasm", &["end"]);
        assert!(
            said.stderr.starts_with("libffi: the function at "),
            "{}",
            said.stderr
        );
        assert_ne!(said.status, 0);
    }
}
