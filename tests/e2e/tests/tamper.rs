//! What was changed after signing is noticed: any byte by `verify` and by a launch with
//! `VKERNEL_VERIFY=full`, the index and its signature by every launch.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use megabinary_format::{Index, Limit, Signature, Tail};
use megabinary_linker::Keys;
use polybuild_e2e::{
    Said, run,
    sandbox::{Sandbox, cases},
};

const VERIFY: i32 = 4;
const VKERNEL: i32 = 125;
const CANNOT_RUN: i32 = 126;

/// A built hello image.
struct Built {
    sandbox: Sandbox,
    elf: Vec<u8>,
    /// Offsets: start of each segment, then of the tail.
    bounds: Vec<usize>,
}

fn built() -> Built {
    let sandbox = Sandbox::with("hello");
    sandbox.ok(&["recipe.toml", "-o", "out", "-q"]);
    let elf = sandbox.read("out/megabinary");
    let said = sandbox.ok(&["inspect", "--json", "out/megabinary"]);
    let about: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let number = |v: &serde_json::Value| usize::try_from(v.as_u64().unwrap()).unwrap();
    let segments = about["segments"].as_array().unwrap();
    let mut bounds: Vec<usize> = segments.iter().map(|s| number(&s["offset"])).collect();
    let last = segments.last().unwrap();
    bounds.push(number(&last["offset"]) + number(&last["size"]));
    Built {
        sandbox,
        elf,
        bounds,
    }
}

impl Built {
    fn tail_at(&self) -> usize {
        *self.bounds.last().unwrap()
    }

    fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.sandbox.write("tampered", bytes);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Starts a megabinary. `None`: the host kernel does not take it for a program at all.
    fn launch(&self, path: &Path, env: &[(&str, &str)]) -> Option<Said> {
        // Another test's child may still hold the file open for writing for a moment (ETXTBSY).
        for _ in 0..100 {
            match self
                .sandbox
                .command(path)
                .envs(env.iter().copied())
                .output()
            {
                Ok(output) => return Some(polybuild_e2e::said(&output)),
                Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                Err(_) => return None,
            }
        }
        panic!("{} stays busy", path.display());
    }

    /// The tail with changed parts, signed again if need be.
    fn with_tail(&self, change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) -> Vec<u8> {
        let (head, tail) = self.elf.split_at(self.tail_at());
        let tail = Tail::decode(tail).unwrap();
        let (mut index, mut signature) = (tail.index.to_vec(), tail.signature.to_vec());
        change(&mut index, &mut signature);
        [
            head,
            &Tail {
                index: &index,
                signature: &signature,
            }
            .encode(),
        ]
        .concat()
    }
}

