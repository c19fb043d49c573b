//! Source addresses: where an input comes from, without saying from which host.
//!
//! `npm:NAME[@VERSION]`, `pypi:NAME[@VERSION][?…]`, `crates:NAME[@VERSION]`,
//! `debian:PACKAGE[@VERSION]?suite=SUITE[&arch=ARCH]`,
//! `debian-source:PACKAGE[@VERSION]?suite=SUITE`, `cargo-lock:SOURCE/PATH`, `path:PATH`, `https://…`.
//!
//! Names and versions are checked strictly: they become arguments of other programs, so none may
//! begin like an option or hold a space.

mod parse;

use std::fmt;

use serde::{Serialize, Serializer};

/// A parsed source address. `Display` writes it in its normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceUrl {
    /// A package of the npm registry.
    Npm {
        /// `name` or `@scope/name`.
        name: String,
        /// A version, range or tag; `None`: the latest.
        version: Option<String>,
    },
    /// A project of the Python package index.
    Pypi {
        /// Its name.
        name: String,
        /// An exact version; `None`: the latest.
        version: Option<String>,
        /// Which of its files.
        file: PypiKind,
    },
    /// A Rust crate.
    Crate {
        /// Its name.
        name: String,
        /// An exact version, or a requirement if it begins with one of `^~=<>*`; `None`: the
        /// latest.
        version: Option<String>,
    },
    /// A Debian binary package.
    Debian {
        /// Its name.
        name: String,
        /// Its version; `None`: the suite's.
        version: Option<String>,
        /// `trixie`, `trixie-security`, …
        suite: String,
        /// Debian's name of the architecture.
        arch: String,
    },
    /// A Debian source package, or its upstream archive alone.
    DebianSource {
        /// Its name.
        name: String,
        /// Its version; `None`: the suite's.
        version: Option<String>,
        /// `trixie`, `trixie-security`, …
        suite: String,
    },
    /// The crates of a `Cargo.lock` in another source, which pins them.
    CargoLock {
        /// Id of that source.
        source: String,
        /// Its path there; the last part is `Cargo.lock`.
        path: String,
    },
    /// A file by HTTPS.
    Https {
        /// The address, `https://` included.
        url: String,
    },
    /// A file beside the recipe.
    Path {
        /// As written.
        path: String,
    },
}

/// Which file of a Python project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PypiKind {
    /// A wheel for this Python version and platform tag; the platform `any` means pure Python.
    Wheel {
        /// `3.12`.
        python: String,
        /// `any`, `manylinux2014_x86_64`, …
        platform: String,
    },
    /// The source distribution.
    Sdist,
}

impl PypiKind {
    /// A wheel of pure Python, for this version.
    pub fn pure(python: &str) -> PypiKind {
        PypiKind::Wheel {
            python: python.to_owned(),
            platform: PypiKind::ANY.to_owned(),
        }
    }

    /// The platform of pure Python.
    pub const ANY: &str = "any";
}

/// Why a text is not a source address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No scheme, or one that does not exist.
    #[error("`{scheme}` is not a kind of source")]
    Scheme {
        /// What stands before the first colon.
        scheme: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// `http:`.
    #[error("`http:` is not supported, even with a digest")]
    Http,
    /// A `cargo-lock:` that does not say which one.
    #[error("it names no `Cargo.lock` in a source")]
    CargoLock,
    /// A name that no package can have.
    #[error("`{0}` cannot be the name of a package")]
    Name(String),
    /// A version with letters that versions do not have.
    #[error("`{0}` cannot be a version")]
    Version(String),
    /// An option that this kind does not have.
    #[error("unknown option `{0}`")]
    Option(String),
    /// An option with a value that it cannot have.
    #[error("`{1}` is no value for the option `{0}`")]
    OptionValue(&'static str, String),
    /// Debian without a suite.
    #[error("the suite is missing")]
    Suite,
    /// A place that is not a path or web address.
    #[error("it names no file")]
    Empty,
    /// A user name, password, space or control character in a web address.
    #[error("a web address here holds no credentials, spaces or fragments")]
    WebAddress,
}

impl UrlError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            UrlError::Scheme {
                nearest: Some(n), ..
            } => format!("did you mean `{n}:`?"),
            UrlError::Scheme { .. } => format!("there are: {}", parse::SCHEMES.join(", ")),
            UrlError::Http => "use `https:`".into(),
            UrlError::Suite => "add the suite: `debian:zlib1g@1:1.2.13?suite=trixie`".into(),
            UrlError::CargoLock => {
                "write the source's id and the file's path in it: `cargo-lock:rpds-py/Cargo.lock`"
                    .into()
            }
            UrlError::WebAddress => "credentials belong in ~/.netrc, which curl reads".into(),
            _ => return None,
        })
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |v: &Option<String>| v.as_ref().map_or(String::new(), |v| format!("@{v}"));
        match self {
            SourceUrl::Npm { name, version } => write!(f, "npm:{name}{}", at(version)),
            SourceUrl::Pypi {
                name,
                version,
                file,
            } => {
                write!(f, "pypi:{name}{}", at(version))?;
                match file {
                    PypiKind::Wheel { python, platform } => {
                        write!(f, "?platform={platform}&python={python}")
                    }
                    PypiKind::Sdist => f.write_str("?dist=sdist"),
                }
            }
            SourceUrl::Crate { name, version } => write!(f, "crates:{name}{}", at(version)),
            SourceUrl::Debian {
                name,
                version,
                suite,
                arch,
            } => write!(f, "debian:{name}{}?arch={arch}&suite={suite}", at(version)),
            SourceUrl::DebianSource {
                name,
                version,
                suite,
            } => write!(f, "debian-source:{name}{}?suite={suite}", at(version)),
            SourceUrl::CargoLock { source, path } => write!(f, "cargo-lock:{source}/{path}"),
            SourceUrl::Https { url } => f.write_str(url),
            SourceUrl::Path { path } => write!(f, "path:{path}"),
        }
    }
}

impl Serialize for SourceUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl SourceUrl {
    /// The address as the lock file records it. It names no host, so of an `https:` address only
    /// the name of the file stays; the recipe's own digest pins the rest.
    pub fn lock_form(&self) -> String {
        match self {
            SourceUrl::Https { .. } => format!("https:{}", self.file_name().unwrap_or_default()),
            other => other.to_string(),
        }
    }

    /// Name of the file that the address ends in, for `https:` and `path:`.
    pub fn file_name(&self) -> Option<&str> {
        match self {
            SourceUrl::Https { url } => url.split('?').next()?.rsplit('/').next(),
            SourceUrl::Path { path } => path.rsplit('/').next(),
            _ => None,
        }
    }

    /// Whether the source is unpacked unless the recipe says otherwise.
    pub(crate) fn extract_by_default(&self) -> bool {
        const ARCHIVES: &[&str] = &[
            ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst", ".zip", ".whl", ".crate", ".deb",
        ];
        match self.file_name() {
            Some(name) => ARCHIVES.iter().any(|end| name.ends_with(end)),
            None => true,
        }
    }

    /// Leading folders to remove unless the recipe says otherwise.
    pub(crate) fn strip_by_default(&self) -> u32 {
        match self {
            SourceUrl::Npm { .. } | SourceUrl::Crate { .. } | SourceUrl::DebianSource { .. } => 1,
            SourceUrl::Pypi { file, .. } => u32::from(*file == PypiKind::Sdist),
            _ => 0,
        }
    }
}
