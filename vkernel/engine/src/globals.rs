//! The mutable globals of an instance, under the names that the linker exports them by: read for a
//! snapshot, set when a program starts from one.

use megabinary_format::{Global, GlobalValue};
use vkernel_abi::snapshot;
use wasmtime::{AsContextMut, Extern, Instance, Store, Val};

use crate::EngineError;

/// Sets globals to the values that an image has.
pub(crate) fn set<T: 'static>(
    store: &mut Store<T>,
    instance: &Instance,
    module: &str,
    globals: &[Global],
) -> Result<(), EngineError> {
    for global in globals {
        let bad = || EngineError::BadGlobal {
            module: module.to_owned(),
            index: global.index,
        };
        let name = format!("{}{}", snapshot::GLOBAL_PREFIX, global.index);
        let value = match global.value {
            GlobalValue::I32(v) => Val::I32(v.cast_signed()),
            GlobalValue::I64(v) => Val::I64(v.cast_signed()),
            GlobalValue::F32(v) => Val::F32(v),
            GlobalValue::F64(v) => Val::F64(v),
        };
        instance
            .get_global(store.as_context_mut(), &name)
            .ok_or_else(bad)?
            .set(store.as_context_mut(), value)
            .map_err(|_| bad())?;
    }
    Ok(())
}

/// All of them, sorted by index.
pub(crate) fn all<T: 'static>(store: &mut Store<T>, instance: &Instance) -> Vec<Global> {
    let mut globals: Vec<Global> = instance
        .exports(store.as_context_mut())
        .filter_map(|export| {
            let index = export
                .name()
                .strip_prefix(snapshot::GLOBAL_PREFIX)?
                .parse()
                .ok()?;
            match export.into_extern() {
                Extern::Global(global) => Some((index, global)),
                _ => None,
            }
        })
        .collect::<Vec<_>>()
        .into_iter()
        .filter_map(|(index, global)| {
            let value = match global.get(store.as_context_mut()) {
                Val::I32(v) => GlobalValue::I32(v.cast_unsigned()),
                Val::I64(v) => GlobalValue::I64(v.cast_unsigned()),
                Val::F32(v) => GlobalValue::F32(v),
                Val::F64(v) => GlobalValue::F64(v),
                _ => return None,
            };
            Some(Global { index, value })
        })
        .collect();
    globals.sort_by_key(|g| g.index);
    globals
}
