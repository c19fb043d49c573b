//! Reads an [`Index`] from bytes, at every process start: one pass, one allocation for each list
//! and string, and the consistency check of [`Index::check`].
//!
//! Invariant: for every input, either an error, or a value whose encoding is that input. Each
//! field is checked for being what the writer would write, unused ones for being zero.

use vkernel_abi::personality::Personality;

use crate::{
    Digest, Entry, EntryKind, FileKind, FileNode, FileRange, FileTree, FormatError, Index, LIMITS,
    Limits, MemoryImage, Module, NetworkRule, Policy, Program, Route, Run, Segment, SegmentKind,
    Target, cursor::Cursor, dump::take_global, layout::*, process::States,
};

const WHAT: &str = "index";

impl Index {
    /// Reads an index; total, and strict: see the module's invariant in `decode.rs`.
    pub fn decode(bytes: &[u8]) -> Result<Index, FormatError> {
        let mut header = Cursor::new(WHAT, bytes);
        header.magic_version(MAGIC, (MAJOR, MINOR), "1.4")?;
        let target = match header.u32()? {
            TARGET_PORTABLE => Target::Portable,
            TARGET_X86_64 => Target::X86_64,
            TARGET_PULLEY64 => Target::Pulley64,
            other => return Err(header.unknown("target", u64::from(other))),
        };
        let said = header.u64()?;
        if said != bytes.len() as u64 {
            return Err(FormatError::Length {
                what: WHAT,
                said,
                found: bytes.len() as u64,
            });
        }
        let provenance = header.digest()?;
        let mut counts = [0; 13];
        for count in &mut counts {
            *count = u64::from(header.u32()?);
        }
        let policy = PolicyHeader::read(&mut header)?;

        // The header is followed by the tables; `header` goes on over them.
        let [
            modules,
            runs,
            globals,
            states,
            extents,
            actions,
            entries,
            programs,
            routes,
            trees,
            nodes,
            segments,
            strings,
        ] = counts;
        let mut table = |count: u64, record: u64| {
            // Counts are 32 bits and records below 2^7 bytes: no overflow.
            header
                .take(count * record)
                .map(|bytes| Cursor::new(WHAT, bytes))
        };
        let mut module_table = table(modules, MODULE)?;
        let mut images = Images {
            runs: table(runs, RUN)?,
            globals: table(globals, GLOBAL)?,
            processes: States {
                states: table(states, STATE)?,
                extents: table(extents, EXTENT)?,
                actions: table(actions, ACTION)?,
            },
        };
        let mut entry_table = table(entries, ENTRY)?;
        let mut program_table = table(programs, PROGRAM)?;
        let mut route_table = table(routes, ROUTE)?;
        let mut tree_table = table(trees, TREE)?;
        let mut node_table = table(nodes, NODE)?;
        let mut segment_table = table(segments, SEGMENT)?;
        let lengths = table(strings, STRING)?;
        let heap = header.take(header.remaining() as u64)?;
        let heap = std::str::from_utf8(heap).map_err(|_| FormatError::Text { what: WHAT })?;
        let mut strings = Strings { lengths, heap };

        let name = strings.next()?;
        let modules = list(modules, || {
            module(&mut module_table, &mut images, &mut strings)
        })?;
        let entries = list(entries, || entry(&mut entry_table, &mut strings))?;
        let programs = list(programs, || {
            Ok(Program {
                path: strings.next()?,
                entry: program_table.u32()?,
            })
        })?;
        let routes = list(routes, || {
            Ok(Route {
                file: route_table.digest()?,
                entry: route_table.u32()?,
            })
        })?;
        let trees = list(trees, || {
            tree(&mut tree_table, &mut node_table, &mut strings)
        })?;
        let segments = list(segments, || segment(&mut segment_table))?;
        let policy = Policy {
            read_only: strings.list(policy.read_only)?,
            hidden: strings.list(policy.hidden)?,
            network: match policy.network {
                None => None,
                Some(count) => Some(rules(&strings.list(count)?)?),
            },
            ..policy.policy
        };
        // Tables whose records are counted by others must be used up.
        images.runs.finish()?;
        images.globals.finish()?;
        images.processes.finish()?;
        node_table.finish()?;
        strings.finish()?;

        let index = Index {
            name,
            provenance,
            target,
            modules,
            entries,
            programs,
            routes,
            trees,
            policy,
            segments,
        };
        index.check()?;
        Ok(index)
    }
}

