//! Which ranges of the address space are mapped.

use std::collections::BTreeMap;

use crate::linux::memory::guest::END;

/// Mapped ranges, disjoint and not empty.
#[derive(Debug, Default)]
pub(crate) struct Regions {
    /// By their starts.
    mapped: BTreeMap<u64, Region>,
    /// Where new maps go: from the end of data and stack.
    floor: u64,
    total: u64,
    /// What the child of a `fork` does not get (MADV_DONTFORK): ends by starts, disjoint.
    kept_back: BTreeMap<u64, u64>,
    /// Segments of shared memory.
    attached: Vec<Attached>,
}

/// A segment of shared memory (`shmat(2)`).
#[derive(Debug)]
struct Attached {
    /// Where it was attached.
    base: u64,
    /// What is left of it: starts and ends.
    parts: Vec<(u64, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    end: u64,
    /// Private memory without a file: it may grow.
    plain: bool,
}

impl Regions {
    /// None, new maps to be made from `floor` on.
    pub(crate) fn with_floor(floor: u64) -> Regions {
        Regions {
            floor,
            ..Regions::default()
        }
    }

    /// Where new maps go.
    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    /// The mapped ranges, in order: starts and ends.
    pub(crate) fn ranges(&self) -> Vec<(u64, u64)> {
        let ranges = self.mapped.iter();
        ranges.map(|(start, region)| (*start, region.end)).collect()
    }

    /// Mapped bytes.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn is_free(&self, start: u64, end: u64) -> bool {
        let before = self.mapped.range(..end).next_back();
        before.is_none_or(|(_, region)| region.end <= start)
    }

    /// Whether all of the range is mapped; `Some(true)` if all of it is plain.
    pub(crate) fn covers(&self, start: u64, end: u64) -> Option<bool> {
        let (mut at, mut plain) = (start, true);
        while at < end {
            let (_, region) = self.mapped.range(..=at).next_back()?;
            if region.end <= at {
                return None;
            }
            plain &= region.plain;
            at = region.end;
        }
        Some(plain)
    }

    /// What is mapped of a range: its parts, in order, with something unmapped between them.
    pub(crate) fn parts(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let first = self.mapped.range(..=start).next_back();
        let rest = self.mapped.range(start + 1..end.max(start + 1));
        let mut parts: Vec<(u64, u64)> = Vec::new();
        for (from, region) in first.into_iter().chain(rest) {
            let (from, to) = ((*from).max(start), region.end.min(end));
            match parts.last_mut() {
                _ if from >= to => {}
                Some(last) if last.1 == from => last.1 = to,
                _ => parts.push((from, to)),
            }
        }
        parts
    }

    /// The lowest free range of this length.
    pub(crate) fn gap(&self, len: u64) -> Option<u64> {
        let mut at = self.floor;
        for (start, region) in &self.mapped {
            if region.end <= at {
                continue;
            }
            if *start >= at && *start - at >= len {
                return Some(at);
            }
            at = region.end;
        }
        (END - at >= len).then_some(at)
    }

    pub(crate) fn insert(&mut self, mut start: u64, mut end: u64, plain: bool) {
        self.remove(start, end);
        self.total += end - start;
        // Joined with its like, so that the map stays small.
        if let Some((before, region)) = self.mapped.range(..start).next_back()
            && region.end == start
            && region.plain == plain
        {
            start = *before;
        }
        if let Some(after) = self.mapped.get(&end).copied()
            && after.plain == plain
        {
            self.mapped.remove(&end);
            end = after.end;
        }
        self.mapped.insert(start, Region { end, plain });
    }

    pub(crate) fn remove(&mut self, start: u64, end: u64) {
        self.keep_back(start, end, false);
        self.cut_attached(start, end);
        let touched: Vec<(u64, Region)> = self
            .mapped
            .range(..end)
            .rev()
            .take_while(|(_, region)| region.end > start)
            .map(|(at, region)| (*at, *region))
            .collect();
        for (at, region) in touched {
            self.mapped.remove(&at);
            self.total -= region.end.min(end) - at.max(start);
            if at < start {
                self.mapped.insert(
                    at,
                    Region {
                        end: start,
                        ..region
                    },
                );
            }
            if region.end > end {
                self.mapped.insert(end, region);
            }
        }
    }

