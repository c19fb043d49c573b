//! The sandbox as one of its processes sees it: what outlives `execve`.
//!
//! What the host kernel knows of a process (ids, descriptors, working directory, limits) is not
//! repeated here; only what differs from the host is.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use megabinary_format::{Index, Limit, Module, ProcessState};
use rustix::process::{Resource, Rlimit, getrlimit};

use super::{
    super::{
        policy::{ipc::Ipc, network::Network, paths::Paths},
        signals::{
            action::{Actions, Before, HostAction, on_host, set_action},
            faults, mask,
            set::bit,
        },
        syscall::{self, Errno},
    },
    bound::Bound,
    descriptors::{self, Descriptors},
    image::Image,
    population::Population,
    programs::Programs,
    snapshot::Taking,
    timers::Timers,
    title::Title,
    watchdog::{self, Times},
};
use crate::{audit::Audit, sources::Source};

/// What outlives `execve`: the same for every program that the process runs.
#[derive(Debug)]
pub struct Sandbox {
    /// Routes, entries, modules.
    pub index: Arc<Index>,
    /// Where events go.
    pub audit: Audit,
    /// Which descriptors the guest can have.
    pub(crate) limit: Descriptors,
    pub(crate) paths: Paths,
    /// The guest's limits of descriptors.
    pub(crate) files_soft: AtomicU64,
    pub(crate) files_hard: AtomicU64,
    /// The guest's hard limit of the size of files.
    pub(crate) size_hard: AtomicU64,
    /// The guest's limits of what it maps: RLIMIT_AS and RLIMIT_DATA.
    pub(crate) address_space: Bound,
    pub(crate) data: Bound,
    /// The guest's limit of its stack; the host's has been raised for what else runs there.
    pub(crate) stack: Bound,
    pub(crate) network: Network,
    /// The processes of the sandbox, if their number is limited.
    pub(crate) population: Option<Population>,
    pub(crate) ipc: Ipc,
    pub(crate) programs: Programs,
    /// PR_GET_DUMPABLE of the process as it was started (prctl(2)).
    dumpable: i64,
    /// What personality(2) says.
    pub(crate) persona: AtomicU32,
    pub(crate) times: Times,
    pub(crate) timers: Timers,
    pub(crate) title: Title,
    /// What is done on each signal.
    pub(crate) actions: Actions,
    /// The taking of a snapshot, if that is what the process is for.
    pub(crate) taking: Option<Taking>,
}

impl Sandbox {
    /// Takes the process over for the Linux personality: signals that the launcher had ignored for
    /// other personalities get their default actions, or stay ignored if they were so when the process
    /// was started (`ignored`); descriptors get a limit. `stack` is the limit of the stack before the
    /// launcher raised it.
    pub fn new(
        index: Arc<Index>,
        audit: Audit,
        title: Title,
        ignored: &dyn Fn(i32) -> bool,
        stack: Rlimit,
    ) -> io::Result<Sandbox> {
        faults::install()?;
        let limit = Descriptors::establish(index.policy.limits.count(Limit::OpenFiles))?;
        audit.move_by(|fd| limit.own(fd))?;
        let paths = Paths::new(&index, &audit, limit)?;
        let policy = &index.policy;
        let network = Network::new(policy.network.clone());
        let limits = policy.limits;
        let population = limits.count(Limit::Processes).map(Population::new);
        let population = population.transpose()?;
        let times = Times::new(limits.get(Limit::WallTime), limits.get(Limit::CpuTime));
        let size_hard = getrlimit(Resource::Fsize).maximum.unwrap_or(u64::MAX);
        let size_hard = size_hard.min(limits.get(Limit::FileSize).unwrap_or(u64::MAX));
        Ok(Sandbox {
            index,
            audit,
            limit,
            paths,
            files_soft: AtomicU64::new(limit.begins_with()),
            files_hard: AtomicU64::new(limit.most()),
            size_hard: AtomicU64::new(size_hard),
            address_space: Bound::of_host(Resource::As),
            stack: Bound::from(stack),
            data: Bound::of_host(Resource::Data),
            network,
            population,
            ipc: Ipc::of_this_process(),
            programs: Programs::new()?,
            dumpable: prctl(libc::PR_GET_DUMPABLE, 0).unwrap_or(0),
            persona: AtomicU32::new(0),
            times,
            timers: Timers::default(),
            title,
            actions: Actions::of_host(ignored)?,
            taking: None,
        })
    }

    /// Has the process be there for a snapshot of `module`: nothing of it is to depend on the host. Before
    /// there is a guest.
    pub fn take_snapshot(&mut self, module: u32, source: Source) -> io::Result<()> {
        self.actions.forget_ignored()?;
        self.taking = Some(Taking::begin(module, source)?);
        Ok(())
    }

    /// Whether the process is there for a snapshot.
    pub fn takes_snapshot(&self) -> bool {
        self.taking.is_some()
    }

    /// Moves a descriptor out of the guest's reach.
    pub fn keep(&self, descriptor: OwnedFd) -> io::Result<OwnedFd> {
        self.limit.own(descriptor)
    }

    /// Sets the actions of a snapshot; gives those before. What is ignored stays so.
    pub fn resume_actions(&self, state: &ProcessState) -> Before {
        self.actions.resume(&state.actions)
    }

