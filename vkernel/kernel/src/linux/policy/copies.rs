//! Copies of what procfs says about a process, without the host's addresses: what is opened is a file in
//! memory, for reading, with what the original said at that time.

use std::{ffi::CStr, fmt::Write, fs, os::fd::IntoRawFd};

use rustix::{
    fs::{MemfdFlags, memfd_create},
    io::Errno,
};

use super::{
    super::{memory::guest::PAGE, process::reader},
    caller::Caller,
    held::{Held, Private},
    object,
};

/// What there are copies of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The process's own map.
    Maps,
    /// `stat` of any process or thread.
    Stat,
}

impl Kind {
    /// Which copy is opened for a file of procfs, by the number and the name in its path.
    pub(crate) fn of(caller: &Caller<'_>, (number, name): (&[u8], &[u8])) -> Option<Kind> {
        match name {
            b"stat" => Some(Kind::Stat),
            // A thread of it: its own numbers are not known here, and only the calling one is asked for.
            b"maps" => {
                let own = [caller.id, rustix::thread::gettid().as_raw_nonzero().get()];
                let number: i32 = std::str::from_utf8(number).ok()?.parse().ok()?;
                own.contains(&number).then_some(Kind::Maps)
            }
            _ => None,
        }
    }
}

/// Opens a copy; `flags` are the guest's of open(2).
pub(crate) fn open(
    caller: &Caller<'_>,
    private: &Private,
    held: &Held<'_>,
    kind: &Kind,
    flags: u64,
) -> Result<i64, Errno> {
    let text = match kind {
        Kind::Maps => maps(caller)?,
        Kind::Stat => {
            let text = text_of(&object::path_of(held))?;
            let own = is_of(caller, &text).then(|| caller.threads.shown());
            without_addresses(&text, own)
        }
    };
    let copy = private.hold(false, || {
        let made = memfd_create(c"proc", MemfdFlags::CLOEXEC)?;
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let written = rustix::io::write(&made, rest)?;
            rest = rest.get(written..).unwrap_or_default();
        }
        Ok(made.into_raw_fd())
    })?;
    object::open_again(&copy, flags)
}

/// What a file of procfs says.
fn text_of(path: &CStr) -> Result<String, Errno> {
    let read = reader::read(path)?;
    Ok(String::from_utf8_lossy(&read).into_owned())
}

/// Fields of `/proc/PID/stat` that are addresses, counted from 1 (proc_pid_stat(5)): startcode, endcode,
/// startstack, kstkesp, kstkeip, wchan, start_data to env_end.
const ADDRESSES: &[usize] = &[26, 27, 28, 29, 30, 35, 45, 46, 47, 48, 49, 50, 51];

/// The field that says how many threads the process has.
const THREADS: usize = 20;

/// Number of the first field behind the name, which may hold anything.
const AFTER_NAME: usize = 3;

/// Whether a `stat` is of the caller's process, or of a thread of it.
fn is_of(caller: &Caller<'_>, stat: &str) -> bool {
    let number = stat
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    number.is_some_and(|number| caller.id == number || caller.threads.has(number))
}

/// A `stat` as guests see it. Of the own process the vkernel's threads are not counted: the one that reads this, and
/// the one that keeps limits of time.
fn without_addresses(stat: &str, threads: Option<u32>) -> String {
    let Some((name, rest)) = stat.rsplit_once(") ") else {
        return String::new();
    };
    let fields = rest.trim_end().split(' ').zip(AFTER_NAME..);
    let threads = threads.map(|threads| threads.to_string());
    let fields: Vec<&str> = fields
        .map(|(field, number)| match (number, &threads) {
            (THREADS, Some(threads)) => threads,
            _ if ADDRESSES.contains(&number) => "0",
            _ => field,
        })
        .collect();
    format!("{name}) {}\n", fields.join(" "))
}

