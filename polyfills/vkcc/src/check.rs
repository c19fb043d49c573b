//! What a linked module may import and must export: polyfills/sysroot/README.md, as a check.
//!
//! The linker makes an import of whatever an object declares to be one. Here that is caught when
//! the program is made, and not when it is started.

use std::{collections::BTreeSet, path::Path};

use vkernel_abi::wali;
use wasmparser::{Parser, Payload, TypeRef};

use crate::error::{Error, Result};

/// Exports of every program.
const EXPORTS: &[&str] = &[
    "_start",
    "__indirect_function_table",
    "__stack_pointer",
    "__heap_base",
];

/// Refuses a module that the personality could not run.
pub(crate) fn module(bytes: &[u8], threads: bool, path: &Path) -> Result<()> {
    let found = read(bytes).map_err(|error| Error::Module {
        path: path.to_owned(),
        why: format!("the linker wrote a module that cannot be read: {error}"),
    })?;
    let refuse = |why| {
        Err(Error::Module {
            path: path.to_owned(),
            why,
        })
    };
    let foreign: Vec<&str> = found
        .imports
        .iter()
        .filter(|import| !offered(import, threads))
        .map(|import| import.0.as_str())
        .collect();
    if !foreign.is_empty() {
        return refuse(format!(
            "the module imports {}, which nothing offers",
            foreign.join(", ")
        ));
    }
    let memory = if threads { "__tls_base" } else { "memory" };
    let missing: Vec<&str> = EXPORTS
        .iter()
        .chain([&memory])
        .filter(|name| !found.exports.contains(**name))
        .copied()
        .collect();
    if !missing.is_empty() {
        return refuse(format!("the module does not export {}", missing.join(", ")));
    }
    Ok(())
}

#[derive(Default)]
struct Found {
    /// Module and name, with a dot between; whether it is a function.
    imports: Vec<(String, bool)>,
    exports: BTreeSet<String>,
}

fn read(bytes: &[u8]) -> std::result::Result<Found, wasmparser::BinaryReaderError> {
    let mut found = Found::default();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    found.imports.push((
                        format!("{}.{}", import.module, import.name),
                        matches!(import.ty, TypeRef::Func(_)),
                    ));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    found.exports.insert(export?.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn offered((name, function): &(String, bool), threads: bool) -> bool {
    if !function {
        return threads && name == "env.memory";
    }
    let Some(field) = name
        .strip_prefix(wali::MODULE)
        .and_then(|rest| rest.strip_prefix('.'))
    else {
        return false;
    };
    wali::syscall(field).is_some() || wali::FUNCTIONS.iter().any(|known| known.name == field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports() {
        let check = |name: &str, function: bool, threads: bool, expected: bool| {
            let import = (name.to_owned(), function);
            assert_eq!(offered(&import, threads), expected, "{name}");
        };
        check("wali.SYS_read", true, false, true);
        check("wali.SYS_nonsense", true, false, false);
        check("wali.SYS_", true, false, false);
        check("wali.__proc_exit", true, false, false);
        check("wali.__cl_get_argc", true, false, true);
        check("env.foo", true, false, false);
        check("env.memory", false, true, true);
        check("env.memory", false, false, false);
        check("wasi_snapshot_preview1.fd_write", true, false, false);
    }

    #[test]
    fn garbage_is_an_error() {
        for bytes in [
            &b""[..],
            b"\0asm",
            b"\0asm\x01\0\0\0\x02\xff\xff\xff\xff\x0f",
        ] {
            assert!(module(bytes, false, Path::new("x")).is_err());
        }
    }
}
