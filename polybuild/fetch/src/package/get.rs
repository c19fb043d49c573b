//! Gets the files of a source package: from the cache, from the mirror through apt, and, where the
//! mirror has dropped a revision, from an archive of snapshots by their digests.

use std::path::Path;

use polybuild_recipe::{LockedPackage, LockedPart, SourceUrl, digest_path};

use super::{is_file_name, is_folder, is_upstream, read, role, upstream_version};
use crate::{
    Cache, FetchError, Fetched, Fetcher, Progress, Request,
    cache::{Guard, Lookup},
    client::{Job, curl, debian::Suite},
    error::{Gone, PackageError},
};

/// The files of a package, and what they are recorded as.
struct Wanted {
    version: String,
    main: LockedPart,
    package: LockedPackage,
}

impl Wanted {
    fn files(&self) -> impl Iterator<Item = &LockedPart> {
        std::iter::once(&self.main).chain(&self.package.parts)
    }
}

impl Fetcher {
    /// Gets a source package. With a pin whose files are in the cache, no client is started.
    pub(crate) fn fetch_package(
        &self,
        request: &Request,
        progress: &dyn Progress,
    ) -> Result<Fetched, FetchError> {
        let SourceUrl::DebianSource {
            name,
            version,
            suite,
        } = &request.url
        else {
            return Err(request.package_error("it is not a source package".into()));
        };
        request.expected()?;
        let pinned = pinned(request)?;
        if let Some(wanted) = &pinned
            && missing(self.cache(), wanted, request, progress)?.is_empty()
        {
            return self.finish(request, wanted, true, progress);
        }
        if self.options().offline {
            let url = request.url.to_string();
            return Err(FetchError::Offline { url });
        }
        let guard = self.cache().guard(&request.url.to_string())?;
        guard.clear()?;
        let job = Job {
            request,
            options: self.options(),
            cache: self.cache(),
            guard: &guard,
            progress,
        };
        progress.bytes(&request.id, 0, None);
        let suite = Suite::open(&job, suite)?;
        let listed = suite.list(&job, name)?;
        // What the mirror lists, as far as it is what is wanted.
        let listed = match &pinned {
            Some(wanted) => {
                let has =
                    |entry: &&Listed| entry.files.iter().any(|f| f.sha256 == wanted.main.sha256);
                listed.iter().find(has).cloned()
            }
            None => Some(choose(
                &job,
                &suite,
                listed.as_slice(),
                name,
                version.as_deref(),
            )?),
        };
        let newest = || suite.newest_source(&job, name).ok();
        let wanted = match (pinned, &listed) {
            (Some(wanted), _) => wanted,
            (None, Some(entry)) => request.wanted(entry, suite.seen())?,
            (None, None) => return Err(request.package_error("the suite does not have it".into())),
        };
        let mut words = match &listed {
            Some(entry) => suite.download(&job, name, &entry.version, wanted.package.series)?,
            None => format!(
                "the mirror does not list it any more (its newest: {})",
                newest().as_deref().unwrap_or("none")
            ),
        };
        self.take(&guard, &wanted)?;
        let mut left = missing(self.cache(), &wanted, request, progress)?;
        if !left.is_empty() {
            let said = self.ask_snapshots(&job, &suite, &wanted, &left)?;
            words = format!("{words}\n{said}");
            left = missing(self.cache(), &wanted, request, progress)?;
        }
        if !left.is_empty() {
            return Err(FetchError::Gone(Box::new(Gone {
                url: request.url.to_string(),
                version: wanted.version,
                files: left.into_iter().map(|f| f.file).collect::<Vec<_>>().join(", "),
                words,
                remedy: match &request.pin {
                    Some(_) => format!(
                        "The newest revision that the mirror lists is {}; `polybuild lock --update \
                         {} RECIPE` takes it. Or set an archive of snapshots (--snapshots, \
                         POLYBUILD_SNAPSHOTS)",
                        newest().as_deref().unwrap_or("none"),
                        request.id
                    ),
                    None => "Set an archive of snapshots (--snapshots, POLYBUILD_SNAPSHOTS); or name \
                             an older revision, `@VERSION`; or take the upstream archive alone, with \
                             `series = \"none\"` and a `series-reason`".into(),
                },
            })));
        }
        let fetched = self.finish(request, &wanted, false, progress)?;
        guard.done()?;
        Ok(fetched)
    }

    /// Moves what arrived, and is what is wanted, into the cache.
    fn take(&self, guard: &Guard, wanted: &Wanted) -> Result<(), FetchError> {
        for part in wanted.files() {
            let file = guard.work.join(&part.file);
            if is_plain_file(&file) && digest_path(&file)?.0 == part.sha256 {
                self.cache().insert(&file, &part.sha256)?;
            }
        }
        Ok(())
    }

