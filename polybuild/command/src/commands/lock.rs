//! `polybuild lock`.

use std::path::Path;

use polybuild_recipe::{Lock as LockFile, Recipe};

use super::fetching;
use crate::{
    args::{Global, Lock},
    base_recipes::BaseRecipes,
    exit,
    failure::{Failure, Result},
    pipeline,
    ui::{Ui, shown},
};

pub(super) fn run(ui: &Ui, global: &Global, args: &Lock) -> Result<i32> {
    let fetching = fetching(global, false)?;
    let recipe = pipeline::load(ui, &fetching.cache, &args.recipe)?;
    let path = recipe.path.with_extension("lock");
    if args.check {
        return check(ui, &recipe, &path);
    }
    if BaseRecipes::new(ui, &fetching.cache).holds(&recipe.path) {
        let name = args.recipe.display();
        return Err(Failure::message(
            exit::USAGE,
            format!("the recipe {name} comes with polybuild, and so does its lock file"),
        )
        .hint(format!(
            "write a recipe of your own with `from = \"{name}\"`"
        )));
    }
    let lock = match args.update.as_slice() {
        [] if args.keep => pipeline::keep_lock(ui, &recipe, &fetching)?,
        [] => pipeline::write_lock(ui, &recipe, &fetching)?,
        names => pipeline::update_lock(ui, &recipe, &fetching, names)?,
    };
    let sources = lock.inputs.len();
    let mut text = format!("{}: {sources} sources\n", path.display());
    let mut value = serde_json::json!({"lock": shown(&path), "sources": sources});
    if let Some(python) = &lock.python {
        let packages: Vec<String> = python
            .wheels
            .iter()
            .map(|wheel| format!("{} {}", wheel.name, wheel.version))
            .collect();
        text.push_str(&format!(
            "{} Python packages: {}\n",
            packages.len(),
            packages.join(", ")
        ));
        value["packages"] = packages.into();
    }
    ui.result(&text, &value);
    Ok(0)
}

/// Says whether the lock file, and those of the recipes that the recipe is made from, are fresh.
fn check(ui: &Ui, recipe: &Recipe, path: &Path) -> Result<i32> {
    let mut wrong = Vec::new();
    for part in &recipe.parts {
        let path = part.lock_path();
        let lock = LockFile::read(&path).map_err(Failure::recipe)?;
        wrong.extend(match lock {
            None => Some(format!("there is no {}", path.display())),
            Some(lock) => lock
                .check(part)
                .map_err(Failure::recipe)?
                .message(&part.path),
        });
    }
    let fresh = wrong.is_empty();
    let text = match fresh {
        true => format!("{} is fresh\n", path.display()),
        false => wrong.join("\n") + "\n",
    };
    ui.result(
        &text,
        &serde_json::json!({"lock": shown(path), "fresh": fresh}),
    );
    Ok(if fresh {
        0
    } else {
        i32::from(exit::RECIPE.code)
    })
}
