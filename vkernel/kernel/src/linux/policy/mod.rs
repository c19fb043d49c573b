//! What the policy says about calls: paths and what they lead to ([`paths`], [`judge`], [`arguments`]), socket
//! addresses ([`address`], [`network`]), and objects that are no plain files ([`objects`]).

pub(crate) mod address;
pub(crate) mod arguments;
pub(crate) mod caller;
mod copies;
pub(crate) mod held;
pub(crate) mod ipc;
pub(crate) mod judge;
pub(crate) mod network;
pub(crate) mod object;
pub(crate) mod objects;
pub(crate) mod paths;
