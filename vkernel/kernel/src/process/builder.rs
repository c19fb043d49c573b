//! From a description to a [`Process`]: checks everything that was given, opens nothing but
//! `/proc`, and assigns the first descriptors.
//!
//! Invariant: a process is made whole or not at all; what was given is closed in the latter case.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use megabinary_format::{FileTree, Limit, Policy, Program};
use rustix::fs::{FileType, Mode, OFlags};

use super::{Contents, Mount, Process, Source, Stdio};
use crate::{
    audit::Audit,
    fs::{
        Files, find_in,
        guard::{Base, Guard},
        namespace::{self, Target},
        path,
        resolve::{Resolver, Scope},
        special,
        table::{Descriptor, HostFd, Object, Table},
        tree::{self, Tree},
    },
    sources::Sources,
};

/// Why a process could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A path that must be absolute and plain is not.
    #[error("{what} `{path}` is not an absolute path without NUL: write it from the guest's `/`")]
    Path {
        /// What the path is for.
        what: &'static str,
        /// The path.
        path: String,
    },
    /// An argument or environment entry holds a NUL byte.
    #[error("{what} {number} holds a NUL byte, which no C program could receive")]
    Nul {
        /// `argument` or `environment entry`.
        what: &'static str,
        /// Its position from 0.
        number: usize,
    },
    /// An environment entry is not `KEY=VALUE`.
    #[error("environment entry {0} is not KEY=VALUE")]
    Environment(usize),
    /// Two roots, or two mounts at one path.
    #[error("two mounts at `{0}`: give each guest path one mount")]
    Twice(String),
    /// A mount is not a folder.
    #[error("the mount at `{0}` is not a folder")]
    NotAFolder(String),
    /// No procfs.
    #[error(
        "/proc is not a procfs ({0}), and host folders cannot be confined without one: mount proc \
         there"
    )]
    Procfs(io::Error),
    /// Too many arguments, mounts or sockets for the limits.
    #[error("{0}")]
    TooMany(&'static str),
    /// A host call failed.
    #[error("{doing}: {source}")]
    Host {
        /// What was being done.
        doing: String,
        /// What the host kernel said.
        source: io::Error,
    },
}

/// Describes a process to be made.
#[derive(Debug, Default)]
pub struct ProcessBuilder {
    args: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    cwd: Option<String>,
    stdio: Stdio,
    mounts: Vec<Mount>,
    sockets: Vec<OwnedFd>,
    policy: Policy,
    programs: Vec<Program>,
    source: Source,
    audit: Audit,
    walk: bool,
}

impl ProcessBuilder {
    /// A process with no arguments, environment, mounts or limits, at `/`, with this process's
    /// standard streams.
    pub fn new() -> ProcessBuilder {
        ProcessBuilder::default()
    }

    /// The arguments, `argv[0]` first.
    pub fn args(mut self, args: Vec<Vec<u8>>) -> ProcessBuilder {
        self.args = args;
        self
    }

    /// The environment, each entry `KEY=VALUE`.
    pub fn env(mut self, env: Vec<Vec<u8>>) -> ProcessBuilder {
        self.env = env;
        self
    }

    /// The working directory, an absolute guest path.
    pub fn cwd(mut self, cwd: impl Into<String>) -> ProcessBuilder {
        self.cwd = Some(cwd.into());
        self
    }

    /// The standard streams.
    pub fn stdio(mut self, stdio: Stdio) -> ProcessBuilder {
        self.stdio = stdio;
        self
    }

    /// Adds a mount.
    pub fn mount(mut self, mount: Mount) -> ProcessBuilder {
        self.mounts.push(mount);
        self
    }

    /// Adds an open socket (socket activation).
    pub fn socket(mut self, socket: OwnedFd) -> ProcessBuilder {
        self.sockets.push(socket);
        self
    }

    /// What the process may do with paths and descriptors. Memory and time limits are not
    /// enforced here.
    pub fn policy(mut self, policy: Policy) -> ProcessBuilder {
        self.policy = policy;
        self
    }

    /// The installed programs, whose files guests may not change.
    pub fn programs(mut self, programs: Vec<Program>) -> ProcessBuilder {
        self.programs = programs;
        self
    }

    /// Where time and randomness come from.
    pub fn source(mut self, source: Source) -> ProcessBuilder {
        self.source = source;
        self
    }