    /// Notes that a segment is attached at a range that was just inserted.
    pub(crate) fn attach(&mut self, start: u64, end: u64) {
        self.attached.push(Attached {
            base: start,
            parts: vec![(start, end)],
        });
    }

    /// Takes what is left of the segment that was attached at `base`; `None` if there is none.
    pub(crate) fn detach(&mut self, base: u64) -> Option<Vec<(u64, u64)>> {
        let at = self.attached.iter().position(|one| one.base == base)?;
        Some(self.attached.swap_remove(at).parts)
    }

    /// What lies in a range belongs to no segment any more.
    fn cut_attached(&mut self, start: u64, end: u64) {
        for one in &mut self.attached {
            one.parts = one
                .parts
                .iter()
                .flat_map(|(from, to)| [(*from, (*to).min(start)), ((*from).max(end), *to)])
                .filter(|(from, to)| from < to)
                .collect();
        }
        self.attached.retain(|one| !one.parts.is_empty());
    }

    /// Says whether the child of a `fork` is not to get a range.
    pub(crate) fn keep_back(&mut self, start: u64, end: u64, keep: bool) {
        let touched: Vec<(u64, u64)> = self
            .kept_back
            .range(..end)
            .rev()
            .take_while(|(_, touched)| **touched > start)
            .map(|(from, to)| (*from, *to))
            .collect();
        for (from, to) in touched {
            self.kept_back.remove(&from);
            if from < start {
                self.kept_back.insert(from, start);
            }
            if to > end {
                self.kept_back.insert(end, to);
            }
        }
        if keep {
            self.kept_back.insert(start, end);
        }
    }

    /// Whether all of a range is kept from children.
    pub(crate) fn is_kept_back(&self, start: u64, end: u64) -> bool {
        let mut at = start;
        while at < end {
            match self.kept_back.range(..=at).next_back() {
                Some((_, to)) if *to > at => at = *to,
                _ => return false,
            }
        }
        true
    }

    /// Whether anything is kept from children.
    pub(crate) fn keeps_back_any(&self) -> bool {
        !self.kept_back.is_empty()
    }

    /// Takes the ranges that are kept from children.
    pub(crate) fn take_kept_back(&mut self) -> Vec<(u64, u64)> {
        std::mem::take(&mut self.kept_back).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_segment_what_is_mapped_over_is_no_part() {
        let mut regions = Regions::default();
        regions.insert(100, 200, false);
        regions.attach(100, 200);
        regions.insert(120, 130, true);
        regions.remove(190, 250);
        assert_eq!(regions.detach(120), None);
        assert_eq!(regions.detach(100), Some(vec![(100, 120), (130, 190)]));
        assert_eq!(regions.detach(100), None);
        regions.insert(300, 400, false);
        regions.attach(300, 400);
        regions.remove(0, 1000);
        assert_eq!(regions.detach(300), None);
    }

    #[test]
    fn ranges_that_children_do_not_get() {
        let mut regions = Regions::default();
        regions.insert(0, 100, true);
        regions.keep_back(10, 50, true);
        regions.keep_back(40, 60, true);
        assert!(regions.is_kept_back(10, 60) && !regions.is_kept_back(9, 60));
        regions.keep_back(20, 30, false);
        assert!(!regions.is_kept_back(10, 60) && regions.is_kept_back(30, 60));
        // What is mapped anew, or no more, is no longer kept back.
        regions.insert(50, 55, false);
        regions.remove(0, 12);
        assert_eq!(
            regions.take_kept_back(),
            [(12, 20), (30, 40), (40, 50), (55, 60)]
        );
        assert!(regions.take_kept_back().is_empty());
    }
}
