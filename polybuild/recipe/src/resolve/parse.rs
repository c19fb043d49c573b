//! Text to `RecipeFile`.

use std::sync::OnceLock;

use serde::Deserialize as _;
use serde_json::Value as Json;
use toml::de::{DeTable, Deserializer, Error};

use crate::{
    error::{Problem, ProblemKind},
    keys,
    nearest::nearest,
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
    let problem = |kind: ProblemKind, error: &Error| {
        let span = error.span().unwrap_or(0..0);
        vec![Problem {
            kind,
            place: Some(Place::new(text, span)),
        }]
    };
    let table = DeTable::parse(text.inner()).map_err(|e| {
        let message = e.message().to_owned();
        problem(ProblemKind::Syntax { message }, &e)
    })?;
    let unknown = keys::unknown_keys(table.get_ref(), schema(), text);
    if !unknown.is_empty() {
        return Err(unknown);
    }
    RecipeFile::deserialize(Deserializer::from(table))
        .map_err(|e| problem(type_problem(e.message()), &e))
}

/// The deserialiser's message, in the words of recipes instead of serde's.
fn type_problem(message: &str) -> ProblemKind {
    const WORDS: &[(&str, &str)] = &[
        ("missing field", "missing key"),
        ("unknown variant", "unknown value"),
        ("invalid type:", "wrong type:"),
        ("a sequence", "a list"),
        ("a map", "a table"),
        ("struct ", "the table "),
    ];
    let message = WORDS
        .iter()
        .fold(message.to_owned(), |text, (serde, ours)| {
            text.replace(serde, ours)
        });
    // "unknown value `x`, expected one of `a`, `b`": the words in backticks.
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let nearest = match (message.starts_with("unknown value"), quoted.split_first()) {
        (true, Some((wrong, choices))) => nearest(wrong, choices.iter().copied()),
        _ => None,
    };
    ProblemKind::Type { message, nearest }
}