    /// Asks the archive of snapshots for files; returns what to say if some are missing afterwards.
    fn ask_snapshots(
        &self,
        job: &Job<'_>,
        suite: &Suite,
        wanted: &Wanted,
        left: &[LockedPart],
    ) -> Result<String, FetchError> {
        let set = self.options().snapshots.clone();
        let Some(address) = set.or_else(|| suite.snapshots()) else {
            return Ok("No archive of snapshots is set.".into());
        };
        let mut said = String::new();
        for part in left {
            for url in addresses(&address, suite.archive(), &wanted.package, part) {
                match curl::file(job, &url, &part.file, part.size) {
                    Ok(()) => self.take(job.guard, wanted)?,
                    Err(FetchError::Client { words, .. } | FetchError::Network { words, .. }) => {
                        said.push_str(&format!(
                            "The archive of snapshots said to {url}: {words}\n"
                        ));
                        continue;
                    }
                    Err(other) => return Err(other),
                }
                match self.cache().get(&part.sha256)? {
                    Lookup::Found(..) => break,
                    _ => said.push_str(&format!(
                        "The archive of snapshots has another file at {url}.\n"
                    )),
                }
            }
        }
        Ok(said.trim_end().to_owned())
    }

    /// Everything is in the cache: reads it, and compares it with the lock file.
    fn finish(
        &self,
        request: &Request,
        wanted: &Wanted,
        cached: bool,
        progress: &dyn Progress,
    ) -> Result<Fetched, FetchError> {
        request.check(wanted.main.sha256, wanted.main.size)?;
        let wrong = |why| request.package_error(why);
        let (package, version) =
            read(self.cache(), &wanted.main.sha256, &wanted.package).map_err(wrong)?;
        if package.locked.parts != wanted.package.parts {
            return Err(wrong(
                "its .dsc lists other files than the index or the lock file".into(),
            ));
        }
        if version.is_some_and(|version| version != wanted.version) {
            return Err(wrong(format!(
                "its .dsc is not of version {}",
                wanted.version
            )));
        }
        if request.pin.is_some() && package.locked != wanted.package {
            return Err(wrong(
                "the lock file's list of patches is not that of the package".into(),
            ));
        }
        progress.finished(&request.id, wanted.files().map(|f| f.size).sum(), cached);
        Ok(Fetched {
            path: self.cache().path(&wanted.main.sha256),
            sha256: wanted.main.sha256,
            size: wanted.main.size,
            version: wanted.version.clone(),
            package: Some(Box::new(package)),
        })
    }
}

impl Request {
    fn package_error(&self, why: String) -> FetchError {
        FetchError::Package(Box::new(PackageError {
            url: self.url.to_string(),
            why,
        }))
    }

    /// What is to be had of a package that an index lists.
    fn wanted(&self, entry: &Listed, seen: &str) -> Result<Wanted, FetchError> {
        let series = self.series.unwrap_or(true);
        let mut parts = entry.files.clone();
        let (version, at) = if series {
            (
                entry.version.as_str(),
                parts.iter().position(|f| f.file.ends_with(".dsc")),
            )
        } else {
            parts.retain(is_upstream);
            let main = |f: &LockedPart| role(&f.file) == Some(super::Role::Upstream);
            (
                upstream_version(&entry.version),
                parts.iter().position(main),
            )
        };
        let at = at.ok_or_else(|| {
            self.package_error("the index does not list the file that it begins with".into())
        })?;
        let main = parts.remove(at);
        Ok(Wanted {
            version: version.to_owned(),
            package: LockedPackage {
                series,
                file: main.file.clone(),
                folder: entry.folder.clone(),
                seen: seen.to_owned(),
                parts,
                patches: Vec::new(),
            },
            main,
        })
    }
}

/// What the lock file pins; what it says is checked before it becomes the name of anything.
fn pinned(request: &Request) -> Result<Option<Wanted>, FetchError> {
    let Some(pin) = &request.pin else {
        return Ok(None);
    };
    let Some(package) = &pin.package else {
        let why = "the lock file has no parts of it: run `polybuild lock RECIPE`";
        return Err(request.package_error(why.into()));
    };
    let mut names = std::iter::once(&package.file).chain(package.parts.iter().map(|p| &p.file));
    let time = package.seen.chars().all(|c| c.is_ascii_alphanumeric());
    if !names.all(|name| is_file_name(name)) || !is_folder(&package.folder) || !time {
        let why = "the lock file names a file, folder or time that is none";
        return Err(request.package_error(why.into()));
    }
    if package.series != request.series.unwrap_or(true) {
        let why = "the lock file was made for another `series`: run `polybuild lock RECIPE`";
        return Err(request.package_error(why.into()));
    }
    Ok(Some(Wanted {
        version: pin.version.clone(),
        main: LockedPart {
            file: package.file.clone(),
            sha256: pin.sha256,
            size: pin.size,
        },
        package: package.clone(),
    }))
}

