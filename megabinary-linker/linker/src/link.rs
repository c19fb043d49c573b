//! Linking: a plan becomes a [`Megabinary`].
//!
//! The plan speaks in names and paths, the [`Megabinary`] in positions and digests. After
//! [`link`] no name is unresolved, no path occurs twice, and every module is analysed and
//! normalised.

pub(crate) mod libraries;

use std::collections::{BTreeMap, BTreeSet, btree_map};

use megabinary_format::{Digest, Entry, EntryKind, Program, Route, is_absolute, is_relative, stub};
use vkernel_abi::VKERNEL_DIR;

use crate::{
    analysis::{AnalysisError, Problem, analyse},
    megabinary::{LinkedModule, Megabinary, Parts},
    normalise::normalise,
    plan::{
        LinkError, LinkPlan, PlannedFile, PlannedKind, PlannedModule, PlannedNode, PlannedTree,
    },
};

/// Links a plan.
pub fn link(plan: LinkPlan) -> Result<Megabinary, LinkError> {
    check_name("the image", &plan.name)?;
    let mut modules = Vec::with_capacity(plan.modules.len());
    for module in plan.modules {
        check_name("a module", &module.name)?;
        modules.push(link_module(module)?);
    }
    unique("modules", modules.iter().map(|m| &m.name))?;
    let modules = libraries::join(modules)?;

    let module_names: Vec<&str> = modules.iter().map(|m| m.name.as_str()).collect();
    let mut entries = Vec::with_capacity(plan.entries.len());
    for entry in plan.entries {
        check_name("an entry", &entry.name)?;
        if let Some(arg) = entry.argv_prefix.iter().find(|a| a.contains('\0')) {
            let name = arg.escape_debug().to_string();
            return Err(LinkError::BadName {
                what: "an argument of an entry",
                name,
            });
        }
        let kind = match &entry.kind {
            PlannedKind::Env => EntryKind::Env,
            PlannedKind::Module(name) => {
                let user = || format!("entry `{}`", entry.name);
                EntryKind::Module(position("module", name, &module_names, user)?)
            }
        };
        if let EntryKind::Module(at) = kind
            && let Some(module) = modules.get(at as usize)
            && module.facts.library.is_some()
        {
            return Err(AnalysisError {
                name: module.name.clone(),
                problem: Problem::NoProgram {
                    found: "it is a shared library".to_owned(),
                },
            }
            .into());
        }
        let module = match kind {
            EntryKind::Module(position) => modules.get(position as usize).map(|m| &m.digest),
            EntryKind::Env => None,
        };
        let digest = Entry::compute_digest(&entry.name, module, &entry.argv_prefix);
        entries.push(Entry {
            digest,
            name: entry.name,
            kind,
            argv_prefix: entry.argv_prefix,
        });
    }
    unique("entries", entries.iter().map(|e| &e.name))?;

    let programs = link_programs(plan.programs, &entries)?;
    let routes = link_routes(&programs, plan.extra_routes, &entries)?;
    let mut trees = Vec::with_capacity(plan.trees.len());
    for tree in plan.trees {
        trees.push(link_tree(tree)?);
    }
    trees.sort_by(|a, b| a.mount.cmp(&b.mount));
    unique("internal file trees", trees.iter().map(|t| &t.mount))?;
    for path in plan.policy.read_only.iter().chain(&plan.policy.hidden) {
        check_absolute("policy path", path)?;
    }
    Ok(Megabinary::new(Parts {
        name: plan.name,
        provenance: plan.provenance.unwrap_or(Digest([0; 32])),
        modules,
        entries,
        programs,
        routes,
        trees,
        policy: plan.policy,
    }))
}

pub(crate) fn link_module(module: PlannedModule) -> Result<LinkedModule, LinkError> {
    let facts = analyse(&module.name, &module.wasm)?;
    if facts.library.is_none()
        && let Some(problem) = facts.program_obstacle()
    {
        let name = module.name;
        return Err(AnalysisError { name, problem }.into());
    }
    let normalised = normalise(&module.wasm, &facts).map_err(|source| LinkError::Normalise {
        name: module.name.clone(),
        source,
    })?;
    Ok(LinkedModule {
        digest: Digest::of(&module.wasm),
        name: module.name,
        wasm: module.wasm,
        facts,
        normalised: normalised.wasm,
        cold: normalised.cold,
        warm: None,
        libraries: Vec::new(),
    })
}

fn link_programs(
    planned: Vec<(String, String)>,
    entries: &[Entry],
) -> Result<Vec<Program>, LinkError> {
    let names: Vec<&str> = entries.iter().map(|e| e.name.as_str()).collect();
    let mut programs: BTreeMap<String, (u32, String)> = BTreeMap::new();
    for (path, name) in planned {
        check_absolute("program path", &path)?;
        let reserved = path == VKERNEL_DIR
            || path
                .strip_prefix(VKERNEL_DIR)
                .is_some_and(|rest| rest.starts_with('/'));
        if path == "/" || reserved {
            let problem = "a program cannot be installed there; `/.vkernel` is the vkernel's own";
            return Err(LinkError::BadPath {
                what: "program path",
                path,
                problem,
            });
        }
        let entry = position("entry", &name, &names, || {
            format!("the program at `{path}`")
        })?;
        match programs.entry(path) {
            btree_map::Entry::Vacant(slot) => _ = slot.insert((entry, name)),
            btree_map::Entry::Occupied(slot) => {
                return Err(LinkError::DuplicateProgram {
                    path: slot.key().clone(),
                    first: slot.get().1.clone(),
                    second: name,
                });
            }
        }
    }
    Ok(programs
        .into_iter()
        .map(|(path, (entry, _))| Program { path, entry })
        .collect())
}

