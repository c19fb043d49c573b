//! A temporary folder for one run of a property.

use std::path::{Path, PathBuf};

/// Removed when dropped. Inside is one folder, `in`, so that a test can see what appears beside it.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        let dir = tempfile::tempdir().expect("no temporary folder");
        std::fs::create_dir(dir.path().join("in")).expect("no temporary folder");
        Scratch(dir)
    }

    /// The outer folder.
    pub(crate) fn outer(&self) -> &Path {
        self.0.path()
    }

    /// A path in the inner folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("in").join(name)
    }

    /// Writes a file in the inner folder.
    pub(crate) fn write(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, contents).expect("the temporary folder cannot be written");
        path
    }
}