/// Reads `count` items. The caller has checked that the input holds a record for each, so that
/// the reservation is bounded by a small multiple of the input.
fn list<T>(
    count: u64,
    mut item: impl FnMut() -> Result<T, FormatError>,
) -> Result<Vec<T>, FormatError> {
    let mut out = Vec::with_capacity(count as usize);
    for _ in 0..count {
        out.push(item()?);
    }
    Ok(out)
}

/// As [`list`], for counts inside records, which nothing has compared with the input yet: a
/// lying count ends in an error after at most as many items as the input has records.
fn nested<T>(
    count: u32,
    available: usize,
    item: impl FnMut() -> Result<T, FormatError>,
) -> Result<Vec<T>, FormatError> {
    if count as usize > available {
        return Err(FormatError::Inconsistent {
            what: WHAT,
            problem: format!("a record counts {count} items of a table that has {available} left"),
        });
    }
    list(u64::from(count), item)
}

struct Strings<'a> {
    lengths: Cursor<'a>,
    heap: &'a str,
}

impl Strings<'_> {
    fn next(&mut self) -> Result<String, FormatError> {
        let len = self.lengths.u32()? as usize;
        let (text, rest) = self
            .heap
            .split_at_checked(len)
            .ok_or(FormatError::Text { what: WHAT })?;
        self.heap = rest;
        Ok(text.to_owned())
    }

    fn list(&mut self, count: u32) -> Result<Vec<String>, FormatError> {
        nested(count, self.lengths.remaining() / STRING as usize, || {
            self.next()
        })
    }

    fn finish(self) -> Result<(), FormatError> {
        self.lengths.finish()?;
        Cursor::new(WHAT, self.heap.as_bytes()).finish()
    }
}

struct PolicyHeader {
    policy: Policy,
    read_only: u32,
    hidden: u32,
    network: Option<u32>,
}

impl PolicyHeader {
    fn read(c: &mut Cursor<'_>) -> Result<PolicyHeader, FormatError> {
        let flags = c.u32()?;
        if flags & !POLICY_KNOWN != 0 {
            return Err(c.unknown("policy flags", u64::from(flags)));
        }
        let (rules, read_only, hidden) = (c.u32()?, c.u32()?, c.u32()?);
        let network = match (flags & POLICY_NETWORK != 0, rules) {
            (true, rules) => Some(rules),
            (false, 0) => None,
            (false, rules) => {
                return Err(c.unknown("rules of a network that is not limited", rules.into()));
            }
        };
        let mut limits = Limits::default();
        for row in LIMITS {
            let value = c.u64()?;
            match (flags & row.limit.flag() != 0, value) {
                (true, value) if value <= row.most => limits.set(row.limit, Some(value)),
                (false, 0) => {}
                _ => return Err(c.unknown("policy limit", value)),
            }
        }
        let policy = Policy {
            limits,
            network: None,
            read_only_root: flags & POLICY_READ_ONLY_ROOT != 0,
            read_only: Vec::new(),
            hidden: Vec::new(),
        };
        Ok(PolicyHeader {
            policy,
            read_only,
            hidden,
            network,
        })
    }
}

/// Rules as they are written, in order.
fn rules(texts: &[String]) -> Result<Vec<NetworkRule>, FormatError> {
    let rules: Vec<NetworkRule> = texts
        .iter()
        .map(|text| {
            text.parse::<NetworkRule>()
                .ok()
                .filter(|r| r.to_string() == *text)
        })
        .collect::<Option<_>>()
        .ok_or_else(|| FormatError::Inconsistent {
            what: WHAT,
            problem: "a rule of the network policy is none, or spelt in another way".into(),
        })?;
    match rules.is_sorted_by(|a, b| a < b) {
        true => Ok(rules),
        false => Err(FormatError::Inconsistent {
            what: WHAT,
            problem: "the rules of the network policy are not in order".into(),
        }),
    }
}

struct Images<'a> {
    runs: Cursor<'a>,
    globals: Cursor<'a>,
    processes: States<'a>,
}

impl Images<'_> {
    /// Reads an image's record from the module table, and its runs and globals from theirs.
    fn next(&mut self, c: &mut Cursor<'_>) -> Result<MemoryImage, FormatError> {
        let (pages, runs, globals) = (c.u64()?, c.u32()?, c.u32()?);
        Ok(MemoryImage {
            pages,
            runs: nested(runs, self.runs.remaining() / RUN as usize, || {
                Ok(Run {
                    memory_offset: self.runs.u64()?,
                    file_offset: self.runs.u64()?,
                    len: self.runs.u64()?,
                })
            })?,
            globals: nested(globals, self.globals.remaining() / GLOBAL as usize, || {
                take_global(&mut self.globals)
            })?,
        })
    }
}

