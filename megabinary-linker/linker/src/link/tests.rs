//! Plans that are refused, each with its message, and what links.

use super::*;
use megabinary_format::ProcessState;

use crate::{PlannedEntry, SnapshotDump};
use megabinary_format::{Global, GlobalValue};

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

fn plan() -> LinkPlan {
    LinkPlan {
        name: "i".into(),
        modules: vec![PlannedModule {
            name: "python".into(),
            wasm: wasm("(module (memory 1) (func (export \"_start\")))"),
        }],
        entries: vec![PlannedEntry {
            name: "python3".into(),
            kind: PlannedKind::Module("python".into()),
            argv_prefix: vec![],
        }],
        programs: vec![("/bin/python3".into(), "python3".into())],
        ..LinkPlan::default()
    }
}

/// Changes a good plan, and expects this in the message of linking it.
fn refused(expected: &str, change: impl FnOnce(&mut LinkPlan)) {
    let mut plan = plan();
    change(&mut plan);
    let message = link(plan).unwrap_err().to_string();
    assert!(
        message.contains(expected),
        "expected `{expected}` in `{message}`"
    );
}

fn tree(mount: &str, paths: &[&str]) -> PlannedTree {
    let file = PlannedFile::File {
        bytes: b"x".to_vec(),
        executable: false,
    };
    let nodes = paths.iter().map(|path| PlannedNode {
        path: (*path).into(),
        kind: file.clone(),
    });
    PlannedTree {
        mount: mount.into(),
        nodes: nodes.collect(),
    }
}

#[test]
fn a_program_is_routed_by_its_stub() {
    let mut plan = plan();
    plan.programs.push(("/bin/also".into(), "python3".into()));
    plan.extra_routes
        .push((Digest::of(b"file"), "python3".into()));
    plan.trees = vec![tree("/b", &["x/y/z", "a"]), tree("/a", &[])];
    let linked = link(plan).unwrap();
    let programs: Vec<_> = linked.programs().collect();
    assert_eq!(
        programs.iter().map(|p| p.0).collect::<Vec<_>>(),
        ["/bin/also", "/bin/python3"]
    );
    assert_eq!(
        programs[0].2, programs[1].2,
        "equal entries have equal stubs"
    );
    assert_eq!(linked.routes().len(), 2);
    assert!(
        linked
            .routes()
            .iter()
            .any(|r| r.file == Digest::of(programs[0].2.as_bytes()))
    );
    let mounts: Vec<_> = linked.trees().iter().map(|t| t.mount.as_str()).collect();
    assert_eq!(mounts, ["/a", "/b"]);
    let paths: Vec<_> = linked.trees()[1]
        .nodes
        .iter()
        .map(|n| n.path.as_str())
        .collect();
    assert_eq!(
        paths,
        ["a", "x", "x/y", "x/y/z"],
        "implied folders are listed"
    );
}

#[test]
fn names() {
    refused("the image is named ``", |p| p.name = String::new());
    refused("a module is named `a\\n`", |p| {
        p.modules[0].name = "a\n".into()
    });
    refused("two modules are named `python`", |p| {
        p.modules.push(p.modules[0].clone())
    });
    refused("two entries are named `python3`", |p| {
        p.entries.push(p.entries[0].clone())
    });
    refused(
        "entry `python3` names the module `pyhton`, which does not exist; did it mean `python`?",
        |p| {
            p.entries[0].kind = PlannedKind::Module("pyhton".into());
        },
    );
    refused(
        "the program at `/bin/python3` names the entry `python`",
        |p| {
            p.programs[0].1 = "python".into();
        },
    );
    refused("which does not exist", |p| {
        p.extra_routes.push((Digest([0; 32]), "x".into()))
    });
    refused("an argument of an entry", |p| {
        p.entries[0].argv_prefix.push("a\0".into())
    });
}

