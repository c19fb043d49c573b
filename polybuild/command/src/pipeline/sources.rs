//! Pass: every source on disk, with the digest that the lock demands; unpacked and patched where
//! the recipe says so.

mod crates;

use std::{
    cell::OnceCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use polybuild_fetch::{
    Cache, Extract, ExtractError, FetchError, Fetched, Fetcher, Limits, LockedCrate, Options, Pin,
    Request,
};
use polybuild_recipe::{
    Lock, LockedInput, LockedPython, LockedWheel, Part, Pins, PypiKind, Python, Recipe, Source,
    SourceUrl, normal_package_name,
};

use super::{
    Context, cached,
    progress::{All, Shown},
};
use crate::{
    base_recipes,
    exit::{self, Status},
    failure::{Failure, IoContext, Result},
    files,
    scratch::Scratch,
    ui::Ui,
};

/// Fetched sources: a file or, unpacked, a folder, by id.
pub(super) struct Sources {
    ui: Ui,
    cache: PathBuf,
    arrived: BTreeMap<String, Arrived>,
    /// Python packages.
    pub(super) wheels: Vec<(LockedWheel, PathBuf)>,
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
    /// Likewise: crates beside each other.
    Crates {
        source: Box<Source>,
        crates: Vec<LockedCrate>,
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
        let (source, entry, tree) = match &arrived.place {
            Place::File(path) => return Ok(Some(path)),
            Place::Unpacked {
                source,
                entry,
                tree,
                ..
            }
            | Place::Crates {
                source,
                entry,
                tree,
                ..
            } => (source, entry, tree),
        };
        if tree.get().is_none() {
            let found = match cached::get(&self.ui, entry, &what(source)) {
                Some(found) => found,
                None => unpack(&self.ui, &self.cache, source, &arrived.place, entry)?,
            };
            let _ = tree.set(found);
        }
        Ok(tree.get().map(PathBuf::as_path))
    }

    /// Crates that lock files in sources name, each with the source that stands for all of its file.
    pub(super) fn crates(&self) -> impl Iterator<Item = (&Source, &LockedCrate)> {
        self.arrived.values().flat_map(|arrived| {
            let (source, crates) = match &arrived.place {
                Place::Crates { source, crates, .. } => (Some(&**source), crates.as_slice()),
                _ => (None, [].as_slice()),
            };
            source
                .into_iter()
                .flat_map(move |source| crates.iter().map(move |one| (source, one)))
        })
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
    // Crates come after the source whose lock file names them.
    let (of_locks, sources_first): (Vec<&Source>, Vec<&Source>) = recipe
        .sources
        .iter()
        .partition(|s| crates::of_lock(s).is_some());
    let mut requests: Vec<Request> = sources_first
        .iter()
        .map(|source| Request::new(source, lock.input(&source.id)))
        .collect();
    let python = recipe.python.as_ref();
    let wheels: Vec<&LockedWheel> = python.iter().flat_map(|_| lock.wheels()).collect();
    requests.extend(
        python
            .iter()
            .flat_map(|python| wheels.iter().map(|wheel| of_wheel(wheel, python))),
    );
    let mut fetched = fetch_all(cx.ui, &cx.fetching.fetcher(), &requests)?.into_iter();
    let mut sources = Sources {
        ui: cx.ui.clone(),
        cache: cx.cache.clone(),
        arrived: BTreeMap::new(),
        wheels: Vec::new(),
    };
    // As many as there were requests, in their order.
    for (source, fetched) in sources_first.into_iter().zip(fetched.by_ref()) {
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
    for (wheel, fetched) in wheels.into_iter().zip(fetched) {
        sources.wheels.push((wheel.clone(), fetched.path));
    }
    for source in of_locks {
        let arrived = crates::fetch(cx, source, &sources)?;
        sources.arrived.insert(source.id.clone(), arrived);
    }
    Ok(sources)
}

/// The request for a package, as a lock file pins it.
fn of_wheel(wheel: &LockedWheel, python: &Python) -> Request {
    Request {
        id: wheel.name.clone(),
        url: SourceUrl::Pypi {
            name: wheel.name.clone(),
            version: Some(wheel.version.clone()),
            file: PypiKind::pure(python.short_version()),
        },
        local: None,
        sha256: None,
        series: None,
        pin: Some(Pin {
            version: wheel.version.clone(),
            sha256: wheel.sha256,
            size: wheel.size,
            package: None,
        }),
    }
}

/// What stays as it is locked.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) inputs: Vec<LockedInput>,
    /// Only if it is what the recipe file asks for.
    pub(super) python: Option<LockedPython>,
}

/// Resolves the sources and the packages of a recipe file to exact versions and digests; what is `kept` stays
/// as it is there. `given` are packages that are there already.
pub(super) fn resolve(
    ui: &Ui,
    part: &Part,
    fetching: &Fetching,
    kept: &Kept,
    given: &BTreeMap<String, String>,
) -> Result<Lock> {
    let fetcher = fetching.fetcher();
    let is_kept = |id: &str| kept.inputs.iter().find(|input| input.id == id);
    let declared: Vec<&Source> = part.sources.iter().filter(|s| s.is_locked()).collect();
    let requests: Vec<Request> = declared
        .iter()
        .filter(|source| is_kept(&source.id).is_none())
        .map(|source| Request::new(source, None))
        .collect();
    let fetched = fetch_all(ui, &fetcher, &requests)?;
    let resolved: Vec<LockedInput> = requests
        .iter()
        .zip(&fetched)
        .map(|(request, fetched)| request.locked(fetched))
        .collect();
    let inputs = declared.iter().filter_map(|source| {
        let resolved = || resolved.iter().find(|input| input.id == source.id);
        is_kept(&source.id).or_else(resolved).cloned()
    });
    let lock = Lock::new(part, inputs.collect()).map_err(Failure::recipe)?;
    let Some(wanted) = &part.packages else {
        return Ok(lock);
    };
    if let Some(python) = &kept.python {
        return Ok(lock.with_python(Some(python.clone())));
    }
    let shown = Shown::new(ui, "Resolving", "Python packages".to_owned());
    let wheels = fetcher
        .resolve_python(wanted, given, &shown)
        .map_err(|error| not_fetched(&error))?;
    Ok(lock.with_python(Some(LockedPython {
        wanted: wanted.digest(),
        wheels,
    })))
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

/// How many sources are fetched at a time: each has a client of its own, most of which wait for a server.
const AT_A_TIME: usize = 4;

/// Fetches several sources at a time; the results are in the order of the requests. Of several failures the
/// first is reported, and nothing is begun after it.
fn fetch_all(ui: &Ui, fetcher: &Fetcher, requests: &[Request]) -> Result<Vec<Fetched>> {
    let all = All::new(ui, fetcher, requests);
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let results: Vec<OnceLock<_>> = requests.iter().map(|_| OnceLock::new()).collect();
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(request), Some(result)) = (requests.get(at), results.get(at)) else {
                return;
            };
            let shown = Shown::new(ui, "Fetching", request.url.to_string());
            let fetched = fetcher.fetch(request, &shown.one_of(&all));
            failed.fetch_or(fetched.is_err(), Ordering::Relaxed);
            let _ = result.set(fetched);
        }
    };
    thread::scope(|scope| {
        for _ in 1..requests.len().min(AT_A_TIME) {
            scope.spawn(work);
        }
        work();
    });
    let mut fetched = Vec::new();
    let mut missing = false;
    for result in results {
        match result.into_inner() {
            Some(Ok(one)) => fetched.push(one),
            Some(Err(error)) => return Err(not_fetched(&error)),
            // Not begun, because another one failed: that one comes.
            None => missing = true,
        }
    }
    if missing {
        return Err(Failure::message(
            exit::INTERNAL,
            "a source was not fetched, and nothing says why",
        ));
    }
    all.finish();
    Ok(fetched)
}

