//! What this launcher puts around a guest that has no container: namespaces and a root of its own
//! (`vkernel_sandbox`), fewer capabilities, and the decision whether what the host could do is enough.
//!
//! Invariant: where a promise does not hold, nothing is run, unless the operator gave it up by name.
//! Nothing of that can be said by the environment, which an image may set.

use std::path::PathBuf;

use megabinary_format::Policy;
use vkernel_kernel::confine::{self, Confinement, Directories, Layer, Surface};
use vkernel_sandbox::{
    Accepted, Error, Promise, Refused, capabilities, namespaces,
    root::{self, Base, Folder, Guarded, Plan},
    supervise,
};

use crate::{
    command_line::{DirMapping, Direct, Start},
    failure::Failure,
};

/// What the first process of a namespace still calls, besides what every process may.
const FIRST_PROCESS: &[i64] = &[libc::SYS_wait4, libc::SYS_rt_sigtimedwait];

/// An error if what is in force around a guest without a container is less than what is promised.
pub(crate) fn check(accepted: &Accepted, confinement: &Confinement) -> Result<(), Refused> {
    if confinement.mdwe != Layer::InForce {
        accepted.require(Promise::Mdwe, &format!("MDWE is {}", confinement.mdwe))?;
    }
    let found = || format!("Landlock is {}", confinement.landlock);
    match &confinement.landlock {
        Layer::InForce => Ok(()),
        // Everything but the newest: rights to files came before the scopes did.
        Layer::Partial(_) => accepted.require(Promise::LandlockScopes, &found()),
        Layer::Absent(_) => accepted.require(Promise::Landlock, &found()),
    }
}

/// Puts the policy's TCP ports into force with the host kernel too.
#[cfg(feature = "linux")]
pub(crate) fn limit_ports(
    accepted: &Accepted,
    policy: &Policy,
    outside: bool,
) -> Result<(), Refused> {
    match confine::limit_ports(policy.network.as_deref()) {
        Layer::InForce => Ok(()),
        // A container's engine answers for its network.
        _ if !outside => Ok(()),
        layer => accepted.require(
            Promise::LandlockNetwork,
            &format!("Landlock's rules for ports are {layer}"),
        ),
    }
}

/// What a step's failure means: the host cannot, or what the operator named is not there.
fn missing(error: Error) -> Failure {
    use std::io::ErrorKind as K;
    if matches!(
        error.source.kind(),
        K::NotFound | K::NotADirectory | K::InvalidFilename
    ) {
        return Failure::new(error.to_string());
    }
    Refused::new(Promise::Namespaces, &error.to_string()).into()
}

fn unkept(error: Error) -> Failure {
    Failure::new(error.to_string())
}

/// Gives the guest namespaces and a root of its own, if that was asked for; then only the guest's
/// process comes back, and `direct` says what it finds in its new root. Whether it is in one.
pub(crate) fn enter(
    direct: &mut Direct,
    accepted: &Accepted,
    policy: &Policy,
) -> Result<bool, Failure> {
    if !direct.isolate || matches!(direct.start, Start::Info) {
        return Ok(false);
    }
    if accepted.has(Promise::Namespaces) {
        if direct.fresh {
            return Err(Failure::new(
                "without namespaces there is no root of a run's own: give a folder whose contents \
                 stay with --root, without --fresh (polybuild run: --keep DIR)",
            ));
        }
        return Ok(false);
    }
    namespaces::gain_rights().map_err(missing)?;
    supervise::enter(|| {
        let nothing = Directories::default();
        confine::apply(Surface::Wasi, &[FIRST_PROCESS], Some(&nothing))
            .map(drop)
            .map_err(|error| error.to_string())
    })
    .map_err(missing)?;
    let no_network = policy.network.as_ref().is_some_and(Vec::is_empty);
    namespaces::enter_others(no_network).map_err(missing)?;
    // Bare WASI modules have a start for each folder, and no root that holds them together.
    let rooted = direct.root.is_some() || direct.fresh;
    let places: Vec<Vec<u8>> = match rooted {
        true => direct.dirs.iter().map(|dir| dir.guest.clone()).collect(),
        false => (0..direct.dirs.len()).map(place).collect(),
    };
    let given_root = direct.root.take();
    let base = match (&given_root, direct.fresh) {
        (Some(root), true) => Base::Fresh(root),
        (Some(root), false) => Base::Kept(root),
        (None, _) => Base::Empty,
    };
    let folders: Vec<Folder<'_>> = direct
        .dirs
        .iter()
        .zip(&places)
        .map(|(dir, guest)| Folder {
            host: &dir.host,
            guest,
        })
        .collect();
    root::enter(&Plan {
        base,
        folders: &folders,
        guarded: &match rooted {
            true => guarded(policy),
            false => guarded_in_folders(policy, &direct.dirs),
        },
        make_usual: direct.fresh || given_root.is_none(),
    })
    .map_err(missing)?;
    capabilities::keep_to_root().map_err(unkept)?;
    match rooted {
        // They are in the root.
        true => {
            direct.root = Some(PathBuf::from("/"));
            direct.dirs.clear();
        }
        false => {
            for (number, dir) in direct.dirs.iter_mut().enumerate() {
                dir.host = PathBuf::from(String::from_utf8_lossy(&place(number)).into_owned());
            }
        }
    }
    Ok(true)
}

/// Where a folder of a bare module is in its new root.
fn place(number: usize) -> Vec<u8> {
    format!("/{number}").into_bytes()
}

