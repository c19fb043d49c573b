//! Signals: what a guest may ask for. How they reach it is [`super::super::signals`]'.

use libc::*;
use rustix::io::Errno;

use super::super::{
    answer::{Answer, Args, int, word},
    context::Cx,
    signals::{
        action::{Action, IGNORE, handles_faults, on_host},
        inbox::is_leave,
        queued,
        set::{COUNT, SYNCHRONOUS, UNBLOCKABLE, bit},
    },
    syscall::Arg,
    table::row::Handler,
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_rt_sigaction, action),
    Handler::new(SYS_rt_sigprocmask, mask),
    Handler::new(SYS_rt_sigpending, pending),
    Handler::new(SYS_rt_sigsuspend, suspend),
    Handler::new(SYS_rt_sigtimedwait, timed_wait),
    Handler::new(SYS_sigaltstack, alternate_stack).about_stacks(),
    Handler::new(SYS_rt_sigqueueinfo, |cx, args| {
        queue(cx, SYS_rt_sigqueueinfo, args, 1)
    }),
    Handler::new(SYS_rt_tgsigqueueinfo, |cx, args| {
        queue(cx, SYS_rt_tgsigqueueinfo, args, 2)
    }),
];

/// Size of the kernel's signal set.
const SET: u64 = 8;

/// SIG_IGN of other toolchains.
const IGNORE_ELSEWHERE: u32 = 0xffff_fffe;

fn action(cx: &Cx<'_>, args: &Args) -> Answer {
    let (signal, new, old) = (int(args[0]), word(args[1]), word(args[2]));
    if !(1..=COUNT as i32).contains(&signal) || u64::from(word(args[3])) != SET {
        return Err(Errno::INVAL.into());
    }
    let memory = cx.memory();
    let wanted = match new {
        0 => None,
        _ if bit(signal) & UNBLOCKABLE != 0 => return Err(Errno::INVAL.into()),
        pointer => {
            let handler = match memory.u32(pointer)? {
                IGNORE_ELSEWHERE => IGNORE,
                handler => handler,
            };
            Some(Action {
                handler,
                flags: memory.u64(pointer + 4)?,
                mask: memory.u64(pointer + 16)?,
            })
        }
    };
    let mut actions = cx.process.actions();
    let slot = &mut actions[signal as usize - 1];
    let before = *slot;
    if let Some(wanted) = wanted {
        if bit(signal) & SYNCHRONOUS == 0 {
            on_host(signal, &wanted).map_err(|_| Errno::INVAL)?;
        }
        handles_faults(signal, &wanted);
        *slot = wanted;
    }
    drop(actions);
    if old != 0 {
        let mut bytes = [0; 24];
        bytes[..4].copy_from_slice(&before.handler.to_le_bytes());
        bytes[4..12].copy_from_slice(&before.flags.to_le_bytes());
        bytes[16..].copy_from_slice(&before.mask.to_le_bytes());
        memory.write(old, &bytes)?;
    }
    Ok(0)
}

fn mask(cx: &Cx<'_>, args: &Args) -> Answer {
    let (how, new, old) = (int(args[0]), word(args[1]), word(args[2]));
    if u64::from(word(args[3])) != SET {
        return Err(Errno::INVAL.into());
    }
    let memory = cx.memory();
    let before = cx.thread.mask();
    if new != 0 {
        let set = memory.u64(new)?;
        let after = match how {
            SIG_BLOCK => before | set,
            SIG_UNBLOCK => before & !set,
            SIG_SETMASK => set,
            _ => return Err(Errno::INVAL.into()),
        };
        cx.thread.set_mask(after);
    }
    if old != 0 {
        memory.write(old, &before.to_le_bytes())?;
    }
    Ok(0)
}

fn suspend(cx: &Cx<'_>, args: &Args) -> Answer {
    if u64::from(word(args[1])) != SET {
        return Err(Errno::INVAL.into());
    }
    let wanted = cx.memory().u64(word(args[0]))?;
    cx.thread.wait_under(wanted, || {
        let mask = wanted & !SYNCHRONOUS;
        cx.host_waiting(SYS_rt_sigsuspend, [Arg::input(&mask), SET.into()])
    })
}

