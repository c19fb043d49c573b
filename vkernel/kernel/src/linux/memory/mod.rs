//! A guest's memory: how its bytes are reached ([`guest`], [`copy`]) and what is mapped ([`space`]).

pub(crate) mod copy;
pub mod guest;
pub mod space;
