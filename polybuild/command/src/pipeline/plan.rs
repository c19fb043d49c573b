//! Pass: from the recipe and its modules to the linker's plan.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use megabinary_format::{Digest, Policy};
use megabinary_linker::{
    LinkPlan, Megabinary, PlannedEntry, PlannedFile, PlannedKind, PlannedModule, PlannedNode,
    PlannedTree,
};
use polybuild_recipe::{Content, Entry, Pins, Recipe, TreeEntry};
use vkernel_abi::personality::Personality;
use walkdir::WalkDir;

use super::inputs::Inputs;
use crate::{
    exit,
    failure::{Failure, IoContext, Result},
    files,
    ui::Ui,
};

/// The plan of an image.
pub(super) fn plan(
    recipe: &Recipe,
    lock: &Pins,
    modules: Vec<PlannedModule>,
    inputs: &Inputs,
) -> Result<LinkPlan> {
    let entries = recipe
        .programs
        .iter()
        .map(|program| PlannedEntry {
            name: program.name.clone(),
            kind: match &program.entry {
                Entry::Module(module) => PlannedKind::Module(module.clone()),
                Entry::Env => PlannedKind::Env,
            },
            argv_prefix: program.args.clone(),
        })
        .collect();
    let programs = recipe
        .programs
        .iter()
        .flat_map(|program| {
            program
                .paths
                .iter()
                .map(|path| (path.clone(), program.name.clone()))
        })
        .collect();
    let trees = recipe
        .trees
        .iter()
        .map(|tree| {
            let mut nodes = Vec::new();
            for entry in &tree.entries {
                add_entry(&mut nodes, entry, inputs)?;
            }
            Ok(PlannedTree {
                mount: tree.mount.clone(),
                nodes,
            })
        })
        .collect::<Result<_>>()?;
    let policy = &recipe.policy;
    Ok(LinkPlan {
        name: format!("{}:{}", recipe.image.name, recipe.image.tag),
        provenance: Some(Digest::of(lock.text().as_bytes())),
        modules,
        entries,
        programs,
        extra_routes: Vec::new(),
        trees,
        policy: Policy {
            limits: policy.limits,
            // Parsed from what such rules were written as.
            network: policy
                .network
                .as_ref()
                .map(|rules| rules.iter().filter_map(|rule| rule.parse().ok()).collect()),
            read_only_root: policy.read_only_root,
            read_only: policy.read_only.clone(),
            hidden: policy.hidden.clone(),
        },
    })
}

/// Whether trees are seen by whom the recipe's author means. Linux programs have the host kernel's
/// files, so that none of them sees a tree; a copy in the layers would not be what was promised of a tree,
/// which is signed with the megabinary.
pub(super) fn check_trees(ui: &Ui, recipe: &Recipe, linked: &Megabinary) -> Result<()> {
    let Some(tree) = recipe.trees.first() else {
        return Ok(());
    };
    let blind: Vec<&str> = recipe
        .programs
        .iter()
        .filter(|program| match &program.entry {
            Entry::Module(name) => linked
                .modules()
                .iter()
                .any(|m| m.name == *name && m.facts.personality == Personality::Linux),
            Entry::Env => false,
        })
        .map(|program| program.name.as_str())
        .collect();
    let others = recipe.programs.iter().any(|program| {
        matches!(program.entry, Entry::Module(_)) && !blind.contains(&program.name.as_str())
    });
    if blind.is_empty() {
        return Ok(());
    }
    let mount = &tree.mount;
    if others {
        ui.warn(&format!(
            "the tree at {mount} is not seen by programs that make Linux system calls: {}",
            blind.join(", ")
        ));
        return Ok(());
    }
    Err(Failure::message(
        exit::RECIPE,
        format!(
            "the tree at {mount} would be seen by no program: all of them make Linux system calls, \
             and have the files of the layers alone"
        ),
    )
    .hint(format!(
        "put the files into the layers: `[[file]]` with `path = \"{mount}\"` and a folder as its \
         `source`"
    )))
}

/// The plan of a bare module: one program, no paths, no limits.
pub(super) fn bare(name: &str, wasm: Vec<u8>) -> LinkPlan {
    LinkPlan {
        name: name.to_owned(),
        provenance: None,
        modules: vec![PlannedModule {
            name: name.to_owned(),
            wasm,
        }],
        entries: vec![PlannedEntry {
            name: name.to_owned(),
            kind: PlannedKind::Module(name.to_owned()),
            argv_prefix: Vec::new(),
        }],
        programs: Vec::new(),
        extra_routes: Vec::new(),
        trees: Vec::new(),
        policy: Policy::default(),
    }
}

/// Adds a file, or everything in a folder; the linker adds the folders above it.
fn add_entry(nodes: &mut Vec<PlannedNode>, entry: &TreeEntry, inputs: &Inputs) -> Result<()> {
    let source = inputs.path(&entry.source)?;
    let metadata = fs::symlink_metadata(&source).doing("reading", &source)?;
    if !metadata.is_dir() {
        let name = match &entry.to {
            Some(to) => to.clone(),
            None => file_name(&source)?,
        };
        return add_node(nodes, &name, &source);
    }
    let base = entry.to.clone().unwrap_or_default();
    for found in WalkDir::new(&source).min_depth(1).sort_by_file_name() {
        let found = found.map_err(Failure::environment)?;
        let relative = found
            .path()
            .strip_prefix(&source)
            .map_err(Failure::internal)?;
        if entry.exclude.cover(relative) {
            continue;
        }
        let relative = text(relative)?;
        let path = if base.is_empty() {
            relative
        } else {
            format!("{base}/{relative}")
        };
        add_node(nodes, &path, found.path())?;
    }
    Ok(())
}

fn add_node(nodes: &mut Vec<PlannedNode>, path: &str, source: &Path) -> Result<()> {
    let metadata = fs::symlink_metadata(source).doing("reading", source)?;
    let kind = if metadata.is_dir() {
        PlannedFile::Directory
    } else if metadata.is_symlink() {
        PlannedFile::Symlink(text(
            &fs::read_link(source).doing("reading the link", source)?,
        )?)
    } else {
        PlannedFile::File {
            bytes: files::read(source)?,
            executable: metadata.permissions().mode() & 0o111 != 0,
        }
    };
    nodes.push(PlannedNode {
        path: path.to_owned(),
        kind,
    });
    Ok(())
}

fn file_name(path: &Path) -> Result<String> {
    text(Path::new(path.file_name().unwrap_or_default()))
}

/// A path as text.
pub(super) fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::message(
            exit::RECIPE,
            format!("the file name {} is not UTF-8", path.display()),
        )
        .hint("rename the file, or exclude it")
    })
}

/// Files that the recipe puts into the image's layers, with their bytes' place on this machine.
pub(super) fn layer_file(content: &Content, inputs: &Inputs) -> Result<Option<PathBuf>> {
    match content {
        Content::Copy(reference) => inputs.path(reference).map(Some),
        Content::Text(_) | Content::Link(_) | Content::Directory => Ok(None),
    }
}
