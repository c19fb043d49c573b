//! What `polybuild run` promises and a host may be unable to keep. Each has a name, by which it is
//! given up explicitly (`--accept-less NAME`); nothing is given up otherwise.

use std::{collections::BTreeSet, str::FromStr};

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

/// The promises that whoever starts a guest gave up, each by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted(BTreeSet<Promise>);

impl Accepted {
    /// Reads the names; an error for one that is no promise's.
    pub fn from_names(names: &[String]) -> Result<Accepted, UnknownPromise> {
        let parsed: Result<_, _> = names.iter().map(|name| name.parse()).collect();
        parsed.map(Accepted)
    }

    /// Whether this one was given up.
    pub fn has(&self, promise: Promise) -> bool {
        self.0.contains(&promise)
    }

    /// For a promise that does not hold: an error unless it was given up. `found` says what the host
    /// has instead, as the beginning of a sentence.
    pub fn require(&self, promise: Promise, found: &str) -> Result<(), Refused> {
        match self.has(promise) {
            true => Ok(()),
            false => Err(Refused::new(promise, found)),
        }
    }
}

/// A promise that does not hold and was not given up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found}; nothing was run, because the promise `{name}` would not hold (it needs {needs}). To \
     run it all the same: --accept-less {name}; then {given_up}",
    name = .promise.name(),
    needs = .promise.needs(),
    given_up = .promise.given_up(),
)]
pub struct Refused {
    promise: Promise,
    found: String,
}

impl Refused {
    /// `found` says what the host has instead, as the beginning of a sentence.
    pub fn new(promise: Promise, found: &str) -> Refused {
        Refused {
            promise,
            found: found.to_owned(),
        }
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

    #[test]
    fn what_was_given_up_by_name_and_nothing_else_is_not_required() {
        let names = ["landlock-scopes".to_owned(), "mdwe".to_owned()];
        let accepted = Accepted::from_names(&names).unwrap();
        for promise in Promise::ALL {
            let given_up = names.iter().any(|name| name == promise.name());
            assert_eq!(accepted.has(promise), given_up);
            match accepted.require(promise, "It is off") {
                Ok(()) => assert!(given_up, "{promise:?}"),
                Err(error) => {
                    let text = error.to_string();
                    assert!(
                        !given_up && text.starts_with("It is off; nothing was run"),
                        "{text}"
                    );
                    let way_out = format!("--accept-less {};", promise.name());
                    assert!(text.contains(&way_out), "{text}");
                }
            }
        }
        assert!(Accepted::from_names(&["none".to_owned()]).is_err());
        assert_eq!(Accepted::from_names(&[]), Ok(Accepted::default()));
    }
}
