//! `polybuild run`: a program of a recipe, an image or a bare module, without a container engine.
//!
//! Whatever is run is a packed megabinary, and this process becomes it: polybuild's own compiler
//! and keys are gone before the guest starts.

use std::{
    ffi::OsString,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    context,
    pack::{module_name, read_module},
    target,
};
use crate::{
    args::{Global, Run},
    dirs, exit,
    failure::{Failure, IoContext, Result},
    pipeline::{self, Built, Record},
    scratch,
    ui::Ui,
};

/// Where the current folder appears when a program of an image runs.
const WORK: &str = "/work";

/// What the launcher reads itself and keeps from the guest.
const VKERNEL_VARIABLES: [&str; 4] = [
    "VKERNEL_AUDIT",
    "VKERNEL_VERIFY",
    "VKERNEL_KEY",
    "VKERNEL_POLICY",
];

/// Start of the names of variables that are for the launcher, from whoever runs it and nobody else.
const OPERATORS: &str = "VKERNEL_";

pub(super) fn run(ui: &Ui, global: &Global, args: &Run) -> Result<i32> {
    if let Some(variable) = args.env.iter().find(|v| v.starts_with(OPERATORS)) {
        return Err(Failure::message(
            exit::USAGE,
            format!("--env {variable}: names that begin with {OPERATORS} are the launcher's"),
        )
        .hint("set it in the environment of polybuild itself if it is for the launcher"));
    }
    let mut command = match (&args.wasm, &args.target) {
        (Some(wasm), _) => bare(ui, global, args, wasm)?,
        (None, Some(target)) => image(ui, global, args, target)?,
        (None, None) => {
            return Err(Failure::message(exit::USAGE, "nothing to run")
                .hint("name a recipe, a built image, or a module with --wasm"));
        }
    };
    // Only returns when it fails.
    let error = command.exec();
    Err(Failure::message(
        exit::ENVIRONMENT,
        format!(
            "starting {}: {error}",
            Path::new(command.get_program()).display()
        ),
    )
    .hint("is the cache folder on a file system mounted noexec? choose another with --cache"))
}

/// A bare module, as the `wasmtime` command would run it. One with Linux system calls needs a root.
fn bare(ui: &Ui, global: &Global, args: &Run, wasm: &Path) -> Result<Command> {
    let cx = context(ui, global, &args.options)?;
    let name = module_name(wasm);
    let module = read_module(wasm)?;
    let linux = megabinary_linker::analyse(&name, &module)
        .map_err(Failure::recipe)?
        .linux;
    let packed = pipeline::pack_module(&cx, &name, module)?;
    let mut command = Command::new(packed);
    command.arg("--entry").arg(name);
    if linux {
        command.arg("--root").arg(bare_root(&cx.cache)?);
    }
    // As with the wasmtime command, the module sees no variable that was not asked for.
    command.env_clear();
    pass_on(&mut command, &VKERNEL_VARIABLES);
    mounts_and_env(&mut command, args);
    if let Some(workdir) = &args.workdir {
        command.arg("--cwd").arg(workdir);
    }
    // As a shell would: the file's own name is argv[0].
    let argv0 = wasm
        .file_name()
        .map_or_else(|| wasm.as_os_str().to_owned(), OsString::from);
    command
        .arg("--arg0")
        .arg(argv0)
        .arg("--")
        .args(&args.command);
    Ok(command)
}

