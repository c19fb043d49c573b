//! The time stamp of everything in an image.

use polybuild_oci::Epoch;

use crate::{
    exit,
    failure::{Failure, Result},
};

/// Environment variable with the time stamp of everything in an image, seconds since 1970
/// (reproducible-builds.org, `SOURCE_DATE_EPOCH`).
pub const EPOCH_VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// The time stamp as image formats have it.
pub(super) fn epoch(seconds: u64) -> Result<Epoch> {
    Epoch::new(seconds).ok_or_else(|| {
        Failure::message(
            exit::USAGE,
            format!("{EPOCH_VARIABLE}={seconds} is beyond what image formats can say"),
        )
    })
}
