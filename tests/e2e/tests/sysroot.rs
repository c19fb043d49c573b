//! The sysroot of the Linux personality and its compiler driver: what programs are made of, that
//! nothing of the host gets in, and that outputs are reproducible.
//!
//! Needs `out/musl-1.2.5` (`polybuild recipes/musl/1.2.5/recipe.toml`), `tests/install` and, where a
//! program is run, root.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use polybuild_e2e::{
    Said,
    guests::{run_wasm, test_tools_python},
    linux::driver,
    polybuild, run, workspace,
};

fn guest(name: &str) -> PathBuf {
    workspace().join("tests/e2e/guests/linux").join(name)
}

#[track_caller]
fn well(said: &Said) {
    assert_eq!(said.status, 0, "{}", said.stderr);
}

/// Imports as `module.name`, and exports, of a module that is valid.
fn contents(module: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let script = "import sys, wasmtime as w\n\
        c = w.Config(); c.wasm_threads = True; c.wasm_exceptions = True; c.shared_memory = True\n\
        m = w.Module.from_file(w.Engine(c), sys.argv[1])\n\
        print(*[f'{i.module}.{i.name}' for i in m.imports])\n\
        print(*[e.name for e in m.exports])";
    let said = run(Command::new(test_tools_python())
        .args(["-c", script])
        .arg(module));
    well(&said);
    let mut lines = said.stdout.lines();
    let mut words = || {
        let line = lines.next().unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    (words(), words())
}

#[test]
fn programs_that_are_optimised_when_they_are_linked() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("no.c"),
        "int f(void); int main(void) { return f(); }",
    )
    .unwrap();
    fs::write(
        dir.path().join("yes.c"),
        "int f(void); int main(int c, char **v) { return f() + c; }",
    )
    .unwrap();
    let jumps = "#include <setjmp.h>\nstatic jmp_buf b;\n\
        int f(void) { if (setjmp(b)) return 0; longjmp(b, 1); }";
    fs::write(dir.path().join("jumps.c"), jumps).unwrap();
    for main in ["no.c", "yes.c"] {
        well(&run(
            driver("vkcc", dir.path()).args(["-O2", "-flto", "-o", "program", main, "jumps.c"])
        ));
        let (imports, _) = contents(&dir.path().join("program"));
        // The jumping function is the one in which signals are handled where it can catch.
        assert!(imports.contains("wali.__signal_checkpoint"), "{imports:?}");
    }
    // What can wait does.
    well(&run(
        driver("vkcc", dir.path()).args(["-O2", "-flto", "-c", "yes.c"])
    ));
    let object = fs::read(dir.path().join("yes.o")).unwrap();
    assert!(object.starts_with(b"BC"));
}

#[test]
fn exceptions_are_caught_after_optimisation_at_link_time() {
    let dir = tempfile::tempdir().unwrap();
    let source = "#include <stdexcept>\n#include <cstdio>\n\
        void f(int n) { if (n) throw std::runtime_error(\"caught\"); }\n\
        int main(int n, char **) { try { f(n); } catch (std::exception &e) { puts(e.what()); } }";
    fs::write(dir.path().join("throws.cc"), source).unwrap();
    let line = ["-O2", "-flto", "-o", "program.wasm", "throws.cc"];
    well(&run(driver("vkc++", dir.path()).args(line)));
    let said = run(&mut run_wasm(&dir.path().join("program.wasm")));
    assert_eq!(said.stdout, "caught\n", "{}", said.stderr);
}

#[test]
fn programs_import_the_calls_they_make_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let check = |options: &[&str], source: &str, has: &[&str], has_not: &[&str]| {
        let name = if source.ends_with(".cc") {
            "vkc++"
        } else {
            "vkcc"
        };
        well(&run(driver(name, dir.path())
            .args(["-O1", "-Wall", "-Werror", "-o", "program"])
            .args(options)
            .arg(guest(source))));
        let (imports, exports) = contents(&dir.path().join("program"));
        for import in has {
            assert!(
                imports.contains(*import),
                "{source}: no {import} in {imports:?}"
            );
        }
        for import in has_not {
            assert!(!imports.contains(*import), "{source}: {import}");
        }
        assert!(
            imports
                .iter()
                .all(|i| i.starts_with("wali.") || i == "env.memory")
        );
        for export in [
            "_start",
            "__indirect_function_table",
            "__stack_pointer",
            "__heap_base",
        ] {
            assert!(exports.contains(export), "{source}: no {export}");
        }
        exports
    };
    let alone = [
        "env.memory",
        "wali.SYS_socket",
        "wali.SYS_fork",
        "wali.__wasm_thread_spawn",
    ];
    let exports = check(
        &[],
        "library.c",
        &["wali.SYS_writev", "wali.SYS_getpid"],
        &alone,
    );
    assert!(exports.contains("memory"));
    let exports = check(&["-pthread"], "library.c", &["env.memory"], &alone[1..]);
    assert!(exports.contains("__tls_base"));
    let exports = check(
        &["-pthread"],
        "thread.c",
        &["env.memory", "wali.__wasm_thread_spawn", "wali.SYS_futex"],
        &["wali.SYS_clone"],
    );
    assert!(exports.contains("__wasm_thread_start_libc"));
    check(
        &[],
        "thread.c",
        &[],
        &["env.memory", "wali.__wasm_thread_spawn"],
    );
    check(&[], "cxx.cc", &["wali.SYS_writev"], &alone);
    check(&["-pthread"], "cxx.cc", &["env.memory"], &alone[1..]);
}

