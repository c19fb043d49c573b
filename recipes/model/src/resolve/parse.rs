//! Text to `RecipeFile`.

use std::sync::OnceLock;

use serde::Deserialize as _;
use serde_json::Value as Json;
use toml::de::{DeTable, Deserializer, Error};

use crate::{
    error::{Problem, ProblemKind},
    keys,
    place::{Place, SourceText},
    written::RecipeFile,
};

/// The schema, made once for the process: a constant that is expensive to write down.
fn schema() -> &'static Json {
    static SCHEMA: OnceLock<Json> = OnceLock::new();
    SCHEMA.get_or_init(crate::json_schema)
}

/// Parses the text of one recipe.
pub(super) fn parse(text: &SourceText) -> Result<RecipeFile, Vec<Problem>> {
    let problem = |kind: fn(String) -> ProblemKind, error: &Error| {
        let span = error.span().unwrap_or(0..0);
        vec![Problem {
            kind: kind(error.message().to_owned()),
            place: Some(Place::new(text, span)),
        }]
    };
    let table = DeTable::parse(text.inner())
        .map_err(|e| problem(|message| ProblemKind::Syntax { message }, &e))?;
    let unknown = keys::unknown_keys(table.get_ref(), schema(), text);
    if !unknown.is_empty() {
        return Err(unknown);
    }
    RecipeFile::deserialize(Deserializer::from(table))
        .map_err(|e| problem(|message| ProblemKind::Type { message }, &e))
}
