//! One source: from the cache if it is there, else through its client, checked either way.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use megabinary_format::Digest;
use polybuild_recipe::{LockedInput, LockedPackage, Series, Source, SourceUrl, digest_path};

use crate::{
    Cache, FetchError, Progress, SourcePackage,
    cache::{Guard, Lookup},
    client::{self, Arrived, Job},
    error::DigestMismatch,
};

/// How to fetch.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where clients are looked for, in the format of `PATH`. The clients get it as their `PATH`
    /// and inherit the rest of the environment.
    pub search_path: OsString,
    /// Whether to fail rather than start a client.
    pub offline: bool,
    /// Address of an archive of snapshots, for files of source packages that the mirror has dropped;
    /// without it, the one that the mirror's own signed index names, if it does.
    pub snapshots: Option<String>,
}

/// What to fetch.
#[derive(Clone, Debug)]
pub struct Request {
    /// Name of the source, for progress.
    pub id: String,
    /// Its address.
    pub url: SourceUrl,
    /// The file, for `path:`.
    pub local: Option<PathBuf>,
    /// Digest that the recipe demands.
    pub sha256: Option<Digest>,
    /// Of a source package: whether the distribution's patches belong to it; they do unless said.
    pub series: Option<bool>,
    /// What the lock file says; without it the newest version that fits is taken.
    pub pin: Option<Pin>,
}

/// What a lock file says of a source.
#[derive(Clone, Debug)]
pub struct Pin {
    /// Exact version.
    pub version: String,
    /// Digest of the file.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The rest of a source package.
    pub package: Option<LockedPackage>,
}

/// A source that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The file; for `path:` it may be a folder. Not to be written to.
    pub path: PathBuf,
    /// Its digest.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The exact version; empty for `https:` and `path:`.
    pub version: String,
    /// What the file is the `.dsc` or the upstream archive of.
    pub package: Option<Box<SourcePackage>>,
}

impl Request {
    /// The request for a source of a recipe, as its lock file pins it.
    pub fn new(source: &Source, locked: Option<&LockedInput>) -> Request {
        Request {
            id: source.id.clone(),
            url: source.url.clone(),
            local: source.local.as_ref().map(|l| l.path.clone()),
            sha256: source.sha256,
            series: source.series.as_ref().map(|s| *s == Series::Applied),
            pin: locked.map(|l| Pin {
                version: l.version.clone(),
                sha256: l.sha256,
                size: l.size,
                package: l.package.clone(),
            }),
        }
    }

    /// What a lock file records of this source once it is there.
    pub fn locked(&self, fetched: &Fetched) -> LockedInput {
        LockedInput {
            id: self.id.clone(),
            url: self.url.lock_form(),
            version: fetched.version.clone(),
            sha256: fetched.sha256,
            size: fetched.size,
            package: fetched.package.as_ref().map(|p| p.locked.clone()),
        }
    }

    /// The digest to expect, and who says so.
    pub(crate) fn expected(&self) -> Result<Option<(Digest, &'static str)>, FetchError> {
        match (&self.sha256, &self.pin) {
            (Some(recipe), Some(pin)) if *recipe != pin.sha256 => Err(FetchError::Contradiction {
                url: self.url.to_string(),
                recipe: *recipe,
                lock: pin.sha256,
            }),
            (Some(recipe), _) => Ok(Some((*recipe, "the recipe"))),
            (None, Some(pin)) => Ok(Some((pin.sha256, "the lock file"))),
            (None, None) => Ok(None),
        }
    }

    /// The version, where it is known without asking anyone.
    fn known_version(&self) -> Option<&str> {
        match (&self.pin, &self.url) {
            (Some(pin), _) => Some(&pin.version),
            (None, SourceUrl::Https { .. }) => Some(""),
            _ => None,
        }
    }

    pub(crate) fn check(&self, sha256: Digest, size: u64) -> Result<(), FetchError> {
        match self.expected()? {
            Some((wanted, by)) if wanted != sha256 => Err(mismatch(DigestMismatch {
                url: self.url.to_string(),
                by,
                wanted,
                found: sha256,
                size,
                remedy: match by {
                    "the recipe" => "correct `sha256` in the recipe if the new content is right",
                    _ => "run `polybuild lock RECIPE` if the new content is right",
                },
            })),
            _ => Ok(()),
        }
    }
}

