//! Pass: every source on disk, with the digest that the lock demands; unpacked and patched where
//! the recipe says so.

use std::{
    cell::OnceCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use polybuild_fetch::{
    Cache, Extract, ExtractError, FetchError, Fetched, Fetcher, Limits, Options, Progress, Request,
};
use polybuild_recipe::{Lock, LockedInput, Part, Pins, Recipe, Source};

use super::{Context, cached};
use crate::{
    exit::{self, Status},
    failure::{Failure, IoContext, Result},
    files,
    scratch::Scratch,
    ui::{Stage, Ui, size},
};

/// Fetched sources: a file or, unpacked, a folder, by id.
pub(super) struct Sources {
    ui: Ui,
    cache: PathBuf,
    arrived: BTreeMap<String, Arrived>,
}

struct Arrived {
    place: Place,
    /// Changes whenever the content does: a digest of the file, or of everything that decides what
    /// the folder contains.
    identity: String,
}

enum Place {
    /// The file, which was hashed when it was fetched or found; or a folder beside the recipe.
    File(PathBuf),
    /// A folder of the cache, which is verified when it is first used.
    Unpacked {
        source: Box<Source>,
        fetched: Box<Fetched>,
        entry: PathBuf,
        tree: OnceCell<PathBuf>,
    },
}

impl Sources {
    /// Where a source is; `None` if there is none of that name.
    pub(super) fn get(&self, id: &str) -> Result<Option<&Path>> {
        let Some(arrived) = self.arrived.get(id) else {
            return Ok(None);
        };
        let (source, fetched, entry, tree) = match &arrived.place {
            Place::File(path) => return Ok(Some(path)),
            Place::Unpacked {
                source,
                fetched,
                entry,
                tree,
            } => (source, fetched, entry, tree),
        };
        if tree.get().is_none() {
            let found = match cached::get(&self.ui, entry, &what(source)) {
                Some(found) => found,
                None => unpack(&self.ui, &self.cache, source, fetched, entry)?,
            };
            let _ = tree.set(found);
        }
        Ok(tree.get().map(PathBuf::as_path))
    }

    /// A text that changes whenever the source's content does.
    pub(super) fn identity(&self, id: &str) -> Option<&str> {
        self.arrived
            .get(id)
            .map(|arrived| arrived.identity.as_str())
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

fn what(source: &Source) -> String {
    format!("the unpacked source `{}`", source.id)
}

/// Fetches what the lock pins.
pub(super) fn fetch(cx: &Context<'_>, recipe: &Recipe, lock: &Pins) -> Result<Sources> {
    let fetcher = cx.fetching.fetcher();
    let mut sources = Sources {
        ui: cx.ui.clone(),
        cache: cx.cache.clone(),
        arrived: BTreeMap::new(),
    };
    for source in &recipe.sources {
        let fetched = fetch_one(cx.ui, &fetcher, source, lock.input(&source.id))?;
        let arrived = if source.extract {
            unpacked(cx, source, &fetched)?
        } else {
            Arrived {
                place: Place::File(fetched.path),
                identity: fetched.sha256.to_string(),
            }
        };
        sources.arrived.insert(source.id.clone(), arrived);
    }
    Ok(sources)
}

/// Resolves the sources of a recipe file to exact versions and digests; those in `kept` stay as they are there.
pub(super) fn resolve(
    ui: &Ui,
    part: &Part,
    fetching: &Fetching,
    kept: &[LockedInput],
) -> Result<Lock> {
    let fetcher = fetching.fetcher();
    let mut inputs = Vec::new();
    for source in part.sources.iter().filter(|s| s.local.is_none()) {
        if let Some(input) = kept.iter().find(|input| input.id == source.id) {
            inputs.push(input.clone());
            continue;
        }
        let fetched = fetch_one(ui, &fetcher, source, None)?;
        inputs.push(Request::new(source, None).locked(&fetched));
    }
    Lock::new(part, inputs).map_err(Failure::recipe)
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

/// A folder that is named by everything that decides its contents; made unless it is there.
fn unpacked(cx: &Context<'_>, source: &Source, fetched: &Fetched) -> Result<Arrived> {
    let mut parts = vec![
        "unpacked 2".to_owned(),
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
    let key = cached::key(&parts.iter().map(String::as_str).collect::<Vec<_>>());
    let entry = cx.cache.join("unpacked").join(key.hex());
    let tree = OnceCell::new();
    if !entry.is_dir() {
        let _ = tree.set(unpack(cx.ui, &cx.cache, source, fetched, &entry)?);
    }
    Ok(Arrived {
        place: Place::Unpacked {
            source: Box::new(source.clone()),
            fetched: Box::new(fetched.clone()),
            entry,
            tree,
        },
        identity: key.to_string(),
    })
}

fn unpack(
    ui: &Ui,
    cache: &Path,
    source: &Source,
    fetched: &Fetched,
    entry: &Path,
) -> Result<PathBuf> {
    let stage = ui.stage("Unpacking", &source.id);
    let scratch = Scratch::folder_in(&cache.join("unpacked"))?;
    let fresh = cached::tree(scratch.path());
    if let Some(parent) = fresh.parent() {
        fs::create_dir_all(parent).doing("creating", parent)?;
    }
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
    let tree = cached::put(ui, scratch.path(), entry, &what(source))?;
    stage.finish("");
    Ok(tree)
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
