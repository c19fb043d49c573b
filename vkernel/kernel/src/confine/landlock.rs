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

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
};

use super::Layer;

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
    let status = match directories {
        None => no_execution(),
        Some(directories) => only(directories),
    };
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
