//! Reports of guest traps that a person can read: which program, which trap, which function.

use std::fmt;

use wasmtime::{FrameInfo, Trap, WasmBacktrace};

use crate::names::Names;

/// A guest trap.
#[derive(Debug, Clone)]
pub struct TrapReport {
    /// Name of the module that trapped.
    pub module: String,
    /// What happened, in wasmtime's words (`wasm trap: out of bounds memory access`).
    pub reason: String,
    /// Functions from the innermost outwards; names where the module has a name section.
    pub frames: Vec<Frame>,
}

/// One frame of guest code.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Index of the function in its module.
    pub index: u32,
    /// Its name, if the module says.
    pub name: Option<String>,
}

impl TrapReport {
    pub(crate) fn new(module: &str, names: &Names, error: &wasmtime::Error) -> TrapReport {
        TrapReport::of(module, &|frame| names.get(frame.func_index()), error)
    }

    /// As [`TrapReport::new`], for frames of several modules.
    pub(crate) fn of(
        module: &str,
        names: &dyn Fn(&FrameInfo) -> Option<String>,
        error: &wasmtime::Error,
    ) -> TrapReport {
        let reason = match error.downcast_ref::<Trap>() {
            Some(trap) => trap.to_string(),
            None => error.root_cause().to_string(),
        };
        let frames = error
            .downcast_ref::<WasmBacktrace>()
            .map(|backtrace| frames(names, backtrace))
            .unwrap_or_default();
        TrapReport {
            module: module.to_owned(),
            reason,
            frames,
        }
    }

    /// A report of something that is no trap of wasmtime's.
    #[cfg(feature = "linux")]
    pub(crate) fn plain(module: &str, reason: &str) -> TrapReport {
        TrapReport {
            module: module.to_owned(),
            reason: reason.to_owned(),
            frames: Vec::new(),
        }
    }

    /// Name of the function that trapped, if the module has names.
    pub fn innermost(&self) -> Option<&str> {
        self.frames.first()?.name.as_deref()
    }
}

fn frames(names: &dyn Fn(&FrameInfo) -> Option<String>, backtrace: &WasmBacktrace) -> Vec<Frame> {
    backtrace
        .frames()
        .iter()
        .map(|f| Frame {
            index: f.func_index(),
            name: names(f),
        })
        .collect()
}

impl fmt::Display for TrapReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "module `{}`: {}", self.module, self.reason)?;
        for (depth, frame) in self.frames.iter().enumerate() {
            write!(f, "\n  {depth}: ")?;
            match &frame.name {
                Some(name) => write!(f, "{name} (function {})", frame.index)?,
                None => write!(f, "function {}", frame.index)?,
            }
        }
        Ok(())
    }
}
