//! Memory maps. The ranges are [`super::super::space`]'s; here is what a guest may ask for.

use libc::*;
use rustix::io::Errno;

use super::super::{
    answer::{Answer, Args, int, word},
    context::Cx,
    memory::space::Locking,
    syscall::Arg,
    table::row::Handler,
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_mmap, mmap).host(&[SYS_mlock2]),
    Handler::new(SYS_munmap, munmap),
    Handler::new(SYS_mprotect, mprotect),
    Handler::new(SYS_mremap, mremap),
    Handler::new(SYS_madvise, madvise),
    Handler::new(SYS_msync, msync),
    Handler::new(SYS_mlock, |cx, args| over(cx, SYS_mlock, args)),
    Handler::new(SYS_munlock, |cx, args| over(cx, SYS_munlock, args)),
    Handler::new(SYS_mlock2, |cx, args| over(cx, SYS_mlock2, args)),
    Handler::new(SYS_mlockall, mlockall).host(&[SYS_mlock2, SYS_munlock]),
    Handler::new(SYS_munlockall, |cx, _| {
        cx.process.space.unlock_all()?;
        Ok(0)
    })
    .host(&[SYS_munlock]),
    Handler::new(SYS_mincore, |cx, args| {
        over_with(cx, SYS_mincore, args, cx.at(args[2]))
    }),
    Handler::new(SYS_brk, brk),
];

/// EACCES, as for a file on a file system mounted `noexec`: of EPERM, C libraries make ENOMEM.
fn refuse_execution(cx: &Cx<'_>, operation: &str, protection: i32) -> Result<(), Errno> {
    if protection & PROT_EXEC == 0 {
        return Ok(());
    }
    cx.process.sandbox.audit.refuse(
        operation,
        &cx.process.image.program,
        "no memory becomes executable: PROT_EXEC",
        "EACCES",
    );
    Err(Errno::ACCESS)
}

fn mmap(cx: &Cx<'_>, args: &Args) -> Answer {
    let (protection, flags) = (int(args[2]), int(args[3]));
    refuse_execution(cx, "mmap", protection)?;
    let descriptor = match flags & MAP_ANONYMOUS != 0 {
        true => -1,
        false => cx.process.descriptors().number(args[4])?,
    };
    let offset = args[5].cast_signed();
    let address = cx.process.space.map(
        word(args[0]),
        word(args[1]),
        protection,
        flags,
        descriptor,
        offset,
    )?;
    Ok(address.into())
}

fn munmap(cx: &Cx<'_>, args: &Args) -> Answer {
    cx.process.space.unmap(word(args[0]), word(args[1]))?;
    Ok(0)
}

fn mprotect(cx: &Cx<'_>, args: &Args) -> Answer {
    const KNOWN: i32 = PROT_READ | PROT_WRITE | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP;
    /// `PROT_SEM` of `asm-generic/mman-common.h`, which changes nothing.
    const PROT_SEM: i32 = 8;
    let protection = int(args[2]);
    refuse_execution(cx, "mprotect", protection)?;
    if protection & !KNOWN != 0 {
        return Err(Errno::INVAL.into());
    }
    over(cx, SYS_mprotect, args)
}

fn mremap(cx: &Cx<'_>, args: &Args) -> Answer {
    let address = cx.process.space.remap(
        word(args[0]),
        word(args[1]),
        word(args[2]),
        int(args[3]),
        word(args[4]),
    )?;
    Ok(address.into())
}

fn madvise(cx: &Cx<'_>, args: &Args) -> Answer {
    const KNOWN: &[i32] = &[
        MADV_NORMAL,
        MADV_RANDOM,
        MADV_SEQUENTIAL,
        MADV_WILLNEED,
        MADV_DONTNEED,
        MADV_FREE,
        MADV_REMOVE,
        MADV_DONTFORK,
        MADV_DOFORK,
        MADV_MERGEABLE,
        MADV_UNMERGEABLE,
        MADV_HUGEPAGE,
        MADV_NOHUGEPAGE,
        MADV_DONTDUMP,
        MADV_DODUMP,
        MADV_WIPEONFORK,
        MADV_KEEPONFORK,
        MADV_COLD,
        MADV_PAGEOUT,
        MADV_POPULATE_READ,
        MADV_POPULATE_WRITE,
    ];
    let advice = int(args[2]);
    if !KNOWN.contains(&advice) {
        return Err(Errno::INVAL.into());
    }
    if [MADV_DONTFORK, MADV_DOFORK].contains(&advice) && word(args[1]) != 0 {
        let keep = advice == MADV_DONTFORK;
        cx.process
            .space
            .keep_back(word(args[0]), word(args[1]), keep)?;
        return Ok(0);
    }
    over(cx, SYS_madvise, args)
}

fn msync(cx: &Cx<'_>, args: &Args) -> Answer {
    // Before what is mapped is looked at, as in msync(2).
    let flags = int(args[2]);
    let both = MS_ASYNC | MS_SYNC;
    if flags & !(both | MS_INVALIDATE) != 0 || flags & both == both {
        return Err(Errno::INVAL.into());
    }
    over(cx, SYS_msync, args)
}

/// A call on a range of memory, with at most one more argument.
fn over(cx: &Cx<'_>, number: i64, args: &Args) -> Answer {
    over_with(cx, number, args, args[2].into())
}

/// As [`over`], with this for the third argument.
fn over_with(cx: &Cx<'_>, number: i64, args: &Args, third: Arg<'_>) -> Answer {
    let (address, len) = (word(args[0]), word(args[1]));
    Ok(cx.process.space.over(address, len, number, third)?)
}

fn mlockall(cx: &Cx<'_>, args: &Args) -> Answer {
    const KNOWN: i32 = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    let flags = int(args[0]);
    if flags == 0 || flags == MCL_ONFAULT || flags & !KNOWN != 0 {
        return Err(Errno::INVAL.into());
    }
    let locking = match flags & MCL_ONFAULT {
        0 => Locking::AtOnce,
        _ => Locking::OnFault,
    };
    let (current, future) = (flags & MCL_CURRENT != 0, flags & MCL_FUTURE != 0);
    cx.process.space.lock_all(locking, current, future)?;
    Ok(0)
}

fn brk(_: &Cx<'_>, _: &Args) -> Answer {
    Ok(0)
}
