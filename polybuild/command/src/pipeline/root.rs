//! Files of the image in a root, for programs that run while the image is built: Python when it compiles, and
//! programs at their snapshot points.

use std::{fs, path::Path};

use polybuild_recipe::{Content, ImageFile, digest_path};
use walkdir::WalkDir;

use super::{cached, copy::copy, inputs::Inputs};
use crate::{
    failure::{Failure, IoContext, Result},
    files,
};

/// Everything that decides what is put into a root.
pub(super) fn identity(files: &[&ImageFile], inputs: &Inputs) -> Result<String> {
    let mut parts = Vec::new();
    for file in files {
        parts.push(file.path.clone());
        parts.push(match &file.content {
            Content::Copy(reference) => {
                let path = inputs.path(reference)?;
                let (digest, _) = digest_path(&path).map_err(Failure::recipe)?;
                format!("{digest} {:?}", file.exclude)
            }
            other => format!("{other:?}"),
        });
    }
    let texts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Ok(cached::key(&texts).to_string())
}

/// Puts a file of the image into a root.
pub(super) fn put(file: &ImageFile, inputs: &Inputs, root: &Path) -> Result<()> {
    let inside = Path::new(file.path.trim_start_matches('/'));
    let to = root.join(inside);
    match &file.content {
        Content::Copy(reference) => {
            let source = inputs.path(reference)?;
            copy(&source, root, inside)?;
            for found in WalkDir::new(&to).min_depth(1).sort_by_file_name() {
                let found = match found {
                    Ok(found) => found,
                    // It was in a folder that has just been removed.
                    Err(_) => continue,
                };
                let relative = found.path().strip_prefix(&to).map_err(Failure::internal)?;
                let stale = found.file_name() == "__pycache__" && found.file_type().is_dir();
                if !stale && !file.exclude.cover(relative) {
                    continue;
                }
                match found.file_type().is_dir() {
                    true => fs::remove_dir_all(found.path()),
                    false => fs::remove_file(found.path()),
                }
                .or_else(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                })
                .doing("removing", found.path())?;
            }
            Ok(())
        }
        Content::Text(text) => files::write_whole(&to, text.as_bytes(), 0o644),
        Content::Directory => fs::create_dir_all(&to).doing("creating", &to),
        Content::Link(target) => {
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).doing("creating", parent)?;
            }
            std::os::unix::fs::symlink(target, &to).doing("linking", &to)
        }
    }
}
