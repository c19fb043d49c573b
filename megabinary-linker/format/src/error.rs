//! Why bytes are not one of the formats of this crate.

/// Why bytes were refused. Every message says what was being read and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The magic number is another.
    #[error("not a {what}: it starts with other bytes")]
    Magic {
        /// The format that was expected.
        what: &'static str,
    },
    /// A version this reader does not know.
    #[error(
        "the {what} was made by another release of polybuild: format {major}.{minor}, this reader knows \
         {known}; run it with a polybuild of that release or build it again"
    )]
    Version {
        /// The format.
        what: &'static str,
        /// Major version found.
        major: u16,
        /// Minor version found.
        minor: u16,
        /// Versions known, as text.
        known: &'static str,
    },
    /// The bytes end too early, or a length in them is larger than what is there.
    #[error(
        "the {what} ends in the middle: {needed} bytes are needed at offset {at}, {found} are there"
    )]
    Truncated {
        /// The format.
        what: &'static str,
        /// Byte offset at which reading stopped.
        at: usize,
        /// Bytes needed from there.
        needed: u64,
        /// Bytes available from there.
        found: usize,
    },
    /// A length field contradicts the input.
    #[error("the {what} says it is {said} bytes long, but it has {found}")]
    Length {
        /// The format.
        what: &'static str,
        /// Length according to its header.
        said: u64,
        /// Length of the input.
        found: u64,
    },
    /// A kind, flag or target this reader does not know, or padding that is not zero.
    #[error("the {what} has {value:#x} as its {field}, which this reader does not know")]
    Unknown {
        /// The format.
        what: &'static str,
        /// Field in question.
        field: &'static str,
        /// What was found.
        value: u64,
    },
    /// A string that is not UTF-8.
    #[error("the {what} has a string that is not UTF-8")]
    Text {
        /// The format.
        what: &'static str,
    },
    /// Parts that contradict each other; the message names them.
    #[error("the {what} is inconsistent: {problem}")]
    Inconsistent {
        /// The format.
        what: &'static str,
        /// What is wrong, with the names and numbers found.
        problem: String,
    },
}
