//! One guest process of the Linux personality: the program that it runs ([`image`]), its threads
//! ([`thread`], [`departure`]), and what stays the same over all its programs ([`sandbox`]).
//!
//! The other modules of this folder import nothing from this file.

pub(crate) mod bound;
pub(crate) mod departure;
pub(crate) mod descriptors;
pub(crate) mod image;
pub(crate) mod population;
pub(crate) mod programs;
pub(crate) mod reader;
pub(crate) mod robust;
pub(crate) mod sandbox;
pub(crate) mod snapshot;
pub(crate) mod thread;
pub(crate) mod timers;
pub(crate) mod title;
mod watchdog;

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::Duration,
};

use self::{
    departure::{Departure, Threads},
    descriptors::Descriptors,
    image::Image,
    sandbox::Sandbox,
    thread::{Delivery, Thread},
    title::{Copies, Copy, Strings},
};
use megabinary_format::{Limit, ProcessState, SnapshotDump};
use rustix::io::Errno;

use super::{
    answer::Stop,
    memory::{guest::Memory, space::Space},
    policy::caller::Caller,
    signals::{action::Action, inbox::leaving, set::COUNT},
};
use crate::confine::files;

/// One guest process running one program.
#[derive(Debug)]
pub struct LinuxProcess {
    /// What it runs.
    pub image: Image,
    /// Its memory.
    pub space: Space,
    /// What outlives the program.
    pub sandbox: Arc<Sandbox>,
    departure: Departure,
    /// Its id, which does not change: programs ask for it often.
    id: AtomicI32,
    /// Whether a thread has ever had robust mutexes.
    robust: AtomicBool,
    /// Where the program's arguments and environment went.
    copies: Mutex<Copies>,
}

impl LinuxProcess {
    /// A process with one thread, its first `initial` bytes of memory mapped.
    pub fn new(image: Image, memory: Memory, initial: u64, sandbox: Arc<Sandbox>) -> LinuxProcess {
        leaving(false);
        let limit = sandbox.memory_limit();
        LinuxProcess {
            image,
            space: Space::new(memory, initial, limit),
            sandbox,
            departure: Departure::new(),
            id: AtomicI32::new(rustix::process::getpid().as_raw_nonzero().get()),
            robust: AtomicBool::new(false),
            copies: Mutex::default(),
        }
    }

    /// A process as it was in its snapshot, whose `memory` holds the contents and nothing accessible besides;
    /// but with a stack that begins at `stack`, as its limit says now, and is used from `pointer` on.
    pub fn resumed(
        image: Image,
        memory: Memory,
        initial: u64,
        sandbox: Arc<Sandbox>,
        state: &ProcessState,
        (stack, pointer): (u64, u64),
    ) -> Result<LinuxProcess, Errno> {
        let space = Space::thaw(memory, initial, sandbox.memory_limit(), state)?;
        space.fit_stack(stack, pointer)?;
        Ok(LinuxProcess {
            space,
            // A list of robust mutexes may be in the snapshot.
            robust: AtomicBool::new(state.robust != 0),
            ..LinuxProcess::new(image, memory, 0, sandbox)
        })
    }

    /// Whether the program has come to the point where its snapshot is wanted.
    pub fn is_snapshotted(&self) -> bool {
        let taking = self.sandbox.taking.as_ref();
        taking.is_some_and(|taking| taking.concerns(self.image.module))
    }

    /// Takes the snapshot of the process, whose thread `thread` has called for it: all of it but the
    /// globals of its module. Afterwards it cannot go on. The error names what a snapshot cannot hold.
    pub fn freeze(&self, thread: &Thread) -> Result<SnapshotDump, String> {
        if self.threads() != 1 {
            return Err("other threads".to_owned());
        }
        if !departure::is_first() {
            return Err("no first thread any more".to_owned());
        }
        if thread.has_signals() {
            return Err("a signal whose handler has not been called".to_owned());
        }
        if !self.sandbox.timers.lock().is_empty() {
            return Err("a timer (timer_create)".to_owned());
        }
        if let Some(taking) = &self.sandbox.taking {
            taking.obstacle(self.descriptors().guests())?;
        }
        let mut dump = SnapshotDump::default();
        let extents = self.space.freeze(&mut dump)?;
        dump.process = Some(ProcessState {
            extents,
            actions: self.sandbox.actions.state(),
            ..thread.state()
        });
        Ok(dump)
    }

    /// Takes note that the program has a copy of its argument (or environment string) of this index.
    pub fn copied(&self, environment: bool, index: usize, to: u32) {
        let strings = Strings {
            argv: &self.image.argv,
            env: &self.image.env,
        };
        let copy = Copy {
            environment,
            index,
            to,
        };
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        copies.note(&self.sandbox.title, self.space.memory(), &strings, copy);
    }

    /// Its id (getpid(2)).
    pub(crate) fn id(&self) -> i32 {
        self.id.load(Ordering::Relaxed)
    }

