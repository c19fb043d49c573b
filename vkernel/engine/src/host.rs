//! What the host's processor offers, asked in the cheapest way.
//!
//! wasmtime compares the features that code was compiled for with the host's. Rust's own detection
//! asks for everything there is, some ten `cpuid` instructions; in a virtual machine each one traps
//! to the hypervisor. All features that [`crate::Compiler`] uses are in one answer.

use std::{arch::x86_64::__cpuid, sync::OnceLock};

use wasmtime::Config;

/// Gives wasmtime our way of asking.
pub(crate) fn declare_features(config: &mut Config) {
    // SAFETY: `detect` tells what the processor says; it claims nothing by itself.
    #[allow(unsafe_code)]
    unsafe {
        config.detect_host_feature(detect)
    };
}

/// Whether the host has a feature of x86-64-v2, by wasmtime's name for it; `None` for all others,
/// so that code which needs one is refused.
fn detect(feature: &str) -> Option<bool> {
    /// `ECX` of leaf 1 (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E).
    static LEAF_1: OnceLock<u32> = OnceLock::new();
    let bit = match feature {
        "sse3" => 0,
        "ssse3" => 9,
        "sse4.1" => 19,
        "sse4.2" => 20,
        "popcnt" => 23,
        _ => return None,
    };
    let ecx = *LEAF_1.get_or_init(|| __cpuid(1).ecx);
    Some(ecx >> bit & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_standard_library() {
        assert_eq!(detect("sse3"), Some(is_x86_feature_detected!("sse3")));
        assert_eq!(detect("ssse3"), Some(is_x86_feature_detected!("ssse3")));
        assert_eq!(detect("sse4.1"), Some(is_x86_feature_detected!("sse4.1")));
        assert_eq!(detect("sse4.2"), Some(is_x86_feature_detected!("sse4.2")));
        assert_eq!(detect("popcnt"), Some(is_x86_feature_detected!("popcnt")));
        assert_eq!(detect("avx512f"), None);
    }
}
