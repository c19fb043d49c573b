//! What we link: licences, crates in several versions, and crates that must not be there, compared
//! with `tests/dependencies.toml`. Asked of `cargo metadata --locked`, with every feature and for every
//! system: what the lock file can bring, not what one build happens to use.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use polybuild_e2e::workspace;
use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    licenses: Vec<String>,
    banned: Vec<Banned>,
    duplicate: Vec<Duplicate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Banned {
    name: String,
    reason: String,
    #[serde(default)]
    only_launcher: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Duplicate {
    name: String,
    reason: String,
}

fn rules() -> Rules {
    let path = workspace().join("tests/dependencies.toml");
    toml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn cargo(args: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace())
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {args:?}: {said}");
    output.stdout
}

fn packages() -> Vec<Package> {
    let bytes = cargo(&["metadata", "--locked", "--format-version", "1"]);
    serde_json::from_slice::<Metadata>(&bytes).unwrap().packages
}

/// Whether a licence expression (SPDX annex D; `/` is how old crates write `OR`) can be met with the
/// allowed licences.
fn allowed(expression: &str, licenses: &[String]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let ok = any(&words, &mut at, licenses);
    assert_eq!(at, words.len(), "`{expression}` is no licence expression");
    ok
}

fn any(words: &[&str], at: &mut usize, licenses: &[String]) -> bool {
    let mut ok = all(words, at, licenses);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        ok |= all(words, at, licenses);
    }
    ok
}

fn all(words: &[&str], at: &mut usize, licenses: &[String]) -> bool {
    let mut ok = one(words, at, licenses);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        ok &= one(words, at, licenses);
    }
    ok
}

fn one(words: &[&str], at: &mut usize, licenses: &[String]) -> bool {
    let word = *words
        .get(*at)
        .unwrap_or_else(|| panic!("{words:?} ends too early"));
    *at += 1;
    if word == "(" {
        let ok = any(words, at, licenses);
        assert_eq!(words.get(*at), Some(&")"), "{words:?}");
        *at += 1;
        return ok;
    }
    let mut license = word.to_owned();
    if words.get(*at) == Some(&"WITH") {
        license = format!("{word} WITH {}", words[*at + 1]);
        *at += 2;
    }
    licenses.contains(&license)
}

#[test]
fn expressions() {
    let licenses = [
        "MIT".to_owned(),
        "Apache-2.0 WITH LLVM-exception".to_owned(),
    ];
    for (expression, ok) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only AND MIT", false),
        ("MIT/GPL-3.0-only", true),
        ("(GPL-3.0-only OR MIT) AND GPL-2.0-only", false),
        ("(GPL-3.0-only OR MIT) AND MIT", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
    ] {
        assert_eq!(allowed(expression, &licenses), ok, "{expression}");
    }
}

#[test]
fn licences_are_allowed() {
    let rules = rules();
    for package in packages() {
        let Package {
            name,
            version,
            license,
            ..
        } = &package;
        let license = license.as_deref();
        let license = license.unwrap_or_else(|| panic!("{name} {version} says no licence"));
        assert!(
            allowed(license, &rules.licenses),
            "{name} {version} is under {license}: see tests/dependencies.toml"
        );
    }
}

#[test]
fn crates_come_from_the_registry() {
    for Package { name, source, .. } in packages() {
        if let Some(source) = source {
            assert!(
                source.starts_with("registry+"),
                "{name} comes from {source}"
            );
        }
    }
}

/// Each crate in one version, but for those that are said, all of which there are.
#[test]
fn duplicates_are_known() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        versions
            .entry(package.name)
            .or_default()
            .insert(package.version);
    }
    let found: BTreeSet<String> = versions
        .into_iter()
        .filter(|(_, v)| v.len() > 1)
        .map(|(name, _)| name)
        .collect();
    let rules = rules();
    assert!(rules.duplicate.iter().all(|d| !d.reason.trim().is_empty()));
    let known: BTreeSet<String> = rules.duplicate.into_iter().map(|d| d.name).collect();
    assert_eq!(found, known, "found and said in tests/dependencies.toml");
}

#[test]
fn banned_crates_are_not_there() {
    let all: BTreeSet<String> = packages().into_iter().map(|p| p.name).collect();
    let tree = |features: &str| {
        let bytes = cargo(&[
            "tree",
            "--locked",
            "--package",
            "vkernel-launcher",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--features",
            features,
        ]);
        let text = String::from_utf8(bytes).unwrap();
        let names = text.lines().filter_map(|line| line.split(' ').next());
        names.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let launchers = ["", "linux", "pulley"].map(tree);
    assert!(launchers.iter().all(|names| names.contains("wasmtime")));
    for Banned {
        name,
        reason,
        only_launcher,
    } in rules().banned
    {
        assert!(!reason.trim().is_empty(), "{name}");
        assert!(
            only_launcher || !all.contains(&name),
            "{name} is banned: {reason}"
        );
        let inside = launchers.iter().any(|names| names.contains(&name));
        assert!(!inside, "{name} is banned from the launcher: {reason}");
        // A misspelt name would ban nothing.
        assert!(
            !only_launcher || all.contains(&name),
            "{name} is nowhere: remove the rule"
        );
    }
}