/// A root without the other namespaces, for guests that are one process's: `--root` alone.
#[cfg(feature = "linux")]
pub(crate) fn enter_root(
    root: &std::path::Path,
    dirs: &[DirMapping],
    accepted: &Accepted,
    policy: &Policy,
) -> Result<(), Failure> {
    if accepted.has(Promise::Namespaces) {
        if !dirs.is_empty() {
            return Err(Failure::new(
                "--dir needs a mount namespace for programs with Linux system calls, and \
                 --accept-less namespaces does without",
            ));
        }
        rustix::process::chdir(root)
            .and_then(|()| rustix::process::chroot("."))
            .map_err(|errno| {
                Failure::new(format!(
                    "making {} the root directory: {errno}; this needs CAP_SYS_CHROOT",
                    root.display()
                ))
            })?;
        return capabilities::keep_to_root().map_err(unkept);
    }
    namespaces::gain_rights().map_err(missing)?;
    namespaces::enter_mounts().map_err(missing)?;
    let folders: Vec<Folder<'_>> = dirs
        .iter()
        .map(|dir| Folder {
            host: &dir.host,
            guest: &dir.guest,
        })
        .collect();
    root::enter(&Plan {
        base: Base::Kept(root),
        folders: &folders,
        guarded: &guarded(policy),
        make_usual: false,
    })
    .map_err(missing)?;
    capabilities::keep_to_root().map_err(unkept)
}

fn guarded(policy: &Policy) -> Guarded {
    let bytes = |paths: &[String]| paths.iter().map(|path| path.clone().into_bytes()).collect();
    Guarded {
        hidden: bytes(&policy.hidden),
        read_only: bytes(&policy.read_only),
        all_read_only: policy.read_only_root,
    }
}

/// The same, where each folder is at a place of its own.
fn guarded_in_folders(policy: &Policy, dirs: &[DirMapping]) -> Guarded {
    let at = |path: &String| {
        let inside = |guest: &[u8]| -> Option<Vec<u8>> {
            let guest = guest.strip_suffix(b"/").unwrap_or(guest);
            let rest = path.as_bytes().strip_prefix(guest)?;
            (rest.is_empty() || rest.starts_with(b"/")).then(|| rest.to_vec())
        };
        // The innermost one, as the vkernel takes it.
        let found = dirs
            .iter()
            .enumerate()
            .filter_map(|(number, dir)| Some((dir.guest.len(), number, inside(&dir.guest)?)));
        let (_, number, rest) = found.max()?;
        Some([place(number), rest].concat())
    };
    Guarded {
        hidden: policy.hidden.iter().filter_map(at).collect(),
        read_only: policy.read_only.iter().filter_map(at).collect(),
        // The vkernel's word for "the root" is a root; a bare module has none.
        all_read_only: false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a failed unwrap is a failed test, with its line"
    )]

    use super::*;

    fn found(mdwe: Layer, landlock: Layer) -> Confinement {
        Confinement {
            mdwe,
            landlock,
            filter_len: 1,
        }
    }

    /// What is refused names the promise; giving up that one, and no other, lets it pass.
    #[test]
    fn less_than_what_is_promised_needs_its_name() {
        let absent = || Layer::Absent("off".into());
        for (confinement, wanting) in [
            (found(absent(), Layer::InForce), Promise::Mdwe),
            (found(Layer::InForce, absent()), Promise::Landlock),
            (
                found(Layer::InForce, Layer::Partial("no scopes".into())),
                Promise::LandlockScopes,
            ),
        ] {
            for given_up in Promise::ALL {
                let accepted = Accepted::from_names(&[given_up.name().into()]).unwrap();
                let passed = check(&accepted, &confinement).is_ok();
                assert_eq!(passed, given_up == wanting, "{confinement:?} {given_up:?}");
            }
            let error = check(&Accepted::default(), &confinement).unwrap_err();
            let way_out = format!("--accept-less {};", wanting.name());
            assert!(error.to_string().contains(&way_out), "{error}");
        }
        let whole = found(Layer::InForce, Layer::InForce);
        assert!(check(&Accepted::default(), &whole).is_ok());
    }

    /// Paths of a policy are put into the folder that holds them, which is the innermost.
    #[test]
    fn paths_of_a_policy_in_the_folders_of_a_bare_module() {
        let dirs: Vec<DirMapping> = ["/", "/data", "/data/in/", "/datax"]
            .map(|guest| DirMapping {
                host: "/host".into(),
                guest: guest.into(),
            })
            .into();
        for (path, expected) in [
            ("/etc/x", "/0/etc/x"),
            ("/data", "/1"),
            ("/data/a", "/1/a"),
            ("/data/in", "/2"),
            ("/data/in/a", "/2/a"),
            ("/data/inner", "/1/inner"),
            ("/datax/a", "/3/a"),
            ("/datay", "/0/datay"),
        ] {
            let policy = Policy {
                hidden: vec![path.into()],
                read_only_root: true,
                ..Policy::default()
            };
            let guarded = guarded_in_folders(&policy, &dirs);
            assert_eq!(guarded.hidden, [expected.as_bytes()], "{path}");
            assert!(guarded.read_only.is_empty() && !guarded.all_read_only);
            // What is in no folder is nowhere.
            let none = guarded_in_folders(&policy, &dirs[1..2]);
            let inside = path.starts_with("/data/") || path == "/data";
            assert_eq!(none.hidden.len(), usize::from(inside), "{path}");
        }
    }
}
