//! A file outside the root cannot be reached, read, seen or changed: by climbing, links, swaps in
//! a race, `/proc`; from Python, from C, and with Linux system calls; and the image's own parts
//! cannot be changed.
//!
//! The secret lies in the folder around the root. Its size is peculiar, so that a look at it
//! would show. A control reads it natively by the same ways.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use polybuild_e2e::{guests, linux::Sandbox, root::Root, run, said};

/// What the secret holds: [`SIZE`] bytes.
fn secret_text() -> String {
    format!("{:<width$}", "SECRET", width = SIZE)
}

const SIZE: usize = 4242;

/// Writes the secret into `folder`.
fn hide(folder: &Path) -> PathBuf {
    let secret = folder.join("secret");
    fs::write(&secret, secret_text()).unwrap();
    secret
}

/// The secret is as it was, and nothing is beside it but the root.
#[track_caller]
fn untouched(folder: &Path) {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["root", "secret"]);
    assert_eq!(
        fs::read_to_string(folder.join("secret")).unwrap(),
        secret_text()
    );
}

/// Tries everything on `sys.argv[1]` and prints what it reached.
const PYTHON_ATTEMPTS: &str = r#"
import os, sys, shutil, glob, pathlib
target, size = sys.argv[1], int(sys.argv[2])
reached = []

tried = []

def attempt(path):
    tried.append(path)
    for what in (
        lambda: 'SECRET' in open(path, errors='replace').read(),
        lambda: b'SECRET' in os.read(os.open(path, os.O_RDONLY), size),
        lambda: os.stat(path).st_size == size,
        lambda: os.lstat(path).st_size == size,
        lambda: 'secret' in os.listdir(os.path.dirname(path) or '.'),
        lambda: any(e.name == 'secret' for e in os.scandir(os.path.dirname(path) or '.')),
        lambda: b'SECRET' in pathlib.Path(path).read_bytes(),
        lambda: 'SECRET' in open(shutil.copy(path, '/w/copy')).read(),
        lambda: os.link(path, '/w/hard') or os.stat('/w/hard').st_size == size,
    ):
        try:
            if what():
                reached.append(path)
        except (OSError, ValueError, NotImplementedError, AttributeError):
            pass

climbs = ['../' * n + target[1:] for n in range(1, 30)]
for path in [target, '/' + target, *climbs, *('/' + c for c in climbs), *('/w/' + c for c in climbs),
             '/w/.' + target, './' + climbs[-1], 'missing/../' + climbs[-1], 'd/' + climbs[-1]]:
    attempt(path)
attempt('../secret'); attempt('../../secret'); attempt('/../secret')

proc = ['/proc/self', '/proc/thread-self', '/proc/1', '/proc/self/task/1', f'/proc/{os.getpid()}' if hasattr(os, 'getpid') else '/proc/2']
for base in proc:
    for part in ['root', 'cwd/../..', 'cwd/..', 'exe/../..', *(f'fd/{n}' for n in range(20)), *(f'fd/{n}/../..' for n in range(12)), 'map_files']:
        attempt(f'{base}/{part}{target}')
        attempt(f'{base}/{part}/secret')
    for name in ['exe', 'mem', 'maps', 'environ', 'cmdline', 'mountinfo', 'auxv', 'stack', 'pagemap']:
        try:
            data = open(f'{base}/{name}', 'rb').read(64)
            print('read', base, name, data)
        except (OSError, ValueError):
            pass
for n in range(20):
    attempt(f'/dev/fd/{n}/../../secret')

for at, goal in enumerate([target, climbs[-1], '../secret', '../../secret', '/../secret', '/proc/self/root' + target,
                           '/proc/1/root' + target, '/', '..', '../..', '/proc/self/root', '/proc/1/cwd', '/dev/fd/3']):
    name = f'/w/l{at}'
    try:
        os.symlink(goal, name)
    except OSError:
        continue
    attempt(name); attempt(name + target); attempt(name + '/secret'); attempt(name + '/..' + target); attempt(name + '/../secret')
    os.symlink(f'l{at}', f'/w/ll{at}')
    attempt(f'/w/ll{at}'); attempt(f'/w/ll{at}/secret')
for pattern in ['/../*', '../*', '/w/l*/secret', '/proc/*/root/*']:
    if any('secret' in p for p in glob.glob(pattern)):
        reached.append(pattern)
for top, folders, files in os.walk('/', followlinks=False):
    if 'secret' in files:
        reached.append(top)
