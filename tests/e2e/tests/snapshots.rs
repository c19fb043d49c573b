//! Snapshots of Linux programs, with threads and without: what a start from one finds again and what is new
//! in it, starts that it cannot serve, `execve`, what no snapshot can hold, and that two builds give the
//! same bytes.
//!
//! Needs root (it mounts and changes roots), `out/musl-1.2.5` and `tests/install`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use polybuild_e2e::{
    Said,
    linux::{enter, vkcc},
    polybuild, run, workspace,
};

/// Where the guest is, with threads or without.
fn guest(folder: &Path, threads: bool) -> PathBuf {
    let module = folder.join("guest.wasm");
    let said = run(vkcc()
        .args(["-std=gnu17", "-O1", "-w"])
        .args(
            threads
                .then_some(["-pthread", "-DTHREADS"])
                .into_iter()
                .flatten(),
        )
        .arg("-o")
        .arg(&module)
        .arg(workspace().join("tests/e2e/guests/linux/snapshot.c")));
    assert_eq!(said.status, 0, "{}", said.stderr);
    module
}

/// Builds an image of the guest with a snapshot for which it gets these arguments.
fn build(folder: &Path, arguments: &[&str], policy: &str) -> Said {
    let arguments: Vec<String> = arguments.iter().map(|a| format!(", {a:?}")).collect();
    fs::write(
        folder.join("recipe.toml"),
        format!(
            "[recipe]\nname = \"guest\"\nversion = \"1\"\nkind = \"app\"\n\
             [[module]]\nname = \"guest\"\nfile = \"path:guest.wasm\"\n\
             [module.snapshot]\nargs = [\"guest\"{}]\nenv = {{ AT = \"image time\" }}\n\
             [[program]]\nname = \"guest\"\nmodule = \"guest\"\npaths = [\"/bin/guest\"]\n\
             [image]\nname = \"test/guest\"\ntag = \"1\"\n[policy]\n{policy}",
            arguments.concat()
        ),
    )
    .unwrap();
    run(polybuild()
        .arg("--quiet")
        .arg(folder.join("recipe.toml"))
        .arg("-o")
        .arg(folder.join("image")))
}

/// An image of the guest with a snapshot, and its root.
struct Image(tempfile::TempDir);

impl Image {
    fn new(threads: bool, policy: &str) -> Image {
        let folder = tempfile::tempdir().unwrap();
        guest(folder.path(), threads);
        let said = build(folder.path(), &[], policy);
        assert_eq!(said.status, 0, "{}", said.stderr);
        let image = Image(folder);
        let said = run(polybuild()
            .args(["export", "--quiet", "--format", "rootfs", "-o"])
            .arg(image.root())
            .arg(image.0.path().join("image")));
        assert_eq!(said.status, 0, "{}", said.stderr);
        for name in ["proc", "dev", "w", "tmp"] {
            fs::create_dir_all(image.root().join(name)).unwrap();
        }
        image
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    /// Runs it as in a container, in `/w`.
    fn run(&self, args: &[&str], env: &[&str]) -> Said {
        enter(&self.root(), "/bin/guest", args, env)
    }

    /// What runs it in a root that the vkernel itself makes its own.
    fn alone(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.root().join(".vkernel/megabinary"));
        command.env_clear().arg("--root").arg(self.root());
        command.args(["--cwd", "/w", "--program", "/bin/guest", "--"]);
        command.args(args);
        command
    }
}

#[track_caller]
fn says(said: &Said, status: i32, stdout: &str) {
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (status, stdout),
        "{}",
        said.stderr
    );
}

fn both(check: impl Fn(bool) + Sync) {
    std::thread::scope(|scope| {
        for threads in [false, true] {
            let check = &check;
            scope.spawn(move || check(threads));
        }
    });
}

/// What is in standard output's buffer at the snapshot point comes with every start.
const BEGUN: &str = "begun ";

#[test]
fn a_start_finds_everything_again_and_begins_anew() {
    both(|threads| {
        let image = Image::new(threads, "");
        says(
            &image.run(&["look"], &[]),
            0,
            &format!("{BEGUN}all there\nexit handler\n"),
        );
        let start = |args: &[&str], env: &[&str]| image.run(args, env);
        says(
            &start(&["start", "a b", ""], &["A=1", "B="]),
            4,
            &format!("{BEGUN}warm: /bin/guest start a b | A=1 B=| /w guest\nexit handler\n"),
        );
        // Outside of a container, too.
        says(
            &run(image.alone(&["start"]).env("C", "2")),
            2,
            &format!("{BEGUN}warm: /bin/guest start| C=2| /w guest\nexit handler\n"),
        );
        let random = || image.run(&["random"], &[]).stdout;
        assert_ne!(random(), random());
        // The zone that the builder had is forgotten.
        let hour = |zone: &str| image.run(&["zone"], &[&format!("TZ={zone}")]).stdout;
        assert_eq!(hour("XYZ-5"), format!("{BEGUN}5\nexit handler\n"));
        assert_eq!(hour("XYZ-7"), format!("{BEGUN}7\nexit handler\n"));
        // A signal that kills it does so.
        assert_eq!(image.run(&["abort"], &[]).status, 134);
    });
}

/// Until it says so it has changed its memory and what is done on a signal.
#[test]
fn what_a_snapshot_cannot_serve_starts_afresh() {
    both(|threads| {
        let image = Image::new(threads, "");
        let said = image.run(&["cold", "start", "x"], &["VKERNEL_AUDIT=stderr"]);
        assert_eq!(said.status, 3, "{}", said.stderr);
        let expected = "begun from the heap cold: cold start x| SET_BEFORE=1| /w guest\n";
        assert_eq!(said.stdout, expected);
        assert!(said.stderr.contains("cold-start"), "{}", said.stderr);
        says(
            &image.run(&["cold", "look"], &[]),
            0,
            "begun from the heap all there\n",
        );
    });
}

