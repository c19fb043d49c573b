//! Plans that are refused.
