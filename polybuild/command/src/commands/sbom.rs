//! `polybuild sbom`: the bill of materials of what a recipe makes, without making it.

use polybuild_recipe::{Lock, LockStatus};

use super::epoch;
use crate::{
    args::{Form, Global, Sbom},
    exit,
    failure::{Failure, Result},
    pipeline,
    ui::{self, Ui},
};

pub(super) fn run(_ui: &Ui, _global: &Global, args: &Sbom) -> Result<()> {
    let recipe = pipeline::load(&args.recipe)?;
    let path = recipe.lock_path();
    let refresh = format!("run `polybuild lock {}`", args.recipe.display());
    let lock = Lock::read(&path).map_err(Failure::recipe)?.ok_or_else(|| {
        let message = format!("there is no {}", path.display());
        Failure::message(exit::RECIPE, message).hint(refresh)
    })?;
    if let status @ LockStatus::Stale(_) = lock.check(&recipe).map_err(Failure::recipe)? {
        let message = status.message(&args.recipe).unwrap_or_default();
        return Err(Failure::message(exit::RECIPE, message));
    }
    let target = match args.form {
        Form::X86_64 => megabinary_format::Target::X86_64,
        Form::Pulley => megabinary_format::Target::Pulley64,
    };
    let document = pipeline::bill_of_materials(&recipe, &lock, target, epoch()?)?;
    ui::out(&String::from_utf8_lossy(&document));
    Ok(())
}
