//! What a guest's process keeps of its capabilities (capabilities(7)), in the user namespace that it
//! is in.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use crate::{Doing, Error};

/// What concerns files of the root and the process's own ids. Not device nodes, mounts, other
/// processes, the network's configuration or the machine.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// Gives up all capabilities of this thread but those that concern files of its root and its own ids.
/// Call it while the process has one thread, after the root was entered.
pub fn keep_to_root() -> Result<(), Error> {
    capabilities(None)
        .and_then(|now| set_capabilities(None, kept(&now)))
        .doing(|| "giving up capabilities of the host".into())
}

/// Never more than there is now; nothing is passed on through `execve`.
fn kept(now: &CapabilitySets) -> CapabilitySets {
    CapabilitySets {
        effective: now.effective & KEPT,
        permitted: now.permitted & KEPT,
        inheritable: CapabilitySet::empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_reaches_beyond_the_root_is_kept() {
        let all = CapabilitySets {
            effective: CapabilitySet::all(),
            permitted: CapabilitySet::all(),
            inheritable: CapabilitySet::all(),
        };
        let left = kept(&all);
        assert_eq!((left.effective, left.permitted), (KEPT, KEPT));
        assert!(left.inheritable.is_empty());
        for lost in [
            CapabilitySet::SYS_ADMIN,
            CapabilitySet::SYS_CHROOT,
            CapabilitySet::SYS_PTRACE,
            CapabilitySet::SYS_MODULE,
            CapabilitySet::SYS_RAWIO,
            CapabilitySet::NET_ADMIN,
            CapabilitySet::NET_RAW,
            CapabilitySet::MKNOD,
            CapabilitySet::KILL,
            CapabilitySet::SETPCAP,
            CapabilitySet::SETFCAP,
            CapabilitySet::DAC_READ_SEARCH,
        ] {
            assert!(!left.permitted.contains(lost), "{lost:?}");
        }
    }

    #[test]
    fn nothing_is_gained() {
        let few = CapabilitySets {
            effective: CapabilitySet::CHOWN,
            permitted: CapabilitySet::CHOWN | CapabilitySet::SETUID | CapabilitySet::SYS_ADMIN,
            inheritable: CapabilitySet::CHOWN,
        };
        let left = kept(&few);
        assert_eq!(left.effective, CapabilitySet::CHOWN);
        assert_eq!(left.permitted, CapabilitySet::CHOWN | CapabilitySet::SETUID);
    }
}
