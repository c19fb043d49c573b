//! The policy over paths, for calls that the host kernel resolves paths for.
//!
//! The process's root is the sandbox's, so that the host kernel finds the object; what is judged
//! is that object, held as an `O_PATH` descriptor, by its real path and its identity, and the call
//! is then made on what was judged, through `/proc/thread-self/fd`. The guest's string is copied
//! once and never resolved a second time, so links that are swapped meanwhile change nothing. What
//! is judged how is said for each parameter (`vkernel_abi::wali::Param`); the questions are those of the WASI
//! personality ([`crate::fs::guard`]).
//!
//! Not judged, because it costs nothing then: what only looks, unless something is hidden; a name
//! that is none of the guarded ones, unless something is read-only; reads and writes of what is
//! open. Without `/proc` in the root no real path can be told: then identities decide, and a
//! policy with paths is refused at the start.
//!
//! Invariants: nothing is truncated, created or shown before it was judged; what a guest thread can
//! get hold of meanwhile reads and writes nothing.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::OnceLock,
};

use megabinary_format::{Index, Policy, Program, stub};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, statat, statfs};
use vkernel_abi::{MEGABINARY_PATH, VKERNEL_DIR};

use super::{
    super::process::descriptors::Descriptors, caller::Caller, held::Private, object,
    objects::Objects,
};
use crate::{
    audit::Audit,
    fs::{
        guard::{Base, Guard, Identity},
        identity, path,
        special::is_pseudo,
    },
};

/// Host calls that judging paths takes.
pub(crate) const HOST_CALLS: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_readlinkat,
    libc::SYS_newfstatat,
    libc::SYS_fstatfs,
    libc::SYS_ftruncate,
    // Copies of what procfs says.
    libc::SYS_memfd_create,
];

/// How far the policy reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Programs and the vkernel's own files are kept.
    Programs,
    /// Some paths are read-only.
    Changes,
    /// Some paths are hidden.
    Everything,
}

/// What the policy says about paths, and what is needed to ask it.
#[derive(Debug)]
pub(crate) struct Paths {
    pub(crate) guard: Guard,
    pub(crate) bases: [Base; 1],
    pub(crate) reach: Reach,
    /// Whether `/proc` of the root is the host's procfs.
    pub(crate) has_proc: bool,
    /// The vkernel's folder, the megabinary in it, and the audit's stream unless the guest has it
    /// too.
    pub(crate) own: Vec<Identity>,
    /// The audit's stream among them.
    audit: Option<Identity>,
    /// The megabinary that runs, which may lie outside of the root: the vkernel's descriptor of it is a
    /// magic link that leads there.
    pub(crate) megabinary: OnceLock<Identity>,
    /// Whether reading the audit's stream would take events away: it is a pipe.
    pub(crate) audit_is_pipe: bool,
    pub(crate) programs: Vec<Program>,
    /// Last components of everything that may not be moved or removed; sorted.
    names: OnceLock<Vec<Vec<u8>>>,
    pub(crate) private: Private,
    /// What is no plain file.
    pub(crate) objects: Objects,
    root_is_pseudo: OnceLock<bool>,
}

/// Whether a folder is the host's procfs.
fn is_procfs(folder: &str) -> bool {
    statfs(folder).is_ok_and(|s| s.f_type == libc::PROC_SUPER_MAGIC)
}

impl Paths {
    /// For the process's root as it is now.
    pub(crate) fn new(index: &Index, audit: &Audit, limit: Descriptors) -> io::Result<Paths> {
        let policy = &index.policy;
        let private = Private::new(limit);
        let bases = [Base {
            guest: "/".into(),
            real: b"/".to_vec(),
            is_root: false,
        }];
        let has_proc = is_procfs("/proc");
        let guard = Guard::of_own_root(
            policy,
            index.programs.clone(),
            &bases,
            audit.clone(),
            &|guest| find(&private, true, has_proc, guest),
        );
        let reach = match (guard.hides_something(), guard.guards_something()) {
            (true, _) => Reach::Everything,
            (false, true) => Reach::Changes,
            (false, false) => Reach::Programs,
        };
        if reach != Reach::Programs && !has_proc {
            return Err(io::Error::other(format!(
                "the policy sets {}, and for that programs with Linux system calls need /proc in \
                 their root: make an empty folder `proc` there",
                keys(policy)
            )));
        }
        let mut own: Vec<Identity> = [VKERNEL_DIR, MEGABINARY_PATH]
            .iter()
            .filter_map(|path| statat(CWD, *path, AtFlags::SYMLINK_NOFOLLOW).ok())
            .map(|stat| identity(&stat))
            .collect();
        let stream = audit_stream(audit);
        let audit = stream.as_ref().map(identity);
        own.extend(audit);
        let fifo = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo;
        Ok(Paths {
            guard,
            bases,
            reach,
            has_proc,
            own,
            audit,
            megabinary: OnceLock::new(),
            audit_is_pipe: stream.as_ref().is_some_and(fifo),
            programs: index.programs.clone(),
            names: OnceLock::new(),
            private,
            objects: Objects::default(),
            root_is_pseudo: OnceLock::new(),
        })
    }

