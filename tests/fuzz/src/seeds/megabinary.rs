//! Megabinaries, small and with everything in them, in both forms; their parts.

use megabinary_format::{
    Access, Digest, Extent, Global, GlobalValue, Limit, Limits, PT_VKERNEL, Policy, ProcessState,
    SignalAction, stub,
};
use megabinary_linker::{
    LinkPlan, Megabinary, PlannedEntry, PlannedFile, PlannedKind, PlannedModule, PlannedNode,
    PlannedTree, SnapshotDump, Target, elf, link, portable,
};

use super::{elf as parts, keys};

/// With a snapshot.
pub(super) const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
    (memory (export "memory") 2) (global (mut i32) (i32.const 5))
    (func (export "_start")) (func (export "vkernel_snapshot_init"))
    (func (export "vkernel_snapshot_resume") (result i32) i32.const 0)
    (data (i32.const 8192) "cold data"))"#;
pub(super) const OTHER: &str = r#"(module (memory 1) (func (export "_start")))"#;

/// Two modules, four entries, a tree with each kind of node, a policy.
fn plan() -> LinkPlan {
    let module = |name: &str, text: &str| PlannedModule {
        name: name.into(),
        wasm: wat::parse_str(text).unwrap(),
    };
    let entry = |name: &str, kind, prefix: &[&str]| PlannedEntry {
        name: name.into(),
        kind,
        argv_prefix: prefix.iter().map(ToString::to_string).collect(),
    };
    let runs = |name: &str| PlannedKind::Module(name.into());
    let node = |path: &str, kind| PlannedNode {
        path: path.into(),
        kind,
    };
    let file = |text: &str, executable| PlannedFile::File {
        bytes: text.into(),
        executable,
    };
    LinkPlan {
        name: "test/image:1".into(),
        provenance: None,
        modules: vec![module("prog", PROGRAM), module("other", OTHER)],
        entries: vec![
            entry("prog", runs("prog"), &[]),
            entry("progc", runs("prog"), &["-c"]),
            entry("other", runs("other"), &[]),
            entry("env", PlannedKind::Env, &[]),
        ],
        programs: [
            ("/usr/bin/env", "env"),
            ("/bin/prog", "prog"),
            ("/bin/other", "other"),
        ]
        .map(|(path, entry)| (path.into(), entry.into()))
        .into(),
        extra_routes: vec![(Digest::of(b"script"), "progc".into())],
        trees: vec![PlannedTree {
            mount: "/usr/lib/prog".into(),
            nodes: vec![
                node("a/b/one.txt", file("one", false)),
                node("run.sh", file("two two", true)),
                node("empty", file("", false)),
                node("link", PlannedFile::Symlink("a/b".into())),
            ],
        }],
        policy: Policy {
            limits: Limits::default().with(Limit::Memory, 1 << 30),
            hidden: vec!["/etc".into()],
            network: Some(megabinary_format::NetworkRule::loopback()),
            ..Policy::default()
        },
    }
}

/// One module and nothing else.
fn small_plan() -> LinkPlan {
    let mut plan = plan();
    plan.modules.remove(0);
    plan.entries = vec![plan.entries.remove(2)];
    plan.programs.truncate(1);
    plan.programs = vec![("/bin/other".into(), "other".into())];
    plan.extra_routes.clear();
    plan.trees.clear();
    plan.policy = Policy::default();
    plan
}

fn dump() -> SnapshotDump {
    let mut memory = vec![0; 3 << 16];
    memory[8192..8201].copy_from_slice(b"cold data");
    memory[0x3010] = 7;
    let globals = vec![Global {
        index: 0,
        value: GlobalValue::I32(99),
    }];
    SnapshotDump::of(&memory, globals)
}

fn full() -> Megabinary {
    link(plan()).unwrap().with_snapshot(0, dump()).unwrap()
}

/// Portable forms.
pub fn portables() -> Vec<Vec<u8>> {
    [link(small_plan()).unwrap(), link(plan()).unwrap(), full()]
        .map(|megabinary| portable::write(&megabinary, keys()))
        .into()
}

/// Executable forms, native and Pulley.
pub fn elves() -> Vec<Vec<u8>> {
    let pack = |megabinary: &Megabinary, target| {
        let machine = match target {
            Target::X86_64 => parts::X86_64,
            _ => 0,
        };
        let code: Vec<_> = (1..=megabinary.modules().len())
            .map(|n| parts::code(machine, &vec![0xc3; n * 3000]))
            .collect();
        elf::pack(megabinary, target, &parts::launcher(), &code, keys())
            .unwrap()
            .into_bytes()
    };
    vec![
        pack(&link(small_plan()).unwrap(), Target::X86_64),
        pack(&full(), Target::X86_64),
        pack(&full(), Target::Pulley64),
    ]
}

/// Tails of executable forms; an index, a signature and a snapshot dump by themselves.
pub fn tails() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for file in elves() {
        let tail = tail_of(&file);
        let parts = megabinary_format::Tail::decode(tail).unwrap();
        out.push(parts.index.to_vec());
        out.push(parts.signature.to_vec());
        out.push(tail.to_vec());
    }
    let mut small = dump();
    out.push(written(&small));
    // One of the Linux personality.
    small.process = Some(ProcessState {
        extents: vec![
            Extent {
                start: 0,
                len: 0x1000,
                access: Access::None,
            },
            Extent {
                start: 0x1000,
                len: 0x2f000,
                access: Access::Write,
            },
        ],
        actions: vec![SignalAction {
            signal: 2,
            handler: 7,
            flags: 4,
            mask: 1,
        }],
        mask: 1 << 9,
        stack: (0x2000, 0x800),
        clear_tid: 0x1010,
        robust: 0x1020,
    });
    out.push(written(&small));
    out
}

fn written(dump: &SnapshotDump) -> Vec<u8> {
    let mut bytes = Vec::new();
    dump.write(&mut bytes).unwrap();
    bytes
}

fn tail_of(file: &[u8]) -> &[u8] {
    let headers = goblin::elf::Elf::parse(file).unwrap().program_headers;
    let tail = headers.iter().find(|p| p.p_type == PT_VKERNEL).unwrap();
    &file[tail.p_offset as usize..]
}

/// Stubs.
pub fn stubs() -> Vec<Vec<u8>> {
    [&b""[..], b"entry"]
        .map(|bytes| stub::text(&Digest::of(bytes)).into_bytes())
        .into()
}
