//! Pass: run modules to their snapshot points and add what their memory holds then.
//!
//! The builder runs the very megabinary it is making, still without snapshots, in a root of its
//! own: the same launcher, the same vkernel, no executable memory here either. Clocks and random
//! numbers are fixed by the launcher, so the same module gives the same snapshot.

use std::{
    collections::{BTreeMap, btree_map},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use megabinary_format::{Digest, SnapshotDump};
use megabinary_linker::{Keys, Megabinary, PlannedFile};
use polybuild_recipe::{ImageFile, Recipe, Snapshot};

use vkernel_abi::snapshot;

use super::{
    Context, cached, code,
    copy::{beneath, copy},
    inputs::Inputs,
    modules::EmbeddedFile,
    pack,
    python::{Compiled, Packages},
    root,
};
use crate::{
    confine::{self, Job, Words},
    exit,
    failure::{Failure, IoContext, Result},
    files,
    scratch::Scratch,
    ui::size,
};

/// Adds the snapshots that the recipe asks for.
pub(super) fn take(
    cx: &Context<'_>,
    recipe: &Recipe,
    mut linked: Megabinary,
    code: &[Vec<u8>],
    embedded: &[EmbeddedFile],
    inputs: &Inputs,
    packages: Option<(&Packages, &Compiled)>,
) -> Result<Megabinary> {
    let position = |name: &str| linked.modules().iter().position(|m| m.name == name);
    let wanted: Vec<(usize, &str, &Snapshot)> = recipe
        .modules
        .iter()
        .filter_map(|m| Some((position(&m.name)?, m.name.as_str(), m.snapshot.as_ref()?)))
        .collect();
    // By the image's files that are in the root.
    let mut cold: BTreeMap<Vec<&str>, Scratch> = BTreeMap::new();
    for (at, name, settings) in wanted {
        let seen: Vec<&ImageFile> = recipe
            .image_files
            .iter()
            .filter(|file| settings.files.contains(&file.path))
            .collect();
        // What is imported before the snapshot point may be a package's. Others are not looked at, so that they do
        // not decide what the snapshot is.
        let packages =
            packages.filter(|_| settings.preload.is_some() && !settings.files.is_empty());
        let mut files = root::identity(&seen, inputs)?;
        if let Some((packages, _)) = packages {
            files.push_str(&packages.identity);
        }
        let cached = cx
            .cache
            .join("snapshots")
            .join(key(cx, &linked, at, settings, &files)?.hex());
        let dump = match cached_dump(cx, &cached) {
            Some(dump) => dump,
            None => {
                let mut paths: Vec<&str> = seen.iter().map(|file| file.path.as_str()).collect();
                paths.extend(packages.map(|_| "packages"));
                let dir = match cold.entry(paths) {
                    btree_map::Entry::Occupied(dir) => dir.into_mut(),
                    btree_map::Entry::Vacant(none) => {
                        let dir = pack_cold(cx, &linked, code, embedded)?;
                        let root = dir.path().join(WORK).join("root");
                        for file in &seen {
                            root::put(file, inputs, &root, true)?;
                        }
                        if let Some((packages, compiled)) = packages {
                            let trees = [Some(&packages.tree), compiled.packages.as_ref()];
                            for tree in trees.into_iter().flatten() {
                                copy(tree, &root, Path::new(""))?;
                            }
                        }
                        none.insert(dir)
                    }
                };
                let stage = cx.ui.stage("Snapshotting", name);
                let mut settings = settings.clone();
                if let (Some(preload), Some(python), Some(_)) =
                    (&mut settings.preload, &recipe.python, packages)
                {
                    preload.path.push(python.site_packages());
                }
                let bytes = run(cx, dir.path(), name, &settings)?;
                let dump = decode(&bytes, name)?;
                code::store(&cached, &bytes)?;
                stage.finish(&format!("{} of memory", size(dump.stored())));
                dump
            }
        };
        linked = linked.with_snapshot(at, dump).map_err(Failure::recipe)?;
    }
    Ok(linked)
}

/// Everything that decides what a snapshot holds.
fn key(
    cx: &Context<'_>,
    linked: &Megabinary,
    at: usize,
    settings: &Snapshot,
    files: &str,
) -> Result<Digest> {
    let settings = serde_json::to_string(settings).map_err(Failure::internal)?;
    let mut module = String::new();
    if let Some(program) = linked.modules().get(at) {
        module = program.digest.to_string();
        // Their data are in the snapshot too.
        let libraries = linked.modules().iter();
        for library in libraries.filter(|m| program.libraries.contains(&m.name)) {
            module.push_str(&library.digest.to_string());
        }
    }
    let parts = [
        "snapshot 4",
        &module,
        &settings,
        &code::fingerprint(cx.target)?,
        &cx.epoch.to_string(),
        // Mounted trees are visible at the snapshot point.
        &trees_digest(linked).to_string(),
        files,
    ];
    Ok(cached::key(&parts))
}

fn trees_digest(linked: &Megabinary) -> Digest {
    let mut parts = Vec::new();
    for tree in linked.trees() {
        parts.push(tree.mount.clone());
        for node in &tree.nodes {
            parts.push(node.path.clone());
            parts.push(match &node.kind {
                PlannedFile::Directory => "folder".to_owned(),
                PlannedFile::Symlink(target) => format!("link {target}"),
                PlannedFile::File { bytes, executable } => {
                    format!("file {} {executable}", Digest::of(bytes))
                }
            });
        }
    }
    cached::key(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

fn cached_dump(cx: &Context<'_>, path: &Path) -> Option<SnapshotDump> {
    if cx.rebuild {
        return None;
    }
    SnapshotDump::decode(&code::cached_bytes(path)?).ok()
}

fn decode(bytes: &[u8], module: &str) -> Result<SnapshotDump> {
    SnapshotDump::decode(bytes).map_err(|error| {
        Failure::message(
            exit::INTERNAL,
            format!("reading the snapshot of module `{module}`: {error}"),
        )
    })
}

/// The megabinary without snapshots, as an executable file beside a root.
fn pack_cold(
    cx: &Context<'_>,
    linked: &Megabinary,
    code: &[Vec<u8>],
    embedded: &[EmbeddedFile],
) -> Result<Scratch> {
    let dir = Scratch::folder_in(&cx.cache.join("tmp"))?;
    // A key of its own, which nobody trusts and nobody keeps: the program is going to run, and the
    // real one is not touched before that is over.
    let keys = Keys::generate().map_err(Failure::environment)?;
    let signed = pack(cx, linked, code, &keys)?;
    let bin = dir.path().join(BIN);
    for folder in [&bin, &dir.path().join(WORK), &dir.path().join(HOME)] {
        fs::create_dir(folder).doing("creating", folder)?;
    }
    let megabinary = bin.join("megabinary");
    fs::write(&megabinary, signed.bytes())
        .and_then(|()| fs::set_permissions(&megabinary, fs::Permissions::from_mode(0o755)))
        .doing("writing", &megabinary)?;
    let root = dir.path().join(WORK).join("root");
    fs::create_dir(&root).doing("creating", &root)?;
    // What a module carried in its data it may look for at the snapshot point.
    for file in embedded {
        files::write_whole(
            &root.join(file.path.trim_start_matches('/')),
            &file.bytes,
            0o444,
        )?;
    }
    Ok(dir)
}

/// Folders of the folder in which programs run, as [`crate::confine`] wants them.
const WORK: &str = "work";
const BIN: &str = "bin";
const HOME: &str = "home";

/// Name of the dump.
const DUMP: &str = "dump";

fn run(cx: &Context<'_>, dir: &Path, module: &str, settings: &Snapshot) -> Result<Vec<u8>> {
    let job = Job {
        what: format!("the program that gives the snapshot of module `{module}`"),
        folder: dir,
        tools: &[],
        log: None,
        // The vkernel makes a root for it.
        nested: true,
        command: &|inside| words(cx, inside, module, settings),
    };
    let ended = confine::run(cx.ui, cx.steps, &job)?;
    if !ended.well {
        return Err(Failure::message(
            exit::RECIPE,
            format!(
                "module `{module}` gave no snapshot ({})\n{}{}",
                ended.how,
                String::from_utf8_lossy(&ended.stdout),
                String::from_utf8_lossy(&ended.stderr)
            ),
        ));
    }
    let work = dir.join(WORK);
    let dump = beneath(&work, Path::new(DUMP))?;
    if !dump.is_file() {
        return Err(Failure::message(
            exit::RECIPE,
            format!("module `{module}` left something else than a file as its snapshot"),
        ));
    }
    let bytes = files::read(&dump)?;
    if bytes.is_empty() {
        return Err(Failure::message(
            exit::RECIPE,
            format!(
                "module `{module}` ended without coming to its snapshot point: with the arguments of \
                 [module.snapshot] it does not call vkernel_snapshot()\n{}{}",
                String::from_utf8_lossy(&ended.stdout),
                String::from_utf8_lossy(&ended.stderr)
            ),
        ));
    }
    // The next module's is not this one's.
    fs::remove_file(&dump).doing("removing", &dump)?;
    Ok(bytes)
}

/// The command, where the folder is `inside`.
fn words(cx: &Context<'_>, inside: &Path, module: &str, settings: &Snapshot) -> Words {
    let work = inside.join(WORK);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let time = settings.time.unwrap_or(cx.epoch.cast_signed());
    let mut arguments: Vec<String> = vec!["--root".into(), text(&work.join("root"))];
    arguments
        .extend(["--snapshot", module, "--snapshot-time", &time.to_string()].map(str::to_owned));
    arguments.extend(["--snapshot-out".to_owned(), text(&work.join(DUMP))]);
    let mut env = |name: &str, value: &str| {
        arguments.extend(["--env".to_owned(), format!("{name}={value}")]);
    };
    for (name, value) in &settings.env {
        env(name, value);
    }
    if let Some(preload) = &settings.preload {
        env(snapshot::PRELOAD, &preload.names.join(" "));
        env(snapshot::PRELOAD_PATH, &preload.path.join(":"));
    }
    arguments.push("--".to_owned());
    arguments.extend(settings.args.clone());
    Words {
        program: inside.join(BIN).join("megabinary"),
        arguments,
        environment: BTreeMap::new(),
        directory: work,
    }
}
