//! Calls and callbacks whose types are known when a program runs (`polyfills/libffi`).
//!
//! No code can be made then, and a call through a pointer names its function's type. But the functions that
//! pointers can name are those in the program's table, and the calls that callbacks are for are in its code:
//! so a program that has libffi in it is looked at when it has been linked, and linked once more with a file in C
//! that has
//!
//! - for each type of a function in the table, or of a call, a case that tests a pointer for the type and calls;
//! - for each type of a call through a pointer, a pool of functions that hand on what they get to a callback.
//!
//! The file's own functions are of types that are there already, or that only it uses.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use wasmparser::{ElementItems, FuncType, Operator, Parser, Payload, TypeRef, ValType};

use crate::{
    command::{Command, Stage},
    compile::{self, Job},
    environment::{Environment, Variant},
    error::{Error, IoContext, Result},
    model::{self, Traced},
    process::status,
};

/// libffi's object that wants the file.
const USER: &str = "ffi_vkernel.o";

/// Callbacks of one type that there can be at a time, unless `-mcallbacks=N` says otherwise.
pub(crate) const CALLBACKS: usize = 32;

/// Functions with more parameters are not called from C in any program; an engine allows 1000.
const MOST_PARAMETERS: usize = 255;

/// Whether a program has libffi in it.
pub(crate) fn are_asked_for<'a>(mut objects: impl Iterator<Item = &'a Traced>) -> bool {
    objects.any(|object| object.is_member(USER))
}

/// The types of a module, each as a text: a letter for the result, and one for each parameter.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Types {
    /// Of functions that pointers can name.
    named: BTreeSet<String>,
    /// Of calls through pointers.
    called: BTreeSet<String>,
}

