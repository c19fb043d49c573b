//! Objects that processes share by keys and names instead of paths: System V's and POSIX message queues.
//!
//! They belong to a namespace of the host's (`ipc_namespaces(7)`). In a container, and where the vkernel
//! has made namespaces for a run, it is the sandbox's own. In the machine's own one they would lead to
//! what other programs have, which no root and no policy of the sandbox sees; so there are none then.

use std::{io, os::unix::fs::MetadataExt};

use rustix::io::Errno;

use super::{
    call::{Answer, Args, Cx},
    table::{self, pass_on},
};

/// Number of the machine's own namespace (`PROC_IPC_INIT_INO` of `linux/proc_ns.h`).
const MACHINE: u64 = 0xEFFF_FFFF;

/// Where there are none; a note of the table.
pub(super) const NAMESPACE: &str =
    "ENOSYS in the machine's own IPC namespace, which other programs share";

/// Makes a host call, if the sandbox has such objects.
pub(super) fn call(cx: &Cx<'_>, number: i64, waits: bool, host: &Args) -> Answer {
    cx.process.host.ipc.judge(cx, number)?;
    pass_on(cx, number, waits, host)
}

/// What a process may have of them.
#[derive(Debug)]
pub(super) struct Ipc {
    is_own: bool,
}

impl Ipc {
    /// What there is in this process's namespace: nothing if the host does not say which one it is.
    pub(super) fn of_this_process() -> Ipc {
        Ipc::of(std::fs::metadata("/proc/self/ns/ipc").map(|namespace| namespace.ino()))
    }

    fn of(namespace: io::Result<u64>) -> Ipc {
        Ipc {
            is_own: namespace.is_ok_and(|number| number != MACHINE),
        }
    }

    /// ENOSYS, as of a host kernel without such objects, and an event, if there are none.
    pub(super) fn judge(&self, cx: &Cx<'_>, call: i64) -> Result<(), Errno> {
        if self.is_own {
            return Ok(());
        }
        let name = u16::try_from(call).ok().and_then(table::row);
        let program = &cx.process.image.program;
        let reason = "the IPC namespace is the machine's own: start it in a container, or isolated";
        let name = name.map_or("ipc", |row| row.name);
        cx.process
            .host
            .audit
            .refuse(name, program, reason, "ENOSYS");
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
