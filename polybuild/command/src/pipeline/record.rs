//! The record of a build: what it was made from, so that an unchanged build is noticed at once.

use std::{fs, io::ErrorKind, path::Path};

use polybuild_recipe::{Pins, Recipe};
use serde::{Deserialize, Serialize};

use super::{
    Context, cached, code,
    output::{Built, names},
};
use crate::{
    confine::Wish,
    failure::{Failure, IoContext, Result},
    files,
};

/// Says in records, labels and keys that build steps ran without being confined.
pub(super) const UNCONFINED: &str = "unconfined";

/// Whether anything that the recipe brings runs without being confined.
pub(super) fn unconfined(cx: &Context<'_>, recipe: &Recipe) -> bool {
    let runs = !recipe.builds.is_empty() || recipe.modules.iter().any(|m| m.snapshot.is_some());
    cx.steps == Wish::Unconfined && runs
}

/// Says so.
pub(super) fn warn_unconfined(cx: &Context<'_>, recipe: &Recipe) {
    if unconfined(cx, recipe) {
        cx.ui.warn(
            "build steps run unconfined: they can read and change whatever you can; the result says \
             so",
        );
    }
}

/// What a build is made from, as one digest, and what came of it.
#[derive(Serialize, Deserialize)]
pub struct Record {
    /// Digest over everything that decides the result.
    inputs: String,
    /// The result; `None` before the build.
    built: Option<Built>,
}

impl Record {
    /// The record of the build that would be made now.
    pub(super) fn expected(cx: &Context<'_>, recipe: &Recipe, lock: &Pins) -> Result<Record> {
        let parts = [
            "build 1",
            &recipe.digest().to_string(),
            lock.text(),
            &code::fingerprint(cx.target)?,
            &cx.signer.public_key().to_string(),
            &cx.epoch.to_string(),
            env!("CARGO_PKG_VERSION"),
            if unconfined(cx, recipe) {
                UNCONFINED
            } else {
                ""
            },
        ];
        Ok(Record {
            inputs: cached::key(&parts).to_string(),
            built: None,
        })
    }

    /// The earlier build in `output`, if it was made from the same inputs and is still there.
    pub(super) fn up_to_date(&self, output: &Path) -> Result<Option<Built>> {
        let Some(earlier) = Record::read(output)? else {
            return Ok(None);
        };
        let complete = earlier
            .built
            .as_ref()
            .is_some_and(|b| b.is_complete(output));
        Ok(if earlier.inputs == self.inputs && complete {
            earlier.built
        } else {
            None
        })
    }

    /// The record in an output folder, if there is a readable one.
    pub fn read(output: &Path) -> Result<Option<Record>> {
        let path = output.join(names::RECORD);
        match fs::read(&path) {
            // A record that cannot be read only means that the build is made again.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).doing("reading", &path),
        }
    }

    /// What was built.
    pub fn built(self) -> Option<Built> {
        self.built
    }

    pub(super) fn write(mut self, output: &Path, built: &Built) -> Result<()> {
        self.built = Some(built.clone());
        let mut text = serde_json::to_string_pretty(&self).map_err(Failure::internal)?;
        text.push('\n');
        files::write_whole(&output.join(names::RECORD), text.as_bytes(), 0o644)
    }
}