print('reached', reached)
for path in tried:
    for change in (
        lambda: os.utime(path, (1, 1)),
        lambda: os.truncate(path, 1),
        lambda: open(path, 'ab').write(b'x'),
        lambda: os.path.islink(path) or os.rename(path, '/w/taken'),
    ):
        try:
            change()
        except (OSError, ValueError):
            pass
"#;

#[test]
fn from_python() {
    attempts_from(&Root::python());
}

#[test]
fn from_python_from_source() {
    attempts_from(&Root::python_from_source());
}

fn attempts_from(root: &Root) {
    let secret = hide(root.outside());
    // Links that somebody else has put into the root.
    let w = root.path().join("w");
    symlink(&secret, w.join("l-absolute")).unwrap();
    symlink("../../secret", w.join("l-relative")).unwrap();
    symlink(root.outside(), w.join("l-folder")).unwrap();
    symlink("../..", w.join("l-up")).unwrap();
    fs::create_dir(w.join("d")).unwrap();
    symlink("/proc/self/root", w.join("d/l-proc")).unwrap();
    let attempts = format!(
        "{PYTHON_ATTEMPTS}\nfor p in ['l-absolute', 'l-relative', 'l-folder/secret', 'l-up/secret', \
         'd/l-proc' + target]:\n    attempt(p)\nprint('reached', reached)\n"
    );
    root.write("/w/attempts.py", attempts);
    let arguments = [
        "/w/attempts.py",
        secret.to_str().unwrap(),
        &SIZE.to_string(),
    ];
    let said = run(&mut root.python3(&arguments));
    assert_eq!(said.status, 0, "{said:?}");
    // With Linux system calls there is something in /proc/self: what the guest's own files say.
    let reached: Vec<&str> = said
        .stdout
        .lines()
        .filter(|line| !line.starts_with("read "))
        .collect();
    assert_eq!(reached, ["reached []", "reached []"], "{said:?}");
    assert!(!said.stdout.contains("SECRET"), "{said:?}");
    untouched(root.outside());
}

/// A launcher with a folder of the host, which has a secret beside it, at `/m` in the root.
fn with_a_mount(root: &Root, outer: &Path) -> (Command, PathBuf, PathBuf) {
    let mounted = outer.join("root");
    fs::create_dir_all(mounted.join("w")).unwrap();
    let secret = hide(outer);
    let mut command = root.launcher();
    command
        .arg("--dir")
        .arg(format!("{}::/m", mounted.display()));
    (command, mounted, secret)
}

#[test]
fn from_a_mount_in_the_root() {
    let (root, outer) = (Root::python(), tempfile::tempdir().unwrap());
    hide(root.outside());
    let (mut command, mounted, secret) = with_a_mount(&root, outer.path());
    symlink(&secret, mounted.join("l-absolute")).unwrap();
    symlink("../secret", mounted.join("l-relative")).unwrap();
    symlink("../../secret", mounted.join("l-relative2")).unwrap();
    symlink(outer.path(), mounted.join("l-folder")).unwrap();
    symlink("..", mounted.join("w/l-up")).unwrap();
    symlink("/m", root.path().join("l-in")).unwrap();
    let attempts = format!(
        "{PYTHON_ATTEMPTS}\nfor p in ['l-absolute', 'l-relative', 'l-relative2', 'l-folder/secret', \
         'w/l-up/../secret', '/l-in/../secret', '/l-in/w/../../secret', '/m/../m/../secret', \
         '/l-in/l-folder/secret']:\n    attempt(p)\nprint('reached', reached)\n"
    );
    root.write("/w/attempts.py", attempts);
    command
        .args(["--cwd", "/m", "--program", "/usr/local/bin/python3", "--"])
        .arg("/w/attempts.py")
        .args([secret.to_str().unwrap(), &SIZE.to_string()]);
    let said = run(&mut command);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(said.stdout, "reached []\nreached []\n", "{said:?}");
    untouched(root.outside());
    untouched(outer.path());
}

#[test]
fn in_a_container_root() {
    // The root is the host kernel's own, and /proc is there: what it shows must not help.
    let root = Root::python();
    let secret = hide(root.outside());
    root.write("/w/attempts.py", PYTHON_ATTEMPTS);
    let arguments = [
        "/usr/local/bin/python3",
        "/w/attempts.py",
        secret.to_str().unwrap(),
        "4242",
    ];
    let said = run(&mut root.contained(&arguments));
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stdout.ends_with("reached []\n"), "{said:?}");
    untouched(root.outside());
}

