//! One small package of each kind, through the real client. These tests need the network (or the
//! mirrors that this machine's clients are configured for) and the clients installed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

use polybuild_fetch::{
    Cache, Extract, Fetched, Fetcher, Options, Pin, Progress, Request, extract, extract_package,
};
use polybuild_recipe::{Lock, LockStatus, Ref, load};

fn request(url: &str) -> Request {
    Request {
        id: "it".into(),
        url: url.parse().unwrap(),
        local: None,
        sha256: None,
        series: None,
        pin: None,
    }
}

fn fetcher(cache: &Path, offline: bool) -> Fetcher {
    let search_path = std::env::var_os("PATH").unwrap();
    Fetcher::new(
        Cache::new(cache),
        Options {
            search_path,
            offline,
            snapshots: None,
        },
    )
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Progress for Log {
    fn bytes(&self, id: &str, done: u64, _: Option<u64>) {
        self.0.lock().unwrap().push(format!("{id} {done}"));
    }
    fn finished(&self, id: &str, size: u64, cached: bool) {
        self.0
            .lock()
            .unwrap()
            .push(format!("{id} finished {size} {cached}"));
    }
    fn warning(&self, id: &str, message: &str) {
        self.0
            .lock()
            .unwrap()
            .push(format!("{id} warning {message}"));
    }
}

/// Fetches, unpacks and looks for a file; then again by its pin and without network.
fn check(url: &str, version: &str, strip: u32, file: &str) -> Fetched {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let log = Log::default();
    let fetched = fetcher(&cache, false).fetch(&request(url), &log).unwrap();
    assert_eq!(fetched.version, version);
    let log = log.0.into_inner().unwrap();
    assert_eq!(log.first().unwrap(), "it 0");
    // Of a source package, all parts besides.
    let parts = fetched.package.iter().flat_map(|p| &p.locked.parts);
    let size = fetched.size + parts.map(|part| part.size).sum::<u64>();
    assert_eq!(*log.last().unwrap(), format!("it finished {size} false"));

    let to = dir.path().join("unpacked");
    let how = Extract {
        strip_components: strip,
        ..Extract::default()
    };
    match &fetched.package {
        Some(package) => extract_package(package, &to, &how).unwrap(),
        None => extract(&fetched.path, &to, &how).unwrap(),
    }
    assert!(to.join(file).is_file(), "{file} is missing");

    let pinned = Request {
        pin: Some(Pin {
            version: fetched.version.clone(),
            package: fetched.package.as_ref().map(|p| p.locked.clone()),
            sha256: fetched.sha256,
            size: fetched.size,
        }),
        ..request(url)
    };
    assert_eq!(fetcher(&cache, true).fetch(&pinned, &()).unwrap(), fetched);
    let left = fs::read_dir(cache.join("partial")).unwrap().count();
    assert_eq!(left, 0, "work folders are left");
    fetched
}

#[test]
fn npm() {
    let fetched = check("npm:is-number@7.0.0", "7.0.0", 1, "package.json");
    assert_eq!(fetched.size, 3730);
}

#[test]
fn npm_resolves_a_range() {
    check("npm:is-number@^6", "6.0.0", 1, "package.json");
}

#[test]
fn npm_with_a_scope() {
    check("npm:@types/estree@1.0.5", "1.0.5", 1, "package.json");
}

#[test]
fn pypi_wheel() {
    check("pypi:six@1.16.0", "1.16.0", 0, "six.py");
}

#[test]
fn pypi_wheel_of_a_platform() {
    check(
        "pypi:markupsafe@3.0.2?platform=manylinux2014_x86_64&python=3.12",
        "3.0.2",
        0,
        "markupsafe/_native.py",
    );
}

#[test]
fn pypi_source_distribution() {
    check("pypi:six@1.16.0?dist=sdist", "1.16.0", 1, "six.py");
}

#[test]
fn crates() {
    check("crates:itoa@1.0.0", "1.0.0", 1, "Cargo.toml");
}

#[test]
fn debian_binary() {
    check(
        "debian:hostname@3.23+nmu1?suite=bookworm",
        "3.23+nmu1",
        0,
        "usr/share/doc/hostname/copyright",
    );
}

#[test]
fn debian_source() {
    check(
        "debian-source:hostname?suite=trixie",
        "3.25",
        1,
        "hostname.c",
    );
}

/// A package that does not exist gives the client's own words.
#[test]
fn no_such_package() {
    let dir = tempfile::tempdir().unwrap();
    let check = |url: &str, tool: &str| {
        let error = fetcher(dir.path(), false)
            .fetch(&request(url), &())
            .unwrap_err();
        let text = error.to_string();
        let start = format!(
            "fetching {}: `{tool}` failed (exit status: ",
            request(url).url
        );
        assert!(text.starts_with(&start), "{text}");
        assert!(!text.contains("(nothing)"), "{text}");
    };
    check("npm:is-number@99.0.0", "npm");
    check("pypi:six@99.0.0", "pip3");
    check("crates:itoa@99.0.0", "cargo");
    check("debian:hostname@99?suite=bookworm", "apt-get");
}

/// The app of the examples: everything that it needs is fetched, unpacked and locked, and the
/// lock of what it declares itself is fresh.
#[test]
fn the_example_app_can_be_locked() {
    let dir = tempfile::tempdir().unwrap();
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/examples/report/recipe.toml");
    let recipe = load(&path).unwrap();
    let fetcher = fetcher(&dir.path().join("cache"), false);
    let mut inputs = Vec::new();
    for source in recipe.sources.iter().filter(|s| s.is_locked()) {
        let request = Request::new(source, None);
        let fetched = fetcher.fetch(&request, &()).unwrap();
        let how = Extract {
            strip_components: source.strip_components,
            ..Extract::default()
        };
        extract(&fetched.path, &dir.path().join(&source.id), &how).unwrap();
        if recipe.parts[0].source(&source.id).is_some() {
            inputs.push(request.locked(&fetched));
        }
    }
    let lock = Lock::new(&recipe.parts[0], inputs).unwrap();
    assert_eq!(lock.check(&recipe.parts[0]).unwrap(), LockStatus::Fresh);
    assert!(
        !lock.text().contains("//"),
        "a lock file names no host: {}",
        lock.text()
    );
    for tree in &recipe.trees {
        for entry in &tree.entries {
            let Ref::Source { id, path } = &entry.source else {
                continue;
            };
            let from = dir
                .path()
                .join(id)
                .join(path.as_deref().unwrap_or_default());
            assert!(from.exists(), "{} is missing", entry.source);
        }
    }
    if let Ref::Source {
        id,
        path: Some(file),
    } = &recipe.modules[0].file
    {
        let module = fs::read(dir.path().join(id).join(file)).unwrap();
        assert!(
            module.starts_with(b"\0asm"),
            "{file} is not a WebAssembly module"
        );
    }
}

/// Everything below a folder: path → kind, executable, content or target.
fn tree(root: &Path) -> BTreeMap<PathBuf, (char, bool, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(root.join(&at)).unwrap() {
            let entry = entry.unwrap();
            let path = at.join(entry.file_name());
            let metadata = fs::symlink_metadata(entry.path()).unwrap();
            let value = if metadata.is_dir() {
                folders.push(path.clone());
                ('d', false, Vec::new())
            } else if metadata.is_symlink() {
                let target = fs::read_link(entry.path()).unwrap();
                ('l', false, target.into_os_string().into_encoded_bytes())
            } else {
                let executable = metadata.permissions().mode() & 0o100 != 0;
                ('f', executable, fs::read(entry.path()).unwrap())
            };
            // What dpkg-source keeps for quilt.
            if path != Path::new(".pc") {
                found.insert(path, value);
            } else {
                folders.pop();
            }
        }
    }
    found
}

