//! One row for each system call that is supported, by number: how it is handled, what may happen
//! to it, and what of it is missing. Numbers without a row answer ENOSYS and are recorded.
//!
//! The generated support table (`docs/syscalls.md`) and the host calls of a module come from here.

use rustix::io::Errno;

use super::{
    call::{Answer, Args, Cx, Stop, word},
    calls, host, paths,
    straight::leads_to,
};

/// How far a call is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// As on Linux.
    Full,
    /// With the exceptions that the row's note names.
    Partial,
    /// Always refused, as the note explains.
    Refused,
}

/// How a call is handled.
#[derive(Clone, Copy)]
pub enum Handler {
    /// The host's own call. One letter an argument: `v` value, `p` pointer, `f` descriptor, `d`
    /// folder or AT_FDCWD, `o` descriptor or a negative number.
    Pass(&'static str),
    /// A function of ours.
    Call(fn(&Cx<'_>, &Args) -> Answer),
    /// Nobody: EPERM and an audit event that gives the note as the reason.
    Refuse,
}

/// A supported call.
#[derive(Clone, Copy)]
pub struct Row {
    /// Number on x86-64.
    pub number: i64,
    /// How it is handled.
    pub handler: Handler,
    /// How far it is supported.
    pub support: Support,
    /// What is missing, or why it is refused.
    pub note: &'static str,
    /// It may wait, and a signal ends the wait.
    pub waits: bool,
    /// A wait that a signal ended is begun again after handlers with SA_RESTART.
    pub restarts: bool,
    /// It needs to know where the thread's stack pointer is.
    pub about_stacks: bool,
    /// Host calls that it can cause, besides its own number and the runtime's.
    pub host: &'static [i64],
    /// Its name. Filled in by the table, as what follows.
    pub name: &'static str,
    /// Which arguments are paths, and what is done with them: see [`paths::arguments`]. Empty if
    /// none is.
    pub(super) paths: &'static str,
    /// All its paths are only looked at.
    only_looks: bool,
}

impl Row {
    /// A call that the host answers.
    pub(super) const fn pass(number: i64, arguments: &'static str) -> Row {
        Row::new(number, Handler::Pass(arguments))
    }

    /// A call with a function of ours.
    pub(super) const fn call(number: i64, function: fn(&Cx<'_>, &Args) -> Answer) -> Row {
        Row::new(number, Handler::Call(function))
    }

    const fn new(number: i64, handler: Handler) -> Row {
        Row {
            number,
            handler,
            support: Support::Full,
            note: "",
            waits: false,
            restarts: false,
            about_stacks: false,
            host: &[],
            name: "",
            paths: "",
            only_looks: false,
        }
    }

    /// It may wait; a signal ends the wait for good.
    pub(super) const fn waits(mut self) -> Row {
        self.waits = true;
        self
    }

    /// It may wait, and is begun again after handlers with SA_RESTART.
    pub(super) const fn restarts(mut self) -> Row {
        self.waits = true;
        self.restarts = true;
        self
    }

    /// It needs to know where the thread's stack pointer is.
    pub(super) const fn about_stacks(mut self) -> Row {
        self.about_stacks = true;
        self
    }

    /// What is missing.
    pub(super) const fn partial(mut self, note: &'static str) -> Row {
        self.support = Support::Partial;
        self.note = note;
        self
    }

    /// A call that is always refused, and why.
    pub(super) const fn refused(number: i64, note: &'static str) -> Row {
        let mut row = Row::new(number, Handler::Refuse);
        row.support = Support::Refused;
        row.note = note;
        row
    }

    /// Host calls other than its own that it needs.
    pub(super) const fn host(mut self, calls: &'static [i64]) -> Row {
        self.host = calls;
        self
    }

    /// Which arguments are paths, one letter each: see `paths/arguments.rs`. Empty if none is.
    pub fn path_letters(&self) -> &'static str {
        self.paths
    }

    /// Host calls that it can cause, besides the runtime's.
    pub fn host_calls(&self) -> impl Iterator<Item = i64> {
        /// Calls that are never made on the host under their own number.
        const OURS: &[i64] = &[
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_fork,
            libc::SYS_vfork,
            libc::SYS_brk,
            libc::SYS_personality,
            libc::SYS_chroot,
        ];
        let made = !OURS.contains(&self.number) && !matches!(self.handler, Handler::Refuse);
        let own = made.then_some(self.number);
        let judging = match self.paths.is_empty() {
            true => &[][..],
            false => paths::HOST_CALLS,
        };
        own.into_iter()
            .chain(self.host.iter().copied())
            .chain(judging.iter().copied())
    }

    /// Whether the call, ended by a signal, is begun again after handlers with SA_RESTART
    /// (signal(7)): not if it waits on a socket that has a time limit.
    pub fn begins_again(&self, args: &Args) -> bool {
        const RECEIVE: &[i64] = &[
            libc::SYS_read,
            libc::SYS_readv,
            libc::SYS_recvfrom,
            libc::SYS_recvmsg,
            libc::SYS_recvmmsg,
            libc::SYS_accept,
            libc::SYS_accept4,
        ];
        const SEND: &[i64] = &[
            libc::SYS_write,
            libc::SYS_writev,
            libc::SYS_sendto,
            libc::SYS_sendmsg,
            libc::SYS_sendmmsg,
            libc::SYS_connect,
        ];
        let option = match self.number {
            number if RECEIVE.contains(&number) => libc::SO_RCVTIMEO,
            number if SEND.contains(&number) => libc::SO_SNDTIMEO,
            _ => return self.restarts,
        };
        self.restarts && !has_time_limit(args[0] as i32, option)
    }

    /// Makes the call; again if it failed because the guest's table of descriptors is smaller than
    /// its limit.
    pub fn run(&self, cx: &Cx<'_>, args: &Args) -> Answer {
        match self.make(cx, args) {
            Err(Stop::Errno(errno)) => self.failed(cx, args, errno),
            answer => answer,
        }
    }

    /// The answer to a call that was passed straight on, from the host's.
    pub fn passed(&self, cx: &Cx<'_>, args: &Args, result: i64) -> Answer {
        match understood(result) {
            Ok(result) => Ok(result),
            Err(errno) => self.failed(cx, args, errno),
        }
    }

    /// What becomes of a call that failed.
    #[cold]
    fn failed(&self, cx: &Cx<'_>, args: &Args, errno: Errno) -> Answer {
        match self.met_the_table(cx, args, errno) && cx.process.host.more_descriptors() {
            true => self.make(cx, args),
            false => Err(errno.into()),
        }
    }

    /// Whether an error may be one of a table that is too small.
    fn met_the_table(&self, cx: &Cx<'_>, args: &Args, errno: Errno) -> bool {
        let above = |number: u64| number as i32 >= cx.process.descriptors().first_own();
        match (errno, self.number) {
            (Errno::MFILE, _) => true,
            (Errno::BADF, libc::SYS_dup2 | libc::SYS_dup3) => above(args[1]),
            (Errno::INVAL, libc::SYS_fcntl) => {
                let command = args[1] as i32;
                [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC].contains(&command) && above(args[2])
            }
            _ => false,
        }
    }

    fn make(&self, cx: &Cx<'_>, args: &Args) -> Answer {
        match self.handler {
            Handler::Call(function) => function(cx, args),
            Handler::Refuse => {
                let program = &cx.process.image.program;
                cx.process
                    .host
                    .audit
                    .refuse(self.name, program, self.note, "EPERM");
                Err(Errno::PERM.into())
            }
            Handler::Pass(kinds) if self.is_judged(cx) => paths::pass(cx, self, kinds, args),
            Handler::Pass(kinds) => {
                let mut translated = [0; 6];
                translate(cx, kinds, args, &mut translated)?;
                pass_on(cx, self.number, self.waits, &translated)
            }
        }
    }

    /// Whether the policy has something to say about the call's paths.
    fn is_judged(&self, cx: &Cx<'_>) -> bool {
        let reach = cx.process.host.paths.reach;
        !self.paths.is_empty() && (!self.only_looks || reach == paths::Reach::Everything)
    }
}

/// Makes the arguments of a [`Handler::Pass`] what the host understands, in `translated`; EBADF if
/// one names a descriptor that the guest cannot have.
pub(super) fn translate(
    cx: &Cx<'_>,
    kinds: &str,
    args: &Args,
    translated: &mut Args,
) -> Result<(), Errno> {
    let (memory, descriptors) = (cx.memory(), cx.process.descriptors());
    for ((to, from), kind) in translated.iter_mut().zip(args).zip(kinds.bytes()) {
        *to = match kind {
            b'v' => *from,
            kind => leads_to(memory, descriptors, kind, word(*from))?,
        };
    }
    Ok(())
}

/// Makes a host call; `waits` if a pending signal must keep it from being begun.
pub(super) fn pass_on(cx: &Cx<'_>, number: i64, waits: bool, args: &Args) -> Answer {
    Ok(understood(raw(cx, number, waits, args))?)
}

/// As [`pass_on`], with the host's number for a result.
#[inline(always)]
pub(super) fn raw(cx: &Cx<'_>, number: i64, waits: bool, args: &Args) -> i64 {
    // SAFETY: pointers lead into guest memory or to values of the caller, descriptors are the
    // guest's: rows say which argument is which.
    #[allow(unsafe_code)]
    unsafe {
        match waits {
            true => host::interruptible(number, args, cx.thread.inbox.pending()),
            false => host::call(number, args),
        }
    }
}

/// Whether a result of the host's is the number of an error.
pub fn is_error(result: i64) -> bool {
    (-4095..0).contains(&result)
}

/// What a result of the host's says.
fn understood(result: i64) -> Result<i64, Errno> {
    match is_error(result) {
        true => Err(Errno::from_raw_os_error(-result as i32)),
        false => Ok(result),
    }
}

/// Whether a descriptor is a socket with the time limit that `option` names.
fn has_time_limit(descriptor: i32, option: i32) -> bool {
    let mut limit = [0_i64; 2];
    let mut len = size_of_val(&limit) as u32;
    let args = [
        descriptor as u64,
        libc::SOL_SOCKET as u64,
        option as u64,
        (&raw mut limit) as u64,
        (&raw mut len) as u64,
        0,
    ];
    // SAFETY: the kernel writes at most `len` bytes to `limit`.
    #[allow(unsafe_code)]
    let result = unsafe { host::call(libc::SYS_getsockopt, &args) };
    result == 0 && std::hint::black_box(limit) != [0, 0]
}

/// Numbers end below this.
const NUMBERS: usize = 512;

/// All rows, by number.
pub static TABLE: [Option<Row>; NUMBERS] = table();

/// The row of a number.
pub fn row(number: u16) -> Option<&'static Row> {
    TABLE.get(usize::from(number))?.as_ref()
}

const fn table() -> [Option<Row>; NUMBERS] {
    let mut table = [None; NUMBERS];
    let mut family = 0;
    while family < calls::FAMILIES.len() {
        let rows = calls::FAMILIES[family];
        let mut at = 0;
        while at < rows.len() {
            let number = rows[at].number as usize;
            assert!(table[number].is_none(), "two rows for one number");
            let mut row = rows[at];
            row.name = name(row.number);
            row.paths = paths::arguments::letters(row.number);
            row.only_looks = paths::arguments::only_look(row.paths);
            table[number] = Some(row);
            at += 1;
        }
        family += 1;
    }
    table
}

/// The name of a call of the interface.
const fn name(number: i64) -> &'static str {
    let calls = vkernel_abi::wali::SYSCALLS;
    let mut at = 0;
    while at < calls.len() {
        if calls[at].number as i64 == number {
            return calls[at].name;
        }
        at += 1;
    }
    // Another test says that there is none.
    ""
}

#[cfg(test)]
mod tests {
    use vkernel_abi::wali;

