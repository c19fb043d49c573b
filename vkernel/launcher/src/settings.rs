//! The `VKERNEL_*` environment variables. None of them ever reaches a guest.
//!
//! In a container nobody can tell an operator's variable from an image's. So none of them can take
//! anything away from what holds without it: `VKERNEL_POLICY` only narrows, `VKERNEL_VERIFY` and
//! `VKERNEL_KEY` only demand more, and what would accept less is an option of the command line, which
//! images started through stubs have none of. `VKERNEL_AUDIT` names where events go: an operator's own
//! setting replaces an image's (`docker run -e`), and an image's names at most a file that the image's
//! own user may append to, never one of procfs and its like (`audit::config`).

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use megabinary_format::PublicKey;
use vkernel_kernel::audit::{self, Audit};

use crate::failure::{self, Failure};

/// `full`: hash all segments before anything runs.
const VERIFY: &str = "VKERNEL_VERIFY";
/// A minisign public key that must have signed the index.
const KEY: &str = "VKERNEL_KEY";
/// What the policy is to allow less than the image's own.
const POLICY: &str = "VKERNEL_POLICY";
/// Names that start like this are ours.
const PREFIX: &[u8] = b"VKERNEL_";
/// All of ours that there are.
const NAMES: [&str; 4] = [audit::ENV, VERIFY, KEY, POLICY];

/// The descriptor that the audit is to be written to, if it is one that this process was started with.
pub(crate) fn audit_descriptor() -> Option<i32> {
    let value = env::var_os(audit::ENV)?;
    let digits = value.as_bytes().strip_prefix(b"fd:")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Refuses what could mean two things: which of two equal names counts is not the same everywhere,
/// and an image may have added one to the operator's. A name that is almost one of ours is said.
fn check_names() -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for (name, _) in env::vars_os() {
        if !name.as_bytes().starts_with(PREFIX) {
            continue;
        }
        let shown = name.to_string_lossy().into_owned();
        if !NAMES.contains(&shown.as_str()) {
            let nearest = NAMES
                .into_iter()
                .max_by(|a, b| {
                    let near = |known| strsim::jaro(known, &shown);
                    near(a).total_cmp(&near(b))
                })
                .unwrap_or(POLICY);
            failure::say(&format!(
                "{shown} means nothing to the vkernel; did you mean {nearest}?"
            ));
        }
        if !seen.insert(name) {
            return Err(Failure::new(format!(
                "the environment has {shown} twice; nothing was run"
            )));
        }
    }
    Ok(())
}

/// What the environment asks of the launcher.
pub(crate) struct Settings {
    pub(crate) audit: Audit,
    pub(crate) verify_all: bool,
    pub(crate) trusted_key: Option<PublicKey>,
    /// `KEY=VALUE;…`, see [`vkernel_kernel::narrow`].
    pub(crate) policy: Option<String>,
    /// The guest's environment: everything else, `NAME=VALUE` each.
    pub(crate) guest_env: Vec<Vec<u8>>,
}

impl Settings {
    pub(crate) fn from_environment() -> Result<Settings, Failure> {
        check_names()?;
        let audit = Audit::from_setting(env::var_os(audit::ENV).as_deref())?;
        let verify_all = match env::var_os(VERIFY) {
            None => false,
            Some(value) if value.is_empty() || value == "index" => false,
            Some(value) if value == "full" => true,
            Some(value) => {
                return Err(Failure::new(format!(
                    "{VERIFY}={}: expected `full` or `index`",
                    value.to_string_lossy()
                )));
            }
        };
        let trusted_key = match env::var(KEY) {
            Err(env::VarError::NotPresent) => None,
            Ok(text) => {
                Some(PublicKey::parse(&text).map_err(|e| Failure::new(format!("{KEY}: {e}")))?)
            }
            Err(error) => return Err(Failure::new(format!("{KEY}: {error}"))),
        };
        let policy = match env::var(POLICY) {
            Err(env::VarError::NotPresent) => None,
            Ok(text) => Some(text),
            Err(error) => return Err(Failure::new(format!("{POLICY}: {error}"))),
        };
        let guest_env = env::vars_os()
            .map(|(name, value)| (name.into_vec(), value))
            .filter(|(name, _)| !name.starts_with(PREFIX))
            .map(|(name, value): (Vec<u8>, OsString)| [name, value.into_vec()].join(&b'='))
            .collect();
        Ok(Settings {
            audit,
            verify_all,
            trusted_key,
            policy,
            guest_env,
        })
    }
}
