//! A row of the table of system calls.

use super::super::{
    answer::{Answer, Args, Stop, word},
    context::Cx,
    memory::guest::Memory,
    policy::{
        pass::judged,
        paths::{self, Reach},
    },
    process::descriptors::Limit,
    syscall::{self, Arg, Errno, HostArgs, understood},
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
    pub(crate) paths: &'static str,
    /// All its paths are only looked at.
    pub(crate) only_looks: bool,
}

impl Row {
    /// A call that the host answers.
    pub(crate) const fn pass(number: i64, arguments: &'static str) -> Row {
        Row::new(number, Handler::Pass(arguments))
    }

    /// A call with a function of ours.
    pub(crate) const fn call(number: i64, function: fn(&Cx<'_>, &Args) -> Answer) -> Row {
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
    pub(crate) const fn waits(mut self) -> Row {
        self.waits = true;
        self
    }

    /// It may wait, and is begun again after handlers with SA_RESTART.
    pub(crate) const fn restarts(mut self) -> Row {
        self.waits = true;
        self.restarts = true;
        self
    }

    /// It needs to know where the thread's stack pointer is.
    pub(crate) const fn about_stacks(mut self) -> Row {
        self.about_stacks = true;
        self
    }

    /// What is missing.
    pub(crate) const fn partial(mut self, note: &'static str) -> Row {
        self.support = Support::Partial;
        self.note = note;
        self
    }

    /// A call that is always refused, and why.
    pub(crate) const fn refused(number: i64, note: &'static str) -> Row {
        let mut row = Row::new(number, Handler::Refuse);
        row.support = Support::Refused;
        row.note = note;
        row
    }

    /// Host calls other than its own that it needs.
    pub(crate) const fn host(mut self, calls: &'static [i64]) -> Row {
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
        match self.met_the_table(cx, args, errno) && cx.process.sandbox.more_descriptors() {
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
                    .sandbox
                    .audit
                    .refuse(self.name, program, self.note, "EPERM");
                Err(Errno::PERM.into())
            }
            Handler::Pass(kinds) => {
                let host = translated(cx, kinds, args)?;
                if !self.is_judged(cx) {
                    return cx.call(self.number, self.waits, &host);
                }
                let (paths, called) = (&cx.process.sandbox.paths, (self.number, self.name));
                let letters = (kinds, self.paths);
                let call = judged(paths, &cx.caller(), called, letters, args, &host)?;
                cx.call(call.number, self.waits, &call.args())
            }
        }
    }

    /// Whether the policy has something to say about the call's paths.
    fn is_judged(&self, cx: &Cx<'_>) -> bool {
        let reach = cx.process.sandbox.paths.reach;
        !self.paths.is_empty() && (!self.only_looks || reach == Reach::Everything)
    }
}

/// Makes the arguments of a [`Handler::Pass`] what the host understands; EBADF if one names a descriptor
/// that the guest cannot have.
fn translated(cx: &Cx<'_>, kinds: &str, args: &Args) -> Result<HostArgs<'static>, Errno> {
    let (memory, descriptors) = (cx.memory(), cx.process.descriptors());
    let mut translated = [Arg::NONE; 6];
    for ((to, from), kind) in translated.iter_mut().zip(args).zip(kinds.bytes()) {
        *to = match kind {
            b'v' => (*from).into(),
            kind => leads_to(memory, descriptors, kind, word(*from))?,
        };
    }
    Ok(translated)
}

/// What the host is given for an argument of a kind that is no value: an address for `p`, otherwise
/// a descriptor. EBADF if it is none that the guest could have.
#[inline(always)]
pub(crate) fn leads_to(
    memory: Memory,
    descriptors: Limit,
    kind: u8,
    argument: u32,
) -> Result<Arg<'static>, Errno> {
    match kind {
        b'p' => Ok(memory.arg(argument)),
        b'f' => descriptors.check(argument.into()),
        b'd' => Ok(descriptors.folder(argument.into()).into()),
        _ => descriptors.check_optional(argument.into()),
    }
}

/// Whether a descriptor is a socket with the time limit that `option` names.
fn has_time_limit(descriptor: i32, option: i32) -> bool {
    let mut limit = [0_i64; 2];
    let mut len = size_of_val(&limit) as u32;
    let args = [
        descriptor.into(),
        libc::SOL_SOCKET.into(),
        option.into(),
        Arg::output(&mut limit),
        Arg::output(&mut len),
    ];
    // SAFETY: the kernel writes at most `len` bytes to `limit`, and `len`.
    #[allow(unsafe_code)]
    let result = unsafe { syscall::call(libc::SYS_getsockopt, args) };
    result == Ok(0) && limit != [0, 0]
}