    /// Sets the actions that [`Sandbox::resume_actions`] gave.
    pub fn put_back_actions(&self, before: &Before) {
        self.actions.put_back(before);
    }

    /// Moves the megabinary's descriptor out of the guest's reach.
    pub fn own(&self, megabinary: OwnedFd) -> io::Result<OwnedFd> {
        self.paths.note_megabinary(megabinary.as_fd())?;
        self.limit.own(megabinary)
    }

    /// Gives the guest the descriptors up to its limit, if it does not have them; whether it has
    /// more than before. See [`descriptors`].
    pub(crate) fn more_descriptors(&self) -> bool {
        let soft = self.files_soft.load(Ordering::SeqCst);
        self.paths.private.grow(soft)
    }

    /// Watches the time that the process takes. Called when it is confined.
    pub fn watch(self: &Arc<Sandbox>) -> io::Result<()> {
        if !self.times.are_limited() {
            return Ok(());
        }
        self.timers.set_own(&self.times.timers())?;
        let sandbox = Arc::clone(self);
        let before = mask::mask();
        mask::set_mask(u64::MAX);
        let started = watchdog::start(self.times, self.audit.clone(), move || sandbox.leave());
        mask::set_mask(before);
        self.thread_was_started();
        started
    }

    /// A host thread has been started. The host's C library takes a signal for itself then (glibc's
    /// SIGSETXID, to change ids in all threads), and its handler fails when a guest sends it: it is
    /// the guest's again.
    pub(crate) fn thread_was_started(&self) {
        const SETXID: usize = 33;
        if let Some(action) = self.actions.lock().get(SETXID - 1) {
            let _ = on_host(SETXID as i32, action);
        }
    }

    /// The soft limit of the stack of programs that are started, bytes.
    pub fn stack_limit(&self) -> u64 {
        /// What any limit leaves, as natively: room for arguments (`fs/exec.c`, `bprm_stack_limits`).
        const LEAST: u64 = 128 << 10;
        self.stack.soft().max(LEAST)
    }

    /// How many bytes a module needs at least to be started: those of its snapshot, if it has one; else
    /// what lies below its data is its stack, and the limit says how much of that is used.
    pub(crate) fn needed(&self, module: &Module) -> u64 {
        const WASM_PAGE: u64 = 65536;
        if let Some(process) = &module.process {
            return process.mapped();
        }
        let memory = &module.cold;
        let data = memory.runs.iter().map(|run| run.memory_offset).min();
        let unused = data.unwrap_or(0).saturating_sub(self.stack_limit());
        memory
            .pages
            .saturating_mul(WASM_PAGE)
            .saturating_sub(unused)
    }

    /// Whether a module whose memory begins with so many bytes may be started.
    pub fn has_room_for(&self, initial: u64) -> Result<(), u64> {
        match self.memory_limit() {
            limit if initial > limit => Err(limit),
            _ => Ok(()),
        }
    }

    /// The policy's limit of what is counted in 32 bits.
    pub(crate) fn most(&self, limit: Limit) -> u32 {
        self.index.policy.limits.count(limit).unwrap_or(u32::MAX)
    }

    /// Most bytes that the guest may map.
    pub(crate) fn memory_limit(&self) -> u64 {
        let policy = self.index.policy.limits.get(Limit::Memory);
        let policy = policy.unwrap_or(u64::MAX);
        policy.min(self.address_space.soft()).min(self.data.soft())
    }

    /// The process ends.
    pub(crate) fn leave(&self) {
        self.programs.forget(own_id());
        if let Some(population) = &self.population {
            population.leave();
        }
    }

    /// Ends the process as the signal does by default.
    pub fn die(&self, program: &[u8], signal: i32) -> ! {
        self.leave();
        self.audit
            .exit(program, vkernel_abi::exit::SIGNAL_BASE + signal);
        let _ = set_action(signal, HostAction::Default);
        // SAFETY: raise and _exit have no preconditions.
        #[allow(unsafe_code)]
        unsafe {
            libc::raise(signal);
            mask::set_mask_exactly(!bit(signal));
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
            self.programs.note(own_id(), &file);
        }
    }

    /// What `execve` does to the process besides starting the program.
    pub fn enter_program(&self, image: &Image) {
        self.name(image);
        self.show(image);
        self.runs(image);
        // Refused only where the host has its own reasons, which hold.
        let _ = prctl(libc::PR_SET_DUMPABLE, self.dumpable);
        let _ = prctl(libc::PR_SET_KEEPCAPS, 0);
        descriptors::close_on_exec(self.limit);
        self.timers.delete_all();
        self.actions.enter_program();
    }

    /// Records that a limit on what there may be of something was met.
    pub(crate) fn refuse_another(&self, what: &str, limit: Limit) {
        let reason = format!(
            "the policy allows no more of them (policy `{}`)",
            limit.key()
        );
        self.audit.refuse(what, b"", &reason, "EAGAIN");
    }
}

/// The calling process's id, asked for.
fn own_id() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// prctl(2) with numbers.
fn prctl(option: i32, value: i64) -> Result<i64, Errno> {
    // SAFETY: none of these takes a pointer.
    #[allow(unsafe_code)]
    unsafe {
        syscall::call(libc::SYS_prctl, [option.into(), value.into()])
    }
}
