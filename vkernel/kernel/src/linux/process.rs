//! One guest process of the Linux personality.
//!
//! What the host kernel knows of a process (ids, descriptors, working directory, limits) is not
//! repeated here; only what differs from the host is.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use megabinary_format::{Digest, Index};
use rustix::process::{Resource, getrlimit};

use super::{
    bound::Bound,
    call::Stop,
    departure::{self, Departure, Threads},
    descriptors::{self, Limit},
    faults,
    guest::Memory,
    ipc::Ipc,
    network::Network,
    paths::Paths,
    population::Population,
    programs::Programs,
    signals::{self, COUNT, HostAction, SYNCHRONOUS, UNBLOCKABLE, bit},
    space::Space,
    thread::Thread,
    timers::Timers,
    title::{Copies, Copy, Strings, Title},
    watchdog::{self, Times},
};
use crate::{audit::Audit, confine::files, exec};

/// What a process runs: an entry of the megabinary, and with what.
#[derive(Clone, Debug)]
pub struct Image {
    /// Position of the module in the index.
    pub module: u32,
    /// Name of the entry.
    pub entry: String,
    /// Digest of the entry.
    pub entry_digest: Digest,
    /// Digest of the file that was executed, if there was one.
    pub file: Option<Digest>,
    /// Absolute guest path of the program.
    pub program: Vec<u8>,
    /// Path of what was executed: the program's, or of the script that it interprets.
    pub executed: Vec<u8>,
    /// Arguments.
    pub argv: Vec<Vec<u8>>,
    /// Environment.
    pub env: Vec<Vec<u8>>,
    /// The signal mask to begin with; the host's if there is none.
    pub mask: Option<u64>,
}

impl From<exec::Launch<'_>> for Image {
    fn from(launch: exec::Launch<'_>) -> Image {
        Image {
            module: launch.module,
            entry: launch.entry.name.clone(),
            entry_digest: launch.entry.digest,
            file: Some(launch.file),
            executed: launch.chain.first().unwrap_or(&launch.program).clone(),
            program: launch.program,
            argv: launch.argv,
            env: launch.env,
            mask: None,
        }
    }
}

/// What the guest wants done on a signal; as the kernel's `sigaction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Action {
    /// Index in the function table, or [`DEFAULT`] or [`IGNORE`].
    pub(super) handler: u32,
    /// SA_* flags.
    pub(super) flags: u64,
    /// Signals blocked meanwhile.
    pub(super) mask: u64,
}

/// SIG_DFL.
pub(super) const DEFAULT: u32 = 0;
/// SIG_IGN.
pub(super) const IGNORE: u32 = 1;

/// What outlives `execve`: the same for every program that the process runs.
#[derive(Debug)]
pub struct Host {
    /// Routes, entries, modules.
    pub index: Arc<Index>,
    /// Where events go.
    pub audit: Audit,
    limit: Limit,
    pub(super) paths: Paths,
    /// The guest's limits of descriptors.
    pub(super) files_soft: AtomicU64,
    pub(super) files_hard: AtomicU64,
    /// The guest's hard limit of the size of files.
    pub(super) size_hard: AtomicU64,
    /// The guest's limits of what it maps: RLIMIT_AS and RLIMIT_DATA.
    pub(super) address_space: Bound,
    pub(super) data: Bound,
    pub(super) network: Network,
    /// The processes of the sandbox, if their number is limited.
    pub(super) population: Option<Population>,
    pub(super) ipc: Ipc,
    pub(super) programs: Programs,
    /// PR_GET_DUMPABLE of the process as it was started (prctl(2)).
    dumpable: u64,
    /// What personality(2) says.
    pub(super) persona: AtomicU32,
    pub(super) times: Times,
    pub(super) timers: Timers,
    title: Title,
    /// What is done on each signal.
    actions: Mutex<[Action; COUNT]>,
}

