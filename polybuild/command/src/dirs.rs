//! Where polybuild keeps its own things: XDG base directories.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{
    exit,
    failure::{Failure, Result},
};

/// `$XDG_CACHE_HOME/polybuild` or `~/.cache/polybuild`, unless the user named another folder.
pub fn cache(given: Option<&Path>) -> Result<PathBuf> {
    match given {
        Some(dir) => Ok(std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())),
        None => xdg("XDG_CACHE_HOME", ".cache"),
    }
}

/// `$XDG_CONFIG_HOME/polybuild` or `~/.config/polybuild`.
pub fn config() -> Result<PathBuf> {
    xdg("XDG_CONFIG_HOME", ".config")
}

fn xdg(variable: &str, fallback: &str) -> Result<PathBuf> {
    let absolute =
        |value: std::ffi::OsString| Some(PathBuf::from(value)).filter(|p| p.is_absolute());
    env::var_os(variable)
        .and_then(absolute)
        .or_else(|| {
            env::var_os("HOME")
                .and_then(absolute)
                .map(|home| home.join(fallback))
        })
        .map(|dir| dir.join("polybuild"))
        .ok_or_else(|| {
            Failure::message(
                exit::ENVIRONMENT,
                format!("neither {variable} nor HOME names an absolute folder"),
            )
            .hint("set HOME, or give the folder with --cache")
        })
}
