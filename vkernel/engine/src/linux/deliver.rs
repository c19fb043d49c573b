//! Calls a guest's signal handlers.

use vkernel_kernel::linux::{Delivery, frame_mask, write_frame};
use wasmtime::{
    AsContextMut, Func, FuncType, Global, Instance, Ref, Store, StoreContextMut, Table, Val,
    ValType,
};

use super::Guest;

/// Exports of a module that the call of a handler needs (`polyfills/sysroot/README.md`).
pub(super) struct Handlers {
    functions: Table,
    stack_pointer: Global,
}

impl Handlers {
    /// Those of an instance; `None` if it exports none, and so cannot have handlers.
    pub(super) fn of(instance: &Instance, store: &mut Store<Guest>) -> Option<Handlers> {
        Some(Handlers {
            functions: instance.get_table(&mut *store, "__indirect_function_table")?,
            stack_pointer: instance.get_global(&mut *store, "__stack_pointer")?,
        })
    }
}

/// Calls the handlers of all signals in the thread's box. Whether a call that they interrupted may
/// be begun again. An error if the thread is to leave instead.
pub(super) fn all(store: &mut StoreContextMut<'_, Guest>) -> wasmtime::Result<bool> {
    let inbox = &store.data().thread.inbox;
    // What comes while this looks need not change what safepoints look at, which costs two system calls.
    inbox.will_look(true);
    inbox.pass_safepoints();
    let result = each(store);
    let guest = store.data();
    guest.thread.inbox.will_look(false);
    // It came between the last look and this.
    if guest.thread.inbox.has_caught() || guest.running()?.process.leave().is_some() {
        guest.thread.inbox.call_at_safepoint();
    }
    result
}

/// Calls one handler after the other, as [`all`].
fn each(store: &mut StoreContextMut<'_, Guest>) -> wasmtime::Result<bool> {
    let mut restart = true;
    loop {
        let next = {
            let guest = store.data();
            let running = guest.running()?;
            if let Some(stop) = running.process.leave() {
                return Err(wasmtime::Error::new(stop));
            }
            running.process.next_delivery(&guest.thread)
        };
        let Some(delivery) = next else {
            return Ok(restart);
        };
        restart &= delivery.restart;
        one(store, &delivery)?;
    }
}

/// Tells the thread where its stack pointer is.
pub(super) fn tell_stack(store: &mut StoreContextMut<'_, Guest>) {
    let pointer = store.data().handlers.as_ref().map(|h| h.stack_pointer);
    if let Some(Val::I32(at)) = pointer.map(|p| p.get(store.as_context_mut())) {
        store.data().thread.set_stack_pointer(at.cast_unsigned());
    }
}

fn one(store: &mut StoreContextMut<'_, Guest>, delivery: &Delivery) -> wasmtime::Result<()> {
    let running = std::sync::Arc::clone(store.data().running()?);
    let (memory, process) = (running.process.space.memory(), &running.process);
    let Some((function, stack_pointer)) = target(store, delivery.handler) else {
        // A native program would jump into the void.
        process.die(rustix::process::Signal::SEGV.as_raw());
    };
    let before = match stack_pointer.get(store.as_context_mut()) {
        Val::I32(before) => before,
        _ => process.die(rustix::process::Signal::SEGV.as_raw()),
    };
    let before_at = before.cast_unsigned();
    let top = match delivery.stack {
        // Already there: below what is in use.
        Some((base, top)) if before_at > base && before_at <= top => before_at,
        Some((_, top)) => top,
        None => before_at,
    };
    let (info, context) = write_frame(memory, top, delivery).map_err(wasmtime::Error::new)?;
    let arguments = [
        delivery.caught.signal,
        info.cast_signed(),
        context.cast_signed(),
    ];
    let ty = function.ty(&*store);
    let arguments: Vec<Val> = arguments
        .map(Val::I32)
        .into_iter()
        .take(ty.params().len())
        .collect();
    let mut results: Vec<Val> = ty.results().map(|_| Val::I32(0)).collect();
    stack_pointer.set(store.as_context_mut(), Val::I32(context.cast_signed()))?;
    // A handler that leaves by longjmp or an exception does not come back here; the mask is then
    // what it makes of it, as natively.
    // The handler computes.
    store.data().thread.inbox.will_look(false);
    if store.data().thread.inbox.has_caught() {
        store.data().thread.inbox.call_at_safepoint();
    }
    let left = function.call(store.as_context_mut(), &arguments, &mut results);
    if left.is_err() {
        // Others may wait behind this one.
        store.data().thread.inbox.call_at_safepoint();
    }
    left?;
    store.data().thread.inbox.will_look(true);
    stack_pointer.set(store.as_context_mut(), Val::I32(before))?;
    let mask = match delivery.with_info {
        true => frame_mask(memory, context).map_err(wasmtime::Error::new)?,
        false => delivery.mask,
    };
    store.data().thread.handled(mask);
    Ok(())
}

/// The handler's function, if it is one that can be called as a handler, and the stack pointer.
fn target(store: &mut StoreContextMut<'_, Guest>, index: u32) -> Option<(Func, Global)> {
    let handlers = store.data().handlers.as_ref()?;
    let (functions, stack_pointer) = (handlers.functions, handlers.stack_pointer);
    let Some(Ref::Func(Some(function))) = functions.get(store.as_context_mut(), index.into())
    else {
        return None;
    };
    is_handler(&function.ty(&*store)).then_some((function, stack_pointer))
}

/// Programs cast freely: zero to three parameters, each an `int`, a pointer or so; any result of
/// that size.
fn is_handler(ty: &FuncType) -> bool {
    ty.params().len() <= 3
        && ty
            .params()
            .chain(ty.results())
            .all(|t| matches!(t, ValType::I32))
        && ty.results().len() <= 1
}
