//! What a process of the Linux personality is at its snapshot point, besides memory and globals: which
//! pages are mapped and how, and what the vkernel knows of its only thread.
//!
//! In the index and in a snapshot dump these are the same three tables. What a snapshot cannot hold
//! (threads, descriptors, children, timers) is not here: with it none is taken.
//!
//! Invariant: what [`ProcessState::check`] accepts is safe to act on. Every page lies in the address
//! space, nothing is executable, no action is that of a signal that nobody can catch.

use crate::{FormatError, PAGE, Run, WASM_PAGE, WASM_PAGES_MAX, cursor::Cursor, layout::*};

/// A process at its snapshot point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessState {
    /// Mapped ranges, sorted, as long as they can be.
    pub extents: Vec<Extent>,
    /// What is done on signals; those with their default action are left out. Sorted by signal.
    pub actions: Vec<SignalAction>,
    /// Blocked signals: a bit each, that of signal 1 the lowest.
    pub mask: u64,
    /// The alternate signal stack: address and size; 0 and 0 for none.
    pub stack: (u32, u32),
    /// Address that is cleared when the thread ends (`set_tid_address(2)`); 0 for none.
    pub clear_tid: u32,
    /// Head of the list of robust mutexes (`set_robust_list(2)`); 0 for none.
    pub robust: u32,
}

/// A mapped range of the address space: private memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First byte; a multiple of 4096.
    pub start: u64,
    /// Length in bytes; a multiple of 4096.
    pub len: u64,
    /// What may be done with it.
    pub access: Access,
}

/// How memory may be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Not at all; it keeps its contents.
    None,
    /// It may be read.
    Read,
    /// It may be read and written.
    Write,
}

/// What is done on a signal, as the kernel's `sigaction` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalAction {
    /// Number, 1 to 64.
    pub signal: u32,
    /// 1 (SIG_IGN), or the index of a handler in the function table.
    pub handler: u32,
    /// SA_* flags.
    pub flags: u64,
    /// Signals blocked meanwhile.
    pub mask: u64,
}

/// SIGKILL and SIGSTOP, which nobody can catch, ignore or block (signal(7)).
const UNBLOCKABLE: [u32; 2] = [9, 19];

impl Extent {
    /// The byte after it.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

impl ProcessState {
    /// Mapped bytes.
    pub fn mapped(&self) -> u64 {
        self.extents.iter().map(|e| e.len).sum()
    }

    /// Whether it is one that a process can be in whose memory has so many pages of 64 KiB.
    pub fn check(&self, pages: u64) -> Result<(), String> {
        let size = pages.min(WASM_PAGES_MAX) * WASM_PAGE;
        let mut before: Option<&Extent> = None;
        for extent in &self.extents {
            let end = extent.start.checked_add(extent.len);
            let whole = extent.start % PAGE == 0 && extent.len % PAGE == 0 && extent.len > 0;
            if !whole || end.is_none_or(|end| end > size) {
                return Err(format!(
                    "the mapped range of {:#x} bytes at {:#x} is empty, not of whole pages, or leaves the \
                     memory",
                    extent.len, extent.start
                ));
            }
            let follows = before.is_none_or(|before| {
                before.end() < extent.start
                    || before.end() == extent.start && before.access != extent.access
            });
            if !follows {
                return Err(format!(
                    "the mapped range at {:#x} overlaps or continues the one before",
                    extent.start
                ));
            }
            before = Some(extent);
        }
        if !self.actions.is_sorted_by(|a, b| a.signal < b.signal) {
            return Err("actions are not sorted by signal, each once".into());
        }
        for action in &self.actions {
            let known = (1..=64).contains(&action.signal) && !UNBLOCKABLE.contains(&action.signal);
            let plain = action.handler == 0 && action.flags == 0 && action.mask == 0;
            if !known || plain {
                return Err(format!(
                    "signal {} cannot have the action that it is said to have",
                    action.signal
                ));
            }
        }
        if UNBLOCKABLE
            .iter()
            .any(|signal| self.mask & 1 << (signal - 1) != 0)
        {
            return Err("a signal is blocked that nobody can block".into());
        }
        let (base, size) = self.stack;
        if base.checked_add(size).is_none() || size == 0 && base != 0 {
            return Err("the alternate signal stack leaves the memory, or is none".into());
        }
        Ok(())
    }

