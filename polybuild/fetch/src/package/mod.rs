//! Debian source packages: what their files are, and what is in them.
//!
//! A package is a `.dsc`, which lists the other files with their digests: the upstream archive,
//! archives of components, and the archive of the folder `debian/` with the distribution's patches.
//! What is trusted is a digest: at locking that of the `.dsc` in the archive's signed index, which
//! apt has checked, later that of the lock file. The `.dsc`'s own OpenPGP signature is not looked at.
//!
//! Everything here is computed from bytes whose digests were checked, at every use; what a lock file
//! says of a package is only ever compared.

mod control;
mod get;
mod series;

use std::{
    fs,
    path::{Path, PathBuf},
};

use megabinary_format::Digest;
use polybuild_recipe::{LockedPackage, LockedPart};

pub(crate) use control::{Paragraph, is_file_name};
pub(crate) use get::Listed;
pub use series::SeriesPatch;

use crate::Cache;

/// Most bytes of a `.dsc`.
const DSC: u64 = 1 << 20;

/// A source package in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePackage {
    /// What the lock file holds of it.
    pub locked: LockedPackage,
    /// The upstream archive.
    pub upstream: PathBuf,
    /// Archives of components, each with the folder that it is unpacked to.
    pub components: Vec<(String, PathBuf)>,
    /// The archive of the folder `debian/`; a package that is Debian's own has none.
    pub debian: Option<PathBuf>,
    /// The patches, in their order.
    pub patches: Vec<SeriesPatch>,
}

/// What a file of a package is for.
#[derive(Debug, PartialEq, Eq)]
enum Role {
    Upstream,
    Component(String),
    Debian,
    /// A detached signature by upstream; it is kept and not looked at.
    Signature,
}

/// The role of a file by its name, as `dsc(5)` has the names of format 3.0.
fn role(file: &str) -> Option<Role> {
    if file.ends_with(".asc") {
        return Some(Role::Signature);
    }
    let (stem, compression) = file.rsplit_once(".tar.")?;
    if !["gz", "bz2", "xz", "lzma", "zst"].contains(&compression) {
        return None;
    }
    if stem.ends_with(".orig") {
        return Some(Role::Upstream);
    }
    if stem.ends_with(".debian") {
        return Some(Role::Debian);
    }
    if let Some((_, component)) = stem.rsplit_once(".orig-") {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let ok = component.starts_with(|c: char| c.is_ascii_alphanumeric())
            && component.chars().all(plain);
        return ok.then(|| Role::Component(component.to_owned()));
    }
    // A package that is Debian's own.
    Some(Role::Upstream)
}

/// What the upstream archives alone need of a package's files.
fn is_upstream(part: &LockedPart) -> bool {
    matches!(role(&part.file), Some(Role::Upstream | Role::Component(_)))
}

/// The upstream version in a version of Debian: without epoch and revision (`deb-version(7)`).
pub(crate) fn upstream_version(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version
        .rsplit_once('-')
        .map_or(version, |(upstream, _)| upstream)
}

/// Reads a package whose files are all in the cache. `main` is its `.dsc` or, without series, its
/// upstream archive. The error says what is wrong with the package.
fn read(
    cache: &Cache,
    main: &Digest,
    wanted: &LockedPackage,
) -> Result<(SourcePackage, Option<String>), String> {
    let mut parts = wanted.parts.clone();
    let mut version = None;
    let mut native = false;
    if wanted.series {
        let path = cache.path(main);
        let len = fs::metadata(&path).map_or(0, |m| m.len());
        if len > DSC {
            return Err(format!("its .dsc has {len} bytes; {DSC} are allowed"));
        }
        let text = fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let dsc = Paragraph::of_dsc(&text)?;
        native = match dsc.field("Format") {
            Some("3.0 (quilt)") => false,
            Some("3.0 (native)") => true,
            other => {
                return Err(format!(
                    "its format is `{}`; known are 3.0 (quilt) and 3.0 (native): take the upstream \
                     archive alone, with `series = \"none\"` and a `series-reason`",
                    other.unwrap_or("(none)")
                ));
            }
        };
        version = Some(dsc.field("Version").unwrap_or_default().to_owned());
        parts = dsc.files()?;
    } else {
        // The input's own digest is that of the main file.
        let main = LockedPart {
            file: wanted.file.clone(),
            sha256: *main,
            size: 0,
        };
        parts.insert(0, main);
    }
    let mut package = SourcePackage {
        locked: LockedPackage {
            parts: parts.clone(),
            patches: Vec::new(),
            ..wanted.clone()
        },
        upstream: PathBuf::new(),
        components: Vec::new(),
        debian: None,
        patches: Vec::new(),
    };
    if !wanted.series {
        package.locked.parts.remove(0);
    }
    for part in &parts {
        let path = cache.path(&part.sha256);
        let twice = || Err(format!("it has two files for one purpose: {}", part.file));
        match role(&part.file) {
            Some(Role::Upstream) if package.upstream.as_os_str().is_empty() => {
                package.upstream = path;
            }
            Some(Role::Debian) if package.debian.is_none() => package.debian = Some(path),
            Some(Role::Upstream | Role::Debian) => return twice(),
            Some(Role::Component(name)) => {
                if name == "debian" || package.components.iter().any(|(n, _)| *n == name) {
                    return twice();
                }
                package.components.push((name, path));
            }
            Some(Role::Signature) => {}
            None => return Err(format!("its file {} is of no known kind", part.file)),
        }
    }
    if package.upstream.as_os_str().is_empty() {
        return Err("it has no upstream archive".into());
    }
    if wanted.series && native != package.debian.is_none() {
        return Err("its files are not those of its format".into());
    }
    if let Some(debian) = &package.debian {
        package.patches = series::read(debian)?;
        package.locked.patches = package.patches.iter().map(SeriesPatch::locked).collect();
    }
    Ok((package, version))
}

/// Whether a text is a folder of an archive: relative, plain, and going down.
fn is_folder(text: &str) -> bool {
    !text.is_empty() && text.split('/').all(is_file_name)
}

/// `path` for messages.
fn shown(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (debian, upstream) in [
            ("1.2.5-3.1~deb13u1", "1.2.5"),
            ("5:8.0.2-3+deb13u3", "8.0.2"),
            ("1:1.3.dfsg+really1.3.1-1", "1.3.dfsg+really1.3.1"),
            ("3.23+nmu1", "3.23+nmu1"),
            ("1.0-rc1-2", "1.0-rc1"),
        ] {
            assert_eq!(upstream_version(debian), upstream);
        }
    }

    #[test]
    fn roles() {
        let component = |n: &str| Some(Role::Component(n.into()));
        for (file, expected) in [
            ("p_1.orig.tar.gz", Some(Role::Upstream)),
            ("p_1.orig.tar.gz.asc", Some(Role::Signature)),
            ("p_1.orig-www.tar.xz", component("www")),
            ("p_1.orig-.tar.xz", None),
            ("p_1.orig-a.b.tar.xz", None),
            ("p_1-1.debian.tar.xz", Some(Role::Debian)),
            ("p_1.tar.xz", Some(Role::Upstream)),
            ("p_1-1.diff.gz", None),
            ("p_1.tar.exe", None),
        ] {
            assert_eq!(role(file), expected, "{file}");
        }
    }
}
