//! Threads: each a host thread with a store and an instance of its own, on the shared memory.

use std::{
    sync::{Arc, mpsc},
    thread::Builder,
};

use rustix::{io::Errno, thread::gettid};
use vkernel_kernel::linux::{Inbox, Stop, Thread};
use wasmtime::{Instance, Store, Trap};

use super::{Guest, Running, enter, signal_of};
use crate::HOST_STACK;

/// Export that is a thread's body: `(tid, argument) -> ()`.
const BODY: &str = "__wasm_thread_start_libc";

/// Starts a thread with the caller's signal mask; gives its id.
pub(super) fn spawn(running: &Arc<Running>, caller: &Thread, argument: i32) -> Result<i32, Errno> {
    let running = Arc::clone(running);
    if running.pre.is_none() {
        return Err(Errno::NOSYS);
    }
    let (tell, told) = mpsc::sync_channel(1);
    if !running.process.thread_begins() {
        return Err(Errno::AGAIN);
    }
    let shared = Arc::clone(&running);
    let started = caller.with_signals_blocked(|| {
        let started = Builder::new()
            .stack_size(running.stack + HOST_STACK)
            .spawn({
                let mask = caller.mask_for_child();
                move || body(&shared, mask, argument, &tell)
            });
        running.process.thread_was_started();
        started
    });
    // A thread that could not be prepared has said so by hanging up.
    match started.ok().and_then(|_| told.recv().ok()) {
        Some(id) => Ok(id),
        None => {
            running.process.thread_never_began();
            Err(Errno::AGAIN)
        }
    }
}

fn body(running: &Arc<Running>, mask: u64, argument: i32, tell: &mpsc::SyncSender<i32>) {
    let mut store = Store::new(&running.engine, Guest::of(Thread::closed()));
    let Some(instance) = instance(running, &mut store) else {
        return;
    };
    let Ok(entry) = instance.get_typed_func::<(i32, i32), ()>(&mut store, BODY) else {
        return;
    };
    if enter(&mut store, &instance, running).is_err() {
        return;
    }
    running.process.thread_has_begun();
    let id = gettid().as_raw_nonzero().get();
    if tell.send(id).is_err() {
        return;
    }
    store.data().thread.handled(mask);
    let process = &running.process;
    let ended = match process.leave() {
        Some(stop) => Err(wasmtime::Error::new(stop)),
        None => entry.call(&mut store, (id, argument)),
    };
    let status = match ended.map_err(|error| error.downcast::<Stop>()) {
        Ok(()) => 0,
        Err(Ok(Stop::Thread(status))) => status,
        Err(Ok(Stop::Exec(image))) => {
            Inbox::leave();
            // Its hold on the memory, before the next program begins.
            drop(store);
            if let Some(image) = process.hand_over(image) {
                (running.next)(image);
            }
            return;
        }
        Err(Ok(Stop::Errno(_))) => process.die(signal_of(None)),
        Err(Err(error)) => {
            let signal = signal_of(error.downcast_ref::<Trap>());
            let report = running.report(&process.image.entry, &error);
            process.trapped(&report.to_string(), report.innermost());
            process.die(signal)
        }
    };
    let thread = &store.data().thread;
    thread.handled(u64::MAX);
    Inbox::leave();
    // The last thing that others can see of it: its stack may be gone right after.
    thread.ended(process.space.memory());
    // The first thread of a process that was forked by one of several threads.
    if let Some(image) = process.thread_ended(status) {
        drop(store);
        (running.next)(image);
    }
}

fn instance(running: &Running, store: &mut Store<Guest>) -> Option<Instance> {
    running.pre.as_ref()?.instantiate(store).ok()
}
