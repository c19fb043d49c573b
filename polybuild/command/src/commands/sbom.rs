//! `polybuild sbom`: the bill of materials of what a recipe makes, without making it.

use super::epoch;
use crate::{
    args::{Form, Global, Sbom},
    dirs,
    failure::Result,
    pipeline,
    ui::{self, Ui},
};

pub(super) fn run(ui: &Ui, global: &Global, args: &Sbom) -> Result<()> {
    let recipe = pipeline::load(ui, &dirs::cache(global.cache.as_deref())?, &args.recipe)?;
    let lock = pipeline::read_pins(&recipe)?;
    let target = match args.form {
        Form::X86_64 => megabinary_format::Target::X86_64,
        Form::Pulley => megabinary_format::Target::Pulley64,
    };
    let document = pipeline::bill_of_materials(&recipe, &lock, target, epoch()?)?;
    ui::out(&String::from_utf8_lossy(&document));
    Ok(())
}
