//! The policy over paths: what is hidden, read-only, or an installed program.
//!
//! Every question is asked about a *real path*: the host path of an object that is already open,
//! read back from its descriptor, never the guest's spelling. A policy names guest paths; they
//! are translated once, through the mounts, to real paths.
//!
//! Why that is enough against races: a guest cannot move a folder into or out of a guarded place,
//! since both ends of a rename are guarded too, and a guarded file gets no second name, since
//! links to it are refused. Programs are also recognised by identity (device and inode).
//!
//! Invariant: `VKERNEL_DIR` of a root mount is always hidden, or, where the process's root is the
//! guest's, kept as it is.

use std::sync::OnceLock;

use megabinary_format::{Policy, Program};
use rustix::io::Errno;
use vkernel_abi::VKERNEL_DIR;

use super::{Result, path};
use crate::audit::Audit;

/// Where a host mount is: in the guest and in the host's name space.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) guest: String,
    pub(crate) real: Vec<u8>,
    pub(crate) is_root: bool,
}

/// Identity of a file: device and inode number.
pub(crate) type Identity = (u64, u64);

/// The installed programs, as the host has them.
#[derive(Debug, Default)]
struct Programs {
    paths: Vec<Vec<u8>>,
    identities: Vec<Identity>,
}

/// Decides over real paths, and reports refusals.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    hidden: Vec<Vec<u8>>,
    read_only: Vec<Vec<u8>>,
    /// Folders that can be seen and, like programs, not changed.
    kept: Vec<Vec<u8>>,
    /// Guest paths of programs; resolved at the first change that a guest attempts.
    program_paths: Vec<String>,
    programs: OnceLock<Programs>,
    audit: Audit,
}

/// Reason in refusals.
const PROGRAM: &str = "path is an installed program";

/// Reason in refusals.
const VKERNEL: &str = "path is the vkernel's own";

/// Finds the file at a guest path: its real path and identity. The resolution is the caller's.
pub(crate) type Find<'a> = &'a dyn Fn(&str) -> Option<(Vec<u8>, Identity)>;

impl Guard {
    pub(crate) fn new(
        policy: &Policy,
        programs: Vec<Program>,
        bases: &[Base],
        audit: Audit,
        find: Find<'_>,
    ) -> Guard {
        let mut hidden = Vec::new();
        let mut read_only = Vec::new();
        for base in bases.iter().filter(|base| base.is_root) {
            hidden.push(path::join(
                &base.real,
                VKERNEL_DIR.trim_start_matches('/').as_bytes(),
            ));
            if policy.read_only_root {
                read_only.push(base.real.clone());
            }
        }
        for guest in &policy.hidden {
            hidden.extend(real_paths(bases, guest, find));
        }
        for guest in &policy.read_only {
            read_only.extend(real_paths(bases, guest, find));
        }
        Guard {
            hidden,
            read_only,
            kept: Vec::new(),
            program_paths: programs.into_iter().map(|program| program.path).collect(),
            programs: OnceLock::new(),
            audit,
        }
    }

    /// For a process whose own root is the guest's: real paths are the guest's. `VKERNEL_DIR` can be
    /// seen there, since the host kernel answers what only looks.
    pub(crate) fn of_own_root(
        policy: &Policy,
        programs: Vec<Program>,
        bases: &[Base],
        audit: Audit,
        find: Find<'_>,
    ) -> Guard {
        let mut guard = Guard::new(policy, programs, bases, audit, find);
        if policy.read_only_root {
            guard.read_only.push(b"/".to_vec());
        }
        guard.kept.push(VKERNEL_DIR.as_bytes().to_vec());
        guard
    }

    /// Whether anything is hidden.
    pub(crate) fn hides_something(&self) -> bool {
        !self.hidden.is_empty()
    }

    /// Whether anything is hidden or read-only.
    pub(crate) fn guards_something(&self) -> bool {
        self.hides_something() || !self.read_only.is_empty()
    }

    /// Whether a folder's entries may be hidden.
    pub(crate) fn hides_in(&self, folder: &[u8]) -> bool {
        let mut hidden = self.hidden.iter();
        hidden.any(|inner| inner != folder && path::is_within(inner, folder))
    }

    /// ENOENT for what is hidden.
    pub(crate) fn look(&self, operation: &str, real: &[u8]) -> Result<()> {
        if self.hides(real) {
            return Err(self.refuse(operation, real, "path is hidden", Errno::NOENT));
        }
        Ok(())
    }

