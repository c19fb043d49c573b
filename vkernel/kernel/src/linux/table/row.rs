//! A row of the table: the description of a call, joined with what the vkernel does for it.

use vkernel_abi::wali::{By, Judged, Syscall, Waits};

use super::arguments::{self, Slots, translated};
use crate::linux::{
    answer::{Answer, Args, Stop},
    context::Cx,
    policy::{
        arguments::{instead, judged},
        paths::{self, Reach},
    },
    syscall::{self, Arg, Errno, understood},
};

/// A function that answers a call.
pub(crate) type Function = fn(&Cx<'_>, &Args) -> Answer;

/// A function that answers a call, and what goes with it: what the calls' files list.
#[derive(Clone, Copy)]
pub(crate) struct Handler {
    /// The call's number.
    pub(crate) number: i64,
    function: Function,
    about_stacks: bool,
    host: &'static [i64],
}

impl Handler {
    /// The function of a call of [`By::Vkernel`].
    pub(crate) const fn new(number: i64, function: Function) -> Handler {
        Handler {
            number,
            function,
            about_stacks: false,
            host: &[],
        }
    }

    /// It needs to know where the thread's stack pointer is.
    pub(crate) const fn about_stacks(mut self) -> Handler {
        self.about_stacks = true;
        self
    }

    /// Host calls that it can cause, besides its own number and the runtime's: for the filter.
    pub(crate) const fn host(mut self, calls: &'static [i64]) -> Handler {
        self.host = calls;
        self
    }
}

/// A call that somebody answers, if only by refusing it.
#[derive(Clone, Copy)]
pub struct Row {
    /// What it is.
    pub call: &'static Syscall,
    /// It needs to know where the thread's stack pointer is.
    pub(crate) about_stacks: bool,
    function: Option<Function>,
    host: &'static [i64],
    /// How arguments that have been widened become the host's.
    slots: Slots,
}

impl Row {
    /// The row of a call, with its handler if it has one.
    pub(crate) const fn new(call: &'static Syscall, handler: Option<Handler>) -> Row {
        let slots =
            arguments::for_host(call.params, arguments::given(call.params, [Some(true); 6]));
        let (function, about_stacks, host): (_, _, &[i64]) = match handler {
            Some(handler) => (Some(handler.function), handler.about_stacks, handler.host),
            None => (None, false, &[]),
        };
        assert!(
            function.is_some() == matches!(call.by, By::Vkernel),
            "the vkernel has a function for what it answers, and for nothing else"
        );
        Row {
            call,
            about_stacks,
            function,
            host,
            slots,
        }
    }

    fn number(&self) -> i64 {
        self.call.number.into()
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
        let made = !OURS.contains(&self.number()) && self.call.by != By::Refused;
        let own = made.then(|| self.number());
        let judging = match self.call.judged() {
            Judged::Nothing => &[][..],
            Judged::Looks | Judged::Changes => paths::HOST_CALLS,
        };
        let instead = made.then(|| instead(self.number())).flatten();
        own.into_iter()
            .chain(instead)
            .chain(self.host.iter().copied())
            .chain(judging.iter().copied())
    }

    /// Whether the call, ended by a signal, is begun again after handlers with SA_RESTART
    /// (signal(7)): not if it waits on a socket that has a time limit.
    pub(crate) fn begins_again(&self, args: &Args) -> bool {
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
        let restarts = self.call.waits == Waits::Restarts;
        let option = match i64::from(self.call.number) {
            number if RECEIVE.contains(&number) => libc::SO_RCVTIMEO,
            number if SEND.contains(&number) => libc::SO_SNDTIMEO,
            _ => return restarts,
        };
        restarts && !has_time_limit(args[0] as i32, option)
    }

    /// Makes the call; again if it failed because the guest's table of descriptors is smaller than
    /// its limit.
    pub(crate) fn run(&self, cx: &Cx<'_>, args: &Args) -> Answer {
        match self.make(cx, args) {
            Err(Stop::Errno(errno)) => self.failed(cx, args, errno),
            answer => answer,
        }
    }

    /// As [`Row::run`], where the host has been called already, from its result.
    pub(crate) fn finish(&self, cx: &Cx<'_>, args: &Args, result: i64) -> Answer {
        match understood(result) {
            Ok(result) => Ok(result),
            Err(errno) => self.failed(cx, args, errno),
        }
    }

    /// What becomes of a call that failed.
    #[cold]
    fn failed(&self, cx: &Cx<'_>, args: &Args, errno: Errno) -> Answer {
        let ran_out = self.ran_out_of_descriptors(cx, args, errno);
        match ran_out && cx.process.sandbox.more_descriptors() {
            true => self.make(cx, args),
            false => Err(errno.into()),
        }
    }

    /// Whether an error may be one of a table of descriptors that is too small.
    fn ran_out_of_descriptors(&self, cx: &Cx<'_>, args: &Args, errno: Errno) -> bool {
        let above = |number: u64| number as i32 >= cx.process.descriptors().first_own();
        match (errno, self.number()) {
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
        match (self.function, self.call.by) {
            (Some(function), _) => function(cx, args),
            (None, By::Host) => self.pass(cx, args),
            (None, _) => {
                let (audit, program) = (&cx.process.sandbox.audit, &cx.process.image.program);
                audit.refuse(self.call.name, program, self.call.note, "EPERM");
                Err(Errno::PERM.into())
            }
        }
    }

    /// Has the host answer: arguments translated, then judged if the policy has something to say.
    fn pass(&self, cx: &Cx<'_>, args: &Args) -> Answer {
        let host = translated(cx, &self.slots, args, |arg| *arg as u32, |arg| *arg)?;
        if !self.is_judged(cx) {
            return cx.call(self.number(), self.call.may_wait(), &host);
        }
        let paths = &cx.process.sandbox.paths;
        let call = judged(paths, &cx.caller(), self.call, args, &host)?;
        cx.call(call.number, self.call.may_wait(), &call.args())
    }

    /// Whether the policy has something to say about the call's arguments.
    fn is_judged(&self, cx: &Cx<'_>) -> bool {
        match self.call.judged() {
            Judged::Nothing => false,
            Judged::Looks => cx.process.sandbox.paths.reach == Reach::Everything,
            Judged::Changes => true,
        }
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
