//! `python3` of the image: the cases of `polyfills/python/tests/cases.toml`, and what needs more
//! than a case: scripts run by their first line, fresh randomness, nested interpreters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use polybuild_e2e::{
    Said, python_image,
    root::{PYTHON, Root},
    run, run_with, workspace,
};
use serde::Deserialize;

/// One case; the file says what the fields mean.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    args: Vec<String>,
    #[serde(default)]
    stdin: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    packages: BTreeMap<String, String>,
    #[serde(default)]
    archives: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    mounts: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    after: BTreeMap<String, String>,
    #[serde(default = "work")]
    cwd: String,
    start: String,
    /// Only for whoever writes cases.
    #[serde(default, rename = "native")]
    _native: bool,
    #[serde(default)]
    unordered: bool,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stderr: String,
    status: i32,
}

fn work() -> String {
    "/w".to_owned()
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

fn cases() -> Vec<Case> {
    let path = workspace().join("polyfills/python/tests/cases.toml");
    let cases: Cases = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert!(cases.case.len() >= 150, "{} cases", cases.case.len());
    let names: BTreeSet<&str> = cases.case.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names.len(), cases.case.len(), "a name is there twice");
    cases.case
}

/// Addresses as `0xADDR`.
fn without_addresses(text: &str) -> String {
    let mut parts = text.split("0x");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        out.push_str(if rest.len() == part.len() {
            "0x"
        } else {
            "0xADDR"
        });
        out.push_str(rest);
    }
    out
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// What of `case` was not as expected.
fn wrong(case: &Case) -> Option<String> {
    let root = Root::python();
    fs::create_dir_all(root.path().join(case.cwd.trim_start_matches('/'))).unwrap();
    for (name, text) in &case.files {
        root.write(&format!("/w/{name}"), text);
    }
    for (name, text) in &case.packages {
        root.write(
            &format!("/usr/local/lib/python3.12/site-packages/{name}"),
            text,
        );
    }
    for (name, members) in &case.archives {
        let members: Vec<_> = members
            .iter()
            .map(|(n, t)| (n.as_str(), t.as_bytes()))
            .collect();
        root.write(&format!("/w/{name}"), zip(&members));
    }
    let mut command = root.launcher();
    for (number, (guest, files)) in case.mounts.iter().enumerate() {
        let host = root.outside().join(format!("mount{number}"));
        fs::create_dir(&host).unwrap();
        for (name, text) in files {
            fs::write(host.join(name), text).unwrap();
        }
        command
            .arg("--dir")
            .arg(format!("{}::{guest}", host.display()));
    }
    command
        .args(["--cwd", &case.cwd, "--program", PYTHON, "--"])
        .args(&case.args);
    let log = root.outside().join("audit.jsonl");
    // The case's environment is the whole of it.
    command
        .env_clear()
        .envs(&case.env)
        .env("VKERNEL_AUDIT", &log);
    let said = run_with(&mut command, case.stdin.as_bytes());
    let mut wrong = Vec::new();
    let mut compare = |what: &str, found: &str, expected: &str| {
        let same = if case.unordered {
            sorted(found) == sorted(expected)
        } else {
            found == expected
        };
        if !same {
            wrong.push(format!(
                "{what}\n  found    {found:?}\n  expected {expected:?}"
            ));
        }
    };
    compare("start", start(&log), &case.start);
    compare("status", &said.status.to_string(), &case.status.to_string());
    compare("stdout", &without_addresses(&said.stdout), &case.stdout);
    compare("stderr", &without_addresses(&said.stderr), &case.stderr);
    for (name, expected) in &case.after {
        let found = fs::read_to_string(root.path().join("w").join(name)).unwrap_or_default();
        compare(name, &found, expected);
    }
    (!wrong.is_empty()).then(|| format!("{}: {}", case.name, wrong.join("\n  ")))
}

/// Whether the snapshot served the start whose audit events are in this file.
fn start(log: &Path) -> &'static str {
    let events = fs::read_to_string(log).unwrap();
    assert!(events.contains(r#""event":"launch""#), "{events}");
    match events.contains(r#""event":"cold-start""#) {
        true => "cold",
        false => "warm",
    }
}

/// Runs cases over two threads; fails with all that went wrong.
#[track_caller]
fn check_all(cases: &[Case]) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failures = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            failures.extend(wrong(case));
        }
        failures
    };
    let failures: Vec<String> = thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect()
    });
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

#[test]
fn every_case() {
    check_all(&cases());
}

/// A variable that the snapshot cannot serve, and that few programs can see.
const FORCES_COLD: (&str, &str) = ("PYTHONHASHSEED", "random");

