//! placeholder
pub mod audit;
pub mod confine;
pub mod exec;
pub mod signals;
