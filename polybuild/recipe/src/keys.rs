//! Finds keys that no table has, all of them at once, by walking the TOML beside the JSON schema.
//!
//! Deserialisation would refuse the first one too, but could not say what was meant.

use serde_json::Value as Json;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    error::{Problem, ProblemKind},
    nearest::nearest,
    place::{Place, SourceText},
};

/// Keys that a reader of the design may expect and that mean nothing yet.
const NOTES: &[(&str, &str)] = &[];

/// One problem for each unknown key.
pub(crate) fn unknown_keys(table: &DeTable<'_>, schema: &Json, text: &SourceText) -> Vec<Problem> {
    let mut walk = Walk {
        root: schema,
        text,
        problems: Vec::new(),
    };
    walk.table(table, schema, "");
    walk.problems
}

struct Walk<'a> {
    root: &'a Json,
    text: &'a SourceText,
    problems: Vec<Problem>,
}

impl<'a> Walk<'a> {
    fn table(&mut self, table: &DeTable<'_>, schema: &'a Json, name: &str) {
        let schema = self.target(schema);
        let Some(known) = schema.get("properties").and_then(Json::as_object) else {
            // A map with keys of the user's own.
            return;
        };
        for (key, value) in table.iter() {
            let key_text: &str = key.get_ref();
            match known.get(key_text) {
                Some(schema) => {
                    let name = match name {
                        "" => key_text.to_owned(),
                        name => format!("{name}.{key_text}"),
                    };
                    self.value(value, schema, &name);
                }
                None => self.problems.push(Problem {
                    kind: ProblemKind::UnknownKey {
                        key: key_text.to_owned(),
                        table: match name {
                            "" => "a recipe".to_owned(),
                            name => format!("`{name}`"),
                        },
                        nearest: nearest(key_text, known.keys().map(String::as_str)),
                        note: NOTES
                            .iter()
                            .find(|(k, _)| name.is_empty() && *k == key_text)
                            .map(|(_, note)| *note),
                    },
                    place: Some(Place::new(self.text, key.span())),
                }),
            }
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, schema: &'a Json, name: &str) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, schema, name),
            DeValue::Array(array) => {
                if let Some(items) = self.target(schema).get("items") {
                    for item in array.iter() {
                        self.value(item, items, name);
                    }
                }
            }
            _ => {}
        }
    }

    /// Follows `$ref`s, and the first alternative of an optional value.
    fn target(&self, mut schema: &'a Json) -> &'a Json {
        // Definitions do not refer to each other in circles; the bound is against a mistake.
        for _ in 0..8 {
            schema = if let Some(name) = schema.get("$ref").and_then(Json::as_str) {
                let name = name.trim_start_matches("#/$defs/");
                match self.root.get("$defs").and_then(|d| d.get(name)) {
                    Some(target) => target,
                    None => return schema,
                }
            } else if let Some(first) = schema.get("anyOf").and_then(|a| a.get(0)) {
                first
            } else {
                return schema;
            };
        }
        schema
    }
}
