//! A resource limit that is the guest's alone (getrlimit(2)). The vkernel lives in the same host process
//! and needs memory to serve the guest: what is a limit for one of them must not be one for the other.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit},
};

/// A soft and a hard limit.
#[derive(Debug)]
pub(crate) struct Bound {
    soft: AtomicU64,
    hard: AtomicU64,
}

impl Bound {
    /// What the host has for the process.
    pub(crate) fn of_host(resource: Resource) -> Bound {
        Bound::from(getrlimit(resource))
    }

    pub(crate) fn soft(&self) -> u64 {
        self.soft.load(Ordering::SeqCst)
    }

    /// Soft and hard.
    pub(crate) fn both(&self) -> [u64; 2] {
        [self.soft(), self.hard.load(Ordering::SeqCst)]
    }

    /// EINVAL if the soft one is above the hard one, EPERM if that is raised.
    pub(crate) fn check(&self, [soft, hard]: [u64; 2]) -> Result<(), Errno> {
        match (soft > hard, hard > self.both()[1]) {
            (true, _) => Err(Errno::INVAL),
            (_, true) => Err(Errno::PERM),
            _ => Ok(()),
        }
    }

    /// Sets what [`Bound::check`] has found good.
    pub(crate) fn set(&self, [soft, hard]: [u64; 2]) {
        self.soft.store(soft, Ordering::SeqCst);
        self.hard.store(hard, Ordering::SeqCst);
    }
}

impl From<Rlimit> for Bound {
    fn from(limits: Rlimit) -> Bound {
        Bound {
            soft: AtomicU64::new(limits.current.unwrap_or(u64::MAX)),
            hard: AtomicU64::new(limits.maximum.unwrap_or(u64::MAX)),
        }
    }
}