/// Fetches sources into a cache.
#[derive(Clone, Debug)]
pub struct Fetcher {
    cache: Cache,
    options: Options,
}

impl Fetcher {
    /// A fetcher into `cache`.
    pub fn new(cache: Cache, options: Options) -> Fetcher {
        Fetcher { cache, options }
    }

    /// The cache.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Gets a source. With a [`Pin`] whose content is in the cache, no client is started.
    pub fn fetch(&self, request: &Request, progress: &dyn Progress) -> Result<Fetched, FetchError> {
        if let Some(path) = &request.local {
            return local(request, path, progress);
        }
        if matches!(request.url, SourceUrl::DebianSource { .. }) {
            return self.fetch_package(request, progress);
        }
        let expected = request.expected()?;
        if let Some(fetched) = self.cached(request, expected, progress)? {
            return Ok(fetched);
        }
        if self.options.offline {
            let url = request.url.to_string();
            return Err(FetchError::Offline { url });
        }
        let guard = self.cache.guard(&request.url.to_string())?;
        // Another process may have fetched it meanwhile.
        if let Some(fetched) = self.cached(request, expected, progress)? {
            return Ok(fetched);
        }
        self.through_client(request, guard, progress)
    }

    fn cached(
        &self,
        request: &Request,
        expected: Option<(Digest, &'static str)>,
        progress: &dyn Progress,
    ) -> Result<Option<Fetched>, FetchError> {
        let (Some((digest, _)), Some(version)) = (expected, request.known_version()) else {
            return Ok(None);
        };
        match self.cache.get(&digest)? {
            Lookup::Found(path, size) => {
                progress.finished(&request.id, size, true);
                Ok(Some(Fetched {
                    path,
                    sha256: digest,
                    size,
                    version: version.to_owned(),
                    package: None,
                }))
            }
            Lookup::Corrupt(aside) => {
                let message = format!(
                    "the cached file of {digest} was damaged; it is now {} and will be fetched \
                     again",
                    aside.display()
                );
                progress.warning(&request.id, &message);
                Ok(None)
            }
            Lookup::Missing => Ok(None),
        }
    }

    fn through_client(
        &self,
        request: &Request,
        guard: Guard,
        progress: &dyn Progress,
    ) -> Result<Fetched, FetchError> {
        let total = request
            .pin
            .as_ref()
            .map(|p| p.size)
            .filter(|size| *size > 0);
        progress.bytes(&request.id, 0, total);
        let job = Job {
            request,
            options: &self.options,
            cache: &self.cache,
            guard: &guard,
            progress,
        };
        let mut arrived = client::run(&job)?;
        let mut found = digest_path(&arrived.file)?;
        if arrived.resumed && request.check(found.0, found.1).is_err() {
            // What an earlier fetch left was damaged, or of another content: from the start.
            guard.clear()?;
            arrived = client::run(&job)?;
            found = digest_path(&arrived.file)?;
        }
        let Arrived {
            file,
            version,
            registry,
            ..
        } = arrived;
        let (sha256, size) = found;
        if let Err(error) = request.check(sha256, size) {
            // What is wrong once is not to be resumed.
            guard.clear()?;
            return Err(error);
        }
        if let Some(wanted) = registry.filter(|wanted| *wanted != sha256) {
            guard.clear()?;
            return Err(mismatch(DigestMismatch {
                url: request.url.to_string(),
                by: "the registry's index",
                wanted,
                found: sha256,
                size,
                remedy: "remove the package from the client's own cache and try again",
            }));
        }
        let path = self.cache.insert(&file, &sha256)?;
        guard.done()?;
        progress.finished(&request.id, size, false);
        Ok(Fetched {
            path,
            sha256,
            size,
            version,
            package: None,
        })
    }
}

fn mismatch(what: DigestMismatch) -> FetchError {
    FetchError::Digest(Box::new(what))
}

/// A file or folder beside the recipe: used where it is.
fn local(request: &Request, path: &Path, progress: &dyn Progress) -> Result<Fetched, FetchError> {
    let (sha256, size) = digest_path(path)?;
    request.check(sha256, size)?;
    progress.finished(&request.id, size, true);
    Ok(Fetched {
        path: path.into(),
        sha256,
        size,
        version: String::new(),
        package: None,
    })
}
