//! Writes an [`Index`] as bytes. The layout is drawn in `FORMAT.md`, "Index".
//!
//! Invariant: the length depends only on how many things and how long strings the index has,
//! never on digests, offsets or addresses. The packer relies on it: it encodes an index with
//! zeros in those fields to learn its length, lays the file out, and encodes again.

use vkernel_abi::personality::Personality;

use crate::{
    EntryKind, FileKind, Index, LIMITS, MemoryImage, Policy, SegmentKind, Target, dump::put_global,
    layout::*, process::StateTables,
};

impl Index {
    /// The one encoding of this index. Encoding does not check; [`Index::check`] does.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.string(&self.name);
        for module in &self.modules {
            w.module(module);
        }
        w.entries_and_routes(self);
        w.trees(self);
        for segment in &self.segments {
            let kind = match segment.kind {
                SegmentKind::Launcher => SEGMENT_LAUNCHER,
                SegmentKind::Code => SEGMENT_CODE,
                SegmentKind::Memory => SEGMENT_MEMORY,
                SegmentKind::Files => SEGMENT_FILES,
                SegmentKind::Headers => SEGMENT_HEADERS,
            };
            put32(&mut w.segments, kind);
            put32(&mut w.segments, 0);
            put64(&mut w.segments, segment.offset);
            put64(&mut w.segments, segment.len);
            w.segments.extend_from_slice(&segment.digest.0);
        }
        for path in self.policy.read_only.iter().chain(&self.policy.hidden) {
            w.string(path);
        }
        for rule in self.policy.network.iter().flatten() {
            w.string(&rule.to_string());
        }
        w.finish(self)
    }
}

/// One byte vector for each table, and the heap that their strings go to in order.
#[derive(Default)]
struct Writer {
    modules: Vec<u8>,
    runs: Vec<u8>,
    globals: Vec<u8>,
    processes: StateTables,
    entries: Vec<u8>,
    programs: Vec<u8>,
    routes: Vec<u8>,
    trees: Vec<u8>,
    nodes: Vec<u8>,
    segments: Vec<u8>,
    string_lengths: Vec<u8>,
    heap: Vec<u8>,
}

impl Writer {
    fn string(&mut self, text: &str) {
        put32(&mut self.string_lengths, count(text.len()));
        self.heap.extend_from_slice(text.as_bytes());
    }

    fn module(&mut self, module: &crate::Module) {
        self.string(&module.name);
        for import in module.imports.iter().chain(&module.libraries) {
            self.string(import);
        }
        let flags = if module.code.is_some() {
            MODULE_HAS_CODE
        } else {
            0
        } | if module.warm.is_some() {
            MODULE_HAS_WARM
        } else {
            0
        } | match module.personality {
            Personality::Wasi => 0,
            Personality::Linux => MODULE_LINUX,
        } | match module.is_library {
            true => MODULE_LIBRARY,
            false => 0,
        };
        let code = module.code.unwrap_or(crate::FileRange {
            offset: 0,
            len: 0,
            vaddr: 0,
        });
        self.modules.extend_from_slice(&module.digest.0);
        put32(&mut self.modules, flags);
        put32(&mut self.modules, count(module.imports.len()));
        for value in [code.offset, code.len, code.vaddr] {
            put64(&mut self.modules, value);
        }
        self.image(Some(&module.cold));
        self.image(module.warm.as_ref());
        put32(&mut self.modules, count(module.libraries.len()));
        put32(&mut self.modules, 0);
        if let Some(process) = &module.process {
            self.processes.put(process);
        }
    }

    fn image(&mut self, image: Option<&MemoryImage>) {
        let (pages, runs, globals) = image.map_or((0, &[][..], &[][..]), |i| {
            (i.pages, &i.runs[..], &i.globals[..])
        });
        put64(&mut self.modules, pages);
        put32(&mut self.modules, count(runs.len()));
        put32(&mut self.modules, count(globals.len()));
        for run in runs {
            for value in [run.memory_offset, run.file_offset, run.len] {
                put64(&mut self.runs, value);
            }
        }
        for global in globals {
            put_global(&mut self.globals, global);
        }
    }