#[test]
fn a_program_that_is_executed_starts_from_its_snapshot() {
    both(|threads| {
        let image = Image::new(threads, "");
        let said = image.run(&["exec", "3"], &[]);
        let lines = ["3", "2", "1", "0"].map(|n| format!("{BEGUN}{n} warm\n"));
        says(&said, 3, &format!("{}exit handler\n", lines.concat()));
    });
}

/// What is ignored at a start stays so, and what is blocked, too.
#[test]
fn signals_of_the_parent() {
    both(|threads| {
        let image = Image::new(threads, "");
        let end = "\nexit handler\n";
        let signals = image.run(&["signals"], &[]);
        says(
            &signals,
            0,
            &format!("{BEGUN}SIGINT caught, SIGHUP open{end}"),
        );
        let become_it = image.run(&["become"], &[]);
        let expected = format!("{BEGUN}SIGINT ignored, SIGHUP blocked{end}");
        says(&become_it, 0, &expected);
        // By who starts the process, too.
        let mut shell = Command::new("sh");
        let alone = image.alone(&["signals"]);
        shell
            .args(["-c", "trap '' INT; exec \"$@\"", "sh"])
            .arg(alone.get_program())
            .args(alone.get_args());
        let expected = format!("{BEGUN}SIGINT ignored, SIGHUP open{end}");
        says(&run(&mut shell), 0, &expected);
    });
}

/// What stands in the way fails the build by its name.
#[test]
fn what_a_snapshot_cannot_hold_is_refused() {
    both(|threads| {
        let folder = tempfile::tempdir().unwrap();
        guest(folder.path(), threads);
        let mut cases = vec![
            ("descriptor", "the open descriptor 3"),
            ("pipe", "the open descriptor 3"),
            ("closed", "a closed descriptor 0"),
            ("child", "a child process"),
            ("alarm", "a running timer"),
            ("timer", "a timer"),
            ("shared", "shared memory"),
            ("file", "a map of a file"),
            ("pending", "the pending signal 12"),
            ("directory", "another working directory"),
            ("umask", "another creation mask"),
            ("kept", "kept from children"),
            ("exit", "without coming to its snapshot point"),
            ("crash", "gave no snapshot"),
        ];
        if threads {
            cases.push(("thread", "other threads"));
        }
        for (how, expected) in cases {
            let said = build(folder.path(), &["spoil", how], "");
            assert!(
                said.status != 0 && said.stderr.contains(expected),
                "{how}: {} {}",
                said.status,
                said.stderr
            );
            assert!(said.stderr.contains("`guest`"), "{how}: {}", said.stderr);
            assert!(!folder.path().join("image").exists(), "{how}");
        }
    });
}

#[test]
fn a_module_without_a_snapshot_point_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let said = run(vkcc()
        .args(["-std=gnu17", "-w", "-o"])
        .arg(folder.path().join("guest.wasm"))
        .arg(workspace().join("tests/e2e/guests/hello.c")));
    assert_eq!(said.status, 0, "{}", said.stderr);
    let said = build(folder.path(), &[], "");
    assert!(
        said.status != 0 && said.stderr.contains("vkernel_snapshot"),
        "{}",
        said.stderr
    );
}

/// What is taken counts as the program's memory, before it runs.
#[test]
fn the_policy_counts_what_is_mapped() {
    let image = Image::new(false, "memory-max = \"64MiB\"\n");
    let narrow = |to: &str| {
        image
            .run(&["start"], &[&format!("VKERNEL_POLICY=memory-max={to}")])
            .status
    };
    assert_eq!(narrow("32MiB"), 2);
    assert_ne!(narrow("4MiB"), 2);
}

/// A dump that is not what it was is taken anew, never believed.
#[test]
fn a_dump_that_has_been_changed_in_the_cache_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    guest(folder.path(), false);
    let cache = folder.path().join("cache");
    let build = || {
        let said = run(polybuild()
            .arg("--quiet")
            .env("POLYBUILD_CACHE", &cache)
            .arg(folder.path().join("recipe.toml"))
            .arg("-o")
            .arg(folder.path().join("image")));
        assert_eq!(said.status, 0, "{}", said.stderr);
        fs::read_to_string(folder.path().join("image/build.json")).unwrap()
    };
    recipe(folder.path());
    let first = build();
    let snapshots = cache.join("snapshots");
    let mut changed = 0;
    for entry in fs::read_dir(&snapshots).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let mut bytes = fs::read(&path).unwrap();
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            changed += 1;
        }
    }
    assert!(changed > 0);
    fs::remove_dir_all(folder.path().join("image")).unwrap();
    assert_eq!(build(), first);
}

/// The recipe alone, for builds with another cache.
fn recipe(folder: &Path) {
    build(folder, &[], "");
    let _ = fs::remove_dir_all(folder.join("image"));
}

/// With a cache of its own each, in another folder, as another process.
#[test]
fn the_same_module_gives_the_same_snapshot() {
    both(|threads| {
        let built = |name: &str| {
            let folder = tempfile::Builder::new().prefix(name).tempdir().unwrap();
            guest(folder.path(), threads);
            recipe(folder.path());
            let said = run(polybuild()
                .arg("--quiet")
                .env("POLYBUILD_CACHE", folder.path().join("cache"))
                .arg(folder.path().join("recipe.toml"))
                .arg("-o")
                .arg(folder.path().join("image")));
            assert_eq!(said.status, 0, "{}", said.stderr);
            fs::read(folder.path().join("image/megabinary.wasm")).unwrap()
        };
        assert!(built("one") == built("another-place"), "threads: {threads}");
    });
}
