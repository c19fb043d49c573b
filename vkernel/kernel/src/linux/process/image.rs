//! What a process runs.

use megabinary_format::Digest;

use crate::exec;

/// What a process runs: an entry of the megabinary, and with what.
#[derive(Clone, Debug)]
pub struct Image {
    /// Position of the module in the index.
    pub module: u32,
    /// Name of the entry.
    pub entry: String,
    /// Digest of the entry.
    pub entry_digest: Digest,
    /// Digest of the file that was executed, if there was one.
    pub file: Option<Digest>,
    /// Absolute guest path of the program.
    pub program: Vec<u8>,
    /// Path of what was executed: the program's, or of the script that it interprets.
    pub executed: Vec<u8>,
    /// Arguments.
    pub argv: Vec<Vec<u8>>,
    /// Environment.
    pub env: Vec<Vec<u8>>,
    /// The signal mask to begin with; the host's if there is none.
    pub mask: Option<u64>,
    /// Whether it begins without its snapshot, if it has one.
    pub cold: bool,
}

impl From<exec::Launch<'_>> for Image {
    fn from(launch: exec::Launch<'_>) -> Image {
        Image {
            module: launch.module,
            entry: launch.entry.name.clone(),
            entry_digest: launch.entry.digest,
            file: Some(launch.file),
            executed: launch.chain.first().unwrap_or(&launch.program).clone(),
            program: launch.program,
            argv: launch.argv,
            env: launch.env,
            mask: None,
            cold: false,
        }
    }
}