impl Host {
    /// Takes the process over for the Linux personality: signals that the launcher had ignored for
    /// other personalities get their default actions, or stay ignored if they were so when the process
    /// was started (`ignored`); descriptors get a limit.
    pub fn new(
        index: Arc<Index>,
        audit: Audit,
        title: Title,
        ignored: &dyn Fn(i32) -> bool,
    ) -> io::Result<Host> {
        faults::install()?;
        for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
            signals::set_action(signal, HostAction::Default)?;
        }
        for signal in (1..=COUNT as i32).filter(|signal| ignored(*signal)) {
            if (SYNCHRONOUS | UNBLOCKABLE) & bit(signal) == 0 {
                signals::set_action(signal, HostAction::Ignore)?;
            }
        }
        let limit = Limit::establish(index.policy.open_files_max)?;
        audit.move_by(|fd| limit.own(fd))?;
        let paths = Paths::new(&index, &audit, limit)?;
        let policy = &index.policy;
        let network = Network::new(policy.network.clone());
        let population = policy.processes_max.map(Population::new).transpose()?;
        let times = Times::new(policy.wall_time_max_ms, policy.cpu_time_max_ms);
        let size_hard = getrlimit(Resource::Fsize).maximum.unwrap_or(u64::MAX);
        let size_hard = size_hard.min(index.policy.file_size_max.unwrap_or(u64::MAX));
        let mut actions = [Action::default(); COUNT];
        for (signal, action) in (1..).zip(&mut actions) {
            if signals::is_ignored(signal) {
                action.handler = IGNORE;
            }
        }
        Ok(Host {
            index,
            audit,
            limit,
            paths,
            files_soft: AtomicU64::new(limit.begins_with()),
            files_hard: AtomicU64::new(limit.most()),
            size_hard: AtomicU64::new(size_hard),
            address_space: Bound::of_host(Resource::As),
            data: Bound::of_host(Resource::Data),
            network,
            population,
            ipc: Ipc::of_this_process(),
            programs: Programs::new()?,
            dumpable: dumpable(),
            persona: AtomicU32::new(0),
            times,
            timers: Timers::default(),
            title,
            actions: Mutex::new(actions),
        })
    }

    /// Moves the megabinary's descriptor out of the guest's reach.
    pub fn own(&self, megabinary: OwnedFd) -> io::Result<OwnedFd> {
        self.paths.note_megabinary(megabinary.as_fd())?;
        self.limit.own(megabinary)
    }

    /// Gives the guest the descriptors up to its limit, if it does not have them; whether it has
    /// more than before. See [`descriptors`].
    pub(super) fn more_descriptors(&self) -> bool {
        let soft = self.files_soft.load(Ordering::SeqCst);
        self.paths.private.grow(soft)
    }

    /// Watches the time that the process takes. Called when it is confined.
    pub fn watch(self: &Arc<Host>) -> io::Result<()> {
        if !self.times.are_limited() {
            return Ok(());
        }
        let before = signals::mask();
        signals::set_mask(u64::MAX);
        let started = watchdog::start(self);
        signals::set_mask(before);
        self.thread_was_started();
        started
    }

    /// A host thread has been started. The host's C library takes a signal for itself then (glibc's
    /// SIGSETXID, to change ids in all threads), and its handler fails when a guest sends it: it is
    /// the guest's again.
    fn thread_was_started(&self) {
        const SETXID: usize = 33;
        if let Some(action) = self.actions().get(SETXID - 1) {
            let _ = on_host(SETXID as i32, action);
        }
    }

    /// Whether a module whose memory begins with so many bytes may be started.
    pub fn has_room_for(&self, initial: u64) -> Result<(), u64> {
        match self.memory_limit() {
            limit if initial > limit => Err(limit),
            _ => Ok(()),
        }
    }

    /// Most bytes that the guest may map.
    pub(super) fn memory_limit(&self) -> u64 {
        let policy = self.index.policy.memory_max.unwrap_or(u64::MAX);
        policy.min(self.address_space.soft()).min(self.data.soft())
    }

    /// The process ends.
    pub(super) fn leave(&self) {
        self.programs.forget(host_id());
        if let Some(population) = &self.population {
            population.leave();
        }
    }

    /// Ends the process as the signal does by default.
    pub fn die(&self, program: &[u8], signal: i32) -> ! {
        self.leave();
        self.audit
            .exit(program, vkernel_abi::exit::SIGNAL_BASE + signal);
        let _ = signals::set_action(signal, HostAction::Default);
        // SAFETY: raise and _exit have no preconditions.
        #[allow(unsafe_code)]
        unsafe {
            libc::raise(signal);
            signals::set_mask_exactly(!bit(signal));
            // PID 1 gets no signal whose action is the default.
            libc::_exit(vkernel_abi::exit::SIGNAL_BASE + signal)
        }
    }

    /// Names the process after a program that the host kernel did not start itself.
    pub fn name(&self, image: &Image) {
        let name = image.executed.rsplit(|b| *b == b'/').next();
        if let Ok(name) = CString::new(name.unwrap_or_default()) {
            // The host cuts it to what fits.
            let _ = rustix::thread::set_name(&name);
        }
    }

    /// Has the host show the program's arguments and environment as the process's.
    pub fn show(&self, image: &Image) {
        self.title.show(&image.argv, &image.env);
    }

    /// Notes that the process runs a program, for the others of the sandbox.
    pub fn runs(&self, image: &Image) {
        if let Ok(file) = rustix::fs::stat(image.program.as_slice()) {
            self.programs.note(host_id(), &file);
        }
    }

    /// What `execve` does to the process besides starting the program.
    pub fn enter_program(&self, image: &Image) {
        self.name(image);
        self.show(image);
        self.runs(image);
        renew_attributes(self.dumpable);
        descriptors::close_on_exec(self.limit);
        self.timers.delete_all();
        // What is ignored stays so; everything else gets its default (execve(2)).
        for (signal, action) in (1..).zip(self.actions().iter_mut()) {
            let before = std::mem::take(action);
            if bit(signal) & SYNCHRONOUS != 0 {
                faults::handled(signal, false);
            }
            if before.handler == IGNORE {
                action.handler = IGNORE;
            } else if before != Action::default() && bit(signal) & SYNCHRONOUS == 0 {
                let _ = set_default(signal);
            }
        }
    }

    /// Records that a limit on what there may be of something was met.
    pub(super) fn refuse_another(&self, what: &str, limit: &str) {
        let reason = format!("the policy allows no more of them (policy `{limit}`)");
        self.audit.refuse(what, b"", &reason, "EAGAIN");
    }

    fn actions(&self) -> MutexGuard<'_, [Action; COUNT]> {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One guest process running one program.
