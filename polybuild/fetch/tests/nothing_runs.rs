//! Nothing that was fetched is executed, whatever the package says: real clients, hostile packages,
//! no network.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use megabinary_format::Digest;
use polybuild_fetch::{Cache, FetchError, Fetched, Fetcher, Options, Pin, Request};

/// A folder with packages, and a `pip3` that knows no other.
struct World {
    dir: tempfile::TempDir,
}

/// The real client, as a user's `PATH` has it.
fn real(name: &str) -> PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed"))
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let world = World { dir };
        for folder in ["bin", "packages", "evil-1.0/evil_backend"] {
            fs::create_dir_all(world.path(folder)).unwrap();
        }
        let wrapper = world.path("bin/pip3");
        let text = format!(
            "#!/bin/sh\nexport PIP_NO_INDEX=1 PIP_FIND_LINKS={} PIP_NO_BUILD_ISOLATION=1\n\
             exec {} \"$@\"\n",
            world.path("packages").display(),
            real("pip3").display()
        );
        fs::write(&wrapper, text).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A source distribution that leaves a mark when any of its code runs.
    fn hostile_sdist(&self, backend: bool) -> Digest {
        let mark = format!("open({:?}, 'w').write('ran')\n", self.path("mark"));
        let setup =
            format!("{mark}from setuptools import setup\nsetup(name='evil', version='1.0')\n");
        let files = [
            ("setup.py", setup.as_str()),
            (
                "PKG-INFO",
                "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n",
            ),
            ("evil_backend/__init__.py", mark.as_str()),
        ];
        for (name, text) in files {
            fs::write(self.path("evil-1.0").join(name), text).unwrap();
        }
        if backend {
            let text = "[build-system]\nrequires = []\nbuild-backend = \"evil_backend\"\n\
                        backend-path = [\".\"]\n";
            fs::write(self.path("evil-1.0/pyproject.toml"), text).unwrap();
        }
        let status = Command::new("tar")
            .args(["czf", "packages/evil-1.0.tar.gz", "evil-1.0"])
            .current_dir(self.dir.path())
            .status();
        assert!(status.unwrap().success());
        Digest::of(&fs::read(self.path("packages/evil-1.0.tar.gz")).unwrap())
    }

    fn fetch(&self, pin: Option<Digest>) -> Result<Fetched, FetchError> {
        let mut folders = vec![self.path("bin")];
        folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let fetcher = Fetcher::new(
            Cache::new(self.path("cache")),
            Options {
                search_path: std::env::join_paths(folders).unwrap(),
                offline: false,
                snapshots: None,
            },
        );
        let request = Request {
            id: "evil".into(),
            url: "pypi:evil@1.0?dist=sdist".parse().unwrap(),
            local: None,
            sha256: None,
            series: None,
            pin: pin.map(|sha256| Pin {
                version: "1.0".into(),
                sha256,
                size: 0,
                package: None,
            }),
        };
        fetcher.fetch(&request, &())
    }

    #[track_caller]
    fn nothing_ran(&self) {
        assert!(!self.path("mark").exists(), "the package's code has run");
    }
}

#[test]
fn a_source_distribution_is_not_built() {
    for backend in [false, true] {
        let world = World::new();
        let digest = world.hostile_sdist(backend);
        // To lock it, when nobody knows its digest, and by its pin.
        for pin in [None, Some(digest)] {
            let _ = fs::remove_dir_all(world.path("cache"));
            let fetched = world.fetch(pin).unwrap();
            assert_eq!((fetched.sha256, fetched.version.as_str()), (digest, "1.0"));
            world.nothing_ran();
        }
        // Another content than the lock file's.
        let _ = fs::remove_dir_all(world.path("cache"));
        let error = world.fetch(Some(Digest::of(b"another"))).unwrap_err();
        assert!(matches!(error, FetchError::Digest(_)), "{error}");
        world.nothing_ran();
    }
}

/// The attack is real: this is what `pip download` alone does.
#[test]
fn pip_alone_would_run_it() {
    let world = World::new();
    world.hostile_sdist(true);
    let _ = Command::new(world.path("bin/pip3"))
        .args(["download", "--no-deps", "--no-binary=:all:", "-d"])
        .arg(world.path("alone"))
        .arg("evil==1.0")
        .output()
        .unwrap();
    assert!(world.path("mark").exists());
}

/// Cargo executes what the configuration in the folders above it names.
#[test]
fn cargo_takes_no_configuration_from_above_the_cache() {
    let world = World::new();
    let mark = world.path("mark");
    let tool = world.path("tool");
    fs::write(
        &tool,
        format!("#!/bin/sh\n: > {}\nexit 1\n", mark.display()),
    )
    .unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(world.path(".cargo")).unwrap();
    let text = format!(
        "[build]\nrustc = {tool:?}\nrustc-wrapper = {tool:?}\n[registry]\nglobal-credential-providers = \
         [{tool:?}]\n"
    );
    fs::write(world.path(".cargo/config.toml"), text).unwrap();
    let request = Request {
        id: "it".into(),
        url: "crates:itoa@1.0.0".parse().unwrap(),
        local: None,
        sha256: None,
        series: None,
        pin: None,
    };
    let fetcher = Fetcher::new(
        Cache::new(Path::new(&world.path("cache"))),
        Options {
            search_path: std::env::var_os("PATH").unwrap(),
            offline: false,
            snapshots: None,
        },
    );
    // Without a network it fails, later than it would have run the tool.
    let _ = fetcher.fetch(&request, &());
    world.nothing_ran();
}
