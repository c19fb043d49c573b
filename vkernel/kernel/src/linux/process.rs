//! One guest process of the Linux personality, and its threads.
//!
//! What the host kernel knows of a process (ids, descriptors, working directory, limits) is not
//! repeated here; only what differs from the host is.

use std::{
    cell::Cell,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use megabinary_format::{Digest, Index};

use super::{
    call::Stop,
    descriptors::{self, Limit},
    guest::Memory,
    signals::{self, COUNT, Caught, HostAction, Inbox, SYNCHRONOUS, UNBLOCKABLE, bit},
    space::Space,
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
}

impl Host {
    /// Takes the process over for the Linux personality: signals that the launcher had ignored for
    /// other personalities get their default actions, descriptors a limit.
    pub fn new(index: Arc<Index>, audit: Audit) -> io::Result<Host> {
        super::faults::install()?;
        for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
            signals::set_action(signal, HostAction::Default)?;
        }
        let limit = Limit::establish(index.policy.open_files_max)?;
        Ok(Host {
            index,
            audit,
            limit,
        })
    }

    /// Moves a descriptor of the vkernel out of the guest's reach.
    pub fn own(&self, descriptor: OwnedFd) -> io::Result<OwnedFd> {
        self.limit.own(descriptor)
    }

    /// Ends the process as the signal does by default.
    pub fn die(&self, program: &[u8], signal: i32) -> ! {
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

    /// What `execve` of this path does to the process besides starting the program.
    pub fn enter_program(&self, path: &[u8]) {
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        if let Ok(name) = std::ffi::CString::new(name) {
            // The host cuts it to what fits.
            let _ = rustix::thread::set_name(&name);
        }
        descriptors::close_on_exec(self.limit.first_own());
        for signal in (1..=COUNT as i32).filter(|s| bit(*s) & (SYNCHRONOUS | UNBLOCKABLE) == 0) {
            if signals::is_caught(signal) {
                let _ = set_default(signal);
            }
        }
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
    actions: Mutex<[Action; COUNT]>,
    threads: AtomicU32,
}

impl LinuxProcess {
    /// A process with one thread, its first `initial` bytes of memory mapped.
    pub fn new(image: Image, memory: Memory, initial: u64, host: Arc<Host>) -> LinuxProcess {
        let limit = host.index.policy.memory_max.unwrap_or(u64::MAX);
        let mut actions = [Action::default(); COUNT];
        for (signal, action) in (1..).zip(&mut actions) {
            if signals::is_ignored(signal) {
                action.handler = IGNORE;
            }
        }
        LinuxProcess {
            image,
            space: Space::new(memory, initial, limit),
            host,
            actions: Mutex::new(actions),
            threads: AtomicU32::new(1),
        }
    }

    pub(super) fn actions(&self) -> MutexGuard<'_, [Action; COUNT]> {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn descriptors(&self) -> Limit {
        self.host.limit
    }

    /// Number of live guest threads.
    pub fn threads(&self) -> u32 {
        self.threads.load(Ordering::SeqCst)
    }

    /// Counts a thread that begins.
    pub fn thread_begins(&self) {
        self.threads.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a thread that ended; whether it was the last one.
    pub fn thread_ended(&self) -> bool {
        self.threads.fetch_sub(1, Ordering::SeqCst) == 1
    }

    /// In the child of a `fork`, which has one thread.
    pub(super) fn after_fork(&self) {
        self.threads.store(1, Ordering::SeqCst);
    }

    /// Ends the whole process.
    pub fn exit(&self, status: i32) -> ! {
        self.host.audit.exit(&self.image.program, status & 0xff);
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

/// One guest thread.
pub struct Thread {
    /// Signals that it caught.
    pub inbox: Inbox,
    /// Its signal mask, as the guest knows it.
    mask: Cell<u64>,
    /// The alternate signal stack: address, size; 0 for none.
    pub(super) stack: Cell<(u32, u32)>,
    /// Its stack pointer, where the engine has looked at it for the call in progress.
    stack_pointer: Cell<u32>,
    /// Head of its list of robust mutexes; 0 for none.
    pub(super) robust: Cell<u32>,
    /// Address that is cleared and woken when the thread has ended.
    pub(super) clear_tid: Cell<u32>,
}

/// A handler to be called.
#[derive(Clone, Copy)]
pub struct Delivery {
    /// Index in the function table.
    pub handler: u32,
    /// The signal and what the host said about it.
    pub caught: Caught,
    /// Whether the handler takes `siginfo` and `ucontext`.
    pub with_info: bool,
    /// The call that was interrupted may be begun again.
    pub restart: bool,
    /// The alternate stack, if the handler is to run there: its ends.
    pub stack: Option<(u32, u32)>,
    /// The mask to come back to.
    pub mask: u64,
}

impl Thread {
    /// A thread with the calling host thread's signal mask.
    pub fn new(interrupt: Box<dyn Fn() + Send + Sync>) -> Thread {
        Thread {
            inbox: Inbox::new(interrupt),
            mask: Cell::new(signals::mask()),
            stack: Cell::new((0, 0)),
            stack_pointer: Cell::new(0),
            robust: Cell::new(0),
            clear_tid: Cell::new(0),
        }
    }

    /// A thread that lets no signal in until [`Thread::handled`] gives it a mask.
    pub fn closed(interrupt: Box<dyn Fn() + Send + Sync>) -> Thread {
        let thread = Thread::new(interrupt);
        thread.mask.set(!UNBLOCKABLE);
        signals::set_mask(u64::MAX);
        thread
    }

    /// Does something, such as starting a host thread, that must not be interrupted and whose
    /// threads must begin with all signals blocked.
    pub fn with_signals_blocked<T>(&self, act: impl FnOnce() -> T) -> T {
        signals::set_mask(u64::MAX);
        let result = act();
        self.set_mask(self.mask());
        result
    }

    /// The mask with which a thread that this one starts begins.
    pub fn mask_for_child(&self) -> u64 {
        self.mask()
    }

    /// The mask.
    pub(super) fn mask(&self) -> u64 {
        self.mask.get()
    }

    /// Sets the mask. While signals wait in the box, the host's mask stays closed.
    pub(super) fn set_mask(&self, mask: u64) {
        let mask = mask & !UNBLOCKABLE;
        self.mask.set(mask);
        signals::set_mask(u64::MAX);
        if !self.inbox.has_mail() {
            signals::set_mask(mask);
        }
    }

    /// Takes one caught signal whose handler the engine is to call; the thread's mask is then the
    /// handler's. Default actions are taken here.
    pub fn next_delivery(
        &self,
        process: &LinuxProcess,
        waiting: &mut Vec<Caught>,
    ) -> Option<Delivery> {
        if self.inbox.has_mail() {
            // The mask stays closed until the handler's own is set: what else is pending must not
            // be handled before what came first.
            signals::set_mask(u64::MAX);
            self.inbox.take(&mut |caught| waiting.push(caught));
        }
        let some = !waiting.is_empty();
        while !waiting.is_empty() {
            let caught = waiting.remove(0);
            let action = {
                let mut actions = process.actions();
                let slot = actions.get_mut(caught.signal as usize - 1)?;
                let action = *slot;
                if action.flags & libc::SA_RESETHAND as u32 as u64 != 0 {
                    slot.handler = DEFAULT;
                    let _ = set_default(caught.signal);
                }
                action
            };
            match action.handler {
                IGNORE => {}
                // Changed since the host caught it.
                DEFAULT => {
                    if set_default(caught.signal).is_ok() {
                        // SAFETY: raise has no preconditions.
                        #[allow(unsafe_code)]
                        unsafe {
                            libc::raise(caught.signal)
                        };
                    }
                }
                handler => {
                    let flag = |flag: i32| action.flags & flag as u32 as u64 != 0;
                    let before = self.mask();
                    let own = match flag(libc::SA_NODEFER) {
                        true => 0,
                        false => bit(caught.signal),
                    };
                    self.set_mask(before | action.mask | own);
                    let (base, size) = self.stack.get();
                    return Some(Delivery {
                        handler,
                        caught,
                        with_info: flag(libc::SA_SIGINFO),
                        restart: flag(libc::SA_RESTART),
                        stack: (flag(libc::SA_ONSTACK) && size != 0)
                            .then(|| (base, base.saturating_add(size))),
                        mask: before,
                    });
                }
            }
        }
        if some {
            self.set_mask(self.mask());
        }
        None
    }

    /// Tells the stack pointer before a call that is about stacks.
    pub fn set_stack_pointer(&self, pointer: u32) {
        self.stack_pointer.set(pointer);
    }

    /// Whether it runs on its alternate stack.
    pub(super) fn is_on_stack(&self) -> bool {
        let (base, size) = self.stack.get();
        let pointer = self.stack_pointer.get();
        pointer > base && pointer - base <= size
    }

    /// After the handler has returned: the mask that it left in the `ucontext`.
    pub fn handled(&self, mask: u64) {
        self.set_mask(mask);
    }

    /// The thread has ended: tells whoever waits for it.
    pub fn ended(&self, process: &LinuxProcess) {
        super::robust::release(process.space.memory(), self.robust.get());
        let address = self.clear_tid.get();
        if address == 0 {
            return;
        }
        let memory = process.space.memory();
        if memory.write(address, &[0; 4]).is_ok() {
            let args = [memory.address(address), libc::FUTEX_WAKE as u64, 1, 0, 0, 0];
            // SAFETY: an address of guest memory, at which the kernel only looks.
            #[allow(unsafe_code)]
            unsafe {
                super::host::call(libc::SYS_futex, &args)
            };
        }
    }
}

/// Writes a handler's `siginfo` and `ucontext` below `stack`; gives their addresses, in that
/// order. Layouts: `polyfills/sysroot/README.md`.
pub fn write_frame(memory: Memory, stack: u32, delivery: &Delivery) -> Result<(u32, u32), Stop> {
    const INFO: u32 = 128;
    const CONTEXT: u32 = 216;
    const MASK_AT: u32 = 88;
    // 128 bytes below the stack pointer are a leaf function's own.
    let top = stack
        .checked_sub(128 + INFO + CONTEXT)
        .ok_or(rustix::io::Errno::FAULT)?
        & !15;
    let (info, context) = (top + CONTEXT.next_multiple_of(16), top);
    memory.write(info, &delivery.caught.info)?;
    memory.write(context, &[0; CONTEXT as usize])?;
    memory.write(context + MASK_AT, &delivery.mask.to_le_bytes())?;
    Ok((info, context))
}

/// The mask in a `ucontext`.
pub fn frame_mask(memory: Memory, context: u32) -> Result<u64, Stop> {
    Ok(memory.u64(context + 88)?)
}
