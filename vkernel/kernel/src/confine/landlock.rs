//! Landlock: a second lock on execution, and on files outside given directories.
//!
//! A ruleset that handles "execute" and grants it nowhere makes the host kernel refuse every
//! execution, independently of the seccomp filter. One trap is avoided here: any ruleset at all
//! also forbids to rename or link across directories unless it handles "refer" and grants it
//! (Documentation/userspace-api/landlock.rst, "File renaming and linking"), which a guest would
//! see as EXDEV from an ordinary rename. Kernels that know no "refer" (before 5.19) are therefore
//! left without Landlock rather than with a broken rename; the outcome says so.
//!
//! Descriptors that are open already are not affected.

use std::{collections::BTreeSet, path::PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath,
    PathFd, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use megabinary_format::NetworkRule;

use super::{Layer, sys};

/// The newest interface whose rights are asked for; older kernels give what they have.
const NEWEST: ABI = ABI::V6;

/// The only parts of the file system that can be reached by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directories {
    /// Read only.
    pub read_only: Vec<PathBuf>,
    /// Read and write.
    pub read_write: Vec<PathBuf>,
}

/// Restricts the calling thread as far as the host kernel can.
pub(super) fn apply(directories: Option<&Directories>) -> Layer {
    if directories.is_some_and(|d| d.read_only.is_empty() && d.read_write.is_empty())
        && sys::landlock_all(
            AccessFs::from_all(NEWEST).bits(),
            Scope::from_all(NEWEST).bits(),
        )
        .is_ok()
    {
        // The common case, at a third of the cost. If the host kernel is too old for all rights,
        // what follows finds out what it has.
        return Layer::InForce;
    }
    let status = match directories {
        None => no_execution(),
        Some(directories) => only(directories),
    };
    layer(status)
}

fn layer(status: Outcome) -> Layer {
    match status {
        Err(e) => Layer::Absent(describe(&*e)),
        Ok(status) => match status.ruleset {
            RulesetStatus::FullyEnforced => Layer::InForce,
            RulesetStatus::PartiallyEnforced => {
                Layer::Partial(format!("what the host kernel has: {:?}", status.landlock))
            }
            RulesetStatus::NotEnforced => Layer::Absent(format!("{:?}", status.landlock)),
        },
    }
}

/// Rules for more ports than these would cost every start too much: then the vkernel's own judgement
/// is the only one, as it is for addresses and for everything but TCP.
const MOST_PORTS: usize = 4096;

/// Restricts the calling thread to the TCP ports of a network policy, as far as the host kernel can:
/// to connect to and to bind. `None` is a policy that allows everything.
///
/// A ruleset of its own: those of [`super::apply`] come on top of it.
pub fn limit_ports(network: Option<&[NetworkRule]>) -> Layer {
    let Some(ports) = network.and_then(ports) else {
        return Layer::InForce;
    };
    layer(only_ports(&ports))
}

/// The ports of some rule; `None` if there are too many to list.
fn ports(rules: &[NetworkRule]) -> Option<BTreeSet<u16>> {
    let mut all = BTreeSet::new();
    for rule in rules {
        let ports = rule.ports();
        if ports.len() + all.len() > MOST_PORTS {
            return None;
        }
        all.extend(ports);
    }
    Some(all)
}

fn only_ports(ports: &BTreeSet<u16>) -> Outcome {
    let all = AccessNet::BindTcp | AccessNet::ConnectTcp;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(all)?
        .create()?;
    for port in ports {
        rules = rules.add_rule(NetPort::new(*port, all))?;
    }
    // To bind "no port in particular" is allowed wherever there is a network at all.
    if !ports.is_empty() && !ports.contains(&0) {
        rules = rules.add_rule(NetPort::new(0, AccessNet::BindTcp))?;
    }
    Ok(rules.restrict_self()?)
}

type Outcome = Result<RestrictionStatus, Box<dyn std::error::Error>>;

fn no_execution() -> Outcome {
    Ok(base()?
        .create()?
        .add_rule(PathBeneath::new(PathFd::new("/")?, AccessFs::Refer))?
        .restrict_self()?)
}

fn only(directories: &Directories) -> Outcome {
    let execute: BitFlags<AccessFs> = AccessFs::Execute.into();
    let read = AccessFs::from_read(NEWEST) & !execute;
    let all = AccessFs::from_all(NEWEST) & !execute;
    let mut rules = base()?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        // Outside of a container nothing else keeps a guest from signalling other processes.
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for (paths, access) in [
        (&directories.read_only, read),
        (&directories.read_write, all),
    ] {
        for path in paths {
            rules = rules.add_rule(PathBeneath::new(PathFd::new(path)?, access))?;
        }
    }
    Ok(rules.restrict_self()?)
}

/// What has to be there for Landlock to be used at all.
fn base() -> Result<Ruleset, landlock::RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Execute | AccessFs::Refer)
}