#[test]
fn from_c() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    fs::create_dir_all(root.join("w")).unwrap();
    let secret = hide(outer.path());
    for guest in ["/", "/w", "/deep/er"] {
        let mut command = guests::run_wasm(&guests::c("escape"));
        command
            .arg("--dir")
            .arg(format!("{}::{guest}", root.display()));
        let said = run(guests::args(&mut command, &[secret.to_str().unwrap()]));
        assert_eq!(
            (said.status, said.stdout.as_str()),
            (0, "done\n"),
            "{guest}: {said:?}"
        );
        for entry in fs::read_dir(&root).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() {
                fs::remove_file(path).unwrap();
            }
        }
    }
    untouched(outer.path());
}

#[test]
fn from_linux() {
    let sandbox = Sandbox::new("escape", "");
    let secret = sandbox.outside().join("secret");
    fs::write(&secret, secret_text()).unwrap();
    let said = run(&mut sandbox.alone(&[secret.to_str().unwrap()]));
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (0, "done\n"),
        "{said:?}"
    );
    assert_eq!(fs::read_to_string(secret).unwrap(), secret_text());

    // The same ways, where the secret is inside.
    hide(&sandbox.root());
    let said = run(&mut sandbox.alone(&["/secret"]));
    for way in [
        "reached /secret",
        "could write /secret",
        "reached /proc/self/root/secret",
    ] {
        assert!(said.stdout.lines().any(|l| l == way), "{way}: {said:?}");
    }
}

#[test]
fn the_attempts_can_succeed() {
    // The same ways, where the secret is inside.
    let outer = tempfile::tempdir().unwrap();
    hide(outer.path());
    let mut command = guests::run_wasm(&guests::c("escape"));
    command
        .arg("--dir")
        .arg(format!("{}::/", outer.path().display()));
    let said = run(guests::args(&mut command, &["/secret"]));
    assert_eq!(said.status, 1, "{said:?}");
    for way in [
        "reached /secret",
        "saw /secret",
        "could write /secret",
        "reached descriptor",
    ] {
        assert!(
            said.stdout.lines().any(|l| l == way),
            "{way}: {}",
            said.stdout
        );
    }

    let root = Root::python();
    let secret = hide(&root.path());
    root.write("/w/attempts.py", PYTHON_ATTEMPTS);
    let said = run(&mut root.python3(&["/w/attempts.py", "/secret", "4242"]));
    assert_eq!(said.status, 0, "{said:?}");
    for way in [
        "'/secret'",
        "'../secret'",
        "'/w/l0'",
        "'/w/ll0'",
        "'/w/l7/secret'",
        "'/../*'",
    ] {
        assert!(said.stdout.contains(way), "{way}: {}", said.stdout);
    }
    assert_ne!(
        fs::read_to_string(secret).unwrap_or_default(),
        secret_text()
    );
}

/// The guest opens `/w/swap/secret` while a host process swaps `swap` between a folder that has
/// an innocent file of that name and a link that leads outside.
fn race(mut command: Command, root: &Path) {
    let w = root.join("w");
    fs::create_dir_all(w.join("real")).unwrap();
    fs::write(w.join("real/secret"), "innocent").unwrap();
    symlink("../..", w.join("link")).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = fs::rename(w.join("real"), w.join("swap"));
                let _ = fs::rename(w.join("swap"), w.join("real"));
                let _ = fs::rename(w.join("link"), w.join("swap"));
                let _ = fs::rename(w.join("swap"), w.join("link"));
            }
        });
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = said(&child.wait_with_output().unwrap());
        done.store(true, Ordering::Relaxed);
        assert_eq!(said.status, 0, "{said:?}");
        // Both sides of the race were seen, or it was none.
        assert_eq!(said.stdout, "opened 1, failed 1\n", "{said:?}");
    });
}

#[test]
fn swaps_in_a_race_from_c() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    fs::create_dir_all(&root).unwrap();
    hide(outer.path());
    let mut command = guests::run_wasm(&guests::c("escape"));
    command.arg("--dir").arg(format!("{}::/", root.display()));
    guests::args(&mut command, &["race", "/w/swap/secret", "40000"]);
    race(command, &root);
    untouched(outer.path());
}