#[derive(Debug)]
pub struct LinuxProcess {
    /// What it runs.
    pub image: Image,
    /// Its memory.
    pub space: Space,
    /// What outlives the program.
    pub host: Arc<Host>,
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
    pub fn new(image: Image, memory: Memory, initial: u64, host: Arc<Host>) -> LinuxProcess {
        signals::leaving(false);
        let limit = host.memory_limit();
        LinuxProcess {
            image,
            space: Space::new(memory, initial, limit),
            host,
            departure: Departure::new(),
            id: AtomicI32::new(host_id()),
            robust: AtomicBool::new(false),
            copies: Mutex::default(),
        }
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
        copies.note(&self.host.title, self.space.memory(), &strings, copy);
    }

    /// Its id (getpid(2)).
    pub(super) fn id(&self) -> i32 {
        self.id.load(Ordering::Relaxed)
    }

    pub(super) fn actions(&self) -> MutexGuard<'_, [Action; COUNT]> {
        self.host.actions()
    }

    pub(super) fn descriptors(&self) -> Limit {
        self.host.limit
    }

    /// Number of live guest threads.
    pub fn threads(&self) -> u32 {
        self.departure.count()
    }

    /// Counts a thread that is about to begin. Not if the policy has no room for it; then the call
    /// that wants it gets EAGAIN.
    pub fn thread_begins(&self) -> bool {
        let most = self.host.index.policy.threads_max.unwrap_or(u32::MAX);
        self.host.more_descriptors();
        let counted = self.departure.begins(most);
        if !counted {
            self.host.refuse_another("thread", "threads_max");
        }
        counted
    }

    /// A host thread has been started.
    pub fn thread_was_started(&self) {
        self.host.thread_was_started();
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
    pub(super) fn end_others(&self) -> Result<(), Stop> {
        match self.departure.alone(None) {
            true => Ok(()),
            false => Err(Stop::Thread(0)),
        }
    }

    /// A thread has robust mutexes from now on.
    pub(super) fn has_robust(&self) {
        self.robust.store(true, Ordering::Relaxed);
    }

    /// Ends the process for its thread `thread`. Mutexes that others hold are given up by
    /// themselves, as the host does it natively; nobody waits long for one that cannot.
    pub(super) fn exit_group(&self, thread: &Thread, status: i32) -> Result<i64, Stop> {
        const LONGEST: Duration = Duration::from_secs(1);
        thread.release_robust(self);
        if self.robust.load(Ordering::Relaxed)
            && self.threads() > 1
            && !self.departure.alone(Some(LONGEST))
        {
            return Err(Stop::Thread(status));
        }
        self.exit(status)
    }

    /// The list of threads, locked, for [`LinuxProcess::after_fork`].
    pub(super) fn before_fork(&self) -> MutexGuard<'_, Threads> {
        self.departure.lock()
    }

    /// In the child of a `fork`, which has one thread.
    pub(super) fn after_fork(&self, threads: MutexGuard<'_, Threads>) {
        self.id.store(host_id(), Ordering::Relaxed);
        self.host.programs.forget(host_id());
        self.departure.after_fork(threads);
        self.host.paths.private.after_fork();
        files::after_fork();
        if self.space.after_fork().is_err() {
            // It would have what it is not to have.
            self.die(rustix::process::Signal::KILL.as_raw());
        }
        // The parent's watchdog is no thread of this process.
        if self.host.watch().is_err() {
            // Without it the limits would not hold.
            self.die(rustix::process::Signal::KILL.as_raw());
        }
    }

    /// Ends the whole process.
    pub fn exit(&self, status: i32) -> ! {
        self.host.audit.exit(&self.image.program, status & 0xff);
        self.host.leave();
        // SAFETY: _exit has no preconditions.
        #[allow(unsafe_code)]
        unsafe {
            libc::_exit(status)
        }
    }

    /// Records a call that is not supported.
    pub fn unsupported(&self, call: &str, args: &[u64; 6]) {
        let [a, b, c, d, e, f] = args;
        let text = format!("{call}({a:#x}, {b:#x}, {c:#x}, {d:#x}, {e:#x}, {f:#x})");
        self.host
            .audit
            .refuse(call, text.as_bytes(), "not supported", "ENOSYS");
    }

    /// Records and tells that the program trapped.
    pub fn trapped(&self, report: &str, function: Option<&str>) {
        self.host.audit.trap(&self.image.program, report, function);
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
        self.host.die(&self.image.program, signal)
    }
}

