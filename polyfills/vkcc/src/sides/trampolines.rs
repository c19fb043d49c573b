//! Functions of a program that call a library's, as assembler: each hands its parameters on to the function in the
//! library's slot. The linker takes those that the program calls.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use vkernel_abi::wali;
use wasmparser::{FuncType, ValType};

use super::library::{Library, call_of, start_of};
use crate::{
    command::{Command, Stage},
    compile::{self, Job},
    environment::{Environment, Variant},
    error::{Error, IoContext, Result},
    model,
    process::status,
};

/// The member of the archive: the linker says its name when it takes it.
pub(super) fn member(library: &str) -> String {
    format!("calls-of.{library}.o")
}

/// An archive of the functions that call a library.
pub(super) fn archive(
    environment: &Environment,
    variant: Variant,
    library: &Library,
    folder: &Path,
) -> Result<PathBuf> {
    let source = folder.join(format!("calls-of.{}.s", library.name));
    let object = folder.join(member(&library.name));
    let archive = folder.join(format!("calls-of.{}.a", library.name));
    fs::write(&source, assembler(library)).doing("writing", &source)?;
    compiled(environment, variant, &source, &object)?;
    match status(
        environment
            .tool("ar")
            .arg("qcSD")
            .arg(&archive)
            .arg(&object),
    )? {
        0 => match status(environment.tool("ranlib").arg(&archive))? {
            0 => Ok(archive),
            _ => Err(failed(&archive)),
        },
        _ => Err(failed(&archive)),
    }
}

/// An object that prepares libraries when the program starts.
pub(super) fn starts(
    environment: &Environment,
    variant: Variant,
    libraries: &[&Library],
    folder: &Path,
) -> Result<PathBuf> {
    let mut text = String::from("extern void *const stdin, *const stdout, *const stderr;\n");
    let mut calls = String::new();
    for (at, library) in libraries.iter().enumerate() {
        let name = start_of(&library.name);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "void start{at}(void *, void *, void *) __asm__(\"{name}\");"
        );
        let _ = writeln!(calls, "\tstart{at}(stdin, stdout, stderr);");
    }
    let _ = write!(
        text,
        "__attribute__((constructor(101))) static void start(void)\n{{\n{calls}}}\n"
    );
    let (source, object) = (folder.join("starts.c"), folder.join("starts.o"));
    fs::write(&source, text).doing("writing", &source)?;
    compiled(environment, variant, &source, &object)?;
    Ok(object)
}

/// An object with functions that make system calls for libraries.
pub(super) fn calls(
    environment: &Environment,
    variant: Variant,
    calls: &BTreeMap<&str, &FuncType>,
    folder: &Path,
) -> Result<PathBuf> {
    let mut out = String::new();
    for (name, ty) in calls {
        let (ty_text, gets, function) = (text(ty), gets(ty), call_of(name));
        let import = format!("__library_import.{name}");
        // Writing to a string does not fail.
        let _ = write!(
            out,
            "\t.functype {import} {ty_text}\n\t.import_module {import}, {}\n\t.import_name {import}, {name}\n\
             \t.section .text.{function},\"\",@\n\t.globl {function}\n\t.type {function},@function\n\
             {function}:\n\t.functype {function} {ty_text}\n{gets}\tcall {import}\n\tend_function\n",
            wali::MODULE
        );
    }
    let (source, object) = (folder.join("calls-for.s"), folder.join("calls-for.o"));
    fs::write(&source, out).doing("writing", &source)?;
    compiled(environment, variant, &source, &object)?;
    Ok(object)
}

/// Compiles a file of ours.
pub(super) fn compiled(
    environment: &Environment,
    variant: Variant,
    source: &Path,
    object: &Path,
) -> Result<()> {
    let command = Command {
        compiler: vec![
            "-O2".into(),
            "-w".into(),
            "-fno-ident".into(),
            "-fno-builtin".into(),
        ],
        ..Command::default()
    };
    let name = source.to_string_lossy();
    let job = Job {
        sources: vec![(&name, None)],
        output: Some(object),
        stage: Stage::Object,
        extra: Vec::new(),
    };
    match status(&mut compile::process(
        environment,
        &command,
        variant,
        false,
        &job,
    ))? {
        0 => model::mark(object),
        _ => Err(failed(source)),
    }
}

fn failed(path: &Path) -> Error {
    Error::Module {
        path: path.to_owned(),
        why: "the functions that call a shared library could not be made".to_owned(),
    }
}

fn assembler(library: &Library) -> String {
    let mut out = String::from("\t.tabletype __indirect_function_table, funcref\n");
    for ((name, ty), slot) in library.functions.iter().zip(library.slots.clone()) {
        let ty_text = text(ty);
        let gets = gets(ty);
        // Not for `--export-dynamic`, which would keep them all.
        let _ = write!(
            out,
            "\t.section .text.{name},\"\",@\n\t.hidden {name}\n\t.globl {name}\n\t.type {name},@function\n\
             {name}:\n\t.functype {name} {ty_text}\n{gets}\ti32.const {slot}\n\
             \tcall_indirect __indirect_function_table, {ty_text}\n\tend_function\n"
        );
    }
    out
}

/// All parameters, on the stack.
fn gets(ty: &FuncType) -> String {
    let all = 0..ty.params().len();
    all.map(|at| format!("\tlocal.get {at}\n")).collect()
}

fn text(ty: &FuncType) -> String {
    let list = |types: &[ValType]| {
        let names: Vec<String> = types.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    format!("({}) -> ({})", list(ty.params()), list(ty.results()))
}
