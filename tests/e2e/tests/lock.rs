//! `polybuild lock`: with `--update` one source is resolved anew, the others stay; with `--keep` all stay that
//! still fit; what a used recipe declares is in that recipe's lock file. The client is made up.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use polybuild_e2e::{Said, polybuild, run};
use polybuild_recipe::{Lock, LockedInput};

/// A folder with a recipe of two sources and an npm that packs what the folder says.
fn world() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let source =
        |id: &str| format!("[[source]]\nid = \"{id}\"\nurl = \"npm:{id}\"\nextract = false\n\n");
    let head = "[recipe]\nname = \"x\"\nversion = \"1\"\nkind = \"library\"\n\n";
    write(
        dir.path(),
        "recipe.toml",
        &format!("{head}{}{}", source("one"), source("two")),
    );
    fs::create_dir(dir.path().join("bin")).unwrap();
    let here = dir.path().display();
    let npm = format!(
        "#!/bin/sh\nread v < {here}/version\necho \"$* $v\" > p.tgz\n\
         echo \"[{{\\\"version\\\":\\\"$v\\\",\\\"filename\\\":\\\"p.tgz\\\"}}]\"\n"
    );
    write(dir.path(), "bin/npm", &npm);
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dir.path().join("bin/npm"), mode).unwrap();
    dir
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap();
}

fn lock(dir: &Path, version: &str, args: &[&str]) -> Said {
    write(dir, "version", &format!("{version}\n"));
    run(polybuild()
        .env("PATH", dir.join("bin"))
        .env("POLYBUILD_CACHE", dir.join("cache"))
        .arg("lock")
        .args(args)
        .arg(dir.join("recipe.toml")))
}

fn inputs(dir: &Path) -> Vec<LockedInput> {
    Lock::read(&dir.join("recipe.lock"))
        .unwrap()
        .unwrap()
        .inputs
}

