//! Limits and usage. Those of descriptors, of the size of files, of memory and of the stack are special: the vkernel
//! needs more of them than the guest, so that the host's hard limits stay where they are and the
//! guest's are only remembered.

use std::sync::atomic::Ordering;

use libc::*;
use rustix::{
    io::Errno,
    process::{self, Resource},
};

use super::super::{
    answer::{Answer, Args, word},
    context::Cx,
    process::{bound::Bound, descriptors::set_limit},
    syscall::Arg,
    table::row::Handler,
};
use crate::confine::files;

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_getrlimit, getrlimit),
    Handler::new(SYS_setrlimit, setrlimit),
    Handler::new(SYS_prlimit64, prlimit),
];

fn getrlimit(cx: &Cx<'_>, args: &Args) -> Answer {
    let to = word(args[1]);
    let own = match args[0] as u32 {
        RLIMIT_NOFILE => descriptors(cx),
        RLIMIT_FSIZE => size(cx),
        RLIMIT_AS => cx.process.sandbox.address_space.both(),
        RLIMIT_DATA => cx.process.sandbox.data.both(),
        RLIMIT_STACK => cx.process.sandbox.stack.both(),
        resource => {
            // Not by getrlimit: who comes here by prlimit64 may not import it, and then the filter
            // does not let it through.
            let mut own = [0_u64; 2];
            let host = [Arg::NONE, resource.into(), Arg::NONE, Arg::output(&mut own)];
            cx.host(SYS_prlimit64, host)?;
            own
        }
    };
    cx.memory().write(to, &own.map(u64::to_le_bytes).concat())?;
    Ok(0)
}

fn setrlimit(cx: &Cx<'_>, args: &Args) -> Answer {
    set(cx, args[0], word(args[1]), 0)
}

fn prlimit(cx: &Cx<'_>, args: &Args) -> Answer {
    let pid = args[0] as i32;
    if pid < 0 {
        return Err(Errno::SRCH.into());
    }
    if pid != 0 && pid != cx.process.id() {
        return Err(Errno::PERM.into());
    }
    match (word(args[2]), word(args[3])) {
        (0, 0) => cx.host(SYS_prlimit64, [Arg::NONE, args[1].into()]),
        (0, old) => getrlimit(cx, &[args[1], old.into(), 0, 0, 0, 0]),
        (new, old) => set(cx, args[1], new, old),
    }
}

fn set(cx: &Cx<'_>, resource: u64, new: u32, old: u32) -> Answer {
    let memory = cx.memory();
    let limits = [memory.u64(new)?, memory.u64(new.wrapping_add(8))?];
    if resource as u32 == RLIMIT_NOFILE {
        return set_files(cx, limits, old);
    }
    if resource as u32 == RLIMIT_FSIZE {
        return set_size(cx, limits, old);
    }
    let sandbox = &cx.process.sandbox;
    match resource as u32 {
        RLIMIT_AS => return set_memory(cx, &sandbox.address_space, limits, old),
        RLIMIT_DATA => return set_memory(cx, &sandbox.data, limits, old),
        // What programs that are executed from now on have.
        RLIMIT_STACK => return set_own(cx, &sandbox.stack, limits, old),
        _ => {}
    }
    let (resource, new, old) = (resource.into(), Arg::input(&limits), memory.arg(old));
    cx.host(SYS_prlimit64, [Arg::NONE, resource, new, old])
}

/// The guest's limits of descriptors: soft, hard.
fn descriptors(cx: &Cx<'_>) -> [u64; 2] {
    let sandbox = &cx.process.sandbox;
    [&sandbox.files_soft, &sandbox.files_hard].map(|limit| limit.load(Ordering::SeqCst))
}

fn set_files(cx: &Cx<'_>, [soft, hard]: [u64; 2], old: u32) -> Answer {
    let before = descriptors(cx);
    let most = cx.process.descriptors().most();
    if soft > hard {
        return Err(Errno::INVAL.into());
    }
    if soft > most || hard > before[1] {
        return Err(Errno::PERM.into());
    }
    if old != 0 {
        cx.memory()
            .write(old, &before.map(u64::to_le_bytes).concat())?;
    }
    let _settled = cx.process.sandbox.paths.private.settled();
    set_limit(cx.process.descriptors().on_host(soft))?;
    cx.process.sandbox.files_soft.store(soft, Ordering::SeqCst);
    cx.process.sandbox.files_hard.store(hard, Ordering::SeqCst);
    Ok(0)
}

fn set_own(cx: &Cx<'_>, bound: &Bound, limits: [u64; 2], old: u32) -> Answer {
    bound.check(limits)?;
    if old != 0 {
        let before = bound.both().map(u64::to_le_bytes).concat();
        cx.memory().write(old, &before)?;
    }
    bound.set(limits);
    Ok(0)
}

fn set_memory(cx: &Cx<'_>, bound: &Bound, limits: [u64; 2], old: u32) -> Answer {
    set_own(cx, bound, limits, old)?;
    cx.process
        .space
        .set_limit(cx.process.sandbox.memory_limit());
    Ok(0)
}

/// The guest's limits of the size of files: soft, hard.
fn size(cx: &Cx<'_>) -> [u64; 2] {
    let soft = process::getrlimit(Resource::Fsize).current;
    let hard = cx.process.sandbox.size_hard.load(Ordering::SeqCst);
    [soft.unwrap_or(u64::MAX), hard]
}

fn set_size(cx: &Cx<'_>, [soft, hard]: [u64; 2], old: u32) -> Answer {
    let before = size(cx);
    if soft > hard {
        return Err(Errno::INVAL.into());
    }
    if hard > before[1] {
        return Err(Errno::PERM.into());
    }
    if old != 0 {
        cx.memory()
            .write(old, &before.map(u64::to_le_bytes).concat())?;
    }
    files::set_size(soft).map_err(|_| Errno::PERM)?;
    cx.process.sandbox.size_hard.store(hard, Ordering::SeqCst);
    Ok(0)
}
