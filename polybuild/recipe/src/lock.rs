//! `recipe.lock`: what every input of one recipe file was when it was last resolved. What other recipes
//! declare that the file is made from is in their own lock files ([`Part`]).
//!
//! Invariant: a lock file names no host, so that it means the same behind every mirror.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use megabinary_format::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    LocalError, LockedPackage, LockedPython, Part, Series, Source, WantedPackages, digest_path,
    package::hex_digits,
};

/// Version of the format that this release reads and writes.
const VERSION: u32 = 2;

const HEADER: &str = "# Written by `polybuild lock`; do not edit.\n\n";

/// The content of a lock file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Version of the format: 2.
    pub version: u32,
    /// Digest of the recipe file: see [`Part::digest`].
    pub recipe: Digest,
    /// The recipes that it is made from, in the order of `from` and `uses`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "used")]
    pub used: Vec<LockedUse>,
    /// Every fetched source that it declares, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "input")]
    pub inputs: Vec<LockedInput>,
    /// The Python packages that it asks for, with all that they require.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<LockedPython>,
    /// Every local file or folder that it names, sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "local")]
    pub locals: Vec<LockedLocal>,
}

/// A recipe that the recipe is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedUse {
    /// Its file, relative to the recipe's folder.
    pub path: String,
    /// Digest of what is written in it: see [`Part::digest`].
    #[serde(serialize_with = "hex_digits")]
    pub sha256: Digest,
}

/// One fetched source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedInput {
    /// Id in the recipe.
    pub id: String,
    /// Address, without host: see [`crate::SourceUrl::lock_form`].
    pub url: String,
    /// The exact version that was taken; empty where there is no such thing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Digest of the file; of a source package, of its `.dsc`.
    #[serde(serialize_with = "hex_digits")]
    pub sha256: Digest,
    /// Its size in bytes; 0 where nobody has fetched it, because the recipe itself says the digest.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// The rest of a source package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<LockedPackage>,
}

/// One local file or folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedLocal {
    /// Path relative to the recipe's folder.
    pub path: String,
    /// Its digest: see [`crate::digest_path`].
    #[serde(serialize_with = "hex_digits")]
    pub sha256: Digest,
    /// Size in bytes of the file, or of all files in the folder.
    pub size: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(size: &u64) -> bool {
    *size == 0
}

/// Why a lock file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It cannot be read.
    #[error("cannot read the lock file {}: {error}", .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// It is not a lock file.
    #[error(
        "{} is not a lock file: {message}; delete it and run `polybuild lock RECIPE`",
        .path.display()
    )]
    Malformed {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// It was written by another release.
    #[error(
        "{} has version {found} of the lock file's format and this release knows {VERSION}; use \
         the release that wrote it, or run `polybuild lock RECIPE`",
        .path.display()
    )]
    Version {
        /// Its path.
        path: PathBuf,
        /// The version in it.
        found: u32,
    },
    /// It cannot be written.
    #[error("cannot write the lock file {}: {error}", .path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// A local input cannot be read.
    #[error(transparent)]
    Local(#[from] LocalError),
}

/// Whether a lock file belongs to a recipe as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockStatus {
    /// It does.
    Fresh,
    /// It does not; at least one reason.
    Stale(Vec<StaleReason>),
}

/// Why a lock file does not belong to a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaleReason {
    /// The recipe has a source that the lock has not.
    Added(String),
    /// The lock has a source that the recipe has not.
    Removed(String),
    /// A source has another address now.
    Address {
        /// Id of the source.
        id: String,
        /// Address in the lock.
        locked: String,
        /// Address in the recipe.
        now: String,
    },
    /// The recipe demands another digest than the locked one.
    Digest {
        /// Id of the source.
        id: String,
        /// Digest in the lock.
        locked: Digest,
        /// Digest in the recipe.
        now: Digest,
    },
    /// The series of a source package was locked as applied and is to be left out, or the other way
    /// round; or the lock file has no parts of the package.
    Series(String),
    /// Other Python packages are asked for than were resolved.
    Packages,
    /// A recipe that this one is made from has changed, is new, or is not named any more.
    Used(String),
    /// A local file or folder has changed, is new, or is not named any more.
    Local(String),
    /// Something else in the recipe has changed.
    Recipe,
}

