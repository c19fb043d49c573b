//! One run of the driver: compile what is to be compiled, link what is to be linked.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use crate::{
    archive, checkpoints,
    command::{self, Command, Item, Stage},
    compile::{self, Job, TRIPLE, is_cxx},
    conversions,
    environment::{Environment, Variant},
    error::{Error, IoContext, Result},
    freestanding, libraries, link, lto, model, print,
    process::{execute, status},
    response, sides,
};

const NOT_SHARED: &str = "shared libraries are not made unless VKCC_SHARED is `linked`: then they become \
    part of the programs that name them. Build static ones (configure's --disable-shared)";

/// Runs the driver under the name it was called by; gives its exit status.
pub(crate) fn run(name: &OsStr, arguments: Vec<OsString>) -> Result<u8> {
    let name = Path::new(name)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    let environment = Environment::read()?;
    if let Some(tool) = archive::tool(&name) {
        return archive::run(&environment, tool, arguments);
    }
    let headers = environment.compiler_headers();
    let command = command::parse(
        response::expand(arguments)?,
        &[&environment.sysroot, &headers],
    )?;
    for warning in &command.warnings {
        eprintln!("vkcc: warning: {warning}");
    }
    drive(&environment, &command, name.ends_with("++"))
}

fn drive(environment: &Environment, command: &Command, cxx: bool) -> Result<u8> {
    let threads = environment.threads.or(command.threads).unwrap_or(false);
    let variant = if threads {
        Variant::Threads
    } else {
        Variant::Single
    };
    if let Some(question) = &command.print {
        return match print::answer(environment, variant, question)? {
            Some(answer) => {
                println!("{answer}");
                Ok(0)
            }
            None => status(environment.tool("clang").arg(question)),
        };
    }
    if command.linker_version && !command.has_input() {
        return status(environment.tool("wasm-ld").arg("--version"));
    }
    if !command.has_input() {
        if command.verbose {
            let target = format!("--target={TRIPLE}");
            return status(environment.tool("clang").args([&target, "-v"]));
        }
        return Err(Error::NoInput);
    }
    let linked = environment.shared || command.side_module.is_some();
    if command.shared && command.stage == Stage::Link && !linked {
        return Err(Error::Refused {
            option: "-shared".to_owned(),
            why: NOT_SHARED,
        });
    }
    if command.stage == Stage::Link {
        build(environment, command, variant, cxx)
    } else {
        let job = Job {
            sources: command.sources().collect(),
            output: command.output.as_deref(),
            stage: command.stage,
            extra: Vec::new(),
        };
        if job.sources.is_empty() {
            // Objects on a command line that does not link: gcc ignores them too.
            return Ok(0);
        }
        compiled(environment, command, variant, cxx, job)
    }
}

/// Runs the compiler, and marks the objects that it makes.
fn compiled(
    environment: &Environment,
    command: &Command,
    variant: Variant,
    cxx: bool,
    job: Job<'_>,
) -> Result<u8> {
    let made = match job.stage == Stage::Object && !command.show_only {
        true => objects(&job),
        false => Vec::new(),
    };
    let status = translated(environment, command, variant, cxx, job)?;
    if status == 0 {
        for path in made.iter().filter(|path| path.exists()) {
            model::mark(path)?;
        }
    }
    Ok(status)
}

