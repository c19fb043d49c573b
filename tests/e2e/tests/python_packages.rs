//! `[python]` in a recipe: resolved by the real pip from a folder of packages, locked, and laid out in the
//! image. No network. The image's program is no Python: what is looked at is the image.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use polybuild_e2e::{Said, run, sandbox::Sandbox};

/// Makes a wheel: `NAME VERSION TAGS REQUIRES FILES…`, a file being `PATH=TEXT`.
const MAKE: &str = r#"
import sys, zipfile
folder, name, version, tags, requires, *files = sys.argv[1:]
info = f"{name}-{version}.dist-info"
metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
metadata += "".join(f"Requires-Dist: {r}\n" for r in requires.split("|") if r)
pure = str(tags.endswith("-none-any")).lower()
with zipfile.ZipFile(f"{folder}/{name}-{version}-{tags}.whl", "w") as wheel:
    wheel.writestr(f"{info}/METADATA", metadata)
    wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: {pure}\nTag: {tags}\n")
    for file in files:
        path, text = file.split("=", 1)
        wheel.writestr(path, text)
    wheel.writestr(f"{info}/RECORD", "")
"#;

struct World {
    sandbox: Sandbox,
}

impl World {
    fn new() -> World {
        let world = World {
            sandbox: Sandbox::with("hello"),
        };
        let home = world.sandbox.home();
        fs::create_dir(home.join("bin")).unwrap();
        fs::create_dir(home.join("packages")).unwrap();
        let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join("pip3"))
            .find(|path| path.is_file())
            .expect("pip3 is not installed");
        let text = format!(
            "#!/bin/sh\nexport PIP_NO_INDEX=1 PIP_FIND_LINKS={}\nexec {} \"$@\"\n",
            home.join("packages").display(),
            real.display()
        );
        let wrapper = home.join("bin/pip3");
        fs::write(&wrapper, text).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        world
    }

    fn wheel(&self, name: &str, version: &str, tags: &str, requires: &str, files: &[&str]) {
        let mut make = Command::new("python3");
        make.args(["-c", MAKE])
            .arg(self.sandbox.home().join("packages"));
        make.args([name, version, tags, requires]).args(files);
        let said = run(&mut make);
        assert_eq!(said.status, 0, "{said:#?}");
    }

    fn recipe(&self, python: &str) {
        let hello = fs::read_to_string(polybuild_e2e::sandbox::cases().join("hello/recipe.toml"));
        let text = format!(
            "{}\n[python]\nversion = \"3.12.0\"\n{python}\n",
            hello.unwrap()
        );
        self.sandbox.write("recipe.toml", text);
    }

    fn polybuild(&self, args: &[&str]) -> Said {
        let mut command = self.sandbox.polybuild(args);
        let mut folders = vec![self.sandbox.home().join("bin")];
        folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        command.env("PATH", std::env::join_paths(folders).unwrap());
        run(&mut command)
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> Said {
        let said = self.polybuild(args);
        assert_eq!(said.status, 0, "polybuild {args:?}: {said:#?}");
        said
    }

    #[track_caller]
    fn fails(&self, args: &[&str], says: &[&str]) {
        let said = self.polybuild(args);
        assert_eq!(said.status, 3, "polybuild {args:?}: {said:#?}");
        for text in says {
            assert!(said.stderr.contains(text), "{text:?} is not in {said:#?}");
        }
    }

    /// The image's files, unpacked.
    fn root(&self, image: &str) -> std::path::PathBuf {
        let to = self.sandbox.work().join(format!("{image}-root"));
        self.ok(&[
            "export",
            image,
            "--format",
            "rootfs",
            "-o",
            to.to_str().unwrap(),
        ]);
        to
    }
}

