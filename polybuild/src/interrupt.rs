//! Ctrl-C and `kill`: the command ends at once and leaves nothing half-made.
//!
//! Work goes on in whatever the main thread is doing (compiling takes seconds and cannot be
//! stopped); a thread of its own waits for the signal, ends the clients and build steps that were
//! started, removes what is in the making, and ends the process.

use std::{
    fs, io, process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{exit, failure::Failure, scratch, ui::Ui};

static BEGUN: AtomicBool = AtomicBool::new(false);

/// Takes over the signals for the life of the process.
pub(crate) fn install(ui: &Ui) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let ui = ui.clone();
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if let Some(signal) = signals.forever().next() {
                end(&ui, signal);
            }
        })?;
    Ok(())
}

/// Called before a result or a failure is reported: once an interruption has begun, that is what
/// there is to report, and its thread does so.
pub(crate) fn settle(failed: bool) {
    if failed {
        // On a terminal a client gets the same Ctrl-C, and may have ended before our thread woke.
        thread::sleep(Duration::from_millis(10));
    }
    while BEGUN.load(Ordering::SeqCst) {
        thread::park();
    }
}

fn end(ui: &Ui, signal: i32) -> ! {
    BEGUN.store(true, Ordering::SeqCst);
    let (status, word) = match signal {
        SIGTERM => (exit::TERMINATED, "terminated"),
        _ => (exit::INTERRUPTED, "interrupted"),
    };
    end_children();
    scratch::remove_all();
    let failure = Failure::message(status, format!("{word}; nothing half-written is left"))
        .hint("run it again to go on: what was fetched and compiled is kept");
    process::exit(crate::report(ui, &failure))
}

/// Asks every child to end (proc_pid_task_children(5)).
fn end_children() {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return;
    };
    for task in tasks.filter_map(|t| t.ok()) {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for pid in children
            .split_whitespace()
            .filter_map(|p| Pid::from_raw(p.parse().ok()?))
        {
            // One that has just ended by itself is as good.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}
