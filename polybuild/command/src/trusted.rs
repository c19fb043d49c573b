//! A megabinary that is verified and then executed: one open file, from the first look to `execve`.
//!
//! Verifying hashes the whole file, so what was found is kept by the file's identity: device, inode,
//! size, and the times of its last change, which nobody but the host's clock sets. A file that has
//! only just been written is verified again, since a later change could bear the same time.
//!
//! Invariant: whoever replaces the file at its path changes nothing; whoever writes to the file itself
//! is kept from it, or noticed.

use std::{
    fs::{self, File, Metadata},
    io::Read,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use megabinary_format::{Digest, PublicKey};
use megabinary_linker::verify::verify_elf;
use vkernel_sandbox::held;

use crate::{
    exit,
    failure::{Failure, IoContext, Result},
    files,
};

/// How old a change has to be that a later one must bear another time.
const SETTLED: Duration = Duration::from_secs(2);

/// A megabinary that may be executed.
#[derive(Debug)]
pub struct Trusted {
    file: File,
    path: PathBuf,
    seen: Identity,
    /// Whether the host keeps others from writing to it.
    held: bool,
}

/// What tells a file's contents from others without reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(file: &File, path: &Path) -> Result<Identity> {
        let found = file.metadata().doing("looking at", path)?;
        Ok(Identity::from(&found))
    }

    /// Whether the next change must bear another time.
    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = |(seconds, _): (i64, i64)| Duration::from_secs(seconds.unsigned_abs());
        let latest = time(self.modified).max(time(self.changed));
        now.checked_sub(latest).is_some_and(|age| age > SETTLED)
    }
}

impl From<&Metadata> for Identity {
    fn from(found: &Metadata) -> Identity {
        Identity {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

impl Trusted {
    /// Opens and verifies the megabinary at `path`: signed by one of `keys`, and every byte as it was
    /// signed.
    ///
    /// Of a file that is another user's, who could write to it in ways that change no time, a copy is
    /// what is verified and executed.
    pub fn open(path: &Path, keys: &[PublicKey], cache: &Path) -> Result<Trusted> {
        let found = fs::metadata(path).doing("looking at", path)?;
        let user = rustix::process::geteuid();
        if user.is_root() || found.uid() == user.as_raw() {
            return Trusted::own(path, keys, cache);
        }
        let bytes = files::read(path)?;
        let copy = cache.join("copies").join(Digest::of(&bytes).hex());
        if !copy.is_file() {
            files::write_whole(&copy, &bytes, 0o755)?;
        }
        Trusted::own(&copy, keys, cache)
    }

    fn own(path: &Path, keys: &[PublicKey], cache: &Path) -> Result<Trusted> {
        let mut file = files::open(path)?;
        let held = held::keep_unchanged(&file).map_err(|error| {
            changing(path, &format!("somebody has it open for writing ({error})"))
        })?;
        let seen = Identity::of(&file, path)?;
        let note = cache.join("verified").join(name(&seen, keys));
        if !note.is_file() {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).doing("reading", path)?;
            verify_elf(&bytes, keys).map_err(|error| {
                let list: Vec<String> = error
                    .problems
                    .iter()
                    .map(|p| format!("\n  - {p}"))
                    .collect();
                Failure::message(
                    exit::VERIFY,
                    format!(
                        "{} must not be trusted, and nothing was run:{}",
                        path.display(),
                        list.concat()
                    ),
                )
                .hint("`polybuild run --trust KEY` names the public key that has signed it")
            })?;
            if seen.is_settled(SystemTime::now()) && Identity::of(&file, path)? == seen {
                files::write_whole(&note, b"", 0o644)?;
            }
        }
        Ok(Trusted {
            file,
            path: path.to_owned(),
            seen,
            held,
        })
    }

    /// The path to execute: it leads to the file that was verified, whatever is at its own by now.
    pub fn program(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    /// The path that was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last thing before it is executed.
    pub fn check_unchanged(&self) -> Result<()> {
        if !self.held && Identity::of(&self.file, &self.path)? != self.seen {
            return Err(changing(&self.path, "it was changed after it was verified"));
        }
        Ok(())
    }
}

fn changing(path: &Path, what: &str) -> Failure {
    Failure::message(
        exit::VERIFY,
        format!("{}: {what}, and nothing was run", path.display()),
    )
    .hint("run it again when whatever writes it has ended")
}

/// The name of the note that a file was verified with these keys, by this release.
fn name(seen: &Identity, keys: &[PublicKey]) -> String {
    let mut texts: Vec<String> = keys.iter().map(PublicKey::to_string).collect();
    texts.sort();
    let version = env!("CARGO_PKG_VERSION");
    Digest::of(format!("verified 1 {version} {seen:?} {texts:?}").as_bytes()).hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_for_one_state_of_one_file() {
        let seen = Identity {
            device: 1,
            inode: 2,
            size: 3,
            modified: (4, 5),
            changed: (6, 7),
        };
        let others = [
            Identity { device: 9, ..seen },
            Identity { inode: 9, ..seen },
            Identity { size: 9, ..seen },
            Identity {
                modified: (4, 9),
                ..seen
            },
            Identity {
                changed: (6, 9),
                ..seen
            },
        ];
        for other in others {
            assert_ne!(name(&seen, &[]), name(&other, &[]));
        }
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert!(!seen.is_settled(at(7)));
        assert!(!seen.is_settled(at(8)));
        assert!(seen.is_settled(at(9)));
        // A clock that was set back tells nothing.
        assert!(!seen.is_settled(at(1)));
    }
}