    /// Where refusals are reported.
    pub fn audit(mut self, audit: Audit) -> ProcessBuilder {
        self.audit = audit;
        self
    }

    /// Resolves paths without `openat2(2)`, as on hosts that lack it. For tests.
    pub fn without_openat2(mut self, without: bool) -> ProcessBuilder {
        self.walk = without;
        self
    }

    /// Makes the process.
    pub fn build(self) -> Result<Process, BuildError> {
        check_strings(&self.args, "argument")?;
        check_strings(&self.env, "environment entry")?;
        if let Some(bad) = self.env.iter().position(|entry| !entry.contains(&b'=')) {
            return Err(BuildError::Environment(bad));
        }
        for list in [&self.args, &self.env] {
            let bytes: usize = list.iter().map(|entry| entry.len() + 1).sum();
            if u32::try_from(bytes).is_err() {
                return Err(BuildError::TooMany(
                    "the arguments or the environment exceed 4 GiB",
                ));
            }
        }
        let cwd = guest_path("working directory", self.cwd.as_deref().unwrap_or("/"))?;

        let mut table = Table::new(self.policy.limits.count(Limit::OpenFiles));
        insert_stdio(&mut table, self.stdio)?;
        let (mut hosts, mut trees) = (Vec::new(), Vec::new());
        for mount in self.mounts {
            match mount {
                Mount::Root(fd) => hosts.push(("/".to_owned(), fd, true)),
                Mount::Directory { guest_path: at, fd } => {
                    hosts.push((guest_path("mount point", &at)?, fd, false));
                }
                Mount::Tree { tree, contents } => trees.push((tree, contents)),
            }
        }
        hosts.sort_by_key(|(_, _, is_root)| !is_root);
        check_mount_points(&hosts, &trees)?;

        let mut resolver = Resolver::new(open_proc(!hosts.is_empty())?, self.walk);
        let (mut bases, mut starts) = (Vec::new(), Vec::new());
        for (guest, fd, is_root) in hosts {
            bases.push(base(&resolver, &guest, &fd, is_root)?);
            starts.push(Arc::new(fd));
        }
        let trees = (0..).zip(trees).map(|(number, (files, contents))| {
            Arc::new(Tree::new(files, contents, tree::DEVICE + number))
        });
        match (bases.first(), starts.first()) {
            (Some(base), Some(root)) if base.is_root => {
                insert_preopen(
                    &mut table,
                    host_folder(root, Scope::Root),
                    Some(&base.guest),
                )?;
                attach_all(&mut resolver, &bases, &starts, trees)?;
            }
            // Without a root nothing holds them together: each is a start of its own.
            _ => {
                for (base, fd) in bases.iter().zip(&starts) {
                    let object = host_folder(fd, Scope::Beneath);
                    insert_preopen(&mut table, object, Some(&base.guest))?;
                }
                for tree in trees {
                    let guest = tree.files.mount.clone();
                    let object = Object::TreeDirectory { tree, node: None };
                    insert_preopen(&mut table, object, Some(&guest))?;
                }
            }
        }
        for socket in self.sockets {
            insert_preopen(&mut table, Object::File(HostFd::Owned(socket)), None)?;
        }
        let guard = Guard::new(&self.policy, self.programs, &bases, self.audit, &|guest| {
            find_in(&resolver, &bases, &starts, guest)
        });
        Ok(Process {
            args: self.args,
            env: self.env,
            cwd,
            files: Files {
                table,
                resolver,
                guard,
                bases,
                starts,
            },
            sources: Sources::new(self.source),
        })
    }
}

fn check_strings(strings: &[Vec<u8>], what: &'static str) -> Result<(), BuildError> {
    match strings.iter().position(|string| string.contains(&0)) {
        Some(number) => Err(BuildError::Nul { what, number }),
        None => Ok(()),
    }
}

fn guest_path(what: &'static str, given: &str) -> Result<String, BuildError> {
    if !given.starts_with('/') || given.contains('\0') {
        let path = given.to_owned();
        return Err(BuildError::Path { what, path });
    }
    Ok(path::normal(given))
}