#[test]
fn swaps_in_a_race_from_linux() {
    let sandbox = Sandbox::new("escape", "");
    let secret = sandbox.outside().join("secret");
    fs::write(&secret, secret_text()).unwrap();
    let command = sandbox.alone(&["race", "/w/swap/secret", "40000"]);
    race(command, &sandbox.root());
    assert_eq!(fs::read_to_string(secret).unwrap(), secret_text());
}

const RACE_IN_PYTHON: &str = "
import os
opened = failed = 0
for _ in range(8000):
    for path in '/w/swap/secret', 'swap/secret':
        try:
            text = open(path).read()
        except OSError:
            failed = 1
        else:
            opened = 1
            assert text == 'innocent', text
print(f'opened {opened}, failed {failed}')
";

#[test]
fn swaps_in_a_race_from_python() {
    swaps_from(&Root::python());
}

#[test]
fn swaps_in_a_race_from_python_from_source() {
    swaps_from(&Root::python_from_source());
}

fn swaps_from(root: &Root) {
    hide(root.outside());
    race(root.python3(&["-c", RACE_IN_PYTHON]), &root.path());
    untouched(root.outside());
}

#[test]
fn swaps_in_a_race_in_a_mount() {
    let (root, outer) = (Root::python(), tempfile::tempdir().unwrap());
    hide(root.outside());
    let (mut command, mounted, _) = with_a_mount(&root, outer.path());
    let code = RACE_IN_PYTHON.replace("/w/", "/m/w/");
    command.args(["--cwd", "/m/w", "--program", "/usr/local/bin/python3", "--"]);
    command.args(["-c", &code]);
    race(command, &mounted);
    untouched(root.outside());
    untouched(outer.path());
}

#[test]
fn the_image_protects_itself() {
    let root = Root::python_unshared();
    let before = fs::read(root.path().join(".vkernel/megabinary")).unwrap();
    let stub = fs::read(root.path().join("usr/local/bin/python3")).unwrap();
    let code = "
import os
def attempt(name, act):
    try:
        act()
        print('done', name)
    except OSError as e:
        pass
stub = '/usr/local/bin/python3'
for path in '/.vkernel/megabinary', '/.vkernel', '/.vkernel/new', stub:
    attempt(f'open {path}', lambda: open(path, 'r+b'))
    attempt(f'append {path}', lambda: open(path, 'ab'))
    attempt(f'new {path}', lambda: open(path, 'wb'))
    attempt(f'truncate {path}', lambda: os.truncate(path, 0))
    attempt(f'rename {path}', lambda: os.rename(path, '/w/moved'))
    attempt(f'unlink {path}', lambda: os.unlink(path))
    attempt(f'rmdir {path}', lambda: os.rmdir(path))
    attempt(f'mkdir {path}', lambda: os.mkdir(path))
    attempt(f'link {path}', lambda: os.link(path, '/w/hard'))
    open('/w/file', 'w').write('x')
    attempt(f'over {path}', lambda: os.rename('/w/file', path))
    attempt(f'onto {path}', lambda: os.symlink('/w/file', path))
for at, goal in enumerate(['/.vkernel/megabinary', '../.vkernel/megabinary', stub, '/.vkernel']):
    os.symlink(goal, f'/w/l{at}')
    attempt(f'through link to {goal}', lambda: open(f'/w/l{at}', 'r+b'))
    attempt(f'into link to {goal}', lambda: open(f'/w/l{at}/x', 'wb'))
attempt('move the folder of stubs', lambda: os.rename('/usr/local/bin', '/w/bin'))
attempt('move above it', lambda: os.rename('/usr', '/w/usr'))
print(sorted(os.listdir('/')), os.path.exists('/.vkernel'), os.path.exists('/.vkernel/megabinary'))
";
    let said = run(&mut root.python3(&["-c", code]));
    assert_eq!(
        (said.status, said.stdout.as_str(), said.stderr.as_str()),
        (
            0,
            "['bin', 'etc', 'root', 'tmp', 'usr', 'w'] False False\n",
            ""
        )
    );
    assert!(fs::read(root.path().join(".vkernel/megabinary")).unwrap() == before);
    assert_eq!(
        fs::read(root.path().join("usr/local/bin/python3")).unwrap(),
        stub
    );
    assert_eq!(
        fs::read_dir(root.path().join(".vkernel")).unwrap().count(),
        1
    );
    // It still runs.
    assert_eq!(run(&mut root.python3(&["-c", "print(1)"])).stdout, "1\n");
}
