//! The index's encoding: round trip, and what a reader refuses.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::full;
use megabinary_format::*;
use proptest::prelude::*;
use vkernel_abi::personality::Personality;

proptest! {
    #[test]
    fn round_trip(index in common::index()) {
        let bytes = index.encode();
        prop_assert_eq!(Index::decode(&bytes), Ok(index));
    }

    /// Whatever is accepted is what would be written: no two encodings of one index.
    #[test]
    fn altered_bytes_are_refused_or_canonical(
        index in common::index(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = index.encode();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(read) = Index::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }

    #[test]
    fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Index::decode(&noise).is_err());
        let mut bytes = full().encode();
        bytes.truncate(32);
        bytes.extend_from_slice(&noise);
        let len = (bytes.len() as u64).to_le_bytes();
        bytes[16..24].copy_from_slice(&len);
        if let Ok(read) = Index::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }
}

#[test]
fn the_full_index_round_trips() {
    let index = full();
    assert_eq!(index.check(), Ok(()));
    assert_eq!(Index::decode(&index.encode()), Ok(index));
}

#[test]
fn every_single_bit_flip_is_refused_or_canonical() {
    let good = full().encode();
    for i in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[i / 8] ^= 1 << (i % 8);
        if let Ok(read) = Index::decode(&bytes) {
            assert_eq!(read.encode(), bytes, "bit {i}");
        }
    }
}

#[test]
fn every_cut_and_every_addition_is_refused() {
    let good = full().encode();
    for len in 0..good.len() {
        assert!(Index::decode(&good[..len]).is_err(), "cut to {len}");
        // The same with a header that admits it.
        let mut cut = good[..len].to_vec();
        if let Some(field) = cut.get_mut(16..24) {
            field.copy_from_slice(&(len as u64).to_le_bytes());
            assert!(Index::decode(&cut).is_err(), "cut to {len} with its length");
        }
    }
    let mut longer = good;
    longer.push(0);
    assert!(Index::decode(&longer).is_err());
    let len = (longer.len() as u64).to_le_bytes();
    longer[16..24].copy_from_slice(&len);
    assert!(
        Index::decode(&longer).is_err(),
        "trailing byte in the string heap"
    );
}

#[test]
fn its_length_does_not_depend_on_numbers_and_digests() {
    let mut index = full();
    let len = index.encode().len();
    for segment in &mut index.segments {
        *segment = Segment {
            offset: u64::MAX,
            len: 0,
            digest: Digest([9; 32]),
            ..*segment
        };
    }
    for module in &mut index.modules {
        module.code = Some(FileRange {
            offset: 0,
            len: 0,
            vaddr: 0,
        });
        module.cold.runs[0] = Run {
            memory_offset: 0,
            file_offset: u64::MAX,
            len: 1,
        };
    }
    assert_eq!(index.encode().len(), len);
}

