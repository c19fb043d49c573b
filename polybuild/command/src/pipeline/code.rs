//! Pass: compile each module ahead of time, through a cache keyed by module and compiler.

use std::path::PathBuf;

use megabinary_format::{Digest, Target};
use megabinary_linker::Megabinary;
use vkernel_engine::{Compiler, Flavour};

use super::{Context, bill::Launcher, cached};
use crate::{
    exit,
    failure::{Failure, Result},
    files,
    ui::size,
};

/// Changes whenever compiled code or the launcher around it changes.
pub(super) fn fingerprint(target: Target) -> Result<String> {
    let mut text = String::new();
    for &flavour in flavours(target) {
        let launcher = Digest::of(launcher_for(target, flavour));
        let compiler = compiler(target, flavour)?.fingerprint();
        text.push_str(&format!("{compiler} launcher {launcher} "));
    }
    Ok(text)
}

/// What a target can run: Pulley has no threads.
fn flavours(target: Target) -> &'static [Flavour] {
    match target {
        Target::Pulley64 => &[Flavour::Wasi],
        Target::X86_64 | Target::Portable => &[Flavour::Wasi, Flavour::Linux],
    }
}

/// The program around the code.
pub(super) fn launcher(target: Target, linked: &Megabinary) -> &'static [u8] {
    let linux = linked.modules().iter().any(|m| m.facts.linux);
    launcher_for(target, if linux { Flavour::Linux } else { Flavour::Wasi })
}

/// The same for bills of materials.
pub(super) fn flavour_of_launcher(target: Target, linked: &Megabinary) -> Launcher {
    match target {
        Target::Pulley64 => Launcher::Pulley,
        _ if linked.modules().iter().any(|m| m.facts.linux) => Launcher::Linux,
        _ => Launcher::Wasi,
    }
}

fn launcher_for(target: Target, flavour: Flavour) -> &'static [u8] {
    match (target, flavour) {
        (Target::Pulley64, _) => vkernel_launcher_image::LAUNCHER_PULLEY,
        (_, Flavour::Wasi) => vkernel_launcher_image::LAUNCHER,
        (_, Flavour::Linux) => vkernel_launcher_image::LAUNCHER_LINUX,
    }
}

fn compiler(target: Target, flavour: Flavour) -> Result<Compiler> {
    Compiler::new(target, flavour).map_err(Failure::internal)
}

/// Code of every module, in their order.
pub(super) fn compile(cx: &Context<'_>, linked: &Megabinary) -> Result<Vec<Vec<u8>>> {
    let wasi = compiler(cx.target, Flavour::Wasi)?;
    let linux = match flavours(cx.target).contains(&Flavour::Linux) {
        true => Some(compiler(cx.target, Flavour::Linux)?),
        false => None,
    };
    linked
        .modules()
        .iter()
        .map(|module| {
            let compiler = match (module.facts.linux, &linux) {
                (false, _) => &wasi,
                (true, Some(linux)) => linux,
                (true, None) => {
                    return Err(Failure::message(
                        exit::RECIPE,
                        format!(
                            "module `{}` makes Linux system calls, which the Pulley form does not \
                             offer yet",
                            module.name
                        ),
                    )
                    .hint("build the image in its native form"));
                }
            };
            let digest = Digest::of(&module.normalised);
            let cached = cache_path(cx, compiler, &digest);
            if !cx.rebuild
                && let Some(code) = cached_bytes(&cached)
            {
                return Ok(code);
            }
            let stage = cx.ui.stage("Compiling", &module.name);
            stage.busy_with(&size(module.normalised.len() as u64));
            let code = compiler
                .compile(&module.name, &module.normalised)
                .map_err(Failure::internal)?;
            store(&cached, &code)?;
            stage.finish(&format!(
                "{} of WebAssembly to {}",
                size(module.normalised.len() as u64),
                size(code.len() as u64)
            ));
            Ok(code)
        })
        .collect()
}

fn cache_path(cx: &Context<'_>, compiler: &Compiler, module: &Digest) -> PathBuf {
    let key = cached::key(&[&module.to_string(), &compiler.fingerprint()]);
    cx.cache.join("code").join(key.hex())
}

/// A cache entry is the code after its own digest; one that does not fit is as good as none.
pub(super) fn cached_bytes(path: &std::path::Path) -> Option<Vec<u8>> {
    let mut bytes = std::fs::read(path).ok()?;
    let (digest, code) = bytes.split_at_checked(32)?;
    if Digest::of(code).0 != *digest {
        tracing::warn!(path = %path.display(), "damaged cache entry; made again");
        return None;
    }
    bytes.drain(..32);
    Some(bytes)
}

/// Stores such an entry.
pub(super) fn store(path: &std::path::Path, code: &[u8]) -> Result<()> {
    let mut entry = Vec::with_capacity(32 + code.len());
    entry.extend_from_slice(&Digest::of(code).0);
    entry.extend_from_slice(code);
    files::write_whole(path, &entry, 0o444)
}
