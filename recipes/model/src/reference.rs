//! The JSON schema and the reference page, generated from the types of `written`.

use serde_json::Value as Json;

use crate::written::RecipeFile;

/// JSON schema (draft 2020-12) of `recipe.toml`.
pub fn json_schema() -> Json {
    schemars::schema_for!(RecipeFile).to_value()
}

/// `docs/recipe-reference.md`.
pub fn reference_page() -> String {
    String::new()
}
