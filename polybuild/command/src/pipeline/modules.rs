//! Pass: find each module's bytes, take embedded archives out, graft the glue on.

use std::path::Path;

use megabinary_linker::{
    PlannedModule,
    graft::{Graft, embedded_zip},
};
use polybuild_recipe::{Module, Recipe, Ref};

use super::{Context, inputs::Inputs};
use crate::{
    exit,
    failure::{Failure, Result},
    files,
};

/// Modules of the recipe, complete, in its order; and files that came out of them.
pub(super) struct Assembled {
    pub(super) modules: Vec<PlannedModule>,
    pub(super) files: Vec<EmbeddedFile>,
}

/// A file that lay in a module's data and belongs into the image.
pub(super) struct EmbeddedFile {
    /// Absolute path in the image.
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

/// Assembles all modules.
pub(super) fn assemble(cx: &Context<'_>, recipe: &Recipe, inputs: &Inputs) -> Result<Assembled> {
    let mut assembled = Assembled {
        modules: Vec::new(),
        files: Vec::new(),
    };
    for module in &recipe.modules {
        let wasm = read_module(inputs, &module.file)?;
        let wasm = if module.graft.is_empty() && module.embedded_zip.is_none() {
            wasm
        } else {
            let stage = cx.ui.stage("Grafting", &module.name);
            let wasm = graft(module, wasm, inputs, &mut assembled.files)?;
            stage.finish("");
            wasm
        };
        assembled.modules.push(PlannedModule {
            name: module.name.clone(),
            wasm,
        });
    }
    Ok(assembled)
}

fn graft(
    module: &Module,
    mut wasm: Vec<u8>,
    inputs: &Inputs,
    files: &mut Vec<EmbeddedFile>,
) -> Result<Vec<u8>> {
    let wrong =
        |what: String| Failure::message(exit::RECIPE, format!("module `{}`: {what}", module.name));
    let mut without = None;
    if let Some(path) = &module.embedded_zip {
        if module.graft.is_empty() {
            return Err(wrong(
                "`embedded-zip` takes the archive away, so that a `graft` must make \
                              the program look for the file instead; there is none"
                    .into(),
            ));
        }
        let embedded = embedded_zip(&wasm).map_err(|e| wrong(e.to_string()))?;
        without = Some(embedded.addresses);
        files.push(EmbeddedFile {
            path: path.clone(),
            bytes: embedded.bytes,
        });
    }
    for glue in &module.graft {
        let text = files::read(&inputs.path(&glue.file)?)?;
        let data = glue
            .data
            .iter()
            .map(|(name, reference)| Ok((name.as_str(), files::read(&inputs.path(reference)?)?)))
            .collect::<Result<Vec<_>>>()?;
        let mut graft = Graft::new(&wasm, &text);
        for (name, bytes) in &data {
            graft = graft.data(name, bytes);
        }
        if let Some(addresses) = without.take() {
            graft = graft.without(addresses);
        }
        let grafted = graft
            .apply()
            .map_err(|e| wrong(format!("grafting {}: {e}", glue.file)))?;
        wasm = grafted;
    }
    Ok(wasm)
}

/// A module's binary; its text form is assembled.
fn read_module(inputs: &Inputs, reference: &Ref) -> Result<Vec<u8>> {
    let path = inputs.path(reference)?;
    binary(&path, files::read(&path)?)
}

/// The binary of a module in a file that may hold its text form (`.wat`).
pub fn binary(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>> {
    if path.extension().is_none_or(|e| e != "wat") {
        return Ok(bytes);
    }
    wat::Parser::new()
        .parse_bytes(Some(path), &bytes)
        .map(|b| b.into_owned())
        .map_err(|error| {
            Failure::message(
                exit::RECIPE,
                format!("assembling {}: {error}", path.display()),
            )
        })
}