/// The guest's own map, as Linux shows one of 32 bits: the host's lines for what the guest has mapped, with
/// the guest's addresses.
fn maps(caller: &Caller<'_>) -> Result<String, Errno> {
    // Not `self`: the first thread may have ended, and then has no map.
    let host = text_of(c"/proc/thread-self/maps")?;
    let own = fs::read_link("/proc/self/exe").unwrap_or_default();
    let space = caller.space;
    let base = space.memory().at(0) as u64;
    Ok(translated(
        &host,
        base,
        &space.ranges(),
        &own.to_string_lossy(),
    ))
}

/// The lines of `host` for `mapped` ranges of the memory at `base`. Files called `own` are not named.
fn translated(host: &str, base: u64, mapped: &[(u64, u64)], own: &str) -> String {
    let mut out = String::new();
    for line in host.lines() {
        let Some((range, rest)) = line.split_once(' ') else {
            continue;
        };
        let bounds = range.split_once('-').and_then(|(from, to)| {
            let number = |text| u64::from_str_radix(text, 16).ok();
            Some((
                number(from)?.checked_sub(base)?,
                number(to)?.checked_sub(base)?,
            ))
        });
        let Some((from, to)) = bounds else { continue };
        let parts: Vec<&str> = rest.splitn(5, ' ').collect();
        let [protection, offset, device, inode, ..] = parts[..] else {
            continue;
        };
        let name = parts.get(4).map_or("", |name| name.trim_start());
        let offset = u64::from_str_radix(offset, 16).unwrap_or(0);
        for (start, end) in mapped {
            let (start, end) = (from.max(*start), to.min(*end));
            if start >= end {
                continue;
            }
            debug_assert_eq!(start % PAGE, 0);
            let named = !name.is_empty() && name != own && !name.starts_with('[');
            let (offset, device, inode) = match named {
                true => (offset + (start - from), device, inode),
                false => (0, "00:00", "0"),
            };
            let begin = format!("{start:08x}-{end:08x} {protection} {offset:08x} {device} {inode}");
            // A String takes all that is written to it.
            let _ = match named {
                true => writeln!(out, "{begin:<48} {name}"),
                false => writeln!(out, "{begin}"),
            };
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_has_no_addresses() {
        let fields: Vec<String> = (AFTER_NAME..=52).map(|n| (n * 1000).to_string()).collect();
        let stat = format!("12 (a) b) {}\n", fields.join(" "));
        let shown = without_addresses(&stat, None);
        assert!(shown.starts_with("12 (a) b) 3000 4000 "));
        for number in AFTER_NAME..=52 {
            let is_there = shown.contains(&format!(" {}", number * 1000));
            assert_eq!(is_there, !ADDRESSES.contains(&number), "{number}");
        }
        assert_eq!(shown.split(' ').count(), stat.split(' ').count());
        let own = without_addresses(&stat, Some(7));
        assert_eq!(own, shown.replace(" 20000 ", " 7 "));
        assert_eq!(without_addresses("nonsense", Some(7)), "");
    }

    #[test]
    fn the_map_has_the_guests_addresses_and_nothing_else() {
        let host = "\
            5000-6000 r-xp 00000000 08:01 7                          /bin/vkernel\n\
            100000-103000 rw-p 00001000 08:01 7                          /bin/vkernel\n\
            103000-108000 ---p 00000000 00:00 0 \n\
            108000-10a000 r--s 00002000 08:01 9                          /etc/a b\n\
            200000-201000 rw-p 00000000 00:00 0                          [heap]\n";
        let shown = translated(
            host,
            0x10_0000,
            &[(0, 0x2000), (0x4000, 0x5000), (0x9000, 0xb000)],
            "/bin/vkernel",
        );
        let expected = "\
            00000000-00002000 rw-p 00000000 00:00 0\n\
            00004000-00005000 ---p 00000000 00:00 0\n\
            00009000-0000a000 r--s 00003000 08:01 9          /etc/a b\n";
        assert_eq!(shown, expected);
    }
}
