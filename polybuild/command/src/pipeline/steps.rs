//! Pass: run the recipe's build steps, each in an empty folder with the environment that the
//! recipe declares, its inputs and tools, and nothing else of this machine (see [`crate::confine`]).
//!
//! What a step says is kept whole beside its outputs, in `KEY.log`, whether it ends well or not.
//!
//! Outputs are cached by the step's text and the digests of its inputs, and verified when they are
//! used. Nothing that a step made is followed out of its folder: see [`super::copy`].

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use polybuild_recipe::{Build, Command as StepCommand, Recipe, Ref};

use super::{
    Context, cached,
    copy::{beneath, copy},
    inputs::{self, Outputs},
    record,
    sources::Sources,
};
use crate::{
    confine::{self, Job, Wish, Words},
    exit,
    failure::{Failure, IoContext, Result},
    files,
    scratch::Scratch,
};

/// Runs all steps in order.
pub(super) fn run(cx: &Context<'_>, recipe: &Recipe, sources: &Sources) -> Result<Outputs> {
    let mut outputs = Outputs::default();
    let mut keys = BTreeMap::new();
    for step in &recipe.builds {
        let key = key(cx, step, sources, &keys)?;
        let entry = cx.cache.join("steps").join(key.hex());
        let what = format!("the result of build step `{}`", step.id);
        let kept = match cx.rebuild {
            true => None,
            false => cached::get(cx.ui, &entry, &what),
        };
        let made = match kept {
            Some(tree) => tree,
            None => run_step(cx, step, sources, &outputs, &entry, &what)?,
        };
        keys.insert(step.id.clone(), key.to_string());
        outputs.add(&step.id, made);
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
    // What a file of the machine is called, and where, changes nothing: its content is what counts.
    let mut nameless = step.clone();
    for reference in nameless.inputs.values_mut() {
        if let Ref::Local(local) = reference {
            local.name.clear();
        }
    }
    let text = serde_json::to_string(&nameless).map_err(Failure::internal)?;
    let mut parts = vec!["build step 3".to_owned(), text, cx.epoch.to_string()];
    for reference in step.inputs.values() {
        parts.push(inputs::identity(reference, sources, earlier)?);
    }
    // Other tools are the machine's, and what they are is not known; this one is ours.
    if step.tools.iter().any(|tool| is_driver(tool)) {
        let driver = files::read(&find_tool(DRIVER, step)?)?;
        parts.push(megabinary_format::Digest::of(&driver).to_string());
    }
    // What ran unconfined is never taken for what did not.
    if cx.steps == Wish::Unconfined {
        parts.push(record::UNCONFINED.to_owned());
    }
    Ok(cached::key(
        &parts.iter().map(String::as_str).collect::<Vec<_>>(),
    ))
}

/// Folders of a step's scratch folder.
const WORK: &str = "work";
const BIN: &str = "bin";
const HOME: &str = "home";

fn run_step(
    cx: &Context<'_>,
    step: &Build,
    sources: &Sources,
    outputs: &Outputs,
    entry: &Path,
    what: &str,
) -> Result<PathBuf> {
    let stage = cx.ui.stage("Building", &step.id);
    let scratch = Scratch::folder_in(&cx.cache.join("tmp"))?;
    let folder = scratch.path().join("step");
    for name in [WORK, BIN, HOME] {
        let dir = folder.join(name);
        fs::create_dir_all(&dir).doing("creating", &dir)?;
    }
    let work = folder.join(WORK);
    for (path, reference) in &step.inputs {
        let source = inputs::resolve(reference, sources, outputs)?;
        copy(&source, &work, Path::new(path))?;
    }
    let mut tools = Vec::new();
    for tool in &step.tools {
        let found = find_tool(tool, step)?;
        let link = folder.join(BIN).join(tool);
        let shown = confine::visible(&found).doing("finding the tool", &found)?;
        symlink(&shown, &link).doing("linking the tool", &found)?;
        tools.push(shown);
    }
    let log = entry.with_extension("log");
    let job = Job {
        what: format!("build step `{}`", step.id),
        folder: &folder,
        tools: &tools,
        log: Some(&log),
        nested: step.tools.iter().any(|tool| tool == OURSELVES),
        command: &|inside| words(cx, step, inside),
    };
    let ended = confine::run(cx.ui, cx.steps, &job)?;
    if !ended.well {
        let failure = Failure::message(
            exit::RECIPE,
            format!(
                "build step `{}` ended with {}\n{}the whole log: {}",
                step.id,
                ended.how,
                last_lines(&ended.stdout, &ended.stderr),
                log.display()
            ),
        );
        return Err(match confine::partly_visible(&tools) {
            Some(tool) if cx.steps != Wish::Unconfined => failure.hint(format!(
                "of {} the step sees that file alone, because it lies outside of the system's \
                 folders; put the system's own first in PATH if it needs more",
                tool.display()
            )),
            _ => match step.id.strip_prefix("extension-") {
                Some(name) => failure.hint(format!(
                    "it is the extension of Python whose `package` is {name} in the recipe: `patches` change its source, \
                     `requires` and `libraries` are what it is built with, `EXTENSION_CFLAGS` in its `env` is for the \
                     compiler; a step has no network (docs/extensions.md)"
                )),
                None => failure,
            },
        });
    }
    let results = cached::tree(scratch.path());
    fs::create_dir_all(&results).doing("creating", &results)?;
    for output in &step.outputs {
        let path = Path::new(&output.path);
        let missing = |kind: &str| {
            Failure::message(
                exit::RECIPE,
                format!(
                    "build step `{}` ended well but did not make the {kind} `{output}`\nthe whole log: {}",
                    step.id,
                    log.display()
                ),
            )
        };
        let kind = if output.folder { "folder" } else { "file" };
        if !work.join(path).exists() {
            return Err(missing(kind));
        }
        let made = beneath(&work, path)?;
        let fits = match output.folder {
            true => made.is_dir(),
            false => made.is_file(),
        };
        if !fits {
            return Err(missing(kind));
        }
        copy(&made, &results, path)?;
    }
    if cx.rebuild {
        cached::set_aside(entry, &scratch.path().join("before"))?;
    }
    let tree = cached::put(cx.ui, scratch.path(), entry, what)?;
    let made: Vec<String> = step.outputs.iter().map(ToString::to_string).collect();
    stage.finish(&made.join(", "));
    Ok(tree)
}

/// The step's command, where its folder is `inside`.
fn words(cx: &Context<'_>, step: &Build, inside: &Path) -> Words {
    let work = inside.join(WORK);
    let (program, arguments) = match &step.command {
        StepCommand::Run(argv) => match argv.split_first() {
            Some((program, arguments)) if program.contains('/') => {
                (work.join(program), arguments.to_vec())
            }
            Some((program, arguments)) => (inside.join(BIN).join(program), arguments.to_vec()),
            // Refused when the recipe was read.
            None => (work.clone(), Vec::new()),
        },
        StepCommand::Script(script) => (
            PathBuf::from("/bin/sh"),
            vec!["-eu".to_owned(), "-c".to_owned(), script.clone()],
        ),
    };
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let mut environment = BTreeMap::from(
        [
            ("PATH", text(inside.join(BIN))),
            ("HOME", text(inside.join(HOME))),
            ("TMPDIR", text(inside.join(HOME))),
            ("LC_ALL", "C".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("SOURCE_DATE_EPOCH", cx.epoch.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let folder = text(work.clone());
    let own = step.env.iter();
    environment
        .extend(own.map(|(name, value)| (name.clone(), value.replace(Build::FOLDER, &folder))));
    Words {
        program,
        arguments,
        environment,
        directory: work,
    }
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
