//! What a launcher is made of, for bills of materials: asked of cargo, with the features that the
//! launcher is built with, so that no list has to be kept.
//!
//! A line each: name, version, SHA-256 digest of the crate's archive (`-` for our own), licence. What
//! only runs while compiling (build scripts, procedural macros) is left out: it is not in the launcher.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
};

use crate::TARGET;

/// The list for the launcher with these features (arguments of cargo).
pub(crate) fn list(workspace: &Path, features: &[&str]) -> Result<String, String> {
    let cargo = env::var("CARGO").map_err(|e| format!("CARGO: {e}"))?;
    let output = Command::new(&cargo)
        .current_dir(workspace)
        .args(["tree", "--locked", "--package", "vkernel-launcher"])
        .args(["--target", TARGET, "--edges", "normal,no-proc-macro"])
        .args(["--prefix", "none", "--format", "{p}\t{l}"])
        .args(features)
        .output()
        .map_err(|e| format!("running cargo tree: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo tree ended with {}: {said}", output.status));
    }
    let digests = digests(&workspace.join("Cargo.lock"))?;
    let mut lines = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        // `NAME vVERSION (PATH)`; the licence may be followed by a mark for what was listed above.
        let (package, licence) = line
            .split_once('\t')
            .ok_or("a line of cargo tree without licence")?;
        let mut words = package.split(' ');
        let name = words.next().unwrap_or_default();
        let version = words.next().and_then(|word| word.strip_prefix('v'));
        let version = version.ok_or_else(|| format!("cargo tree says `{package}`"))?;
        let licence = licence.trim_end_matches(" (*)").trim();
        let key = (name.to_owned(), version.to_owned());
        let digest = digests.get(&key).map_or("-", String::as_str);
        lines.insert(format!("{name} {version} {digest} {licence}\n"));
    }
    let std = rust_version()?;
    lines.insert(format!("rust-std {std} - MIT OR Apache-2.0\n"));
    if let Some(version) = c_library() {
        lines.insert(format!("glibc {version} - LGPL-2.1-or-later\n"));
    }
    Ok(lines.into_iter().collect())
}

/// The digests of the archives of crates, by name and version.
fn digests(lock: &Path) -> Result<BTreeMap<(String, String), String>, String> {
    let text = fs::read_to_string(lock).map_err(|e| format!("reading {}: {e}", lock.display()))?;
    let mut found = BTreeMap::new();
    for package in text.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let start = format!("{name} = \"");
            let mut lines = package.lines();
            lines.find_map(|line| Some(line.strip_prefix(&start)?.trim_end_matches('"').to_owned()))
        };
        if let (Some(name), Some(version), Some(digest)) =
            (field("name"), field("version"), field("checksum"))
        {
            found.insert((name, version), digest);
        }
    }
    Ok(found)
}

fn rust_version() -> Result<String, String> {
    let rustc = env::var("RUSTC").map_err(|e| format!("RUSTC: {e}"))?;
    let output = Command::new(rustc).arg("--version").output();
    let output = output.map_err(|e| format!("running rustc: {e}"))?;
    // `rustc 1.95.0 (…)`
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().nth(1);
    version
        .map(str::to_owned)
        .ok_or_else(|| "rustc says no version".to_owned())
}

/// The version of the C library that is linked in: `glibc 2.36`.
fn c_library() -> Option<String> {
    let output = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.split_whitespace().nth(1)?.to_owned())
}
