//! Every bad input has a name, a clear message with what to do, its exit status, and leaves nothing
//! half-written behind.
//!
//! Inputs that are files lie in `cases/bad_input/NAME/`: a recipe and `expect.toml`. The others
//! (archives, full disks, caches) are made here. Interruptions are in `rebuild.rs`, tampered
//! results in `tamper.rs`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use polybuild_e2e::sandbox::{Sandbox, cases};

const RECIPE: i32 = 3;
const ENVIRONMENT: i32 = 5;
const USAGE: i32 = 2;

/// `expect.toml`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    #[serde(default = "build")]
    args: Vec<String>,
    status: i32,
    says: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

fn build() -> Vec<String> {
    vec!["build".into(), "recipe.toml".into()]
}

#[test]
fn named_cases() {
    let mut names: Vec<_> = fs::read_dir(cases().join("bad_input"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        println!("case {name}");
        let sandbox = Sandbox::with(&format!("bad_input/{name}"));
        let text = String::from_utf8(sandbox.read("expect.toml")).unwrap();
        let expect: Expect = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let args: Vec<&str> = expect.args.iter().map(String::as_str).collect();
        let says: Vec<&str> = expect.says.iter().map(String::as_str).collect();
        let mut command = sandbox.polybuild(&args);
        command.envs(&expect.env);
        let said = sandbox.command_fails(&mut command, expect.status, &says);
        assert!(
            said.stderr.starts_with("error: ") || said.stderr.contains("\nerror: "),
            "{said:#?}"
        );
        assert!(
            !sandbox.work().join("out").exists(),
            "{name} left an output folder"
        );
    }
}

/// What a path is, when it is not what was wanted.
#[test]
fn paths_that_lead_nowhere() {
    let sandbox = Sandbox::with("hello");
    let link = |to: &str| {
        let at = sandbox.work().join("hello.wat");
        let _ = fs::remove_file(&at);
        std::os::unix::fs::symlink(to, at).unwrap();
    };
    let build = ["build", "recipe.toml"];
    link("hello.wat");
    sandbox.fails(
        &build,
        RECIPE,
        &["hello.wat is a symbolic link that leads back to itself"],
    );
    link("nothing");
    let dangles = "hello.wat is a symbolic link to nothing, which does not exist";
    sandbox.fails(&build, RECIPE, &[dangles]);
    fs::remove_file(sandbox.work().join("hello.wat")).unwrap();
    sandbox.fails(&build, RECIPE, &["hello.wat does not exist"]);
    link("hello.wat");
    sandbox.fails(
        &["run", "--wasm", "hello.wat"],
        USAGE,
        &["leads back to itself"],
    );
    sandbox.fails(&["verify", "hello.wat"], USAGE, &["leads back to itself"]);
}

/// Names that are not UTF-8 are names: of a recipe's folder, of the output, in results.
#[test]
fn names_that_are_not_utf_8() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let sandbox = Sandbox::with("hello");
    let odd = OsStr::from_bytes(b"f\xf6lder");
    let folder = sandbox.work().join(odd);
    fs::create_dir(&folder).unwrap();
    for file in ["recipe.toml", "hello.wat"] {
        fs::copy(sandbox.work().join(file), folder.join(file)).unwrap();
    }
    for words in [&[][..], &["--json"], &["build"]] {
        let output = sandbox.work().join(OsStr::from_bytes(b"\xe4us"));
        let mut command = sandbox.polybuild(words);
        command
            .arg(folder.join("recipe.toml"))
            .arg("-o")
            .arg(&output);
        let said = polybuild_e2e::run(&mut command);
        assert_eq!(said.status, 0, "{words:?}: {said:#?}");
        assert!(output.join("build.json").is_file(), "{words:?}");
        fs::remove_dir_all(&output).unwrap();
    }
}

