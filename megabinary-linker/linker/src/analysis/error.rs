//! Why a file cannot be a module of a megabinary.

use super::imports::ImportProblem;

/// A module that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("module `{name}`: {problem}")]
pub struct AnalysisError {
    /// Name of the module in the plan.
    pub name: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Another kind of file.
    #[error("this is {found}, not a WebAssembly core module: {hint}")]
    OtherFile {
        /// What it is.
        found: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// Does not validate.
    #[error("not a valid WebAssembly module: {message} (at byte {offset:#x})")]
    Malformed {
        /// The validator's message.
        message: String,
        /// Byte offset in the module.
        offset: u64,
    },
    /// Valid WebAssembly that the vkernel cannot run yet.
    #[error("it has {feature} (at byte {offset:#x}), which is not yet supported: {hint}")]
    NotYetSupported {
        /// What it uses.
        feature: &'static str,
        /// Byte offset in the module.
        offset: u64,
        /// What to do instead.
        hint: &'static str,
    },
    /// Nothing to start it by.
    #[error(
        "{found}: a program exports a function `_start` without parameters and results; build it as a \
         command, not as a library (a reactor)"
    )]
    NoProgram {
        /// What there is.
        found: String,
    },
    /// A shared library, or the list of those that a program uses, that is not as it should be.
    #[error("{problem}; make it again with this vkcc")]
    Library {
        /// What is wrong.
        problem: String,
    },
    /// An import nobody offers.
    #[error(transparent)]
    Import(Box<ImportProblem>),
}

impl From<ImportProblem> for Problem {
    fn from(e: ImportProblem) -> Problem {
        Problem::Import(Box::new(e))
    }
}

impl From<wasmparser::BinaryReaderError> for Problem {
    fn from(e: wasmparser::BinaryReaderError) -> Problem {
        Problem::Malformed {
            message: e.message().into(),
            offset: e.offset() as u64,
        }
    }
}

/// Recognises what people give by mistake, by its first bytes.
pub(super) fn check_magic(file: &[u8]) -> Result<(), Problem> {
    const BUILD: &str = "build it for a wasm32 target (WASI preview 1) first";
    const KINDS: &[(&[u8], &str, &str)] = &[
        (
            b"\0asm\x0d\0\x01\0",
            "a WebAssembly component",
            "give the core module (a WASI preview 1 command), not the component made from it",
        ),
        (b"\x7fELF", "a native ELF file", BUILD),
        (b"MZ", "a native Windows file", BUILD),
        (b"\xcf\xfa\xed\xfe", "a native macOS file", BUILD),
        (
            b"\xca\xfe\xba\xbe",
            "a native macOS or a Java class file",
            BUILD,
        ),
        (
            b"!<arch>\n",
            "a static library",
            "link it into a program first",
        ),
        (b"BC\xc0\xde", "LLVM bitcode", "link it with wasm-ld first"),
        (
            b"(module",
            "WebAssembly text",
            "assemble it with `wasm-tools parse` first",
        ),
        (
            b"(component",
            "WebAssembly text",
            "assemble it with `wasm-tools parse` first",
        ),
        (
            b"#!",
            "a script",
            "name its interpreter's module, and the script as an argument",
        ),
        (b"\x1f\x8b", "a gzip file", "unpack it first"),
        (b"PK\x03\x04", "a zip file", "unpack it first"),
    ];
    if file.starts_with(b"\0asm\x01\0\0\0") {
        return Ok(());
    }
    if let Some((_, found, hint)) = KINDS.iter().find(|(magic, ..)| file.starts_with(magic)) {
        return Err(Problem::OtherFile { found, hint });
    }
    if file.is_empty() {
        return Err(Problem::OtherFile {
            found: "an empty file",
            hint: "build it again",
        });
    }
    Err(Problem::Malformed {
        message: "it does not start with `\\0asm` and version 1".into(),
        offset: 0,
    })
}
