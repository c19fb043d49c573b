//! What must hold while a guest makes calls, looked at from outside: nothing here asks the process
//! that is tested.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use super::generate::Place;

/// Bytes of the guest's address space, and of the guard behind it.
const SPACE: u64 = 1 << 32;
const GUARD: u64 = 32 << 20;

/// The vkernel's own descriptors.
const OWN: std::ops::Range<i32> = 1024..1088;

/// One line of `/proc/PID/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) rights: String,
    pub(super) name: String,
}

/// The mappings of a process; `None` if it is gone.
pub(super) fn mappings(pid: u32) -> Option<Vec<Mapping>> {
    let text = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let maps: Vec<Mapping> = text.lines().filter_map(mapping).collect();
    (!maps.is_empty()).then_some(maps)
}

fn mapping(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let rights = words.next()?.to_owned();
    Some(Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        rights,
        name: words.skip(3).collect::<Vec<_>>().join(" "),
    })
}

/// Where the 4 GiB are, and other places of the vkernel's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) base: u64,
    /// The page whose fault means that a signal has come.
    pub(super) safepoint: u64,
    pub(super) code: u64,
    pub(super) launcher: u64,
}

impl Layout {
    /// Finds the memory in which `nonce` stands at a guest's address.
    pub(super) fn find(pid: u32, address: u32, nonce: &[u8]) -> Option<Layout> {
        let maps = mappings(pid)?;
        let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
        let mut found = vec![0; nonce.len()];
        let base = maps.iter().map(|m| m.start).find(|start| {
            let at = start + u64::from(address);
            memory.read_exact_at(&mut found, at).is_ok() && found == nonce
        })?;
        let code: Vec<&Mapping> = maps.iter().filter(|m| m.rights == "r-xp").collect();
        let is_page = |m: &Mapping| m.end - m.start == 4096 && m.name.is_empty();
        let safepoint = maps
            .windows(2)
            .find(|pair| is_page(&pair[0]) && pair[0].rights == "r--p" && pair[1].rights == "---p");
        Some(Layout {
            base,
            safepoint: safepoint.map_or(base - 4096, |pair| pair[0].start),
            code: code.last().map_or(0, |m| m.start),
            launcher: code.first().map_or(0, |m| m.start + 4096),
        })
    }

    /// The address of a place.
    pub(super) fn place(&self, place: Place) -> u64 {
        match place {
            Place::SafepointPage => self.safepoint,
            Place::AfterSafepointPage => self.safepoint + 4096,
            Place::Memory => self.base + 4096,
            Place::Code => self.code,
            Place::Launcher => self.launcher,
        }
    }

    /// A part of the reservation that is nobody's.
    pub(super) fn hole(&self, maps: &[Mapping]) -> Option<String> {
        let end = self.base + SPACE + GUARD;
        let mut at = self.base;
        for m in maps.iter().filter(|m| m.end > self.base) {
            if at >= end {
                break;
            }
            if m.start > at {
                return Some(format!(
                    "a hole of {} bytes in the reservation at {:#x} of the guest",
                    m.start.min(end) - at,
                    at - self.base
                ));
            }
            if m.rights.contains('x') && m.start < self.base + SPACE {
                return Some(format!("executable memory of the guest's: {m:?}"));
            }
            at = at.max(m.end);
        }
        (at < end).then(|| format!("the reservation ends at {:#x}", at - self.base))
    }
}

/// What is executable, as text: it never changes.
pub(super) fn executable(maps: &[Mapping]) -> String {
    maps.iter()
        .filter(|m| m.rights.contains('x'))
        .map(|m| format!("{:x}-{:x} {} {}\n", m.start, m.end, m.rights, m.name))
        .collect()
}

/// A digest of all code, and of what of the program's file is read-only and not the guest's.
pub(super) fn code(pid: u32, maps: &[Mapping], layout: &Layout) -> Option<u64> {
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut digest = DefaultHasher::new();
    let mut bytes = Vec::new();
    let program = &maps.iter().find(|m| m.rights == "r-xp")?.name;
    let is_guests = |m: &Mapping| (layout.base..layout.base + SPACE).contains(&m.start);
    for m in maps.iter().filter(|m| m.name == *program && !is_guests(m)) {
        if m.rights == "r-xp" || m.rights == "r--p" {
            bytes.resize((m.end - m.start) as usize, 0);
            memory.read_exact_at(&mut bytes, m.start).ok()?;
            (m.start, &bytes).hash(&mut digest);
        }
    }
    Some(digest.finish())
}

/// The vkernel's descriptors: number, and what each leads to.
pub(super) fn own_descriptors(pid: u32) -> BTreeMap<i32, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let Some(number) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        if OWN.contains(&number) {
            let link = fs::read_link(entry.path()).unwrap_or_default();
            // The guest may change its own standard error, which the audit may be.
            let is_guests = link.extension().is_some_and(|e| e == "stderr");
            let bits = if is_guests { 0o170_000 } else { u32::MAX };
            let meta = fs::metadata(entry.path());
            let identity = meta.map(|m| (m.dev(), m.ino(), m.mode() & bits)).ok();
            found.insert(number, format!("{} {identity:?}", link.display()));
        }
    }
    found
}