#[test]
fn programs_and_routes() {
    refused(
        "two programs are installed at `/bin/python3`: `python3` and `python3`",
        |p| {
            p.programs.push(p.programs[0].clone());
        },
    );
    for path in [
        "bin/x",
        "/",
        "",
        "/a/../b",
        "/a//b",
        "/.vkernel",
        "/.vkernel/x",
        "/a\0b",
    ] {
        refused("program path", |p| p.programs[0].0 = path.into());
    }
    refused("is routed to two entries, `env` and `python3`", |p| {
        let env = PlannedEntry {
            name: "env".into(),
            kind: PlannedKind::Env,
            argv_prefix: vec![],
        };
        p.entries.push(env);
        p.extra_routes = vec![
            (Digest([1; 32]), "env".into()),
            (Digest([1; 32]), "python3".into()),
        ];
    });
    refused("policy path `etc`", |p| p.policy.hidden.push("etc".into()));
}

#[test]
fn trees() {
    refused("mount point `lib`", |p| p.trees = vec![tree("lib", &[])]);
    refused("two internal file trees", |p| {
        p.trees = vec![tree("/l", &[]), tree("/l", &[])]
    });
    for path in ["", "/a", "a/", "a//b", "../a", "a/..", "./a", "a\0"] {
        refused("internal file tree", |p| {
            p.trees = vec![tree("/l", &[path])]
        });
    }
    refused("`a` is listed twice", |p| {
        p.trees = vec![tree("/l", &["a", "a"])]
    });
    refused("`a` is listed twice or lies below a file", |p| {
        p.trees = vec![tree("/l", &["a", "a/b"])];
    });
    refused("symbolic link", |p| {
        p.trees = vec![tree("/l", &["a"])];
        p.trees[0].nodes[0].kind = PlannedFile::Symlink(String::new());
    });
}

#[test]
fn modules_are_analysed_and_normalised() {
    refused("module `python`: this is a native ELF file", |p| {
        p.modules[0].wasm = b"\x7fELF".to_vec();
    });
    refused("module `python`: it exports `vkernel.start`", |p| {
        p.modules[0].wasm =
            wasm("(module (func (export \"vkernel.start\")) (func (export \"_start\")))");
    });
}

#[test]
fn snapshots_must_fit() {
    let module = wasm(
        "(module (memory 1 2) (func (export \"_start\")) (global (mut i32) (i32.const 0))
          (func (export \"vkernel_snapshot_init\"))
          (func (export \"vkernel_snapshot_resume\") (result i32) i32.const 0))",
    );
    let linked = |wasm: &[u8]| {
        let mut plan = plan();
        plan.modules[0].wasm = wasm.to_vec();
        link(plan).unwrap()
    };
    let global = |index, value| Global { index, value };
    let good = global(0, GlobalValue::I32(1));
    let dump = |pages: u64, globals: &[Global]| {
        SnapshotDump::of(&vec![1; pages as usize * 65536], globals.to_vec())
    };
    let refused = |module: &[u8], at, dump, expected: &str| {
        let message = linked(module)
            .with_snapshot(at, dump)
            .unwrap_err()
            .to_string();
        assert!(message.contains(expected), "{message}");
    };
    let warm = linked(&module).with_snapshot(0, dump(2, &[good])).unwrap();
    assert_eq!(warm.modules()[0].warm.as_ref().unwrap().contents.pages, 2);
    refused(&module, 1, dump(1, &[good]), "no module 1");
    refused(
        &module,
        0,
        dump(0, &[good]),
        "0 pages of memory, the module allows 1 to 2",
    );
    refused(&module, 0, dump(3, &[good]), "3 pages");
    refused(&module, 0, dump(1, &[]), "0 globals");
    refused(
        &module,
        0,
        dump(1, &[global(1, GlobalValue::I32(1))]),
        "not the module's 1 mutable",
    );
    refused(
        &module,
        0,
        dump(1, &[global(0, GlobalValue::I64(1))]),
        "not the module's",
    );
    let of_linux = SnapshotDump {
        process: Some(ProcessState::default()),
        ..dump(1, &[good])
    };
    refused(&module, 0, of_linux, "another personality");
    refused(
        &wasm("(module (memory 1) (func (export \"_start\")))"),
        0,
        dump(1, &[]),
        "cannot be snapshotted",
    );
}
