//! `polybuild run`: a program of a recipe, an image or a bare module, without a container engine.
//!
//! Whatever is run is a packed megabinary, and this process becomes it: polybuild's own compiler
//! and keys are gone before the guest starts. It is verified first, and what was verified is what is
//! executed ([`crate::trusted`]); the launcher in it makes namespaces and a root of the run's own.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use megabinary_format::PublicKey;
use polybuild_oci::read::ReadImage;
use vkernel_abi::personality::Personality;
use vkernel_sandbox::{descriptors, ignored};

use super::{
    context,
    pack::{module_name, read_module},
    target,
};
use crate::{
    args::{Global, Run},
    confine, dirs, exit,
    failure::{Failure, IoContext, Result},
    keys,
    pipeline::{self, Record},
    scratch,
    trusted::Trusted,
    ui::Ui,
};

/// Where the current folder appears when a program of an image runs.
const WORK: &str = "/work";

/// Names that start like this are the launcher's.
const PREFIX: &str = "VKERNEL_";

/// What the launcher reads itself and keeps from the guest.
const VKERNEL_VARIABLES: [&str; 4] = [
    "VKERNEL_AUDIT",
    "VKERNEL_VERIFY",
    "VKERNEL_KEY",
    "VKERNEL_POLICY",
];

pub(super) fn run(ui: &Ui, global: &Global, args: &Run) -> Result<i32> {
    if let Some(variable) = args.env.iter().find(|v| v.starts_with(PREFIX)) {
        return Err(Failure::message(
            exit::USAGE,
            format!("--env {variable}: names that begin with {PREFIX} are the launcher's"),
        )
        .hint("set it in the environment of polybuild itself if it is for the launcher"));
    }
    let (trusted, mut command) = match (&args.wasm, &args.target) {
        (Some(wasm), _) => bare(ui, global, args, wasm)?,
        (None, Some(target)) => image(ui, global, args, target)?,
        (None, None) => {
            return Err(Failure::message(exit::USAGE, "nothing to run")
                .hint("name a recipe, a built image, or a module with --wasm"));
        }
    };
    // The launcher closes them itself; one of an older release did not.
    let mut kept: BTreeSet<i32> = args.keep_fds.iter().map(|fd| i32::from(*fd)).collect();
    kept.extend(audit_descriptor());
    if let Some(number) = kept
        .iter()
        .find(|n| **n > 2 && !confine::inherited().contains(n))
    {
        return Err(Failure::message(
            exit::USAGE,
            format!("descriptor {number} is to be kept, and is not open"),
        ));
    }
    descriptors::close_at_exec(&kept)
        .and_then(|()| descriptors::keep_at_exec(&kept))
        .map_err(Failure::environment)?;
    trusted.check_unchanged()?;
    ignored::keep(&mut command);
    // Only returns when it fails.
    let error = command.exec();
    Err(Failure::message(
        exit::ENVIRONMENT,
        format!("starting {}: {error}", trusted.path().display()),
    )
    .hint("is the cache folder on a file system mounted noexec? choose another with --cache"))
}

/// The descriptor that audit events go to, if it is one that this process was started with.
fn audit_descriptor() -> Option<i32> {
    let value = std::env::var("VKERNEL_AUDIT").ok()?;
    value.strip_prefix("fd:")?.parse().ok()
}

/// The command that executes what was verified.
fn command(trusted: &Trusted, args: &Run) -> Command {
    let mut command = Command::new(trusted.program());
    command.arg0(trusted.path()).arg("--isolate");
    if !args.accept_less.is_empty() {
        command.arg("--accept-less").arg(args.accept_less.join(","));
    }
    for number in &args.keep_fds {
        command.arg("--keep-fd").arg(number.to_string());
    }
    command
}

/// The keys that may have signed a megabinary: those that the user names, else the one that polybuild
/// signs with.
fn trusted_keys(ui: &Ui, args: &Run) -> Result<Vec<PublicKey>> {
    if !args.trust.is_empty() {
        return keys::trusted(&args.trust);
    }
    Ok(vec![
        keys::signer(ui, args.options.key.as_deref())?.public_key(),
    ])
}

