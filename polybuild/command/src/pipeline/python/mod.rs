//! Pass: the packages of the image's Python, laid out as an installer would, once for all images that have
//! the same.
//!
//! pip is not asked to install them: it would run on this machine's Python and write its paths and times.

mod compile;
mod extensions;
mod wheel;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

pub(super) use compile::{Compiled, compile, interpreter};
use polybuild_fetch::{Extract, ExtractError, extract};
use polybuild_recipe::{LockedWheel, Pins, Python, Recipe};

use super::{Context, cached, inputs::Inputs};
use crate::{
    exit,
    failure::{Failure, IoContext, Result},
    scratch::Scratch,
};

/// Installed packages: a folder that is laid over the image's root.
pub(super) struct Packages {
    pub(super) tree: PathBuf,
    /// Changes whenever something in it does.
    pub(super) identity: String,
}

/// A wheel, and what becomes of it.
struct Wheel {
    locked: LockedWheel,
    file: PathBuf,
    kind: Kind,
}

#[derive(PartialEq, Eq)]
enum Kind {
    /// It is installed, and holds no machine code.
    Pure,
    /// It is installed, and what its stubs stand for is linked into Python.
    Extension,
    /// It is kept as it is in this folder of the image, for pip.
    Kept(String),
}

impl Wheel {
    fn pure(locked: &LockedWheel, file: &Path) -> Wheel {
        Wheel {
            locked: locked.clone(),
            file: file.to_owned(),
            kind: Kind::Pure,
        }
    }
}

/// Whether an image has Python packages.
pub(super) fn any(recipe: &Recipe, lock: &Pins) -> bool {
    recipe.python.is_some() && (lock.wheels().next().is_some() || !recipe.extensions.is_empty())
}

/// Lays out the packages; `None` if there are none.
pub(super) fn install(
    cx: &Context<'_>,
    recipe: &Recipe,
    inputs: &Inputs,
) -> Result<Option<Packages>> {
    let Some(python) = recipe.python.as_ref() else {
        return Ok(None);
    };
    let locked = inputs.sources.wheels.iter();
    let mut wheels: Vec<Wheel> = locked
        .map(|(locked, file)| Wheel::pure(locked, file))
        .collect();
    wheels.extend(extensions::made(recipe, inputs)?);
    if wheels.is_empty() {
        return Ok(None);
    }
    let mut parts = vec![
        "Python packages 1".to_owned(),
        python.version.clone(),
        python.prefix.clone(),
    ];
    for wheel in &wheels {
        let Wheel { locked, kind, .. } = wheel;
        parts.push(format!("{} {}", locked.name, locked.sha256));
        match kind {
            Kind::Pure => {}
            Kind::Extension => parts.push("an extension".to_owned()),
            Kind::Kept(folder) => parts.push(format!("kept in {folder}")),
        }
    }
    let key = cached::key(&parts.iter().map(String::as_str).collect::<Vec<_>>());
    let entry = cx.cache.join("packages").join(key.hex());
    let what = "the installed Python packages";
    let kept = match cx.rebuild {
        true => None,
        false => cached::get(cx.ui, &entry, what),
    };
    let tree = match kept {
        Some(tree) => tree,
        None => {
            let stage = cx.ui.stage("Installing", "Python packages");
            let scratch = Scratch::folder_in(&cx.cache.join("tmp"))?;
            lay_out(cx, &wheels, python, scratch.path())?;
            if cx.rebuild {
                cached::set_aside(&entry, &scratch.path().join("before"))?;
            }
            let tree = cached::put(cx.ui, scratch.path(), &entry, what)?;
            let names: Vec<String> = wheels
                .iter()
                .map(|wheel| format!("{} {}", wheel.locked.name, wheel.locked.version))
                .collect();
            stage.finish(&names.join(", "));
            tree
        }
    };
    check_programs(recipe, &tree)?;
    Ok(Some(Packages {
        tree,
        identity: key.to_string(),
    }))
}

/// A package that brought a file in the place of a program would take that program away.
fn check_programs(recipe: &Recipe, tree: &Path) -> Result<()> {
    for program in &recipe.programs {
        for path in &program.paths {
            if fs::symlink_metadata(tree.join(path.trim_start_matches('/'))).is_ok() {
                let name = &program.name;
                return Err(Failure::message(
                    exit::RECIPE,
                    format!(
                        "a Python package brings {path}, where the image has the program `{name}`"
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// Unpacks all wheels below `scratch`, and puts what becomes of them where [`cached::put`] takes it.
fn lay_out(cx: &Context<'_>, wheels: &[Wheel], python: &Python, scratch: &Path) -> Result<()> {
    let tree = cached::tree(scratch);
    fs::create_dir_all(&tree).doing("creating", &tree)?;
    let unpacked = scratch.join("unpacked");
    fs::create_dir_all(&unpacked).doing("creating", &unpacked)?;
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for Wheel {
        locked: wheel,
        file,
        kind,
    } in wheels
    {
        if let Kind::Kept(folder) = kind {
            let to = tree.join(folder.trim_start_matches('/'));
            fs::create_dir_all(&to).doing("creating", &to)?;
            let to = to.join(&wheel.file);
            fs::copy(file, &to).doing("copying", &to)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).doing("copying", &to)?;
            continue;
        }
        let folder = unpacked.join(&wheel.name);
        extract(file, &folder, &Extract::default()).map_err(|error| {
            let status = match error {
                ExtractError::Io { .. } => exit::ENVIRONMENT,
                _ => exit::RECIPE,
            };
            Failure::new(status, &error).while_doing(&format!("unpacking {}", wheel.file))
        })?;
        for (path, placed) in wheel::lay_out(&folder, wheel, python, *kind == Kind::Extension)? {
            let bytes = placed.bytes()?;
            let to = tree.join(path.trim_start_matches('/'));
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(|error| in_the_way(wheel, &path, &error))?;
            }
            let before = fs::read(&to).ok();
            if let Some(owner) = owners.get(&path)
                && before.is_some_and(|before| before != bytes)
            {
                cx.ui.warn(&format!(
                    "{path} is in the package `{owner}` and in `{}`, and not the same; the latter's is \
                     taken",
                    wheel.name
                ));
            }
            let mode = if placed.executable { 0o755 } else { 0o644 };
            fs::write(&to, &bytes)
                .and_then(|()| fs::set_permissions(&to, fs::Permissions::from_mode(mode)))
                .map_err(|error| in_the_way(wheel, &path, &error))?;
            owners.insert(path, &wheel.name);
        }
        fs::remove_dir_all(&folder).doing("removing", &folder)?;
    }
    Ok(())
}

/// A file where another package has a folder, or the other way round; or a full disk.
fn in_the_way(wheel: &LockedWheel, path: &str, error: &std::io::Error) -> Failure {
    Failure::message(
        exit::RECIPE,
        format!(
            "the package `{}` cannot be installed: {path}: {error}",
            wheel.name
        ),
    )
}