    use super::*;

    #[test]
    fn a_filter_can_be_made_of_all_rows() {
        use crate::confine::{Filter, Surface};
        let calls: Vec<i64> = TABLE.iter().flatten().flat_map(Row::host_calls).collect();
        Filter::build(Surface::Linux { internet: true }, &[&calls]).unwrap();
    }

    #[test]
    fn calls_made_under_another_number_are_in_the_filter() {
        for (number, made) in [
            (libc::SYS_open, libc::SYS_openat),
            (libc::SYS_creat, libc::SYS_openat),
            (libc::SYS_sendmmsg, libc::SYS_sendmsg),
            (libc::SYS_recvmmsg, libc::SYS_recvmsg),
        ] {
            let row = row(number as u16).unwrap();
            assert!(row.host_calls().any(|call| call == made), "{}", row.number);
        }
    }

    #[test]
    fn rows_fit_the_interface() {
        for row in TABLE.iter().flatten() {
            let call = wali::SYSCALLS
                .iter()
                .find(|c| i64::from(c.number) == row.number)
                .unwrap_or_else(|| panic!("{} is no call of the interface", row.number));
            if let Handler::Pass(kinds) = row.handler {
                assert_eq!(kinds.len(), call.params.len(), "{}", call.name);
                for (kind, param) in kinds.bytes().zip(call.params.bytes()) {
                    let fits = match kind {
                        b'p' => param == b'p',
                        b'f' | b'd' | b'o' => param == b'i',
                        _ => param != b'p',
                    };
                    assert!(fits, "{}: {kinds} for {}", call.name, call.params);
                }
            }
            assert_eq!(
                row.note.is_empty(),
                row.support == Support::Full,
                "{}: a note says what is missing",
                call.name
            );
        }
    }
}
