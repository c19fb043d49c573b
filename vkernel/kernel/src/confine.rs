//! Layer 4 of "no executable memory": what the host kernel enforces on the vkernel itself, applied
//! by the launcher before the guest's first instruction.
//!
//! For: a process that can, from here on, neither make memory executable, nor execute a file, nor
//! make a host call outside the list that its image needs, even if the guest took the vkernel
//! over. Not for: the file system's confinement (paths resolve inside the root in `fs`), nor for
//! cgroups and namespaces, which are the container engine's.
//!
//! Order, and why: `no_new_privs` first, since unprivileged seccomp and Landlock demand it; then
//! `PR_SET_MDWE`; then Landlock, whose calls the filter does not let through; the seccomp filter
//! last, because nothing after it may still need a call that it refuses.
//!
//! Invariant: [`apply`] either puts `no_new_privs` and the filter in force or fails; what older
//! host kernels lack (MDWE before 6.3, Landlock before 5.19) is reported in [`Confinement`], never
//! passed over in silence. Nothing here can be undone: restrictions hold until the process ends
//! and are inherited by its children.
//!
//! Host architecture: x86-64.

mod bpf;
mod calls;
pub mod files;
mod filter;
mod landlock;
pub mod stack;
mod sys;
#[cfg(test)]
mod testing;

use std::{fmt, io};

pub use calls::{RUNTIME, Surface};
pub use filter::{Filter, FilterError};
pub use landlock::{Directories, limit_ports};

/// What is in force in this process after [`apply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// `PR_SET_MDWE`: the host kernel itself refuses to make memory executable.
    pub mdwe: Layer,
    /// Landlock: nothing can be executed, and files outside the given directories are out of
    /// reach.
    pub landlock: Layer,
    /// Length of the seccomp filter in BPF instructions.
    pub filter_len: usize,
}

/// Whether a layer of [`Confinement`] is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// All of it.
    InForce,
    /// Some of it: what the host kernel offers.
    Partial(String),
    /// Nothing of it, and why.
    Absent(String),
}

/// Why the process could not be confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// `PR_SET_NO_NEW_PRIVS` failed.
    #[error("cannot set no_new_privs: {0}")]
    NoNewPrivs(#[source] io::Error),
    /// `PR_SET_MDWE` failed on a kernel that has it.
    #[error("cannot set MDWE: {0}")]
    Mdwe(#[source] io::Error),
    /// The process runs with READ_IMPLIES_EXEC and it cannot be cleared.
    #[error(
        "the host started this process so that every readable page is executable \
         (READ_IMPLIES_EXEC, setarch -X), and that cannot be undone: {0}"
    )]
    ReadImpliesExec(#[source] io::Error),
    /// The list of host calls is wrong.
    #[error("cannot build the seccomp filter: {0}")]
    Filter(#[from] FilterError),
    /// The filter was not accepted.
    #[error(
        "the host kernel did not accept the seccomp filter (is CONFIG_SECCOMP_FILTER on?): {0}"
    )]
    Seccomp(#[source] io::Error),
}

/// Confines the calling process for good.
///
/// `surface` is the kind of guest. `calls` are slices of host system call numbers that may be made in addition to [`RUNTIME`]:
/// those behind the personality functions that the image's modules import. A number that is
/// always fatal or unknown is an error. `directories` additionally limits which files can be
/// opened by path, for runs outside a container; descriptors already open stay usable.
///
/// Call it while the process has one thread: Landlock covers the calling thread and its future
/// children only (the filter is put on all threads).
pub fn apply(
    surface: Surface,
    calls: &[&[i64]],
    directories: Option<&Directories>,
) -> Result<Confinement, ConfineError> {
    let filter = Filter::build(surface, calls)?;
    sys::clear_read_implies_exec().map_err(ConfineError::ReadImpliesExec)?;
    sys::set_no_new_privs().map_err(ConfineError::NoNewPrivs)?;
    let mdwe = match sys::set_mdwe() {
        Ok(()) => Layer::InForce,
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
            Layer::Absent("the host kernel is older than 6.3".into())
        }
        Err(e) => return Err(ConfineError::Mdwe(e)),
    };
    let landlock = landlock::apply(directories);
    sys::install(filter.program()).map_err(ConfineError::Seccomp)?;
    Ok(Confinement {
        mdwe,
        landlock,
        filter_len: filter.program().len(),
    })
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layer::InForce => f.write_str("in force"),
            Layer::Partial(what) => write!(f, "partly in force ({what})"),
            Layer::Absent(why) => write!(f, "absent ({why})"),
        }
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no_new_privs: in force; seccomp: in force ({} instructions); MDWE: {}; Landlock: {}",
            self.filter_len, self.mdwe, self.landlock
        )
    }
}