    pub(crate) fn actions(&self) -> MutexGuard<'_, [Action; COUNT]> {
        self.sandbox.actions.lock()
    }

    /// What a judgement has to know of who calls.
    pub(crate) fn caller(&self) -> Caller<'_> {
        Caller {
            audit: &self.sandbox.audit,
            space: &self.space,
            descriptors: self.sandbox.limit,
            id: self.id(),
            threads: &self.departure,
        }
    }

    pub(crate) fn descriptors(&self) -> Descriptors {
        self.sandbox.limit
    }

    /// Number of live guest threads.
    pub fn threads(&self) -> u32 {
        self.departure.count()
    }

    /// Counts a thread that is about to begin. Not if the policy has no room for it; then the call
    /// that wants it gets EAGAIN.
    pub fn thread_begins(&self) -> bool {
        let most = self.sandbox.most(Limit::Threads);
        self.sandbox.more_descriptors();
        let counted = self.departure.begins(most);
        if !counted {
            self.sandbox.refuse_another("thread", Limit::Threads);
        }
        counted
    }

    /// A host thread has been started.
    pub fn thread_was_started(&self) {
        self.sandbox.thread_was_started();
    }

    /// The calling thread, which was counted, has begun.
    pub fn thread_has_begun(&self) {
        self.departure.begun();
    }

    /// A thread that was counted could not begin.
    pub fn thread_never_began(&self) {
        self.departure.never_began();
    }

    /// The calling thread has ended, with this status. If it was the last one the process ends; the
    /// process's first thread comes back from here when it is to run another program.
    pub fn thread_ended(&self, status: i32) -> Option<Box<Image>> {
        if self.departure.ended() {
            self.exit(status);
        }
        // It lets no signal in any more: the process's are for the others.
        departure::is_first().then(|| self.departure.next())
    }

    /// Why the calling thread cannot go on, if it cannot: another one has called `execve`, or ends
    /// the process.
    pub fn leave(&self) -> Option<Stop> {
        self.departure.concerns_caller().then_some(Stop::Thread(0))
    }

    /// Makes `image` the process's program, for the calling thread, which is the only one that
    /// still runs. It comes back in the process's first thread only.
    pub fn hand_over(&self, image: Box<Image>) -> Option<Box<Image>> {
        if departure::is_first() {
            return Some(image);
        }
        self.departure.hand_over(image);
        None
    }

    /// Ends all other threads, for good: the caller is about to `execve`.
    pub(crate) fn end_others(&self) -> Result<(), Stop> {
        match self.departure.alone(None) {
            true => Ok(()),
            false => Err(Stop::Thread(0)),
        }
    }

    /// A thread has robust mutexes from now on.
    pub(crate) fn has_robust(&self) {
        self.robust.store(true, Ordering::Relaxed);
    }

    /// Ends the process for its thread `thread`. Mutexes that others hold are given up by
    /// themselves, as the host does it natively; nobody waits long for one that cannot.
    pub(crate) fn exit_group(&self, thread: &Thread, status: i32) -> Result<i64, Stop> {
        const LONGEST: Duration = Duration::from_secs(1);
        thread.release_robust(self.space.memory());
        if self.robust.load(Ordering::Relaxed)
            && self.threads() > 1
            && !self.departure.alone(Some(LONGEST))
        {
            return Err(Stop::Thread(status));
        }
        self.exit(status)
    }

    /// The list of threads, locked, for [`LinuxProcess::after_fork`].
    pub(crate) fn before_fork(&self) -> MutexGuard<'_, Threads> {
        self.departure.lock()
    }

    /// In the child of a `fork`, which has one thread.
    pub(crate) fn after_fork(&self, threads: MutexGuard<'_, Threads>) {
        self.id.store(
            rustix::process::getpid().as_raw_nonzero().get(),
            Ordering::Relaxed,
        );
        self.sandbox.programs.forget(self.id());
        self.departure.after_fork(threads);
        self.sandbox.paths.private.after_fork();
        files::after_fork();
        if self.space.after_fork().is_err() {
            // It would have what it is not to have.
            self.die(rustix::process::Signal::KILL.as_raw());
        }
        // The parent's watchdog is no thread of this process.
        if self.sandbox.watch().is_err() {
            // Without it the limits would not hold.
            self.die(rustix::process::Signal::KILL.as_raw());
        }
    }

    /// Ends the whole process.
    pub fn exit(&self, status: i32) -> ! {
        self.sandbox.audit.exit(&self.image.program, status & 0xff);
        self.sandbox.leave();
        // SAFETY: _exit has no preconditions.
        #[allow(unsafe_code)]
        unsafe {
            libc::_exit(status)
        }
    }

    /// Takes one signal that its thread `thread` has caught and whose handler the engine is to call; the
    /// thread's mask is then the handler's. Default actions are taken here.
    pub fn next_delivery(&self, thread: &Thread) -> Option<Delivery> {
        thread.next_delivery(&self.sandbox.actions, &self.space)
    }

    /// Records a call that is not supported.
    pub fn unsupported(&self, call: &str, args: &[u64; 6]) {
        let [a, b, c, d, e, f] = args;
        let text = format!("{call}({a:#x}, {b:#x}, {c:#x}, {d:#x}, {e:#x}, {f:#x})");
        self.sandbox
            .audit
            .refuse(call, text.as_bytes(), "not supported", "ENOSYS");
    }

    /// Records and tells that the program trapped.
    pub fn trapped(&self, report: &str, function: Option<&str>) {
        self.sandbox
            .audit
            .trap(&self.image.program, report, function);
        let program = String::from_utf8_lossy(&self.image.program)
            .escape_debug()
            .to_string();
        // Nobody else is left to tell if standard error is closed.
        let _ = io::Write::write_all(
            &mut io::stderr(),
            format!("vkernel: {program} trapped in {report}\n").as_bytes(),
        );
    }

    /// Ends the process as the signal does by default.
    pub fn die(&self, signal: i32) -> ! {
        self.sandbox.die(&self.image.program, signal)
    }
}
