//! Shared libraries of which a megabinary has one copy (`docs/side-modules.md`): what programs do with them, in threads,
//! children, handlers, from snapshots and after `execve`; a library that is built anew without its programs; and what
//! is refused.
//!
//! Needs root (programs with Linux system calls run in a root of their own), `out/musl-1.2.5` and `tests/install`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use polybuild_e2e::{
    Said,
    linux::{driver, enter},
    polybuild, run, workspace,
};

const FIRST: &str = "-shared -mside-module=0x4100000:0x20000:40000:64 -Wl,-soname,first.so.1 -o libfirst.so first.c";
const SECOND: &str = "-shared -mside-module=0x4200000:0x10000:41000:8 -Wl,-soname,second.so.1 -o libsecond.so second.c -L. -lfirst";
const PROGRAM: &str = "-o program.wasm program.c -L. -lsecond -lfirst";

#[track_caller]
fn well(said: Said) -> Said {
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    said
}

fn vkcc(folder: &Path, line: &str) -> Said {
    let words = line
        .split_whitespace()
        .map(|word| match word.ends_with(".c") {
            true => {
                let path = workspace().join("tests/side-modules").join(word);
                path.to_str().unwrap().to_owned()
            }
            false => word.to_owned(),
        });
    let mut command = driver("vkcc", folder);
    run(command.args(["-O2", "-w", "-pthread"]).args(words))
}

/// Both libraries, and the program as `program.wasm` and, with a snapshot, as `warm.wasm`.
fn made(folder: &Path) {
    well(vkcc(folder, FIRST));
    well(vkcc(folder, SECOND));
    well(vkcc(folder, PROGRAM));
    well(vkcc(
        folder,
        "-DSNAPSHOT -o warm.wasm program.c -L. -lfirst -lsecond",
    ));
    well(vkcc(folder, "-o alone.wasm program.c first.c second.c"));
}

/// The image's folder, or what is wrong.
fn built(folder: &Path) -> Result<PathBuf, Said> {
    let mut recipe = String::from(
        "[recipe]\nname = \"t\"\nversion = \"1\"\nkind = \"image\"\n[image]\nname = \"t\"\ntag = \"1\"\n",
    );
    for library in ["first", "second"] {
        recipe.push_str(&format!(
            "[[library]]\nname = \"{library}.so.1\"\nfile = \"path:lib{library}.so\"\n"
        ));
    }
    for module in ["program", "warm", "alone"] {
        recipe.push_str(&format!(
            "[[module]]\nname = \"{module}\"\nfile = \"path:{module}.wasm\"\n"
        ));
        if module == "warm" {
            recipe.push_str("[module.snapshot]\nargs = [\"warm\"]\n");
        }
        recipe.push_str(&format!(
            "[[program]]\nname = \"{module}\"\nmodule = \"{module}\"\npaths = [\"/bin/{module}\"]\n"
        ));
    }
    fs::write(folder.join("recipe.toml"), recipe).unwrap();
    let said = run(polybuild()
        .arg("--quiet")
        .arg(folder.join("recipe.toml"))
        .arg("-o")
        .arg(folder.join("image")));
    match said.status {
        0 => Ok(folder.join("image")),
        _ => Err(said),
    }
}

