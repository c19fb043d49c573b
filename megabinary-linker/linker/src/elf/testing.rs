//! Small files for tests: a launcher and compiled modules, written by hand.

use super::raw::{self, Phdr, R, W, X};
use crate::{
    LinkPlan, Megabinary, PlannedEntry, PlannedFile, PlannedKind, PlannedModule, PlannedNode,
    PlannedTree, SnapshotDump, link,
};
use megabinary_format::{Global, GlobalValue, Limit, Limits, Policy};

fn header(machine: u16, phnum: u16, entry: u64, sections: (u64, u16, u16)) -> Vec<u8> {
    let mut h = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    h.extend_from_slice(&3u16.to_le_bytes());
    h.extend_from_slice(&machine.to_le_bytes());
    h.extend_from_slice(&1u32.to_le_bytes());
    h.extend_from_slice(&entry.to_le_bytes());
    h.extend_from_slice(&64u64.to_le_bytes());
    h.extend_from_slice(&sections.0.to_le_bytes());
    h.extend_from_slice(&0u32.to_le_bytes());
    for v in [64, 56, phnum, 64, sections.1, sections.2] {
        h.extend_from_slice(&v.to_le_bytes());
    }
    h
}

/// Program headers of the launcher, for tests to break.
pub(crate) fn launcher_phdrs() -> Vec<Phdr> {
    let load = |flags, offset, vaddr, len| Phdr::over(raw::PT_LOAD, flags, offset, vaddr, len);
    vec![
        load(R, 0, 0, 0x300),
        load(R | X, 0x1000, 0x1000, 0x80),
        Phdr {
            memsz: 0x5000,
            ..load(R | W, 0x2000, 0x3000, 0x100)
        },
        Phdr::over(raw::PT_DYNAMIC, R | W, 0x2000, 0x3000, 0x20),
        Phdr {
            offset: 0,
            vaddr: 0,
            ..Phdr::over(raw::PT_GNU_STACK, R | W, 0, 0, 0)
        },
    ]
}

/// A static-PIE with these program headers.
pub(crate) fn launcher_with(phdrs: &[Phdr]) -> Vec<u8> {
    let mut out = header(raw::EM_X86_64, phdrs.len() as u16, 0x1010, (0, 0, 0));
    for phdr in phdrs {
        phdr.encode(&mut out);
    }
    out.resize(0x1000, 0);
    out.resize(0x1080, 0x90);
    out.resize(0x2000, 0);
    // DT_DEBUG, then DT_NULL.
    out.extend_from_slice(&21u64.to_le_bytes());
    out.resize(0x2100, 0);
    out.extend_from_slice(b"unmapped sections");
    out
}

pub(crate) fn launcher() -> Vec<u8> {
    launcher_with(&launcher_phdrs())
}

/// A compiled module: some data, `.text` on a page, and section headers.
pub(crate) fn cwasm(machine: u16, text: &[u8]) -> Vec<u8> {
    cwasm_at(
        machine,
        text,
        0x1000,
        0x1000 + (text.len() as u64).next_multiple_of(4096),
    )
}

pub(crate) fn cwasm_at(machine: u16, text: &[u8], text_at: u64, data_at: u64) -> Vec<u8> {
    let names = b"\0.text\0.data\0.shstrtab\0";
    let shoff = data_at + 64;
    let mut out = header(machine, 0, 0, (shoff, 4, 3));
    out.resize(text_at as usize, 0);
    out.extend_from_slice(text);
    out.resize(out.len().max(data_at as usize), 0);
    out.truncate(data_at as usize);
    out.extend_from_slice(names);
    out.resize(shoff as usize, 0);
    let ranges = [
        (0, 0, 0),
        (1, text_at, text.len() as u64),
        (7, data_at, 8),
        (13, data_at, names.len() as u64),
    ];
    for (name, offset, len) in ranges {
        let mut section = vec![0; 64];
        section[..4].copy_from_slice(&u32::to_le_bytes(name));
        section[4] = 1;
        section[24..32].copy_from_slice(&u64::to_le_bytes(offset));
        section[32..40].copy_from_slice(&u64::to_le_bytes(len));
        out.extend_from_slice(&section);
    }
    out
}

/// A megabinary with two modules, a snapshot, programs and files.
pub(crate) fn megabinary() -> Megabinary {
    let program = wat::parse_str(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (memory (export "memory") 2) (global (mut i32) (i32.const 5))
            (func (export "_start")) (func (export "vkernel_snapshot_init"))
            (func (export "vkernel_snapshot_resume") (result i32) i32.const 0)
            (data (i32.const 8192) "cold data"))"#,
    );
    let other = wat::parse_str("(module (memory 1) (func (export \"_start\")))");
    let file = |path: &str, text: &str| PlannedNode {
        path: path.into(),
        kind: PlannedFile::File {
            bytes: text.into(),
            executable: path.ends_with("sh"),
        },
    };
    let module = |name: &str| PlannedKind::Module(name.into());
    let entry = |name: &str, kind| PlannedEntry {
        name: name.into(),
        kind,
        argv_prefix: vec![],
    };
    let plan = LinkPlan {
        name: "test/image:1".into(),
        provenance: None,
        modules: vec![
            PlannedModule {
                name: "prog".into(),
                wasm: program.unwrap(),
            },
            PlannedModule {
                name: "other".into(),
                wasm: other.unwrap(),
            },
        ],
        entries: vec![
            entry("prog", module("prog")),
            PlannedEntry {
                argv_prefix: vec!["-c".into()],
                ..entry("progc", module("prog"))
            },
            entry("other", module("other")),
            entry("env", PlannedKind::Env),
        ],
        programs: [
            ("/usr/bin/env", "env"),
            ("/bin/prog", "prog"),
            ("/bin/other", "other"),
        ]
        .map(|(p, e)| (p.into(), e.into()))
        .into(),
        extra_routes: vec![(megabinary_format::Digest::of(b"script"), "progc".into())],
        trees: vec![PlannedTree {
            mount: "/usr/lib/prog".into(),
            nodes: vec![
                file("a/b/one.txt", "one"),
                file("two.sh", "two two"),
                file("copy.txt", "one"),
                file("empty", ""),
                PlannedNode {
                    path: "link".into(),
                    kind: PlannedFile::Symlink("a/b".into()),
                },
            ],
        }],
        policy: Policy {
            limits: Limits::default().with(Limit::Memory, 1 << 30),
            hidden: vec!["/etc".into()],
            ..Policy::default()
        },
    };
    let mut memory = vec![0; 3 * 65536];
    memory[8192..8201].copy_from_slice(b"cold data");
    memory[0x20010] = 7;
    let globals = vec![Global {
        index: 0,
        value: GlobalValue::I32(99),
    }];
    let dump = SnapshotDump::of(&memory, globals);
    link(plan).unwrap().with_snapshot(0, dump).unwrap()
}

/// Compiled code for [`megabinary`].
pub(crate) fn code(machine: u16) -> Vec<Vec<u8>> {
    vec![cwasm(machine, &[0xc3; 5000]), cwasm(machine, b"\xc3")]
}
