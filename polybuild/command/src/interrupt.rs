//! Ctrl-C and `kill`: the command ends at once and leaves nothing half-made.
//!
//! Work goes on in whatever the main thread is doing (compiling takes seconds and cannot be
//! stopped), and it may be about to make the next folder. So a thread of its own waits for the
//! signal, ends the clients and build steps that were started, and then executes this very program
//! again: that ends every other thread, and the successor, which does nothing else, removes what
//! was in the making and reports.
//!
//! Invariant: while things are removed, nobody is left who could make them again.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{self, Command},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{exit, failure::Failure, scratch, ui::Ui};

/// First argument of the successor; then the signal's number, `json` or `text`, and the folders to
/// tidy.
const SUCCESSOR: &str = "--tidy-after-interruption";

/// How long children may take to end when asked, before they are killed.
const PATIENCE: Duration = Duration::from_secs(2);

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
    // What the children started becomes ours when they end, and ends too.
    let _ = set_child_subreaper(Some(getpid()));
    signal_children(Signal::TERM);
    let folders = scratch::close();
    ui.clear();
    let error = Command::new("/proc/self/exe")
        .arg(SUCCESSOR)
        .arg(signal.to_string())
        .arg(if ui.json() { "json" } else { "text" })
        .args(&folders)
        .exec();
    // Next best: with the other threads still running.
    tracing::debug!(%error, "cannot execute this program again");
    process::exit(tidy(ui, signal, &folders))
}

/// The successor's work, if `arguments` are a successor's; returns the exit status.
pub(crate) fn succeeded(arguments: &[OsString]) -> Option<i32> {
    let [_, first, signal, mode, folders @ ..] = arguments else {
        return None;
    };
    if first != SUCCESSOR {
        return None;
    }
    // A second Ctrl-C must not end this: it takes no time.
    let ignored = Signals::new([SIGINT, SIGTERM]);
    let signal = signal.to_str()?.parse().ok()?;
    let ui = Ui::new(false, mode == OsStr::new("json"));
    let folders: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    let status = tidy(&ui, signal, &folders);
    drop(ignored);
    Some(status)
}

fn tidy(ui: &Ui, signal: i32, folders: &[PathBuf]) -> i32 {
    let (status, word) = match signal {
        SIGTERM => (exit::TERMINATED, "terminated"),
        _ => (exit::INTERRUPTED, "interrupted"),
    };
    end_children();
    scratch::remove_all(folders);
    let failure = Failure::message(status, format!("{word}; nothing half-written is left"))
        .hint("run it again to go on: what was fetched and compiled is kept");
    crate::report(ui, &failure)
}

/// Waits until no child is left; those that do not end when asked are killed.
fn end_children() {
    let begun = Instant::now();
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => continue,
            Ok(None) => {}
            // There is none, or none can be waited for.
            Err(_) => return,
        }
        signal_children(match begun.elapsed() < PATIENCE {
            true => Signal::TERM,
            false => Signal::KILL,
        });
        thread::sleep(Duration::from_millis(5));
    }
}

/// Signals every child (proc_pid_task_children(5)).
fn signal_children(signal: Signal) {
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
            let _ = kill_process(pid, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_arguments_are_not_a_successors() {
        for words in [
            &["p"][..],
            &["p", "recipe.toml"],
            &["p", "a", "2", "text", "/"],
        ] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(succeeded(&words), None);
        }
    }
}
