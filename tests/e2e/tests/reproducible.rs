//! The same recipe gives the same bytes: in other folders, at other times, with other caches.
//!
//! The golden digest is that of a tiny image's portable megabinary, which depends on the linker, the
//! formats and the key, and on neither the launcher nor the compiler. After a change that is meant
//! to change it:
//!
//! ```text
//! POLYBUILD_BLESS=1 cargo test -p polybuild-e2e --release --test reproducible golden
//! ```
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use megabinary_format::Digest;
use polybuild_e2e::{
    run,
    sandbox::{Sandbox, cases, copy, files},
    workspace,
};

/// Path, mode and contents' digest of everything in a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, u32, Option<String>)> {
    files(folder)
        .into_iter()
        .map(|path| {
            let metadata = fs::symlink_metadata(&path).unwrap();
            let digest = metadata
                .is_file()
                .then(|| Digest::of(&fs::read(&path).unwrap()).to_string());
            let mode = metadata.permissions().mode();
            (path.strip_prefix(folder).unwrap().to_owned(), mode, digest)
        })
        .collect()
}

#[track_caller]
fn same(one: &Path, two: &Path) {
    let (one, two) = (contents(one), contents(two));
    assert!(one.len() > 8, "{one:#?}");
    assert_eq!(one, two);
}

/// Sets all files' times, as another check-out at another time would.
fn set_times(folder: &Path, time: SystemTime) {
    for path in files(folder).iter().filter(|p| p.is_file()) {
        fs::File::options()
            .append(true)
            .open(path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }
}

#[test]
fn hello_elsewhere_and_later() {
    let one = Sandbox::with("hello");
    set_times(
        &one.work(),
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000),
    );
    one.ok(&["recipe.toml", "-o", "out"]);
    std::thread::sleep(Duration::from_millis(1100));
    let two = Sandbox::new();
    copy(&cases().join("hello"), &two.work().join("a deeper/folder"));
    let mut command = two.polybuild(&["build", "a deeper/folder/recipe.toml", "-o", "elsewhere/x"]);
    command
        .env("TZ", "Asia/Tokyo")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("TMPDIR", two.home())
        .env("USER", "somebody");
    let said = run(&mut command);
    assert_eq!(said.status, 0, "{said:#?}");
    same(&one.work().join("out"), &two.work().join("elsewhere/x"));
}

#[test]
fn hello_whatever_the_umask() {
    let (one, two) = (Sandbox::with("hello"), Sandbox::with("hello"));
    for (sandbox, umask) in [(&one, "022"), (&two, "077")] {
        let script = format!("umask {umask}; exec \"$@\"");
        let polybuild = polybuild_e2e::polybuild_path();
        let mut command = sandbox.command("sh");
        command
            .args(["-c", &script, "sh"])
            .arg(polybuild)
            .args(["recipe.toml", "-o", "out"]);
        let said = run(&mut command);
        assert_eq!(said.status, 0, "{said:#?}");
    }
    // Folders and files of the layout have the modes that the user wants; contents are the same.
    let bytes = |sandbox: &Sandbox| -> Vec<_> {
        let all = contents(&sandbox.work().join("out"));
        all.into_iter()
            .map(|(path, _, digest)| (path, digest))
            .collect()
    };
    assert_eq!(bytes(&one), bytes(&two));
}

#[test]
fn hello_as_another_form() {
    let build = || {
        let sandbox = Sandbox::with("hello");
        sandbox.ok(&["recipe.toml", "-o", "out", "--form", "pulley"]);
        assert_eq!(
            sandbox.ok(&["run", "out", "--form", "pulley"]).stdout,
            "hello\n"
        );
        sandbox
    };
    let (one, two) = (build(), build());
    same(&one.work().join("out"), &two.work().join("out"));
}

#[test]
fn the_time_stamp_is_the_one_that_is_given() {
    let build = |epoch: &str| {
        let sandbox = Sandbox::with("hello");
        let mut command = sandbox.polybuild(&["recipe.toml", "-o", "out"]);
        let said = run(command.env("SOURCE_DATE_EPOCH", epoch));
        (said, sandbox)
    };
    let ((_, one), (_, two), (_, other)) = (build("1700000000"), build("1700000000"), build("1"));
    same(&one.work().join("out"), &two.work().join("out"));
    assert_ne!(
        contents(&one.work().join("out")),
        contents(&other.work().join("out"))
    );
    for bad in ["yesterday", "-1", "99999999999999"] {
        let (said, sandbox) = build(bad);
        assert_eq!(said.status, 2, "{said:#?}");
        assert!(said.stderr.contains("SOURCE_DATE_EPOCH"), "{said:#?}");
        sandbox.nothing_half_written();
    }
}

#[test]
fn golden() {
    let sandbox = Sandbox::with("hello");
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    let found = format!("{}\n", Digest::of(&sandbox.read("out/megabinary.wasm")));
    let path = cases().join("golden/hello.portable");
    if std::env::var_os("POLYBUILD_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &found).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        found, wanted,
        "see the head of this test for how to bless it"
    );
}

/// The cache of whoever runs the tests, where building the Python image put its sources.
fn users_sources() -> PathBuf {
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    let cache = variable("POLYBUILD_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|d| d.join("polybuild")))
        .unwrap_or_else(|| variable("HOME").unwrap().join(".cache/polybuild"));
    let sources = cache.join("sha256");
    assert!(
        sources.is_dir(),
        "{} is missing: build the Python image first",
        sources.display()
    );
    sources
}

#[test]
fn python_elsewhere_and_later() {
    let build = |below: &str| {
        let sandbox = Sandbox::new();
        let root = sandbox.work().join(below);
        for folder in ["base-images/python", "recipes/python", "polyfills/python"] {
            copy(&workspace().join(folder), &root.join(folder));
        }
        // Only what was fetched is shared; everything else is made anew.
        copy(&users_sources(), &sandbox.cache().join("sha256"));
        let recipe = root.join("base-images/python/3.12-slim/recipe.toml");
        let recipe = recipe.to_str().unwrap();
        sandbox.ok(&["build", recipe, "-o", "out", "--locked", "--offline"]);
        sandbox
    };
    let (one, two) = (build("x"), build("another/place"));
    same(&one.work().join("out"), &two.work().join("out"));
}