#[test]
fn cold_starts_are_the_same() {
    // Cases that show the variable itself, or what only the snapshot has.
    let sees_it = |case: &Case| {
        case.env.keys().any(|k| k.starts_with("PYTHON"))
            || case
                .args
                .iter()
                .any(|a| a.contains("environ") || a.contains("flags"))
            || case
                .files
                .values()
                .any(|t| t.contains("environ") || t.contains("flags"))
    };
    let mut cases: Vec<Case> = cases()
        .into_iter()
        .filter(|c| c.start == "warm" && !sees_it(c))
        .step_by(3)
        .collect();
    assert!(cases.len() >= 25, "{}", cases.len());
    for case in &mut cases {
        case.env
            .insert(FORCES_COLD.0.to_owned(), FORCES_COLD.1.to_owned());
        case.start = "cold".to_owned();
    }
    check_all(&cases);
}

/// A ZIP archive with stored members.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let offset = u32::try_from(out.len()).unwrap();
        let size = u32::try_from(data.len()).unwrap().to_le_bytes();
        let mut header = Vec::new();
        // Version 2.0, no flags, stored, 1980-01-01 00:00.
        header.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
        header.extend(crc32(data).to_le_bytes());
        header.extend(size);
        header.extend(size);
        header.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        header.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&header);
        out.extend(name.as_bytes());
        out.extend(*data);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&header);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = u32::try_from(out.len()).unwrap();
    let count = u16::try_from(members.len()).unwrap().to_le_bytes();
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count);
    out.extend(count);
    out.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}

#[track_caller]
fn check(said: &Said, stdout: &str) {
    assert_eq!(
        (said.status, said.stdout.as_str(), said.stderr.as_str()),
        (0, stdout, "")
    );
}

#[test]
fn randomness_is_fresh_in_every_start() {
    let root = Root::python();
    let code = "
import os, random, secrets, tempfile, uuid
print(random.random(), random.getrandbits(64))
print(secrets.token_hex(16))
print(uuid.uuid4())
print(os.urandom(16).hex())
print(tempfile.mktemp())
print(random.SystemRandom().random())
";
    let runs: Vec<Vec<String>> = (0..4)
        .map(|_| {
            let said = run(&mut root.python3(&["-c", code]));
            assert_eq!(said.status, 0, "{said:?}");
            said.stdout.lines().map(str::to_owned).collect()
        })
        .collect();
    for line in 0..6 {
        let seen: BTreeSet<&String> = runs.iter().map(|r| &r[line]).collect();
        assert_eq!(seen.len(), runs.len(), "line {line}: {seen:?}");
    }
}

#[test]
fn scripts_by_their_first_line() {
    let root = Root::python();
    let show = "import sys; print(sys.argv, sys.executable, __file__)\n";
    for (name, line) in [
        ("direct", "#!/usr/local/bin/python3"),
        ("env", "#!/usr/bin/env python3"),
        ("env-split", "#!/usr/bin/env -S python3 -u"),
        ("option", "#!/usr/local/bin/python3 -u"),
    ] {
        let path = format!("/w/bin/{name}");
        let host = root.write(&path, format!("{line}\n{show}"));
        set_mode(&host, 0o755);
        check(
            &run(&mut root.program(&path, &["a", "b c"])),
            &format!("['{path}', 'a', 'b c'] {PYTHON} {path}\n"),
        );
    }
    // By a relative path, from a folder below.
    fs::create_dir_all(root.path().join("w/sub")).unwrap();
    let said = run(&mut root.program_in("/w/sub", "../bin/env", &["x"]));
    assert_eq!(said.status, 0, "{said:?}");
    assert!(
        said.stdout.starts_with("['../bin/env', 'x'] "),
        "{}",
        said.stdout
    );
    // In `PATH`.
    let mut command = root.program("env", &["y"]);
    command.env("PATH", "/w/bin:/usr/bin:/usr/local/bin");
    assert_eq!(
        run(&mut command).stdout,
        format!("['/w/bin/env', 'y'] {PYTHON} /w/bin/env\n")
    );
}

