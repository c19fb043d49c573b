//! The seccomp filter: which host calls the vkernel may make, and which end it.
//!
//! Three answers. **Killed**: calls that a program without run-time code never makes, so that
//! making one means somebody took it over; nothing is left running to try another. **EPERM**: all
//! other calls outside the list; they are no attack (a library probes for something optional, a
//! path that this image does not use), the caller copes, and a guest that is merely unlucky is not
//! shot. **ENOSYS**: calls newer than this list, and `clone3`, so that libraries fall back to the
//! older call that the list knows.
//!
//! Invariants: an allow-list can never lift a kill or a check of arguments; the filter does not
//! depend on the order of the lists.

use super::{
    bpf::{self, Action, Instruction, Rule},
    calls::{
        CHECKED, CHECKED_FOR_LINUX, FATAL, FATAL_FOR_WASI, LINUX, NARROWED, NARROWED_OFFLINE,
        RUNTIME, Surface,
    },
};

/// The first system call number that did not exist when [`super::calls`] was written:
/// `mseal` is 462 (`arch/x86/entry/syscalls/syscall_64.tbl`).
pub(super) const FIRST_UNKNOWN: u32 = 463;

/// Bit of the x32 ABI in a system call number (`__X32_SYSCALL_BIT`).
const X32: u32 = 0x4000_0000;

/// What the calls up to [`FIRST_UNKNOWN`] get, one byte for each number: small, and cheaper to fill
/// than a map. The values are those of [`rule`].
type Choices = [u8; FIRST_UNKNOWN as usize];

/// What every call gets that no list mentions.
const REFUSED: u8 = 0;
const ALLOWED: u8 = 1;
const KILLED: u8 = 2;
/// The first of [`CHECKED`]; the others follow, then those of [`CHECKED_FOR_LINUX`], [`NARROWED`] and
/// [`NARROWED_OFFLINE`].
const FIRST_CHECKED: u8 = 3;
const FIRST_NARROWED: u8 = FIRST_CHECKED + (CHECKED.len() + CHECKED_FOR_LINUX.len()) as u8;

/// All rules of calls whose arguments are looked at, in the order of their choices.
fn checked() -> impl Iterator<Item = &'static (i64, Rule)> {
    CHECKED
        .iter()
        .chain(CHECKED_FOR_LINUX)
        .chain(NARROWED)
        .chain(NARROWED_OFFLINE)
}

/// What a choice means.
fn rule(choice: u8) -> Rule {
    match choice {
        ALLOWED => Rule::Always(Action::Allow),
        KILLED => Rule::Always(Action::Kill),
        _ => choice
            .checked_sub(FIRST_CHECKED)
            .and_then(|at| checked().nth(usize::from(at)))
            .map_or(
                Rule::Always(Action::Errno(libc::EPERM as u16)),
                |(_, rule)| *rule,
            ),
    }
}

/// A compiled filter.
#[derive(Clone, Debug)]
pub struct Filter {
    program: Vec<Instruction>,
}

/// Why a list of host calls makes no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The list holds a call that always ends the process.
    #[error("host call {0} cannot be allowed: it always ends the process; remove it from the list")]
    Fatal(i64),
    /// The list holds a number that is no system call of this list's time.
    #[error("{0} is not a known x86-64 system call number")]
    Unknown(i64),
}

/// Whether a call ends a guest of this surface. Files without a name are part of the Linux
/// personality: they can neither be executed nor mapped as code, since what does that stays fatal.
fn is_fatal(surface: Surface, call: i64) -> bool {
    match surface {
        Surface::Wasi => FATAL.contains(&call) || FATAL_FOR_WASI.contains(&call),
        Surface::Linux { .. } => FATAL.contains(&call) && call != libc::SYS_memfd_create,
    }
}

impl Filter {
    /// The filter that allows [`RUNTIME`] (for the Linux personality [`LINUX`] too) and `calls`, for
    /// guests of `surface`.
    pub fn build(surface: Surface, calls: &[&[i64]]) -> Result<Filter, FilterError> {
        let (threads, wider, narrowed) = match surface {
            Surface::Wasi => (&[][..], &[][..], 0),
            Surface::Linux { internet: true } => (LINUX, CHECKED_FOR_LINUX, NARROWED.len()),
            Surface::Linux { internet: false } => {
                let all = NARROWED.len() + NARROWED_OFFLINE.len();
                (LINUX, CHECKED_FOR_LINUX, all)
            }
        };
        let mut choices: Choices = [REFUSED; FIRST_UNKNOWN as usize];
        for &call in calls.iter().copied().chain([RUNTIME, threads]).flatten() {
            let choice = usize::try_from(call)
                .ok()
                .and_then(|at| choices.get_mut(at));
            *choice.ok_or(FilterError::Unknown(call))? = ALLOWED;
            if is_fatal(surface, call) {
                return Err(FilterError::Fatal(call));
            }
        }
        let offered = choices;
        let rules = NARROWED.iter().chain(NARROWED_OFFLINE);
        for (choice, (call, _)) in (FIRST_NARROWED..).zip(rules).take(narrowed) {
            if offered[*call as usize] == ALLOWED {
                choices[*call as usize] = choice;
            }
        }
        // After the lists, so that these have the last word.
        for (choice, &(call, _)) in (FIRST_CHECKED..).zip(CHECKED.iter().chain(wider)) {
            choices[call as usize] = choice;
        }
        let fatal = FATAL.iter().chain(FATAL_FOR_WASI);
        for &call in fatal.filter(|call| is_fatal(surface, **call)) {
            choices[call as usize] = KILLED;
        }
        Ok(Filter {
            program: bpf::compile(&ranges(&choices)),
        })
    }