/// A bare module, as the `wasmtime` command would run it. One with Linux system calls needs a root.
fn bare(ui: &Ui, global: &Global, args: &Run, wasm: &Path) -> Result<(Trusted, Command)> {
    let cx = context(ui, global, &args.options)?;
    let name = module_name(wasm);
    let module = read_module(wasm)?;
    let personality = megabinary_linker::analyse(&name, &module)
        .map_err(Failure::recipe)?
        .personality;
    let linux = personality == Personality::Linux;
    let packed = pipeline::pack_module(&cx, &name, module)?;
    let trusted = Trusted::open(&packed, &[cx.signer.public_key()], &cx.cache)?;
    let mut command = command(&trusted, args);
    command.arg("--entry").arg(name);
    match &args.keep {
        Some(folder) if linux => {
            fs::create_dir_all(folder).doing("creating", folder)?;
            mount_points(folder)?;
            command.arg("--root").arg(folder);
        }
        None if linux => {
            command.arg("--fresh");
        }
        Some(_) => {
            return Err(Failure::message(
                exit::USAGE,
                "--keep is for programs that have a root, and a WASI module has none",
            )
            .hint("give it a folder with --dir HOST::GUEST"));
        }
        None => {}
    }
    // As with the wasmtime command, the module sees no variable that was not asked for.
    command.env_clear();
    pass_on(&mut command, &VKERNEL_VARIABLES);
    mounts_and_env(&mut command, args);
    if let Some(workdir) = &args.workdir {
        command.arg("--cwd").arg(workdir);
    }
    // Messages begin with the program's name: that of a native one has no extension, and the
    // wasmtime command keeps it.
    let own = match wasm.extension() {
        Some(extension) if linux && extension == "wasm" => wasm.file_stem(),
        _ => wasm.file_name(),
    };
    let argv0 = own.map_or_else(|| wasm.as_os_str().to_owned(), OsString::from);
    command
        .arg("--arg0")
        .arg(argv0)
        .arg("--")
        .args(&args.command);
    Ok((trusted, command))
}

/// A program of an image, in a root unpacked from it.
fn image(ui: &Ui, global: &Global, args: &Run, path: &Path) -> Result<(Trusted, Command)> {
    let output = built_image(ui, global, args, path)?;
    let cache = dirs::cache(global.cache.as_deref())?;
    let keys = trusted_keys(ui, args)?;
    let trusted = Trusted::open(&output.join(pipeline::names::MEGABINARY), &keys, &cache)?;
    let image = target::read_image(&output)?;
    let settings = image.settings();
    let ours = |name: &&String| name.starts_with(PREFIX);
    if let Some(name) = settings.env.iter().map(|(name, _)| name).find(ours) {
        return Err(Failure::message(
            exit::VERIFY,
            format!(
                "the image sets {name} in its environment, which is the operator's; nothing was run"
            ),
        )
        .hint("take it out of the recipe's [image.env]"));
    }

    let mut command = command(&trusted, args);
    match &args.keep {
        Some(folder) => command.arg("--root").arg(kept_root(&image, folder)?),
        None => {
            let root = unpacked_root(&cache, &image)?;
            command.arg("--root").arg(root).arg("--fresh")
        }
    };
    // The environment is the image's, as in a container; the terminal's kind is passed on.
    command.env_clear();
    pass_on(&mut command, &["TERM"]);
    pass_on(&mut command, &VKERNEL_VARIABLES);
    let guests = settings.env.iter().filter(|(k, _)| !k.starts_with(PREFIX));
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
    Ok((trusted, command))
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
fn built_image(ui: &Ui, global: &Global, args: &Run, target: &Path) -> Result<PathBuf> {
    if target.is_dir() {
        Record::read(target)?
            .and_then(Record::built)
            .ok_or_else(|| {
                Failure::message(
                    exit::USAGE,
                    format!("{} is not the output folder of a build", target.display()),
                )
                .hint("give a recipe.toml, or a folder that `polybuild build` wrote")
            })?;
        return Ok(target.to_owned());
    }
    let cx = context(ui, global, &args.options)?;
    let (recipe, lock) = pipeline::load_locked(ui, target, &cx.fetching, args.options.locked)?;
    let name = pipeline::default_output(&recipe);
    let output = cx
        .cache
        .join(name)
        .join(format!("{:?}", cx.target).to_lowercase());
    pipeline::build(&cx, &recipe, &lock, &output)?;
    Ok(output)
}

/// The image's files on disk, unpacked once. No run writes there: each has a file system in memory
/// over it. The folder is called by what the image holds, not by what the build's record says.
fn unpacked_root(cache: &Path, image: &ReadImage) -> Result<PathBuf> {
    let root = cache.join("images").join(image.config_digest().hex());
    if !root.is_dir() {
        unpack(image, &root)?;
    }
    Ok(root)
}

/// The folder that keeps what programs write, filled from the image if it is new or empty.
fn kept_root(image: &ReadImage, folder: &Path) -> Result<PathBuf> {
    let holds_something = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(error).doing("reading", folder),
    };
    if !holds_something {
        unpack(image, folder)?;
    }
    mount_points(folder)?;
    Ok(folder.to_owned())
}

fn unpack(image: &ReadImage, root: &Path) -> Result<()> {
    let tree = image.flatten().map_err(Failure::recipe)?;
    if let Some(parent) = root.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent).doing("creating", parent)?;
        scratch::watch(parent);
    }
    polybuild_oci::unpack::unpack(image, &tree, root)
        .map(drop)
        .map_err(Failure::environment)
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
