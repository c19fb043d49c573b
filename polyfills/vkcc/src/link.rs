//! The linker's command line, and a program that appears whole or not at all.
//!
//! The module is linked beside its output, checked, and only then put into place.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command as Process,
};

use crate::{
    calls, casts, check,
    command::{Command, Item},
    compile, conversions,
    environment::{Environment, Variant},
    error::{Error, IoContext, Result},
    libraries, model,
    process::{execute, execute_and_read},
    sides::Sides,
    wrapper,
};

/// Libraries that are in libc or in the builtins here.
const PARTS: &[&str] = &["gcc", "gcc_s", "gcc_eh", "atomic", "ssp", "ssp_nonshared"];

/// Memory is shared between threads up to all that 32 bits can address.
const MAX_MEMORY: &str = "--max-memory=4294967296";

/// Has the linker export everything that may be asked for by name.
const EXPORT: &str = "--export-dynamic";

/// Links `items`, in which sources have become objects. Gives the linker's exit status.
pub(crate) fn link(
    environment: &Environment,
    command: &Command,
    variant: Variant,
    cxx: bool,
    items: &[Item],
) -> Result<u8> {
    let output = command
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from("a.out"));
    if command.show_only {
        return execute(
            process(environment, command, variant, cxx, items, &output),
            command,
        );
    }
    // Configure scripts link to /dev/null; there is nothing to put into place then.
    let special = fs::metadata(&output).is_ok_and(|kind| !kind.is_file());
    let folder = match output.parent() {
        Some(parent) if !special && !parent.as_os_str().is_empty() => parent.to_owned(),
        _ if special => std::env::temp_dir(),
        _ => PathBuf::from("."),
    };
    let made = tempfile::Builder::new()
        .prefix(".vkcc-")
        .tempdir_in(&folder)
        .doing("making a folder in", &folder)?;
    let module = made.path().join("module.wasm");
    let (libraries, mut items) = libraries::Linked::read(command, items, made.path())?;
    items.extend(libraries.items());
    let (mut sides, mut items) = match command.relocatable {
        true => (Sides::default(), items),
        false => Sides::read(environment, command, variant, &items, made.path())?,
    };
    let link = |items: &[Item], sides: &[String], more: &[&str]| {
        let mut linker = process(environment, command, variant, cxx, items, &module);
        linker.arg("--trace").args(sides).args(more);
        execute_and_read(linker, command)
    };
    let dynamic = command.dynamic_symbols && !command.relocatable;
    let more: &[&str] = if dynamic { &[EXPORT] } else { &[] };
    let (mut status, mut said) = link(&items, &[], more)?;
    let mut of_sides = Vec::new();
    if status == 0 && sides.are_used(model::traced(&said).0.iter(), &output)? {
        items.extend(sides.items(environment, variant, made.path())?);
        of_sides = sides.arguments();
        (status, said) = link(&items, &of_sides, more)?;
    }
    let (objects, others) = model::traced(&said);
    let to_say: Vec<&str> = match asks_for_names(&items) {
        true => said.lines().collect(),
        false => others,
    };
    for line in to_say {
        println!("{line}");
    }
    if status != 0 {
        return Ok(status);
    }
    let mut last = items.clone();
    let calls = !command.relocatable && calls::are_asked_for(objects.iter());
    if calls {
        let bytes = fs::read(&module).doing("reading", &module)?;
        let mut types = calls::Types::read(&bytes).map_err(|error| unreadable(&output, &error))?;
        types.name(libraries.functions());
        let object = calls::object(
            environment,
            variant,
            &types,
            command.callbacks.unwrap_or(calls::CALLBACKS),
            made.path(),
        )?;
        last.push(Item::Object(object.to_string_lossy().into_owned()));
    }
    let asked = !command.relocatable && libraries.are_asked_for(command, objects.iter());
    if asked {
        let exporting = match dynamic {
            true => Some(fs::read(&module).doing("reading", &module)?),
            false => None,
        };
        let libc = environment.libraries(variant).join("libc.a");
        let object = made.path().join("registry.o");
        let registry = libraries.registry(exporting.as_deref(), &libc)?;
        fs::write(&object, registry).doing("writing", &object)?;
        last.push(Item::Object(object.to_string_lossy().into_owned()));
    }
    if asked || dynamic || calls {
        (status, _) = link(&last, &of_sides, &[])?;
        if status != 0 {
            return Ok(status);
        }
    }
    if variant == Variant::Single && objects.iter().any(model::Traced::makes_threads) {
        eprintln!(
            "vkcc: warning: {}: the program makes threads, which fails when it runs: compile and link with \
             -pthread, or set VKCC_THREADS=1",
            output.display()
        );
    }
    if !command.trust_objects {
        model::check(environment, &objects, &output)?;
    }
    if !command.relocatable {
        let mut bytes = fs::read(&module).doing("reading", &module)?;
        if command.cast_calls {
            bytes = casts::rewrite(&bytes).map_err(|error| unreadable(&output, &error))?;
        }
        let converted = conversions::rewrite(&bytes);
        if let Some(converted) = converted.map_err(|error| unreadable(&output, &error))? {
            bytes = converted;
        }
        bytes = sides.finish(&bytes, &output)?;
        bytes = model::once(&bytes).map_err(|error| unreadable(&output, &error))?;
        fs::write(&module, &bytes).doing("writing", &module)?;
        check::module(&bytes, variant == Variant::Threads, &output)?;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&module, mode).doing("making executable", &module)?;
    }
    if special {
        return Ok(0);
    }
    match &environment.run {
        Some(launcher) if !command.relocatable => wrapper::install(&module, &output, launcher)?,
        _ => fs::rename(&module, &output).doing("putting into place", &output)?,
    }
    Ok(0)
}