    pub(super) fn program(&self) -> &[Instruction] {
        &self.program
    }
}

/// The whole number space as sorted ranges, neighbours with the same rule joined.
fn ranges(choices: &Choices) -> Vec<(u32, Rule)> {
    let mut out: Vec<(u32, Rule)> = Vec::with_capacity(96);
    let mut last = None;
    for (from, &choice) in (0..).zip(choices) {
        if last != Some(choice) {
            let rule = rule(choice);
            // Different choices may come to the same rule.
            if out.last().is_none_or(|(_, last)| *last != rule) {
                out.push((from, rule));
            }
            last = Some(choice);
        }
    }
    out.extend([
        (
            FIRST_UNKNOWN,
            Rule::Always(Action::Errno(libc::ENOSYS as u16)),
        ),
        (X32, Rule::Always(Action::Kill)),
    ]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: &Filter, number: i64, argument: (usize, u64), expected: Action) {
        let mut arguments = [0; 6];
        arguments[argument.0] = argument.1;
        let got = bpf::run(filter.program(), bpf::X86_64, number as u32, arguments);
        assert_eq!(got, expected.value(), "call {number} with {argument:x?}");
    }

    const LINUX_ONLINE: Surface = Surface::Linux { internet: true };

    const NONE: (usize, u64) = (0, 0);
    const EPERM: Action = Action::Errno(libc::EPERM as u16);
    const REFUSED_CALL: Action = EPERM;
    const ENOSYS: Action = Action::Errno(libc::ENOSYS as u16);

    #[test]
    fn every_number_gets_its_rule() {
        let extra = [libc::SYS_openat, libc::SYS_openat2, libc::SYS_mmap];
        let filter = Filter::build(Surface::Wasi, &[&extra]).unwrap();
        for number in 0..1000_i64 {
            if CHECKED.iter().any(|(call, _)| *call == number) {
                continue;
            }
            let expected = if FATAL.contains(&number) || FATAL_FOR_WASI.contains(&number) {
                Action::Kill
            } else if RUNTIME.contains(&number) || extra.contains(&number) {
                Action::Allow
            } else if number < i64::from(FIRST_UNKNOWN) {
                EPERM
            } else {
                ENOSYS
            };
            check(&filter, number, NONE, expected);
        }
        for number in 0..1000 {
            check(&filter, number | i64::from(X32), NONE, Action::Kill);
        }
        check(&filter, 0xffff_ffff, NONE, Action::Kill);
    }

    #[test]
    fn arguments() {
        let filter = Filter::build(Surface::Wasi, &[]).unwrap();
        let linux = Filter::build(LINUX_ONLINE, &[]).unwrap();
        for (filters, call, prot) in [
            (&[&filter, &linux][..], libc::SYS_mmap, 2),
            (&[&filter, &linux], libc::SYS_mprotect, 2),
            (&[&linux], libc::SYS_pkey_mprotect, 2),
        ] {
            for filter in filters {
                check(filter, call, (prot, 3), Action::Allow);
                for exec in [4, 5, 7, 0xff_0000_0004] {
                    check(filter, call, (prot, exec), Action::Kill);
                }
            }
        }
        check(&filter, libc::SYS_ioctl, (1, libc::TCGETS), Action::Allow);
        check(&filter, libc::SYS_ioctl, (1, libc::TIOCSTI), EPERM);
        for call in [libc::SYS_clone, libc::SYS_prlimit64, libc::SYS_prctl] {
            check(&filter, call, NONE, EPERM);
        }
        let filter = linux;
        check(&filter, libc::SYS_shmat, (2, 0o100000), Action::Kill);
        check(
            &filter,
            libc::SYS_personality,
            (0, 0xffff_ffff),
            Action::Allow,
        );
        check(
            &filter,
            libc::SYS_personality,
            (0, 0x0040_0000),
            Action::Kill,
        );
        check(&filter, libc::SYS_clone, (0, 0x003d_0f00), Action::Allow);
        check(
            &filter,
            libc::SYS_clone,
            (0, libc::CLONE_NEWUSER as u64),
            EPERM,
        );
        check(&filter, libc::SYS_clone3, NONE, ENOSYS);
        check(&filter, libc::SYS_prlimit64, NONE, Action::Allow);
        check(&filter, libc::SYS_ioctl, (1, libc::TCGETS), Action::Allow);
        check(&filter, libc::SYS_ioctl, (1, libc::TIOCSTI), EPERM);
        check(
            &filter,
            libc::SYS_prctl,
            (0, libc::PR_SET_NAME as u64),
            Action::Allow,
        );
        check(
            &filter,
            libc::SYS_prctl,
            (0, libc::PR_SET_MM as u64),
            Action::Allow,
        );
        check(
            &filter,
            libc::SYS_prctl,
            (0, libc::PR_SET_SECCOMP as u64),
            EPERM,
        );
    }

    #[test]
    fn other_architectures_die() {
        let filter = Filter::build(Surface::Wasi, &[]).unwrap();
        for arch in [0, 0x4000_0003, 0xc000_00b7] {
            for number in 0..500 {
                let got = bpf::run(filter.program(), arch, number, [0; 6]);
                assert_eq!(got, Action::Kill.value());
            }
        }
    }

    #[test]
    fn long_jumps() {
        // Every second call: the largest tree that there can be.
        let every_second: Vec<i64> = (0..i64::from(FIRST_UNKNOWN))
            .step_by(2)
            .filter(|n| !is_fatal(Surface::Wasi, *n))
            .collect();
        let filter = Filter::build(Surface::Wasi, &[&every_second]).unwrap();
        assert!((256..4096).contains(&filter.program().len()));
        for &number in &every_second {
            if !CHECKED.iter().any(|(call, _)| *call == number) {
                check(&filter, number, NONE, Action::Allow);
            }
        }
    }

    #[test]
    fn lists_that_make_no_sense() {
        let build = |call| Filter::build(Surface::Wasi, &[&[call]]).map(|_| ());
        assert_eq!(build(libc::SYS_execve), Err(FilterError::Fatal(59)));
        assert_eq!(build(libc::SYS_memfd_create), Err(FilterError::Fatal(319)));
        let linux = Filter::build(LINUX_ONLINE, &[&[libc::SYS_memfd_create]]).unwrap();
        check(&linux, libc::SYS_memfd_create, NONE, Action::Allow);
        assert_eq!(build(-1), Err(FilterError::Unknown(-1)));
        assert_eq!(build(463), Err(FilterError::Unknown(463)));
        assert_eq!(build(1 << 40), Err(FilterError::Unknown(1 << 40)));
    }

    #[test]
    fn sockets() {
        use libc::*;
        let calls = &[&[SYS_socket, SYS_socketpair][..]];
        let [online, offline] = [true, false]
            .map(|internet| Filter::build(Surface::Linux { internet }, calls).unwrap());
        let answer = |filter: &Filter, call: i64, family: i32, kind: i32, protocol: i32| {
            let arguments = [family, kind, protocol, 0, 0, 0].map(|a| a as u64);
            bpf::run(filter.program(), bpf::X86_64, call as u32, arguments)
        };
        let flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
        let (allow, refuse) = (
            Action::Allow.value(),
            Action::Errno(EAFNOSUPPORT as u16).value(),
        );
        for kind in [SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET] {
            for filter in [&online, &offline] {
                for call in [SYS_socket, SYS_socketpair] {
                    assert_eq!(answer(filter, call, AF_UNIX, kind | flags, 0), allow);
                }
            }
        }
        for (family, kind, protocol, expected) in [
            (AF_INET, SOCK_STREAM, 0, allow),
            (AF_INET6, SOCK_STREAM | flags, IPPROTO_TCP, allow),
            (AF_INET, SOCK_DGRAM, IPPROTO_UDP, allow),
            (AF_INET6, SOCK_DGRAM | flags, IPPROTO_ICMPV6, allow),
            (AF_INET, SOCK_STREAM, 132, refuse),
            (AF_INET, SOCK_STREAM, 262, refuse),
            (AF_INET, SOCK_SEQPACKET, 0, refuse),
            (AF_INET, SOCK_SEQPACKET, 132, refuse),
            (AF_INET, SOCK_RAW, IPPROTO_ICMP, refuse),
            (AF_INET, SOCK_DGRAM, 136, refuse),
            (AF_UNIX, SOCK_RAW, 0, refuse),
            (AF_UNIX, SOCK_STREAM, 6, refuse),
            (AF_NETLINK, SOCK_RAW, 0, refuse),
            (AF_PACKET, SOCK_DGRAM, 0, refuse),
            (AF_VSOCK, SOCK_STREAM, 0, refuse),
            (AF_ALG, SOCK_SEQPACKET, 0, refuse),
            (38, SOCK_STREAM, 0, refuse),
            (0, 0, 0, refuse),
            (-1, -1, -1, refuse),
        ] {
            let what = format!("{family} {kind} {protocol}");
            assert_eq!(
                answer(&online, SYS_socket, family, kind, protocol),
                expected,
                "{what}"
            );
            let unix = answer(&offline, SYS_socket, family, kind, protocol);
            assert_eq!(unix, refuse, "{what}");
            let pair = answer(&online, SYS_socketpair, family, kind, protocol);
            assert_eq!(pair, refuse, "{what}");
        }
        // Who does not list them has none.
        let none = Filter::build(LINUX_ONLINE, &[]).unwrap();
        let answered = answer(&none, SYS_socket, AF_UNIX, SOCK_STREAM, 0);
        assert_eq!(answered, REFUSED_CALL.value());
    }
}
