//! The data model of C: what the compiler says of it, and that objects of another one are not linked; and what
//! the compiler warns of.
//!
//! Needs `out/musl-1.2.5` (`polybuild recipes/musl/1.2.5/recipe.toml`) and `tests/install`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{fs, path::Path, process::Command};

use polybuild_e2e::{
    Said,
    linux::{driver, zig},
    run,
};

/// Another triple of the compiler's, in which `long` has 64 bits.
const OTHER: &str = "--target=wasm32-linux-muslwali";

#[track_caller]
fn well(said: &Said) {
    assert_eq!(said.status, 0, "{}", said.stderr);
}

fn vkcc(folder: &Path, arguments: &[&str]) -> Said {
    run(driver("vkcc", folder).args(arguments))
}

/// Compiles `file` with the compiler alone, for another data model.
fn compile_otherwise(folder: &Path, options: &[&str], file: &str) {
    well(&run(Command::new(zig())
        .args(["clang", OTHER, "-c"])
        .args(options)
        .arg(file)
        .env("ZIG_GLOBAL_CACHE_DIR", folder)
        .env("ZIG_LOCAL_CACHE_DIR", folder)
        .current_dir(folder)));
}

#[test]
fn predefined_macros_say_what_is_true() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("empty.c"), "").unwrap();
    let said = vkcc(folder.path(), &["-dM", "-E", "empty.c"]);
    well(&said);
    let value = |name: &str| {
        said.stdout.lines().find_map(|line| {
            let (found, value) = line.strip_prefix("#define ")?.split_once(' ')?;
            (found == name).then_some(value)
        })
    };
    for (name, expected) in [
        ("__ILP32__", "1"),
        ("_ILP32", "1"),
        ("__SIZEOF_LONG__", "4"),
        ("__SIZEOF_POINTER__", "4"),
        ("__SIZEOF_SIZE_T__", "4"),
        ("__LONG_MAX__", "2147483647L"),
        ("__linux__", "1"),
        ("__unix__", "1"),
        ("__wasm32__", "1"),
    ] {
        assert_eq!(value(name), Some(expected), "{name}");
    }
    for name in ["__LP64__", "_LP64", "__PIC__", "__x86_64__"] {
        assert_eq!(value(name), None, "{name}");
    }
}

#[test]
fn objects_of_another_data_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write(
        "main.c",
        "long twice(long); int main(void) { return twice(1) != 2; }",
    );
    write("old.c", "int plain(void) { return 1; }");
    write("twice.c", "int twice(int n) { return 2 * n; }");
    compile_otherwise(folder, &[], "old.c");
    compile_otherwise(folder, &[], "twice.c");
    for (archive, object) in [("libold.a", "old.o"), ("libtwice.a", "twice.o")] {
        well(&run(driver("vkar", folder).args(["rcs", archive, object])));
    }
    for (arguments, names) in [
        (&["main.c", "twice.o"][..], "twice.o"),
        (&["main.c", "-L.", "-ltwice"], "libtwice.a(twice.o)"),
        (&["-r", "twice.o"], "twice.o"),
    ] {
        let said = vkcc(folder, &[&["-o", "program"], arguments].concat());
        assert_eq!(said.status, 1, "{arguments:?}");
        assert!(
            said.stderr.contains("data model") && said.stderr.contains(names),
            "{}",
            said.stderr
        );
        assert!(!folder.join("program").exists());
    }
    // What is not taken from an archive does no harm; and who knows better may say so.
    well(&vkcc(folder, &["-c", "-o", "ours.o", "-x", "c", "twice.c"]));
    well(&vkcc(
        folder,
        &["-o", "program", "main.c", "ours.o", "-L.", "-lold"],
    ));
    well(&vkcc(
        folder,
        &["-o", "trusted", "-mtrust-objects", "main.c", "twice.o"],
    ));
}

#[test]
fn objects_in_the_compilers_own_form_are_asked_for_their_target() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write(
        "main.c",
        "int other(void); int main(int c, char **v) { return other(); }",
    );
    write("other.c", "int other(void) { return 0; }");
    well(&vkcc(
        folder,
        &["-flto", "-O1", "-o", "program", "main.c", "other.c"],
    ));
    compile_otherwise(folder, &["-flto", "-O1"], "other.c");
    let said = vkcc(
        folder,
        &["-flto", "-O1", "-o", "wrong", "main.c", "other.o"],
    );
    assert_eq!(said.status, 1);
    assert!(said.stderr.contains("other.o"), "{}", said.stderr);
}

#[test]
fn a_program_says_once_what_its_model_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("main.c"), "int main(void) { return 0; }").unwrap();
    fs::write(folder.join("other.c"), "int other;").unwrap();
    let marks = |name: &str| {
        let bytes = fs::read(folder.join(name)).unwrap();
        bytes
            .windows(6)
            .filter(|window| window == b"ilp32;")
            .count()
    };
    for options in [&["-s"][..], &["-g"], &["-pthread"]] {
        let arguments = [options, &["-o", "program", "main.c", "other.c"]].concat();
        well(&vkcc(folder, &arguments));
        assert_eq!(marks("program"), 1, "{options:?}");
    }
    // Objects are what they were when they were marked, also those of assembly.
    fs::write(
        folder.join("tag.s"),
        "\t.globl thing\n\t.section .data.thing,\"\",@\nthing:\n\t.int32 5\n\t.size thing, 4\n",
    )
    .unwrap();
    well(&vkcc(folder, &["-c", "main.c", "other.c", "tag.s"]));
    for object in ["main.o", "other.o", "tag.o"] {
        assert_eq!(marks(object), 1, "{object}");
    }
    well(&vkcc(folder, &["-r", "-o", "both.o", "main.o", "other.o"]));
    well(&vkcc(folder, &["-o", "program", "both.o"]));
}

#[test]
fn arguments_of_printf_that_do_not_fit_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("print.c"),
        "#include <stdio.h>\n#include <sys/types.h>\n\
         void f(off_t place, unsigned long n) { printf(\"%ld\\n\", place); printf(\"%d\\n\", n); \
         printf(\"%lu\\n\", sizeof n); }\n",
    )
    .unwrap();
    let said = vkcc(folder.path(), &["-c", "print.c"]);
    well(&said);
    assert_eq!(
        said.stderr.matches("[-Wformat]").count(),
        2,
        "{}",
        said.stderr
    );
}

#[test]
fn threads_without_their_option_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("threads.c"),
        "#include <pthread.h>\n\
         static void *body(void *a) { return a; }\n\
         int main(void) { pthread_t t; return pthread_create(&t, 0, body, 0); }\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("none.cc"),
        "#include <iostream>\nint main() { std::cout << 1; }",
    )
    .unwrap();
    for (driver_name, arguments, warns) in [
        ("vkcc", &["threads.c"][..], true),
        ("vkcc", &["-lpthread", "threads.c"], true),
        ("vkcc", &["-pthread", "threads.c"], false),
        ("vkc++", &["none.cc"], false),
    ] {
        let said = run(driver(driver_name, folder.path()).args(arguments));
        well(&said);
        assert_eq!(
            said.stderr.contains("makes threads"),
            warns,
            "{arguments:?}: {}",
            said.stderr
        );
    }
}

#[test]
fn main_in_a_freestanding_file_is_called() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("main.c"),
        "int main(int argc, char **argv) { return argc; }",
    )
    .unwrap();
    let said = vkcc(
        folder.path(),
        &["-ffreestanding", "-o", "program", "main.c"],
    );
    well(&said);
    assert!(!said.stderr.contains("mismatch"), "{}", said.stderr);
}