/// A source package that an index lists.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) version: String,
    pub(crate) folder: String,
    pub(crate) files: Vec<LockedPart>,
}

impl Listed {
    /// From a paragraph of an index, which apt has checked. `None` if it is no package.
    pub(crate) fn parse(text: &str) -> Option<Listed> {
        let paragraph = super::Paragraph::parse(text);
        let listed = Listed {
            version: paragraph.field("Version")?.to_owned(),
            folder: paragraph.field("Directory")?.to_owned(),
            files: paragraph.files().ok()?,
        };
        is_folder(&listed.folder).then_some(listed)
    }
}

fn choose(
    job: &Job<'_>,
    suite: &Suite,
    listed: &[Listed],
    name: &str,
    version: Option<&str>,
) -> Result<Listed, FetchError> {
    let version = match version {
        Some(version) => version.to_owned(),
        None => suite.newest_source(job, name)?,
    };
    listed
        .iter()
        .find(|entry| entry.version == version)
        .cloned()
        .ok_or_else(|| {
            let have: Vec<_> = listed.iter().map(|entry| entry.version.as_str()).collect();
            job.request.package_error(format!(
                "the mirror does not list version {version} of it; it lists: {}",
                have.join(", ")
            ))
        })
}

/// The files that are not in the cache.
fn missing(
    cache: &Cache,
    wanted: &Wanted,
    request: &Request,
    progress: &dyn Progress,
) -> Result<Vec<LockedPart>, FetchError> {
    let mut left = Vec::new();
    for part in wanted.files() {
        match cache.get(&part.sha256)? {
            Lookup::Found(..) => continue,
            Lookup::Corrupt(aside) => progress.warning(
                &request.id,
                &format!(
                    "the cached file of {} was damaged; it is now {} and will be fetched again",
                    part.sha256,
                    aside.display()
                ),
            ),
            Lookup::Missing => {}
        }
        left.push(part.clone());
    }
    Ok(left)
}

fn is_plain_file(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|m| m.is_file())
}

/// Where an archive of snapshots may have a file. Its address may have `@SHA256@`, the file's digest:
/// then it is all of the address. Otherwise the file's path in the archive of packages follows, and
/// `@SNAPSHOTID@` is a time at which that archive had the file: a while after the index that listed it,
/// as snapshots are taken some time later, and the index's own time.
fn addresses(
    address: &str,
    archive: &str,
    package: &LockedPackage,
    part: &LockedPart,
) -> Vec<String> {
    let address = address
        .replace("@ARCHIVE@", archive)
        .replace("@SHA256@", &part.sha256.hex());
    let by_digest = address.contains(&part.sha256.hex());
    let path = match by_digest {
        true => String::new(),
        false => format!("/{}/{}", package.folder, part.file.replace('+', "%2B")),
    };
    let base = address.trim_end_matches('/');
    let mut times: Vec<String> = Vec::new();
    if base.contains("@SNAPSHOTID@") {
        times.extend(end_of_day(&package.seen));
        times.push(package.seen.clone());
    } else {
        times.push(String::new());
    }
    times
        .iter()
        .map(|time| format!("{}{path}", base.replace("@SNAPSHOTID@", time)))
        .collect()
}

/// The last second of the day of a time like `20261121T091544Z`.
fn end_of_day(seen: &str) -> Option<String> {
    Some(format!("{}T235959Z", seen.split_once('T')?.0))
}

#[cfg(test)]
mod tests {
    use megabinary_format::Digest;

    use super::*;

    #[test]
    fn addresses_of_snapshots() {
        let part = LockedPart {
            file: "p_1+x-1.dsc".into(),
            sha256: Digest::of(b"x"),
            size: 1,
        };
        let package = LockedPackage {
            series: true,
            file: part.file.clone(),
            folder: "pool/main/p/p".into(),
            seen: "20261121T091544Z".into(),
            parts: Vec::new(),
            patches: Vec::new(),
        };
        let check = |address: &str, expected: &[&str]| {
            assert_eq!(addresses(address, "debian", &package, &part), expected);
        };
        check(
            "http://h.example/archive/@ARCHIVE@/@SNAPSHOTID@/",
            &[
                "http://h.example/archive/debian/20261121T235959Z/pool/main/p/p/p_1%2Bx-1.dsc",
                "http://h.example/archive/debian/20261121T091544Z/pool/main/p/p/p_1%2Bx-1.dsc",
            ],
        );
        check(
            "http://h.example/all",
            &["http://h.example/all/pool/main/p/p/p_1%2Bx-1.dsc"],
        );
        let by_digest = format!("http://h.example/{}", part.sha256.hex());
        check("http://h.example/@SHA256@", &[&by_digest]);
    }
}
