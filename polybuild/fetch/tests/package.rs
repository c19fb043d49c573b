//! Debian source packages: fetched through an apt that the tests make up, unpacked and patched.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use megabinary_format::Digest;
use polybuild_fetch::{
    Cache, Extract, Fetched, Fetcher, Limits, Options, Pin, Request, extract_package,
};

/// One test at a time: see `fetch.rs`.
static ALONE: Mutex<()> = Mutex::new(());

/// A mirror in a folder, a `PATH` with an apt that copies from it, and a cache.
struct World {
    dir: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// An entry of an archive: a file, or a link if the content says so.
type Entry<'a> = (&'a str, &'a str);

const LINK: &str = "link:";

/// A tar archive, which need not be compressed to be one.
fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        // As hostile archives have them: the library would refuse such names.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        match content.strip_prefix(LINK) {
            Some(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name(target).unwrap();
                header.set_size(0);
                header.set_cksum();
                builder.append(&header, &[][..]).unwrap();
            }
            None => {
                header.set_size(content.len() as u64);
                header.set_cksum();
                builder.append(&header, content.as_bytes()).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

const ORIG: &[Entry<'_>] = &[
    ("p-1/f", "one\ntwo\nthree\nfour\nfive\nsix\n"),
    ("p-1/gone", "gone\n"),
    ("p-1/debian/old", "upstream's own\n"),
];

const EDIT: &str = "Description: fixes CVE-2025-26519\n--- a/f\n+++ b/f\n@@ -2,3 +2,3 @@\n two\n-three\n+3\n four\n";

impl World {
    fn new() -> World {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let world = World { dir, _alone };
        for folder in ["bin", "mirror", "mirror/list"] {
            fs::create_dir(world.path(folder)).unwrap();
        }
        let mirror = world.path("mirror").display().to_string();
        // The last argument is NAME=VERSION; what the mirror has dropped is a 404.
        world.install(
            "apt-get",
            &format!(
                "echo \"$*\" >> {mirror}/../calls\n\
                 case \"$*\" in\n\
                 indextargets*) echo file:/srv/debian ;;\n\
                 update*) lists=\"${{APT_CONFIG%/*}}/lists\"; mkdir -p \"$lists\"\n\
                 cat {mirror}/release > \"$lists/m_dists_trixie_InRelease\" ;;\n\
                 *--print-uris*) read v < {mirror}/newest; echo \"'x/p_$v.dsc' p_$v.dsc 1 SHA256:0\" ;;\n\
                 source*) status=0; for last; do :; done; v=${{last#*=}}\n\
                 for f in $(cat {mirror}/list/$v); do\n\
                 case \"$*:$f\" in *--tar-only*:*.dsc|*--tar-only*:*.debian.tar.*) continue ;; esac\n\
                 if [ -e {mirror}/$f ]; then cat {mirror}/$f > $f\n\
                 else echo \"404 Not Found $f\" >&2; status=100; fi; done; exit $status ;;\n\
                 esac"
            ),
        );
        world.install("apt-cache", &format!("cat {mirror}/index"));
        for tool in ["cat", "mkdir"] {
            let found = ["/bin", "/usr/bin"].map(|dir| Path::new(dir).join(tool));
            let found = found.iter().find(|path| path.exists()).unwrap();
            symlink(found, world.path("bin").join(tool)).unwrap();
        }
        fs::write(
            world.path("mirror/release"),
            "Date: Sat, 21 Nov 2026 09:15:44 UTC\n",
        )
        .unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn install(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Publishes a revision with these files; the newest of all.
    fn publish(&self, version: &str, files: &[(&str, Vec<u8>)]) {
        self.publish_as(version, "3.0 (quilt)", files);
    }

    fn publish_as(&self, version: &str, format: &str, files: &[(&str, Vec<u8>)]) {
        let line = |name: &str, bytes: &[u8]| {
            format!(" {} {} {name}\n", Digest::of(bytes).hex(), bytes.len())
        };
        let sums: String = files
            .iter()
            .map(|(name, bytes)| line(name, bytes))
            .collect();
        let dsc =
            format!("Format: {format}\nSource: p\nVersion: {version}\nChecksums-Sha256:\n{sums}");
        let dsc_name = format!("p_{version}.dsc");
        let index = format!(
            "Package: p\nVersion: {version}\nDirectory: pool/main/p/p\nChecksums-Sha256:\n{}{sums}\n",
            line(&dsc_name, dsc.as_bytes()),
        );
        let mirror = self.path("mirror");
        let before = fs::read_to_string(mirror.join("index")).unwrap_or_default();
        fs::write(mirror.join("index"), format!("{before}{index}")).unwrap();
        fs::write(mirror.join("newest"), format!("{version}\n")).unwrap();
        let mut names = dsc_name.clone();
        for (name, bytes) in files {
            fs::write(mirror.join(name), bytes).unwrap();
            names.push_str(&format!(" {name}"));
        }
        fs::write(mirror.join(&dsc_name), dsc).unwrap();
        fs::write(mirror.join("list").join(version), names).unwrap();
    }

    /// The usual package: an upstream archive and these files in `debian/`.
    fn package(&self, debian: &[Entry<'_>]) {
        self.publish(
            "1-1",
            &[
                ("p_1.orig.tar.gz", tar(ORIG)),
                ("p_1-1.debian.tar.xz", tar(debian)),
            ],
        );
    }

    /// The mirror forgets a revision, and its files.
    fn drop_revision(&self, files: &[&str]) {
        fs::write(self.path("mirror/index"), "").unwrap();
        for file in files {
            fs::remove_file(self.path("mirror").join(file)).unwrap();
        }
    }

    fn fetch_from(&self, request: &Request, snapshots: Option<String>) -> Result<Fetched, String> {
        let options = Options {
            search_path: self.path("bin").into(),
            offline: false,
            snapshots,
        };
        let fetcher = Fetcher::new(Cache::new(self.path("cache")), options);
        fetcher.fetch(request, &()).map_err(|e| e.to_string())
    }

    fn fetch(&self, request: &Request) -> Result<Fetched, String> {
        self.fetch_from(request, None)
    }

    fn unpack(&self, fetched: &Fetched, patches: Vec<PathBuf>) -> Result<PathBuf, String> {
        let to = self.path("tree");
        let _ = fs::remove_dir_all(&to);
        let how = Extract {
            strip_components: 1,
            patches,
            limits: Limits::default(),
        };
        let package = fetched.package.as_ref().unwrap();
        match extract_package(package, &to, &how) {
            Ok(()) => Ok(to),
            Err(e) => {
                // All or nothing.
                assert!(!to.exists());
                Err(e.to_string())
            }
        }
    }

    /// The error of fetching and unpacking a package with these files in `debian/`.
    fn error(debian: &[Entry<'_>]) -> String {
        let world = World::new();
        world.package(debian);
        let result = world
            .fetch(&request())
            .and_then(|f| world.unpack(&f, Vec::new()));
        // Nothing was written beside.
        for outside in ["escaped", "cache/escaped", "tree"] {
            assert!(!world.path(outside).exists(), "{outside}");
        }
        result.unwrap_err()
    }
}

fn request() -> Request {
    Request {
        id: "it".into(),
        url: "debian-source:p?suite=trixie".parse().unwrap(),
        local: None,
        sha256: None,
        series: None,
        pin: None,
    }
}

fn upstream_only() -> Request {
    Request {
        series: Some(false),
        ..request()
    }
}

/// The request as a lock file made of `fetched` pins it.
fn pinned(fetched: &Fetched, request: Request) -> Request {
    Request {
        pin: Some(Pin {
            version: fetched.version.clone(),
            sha256: fetched.sha256,
            size: fetched.size,
            package: fetched.package.as_ref().map(|p| p.locked.clone()),
        }),
        ..request
    }
}

fn text(tree: &Path, name: &str) -> String {
    fs::read_to_string(tree.join(name)).unwrap()
}

#[test]
fn a_package_is_fetched_and_patched() {
    let world = World::new();
    // Offsets and a file that becomes empty are a series' own; the second patch builds on the first.
    let second = "--- p.orig/f\n+++ p/f\n@@ -1,3 +1,3 @@\n two\n-3\n+III\n four\n--- a/gone\n+++ b/gone\n\
                  @@ -1 +0,0 @@\n-gone\ndiff --git a/new/h b/new/h\nnew file mode 100755\n\
                  --- /dev/null\n+++ b/new/h\n@@ -0,0 +1 @@\n+new\n";
    let third = "Subject: x\ncopy from here\ndiff --git a/f b/f2\ncopy from f\ncopy to f2\n--- a/f\n\
                 +++ b/f2\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n III\n\
                 diff --git a/new/h b/h\nsimilarity index 100%\nrename from new/h\nrename to h\n";
    let level0 = "--- g\n+++ g\n@@ -0,0 +1 @@\n+g\n";
    world.publish(
        "1-1",
        &[
            ("p_1.orig.tar.gz", tar(ORIG)),
            ("p_1.orig.tar.gz.asc", b"signature".to_vec()),
            ("p_1.orig-more.tar.xz", tar(&[("more-7/m", "more\n")])),
            (
                "p_1-1.debian.tar.xz",
                tar(&[
                    ("debian/rules", "#!/usr/bin/make -f\n"),
                    (
                        "debian/patches/series",
                        "# why\nfirst # CVE\n\ncve/second.diff -p1\nthird -p0\ngit\n",
                    ),
                    ("debian/patches/first", EDIT),
                    ("debian/patches/cve/second.diff", second),
                    ("debian/patches/third", level0),
                    ("debian/patches/git", third),
                    ("debian/patches/unused", "not a patch"),
                ]),
            ),
        ],
    );
    let fetched = world.fetch(&request()).unwrap();
    assert_eq!(fetched.version, "1-1");
    let locked = &fetched.package.as_ref().unwrap().locked;
    assert_eq!(
        (locked.file.as_str(), locked.folder.as_str()),
        ("p_1-1.dsc", "pool/main/p/p")
    );
    assert_eq!(locked.seen, "20261121T091544Z");
    assert_eq!(locked.parts.len(), 4);
    let patches: Vec<_> = locked
        .patches
        .iter()
        .map(|p| (p.name.as_str(), p.cves.as_slice()))
        .collect();
    let cve = ["CVE-2025-26519".to_owned()];
    assert_eq!(
        patches,
        [
            ("first", &cve[..]),
            ("cve/second.diff", &[]),
            ("third", &[]),
            ("git", &[])
        ]
    );

    let own = world.path("own.patch");
    fs::write(&own, "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-one\n+1\n two\n").unwrap();
    let tree = world.unpack(&fetched, vec![own.clone()]).unwrap();
    assert_eq!(text(&tree, "f"), "1\ntwo\nIII\nfour\nfive\nsix\n");
    assert_eq!(text(&tree, "more/m"), "more\n");
    assert_eq!(text(&tree, "g"), "g\n");
    assert_eq!(text(&tree, "f2"), "one\n2\nIII\nfour\nfive\nsix\n");
    assert_eq!(text(&tree, "h"), "new\n");
    assert!(
        !tree.join("new").exists(),
        "a folder that becomes empty goes away"
    );
    let mode = |name: &str| fs::metadata(tree.join(name)).unwrap().permissions().mode();
    assert_eq!(mode("h") & 0o111, 0o111);
    assert_eq!(mode("debian/rules") & 0o111, 0o111);
    assert!(!tree.join("gone").exists());
    assert!(
        !tree.join("debian/old").exists(),
        "upstream's debian/ gives way"
    );
    // The recipe's own patches are exact: no offsets for them.
    fs::write(&own, "--- a/f\n+++ b/f\n@@ -2,2 +2,2 @@\n-one\n+1\n two\n").unwrap();
    let error = world.unpack(&fetched, vec![own]).unwrap_err();
    assert!(error.contains("does not apply to f"), "{error}");

    // Once it is there, nobody is asked.
    let calls = || text(&world.path(""), "calls").lines().count();
    let before = calls();
    assert_eq!(world.fetch(&pinned(&fetched, request())).unwrap(), fetched);
    assert_eq!(calls(), before);
}

#[test]
fn the_upstream_archive_alone_names_no_revision() {
    let world = World::new();
    world.package(&[
        ("debian/patches/series", "first\n"),
        ("debian/patches/first", EDIT),
    ]);
    let fetched = world.fetch(&upstream_only()).unwrap();
    assert_eq!(fetched.version, "1");
    let locked = &fetched.package.as_ref().unwrap().locked;
    assert_eq!(locked.file, "p_1.orig.tar.gz");
    assert!(!locked.series && locked.parts.is_empty() && locked.patches.is_empty());
    let tree = world.unpack(&fetched, Vec::new()).unwrap();
    assert!(text(&tree, "f").contains("three"));
    assert_eq!(text(&tree, "debian/old"), "upstream's own\n");
    // Another revision of the same upstream version has the same archive.
    world.drop_revision(&[]);
    world.publish(
        "1-2",
        &[
            ("p_1.orig.tar.gz", tar(ORIG)),
            ("p_1-2.debian.tar.xz", tar(&[])),
        ],
    );
    fs::remove_dir_all(world.path("cache")).unwrap();
    let again = world.fetch(&pinned(&fetched, upstream_only())).unwrap();
    assert_eq!(again.sha256, fetched.sha256);
    assert_eq!(again.version, "1");
}

#[test]
fn a_native_package_has_no_series() {
    let world = World::new();
    world.publish_as("1", "3.0 (native)", &[("p_1.tar.xz", tar(ORIG))]);
    let fetched = world.fetch(&request()).unwrap();
    assert_eq!(fetched.version, "1");
    let tree = world.unpack(&fetched, Vec::new()).unwrap();
    assert_eq!(text(&tree, "debian/old"), "upstream's own\n");
}

/// Names that lead elsewhere, links, and what does not fit: refused, and nothing is left of it.
#[test]
fn hostile_packages() {
    let check = |debian: &[Entry<'_>], words: &str| {
        let error = World::error(debian);
        assert!(error.contains(words), "wanted `{words}`: {error}");
    };
    let series = |name: &'static str| ("debian/patches/series", name);
    check(&[series("../../escaped\n")], "leads elsewhere");
    check(&[series("/etc/passwd\n")], "leads elsewhere");
    check(&[series("missing\n")], "is not a file of the archive");
    check(
        &[series("first\nfirst\n"), ("debian/patches/first", EDIT)],
        "named before",
    );
    check(
        &[series("first -R\n"), ("debian/patches/first", EDIT)],
        "not supported",
    );
    check(
        &[
            series("link\n"),
            ("debian/patches/link", "link:/etc/passwd"),
        ],
        "is not a file",
    );
    check(
        &[
            ("debian/patches/series", "link:../../../../escaped"),
            ("debian/patches/x", ""),
        ],
        "no series",
    );
    check(&[("debian/x", "link:../../escaped")], "leads out");
    check(&[("debian", "link:..")], "leads out");
    check(&[("debian", "link:elsewhere")], "is not a folder");
    check(
        &[("debian/x", ""), ("f", "overwritten")],
        "not all that there is",
    );
    check(&[("../escaped", "")], "`..`");
    for (patch, words) in [
        (
            "--- a/../escaped\n+++ b/../escaped\n@@ -0,0 +1 @@\n+x\n",
            "leads elsewhere",
        ),
        (
            "--- /dev/null\n+++ /escaped\n@@ -0,0 +1 @@\n+x\n",
            "leads elsewhere",
        ),
        (
            "--- /dev/null\n+++ b/debian/l/x\n@@ -0,0 +1 @@\n+x\n",
            "is a link",
        ),
        (
            "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n one\n-zwei\n+2\n",
            "neither there nor anywhere",
        ),
        (
            "--- a/none\n+++ b/none\n@@ -1 +1 @@\n-x\n+y\n",
            "cannot read",
        ),
        (
            "diff --git a/f b/f\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/\n",
            "a mode",
        ),
        (
            "diff --git a/f b/g\nrename from f\nrename to ../../escaped\n",
            "leads elsewhere",
        ),
        (
            "diff --git a/f b/debian/l/x\ncopy from f\ncopy to debian/l/x\n",
            "is a link",
        ),
        (
            "diff --git a/f b/gone\ncopy from f\ncopy to gone\n",
            "to a file that is there",
        ),
        (
            "diff --git a/no b/g\nrename from no\nrename to g\n",
            "of a file that is not there",
        ),
        (
            "--- a/f\n+++ b/f\n@@ -1,99999999 +1,99999999 @@\n one\n",
            "ends before",
        ),
        ("nothing\n", "changes no file"),
    ] {
        check(
            &[
                series("p\n"),
                ("debian/patches/p", patch),
                ("debian/l", "link:."),
            ],
            words,
        );
    }
}

/// Links of two archives that only together lead out.
#[test]
fn links_of_several_archives() {
    let world = World::new();
    world.publish(
        "1-1",
        &[
            ("p_1.orig.tar.gz", tar(&[("p-1/f", "link:more/l/../..")])),
            ("p_1.orig-more.tar.xz", tar(&[("more-7/l", "link:.")])),
            ("p_1-1.debian.tar.xz", tar(&[("debian/x", "")])),
        ],
    );
    let fetched = world.fetch(&request()).unwrap();
    let error = world.unpack(&fetched, Vec::new()).unwrap_err();
    assert!(error.contains("leads out of the package"), "{error}");
}

#[test]
fn packages_that_contradict_themselves() {
    let orig = || ("p_1.orig.tar.gz", tar(ORIG));
    let debian = || ("p_1-1.debian.tar.xz", tar(&[("debian/x", "")]));
    let refused = |format: &str, files: &[(&str, Vec<u8>)], words: &str| {
        let world = World::new();
        world.publish_as("1-1", format, files);
        let error = world.fetch(&request()).unwrap_err();
        assert!(error.contains(words), "wanted `{words}`: {error}");
    };
    refused("1.0", &[orig(), debian()], "its format is `1.0`");
    refused("3.0 (quilt)", &[orig()], "not those of its format");
    refused("3.0 (quilt)", &[debian()], "no upstream archive");
    refused(
        "3.0 (quilt)",
        &[orig(), ("p_1.orig.tar.xz", tar(ORIG)), debian()],
        "two files for one",
    );
    refused(
        "3.0 (quilt)",
        &[orig(), ("p_1-1.diff.gz", vec![])],
        "of no known kind",
    );
    refused(
        "3.0 (quilt)",
        &[orig(), ("p_1.orig-debian.tar.gz", vec![]), debian()],
        "two files",
    );

    // A .dsc that lists other files than the signed index.
    let world = World::new();
    world.package(&[("debian/x", "")]);
    let dsc = text(&world.path("mirror"), "p_1-1.dsc");
    let other = dsc.replace("p_1.orig.tar.gz", "p_1.orig.tar.xz");
    let index = text(&world.path("mirror"), "index");
    let (old, new) = (
        Digest::of(dsc.as_bytes()).hex(),
        Digest::of(other.as_bytes()).hex(),
    );
    fs::write(world.path("mirror/index"), index.replace(&old, &new)).unwrap();
    fs::write(world.path("mirror/p_1-1.dsc"), other).unwrap();
    let error = world.fetch(&request()).unwrap_err();
    assert!(error.contains("lists other files than"), "{error}");
    drop(world);

    // A mirror whose file is not that of the index: as if it were not there.
    let world = World::new();
    world.package(&[("debian/x", "")]);
    fs::write(world.path("mirror/p_1.orig.tar.gz"), "other").unwrap();
    let error = world.fetch(&request()).unwrap_err();
    assert!(
        error.contains("are not to be had: p_1.orig.tar.gz"),
        "{error}"
    );
}

/// What a lock file says of a package is compared with the package.
#[test]
fn lock_files_that_lie() {
    let world = World::new();
    world.package(&[
        ("debian/patches/series", "first\n"),
        ("debian/patches/first", EDIT),
    ]);
    let fetched = world.fetch(&request()).unwrap();
    let refused = |change: &dyn Fn(&mut Pin), words: &str| {
        let mut request = pinned(&fetched, request());
        change(request.pin.as_mut().unwrap());
        let error = world.fetch(&request).unwrap_err();
        assert!(error.contains(words), "wanted `{words}`: {error}");
    };
    refused(
        &|pin| {
            pin.package.as_mut().unwrap().patches[0]
                .cves
                .push("CVE-2025-49844".into())
        },
        "not that of the package",
    );
    refused(
        &|pin| pin.package.as_mut().unwrap().patches.clear(),
        "not that of the package",
    );
    refused(&|pin| pin.version = "1-2".into(), "is not of version 1-2");
    refused(&|pin| pin.package = None, "has no parts");
    refused(
        &|pin| pin.package.as_mut().unwrap().series = false,
        "another `series`",
    );
    refused(
        &|pin| pin.package.as_mut().unwrap().parts[0].file = "../x".into(),
        "that is none",
    );
    refused(
        &|pin| pin.package.as_mut().unwrap().folder = "/etc".into(),
        "that is none",
    );
    refused(
        &|pin| {
            pin.package.as_mut().unwrap().parts.pop();
        },
        "lists other files than",
    );
}

/// A server on the loopback that has the files of a folder by their digests.
fn serve(files: &[Vec<u8>], wrong: bool) -> String {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let files = files.to_vec();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            lines.find(|line| line.as_ref().unwrap().is_empty());
            let path = first.split(' ').nth(1).unwrap().to_owned();
            let found = files.iter().find(|f| path.ends_with(&Digest::of(f).hex()));
            let (status, body) = match found {
                Some(_) if wrong => ("200 OK", &b"wrong"[..]),
                Some(file) => ("200 OK", file.as_slice()),
                None => ("404 Not Found", &[][..]),
            };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(body);
        }
    });
    format!("http://{address}/@ARCHIVE@/@SHA256@")
}

#[test]
fn a_revision_that_the_mirror_has_dropped() {
    let world = World::new();
    let curl = ["/usr/bin/curl", "/bin/curl"]
        .iter()
        .find(|p| Path::new(p).exists())
        .unwrap();
    symlink(curl, world.path("bin/curl")).unwrap();
    world.package(&[
        ("debian/patches/series", "first\n"),
        ("debian/patches/first", EDIT),
    ]);
    let fetched = world.fetch(&request()).unwrap();
    let names = ["p_1-1.dsc", "p_1-1.debian.tar.xz"];
    let files: Vec<_> = names
        .map(|n| fs::read(world.path("mirror").join(n)).unwrap())
        .into();
    world.drop_revision(&names);
    world.publish(
        "1-2",
        &[
            ("p_1.orig.tar.gz", tar(ORIG)),
            ("p_1-2.debian.tar.xz", tar(&[])),
        ],
    );
    let clear = || fs::remove_dir_all(world.path("cache")).unwrap();
    clear();
    let locked = pinned(&fetched, request());
    let error = world.fetch(&locked).unwrap_err();
    for words in [
        "1-1",
        "p_1-1.dsc",
        "newest revision that the mirror lists is 1-2",
        "`polybuild lock --update it RECIPE`",
        "No archive of snapshots is set",
    ] {
        assert!(error.contains(words), "wanted `{words}`: {error}");
    }
    // An archive of snapshots that has other bytes, and one that has nothing, are no help.
    for server in [serve(&files, true), serve(&[], false)] {
        let error = world.fetch_from(&locked, Some(server)).unwrap_err();
        assert!(error.contains("are not to be had"), "{error}");
        assert!(error.contains("he archive of snapshots"), "{error}");
    }
    // The upstream archive is still on the mirror, but under another revision.
    let all: Vec<_> = files.into_iter().chain([tar(ORIG)]).collect();
    let again = world.fetch_from(&locked, Some(serve(&all, false))).unwrap();
    assert_eq!(again, fetched);
    // Without the lock file's pin, the newest is taken.
    assert_eq!(world.fetch(&request()).unwrap().version, "1-2");
}