    /// Whether the object at `real` does not exist for guests.
    pub(crate) fn hides(&self, real: &[u8]) -> bool {
        self.hidden
            .iter()
            .any(|folder| path::is_within(real, folder))
    }

    /// EROFS for what may not be changed at all.
    pub(crate) fn change(&self, operation: &str, real: &[u8]) -> Result<()> {
        if self
            .read_only
            .iter()
            .any(|folder| path::is_within(real, folder))
        {
            return Err(self.refuse(operation, real, "path is read-only", Errno::ROFS));
        }
        Ok(())
    }

    /// EACCES for a folder that holds something hidden or read-only: moved elsewhere, that would
    /// lose its protection.
    pub(crate) fn keep_in_place(&self, operation: &str, real: &[u8]) -> Result<()> {
        let mut guarded = self.hidden.iter().chain(&self.read_only);
        if guarded.any(|inner| inner != real && path::is_within(inner, real)) {
            let reason = "folder holds a path that the policy guards";
            return Err(self.refuse(operation, real, reason, Errno::ACCESS));
        }
        Ok(())
    }

    /// EACCES when the change would touch an installed program: its file, or a name on the way
    /// to it.
    pub(crate) fn spare_programs(
        &self,
        operation: &str,
        real: &[u8],
        identity: Option<Identity>,
        bases: &[Base],
        find: Find<'_>,
    ) -> Result<()> {
        let own = |kept: &Vec<u8>| path::is_within(kept, real) || path::is_within(real, kept);
        if self.kept.iter().any(own) {
            return Err(self.refuse(operation, real, VKERNEL, Errno::ACCESS));
        }
        let Some(programs) = self.programs(bases, find) else {
            return Ok(());
        };
        let on_the_way = |program: &Vec<u8>| path::is_within(program, real);
        if programs.paths.iter().any(on_the_way)
            || identity.is_some_and(|it| programs.identities.contains(&it))
        {
            return Err(self.refuse(operation, real, PROGRAM, Errno::ACCESS));
        }
        Ok(())
    }

    /// EACCES when `identity` is an installed program's. For changes that leave names alone.
    pub(crate) fn spare_program_file(
        &self,
        operation: &str,
        real: &[u8],
        identity: Identity,
        bases: &[Base],
        find: Find<'_>,
    ) -> Result<()> {
        if self.kept.iter().any(|kept| path::is_within(real, kept)) {
            return Err(self.refuse(operation, real, VKERNEL, Errno::ACCESS));
        }
        match self.programs(bases, find) {
            Some(programs) if programs.identities.contains(&identity) => {
                Err(self.refuse(operation, real, PROGRAM, Errno::ACCESS))
            }
            _ => Ok(()),
        }
    }

    /// The programs, looked up at the first question; `None` if there are none.
    fn programs(&self, bases: &[Base], find: Find<'_>) -> Option<&Programs> {
        if self.program_paths.is_empty() {
            return None;
        }
        Some(self.programs.get_or_init(|| {
            let mut programs = Programs::default();
            for guest in &self.program_paths {
                programs.paths.extend(real_paths(bases, guest, find));
                programs
                    .identities
                    .extend(find(guest).map(|(_, identity)| identity));
            }
            programs
        }))
    }

    /// Reports a refusal and gives the errno back.
    pub(crate) fn refuse(&self, operation: &str, real: &[u8], reason: &str, errno: Errno) -> Errno {
        self.audit.refuse(operation, real, reason, name(errno));
        errno
    }
}

/// The real paths that a guest path of the policy means: as spelt below the innermost mount, and
/// as it resolves now (links in its folders).
fn real_paths(bases: &[Base], guest: &str, find: Find<'_>) -> Vec<Vec<u8>> {
    let guest = path::normal(guest);
    let inner = bases
        .iter()
        .filter(|base| path::is_within(guest.as_bytes(), base.guest.as_bytes()))
        .max_by_key(|base| base.guest.len());
    let mut found = Vec::new();
    if let Some(base) = inner {
        let rest = guest.strip_prefix(&base.guest).unwrap_or_default();
        let rest = rest.trim_start_matches('/');
        found.push(if rest.is_empty() {
            base.real.clone()
        } else {
            path::join(&base.real, rest.as_bytes())
        });
    }
    if let Some((real, _)) = find(&guest)
        && !found.contains(&real)
    {
        found.push(real);
    }
    found
}

fn name(errno: Errno) -> &'static str {
    match errno {
        Errno::NOENT => "ENOENT",
        Errno::ROFS => "EROFS",
        Errno::PERM => "EPERM",
        _ => "EACCES",
    }
}
