//! What a job says: its end, enough for an error however much it writes, and all of it in a log.

use std::{
    fs::File,
    io::{Read, Write as _},
    path::Path,
    sync::Mutex,
};

use crate::failure::{IoContext, Result};

/// Bytes that are kept.
const KEPT: usize = 64 << 10;

/// Most bytes of a log: a job that says the same for ever is not to fill the disk.
const LOG: u64 = 64 << 20;

/// A file with everything that a job writes to its standard output and error, as it comes.
pub(super) struct Log(Mutex<Open>);

struct Open {
    file: File,
    left: u64,
}

impl Log {
    /// A log in this file; one of an earlier run goes.
    pub(super) fn create(path: &Path) -> Result<Log> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).doing("creating", parent)?;
        }
        let file = File::create(path).doing("creating the log", path)?;
        Ok(Log(Mutex::new(Open { file, left: LOG })))
    }

    /// Adds what was said. A log that cannot be written is no reason to end the job.
    fn add(&self, bytes: &[u8]) {
        let Ok(mut open) = self.0.lock() else { return };
        if open.left == 0 {
            return;
        }
        let fits = usize::try_from(open.left)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let _ = open.file.write_all(bytes.get(..fits).unwrap_or_default());
        open.left -= fits as u64;
        if open.left == 0 {
            let _ = open
                .file
                .write_all(b"\n(polybuild keeps no more than 64 MiB of this)\n");
        }
    }
}

/// Reads to the end; gives the last bytes, and writes all of them to the log.
pub(super) fn tail(pipe: Option<impl Read>, log: Option<&Log>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut pipe) = pipe else {
        return kept;
    };
    let mut buffer = [0; 16 << 10];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                let said = buffer.get(..n).unwrap_or_default();
                kept.extend_from_slice(said);
                if let Some(log) = log {
                    log.add(said);
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        // Not at every turn: moving the rest down costs.
        if kept.len() > 4 * KEPT {
            kept.drain(..kept.len() - KEPT);
        }
    }
    kept.drain(..kept.len().saturating_sub(KEPT));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_no_more() {
        let long: Vec<u8> = (0..10_000_000_u32).map(|n| n as u8).collect();
        let kept = tail(Some(long.as_slice()), None);
        assert_eq!(kept.len(), KEPT);
        assert!(long.ends_with(&kept));
        assert_eq!(tail(Some(&b"short"[..]), None), b"short");
        assert_eq!(tail(None::<&[u8]>, None), b"");
    }

    #[test]
    fn the_log_has_all_up_to_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/log");
        let log = Log::create(&path).unwrap();
        let long = vec![b'x'; 1 << 20];
        tail(Some(long.as_slice()), Some(&log));
        tail(Some(&b"end"[..]), Some(&log));
        let text = std::fs::read(&path).unwrap();
        assert_eq!(text.len(), long.len() + 3);
        assert!(text.ends_with(b"xend"));
        for _ in 0..70 {
            log.add(&long);
        }
        let text = std::fs::read(&path).unwrap();
        assert!(text.len() < (64 << 20) + 100 && text.ends_with(b"of this)\n"));
        // The next run has one of its own.
        Log::create(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }
}