/// What of the vkernel's descriptors changed. Numbers that were not used may be filled with
/// duplicates of those that were.
pub(super) fn descriptors_differ(
    before: &BTreeMap<i32, String>,
    now: &BTreeMap<i32, String>,
) -> Option<String> {
    for (number, what) in before {
        let there = now.get(number);
        if there != Some(what) {
            return Some(format!(
                "the vkernel's descriptor {number} was {what}, is {there:?}"
            ));
        }
    }
    let stray = now
        .iter()
        .find(|(_, what)| !before.values().any(|known| known == *what));
    stray.map(|(number, what)| format!("a new descriptor among the vkernel's: {number} is {what}"))
}

/// A digest of a tree, with all that says that a file was changed, and its text where that is short.
pub(super) fn tree(folder: &Path) -> String {
    let mut found = String::new();
    for entry in walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .flatten()
    {
        let Ok(meta) = entry.path().symlink_metadata() else {
            continue;
        };
        writeln!(
            found,
            "{} {:o} {}:{} {} {} {}.{} {}.{}",
            entry.path().display(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.nlink(),
            meta.size(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec()
        )
        .unwrap();
    }
    found
}

/// What is the host's, and no guest's to change: settings, entries of procfs, the clock.
#[derive(Debug)]
pub(super) struct HostState {
    text: BTreeMap<PathBuf, String>,
    clock: Duration,
}

impl HostState {
    pub(super) fn now() -> HostState {
        let mut text = BTreeMap::new();
        for name in [
            "kernel/hostname",
            "kernel/domainname",
            "kernel/core_pattern",
            "kernel/printk",
            "kernel/randomize_va_space",
            "kernel/sysrq",
            "kernel/pid_max",
            "vm/overcommit_memory",
            "vm/swappiness",
            "fs/file-max",
            "fs/protected_symlinks",
            "net/ipv4/ip_forward",
        ] {
            let path = Path::new("/proc/sys").join(name);
            let value = fs::read_to_string(&path).unwrap_or_default();
            text.insert(path, value);
        }
        let entries = walkdir::WalkDir::new("/proc")
            .max_depth(2)
            .into_iter()
            .filter_entry(|entry| {
                let name = entry.file_name().to_string_lossy();
                let transient = ["self", "thread-self", "net", "mounts", "bus", "asound"];
                !name.starts_with(|c: char| c.is_ascii_digit()) && !transient.contains(&&*name)
            });
        for entry in entries.flatten() {
            if let Ok(meta) = entry.path().symlink_metadata() {
                let said = format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
                text.entry(entry.path().to_owned())
                    .or_default()
                    .push_str(&said);
            }
        }
        HostState {
            text,
            clock: offset(),
        }
    }

    /// What is not as it was.
    pub(super) fn changed(&self) -> Option<String> {
        let now = HostState::now();
        if now.clock.abs_diff(self.clock) > Duration::from_secs(2) {
            return Some("the host's clock was set".to_owned());
        }
        self.text.iter().find_map(|(path, before)| {
            let after = now.text.get(path)?;
            (after != before)
                .then(|| format!("host-wide: {} was {before:?}, is {after:?}", path.display()))
        })
    }
}

/// How far the wall clock is ahead of the time since boot.
fn offset() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |id| Duration::try_from(clock_gettime(id)).unwrap_or_default();
    read(ClockId::Realtime).saturating_sub(read(ClockId::Boottime))
}

/// A socket that the policy `loopback` does not allow, in the network namespace of a process.
pub(super) fn stray_socket(pid: u32) -> Option<String> {
    for name in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (Some(local), Some(remote), Some(state)) =
                (words.get(1), words.get(2), words.get(3))
            else {
                continue;
            };
            if *state == "0A" && !is_loopback(local) {
                return Some(format!("a socket listens on {local} (policy: loopback)"));
            }
            if ["01", "02"].contains(state) && !is_loopback(remote) {
                return Some(format!(
                    "a socket is connected to {remote} (policy: loopback)"
                ));
            }
        }
    }
    for name in ["udp", "udp6"] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let remote = line.split_whitespace().nth(2).unwrap_or_default();
            let is_none = remote.trim_matches(['0', ':']).is_empty();
            if !is_none && !is_loopback(remote) {
                return Some(format!("a socket sends to {remote} (policy: loopback)"));
            }
        }
    }
    for name in ["raw", "raw6", "packet", "sctp/eps", "vsock"] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
        if let Some(line) = text.lines().nth(1) {
            return Some(format!("a socket of {name}: {line}"));
        }
    }
    None
}

