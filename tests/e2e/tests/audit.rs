//! Audit events: one valid JSON line for each launch, refusal, trap, limit and end, and none
//! unless asked for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use polybuild_e2e::{
    Said, guests, polybuild,
    root::{PYTHON, Root},
    run,
};
use serde_json::{Value, json};

/// Runs with the stream in a file; gives what was said and the events, each checked for what all
/// have, without it.
fn audited(command: &mut Command) -> (Said, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    let said = run(command.env("VKERNEL_AUDIT", &log));
    (said, events(&fs::read_to_string(&log).unwrap_or_default()))
}

#[track_caller]
fn events(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    text.lines()
        .map(|line| {
            let mut event: Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            let map = event.as_object_mut().unwrap();
            let time = map.remove("time").unwrap();
            let time = time.as_str().unwrap();
            // 2026-01-02T03:04:05.678Z
            assert!(
                time.starts_with("20") && time.ends_with('Z') && &time[10..11] == "T",
                "{time}"
            );
            assert!(map.remove("pid").unwrap().as_u64().unwrap() > 0);
            event
        })
        .collect()
}

#[track_caller]
fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|e| e["event"].as_str().unwrap())
        .collect()
}

fn is_digest(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

#[test]
fn off_unless_asked_for() {
    let root = Root::python();
    let said = run(&mut root.python3(&["-c", "import sys; sys.exit(3)"]));
    assert_eq!((said.status, said.stderr.as_str()), (3, ""));
    let said = run(root.python3(&["-c", "pass"]).env("VKERNEL_AUDIT", "off"));
    assert_eq!((said.status, said.stderr.as_str()), (0, ""));
}

#[test]
fn a_launch_and_its_end() {
    let root = Root::python();
    let odd = ["-c", "import sys; sys.exit(9)", "a\"b\\\n\u{1}é", ""];
    let (said, events) = audited(&mut root.python3(&odd));
    assert_eq!(said.status, 9, "{said:?}");
    assert_eq!(kinds(&events), ["launch", "exit"]);
    let launch = &events[0];
    assert_eq!(launch["program"], PYTHON);
    assert_eq!(launch["entry"], "python3");
    assert_eq!(
        launch["argv"],
        json!([PYTHON, odd[0], odd[1], odd[2], odd[3]])
    );
    for key in ["stub", "entry_digest", "module"] {
        assert!(is_digest(&launch[key]), "{key}: {launch}");
    }
    // The digest of the file that was executed, and the one that its line names.
    let stub = fs::read_to_string(root.path().join(&PYTHON[1..])).unwrap();
    let named = stub.trim_end().rsplit(' ').next().unwrap();
    assert_eq!(launch["entry_digest"], named);
    let sum = run(Command::new("sha256sum").arg(root.path().join(&PYTHON[1..])));
    assert_eq!(launch["stub"], format!("sha256:{}", &sum.stdout[..64]));
    assert_eq!(
        events[1],
        json!({"event": "exit", "program": PYTHON, "status": 9})
    );
}

#[test]
fn on_standard_error_and_on_a_descriptor() {
    let root = Root::python();
    let said = run(root
        .python3(&["-c", "print(1)"])
        .env("VKERNEL_AUDIT", "stderr"));
    assert_eq!(said.stdout, "1\n");
    assert_eq!(kinds(&events(&said.stderr)), ["launch", "exit"]);
    let command = root.python3(&["-c", "import os; print('VKERNEL_AUDIT' in os.environ)"]);
    let mut shell = Command::new("sh");
    shell
        .env("VKERNEL_AUDIT", "fd:7")
        .args(["-c", "exec \"$@\" 7>&2", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    let said = run(&mut shell);
    assert_eq!(said.stdout, "False\n", "{said:?}");
    assert_eq!(kinds(&events(&said.stderr)), ["launch", "exit"]);
}

#[test]
fn a_stream_that_cannot_be() {
    let root = Root::python();
    for setting in [
        "nonsense",
        "fd:99",
        "fd:x",
        "/no-such-folder/log",
        "relative",
    ] {
        let said = run(root
            .python3(&["-c", "print(1)"])
            .env("VKERNEL_AUDIT", setting));
        assert_eq!(
            (said.status, said.stdout.as_str()),
            (125, ""),
            "{setting}: {said:?}"
        );
        assert!(
            said.stderr.contains("VKERNEL_AUDIT"),
            "{setting}: {}",
            said.stderr
        );
    }
}

/// Fails unless the run was refused before anything started, with one event.
#[track_caller]
fn refused(command: &mut Command, status: i32, object: &str, errno: &str, reason: &[&str]) {
    let (said, events) = audited(command);
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (status, ""),
        "{said:?}"
    );
    assert_eq!(kinds(&events), ["refusal"]);
    let event = &events[0];
    assert_eq!(event["operation"], "execve");
    assert_eq!(event["object"], object);
    assert_eq!(event["errno"], errno);
    for part in reason {
        assert!(
            event["reason"].as_str().unwrap().contains(part),
            "{part}: {event}"
        );
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
}

#[test]
fn a_stub_that_was_tampered_with() {
    let root = Root::python();
    let path = root.path().join(&PYTHON[1..]);
    let stub = fs::read_to_string(&path).unwrap();
    let entry = stub.trim_end().rsplit(' ').next().unwrap().to_owned();
    fs::write(&path, stub.clone() + "\n").unwrap();
    let digest = run(Command::new("sha256sum").arg(&path)).stdout[..64].to_owned();
    // Path and both digests.
    refused(
        &mut root.python3(&["-c", "print(1)"]),
        126,
        PYTHON,
        "EACCES",
        &[PYTHON, &digest, &entry],
    );
    let zeroes = stub.replace(&entry, &format!("sha256:{}", "0".repeat(64)));
    fs::write(&path, zeroes).unwrap();
    refused(
        &mut root.python3(&["-c", "print(1)"]),
        126,
        PYTHON,
        "EACCES",
        &[PYTHON, "0000000000"],
    );
}

#[test]
fn files_without_a_route() {
    let root = Root::python();
    let native = root.write("/w/native", fs::read("/bin/true").unwrap());
    let text = root.write("/w/text", "not a program\n");
    let script = root.write("/w/script", "#!/w/native\n");
    for file in [&native, &text, &script] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let none: [&str; 0] = [];
    refused(
        &mut root.program("/w/native", &none),
        126,
        "/w/native",
        "EACCES",
        &["/w/native", "sha256:"],
    );
    refused(
        &mut root.program("/w/script", &none),
        126,
        "/w/native",
        "EACCES",
        &["/w/native"],
    );
    let (said, events) = audited(&mut root.program("/w/text", &none));
    assert_eq!(
        (said.status, kinds(&events)),
        (126, vec!["refusal"]),
        "{said:?}"
    );
    let (said, events) = audited(&mut root.program("/w/missing", &none));
    assert_eq!(
        (said.status, kinds(&events)),
        (127, vec!["refusal"]),
        "{said:?}"
    );
}

#[test]
fn writing_over_a_program() {
    let root = Root::python();
    let code = "
import os
for act in (lambda: open('/usr/local/bin/python3', 'w'), lambda: os.unlink('/usr/bin/env'),
            lambda: open('/.vkernel/megabinary', 'ab')):
    try:
        act()
        print('done')
    except OSError as e:
        pass
";
    let (said, events) = audited(&mut root.python3(&["-c", code]));
    assert_eq!(
        (said.status, said.stdout.as_str(), said.stderr.as_str()),
        (0, "", "")
    );
    let refusals: Vec<&Value> = events.iter().filter(|e| e["event"] == "refusal").collect();
    let objects: Vec<&str> = refusals
        .iter()
        .map(|e| e["object"].as_str().unwrap())
        .collect();
    assert!(objects.iter().any(|o| o.contains("python3")), "{events:?}");
    assert!(objects.iter().any(|o| o.contains("env")), "{events:?}");
    for refusal in refusals {
        let operation = refusal["operation"].as_str().unwrap();
        assert!(["open", "unlink_file"].contains(&operation), "{refusal}");
        assert!(!refusal["errno"].as_str().unwrap().is_empty(), "{refusal}");
    }
    assert_eq!(events.last().unwrap()["event"], "exit");
}

#[test]
fn a_trap() {
    let mut command = guests::run_wasm(&guests::c("crash"));
    let (said, events) = audited(guests::args(&mut command, &["divide"]));
    assert_eq!(said.status, 134);
    assert_eq!(kinds(&events), ["launch", "trap", "exit"]);
    assert_eq!(events[1]["program"], "crash");
    assert_eq!(events[1]["function"], "crash_divide");
    assert!(
        events[1]["trap"]
            .as_str()
            .unwrap()
            .contains("divide by zero"),
        "{}",
        events[1]
    );
    assert_eq!(events[2]["status"], 134);
}

/// An image of the guest `limits` with a policy, in a root.
fn limited(folder: &Path, policy: &str) -> PathBuf {
    fs::copy(guests::c("limits"), folder.join("guest.wasm")).unwrap();
    let recipe = format!(
        "[recipe]\nname = \"limits\"\nversion = \"1.0.0\"\nkind = \"image\"\n\
         [[module]]\nname = \"limits\"\nfile = \"path:guest.wasm\"\n\
         [[program]]\nname = \"limits\"\nmodule = \"limits\"\npaths = [\"/bin/limits\"]\n\
         [image]\nname = \"test/limits\"\ntag = \"1\"\n[policy]\n{policy}\n"
    );
    fs::write(folder.join("recipe.toml"), recipe).unwrap();
    let output = folder.join("out");
    let said = run(polybuild()
        .arg("--quiet")
        .arg(folder.join("recipe.toml"))
        .arg("-o")
        .arg(&output));
    assert_eq!(said.status, 0, "{}", said.stderr);
    output
}

#[test]
fn limits() {
    for (policy, act, limit, value, kinds_expected) in [
        (
            "wall-time-max = \"200ms\"",
            "spin",
            "wall-time-max",
            200,
            vec!["launch", "limit"],
        ),
        (
            "memory-max = \"64KiB\"",
            "memory",
            "memory-max",
            65536,
            vec!["launch", "limit"],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let image = limited(folder.path(), policy);
        let root = Root::of(&image);
        let (said, events) = audited(&mut root.program("/bin/limits", &[act]));
        assert_eq!(said.status, 137, "{said:?}");
        assert_eq!(kinds(&events), kinds_expected, "{events:?}");
        assert_eq!(
            events[1],
            json!({"event": "limit", "limit": limit, "value": value})
        );
    }
}

/// The policy's limit is for what the guest writes.
#[test]
fn a_file_larger_than_the_guest_may_write() {
    let folder = tempfile::tempdir().unwrap();
    let image = limited(
        folder.path(),
        "file-size-max = \"10B\"\nwall-time-max = \"200ms\"",
    );
    let root = Root::of(&image);
    let (said, events) = audited(&mut root.program("/bin/limits", &["nothing"]));
    assert_eq!(kinds(&events), ["launch", "exit"], "{said:?}");
    let (said, events) = audited(&mut root.program("/bin/limits", &["spin"]));
    assert_eq!(kinds(&events), ["launch", "limit"], "{said:?}");
}