impl StaleReason {
    /// Id of the source that it is about.
    pub fn source(&self) -> Option<&str> {
        match self {
            StaleReason::Added(id)
            | StaleReason::Removed(id)
            | StaleReason::Address { id, .. }
            | StaleReason::Digest { id, .. }
            | StaleReason::Series(id) => Some(id),
            StaleReason::Packages
            | StaleReason::Used(_)
            | StaleReason::Local(_)
            | StaleReason::Recipe => None,
        }
    }
}

impl fmt::Display for StaleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StaleReason::Added(id) => write!(f, "source `{id}` is new"),
            StaleReason::Removed(id) => write!(f, "source `{id}` is gone"),
            StaleReason::Address { id, locked, now } => {
                write!(f, "source `{id}` was {locked} and is {now}")
            }
            StaleReason::Digest { id, locked, now } => {
                write!(
                    f,
                    "source `{id}` was locked as {locked} and has to be {now}"
                )
            }
            StaleReason::Series(id) => write!(
                f,
                "source `{id}` was locked without what is said of its series of patches now"
            ),
            StaleReason::Packages => {
                f.write_str("the Python packages that are asked for have changed")
            }
            StaleReason::Used(path) => write!(f, "the recipe {path} has changed"),
            StaleReason::Local(path) => write!(f, "{path} has changed"),
            StaleReason::Recipe => f.write_str("the recipe has changed"),
        }
    }
}

impl LockStatus {
    /// What to tell the user about a stale lock: what changed and how to refresh it. `None` if it
    /// is fresh.
    pub fn message(&self, recipe: &Path) -> Option<String> {
        let LockStatus::Stale(reasons) = self else {
            return None;
        };
        let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
        Some(format!(
            "the lock file is stale: {}; run `polybuild lock {}` to refresh it",
            reasons.join("; "),
            recipe.display()
        ))
    }
}

impl Lock {
    /// A lock of a recipe file with these fetched inputs; local inputs are hashed here.
    pub fn new(part: &Part, inputs: Vec<LockedInput>) -> Result<Lock, LockError> {
        Ok(Lock {
            version: VERSION,
            recipe: part.digest,
            used: used(part),
            inputs,
            python: None,
            locals: locals(part)?,
        })
    }

    /// The same lock with what Python packages came to.
    pub fn with_python(self, python: Option<LockedPython>) -> Lock {
        Lock { python, ..self }
    }

    /// Whether the Python packages that a recipe file asks for are locked as it asks for them now.
    pub fn python_is_fresh(&self, part: &Part) -> bool {
        let locked = self.python.as_ref().map(|python| python.wanted);
        locked == part.packages.as_ref().map(WantedPackages::digest)
    }

