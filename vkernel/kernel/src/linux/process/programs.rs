//! Which processes of the sandbox have executed which files: a page that all of them share.
//!
//! The host executes the vkernel once, so that it does not know. Two answers of Linux's depend on it: a
//! child that has executed a program is not put into another process group by its parent (`setpgid(2)`,
//! EACCES), and the file of a running program is not opened for writing (`open(2)`, ETXTBSY).
//!
//! A process notes itself when it executes a file, and takes the note away when it ends. One that was
//! killed does not; its note means nothing, since nobody has its number, until a `fork` gives the number
//! to another process, which begins by taking the note away.
//!
//! Invariant: the guest cannot reach the page. What is in it is used to refuse, never to allow.
#![allow(unsafe_code)]

use std::{
    io, ptr,
    sync::atomic::{AtomicI32, AtomicU64, Ordering},
};

use rustix::{
    fs::Stat,
    mm::{MapFlags, ProtFlags, mmap_anonymous},
    process::{Pid, test_kill_process},
};

/// How many processes there is room for.
const ROOM: usize = 2048;

/// How many places a process's note may have. What does not fit is not noted.
const PLACES: usize = 16;

/// What a process has executed.
#[repr(C)]
#[derive(Debug)]
struct File {
    device: AtomicU64,
    inode: AtomicU64,
}

/// What is shared. The numbers come first and together: they are what every start and end looks at.
#[repr(C)]
#[derive(Debug)]
struct Page {
    /// The processes; 0 where there is none.
    processes: [AtomicI32; ROOM],
    files: [File; ROOM],
}

/// The notes.
#[derive(Debug)]
pub(crate) struct Programs(&'static Page);

impl Programs {
    /// No notes.
    pub(crate) fn new() -> io::Result<Programs> {
        // SAFETY: a fresh map of zeros that is never given back; zeros are a value of the type.
        let page = unsafe {
            let flags = MapFlags::SHARED | MapFlags::NORESERVE;
            let access = ProtFlags::READ | ProtFlags::WRITE;
            let at = mmap_anonymous(ptr::null_mut(), size_of::<Page>(), access, flags)?;
            &*at.cast::<Page>()
        };
        Ok(Programs(page))
    }

    /// The places that a process's note may have.
    fn places(process: i32) -> impl Iterator<Item = usize> {
        let first = process.unsigned_abs() as usize;
        (first..first + PLACES).map(|at| at % ROOM)
    }

    fn process(&self, at: usize) -> &AtomicI32 {
        &self.0.processes[at % ROOM]
    }

    fn find(&self, process: i32) -> Option<usize> {
        Programs::places(process).find(|at| self.process(*at).load(Ordering::SeqCst) == process)
    }

    /// The process has executed a file.
    pub(crate) fn note(&self, process: i32, file: &Stat) {
        let place = self.find(process).or_else(|| {
            Programs::places(process).find(|at| {
                let (place, order) = (self.process(*at), Ordering::SeqCst);
                let now = place.load(order);
                (now == 0 || is_gone(now))
                    && place.compare_exchange(now, process, order, order).is_ok()
            })
        });
        if let Some(note) = place.and_then(|at| self.0.files.get(at)) {
            note.device.store(file.st_dev, Ordering::SeqCst);
            note.inode.store(file.st_ino, Ordering::SeqCst);
        }
    }

    /// The process ends, or has just begun with a number that another one had. A child of a `fork` has
    /// its parent's program, but has executed nothing.
    pub(crate) fn forget(&self, process: i32) {
        if let Some(at) = self.find(process) {
            self.process(at).store(0, Ordering::SeqCst);
        }
    }

    /// Whether a process has executed something.
    pub(crate) fn has_executed(&self, process: i32) -> bool {
        process > 0 && self.find(process).is_some()
    }

    /// Whether a file is a running program's.
    pub(crate) fn is_running(&self, file: &Stat) -> bool {
        let mut notes = self.0.processes.iter().zip(&self.0.files);
        notes.any(|(process, note)| {
            note.inode.load(Ordering::SeqCst) == file.st_ino
                && note.device.load(Ordering::SeqCst) == file.st_dev
                && !is_gone(process.load(Ordering::SeqCst))
        })
    }
}

fn is_gone(process: i32) -> bool {
    match Pid::from_raw(process) {
        Some(pid) => test_kill_process(pid) == Err(rustix::io::Errno::SRCH),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_of_processes_that_are_there() {
        let programs = Programs::new().unwrap();
        let (own, file) = (std::process::id() as i32, rustix::fs::stat("/").unwrap());
        assert!(!programs.has_executed(own) && !programs.is_running(&file));
        programs.note(own, &file);
        assert!(programs.has_executed(own) && programs.is_running(&file));
        let other = rustix::fs::stat("/proc").unwrap();
        programs.note(own, &other);
        assert!(!programs.is_running(&file) && programs.is_running(&other));
        programs.forget(own);
        assert!(!programs.has_executed(own) && !programs.is_running(&other));
        // One that was killed.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        programs.note(child.id() as i32, &file);
        assert!(!programs.is_running(&file));
        assert!(!programs.has_executed(0) && !programs.has_executed(-1));
    }

    #[test]
    fn a_full_page_is_no_error() {
        let programs = Programs::new().unwrap();
        let (own, file) = (std::process::id() as i32, rustix::fs::stat("/").unwrap());
        // Numbers that are somebody's: this process's own, as often as there is room.
        for place in &programs.0.processes {
            place.store(std::os::unix::process::parent_id() as i32, Ordering::SeqCst);
        }
        programs.note(own, &file);
        assert!(!programs.has_executed(own));
    }
}
