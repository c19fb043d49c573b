//! The compiler's command line.

use std::{ffi::OsString, path::Path, process::Command as Process};

use crate::{
    command::{Command, Stage},
    conversions,
    environment::{Environment, Variant},
};

/// The triple that clang has the sysroot's types for: int, long and pointers of 32 bits.
pub(crate) const TRIPLE: &str = "wasm32-unknown-linux-musl";

/// Options of every compilation.
const FIXED: &[&str] = &[
    // Everything is linked statically; clang's default for this triple is code for shared objects.
    "-fno-pic",
    // As on other machines: clang hides names for WebAssembly, and `dlsym` would find none.
    "-fvisibility=default",
    "-mbulk-memory",
    "-mexception-handling",
    "-mmultivalue",
    "-mreference-types",
    // setjmp and longjmp as WebAssembly exceptions, in the final form of the proposal.
    "-mllvm",
    "-wasm-enable-sjlj",
    "-mllvm",
    "-wasm-use-legacy-eh=false",
    "-Xclang",
    "-exception-model=wasm",
    "-Wno-unused-command-line-argument",
];

/// How exceptions are made, for objects that the linker compiles (`-flto`): as [`FIXED`] has it for others.
pub(crate) const EXCEPTIONS: &[&str] = &[
    "-mllvm",
    "-exception-model=wasm",
    "-mllvm",
    "-wasm-enable-eh",
    "-mllvm",
    "-wasm-use-legacy-eh=false",
];

/// Options of compilations for speed. LLVM unrolls little for WebAssembly, whose code is usually sent
/// over networks and compiled while somebody waits. Here neither is so; and a loop's variables that
/// rotate, as a hash function's do, cost moves that are gone in four copies of its body.
const FOR_SPEED: &[&str] = &[
    "-mllvm",
    "-unroll-partial-threshold=300",
    "-mllvm",
    "-unroll-max-count=4",
];

/// What one run of the compiler is to make.
pub(crate) struct Job<'a> {
    /// Files and their languages.
    pub(crate) sources: Vec<(&'a str, Option<&'a str>)>,
    /// Where to, if it is not the compiler's to choose.
    pub(crate) output: Option<&'a Path>,
    /// How far.
    pub(crate) stage: Stage,
    /// Further options.
    pub(crate) extra: Vec<OsString>,
}

/// The compiler, ready to run.
pub(crate) fn process(
    environment: &Environment,
    command: &Command,
    variant: Variant,
    cxx: bool,
    job: &Job<'_>,
) -> Process {
    let mut process = environment.tool("clang");
    if cxx {
        process.arg("--driver-mode=g++");
    }
    process.arg(format!("--target={TRIPLE}")).args(FIXED);
    process.arg(match variant {
        Variant::Single => "-mno-atomics",
        Variant::Threads => "-matomics",
    });
    if variant == Variant::Threads {
        process.arg("-D_REENTRANT");
    }
    let cxx = cxx
        || job
            .sources
            .iter()
            .any(|(path, language)| is_cxx(path, *language));
    if cxx {
        // C's part of it is on already; this gives C++ its exceptions.
        process.args(["-fwasm-exceptions", "-mllvm", "-wasm-enable-eh"]);
    }
    // Before the user's, so that theirs win.
    for (from, to) in prefixes(environment) {
        let mut option = OsString::from("-ffile-prefix-map=");
        option.push(from);
        option.push("=");
        option.push(to);
        process.arg(option);
    }
    for pair in &environment.prefix_map {
        process.arg(format!("-ffile-prefix-map={pair}"));
    }
    if command.compiler.iter().any(|o| o.starts_with("-flto")) {
        // Nobody sees what becomes of the conversions of these.
        process.arg(conversions::DEFINED);
    }
    process.args(&command.compiler);
    if is_for_speed(&command.compiler) {
        process.args(FOR_SPEED);
    }
    // After the user's, as a compiler's own folders are.
    process.arg("-nostdinc");
    if !command.no_includes {
        if cxx {
            process.arg("-nostdinc++");
        }
        // Its headers wrap C's, and must come before them.
        if cxx && !command.no_cxx_includes {
            process
                .arg("-isystem")
                .arg(environment.sysroot.join("include/c++/v1"));
        }
        process
            .arg("-isystem")
            .arg(environment.sysroot.join("include"));
        process.arg("-isystem").arg(environment.compiler_headers());
    }
    match job.stage {
        Stage::Preprocess => process.arg("-E"),
        Stage::Assembly => process.arg("-S"),
        Stage::Object | Stage::Link => process.arg("-c"),
        Stage::CompilerOnly => &mut process,
    };
    process.args(&job.extra);
    for (path, language) in &job.sources {
        if let Some(language) = language {
            process.args(["-x", language]);
        }
        process.arg(path);
        if language.is_some() {
            process.args(["-x", "none"]);
        }
    }
    if let Some(output) = job.output {
        process.arg("-o").arg(output);
    }
    process
}

/// The compiler, ready to make an object of one in its own form.
pub(crate) fn of_intermediate(environment: &Environment, from: &Path, to: &Path) -> Process {
    let mut process = environment.tool("clang");
    process
        .arg(format!("--target={TRIPLE}"))
        .args(FIXED)
        .args(["-mllvm", "-wasm-enable-eh", "-O2", "-c", "-x", "ir"])
        .arg(from)
        .arg("-o")
        .arg(to);
    process
}

/// Whether the last of the options that choose an optimisation level is one that unrolls loops.
fn is_for_speed(options: &[String]) -> bool {
    let mut levels = options.iter().filter(|option| option.starts_with("-O"));
    matches!(
        levels.next_back().map(String::as_str),
        Some("-O2" | "-O3" | "-O4" | "-Ofast")
    )
}

/// Paths of this machine and what outputs say instead.
fn prefixes(environment: &Environment) -> Vec<(OsString, &'static str)> {
    let mut prefixes = Vec::new();
    if let Ok(here) = std::env::current_dir() {
        prefixes.push((here.into_os_string(), "."));
    }
    prefixes.push((environment.sysroot.clone().into_os_string(), "/sysroot"));
    prefixes.push((
        environment.compiler_headers().into_os_string(),
        "/sysroot/clang",
    ));
    prefixes
}

/// Whether a file is C++, by its language or its name.
pub(crate) fn is_cxx(path: &str, language: Option<&str>) -> bool {
    match language {
        Some(language) => language.starts_with("c++"),
        None => Path::new(path).extension().is_some_and(|extension| {
            [
                "cc", "cp", "cpp", "cxx", "c++", "C", "CPP", "ii", "hh", "hpp",
            ]
            .iter()
            .any(|known| extension == *known)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages() {
        assert!(is_cxx("a.cc", None));
        assert!(is_cxx("-", Some("c++")));
        assert!(!is_cxx("a.c", None));
        assert!(!is_cxx("a.cc", Some("c")));
    }

    #[test]
    fn the_last_level_counts() {
        let is = |options: &[&str]| {
            is_for_speed(&options.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>())
        };
        assert!(is(&["-Os", "-O2"]));
        assert!(!is(&["-O3", "-Oz"]));
        assert!(!is(&["-g"]));
    }
}
