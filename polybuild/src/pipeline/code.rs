//! Pass: compile each module ahead of time, through a cache keyed by module and compiler.

use std::path::PathBuf;

use megabinary_format::{Digest, Target};
use megabinary_linker::Megabinary;
use vkernel_engine::Compiler;

use super::{Context, record};
use crate::{
    failure::{Failure, Result},
    files,
    ui::size,
};

/// Changes whenever compiled code or the launcher around it changes.
pub(super) fn fingerprint(target: Target) -> Result<String> {
    let launcher = Digest::of(launcher(target));
    Ok(format!(
        "{} launcher {launcher}",
        compiler(target)?.fingerprint()
    ))
}

/// The program around the code.
pub(super) fn launcher(target: Target) -> &'static [u8] {
    match target {
        Target::Pulley64 => vkernel_launcher_image::LAUNCHER_PULLEY,
        Target::X86_64 | Target::Portable => vkernel_launcher_image::LAUNCHER,
    }
}

fn compiler(target: Target) -> Result<Compiler> {
    Compiler::new(target).map_err(Failure::internal)
}

/// Code of every module, in their order.
pub(super) fn compile(cx: &Context<'_>, linked: &Megabinary) -> Result<Vec<Vec<u8>>> {
    let compiler = compiler(cx.target)?;
    linked
        .modules()
        .iter()
        .map(|module| {
            let digest = Digest::of(&module.normalised);
            let cached = cache_path(cx, &compiler, &digest);
            if !cx.rebuild
                && let Some(code) = cached_code(&cached)
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
    let key = record::key(&[&module.to_string(), &compiler.fingerprint()]);
    cx.cache.join("code").join(key.hex())
}

/// A cache entry is the code after its own digest; one that does not fit is as good as none.
fn cached_code(path: &std::path::Path) -> Option<Vec<u8>> {
    let mut bytes = std::fs::read(path).ok()?;
    let (digest, code) = bytes.split_at_checked(32)?;
    if Digest::of(code).0 != *digest {
        tracing::warn!(path = %path.display(), "damaged cache entry; compiling again");
        return None;
    }
    bytes.drain(..32);
    Some(bytes)
}

fn store(path: &std::path::Path, code: &[u8]) -> Result<()> {
    let mut entry = Vec::with_capacity(32 + code.len());
    entry.extend_from_slice(&Digest::of(code).0);
    entry.extend_from_slice(code);
    files::write_whole(path, &entry, 0o444)
}