#[test]
fn nested_interpreters() {
    let root = Root::python();
    let base = root.write(
        "/w/base",
        "#!/usr/bin/env python3\nimport sys; print(sys.argv)\n",
    );
    let first = root.write("/w/first", "#!/w/base one\n");
    let second = root.write("/w/second", "#!/w/first two\n");
    for file in [&base, &first, &second] {
        set_mode(file, 0o755);
    }
    check(
        &run(&mut root.program("/w/second", &["z"])),
        "['/w/base', 'one', '/w/first', 'two', '/w/second', 'z']\n",
    );
    // The host kernel stops at some depth too; a circle must end.
    let circle = root.write("/w/circle", "#!/w/circle\n");
    set_mode(&circle, 0o755);
    let said = run(&mut root.program("/w/circle", &[] as &[&str]));
    assert_eq!((said.status, said.stdout.as_str()), (126, ""), "{said:?}");
    assert!(said.stderr.contains("/w/circle"), "{}", said.stderr);
}

#[test]
fn through_env() {
    let root = Root::python();
    let code = "import os, sys; print(sys.argv, sys.executable, os.environ.get('A'), 'HOME' in os.environ)";
    let env = "/usr/bin/env";
    check(
        &run(&mut root.program(env, &["python3", "-c", code, "x"])),
        &format!("['-c', 'x'] {PYTHON} None True\n"),
    );
    check(
        &run(&mut root.program(env, &["-u", "HOME", "A=1", "python", "-c", code])),
        "['-c'] /usr/local/bin/python 1 False\n",
    );
    let said = run(&mut root.program(env, &["-i", "A=b", "C="]));
    check(&said, "A=b\nC=\n");
    let said = run(&mut root.program(env, &["no-such-program"]));
    assert_eq!(said.status, 127, "{said:?}");
    assert!(said.stderr.contains("no-such-program"), "{}", said.stderr);
}

#[test]
fn scripts_modules_archives_and_input() {
    let root = Root::python();
    root.write(
        "/w/pkg/tool.py",
        "import sys; print('tool', sys.argv[1:], __name__)\n",
    );
    root.write("/w/pkg/__init__.py", "");
    root.write(
        "/w/deep/er/s.py",
        "import os, helper; print(os.getcwd(), helper.x)\n",
    );
    root.write("/w/deep/er/helper.py", "x = 5\n");
    root.write(
        "/w/app.pyz",
        [
            b"#!/usr/bin/env python3\n".as_slice(),
            &zip(&[
                (
                    "__main__.py",
                    b"import m, sys; print('zip', m.v, sys.argv[1:])\n",
                ),
                ("m.py", b"v = 7\n"),
            ]),
        ]
        .concat(),
    );
    set_mode(&root.path().join("w/app.pyz"), 0o755);
    check(
        &run(&mut root.python3(&["-m", "pkg.tool", "q"])),
        "tool ['q'] __main__\n",
    );
    check(&run(&mut root.python3(&["deep/er/s.py"])), "/w 5\n");
    check(
        &run(&mut root.program_in("/w/deep", PYTHON, &["er/s.py"])),
        "/w/deep 5\n",
    );
    check(&run(&mut root.python3(&["app.pyz", "r"])), "zip 7 ['r']\n");
    check(
        &run(&mut root.program("/w/app.pyz", &["r"])),
        "zip 7 ['r']\n",
    );
    check(
        &run_with(&mut root.python3(&[] as &[&str]), b"print('in')\n"),
        "in\n",
    );
    check(
        &run_with(
            &mut root.python3(&["-", "s"]),
            b"import sys\nprint(sys.argv)\n",
        ),
        "['-', 's']\n",
    );
    // What it wrote stays.
    check(
        &run(&mut root.python3(&["-c", "open('out', 'w').write('1')"])),
        "",
    );
    assert_eq!(fs::read_to_string(root.path().join("w/out")).unwrap(), "1");
}

#[test]
fn as_polybuild_runs_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("s.py"),
        "import os, sys; print(sys.argv, os.listdir('.'))\n",
    )
    .unwrap();
    let mut command = Command::new(polybuild_e2e::polybuild_path());
    command
        .current_dir(folder.path())
        .arg("run")
        .arg(python_image());
    let log = folder.path().with_extension("audit");
    command.env("VKERNEL_AUDIT", &log);
    check(
        &run(command.args(["--", "python3", "s.py", "1"])),
        "['s.py', '1'] ['s.py']\n",
    );
    assert_eq!(start(&log), "warm");
    fs::remove_file(log).unwrap();
}

#[test]
fn warm_in_a_container() {
    let root = Root::python();
    root.write("/w/s.py", "import json, sys; print(json.dumps(sys.argv))\n");
    let said = run(root
        .contained(&[PYTHON, "/w/s.py", "1"])
        .env("VKERNEL_AUDIT", "/w/audit"));
    assert_eq!(said.stdout, "[\"/w/s.py\", \"1\"]\n", "{said:?}");
    assert_eq!(start(&root.path().join("w/audit")), "warm");
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