#[test]
fn quiet_is_errors_only_and_an_empty_date_is_none() {
    let sandbox = Sandbox::with("hello");
    let digest = |name: &str, epoch: Option<&str>| {
        let mut command = sandbox.polybuild(&["-q", "recipe.toml", "-o", name, "--rebuild"]);
        if let Some(epoch) = epoch {
            command.env("SOURCE_DATE_EPOCH", epoch);
        }
        let said = polybuild_e2e::run(&mut command);
        // A key has been made, and a lock file is missing.
        let texts = (said.status, said.stdout.as_str(), said.stderr.as_str());
        assert_eq!(texts, (0, "", ""));
        sandbox.read(&format!("{name}/oci-layout/index.json"))
    };
    let unset = digest("a", None);
    assert_eq!(digest("b", Some("")), unset);
    assert_ne!(digest("c", Some("1")), unset);
}

/// The hello recipe with a source `data` that is unpacked, and a file from it.
fn with_archive(archive: &[u8], extra: &str) -> Sandbox {
    let sandbox = Sandbox::with("hello");
    sandbox.write("data.tar", archive);
    add(
        &sandbox,
        &format!(
            "[[source]]\nid = \"data\"\nurl = \"path:data.tar\"\nextract = true\n{extra}\n\
             [[file]]\npath = \"/data\"\nsource = \"data:inside\"\n"
        ),
    );
    sandbox
}

fn add(sandbox: &Sandbox, text: &str) {
    let mut recipe = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    recipe.push('\n');
    recipe.push_str(text);
    sandbox.write("recipe.toml", recipe);
}

/// A tar with a good file, and one more entry whose name and link target are written as they are.
fn tar_with(name: &str, kind: tar::EntryType, target: &str, contents: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind, target: &str, contents: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(contents.len() as u64);
        header.set_cksum();
        archive.append(&header, contents).unwrap();
    };
    add("inside", tar::EntryType::Regular, "", b"good\n");
    add(name, kind, target, contents);
    archive.into_inner().unwrap()
}

#[test]
fn archive_truncated() {
    let whole = tar_with("more", tar::EntryType::Regular, "", &[b'x'; 5000]);
    let sandbox = with_archive(&whole[..3000], "");
    let said = sandbox.fails(
        &["recipe.toml"],
        RECIPE,
        &["unpacking source `data`", "truncated"],
    );
    assert!(said.stderr.contains("more"), "{said:#?}");
    // The whole one is good.
    with_archive(&whole, "").ok(&["recipe.toml"]);
}

#[test]
fn archive_that_leaves_its_folder() {
    use tar::EntryType as T;
    let check = |name: &str, kind, target: &str| {
        let sandbox = with_archive(&tar_with(name, kind, target, b""), "");
        let outside = sandbox.home().join("evil");
        // Of a hard link, the name that is refused is the one it leads to.
        let named = if kind == T::Link { target } else { name };
        sandbox.fails(
            &["recipe.toml"],
            RECIPE,
            &[
                "unpacking source `data`",
                &format!("is refused: its entry `{named}`"),
            ],
        );
        assert!(!outside.exists(), "{name} was written");
        assert!(!Path::new("/polybuild-evil").exists());
    };
    check("../../../evil", T::Regular, "");
    check("a/../../evil", T::Regular, "");
    check("/polybuild-evil", T::Regular, "");
    check("link", T::Symlink, "../../../../evil");
    check("link", T::Symlink, "/etc/passwd");
    check("hard", T::Link, "../../evil");
    check("device", T::Char, "");
}

