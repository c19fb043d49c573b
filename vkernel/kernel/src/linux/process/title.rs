//! What the host shows of the process to others and to itself: `/proc/PID/cmdline` and
//! `/proc/PID/environ` are the guest's arguments and environment, not the launcher's.
//!
//! Linux reads both from the process's own memory, between addresses that PR_SET_MM_MAP sets
//! (prctl(2), "PR_SET_MM"). That call sets all of a process's addresses at once, so the others are
//! given as they are. It needs no privilege. On a host without it (no CONFIG_CHECKPOINT_RESTORE)
//! the files go on showing what they showed before; nothing else depends on them.
//!
//! A program that has copied its arguments and environment into its own memory, one after the other,
//! is shown from there: daemons write their title over them.
#![allow(unsafe_code)]

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use super::super::{
    memory::guest::Memory,
    syscall::{self, Arg},
};

/// PR_SET_MM_MAP of `<linux/prctl.h>`.
const PR_SET_MM_MAP: i32 = 14;

/// `struct prctl_mm_map` of `<linux/prctl.h>`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Map {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

/// What the host shows of this process.
#[derive(Debug)]
pub struct Title {
    /// As the host has them; `None` if they could not be found out.
    map: Option<Map>,
    /// What is shown. The host reads it at any time, so it is replaced only after the host has been
    /// told of the next one.
    text: Mutex<Vec<u8>>,
}

impl Title {
    /// Finds out where the host looks. Needs `/proc`, the host's: to be called before the process
    /// enters a guest's root.
    pub fn of_this_process() -> Title {
        let stat = std::fs::read("/proc/self/stat").unwrap_or_default();
        Title {
            map: addresses(&stat),
            text: Mutex::default(),
        }
    }

    /// Shows these arguments and this environment.
    pub(crate) fn show(&self, argv: &[Vec<u8>], env: &[Vec<u8>]) {
        let Some(map) = self.map else { return };
        let size = |list: &[Vec<u8>]| list.iter().map(|word| word.len() + 1).sum::<usize>();
        let mut text = Vec::with_capacity(size(argv) + size(env));
        for word in argv.iter().chain(env) {
            text.extend_from_slice(word);
            text.push(0);
        }
        let start = text.as_ptr() as u64;
        let middle = start + size(argv) as u64;
        let end = start + text.len() as u64;
        if tell(map, start..middle, middle..end) {
            *self.text.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
    }

    /// Shows what is at these addresses of the guest's memory: the program's own copies of its
    /// arguments and environment, so that what it writes there is seen, as on Linux.
    fn follow(&self, memory: Memory, argv: &Range<u64>, env: &Range<u64>) {
        let Some(map) = self.map else { return };
        let base = memory.at(0) as u64;
        let host = |range: &Range<u64>| base + range.start..base + range.end;
        // The text that was shown stays where it is: in a process that has just been forked off, a
        // reader may still be at it.
        tell(map, host(argv), host(env));
    }
}

/// Tells the host where to look; whether it will.
fn tell(map: Map, argv: Range<u64>, env: Range<u64>) -> bool {
    // Looks and changes nothing: where the heap ends now.
    // SAFETY: an address below the heap changes nothing.
    let Ok(brk) = (unsafe { syscall::call(libc::SYS_brk, [Arg::NONE]) }) else {
        return false;
    };
    let map = Map {
        brk: brk.cast_unsigned(),
        arg_start: argv.start,
        arg_end: argv.end,
        env_start: env.start,
        env_end: env.end,
        ..map
    };
    let args = [
        libc::PR_SET_MM.into(),
        PR_SET_MM_MAP.into(),
        Arg::input(&map),
        size_of::<Map>().into(),
        Arg::NONE,
    ];
    // SAFETY: the host copies the structure. The addresses are the process's own and, but for those
    // of the text, what they were; the text is only read, by the host, which copes with anything.
    unsafe { syscall::call(libc::SYS_prctl, args) }.is_ok()
}

/// Where a program has put its copies of the strings that it starts with.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    argv: Range<u64>,
    env: Range<u64>,
}