/// Unpacks a source package and lets dpkg-source do the same.
fn as_dpkg_source_does(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let url = format!("debian-source:{name}?suite=trixie");
    let fetched = fetcher(&cache, false).fetch(&request(&url), &()).unwrap();
    let package = fetched.package.as_ref().unwrap();
    let files = dir.path().join("files");
    fs::create_dir(&files).unwrap();
    fs::copy(&fetched.path, files.join(&package.locked.file)).unwrap();
    for part in &package.locked.parts {
        fs::copy(
            Cache::new(&cache).path(&part.sha256),
            files.join(&part.file),
        )
        .unwrap();
    }
    let theirs = dir.path().join("theirs");
    let status = Command::new("dpkg-source")
        .args(["--no-check", "--extract"])
        .arg(files.join(&package.locked.file))
        .arg(&theirs)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{name}");
    let ours = dir.path().join("ours");
    let how = Extract {
        strip_components: 1,
        ..Extract::default()
    };
    extract_package(package, &ours, &how).unwrap();
    let (ours, theirs) = (tree(&ours), tree(&theirs));
    let paths: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let differ: Vec<_> = paths
        .into_iter()
        .filter(|p| ours.get(*p) != theirs.get(*p))
        .collect();
    assert!(differ.is_empty(), "{name}: {differ:?}");
    println!(
        "{name}: {} files, {} patches",
        ours.len(),
        package.patches.len()
    );
}

#[test]
fn a_series_is_applied_as_dpkg_source_does() {
    as_dpkg_source_does("dash");
    as_dpkg_source_does("musl");
}

/// The other packages that recipes name, as far as mirrors have them; by hand, because they are large.
#[test]
#[ignore = "fetches some forty megabytes"]
fn every_series_is_applied_as_dpkg_source_does() {
    for name in [
        "bash",
        "busybox",
        "curl@8.14.1-2+deb13u5",
        "git",
        "lua5.4",
        "make-dfsg",
        "ncurses",
        "sqlite3",
        "zlib@1:1.3.dfsg+really1.3.1-1",
    ] {
        as_dpkg_source_does(name);
    }
}
