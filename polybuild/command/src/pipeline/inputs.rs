//! What a build starts from: the resolved recipe with fresh locks; and references to files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use polybuild_recipe::{
    Lock, LockStatus, LockedInput, Part, Pins, Recipe, Ref, Source, SourceUrl, StaleReason,
};

use super::{
    copy::beneath,
    sources::{self, Fetching, Kept, Sources},
};
use crate::{
    base_recipes::BaseRecipes,
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

/// Loads a recipe: a file, or `NAME/TAG` of one that comes with the program.
pub fn load(ui: &Ui, cache: &Path, path: &Path) -> Result<Recipe> {
    let shelf = BaseRecipes::new(ui, cache);
    let meant = shelf.meant(path)?;
    polybuild_recipe::load_with(meant.as_deref().unwrap_or(path), &shelf)
        .map_err(|error| Failure::diagnostic(exit::RECIPE, error))
}

/// Loads a recipe and what the lock files of its parts pin; makes a lock file when there is none and that
/// is allowed.
pub fn load_locked(
    ui: &Ui,
    path: &Path,
    fetching: &Fetching,
    locked: bool,
) -> Result<(Recipe, Pins)> {
    let recipe = load(ui, &fetching.cache, path)?;
    // From the last to the first: what a recipe is made from comes after it, and its packages are to agree
    // with those that are there already.
    let mut locks = Vec::new();
    for at in (0..recipe.parts.len()).rev() {
        locks.push(load_lock(ui, &recipe, at, fetching, locked)?);
    }
    locks.reverse();
    let pins = Pins::new(&recipe, &locks);
    Ok((recipe, pins))
}

fn load_lock(
    ui: &Ui,
    recipe: &Recipe,
    at: usize,
    fetching: &Fetching,
    locked: bool,
) -> Result<Lock> {
    let part = part(recipe, at)?;
    let lock_path = part.lock_path();
    let refresh = format!("polybuild lock {}", part.path.display());
    match Lock::read(&lock_path).map_err(Failure::recipe)? {
        Some(lock) => match lock.check(part).map_err(Failure::recipe)? {
            LockStatus::Fresh => Ok(lock),
            LockStatus::Stale(reasons) if locked || reasons.iter().any(needs_resolving) => Err(
                Failure::message(exit::RECIPE, stale(&lock_path, &reasons)).hint(format!(
                    "run `{refresh}` to refresh it, and look at what changes"
                )),
            ),
            // Every fetched source is still pinned; only the recipe's own side has moved.
            LockStatus::Stale(reasons) => {
                ui.warn(&format!(
                    "{}; run `{refresh} --keep` to refresh it",
                    stale(&lock_path, &reasons)
                ));
                let fresh = Lock::new(part, lock.inputs).map_err(Failure::recipe)?;
                Ok(fresh.with_python(lock.python))
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
        None => resolve_and_write(ui, recipe, at, fetching, Kept::default()),
    }
}

/// What the lock files of a recipe pin, all of which must be there and fresh.
pub fn read_pins(recipe: &Recipe) -> Result<Pins> {
    let mut locks = Vec::new();
    for part in &recipe.parts {
        let path = part.lock_path();
        let lock = Lock::read(&path).map_err(Failure::recipe)?.ok_or_else(|| {
            let message = format!("there is no {}", path.display());
            Failure::message(exit::RECIPE, message)
                .hint(format!("run `polybuild lock {}`", part.path.display()))
        })?;
        if let Some(message) = lock
            .check(part)
            .map_err(Failure::recipe)?
            .message(&part.path)
        {
            return Err(Failure::message(exit::RECIPE, message));
        }
        locks.push(lock);
    }
    Ok(Pins::new(recipe, &locks))
}

/// Whether a reason means that some source's pin is missing or wrong.
fn needs_resolving(reason: &StaleReason) -> bool {
    match reason {
        StaleReason::Added(_)
        | StaleReason::Address { .. }
        | StaleReason::Digest { .. }
        | StaleReason::Series(_)
        | StaleReason::Packages => true,
        StaleReason::Removed(_)
        | StaleReason::Used(_)
        | StaleReason::Local(_)
        | StaleReason::Recipe => false,
    }
}

fn stale(path: &Path, reasons: &[StaleReason]) -> String {
    let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    format!("{} is stale: {}", path.display(), reasons.join("; "))
}

/// Resolves every source that a recipe file declares and writes its lock file, and one for each recipe that
/// it is made from and that has none.
pub fn write_lock(ui: &Ui, recipe: &Recipe, fetching: &Fetching) -> Result<Lock> {
    for at in (1..recipe.parts.len()).rev() {
        if !part(recipe, at)?.lock_path().exists() {
            resolve_and_write(ui, recipe, at, fetching, Kept::default())?;
        }
    }
    resolve_and_write(ui, recipe, 0, fetching, Kept::default())
}

fn resolve_and_write(
    ui: &Ui,
    recipe: &Recipe,
    at: usize,
    fetching: &Fetching,
    kept: Kept,
) -> Result<Lock> {
    let part = part(recipe, at)?;
    let given = packages_under(recipe, at)?;
    let lock = sources::resolve(ui, part, fetching, &kept, &given)?;
    files::write_whole(&part.lock_path(), lock.text().as_bytes(), 0o644)?;
    Ok(lock)
}

/// The Python packages of the recipes that the recipe file at this place may be made from, by name and version.
fn packages_under(recipe: &Recipe, at: usize) -> Result<BTreeMap<String, String>> {
    let mut given = BTreeMap::new();
    if part(recipe, at)?.packages.is_none() {
        return Ok(given);
    }
    for under in recipe.parts.iter().skip(at + 1) {
        let lock = Lock::read(&under.lock_path()).map_err(Failure::recipe)?;
        for wheel in lock
            .and_then(|lock| lock.python)
            .into_iter()
            .flat_map(|p| p.wheels)
        {
            given.entry(wheel.name).or_insert(wheel.version);
        }
    }
    Ok(given)
}

/// One file of the several of a recipe; the first is the one that was loaded.
fn part(recipe: &Recipe, at: usize) -> Result<&Part> {
    recipe.parts.get(at).ok_or_else(|| {
        Failure::message(
            exit::INTERNAL,
            "a recipe without a file was loaded".to_owned(),
        )
    })
}

/// The lock file that a part has.
fn before(part: &Part) -> Result<Lock> {
    let path = part.lock_path();
    Lock::read(&path).map_err(Failure::recipe)?.ok_or_else(|| {
        let message = format!("there is no {} to update", path.display());
        Failure::message(exit::RECIPE, message).hint(whole(part))
    })
}

fn whole(part: &Part) -> String {
    format!("run `polybuild lock {}`", part.path.display())
}

/// Writes the lock file anew for the recipe as it is. What is locked of sources stays as it is where it is
/// what the recipe still wants of them; the others are resolved.
pub fn keep_lock(ui: &Ui, recipe: &Recipe, fetching: &Fetching) -> Result<Lock> {
    let part = part(recipe, 0)?;
    let mut kept = before(part)?;
    if let LockStatus::Stale(reasons) = kept.check(part).map_err(Failure::recipe)? {
        let changed = |id: &str| {
            let mut about = reasons.iter().filter(|reason| needs_resolving(reason));
            about.any(|reason| reason.source() == Some(id))
        };
        kept.inputs.retain(|input| !changed(&input.id));
    }
    let python = kept.python_is_fresh(part).then_some(kept.python).flatten();
    let mut inputs = kept.inputs;
    // What a recipe itself pins by its digest can be locked where it cannot be fetched.
    let pinned = part.sources.iter().filter_map(pinned_by_recipe);
    for input in pinned {
        if inputs.iter().all(|kept| kept.id != input.id) {
            inputs.push(input);
        }
    }
    resolve_and_write(ui, recipe, 0, fetching, Kept { inputs, python })
}

fn pinned_by_recipe(source: &Source) -> Option<LockedInput> {
    let SourceUrl::Https { .. } = source.url else {
        return None;
    };
    Some(LockedInput {
        id: source.id.clone(),
        url: source.url.lock_form(),
        version: String::new(),
        sha256: source.sha256?,
        size: 0,
        package: None,
    })
}

/// Resolves the sources with these ids anew and writes the lock file; the others stay as they are
/// locked, which must be what the recipe still wants of them.
pub fn update_lock(
    ui: &Ui,
    recipe: &Recipe,
    fetching: &Fetching,
    names: &[String],
) -> Result<Lock> {
    let part = part(recipe, 0)?;
    for name in names {
        if part.source(name).is_none_or(|s| !s.is_locked()) {
            return Err(no_such_source(recipe, part, name));
        }
    }
    let before = before(part)?;
    if let LockStatus::Stale(reasons) = before.check(part).map_err(Failure::recipe)? {
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
            let message = stale(&part.lock_path(), &others);
            return Err(Failure::message(exit::RECIPE, message).hint(whole(part)));
        }
    }
    let inputs = before.inputs.into_iter();
    let kept = Kept {
        inputs: inputs.filter(|i| !names.contains(&i.id)).collect(),
        python: before.python,
    };
    resolve_and_write(ui, recipe, 0, fetching, kept)
}

fn no_such_source(recipe: &Recipe, part: &Part, name: &str) -> Failure {
    let message = format!("there is no source `{name}` to update");
    let others = recipe.parts.iter().skip(1);
    let elsewhere = others
        .filter(|other| other.source(name).is_some_and(|s| s.is_locked()))
        .map(|other| {
            let path = other.path.display();
            format!("{path} declares it: run `polybuild lock --update {name} {path}`")
        })
        .next();
    let fetched = part.sources.iter().filter(|s| s.is_locked());
    let known: Vec<&str> = fetched.map(|s| s.id.as_str()).collect();
    let there_are = match known.as_slice() {
        [] => format!("{} declares no source that is fetched", part.path.display()),
        known => format!("there are: {}", known.join(", ")),
    };
    Failure::message(exit::USAGE, message).hint(elsewhere.unwrap_or(there_are))
}
