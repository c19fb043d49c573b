//! A name that a library offers, and what it is.

use wasmparser::FuncType;

/// What a symbol is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Function(FuncType),
    Data,
}

/// A symbol that an object defines for others.
#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    /// It is for other objects of the library, and for nobody else.
    pub(crate) hidden: bool,
    /// Every thread has its own.
    pub(crate) of_threads: bool,
    pub(crate) kind: Kind,
}

impl Symbol {
    /// Whether `dlsym` finds it.
    pub(crate) fn is_offered(&self) -> bool {
        !self.hidden && !self.of_threads
    }
}
