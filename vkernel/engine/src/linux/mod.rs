//! Runs modules of the Linux personality: one process at a time per host process, its threads, its
//! signal handlers, and its next program when it calls `execve`.
//!
//! What system calls mean is the kernel crate's; here they are linked to imports ([`imports`]),
//! signals reach compiled code ([`safepoints`], [`deliver`]), threads get instances ([`threads`]).
//!
//! Invariant: the linear memory is 4 GiB for compiled code from the start and never moves; which
//! of its pages are there is the kernel crate's business.

mod deliver;
mod imports;
mod libraries;
pub(crate) mod safepoints;
mod snapshot;
mod stack;
#[cfg(feature = "testing")]
mod testing;
mod threads;

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    ptr::NonNull,
    sync::{Arc, Mutex, PoisonError},
};

use megabinary_format::{Module as IndexModule, SnapshotDump, Target};
use rustix::io::Errno;
use vkernel_abi::{personality::Personality, snapshot as abi};
use vkernel_kernel::linux::{
    Before, Image, Inbox, LinuxProcess, Sandbox, Stop, Thread, expect_faults_in,
    guest::{self, PAGE},
    install_fault_handlers,
};
use wasmtime::{Engine, Instance, InstancePre, Linker, Module, SharedMemory, Store, Trap};

use crate::{
    CodeImage, EngineError, TrapReport, alternate_stack,
    code::InPlace,
    config::{self, guest_stack},
    globals, host,
    memory::{Images, WASM_PAGE},
    names::Names,
};

use self::libraries::Libraries;
pub use self::libraries::Library;
use self::snapshot::{Resumed, SnapshotPoint, Warm};

/// Most pages of a 32-bit memory.
const ALL_PAGES: u64 = 65536;

/// What a store holds: the thread that runs in it, and the process once its memory is there.
struct Guest {
    thread: Thread,
    running: Option<Arc<Running>>,
    /// What the call of a signal handler needs.
    handlers: Option<deliver::Handlers>,
}

/// A process, and what its new threads need.
struct Running {
    process: LinuxProcess,
    engine: Engine,
    module: Module,
    names: Names,
    libraries: Libraries,
    /// Bytes of host stack that each thread has for code of the guest.
    stack: usize,
    /// Only of modules with shared memory.
    pre: Option<InstancePre<Guest>>,
    next: Next,
}

/// Goes on with another program in the calling thread, which is the process's first but was not
/// started by [`LinuxMachines::run`]: a `fork` in one of several threads made it the first. It does
/// not come back.
pub type Next = Arc<dyn Fn(Box<Image>) + Send + Sync>;

impl Guest {
    /// What a store of `thread` holds before its instance is made.
    fn of(thread: Thread) -> Guest {
        Guest {
            thread,
            running: None,
            handlers: None,
        }
    }

    /// The process; compiled code runs only when it is there.
    fn running(&self) -> wasmtime::Result<&Arc<Running>> {
        self.running
            .as_ref()
            .ok_or_else(|| wasmtime::format_err!("a system call before the program was started"))
    }
}

/// Loaded modules of this host process: each code image is registered once, whatever is executed
/// how often.
#[derive(Default)]
pub struct LinuxMachines {
    /// Locked only while the process has one thread: a `fork` never finds it locked.
    loaded: Mutex<AllLoaded>,
}

#[derive(Default)]
struct AllLoaded {
    modules: HashMap<u32, Loaded>,
    /// What libraries and the programs that use them run on: they call each other, which takes one engine.
    common: Option<On>,
}

/// An engine, what it makes memories of, and how much of the host's stack its code may use.
#[derive(Clone)]
struct On {
    engine: Engine,
    images: Images,
    stack: usize,
}

#[derive(Clone)]
struct Loaded {
    engine: Engine,
    module: Module,
    names: Names,
    images: Images,
    /// Bytes of the host's stack for code of the guest in each thread. What the limit was when the module
    /// was loaded decides: its code can be registered with one engine only.
    stack: usize,
}

/// How a program ended that did not end its process.
#[derive(Debug)]
pub enum LinuxOutcome {
    /// The process goes on with another program.
    Exec(Box<Image>),
    /// The program trapped: the report, and the signal by which the process ends natively.
    Trap(Box<TrapReport>, i32),
    /// Its snapshot cannot serve this start; nothing but its own memory has changed. It is to be started
    /// without.
    Cold(Box<Image>),
    /// Its snapshot, which the process was there for; or what it has that a snapshot cannot hold.
    Snapshot(Result<Box<SnapshotDump>, String>),
}

