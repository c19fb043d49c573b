//! `npm:` through `npm pack`, which downloads the registry's archive as it is. No script of the
//! package runs.

use serde::Deserialize;

use super::{Arrived, Job, tool::Tool};
use crate::FetchError;

const NPM: Tool = Tool {
    names: &["npm"],
    package: "npm",
};

/// The part of `npm pack --json` that is read; see `npm help pack`.
#[derive(Deserialize)]
struct Packed {
    version: String,
    filename: String,
}

pub(super) fn fetch(
    job: &Job<'_>,
    name: &str,
    version: Option<String>,
) -> Result<Arrived, FetchError> {
    let package = match version {
        Some(version) => format!("{name}@{version}"),
        None => name.to_owned(),
    };
    let args = [
        "pack",
        "--json",
        "--ignore-scripts",
        // npm's own pauses between tries add up to more than a minute before it admits that there
        // is no network.
        "--fetch-retry-mintimeout=1000",
        "--fetch-retry-maxtimeout=5000",
        "--",
        &package,
    ];
    let out = NPM.run(job, args, &[])?;
    let packed: Vec<Packed> = serde_json::from_str(&out)
        .map_err(|e| job.unexpected("npm", format!("printed something else than its list: {e}")))?;
    // A range may fit several versions; npm packs each and the last is the newest.
    let newest = packed
        .into_iter()
        .next_back()
        .ok_or_else(|| job.unexpected("npm", "packed nothing"))?;
    let file = job
        .guard
        .work
        .join(newest.filename.trim_start_matches('@').replace('/', "-"));
    Ok(Arrived {
        file,
        version: newest.version,
        registry: None,
        resumed: false,
    })
}