/// An error with its causes, which is where the host kernel's answer is.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let more = e.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = e.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{fs, io, os::unix::process::CommandExt, path::Path, process::Command};

    use super::{
        super::testing::{End, check},
        *,
    };

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("vkernel-{name}-{}", std::process::id()));
        fs::create_dir_all(dir.join("a")).unwrap();
        fs::create_dir_all(dir.join("b")).unwrap();
        fs::write(dir.join("a/f"), "x").unwrap();
        dir
    }

    fn kind<T>(result: io::Result<T>) -> Option<i32> {
        result.err().and_then(|e| e.raw_os_error())
    }

    /// Landlock alone, without the filter that would kill first.
    #[test]
    fn nothing_can_be_executed_and_renames_work() {
        let dir = folder("landlock");
        check(
            || {
                assert_eq!(apply(None), Layer::InForce);
                let error = Command::new("/bin/true").exec();
                assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{error}");
                fs::rename(dir.join("a/f"), dir.join("b/f")).unwrap();
                fs::hard_link(dir.join("b/f"), dir.join("a/g")).unwrap();
                fs::read(Path::new("/etc/passwd")).unwrap();
                0
            },
            End::Exit(0),
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn no_directories_at_all() {
        let dir = folder("landlock-none");
        check(
            || {
                assert_eq!(apply(Some(&Directories::default())), Layer::InForce);
                let error = Command::new("/bin/true").exec();
                assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{error}");
                assert_eq!(kind(fs::read("/etc/passwd")), Some(libc::EACCES));
                assert_eq!(kind(fs::read(dir.join("a/f"))), Some(libc::EACCES));
                assert_eq!(kind(fs::read_dir("/")), Some(libc::EACCES));
                assert_eq!(kind(fs::write(dir.join("b/n"), "y")), Some(libc::EACCES));
                assert_eq!(kind(fs::remove_file(dir.join("a/f"))), Some(libc::EACCES));
                0
            },
            End::Exit(0),
        );
        fs::remove_dir_all(dir).unwrap();
    }

    /// The short way asks for the same rights, and is refused by kernels that lack one.
    #[test]
    fn unknown_rights_are_refused() {
        check(
            || {
                sys::set_no_new_privs().unwrap();
                assert_eq!(kind(sys::landlock_all(1 << 63, 0)), Some(libc::EINVAL));
                assert_eq!(kind(sys::landlock_all(1, 1 << 63)), Some(libc::EINVAL));
                let scopes = Scope::from_all(NEWEST).bits();
                sys::landlock_all(AccessFs::from_all(NEWEST).bits(), scopes).unwrap();
                0
            },
            End::Exit(0),
        );
    }

    /// Without folders and without rules for them, the scopes hold too.
    #[test]
    fn no_signals_to_processes_outside() {
        check(
            || {
                let outside = rustix::process::getppid().unwrap();
                rustix::process::test_kill_process(outside).unwrap();
                assert_eq!(apply(Some(&Directories::default())), Layer::InForce);
                let result = rustix::process::test_kill_process(outside);
                assert_eq!(result, Err(rustix::io::Errno::PERM));
                rustix::process::test_kill_process(rustix::process::getpid()).unwrap();
                0
            },
            End::Exit(0),
        );
    }

    /// What a connection to a port of the machine gives.
    fn connect(port: u16) -> Option<i32> {
        kind(std::net::TcpStream::connect(("127.0.0.1", port)))
    }

    fn bind(port: u16) -> Option<i32> {
        kind(std::net::TcpListener::bind(("127.0.0.1", port)))
    }

    fn check_ports(rules: &[&str], act: impl FnOnce()) {
        let rules: Vec<NetworkRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        check(
            || {
                assert_eq!(limit_ports(Some(&rules)), Layer::InForce);
                act();
                0
            },
            End::Exit(0),
        );
    }

    #[test]
    fn ports_of_the_policy_alone() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let other = if port == 40_000 { 40_001 } else { 40_000 };
        check_ports(&[], || {
            assert_eq!(connect(port), Some(libc::EACCES));
            assert_eq!(bind(0), Some(libc::EACCES));
        });
        check_ports(&[&format!("127.0.0.1:{port}")], || {
            assert_eq!(connect(port), None);
            assert_eq!(connect(other), Some(libc::EACCES));
            assert_eq!(bind(port), Some(libc::EADDRINUSE));
            assert_eq!(bind(other), Some(libc::EACCES));
            assert_eq!(bind(0), None);
        });
        // All ports: nothing to list.
        check_ports(&["127.0.0.0/8"], || assert_eq!(connect(port), None));
        check(
            || {
                assert_eq!(limit_ports(None), Layer::InForce);
                assert_eq!(connect(port), None);
                0
            },
            End::Exit(0),
        );
    }

    #[test]
    fn only_the_directories() {
        let dir = folder("landlock-only");
        let given = Directories {
            read_only: vec![dir.join("a")],
            read_write: vec![dir.join("b")],
        };
        check(
            || {
                assert_eq!(apply(Some(&given)), Layer::InForce);
                assert_eq!(fs::read(dir.join("a/f")).unwrap(), b"x");
                assert_eq!(kind(fs::write(dir.join("a/f"), "y")), Some(libc::EACCES));
                assert_eq!(kind(fs::read("/etc/passwd")), Some(libc::EACCES));
                assert_eq!(
                    kind(fs::read(dir.join("a/../../../etc/passwd"))),
                    Some(libc::EACCES)
                );
                fs::create_dir(dir.join("b/c")).unwrap();
                fs::write(dir.join("b/f"), "y").unwrap();
                fs::rename(dir.join("b/f"), dir.join("b/c/f")).unwrap();
                0
            },
            End::Exit(0),
        );
        fs::remove_dir_all(dir).unwrap();
    }
}