#[test]
fn one_source_is_updated() {
    let dir = world();
    let dir = dir.path();
    let said = lock(dir, "1.0.0", &["--update", "one"]);
    assert_eq!(said.status, 3, "{}", said.stderr);
    assert!(said.stderr.contains("to update"), "{}", said.stderr);

    assert_eq!(lock(dir, "1.0.0", &[]).status, 0);
    let before = inputs(dir);
    let said = lock(dir, "2.0.0", &["--update", "two"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    let after = inputs(dir);
    assert_eq!(after[0], before[0]);
    assert_eq!(after[1].version, "2.0.0");
    assert_ne!(after[1].sha256, before[1].sha256);

    // A name that is none changes nothing, and the names are said.
    let said = lock(dir, "3.0.0", &["--update", "three"]);
    assert_eq!(said.status, 2, "{}", said.stderr);
    assert!(said.stderr.contains("one, two"), "{}", said.stderr);
    assert_eq!(inputs(dir), after);

    // What else is stale is not passed over.
    let recipe = fs::read_to_string(dir.join("recipe.toml")).unwrap();
    write(dir, "recipe.toml", &recipe.replace("npm:one", "npm:one@^3"));
    let said = lock(dir, "3.0.0", &["--update", "two"]);
    assert_eq!(said.status, 3, "{}", said.stderr);
    assert!(said.stderr.contains("source `one` was"), "{}", said.stderr);
    assert_eq!(
        lock(dir, "3.0.0", &["--update", "one", "--update", "two"]).status,
        0
    );
    assert!(inputs(dir).iter().all(|input| input.version == "3.0.0"));
}

#[test]
fn an_archive_of_snapshots_is_an_address() {
    let dir = world();
    for bad in ["h.example", "file:///etc", "http://h.example/a b"] {
        let said = lock(dir.path(), "1.0.0", &["--snapshots", bad]);
        assert_eq!(said.status, 2, "{bad}: {}", said.stderr);
        assert!(
            said.stderr.contains("not an address of the web"),
            "{}",
            said.stderr
        );
    }
    // An empty setting is none.
    assert_eq!(lock(dir.path(), "1.0.0", &["--snapshots", ""]).status, 0);
}

#[test]
fn what_still_fits_is_kept() {
    let dir = world();
    let dir = dir.path();
    let said = lock(dir, "1.0.0", &["--keep"]);
    assert_eq!(said.status, 3, "{}", said.stderr);
    assert_eq!(lock(dir, "1.0.0", &[]).status, 0);
    let before = inputs(dir);
    // A word that is no source's, a source that is new, and one that is wanted otherwise.
    let recipe = fs::read_to_string(dir.join("recipe.toml")).unwrap();
    let recipe = recipe.replace("version = \"1\"", "version = \"2\"");
    let recipe = recipe.replace("npm:two", "npm:two@^2");
    let three = "[[source]]\nid = \"three\"\nurl = \"npm:three\"\nextract = false\n";
    write(dir, "recipe.toml", &(recipe + three));
    assert_eq!(lock(dir, "2.0.0", &["--check"]).status, 3);
    let said = lock(dir, "2.0.0", &["--keep"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    let after = inputs(dir);
    assert_eq!(after[0], before[0]);
    assert_eq!(
        (after[1].version.as_str(), after[2].version.as_str()),
        ("2.0.0", "2.0.0")
    );
    assert_eq!(lock(dir, "2.0.0", &["--check"]).status, 0);
    // The ways exclude each other.
    assert_eq!(lock(dir, "2.0.0", &["--keep", "--check"]).status, 2);
    assert_eq!(lock(dir, "2.0.0", &["--keep", "--update", "one"]).status, 2);
}

#[test]
fn a_used_recipe_has_its_own_lock() {
    let dir = world();
    let dir = dir.path();
    fs::create_dir(dir.join("used")).unwrap();
    fs::rename(dir.join("recipe.toml"), dir.join("used/recipe.toml")).unwrap();
    let head = "[recipe]\nname = \"y\"\nversion = \"1\"\nkind = \"tool\"\n";
    write(
        dir,
        "recipe.toml",
        &format!("{head}uses = [\"used/recipe.toml\"]\n"),
    );
    // It gets one if it has none.
    let said = lock(dir, "1.0.0", &[]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert!(inputs(dir).is_empty());
    let used = inputs(&dir.join("used"));
    assert_eq!(used.len(), 2);
    // One that is there is left alone.
    assert_eq!(lock(dir, "2.0.0", &[]).status, 0);
    assert_eq!(inputs(&dir.join("used")), used);
    // Its sources are updated there, which the message says.
    let said = lock(dir, "2.0.0", &["--update", "one"]);
    assert_eq!(said.status, 2, "{}", said.stderr);
    assert!(
        said.stderr
            .contains("used/recipe.toml declares it: run `polybuild lock --update one"),
        "{}",
        said.stderr
    );
    // What is stale is named with the recipe to lock again.
    let text = fs::read_to_string(dir.join("used/recipe.toml")).unwrap();
    write(
        dir,
        "used/recipe.toml",
        &text.replace("npm:one", "npm:one@^3"),
    );
    let said = lock(dir, "2.0.0", &["--check"]);
    assert_eq!(said.status, 3, "{}", said.stderr);
    for part in [
        "the recipe used/recipe.toml has changed",
        "source `one` was npm:one and is npm:one@^3",
        "used/recipe.toml` to refresh it",
    ] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
}

#[test]
fn what_the_recipe_pins_by_its_digest_is_locked_without_its_server() {
    let dir = world();
    let dir = dir.path();
    assert_eq!(lock(dir, "1.0.0", &[]).status, 0);
    let before = inputs(dir);
    // There is no `curl` in this PATH.
    let recipe = fs::read_to_string(dir.join("recipe.toml")).unwrap();
    let digest = "ab".repeat(32);
    let source = "[[source]]\nid = \"three\"\nurl = \"https://nowhere.invalid/three.tar.gz\"\n";
    let pinned = format!("{recipe}{source}sha256 = \"{digest}\"\n");
    write(dir, "recipe.toml", &pinned);
    let said = lock(dir, "2.0.0", &["--keep"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    let after = inputs(dir);
    assert_eq!(after[..2], before);
    assert_eq!(after[2].sha256.to_string(), format!("sha256:{digest}"));
    assert!(
        !Lock::read(&dir.join("recipe.lock"))
            .unwrap()
            .unwrap()
            .text()
            .contains("size = 0")
    );
    assert_eq!(lock(dir, "2.0.0", &["--check"]).status, 0);

    // Another digest in the recipe is locked anew, and without one there is something to fetch.
    write(dir, "recipe.toml", &pinned.replace("abab", "cdcd"));
    assert_eq!(lock(dir, "2.0.0", &["--check"]).status, 3);
    assert_eq!(lock(dir, "2.0.0", &["--keep"]).status, 0);
    assert_eq!(
        inputs(dir)[2].sha256.to_string(),
        format!("sha256:{}", "cd".repeat(32))
    );
}
