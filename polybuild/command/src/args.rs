//! The command line as typed. What it means is decided in `commands`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

/// Builds curated, no-JIT OCI images from recipes.
///
/// Every program of an image is WebAssembly, compiled ahead of time into one signed megabinary
/// and run by a small vkernel in which no memory ever becomes executable.
/// `polybuild RECIPE` is short for `polybuild build RECIPE`.
#[derive(Parser, Debug)]
#[command(
    name = "polybuild",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args, Debug, Clone)]
pub struct Global {
    /// Say nothing but errors.
    #[arg(long, short, global = true, conflicts_with = "json")]
    pub quiet: bool,
    /// Print events and results as JSON lines on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// Trace what is done on standard error; twice for more.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Folder for fetched sources and compiled code.
    #[arg(long, global = true, env = "POLYBUILD_CACHE", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cache: Option<PathBuf>,
    /// Archive of snapshots, for source packages that the mirror has dropped: see docs/sources.md.
    #[arg(long, global = true, env = "POLYBUILD_SNAPSHOTS", value_name = "URL", value_hint = ValueHint::Url)]
    pub snapshots: Option<String>,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Build an image from a recipe.
    Build(Build),
    /// Run a program of a recipe, a built image or a bare module, without a container engine.
    Run(Box<Run>),
    /// Say which promises of `polybuild run` this machine keeps, and why not.
    Doctor(Doctor),
    /// Pack one WASI module into an executable megabinary.
    Pack(Pack),
    /// Write a first recipe for an app, and a Dockerfile.
    Init(Init),
    /// Resolve a recipe's sources and write recipe.lock beside it.
    Lock(Lock),
    /// Print a recipe's bill of materials (SPDX 2.3, JSON), without building it.
    Sbom(Sbom),
    /// Show what a megabinary or image contains.
    Inspect(Inspect),
    /// Check a megabinary or image; exits with 4 on any doubt.
    Verify(Verify),
    /// Make a signing key.
    Keygen(Keygen),
    /// Write a built image in another format.
    Export(Export),
    /// Push a built image to an OCI registry.
    Push(Push),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write manual pages.
    Man {
        /// Folder for them; without it, the main page goes to standard output.
        #[arg(value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

/// Options that decide what is built.
#[derive(Args, Debug, Clone)]
pub struct BuildOptions {
    /// Form of the code in the image.
    #[arg(long, value_enum, default_value_t = Form::X86_64)]
    pub form: Form,
    /// Secret key to sign with (minisign's format); without it, a development key.
    #[arg(long, value_name = "FILE", env = "POLYBUILD_KEY", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
    /// Refuse to build when recipe.lock is missing or stale.
    #[arg(long)]
    pub locked: bool,
    /// Never use the network: every source must be in the cache.
    #[arg(long)]
    pub offline: bool,
    /// Make everything again but the fetched sources.
    #[arg(long)]
    pub rebuild: bool,
    /// How build steps are kept from the rest of this machine.
    #[arg(long, value_enum, default_value_t = Confinement::Auto, value_name = "HOW")]
    pub step_confinement: Confinement,
    /// Run build steps as yourself, able to read and change whatever you can; the image says so.
    #[arg(long, conflicts_with = "step_confinement")]
    pub unconfined_steps: bool,
}

/// Ways to confine build steps.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// The better one that this machine offers.
    Auto,
    /// A root, processes and a network of their own.
    Namespaces,
    /// Rules of the host kernel on what they may open and call.
    Landlock,
}

/// Executable forms.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Native x86-64 code, compiled ahead of time.
    #[value(name = "x86-64")]
    X86_64,
    /// Bytecode for the Pulley interpreter: no native guest code at all.
    Pulley,
}

/// `polybuild build`.
#[derive(Args, Debug)]
pub struct Build {
    /// The recipe: a file, or NAME/TAG of one that comes with polybuild.
    #[arg(value_name = "RECIPE", value_hint = ValueHint::FilePath)]
    pub recipe: PathBuf,
    /// Folder for the results [default: out/NAME-TAG].
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// What to build.
    #[command(flatten)]
    pub options: BuildOptions,
}

