//! What the host's processor offers, asked in the cheapest way.
//!
//! wasmtime compares the features that code was compiled for with the host's. Rust's own detection
//! asks for everything there is, some ten `cpuid` instructions; in a virtual machine each one traps
//! to the hypervisor. All features that [`crate::Compiler`] uses are in one answer.

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
    let bit = match feature {
        "sse3" => 0,
        "ssse3" => 9,
        "sse4.1" => 19,
        "sse4.2" => 20,
        "popcnt" => 23,
        _ => return None,
    };
    Some(leaf_1_ecx() >> bit & 1 == 1)
}

/// `ECX` of leaf 1 (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E), from the C library,
/// which has asked already.
#[cfg(target_env = "gnu")]
fn leaf_1_ecx() -> u32 {
    /// `struct cpuid_feature` of `<bits/platform/x86.h>`, glibc 2.33.
    #[repr(C)]
    struct CpuidFeature {
        /// `EAX`, `EBX`, `ECX`, `EDX` as the processor gave them.
        cpuid: [u32; 4],
        _active: [u32; 4],
    }
    #[allow(unsafe_code)]
    unsafe extern "C" {
        /// Never null; index 0 (`CPUID_INDEX_1`) is leaf 1.
        fn __x86_get_cpuid_feature_leaf(index: u32) -> *const CpuidFeature;
    }
    // SAFETY: the declaration is glibc's, whose answer is a constant of the process.
    #[allow(unsafe_code)]
    let leaf = unsafe { &*__x86_get_cpuid_feature_leaf(0) };
    leaf.cpuid[2]
}

/// As above, from the processor.
#[cfg(not(target_env = "gnu"))]
fn leaf_1_ecx() -> u32 {
    static LEAF_1: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *LEAF_1.get_or_init(|| std::arch::x86_64::__cpuid(1).ecx)
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
