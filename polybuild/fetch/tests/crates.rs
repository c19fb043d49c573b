//! The crates of a `Cargo.lock`, through the real cargo. Needs the network, or the mirror that cargo is configured for,
//! and cargo.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{fs, path::Path};

use polybuild_fetch::{Cache, Extract, FetchError, Fetcher, Options, Progress, Request, vendor};

const SUM: &str = "b1a46d1a171d865aa5f83f92695765caa047a9b4cbae2cbf37dbd613a793fd4c";

struct Silent;

impl Progress for Silent {
    fn bytes(&self, _: &str, _: u64, _: Option<u64>) {}
    fn finished(&self, _: &str, _: u64, _: bool) {}
    fn warning(&self, _: &str, _: &str) {}
}

/// A package that uses one crate, if a feature is asked for, as its lock file has it; a build script that must not run.
fn package(folder: &Path, sum: &str) {
    fs::create_dir_all(folder.join("src")).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("src/lib.rs", "");
    write(
        "build.rs",
        "fn main() { std::fs::write(\"ran\", \"\").unwrap() }",
    );
    write(
        "Cargo.toml",
        "[package]\nname = \"own\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[dependencies]\n\
         itoa = { version = \"1\", optional = true }\n",
    );
    write(
        "Cargo.lock",
        &format!(
            "version = 3\n\n[[package]]\nname = \"itoa\"\nversion = \"1.0.8\"\n\
             source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{sum}\"\n\n\
             [[package]]\nname = \"own\"\nversion = \"1.0.0\"\ndependencies = [\n \"itoa\",\n]\n"
        ),
    );
}

#[test]
fn every_crate_of_a_lock_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let own = folder.join("own");
    package(&own, &real_sum());
    let fetch = |offline: bool| {
        let options = Options {
            search_path: std::env::var_os("PATH").unwrap(),
            offline,
            snapshots: None,
        };
        let request = Request {
            id: "crates".into(),
            url: "cargo-lock:own/Cargo.lock".parse().unwrap(),
            local: None,
            sha256: None,
            series: None,
            pin: None,
        };
        Fetcher::new(Cache::new(folder.join("cache")), options)
            .fetch_crates(&request, &own, &Silent)
    };
    assert!(matches!(fetch(true), Err(FetchError::Offline { .. })));
    let crates = fetch(false).unwrap();
    assert_eq!(fetch(true).unwrap(), crates);
    assert!(!own.join("ran").exists() && !own.join("target").exists());
    let to = folder.join("vendor");
    vendor(&crates, &to, &Extract::default()).unwrap();
    assert!(to.join("itoa-1.0.8/src/lib.rs").is_file());
    let sums = fs::read_to_string(to.join("itoa-1.0.8/.cargo-checksum.json")).unwrap();
    assert!(sums.contains(&real_sum()), "{sums}");
    // Another checksum than the registry's: cargo refuses it, or what it brings is refused.
    package(&own, SUM);
    assert!(fetch(false).is_err());
}

/// Of itoa 1.0.8.
fn real_sum() -> String {
    "62b02a5381cc465bd3041d84623d0fa3b66738b52b8e2fc3bab8ad63ab032f4a".to_owned()
}