impl LinuxMachines {
    /// Loads a module, if it is not.
    fn load(
        &self,
        target: Target,
        at: u32,
        code: CodeImage,
        file: &Arc<OwnedFd>,
        stack: usize,
        in_common: bool,
    ) -> Result<Loaded, EngineError> {
        let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = all.modules.get(&at) {
            return Ok(loaded.clone());
        }
        let on = match all.common.as_ref().filter(|_| in_common) {
            Some(on) => on.clone(),
            None => On::new(target, file, stack)?,
        };
        if in_common {
            all.common = Some(on.clone());
        }
        let (module, names) = code.load(&on.engine)?;
        let loaded = Loaded {
            engine: on.engine,
            module,
            names,
            images: on.images,
            stack: on.stack,
        };
        all.modules.insert(at, loaded.clone());
        Ok(loaded)
    }
}

impl On {
    fn new(target: Target, file: &Arc<OwnedFd>, stack: usize) -> Result<On, EngineError> {
        let images = Images::whole(Arc::clone(file));
        let mut config = config::base(target, Personality::Linux)?;
        config::set_stack(&mut config, stack);
        host::declare_features(&mut config);
        config.with_custom_code_memory(Some(Arc::new(InPlace)));
        config.with_host_memory(Arc::new(images.clone()));
        let engine =
            Engine::new(&config).map_err(EngineError::wasmtime("setting the engine up"))?;
        // Before the engine's handlers, which the engine has just installed.
        install_fault_handlers().map_err(|error| {
            EngineError::wasmtime("installing fault handlers")(wasmtime::Error::new(error))
        })?;
        Ok(On {
            engine,
            images,
            stack,
        })
    }
}

