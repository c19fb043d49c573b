//! Pass: every source on disk, with the digest that the lock demands; unpacked and patched where
//! the recipe says so.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use polybuild_fetch::{
    Cache, Extract, ExtractError, FetchError, Fetched, Fetcher, Limits, Options, Progress, Request,
};
use polybuild_recipe::{Lock, LockedInput, Recipe, Source};

use super::{Context, record};
use crate::{
    exit::{self, Status},
    failure::{Failure, IoContext, Result},
    files,
    scratch::Scratch,
    ui::{Stage, Ui, size},
};

/// Fetched sources: a file or, unpacked, a folder, by id.
#[derive(Default)]
pub(super) struct Sources(BTreeMap<String, Arrived>);

struct Arrived {
    path: PathBuf,
    /// Changes whenever the content does: a digest of the file, or of everything that decides what
    /// the folder contains.
    identity: String,
}

impl Sources {
    pub(super) fn get(&self, id: &str) -> Option<&Path> {
        self.0.get(id).map(|arrived| arrived.path.as_path())
    }

    /// A text that changes whenever the source's content does.
    pub(super) fn identity(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(|arrived| arrived.identity.as_str())
    }
}

/// How sources are had.
#[derive(Clone, Debug)]
pub struct Fetching {
    /// Cache folder.
    pub cache: PathBuf,
    /// Never use the network.
    pub offline: bool,
    /// Address of an archive of snapshots.
    pub snapshots: Option<String>,
}

/// Fetches what the lock pins.
pub(super) fn fetch(cx: &Context<'_>, recipe: &Recipe, lock: &Lock) -> Result<Sources> {
    let fetcher = cx.fetching.fetcher();
    let mut sources = Sources::default();
    for source in &recipe.sources {
        let fetched = fetch_one(cx.ui, &fetcher, source, lock.input(&source.id))?;
        let arrived = if source.extract {
            unpack(cx, source, &fetched)?
        } else {
            Arrived {
                path: fetched.path,
                identity: fetched.sha256.to_string(),
            }
        };
        sources.0.insert(source.id.clone(), arrived);
    }
    Ok(sources)
}

/// Resolves sources to exact versions and digests; those in `kept` stay as they are there.
pub(super) fn resolve(
    ui: &Ui,
    recipe: &Recipe,
    fetching: &Fetching,
    kept: &[LockedInput],
) -> Result<Lock> {
    let fetcher = fetching.fetcher();
    let mut inputs = Vec::new();
    for source in recipe.sources.iter().filter(|s| s.local.is_none()) {
        if let Some(input) = kept.iter().find(|input| input.id == source.id) {
            inputs.push(input.clone());
            continue;
        }
        let fetched = fetch_one(ui, &fetcher, source, None)?;
        inputs.push(Request::new(source, None).locked(&fetched));
    }
    Lock::new(recipe, inputs).map_err(Failure::recipe)
}

impl Fetching {
    fn fetcher(&self) -> Fetcher {
        Fetcher::new(
            Cache::new(&self.cache),
            Options {
                search_path: std::env::var_os("PATH").unwrap_or_default(),
                offline: self.offline,
                snapshots: self.snapshots.clone(),
            },
        )
    }
}

fn fetch_one(
    ui: &Ui,
    fetcher: &Fetcher,
    source: &Source,
    locked: Option<&LockedInput>,
) -> Result<Fetched> {
    let shown = Shown {
        ui,
        stage: Mutex::new(None),
        url: source.url.to_string(),
    };
    fetcher
        .fetch(&Request::new(source, locked), &shown)
        .map_err(|error| Failure::new(status(&error), &error))
}

/// Whose fault it is: the machine's, or that of the recipe or its lock.
fn status(error: &FetchError) -> Status {
    match error {
        FetchError::MissingTool { .. }
        | FetchError::Network { .. }
        | FetchError::Unexpected { .. }
        | FetchError::Offline { .. }
        | FetchError::Gone(_)
        | FetchError::Io { .. } => exit::ENVIRONMENT,
        FetchError::Client { .. }
        | FetchError::Digest(_)
        | FetchError::Package(_)
        | FetchError::Contradiction { .. }
        | FetchError::Local(_) => exit::RECIPE,
    }
}

/// Unpacks into a folder that is named by everything that decides its contents.
fn unpack(cx: &Context<'_>, source: &Source, fetched: &Fetched) -> Result<Arrived> {
    let mut parts = vec![
        "unpacked 1".to_owned(),
        fetched.sha256.to_string(),
        source.strip_components.to_string(),
    ];
    for patch in &source.patches {
        let text = files::read(&patch.path)?;
        parts.push(megabinary_format::Digest::of(&text).to_string());
    }
    // The digest of a `.dsc` decides its parts; that of an upstream archive alone does not.
    if let Some(package) = &fetched.package {
        parts.push(format!("package 1, series {}", package.locked.series));
        if !package.locked.series {
            // Nothing but the lock file says what an archive is for.
            parts.extend(package.locked.parts.iter().map(|part| part.file.clone()));
        }
        parts.extend(
            package
                .locked
                .parts
                .iter()
                .map(|part| part.sha256.to_string()),
        );
    }
    let key = record::key(&parts.iter().map(String::as_str).collect::<Vec<_>>());
    let target = cx.cache.join("unpacked").join(key.hex());
    let arrived = |path| Arrived {
        path,
        identity: key.to_string(),
    };
    if target.is_dir() {
        return Ok(arrived(target));
    }
    let stage = cx.ui.stage("Unpacking", &source.id);
    let scratch = Scratch::folder_in(&cx.cache.join("unpacked"))?;
    let fresh = scratch.path().join("tree");
    let how = Extract {
        strip_components: source.strip_components,
        patches: source.patches.iter().map(|p| p.path.clone()).collect(),
        limits: Limits::default(),
    };
    let unpacked = match &fetched.package {
        Some(package) => polybuild_fetch::extract_package(package, &fresh, &how),
        None => polybuild_fetch::extract(&fetched.path, &fresh, &how),
    };
    unpacked.map_err(|error| {
        let status = match error {
            ExtractError::Io { .. } => exit::ENVIRONMENT,
            _ => exit::RECIPE,
        };
        Failure::new(status, &error).while_doing(&format!(
            "unpacking source `{}` ({})",
            source.id, source.url
        ))
    })?;
    match fs::rename(&fresh, &target) {
        // Another build was faster with the same contents.
        Err(_) if target.is_dir() => {}
        result => result.doing("putting into place", &target)?,
    }
    stage.finish("");
    Ok(arrived(target))
}

/// Progress of one fetch: a stage that begins when something really is fetched.
struct Shown<'a> {
    ui: &'a Ui,
    stage: Mutex<Option<Stage>>,
    url: String,
}

impl Progress for Shown<'_> {
    fn bytes(&self, _id: &str, done: u64, total: Option<u64>) {
        if let Ok(mut stage) = self.stage.lock() {
            stage
                .get_or_insert_with(|| self.ui.stage("Fetching", &self.url))
                .bytes(done, total);
        }
    }

    fn finished(&self, _id: &str, bytes: u64, cached: bool) {
        if let Ok(mut stage) = self.stage.lock()
            && let Some(stage) = stage.take()
            && !cached
        {
            stage.finish(&size(bytes));
        }
    }

    fn warning(&self, id: &str, message: &str) {
        self.ui.warn(&format!("{id}: {message}"));
    }
}
