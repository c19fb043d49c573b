//! Indexes for tests: one with everything in it, and arbitrary consistent ones.

use megabinary_format::*;
use proptest::prelude::*;
use vkernel_abi::personality::Personality;

/// An executable index that uses every feature of the format.
pub(crate) fn full() -> Index {
    let digest = |text: &str| Digest::of(text.as_bytes());
    let segment = |kind, offset, len| Segment {
        kind,
        offset,
        len,
        digest: digest("segment"),
    };
    let module = |name: &str, at: u64, warm| Module {
        name: name.into(),
        digest: digest(name),
        code: Some(FileRange {
            offset: at,
            len: 0xfff,
            vaddr: 0x20_0000 + at,
        }),
        cold: MemoryImage {
            pages: 2,
            runs: vec![Run {
                memory_offset: 0x1000,
                file_offset: 0x3000,
                len: 0x1000,
            }],
            globals: vec![],
        },
        warm,
        process: None,
        imports: vec![
            "vkernel.cwd_get".into(),
            "wasi_snapshot_preview1.fd_write".into(),
        ],
        personality: Personality::Wasi,
        is_library: false,
        libraries: vec![],
    };
    let warm = MemoryImage {
        pages: 3,
        runs: vec![
            Run {
                memory_offset: 0,
                file_offset: 0x4000,
                len: 0x1000,
            },
            Run {
                memory_offset: 0x2f000,
                file_offset: 0x3000,
                len: 0x1000,
            },
        ],
        globals: vec![
            Global {
                index: 0,
                value: GlobalValue::I32(7),
            },
            Global {
                index: 3,
                value: GlobalValue::I64(u64::MAX),
            },
            Global {
                index: 4,
                value: GlobalValue::F32(0x7fc0_0000),
            },
            Global {
                index: 9,
                value: GlobalValue::F64(1),
            },
        ],
    };
    let node = |path: &str, kind| FileNode {
        path: path.into(),
        kind,
    };
    let file = |offset, len, executable| FileKind::File {
        offset,
        len,
        executable,
    };
    let mut routes = vec![
        Route {
            file: digest("stub a"),
            entry: 0,
        },
        Route {
            file: digest("stub b"),
            entry: 1,
        },
        Route {
            file: digest("script"),
            entry: 0,
        },
    ];
    routes.sort_by_key(|r| r.file);
    Index {
        name: "vkernel/python:3.12".into(),
        provenance: digest("lock"),
        target: Target::X86_64,
        modules: vec![
            module("python", 0x1000, Some(warm)),
            module("dash", 0x2000, None),
        ],
        entries: vec![
            Entry {
                digest: digest("entry"),
                name: "python3".into(),
                kind: EntryKind::Module(1),
                argv_prefix: vec!["-m".into(), "ünïcode".into()],
            },
            Entry {
                digest: digest("env"),
                name: "env".into(),
                kind: EntryKind::Env,
                argv_prefix: vec![],
            },
        ],
        programs: vec![
            Program {
                path: "/bin/python3".into(),
                entry: 0,
            },
            Program {
                path: "/usr/bin/env".into(),
                entry: 1,
            },
        ],
        routes,
        trees: vec![
            FileTree {
                mount: "/".into(),
                nodes: vec![],
            },
            FileTree {
                mount: "/usr/lib".into(),
                nodes: vec![
                    node("a", FileKind::Directory),
                    node("a-b", file(0, 0, false)),
                    node("a/b", FileKind::Directory),
                    node("a/b/c", file(0x5000, 0x10, true)),
                    node("z", FileKind::Symlink("../up".into())),
                ],
            },
        ],
        policy: Policy {
            limits: Limits::default()
                .with(Limit::Memory, 1 << 32)
                .with(Limit::OpenFiles, 0)
                .with(Limit::CpuTime, 1500)
                .with(Limit::FileSize, 1 << 33)
                .with(Limit::Threads, 7),
            network: Some(NetworkRule::loopback()),
            read_only_root: true,
            read_only: vec!["/usr".into()],
            hidden: vec!["/proc".into(), "/sys".into()],
        },
        segments: vec![
            segment(SegmentKind::Launcher, 0, 0x1000),
            segment(SegmentKind::Code, 0x1000, 0x1000),
            segment(SegmentKind::Code, 0x2000, 0x1000),
            segment(SegmentKind::Memory, 0x3000, 0x2000),
            segment(SegmentKind::Files, 0x5000, 0x1000),
            segment(SegmentKind::Headers, 0x6000, 0x100),
        ],
    }
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn name() -> impl Strategy<Value = String> {
    "[a-z]{1,6}"
}

prop_compose! {
    /// Runs one page long with gaps, globals with ascending indices.
    fn image()(
        present in prop::collection::vec(any::<bool>(), 0..16),
        values in prop::collection::vec((any::<u64>(), 0..4u8), 0..5),
    ) -> MemoryImage {
        let runs = (0..).zip(present).filter(|(_, p)| *p).map(|(i, _)| Run {
            memory_offset: i * PAGE, file_offset: i * PAGE, len: PAGE,
        });
        let globals = (0..).zip(values).map(|(i, (value, kind))| Global {
            index: i * 3,
            value: match kind {
                0 => GlobalValue::I32(value as u32),
                1 => GlobalValue::I64(value),
                2 => GlobalValue::F32(value as u32),
                _ => GlobalValue::F64(value),
            },
        });
        MemoryImage { pages: 1, runs: runs.collect(), globals: globals.collect() }
    }
}

prop_compose! {
    /// A process whose whole memory of a page of 64 KiB is mapped.
    fn process()(
        signals in prop::collection::btree_map(20..64u32, (4..9u32, any::<u64>()), 0..4),
        mask in 0..256u64, split in 0..16u64, numbers in any::<(u32, u32)>(),
    ) -> ProcessState {
        let all = WASM_PAGE;
        let extents = [(0, split * PAGE, Access::Read), (split * PAGE, all, Access::Write)];
        ProcessState {
            extents: extents.into_iter().filter(|(start, end, _)| start < end)
                .map(|(start, end, access)| Extent { start, len: end - start, access }).collect(),
            actions: signals.into_iter().map(|(signal, (handler, mask))| {
                SignalAction { signal, handler, flags: mask >> 1, mask }
            }).collect(),
            mask,
            stack: (numbers.0 >> 1, 4096),
            clear_tid: numbers.0,
            robust: numbers.1,
        }
    }
}

prop_compose! {
    /// A module; without warm image when its cold one is to have globals.
    fn module()(
        name in name(), digest in digest(), cold in image(), warm in prop::option::of(image()),
        imports in prop::collection::btree_set("(wali|[a-z]{1,8})\\.[a-z_]{1,8}", 0..6),
        process in process(),
    ) -> Module {
        let imports: Vec<String> = imports.into_iter().collect();
        let personality = Personality::of(imports.iter().filter_map(|i| i.split('.').next()));
        let has_process = warm.is_some() && personality == Personality::Linux;
        let process = has_process.then_some(process);
        Module { name, digest, code: None, cold, warm, process, imports, personality, is_library: false, libraries: vec![] }
    }
}

prop_compose! {
    fn tree_nodes()(
        paths in prop::collection::btree_map(name(), (0..4u8, 0..8u64, name()), 0..8),
    ) -> Vec<FileNode> {
        paths.into_iter().map(|(path, (kind, offset, text))| FileNode {
            path,
            kind: match kind {
                0 => FileKind::Directory,
                1 => FileKind::Symlink(text),
                kind => FileKind::File { offset, len: 16 - offset, executable: kind == 3 },
            },
        }).collect()
    }
}

prop_compose! {
    fn limits()(values in prop::collection::vec(any::<Option<u64>>(), LIMITS.len())) -> Limits {
        let mut limits = Limits::default();
        for (row, value) in LIMITS.iter().zip(values) {
            limits.set(row.limit, value.map(|v| v.min(row.most)));
        }
        limits
    }
}

prop_compose! {
    /// A consistent index of the portable form.
    pub(crate) fn index()(
        name in name(), provenance in digest(),
        modules in prop::collection::vec(module(), 1..4),
        entries in prop::collection::vec(
            (digest(), name(), any::<bool>(), prop::collection::vec(".{0,8}", 0..3)), 1..5),
        paths in prop::collection::btree_set("(/[a-z]{1,4}){1,3}", 0..5),
        files in prop::collection::btree_set(digest(), 0..8),
        trees in prop::collection::btree_map("(/[a-z]{1,4}){1,2}", tree_nodes(), 0..3),
        limits in limits(), read_only_root in any::<bool>(),
        hidden in prop::collection::vec("(/[a-z]{1,4}){1,2}", 0..3),
        digests in (digest(), digest()),
        network in any::<bool>(),
    ) -> Index {
        let entries: Vec<Entry> = entries.into_iter().map(|(digest, name, env, argv_prefix)| Entry {
            digest,
            name,
            kind: if env { EntryKind::Env } else { EntryKind::Module(0) },
            argv_prefix,
        }).collect();
        let entry = |i: usize| (i % entries.len()) as u32;
        Index {
            name,
            provenance,
            target: Target::Portable,
            modules,
            programs: paths.into_iter().enumerate()
                .map(|(i, path)| Program { path, entry: entry(i) }).collect(),
            routes: files.into_iter().enumerate()
                .map(|(i, file)| Route { file, entry: entry(i) }).collect(),
            trees: trees.into_iter().map(|(mount, nodes)| FileTree { mount, nodes }).collect(),
            policy: Policy {
                limits, network: network.then(NetworkRule::loopback),
                read_only_root, read_only: hidden.clone(), hidden,
            },
            segments: vec![
                Segment { kind: SegmentKind::Memory, offset: 0, len: 16 * PAGE, digest: digests.0 },
                Segment { kind: SegmentKind::Files, offset: 0, len: 16, digest: digests.1 },
            ],
            entries,
        }
    }
}