/// Whether an address as `/proc/net` writes it is one of 127.0.0.0/8 or ::1.
fn is_loopback(address: &str) -> bool {
    let address = address.split(':').next().unwrap_or_default();
    match address.len() {
        8 => address.ends_with("7F"),
        _ => {
            address == "00000000000000000000000001000000"
                || address.starts_with("0000000000000000FFFF0000") && address.ends_with("7F")
        }
    }
}

/// An address of the host process in what the guest has got: as a number, or as text. `told` are
/// those that it was told by the test.
pub(super) fn leak(bytes: &[u8], maps: &[Mapping], told: &[u64]) -> Option<String> {
    let is_mapped = |value: u64| {
        let holds = |m: &Mapping| (m.start..m.end).contains(&value) && m.name != "[vsyscall]";
        // Something else may have been written over the lower half of what it was told.
        let is_told = told.iter().any(|known| known >> 32 == value >> 32);
        value > SPACE && !is_told && maps.iter().any(holds)
    };
    // Only these can be addresses of user space that were not chosen by chance. As structures have
    // them: a port and 127.0.0.1 look like one from within.
    for at in (0..bytes.len().saturating_sub(7)).step_by(4) {
        if bytes[at + 6] == 0 && bytes[at + 7] == 0 && (0x55..=0x7f).contains(&bytes[at + 5]) {
            let value = u64::from_le_bytes(bytes[at..at + 8].try_into().ok()?);
            if is_mapped(value) {
                return Some(format!(
                    "the guest has the address {value:#x} of its host process"
                ));
            }
        }
    }
    let texts = [
        (16, 12, u8::is_ascii_hexdigit as fn(&u8) -> bool),
        (10, 14, u8::is_ascii_digit),
    ];
    for (radix, least, is_digit) in texts {
        for word in bytes
            .split(|b| !is_digit(b))
            .filter(|word| (least..=16).contains(&word.len()))
        {
            let text = std::str::from_utf8(word).ok()?;
            if u64::from_str_radix(text, radix).is_ok_and(is_mapped) {
                return Some(format!(
                    "the guest has read the address {text} of its host process"
                ));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn m(start: u64, end: u64, rights: &str) -> Mapping {
        Mapping {
            start,
            end,
            rights: rights.to_owned(),
            name: String::new(),
        }
    }

    #[test]
    fn holes_are_seen() {
        let base = 0x7f00_0000_0000;
        let layout = Layout {
            base,
            safepoint: 0,
            code: 0,
            launcher: 0,
        };
        let end = base + SPACE + GUARD;
        let whole = [
            m(base, base + 4096, "rw-p"),
            m(base + 4096, end + 4096, "---p"),
        ];
        assert_eq!(layout.hole(&whole), None);
        let hole = [m(base, base + 4096, "rw-p"), m(base + 8192, end, "---p")];
        assert!(layout.hole(&hole).is_some());
        assert!(layout.hole(&[m(base, base + SPACE, "---p")]).is_some());
        assert!(layout.hole(&[m(base, end, "r-xp")]).is_some());
    }

    #[test]
    fn addresses_are_seen() {
        let maps = [m(0x7f12_3456_7000, 0x7f12_3456_9000, "rw-p")];
        let mut bytes = vec![7; 40];
        assert_eq!(leak(&bytes, &maps, &[]), None);
        bytes[12..20].copy_from_slice(&0x7f12_3456_7008_u64.to_le_bytes());
        assert!(leak(&bytes, &maps, &[]).is_some());
        assert_eq!(leak(&bytes, &maps, &[0x7f12_3456_7008]), None);
        assert!(leak(b"7f1234567000-7f1234569000 rw-p", &maps, &[]).is_some());
        assert!(leak(b"1 (x) 139715886583808 2", &maps, &[]).is_none());
        assert!(
            leak(
                format!("1 (x) {} 2", 0x7f12_3456_7100_u64).as_bytes(),
                &maps,
                &[]
            )
            .is_some()
        );
    }

    #[test]
    fn loopback_is_told_from_others() {
        assert!(is_loopback("0100007F:1F90"));
        assert!(!is_loopback("00000000:1F90"));
        assert!(is_loopback("00000000000000000000000001000000:0016"));
        assert!(!is_loopback("00000000000000000000000000000000:0016"));
    }

    #[test]
    fn descriptors_that_change_are_seen() {
        let before: BTreeMap<i32, String> = [(1024, "a".to_owned()), (1025, "b".to_owned())].into();
        assert_eq!(descriptors_differ(&before, &before), None);
        let mut filled = before.clone();
        filled.insert(1030, "a".to_owned());
        assert_eq!(descriptors_differ(&before, &filled), None);
        filled.insert(1031, "c".to_owned());
        assert!(descriptors_differ(&before, &filled).is_some());
        let mut lost = before.clone();
        lost.remove(&1025);
        assert!(descriptors_differ(&before, &lost).is_some());
    }
}