impl Copies {
    /// Takes note of one copy; when all are there and lie one after the other, they are what is
    /// shown from then on.
    pub(crate) fn note(
        &mut self,
        title: &Title,
        memory: Memory,
        strings: &Strings<'_>,
        copy: Copy,
    ) {
        let (list, range) = match copy.environment {
            false => (strings.argv, &mut self.argv),
            true => (strings.env, &mut self.env),
        };
        let Some(string) = list.get(copy.index) else {
            return;
        };
        let (start, len) = (u64::from(copy.to), string.len() as u64 + 1);
        match copy.index {
            0 => *range = start..start + len,
            _ if range.end == start => range.end += len,
            _ => *range = 0..0,
        }
        let whole = |list: &[Vec<u8>], range: &Range<u64>| {
            range.end - range.start == list.iter().map(|s| s.len() as u64 + 1).sum::<u64>()
        };
        if copy.index + 1 == list.len()
            && !strings.argv.is_empty()
            && whole(strings.argv, &self.argv)
            && whole(strings.env, &self.env)
        {
            if strings.env.is_empty() {
                self.env = self.argv.end..self.argv.end;
            }
            title.follow(memory, &self.argv, &self.env);
        }
    }
}

/// What a program starts with.
pub(crate) struct Strings<'a> {
    pub(crate) argv: &'a [Vec<u8>],
    pub(crate) env: &'a [Vec<u8>],
}

/// One of them, copied to the guest's memory.
#[derive(Clone, std::marker::Copy)]
pub(crate) struct Copy {
    pub(crate) environment: bool,
    pub(crate) index: usize,
    pub(crate) to: u32,
}

/// The addresses in `/proc/self/stat` (proc(5)). Its second field is the name, in parentheses, which
/// may have any bytes in it.
fn addresses(stat: &[u8]) -> Option<Map> {
    let end = stat.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Numbered as in proc(5), whose third is the first here.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Map {
        start_code: field(26)?,
        end_code: field(27)?,
        start_stack: field(28)?,
        start_data: field(45)?,
        end_data: field(46)?,
        start_brk: field(47)?,
        brk: 0,
        arg_start: 0,
        arg_end: 0,
        env_start: 0,
        env_end: 0,
        auxv: 0,
        auxv_size: 0,
        // None: the executable stays.
        exe_fd: u32::MAX,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_any_text() {
        assert!(addresses(b"").is_none());
        assert!(addresses(b"1 (a) R 1").is_none());
        assert!(addresses(&vec![b')'; 1000]).is_none());
        let fields: Vec<String> = (3..53).map(|n| n.to_string()).collect();
        let text = format!("1 (a ) 5 \u{e9}(\n) {}\n", fields.join(" "));
        let map = addresses(text.as_bytes()).unwrap();
        assert_eq!(
            (map.start_code, map.end_code, map.start_stack),
            (26, 27, 28)
        );
        assert_eq!((map.start_data, map.end_data, map.start_brk), (45, 46, 47));
    }

    /// In a child: the test's own process keeps its addresses.
    #[test]
    fn the_host_shows_it() {
        let words = |text: &str| -> Vec<Vec<u8>> {
            text.split('|')
                .map(|word| word.as_bytes().to_vec())
                .collect()
        };
        let title = Title::of_this_process();
        let before = std::fs::read("/proc/self/cmdline").unwrap();
        // SAFETY: the child allocates, which the C library allows after a fork, and ends by _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let shows = |argv: &str, env: &str| {
                title.show(&words(argv), &words(env));
                let read = |path| std::fs::read(path).unwrap_or_default();
                let terminated = |text: &str| [text.replace('|', "\0").as_bytes(), b"\0"].concat();
                read("/proc/self/cmdline") == terminated(argv)
                    && read("/proc/self/environ") == terminated(env)
            };
            let long = "x".repeat(100_000);
            let good = shows("sh|-c|a b|", "A=1|B=")
                && shows(&long, "A=1")
                && shows("short", &long)
                && shows("", "");
            // SAFETY: nothing of this process is to run any more.
            unsafe { libc::_exit(i32::from(!good)) };
        }
        let mut status = 0;
        // SAFETY: waits for the child above.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        assert_eq!(std::fs::read("/proc/self/cmdline").unwrap(), before);
    }
}