    /// Whether a name, the last component of some path, is none that is guarded as such.
    pub(crate) fn is_plain(&self, alone: bool, name: &[u8]) -> bool {
        let names = self.names.get_or_init(|| self.guarded_names(alone));
        names.binary_search_by(|n| n.as_slice().cmp(name)).is_err()
    }

    /// The last components of programs and of all folders on the way to them, as spelt and as they
    /// are now.
    fn guarded_names(&self, alone: bool) -> Vec<Vec<u8>> {
        let own = [VKERNEL_DIR.as_bytes(), MEGABINARY_PATH.as_bytes()];
        let mut paths: Vec<Vec<u8>> = own.iter().map(|path| path.to_vec()).collect();
        let mut folder = "";
        for program in &self.programs {
            paths.push(program.path.clone().into_bytes());
            let above = program.path.rsplit_once('/').map_or("", |(above, _)| above);
            if above != folder {
                folder = above;
                let found = find(&self.private, alone, self.has_proc, above);
                paths.extend(found.map(|(real, _)| real));
                let found = real_folder(&self.private, alone, self.has_proc, above);
                paths.extend(found);
            }
        }
        let mut names: Vec<Vec<u8>> = paths
            .iter()
            .flat_map(|path| path.split(|b| *b == b'/'))
            .filter(|name| !name.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether the root itself is a file system of the host kernel's.
    pub(crate) fn root_is_pseudo(&self) -> bool {
        *self.root_is_pseudo.get_or_init(|| {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let root = rustix::fs::open("/", flags, Mode::empty());
            // Unknown is taken for the worse.
            root.map_or(true, |root| is_pseudo(root.as_fd()).unwrap_or(true))
        })
    }

    /// Whether an object is the vkernel's own.
    pub(crate) fn is_own(&self, stat: &Stat) -> bool {
        let id = identity(stat);
        self.own.contains(&id) || self.megabinary.get() == Some(&id)
    }

    /// Takes note of the megabinary that runs.
    pub(crate) fn note_megabinary(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        let stat = rustix::fs::fstat(file)?;
        // Once is enough: it is the same for all programs.
        let _ = self.megabinary.set(identity(&stat));
        Ok(())
    }

    /// Whether an object that is open is the audit's stream, and not a file that the guest finds in its
    /// root by a name.
    pub(crate) fn is_foreign_audit(&self, number: i32, stat: &Stat) -> bool {
        let id = identity(stat);
        if self.audit != Some(id) {
            return false;
        }
        let named =
            object::real_path(number).and_then(|real| statat(CWD, real, AtFlags::SYMLINK_NOFOLLOW));
        !named.is_ok_and(|stat| identity(&stat) == id)
    }

    /// Whether an object can be neither a program nor the vkernel's: they are told by their size
    /// or their identity.
    pub(crate) fn is_ordinary(&self, stat: &Stat) -> bool {
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        !(regular && stat.st_size == stub::LEN as i64 || self.is_own(stat))
    }

    pub(crate) fn find(&self, caller: &Caller<'_>, guest: &str) -> Option<(Vec<u8>, Identity)> {
        find(&self.private, caller.alone(), self.has_proc, guest)
    }
}

/// What the audit's stream is, unless it is one of the guest's standard streams.
fn audit_stream(audit: &Audit) -> Option<Stat> {
    let stat = rustix::fs::fstat(audit.raw_fd()?).ok()?;
    // SAFETY: looked at; a number that is not open gives an error.
    let standard = |number| rustix::fs::fstat(unsafe { BorrowedFd::borrow_raw(number) });
    let is_guests = (0..=2)
        .filter_map(|number| standard(number).ok())
        .any(|s| identity(&s) == identity(&stat));
    (!is_guests).then_some(stat)
}

/// The keys of the policy that concern paths, for people.
fn keys(policy: &Policy) -> &'static str {
    match (
        policy.read_only_root,
        policy.read_only.is_empty(),
        policy.hidden.is_empty(),
    ) {
        (true, _, _) => "`read-only-root`",
        (_, false, _) => "`read-only`",
        _ => "`hidden`",
    }
}

/// The file at a guest path as it is now: its real path and identity; a last link is not followed.
pub(crate) fn find(
    private: &Private,
    alone: bool,
    has_proc: bool,
    guest: &str,
) -> Option<(Vec<u8>, Identity)> {
    let (above, name) = guest.rsplit_once('/')?;
    let real = match name {
        "" => b"/".to_vec(),
        name => path::join(
            &real_folder(private, alone, has_proc, above)?,
            name.as_bytes(),
        ),
    };
    let stat = statat(CWD, real.as_slice(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some((real, identity(&stat)))
}

/// The real path of the folder at a guest path.
fn real_folder(private: &Private, alone: bool, has_proc: bool, guest: &str) -> Option<Vec<u8>> {
    if guest.is_empty() || !has_proc {
        let spelt = if guest.is_empty() { "/" } else { guest };
        return Some(spelt.as_bytes().to_vec());
    }
    let held = object::open(private, alone, libc::AT_FDCWD, guest.as_bytes(), true).ok()?;
    object::real_path(held.number()).ok()
}
