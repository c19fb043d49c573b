//! Where the sysroot and the compiler are, and what the tools may see of the environment.
//!
//! Settings: `VKCC_SYSROOT`, `VKCC_ZIG` (else `../sysroot` and `../ziglang/zig` beside the folder
//! of the executable), `VKCC_THREADS` (`0` or `1`, stronger than `-pthread`), `VKCC_STACK_SIZE`,
//! `VKCC_SHARED` (`linked`: `-shared` makes what is linked into programs), `VKCC_RUN`, `VKCC_PREFIX_MAP` (`FROM=TO`, separated by `:`), `SOURCE_DATE_EPOCH`.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::error::{Error, IoContext, Result};

/// Room for the stack of the main thread. How much of it a program has, its limit says when it starts
/// (`ulimit -s`, 8 MiB nearly everywhere); the rest takes nothing but addresses.
const STACK_SIZE: u32 = 64 << 20;

/// With threads, or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// The module's own memory.
    Single,
    /// Shared memory.
    Threads,
}

impl Variant {
    /// Its folder in the sysroot.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Variant::Single => "single",
            Variant::Threads => "threads",
        }
    }
}

/// Everything from outside the command line.
#[derive(Debug)]
pub(crate) struct Environment {
    /// `zig`, which is clang and lld.
    pub(crate) zig: PathBuf,
    /// Our headers and libraries.
    pub(crate) sysroot: PathBuf,
    /// What `VKCC_THREADS` says.
    pub(crate) threads: Option<bool>,
    /// Whether `-shared` makes libraries that are linked into programs.
    pub(crate) shared: bool,
    /// Stack size in bytes, unless the command line says another.
    pub(crate) stack_size: u32,
    /// The launcher for linked programs.
    pub(crate) run: Option<String>,
    /// Path prefixes to replace in outputs.
    pub(crate) prefix_map: Vec<String>,
    epoch: String,
}

impl Environment {
    /// Reads the settings and makes sure that sysroot and compiler are there.
    pub(crate) fn read() -> Result<Environment> {
        let executable = env::current_exe().doing("finding", "vkcc")?;
        let beside = executable
            .parent()
            .and_then(Path::parent)
            .unwrap_or(Path::new("/"));
        let place = |variable, what, default: &str| {
            let path = env::var_os(variable)
                .filter(|value| !value.is_empty())
                .map_or_else(|| beside.join(default), PathBuf::from);
            if path.exists() {
                std::path::absolute(&path).doing("finding", path)
            } else {
                Err(Error::Missing {
                    what,
                    path,
                    variable,
                })
            }
        };
        Ok(Environment {
            zig: place("VKCC_ZIG", "compiler", "ziglang/zig")?,
            sysroot: place("VKCC_SYSROOT", "sysroot", "sysroot")?,
            threads: setting("VKCC_THREADS", "say 0 or 1", |text| match text {
                "0" => Some(false),
                "1" => Some(true),
                _ => None,
            })?,
            shared: setting("VKCC_SHARED", "say linked", |text| {
                (text == "linked").then_some(true)
            })?
            .unwrap_or(false),
            stack_size: setting("VKCC_STACK_SIZE", "say a number of bytes", |text| {
                text.parse().ok()
            })?
            .unwrap_or(STACK_SIZE),
            run: setting("VKCC_RUN", "say a command", |text| Some(text.to_owned()))?,
            prefix_map: setting("VKCC_PREFIX_MAP", "say FROM=TO", |text| {
                text.split(':')
                    .map(|pair| pair.contains('=').then(|| pair.to_owned()))
                    .collect()
            })?
            .unwrap_or_default(),
            // Without a date there is no time that would be the same tomorrow but this one.
            epoch: env::var("SOURCE_DATE_EPOCH")
                .ok()
                .filter(|epoch| !epoch.is_empty())
                .unwrap_or_else(|| "0".to_owned()),
        })
    }

    /// The folder with the libraries of a variant.
    pub(crate) fn libraries(&self, variant: Variant) -> PathBuf {
        self.sysroot.join(variant.folder()).join("lib")
    }

    /// clang's own headers, beside `zig`.
    pub(crate) fn compiler_headers(&self) -> PathBuf {
        self.zig
            .parent()
            .unwrap_or(Path::new("/"))
            .join("lib/include")
    }

    /// One of `zig`'s tools, with an environment that holds nothing of the host's: compilers read
    /// `CPATH`, `LIBRARY_PATH` and more, and run helpers from `PATH`.
    pub(crate) fn tool(&self, name: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(&self.zig);
        command
            .arg(name)
            .env_clear()
            .env("PATH", "")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("SOURCE_DATE_EPOCH", &self.epoch)
            .env("ZIG_GLOBAL_CACHE_DIR", env::temp_dir())
            .env("ZIG_LOCAL_CACHE_DIR", env::temp_dir());
        if let Some(folder) = env::var_os("TMPDIR") {
            command.env("TMPDIR", folder);
        }
        command
    }
}

fn setting<T>(
    variable: &'static str,
    want: &'static str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>> {
    match env::var(variable) {
        Ok(value) if !value.is_empty() => match read(&value) {
            Some(meaning) => Ok(Some(meaning)),
            None => Err(Error::Setting {
                variable,
                value,
                want,
            }),
        },
        _ => Ok(None),
    }
}
