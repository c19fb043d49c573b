//! A library by itself: its build steps are run and what they made is laid out, with a digest each.
//!
//! A library is normally built as part of what uses it. By itself it is built to be looked at, to
//! be developed against, and to see that two builds make the same.

use std::{collections::BTreeMap, fs, path::Path};

use polybuild_recipe::{Pins, Recipe, digest_path};
use serde::Serialize;

use super::{
    Context,
    bill::{self, WithoutFixes},
    copy::copy,
    output::{Staged, names},
    record, sources, steps,
};
use crate::{
    exit,
    failure::{Failure, IoContext, Result},
    files,
};

/// What was made: `STEP/OUTPUT` and its digest (`sha256:…`; of a folder, over names, kinds,
/// execute permissions and contents).
#[derive(Debug, Serialize)]
pub struct Library {
    /// Outputs by name.
    pub outputs: BTreeMap<String, String>,
    /// Sources without the fixes of the distribution that they came from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_fixes: Vec<WithoutFixes>,
    /// Whether its build steps ran without being confined.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unconfined_steps: bool,
}

/// Builds a library into the folder `output`, as `STEP/OUTPUT`.
pub fn build_library(
    cx: &Context<'_>,
    recipe: &Recipe,
    lock: &Pins,
    output: &Path,
) -> Result<Library> {
    if recipe.builds.is_empty() {
        return Err(Failure::message(
            exit::RECIPE,
            format!(
                "the library `{}` has no build step: there is nothing to build",
                recipe.name
            ),
        ));
    }
    let staged = Staged::beside(output)?;
    record::warn_unconfined(cx, recipe);
    let sources = sources::fetch(cx, recipe, lock)?;
    let made = steps::run(cx, recipe, &sources)?;
    let mut outputs = BTreeMap::new();
    for step in &recipe.builds {
        let Some(from) = made.step(&step.id) else {
            continue;
        };
        for output in &step.outputs {
            let to = Path::new(&step.id).join(&output.path);
            copy(&from.join(&output.path), staged.path(), &to)?;
            let from = from.join(&output.path);
            let (digest, _) = digest_path(&from).map_err(Failure::environment)?;
            outputs.insert(format!("{}/{output}", step.id), digest.to_string());
        }
    }
    let library = Library {
        outputs,
        without_fixes: bill::without_fixes(recipe, lock),
        unconfined_steps: record::unconfined(cx, recipe),
    };
    let mut text = serde_json::to_string_pretty(&library).map_err(Failure::internal)?;
    text.push('\n');
    files::write_whole(&staged.path().join(names::RECORD), text.as_bytes(), 0o644)?;
    if let Some(parent) = output.parent() {
        fs::create_dir_all(parent).doing("creating", parent)?;
    }
    staged.publish(output)?;
    Ok(library)
}
