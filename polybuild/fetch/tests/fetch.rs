//! Fetching with clients that the tests make up: scripts in a `PATH` of their own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use megabinary_format::Digest;
use polybuild_fetch::{Cache, FetchError, Fetched, Fetcher, Options, Pin, Progress, Request};

/// A cache and a `PATH`, both empty.
struct World {
    dir: tempfile::TempDir,
    /// One test at a time: a client that another test starts has our descriptors until its
    /// `execve`, and a script that is open for writing cannot be run (ETXTBSY).
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

/// Progress that keeps the warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Progress for Warnings {
    fn bytes(&self, _: &str, _: u64, _: Option<u64>) {}
    fn finished(&self, _: &str, _: u64, _: bool) {}
    fn warning(&self, _: &str, message: &str) {
        self.0.lock().unwrap().push(message.into());
    }
}

impl World {
    fn new() -> World {
        // A failed test leaves nothing behind that could harm another.
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        World { dir, _alone }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Installs a client: a script that uses nothing but the shell.
    fn install(&self, name: &str, script: &str) -> &World {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// An npm that packs `content` and counts how often it is called.
    fn install_npm(&self, content: &str) -> &World {
        let count = self.path("calls");
        self.install(
            "npm",
            &format!(
                "echo \"$*\" >> {}\nprintf '%s' '{content}' > p-1.0.0.tgz\n\
                 echo '[{{\"version\":\"1.0.0\",\"filename\":\"p-1.0.0.tgz\"}}]'",
                count.display()
            ),
        )
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.path("calls")).map_or(0, |t| t.lines().count())
    }

    fn fetcher(&self, offline: bool) -> Fetcher {
        Fetcher::new(
            Cache::new(self.path("cache")),
            Options {
                search_path: self.path("bin").into(),
                offline,
                snapshots: None,
            },
        )
    }

    fn fetch(&self, request: &Request) -> Result<Fetched, FetchError> {
        self.fetcher(false).fetch(request, &())
    }

    /// The error of fetching an address, as text.
    fn error(&self, url: &str) -> String {
        let error = self.fetch(&request(url)).unwrap_err();
        let text = error.to_string();
        let cached = fs::read_dir(self.path("cache/sha256")).map_or(0, Iterator::count);
        assert_eq!(cached, 0, "something was kept in spite of: {text}");
        text
    }
}

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

fn pinned(content: &str) -> Request {
    Request {
        pin: Some(Pin {
            version: "1.0.0".into(),
            sha256: Digest::of(content.as_bytes()),
            size: content.len() as u64,
            package: None,
        }),
        ..request("npm:p@^1")
    }
}

#[test]
fn a_pinned_source_is_fetched_once() {
    let world = World::new();
    world.install_npm("bytes");
    let first = world.fetch(&pinned("bytes")).unwrap();
    assert_eq!(fs::read(&first.path).unwrap(), b"bytes");
    assert_eq!((first.version.as_str(), first.size), ("1.0.0", 5));
    let mode = fs::metadata(&first.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o444);
    assert_eq!(world.fetch(&pinned("bytes")).unwrap(), first);
    assert_eq!(world.calls(), 1);
    let asked = fs::read_to_string(world.path("calls")).unwrap();
    assert!(
        asked.ends_with("p@1.0.0\n"),
        "the locked version is asked for: {asked}"
    );
}

#[test]
fn without_a_pin_the_client_is_asked_again() {
    let world = World::new();
    world.install_npm("bytes");
    world.fetch(&request("npm:p@^1")).unwrap();
    world.install_npm("newer");
    assert_eq!(
        world.fetch(&request("npm:p@^1")).unwrap().sha256,
        Digest::of(b"newer")
    );
}

#[test]
fn a_corrupt_cache_entry_is_noticed_and_fetched_again() {
    let world = World::new();
    world.install_npm("bytes");
    let fetched = world.fetch(&pinned("bytes")).unwrap();
    // The same length, so that only the digest can tell.
    for damage in ["bytez", "", "more bytes"] {
        fs::remove_file(&fetched.path).unwrap();
        fs::write(&fetched.path, damage).unwrap();
        let warnings = Warnings::default();
        let again = world
            .fetcher(false)
            .fetch(&pinned("bytes"), &warnings)
            .unwrap();
        assert_eq!(fs::read(&again.path).unwrap(), b"bytes");
        let warnings = warnings.0.into_inner().unwrap();
        assert!(warnings[0].contains("was damaged"), "{warnings:?}");
    }
    assert_eq!(world.calls(), 4);
    assert_eq!(
        fs::read_dir(world.path("cache/corrupt")).unwrap().count(),
        3
    );
    // Without network it is an error, and not used either.
    fs::remove_file(&fetched.path).unwrap();
    fs::write(&fetched.path, "bytez").unwrap();
    let error = world
        .fetcher(true)
        .fetch(&pinned("bytes"), &())
        .unwrap_err();
    assert!(matches!(error, FetchError::Offline { .. }), "{error}");
}

#[test]
fn a_digest_mismatch_shows_both_and_keeps_nothing() {
    let world = World::new();
    world.install_npm("evil!");
    let error = world.fetch(&pinned("bytes")).unwrap_err().to_string();
    for part in [
        "npm:p@^1 has another content than the lock file says",
        &format!("wanted {}", Digest::of(b"bytes")),
        &format!("found {} (5 bytes)", Digest::of(b"evil!")),
        "run `polybuild lock RECIPE`",
    ] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert!(!world.path("cache/sha256").exists());

    let demanded = Request {
        sha256: Some(Digest::of(b"bytes")),
        ..request("npm:p@^1")
    };
    let error = world.fetch(&demanded).unwrap_err().to_string();
    assert!(error.contains("correct `sha256` in the recipe"), "{error}");

    let both = Request {
        sha256: Some(Digest::of(b"other")),
        ..pinned("bytes")
    };
    let error = world.fetch(&both).unwrap_err();
    assert!(matches!(error, FetchError::Contradiction { .. }), "{error}");
}

#[test]
fn missing_clients_are_named_with_their_package() {
    let world = World::new();
    for (url, tool, package) in [
        ("npm:p", "npm", "npm"),
        ("pypi:p", "pip3", "python3-pip"),
        ("crates:p", "cargo", "cargo"),
        ("debian:p?suite=trixie", "apt-get", "apt"),
        ("debian-source:p?suite=trixie", "apt-get", "apt"),
    ] {
        let error = world.error(url);
        let words = format!("needs `{tool}`, which is not in PATH");
        assert!(error.contains(&words), "{error}");
        assert!(
            error.contains(&format!("apt-get install {package}")),
            "{error}"
        );
    }
    let https = Request {
        sha256: Some(Digest::of(b"")),
        ..request("https://h.example/f")
    };
    let error = world.fetch(&https).unwrap_err();
    assert!(
        matches!(error, FetchError::MissingTool { tool: "curl", .. }),
        "{error}"
    );
    // What is not executable, or lies in the current folder, is no client.
    fs::write(world.path("bin/npm"), "").unwrap();
    assert!(world.error("npm:p").contains("not in PATH"));
}

#[test]
fn no_network_is_told_in_the_clients_own_words() {
    let world = World::new();
    let say = "npm error code ENOTFOUND\nnpm error syscall getaddrinfo";
    world.install("npm", &format!("echo '{say}' >&2; exit 1"));
    let error = world.error("npm:p");
    assert!(
        error.contains("`npm` could not reach its server"),
        "{error}"
    );
    assert!(error.ends_with(say), "{error}");
    world.install(
        "pip3",
        "echo 'ERROR: No matching distribution found' >&2; exit 1",
    );
    let error = world.error("pypi:p");
    assert!(error.contains("`pip3` failed (exit status: 1)"), "{error}");
    world.install("cargo", "kill -9 $$");
    let error = world.error("crates:p");
    assert!(
        error.contains("signal: 9") && error.ends_with("(nothing)"),
        "{error}"
    );
}

#[test]
fn clients_that_misbehave() {
    let world = World::new();
    world.install("npm", "echo 'not json'");
    assert!(
        world
            .error("npm:p")
            .contains("`npm` printed something else than its list")
    );
    world.install("npm", "echo '[]'");
    assert!(world.error("npm:p").contains("packed nothing"));
    world.install(
        "npm",
        "echo '[{\"version\":\"1\",\"filename\":\"../../../etc/passwd\"}]'",
    );
    let error = world.fetch(&request("npm:p")).unwrap_err();
    assert!(!matches!(error, FetchError::Digest(_)), "{error}");
    assert!(
        !world.path("cache/sha256").exists(),
        "a file from elsewhere was taken"
    );
    world.install("pip3", "true");
    assert!(world.error("pypi:p").contains("`pip3` brought no file"));
    world.install("pip3", "> a-1-py3-none-any.whl; > b-1-py3-none-any.whl");
    assert!(world.error("pypi:p").contains("brought 2 files"));
    world.install("apt-get", "true");
    let error = world.error("debian:p?suite=trixie");
    assert!(
        error.contains("no Debian archive among its sources"),
        "{error}"
    );
}

/// What an interrupted fetch left is neither used nor in the way.
#[test]
fn leftovers_of_a_killed_fetch() {
    let world = World::new();
    world.install(
        "npm",
        "echo half > p-1.0.0.tgz; echo lost > other.tgz; kill -9 $$",
    );
    world.error("npm:p@^1");
    assert_eq!(
        fs::read_dir(world.path("cache/partial")).unwrap().count(),
        1
    );
    world.install_npm("bytes");
    world.fetch(&pinned("bytes")).unwrap();
    assert_eq!(
        fs::read_dir(world.path("cache/partial")).unwrap().count(),
        0
    );

    world.install("npm", "kill -9 $$");
    world.fetch(&request("npm:q")).unwrap_err();
    assert_eq!(
        Cache::new(world.path("cache")).remove_partials().unwrap(),
        1
    );
    assert_eq!(
        fs::read_dir(world.path("cache/partial")).unwrap().count(),
        0
    );
}

/// A partial file that was damaged by a crash is not the end: the fetch starts over.
#[test]
fn a_damaged_partial_file_is_fetched_anew() {
    let world = World::new();
    let good = Request {
        sha256: Some(Digest::of(b"bytes")),
        ..request("https://h.example/f")
    };
    world.install("curl", "printf '\\0\\0' > download; kill -9 $$");
    world.fetch(&good).unwrap_err();
    // Continues, as curl does.
    let resume =
        "if [ -s download ]; then printf tes >> download; else printf bytes > download; fi";
    world.install("curl", resume);
    assert_eq!(
        fs::read(world.fetch(&good).unwrap().path).unwrap(),
        b"bytes"
    );
}

#[test]
fn many_at_once_fetch_once() {
    let world = World::new();
    world.install_npm("bytes");
    std::thread::scope(|scope| {
        let fetches: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| world.fetch(&pinned("bytes")).unwrap()))
            .collect();
        for fetch in fetches {
            assert_eq!(fs::read(fetch.join().unwrap().path).unwrap(), b"bytes");
        }
    });
    assert_eq!(world.calls(), 1);
}

