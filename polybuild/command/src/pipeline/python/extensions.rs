//! What the build steps of extensions have made: wheels, whose shared objects are stubs.

use std::fs;

use megabinary_format::Digest;
use polybuild_recipe::{Extension, LockedWheel, Recipe, normal_package_name};

use super::{Kind, Wheel};
use crate::{
    exit,
    failure::{Failure, IoContext, Result},
    files,
    pipeline::inputs::Inputs,
};

/// The wheels of all extensions.
pub(super) fn made(recipe: &Recipe, inputs: &Inputs) -> Result<Vec<Wheel>> {
    let kept = recipe.python.as_ref().and_then(|p| p.wheels.clone());
    let mut wheels = Vec::new();
    for extension in &recipe.extensions {
        let mut wheel = one(extension, inputs)?;
        if let Some(folder) = &kept {
            wheel.kind = Kind::Kept(folder.clone());
        }
        wheels.push(wheel);
    }
    Ok(wheels)
}

fn one(extension: &Extension, inputs: &Inputs) -> Result<Wheel> {
    let folder = inputs.path(&extension.built)?;
    let wrong = |what: String| {
        let Extension { name, built, .. } = extension;
        Failure::message(
            exit::RECIPE,
            format!("the extension `{name}` cannot be installed: {built} {what}"),
        )
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).doing("reading", &folder)? {
        let path = entry.doing("reading", &folder)?.path();
        if path.extension().is_some_and(|e| e == "whl") {
            found.push(path);
        }
    }
    let [path] = found.as_slice() else {
        return Err(wrong(format!("has {} wheels, and not one", found.len())));
    };
    let file = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut parts = file.split('-');
    let (name, version) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    if normal_package_name(name) != extension.name || version != extension.version {
        return Err(wrong(format!(
            "holds {file}, and the recipe says {} {}",
            extension.name, extension.version
        )));
    }
    let bytes = files::read(path)?;
    Ok(Wheel {
        locked: LockedWheel {
            name: extension.name.clone(),
            version: extension.version.clone(),
            sha256: Digest::of(&bytes),
            size: bytes.len() as u64,
            file,
        },
        file: path.clone(),
        kind: Kind::Extension,
    })
}
