//! Pass: run the recipe's build steps, each in an empty folder with the environment that the
//! recipe declares and nothing else of this machine's.
//!
//! Outputs are cached by the step's text and the digests of its inputs.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use polybuild_recipe::{Build, Command as StepCommand, Recipe};

use super::{Context, inputs, record, sources::Sources};
use crate::{
    exit,
    failure::{Failure, IoContext, Result},
    files,
    scratch::Scratch,
};

/// Finished steps: their folders by id.
#[derive(Default)]
pub(super) struct Outputs(BTreeMap<String, PathBuf>);

impl Outputs {
    /// The folder with a step's outputs.
    pub(super) fn step(&self, id: &str) -> Option<&Path> {
        self.0.get(id).map(PathBuf::as_path)
    }
}

/// Runs all steps in order.
pub(super) fn run(cx: &Context<'_>, recipe: &Recipe, sources: &Sources) -> Result<Outputs> {
    let mut outputs = Outputs::default();
    let mut keys = BTreeMap::new();
    for step in &recipe.builds {
        let key = key(cx, step, sources, &keys)?;
        let done = cx.cache.join("steps").join(key.hex());
        if cx.rebuild || !done.is_dir() {
            run_step(cx, step, sources, &outputs, &done)?;
        }
        keys.insert(step.id.clone(), key.to_string());
        outputs.0.insert(step.id.clone(), done);
    }
    Ok(outputs)
}

/// Everything that decides what a step makes.
fn key(
    cx: &Context<'_>,
    step: &Build,
    sources: &Sources,
    earlier: &BTreeMap<String, String>,
) -> Result<megabinary_format::Digest> {
    let text = serde_json::to_string(step).map_err(Failure::internal)?;
    let mut parts = vec!["build step".to_owned(), text, cx.epoch.to_string()];
    for reference in step.inputs.values() {
        parts.push(inputs::identity(reference, sources, earlier)?);
    }
    // Other tools are the machine's, and what they are is not known; this one is ours.
    if step.tools.iter().any(|tool| is_driver(tool)) {
        let driver = files::read(&find_tool(DRIVER, step)?)?;
        parts.push(megabinary_format::Digest::of(&driver).to_string());
    }
    Ok(record::key(
        &parts.iter().map(String::as_str).collect::<Vec<_>>(),
    ))
}

fn run_step(
    cx: &Context<'_>,
    step: &Build,
    sources: &Sources,
    outputs: &Outputs,
    done: &Path,
) -> Result<()> {
    let stage = cx.ui.stage("Building", &step.id);
    let scratch = Scratch::folder_in(&cx.cache.join("tmp"))?;
    let (work, tools, home) = (
        scratch.path().join("work"),
        scratch.path().join("bin"),
        scratch.path().join("home"),
    );
    for dir in [&work, &tools, &home] {
        fs::create_dir(dir).doing("creating", dir)?;
    }
    for (path, reference) in &step.inputs {
        let source = inputs::resolve(reference, sources, outputs)?;
        copy(&source, &work.join(path))?;
    }
    for tool in &step.tools {
        let found = find_tool(tool, step)?;
        symlink(&found, tools.join(tool)).doing("linking the tool", &found)?;
    }
    let mut command = match &step.command {
        StepCommand::Run(argv) => {
            let (program, arguments) = argv.split_first().ok_or_else(|| {
                Failure::message(
                    exit::RECIPE,
                    format!("build step `{}` runs nothing", step.id),
                )
            })?;
            let mut command = Command::new(if program.contains('/') {
                work.join(program)
            } else {
                tools.join(program)
            });
            command.args(arguments);
            command
        }
        StepCommand::Script(script) => {
            let mut command = Command::new("/bin/sh");
            command.args(["-eu", "-c", script]);
            command
        }
    };
    command
        .current_dir(&work)
        .env_clear()
        .env("PATH", &tools)
        .env("HOME", &home)
        .env("TMPDIR", &home)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("SOURCE_DATE_EPOCH", cx.epoch.to_string())
        .envs(&step.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = command.output().map_err(|error| {
        Failure::message(
            exit::RECIPE,
            format!(
                "build step `{}`: starting {:?}: {error}",
                step.id,
                command.get_program()
            ),
        )
        .hint("commands of this machine must be listed in the step's `tools`")
    })?;
    if !output.status.success() {
        return Err(Failure::message(
            exit::RECIPE,
            format!(
                "build step `{}` ended with {}\n{}",
                step.id,
                output.status,
                last_lines(&output.stdout, &output.stderr)
            ),
        ));
    }
    let results = scratch.path().join("outputs");
    for output in &step.outputs {
        let made = work.join(&output.path);
        let (there, kind) = match output.folder {
            true => (made.is_dir(), "folder"),
            false => (made.is_file(), "file"),
        };
        if !there {
            return Err(Failure::message(
                exit::RECIPE,
                format!(
                    "build step `{}` ended well but did not make the {kind} `{output}`",
                    step.id
                ),
            ));
        }
        copy(&made, &results.join(&output.path))?;
    }
    let parent = done.parent().unwrap_or(&cx.cache);
    fs::create_dir_all(parent).doing("creating", parent)?;
    if cx.rebuild {
        match fs::rename(done, scratch.path().join("before")) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => result.doing("moving aside", done)?,
        }
    }
    match fs::rename(&results, done) {
        // Another build was faster with the same step.
        Err(_) if done.is_dir() => {}
        result => result.doing("putting into place", done)?,
    }
    let made: Vec<String> = step.outputs.iter().map(ToString::to_string).collect();
    stage.finish(&made.join(", "));
    Ok(())
}

