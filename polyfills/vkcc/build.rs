//! Puts the driver's other names beside it: what it is called by decides what it is, and no crate can be
//! called `vkc++`.

use std::{env, fs, io, os::unix::fs::symlink, path::Path};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    // PROFILE/build/vkcc-HASH/out
    let Some(folder) = Path::new(&out).ancestors().nth(3) else {
        return Ok(());
    };
    for name in ["vkc++", "vkar", "vkranlib"] {
        let link = folder.join(name);
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => symlink("vkcc", &link)?,
        }
    }
    Ok(())
}
