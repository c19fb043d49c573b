//! The image's Python and the packages that recipes ask for.
//!
//! Where things of Python's are in an image is said here and nowhere else.

use megabinary_format::Digest;
use serde::{Deserialize, Serialize};

use crate::{Extension, package::hex_digits};

/// The Python of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Python {
    /// Version of the interpreter, with three parts.
    pub version: String,
    /// Folder under which it is installed: absolute.
    pub prefix: String,
    /// What `sys.platform` is.
    pub platform: String,
    /// What `platform.machine()` is.
    pub machine: String,
    /// Folders of the image to compile besides the packages.
    pub compile: Vec<String>,
    /// Folder for the wheels of extensions, which are not installed then: absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wheels: Option<String>,
}

impl Python {
    /// `3.12`.
    pub fn short_version(&self) -> &str {
        let end = self.version.match_indices('.').nth(1).map(|(at, _)| at);
        end.and_then(|end| self.version.get(..end))
            .unwrap_or(&self.version)
    }

    /// Where packages are.
    pub fn site_packages(&self) -> String {
        format!(
            "{}/lib/python{}/site-packages",
            self.prefix,
            self.short_version()
        )
    }

    /// Where their commands are.
    pub fn commands(&self) -> String {
        format!("{}/bin", self.prefix)
    }

    /// Where their C headers are.
    pub fn headers(&self) -> String {
        format!("{}/include/python{}", self.prefix, self.short_version())
    }

    /// The interpreter of their commands.
    pub fn interpreter(&self) -> String {
        format!("{}/python3", self.commands())
    }
}

/// What one recipe file asks for, and for which Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPackages {
    /// The Python.
    pub python: Python,
    /// Lines of a requirements file, checked; at least one.
    pub requirements: Vec<String>,
    /// Extensions that the image has: pip need not find them in an index.
    pub extensions: Vec<Offered>,
}

/// An extension, as pip has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Its name, normalised.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it requires: lines of a requirements file.
    pub depends: Vec<String>,
}

impl Offered {
    /// Of an extension.
    pub fn of(extension: &Extension) -> Offered {
        Offered {
            name: extension.name.clone(),
            version: extension.version.clone(),
            depends: extension.depends.clone(),
        }
    }
}

impl WantedPackages {
    /// Digest of everything that decides what is resolved, but for the index. A fix of the interpreter
    /// (3.12.1 instead of 3.12.0) leaves it as it was.
    pub fn digest(&self) -> Digest {
        let Python {
            platform, machine, ..
        } = &self.python;
        let version = self.python.short_version();
        let mut text = format!("{version}\n{platform}\n{machine}\n");
        for line in &self.requirements {
            text.push_str(line);
            text.push('\n');
        }
        for Offered {
            name,
            version,
            depends,
        } in &self.extensions
        {
            text.push_str(&format!("has {name} {version}: {}\n", depends.join(", ")));
        }
        Digest::of(text.as_bytes())
    }
}

/// What a lock file holds of the packages that a recipe file asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPython {
    /// Digest of what was asked for: see [`WantedPackages::digest`].
    #[serde(serialize_with = "hex_digits")]
    pub wanted: Digest,
    /// What it came to, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "wheel")]
    pub wheels: Vec<LockedWheel>,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedWheel {
    /// Its name, normalised: see [`normal_package_name`].
    pub name: String,
    /// Its version.
    pub version: String,
    /// Name of the file.
    pub file: String,
    /// Digest of the file.
    #[serde(serialize_with = "hex_digits")]
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// The name by which packages are compared: lower-case, each run of `-_.` one hyphen ("Names and
/// normalization", packaging.python.org).
pub fn normal_package_name(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    let lower: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
    lower.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["Foo.Bar", "foo--bar", "FOO_._bar"] {
            assert_eq!(normal_package_name(name), "foo-bar");
        }
    }

    #[test]
    fn places() {
        let python = Python {
            version: "3.13.5".into(),
            prefix: "/usr/local".into(),
            platform: String::new(),
            machine: String::new(),
            compile: Vec::new(),
            wheels: None,
        };
        assert_eq!(python.short_version(), "3.13");
        assert_eq!(
            python.site_packages(),
            "/usr/local/lib/python3.13/site-packages"
        );
        assert_eq!(python.interpreter(), "/usr/local/bin/python3");
    }
}
