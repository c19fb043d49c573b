//! Modules that the image's own Python compiles when the image is built: `compile` in `[python]`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::Path};

use polybuild_e2e::{polybuild, root::PYTHON, root::Root, run, workspace};

const RECIPE: &str = r#"
[recipe]
name = "app"
version = "1"
kind = "app"
from = "python/3.12-slim"

[python]
compile = ["/app"]

[[file]]
path = "/app"
source = "path:files"

[image]
name = "test/compiled"
tag = "1"

[policy]
read-only-root = true
"#;

/// A set of constants, whose order hangs on hashes; a nested package; a file that is no Python any more.
const FILES: &[(&str, &str)] = &[
    (
        "main.py",
        "import sub.part\nprint(sub.part.has('c'), __name__)\n",
    ),
    (
        "sub/part.py",
        "def has(x): return x in {'a', 'b', 'c', 'd', 'e'}\n",
    ),
    ("sub/__pycache__/part.cpython-312.pyc", "old"),
    ("old.py", "print 'no'\n"),
    ("data.txt", "x"),
];

fn build(folder: &Path, output: &str, more: &[&str]) -> String {
    let args = ["recipe.toml", "-o", output, "--offline"];
    let said = run(polybuild().current_dir(folder).args(args).args(more));
    assert_eq!(said.status, 0, "{said:#?}");
    said.stderr
}

#[test]
fn modules_are_compiled_once_and_the_same() {
    // Below the workspace, where `from` finds the image's recipe; its sources are in the cache.
    let folder = tempfile::tempdir_in(workspace().join("target")).unwrap();
    let folder = folder.path();
    for (name, text) in FILES {
        let path = folder.join("files").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(folder.join("recipe.toml"), RECIPE).unwrap();
    // Something of its own in it, so that no earlier run has left the result in the cache.
    let unique = format!("x = {:?}\n", folder.file_name().unwrap());
    fs::write(folder.join("files/unique.py"), unique).unwrap();
    let said = build(folder, "out", &[]);
    assert!(said.contains("Precompiling /app: 3 modules"), "{said}");
    let refused = "1 Python files cannot be compiled and are left as they are, such as /app/old.py";
    assert!(said.contains(refused), "{said}");
    let root = Root::of(&folder.join("out"));
    let compiled = |name: &str| fs::read(root.path().join("app").join(name)).unwrap();
    let part = compiled("sub/__pycache__/part.cpython-312.pyc");
    // Bit 0: by hash; bit 1, to compare with the source, is not set.
    assert_eq!(part[4..8], [1, 0, 0, 0]);
    assert!(
        !root
            .path()
            .join("app/__pycache__/old.cpython-312.pyc")
            .exists()
    );
    let mut main = root.launcher();
    main.args(["--cwd", "/", "--program", PYTHON, "--", "/app/main.py"]);
    let said = run(&mut main);
    assert_eq!(said.stdout, "True __main__\n", "{said:#?}");
    let code = "import sys; sys.path.insert(0, '/app'); import sub.part as p; \
                print(p.__cached__, p.__spec__.loader.get_data(p.__cached__)[4])";
    let mut from = root.launcher();
    from.args(["--cwd", "/", "--program", PYTHON, "--", "-c", code]);
    let said = run(&mut from);
    assert_eq!(
        said.stdout, "/app/sub/__pycache__/part.cpython-312.pyc 1\n",
        "{said:#?}"
    );
    // Built again from nothing of this, it has the same bytes.
    let said = build(folder, "again", &["--rebuild"]);
    assert!(said.contains("Precompiling /app: 3 modules"), "{said}");
    let manifest = |output: &str| {
        let record: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join(output).join("build.json")).unwrap())
                .unwrap();
        record["built"]["manifest"].clone()
    };
    assert_eq!(manifest("out"), manifest("again"));
    // Another file beside them compiles that folder again, and changes nothing of the rest.
    fs::write(folder.join("files/data.txt"), "y").unwrap();
    let said = build(folder, "out", &[]);
    assert!(said.contains("Precompiling /app"), "{said}");
    let root = Root::of(&folder.join("out"));
    let again = fs::read(root.path().join("app/sub/__pycache__/part.cpython-312.pyc")).unwrap();
    assert_eq!(part, again);
}
