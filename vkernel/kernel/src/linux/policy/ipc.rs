//! Objects that processes share by keys and names instead of paths: System V's and POSIX message queues.
//!
//! They belong to a namespace of the host's (`ipc_namespaces(7)`). In a container, and where the vkernel
//! has made namespaces for a run, it is the sandbox's own. In the machine's own one they would lead to
//! what other programs have, which no root and no policy of the sandbox sees; so there are none then.

use std::{io, os::unix::fs::MetadataExt};

use super::super::syscall::Errno;
use crate::audit::Audit;

/// Number of the machine's own namespace (`PROC_IPC_INIT_INO` of `linux/proc_ns.h`).
const MACHINE: u64 = 0xEFFF_FFFF;

/// What a process may have of them.
#[derive(Debug)]
pub(crate) struct Ipc {
    is_own: bool,
}

impl Ipc {
    /// What there is in this process's namespace: nothing if the host does not say which one it is.
    pub(crate) fn of_this_process() -> Ipc {
        Ipc::of(std::fs::metadata("/proc/self/ns/ipc").map(|namespace| namespace.ino()))
    }

    fn of(namespace: io::Result<u64>) -> Ipc {
        Ipc {
            is_own: namespace.is_ok_and(|number| number != MACHINE),
        }
    }

    /// ENOSYS, as of a host kernel without such objects, and an event, if there are none.
    pub(crate) fn judge(&self, audit: &Audit, call: &str, program: &[u8]) -> Result<(), Errno> {
        if self.is_own {
            return Ok(());
        }
        let reason = "the IPC namespace is the machine's own: start it in a container, or isolated";
        audit.refuse(call, program, reason, "ENOSYS");
        Err(Errno::NOSYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_in_a_namespace_that_is_known_not_to_be_the_machines() {
        assert!(Ipc::of(Ok(MACHINE + 1)).is_own);
        assert!(!Ipc::of(Ok(MACHINE)).is_own);
        assert!(!Ipc::of(Err(io::ErrorKind::NotFound.into())).is_own);
    }
}