/// A stand-in for npm that packs `package.tgz` of the work folder and counts its calls, so that
/// what happens around a client can be tried without a network.
fn fake_npm(sandbox: &Sandbox, contents: &[u8]) -> String {
    sandbox.write(
        "package.tgz",
        tar_with("more", tar::EntryType::Regular, "", contents),
    );
    let work = sandbox.work();
    let npm = sandbox.write(
        "tools/npm",
        format!(
            "#!/bin/sh\necho call >> {work}/calls\ncp {work}/package.tgz x-1.0.0.tgz\n\
             echo '[{{\"version\":\"1.0.0\",\"filename\":\"x-1.0.0.tgz\"}}]'\n",
            work = work.display()
        ),
    );
    fs::set_permissions(&npm, fs::Permissions::from_mode(0o755)).unwrap();
    add(
        sandbox,
        "[[source]]\nid = \"x\"\nurl = \"npm:x@1.0.0\"\nstrip-components = 0\n\n\
         [[file]]\npath = \"/data\"\nsource = \"x:inside\"\n",
    );
    format!("{}:/usr/bin:/bin", work.join("tools").display())
}

fn calls(sandbox: &Sandbox) -> usize {
    String::from_utf8(sandbox.read("calls"))
        .unwrap()
        .lines()
        .count()
}

#[test]
fn lock_with_a_wrong_digest() {
    let sandbox = Sandbox::with("hello");
    let path = fake_npm(&sandbox, b"1");
    let run = |args: &[&str]| {
        let mut command = sandbox.polybuild(args);
        command.env("PATH", &path);
        command
    };
    let said = polybuild_e2e::run(&mut run(&["lock", "recipe.toml"]));
    assert_eq!(said.status, 0, "{said:#?}");
    let good = String::from_utf8(sandbox.read("recipe.lock")).unwrap();
    let at = good
        .find("[[input")
        .and_then(|i| Some(i + good[i..].find("sha256 = \"")? + 10))
        .unwrap();
    let mut bad = good.clone();
    bad.replace_range(
        at..at + 16,
        if bad[at..].starts_with("sha256:") {
            "sha256:000000000"
        } else {
            "0000000000000000"
        },
    );
    sandbox.write("recipe.lock", &bad);
    // What is in the cache does not have that digest, and what the client brings neither.
    sandbox.command_fails(
        &mut run(&["recipe.toml"]),
        RECIPE,
        &[
            "npm:x@1.0.0 has another content than the lock file says",
            "polybuild lock RECIPE",
        ],
    );
    sandbox.command_fails(
        &mut run(&["recipe.toml", "--offline"]),
        ENVIRONMENT,
        &["npm:x@1.0.0 is not in the cache", "without `--offline`"],
    );
    assert!(!sandbox.work().join("out").exists());
    sandbox.write("recipe.lock", good);
    let said = polybuild_e2e::run(&mut run(&["recipe.toml"]));
    assert_eq!(said.status, 0, "{said:#?}");
}

