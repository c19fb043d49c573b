//! Lays memory images out as page-aligned runs, equal pages shared where it costs no mappings.
//!
//! Every run becomes one `mmap` when a process starts, so runs are few: zero pages between two
//! others are stored when the gap is short. A snapshot is written first, in the order of its
//! addresses. The cold contents of the same module then reuse stretches of it that are equal:
//! most read-only data is.

use std::collections::HashMap;

use megabinary_format::{PAGE, Run};

use crate::{LinkedModule, megabinary::Warm, normalise::Contents};

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
            let runs = module.warm.as_ref().map(|warm| out.append(warm));
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

    fn append(&mut self, warm: &Warm) -> Vec<Run> {
        // What lies between two extents of a process is not mapped, and so not stored either.
        let is_memory = |start, end| {
            let process = warm.process.as_ref();
            process.is_none_or(|process| process.maps(start * PAGE, end * PAGE))
        };
        stretches(&warm.contents, is_memory)
            .into_iter()
            .map(|s| self.append_stretch(&warm.contents, s))
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
        for (start, end) in stretches(contents, |_, _| true) {
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

/// Ranges of page numbers that hold contents, short gaps included where `is_memory` says of their first page
/// and the one after them that they are some.
fn stretches(contents: &Contents, is_memory: impl Fn(u64, u64) -> bool) -> Vec<(u64, u64)> {
    let mut out: Vec<(u64, u64)> = Vec::new();
    for number in contents.contents.keys().copied() {
        match out.last_mut() {
            Some((_, end)) if number - *end <= GAP_MAX && is_memory(*end, number) => {
                *end = number + 1;
            }
            _ => out.push((number, number + 1)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PlannedModule, link::link_module};

    /// A module whose pages hold these bytes (0: none), cold and warm.
    fn module(cold: &[u8], warm: Option<&[u8]>) -> LinkedModule {
        let wasm = wat::parse_str("(module (memory 16) (func (export \"_start\")))").unwrap();
        let mut module = link_module(PlannedModule {
            name: "m".into(),
            wasm,
        })
        .unwrap();
        let contents = |pages: &[u8]| {
            let bytes: Vec<u8> = pages
                .iter()
                .flat_map(|b| std::iter::repeat_n(*b, PAGE as usize))
                .collect();
            Contents::of(&bytes)
        };
        module.cold = contents(cold);
        module.warm = warm.map(|w| Warm {
            contents: contents(w),
            globals: vec![],
            process: None,
        });
        module
    }

    /// Runs as (memory page, file page, pages).
    fn runs(runs: &[Run]) -> Vec<(u64, u64, u64)> {
        runs.iter()
            .map(|r| (r.memory_offset / PAGE, r.file_offset / PAGE, r.len / PAGE))
            .collect()
    }

    /// What a process sees of an image: the first byte of each page.
    fn seen(layout: &PagesLayout, runs: &[Run], pages: usize) -> Vec<u8> {
        let mut out = vec![0; pages];
        for run in runs {
            for i in 0..run.len / PAGE {
                let at = (run.file_offset + i * PAGE) as usize;
                out[(run.memory_offset / PAGE + i) as usize] = layout.bytes[at];
            }
        }
        out
    }

    #[test]
    fn short_gaps_are_stored_and_long_ones_are_not() {
        let mut pages = vec![1, 0, 2];
        pages.resize(3 + GAP_MAX as usize + 1, 0);
        pages.push(3);
        let layout = PagesLayout::all(&[module(&pages, None)]);
        assert_eq!(runs(&layout.cold[0]), [(0, 0, 3), (36, 3, 1)]);
        assert_eq!(seen(&layout, &layout.cold[0], pages.len()), pages);
    }

    #[test]
    fn cold_pages_reuse_the_snapshot() {
        let cold: Vec<u8> = (1..=60).collect();
        let mut warm = cold.clone();
        // Changed by initialisation: pages 0 and 30; short stretches are not worth sharing.
        warm[0] = 200;
        warm[30] = 201;
        warm.extend([99; 4]);
        let layout = PagesLayout::all(&[module(&cold, Some(&warm))]);
        assert_eq!(runs(&layout.warm[0]), [(0, 0, 64)], "a snapshot is one run");
        assert_eq!(
            runs(&layout.cold[0]),
            [(0, 64, 1), (1, 1, 29), (30, 65, 1), (31, 31, 29)]
        );
        assert_eq!(seen(&layout, &layout.cold[0], 60), cold);
        assert_eq!(seen(&layout, &layout.warm[0], 64), warm);
    }

    #[test]
    fn short_equal_stretches_are_copied_into_their_run() {
        let cold = [1, 2, 3, 4, 5, 6];
        let warm = [1, 9, 3, 9, 5, 9];
        let layout = PagesLayout::all(&[module(&cold, Some(&warm))]);
        assert_eq!(runs(&layout.cold[0]), [(0, 6, 6)]);
        assert_eq!(seen(&layout, &layout.cold[0], 6), cold);
    }
}
