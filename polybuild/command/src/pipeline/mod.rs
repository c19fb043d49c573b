//! The build, as one list of passes.
//!
//! Each pass takes values and returns the next; none reaches back. Only *sources* touches the
//! network, only *sign* (inside `pack`) a private key. What holds after each pass is said beside
//! it.

mod bill;
pub(crate) mod cached;
mod code;
mod copy;
mod epoch;
mod image;
mod inputs;
mod library;
mod modules;
mod output;
mod plan;
mod progress;
mod python;
mod record;
mod root;
mod snapshot;
mod sources;
mod steps;

use std::path::{Path, PathBuf};

use megabinary_format::{Digest, Target};
use megabinary_linker::{Keys, SignedMegabinary};
use polybuild_recipe::{Pins, Recipe};

pub use bill::{WITHOUT, WithoutFixes, of_recipe as bill_of_materials};
pub use epoch::EPOCH_VARIABLE;
pub use inputs::{keep_lock, load, load_locked, read_pins, update_lock, write_lock};
pub use library::{Library, build_library};
pub use modules::binary;
pub(crate) use output::names;
pub use output::{Built, default_output};
pub use record::Record;
pub use sources::Fetching;

use crate::{
    confine::Wish,
    failure::{Failure, Result},
    keys::Signer,
    ui::{self, Ui},
};

/// What every pass may use.
pub struct Context<'a> {
    /// Where progress goes.
    pub ui: &'a Ui,
    /// Cache folder.
    pub cache: PathBuf,
    /// How sources are had.
    pub fetching: Fetching,
    /// Form of the code.
    pub target: Target,
    /// The key to sign with.
    pub signer: Signer,
    /// Time stamp of everything in the image, in seconds since 1970.
    pub epoch: u64,
    /// Make everything again but the fetched sources.
    pub rebuild: bool,
    /// How build steps and programs at their snapshot points are confined.
    pub steps: Wish,
}

/// Builds the image of `recipe` into the folder `output`.
pub fn build(cx: &Context<'_>, recipe: &Recipe, lock: &Pins, output: &Path) -> Result<Built> {
    let record = Record::expected(cx, recipe, lock)?;
    if !cx.rebuild
        && let Some(built) = record.up_to_date(output)?
    {
        cx.ui
            .stage("Unchanged", &built.name)
            .finish(&output.display().to_string());
        return Ok(built);
    }
    let staged = output::Staged::beside(output)?;
    record::warn_unconfined(cx, recipe);
    // Every source is on disk, with the digest that the lock demands.
    let sources = sources::fetch(cx, recipe, lock)?;
    // Every build step has made its outputs.
    let outputs = steps::run(cx, recipe, &sources)?;
    let inputs = inputs::Inputs { sources, outputs };
    // Every Python package, extensions included, is laid out as it will be in the image.
    let packages = python::install(cx, recipe, &inputs)?;
    // Every module is complete, with its glue grafted on.
    let modules::Assembled { modules, files } = modules::assemble(cx, recipe, &inputs)?;
    let interpreter = python::interpreter(recipe, &modules, packages.as_ref())?;
    // Routes, programs, trees and policy are known; imports are offered by some personality.
    let plan = plan::plan(recipe, lock, modules, &inputs)?;
    let linked = {
        let stage = cx.ui.stage("Linking", &plan.name);
        let linked = megabinary_linker::link(plan).map_err(Failure::recipe)?;
        stage.finish(&format!("{} modules", linked.modules().len()));
        linked
    };
    plan::check_trees(cx.ui, recipe, &linked)?;
    // Each module has code for the target.
    let code = code::compile(cx, &linked)?;
    // What the image's Python compiles is the same in every build.
    let compiled = match &interpreter {
        Some(python) => python::compile(
            cx,
            recipe,
            python,
            (&linked, &code),
            packages.as_ref(),
            &inputs,
            &files,
        )?,
        None => python::Compiled::default(),
    };
    // Memory at the snapshot points is part of the megabinary.
    let packed = packages.as_ref().map(|packages| (packages, &compiled));
    let linked = snapshot::take(cx, recipe, linked, &code, &files, &inputs, packed)?;
    // From here on it can only be read: signed, in both forms. Nothing fetched runs any more, and
    // nothing that ran is left.
    let (signed, portable) = {
        let keys = cx.signer.open()?;
        let signed = pack(cx, &linked, &code, &keys)?;
        (signed, megabinary_linker::portable::write(&linked, &keys))
    };
    // Layers, configuration, manifest, archives.
    let built = image::assemble(
        cx,
        &image::Contents {
            recipe,
            lock,
            inputs: &inputs,
            files: &files,
            packages: packages.as_ref(),
            compiled: &compiled,
            launcher: code::launcher(cx.target, &linked)?,
        },
        &signed,
        &portable,
        &staged,
    )?;
    record.write(staged.path(), &built)?;
    staged.publish(output)?;
    Ok(built)
}

/// Packs and signs a bare WASI module as a megabinary of its own; returns the file in the cache.
pub fn pack_module(cx: &Context<'_>, name: &str, wasm: Vec<u8>) -> Result<PathBuf> {
    let digest = Digest::of(&wasm);
    let key = cached::key(&[
        "bare module",
        &digest.to_string(),
        name,
        &code::fingerprint(cx.target)?,
        &cx.signer.public_key().to_string(),
    ]);
    let packed = cx.cache.join("packed").join(key.hex());
    if !cx.rebuild && packed.is_file() {
        return Ok(packed);
    }
    let plan = plan::bare(name, wasm);
    let linked = megabinary_linker::link(plan).map_err(Failure::recipe)?;
    let code = code::compile(cx, &linked)?;
    let signed = pack(cx, &linked, &code, &cx.signer.open()?)?;
    crate::files::write_whole(&packed, signed.bytes(), 0o755)?;
    Ok(packed)
}

fn pack(
    cx: &Context<'_>,
    linked: &megabinary_linker::Megabinary,
    code: &[Vec<u8>],
    keys: &Keys,
) -> Result<SignedMegabinary> {
    let stage = cx.ui.stage("Packing", linked.name());
    let signed = megabinary_linker::elf::pack(
        linked,
        cx.target,
        code::launcher(cx.target, linked)?.program,
        code,
        keys,
    )
    .map_err(Failure::internal)?;
    stage.finish(&format!(
        "{}, signed by {}",
        ui::size(signed.bytes().len() as u64),
        keys.public_key().key_id()
    ));
    Ok(signed)
}