#[test]
fn damaged_cache_entry_is_fetched_again() {
    let sandbox = Sandbox::with("hello");
    let path = fake_npm(&sandbox, b"2");
    let run = |args: &[&str]| {
        let mut command = sandbox.polybuild(args);
        command.env("PATH", &path);
        let said = polybuild_e2e::run(&mut command);
        assert_eq!(said.status, 0, "{said:#?}");
        said
    };
    run(&["recipe.toml"]);
    assert_eq!(calls(&sandbox), 1);
    run(&["recipe.toml", "--rebuild"]);
    assert_eq!(calls(&sandbox), 1, "what is cached is not fetched");
    let entry = fs::read_dir(sandbox.cache().join("sha256"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = fs::read(&entry).unwrap();
    bytes[600] ^= 1;
    fs::set_permissions(&entry, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&entry, bytes).unwrap();
    let said = run(&["recipe.toml", "--rebuild"]);
    assert!(said.stderr.contains("was damaged"), "{said:#?}");
    assert_eq!(calls(&sandbox), 2);
}

#[test]
fn damaged_code_in_the_cache_is_made_again() {
    let sandbox = Sandbox::with("hello");
    sandbox.ok(&["recipe.toml", "-o", "one"]);
    for entry in fs::read_dir(sandbox.cache().join("code")).unwrap() {
        let entry = entry.unwrap().path();
        let mut bytes = fs::read(&entry).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(&entry).unwrap();
        fs::write(&entry, bytes).unwrap();
    }
    sandbox.ok(&["recipe.toml", "-o", "two"]);
    assert_eq!(
        sandbox.read("one/megabinary"),
        sandbox.read("two/megabinary")
    );
}

/// polybuild in a mount namespace of its own in which `disk` is a file system of that size.
fn on_a_small_disk(sandbox: &Sandbox, size: &str, args: &str) -> std::process::Command {
    fs::create_dir_all(sandbox.work().join("disk")).unwrap();
    let mut command = sandbox.command("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-euc"])
        .arg(format!(
            "mount -t tmpfs -o size={size} none disk\n\
         trap 'ls -A disk >&3' EXIT\n\
         {} {args}",
            polybuild_e2e::polybuild_path().display()
        ));
    // What the disk holds at the end goes to a file.
    let script = "exec 3>disk-holds; exec \"$@\"";
    let mut outer = sandbox.command("sh");
    outer
        .args(["-c", script, "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    outer
}

#[test]
fn disk_full_under_the_output() {
    let sandbox = Sandbox::with("hello");
    let mut command = on_a_small_disk(&sandbox, "1m", "recipe.toml -o disk/out");
    sandbox.command_fails(
        &mut command,
        ENVIRONMENT,
        &[
            "No space left on device",
            "disk/",
            "hint: make room on that disk",
            "--output",
        ],
    );
    assert_eq!(sandbox.read("disk-holds"), b"");
    // The output is larger than the disk, but not by much: some of its files fit.
    let mut command = on_a_small_disk(&sandbox, "4m", "recipe.toml -o disk/out");
    sandbox.command_fails(
        &mut command,
        ENVIRONMENT,
        &["No space left on device", "make room"],
    );
    assert_eq!(sandbox.read("disk-holds"), b"");
}

#[test]
fn disk_full_under_the_cache() {
    let sandbox = Sandbox::with("hello");
    let mut command = on_a_small_disk(&sandbox, "4k", "recipe.toml -o out --cache disk");
    sandbox.command_fails(
        &mut command,
        ENVIRONMENT,
        &["No space left on device", "--cache"],
    );
    assert!(!sandbox.work().join("out").exists());
    let mut command = on_a_small_disk(&sandbox, "1m", "run --wasm hello.wat --cache disk");
    sandbox.command_fails(
        &mut command,
        ENVIRONMENT,
        &["No space left on device", "--cache"],
    );
}

#[test]
fn disk_full_under_an_export() {
    let sandbox = Sandbox::with("hello");
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    for format in ["oci-layout", "oci-archive", "docker-archive", "rootfs"] {
        let args = format!("export out --format {format} -o disk/x");
        let mut command = on_a_small_disk(&sandbox, "512k", &args);
        sandbox.command_fails(&mut command, ENVIRONMENT, &["No space left on device"]);
        assert_eq!(sandbox.read("disk-holds"), b"", "{format}");
    }
}

#[test]
fn unwritable_output() {
    let sandbox = Sandbox::with("hello");
    // A file in the way, of the folder and above it.
    sandbox.write("taken", "mine");
    let said = sandbox.fails(
        &["recipe.toml", "-o", "taken"],
        USAGE,
        &["taken", "--output"],
    );
    assert!(
        said.stderr.contains("not the output of a build"),
        "{said:#?}"
    );
    sandbox.fails(
        &["recipe.toml", "-o", "taken/out"],
        ENVIRONMENT,
        &["taken", "File exists"],
    );
    assert_eq!(sandbox.read("taken"), b"mine");
    // A folder with something else in it.
    sandbox.write("folder/mine", "mine");
    sandbox.fails(
        &["recipe.toml", "-o", "folder"],
        USAGE,
        &[
            "folder exists and is not the output of a build",
            "choose another folder with --output",
        ],
    );
    assert_eq!(sandbox.read("folder/mine"), b"mine");
    // A file system on which nobody may write, not even root.
    sandbox.fails(&["recipe.toml", "-o", "/proc/out"], ENVIRONMENT, &["/proc"]);
    sandbox.fails(
        &["pack", "hello.wat", "-o", "/proc/x"],
        ENVIRONMENT,
        &["/proc"],
    );
    sandbox.fails(&["keygen", "/proc/x.key"], ENVIRONMENT, &["/proc"]);
}

#[test]
fn read_only_output() {
    let sandbox = Sandbox::with("hello");
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    fs::create_dir(sandbox.work().join("disk")).unwrap();
    let check = |args: &str, says: &[&str]| {
        let mut command = sandbox.command("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-euc"])
            .arg(format!(
                "mount -t tmpfs -o ro none disk\nexec {} {args}",
                polybuild_e2e::polybuild_path().display()
            ));
        sandbox.command_fails(&mut command, ENVIRONMENT, says);
    };
    check(
        "recipe.toml -o disk/out",
        &["Read-only file system", "hint: choose a place"],
    );
    check(
        "pack hello.wat -o disk/x",
        &["Read-only file system", "hint: choose a place"],
    );
    check(
        "recipe.toml -o new --rebuild --cache disk",
        &["Read-only file system", "--cache"],
    );
    check(
        "export out --format rootfs -o disk/x",
        &["Read-only file system"],
    );
}

#[test]
fn stale_lock() {
    let sandbox = Sandbox::with("hello");
    // No lock yet.
    sandbox.fails(
        &["recipe.toml", "--locked"],
        RECIPE,
        &[
            "there is no recipe.lock and --locked forbids making one",
            "polybuild lock recipe.toml",
        ],
    );
    sandbox.fails(&["lock", "recipe.toml", "--check"], RECIPE, &[]);
    sandbox.ok(&["lock", "recipe.toml"]);
    sandbox.ok(&["lock", "recipe.toml", "--check"]);
    sandbox.ok(&["recipe.toml", "--locked"]);
    // A local file changes: the build says so, and --locked refuses.
    let mut text = sandbox.read("hello.wat");
    text.extend_from_slice(b";; changed\n");
    sandbox.write("hello.wat", text);
    let said = polybuild_e2e::run(&mut sandbox.polybuild(&["lock", "recipe.toml", "--check"]));
    assert_eq!(said.status, RECIPE, "{said:#?}");
    assert!(said.stdout.contains("hello.wat"), "{said:#?}");
    assert!(
        said.stdout.contains("polybuild lock recipe.toml"),
        "{said:#?}"
    );
    sandbox.fails(
        &["recipe.toml", "--locked"],
        RECIPE,
        &[
            "recipe.lock is stale",
            "hello.wat",
            "polybuild lock recipe.toml",
        ],
    );
    let said = sandbox.ok(&["recipe.toml"]);
    for part in [
        "warning: recipe.lock is stale",
        "hello.wat",
        "polybuild lock recipe.toml",
    ] {
        assert!(said.stderr.contains(part), "{said:#?}");
    }
    // A source is added: what it is nobody has said yet.
    add(
        &sandbox,
        "[[source]]\nid = \"x\"\nurl = \"npm:left-pad@1.3.0\"\n",
    );
    sandbox.fails(
        &["recipe.toml"],
        RECIPE,
        &["recipe.lock is stale", "`x`", "polybuild lock"],
    );
}

#[test]
fn damaged_lock() {
    let sandbox = Sandbox::with("hello");
    sandbox.ok(&["lock", "recipe.toml"]);
    sandbox.write("recipe.lock", "version = 99\n");
    sandbox.fails(&["recipe.toml"], RECIPE, &["recipe.lock", "version 99"]);
    sandbox.write("recipe.lock", "not toml");
    sandbox.fails(&["recipe.toml"], RECIPE, &["recipe.lock"]);
    sandbox.write("recipe.lock", [0xff, 0, 0xfe]);
    sandbox.fails(&["recipe.toml"], RECIPE, &["recipe.lock"]);
}