impl Types {
    /// Those of a linked module; what it exports counts as named by pointers.
    pub(crate) fn read(module: &[u8]) -> wasmparser::Result<Types> {
        let mut types: Vec<Option<String>> = Vec::new();
        let mut functions: Vec<u32> = Vec::new();
        let (mut named, mut called) = (BTreeSet::new(), BTreeSet::new());
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(groups) => {
                    for group in groups {
                        for ty in group?.into_types() {
                            types.push(match ty.composite_type.inner {
                                wasmparser::CompositeInnerType::Func(ty) => text(&ty),
                                _ => None,
                            });
                        }
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import?.ty {
                            functions.push(ty);
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        functions.push(ty?);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == wasmparser::ExternalKind::Func {
                            named.insert(export.index);
                        }
                    }
                }
                Payload::ElementSection(section) => {
                    for segment in section {
                        match segment?.items {
                            ElementItems::Functions(items) => {
                                for function in items {
                                    named.insert(function?);
                                }
                            }
                            ElementItems::Expressions(_, items) => {
                                for item in items {
                                    for operator in item?.get_operators_reader() {
                                        if let Operator::RefFunc { function_index } = operator? {
                                            named.insert(function_index);
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    for operator in body.get_operators_reader()? {
                        if let Operator::CallIndirect { type_index, .. }
                        | Operator::ReturnCallIndirect { type_index, .. } = operator?
                        {
                            called.insert(type_index);
                        }
                    }
                }
                _ => {}
            }
        }
        let ty = |index: &u32| types.get(*index as usize)?.clone();
        Ok(Types {
            named: named
                .iter()
                .filter_map(|function| ty(functions.get(*function as usize)?))
                .collect(),
            called: called.iter().filter_map(ty).collect(),
        })
    }

    /// Adds what else pointers will name.
    pub(crate) fn name<'a>(&mut self, functions: impl Iterator<Item = &'a FuncType>) {
        self.named.extend(functions.filter_map(text));
    }

    /// The file in C.
    fn source(&self, callbacks: usize) -> String {
        let all: BTreeSet<&String> = self.named.union(&self.called).collect();
        let mut out = String::from(HEAD);
        let mut pools = String::new();
        for (number, ty) in all.iter().enumerate() {
            pools.push_str(&match self.called.contains(*ty) {
                true => pool(&mut out, number, ty, callbacks),
                false => "\t{ 0, 0, 0 },\n".to_owned(),
            });
        }
        let mut cases = String::new();
        let mut tests = String::new();
        for (number, ty) in all.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = writeln!(
                cases,
                "\tcase {number}: {{ {} {} }}",
                function(ty),
                call(ty)
            );
            let _ = writeln!(
                tests,
                "\tcase {number}: {{ {} return TEST(F, f); }}",
                function(ty)
            );
        }
        let names: String = all.iter().map(|ty| format!("\t\"{ty}\",\n")).collect();
        let _ = write!(
            out,
            "const unsigned __ffi_type_count = {};\n\
             const char *const __ffi_types[] = {{\n{names}\t0\n}};\n\
             const struct pool __ffi_pools[] = {{\n{pools}\t{{ 0, 0, 0 }}\n}};\n\
             int __ffi_is(int type, void *f)\n{{\n\tswitch (type) {{\n{tests}\t}}\n\treturn 0;\n}}\n\
             int __ffi_invoke(int type, void *f, union slot *s)\n{{\n\tswitch (type) {{\n{cases}\t}}\n\
             \treturn 0;\n}}\n#pragma GCC visibility pop\n",
            all.len()
        );
        out
    }
}

/// As `polyfills/libffi/ffi_vkernel.c` has it.
const HEAD: &str = "\
union slot { int i; long long I; float f; double F; };
struct closure;
struct pool { void *const *functions; struct closure **closures; unsigned count; };
#pragma GCC visibility push(hidden)
void __ffi_enter(struct closure *const *, union slot *);
#define TEST(F, f) __builtin_wasm_test_function_pointer_signature((F)f)
";

/// A type as a text; none for what C has no functions of.
fn text(ty: &FuncType) -> Option<String> {
    let letter = |ty: &ValType| match ty {
        ValType::I32 => Some('i'),
        ValType::I64 => Some('I'),
        ValType::F32 => Some('f'),
        ValType::F64 => Some('F'),
        _ => None,
    };
    let result = match ty.results() {
        [] => 'v',
        [one] => letter(one)?,
        _ => return None,
    };
    if ty.params().len() > MOST_PARAMETERS {
        return None;
    }
    let params: Option<String> = ty.params().iter().map(letter).collect();
    Some(format!("{result}{}", params?))
}

fn c(letter: char) -> &'static str {
    match letter {
        'i' => "int",
        'I' => "long long",
        'f' => "float",
        'F' => "double",
        _ => "void",
    }
}

/// Result and parameters.
fn parts(ty: &str) -> (char, impl Iterator<Item = (usize, char)> + Clone + '_) {
    (
        ty.chars().next().unwrap_or('v'),
        ty.chars().skip(1).enumerate(),
    )
}

/// Joins what is made of each parameter; what C says if there are none.
fn list(ty: &str, none: &str, of: impl Fn(usize, char) -> String) -> String {
    let (_, params) = parts(ty);
    let all: Vec<String> = params.map(|(at, letter)| of(at, letter)).collect();
    match all.is_empty() {
        true => none.to_owned(),
        false => all.join(", "),
    }
}

/// A pointer to a function of the type, as a declaration of the type `F`.
fn function(ty: &str) -> String {
    let (result, _) = parts(ty);
    let params = list(ty, "void", |_, letter| c(letter).to_owned());
    format!("typedef {} (*F)({params});", c(result))
}

/// What calls a pointer that has been tested.
fn call(ty: &str) -> String {
    let (result, _) = parts(ty);
    let values = list(ty, "", |at, letter| format!("s[{at}].{letter}"));
    let give = match result {
        'v' => String::new(),
        letter => format!("s[0].{letter} = "),
    };
    format!("if (!TEST(F, f)) return 0; {give}((F)f)({values}); return 1;")
}

/// A pool's functions, and its line in the list of pools.
fn pool(out: &mut String, number: usize, ty: &str, callbacks: usize) -> String {
    let (result, params) = parts(ty);
    let count = params.clone().count();
    let declared: String = params
        .clone()
        .map(|(at, letter)| format!(", {} a{at}", c(letter)))
        .collect();
    let names: String = (0..count).map(|at| format!(", a{at}")).collect();
    let own = list(ty, "void", |at, letter| format!("{} a{at}", c(letter)));
    let result_type = c(result);
    let give = match result {
        'v' => String::new(),
        letter => format!("\treturn s[0].{letter};\n"),
    };
    let _ = write!(
        out,
        "static struct closure *o{number}[{callbacks}];\n\
         __attribute__((noinline)) static {result_type} p{number}(struct closure *const *from{declared})\n\
         {{\n\tunion slot s[{}];\n",
        count.max(1)
    );
    for (at, letter) in params {
        let _ = writeln!(out, "\ts[{at}].{letter} = a{at};");
    }
    let _ = write!(out, "\t__ffi_enter(from, s);\n{give}}}\n");
    for at in 0..callbacks {
        let _ = writeln!(
            out,
            "static {result_type} p{number}_{at}({own}) {{ {}p{number}(&o{number}[{at}]{names}); }}",
            if result == 'v' { "" } else { "return " }
        );
    }
    let functions: Vec<String> = (0..callbacks)
        .map(|at| format!("(void *)p{number}_{at}"))
        .collect();
    let _ = writeln!(
        out,
        "static void *const f{number}[] = {{ {} }};",
        functions.join(", ")
    );
    format!("\t{{ f{number}, o{number}, {callbacks} }},\n")
}

/// Compiles the file for a program with these types; where the object is.
pub(crate) fn object(
    environment: &Environment,
    variant: Variant,
    types: &Types,
    callbacks: usize,
    folder: &Path,
) -> Result<PathBuf> {
    let (source, object) = (folder.join("calls.c"), folder.join("calls.o"));
    fs::write(&source, types.source(callbacks)).doing("writing", &source)?;
    let command = Command {
        // A pool's functions are many and small.
        compiler: vec![
            "-O2".into(),
            "-mgc".into(),
            "-w".into(),
            "-fno-ident".into(),
        ],
        ..Command::default()
    };
    let name = source.to_string_lossy();
    let job = Job {
        sources: vec![(&name, None)],
        output: Some(&object),
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
        0 => {
            model::mark(&object)?;
            Ok(object)
        }
        _ => Err(Error::Module {
            path: source,
            why: "the functions that libffi calls by could not be compiled".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_pointers_name_and_calls_have() {
        let module = wat::parse_str(
            "(module
                (type $call (func (param f32) (result f64)))
                (table 8 funcref)
                (func $named (param i32 i64))
                (func $plain (param i64) (result i64) local.get 0)
                (func (export \"shown\") (result f32) f32.const 0)
                (func (param v128))
                (func $many (result i32 i32) i32.const 0 i32.const 0)
                (func $calls (call_indirect (type $call) (f32.const 0) (i32.const 0)) drop)
                (elem (i32.const 1) $named $many)
                (elem (i32.const 3) funcref (ref.func $calls)))",
        )
        .unwrap();
        let types = Types::read(&module).unwrap();
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected = Types {
            named: set(&["f", "v", "viI"]),
            called: set(&["Ff"]),
        };
        assert_eq!(types, expected);
        let source = types.source(3);
        assert!(source.contains("static double p0_2(float a0) { return p0(&o0[2], a0); }"));
        assert!(source.contains("const unsigned __ffi_type_count = 4;"));
        assert!(!source.contains("p1_0"));
    }

    #[test]
    fn garbage_is_an_error() {
        for bytes in [
            &b""[..],
            b"\0asm",
            b"\0asm\x01\0\0\0\x0a\xff\xff\xff\xff\x0f",
        ] {
            assert!(Types::read(bytes).is_err());
        }
    }
}
