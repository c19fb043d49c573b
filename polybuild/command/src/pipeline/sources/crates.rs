//! `cargo-lock:`: the crates that a lock file in another source names, in a folder that cargo reads in place of a
//! registry. Nothing of the recipe's own lock pins them: the digest of the other source pins its lock file.

use std::cell::OnceCell;

use polybuild_fetch::Request;
use polybuild_recipe::{Source, SourceUrl};

use super::{Arrived, Place, Shown, Sources, arrived, not_fetched};
use crate::{
    exit,
    failure::{Failure, Result},
    files,
    pipeline::{Context, cached, copy::beneath},
};

/// Source and path of the lock file, if a source is the crates of one.
pub(super) fn of_lock(source: &Source) -> Option<(&str, &str)> {
    match &source.url {
        SourceUrl::CargoLock { source, path } => Some((source, path)),
        _ => None,
    }
}

pub(super) fn fetch(cx: &Context<'_>, source: &Source, sources: &Sources) -> Result<Arrived> {
    let (id, path) = of_lock(source).unwrap_or_default();
    let missing = |what: String| {
        Failure::message(
            exit::RECIPE,
            format!("source `{}` ({}): {what}", source.id, source.url),
        )
        .hint("write the id of a source that is unpacked, and the path of its `Cargo.lock`")
    };
    let base = sources
        .get(id)?
        .ok_or_else(|| missing(format!("no source `{id}` was fetched before it")))?;
    let lock = base.join(path);
    if !lock.is_file() {
        return Err(missing(format!("there is no file {path} in `{id}`")));
    }
    // What was fetched is not to name files of this machine, by a link.
    beneath(base, path.as_ref()).map_err(|f| f.while_doing(&source.url.to_string()))?;
    let shown = Shown::new(cx.ui, "Fetching", source.url.to_string());
    let crates = cx
        .fetching
        .fetcher()
        .fetch_crates(
            &Request::new(source, None),
            lock.parent().unwrap_or(base),
            &shown,
        )
        .map_err(|error| not_fetched(&error))?;
    let mut parts = vec!["crates 1".to_owned()];
    for one in &crates {
        parts.push(format!("{} {} {}", one.name, one.version, one.sha256));
    }
    for patch in &source.patches {
        let text = files::read(&patch.path)?;
        parts.push(megabinary_format::Digest::of(&text).to_string());
    }
    let key = cached::key(&parts.iter().map(String::as_str).collect::<Vec<_>>());
    let entry = cx.cache.join("unpacked").join(key.hex());
    let place = Place::Crates {
        source: Box::new(source.clone()),
        crates,
        entry: entry.clone(),
        tree: OnceCell::new(),
    };
    arrived(cx, source, place, &entry, key.to_string())
}
