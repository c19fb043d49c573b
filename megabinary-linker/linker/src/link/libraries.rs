//! Joins programs and the shared libraries that they use.
//!
//! Invariant after [`join`]: every library that a program uses is there, offers what the program was linked with, has
//! all that it takes from the program, and shares its place with no other library of that program.

use crate::{
    analysis::{Facts, Library},
    megabinary::LinkedModule,
    plan::LinkError,
};
use vkernel_abi::library as abi;
use wasmparser::ExternalKind;

/// Finds the libraries of all programs; libraries that none of them uses are left out.
pub(crate) fn join(mut modules: Vec<LinkedModule>) -> Result<Vec<LinkedModule>, LinkError> {
    let all: Vec<Library> = modules
        .iter()
        .filter_map(|module| module.facts.library.as_deref().cloned())
        .collect();
    for module in &modules {
        if let Some(library) = module.facts.library.as_deref()
            && library.name != module.name
        {
            return Err(LinkError::LibraryName {
                module: module.name.clone(),
                name: library.name.clone(),
            });
        }
    }
    for module in &mut modules {
        let wants = match &module.facts.library {
            Some(library) => &library.needs,
            None => &module.facts.uses,
        };
        let mut used = Vec::new();
        for (name, identity) in wants {
            used.push(found(&module.name, name, identity, &all)?);
        }
        if module.facts.library.is_none() {
            check(&module.name, &module.facts, &used)?;
        }
        let mut names: Vec<String> = used.iter().map(|library| library.name.clone()).collect();
        names.sort();
        module.libraries = names;
    }
    let used: Vec<String> = modules
        .iter()
        .filter(|module| module.facts.library.is_none())
        .flat_map(|module| module.libraries.iter().cloned())
        .collect();
    modules.retain(|module| module.facts.library.is_none() || used.contains(&module.name));
    Ok(modules)
}

fn found<'a>(
    module: &str,
    name: &str,
    identity: &str,
    all: &'a [Library],
) -> Result<&'a Library, LinkError> {
    let library = all.iter().find(|library| library.name == name);
    let library = library.ok_or_else(|| LinkError::NoLibrary {
        module: module.to_owned(),
        library: name.to_owned(),
    })?;
    match library.identity == identity {
        true => Ok(library),
        false => Err(LinkError::OtherLibrary {
            module: module.to_owned(),
            library: name.to_owned(),
            wanted: identity.to_owned(),
            found: library.identity.clone(),
        }),
    }
}

/// Whether a program has what its libraries take.
fn check(module: &str, facts: &Facts, used: &[&Library]) -> Result<(), LinkError> {
    let wrong = |library: &Library, problem: String| LinkError::Unfit {
        module: module.to_owned(),
        library: library.name.clone(),
        problem,
    };
    for (at, library) in used.iter().enumerate() {
        for (name, _) in &library.needs {
            if !used.iter().any(|other| other.name == *name) {
                return Err(wrong(
                    library,
                    format!("it does not list `{name}`, which the library needs"),
                ));
            }
        }
        for other in used.iter().skip(at + 1) {
            let apart = |a: &std::ops::Range<u32>, b: &std::ops::Range<u32>| {
                a.end <= b.start || b.end <= a.start
            };
            if !apart(&library.memory, &other.memory) || !apart(&library.slots, &other.slots) {
                return Err(wrong(
                    library,
                    format!("`{}` has the same place", other.name),
                ));
            }
        }
        let size = facts
            .memory
            .map_or(0, |memory| memory.minimum * megabinary_format::WASM_PAGE);
        if size < library.memory.end.into() {
            return Err(wrong(
                library,
                format!("its memory of {size} bytes ends before the library's place"),
            ));
        }
        for (name, ty) in &library.imports {
            match facts.exported_types.get(name) {
                Some(found) if found == ty => {}
                Some(found) => {
                    return Err(wrong(
                        library,
                        format!(
                            "its function `{name}` is {found:?}, the library calls it as {ty:?}"
                        ),
                    ));
                }
                None => return Err(wrong(library, format!("it does not export `{name}`"))),
            }
        }
        for (name, kind) in [
            (abi::TABLE, ExternalKind::Table),
            (abi::STACK_POINTER, ExternalKind::Global),
        ] {
            if !facts
                .exports
                .iter()
                .any(|export| export.name == name && export.kind == kind)
            {
                return Err(wrong(library, format!("it does not export `{name}`")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
