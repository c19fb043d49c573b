//! Whether a personality offers what a module imports, and what it may have meant otherwise.

use std::fmt::Write as _;

use vkernel_abi::{
    personality::{self, Function, Interface, Type},
    wali,
};
use wasmparser::{FuncType, Import, TypeRef, ValType, types::Types};

/// An import that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportProblem {
    /// No personality has it.
    #[error(
        "it imports `{module}.{field}` with signature {found} (at byte {offset:#x}), which no \
         personality offers{hint}"
    )]
    Unknown {
        /// Import module.
        module: String,
        /// Field.
        field: String,
        /// Signature in the module.
        found: String,
        /// Byte offset of the import.
        offset: u64,
        /// Closest known name, as the end of the sentence; may be empty.
        hint: String,
    },
    /// A personality has it, with another signature.
    #[error(
        "it imports `{module}.{field}` (at byte {offset:#x}) with signature {found}, but \
         `{module}` offers it with {expected}"
    )]
    Signature {
        /// Import module.
        module: String,
        /// Field.
        field: String,
        /// Signature in the module.
        found: String,
        /// Signature of the personality.
        expected: String,
        /// Byte offset of the import.
        offset: u64,
    },
    /// A table, memory, global or tag.
    #[error(
        "it imports the {kind} `{module}.{field}` (at byte {offset:#x}); personalities offer \
         functions only: link the program so that it defines its own {kind}"
    )]
    Kind {
        /// Kind of the import.
        kind: &'static str,
        /// Import module.
        module: String,
        /// Field.
        field: String,
        /// Byte offset of the import.
        offset: u64,
    },
}

/// Checks one import; `function` is its index in the function index space if it is a function.
pub(super) fn check(
    import: &Import<'_>,
    offset: u64,
    function: u32,
    types: &Types,
) -> Result<(), ImportProblem> {
    let (module, field) = (import.module.to_owned(), import.name.to_owned());
    let kind = match import.ty {
        TypeRef::Func(_) | TypeRef::FuncExact(_) => None,
        TypeRef::Table(_) => Some("table"),
        TypeRef::Memory(_) => Some("memory"),
        TypeRef::Global(_) => Some("global"),
        TypeRef::Tag(_) => Some("tag"),
    };
    if let Some(kind) = kind {
        return Err(ImportProblem::Kind {
            kind,
            module,
            field,
            offset,
        });
    }
    let types = types.as_ref();
    let ty = types[types.core_function_at(function)].unwrap_func();
    if module == wali::MODULE && offered(&field, ty) {
        return Ok(());
    }
    let known = personality::ALL
        .iter()
        .find(|p| p.module == module)
        .and_then(|p| p.function(&field));
    match known {
        Some(known) if same(known, ty) => Ok(()),
        Some(known) => Err(ImportProblem::Signature {
            module,
            field,
            found: signature(ty.params(), ty.results()),
            expected: expected(known),
            offset,
        }),
        None => Err(ImportProblem::Unknown {
            found: signature(ty.params(), ty.results()),
            hint: hint(&module, &field),
            module,
            field,
            offset,
        }),
    }
}

/// Whether the Linux personality has it. Toolchains differ in whether a word is an i32 or an i64.
fn offered(field: &str, ty: &FuncType) -> bool {
    use ValType::{I32, I64};
    let words = ty.params().iter().all(|t| matches!(t, I32 | I64));
    match wali::syscall(field) {
        Some(call) => {
            let results: Option<Vec<_>> = ty.results().iter().map(word).collect();
            words && results.is_some_and(|results| call.takes(ty.params().len(), &results))
        }
        None => wali::function(field).is_some_and(|known| same(known, ty)),
    }
}

fn word(ty: &ValType) -> Option<Type> {
    match ty {
        ValType::I32 => Some(Type::I32),
        ValType::I64 => Some(Type::I64),
        _ => None,
    }
}

fn core(ty: &Type) -> ValType {
    match ty {
        Type::I32 => ValType::I32,
        Type::I64 => ValType::I64,
    }
}

fn same(known: &Function, ty: &FuncType) -> bool {
    known
        .params
        .iter()
        .map(core)
        .eq(ty.params().iter().copied())
        && known
            .result
            .iter()
            .map(core)
            .eq(ty.results().iter().copied())
}

fn expected(known: &Function) -> String {
    let params: Vec<_> = known.params.iter().map(core).collect();
    let results: Vec<_> = known.result.iter().map(core).collect();
    signature(&params, &results)
}

/// `(i32, i64) -> i32`.
fn signature(params: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| {
        types
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut out = format!("({})", list(params));
    match results {
        [] => {}
        [one] => _ = write!(out, " -> {one}"),
        many => _ = write!(out, " -> ({})", list(many)),
    }
    out
}

/// The end of the sentence about an unknown import.
fn hint(module: &str, field: &str) -> String {
    let close = |known: &str, found: &str| strsim::jaro_winkler(known, found);
    let candidates = personality::ALL.iter().flat_map(|p: &Interface| {
        p.functions.iter().map(move |f| {
            (
                close(p.module, module) + 2.0 * close(f.name, field),
                p.module,
                f.name,
            )
        })
    });
    let best = candidates.max_by(|a, b| a.0.total_cmp(&b.0));
    match (module, best) {
        ("wasi_unstable", _) => {
            "; it was built for WASI preview 0: build it with a current wasi-libc".into()
        }
        ("env", _) => format!(
            "; `env` is where linkers put undefined symbols: `{field}` is missing from the link"
        ),
        // 3 would be equality; below this, a suggestion misleads.
        (_, Some((score, module, field))) if score > 2.55 => {
            format!("; did it mean `{module}.{field}`?")
        }
        _ => {
            let names: Vec<_> = personality::ALL.iter().map(|p| p.module).collect();
            format!("; there are: {}", names.join(", "))
        }
    }
}
