//! What can go wrong in the driver itself; what the compiler and the linker find wrong, they say.

use std::{io, path::PathBuf};

/// An error of the driver.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An option that cannot be honoured.
    #[error("`{option}`: {why}")]
    Refused { option: String, why: &'static str },
    /// An option at the end of the line that wants a value.
    #[error("`{0}` needs a value after it")]
    NoValue(String),
    /// Nothing to do.
    #[error("no input files")]
    NoInput,
    /// `-c`, `-S` or `-E` with `-o` and several inputs.
    #[error("`-o {0}` names one file, but there are several inputs to compile")]
    OneOutput(PathBuf),
    /// `-` without `-x`.
    #[error("standard input has no name to tell its language by: say `-x c` before `-`")]
    NoLanguage,
    /// An argument that is not text.
    #[error("the argument {0:?} is not valid UTF-8")]
    NotText(std::ffi::OsString),
    /// A response file that includes itself, probably.
    #[error("response files are nested more than {0} deep at `@{1}`")]
    DeepResponse(usize, String),
    /// The sysroot or the compiler cannot be found.
    #[error("no {what} at {}: set {variable}, or put it there", path.display())]
    Missing {
        what: &'static str,
        path: PathBuf,
        variable: &'static str,
    },
    /// A setting with a value that means nothing.
    #[error("{variable} is `{value}`: {want}")]
    Setting {
        variable: &'static str,
        value: String,
        want: &'static str,
    },
    /// A file or a process.
    #[error("{doing} {}: {error}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    /// Objects of another data model, or of nobody knows which.
    #[error(
        "linking {}: {} not compiled with this sysroot's data model, in which `int`, `long` and pointers \
         have 32 bits: {}. Compile them again with this vkcc", output.display(),
        if foreign.len() == 1 { "one object was" } else { "some objects were" }, foreign.join(", ")
    )]
    Model {
        output: PathBuf,
        foreign: Vec<String>,
    },
    /// A shared library, or what it was to be.
    #[error("the library {}: {why}", path.display())]
    Library { path: PathBuf, why: String },
    /// A linked module that the personality would refuse.
    #[error("{}: {why}", path.display())]
    Module { path: PathBuf, why: String },
}

/// The result of everything in here.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Says what was being done when the system refused.
pub(crate) trait IoContext<T> {
    /// Adds what was being done, and to what.
    fn doing(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn doing(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|error| Error::Io {
            doing,
            path: path.into(),
            error,
        })
    }
}
