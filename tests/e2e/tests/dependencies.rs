//! What is linked in: under which licences, in how many versions, and what must not be.
//!
//! `cargo metadata` says what the lock file holds; nothing is fetched.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use polybuild_e2e::{run, workspace};
use serde::Deserialize;

/// Licences (SPDX) that may be linked in: none asks for more than a notice.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// Packages of which there are two versions, and who wants the other one.
#[rustfmt::skip]
const TWICE: &[(&str, &str)] = &[
    ("base64", "hyper-util, under oci-client; ours is 0.22"),
    ("block-buffer", "sha2 0.10, in the launcher for its detection of the processor"),
    ("cpufeatures", "sha2 0.10"),
    ("crypto-common", "sha2 0.10"),
    ("digest", "sha2 0.10"),
    ("embedded-io", "postcard, in wasmtime"),
    ("getrandom", "ring"),
    ("hashbrown", "gimli"),
    ("sha2", "see `sha2-detecting` in Cargo.toml"),
    ("shlex", "trycmd, in tests; cc, when building"),
    ("syn", "derive macros, when building"),
    ("thiserror", "witx, when building"),
    ("thiserror-impl", "witx, when building"),
    ("unicode-width", "miette"),
    ("wasm-encoder", "wat, in tests"),
    ("wasmparser", "wat, in tests"),
    ("wast", "witx, when building"),
    ("windows-sys", "never compiled for Linux"),
];

/// Packages that must not be there, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "the host's library: TLS is rustls with ring"),
    ("native-tls", "the same"),
    ("aws-lc-sys", "compiles far more C than ring"),
    ("wasi-common", "ended; the vkernel has its own"),
    ("wasmtime-wasi", "the vkernel has its own"),
    ("serde_yaml", "unmaintained"),
    ("yaml-rust", "unmaintained"),
    ("atty", "unmaintained"),
    ("ansi_term", "unmaintained"),
];

/// Packages that no launcher may contain: it has no compiler, and reads nothing but its own format.
const NOT_IN_A_LAUNCHER: &[&str] = &[
    "cranelift-codegen",
    "wasmtime-internal-cranelift",
    "wasmtime-internal-winch",
    "winch-codegen",
    "regalloc2",
    "wasm-encoder",
    "serde_json",
    "rustls",
    "tokio",
];

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

fn cargo(args: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let said = run(Command::new(cargo).current_dir(workspace()).args(args));
    assert_eq!(said.status, 0, "cargo {args:?}: {}", said.stderr);
    said.stdout
}

fn packages() -> Vec<Package> {
    let text = cargo(&["metadata", "--format-version", "1", "--locked", "--offline"]);
    serde_json::from_str::<Metadata>(&text).unwrap().packages
}

/// Whether an expression of SPDX can be met with [`LICENCES`]. Old packages write `/` for OR.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace(" / ", " OR ").replace('/', " OR ");
    let any = |text: &str| text.split(" OR ").any(|one| LICENCES.contains(&one.trim()));
    // Parentheses are around alternatives only.
    expression
        .split(" AND ")
        .all(|part| any(part.trim().trim_matches(['(', ')'])))
}

#[test]
fn licences_are_those_that_ask_for_a_notice_alone() {
    let wrong: Vec<String> = packages()
        .iter()
        .filter(|package| !package.license.as_deref().is_some_and(is_allowed))
        .map(|p| format!("{} {}: {:?}", p.name, p.version, p.license))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn expressions_are_understood() {
    assert!(is_allowed("MIT OR Apache-2.0 OR LGPL-2.1-or-later"));
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(is_allowed("Unlicense/MIT"));
    assert!(!is_allowed("GPL-3.0-only"));
    assert!(!is_allowed("MIT AND GPL-2.0-only"));
    assert!(!is_allowed("(LGPL-2.1-only OR GPL-2.0-only) AND MIT"));
}

#[test]
fn what_is_there_twice_has_its_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        versions
            .entry(package.name)
            .or_default()
            .insert(package.version);
    }
    let twice: BTreeSet<&str> = versions
        .iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, _)| name.as_str())
        .collect();
    let known: BTreeSet<&str> = TWICE.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        twice, known,
        "left: there twice; right: with a reason in this file"
    );
}

#[test]
fn nothing_banned_is_there_and_all_comes_from_the_registry() {
    for package in packages() {
        let banned = BANNED.iter().find(|(name, _)| *name == package.name);
        assert!(banned.is_none(), "{}: {banned:?}", package.name);
        if let Some(source) = &package.source {
            assert!(
                source.starts_with("registry+"),
                "{}: {source}",
                package.name
            );
        }
    }
}

#[test]
fn launchers_have_no_compiler() {
    for features in ["", "linux", "pulley"] {
        let tree = cargo(&[
            "tree",
            "--locked",
            "--offline",
            "--package",
            "vkernel-launcher",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--features",
            features,
            "--format",
            "{p}",
        ]);
        let names: BTreeSet<&str> = tree
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert!(names.contains("wasmtime"), "{tree}");
        for name in NOT_IN_A_LAUNCHER {
            assert!(
                !names.contains(name),
                "the launcher ({features}) contains {name}"
            );
        }
    }
}
