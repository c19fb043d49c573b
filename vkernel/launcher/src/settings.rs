//! The `VKERNEL_*` environment variables. None of them ever reaches a guest.

use std::{env, ffi::OsString, os::unix::ffi::OsStringExt};

use megabinary_format::PublicKey;
use vkernel_kernel::audit::{self, Audit};

use crate::failure::Failure;

/// `full`: hash all segments before anything runs.
const VERIFY: &str = "VKERNEL_VERIFY";
/// A minisign public key that must have signed the index.
const KEY: &str = "VKERNEL_KEY";
/// What the policy is to allow less than the image's own.
const POLICY: &str = "VKERNEL_POLICY";
/// Names that start like this are ours.
const PREFIX: &[u8] = b"VKERNEL_";

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
