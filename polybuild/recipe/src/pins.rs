//! What the lock files of a recipe pin, taken together: the only form that a build reads.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{LocalPath, Lock, LockedInput, LockedLocal, LockedWheel, Recipe};

/// Pins of everything that a recipe is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Pins {
    /// Every fetched source, in the order of the recipe.
    inputs: Vec<LockedInput>,
    /// Local files and folders, by their whole path.
    locals: Vec<(PathBuf, LockedLocal)>,
    /// Python packages, by their names.
    wheels: BTreeMap<String, LockedWheel>,
    text: String,
}

impl Pins {
    /// Of `recipe`, from the lock of each of its parts, in their order.
    pub fn new(recipe: &Recipe, locks: &[Lock]) -> Pins {
        let parts = || recipe.parts.iter().zip(locks);
        let fetched = recipe.sources.iter().filter(|s| s.is_locked());
        let inputs = fetched.filter_map(|source| {
            // A part stands before those that it uses, whose declarations it may replace.
            let declares = parts().find(|(part, _)| part.source(&source.id).is_some());
            declares.and_then(|(_, lock)| lock.input(&source.id).cloned())
        });
        let locals = parts().flat_map(|(part, lock)| {
            part.locals.iter().filter_map(|local| {
                let locked = lock.locals.iter().find(|l| l.path == local.name)?;
                Some((local.path.clone(), locked.clone()))
            })
        });
        let mut wheels = BTreeMap::new();
        // A part stands before those that it uses, whose packages it may replace.
        for wheel in locks.iter().filter_map(|lock| lock.python.as_ref()) {
            for wheel in &wheel.wheels {
                wheels
                    .entry(wheel.name.clone())
                    .or_insert_with(|| wheel.clone());
            }
        }
        Pins {
            wheels,
            inputs: inputs.collect(),
            locals: locals.collect(),
            text: locks.iter().map(Lock::text).collect(),
        }
    }

    /// The pin of the source with this id.
    pub fn input(&self, id: &str) -> Option<&LockedInput> {
        self.inputs.iter().find(|i| i.id == id)
    }

    /// The Python packages of the image, sorted by name.
    pub fn wheels(&self) -> impl Iterator<Item = &LockedWheel> {
        self.wheels.values()
    }

    /// The pin of a local file or folder.
    pub fn local(&self, local: &LocalPath) -> Option<&LockedLocal> {
        let found = self.locals.iter().find(|(path, _)| *path == local.path);
        found.map(|(_, locked)| locked)
    }

    /// The texts of all lock files, one after the other, the recipe's own first. Of a recipe that is made
    /// from no other it is the text of its lock file.
    pub fn text(&self) -> &str {
        &self.text
    }
}