    fn entries_and_routes(&mut self, index: &Index) {
        for entry in &index.entries {
            self.string(&entry.name);
            for arg in &entry.argv_prefix {
                self.string(arg);
            }
            let (kind, module) = match entry.kind {
                EntryKind::Module(module) => (ENTRY_MODULE, module),
                EntryKind::Env => (ENTRY_ENV, 0),
            };
            self.entries.extend_from_slice(&entry.digest.0);
            for value in [kind, module, count(entry.argv_prefix.len()), 0] {
                put32(&mut self.entries, value);
            }
        }
        for program in &index.programs {
            self.string(&program.path);
            put32(&mut self.programs, program.entry);
        }
        for route in &index.routes {
            self.routes.extend_from_slice(&route.file.0);
            put32(&mut self.routes, route.entry);
        }
    }

    fn trees(&mut self, index: &Index) {
        for tree in &index.trees {
            self.string(&tree.mount);
            put32(&mut self.trees, count(tree.nodes.len()));
            for node in &tree.nodes {
                self.string(&node.path);
                let (kind, offset, len) = match &node.kind {
                    FileKind::Directory => (NODE_DIRECTORY, 0, 0),
                    FileKind::File {
                        offset,
                        len,
                        executable: false,
                    } => (NODE_FILE, *offset, *len),
                    FileKind::File {
                        offset,
                        len,
                        executable: true,
                    } => (NODE_EXECUTABLE, *offset, *len),
                    FileKind::Symlink(target) => {
                        self.string(target);
                        (NODE_SYMLINK, 0, 0)
                    }
                };
                put32(&mut self.nodes, kind);
                put64(&mut self.nodes, offset);
                put64(&mut self.nodes, len);
            }
        }
    }

    fn finish(self, index: &Index) -> Vec<u8> {
        let tables = [
            (&self.modules, MODULE),
            (&self.runs, RUN),
            (&self.globals, GLOBAL),
            (&self.processes.states, STATE),
            (&self.processes.extents, EXTENT),
            (&self.processes.actions, ACTION),
            (&self.entries, ENTRY),
            (&self.programs, PROGRAM),
            (&self.routes, ROUTE),
            (&self.trees, TREE),
            (&self.nodes, NODE),
            (&self.segments, SEGMENT),
            (&self.string_lengths, STRING),
        ];
        let body: usize = tables.iter().map(|(t, _)| t.len()).sum::<usize>() + self.heap.len();
        let total = HEADER as usize + body;
        let mut out = Vec::with_capacity(total);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&MAJOR.to_le_bytes());
        out.extend_from_slice(&MINOR.to_le_bytes());
        put32(
            &mut out,
            match index.target {
                Target::Portable => TARGET_PORTABLE,
                Target::X86_64 => TARGET_X86_64,
                Target::Pulley64 => TARGET_PULLEY64,
            },
        );
        put64(&mut out, total as u64);
        out.extend_from_slice(&index.provenance.0);
        for (table, record) in tables {
            put32(&mut out, count(table.len() / record as usize));
        }
        put_policy(&mut out, &index.policy);
        for (table, _) in tables {
            out.extend_from_slice(table);
        }
        out.extend_from_slice(&self.heap);
        out
    }
}

fn put_policy(out: &mut Vec<u8>, policy: &Policy) {
    let mut flags = 0;
    for (limit, _) in policy.limits.iter() {
        flags |= limit.flag();
    }
    if policy.read_only_root {
        flags |= POLICY_READ_ONLY_ROOT;
    }
    if policy.network.is_some() {
        flags |= POLICY_NETWORK;
    }
    put32(out, flags);
    put32(out, count(policy.network.as_ref().map_or(0, Vec::len)));
    put32(out, count(policy.read_only.len()));
    put32(out, count(policy.hidden.len()));
    for row in LIMITS {
        put64(out, policy.limits.get(row.limit).unwrap_or(0));
    }
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Counts and string lengths are 32 bits wide. An index that does not fit would be larger than
/// 4 GiB; it is saturated here, and decoding refuses it.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