/// Runs the compiler; once more if what it made is to be made in another way (see [`lto`],
/// [`freestanding`], [`checkpoints`] and [`conversions`]).
fn translated(
    environment: &Environment,
    command: &Command,
    variant: Variant,
    cxx: bool,
    mut job: Job<'_>,
) -> Result<u8> {
    let run = |job: &Job<'_>| {
        execute(
            compile::process(environment, command, variant, cxx, job),
            command,
        )
    };
    let mut status = run(&job)?;
    // Standard input cannot be read again.
    let again = job.sources.iter().all(|(source, _)| *source != "-");
    if status != 0 || job.stage != Stage::Object || command.show_only || !again {
        return Ok(status);
    }
    let mut objects = contents(&job);
    if objects.iter().any(|object| lto::is_for_now(object)) {
        // What there is to say about the source has been said.
        job.extra.extend(["-w".into(), "-fno-lto".into()]);
        status = run(&job)?;
        objects = contents(&job);
    }
    if freestanding::is_asked_for(&command.compiler)
        && objects.iter().any(|object| freestanding::has_main(object))
    {
        job.extra.push("-w".into());
        job.extra
            .extend(freestanding::HOSTED.iter().map(OsString::from));
        status = run(&job)?;
        objects = contents(&job);
    }
    let functions: Vec<String> = objects
        .iter()
        .flat_map(|object| checkpoints::wanted(object))
        .collect();
    let before = job.extra.len();
    if objects.iter().any(|object| conversions::wanted(object)) {
        job.extra.extend(["-w".into(), conversions::DEFINED.into()]);
    }
    if status != 0 || functions.is_empty() {
        return match status == 0 && job.extra.len() > before {
            true => run(&job),
            false => Ok(status),
        };
    }
    let list = tempfile::NamedTempFile::new().doing("making a file in", std::env::temp_dir())?;
    std::fs::write(list.path(), checkpoints::list(&functions)).doing("writing", list.path())?;
    job.extra.extend(checkpoints::options(list.path()));
    run(&job)
}

/// The objects that a job makes; others where the compiler chooses another name, and nothing is to be
/// done then.
fn objects(job: &Job<'_>) -> Vec<PathBuf> {
    job.sources
        .iter()
        .map(|(source, _)| match job.output {
            Some(output) => output.to_owned(),
            None => {
                let name = Path::new(source).file_name().unwrap_or_default();
                PathBuf::from(name).with_extension("o")
            }
        })
        .collect()
}

/// What is in those that there are.
fn contents(job: &Job<'_>) -> Vec<Vec<u8>> {
    objects(job)
        .iter()
        .filter_map(|path| std::fs::read(path).ok())
        .collect()
}

/// Compiles every source to an object of its own, then links.
fn build(environment: &Environment, command: &Command, variant: Variant, cxx: bool) -> Result<u8> {
    let scratch = tempfile::Builder::new()
        .prefix("vkcc-")
        .tempdir()
        .doing("making a folder in", std::env::temp_dir())?;
    let mut items = Vec::with_capacity(command.items.len());
    let mut any_cxx = cxx;
    for (index, item) in command.items.iter().enumerate() {
        let Item::Source(path, language) = item else {
            items.push(item.clone());
            continue;
        };
        any_cxx |= is_cxx(path, language.as_deref());
        let object = scratch.path().join(format!("{index}.o"));
        let job = Job {
            sources: vec![(path, language.as_deref())],
            output: Some(&object),
            stage: Stage::Object,
            extra: dependencies(command, path),
        };
        let status = compiled(environment, command, variant, cxx, job)?;
        if status != 0 {
            return Ok(status);
        }
        items.push(Item::Object(object.to_string_lossy().into_owned()));
    }
    if let (true, Some(place)) = (command.shared, &command.side_module) {
        return sides::make(environment, command, variant, place, &items);
    }
    match command.shared {
        true => libraries::make(environment, command, &items),
        false => link::link(environment, command, variant, any_cxx, &items),
    }
}

/// Where a dependency file goes when the object is a temporary one: beside the program.
fn dependencies(command: &Command, source: &str) -> Vec<OsString> {
    if !command.dependencies || command.dependency_file {
        return Vec::new();
    }
    let output = command.output.as_deref().unwrap_or(Path::new("a.out"));
    let target = PathBuf::from(source).with_extension("o");
    let target = target.file_name().unwrap_or_default().to_owned();
    vec![
        "-MF".into(),
        output.with_extension("d").into_os_string(),
        "-MT".into(),
        target,
    ]
}