fn keys() -> Keys {
    Keys::parse(
        &fs::read_to_string(cases().join("test.key")).unwrap(),
        || None,
    )
    .unwrap()
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

/// Positions all over the file: the edges of every segment, its middle, and a grid.
fn positions(built: &Built) -> Vec<usize> {
    let len = built.elf.len();
    let mut at: Vec<usize> = built
        .bounds
        .iter()
        .zip(built.bounds.iter().skip(1).chain([&len]))
        .flat_map(|(start, end)| [*start, start + 1, (start + end) / 2, end - 2, end - 1])
        .chain((0..len).step_by(len / 64))
        .collect();
    at.sort_unstable();
    at.dedup();
    at
}

#[test]
fn the_untouched_file_runs_and_verifies() {
    let built = built();
    built.sandbox.ok(&["verify", "out"]);
    built.sandbox.ok(&["verify", "out/megabinary"]);
    built.sandbox.ok(&["verify", "out/megabinary.wasm"]);
    let path = built.write(&built.elf);
    for env in [&[][..], &[("VKERNEL_VERIFY", "full")]] {
        let said = built.launch(&path, env).unwrap();
        assert_eq!(
            (said.status, said.stdout.as_str()),
            (0, "hello\n"),
            "{said:#?}"
        );
    }
}

#[test]
fn one_flipped_byte_anywhere() {
    let built = built();
    for at in positions(&built) {
        let path = built.write(&flipped(&built.elf, at));
        let said = run(&mut built.sandbox.polybuild(&["verify", "tampered"]));
        // Without its first bytes it is not even known what it was meant to be.
        let unknown = at < 4 && said.status != 0;
        assert!(said.status == VERIFY || unknown, "byte {at:#x}: {said:#?}");
        assert!(!said.stderr.contains("panicked"), "byte {at:#x}: {said:#?}");
        let full = built.launch(&path, &[("VKERNEL_VERIFY", "full")]);
        if let Some(said) = full {
            assert_ne!(said.status, 0, "byte {at:#x}: {said:#?}");
            assert!(!said.stdout.contains("hello"), "byte {at:#x}: {said:#?}");
        }
    }
}

#[test]
fn one_flipped_byte_of_the_index_or_signature_stops_every_launch() {
    let built = built();
    // The last part, the trusted comment and the signature over it, says nothing that a launch
    // depends on: a full verification covers it.
    let comment = {
        let tail = Tail::decode(&built.elf[built.tail_at()..]).unwrap();
        64 + Signature::decode(tail.signature)
            .unwrap()
            .trusted_comment
            .len()
    };
    for at in built.tail_at()..built.elf.len() - comment {
        let path = built.write(&flipped(&built.elf, at));
        let said = built.launch(&path, &[]).unwrap();
        assert_eq!(said.status, VKERNEL, "byte {at:#x}: {said:#?}");
        assert_eq!(said.stdout, "", "byte {at:#x}");
        let told =
            said.stderr.contains("must not be trusted") || said.stderr.contains("is damaged");
        assert!(
            told && !said.stderr.contains("panicked"),
            "byte {at:#x}: {said:#?}"
        );
    }
}

#[test]
fn one_flipped_byte_of_the_portable_form() {
    let built = built();
    let portable = built.sandbox.read("out/megabinary.wasm");
    for at in 0..portable.len() {
        let bytes = flipped(&portable, at);
        let Ok(()) = megabinary_linker::verify::verify_portable(&bytes, &[keys().public_key()])
            .map(|_| panic!("byte {at:#x} goes unnoticed"))
        else {
            continue;
        };
    }
    built
        .sandbox
        .write("tampered", flipped(&portable, portable.len() / 2));
    built
        .sandbox
        .fails(&["verify", "tampered"], VERIFY, &["must not be trusted"]);
}

#[test]
fn truncated() {
    let built = built();
    for len in [
        built.elf.len() - 1,
        built.tail_at(),
        built.tail_at() + 60,
        100_000,
        64,
        20,
    ] {
        built.write(&built.elf[..len]);
        built
            .sandbox
            .fails(&["verify", "tampered"], VERIFY, &["must not be trusted"]);
        built.sandbox.fails(&["inspect", "tampered"], VERIFY, &[]);
    }
    let longer = built.write(&[built.elf.as_slice(), b"more"].concat());
    built.sandbox.fails(
        &["verify", "tampered"],
        VERIFY,
        &["does not end with the file"],
    );
    let said = built
        .launch(&longer, &[("VKERNEL_VERIFY", "full")])
        .unwrap();
    assert_eq!(said.status, VKERNEL, "{said:#?}");
}

#[test]
fn wrong_key() {
    let built = built();
    built.sandbox.ok(&["keygen", "other.key"]);
    for target in ["out", "out/megabinary", "out/megabinary.wasm"] {
        built.sandbox.fails(
            &["verify", "--key", "other.key.pub", target],
            VERIFY,
            &[
                "must not be trusted",
                &keys().public_key().key_id().to_string(),
            ],
        );
    }
    built.sandbox.fails(
        &["verify", "--key", "nonsense", "out"],
        2,
        &["--key nonsense", "hint: give the .pub file"],
    );
    let path = built.write(&built.elf);
    let public = String::from_utf8(built.sandbox.read("other.key.pub")).unwrap();
    let said = built
        .launch(&path, &[("VKERNEL_KEY", public.trim())])
        .unwrap();
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (VKERNEL, ""),
        "{said:#?}"
    );
    assert!(said.stderr.contains("must not be trusted"), "{said:#?}");
    let said = built.launch(&path, &[("VKERNEL_KEY", "nonsense")]).unwrap();
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (VKERNEL, ""),
        "{said:#?}"
    );
    assert!(said.stderr.contains("VKERNEL_KEY"), "{said:#?}");
    let right = keys().public_key().to_text();
    let said = built
        .launch(&path, &[("VKERNEL_KEY", right.trim())])
        .unwrap();
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (0, "hello\n"),
        "{said:#?}"
    );
}