/// Whether the command line has the linker say what it takes.
fn asks_for_names(items: &[Item]) -> bool {
    items.iter().any(|item| match item {
        Item::Linker(words) => words.iter().any(|word| word == "-t" || word == "--trace"),
        _ => false,
    })
}

fn process(
    environment: &Environment,
    command: &Command,
    variant: Variant,
    cxx: bool,
    items: &[Item],
    output: &Path,
) -> Process {
    let libraries = environment.libraries(variant);
    let mut process = environment.tool("wasm-ld");
    process.arg("-o").arg(output);
    if command.relocatable {
        process.arg("-r");
    } else {
        fixed(&mut process, environment, command, variant);
        process.args(compile::EXCEPTIONS);
        if !command.no_start_file {
            process.arg(libraries.join("crt1.o"));
        }
    }
    process.args(command.folders.iter().map(|folder| format!("-L{folder}")));
    process.arg("-L").arg(&libraries);
    let mut cxx = cxx;
    for item in items {
        match item {
            Item::Source(path, _) | Item::Object(path) => {
                process.arg(path);
            }
            Item::Library(name) if PARTS.contains(&name.as_str()) => {}
            Item::Library(name) if name == "stdc++" || name == "supc++" => cxx = true,
            Item::Library(name) => {
                process.arg(format!("-l{name}"));
            }
            Item::Linker(words) => {
                process.args(words);
            }
        }
    }
    if !command.relocatable && !command.no_libraries {
        if cxx {
            process.args(["-lc++", "-lc++abi", "-lunwind"]);
        }
        process
            .arg("-lc")
            .arg(libraries.join("libclang_rt.builtins.a"));
    }
    process
}

/// A module of the linker's that cannot be read.
fn unreadable(output: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Module {
        path: output.to_owned(),
        why: format!("the linker wrote a module that cannot be rewritten: {error}"),
    }
}

/// What the personality depends on; polyfills/sysroot/README.md says why.
fn fixed(process: &mut Process, environment: &Environment, command: &Command, variant: Variant) {
    process.args([
        "--stack-first",
        // The first table slots stand for SIG_DFL, SIG_IGN and SIG_HOLD.
        "--table-base=4",
        "--export-table",
        "--export=__stack_pointer",
        "--export=__heap_base",
    ]);
    if !command.stack_size {
        process.args(["-z", &format!("stack-size={}", environment.stack_size)]);
    }
    match variant {
        Variant::Single => process.arg("--export-memory=memory"),
        Variant::Threads => process.args([
            "--import-memory=env,memory",
            "--shared-memory",
            MAX_MEMORY,
            "--export=__tls_base",
        ]),
    };
}
