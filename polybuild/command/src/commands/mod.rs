//! The commands, one file each.

mod build;
pub(crate) mod doctor;
mod export;
mod init;
mod inspect;
mod keygen;
mod lock;
mod pack;
mod push;
mod run;
mod sbom;
mod target;
mod verify;

use std::path::Path;

use crate::{
    args::{BuildOptions, Cli, Command, Confinement, Form, Global},
    confine::{self, Wish},
    dirs, exit,
    failure::{Failure, IoContext, Result},
    files, keys,
    pipeline::{Context, EPOCH_VARIABLE, Fetching},
    ui::{self, Ui},
};

/// Time stamp of images unless the user gives one: 1980-01-01T00:00:00Z, the earliest that zip
/// files can say, so that nothing inside an image chokes on it.
const DEFAULT_EPOCH: u64 = 315_532_800;

/// Runs the command; the value is the exit status.
pub fn run(ui: &Ui, cli: Cli) -> Result<i32> {
    let global = &cli.global;
    match cli.command {
        Command::Build(args) => build::run(ui, global, &args).map(|()| 0),
        Command::Run(args) => run::run(ui, global, &args),
        Command::Doctor(_) => doctor::run(ui),
        Command::Pack(args) => pack::run(ui, global, &args).map(|()| 0),
        Command::Init(args) => init::run(ui, global, &args).map(|()| 0),
        Command::Lock(args) => lock::run(ui, global, &args),
        Command::Sbom(args) => sbom::run(ui, global, &args).map(|()| 0),
        Command::Inspect(args) => inspect::run(ui, &args).map(|()| 0),
        Command::Verify(args) => verify::run(ui, &args).map(|()| 0),
        Command::Keygen(args) => keygen::run(ui, &args).map(|()| 0),
        Command::Export(args) => export::run(ui, &args).map(|()| 0),
        Command::Push(args) => push::run(ui, &args).map(|()| 0),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut crate::command(), "polybuild", &mut text);
            ui::out(&String::from_utf8_lossy(&text));
            Ok(0)
        }
        Command::Man { dir } => man(dir.as_deref()).map(|()| 0),
    }
}

/// What the pipeline needs, from the options.
fn context<'a>(ui: &'a Ui, global: &Global, options: &BuildOptions) -> Result<Context<'a>> {
    // It reads a secret key, now and when it signs.
    confine::hide_memory();
    Ok(Context {
        ui,
        cache: dirs::cache(global.cache.as_deref())?,
        target: match options.form {
            Form::X86_64 => megabinary_format::Target::X86_64,
            Form::Pulley => megabinary_format::Target::Pulley64,
        },
        signer: keys::signer(ui, options.key.as_deref())?,
        epoch: epoch()?,
        fetching: fetching(global, options.offline)?,
        rebuild: options.rebuild,
        steps: match (options.unconfined_steps, options.step_confinement) {
            (true, _) => Wish::Unconfined,
            (false, Confinement::Auto) => Wish::Best,
            (false, Confinement::Namespaces) => Wish::Namespaces,
            (false, Confinement::Landlock) => Wish::Landlock,
        },
    })
}

/// How sources are had.
fn fetching(global: &Global, offline: bool) -> Result<Fetching> {
    // An empty setting is none, as an empty variable of the environment is.
    let snapshots = global
        .snapshots
        .clone()
        .filter(|address| !address.is_empty());
    if let Some(address) = &snapshots {
        let web = address.starts_with("https://") || address.starts_with("http://");
        if !web || address.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Failure::message(
                exit::USAGE,
                format!("the archive of snapshots `{address}` is not an address of the web"),
            )
            .hint("write it as `https://HOST/PATH`, with @SNAPSHOTID@ where its times go"));
        }
    }
    Ok(Fetching {
        cache: dirs::cache(global.cache.as_deref())?,
        offline,
        snapshots,
    })
}

fn epoch() -> Result<u64> {
    match std::env::var(EPOCH_VARIABLE) {
        Err(_) => Ok(DEFAULT_EPOCH),
        // As if it were not set: scripts pass on what they were given.
        Ok(text) if text.is_empty() => Ok(DEFAULT_EPOCH),
        Ok(text) => text.parse().map_err(|_| {
            Failure::message(
                exit::USAGE,
                format!("{EPOCH_VARIABLE}={text} is not a number of seconds since 1970"),
            )
        }),
    }
}

fn man(dir: Option<&Path>) -> Result<()> {
    let command = crate::command();
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .doing("rendering", Path::new("polybuild.1"))?;
        ui::out(&String::from_utf8_lossy(&page));
        return Ok(());
    };
    let mut pages = vec![("polybuild.1".to_owned(), command.clone())];
    for sub in command.get_subcommands().filter(|s| s.get_name() != "help") {
        let name = format!("polybuild-{}", sub.get_name());
        pages.push((format!("{name}.1"), sub.clone().name(name)));
    }
    for (file, command) in pages {
        let mut page = Vec::new();
        let path = dir.join(file);
        clap_mangen::Man::new(command)
            .render(&mut page)
            .doing("rendering", &path)?;
        files::write_whole(&path, &page, 0o644)?;
    }
    Ok(())
}
