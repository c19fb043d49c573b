//! Why packing failed.

/// Why a megabinary cannot be packed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// The portable form is not an ELF.
    #[error("the portable form is not packed; choose x86_64 or pulley64")]
    Target,
    /// The launcher cannot be used.
    #[error("the launcher cannot be packed: {}", problems.join("; "))]
    Launcher {
        /// Everything that is wrong with it.
        problems: Vec<String>,
    },
    /// Not one compiled image for each module.
    #[error("{found} compiled images for {expected} modules")]
    CodeCount {
        /// Number of modules.
        expected: usize,
        /// Number of images.
        found: usize,
    },
    /// A compiled image cannot be used.
    #[error("the compiled code of module `{module}` cannot be packed: {problem}")]
    Code {
        /// The module.
        module: String,
        /// What is wrong with it.
        problem: String,
    },
    /// More program headers than ELF can count.
    #[error("{0} program headers are needed, and ELF has at most 65534; use fewer modules")]
    TooManyHeaders(usize),
    /// The index that was made is inconsistent: a defect of the linker.
    #[error("the linker made an inconsistent index ({0}); please report this")]
    Index(megabinary_format::FormatError),
}