/// Whether the process can be dumped (PR_GET_DUMPABLE).
fn dumpable() -> u64 {
    prctl(libc::PR_GET_DUMPABLE, 0).unwrap_or(0)
}

/// What a process may have set of these does not outlive a program (execve(2)).
fn renew_attributes(dumpable: u64) {
    for (attribute, value) in [
        (libc::PR_SET_DUMPABLE, dumpable),
        (libc::PR_SET_KEEPCAPS, 0),
    ] {
        // Refused only where the host has its own reasons, which hold.
        let _ = prctl(attribute, value);
    }
}

fn prctl(option: i32, value: u64) -> Option<u64> {
    // SAFETY: none of these takes a pointer.
    #[allow(unsafe_code)]
    let result = unsafe { super::host::call(libc::SYS_prctl, &[option as u64, value, 0, 0, 0, 0]) };
    u64::try_from(result).ok()
}

/// The calling process's id, asked for.
pub(super) fn host_id() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Has the host act on a signal as the guest wants it; none of [`SYNCHRONOUS`].
pub(super) fn on_host(signal: i32, action: &Action) -> io::Result<()> {
    let keep = action.flags as i32 & (libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT);
    match action.handler {
        DEFAULT if signal == libc::SIGCHLD => {
            signals::set_action(signal, HostAction::DefaultChild(keep))
        }
        DEFAULT => set_default(signal),
        IGNORE => signals::set_action(signal, HostAction::Ignore),
        _ => signals::set_action(signal, HostAction::Catch(keep)),
    }
}

/// Sets a signal's default action. Signals that ask a process to end must end PID 1 of a container
/// too, for which the host kernel discards them.
pub(super) fn set_default(signal: i32) -> io::Result<()> {
    match crate::signals::end_first_process(signal) {
        Some(result) => result,
        None => signals::set_action(signal, HostAction::Default),
    }
}
