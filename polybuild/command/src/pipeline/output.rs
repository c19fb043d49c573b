//! The folder with a build's results: what is in it, what is said of it, and how it gets into its
//! place whole.

use std::{
    fs,
    path::{Path, PathBuf},
};

use polybuild_recipe::Recipe;
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use super::bill::WithoutFixes;
use crate::{
    exit,
    failure::{Failure, IoContext, Result},
    scratch::Scratch,
};

/// Names in an output folder.
pub(crate) mod names {
    pub(crate) const MEGABINARY: &str = "megabinary";
    pub(crate) const PORTABLE: &str = "megabinary.wasm";
    pub(crate) const LAYOUT: &str = "oci-layout";
    pub(crate) const OCI_ARCHIVE: &str = "oci-archive.tar";
    pub(crate) const DOCKER_ARCHIVE: &str = "docker-archive.tar";
    pub(crate) const SBOM: &str = "sbom.spdx.json";
    /// The record of the build; also marks the folder as ours.
    pub(crate) const RECORD: &str = "build.json";
}

/// A finished build.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Built {
    /// `vkernel/python:3.12`.
    pub name: String,
    /// Digest of the image's manifest.
    pub manifest: String,
    /// Digest of the image's configuration: Docker's image id.
    pub config: String,
    /// Digest of the ELF.
    pub megabinary: String,
    /// Digest of the portable form.
    pub portable: String,
    /// Id of the key that signed both.
    pub key_id: String,
    /// Bytes of all blobs, compressed.
    pub compressed_size: u64,
    /// Whether build steps ran without being confined.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfined_steps: bool,
    /// What a container runs by default, for the closing hint.
    pub default_command: Vec<String>,
    /// Sources without the fixes of the distribution that they came from.
    #[serde(default)]
    pub without_fixes: Vec<WithoutFixes>,
}

impl Built {
    /// Whether `output` still has all the files of this build.
    pub(super) fn is_complete(&self, output: &Path) -> bool {
        use names::*;
        [MEGABINARY, PORTABLE, OCI_ARCHIVE, DOCKER_ARCHIVE, SBOM]
            .iter()
            .all(|name| output.join(name).is_file())
            && output.join(LAYOUT).join("index.json").is_file()
    }
}

/// An output folder in the making, beside its final place.
pub(super) struct Staged(Scratch);

impl Staged {
    pub(super) fn beside(output: &Path) -> Result<Staged> {
        if output.exists() && !is_ours(output) {
            return Err(Failure::message(
                exit::USAGE,
                format!(
                    "{} exists and is not the output of a build",
                    output.display()
                ),
            )
            .hint("choose another folder with --output, or remove it"));
        }
        let parent = output
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        Scratch::folder_in(parent).map(Staged)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts the folder into its place, atomically where an earlier build stands there.
    pub(super) fn publish(self, output: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        // Temporary folders are private; results are as readable as anything else.
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o755))
            .doing("publishing", self.path())?;
        let rename = |how| renameat_with(CWD, self.path(), CWD, output, how);
        // Another build may put its own there, or take one away, at any moment.
        loop {
            match rename(RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                result => {
                    result.doing("putting into place", output)?;
                    self.0.keep();
                    return Ok(());
                }
            }
            // The earlier build ends up in the temporary folder's place and is removed with it.
            match rename(RenameFlags::EXCHANGE) {
                Err(Errno::NOENT) => {}
                result => return result.doing("replacing", output),
            }
        }
    }
}

/// Whether a folder may be replaced: an earlier build's, or empty.
fn is_ours(output: &Path) -> bool {
    output.join(names::RECORD).is_file()
        || fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_none())
}

/// The default place for a build's results.
pub fn default_output(recipe: &Recipe) -> PathBuf {
    let name = format!("{}-{}", recipe.image.name, recipe.image.tag);
    Path::new("out").join(name.replace(['/', ':'], "-"))
}
