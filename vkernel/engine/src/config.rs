//! The one wasmtime configuration, for compiling ahead of time and for running.
//!
//! Compiled code embeds assumptions about memory layout, so both sides must agree on it; that is
//! why nobody else in the workspace builds a `wasmtime::Config`.

use std::sync::atomic::{AtomicUsize, Ordering};

use megabinary_format::Target;
use vkernel_abi::personality::Personality;
use wasmtime::Config;

use crate::EngineError;

/// Virtual address space reserved for each linear memory: all that a 32-bit index can reach, so
/// that no bounds check is needed.
pub(crate) const MEMORY_RESERVATION: u64 = 4 << 30;

/// Unmapped space after it, for the constant offsets of loads and stores.
pub(crate) const MEMORY_GUARD: u64 = 32 << 20;

/// Stack that guest code may use, in bytes, where the host has it. CPython's recursion tests need more
/// than 2 MiB.
pub const GUEST_STACK: usize = 8 << 20;

/// The most that guest code may use, where the limit of its process says so (setrlimit(2)).
pub const GUEST_STACK_MOST: usize = 64 << 20;

/// The least with which guests are started: what is smaller is no stack that programs are written for.
pub const GUEST_STACK_LEAST: usize = 256 << 10;

/// What guest code may use in this process: less where the limits of the host leave less.
static GUEST_STACK_HERE: AtomicUsize = AtomicUsize::new(GUEST_STACK);

/// Says how much stack the main thread has for guest code. Before a machine is made.
pub fn set_guest_stack(bytes: usize) {
    GUEST_STACK_HERE.store(bytes.min(GUEST_STACK_MOST), Ordering::Relaxed);
}

/// Stack for a guest that wants so many bytes.
pub(crate) fn guest_stack(wanted: u64) -> usize {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let here = GUEST_STACK_HERE.load(Ordering::Relaxed);
    wanted.max(GUEST_STACK_LEAST).min(here)
}

/// Has guest code use so much stack, and no more.
pub(crate) fn set_stack(config: &mut Config, bytes: usize) {
    config.max_wasm_stack(bytes);
    // Never used, but wasmtime wants it to be the larger one.
    config.async_stack_size(bytes + HOST_STACK);
}

/// Host stack needed below the guest's: host calls run on the same stack.
pub const HOST_STACK: usize = 1 << 20;

/// Frames of a trap report.
const BACKTRACE_FRAMES: usize = 24;

pub(crate) fn base(target: Target, personality: Personality) -> Result<Config, EngineError> {
    let mut config = Config::new();
    config
        .target(triple(target)?)
        .map_err(EngineError::wasmtime("selecting the target"))?;
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(BACKTRACE_FRAMES));
    // Frame pointers are enough to walk the stack; tables of the host's unwinder and of source
    // positions would only make images larger.
    config.native_unwind_info(false);
    config.generate_address_map(false);
    config.memory_reservation(MEMORY_RESERVATION);
    config.memory_reservation_for_growth(0);
    config.memory_guard_size(MEMORY_GUARD);
    config.memory_may_move(false);
    config.guard_before_linear_memory(false);
    // Pulley checks bounds in software: it cannot fault into the host's handlers.
    config.signals_based_traps(target == Target::X86_64);
    // wasmtime's own copy-on-write would use memfd_create; ours maps the ELF.
    config.memory_init_cow(false);
    set_stack(&mut config, guest_stack(GUEST_STACK as u64));
    config.concurrency_support(false);
    proposals(&mut config, personality);
    Ok(config)
}

/// Said for both personalities whenever the build can: builder and launcher must agree, whatever else
/// each was built with.
#[cfg(feature = "linux")]
fn proposals(config: &mut Config, personality: Personality) {
    let linux = personality == Personality::Linux;
    // First: the proposals below cannot be on without it, and it is on by default.
    config.gc_support(linux);
    config.wasm_function_references(linux);
    config.wasm_gc(linux);
    config.wasm_exceptions(linux);
    config.wasm_threads(linux);
    config.shared_memory(linux);
    // Safepoints that call are branches that are hardly ever taken, and say so.
    config.wasm_branch_hinting(linux);
    // The word and the page that safepoints look at are memories of their own.
    config.wasm_custom_page_sizes(linux);
    if linux {
        // Exceptions are the only objects there are. They must be given back: a shell throws one
        // for each `longjmp`, as long as it runs.
        config.collector(wasmtime::Collector::DeferredReferenceCounting);
    }
}

#[cfg(not(feature = "linux"))]
fn proposals(_: &mut Config, _: Personality) {}

/// Target triples as wasmtime names them.
fn triple(target: Target) -> Result<&'static str, EngineError> {
    match target {
        Target::X86_64 => Ok("x86_64-unknown-linux-gnu"),
        Target::Pulley64 => Ok("pulley64"),
        Target::Portable => Err(EngineError::NotExecutable),
    }
}