fn root(folder: &Path) -> PathBuf {
    let image = built(folder).unwrap_or_else(|said| panic!("{}", said.stderr));
    let root = folder.join("root");
    let _ = fs::remove_dir_all(&root);
    well(run(polybuild()
        .args(["export", "--quiet", "--format", "rootfs", "-o"])
        .arg(&root)
        .arg(image)));
    for name in ["proc", "dev", "w", "tmp"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    root
}

const NONE: &[&str] = &[];

/// What the program says of itself.
fn looked(name: &str) -> String {
    format!(
        "{name}: 42 42 25 -4 <two> 12 205\nerrno -1 1\nthreads 580 4000\nchild 22 4000\nspun 1\nfirst: hello\n"
    )
}

#[test]
fn programs_use_them_as_if_they_were_their_own() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let root = root(folder.path());
    let alone = well(enter(&root, "/bin/alone", NONE, NONE));
    assert_eq!(alone.stdout, looked("/bin/alone"));
    // The last one is a program of one copy, which is executed by one with libraries, and so on.
    let said = well(enter(&root, "/bin/program", &["/bin/warm"], NONE));
    let warm = format!("resumed with 99\n{}", looked("warm"));
    assert_eq!(said.stdout, looked("/bin/program") + &warm);
    assert_eq!(said.stderr, "first: hello\nfirst: hello\n");
    let said = well(enter(&root, "/bin/alone", &["/bin/program"], NONE));
    assert_eq!(said.stdout, looked("/bin/alone") + &looked("/bin/program"));
    let said = enter(&root, "/bin/program", &["trap"], NONE);
    assert!(
        said.stderr.contains("0: first_trap (function"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_library_is_built_anew_without_its_programs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    made(folder);
    let before = root(folder);
    assert_eq!(
        well(enter(&before, "/bin/program", &["version"], NONE)).stdout,
        "42\n"
    );
    let inspected = well(run(polybuild().arg("inspect").arg(folder.join("image"))));
    assert!(
        inspected
            .stdout
            .contains("shared    by 2 programs (program, warm)"),
        "{}",
        inspected.stdout
    );
    let program = fs::read(folder.join("program.wasm")).unwrap();
    well(vkcc(folder, &format!("-DFIX=1 {FIRST}")));
    let after = root(folder);
    assert_eq!(
        well(enter(&after, "/bin/program", &["version"], NONE)).stdout,
        "43\n"
    );
    assert_eq!(fs::read(folder.join("program.wasm")).unwrap(), program);
    let warm = well(enter(&after, "/bin/warm", NONE, NONE));
    assert!(
        warm.stdout.starts_with("resumed with 99\nwarm: 43 "),
        "{}",
        warm.stdout
    );
    // One that offers more is another one.
    well(vkcc(folder, &format!("-DMORE {FIRST}")));
    let said = built(folder).unwrap_err();
    assert!(
        said.stderr
            .contains("linked with a shared library `first.so.1` that offers sha256:"),
        "{}",
        said.stderr
    );
}

#[test]
fn what_cannot_be_a_library() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let place = "-shared -mside-module=0x4100000:0x10000:40000:64 -o libbad.so";
    let check = |text: &str, line: &str, expected: &str| {
        fs::write(folder.join("bad"), text).unwrap();
        let said = vkcc(folder, line);
        assert!(
            said.status != 0 && said.stderr.contains(expected),
            "{line}: {} {}",
            said.status,
            said.stderr
        );
    };
    let source = format!("{place} -x c bad");
    check(
        "extern char **environ; char **f(void) { return environ; }",
        &source,
        "undefined symbol: environ",
    );
    check(
        "_Thread_local int own; int *f(void) { return &own; }",
        &source,
        "of which each thread has its own",
    );
    check(
        "#include <setjmp.h>\njmp_buf b; void g(void); int f(void) { if (setjmp(b)) return 1; g(); return 0; }",
        &source,
        "undefined symbol: __c_longjmp",
    );
    check(
        "static int f(void) { return 0; }",
        &source,
        "it offers no function",
    );
    check(
        "char big[70000]; char *f(void) { return big; }",
        &source,
        "make it with another -mside-module",
    );
    check(
        "int f(void) { return 0; }",
        &format!("-mno-such {source}").replace("0x4100000", "0x100000"),
        "ADDRESS:BYTES:SLOT:COUNT",
    );
    // A library of one that is not there, and a program without threads.
    well(vkcc(folder, FIRST));
    well(vkcc(folder, SECOND));
    check(
        "int second_sum(int); int main(void) { return second_sum(3); }",
        "-o p.wasm -x c bad -L. -lsecond",
        "second.so.1 needs the library first.so.1",
    );
    let mut command = driver("vkcc", folder);
    let said = run(command.args([
        "-x", "c", "bad", "-o", "p.wasm", "-L.", "-lsecond", "-lfirst",
    ]));
    assert!(
        said.stderr.contains("it is for programs with threads"),
        "{}",
        said.stderr
    );
}
