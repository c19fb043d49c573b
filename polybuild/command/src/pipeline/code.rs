//! Pass: compile each module ahead of time, through a cache keyed by module and compiler.

use std::path::PathBuf;

use megabinary_format::{Digest, Target};
use megabinary_linker::Megabinary;
use vkernel_abi::personality::Personality;
use vkernel_engine::Compiler;

use super::{Context, cached};
use crate::{
    exit,
    failure::{Failure, Result},
    files,
    launchers::{self, Launcher},
    ui::size,
};

/// Changes whenever compiled code or the launcher around it changes.
pub(super) fn fingerprint(target: Target) -> Result<String> {
    let mut text = String::new();
    for &personality in personalities(target) {
        let launcher = Digest::of(launchers::launcher(target, personality)?.program);
        let compiler = compiler(target, personality)?.fingerprint();
        text.push_str(&format!("{compiler} launcher {launcher} "));
    }
    Ok(text)
}

/// What a target can run: Pulley has no threads.
fn personalities(target: Target) -> &'static [Personality] {
    match target {
        Target::Pulley64 => &[Personality::Wasi],
        Target::X86_64 | Target::Portable => &[Personality::Wasi, Personality::Linux],
    }
}

/// The program around the code.
pub(super) fn launcher(target: Target, linked: &Megabinary) -> Result<&'static Launcher> {
    launchers::launcher(target, widest(linked))
}

/// Linux if one module is of it: its launcher runs WASI's modules too.
fn widest(linked: &Megabinary) -> Personality {
    let mut all = linked.modules().iter().map(|m| m.facts.personality);
    match all.any(|personality| personality == Personality::Linux) {
        true => Personality::Linux,
        false => Personality::Wasi,
    }
}

fn compiler(target: Target, personality: Personality) -> Result<Compiler> {
    Compiler::new(target, personality).map_err(Failure::internal)
}

/// Code of every module, in their order.
pub(super) fn compile(cx: &Context<'_>, linked: &Megabinary) -> Result<Vec<Vec<u8>>> {
    let wasi = compiler(cx.target, Personality::Wasi)?;
    let linux = match personalities(cx.target).contains(&Personality::Linux) {
        true => Some(compiler(cx.target, Personality::Linux)?),
        false => None,
    };
    linked
        .modules()
        .iter()
        .map(|module| {
            let compiler = match (module.facts.personality, &linux) {
                (Personality::Wasi, _) => &wasi,
                (Personality::Linux, Some(linux)) => linux,
                (Personality::Linux, None) => {
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
