//! Shared libraries of a program (`docs/side-modules.md`): modules that are instantiated into its memory and table.
//!
//! A library imports everything from the program's instance, functions of the C library too, so that it can do
//! nothing that the program cannot. Its instance only writes its functions into the table; its data come from the
//! megabinary. Each thread has an instance, as it has one of the program.

use megabinary_format::Module as IndexModule;
use vkernel_abi::library as abi;
use wasmtime::{Extern, FrameInfo, Instance, Module, SharedMemory, Store};

use super::{Guest, Loaded};
use crate::{CodeImage, EngineError, names::Names};

/// A library of the program that is to run.
pub struct Library<'a> {
    /// Its position in the index.
    pub at: u32,
    /// What the index has of it.
    pub module: &'a IndexModule,
    /// Its compiled code.
    pub code: CodeImage,
}

/// Libraries that are loaded, and what their instances need.
#[derive(Clone, Default)]
pub(super) struct Libraries {
    modules: Vec<(Module, Names)>,
    memory: Option<SharedMemory>,
}

impl Libraries {
    pub(super) fn new(loaded: Vec<Loaded>, memory: Option<SharedMemory>) -> Libraries {
        let modules = loaded
            .into_iter()
            .map(|library| (library.module, library.names));
        Libraries {
            modules: modules.collect(),
            memory,
        }
    }

    /// Instances for the program's instance.
    pub(super) fn instantiate(
        &self,
        store: &mut Store<Guest>,
        program: &Instance,
        name: &str,
    ) -> Result<Vec<(Instance, &Module)>, EngineError> {
        let mut instances = Vec::with_capacity(self.modules.len());
        for (module, _) in &self.modules {
            let mut imports = Vec::with_capacity(module.imports().len());
            for import in module.imports() {
                let found = match (import.name(), &self.memory) {
                    (abi::MEMORY, Some(memory)) => Some(Extern::SharedMemory(memory.clone())),
                    (field, _) => program.get_export(&mut *store, field),
                };
                imports.push(found.ok_or_else(|| EngineError::NotForLibrary {
                    module: name.to_owned(),
                    export: import.name().to_owned(),
                })?);
            }
            let instance = Instance::new(&mut *store, module, &imports)
                .map_err(EngineError::wasmtime("instantiating a shared library"))?;
            instances.push((instance, module));
        }
        Ok(instances)
    }

    /// The name of a frame's function, which is the program's or a library's.
    pub(super) fn name_of(&self, program: &Names, frame: &FrameInfo) -> Option<String> {
        let code = frame.module().text().as_ptr();
        let mut libraries = self.modules.iter();
        let names = libraries.find(|(module, _)| module.text().as_ptr() == code);
        names
            .map_or(program, |(_, names)| names)
            .get(frame.func_index())
    }
}