#[test]
fn local_files_are_hashed_where_they_are() {
    let world = World::new();
    let file = world.path("glue.wat");
    fs::write(&file, "(module)").unwrap();
    let local = |sha256| Request {
        local: Some(file.clone()),
        sha256,
        ..request("path:glue.wat")
    };
    let fetched = world.fetch(&local(None)).unwrap();
    assert_eq!((fetched.path.as_path(), fetched.size), (file.as_path(), 8));
    world.fetch(&local(Some(Digest::of(b"(module)")))).unwrap();
    let error = world.fetch(&local(Some(Digest::of(b"x")))).unwrap_err();
    assert!(matches!(error, FetchError::Digest(_)), "{error}");
    fs::remove_file(&file).unwrap();
    let error = world.fetch(&local(None)).unwrap_err();
    assert!(matches!(error, FetchError::Local(_)), "{error}");
    assert!(!world.path("cache").exists(), "local files are not copied");
}

#[test]
fn an_unusable_cache() {
    let world = World::new();
    world.install_npm("bytes");
    fs::write(world.path("cache"), "a file").unwrap();
    let error = world.fetch(&request("npm:p")).unwrap_err().to_string();
    let shown = Path::new(&world.path("cache")).display().to_string();
    assert!(
        error.contains("cannot create") && error.contains(&shown),
        "{error}"
    );
}