#[test]
fn other_formats_say_so() {
    for (at, version, said) in [(8, 2, "2.4"), (10, 0, "1.0"), (10, 3, "1.3")] {
        let mut bytes = full().encode();
        bytes[at] = version;
        let message = Index::decode(&bytes).unwrap_err().to_string();
        let expected =
            format!("made by another release of polybuild: format {said}, this reader knows 1.4");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn rules_of_the_network_are_in_order() {
    let rules = |texts: &[&str]| Some(texts.iter().map(|t| t.parse().unwrap()).collect());
    for texts in [&["10.0.0.0/8", "10.0.0.0/8"][..], &["[::1]", "10.0.0.0/8"]] {
        refused(
            "the rules of the network policy are not in order",
            |index| {
                index.policy.network = rules(texts);
            },
        );
    }
    // Spelt in another way: the last string of the index.
    let mut index = full();
    index.policy.network = rules(&["10.0.0.0/8:80"]);
    let mut bytes = index.encode();
    let last = bytes.len() - 1;
    bytes[last] = b' ';
    let message = Index::decode(&bytes).unwrap_err().to_string();
    assert!(message.contains("spelt in another way"), "{message}");
}

/// Changes the full index, and expects this in the message of decoding it.
fn refused(expected: &str, change: impl FnOnce(&mut Index)) {
    let mut index = full();
    change(&mut index);
    let message = Index::decode(&index.encode()).unwrap_err().to_string();
    assert!(
        message.contains(expected),
        "expected `{expected}` in `{message}`"
    );
}

#[test]
fn inconsistent_indexes_are_refused() {
    refused("runs module 2 of 2", |i| {
        i.entries[0].kind = EntryKind::Module(2)
    });
    refused("names entry 2 of 2", |i| i.routes[0].entry = 2);
    refused("names entry 9 of 2", |i| i.programs[0].entry = 9);
    refused("routes are not sorted", |i| i.routes.swap(0, 1));
    refused("routes are not sorted", |i| i.routes[1] = i.routes[0]);
    refused("programs are not sorted", |i| i.programs.reverse());
    refused("trees are not sorted", |i| i.trees.reverse());
    refused("imports of `python`", |i| i.modules[0].imports.reverse());
    // The other one has a snapshot, and so would need a process.
    refused("said to be of the personality `linux`", |i| {
        i.modules[1].personality = Personality::Linux
    });
    refused("and its imports are of `linux`", |i| {
        i.modules[0].imports.push("wali.SYS_read".into());
        i.modules[0].imports.sort();
    });
    for path in ["", "bin", "/", "/a//b", "/a/", "/a/../b", "/./a", "/a\0b"] {
        refused("program", |i| i.programs[0].path = path.into());
    }
    refused("policy names `usr`", |i| {
        i.policy.read_only[0] = "usr".into()
    });
    refused("compiled code belongs", |i| {
        i.target = Target::Portable;
        i.segments = i.segments[3..5].to_vec();
        i.segments[0].offset = 0;
        i.segments[1].offset = 0;
    });
    refused("segments are not in their order", |i| {
        i.target = Target::Portable
    });
}

/// Two more modules: a program and the library that it uses.
fn with_library(index: &mut Index) {
    index.modules.truncate(1);
    index
        .entries
        .iter_mut()
        .for_each(|e| e.kind = EntryKind::Env);
    let [program, mut library] = [0, 1].map(|_| index.modules[0].clone());
    // The code segment behind the first.
    if let Some(code) = &mut library.code {
        code.offset += 0x1000;
        code.vaddr += 0x1000;
    }
    index.modules = vec![
        Module {
            imports: vec!["wali.SYS_read".into()],
            personality: Personality::Linux,
            warm: None,
            libraries: vec!["libz.so.1".into()],
            ..program
        },
        Module {
            name: "libz.so.1".into(),
            imports: vec![],
            personality: Personality::Linux,
            warm: None,
            is_library: true,
            ..library
        },
    ];
}

#[test]
fn libraries_are_there_and_nothing_else() {
    let check = |expected: &str, change: fn(&mut Index)| {
        refused(expected, |index| {
            with_library(index);
            change(index);
        });
    };
    check("which is not one module", |i| {
        i.modules[1].name = "other".into()
    });
    check("which is not one module", |i| {
        i.modules[0].name = "libz.so.1".into()
    });
    check("as a library, which cannot be", |i| {
        i.modules[1].is_library = false
    });
    check("not sorted, each once", |i| {
        i.modules[0].libraries = vec!["libz.so.1".into(), "libz.so.1".into()]
    });
    check("a library has imports of its own", |i| {
        i.modules[1].imports = vec!["wali.SYS_read".into()]
    });
    check("runs a library", |i| {
        i.entries[0].kind = EntryKind::Module(1)
    });
    check("has no place for the library", |i| {
        i.modules[1].cold.runs[0].memory_offset = 0x20000
    });
    check("without `libc.so.3`, which that needs", |i| {
        i.modules[1].libraries = vec!["libc.so.3".into()]
    });
    check("said to be of the personality `wasi`", |i| {
        i.modules[1].personality = Personality::Wasi
    });
    let mut index = full();
    with_library(&mut index);
    index.segments.truncate(2);
    let message = index.check().unwrap_err().to_string();
    assert!(
        message.contains("segment"),
        "only the segments are wrong: {message}"
    );
}

#[test]
fn inconsistent_images_are_refused() {
    fn warm(i: &mut Index) -> &mut MemoryImage {
        i.modules[0].warm.as_mut().unwrap()
    }
    refused("not page-aligned", |i| warm(i).runs[0].memory_offset = 1);
    refused("not page-aligned", |i| warm(i).runs[0].file_offset = 0x4001);
    refused("leaves the memory", |i| {
        warm(i).runs[1].memory_offset = 0x30000
    });
    refused("is empty", |i| warm(i).runs[0].len = 0);
    refused("overlaps", |i| warm(i).runs[1].memory_offset = 0);
    refused("leaves the memory", |i| {
        warm(i).runs[1].memory_offset = u64::MAX - 0xfff
    });
    refused("not in a memory segment", |i| {
        warm(i).runs[0].file_offset = 0x5000
    });
    refused("not in a memory segment", |i| {
        warm(i).runs[0].file_offset = u64::MAX - 0xfff
    });
    refused("pages; wasm32", |i| warm(i).pages = 65537);
    refused("globals are not sorted", |i| warm(i).globals.reverse());
}

#[test]
fn inconsistent_processes_are_refused() {
    fn process(i: &mut Index) -> &mut ProcessState {
        i.modules[0].process.get_or_insert_default()
    }
    let refused = |expected: &str, change: &dyn Fn(&mut Index)| {
        refused(expected, |index| {
            let module = &mut index.modules[0];
            module.personality = Personality::Linux;
            module.imports = vec!["wali.SYS_write".into()];
            process(index).extents.push(Extent {
                start: 0,
                len: 0x30000,
                access: Access::Write,
            });
            change(index);
        });
    };
    // A state that is missing, and one too many.
    refused("ends in the middle", &|i| i.modules[0].process = None);
    refused("index", &|i| i.modules[0].warm = None);
    refused("where nothing is mapped", &|i| {
        process(i).extents[0].len = 0x2f000
    });
    refused("leaves the memory", &|i| {
        process(i).extents[0].len = 0x31000
    });
    refused("nobody can block", &|i| process(i).mask = 1 << 18);
    refused("alternate signal stack", &|i| process(i).stack = (4096, 0));
    let mut index = full();
    index.modules[0].process = Some(ProcessState::default());
    let message = index.check().unwrap_err().to_string();
    assert!(message.contains("nothing else has one"), "{message}");
    refused("actions are not sorted", &|i| {
        let action = SignalAction {
            signal: 2,
            handler: 4,
            flags: 0,
            mask: 0,
        };
        process(i).actions = vec![action; 2];
    });
}

#[test]
fn inconsistent_segments_are_refused() {
    refused("not the launcher", |i| _ = i.segments.remove(0));
    refused("code of module `dash`", |i| _ = i.segments.remove(2));
    refused("not the header table", |i| _ = i.segments.pop());
    refused("segments are not in their order", |i| {
        i.segments.push(Segment {
            offset: 0x6100,
            ..i.segments[5]
        })
    });
    refused("starts at 0x6001", |i| i.segments[5].offset += 1);
    refused("starts at 0x1", |i| i.segments[0].offset = 1);
    refused("code of module `python`", |i| {
        i.modules[0].code.as_mut().unwrap().len = 0x1001
    });
    refused("code of module `python`", |i| i.modules[0].code = None);
    refused("leaves the 64-bit space", |i| i.segments[5].len = u64::MAX);
}

#[test]
fn inconsistent_trees_are_refused() {
    let with = |expected, path: &str, kind: FileKind| {
        refused(expected, |i| {
            i.trees[1].nodes.push(FileNode {
                path: path.into(),
                kind,
            })
        });
    };
    let file = |offset, len| FileKind::File {
        offset,
        len,
        executable: false,
    };
    with("not sorted", "a", FileKind::Directory);
    with("no folder listed", "zz/x", FileKind::Directory);
    with("no folder listed", "z/x", FileKind::Directory);
    for path in ["zz/", "zz//x", "zz/../x", "zz/./x", "zz\0"] {
        with("plain relative path", path, FileKind::Directory);
    }
    with("links to nothing", "zz", FileKind::Symlink(String::new()));
    with("not in the files segment", "zz", file(0x4fff, 1));
    with("not in the files segment", "zz", file(0x5000, 0x1001));
    with("not in the files segment", "zz", file(0x5000, u64::MAX));
    refused("a tree at `lib`", |i| i.trees[1].mount = "lib".into());
}

/// The launcher's budget is 30 us for 20 entries in an optimised build; this keeps the order of
/// magnitude in any build, and prints the figure with `--nocapture`.
#[test]
fn decoding_is_linear_and_quick() {
    let mut index = full();
    for i in 0..20 {
        index.entries.push(Entry {
            name: format!("tool{i}"),
            ..index.entries[1].clone()
        });
    }
    let files = (0..4000).map(|i| FileNode {
        path: format!("m{i:05}"),
        kind: FileKind::File {
            offset: 0x5000,
            len: 1,
            executable: false,
        },
    });
    index.trees[0].nodes.extend(files);
    let large = index.encode();
    index.trees[0].nodes.clear();
    let small = index.encode();
    let time = |bytes: &[u8]| {
        let once = || {
            let start = std::time::Instant::now();
            assert!(Index::decode(bytes).is_ok());
            start.elapsed()
        };
        (0..20).map(|_| once()).min().unwrap()
    };
    let (small, large) = (time(&small), time(&large));
    println!("22 entries: {small:?}; with 4000 files: {large:?}");
    assert!(
        small.as_millis() < 2 && large.as_millis() < 100,
        "{small:?} {large:?}"
    );
}
