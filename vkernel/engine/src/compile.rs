//! Ahead-of-time compilation: a normalised core module to wasmtime's ELF image.
//!
//! Builders only: the launcher is built without this module and without a compiler.

use std::hash::{DefaultHasher, Hash, Hasher};

use megabinary_format::Target;
use vkernel_abi::personality::Personality;
use wasmtime::{Config, Engine, OptLevel};

use crate::{EngineError, config, names, safepoints};

/// Instruction-set extensions that native code may use: x86-64-v2, which every x86-64 server of
/// the last decade has. The host's own features are never looked at, so that the same module
/// gives the same bytes on every machine.
const X86_64_V2: &[&str] = &[
    "has_sse3",
    "has_ssse3",
    "has_sse41",
    "has_sse42",
    "has_popcnt",
];

/// Compiles modules for one target.
pub struct Compiler {
    engine: Engine,
    target: Target,
    personality: Personality,
}

impl Compiler {
    /// A compiler for `target`, of modules of one personality.
    pub fn new(target: Target, personality: Personality) -> Result<Compiler, EngineError> {
        let mut config = config::base(target, personality)?;
        optimise(&mut config, target);
        let engine =
            Engine::new(&config).map_err(EngineError::wasmtime("setting the compiler up"))?;
        Ok(Compiler {
            engine,
            target,
            personality,
        })
    }

    /// Compiles `wasm`; the result is what the linker packs. Deterministic.
    pub fn compile(&self, name: &str, wasm: &[u8]) -> Result<Vec<u8>, EngineError> {
        names::compile_without(wasm, |wasm| match self.personality {
            Personality::Wasi => self.engine.precompile_module(wasm),
            Personality::Linux => {
                // An interpreter has no faults that a safepoint could be.
                let faults = self.target == Target::X86_64;
                self.engine
                    .precompile_module(&safepoints::insert(wasm, faults)?)
            }
        })
        .map_err(|source| EngineError::Compile {
            module: name.to_owned(),
            target: self.target,
            source,
        })
    }

    /// A text that changes whenever the compiler would give other code for the same module: the
    /// key of caches, with the module's digest. Covers wasmtime's release, every setting, and the
    /// layout of the image around wasmtime's.
    pub fn fingerprint(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.engine
            .precompile_compatibility_hash()
            .hash(&mut hasher);
        format!(
            "{:?} {:016x} names, safepoints 7",
            self.target,
            hasher.finish()
        )
    }
}

fn optimise(config: &mut Config, target: Target) {
    config.cranelift_opt_level(OptLevel::Speed);
    if target == Target::X86_64 {
        for flag in X86_64_V2 {
            // SAFETY: the flags are sound on every host that has the features, and wasmtime
            // checks them against the host before it runs the code.
            #[allow(unsafe_code)]
            unsafe {
                config.cranelift_flag_enable(flag)
            };
        }
    }
}
