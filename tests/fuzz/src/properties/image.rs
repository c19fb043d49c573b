//! Container images: any archive gives a tree of normal paths or an error.

use std::{fs, path::Path};

use polybuild_oci::{
    Limits, ReadImage,
    read::{Node, NodeKind, Tree},
    unpack::unpack,
};

use crate::{scratch::Scratch, seeds};

const LIMITS: Limits = Limits {
    layers: 8,
    layer_bytes: 1 << 20,
    entries: 1000,
    path_bytes: 1 << 16,
    document_bytes: 1 << 16,
};

/// The bytes as an archive (OCI or docker), and as the only layer of an otherwise sound docker
/// archive: opening and flattening give an error, or a tree of normal paths in which each node's
/// parent is a folder, the same each time; unpacking it changes nothing outside of its folder.
pub fn image(data: &[u8]) {
    let scratch = Scratch::new();
    check(&scratch, "archive", data);
    check(&scratch, "layer", &seeds::docker_archive(&[data.to_vec()]));
}

fn check(scratch: &Scratch, name: &str, archive: &[u8]) {
    let path = scratch.write(name, archive);
    let Ok(image) = ReadImage::open(&path, None, LIMITS) else {
        return;
    };
    _ = image.settings();
    let Ok(tree) = image.flatten() else { return };
    check_tree(&tree);
    let again = ReadImage::open(&path, None, LIMITS).unwrap();
    assert!(again.flatten().unwrap().iter().eq(tree.iter()));

    let beside = scratch.outer().join("secret");
    fs::write(&beside, "untouched").unwrap();
    let to = scratch.path(&format!("{name}-root"));
    if unpack(&image, &tree, &to).is_ok() {
        check_unpacked(&to, &tree);
    } else {
        assert!(!to.exists());
    }
    assert_eq!(fs::read(&beside).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(scratch.outer()).unwrap().count(), 2);
    _ = fs::remove_dir_all(&to);
}

fn check_tree(tree: &Tree) {
    for (path, node) in tree.iter() {
        let mut parts = path.split(|b| *b == b'/');
        assert!(parts.all(|p| !p.is_empty() && p != b"." && p != b".." && !p.contains(&0)));
        if let Some(at) = path.iter().rposition(|b| *b == b'/') {
            let parent = tree.get(&path[..at]).map(|n| &n.kind);
            assert!(matches!(parent, Some(NodeKind::Directory)));
        }
        if let Ok((at, found)) = tree.resolve(path) {
            assert_eq!(tree.get(&at), Some(found));
            assert!(!matches!(found.kind, NodeKind::Symlink(_)));
        }
        if !matches!(node.kind, NodeKind::Symlink(_)) {
            assert_eq!(tree.resolve(path).ok().map(|r| r.0).as_deref(), Some(path));
        }
    }
}

fn check_unpacked(root: &Path, tree: &Tree) {
    use std::os::unix::ffi::OsStrExt as _;
    // Folders that their owner may not search cannot be looked into, unless by root.
    let searchable = |node: &Node| node.metadata.mode & 0o700 == 0o700;
    let mut folders = tree.iter().filter(|(_, n)| n.kind == NodeKind::Directory);
    if !folders.all(|(_, node)| searchable(node)) {
        return;
    }
    for (path, node) in tree.iter() {
        let host = root.join(std::ffi::OsStr::from_bytes(path));
        let meta = fs::symlink_metadata(&host);
        match &node.kind {
            NodeKind::Special(_) => assert!(meta.is_err()),
            NodeKind::Directory => assert!(meta.unwrap().is_dir()),
            NodeKind::Symlink(_) => assert!(meta.unwrap().is_symlink()),
            NodeKind::File { size, .. } => assert_eq!(meta.unwrap().len(), *size),
        }
    }
}
