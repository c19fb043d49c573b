//! Pass: run modules to their snapshot points and add what their memory holds then.
//!
//! The builder runs the very megabinary it is making, still without snapshots, in a root of its
//! own: the same launcher, the same vkernel, no executable memory here either. Clocks and random
//! numbers are fixed by the launcher, so the same module gives the same snapshot.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use megabinary_format::{Digest, SnapshotDump};
use megabinary_linker::{Megabinary, PlannedFile};
use polybuild_recipe::{Recipe, Snapshot};

use vkernel_abi::snapshot;

use super::{Context, code, modules::EmbeddedFile, pack, record};
use crate::{
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
) -> Result<Megabinary> {
    let wanted: Vec<(usize, &str, &Snapshot)> = recipe
        .modules
        .iter()
        .enumerate()
        .filter_map(|(at, m)| Some((at, m.name.as_str(), m.snapshot.as_ref()?)))
        .collect();
    let mut cold: Option<Scratch> = None;
    for (at, name, settings) in wanted {
        let cached = cx
            .cache
            .join("snapshots")
            .join(key(cx, &linked, at, settings)?.hex());
        let dump = match cached_dump(cx, &cached) {
            Some(dump) => dump,
            None => {
                let dir = match &cold {
                    Some(dir) => dir,
                    None => cold.insert(pack_cold(cx, &linked, code, embedded)?),
                };
                let stage = cx.ui.stage("Snapshotting", name);
                let bytes = run(cx, dir.path(), name, settings)?;
                let dump = decode(&bytes, name)?;
                files::write_whole(&cached, &bytes, 0o444)?;
                stage.finish(&format!("{} of memory", size(dump.memory.len() as u64)));
                dump
            }
        };
        linked = linked.with_snapshot(at, dump).map_err(Failure::recipe)?;
    }
    Ok(linked)
}

/// Everything that decides what a snapshot holds.
fn key(cx: &Context<'_>, linked: &Megabinary, at: usize, settings: &Snapshot) -> Result<Digest> {
    let settings = serde_json::to_string(settings).map_err(Failure::internal)?;
    let module = linked
        .modules()
        .get(at)
        .map(|m| m.digest.to_string())
        .unwrap_or_default();
    let parts = [
        "snapshot 1",
        &module,
        &settings,
        &code::fingerprint(cx.target)?,
        &cx.epoch.to_string(),
        // Mounted trees are visible at the snapshot point.
        &trees_digest(linked).to_string(),
    ];
    Ok(record::key(&parts))
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
    record::key(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

fn cached_dump(cx: &Context<'_>, path: &Path) -> Option<SnapshotDump> {
    if cx.rebuild {
        return None;
    }
    SnapshotDump::decode(&fs::read(path).ok()?).ok()
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
    let signed = pack(cx, linked, code)?;
    let megabinary = dir.path().join("megabinary");
    fs::write(&megabinary, signed.bytes())
        .and_then(|()| fs::set_permissions(&megabinary, fs::Permissions::from_mode(0o755)))
        .doing("writing", &megabinary)?;
    let root = dir.path().join("root");
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

fn run(cx: &Context<'_>, dir: &Path, module: &str, settings: &Snapshot) -> Result<Vec<u8>> {
    let out = dir.join("dump");
    let time = settings.time.unwrap_or(cx.epoch.cast_signed());
    let mut command = Command::new(dir.join("megabinary"));
    command
        .arg("--root")
        .arg(dir.join("root"))
        .args([
            "--snapshot",
            module,
            "--snapshot-time",
            &time.to_string(),
            "--snapshot-out",
        ])
        .arg(&out);
    for (name, value) in &settings.env {
        command.arg("--env").arg(format!("{name}={value}"));
    }
    if let Some(preload) = &settings.preload {
        for (name, value) in [
            (snapshot::PRELOAD, preload.names.join(" ")),
            (snapshot::PRELOAD_PATH, preload.path.join(":")),
        ] {
            command.arg("--env").arg(format!("{name}={value}"));
        }
    }
    command
        .arg("--")
        .args(&settings.args)
        .env_clear()
        .stdin(Stdio::null());
    let output = command.output().map_err(|error| {
        Failure::message(
            exit::ENVIRONMENT,
            format!("starting the megabinary to take the snapshot of module `{module}`: {error}"),
        )
        .hint("is the cache folder on a file system mounted noexec? choose another with --cache")
    })?;
    if !output.status.success() {
        return Err(Failure::message(
            exit::RECIPE,
            format!(
                "module `{module}` did not reach its snapshot point ({})\n{}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
        ));
    }
    files::read(&out)
}