impl LinuxMachines {
    /// Runs `image`, whose module is `module`, as the program of this host process.
    ///
    /// `code` is its compiled code, `libraries` are those that it uses; `file` is the megabinary, for memory images.
    #[expect(
        clippy::too_many_arguments,
        reason = "a program and all that it runs on"
    )]
    pub fn run(
        &self,
        target: Target,
        module: &IndexModule,
        code: CodeImage,
        libraries: Vec<Library<'_>>,
        file: &Arc<OwnedFd>,
        image: Image,
        sandbox: &Arc<Sandbox>,
        next: &Next,
    ) -> Result<LinuxOutcome, EngineError> {
        let warm = Warm::of(module).filter(|_| !image.cold);
        let initial = module.cold.pages.saturating_mul(WASM_PAGE as u64);
        let limit = sandbox.stack_limit();
        let depth = guest_stack(stack::depth(module, limit));
        let in_common = !libraries.is_empty();
        let loaded = self.load(target, image.module, code, file, depth, in_common)?;
        let mut with = Vec::with_capacity(libraries.len());
        let mut contents = Vec::with_capacity(libraries.len());
        for library in libraries {
            with.push(self.load(target, library.at, library.code, file, depth, true)?);
            contents.push(&library.module.cold);
        }
        alternate_stack::install();
        let engine = &loaded.engine;
        let mut linker: Linker<Guest> = Linker::new(engine);
        imports::add(&mut linker, &loaded.module, sandbox.takes_snapshot())?;
        let mut store = Store::new(engine, Guest::of(Thread::new()));
        let shared = shared_memory(engine, &loaded.module)?;
        match warm {
            // The engine makes it; the contents come afterwards.
            _ if shared.is_some() => {}
            Some(warm) => loaded.images.prepare_closed(warm.memory),
            None => loaded.images.prepare(&module.cold),
        }
        if let Some((module, field, memory)) = &shared {
            linker
                .define(&store, module, field, memory.clone())
                .map_err(EngineError::wasmtime("linking the memory"))?;
        }
        let pre = linker
            .instantiate_pre(&loaded.module)
            .map_err(EngineError::wasmtime("linking the program"))?;
        let instance = pre
            .instantiate(&mut store)
            .map_err(EngineError::wasmtime("instantiating the program"))?;
        let base = match &shared {
            Some((_, _, memory)) => memory.data().as_ptr().cast_mut().cast::<u8>(),
            None => instance
                .get_memory(&mut store, abi::MEMORY)
                .map_or(std::ptr::null_mut(), |memory| memory.data_ptr(&store)),
        };
        let base =
            NonNull::new(base).ok_or_else(|| EngineError::missing(&module.name, abi::MEMORY))?;
        if shared.is_some() {
            // SAFETY: it was made for this program, at least as large as the module wants it, which is what
            // the cold image has, and of 4 GiB where an instance has been made of it; no code has run.
            #[allow(unsafe_code)]
            let filled = unsafe {
                match warm {
                    Some(warm) => loaded.images.fill_closed(base, warm.memory),
                    // Libraries have places inside of it (the index's checks).
                    None => [&module.cold]
                        .into_iter()
                        .chain(contents)
                        .try_for_each(|image| loaded.images.fill(base, image)),
                }
            };
            filled.map_err(|why| {
                EngineError::wasmtime("filling the memory")(wasmtime::Error::msg(why))
            })?;
        }
        let unused = stack::beyond_limit(&mut store, &instance, &module.cold, limit).min(initial);
        let needed = warm.map_or(initial - unused, |warm| warm.state.mapped());
        sandbox.has_room_for(needed).map_err(|limit| {
            EngineError::wasmtime("making the memory")(wasmtime::format_err!(
                "the program needs {needed} bytes of memory to start, its policy allows {limit}"
            ))
        })?;
        let mask = image.mask;
        let laying_out = |errno| {
            EngineError::wasmtime("laying out the memory")(wasmtime::Error::new::<Errno>(errno))
        };
        // SAFETY: 4 GiB and a guard are reserved for every memory (`config`); it lives as long as its
        // store, and the process is used by that store's code alone.
        #[allow(unsafe_code)]
        let memory = unsafe { guest::Memory::new(base) };
        expect_faults_in(memory, shared.is_some());
        let process = match warm {
            Some(warm) => {
                globals::set(&mut store, &instance, &module.name, &warm.memory.globals)?;
                let pointer = stack::pointer(&mut store, &instance);
                let (state, host) = (warm.state, Arc::clone(sandbox));
                let stack = (unused, pointer);
                LinuxProcess::resumed(image, memory, initial, host, state, stack)
                    .map_err(laying_out)?
            }
            None => {
                let process = LinuxProcess::new(image, memory, initial, Arc::clone(sandbox));
                if shared.is_some() {
                    process.space.close_rest(initial).map_err(laying_out)?;
                }
                if unused > 0 {
                    process.space.give_up_first(unused).map_err(laying_out)?;
                }
                // Nobody writes to the first page, unless a module keeps data there.
                else if module.cold.runs.iter().all(|run| run.memory_offset >= PAGE) {
                    process.space.protect_first().map_err(laying_out)?;
                }
                process
            }
        };
        let running = Arc::new(Running {
            process,
            engine: engine.clone(),
            module: loaded.module.clone(),
            names: loaded.names,
            libraries: Libraries::new(with, shared.as_ref().map(|(_, _, memory)| memory.clone())),
            stack: loaded.stack,
            pre: shared.is_some().then_some(pre),
            next: Arc::clone(next),
        });
        enter(&mut store, &instance, &running)?;
        let ended = match warm {
            Some(warm) => {
                let before = sandbox.resume_actions(warm.state);
                let mask = store.data().thread.resume(warm.state, mask);
                let resumed = snapshot::resume(&mut store, &instance, &module.name)?;
                if let Ok(Resumed::Cold) = resumed {
                    let process = &running.process;
                    return Ok(cold(&store, process, &module.name, (mask, &before)));
                }
                resumed.map(|resumed| match resumed {
                    Resumed::Exit(status) => status,
                    Resumed::Cold => abi::COLD,
                })
            }
            None => {
                if let Some(mask) = mask {
                    store.data().thread.handled(mask);
                }
                // `_start` that returns has run the exit handlers.
                start(&mut store, &instance, &module.name)?.map(|()| 0)
            }
        };
        let process = &running.process;
        let outcome = match ended {
            Ok(status) => process.exit(status),
            Err(error) if error.is::<SnapshotPoint>() => {
                LinuxOutcome::Snapshot(snapshot::take(&mut store, &instance, process))
            }
            Err(error) => match error.downcast::<Stop>() {
                Ok(Stop::Exec(image)) => LinuxOutcome::Exec(image),
                Ok(Stop::Thread(status)) => {
                    store.data().thread.handled(u64::MAX);
                    store.data().thread.ended(process.space.memory());
                    match process.thread_ended(status) {
                        Some(image) => LinuxOutcome::Exec(image),
                        None => process.exit(status),
                    }
                }
                Ok(Stop::Errno(_)) => LinuxOutcome::Trap(
                    Box::new(TrapReport::plain(
                        &module.name,
                        "a signal frame outside the stack",
                    )),
                    signal_of(None),
                ),
                Err(error) => trapped(&module.name, &running, &error),
            },
        };
        Inbox::leave();
        Ok(outcome)
    }
}

