//! An app whose packages are in its snapshot (`[[preload]]`): nothing but the time that an import
//! takes tells the difference, and whatever could make one leads to a real import.
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
    sync::OnceLock,
};

use polybuild_e2e::{
    Said, polybuild,
    root::{PYTHON, Root},
    run, workspace,
};
use tempfile::TempDir;

/// A package with a part that fails to import after it has imported something, as packages with
/// optional parts in C do. When it was really imported it knows the present time; in the snapshot
/// the clock stood at 1970.
const FILES: &[(&str, &str)] = &[
    (
        "lib/pkg/__init__.py",
        "import time\nstamp = time.time()\nfrom . import part\nimport json\n\
         try:\n    from ._fast import go\nexcept ImportError:\n    go = None\n",
    ),
    ("lib/pkg/part.py", "import random, single\nvalue = 7\n"),
    (
        "lib/pkg/_fast.py",
        "import queue\nraise ImportError('not here')\n",
    ),
    (
        "lib/single.py",
        "import atexit\natexit.register(print, 'bye')\n",
    ),
    (
        "main.py",
        "import pkg, sys\nprint(pkg.part.value, sys.argv[1:])\n",
    ),
];

fn recipe(names: &str) -> String {
    format!(
        r#"
[recipe]
name = "app"
version = "1"
kind = "app"
from = "python/3.12-slim"

[[tree]]
mount = "/app"
entry = [{{ source = "path:files" }}]

[[preload]]
module = "python"
names = {names}
path = ["/app/lib"]

[[program]]
name = "app"
module = "python"
args = ["/app/main.py"]
paths = ["/usr/local/bin/app"]

[image]
name = "test/app"
tag = "1"
env = {{ PYTHONPATH = "/app/lib" }}
"#
    )
}

