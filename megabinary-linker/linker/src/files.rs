//! Lays the contents of internal files out, each content once.

use std::collections::BTreeMap;

use megabinary_format::Digest;

use crate::plan::{PlannedFile, PlannedTree};

/// Contents of all internal files, one after another without padding, in the order of the trees.
#[derive(Debug, Default)]
pub(crate) struct FilesLayout {
    pub(crate) bytes: Vec<u8>,
    at: BTreeMap<Digest, u64>,
}

impl FilesLayout {
    pub(crate) fn new(trees: &[PlannedTree]) -> FilesLayout {
        let mut out = FilesLayout::default();
        for node in trees.iter().flat_map(|tree| &tree.nodes) {
            if let PlannedFile::File { bytes, .. } = &node.kind {
                let here = out.bytes.len() as u64;
                out.at.entry(Digest::of(bytes)).or_insert_with(|| {
                    out.bytes.extend_from_slice(bytes);
                    here
                });
            }
        }
        out
    }

    /// Offset of a content that is in one of the trees.
    pub(crate) fn offset_of(&self, bytes: &[u8]) -> u64 {
        self.at.get(&Digest::of(bytes)).copied().unwrap_or(0)
    }
}
