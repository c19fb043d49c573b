//! The generated page is that of the table. `VKERNEL_BLESS=1 cargo test -p vkernel-kernel` writes it
//! anew.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{fs, path::Path};

#[test]
fn syscalls() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/syscalls.md");
    let expected = vkernel_kernel::linux::support_page();
    if std::env::var_os("VKERNEL_BLESS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == expected,
        "docs/syscalls.md is stale; run `VKERNEL_BLESS=1 cargo test -p vkernel-kernel`"
    );
}
