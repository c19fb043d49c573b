//! `polybuild lock`.

use polybuild_recipe::{Lock as LockFile, LockStatus};

use super::fetching;
use crate::{
    args::{Global, Lock},
    exit,
    failure::{Failure, Result},
    pipeline,
    ui::{Ui, shown},
};

pub(super) fn run(ui: &Ui, global: &Global, args: &Lock) -> Result<i32> {
    let recipe = pipeline::load(&args.recipe)?;
    let path = recipe.lock_path();
    if args.check {
        let status = match LockFile::read(&path).map_err(Failure::recipe)? {
            None => None,
            Some(lock) => Some(lock.check(&recipe).map_err(Failure::recipe)?),
        };
        let (fresh, text) = match &status {
            Some(LockStatus::Fresh) => (true, format!("{} is fresh\n", path.display())),
            Some(stale) => (
                false,
                stale.message(&args.recipe).unwrap_or_default() + "\n",
            ),
            None => (false, format!("there is no {}\n", path.display())),
        };
        ui.result(
            &text,
            &serde_json::json!({"lock": shown(&path), "fresh": fresh}),
        );
        return Ok(if fresh {
            0
        } else {
            i32::from(exit::RECIPE.code)
        });
    }
    let fetching = fetching(global, false)?;
    let lock = match args.update.as_slice() {
        [] => pipeline::write_lock(ui, &recipe, &fetching)?,
        names => pipeline::update_lock(ui, &recipe, &fetching, names)?,
    };
    ui.result(
        &format!("{}: {} sources\n", path.display(), lock.inputs.len()),
        &serde_json::json!({"lock": shown(&path), "sources": lock.inputs.len()}),
    );
    Ok(0)
}
