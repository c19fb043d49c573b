//! How signals reach a guest: what the host does with each ([`action`], [`mask`]), what it has delivered
//! ([`inbox`]), and how a computation is interrupted ([`safepoints`]). Faults of compiled code are signals, too
//! ([`faults`]).

pub(crate) mod action;
pub(crate) mod event;
pub(crate) mod faults;
pub(crate) mod inbox;
mod instruction;
pub(crate) mod mask;
pub(crate) mod queued;
pub mod safepoints;
pub(crate) mod set;
