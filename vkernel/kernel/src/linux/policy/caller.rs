//! Who makes a call, as far as judging it has to know.
//!
//! Judgements are below the process in the order of modules: they get this instead.

use super::super::{
    memory::{guest::Memory, space::Space},
    process::{departure::Departure, descriptors::Descriptors},
};
use crate::audit::Audit;

/// What a judgement may ask about the caller.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// Where refusals are recorded.
    pub(crate) audit: &'a Audit,
    /// The memory of the process.
    pub(crate) space: &'a Space,
    /// Which descriptors the guest can have.
    pub(crate) descriptors: Descriptors,
    /// The process's id.
    pub(crate) id: i32,
    /// The process's threads.
    pub(crate) threads: &'a Departure,
}

impl Caller<'_> {
    /// The process's memory.
    pub(crate) fn memory(&self) -> Memory {
        self.space.memory()
    }

    /// Whether no other guest thread runs in the process.
    pub(crate) fn alone(&self) -> bool {
        self.threads.count() == 1
    }
}