/// A program of an image, in a root unpacked from it.
fn image(ui: &Ui, global: &Global, args: &Run, path: &Path) -> Result<Command> {
    let (output, built) = built_image(ui, global, args, path)?;
    let cache = dirs::cache(global.cache.as_deref())?;
    let root = unpacked_root(&cache, &output, &built)?;
    let settings = target::read_image(&output)?.settings();

    let mut command = Command::new(output.join(pipeline::names::MEGABINARY));
    command.arg("--root").arg(&root);
    // The environment is the image's, as in a container; the terminal's kind is passed on.
    command.env_clear();
    pass_on(&mut command, &["TERM"]);
    pass_on(&mut command, &VKERNEL_VARIABLES);
    let guests = settings
        .env
        .iter()
        .filter(|(k, _)| !k.starts_with(OPERATORS));
    command.envs(guests.map(|(k, v)| (k, v)));
    mounts_and_env(&mut command, args);
    match (&args.workdir, args.dirs.is_empty()) {
        (Some(workdir), _) => {
            command.arg("--cwd").arg(workdir);
        }
        // The current folder is where a user expects `script.py` to be found.
        (None, true) => {
            let here = std::env::current_dir().doing("finding", Path::new("."))?;
            let mut mount = here.into_os_string();
            mount.push("::");
            mount.push(WORK);
            command.arg("--dir").arg(mount).args(["--cwd", WORK]);
        }
        (None, false) => {
            command
                .arg("--cwd")
                .arg(settings.workdir.as_deref().unwrap_or("/"));
        }
    }
    let mut words: Vec<OsString> = args.command.clone();
    if words.is_empty() {
        words = settings
            .entrypoint
            .iter()
            .chain(&settings.cmd)
            .map(OsString::from)
            .collect();
    }
    let Some((program, arguments)) = words.split_first() else {
        return Err(
            Failure::message(exit::USAGE, "the image has no default command")
                .hint("name a program after `--`"),
        );
    };
    command
        .arg("--program")
        .arg(program)
        .arg("--")
        .args(arguments);
    Ok(command)
}

/// Gives the command these variables of ours, where they are set.
fn pass_on(command: &mut Command, names: &[&str]) {
    for name in names {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
}

fn mounts_and_env(command: &mut Command, args: &Run) {
    for dir in &args.dirs {
        command.arg("--dir").arg(dir);
    }
    for variable in &args.env {
        command.arg("--env").arg(variable);
    }
    if !args.policy.is_empty() {
        let before = std::env::var("VKERNEL_POLICY").ok();
        let all: Vec<String> = before.into_iter().chain(args.policy.clone()).collect();
        command.env("VKERNEL_POLICY", all.join(";"));
    }
}

/// The folder of a built image; a recipe is built first, into the cache.
fn built_image(ui: &Ui, global: &Global, args: &Run, target: &Path) -> Result<(PathBuf, Built)> {
    if target.is_dir() {
        let built = Record::read(target)?
            .and_then(Record::built)
            .ok_or_else(|| {
                Failure::message(
                    exit::USAGE,
                    format!("{} is not the output folder of a build", target.display()),
                )
                .hint("give a recipe.toml, or a folder that `polybuild build` wrote")
            })?;
        return Ok((target.to_owned(), built));
    }
    let cx = context(ui, global, &args.options)?;
    let (recipe, lock) = pipeline::load_locked(ui, target, &cx.fetching, args.options.locked)?;
    let name = pipeline::default_output(&recipe);
    let output = cx
        .cache
        .join(name)
        .join(format!("{:?}", cx.target).to_lowercase());
    let built = pipeline::build(&cx, &recipe, &lock, &output)?;
    Ok((output, built))
}

/// The image's files on disk, unpacked once. What programs write there stays until the image
/// changes.
fn unpacked_root(cache: &Path, output: &Path, built: &Built) -> Result<PathBuf> {
    let digest = built.manifest.trim_start_matches("sha256:");
    let root = cache.join("roots").join(digest);
    if !root.is_dir() {
        let opened = target::open_image(output)?;
        if let Some(parent) = root.parent() {
            fs::create_dir_all(parent).doing("creating", parent)?;
            scratch::watch(parent);
        }
        polybuild_oci::unpack::unpack(&opened.image, &opened.tree, &root)
            .map_err(Failure::environment)?;
        mount_points(&root)?;
    }
    Ok(root)
}

/// The root of a bare module with Linux system calls: nothing but what an engine would mount, and
/// the folders of `--dir`.
fn bare_root(cache: &Path) -> Result<PathBuf> {
    let root = cache.join("roots").join("bare");
    fs::create_dir_all(&root).doing("creating", &root)?;
    mount_points(&root)?;
    Ok(root)
}

/// Makes the folders at which the vkernel mounts what an engine would. The image may have them.
fn mount_points(root: &Path) -> Result<()> {
    for name in ["proc", "dev"] {
        match fs::create_dir(root.join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            result => result.doing("creating", &root.join(name))?,
        }
    }
    Ok(())
}