fn module(
    c: &mut Cursor<'_>,
    images: &mut Images<'_>,
    strings: &mut Strings<'_>,
) -> Result<Module, FormatError> {
    let name = strings.next()?;
    let digest: Digest = c.digest()?;
    let flags = c.u32()?;
    if flags & !MODULE_KNOWN != 0 {
        return Err(c.unknown("module flags", u64::from(flags)));
    }
    let imports = c.u32()?;
    let imports = strings.list(imports)?;
    let code = FileRange {
        offset: c.u64()?,
        len: c.u64()?,
        vaddr: c.u64()?,
    };
    let none = FileRange {
        offset: 0,
        len: 0,
        vaddr: 0,
    };
    let code = match flags & MODULE_HAS_CODE != 0 {
        true => Some(code),
        false if code == none => None,
        false => return Err(c.unknown("code range of a module without code", code.offset)),
    };
    let cold = images.next(c)?;
    let warm = images.next(c)?;
    let empty = warm.pages == 0 && warm.runs.is_empty() && warm.globals.is_empty();
    let warm = match flags & MODULE_HAS_WARM != 0 {
        true => Some(warm),
        false if empty => None,
        false => return Err(c.unknown("snapshot of a module without one", warm.pages)),
    };
    let libraries = c.u32()?;
    let libraries = strings.list(libraries)?;
    c.zeros(4)?;
    // A snapshot of the Linux personality has a process, and nothing else has one.
    let process = match warm.is_some() && flags & MODULE_LINUX != 0 {
        true => Some(images.processes.next()?),
        false => None,
    };
    Ok(Module {
        name,
        digest,
        code,
        cold,
        warm,
        process,
        imports,
        personality: match flags & MODULE_LINUX != 0 {
            true => Personality::Linux,
            false => Personality::Wasi,
        },
        is_library: flags & MODULE_LIBRARY != 0,
        libraries,
    })
}

fn entry(c: &mut Cursor<'_>, strings: &mut Strings<'_>) -> Result<Entry, FormatError> {
    let name = strings.next()?;
    let digest = c.digest()?;
    let kind = match (c.u32()?, c.u32()?) {
        (ENTRY_MODULE, module) => EntryKind::Module(module),
        (ENTRY_ENV, 0) => EntryKind::Env,
        (other, _) => return Err(c.unknown("kind of an entry", u64::from(other))),
    };
    let argv_prefix = c.u32()?;
    let argv_prefix = strings.list(argv_prefix)?;
    c.zeros(4)?;
    Ok(Entry {
        digest,
        name,
        kind,
        argv_prefix,
    })
}

fn tree(
    trees: &mut Cursor<'_>,
    nodes: &mut Cursor<'_>,
    strings: &mut Strings<'_>,
) -> Result<FileTree, FormatError> {
    let mount = strings.next()?;
    let available = nodes.remaining() / NODE as usize;
    let nodes = nested(trees.u32()?, available, || {
        let path = strings.next()?;
        let kind = match (nodes.u32()?, nodes.u64()?, nodes.u64()?) {
            (NODE_DIRECTORY, 0, 0) => FileKind::Directory,
            (NODE_FILE, offset, len) => FileKind::File {
                offset,
                len,
                executable: false,
            },
            (NODE_EXECUTABLE, offset, len) => FileKind::File {
                offset,
                len,
                executable: true,
            },
            (NODE_SYMLINK, 0, 0) => FileKind::Symlink(strings.next()?),
            (other, ..) => return Err(nodes.unknown("kind of a file node", u64::from(other))),
        };
        Ok(FileNode { path, kind })
    })?;
    Ok(FileTree { mount, nodes })
}

fn segment(c: &mut Cursor<'_>) -> Result<Segment, FormatError> {
    let kind = match c.u32()? {
        SEGMENT_LAUNCHER => SegmentKind::Launcher,
        SEGMENT_CODE => SegmentKind::Code,
        SEGMENT_MEMORY => SegmentKind::Memory,
        SEGMENT_FILES => SegmentKind::Files,
        SEGMENT_HEADERS => SegmentKind::Headers,
        other => return Err(c.unknown("kind of a segment", u64::from(other))),
    };
    c.zeros(4)?;
    Ok(Segment {
        kind,
        offset: c.u64()?,
        len: c.u64()?,
        digest: c.digest()?,
    })
}
