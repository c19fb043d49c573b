//! One guest process of the Linux personality.
//!
//! What the host kernel knows of a process (ids, descriptors, working directory, limits) is not
//! repeated here; only what differs from the host is.

use std::{
    ffi::CString,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use megabinary_format::{Digest, Index};
use rustix::process::{Resource, getrlimit};

use super::{
    descriptors::{self, Limit},
    guest::Memory,
    network::Network,
    paths::Paths,
    population::Population,
    signals::{self, COUNT, HostAction, SYNCHRONOUS, bit},
    space::Space,
    title::{Copies, Copy, Strings, Title},
    watchdog::{self, Times},
};
use crate::{audit::Audit, exec};

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
    /// The guest's hard limit of descriptors.
    pub(super) files_hard: AtomicU64,
    pub(super) network: Network,
    /// The processes of the sandbox, if their number is limited.
    pub(super) population: Option<Population>,
    pub(super) times: Times,
    title: Title,
    /// What is done on each signal.
    actions: Mutex<[Action; COUNT]>,
}

impl Host {
    /// Takes the process over for the Linux personality: signals that the launcher had ignored for
    /// other personalities get their default actions, descriptors a limit.
    pub fn new(index: Arc<Index>, audit: Audit, title: Title) -> io::Result<Host> {
        super::faults::install()?;
        for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
            signals::set_action(signal, HostAction::Default)?;
        }
        let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let limit = Limit::establish(index.policy.open_files_max)?;
        audit.move_by(|fd| limit.own(fd))?;
        let paths = Paths::new(&index, &audit, limit)?;
        let policy = &index.policy;
        let network = Network::new(policy.network.clone());
        let population = policy.processes_max.map(Population::new).transpose()?;
        let times = Times::new(policy.wall_time_max_ms, policy.cpu_time_max_ms);
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
            files_hard: AtomicU64::new(hard),
            network,
            population,
            times,
            title,
            actions: Mutex::new(actions),
        })
    }

    /// Moves a descriptor of the vkernel out of the guest's reach.
    pub fn own(&self, descriptor: OwnedFd) -> io::Result<OwnedFd> {
        self.limit.own(descriptor)
    }

    /// Watches the time that the process takes. Called when it is confined.
    pub fn watch(self: &Arc<Host>) -> io::Result<()> {
        let before = signals::mask();
        signals::set_mask(u64::MAX);
        let started = watchdog::start(self);
        signals::set_mask(before);
        started
    }

    /// The process ends.
    pub(super) fn leave(&self) {
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

    /// What `execve` does to the process besides starting the program.
    pub fn enter_program(&self, image: &Image) {
        self.name(image);
        self.show(image);
        descriptors::close_on_exec(self.limit.first_own());
        // What is ignored stays so; everything else gets its default (execve(2)).
        for (signal, action) in (1..).zip(self.actions().iter_mut()) {
            let before = std::mem::take(action);
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
    threads: AtomicU32,
    /// Where the program's arguments and environment went.
    copies: Mutex<Copies>,
}

impl LinuxProcess {
    /// A process with one thread, its first `initial` bytes of memory mapped.
    pub fn new(image: Image, memory: Memory, initial: u64, host: Arc<Host>) -> LinuxProcess {
        let limit = host.index.policy.memory_max.unwrap_or(u64::MAX);
        LinuxProcess {
            image,
            space: Space::new(memory, initial, limit),
            host,
            threads: AtomicU32::new(1),
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

    pub(super) fn actions(&self) -> MutexGuard<'_, [Action; COUNT]> {
        self.host.actions()
    }

    pub(super) fn descriptors(&self) -> Limit {
        self.host.limit
    }

    /// Number of live guest threads.
    pub fn threads(&self) -> u32 {
        self.threads.load(Ordering::SeqCst)
    }

    /// Counts a thread that begins. Not if the policy has no room for it; then the call that wants
    /// it gets EAGAIN.
    pub fn thread_begins(&self) -> bool {
        let most = self.host.index.policy.threads_max.unwrap_or(u32::MAX);
        let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
        let another = |now: u32| now.checked_add(1).filter(|n| *n <= most);
        let counted = self.threads.fetch_update(set, fetch, another).is_ok();
        if !counted {
            self.host.refuse_another("thread", "threads_max");
        }
        counted
    }

    /// Counts a thread that ended; whether it was the last one.
    pub fn thread_ended(&self) -> bool {
        self.threads.fetch_sub(1, Ordering::SeqCst) == 1
    }

    /// In the child of a `fork`, which has one thread.
    pub(super) fn after_fork(&self) {
        self.threads.store(1, Ordering::SeqCst);
        self.host.paths.private.after_fork();
        // The parent's watchdog is no thread of this process.
        if watchdog::start(&self.host).is_err() {
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

    /// The first thread has ended; the process goes on as long as others do.
    pub fn first_thread_ended(&self, status: i32) -> ! {
        if self.thread_ended() {
            self.exit(status);
        }
        // SAFETY: ends this host thread alone; nothing on its stack is needed by others.
        #[allow(unsafe_code)]
        unsafe {
            super::host::call(libc::SYS_exit, &[status as u64, 0, 0, 0, 0, 0]);
        }
        self.exit(status)
    }

    /// Ends the process as the signal does by default.
    pub fn die(&self, signal: i32) -> ! {
        self.host.die(&self.image.program, signal)
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
