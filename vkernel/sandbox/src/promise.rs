//! What `polybuild run` promises and a host may be unable to keep. Each has a name, by which it is
//! given up explicitly (`--accept-less NAME`); nothing is given up otherwise.

use std::str::FromStr;

/// A promise that needs something of the host kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Namespaces of processes, IPC, host name and mounts, and so a root of the run's own.
    Namespaces,
    /// Landlock: a second lock on files and on execution.
    Landlock,
    /// Landlock's scopes: no signals to and no abstract sockets of processes outside.
    LandlockScopes,
    /// Landlock's rules for TCP ports: a second lock on a `network` policy.
    LandlockNetwork,
    /// `PR_SET_MDWE`: a second lock on executable memory.
    Mdwe,
}

impl Promise {
    /// All of them.
    pub const ALL: [Promise; 5] = [
        Promise::Namespaces,
        Promise::Landlock,
        Promise::LandlockScopes,
        Promise::LandlockNetwork,
        Promise::Mdwe,
    ];

    /// The name for options and messages.
    pub fn name(self) -> &'static str {
        match self {
            Promise::Namespaces => "namespaces",
            Promise::Landlock => "landlock",
            Promise::LandlockScopes => "landlock-scopes",
            Promise::LandlockNetwork => "landlock-network",
            Promise::Mdwe => "mdwe",
        }
    }

    /// What the host needs for it.
    pub fn needs(self) -> &'static str {
        match self {
            Promise::Namespaces => "CAP_SYS_ADMIN, or user namespaces that this user may make",
            Promise::Landlock => "Linux 6.2 with Landlock among its security modules",
            Promise::LandlockScopes => "Linux 6.12 with Landlock",
            Promise::LandlockNetwork => "Linux 6.7 with Landlock",
            Promise::Mdwe => "Linux 6.3",
        }
    }

    /// What who accepts less gives up.
    pub fn given_up(self) -> &'static str {
        match self {
            Promise::Namespaces => {
                "the program is in the machine's own namespaces: a taken-over one can name the \
                 machine's processes and mounts, and nothing is hidden by mounts"
            }
            Promise::Landlock => {
                "a taken-over program is kept to its folders by its root alone, and can signal \
                 processes of the same user that it can name"
            }
            Promise::LandlockScopes => {
                "a taken-over program can signal processes of its process group, and connect to \
                 abstract sockets of its network namespace"
            }
            Promise::LandlockNetwork => {
                "the vkernel alone keeps the program to the policy's TCP ports"
            }
            Promise::Mdwe => "the seccomp filter alone keeps memory from becoming executable",
        }
    }
}

/// A name that is no promise's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no promise `{0}` to give up; there are namespaces, landlock, landlock-scopes, \
     landlock-network, mdwe"
)]
pub struct UnknownPromise(pub String);

impl FromStr for Promise {
    type Err = UnknownPromise;

    fn from_str(name: &str) -> Result<Promise, UnknownPromise> {
        Promise::ALL
            .into_iter()
            .find(|promise| promise.name() == name)
            .ok_or_else(|| UnknownPromise(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_the_error_has_them_all() {
        for promise in Promise::ALL {
            assert_eq!(promise.name().parse(), Ok(promise));
            let error = "all".parse::<Promise>().unwrap_err().to_string();
            assert!(error.contains(promise.name()), "{error}");
        }
    }
}