/// `polybuild run`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  polybuild run base-images/python/3.12/recipe.toml -- python3 script.py\n  \
                  polybuild run --wasm module.wasm --dir .::/ -- argument"
)]
pub struct Run {
    /// A recipe, or the folder of a built image.
    #[arg(value_name = "RECIPE|IMAGE", required_unless_present = "wasm", conflicts_with = "wasm", value_hint = ValueHint::AnyPath)]
    pub target: Option<PathBuf>,
    /// Run this module instead: WASI, or Linux system calls.
    #[arg(long, value_name = "MODULE", value_hint = ValueHint::FilePath)]
    pub wasm: Option<PathBuf>,
    /// Give the program a folder of this machine.
    #[arg(long = "dir", value_name = "HOST[::GUEST]")]
    pub dirs: Vec<String>,
    /// Set an environment variable of the program.
    #[arg(long = "env", value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// The program's working directory.
    #[arg(long, value_name = "GUEST_DIR")]
    pub workdir: Option<String>,
    /// Allow less than the image's policy does; the keys are those of a recipe's [policy].
    #[arg(long = "policy", value_name = "KEY=VALUE")]
    pub policy: Vec<String>,
    /// Keep what programs write to their root in this folder, which is filled from the image first;
    /// without it, every run has a root of its own that goes with it.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub keep: Option<PathBuf>,
    /// Give the program this descriptor, which is open already; all others but 0, 1 and 2 are closed.
    #[arg(long = "keep-fd", value_name = "N")]
    pub keep_fds: Vec<u16>,
    /// Public key that may have signed the image; may be repeated. Without it, the key that polybuild
    /// signs with.
    #[arg(long, value_name = "FILE|KEY")]
    pub trust: Vec<String>,
    /// Run it although this machine does not keep these promises: namespaces, landlock,
    /// landlock-scopes, landlock-network, mdwe (see `polybuild doctor --host`).
    #[arg(long, value_name = "PROMISE", value_delimiter = ',')]
    pub accept_less: Vec<String>,
    /// What to build first, if anything.
    #[command(flatten)]
    pub options: BuildOptions,
    /// The program and its arguments (with --wasm: the arguments).
    #[arg(last = true)]
    pub command: Vec<std::ffi::OsString>,
}

/// `polybuild doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Ask this machine; exits with 5 if a promise does not hold.
    #[arg(long, required = true)]
    pub host: bool,
}

/// `polybuild pack`.
#[derive(Args, Debug)]
pub struct Pack {
    /// The module.
    #[arg(value_name = "MODULE", value_hint = ValueHint::FilePath)]
    pub module: PathBuf,
    /// The file to write.
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// How to build it.
    #[command(flatten)]
    pub options: BuildOptions,
}

/// `polybuild lock`.
#[derive(Args, Debug)]
pub struct Lock {
    /// The recipe.
    #[arg(value_name = "RECIPE", value_hint = ValueHint::FilePath)]
    pub recipe: PathBuf,
    /// Only say whether recipe.lock is fresh; exit with 3 if it is not.
    #[arg(long)]
    pub check: bool,
    /// Resolve only the source of this id anew and leave the others as they are; may be repeated.
    #[arg(long, value_name = "NAME", conflicts_with = "check")]
    pub update: Vec<String>,
    /// Leave every source as it is locked that the recipe still wants so; resolve new ones only.
    #[arg(long, conflicts_with_all = ["check", "update"])]
    pub keep: bool,
}

/// `polybuild init`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  polybuild init python service && polybuild service/recipe.toml"
)]
pub struct Init {
    /// What the app is written in.
    #[arg(value_enum, value_name = "LANGUAGE")]
    pub language: Language,
    /// The app's folder.
    #[arg(value_name = "FOLDER", default_value = ".", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
    /// The base image's tag, `3.12-slim` [default: the newest version that comes with polybuild].
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
}

/// Languages of apps.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Python.
    Python,
}

/// `polybuild sbom`.
#[derive(Args, Debug)]
pub struct Sbom {
    /// The recipe; its lock file must be fresh.
    #[arg(value_name = "RECIPE", value_hint = ValueHint::FilePath)]
    pub recipe: PathBuf,
    /// Form of the code in the image.
    #[arg(long, value_enum, default_value_t = Form::X86_64)]
    pub form: Form,
}

/// `polybuild inspect`.
#[derive(Args, Debug)]
pub struct Inspect {
    /// A megabinary (either form), the folder of a built image, or an image archive.
    #[arg(value_name = "FILE|IMAGE", value_hint = ValueHint::AnyPath)]
    pub target: PathBuf,
}

/// `polybuild verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// A megabinary (either form), the folder of a built image, or an image archive.
    #[arg(value_name = "FILE|IMAGE", value_hint = ValueHint::AnyPath)]
    pub target: PathBuf,
    /// Public key that must have signed it; may be repeated. Without it, the development key.
    #[arg(long = "key", value_name = "FILE|KEY")]
    pub keys: Vec<String>,
}

/// `polybuild keygen`.
#[derive(Args, Debug)]
pub struct Keygen {
    /// The secret key's file; the public key goes beside it with the ending `.pub`.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Replace existing files.
    #[arg(long)]
    pub force: bool,
}

/// `polybuild export`.
#[derive(Args, Debug)]
pub struct Export {
    /// The folder of a built image, or an image archive.
    #[arg(value_name = "IMAGE", value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// The format to write.
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// The file or folder to write.
    #[arg(long, short, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub output: PathBuf,
}

/// Image formats.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// A folder in the OCI image layout.
    OciLayout,
    /// The same as one tar file.
    OciArchive,
    /// What `docker load` takes.
    DockerArchive,
    /// The image's files, unpacked into a folder.
    Rootfs,
}

/// `polybuild push`.
#[derive(Args, Debug)]
pub struct Push {
    /// The folder of a built image, or an image archive.
    #[arg(value_name = "IMAGE", value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// Where to: REGISTRY/REPOSITORY:TAG.
    #[arg(value_name = "REFERENCE")]
    pub reference: String,
    /// Speak HTTP instead of HTTPS; to loopback addresses only.
    #[arg(long)]
    pub plain_http: bool,
}
