//! Signals that a process queues for itself with a `siginfo` of its own making.
//!
//! Linux lets a process give any `si_code` and any `si_addr` to what it queues for itself
//! (`rt_sigqueueinfo(2)`), a fault's too. The host's handlers must never meet such a thing as a fault. So
//! on its way through the host kernel a signal of [`SYNCHRONOUS`] that claims to be one has a code of
//! ours, which is negative as of all that is sent, and its own code in the bytes of `siginfo` that have
//! no meaning. Before the guest sees it, it is as it was sent.

use super::set::{SYNCHRONOUS, bit};

/// The code on the way. Linux uses -1 to -7, -60 and SI_TKILL for its own (`asm-generic/siginfo.h`).
const ON_ITS_WAY: i32 = -0x564b;

/// Where `si_code` is, and the bytes between it and what depends on it (x86-64).
const CODE: usize = 8;
const UNUSED: usize = 12;

/// What the host kernel copies (`struct kernel_siginfo`).
pub(crate) const KERNEL_SIZE: usize = 48;

fn word(info: &[u8; 128], at: usize) -> i32 {
    info.get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |b| i32::from_le_bytes(*b))
}

fn set(info: &mut [u8; 128], at: usize, value: i32) {
    if let Some(place) = info.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

/// Whether what is queued looks like a fault, or like what is on its way here.
pub(crate) fn claims_a_fault(signal: i32, info: &[u8; 128]) -> bool {
    let code = word(info, CODE);
    let claims = code > 0 || code == ON_ITS_WAY;
    claims && (1..=64).contains(&signal) && bit(signal) & SYNCHRONOUS != 0
}

/// Makes what a process queues for itself something that no handler takes for a fault.
pub(crate) fn on_its_way(signal: i32, info: &mut [u8; 128]) {
    if claims_a_fault(signal, info) {
        let code = word(info, CODE);
        set(info, UNUSED, code);
        set(info, CODE, ON_ITS_WAY);
    }
}

/// What was queued, as it was sent. Async-signal-safe.
pub(crate) fn as_it_was_sent(info: &mut [u8; 128]) {
    if word(info, CODE) == ON_ITS_WAY {
        let code = word(info, UNUSED);
        set(info, CODE, code);
        set(info, UNUSED, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_queued_looks_like_a_fault_on_its_way() {
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGTRAP, libc::SIGSYS] {
            for code in [
                1,
                2,
                3,
                128,
                1000,
                i32::MAX,
                0,
                -1,
                -6,
                ON_ITS_WAY,
                i32::MIN,
            ] {
                let mut info = [7; 128];
                set(&mut info, CODE, code);
                set(&mut info, UNUSED, 0);
                let sent = info;
                on_its_way(signal, &mut info);
                assert!(word(&info, CODE) <= 0, "{code}");
                as_it_was_sent(&mut info);
                assert_eq!(info, sent, "{code}");
            }
        }
        let mut other = [1; 128];
        on_its_way(libc::SIGUSR1, &mut other);
        assert_eq!(other, [1; 128]);
    }
}
