//! Lays memory images out as page-aligned runs, equal pages shared where it costs no mappings.
//!
//! Every run becomes one `mmap` when a process starts, so runs are few: zero pages between two
//! others are stored when the gap is short. A snapshot is written first, in the order of its
//! addresses. The cold contents of the same module then reuse stretches of it that are equal:
//! most read-only data is.

use std::collections::HashMap;

use megabinary_format::{PAGE, Run};

use crate::{LinkedModule, normalise::Contents};

/// Longest gap of zero pages inside a run: 32 pages cost 128 KiB of a file that compresses well,
/// another run costs a system call at every start.
const GAP_MAX: u64 = 32;

/// Shortest stretch of pages worth a run of its own to share.
const SHARE_MIN: u64 = 16;

/// Pages of all images, and the runs of each module; file offsets count from the first page.
#[derive(Debug, Default)]
pub(crate) struct PagesLayout {
    pub(crate) bytes: Vec<u8>,
    pub(crate) cold: Vec<Vec<Run>>,
    pub(crate) warm: Vec<Vec<Run>>,
}

impl PagesLayout {
    /// Snapshots only, as the portable form holds them.
    pub(crate) fn snapshots(modules: &[LinkedModule]) -> PagesLayout {
        let mut out = PagesLayout::default();
        for module in modules {
            let runs = module.warm.as_ref().map(|warm| out.append(&warm.contents));
            out.warm.push(runs.unwrap_or_default());
            out.cold.push(Vec::new());
        }
        out
    }

    /// Everything.
    pub(crate) fn all(modules: &[LinkedModule]) -> PagesLayout {
        let mut out = PagesLayout::snapshots(modules);
        let mut known: HashMap<Box<[u8; PAGE as usize]>, u64> = HashMap::new();
        for (number, page) in out.bytes.as_chunks().0.iter().enumerate() {
            known.entry(Box::new(*page)).or_insert(number as u64);
        }
        for (i, module) in modules.iter().enumerate() {
            let runs = out.share(&module.cold, &known);
            if let Some(cold) = out.cold.get_mut(i) {
                *cold = runs;
            }
        }
        out
    }

    fn append(&mut self, contents: &Contents) -> Vec<Run> {
        stretches(contents)
            .into_iter()
            .map(|s| self.append_stretch(contents, s))
            .collect()
    }

    fn append_stretch(&mut self, contents: &Contents, (start, end): (u64, u64)) -> Run {
        let file_offset = self.bytes.len() as u64;
        for number in start..end {
            match contents.contents.get(&number) {
                Some(page) => self.bytes.extend_from_slice(&page[..]),
                None => self.bytes.extend_from_slice(&[0; PAGE as usize]),
            }
        }
        Run {
            memory_offset: start * PAGE,
            file_offset,
            len: (end - start) * PAGE,
        }
    }

    /// Appends what of `contents` is not in `known` as a long enough stretch.
    fn share(
        &mut self,
        contents: &Contents,
        known: &HashMap<Box<[u8; PAGE as usize]>, u64>,
    ) -> Vec<Run> {
        let mut runs = Vec::new();
        for (start, end) in stretches(contents) {
            // Where `number` could come from: the page after the one before it, if equal; else
            // the first equal page.
            let mut sources: Vec<(u64, Option<u64>)> = Vec::new();
            for number in start..end {
                let page = contents.contents.get(&number);
                let next = sources.last().and_then(|(_, source)| source.map(|s| s + 1));
                let continues = next.filter(|n| page.is_some_and(|p| self.page(*n) == Some(p)));
                let source = continues.or_else(|| known.get(page?).copied());
                sources.push((number, source));
            }
            for part in sources.chunk_by(|a, b| a.1.map(|s| s + 1) == b.1) {
                match part {
                    [(first, Some(source)), ..] if part.len() as u64 >= SHARE_MIN => {
                        runs.push(Run {
                            memory_offset: first * PAGE,
                            file_offset: source * PAGE,
                            len: part.len() as u64 * PAGE,
                        });
                    }
                    [(first, _), ..] => {
                        let run =
                            self.append_stretch(contents, (*first, first + part.len() as u64));
                        push_joined(&mut runs, run);
                    }
                    [] => {}
                }
            }
        }
        runs
    }

    fn page(&self, number: u64) -> Option<&[u8; PAGE as usize]> {
        let start = usize::try_from(number * PAGE).ok()?;
        self.bytes.get(start..)?.first_chunk()
    }
}

/// Adds a run, as part of the last one when it continues it in memory and in the file.
fn push_joined(runs: &mut Vec<Run>, run: Run) {
    if let Some(last) = runs.last_mut()
        && last.memory_offset + last.len == run.memory_offset
        && last.file_offset + last.len == run.file_offset
    {
        last.len += run.len;
        return;
    }
    runs.push(run);
}

/// Ranges of page numbers that hold contents, short gaps included.
fn stretches(contents: &Contents) -> Vec<(u64, u64)> {
    let mut out: Vec<(u64, u64)> = Vec::new();
    for number in contents.contents.keys().copied() {
        match out.last_mut() {
            Some((_, end)) if number - *end <= GAP_MAX => *end = number + 1,
            _ => out.push((number, number + 1)),
        }
    }
    out
}
