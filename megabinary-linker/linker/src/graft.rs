//! Grafts hand-written code onto a module that was built elsewhere.
//!
//! A runtime from a package manager seldom exports what a snapshot needs. *Glue* is a small
//! module, usually WAT, that uses the functions and state of the *main* module as if the two had
//! been linked together; [`Graft::apply`] makes them one.
//!
//! What glue says in its imports:
//!
//! | import | stands for |
//! |---|---|
//! | `"main" SELECTOR` (func) | a function of main, by name or by pattern ([`SelectError`]) |
//! | `"main" "memory"`, `"main" "table"` | main's only memory, only table |
//! | `"main" NAME` (mutable global) | a global of main; `__stack_pointer` needs no name section |
//! | `"main" "address VARIABLE.MEMBER"` (i32 global) | the address of a C variable, from DWARF |
//! | `"main" "offset TYPE.MEMBER"` (i32 global) | the offset of a member, from DWARF |
//! | `"main" SELECTOR` (i32 global) | a number captured by a pattern |
//! | `"data" NAME` (func (param i32)) | writes the named bytes at an address |
//! | `"data" NAME` (i32 global) | how many bytes that is |
//! | anything else (func) | an import of the result, shared with main if main has it too |
//!
//! and in its exports: `replace:SELECTOR` puts a glue function in the place of a function of main
//! (`replace:import:MODULE.FIELD`, of an import) everywhere in main, element segments included;
//! glue itself still reaches the original. Other exports are added to main's.
//!
//! Glue may have functions and globals of its own, but no memory, table, data, elements or start.
//! Data lives in code ([`Graft::data`]), since main's memory has no room set aside for it.
//!
//! What this deliberately does not do: optimise, rename, merge equal types, keep DWARF (code
//! offsets change; see [`Symbols`], which must look before).
//!
//! Invariant: the result validates, and is a function of the inputs alone. Indices of main's
//! functions shift when imports are added; nothing outside may hold on to them.

mod blob;
mod embedded;
mod layout;
mod pattern;
mod reencode;
mod resolve;

use std::ops::Range;

pub use embedded::{Embedded, EmbeddedError, embedded_zip};
pub use layout::LayoutError;
pub use pattern::SelectError;

use crate::symbols::{SymbolError, Symbols};

/// Why two modules could not be made one.
#[derive(Debug, thiserror::Error)]
pub enum GraftError {
    /// The glue's text does not parse; the message shows the line.
    #[error("the glue is not valid WAT or WebAssembly: {0}")]
    Glue(String),
    /// The main module cannot be read.
    #[error("cannot graft onto the main module: {0}")]
    Main(#[from] SymbolError),
    /// The glue cannot be read.
    #[error("cannot read the glue: {0}")]
    GlueModule(SymbolError),
    /// A function or number was not found.
    #[error("glue asks for `{name}`: {source}")]
    Select {
        /// The import's or export's name.
        name: String,
        /// What went wrong.
        source: SelectError,
    },
    /// An address or offset was not found.
    #[error("glue asks for `{name}`: {source}")]
    Layout {
        /// The import's name.
        name: String,
        /// What went wrong.
        source: LayoutError,
    },
    /// Found, but of another type.
    #[error("`{name}` is {found} in the main module, but the glue declares {declared}")]
    Type {
        /// The import's or export's name.
        name: String,
        /// Its type in main.
        found: String,
        /// Its type in the glue.
        declared: String,
    },
    /// The glue refers to something that does not exist.
    #[error("glue asks for `{name}`: {reason}")]
    Missing {
        /// The import's or export's name.
        name: String,
        /// What is missing.
        reason: &'static str,
    },
    /// The glue has a section that it may not have.
    #[error("the glue has {0}; glue consists of functions and globals only")]
    Forbidden(&'static str),
    /// Two exports of one name.
    #[error("both the main module and the glue export `{0}`")]
    Export(String),
    /// One of the modules cannot be encoded again.
    #[error("cannot re-encode: {0}")]
    Encode(String),
    /// The result is not a valid module: a fault in the glue that only shows in place.
    #[error("the grafted module is not valid: {0}")]
    Invalid(String),
}

/// A graft in preparation.
///
/// ```
/// use megabinary_linker::graft::Graft;
/// let main = wat::parse_str(r#"(module (memory (export "memory") 1)
///     (func $add (export "add") (param i32 i32) (result i32)
///         (i32.add (local.get 0) (local.get 1))))"#)?;
/// let glue = br#"(module
///     (import "main" "add" (func $add (param i32 i32) (result i32)))
///     (func (export "three") (result i32) (call $add (i32.const 1) (i32.const 2))))"#;
/// let grafted = Graft::new(&main, glue).apply()?;
/// assert_eq!(&grafted[..4], b"\0asm");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Graft<'a> {
    main: &'a [u8],
    glue: &'a [u8],
    data: Vec<(&'a str, &'a [u8])>,
    without: Vec<Range<u32>>,
}

impl<'a> Graft<'a> {
    /// Takes the main module (binary) and the glue (binary or text).
    pub fn new(main: &'a [u8], glue: &'a [u8]) -> Self {
        Graft {
            main,
            glue,
            data: Vec::new(),
            without: Vec::new(),
        }
    }

    /// Provides bytes that the glue imports from `"data"` under this name.
    #[must_use]
    pub fn data(mut self, name: &'a str, bytes: &'a [u8]) -> Self {
        self.data.push((name, bytes));
        self
    }

    /// Leaves the initial contents of these addresses zero: main's data that the glue has made
    /// unreachable.
    #[must_use]
    pub fn without(mut self, addresses: Range<u32>) -> Self {
        self.without.push(addresses);
        self
    }

    /// Makes the two modules one.
    pub fn apply(&self) -> Result<Vec<u8>, GraftError> {
        let glue = wat::parse_bytes(self.glue).map_err(|e| GraftError::Glue(e.to_string()))?;
        let main_symbols = Symbols::read(self.main)?;
        let glue_symbols = Symbols::read(&glue).map_err(GraftError::GlueModule)?;
        let plan = resolve::plan(&main_symbols, &glue_symbols, &glue, &self.data)?;
        let module = reencode::combine(self.main, &glue, &plan, &self.without)?;
        wasmparser::Validator::new()
            .validate_all(&module)
            .map_err(|e| GraftError::Invalid(e.to_string()))?;
        Ok(module)
    }
}

/// Grafts glue that needs no data: [`Graft::new`] and [`Graft::apply`].
pub fn graft(main: &[u8], glue: &[u8]) -> Result<Vec<u8>, GraftError> {
    Graft::new(main, glue).apply()
}

#[cfg(test)]
pub(crate) mod testdwarf;
#[cfg(test)]
mod tests;