/// Copies a file, or a folder with everything in it; links stay links.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).doing("creating", parent)?;
    }
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.map_err(Failure::environment)?;
        let relative = entry.path().strip_prefix(from).map_err(Failure::internal)?;
        let target = if relative.as_os_str().is_empty() {
            to.to_owned()
        } else {
            to.join(relative)
        };
        let kind = entry.file_type();
        if kind.is_dir() {
            fs::create_dir_all(&target).doing("creating", &target)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(entry.path()).doing("reading the link", entry.path())?;
            symlink(link, &target).doing("creating the link", &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .map(drop)
                .doing("copying", entry.path())?;
        }
    }
    Ok(())
}

const OURSELVES: &str = "polybuild";

/// The compiler driver's executable, which is installed beside ours, and its other names.
const DRIVER: &str = "vkcc";
const DRIVER_NAMES: &[&str] = &[DRIVER, "vkc++", "vkar", "vkranlib"];

fn is_driver(tool: &str) -> bool {
    DRIVER_NAMES.contains(&tool)
}

fn find_tool(tool: &str, step: &Build) -> Result<PathBuf> {
    if is_driver(tool) {
        let path = std::env::current_exe()
            .doing("finding", Path::new(OURSELVES))?
            .with_file_name(DRIVER);
        return path.is_file().then_some(path).ok_or_else(|| {
            Failure::message(
                exit::ENVIRONMENT,
                format!(
                    "build step `{}` needs `{tool}`, the compiler driver, which is not installed \
                     beside polybuild",
                    step.id
                ),
            )
            .hint("build all of the workspace: `cargo build --release`")
        });
    }
    // Ourselves, for what a configure script makes and runs. Its answers do not depend on our
    // version, so that it is no part of the step's key.
    if tool == OURSELVES {
        return std::env::current_exe().doing("finding", Path::new(OURSELVES));
    }
    std::env::var_os("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .map(|dir| dir.join(tool))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Failure::message(
                exit::ENVIRONMENT,
                format!(
                    "build step `{}` needs the command `{tool}`, which is not in PATH",
                    step.id
                ),
            )
            .hint(format!("install `{tool}` and build again"))
        })
}

/// Enough of what a failed command said.
fn last_lines(stdout: &[u8], stderr: &[u8]) -> String {
    const LINES: usize = 20;
    let text = [
        String::from_utf8_lossy(stdout),
        String::from_utf8_lossy(stderr),
    ]
    .concat();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..]
        .iter()
        .map(|l| format!("    {l}\n"))
        .collect()
}
