//! The program inside every megabinary: the C library's entry, and nothing else. Everything is in the
//! library, where it has unit tests; a program with a C `main` can have no test harness.

#![no_main]

/// The C library's entry. Rust's own start-up code is left out: it reads `/proc/self/maps`, sets
/// up signal stacks and handlers, all of which is done here as guests need it, and it would cost
/// a fifth of the start of a small program.
///
/// The C library hands the arguments to `std::env` by itself, before this is called.
#[allow(unsafe_code)]
// SAFETY: no other `main` is linked, and the signature is the C library's without its arguments,
// which the calling convention allows.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    vkernel_launcher::end(vkernel_launcher::launch())
}
