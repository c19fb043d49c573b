//! `[image]`, `[policy]` and `[[component]]`.

use std::collections::BTreeMap;

use megabinary_format::Limit;
use schemars::JsonSchema;
use serde::Deserialize;

use super::At;

/// Settings of the image, as in the OCI image configuration. A recipe of kind `runtime`,
/// `library` or `tool` may set `env` alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageTable {
    /// Name without tag, `vkernel/python`. Default: the recipe's name.
    pub name: Option<At<String>>,
    /// Tag, `3.12`. Default: the recipe's version.
    pub tag: Option<At<String>>,
    /// Environment of the programs.
    #[serde(default)]
    pub env: BTreeMap<At<String>, String>,
    /// The command that a container runs, before `cmd`.
    pub entrypoint: Option<Vec<String>>,
    /// Default arguments, which the command line of `docker run` replaces.
    pub cmd: Option<Vec<String>>,
    /// User and group: `UID`, `UID:GID` or a name.
    pub user: Option<At<String>>,
    /// Working directory, an absolute path.
    pub workdir: Option<At<String>>,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<At<String>, String>,
    /// Ports that programs listen on: `"8080/tcp"`; `/tcp` may be left out.
    #[serde(default)]
    pub expose: Vec<At<String>>,
    /// Paths at which an engine puts volumes.
    #[serde(default)]
    pub volumes: Vec<At<String>>,
    /// Signal that ends a container, `SIGTERM`.
    pub stop_signal: Option<At<String>>,
}

/// What the programs may do; for recipes of kind `image` and `app`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PolicyTable {
    /// Largest linear memory of a program: `"256MiB"`; units `KiB`, `MiB`, `GiB`. Default: 4 GiB,
    /// the most that WebAssembly can address.
    pub memory_max: Option<At<String>>,
    /// Most files open at once in a process. Default: the host's limit.
    pub open_files_max: Option<At<u32>>,
    /// Longest time a program may run: `"30s"`; units `ms`, `s`, `m`, `h`. Default: no limit.
    pub wall_time_max: Option<At<String>>,
    /// Most CPU time of a process: `"10s"`; units as of `wall-time-max`. Default: no limit.
    pub cpu_time_max: Option<At<String>>,
    /// Largest file that a program can write: `"1GiB"`; units as of `memory-max`, and `B`. Default:
    /// the host's limit.
    pub file_size_max: Option<At<String>>,
    /// Most processes at once of what one start of a program began, itself included. Default: the
    /// host's limit.
    pub processes_max: Option<At<u32>>,
    /// Most threads of a process. Default: the host's limit.
    pub threads_max: Option<At<u32>>,
    /// Whom programs may talk to, and where they may listen: `"none"`, `"loopback"`, `"all"`, or a
    /// list of addresses with prefix and ports, `["10.0.0.0/8", "192.0.2.7:443"]`; see
    /// [the policy](policy.md). Default: `"all"`, what the container engine's network gives.
    pub network: Option<At<NetworkValue>>,
    /// Whether programs may write nowhere at all. Default: `false`.
    pub read_only_root: Option<bool>,
    /// Absolute paths below which programs may not write.
    #[serde(default)]
    pub read_only: Vec<At<String>>,
    /// Absolute paths that do not exist for programs.
    #[serde(default)]
    pub hidden: Vec<At<String>>,
}

/// A limit as it is written.
#[derive(Clone, Copy, Debug)]
pub enum Amount<'a> {
    /// With a unit.
    Text(&'a At<String>),
    /// A number of things.
    Number(&'a At<u32>),
}

impl PolicyTable {
    /// The limits that are written.
    pub fn limits(&self) -> impl Iterator<Item = (Limit, Amount<'_>)> {
        fn text(at: &Option<At<String>>) -> Option<Amount<'_>> {
            at.as_ref().map(Amount::Text)
        }
        fn number(at: &Option<At<u32>>) -> Option<Amount<'_>> {
            at.as_ref().map(Amount::Number)
        }
        [
            (Limit::Memory, text(&self.memory_max)),
            (Limit::OpenFiles, number(&self.open_files_max)),
            (Limit::WallTime, text(&self.wall_time_max)),
            (Limit::CpuTime, text(&self.cpu_time_max)),
            (Limit::FileSize, text(&self.file_size_max)),
            (Limit::Processes, number(&self.processes_max)),
            (Limit::Threads, number(&self.threads_max)),
        ]
        .into_iter()
        .filter_map(|(limit, amount)| Some((limit, amount?)))
    }
}

/// A network policy as it is written.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NetworkValue {
    /// `none`, `loopback` or `all`.
    Word(String),
    /// Addresses with prefix and ports.
    Rules(Vec<String>),
}

/// Something that the image contains, for its bill of materials (SBOM).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ComponentTable {
    /// Name, `cpython`.
    pub name: At<String>,
    /// Id of the source that it is made from. Version and package URL are then those of the lock
    /// file, unless they are said here; of a `debian-source:` they cannot be said.
    pub source: Option<At<String>>,
    /// Version, `3.12.0`. Needed without `source`.
    pub version: Option<At<String>>,
    /// Package URL, `pkg:npm/%40antonz/python-wasi@3.12.0`.
    pub purl: Option<At<String>>,
    /// SPDX licence expression, `PSF-2.0`.
    pub license: Option<String>,
}