    /// Whether these ranges, which are sorted, are mapped.
    pub(crate) fn has_room_for(&self, runs: impl IntoIterator<Item = (u64, u64)>) -> bool {
        let mut extents = self.extents.iter().peekable();
        runs.into_iter().all(|(mut at, end)| {
            while at < end {
                while extents.next_if(|extent| extent.end() <= at).is_some() {}
                match extents.peek() {
                    Some(extent) if extent.start <= at => at = extent.end(),
                    _ => return false,
                }
            }
            true
        })
    }

    /// Whether all of a range is mapped.
    pub fn maps(&self, start: u64, end: u64) -> bool {
        self.has_room_for([(start, end)])
    }

    /// As [`ProcessState::maps`], for the runs of a memory image.
    pub fn covers(&self, runs: &[Run]) -> bool {
        let ranges = runs
            .iter()
            .map(|run| (run.memory_offset, run.memory_offset.saturating_add(run.len)));
        self.has_room_for(ranges)
    }
}

/// The tables that states are read from.
pub(crate) struct States<'a> {
    pub(crate) states: Cursor<'a>,
    pub(crate) extents: Cursor<'a>,
    pub(crate) actions: Cursor<'a>,
}

impl States<'_> {
    /// Reads one state.
    pub(crate) fn next(&mut self) -> Result<ProcessState, FormatError> {
        let c = &mut self.states;
        let (extents, actions, mask) = (c.u32()?, c.u32()?, c.u64()?);
        let stack = (c.u32()?, c.u32()?);
        let (clear_tid, robust) = (c.u32()?, c.u32()?);
        let table = &mut self.extents;
        // A lying count ends in an error: it is compared with what there is before room is made for it.
        let room = |count: u32, left: usize, record: u64| match u64::from(count) * record {
            needed if needed <= left as u64 => Ok(Vec::with_capacity(count as usize)),
            _ => Err(FormatError::Inconsistent {
                what: "state of a process",
                problem: format!("it counts {count} records of a table that has fewer"),
            }),
        };
        let mut state = ProcessState {
            extents: room(extents, table.remaining(), EXTENT)?,
            actions: Vec::new(),
            mask,
            stack,
            clear_tid,
            robust,
        };
        for _ in 0..extents {
            let (start, len) = (table.u64()?, table.u64()?);
            let access = match table.u32()? {
                ACCESS_NONE => Access::None,
                ACCESS_READ => Access::Read,
                ACCESS_WRITE => Access::Write,
                other => return Err(table.unknown("access to memory", other.into())),
            };
            table.zeros(4)?;
            state.extents.push(Extent { start, len, access });
        }
        let table = &mut self.actions;
        if u64::from(actions) * ACTION > table.remaining() as u64 {
            return Err(table.inconsistent("a state counts more actions than there are"));
        }
        state.actions.reserve(actions as usize);
        for _ in 0..actions {
            state.actions.push(SignalAction {
                signal: table.u32()?,
                handler: table.u32()?,
                flags: table.u64()?,
                mask: table.u64()?,
            });
        }
        Ok(state)
    }

    /// All tables must be used up.
    pub(crate) fn finish(self) -> Result<(), FormatError> {
        self.states.finish()?;
        self.extents.finish()?;
        self.actions.finish()
    }
}

/// The tables that states are written to.
#[derive(Default)]
pub(crate) struct StateTables {
    pub(crate) states: Vec<u8>,
    pub(crate) extents: Vec<u8>,
    pub(crate) actions: Vec<u8>,
}

impl StateTables {
    /// Writes one state.
    pub(crate) fn put(&mut self, state: &ProcessState) {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let mut word = |value: u32| self.states.extend_from_slice(&value.to_le_bytes());
        word(count(state.extents.len()));
        word(count(state.actions.len()));
        word(state.mask as u32);
        word((state.mask >> 32) as u32);
        word(state.stack.0);
        word(state.stack.1);
        word(state.clear_tid);
        word(state.robust);
        for extent in &state.extents {
            let access = match extent.access {
                Access::None => ACCESS_NONE,
                Access::Read => ACCESS_READ,
                Access::Write => ACCESS_WRITE,
            };
            let out = &mut self.extents;
            out.extend_from_slice(&extent.start.to_le_bytes());
            out.extend_from_slice(&extent.len.to_le_bytes());
            out.extend_from_slice(&access.to_le_bytes());
            out.extend_from_slice(&[0; 4]);
        }
        for action in &state.actions {
            let out = &mut self.actions;
            out.extend_from_slice(&action.signal.to_le_bytes());
            out.extend_from_slice(&action.handler.to_le_bytes());
            out.extend_from_slice(&action.flags.to_le_bytes());
            out.extend_from_slice(&action.mask.to_le_bytes());
        }
    }
}
