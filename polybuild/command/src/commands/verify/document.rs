//! An image's configuration as container engines read it.
//!
//! Engines read JSON with Go's library: a key in other letters means the same (`entrypoint`), and
//! the last of two wins. We would see another program than they run. So a document in which that
//! makes a difference is refused.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

/// A value, keys in order and twice if they are there twice.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Json {
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
    Text(String),
    Null,
    /// Numbers and truth values, of which none matters here.
    Other,
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Json, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Json::Object(pairs))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Json::Array(values))
            }

            fn visit_str<E>(self, text: &str) -> Result<Json, E> {
                Ok(Json::Text(text.to_owned()))
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
                Ok(Json::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
                Ok(Json::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
                Ok(Json::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
                Ok(Json::Other)
            }
        }
        from.deserialize_any(Any)
    }
}

/// What decides what a container runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) env: Vec<String>,
    pub(super) entrypoint: Vec<String>,
    pub(super) cmd: Vec<String>,
    pub(super) workdir: String,
    pub(super) healthcheck: Vec<String>,
    pub(super) shell: Vec<String>,
    pub(super) onbuild: Vec<String>,
    pub(super) labels: Vec<(String, String)>,
}

/// Keys of the document that mean something to engines, as they are written.
const TOP: &[&str] = &["config", "rootfs", "os", "architecture"];
const CONFIG: &[&str] = &[
    "User",
    "Env",
    "Entrypoint",
    "Cmd",
    "WorkingDir",
    "Healthcheck",
    "Shell",
    "OnBuild",
    "Labels",
    "Volumes",
    "ExposedPorts",
    "StopSignal",
];
const HEALTHCHECK: &[&str] = &["Test"];

/// Reads it; the error says what is odd.
pub(super) fn read(bytes: &[u8]) -> Result<Document, String> {
    let top: Json = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut document = Document::default();
    let Some(config) = object(&top, TOP)?
        .into_iter()
        .find(|(key, _)| *key == "config")
    else {
        return Ok(document);
    };
    for (key, value) in object(config.1, CONFIG)? {
        match key {
            "Env" => document.env = texts(key, value)?,
            "Entrypoint" => document.entrypoint = texts(key, value)?,
            "Cmd" => document.cmd = texts(key, value)?,
            "Shell" => document.shell = texts(key, value)?,
            "OnBuild" => document.onbuild = texts(key, value)?,
            "WorkingDir" => document.workdir = text(key, value)?,
            "Labels" => {
                for (name, value) in object(value, &[])? {
                    document.labels.push((name.to_owned(), text(name, value)?));
                }
            }
            "Healthcheck" => {
                for (name, value) in object(value, HEALTHCHECK)? {
                    if name == "Test" {
                        document.healthcheck = texts(name, value)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(document)
}

/// The pairs of an object, or none for `null`, in which each of `known` is there at most once and
/// in these letters.
fn object<'j>(value: &'j Json, known: &[&str]) -> Result<Vec<(&'j str, &'j Json)>, String> {
    let pairs = match value {
        Json::Object(pairs) => pairs,
        Json::Null => return Ok(Vec::new()),
        _ => return Err("it has something else where an object should be".into()),
    };
    let mut seen = std::collections::BTreeSet::new();
    for (key, _) in pairs {
        if !seen.insert(key) {
            return Err(format!("the key `{key}` is there twice"));
        }
        // Go folds letters of other scripts too (`K`, the Kelvin sign); none of them is expected.
        let alike = |known: &&str| key.eq_ignore_ascii_case(known) && key != known;
        if !known.is_empty() && (!key.is_ascii() || known.iter().any(alike)) {
            return Err(format!(
                "the key `{}` is read differently by different container engines",
                key.escape_debug()
            ));
        }
    }
    Ok(pairs.iter().map(|(k, v)| (k.as_str(), v)).collect())
}

fn text(key: &str, value: &Json) -> Result<String, String> {
    match value {
        Json::Text(text) => Ok(text.clone()),
        Json::Null => Ok(String::new()),
        _ => Err(format!("`{key}` is not a text")),
    }
}

fn texts(key: &str, value: &Json) -> Result<Vec<String>, String> {
    match value {
        Json::Array(values) => values.iter().map(|v| text(key, v)).collect(),
        Json::Null => Ok(Vec::new()),
        _ => Err(format!("`{key}` is not a list of texts")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_engines_read() {
        let document = read(
            br#"{"os":"linux","config":{"Env":["A=b"],"Entrypoint":["/bin/a","b"],"Cmd":null,
                "WorkingDir":"/w","Healthcheck":{"Test":["CMD","x"],"Retries":3},
                "Shell":["/bin/s"],"OnBuild":["RUN x"],"Labels":{"a":"b","A":"c"}},"size":1.5}"#,
        )
        .unwrap();
        assert_eq!(document.env, ["A=b"]);
        assert_eq!(document.entrypoint, ["/bin/a", "b"]);
        assert_eq!(document.healthcheck, ["CMD", "x"]);
        assert_eq!(document.shell, ["/bin/s"]);
        assert_eq!(document.onbuild, ["RUN x"]);
        assert_eq!((document.cmd.len(), document.workdir.as_str()), (0, "/w"));
        assert_eq!(document.labels.len(), 2);
        assert_eq!(read(b"{}").unwrap(), Document::default());
        assert_eq!(read(br#"{"config":null}"#).unwrap(), Document::default());
    }

    #[test]
    fn what_engines_read_differently_is_refused() {
        for text in [
            r#"{"config":{},"Config":{}}"#,
            r#"{"Config":{"Entrypoint":["/x"]}}"#,
            r#"{"config":{},"config":{}}"#,
            r#"{"config":{"entrypoint":["/x"]}}"#,
            r#"{"config":{"Entrypoint":["/a"],"ENTRYPOINT":["/x"]}}"#,
            r#"{"config":{"Cmd":["/a"],"Cmd":["/x"]}}"#,
            r#"{"config":{"Wor\u212aingDir":"/x"}}"#,
            r#"{"config":{"Healthcheck":{"test":["CMD","/x"]}}}"#,
            r#"{"config":{"healthcheck":{"Test":["CMD","/x"]}}}"#,
            r#"{"config":{"Env":"A=b"}}"#,
            r#"{"config":{"Env":[1]}}"#,
            r#"{"config":[]}"#,
            r#"[]"#,
            r#"{"#,
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