fn not_fetched(error: &FetchError) -> Failure {
    let failure = Failure::new(status(error), error);
    match error {
        FetchError::NoPureWheel(missing) => failure.hint(way_in(&missing.name)),
        _ => failure,
    }
}

/// What to do about a requirement of which there is no wheel of pure Python.
fn way_in(requirement: &str) -> String {
    let end = requirement
        .find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))
        .unwrap_or(requirement.len());
    let name = normal_package_name(requirement.get(..end).unwrap_or_default());
    match base_recipes::extension(&name) {
        Some(package) => format!(
            "link it into the image's Python: add to the recipe\n\n[[extension]]\npackage = \"{package}\"\n"
        ),
        None => "machine code cannot be installed into an image: take a version or another package that is of pure \
                 Python, or have it compiled and linked into the image's Python with `[[extension]]`, which \
                 docs/extensions.md describes"
            .to_owned(),
    }
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
        | FetchError::NoPureWheel(_)
        | FetchError::Crates { .. }
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
    let place = Place::Unpacked {
        source: Box::new(source.clone()),
        fetched: Box::new(fetched.clone()),
        entry: entry.clone(),
        tree: OnceCell::new(),
    };
    arrived(cx, source, place, &entry, key.to_string())
}

/// What is to be in a folder of the cache; it is put there if it is not.
fn arrived(
    cx: &Context<'_>,
    source: &Source,
    place: Place,
    entry: &Path,
    identity: String,
) -> Result<Arrived> {
    if !entry.is_dir() {
        let fresh = unpack(cx.ui, &cx.cache, source, &place, entry)?;
        if let Place::Unpacked { tree, .. } | Place::Crates { tree, .. } = &place {
            let _ = tree.set(fresh);
        }
    }
    Ok(Arrived { place, identity })
}

fn unpack(ui: &Ui, cache: &Path, source: &Source, place: &Place, entry: &Path) -> Result<PathBuf> {
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
    let unpacked = match place {
        Place::File(path) => polybuild_fetch::extract(path, &fresh, &how),
        Place::Crates { crates, .. } => polybuild_fetch::vendor(crates, &fresh, &how),
        Place::Unpacked { fetched, .. } => match &fetched.package {
            Some(package) => polybuild_fetch::extract_package(package, &fresh, &how),
            None => polybuild_fetch::extract(&fetched.path, &fresh, &how),
        },
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