#[test]
fn unknown_versions() {
    let built = built();
    let keys = keys();
    let check = |bytes: Vec<u8>, says: &str| {
        let path = built.write(&bytes);
        built.sandbox.fails(
            &["verify", "tampered"],
            VERIFY,
            &["must not be trusted", says],
        );
        built
            .sandbox
            .fails(&["inspect", "tampered"], VERIFY, &[says]);
        let said = built.launch(&path, &[]).unwrap();
        assert_eq!(
            (said.status, said.stdout.as_str()),
            (VKERNEL, ""),
            "{said:#?}"
        );
        assert!(said.stderr.contains(says), "{said:#?}");
    };
    // Properly signed, by a release of another time: offsets as in FORMAT.md.
    for (major, minor) in [(0_u16, 9_u16), (1, 9), (2, 0)] {
        let says = format!("format {major}.{minor}");
        let patch = |bytes: &mut Vec<u8>| {
            bytes[8..10].copy_from_slice(&major.to_le_bytes());
            bytes[10..12].copy_from_slice(&minor.to_le_bytes());
        };
        check(
            built.with_tail(|index, signature| {
                patch(index);
                let comment = Signature::decode(signature).unwrap().trusted_comment;
                *signature = keys.sign(index, &comment).encode();
            }),
            &says,
        );
        check(built.with_tail(|_, signature| patch(signature)), &says);
        let mut tail = built.elf.clone();
        let at = built.tail_at();
        let mut header = tail[at..at + 12].to_vec();
        patch(&mut header);
        tail[at..at + 12].copy_from_slice(&header);
        check(tail, &says);
    }
}

#[test]
fn a_changed_index_that_is_not_signed_again() {
    let built = built();
    let bytes = built.with_tail(|index, _| {
        let mut changed = Index::decode(index).unwrap();
        changed.policy.limits.set(Limit::Memory, Some(1 << 20));
        *index = changed.encode();
    });
    let path = built.write(&bytes);
    let said = built.launch(&path, &[]).unwrap();
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (VKERNEL, ""),
        "{said:#?}"
    );
}

#[test]
fn stripped() {
    let built = built();
    for tool in ["strip", "objcopy"] {
        let path = built.write(&built.elf);
        let said = run(built.sandbox.command(tool).arg(&path));
        // Either tool may refuse such a file, which is as good.
        if said.status != 0 || fs::read(&path).unwrap() == built.elf {
            continue;
        }
        built
            .sandbox
            .fails(&["verify", "tampered"], VERIFY, &["must not be trusted"]);
        if let Some(said) = built.launch(&path, &[]) {
            assert_eq!(
                (said.status, said.stdout.as_str()),
                (VKERNEL, ""),
                "{tool}: {said:#?}"
            );
            let told = said.stderr.contains("strip") || said.stderr.contains("damaged");
            assert!(told, "{tool}: {said:#?}");
        }
    }
}

/// The image's files on disk and a way to run a program in them.
fn in_root(built: &Built, program: &str) -> Command {
    let root = built.sandbox.work().join("root");
    let mut command = built
        .sandbox
        .command(built.sandbox.work().join("out/megabinary"));
    command
        .arg("--root")
        .arg(root)
        .arg("--program")
        .arg(program);
    command
}

#[test]
fn tampered_stub_and_files_without_a_route() {
    let built = built();
    built
        .sandbox
        .ok(&["export", "out", "--format", "rootfs", "-o", "root"]);
    let said = run(&mut in_root(&built, "/bin/hello"));
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (0, "hello\n"),
        "{said:#?}"
    );

    let stub = built.sandbox.read("root/bin/hello");
    let refused = |contents: &[u8], mode: u32, says: &[&str]| {
        let path = built.sandbox.work().join("root/bin/hello");
        fs::remove_file(&path).unwrap();
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let said = run(&mut in_root(&built, "/bin/hello"));
        assert_eq!(
            (said.status, said.stdout.as_str()),
            (CANNOT_RUN, ""),
            "{said:#?}"
        );
        for part in says {
            assert!(said.stderr.contains(part), "{part}: {said:#?}");
        }
    };
    // The path and both digests: what the file has and what it claims to lead to.
    let found = format!("{}", megabinary_format::Digest::of(&flipped(&stub, 40)));
    refused(
        &flipped(&stub, 40),
        0o755,
        &["/bin/hello", &found, "sha256:"],
    );
    refused(
        b"\x7fELF a native program",
        0o755,
        &["/bin/hello", "sha256:"],
    );
    refused(
        b"echo a script without a first line\n",
        0o755,
        &["/bin/hello"],
    );
    refused(&stub, 0o644, &["/bin/hello"]);
    refused(b"", 0o755, &["/bin/hello"]);
    // A copy of the stub elsewhere is the same content: it has the same route.
    built.sandbox.write("root/copy", &stub);
    let copy = built.sandbox.work().join("root/copy");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let said = run(&mut in_root(&built, "/copy"));
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (0, "hello\n"),
        "{said:#?}"
    );
    let said = run(&mut in_root(&built, "/bin/nothing"));
    assert_eq!(said.status, 127, "{said:#?}");
    assert!(said.stderr.contains("/bin/nothing"), "{said:#?}");
}
