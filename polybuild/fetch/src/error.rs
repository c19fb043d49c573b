//! Why a source could not be had.

use std::{io, path::PathBuf};

use megabinary_format::Digest;
use polybuild_recipe::LocalError;

/// Why a source could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The client that fetches this kind of source is not installed.
    #[error(
        "fetching {url} needs `{tool}`, which is not in PATH; install it (on Debian: `apt-get \
         install {package}`)"
    )]
    MissingTool {
        /// The source.
        url: String,
        /// Name of the client.
        tool: &'static str,
        /// Debian package that has it.
        package: &'static str,
    },
    /// The client could not reach the network.
    #[error(
        "fetching {url}: `{tool}` could not reach its server; check the network, proxy and mirror \
         settings of {tool}. It said:\n{words}"
    )]
    Network {
        /// The source.
        url: String,
        /// Name of the client.
        tool: &'static str,
        /// The end of what it wrote to standard error.
        words: String,
    },
    /// The client failed for another reason, such as a package that does not exist.
    #[error("fetching {url}: `{tool}` failed ({status}). It said:\n{words}")]
    Client {
        /// The source.
        url: String,
        /// Name of the client.
        tool: &'static str,
        /// How it ended.
        status: String,
        /// The end of what it wrote to standard error.
        words: String,
    },
    /// The client succeeded and did something unexpected.
    #[error("fetching {url}: `{tool}` {what}; this release may not know this version of {tool}")]
    Unexpected {
        /// The source.
        url: String,
        /// Name of the client.
        tool: &'static str,
        /// What was wrong.
        what: String,
    },
    /// The crates of a `Cargo.lock` cannot be had.
    #[error("the crates of {url} {what}")]
    Crates {
        /// The source.
        url: String,
        /// What is wrong.
        what: String,
    },
    /// The network is not to be used, and the source is not in the cache.
    #[error("{url} is not in the cache and fetching is turned off; build once without `--offline`")]
    Offline {
        /// The source.
        url: String,
    },
    /// What arrived is not what was wanted.
    #[error(transparent)]
    Digest(#[from] Box<DigestMismatch>),
    /// The recipe and the lock file want different digests.
    #[error(
        "{url}: the recipe wants {recipe} and the lock file {lock}; run `polybuild lock RECIPE` if \
         the recipe is right"
    )]
    Contradiction {
        /// The source.
        url: String,
        /// Digest in the recipe.
        recipe: Digest,
        /// Digest in the lock file.
        lock: Digest,
    },
    /// The files of a source package are nowhere to be had.
    #[error(transparent)]
    Gone(#[from] Box<Gone>),
    /// A source package is not what it has to be.
    #[error(transparent)]
    Package(#[from] Box<PackageError>),
    /// There is no wheel of pure Python.
    #[error(transparent)]
    NoPureWheel(#[from] Box<NoPureWheel>),
    /// A local source cannot be read.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The cache or a work folder in it cannot be used.
    #[error("cannot {doing} {}: {error}", .path.display())]
    Io {
        /// "create", "write", "lock", …
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

/// What arrived is not what was wanted.
#[derive(Debug, thiserror::Error)]
#[error(
    "{url} has another content than {by} says: wanted {wanted}, found {found} ({size} bytes). \
     Either it was changed where it comes from, which deserves a question there, or {by} is wrong; \
     {remedy}"
)]
pub struct DigestMismatch {
    /// The source.
    pub url: String,
    /// Who wants the digest: "the lock file", "the recipe", "the registry's index".
    pub by: &'static str,
    /// The digest that was wanted.
    pub wanted: Digest,
    /// The digest of what arrived.
    pub found: Digest,
    /// Size in bytes of what arrived.
    pub size: u64,
    /// What to do if the change is right.
    pub remedy: &'static str,
}

/// A Python package of which no file can be taken.
#[derive(Debug, thiserror::Error)]
#[error("{url}: the package `{name}` {why}. pip said:\n{words}")]
pub struct NoPureWheel {
    /// What was to be resolved.
    pub url: String,
    /// The requirement, with its version.
    pub name: String,
    /// What there is instead.
    pub why: WhyNot,
    /// The end of what pip wrote to standard error.
    pub words: String,
}

/// Why no file of a Python package can be taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// There are only wheels with machine code; the newest one's name.
    #[error(
        "has no wheel of pure Python for this version, only wheels with machine code such as {0}, which an \
         image does not take"
    )]
    MachineCode(String),
    /// There is only a source distribution; its name.
    #[error(
        "has no wheel, only the source distribution {0}, whose own code would have to run to install it"
    )]
    Source(String),
    /// The index has nothing that fits.
    #[error("is not in the index in a version that all requirements allow")]
    Unknown,
}

/// Files of a source package that neither the mirror nor an archive of snapshots has.
#[derive(Debug, thiserror::Error)]
#[error("{url}: these files of revision {version} are not to be had: {files}. {words}\n{remedy}")]
pub struct Gone {
    /// The source.
    pub url: String,
    /// The revision that is wanted.
    pub version: String,
    /// Names of the files.
    pub files: String,
    /// What the mirror and the archive of snapshots said.
    pub words: String,
    /// What to do.
    pub remedy: String,
}

/// A source package that is not what it has to be.
#[derive(Debug, thiserror::Error)]
#[error("{url}: the source package cannot be used: {why}")]
pub struct PackageError {
    /// The source.
    pub url: String,
    /// What is wrong.
    pub why: String,
}

/// Makes an [`FetchError::Io`] of an error: `.map_err(io("write", &path))`.
pub(crate) fn io(
    doing: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.into();
    move |error| FetchError::Io { doing, path, error }
}
