//! A guest that has taken its vkernel over, for the takeover test (`tests/e2e/tests/takeover.rs`): one
//! call that makes any host call and touches any memory of the process.
//!
//! Only launchers built with the feature `testing` have it, and none that is shipped is; a test looks
//! for [`MARK`] in those. It stands in for `acct`, which every other launcher refuses, so that neither
//! the interface nor the linker's list of imports knows of it.
#![allow(unsafe_code)]

use vkernel_abi::wali::Syscall;
use wasmtime::{Caller, Linker};

use super::Guest;

/// The call that it stands in for.
const STANDS_FOR: &str = "acct";

/// What no shipped launcher contains.
#[used]
static MARK: [u8; 40] = *b"vkernel-testing: any host call, any time";

/// Numbers that are no host calls: the host's address of the guest's memory; a word of memory read
/// and written; a call through the 32-bit entry.
const MEMORY: i64 = -1;
const PEEK: i64 = -2;
const POKE: i64 = -3;
const OLD_ENTRY: i64 = -4;

/// Links the call, if it is the one.
pub(super) fn add(
    linker: &mut Linker<Guest>,
    from: &str,
    field: &str,
    call: &Syscall,
) -> wasmtime::Result<bool> {
    if call.name != STANDS_FOR {
        return Ok(false);
    }
    linker.func_wrap(
        from,
        field,
        |caller: Caller<'_, Guest>, at: i32| -> wasmtime::Result<i64> {
            let memory = caller.data().running()?.process.space.memory();
            let mut words = [0; 7];
            for (i, word) in (0..).zip(&mut words) {
                *word = memory
                    .u64(at.cast_unsigned().wrapping_add(i * 8))
                    .unwrap_or(0);
            }
            let [number, args @ ..] = words;
            Ok(match number.cast_signed() {
                MEMORY => memory.at(0) as i64,
                // SAFETY: none. A guest that has taken the process over does as it likes.
                PEEK => unsafe { (args[0] as *const i64).read_volatile() },
                // SAFETY: as above.
                POKE => unsafe {
                    (args[0] as *mut u64).write_volatile(args[1]);
                    0
                },
                // SAFETY: as above.
                OLD_ENTRY => unsafe { old_entry(args[0], args[1]) },
                // SAFETY: as above.
                number => unsafe { host_call(number, args) },
            })
        },
    )?;
    Ok(true)
}

/// A host call.
unsafe fn host_call(number: i64, args: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the kernel clobbers rcx and r11 and nothing else; what the call does is the test's.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// A call of i386 with one argument.
unsafe fn old_entry(number: u64, argument: u64) -> i64 {
    let result: i64;
    // SAFETY: rbx, which the compiler keeps for itself, is put back.
    unsafe {
        std::arch::asm!(
            "push rbx",
            "mov rbx, {argument}",
            "int 0x80",
            "pop rbx",
            argument = in(reg) argument,
            inlateout("rax") number => result,
            lateout("r8") _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
        );
    }
    result
}