#[test]
fn nothing_of_the_host_gets_in() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("host.c"),
        "#include <x86_64-linux-gnu/asm/unistd.h>\nint main(void) { return 0; }\n",
    )
    .unwrap();
    fs::write(dir.path().join("plain.c"), "int main(void) { return 0; }\n").unwrap();
    let check = |arguments: &[&str], variable: &str, expected: &str| {
        let said = run(driver("vkcc", dir.path())
            .args(arguments)
            .args(["-o", "x"])
            .env(variable, "/usr/include"));
        assert_ne!(said.status, 0, "{arguments:?}");
        assert!(
            said.stderr.contains(expected),
            "{arguments:?}: {}",
            said.stderr
        );
        assert!(!dir.path().join("x").exists(), "{arguments:?}");
    };
    check(&["host.c"], "UNUSED", "file not found");
    for variable in ["CPATH", "C_INCLUDE_PATH"] {
        check(&["host.c"], variable, "file not found");
    }
    check(&["-I/usr/include", "host.c"], "UNUSED", "it is the host's");
    check(
        &["-isystem", "/usr/include", "host.c"],
        "UNUSED",
        "file not found",
    );
    // The C library's own development files are on every machine that has gcc.
    check(
        &["plain.c", "-lBrokenLocale"],
        "UNUSED",
        "unable to find library",
    );
    check(
        &["plain.c", "-L/usr/lib/x86_64-linux-gnu", "-lBrokenLocale"],
        "LIBRARY_PATH",
        "unable to find library",
    );
}

#[test]
fn a_missing_function_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let check = |text: &str, expected: &str| {
        fs::write(dir.path().join("a.c"), text).unwrap();
        let said = run(driver("vkcc", dir.path()).args(["a.c", "-o", "a"]));
        assert_ne!(said.status, 0);
        assert!(said.stderr.contains(expected), "{}", said.stderr);
        assert!(!dir.path().join("a").exists());
    };
    check(
        "int nowhere(void); int main(void) { return nowhere(); }",
        "undefined symbol: nowhere",
    );
    check(
        "__attribute__((import_module(\"env\"), import_name(\"evil\"))) int f(void);\n\
         int main(void) { return f(); }",
        "env.evil",
    );
}

#[test]
fn outputs_say_nothing_of_the_machine() {
    let build = |option: &str| {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("a.c");
        fs::write(
            &source,
            "#include <assert.h>\nchar text[] = __DATE__ __TIME__ __FILE__;\n\
             int main(int n, char **v) { assert(n); return text[n]; }\n",
        )
        .unwrap();
        well(&run(driver("vkcc", dir.path())
            .args(["-g", option, "-o", "a"])
            .arg(&source)));
        let bytes = fs::read(dir.path().join("a")).unwrap();
        let path = dir.path().to_str().unwrap().as_bytes();
        assert!(!bytes.windows(path.len()).any(|window| window == path));
        bytes
    };
    for option in ["-O0", "-O2", "-pthread"] {
        assert!(build(option) == build(option), "{option}");
    }
}

#[test]
fn calls_through_casts_work_where_they_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let native = dir.path().join("native");
    well(&run(Command::new("gcc")
        .args(["-O2", "-w", "-o"])
        .arg(&native)
        .arg(guest("casts.c"))));
    let expected = run(&mut Command::new(&native));
    well(&expected);
    assert_eq!(expected.stdout.lines().count(), 7);
    for options in [&["-O2"][..], &["-O0"], &["-O2", "-pthread"]] {
        let made = |name: &str, more: &[&str]| {
            well(&run(driver("vkcc", dir.path())
                .args(options)
                .args(more)
                .args(["-w", "-o", name])
                .arg(guest("casts.c"))));
            run(&mut run_wasm(&dir.path().join(name)))
        };
        let said = made("casts", &["-mcast-calls"]);
        well(&said);
        assert_eq!(said.stdout, expected.stdout, "{options:?}");
        let said = made("plain", &[]);
        assert_ne!(said.status, 0, "{options:?}");
        assert!(
            said.stderr.contains("indirect call type mismatch"),
            "{}",
            said.stderr
        );
    }
}

#[test]
fn the_kernels_headers_fit_the_data_model() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = workspace().join("recipes/linux-headers/6.12/recipe.toml");
    well(&run(polybuild()
        .args(["build", "--locked", "--quiet", "-o"])
        .arg(dir.path().join("headers"))
        .arg(recipe)));
    let headers = dir.path().join("headers/headers/linux-headers");
    fs::write(
        dir.path().join("kernel.c"),
        "#include <asm/statfs.h>\n\
         #include <asm/unistd.h>\n\
         #include <linux/fs.h>\n\
         #include <linux/futex.h>\n\
         #include <linux/if_packet.h>\n\
         #include <linux/mman.h>\n\
         #include <linux/netlink.h>\n\
         #include <linux/sysinfo.h>\n\
         _Static_assert(__BITS_PER_LONG == 32, \"bits\");\n\
         _Static_assert(sizeof(__kernel_long_t) == 8, \"the kernel's long\");\n\
         _Static_assert(sizeof(struct sysinfo) == 112, \"sysinfo\");\n\
         _Static_assert(sizeof(struct statfs) == 120, \"statfs\");\n\
         _Static_assert(__NR_read == 0 && __NR_statx == 332, \"numbers\");\n",
    )
    .unwrap();
    well(&run(driver("vkcc", dir.path())
        .args(["-c", "kernel.c", "-isystem"])
        .arg(&headers)));
    // The System V structures would have another layout than the vkernel's, and say so.
    fs::write(dir.path().join("wrong.c"), "#include <linux/msg.h>\n").unwrap();
    let said = run(driver("vkcc", dir.path())
        .args(["-c", "wrong.c", "-isystem"])
        .arg(&headers));
    assert_eq!(said.status, 1);
    assert!(
        said.stderr.contains("include <sys/msg.h>"),
        "{}",
        said.stderr
    );
}
