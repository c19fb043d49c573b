//! What a build starts from: the resolved recipe with a fresh lock; and references to files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use polybuild_recipe::{Lock, LockStatus, Recipe, Ref, StaleReason};

use super::{
    copy::beneath,
    sources::{self, Fetching, Sources},
};
use crate::{
    exit,
    failure::{Failure, Result},
    files,
    ui::Ui,
};

/// Finished steps: their folders by id.
#[derive(Default)]
pub(super) struct Outputs(BTreeMap<String, PathBuf>);

impl Outputs {
    /// Notes the folder of a step that has run.
    pub(super) fn add(&mut self, id: &str, folder: PathBuf) {
        self.0.insert(id.to_owned(), folder);
    }

    /// The folder with a step's outputs.
    pub(super) fn step(&self, id: &str) -> Option<&Path> {
        self.0.get(id).map(PathBuf::as_path)
    }
}

/// Fetched sources and build outputs, by reference.
pub(super) struct Inputs {
    pub(super) sources: Sources,
    pub(super) outputs: Outputs,
}

impl Inputs {
    /// Where a referenced file or folder is.
    pub(super) fn path(&self, reference: &Ref) -> Result<PathBuf> {
        resolve(reference, &self.sources, &self.outputs)
    }
}

pub(super) fn resolve(reference: &Ref, sources: &Sources, outputs: &Outputs) -> Result<PathBuf> {
    let missing = |what: String| {
        Failure::message(exit::RECIPE, what)
            .hint("the recipe's reference and what the source holds do not fit together")
    };
    let (base, path) = match reference {
        // Beside the recipe: whoever wrote that wrote this.
        Ref::Local(local) => match polybuild_recipe::trouble(&local.path) {
            None => return Ok(local.path.clone()),
            Some(trouble) => return Err(missing(format!("{reference} {trouble}"))),
        },
        Ref::Build { step, output } => (
            outputs
                .step(step)
                .ok_or_else(|| missing(format!("no build step `{step}` has run")))?,
            output.as_str(),
        ),
        Ref::Source { id, path } => (
            sources
                .get(id)?
                .ok_or_else(|| missing(format!("no source `{id}` was fetched")))?,
            path.as_deref().unwrap_or(""),
        ),
    };
    let whole = match path {
        "" => base.to_owned(),
        path => base.join(path),
    };
    if let Some(trouble) = polybuild_recipe::trouble(&whole) {
        return Err(missing(format!("{reference} {trouble}")));
    }
    // What was fetched or made is not to name files of this machine, by a link.
    if !path.is_empty() {
        beneath(base, Path::new(path)).map_err(|f| f.while_doing(&reference.to_string()))?;
    }
    Ok(whole)
}

/// A text that changes whenever what a reference stands for changes.
pub(super) fn identity(
    reference: &Ref,
    sources: &Sources,
    steps: &BTreeMap<String, String>,
) -> Result<String> {
    Ok(match reference {
        Ref::Local(local) => polybuild_recipe::digest_path(&local.path)
            .map_err(Failure::recipe)?
            .0
            .to_string(),
        Ref::Build { step, output } => {
            format!("{}/{output}", steps.get(step).map_or("", String::as_str))
        }
        Ref::Source { id, path } => {
            let content = sources.identity(id).unwrap_or_default();
            format!("{content} {}", path.as_deref().unwrap_or(""))
        }
    })
}

/// Loads a recipe.
pub fn load(path: &Path) -> Result<Recipe> {
    polybuild_recipe::load(path).map_err(|error| Failure::diagnostic(exit::RECIPE, error))
}

