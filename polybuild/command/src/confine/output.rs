//! The end of what a job says: enough for an error, however much it writes.

use std::io::Read;

/// Bytes that are kept.
const KEPT: usize = 64 << 10;

/// Reads to the end; gives the last bytes.
pub(super) fn tail(pipe: Option<impl Read>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut pipe) = pipe else {
        return kept;
    };
    let mut buffer = [0; 16 << 10];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => kept.extend_from_slice(buffer.get(..n).unwrap_or_default()),
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
    #[test]
    fn the_end_is_kept_and_no_more() {
        let long: Vec<u8> = (0..10_000_000_u32).map(|n| n as u8).collect();
        let kept = super::tail(Some(long.as_slice()));
        assert_eq!(kept.len(), super::KEPT);
        assert!(long.ends_with(&kept));
        assert_eq!(super::tail(Some(&b"short"[..])), b"short");
        assert_eq!(super::tail(None::<&[u8]>), b"");
    }
}
