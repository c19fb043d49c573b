//! A compiled module, ready to run processes: cold, resumed from its snapshot, or up to its
//! snapshot point.

use std::sync::Arc;

use megabinary_format::{MemoryImage, Module as IndexModule, SnapshotDump, Target};
use vkernel_abi::{personality::Personality, snapshot};
use vkernel_kernel::{Process, ProcessExit};
use wasmtime::{Engine, Instance, Linker, Module, Store};

use crate::{
    CodeImage, EngineError, PageSource, TrapReport, alternate_stack, code::InPlace, config,
    globals, host, link, link::Host, memory::Images, memory::WASM_PAGE, names::Names,
};

/// One module of a megabinary in this process.
pub struct Machine {
    name: String,
    cold: MemoryImage,
    warm: Option<MemoryImage>,
    engine: Engine,
    module: Module,
    names: Names,
    linker: Linker<Host>,
    images: Images,
}

/// How to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From the snapshot.
    Warm,
    /// From the module's own initial memory.
    Cold,
    /// Cold, to the snapshot point, and stop there.
    ToSnapshot,
}

/// How a start ended.
#[derive(Debug)]
pub enum Outcome {
    /// The guest ended with this status.
    Exit(i32),
    /// The snapshot cannot serve this invocation; nothing visible has happened. Start cold.
    ColdWanted,
    /// The snapshot point was reached.
    Snapshot(Box<SnapshotDump>),
    /// The guest trapped.
    Trap(Box<TrapReport>),
}

/// A finished start.
pub struct Finished {
    /// What happened.
    pub outcome: Outcome,
    store: Store<Host>,
}

impl Finished {
    /// The process as the guest left it, for another start; its memory is given back.
    pub fn into_process(self) -> Process {
        self.store.into_data().process
    }

    /// The outcome, with the guest's memory left to the end of the host process, which is near:
    /// taking it down piece by piece costs more.
    pub fn leak(self) -> Outcome {
        std::mem::forget(self.store);
        self.outcome
    }
}

impl Machine {
    /// Loads the code of `module` for running.
    ///
    /// `pages` is where the pages of memory images are, for instance the megabinary; `memory_max` is the
    /// policy's limit in bytes.
    pub fn load(
        target: Target,
        module: &IndexModule,
        code: CodeImage,
        pages: impl Into<PageSource>,
        memory_max: Option<u64>,
    ) -> Result<Machine, EngineError> {
        let limit = memory_max.map_or(usize::MAX, |m| usize::try_from(m).unwrap_or(usize::MAX));
        let images = Images::new(pages.into(), limit);
        let mut config = config::base(target, Personality::Wasi)?;
        host::declare_features(&mut config);
        config.with_custom_code_memory(Some(Arc::new(InPlace)));
        config.with_host_memory(Arc::new(images.clone()));
        let engine =
            Engine::new(&config).map_err(EngineError::wasmtime("setting the engine up"))?;
        let (compiled, names) = code.load(&engine)?;
        let mut linker = Linker::new(&engine);
        link::add(&mut linker, &module.imports)?;
        Ok(Machine {
            name: module.name.clone(),
            cold: module.cold.clone(),
            warm: module.warm.clone(),
            engine,
            module: compiled,
            names,
            linker,
            images,
        })
    }

    /// Whether [`Start::Warm`] is possible.
    pub fn has_snapshot(&self) -> bool {
        self.warm.is_some()
    }

    /// Runs `process` in a new instance.
    pub fn run(&self, process: Process, start: Start) -> Result<Finished, EngineError> {
        let image = match start {
            Start::Warm => self.warm.as_ref().unwrap_or(&self.cold),
            Start::Cold | Start::ToSnapshot => &self.cold,
        };
        let needed = image.pages.saturating_mul(WASM_PAGE as u64);
        if needed > self.images.limit() as u64 {
            return Err(EngineError::MemoryLimit {
                module: self.name.clone(),
                needed,
                limit: self.images.limit() as u64,
            });
        }
        alternate_stack::install();
        self.images.prepare(image);
        let mut store = Store::new(
            &self.engine,
            Host {
                process,
                memory: None,
            },
        );
        let instance = self
            .linker
            .instantiate(&mut store, &self.module)
            .map_err(EngineError::wasmtime("instantiating the program"))?;
        store.data_mut().memory = instance.get_memory(&mut store, snapshot::MEMORY);
        globals::set(&mut store, &instance, &self.name, &image.globals)?;
        let result = match start {
            Start::Warm if self.warm.is_some() => self.resume(&mut store, &instance)?,
            Start::ToSnapshot => self.to_snapshot(&mut store, &instance)?,
            Start::Warm | Start::Cold => self.start(&mut store, &instance)?,
        };
        let outcome = result.unwrap_or_else(|error| match error.downcast_ref::<ProcessExit>() {
            Some(exit) => Outcome::Exit(exit.0),
            None => Outcome::Trap(Box::new(TrapReport::new(&self.name, &self.names, &error))),
        });
        Ok(Finished { outcome, store })
    }

    /// Calls what a fresh instance must run first: the module's own start function.
    fn run_start_function(
        &self,
        store: &mut Store<Host>,
        instance: &Instance,
    ) -> wasmtime::Result<()> {
        match instance.get_typed_func::<(), ()>(&mut *store, snapshot::START_FUNCTION) {
            Ok(start) => start.call(&mut *store, ()),
            Err(_) => Ok(()),
        }
    }

    fn start(
        &self,
        store: &mut Store<Host>,
        instance: &Instance,
    ) -> Result<wasmtime::Result<Outcome>, EngineError> {
        let entry = [snapshot::COLD_START, snapshot::START]
            .into_iter()
            .find_map(|name| instance.get_typed_func::<(), ()>(&mut *store, name).ok())
            .ok_or_else(|| self.missing(snapshot::START, "()"))?;
        Ok(self
            .run_start_function(store, instance)
            .and_then(|()| entry.call(&mut *store, ()))
            .map(|()| Outcome::Exit(0)))
    }

    fn resume(
        &self,
        store: &mut Store<Host>,
        instance: &Instance,
    ) -> Result<wasmtime::Result<Outcome>, EngineError> {
        let entry = instance
            .get_typed_func::<(), i32>(&mut *store, snapshot::RESUME)
            .map_err(|_| self.missing(snapshot::RESUME, "i32"))?;
        Ok(entry.call(&mut *store, ()).map(|status| match status {
            snapshot::COLD => Outcome::ColdWanted,
            status => Outcome::Exit(status),
        }))
    }

    fn to_snapshot(
        &self,
        store: &mut Store<Host>,
        instance: &Instance,
    ) -> Result<wasmtime::Result<Outcome>, EngineError> {
        let entry = instance
            .get_typed_func::<(), ()>(&mut *store, snapshot::INIT)
            .map_err(|_| self.missing(snapshot::INIT, "()"))?;
        let result = self
            .run_start_function(store, instance)
            .and_then(|()| entry.call(&mut *store, ()));
        Ok(result.map(|()| Outcome::Snapshot(Box::new(dump(store, instance)))))
    }

    fn missing(&self, export: &'static str, result: &'static str) -> EngineError {
        EngineError::MissingExport {
            module: self.name.clone(),
            export,
            result,
        }
    }
}

/// Memory and mutable globals of an instance.
fn dump(store: &mut Store<Host>, instance: &Instance) -> SnapshotDump {
    let globals = globals::all(store, instance);
    let memory = store.data().memory;
    SnapshotDump::of(memory.map_or(&[], |memory| memory.data(&*store)), globals)
}
