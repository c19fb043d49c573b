//! What can go wrong in the engine itself, apart from the guest's own traps.

use megabinary_format::Target;

/// Why a module could not be compiled, loaded or started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A library wants something of a program that it has not.
    #[error("module `{module}` does not export `{export}`, which a shared library needs")]
    NotForLibrary {
        /// The program.
        module: String,
        /// What is missing.
        export: String,
    },
    /// The portable form was given where code is needed.
    #[error("the portable form holds no code to run; build an executable form from it")]
    NotExecutable,
    /// Compilation failed.
    #[error("compiling module `{module}` for {target:?}: {source:#}")]
    Compile {
        /// The module's name.
        module: String,
        /// What for.
        target: Target,
        /// wasmtime's words.
        source: wasmtime::Error,
    },
    /// wasmtime refused something else.
    #[error("{doing}: {source:#}")]
    Wasmtime {
        /// What was being done.
        doing: &'static str,
        /// wasmtime's words.
        source: wasmtime::Error,
    },
    /// The policy allows less memory than the module starts with.
    #[error(
        "module `{module}` needs {needed} bytes of memory to start, its policy allows {limit} \
         (policy `memory-max`)"
    )]
    MemoryLimit {
        /// The module's name.
        module: String,
        /// Bytes that it starts with.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A code image is not one of this release.
    #[error(
        "the compiled code of {len} bytes does not end in a table of function names: another \
         release made it; build the image again"
    )]
    BadNames {
        /// Length of the image in bytes.
        len: usize,
    },
    /// A module lacks an export that its role requires.
    #[error("module `{module}` exports no function `{export}` of type () -> {result}")]
    MissingExport {
        /// The module's name.
        module: String,
        /// The export looked for.
        export: &'static str,
        /// Its result type in text.
        result: &'static str,
    },
    /// The index gives a value to a global that the module does not have.
    #[error("the memory image of module `{module}` sets global {index}, which the module lacks")]
    BadGlobal {
        /// The module's name.
        module: String,
        /// The global's index.
        index: u32,
    },
}

impl EngineError {
    /// An export is missing that ends in no result.
    #[cfg(feature = "linux")]
    pub(crate) fn missing(module: &str, export: &'static str) -> EngineError {
        EngineError::MissingExport {
            module: module.to_owned(),
            export,
            result: "()",
        }
    }

    pub(crate) fn wasmtime(doing: &'static str) -> impl FnOnce(wasmtime::Error) -> EngineError {
        move |source| EngineError::Wasmtime { doing, source }
    }
}