const PURE: &str = "py3-none-any";
const SITE: &str = "usr/local/lib/python3.12/site-packages";

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn packages_are_locked_and_laid_out() {
    let world = World::new();
    let points = "Top-1.0.dist-info/entry_points.txt=[console_scripts]\ntop = top:main\n";
    world.wheel(
        "Top",
        "1.0",
        PURE,
        "low>=1",
        &["top.py=def main(): pass\n", points],
    );
    world.wheel("low", "1.5", PURE, "", &["low/__init__.py=x = 1\n"]);
    world.recipe("packages = [\"top\"]");
    let said = world.ok(&["lock", "recipe.toml"]);
    assert!(
        said.stdout.contains("2 Python packages: low 1.5, top 1.0"),
        "{said:#?}"
    );
    let lock = String::from_utf8(world.sandbox.read("recipe.lock")).unwrap();
    assert!(
        lock.contains("file = \"Top-1.0-py3-none-any.whl\""),
        "{lock}"
    );
    // A newer one changes nothing before somebody asks for it.
    world.wheel("low", "2.0", PURE, "", &["low/__init__.py=x = 2\n"]);
    world.ok(&["recipe.toml", "-o", "out", "--locked"]);
    let root = world.root("out");
    assert_eq!(read(&root.join(SITE).join("low/__init__.py")), "x = 1\n");
    let script = root.join("usr/local/bin/top");
    assert!(read(&script).starts_with("#!/usr/local/bin/python3\n"));
    assert_eq!(
        fs::metadata(&script).unwrap().permissions().mode() & 0o777,
        0o755
    );
    assert_eq!(
        read(&root.join(SITE).join("Top-1.0.dist-info/INSTALLER")),
        "polybuild\n"
    );
    let bill = String::from_utf8(world.sandbox.read("out/sbom.spdx.json")).unwrap();
    assert!(
        bill.contains("pkg:pypi/low@1.5") && bill.contains("pkg:pypi/top@1.0"),
        "{bill}"
    );
    // Several are fetched at a time, and shown together.
    fs::remove_dir_all(world.sandbox.cache().join("sha256")).unwrap();
    let said = world.ok(&["recipe.toml", "-o", "fetched", "--locked"]);
    for text in [
        "Fetching pypi:low@1.5",
        "Fetching pypi:top@1.0",
        "Fetching 2 sources: ",
    ] {
        assert!(said.stderr.contains(text), "{text:?} is not in {said:#?}");
    }
    // The same bytes again, from nothing.
    let manifest = |out: &str| {
        let record: serde_json::Value =
            serde_json::from_slice(&world.sandbox.read(&format!("{out}/build.json"))).unwrap();
        record["built"]["manifest"].as_str().unwrap().to_owned()
    };
    world.ok(&["recipe.toml", "-o", "again", "--locked", "--rebuild"]);
    assert_eq!(manifest("out"), manifest("again"));
    // `--keep` keeps, `lock` does not.
    world.ok(&["lock", "--keep", "recipe.toml"]);
    assert_eq!(
        String::from_utf8(world.sandbox.read("recipe.lock")).unwrap(),
        lock
    );
    let said = world.ok(&["lock", "recipe.toml"]);
    assert!(said.stdout.contains("low 2.0"), "{said:#?}");
    world.ok(&["recipe.toml", "-o", "out"]);
    // Other packages are not had before they are locked.
    world.recipe("packages = [\"top\", \"low<2\"]");
    let says = [
        "the Python packages that are asked for have changed",
        "polybuild lock recipe.toml",
    ];
    world.fails(&["recipe.toml", "-o", "out"], &says);
}

#[test]
fn a_requirements_file_is_one_of_the_inputs() {
    let world = World::new();
    world.wheel("low", "1", PURE, "", &["low.py=x = 1\n"]);
    world
        .sandbox
        .write("requirements.txt", "# what it needs\nlow  # one\n");
    world.recipe("requirements = \"path:requirements.txt\"");
    world.ok(&["recipe.toml", "-o", "out"]);
    // Its comments are no requirements; the file is what it is.
    world.sandbox.write("requirements.txt", "low\n");
    let said = world.ok(&["recipe.toml", "-o", "out"]);
    assert!(
        said.stderr
            .contains("is stale: requirements.txt has changed"),
        "{said:#?}"
    );
    world.sandbox.write("requirements.txt", "low>=1\n");
    world.fails(&["recipe.toml", "-o", "out"], &["the Python packages"]);
    world.sandbox.write("requirements.txt", "-r other.txt\n");
    world.fails(
        &["recipe.toml", "-o", "out"],
        &["`-r other.txt` in line 1 of requirements.txt"],
    );
}

#[test]
fn what_cannot_be_taken_is_named() {
    let world = World::new();
    world.wheel("fast", "1.0", "cp312-cp312-manylinux2014_x86_64", "", &[]);
    world.wheel("top", "1.0", PURE, "fast", &[]);
    world.recipe("packages = [\"top\"]");
    let says = [
        "the package `fast` has no wheel of pure Python",
        "fast-1.0-cp312-cp312-manylinux2014_x86_64.whl",
    ];
    world.fails(&["lock", "recipe.toml"], &says);
    world.recipe("packages = [\"nothing\"]");
    world.fails(&["lock", "recipe.toml"], &["`nothing` is not in the index"]);
    // What is called pure and is not.
    let lies =
        "liar-1.0.dist-info/WHEEL=Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n";
    world.wheel("liar", "1.0", PURE, "", &[lies]);
    world.recipe("packages = [\"liar\"]");
    world.fails(
        &["recipe.toml", "-o", "out"],
        &["`liar`", "liar-1.0-py3-none-any.whl"],
    );
    // A package that would take a program away.
    world.wheel(
        "thief",
        "1.0",
        PURE,
        "",
        &["thief-1.0.data/data/hello=#!/bin/sh\n"],
    );
    world.recipe("prefix = \"/bin\"\npackages = [\"thief\"]");
    world.ok(&["lock", "recipe.toml"]);
    world.fails(
        &["recipe.toml", "-o", "out"],
        &["brings /bin/hello", "`hello`"],
    );
    // The index has another file than the lock file says.
    world.wheel("low", "1", PURE, "", &["low.py=x = 1\n"]);
    world.recipe("packages = [\"low\"]");
    world.ok(&["lock", "recipe.toml"]);
    world.wheel("low", "1", PURE, "", &["low.py=x = 2\n"]);
    fs::remove_dir_all(world.sandbox.cache().join("sha256")).unwrap();
    world.fails(
        &["recipe.toml", "-o", "out"],
        &["pypi:low@1", "the lock file"],
    );
}