fn link_routes(
    programs: &[Program],
    extra: Vec<(Digest, String)>,
    entries: &[Entry],
) -> Result<Vec<Route>, LinkError> {
    let names: Vec<&str> = entries.iter().map(|e| e.name.as_str()).collect();
    let mut all = Vec::with_capacity(programs.len() + extra.len());
    for program in programs {
        if let Some(entry) = entries.get(program.entry as usize) {
            all.push((
                Digest::of(stub::text(&entry.digest).as_bytes()),
                program.entry,
            ));
        }
    }
    for (file, name) in extra {
        all.push((
            file,
            position("entry", &name, &names, || format!("the route of {file}"))?,
        ));
    }
    let mut routes: BTreeMap<Digest, u32> = BTreeMap::new();
    for (file, entry) in all {
        let before = *routes.entry(file).or_insert(entry);
        if before != entry {
            let name = |i: u32| {
                names
                    .get(i as usize)
                    .copied()
                    .unwrap_or_default()
                    .to_owned()
            };
            return Err(LinkError::AmbiguousRoute {
                file,
                first: name(before),
                second: name(entry),
            });
        }
    }
    Ok(routes
        .into_iter()
        .map(|(file, entry)| Route { file, entry })
        .collect())
}

/// Sorts a tree's nodes and adds the folders that paths imply.
fn link_tree(tree: PlannedTree) -> Result<PlannedTree, LinkError> {
    check_absolute("mount point", &tree.mount)?;
    let mut nodes: BTreeMap<String, PlannedFile> = BTreeMap::new();
    let mut implied: BTreeSet<String> = BTreeSet::new();
    for node in tree.nodes {
        let bad = |problem| LinkError::BadPath {
            what: "path in an internal file tree",
            path: node.path.escape_debug().to_string(),
            problem,
        };
        if !is_relative(&node.path) {
            return Err(bad(
                "it must be relative, its names separated by single slashes, without `.`, `..` \
                 and NUL",
            ));
        }
        if let PlannedFile::Symlink(target) = &node.kind
            && (target.is_empty() || target.contains('\0'))
        {
            return Err(bad(
                "the target of a symbolic link is not empty and has no NUL",
            ));
        }
        implied.extend(
            node.path
                .match_indices('/')
                .filter_map(|(at, _)| node.path.get(..at).map(ToOwned::to_owned)),
        );
        match nodes.entry(node.path) {
            btree_map::Entry::Vacant(slot) => _ = slot.insert(node.kind),
            btree_map::Entry::Occupied(slot) => {
                return Err(LinkError::TreeConflict {
                    mount: tree.mount,
                    path: slot.key().clone(),
                });
            }
        }
    }
    for folder in implied {
        let kind = nodes
            .entry(folder.clone())
            .or_insert(PlannedFile::Directory);
        if *kind != PlannedFile::Directory {
            return Err(LinkError::TreeConflict {
                mount: tree.mount,
                path: folder,
            });
        }
    }
    let nodes = nodes
        .into_iter()
        .map(|(path, kind)| PlannedNode { path, kind })
        .collect();
    Ok(PlannedTree {
        mount: tree.mount,
        nodes,
    })
}

fn check_absolute(what: &'static str, path: &str) -> Result<(), LinkError> {
    if is_absolute(path) {
        return Ok(());
    }
    Err(LinkError::BadPath {
        what,
        path: path.escape_debug().to_string(),
        problem: "it must start with `/`, its names separated by single slashes, without `.`, \
                  `..` and NUL",
    })
}

fn check_name(what: &'static str, name: &str) -> Result<(), LinkError> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(LinkError::BadName {
            what,
            name: name.escape_debug().to_string(),
        });
    }
    Ok(())
}

fn unique<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), LinkError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(LinkError::DuplicateName {
                what,
                name: name.clone(),
            });
        }
    }
    Ok(())
}

fn position(
    what: &'static str,
    name: &str,
    names: &[&str],
    user: impl FnOnce() -> String,
) -> Result<u32, LinkError> {
    if let Some(position) = names.iter().position(|n| *n == name) {
        return Ok(position as u32);
    }
    let close = |known: &str| strsim::jaro_winkler(known, name);
    let hint = names
        .iter()
        .max_by(|a, b| close(a).total_cmp(&close(b)))
        .map(|closest| format!("; did it mean `{closest}`?"))
        .unwrap_or_default();
    Err(LinkError::UnknownName {
        user: user(),
        what,
        name: name.into(),
        hint,
    })
}

#[cfg(test)]
mod tests;