fn pending(cx: &Cx<'_>, args: &Args) -> Answer {
    let size = u64::from(word(args[1]));
    if size > SET {
        return Err(Errno::INVAL.into());
    }
    let mut set = 0_u64;
    cx.host(SYS_rt_sigpending, [Arg::output(&mut set), SET.into()])?;
    let set = set | cx.thread.held_back();
    let bytes = set.to_le_bytes();
    cx.memory()
        .write(word(args[0]), bytes.get(..size as usize).unwrap_or(&bytes))?;
    Ok(0)
}

fn timed_wait(cx: &Cx<'_>, args: &Args) -> Answer {
    if args[3] == SET
        && let set = cx.memory().u64(word(args[0]))?
        && let Some(caught) = cx.thread.take_held_back(set)
    {
        if word(args[1]) != 0 {
            cx.memory().write(word(args[1]), &caught.info)?;
        }
        return Ok(caught.signal.into());
    }
    let at = |i: usize| cx.at(args[i]);
    let host = [at(0), at(1), at(2), args[3].into()];
    let signal = cx.host_waiting(SYS_rt_sigtimedwait, host)?;
    if is_leave(signal) {
        cx.thread.inbox.tell_to_leave();
        return Err(Errno::INTR.into());
    }
    Ok(signal)
}

/// A call that queues the signal that is its argument `at`, with the `siginfo` behind it and the receiver
/// before it. The host gets a copy, so that what was looked at is what is sent.
fn queue(cx: &Cx<'_>, number: i64, args: &Args, at: usize) -> Answer {
    let (signal, pointer) = (int(args[at]), word(args[at + 1]));
    let memory = cx.memory();
    let mut info = [0_u8; 128];
    memory.read(pointer, &mut info[..queued::KERNEL_SIZE])?;
    // The host looks at the rest of those only whose contents it does not know.
    let rest = pointer.checked_add(queued::KERNEL_SIZE as u32);
    let rest = rest.map(|rest| memory.read(rest, &mut info[queued::KERNEL_SIZE..]));
    if !matches!(rest, Some(Ok(()))) {
        info[queued::KERNEL_SIZE..].fill(0);
    }
    // The host refuses what claims to be the kernel's, but from a thread to itself.
    if int(args[at - 1]) == rustix::thread::gettid().as_raw_nonzero().get() {
        queued::on_its_way(signal, &mut info);
    }
    let mut host = args.map(Arg::from);
    host[at + 1] = Arg::input(&info);
    cx.host(number, host)
}

fn alternate_stack(cx: &Cx<'_>, args: &Args) -> Answer {
    /// `SS_AUTODISARM` is not known.
    const KNOWN: u32 = SS_DISABLE as u32;
    const ON: u32 = SS_ONSTACK as u32;
    /// MINSIGSTKSZ.
    const LEAST: u32 = 2048;
    let (new, old) = (word(args[0]), word(args[1]));
    let memory = cx.memory();
    let (base, size) = cx.thread.stack.get();
    let wanted = match new {
        0 => None,
        pointer => {
            let (base, flags) = (memory.u32(pointer)?, memory.u32(pointer + 4)?);
            let size = memory.u32(pointer + 8)?;
            if cx.thread.is_on_stack() {
                return Err(Errno::PERM.into());
            }
            match flags {
                KNOWN => Some((0, 0)),
                0 | ON if size < LEAST => return Err(Errno::NOMEM.into()),
                0 | ON => Some((base, size)),
                _ => return Err(Errno::INVAL.into()),
            }
        }
    };
    if old != 0 {
        let flags = match size {
            0 => KNOWN,
            _ if cx.thread.is_on_stack() => ON,
            _ => 0,
        };
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&base.to_le_bytes());
        bytes[4..8].copy_from_slice(&flags.to_le_bytes());
        bytes[8..].copy_from_slice(&size.to_le_bytes());
        memory.write(old, &bytes)?;
    }
    if let Some(wanted) = wanted {
        cx.thread.stack.set(wanted);
    }
    Ok(0)
}