impl Running {
    /// What a trap says.
    fn report(&self, module: &str, error: &wasmtime::Error) -> TrapReport {
        let name = |frame: &wasmtime::FrameInfo| self.libraries.name_of(&self.names, frame);
        TrapReport::of(module, &name, error)
    }
}

fn trapped(module: &str, running: &Running, error: &wasmtime::Error) -> LinuxOutcome {
    let signal = signal_of(error.downcast_ref::<Trap>());
    LinuxOutcome::Trap(Box::new(running.report(module, error)), signal)
}

/// The signal by which a native program ends after the same mistake (signal(7)).
fn signal_of(trap: Option<&Trap>) -> i32 {
    use rustix::process::Signal;
    match trap {
        Some(Trap::IntegerDivisionByZero | Trap::IntegerOverflow) => Signal::FPE,
        Some(Trap::UnreachableCodeReached) => Signal::ILL,
        _ => Signal::SEGV,
    }
    .as_raw()
}

/// The end of a program that a snapshot cannot serve: what the snapshot changed is as it was.
fn cold(
    store: &Store<Guest>,
    process: &LinuxProcess,
    name: &str,
    (mask, before): (u64, &Before),
) -> LinuxOutcome {
    if process.threads() != 1 {
        let report = TrapReport::plain(
            name,
            "a cold start wanted by a program that has made threads",
        );
        return LinuxOutcome::Trap(Box::new(report), signal_of(None));
    }
    store.data().thread.give_up();
    process.sandbox.put_back_actions(before);
    Inbox::leave();
    LinuxOutcome::Cold(Box::new(Image {
        mask: Some(mask),
        cold: true,
        ..process.image.clone()
    }))
}

/// Makes the instance's thread the calling host thread's.
fn enter(
    store: &mut Store<Guest>,
    instance: &Instance,
    running: &Arc<Running>,
) -> Result<(), EngineError> {
    let entry = &running.process.image.entry;
    let libraries = running.libraries.instantiate(store, instance, entry)?;
    let safepoint = safepoints::connect(store, instance, &running.module, &libraries, entry)?;
    let handlers = deliver::Handlers::of(instance, store);
    let guest = store.data_mut();
    guest.handlers = handlers;
    guest.running = Some(Arc::clone(running));
    // SAFETY: the thread is the store's, which stays where it is while its code runs: callers leave
    // the box before they give the store up.
    #[allow(unsafe_code)]
    unsafe {
        guest.thread.inbox.enter(safepoint)
    };
    Ok(())
}

fn start(
    store: &mut Store<Guest>,
    instance: &Instance,
    name: &str,
) -> Result<wasmtime::Result<()>, EngineError> {
    let entry = instance
        .get_typed_func::<(), ()>(&mut *store, abi::START)
        .map_err(|_| EngineError::missing(name, abi::START))?;
    let first = instance
        .get_typed_func::<(), ()>(&mut *store, abi::START_FUNCTION)
        .ok();
    Ok(first
        .map_or(Ok(()), |first| first.call(&mut *store, ()))
        .and_then(|()| entry.call(&mut *store, ())))
}

/// The shared memory that a module imports, whole, after the two names of the import.
fn shared_memory(
    engine: &Engine,
    module: &Module,
) -> Result<Option<(String, String, SharedMemory)>, EngineError> {
    let Some((import, ty)) = module.imports().find_map(|import| {
        let ty = import.ty().memory()?.clone();
        Some((import, ty))
    }) else {
        return Ok(None);
    };
    let pages = ty.maximum().unwrap_or(ALL_PAGES).min(ALL_PAGES) as u32;
    let whole = wasmtime::MemoryType::shared(pages, pages);
    let memory = SharedMemory::new(engine, whole)
        .map_err(EngineError::wasmtime("making the shared memory"))?;
    let (module, field) = (import.module().to_owned(), import.name().to_owned());
    Ok(Some((module, field, memory)))
}
