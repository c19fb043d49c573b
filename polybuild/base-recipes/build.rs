//! Lists what goes into the program: every recipe that has a lock file, and what the lock files name.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
};

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()?;
    let mut files = BTreeMap::new();
    for folder in ["recipes", "base-images"] {
        println!("cargo::rerun-if-changed={}", root.join(folder).display());
        recipes(&root, &root.join(folder), &mut files)?;
    }
    let mut text = String::from("/// The files.\npub static FILES: &[File] = &[\n");
    for (name, path) in &files {
        let executable = fs::metadata(path)?.permissions().mode() & 0o111 != 0;
        let path = path.to_str().ok_or("a path is not UTF-8")?;
        writeln!(
            text,
            "    ({name:?}, {executable}, include_bytes!({path:?})),"
        )?;
    }
    text.push_str("];\n");
    let out = std::env::var_os("OUT_DIR").ok_or("cargo has set no OUT_DIR")?;
    fs::write(Path::new(&out).join("files.rs"), text)?;
    Ok(())
}

/// Adds the recipes below a folder.
fn recipes(root: &Path, folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path != root.join("recipes/examples") {
                recipes(root, &path, files)?;
            }
        } else if path.extension().is_some_and(|e| e == "toml") {
            let lock = path.with_extension("lock");
            if !lock.is_file() {
                println!(
                    "cargo::warning={} has no lock file and is left out",
                    path.display()
                );
                continue;
            }
            let text = fs::read_to_string(&lock)?;
            let named: Vec<_> = named_by(&text)
                .into_iter()
                .map(|n| folder.join(n))
                .collect();
            // Or nobody could build the program that writes the lock file anew.
            if let Some(gone) = named.iter().find(|path| !normal(path).exists()) {
                println!(
                    "cargo::warning={} names {}, which is gone, and is left out with its recipe",
                    lock.display(),
                    gone.display()
                );
                continue;
            }
            for path in named {
                add(root, &path, files)?;
            }
            add(root, &lock, files)?;
            add(root, &path, files)?;
        }
    }
    Ok(())
}

/// The files that a lock file names. Among them are the recipes that are used, which are there anyway.
fn named_by(lock: &str) -> Vec<&str> {
    lock.lines()
        .filter_map(|line| line.strip_prefix("path = \"")?.strip_suffix('"'))
        .collect()
}

/// Adds a file, or all that is in a folder.
fn add(root: &Path, path: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<(), Error> {
    let path = normal(path);
    println!("cargo::rerun-if-changed={}", path.display());
    let meta = fs::symlink_metadata(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    if meta.is_dir() {
        for entry in fs::read_dir(&path)? {
            add(root, &entry?.path(), files)?;
        }
        return Ok(());
    }
    if !meta.is_file() {
        return Err(format!("{} is no plain file", path.display()).into());
    }
    let name = path
        .strip_prefix(root)?
        .to_str()
        .ok_or("a name is not UTF-8")?;
    files.insert(name.to_owned(), path.clone());
    Ok(())
}

/// A path without `..`; nothing in this repository is reached through a link.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