fn check_mount_points(
    hosts: &[(String, OwnedFd, bool)],
    trees: &[(Arc<FileTree>, Contents)],
) -> Result<(), BuildError> {
    let mut seen: Vec<&str> = Vec::new();
    let hosts = hosts.iter().map(|(guest, ..)| guest.as_str());
    for guest in hosts.chain(trees.iter().map(|(tree, _)| tree.mount.as_str())) {
        guest_path("mount point", guest)?;
        if seen.contains(&guest) {
            return Err(BuildError::Twice(guest.to_owned()));
        }
        seen.push(guest);
    }
    Ok(())
}

fn host_folder(fd: &Arc<OwnedFd>, scope: Scope) -> Object {
    Object::Directory {
        fd: HostFd::Shared(Arc::clone(fd)),
        scope,
        mount: namespace::ROOT,
    }
}

/// Makes everything but the root, which is the first of `bases`, appear in the root.
fn attach_all(
    resolver: &mut Resolver,
    bases: &[Base],
    starts: &[Arc<OwnedFd>],
    trees: impl Iterator<Item = Arc<Tree>>,
) -> Result<(), BuildError> {
    let Some(root) = starts.first() else {
        return Ok(());
    };
    let hosts = (0..).zip(bases.iter().zip(starts)).skip(1);
    let hosts = hosts.map(|(mount, (base, fd))| {
        let target = Target::Host {
            fd: Arc::clone(fd),
            mount,
            real: base.real.clone(),
        };
        (base.guest.clone(), target)
    });
    let trees = trees.map(|tree| (path::normal(&tree.files.mount), Target::Tree(tree)));
    let mut all: Vec<(String, Target)> = hosts.chain(trees).collect();
    // The outer ones first: the inner ones appear in them.
    all.sort_by_key(|(guest, _)| guest.len());
    for (guest, target) in all {
        namespace::attach(resolver, root, &guest, target).map_err(|errno| BuildError::Host {
            doing: format!("making a mount appear at `{guest}` in the root"),
            source: errno.into(),
        })?;
    }
    Ok(())
}

fn insert_stdio(table: &mut Table, stdio: Stdio) -> Result<(), BuildError> {
    let fds = match stdio {
        Stdio::Inherit => [
            HostFd::Inherited(rustix::stdio::stdin()),
            HostFd::Inherited(rustix::stdio::stdout()),
            HostFd::Inherited(rustix::stdio::stderr()),
        ],
        Stdio::Given(fds) => fds.map(HostFd::Owned),
    };
    for fd in fds {
        let mut descriptor = Descriptor::new(Object::File(fd));
        descriptor.is_stdio = true;
        insert(table, descriptor)?;
    }
    Ok(())
}

fn insert_preopen(
    table: &mut Table,
    object: Object,
    preopen: Option<&str>,
) -> Result<(), BuildError> {
    let mut descriptor = Descriptor::new(object);
    descriptor.preopen = preopen.map(str::to_owned);
    insert(table, descriptor)
}

fn insert(table: &mut Table, descriptor: Descriptor) -> Result<(), BuildError> {
    table.insert(descriptor).map(drop).map_err(|_| {
        BuildError::TooMany("open-files-max of the policy is below what is open from the start")
    })
}

/// The folder `/proc`, if it is the host's procfs. Looked at once, before any guest runs: later a
/// guest that owns the root might have put something else there.
fn open_proc(needed: bool) -> Result<Option<OwnedFd>, BuildError> {
    if !needed {
        return Ok(None);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = rustix::fs::open("/proc", flags, Mode::empty())
        .map_err(|errno| BuildError::Procfs(errno.into()))?;
    match special::is_procfs(proc.as_fd()) {
        Ok(true) => Ok(Some(proc)),
        Ok(false) => Err(BuildError::Procfs(io::Error::other("another file system"))),
        Err(errno) => Err(BuildError::Procfs(errno.into())),
    }
}

fn base(resolver: &Resolver, guest: &str, fd: &OwnedFd, is_root: bool) -> Result<Base, BuildError> {
    let host = |doing: &str, errno: rustix::io::Errno| BuildError::Host {
        doing: format!("{doing} the mount at `{guest}`"),
        source: errno.into(),
    };
    let stat = rustix::fs::fstat(fd).map_err(|errno| host("looking at", errno))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(BuildError::NotAFolder(guest.to_owned()));
    }
    let real = resolver
        .real_path(fd.as_fd())
        .map_err(|errno| host("finding the path of", errno))?;
    Ok(Base {
        guest: guest.to_owned(),
        real,
        is_root,
    })
}