/// Builds the app; the output folder is `out` in the folder.
fn build(names: &str) -> (TempDir, Said) {
    // Below the workspace, where `from` finds the image's recipe.
    let folder = tempfile::tempdir_in(workspace().join("target")).unwrap();
    for (name, text) in FILES {
        let path = folder.path().join("files").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(folder.path().join("recipe.toml"), recipe(names)).unwrap();
    // The sources are those of the image's recipes: pinned there, and in the cache since it was built.
    let said =
        run(polybuild()
            .current_dir(folder.path())
            .args(["recipe.toml", "-o", "out", "--offline"]));
    (folder, said)
}

fn image() -> PathBuf {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE
        .get_or_init(|| {
            let (folder, said) = build(r#"["pkg"]"#);
            assert_eq!(said.status, 0, "{said:#?}");
            // Statics are not dropped: the next run takes its place, and `cargo clean` finds it.
            let kept = workspace().join("target/test-app");
            let _ = fs::remove_dir_all(&kept);
            fs::rename(folder.keep(), &kept).unwrap();
            kept.join("out")
        })
        .clone()
}

/// Python in `/w` of the app's image, with the image's environment.
fn python(root: &Root, mounts: &[(&Path, &str)], args: &[&str]) -> Command {
    let mut command = root.launcher();
    for (host, guest) in mounts {
        command
            .arg("--dir")
            .arg(format!("{}::{guest}", host.display()));
    }
    command.args(["--cwd", "/w", "--program", PYTHON, "--"]);
    command.args(args).env("PYTHONPATH", "/app/lib");
    command
}

/// Prints where `pkg` came from.
const WHENCE: &str = "import time, pkg; \
    print('snapshot' if time.time() - getattr(pkg, 'stamp', time.time()) > 1e6 else 'file', \
    pkg.__file__)";

#[track_caller]
fn check(said: &Said, stdout: &str) {
    assert_eq!(
        (said.status, said.stdout.as_str(), said.stderr.as_str()),
        (0, stdout, "")
    );
}

#[test]
fn the_packages_are_in_memory() {
    let root = Root::of(&image());
    let said = run(&mut python(&root, &[], &["-c", WHENCE]));
    check(&said, "snapshot /app/lib/pkg/__init__.py\nbye\n");
    let mut app = root.program("/usr/local/bin/app", &["x"]);
    check(&run(app.env("PYTHONPATH", "/app/lib")), "7 ['x']\nbye\n");
    // Not there until it is imported.
    let code = "import sys; print([n for n in sys.modules if n in ('pkg', 'single', 'json')])";
    check(&run(&mut python(&root, &[], &["-c", code])), "[]\n");
}

#[test]
fn an_import_looks_the_same() {
    let root = Root::of(&image());
    let code = "
import sys, gc, weakref
before = list(sys.modules)
import pkg.part
print([n for n in sys.modules if n not in before])
for m in pkg, pkg.part, sys.modules['single']:
    print(m, m.__spec__, m.__file__, m.__cached__, m.__package__, getattr(m, '__path__', None))
    print(type(m.__loader__), m.__loader__ is m.__spec__.loader, sorted(vars(m)))
print(pkg.go, pkg.part.random.random() != pkg.part.random.random())
import importlib.util, inspect
print(importlib.util.find_spec('pkg'), inspect.getsource(pkg.part))
try:
    import pkg._fast
except ImportError as e:
    print(e)
importlib.reload(pkg.part)
del sys.modules['pkg'], sys.modules['pkg.part']
import pkg
print(__import__('time').time() - pkg.stamp < 1e6)
";
    let warm = run(&mut python(&root, &[], &["-c", code]));
    let cold = run(python(&root, &[], &["-c", code]).env("PYTHONHASHSEED", "random"));
    assert_eq!((warm.status, warm.stderr.as_str()), (0, ""), "{warm:#?}");
    let plain = |text: &str| -> String {
        let parts = text.split("0x").enumerate();
        parts
            .map(|(at, part)| match at {
                0 => part.to_owned(),
                _ => part
                    .trim_start_matches(|c: char| c.is_ascii_hexdigit())
                    .to_owned(),
            })
            .collect()
    };
    assert_eq!(plain(&warm.stdout), plain(&cold.stdout));
    assert!(warm.stdout.contains("'queue'"), "{}", warm.stdout);
}

#[test]
fn what_comes_first_on_the_path_is_taken() {
    let root = Root::of(&image());
    let file = "file /app/lib/pkg/__init__.py\nbye\n";
    root.write("/w/pkg.py", "");
    check(
        &run(&mut python(&root, &[], &["-c", WHENCE])),
        "file /w/pkg.py\n",
    );
    fs::remove_file(root.path().join("w/pkg.py")).unwrap();
    // Something that it imports.
    let bye = "import atexit\natexit.register(print, 'bye')\n";
    for (name, text) in [("single.py", bye), ("queue.py", "")] {
        root.write(&format!("/w/{name}"), text);
        check(&run(&mut python(&root, &[], &["-c", WHENCE])), file);
        fs::remove_file(root.path().join("w").join(name)).unwrap();
    }
    let said = run(python(&root, &[], &["-c", WHENCE]).env_remove("PYTHONPATH"));
    assert!(said.stderr.contains("No module named 'pkg'"), "{said:?}");
    // Another spelling is another path.
    let code = format!("import sys; sys.path[1] = '/app/../app/lib'; {WHENCE}");
    let said = run(&mut python(&root, &[], &["-c", &code]));
    check(&said, "file /app/../app/lib/pkg/__init__.py\nbye\n");
    // At the end of the path, behind the library.
    let code = format!("import sys; sys.path.append(sys.path.pop(1)); {WHENCE}");
    let said = run(&mut python(&root, &[], &["-c", &code]));
    check(&said, "snapshot /app/lib/pkg/__init__.py\nbye\n");
}

#[test]
fn a_mount_over_the_packages_is_seen() {
    let root = Root::of(&image());
    let outer = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        let path = outer.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let file = "file /app/lib/pkg/__init__.py\nbye\n";
    for (folder, guest) in [("lib/pkg", "/app/lib/pkg"), ("lib", "/app/lib")] {
        let mounts = [(&*outer.path().join(folder), guest)];
        let mut command = python(&root, &mounts, &["-c", WHENCE]);
        check(&run(command.env("PYTHONDONTWRITEBYTECODE", "1")), file);
    }
    // Elsewhere it matters to nobody.
    let mounts = [(outer.path(), "/work")];
    let said = run(&mut python(&root, &mounts, &["-c", WHENCE]));
    check(&said, "snapshot /app/lib/pkg/__init__.py\nbye\n");
}

#[test]
fn what_cannot_be_imported_fails_the_build() {
    let (folder, said) = build(r#"["pkg", "pkg._fast"]"#);
    assert_ne!(said.status, 0);
    assert!(said.stderr.contains("ImportError: not here"), "{said:#?}");
    assert!(!folder.path().join("out").exists());
}
