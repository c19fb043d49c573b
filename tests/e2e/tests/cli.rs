//! What the command says: `cases/cli/*.trycmd` hold commands with standard output, standard error
//! and exit status together.
//!
//! ```text
//! TRYCMD=overwrite cargo test -p polybuild-e2e --release --test cli
//! ```
//!
//! takes over what is said now; read the difference before it is committed. `[..]` stands for
//! digests and sizes that depend on the launcher.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use polybuild_e2e::{polybuild_path, run, said, sandbox::Sandbox};

#[test]
fn snapshots() {
    for cases in ["build", "help", "run", "usage"] {
        // Each with a user of its own, whose cache is empty.
        let user = Sandbox::new();
        let home = |name: &str| user.home().join(name).to_str().unwrap().to_owned();
        trycmd::TestCases::new()
            .register_bin("polybuild", polybuild_path())
            .env("HOME", home("."))
            .env("XDG_CACHE_HOME", home("cache"))
            .env("XDG_CONFIG_HOME", home("config"))
            .env("NO_COLOR", "1")
            .env("COLUMNS", "100")
            .case(format!("cases/cli/{cases}.trycmd"))
            .run();
    }
}

/// Every line of standard output is a JSON object; returns them.
#[track_caller]
fn json_lines(args: &[&str], sandbox: &Sandbox, status: i32) -> Vec<serde_json::Value> {
    let said = run(&mut sandbox.polybuild(args));
    assert_eq!(said.status, status, "{said:#?}");
    let lines: Vec<serde_json::Value> = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{args:?}: {e}: {line}")))
        .collect();
    assert!(
        !lines.is_empty() && lines.iter().all(|l| l.is_object()),
        "{args:?}: {said:#?}"
    );
    lines
}

#[test]
fn json_is_json_lines() {
    let sandbox = Sandbox::with("hello");
    let built = json_lines(&["--json", "recipe.toml", "-o", "out"], &sandbox, 0);
    let last = built.last().unwrap();
    assert_eq!(last["event"], "built");
    assert_eq!(last["image"]["name"], "test/hello:1");
    for event in ["begin", "end"] {
        assert!(built.iter().any(|l| l["event"] == event), "{built:#?}");
    }
    json_lines(&["recipe.toml", "-o", "out", "--json"], &sandbox, 0);
    json_lines(&["inspect", "out", "--json"], &sandbox, 0);
    json_lines(&["verify", "out", "--json"], &sandbox, 0);
    json_lines(&["lock", "recipe.toml", "--json"], &sandbox, 0);
    json_lines(&["lock", "recipe.toml", "--check", "--json"], &sandbox, 0);
    json_lines(&["keygen", "a.key", "--json"], &sandbox, 0);
    json_lines(&["pack", "hello.wat", "-o", "m", "--json"], &sandbox, 0);
    json_lines(
        &[
            "export",
            "out",
            "--format",
            "oci-archive",
            "-o",
            "x.tar",
            "--json",
        ],
        &sandbox,
        0,
    );
    let errors = json_lines(
        &["verify", "--key", "a.key.pub", "out", "--json"],
        &sandbox,
        4,
    );
    let error = errors.last().unwrap();
    assert_eq!(
        (&error["event"], &error["status"]),
        (&"error".into(), &4.into()),
        "{errors:#?}"
    );
    sandbox.write("recipe.toml", "[recipe]\nnam = 1\n");
    json_lines(&["recipe.toml", "--json"], &sandbox, 3);
}

#[test]
fn quiet_says_nothing() {
    let sandbox = Sandbox::with("hello");
    for args in [
        &["recipe.toml", "-o", "out", "-q"][..],
        &["verify", "out", "-q"],
        &["lock", "recipe.toml", "-q"],
        &["export", "out", "--format", "rootfs", "-o", "root", "-q"],
    ] {
        let said = sandbox.ok(args);
        assert_eq!(
            (said.stdout.as_str(), said.stderr.as_str()),
            ("", ""),
            "{args:?}"
        );
    }
    let said = sandbox.ok(&["run", "recipe.toml", "-q"]);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str()),
        ("hello\n", "")
    );
}

#[test]
fn a_closed_pipe_is_no_error() {
    let sandbox = Sandbox::with("hello");
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    for args in [
        &["inspect", "out"][..],
        &["inspect", "out", "--json"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["recipe.toml", "-o", "out", "--json", "--rebuild"],
    ] {
        let mut child = sandbox
            .polybuild(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Nobody reads even one byte.
        drop(child.stdout.take());
        let said = said(&child.wait_with_output().unwrap());
        assert_eq!(
            (said.status, said.stderr.contains("error")),
            (0, false),
            "{args:?}: {said:#?}"
        );
    }
    let mut child = sandbox
        .polybuild(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let mut error = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut error)
        .unwrap();
    assert_eq!(
        (child.wait().unwrap().code(), error.as_str()),
        (Some(0), "")
    );
}

#[test]
fn the_first_build_makes_a_development_key_and_says_so() {
    let sandbox = Sandbox::with("hello");
    let key = sandbox.home().join("config/polybuild/development.key");
    fs::remove_file(&key).unwrap();
    let said = sandbox.ok(&["recipe.toml", "-o", "out"]);
    assert!(
        said.stderr.contains("warning: made a development key"),
        "{said:#?}"
    );
    assert!(said.stderr.contains("--key"), "{said:#?}");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    sandbox.ok(&["verify", "out"]);
    // Nobody else's development key is trusted.
    let other = Sandbox::new();
    let out = sandbox.work().join("out");
    other.fails(
        &["verify", out.to_str().unwrap()],
        4,
        &["must not be trusted"],
    );
    fs::remove_file(other.home().join("config/polybuild/development.key")).unwrap();
    other.fails(
        &["verify", out.to_str().unwrap()],
        4,
        &["no development key", "--key FILE"],
    );
}

#[test]
fn completions_and_manual_pages() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = sandbox.ok(&["completions", shell]);
        assert!(
            said.stdout.contains("polybuild") && said.stdout.contains("inspect"),
            "{shell}"
        );
    }
    let said = sandbox.ok(&["man"]);
    for part in [".TH polybuild", "verify", "130"] {
        assert!(said.stdout.contains(part), "{part}");
    }
    sandbox.ok(&["man", "pages"]);
    for page in [
        "polybuild.1",
        "polybuild-build.1",
        "polybuild-run.1",
        "polybuild-verify.1",
    ] {
        assert!(
            sandbox.read(&format!("pages/{page}")).starts_with(b".ie"),
            "{page}"
        );
    }
}
