//! `polybuild build`.

use std::path::Path;

use polybuild_recipe::{Kind, Pins, Recipe};

use super::context;
use crate::{
    args::{Build, Global},
    failure::Result,
    pipeline::{self, Context, WITHOUT, WithoutFixes},
    ui::{Ui, shown, size},
};

pub(super) fn run(ui: &Ui, global: &Global, args: &Build) -> Result<()> {
    let cx = context(ui, global, &args.options)?;
    let (recipe, lock) =
        pipeline::load_locked(ui, &args.recipe, &cx.fetching, args.options.locked)?;
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| pipeline::default_output(&recipe));
    if recipe.kind == Kind::Library {
        return library(ui, &cx, &recipe, &lock, &output);
    }
    let built = pipeline::build(&cx, &recipe, &lock, &output)?;
    let shown = shown(&output);
    let command = built
        .default_command
        .first()
        .map_or("COMMAND", String::as_str);
    ui.result(
        &format!(
            "{name}  {manifest}  {size} compressed\n\
             in {shown}\n{without}\n\
             Run it:\n  \
             docker load -i {shown}/docker-archive.tar && docker run --rm -it {name}\n  \
             podman load -i {shown}/docker-archive.tar && podman run --rm -it {name}\n  \
             polybuild run {shown} -- {command}\n\
             Check it:\n  \
             polybuild verify {shown}\n",
            name = built.name,
            manifest = built.manifest,
            size = size(built.compressed_size),
            without = without_fixes(&built.without_fixes),
        ),
        &serde_json::json!({ "event": "built", "output": &shown, "image": built }),
    );
    Ok(())
}

/// A line for each source that is not what its distribution makes of it.
fn without_fixes(sources: &[WithoutFixes]) -> String {
    let line = |source: &WithoutFixes| {
        let WithoutFixes {
            name,
            version,
            reason,
        } = source;
        format!("{name} {version}: {WITHOUT}: {reason}\n")
    };
    sources.iter().map(line).collect()
}

fn library(ui: &Ui, cx: &Context<'_>, recipe: &Recipe, lock: &Pins, output: &Path) -> Result<()> {
    let library = pipeline::build_library(cx, recipe, lock, output)?;
    let list: String = library
        .outputs
        .iter()
        .map(|(name, digest)| format!("  {digest}  {name}\n"))
        .collect();
    ui.result(
        &format!(
            "{} {}\n{list}in {}\n{}",
            recipe.name,
            recipe.version,
            output.display(),
            without_fixes(&library.without_fixes)
        ),
        &serde_json::json!({ "event": "built", "output": shown(output), "library": library }),
    );
    Ok(())
}