    /// Reads a lock file; `None` if there is none.
    pub fn read(path: &Path) -> Result<Option<Lock>, LockError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(LockError::Read {
                    path: path.into(),
                    error,
                });
            }
        };
        Lock::parse(&text, path).map(Some)
    }

    /// Parses the text of a lock file; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Lock, LockError> {
        /// The version alone, so that another release's file is known as such.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let malformed = |e: toml::de::Error| LockError::Malformed {
            path: path.into(),
            message: e.message().to_owned(),
        };
        let Version { version } = toml::from_str(text).map_err(malformed)?;
        if version != VERSION {
            return Err(LockError::Version {
                path: path.into(),
                found: version,
            });
        }
        toml::from_str(text).map_err(malformed)
    }

    /// The file's text.
    pub fn text(&self) -> String {
        // Strings, integers and lists of tables are always TOML.
        let body = toml::to_string(self).unwrap_or_default();
        format!("{HEADER}{body}")
    }

    /// Writes a lock file: whole, or not at all.
    pub fn write(&self, path: &Path) -> Result<(), LockError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let write = || -> io::Result<()> {
            let mut file = fs::File::create(&temporary)?;
            file.write_all(self.text().as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&temporary);
            LockError::Write {
                path: path.into(),
                error,
            }
        })
    }

    /// The locked input with this id.
    pub fn input(&self, id: &str) -> Option<&LockedInput> {
        self.inputs.iter().find(|i| i.id == id)
    }

    /// Compares the lock with the recipe file as it is now, local files and the recipes that it is made
    /// from included; not with what those declare, which is in their own locks.
    pub fn check(&self, part: &Part) -> Result<LockStatus, LockError> {
        let mut reasons = Vec::new();
        for source in part.sources.iter().filter(|s| s.is_locked()) {
            let now = source.url.lock_form();
            match self.input(&source.id) {
                None => reasons.push(StaleReason::Added(source.id.clone())),
                Some(input) if input.url != now => reasons.push(StaleReason::Address {
                    id: source.id.clone(),
                    locked: input.url.clone(),
                    now,
                }),
                Some(input) if !series_agrees(source, input) => {
                    reasons.push(StaleReason::Series(source.id.clone()));
                }
                Some(input) => {
                    if let Some(now) = source.sha256.filter(|now| *now != input.sha256) {
                        reasons.push(StaleReason::Digest {
                            id: source.id.clone(),
                            locked: input.sha256,
                            now,
                        });
                    }
                }
            }
        }
        for input in &self.inputs {
            if part.source(&input.id).is_none_or(|s| !s.is_locked()) {
                reasons.push(StaleReason::Removed(input.id.clone()));
            }
        }
        if !self.python_is_fresh(part) {
            reasons.push(StaleReason::Packages);
        }
        let recipes = changed(&self.used, &used(part), |used| &used.path);
        reasons.extend(recipes.into_iter().map(StaleReason::Used));
        let files = changed(&self.locals, &locals(part)?, |local| &local.path);
        reasons.extend(files.into_iter().map(StaleReason::Local));
        // What changes an input changes the recipe's digest too: say it only if nothing else
        // explains it.
        if reasons.is_empty() && self.recipe != part.digest {
            reasons.push(StaleReason::Recipe);
        }
        Ok(match reasons.is_empty() {
            true => LockStatus::Fresh,
            false => LockStatus::Stale(reasons),
        })
    }
}

/// Whether what is locked of a source package is what the recipe wants of it.
fn series_agrees(source: &Source, input: &LockedInput) -> bool {
    match (&source.series, &input.package) {
        (None, package) => package.is_none(),
        (Some(series), Some(package)) => package.series == (*series == Series::Applied),
        (Some(_), None) => false,
    }
}

/// The paths of what is not the same in both lists, sorted.
fn changed<T: PartialEq>(was: &[T], is: &[T], path: impl Fn(&T) -> &String) -> Vec<String> {
    let was: BTreeMap<_, _> = was.iter().map(|item| (path(item), item)).collect();
    let is: BTreeMap<_, _> = is.iter().map(|item| (path(item), item)).collect();
    let all: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    all.into_iter()
        .filter(|path| was.get(**path) != is.get(**path))
        .map(|path| (*path).clone())
        .collect()
}

/// The recipes that a recipe file is made from, as they are now; each once.
fn used(part: &Part) -> Vec<LockedUse> {
    let mut found: Vec<LockedUse> = Vec::new();
    for used in &part.used {
        if !found.iter().any(|known| known.path == used.path) {
            found.push(LockedUse {
                path: used.path.clone(),
                sha256: used.digest,
            });
        }
    }
    found
}

/// A recipe file's local inputs as they are now, sorted by path.
fn locals(part: &Part) -> Result<Vec<LockedLocal>, LockError> {
    let digested = part.locals.iter().map(|local| {
        let (sha256, size) = digest_path(&local.path)?;
        let path = local.name.clone();
        Ok(LockedLocal { path, sha256, size })
    });
    digested.collect()
}