/// Loads a recipe and its lock; makes the lock when there is none and that is allowed.
pub fn load_locked(
    ui: &Ui,
    path: &Path,
    fetching: &Fetching,
    locked: bool,
) -> Result<(Recipe, Lock)> {
    let recipe = load(path)?;
    let lock_path = recipe.lock_path();
    let refresh = format!("polybuild lock {}", path.display());
    match Lock::read(&lock_path).map_err(Failure::recipe)? {
        Some(lock) => match lock.check(&recipe).map_err(Failure::recipe)? {
            LockStatus::Fresh => Ok((recipe, lock)),
            LockStatus::Stale(reasons) if locked || reasons.iter().any(needs_resolving) => Err(
                Failure::message(exit::RECIPE, stale(&lock_path, &reasons)).hint(format!(
                    "run `{refresh}` to refresh it, and look at what changes"
                )),
            ),
            // Every fetched source is still pinned; only the recipe's own side has moved.
            LockStatus::Stale(reasons) => {
                ui.warn(&format!(
                    "{}; run `{refresh}` to refresh it",
                    stale(&lock_path, &reasons)
                ));
                let lock = Lock::new(&recipe, lock.inputs).map_err(Failure::recipe)?;
                Ok((recipe, lock))
            }
        },
        None if locked => Err(Failure::message(
            exit::RECIPE,
            format!(
                "there is no {} and --locked forbids making one",
                lock_path.display()
            ),
        )
        .hint(format!("run `{refresh}`"))),
        None => {
            let lock = write_lock(ui, &recipe, fetching)?;
            Ok((recipe, lock))
        }
    }
}

/// Whether a reason means that some source's pin is missing or wrong.
fn needs_resolving(reason: &StaleReason) -> bool {
    match reason {
        StaleReason::Added(_)
        | StaleReason::Address { .. }
        | StaleReason::Digest { .. }
        | StaleReason::Series(_) => true,
        StaleReason::Removed(_) | StaleReason::Local(_) | StaleReason::Recipe => false,
    }
}

fn stale(path: &Path, reasons: &[StaleReason]) -> String {
    let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    format!("{} is stale: {}", path.display(), reasons.join("; "))
}

/// Resolves every source and writes the lock file.
pub fn write_lock(ui: &Ui, recipe: &Recipe, fetching: &Fetching) -> Result<Lock> {
    let lock = sources::resolve(ui, recipe, fetching, &[])?;
    files::write_whole(&recipe.lock_path(), lock.text().as_bytes(), 0o644)?;
    Ok(lock)
}

/// Resolves the sources with these ids anew and writes the lock file; the others stay as they are
/// locked, which must be what the recipe still wants of them.
pub fn update_lock(
    ui: &Ui,
    recipe: &Recipe,
    fetching: &Fetching,
    names: &[String],
) -> Result<Lock> {
    let path = recipe.lock_path();
    for name in names {
        if recipe.source(name).is_none_or(|s| s.local.is_some()) {
            let fetched = recipe.sources.iter().filter(|s| s.local.is_none());
            let known: Vec<&str> = fetched.map(|s| s.id.as_str()).collect();
            return Err(Failure::message(
                exit::USAGE,
                format!("there is no source `{name}` to update"),
            )
            .hint(format!("there are: {}", known.join(", "))));
        }
    }
    let whole = format!("run `polybuild lock {}`", recipe.path.display());
    let Some(before) = Lock::read(&path).map_err(Failure::recipe)? else {
        let message = format!("there is no {} to update", path.display());
        return Err(Failure::message(exit::RECIPE, message).hint(whole));
    };
    if let LockStatus::Stale(reasons) = before.check(recipe).map_err(Failure::recipe)? {
        let others: Vec<StaleReason> = reasons
            .into_iter()
            .filter(|reason| {
                needs_resolving(reason)
                    && !reason
                        .source()
                        .is_some_and(|id| names.iter().any(|n| n == id))
            })
            .collect();
        if !others.is_empty() {
            let message = stale(&path, &others);
            return Err(Failure::message(exit::RECIPE, message).hint(whole));
        }
    }
    let kept: Vec<_> = before
        .inputs
        .into_iter()
        .filter(|i| !names.contains(&i.id))
        .collect();
    let lock = sources::resolve(ui, recipe, fetching, &kept)?;
    files::write_whole(&path, lock.text().as_bytes(), 0o644)?;
    Ok(lock)
}
