//! Questions about the compiler that build systems ask.

use crate::{
    compile::TRIPLE,
    environment::{Environment, Variant},
    error::Result,
    process::capture,
};

/// The answer to one `-print-…`, `-dump…` or `--version`; `None` if the compiler is to answer.
pub(crate) fn answer(
    environment: &Environment,
    variant: Variant,
    question: &str,
) -> Result<Option<String>> {
    let question = question.trim_start_matches('-');
    let libraries = environment.libraries(variant);
    let (name, value) = question.split_once('=').unwrap_or((question, ""));
    Ok(Some(match name {
        "dumpmachine" | "print-target-triple" | "print-effective-triple" => TRIPLE.to_owned(),
        "print-multiarch" => String::new(),
        "print-multi-lib" => ".;".to_owned(),
        "print-multi-directory" | "print-multi-os-directory" => ".".to_owned(),
        "print-sysroot" => environment.sysroot.display().to_string(),
        "print-libgcc-file-name" => libraries
            .join("libclang_rt.builtins.a")
            .display()
            .to_string(),
        "print-file-name" => {
            let path = libraries.join(value);
            if path.exists() {
                path.display().to_string()
            } else {
                value.to_owned()
            }
        }
        "print-prog-name" => value.to_owned(),
        "print-search-dirs" => format!("programs: =\nlibraries: ={}", libraries.display()),
        "print-resource-dir" => environment.compiler_headers().display().to_string(),
        "version" => {
            let compiler = capture(environment.tool("clang").arg("--version"))?;
            // Build systems take the first number for the compiler's.
            format!(
                "{}, driven by vkcc {}\nTarget: {TRIPLE}",
                compiler.lines().next().unwrap_or_default(),
                env!("CARGO_PKG_VERSION"),
            )
        }
        _ => return Ok(None),
    }))
}
