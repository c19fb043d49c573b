//! `RecipeFile` to `Layer`: `[[extension]]` becomes a source, a build step and a component; and the step that links
//! Python with all extensions.
//!
//! Nothing else of the pipeline knows how an extension is built.

use std::collections::BTreeMap;

use super::{
    layer::{Item, Known, Layer, Link, Target},
    lower::Lower,
};
use crate::{
    Build, Command, Component, Extension, Output, ProblemKind, PypiKind, Ref, Source, SourceUrl,
    ToolSet, normal_package_name, requirement, value,
    written::{At, ExtensionTable},
};

/// What extensions are compiled with: a recipe of a Python declares it.
const TOOLCHAIN: &str = "python-extension";
/// What those in Rust are compiled with besides.
const RUST: &str = "rust";
/// What Python is linked with again: likewise.
const LINKER: &str = "python-link";
/// What an extension's step makes.
const MADE: &str = "extension";
/// The step that links, and what it makes.
const LINKED: &str = "python-with-extensions";
const MODULE: &str = "python.wasm";

/// What all extensions of a file come to.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) extensions: Vec<Item<Extension>>,
    pub(super) known: Vec<Known>,
    pub(super) sources: Vec<Item<Source>>,
    pub(super) builds: Vec<Item<Build>>,
    pub(super) components: Vec<Item<Component>>,
}

impl Lower<'_> {
    pub(super) fn extensions(&mut self, tables: &[At<ExtensionTable>]) -> Extensions {
        let mut all = Extensions::default();
        for table in tables {
            self.extension(&table.value, &mut all);
        }
        all
    }

    fn extension(&mut self, table: &ExtensionTable, all: &mut Extensions) {
        let Some((name, version)) = self.pinned(&table.package) else {
            return;
        };
        let says_how = table.requires.is_some() || table.built.is_some();
        let more = !table.libraries.is_empty()
            || !table.inputs.is_empty()
            || !table.env.is_empty()
            || !table.patches.is_empty()
            || table.crates.is_some()
            || !table.crate_patches.is_empty()
            || !table.tools.is_empty();
        if !says_how && !more && table.depends.is_empty() {
            all.known.push(Known {
                recipe: At {
                    value: format!("python-extensions/{name}"),
                    span: table.package.span.clone(),
                },
                name,
                version,
            });
            return;
        }
        match (&table.requires, &table.built) {
            (None, None) => {
                let message = "an extension that is built as the recipe says has `requires`, what its \
                               build needs: it may be empty";
                self.fail(&table.package.span, ProblemKind::Keys { message });
            }
            (Some(_), Some(built)) => {
                let message = "an extension is built by a step of the recipe's own (`built`) or by one of \
                               polybuild's (`requires`)";
                self.fail(&built.span, ProblemKind::Keys { message });
            }
            (None, Some(built)) if more => {
                let message = "`built` names what a step has made: libraries, inputs, variables, tools and patches \
                               are that step's";
                self.fail(&built.span, ProblemKind::Keys { message });
            }
            _ => {}
        }
        let place = self.place(&table.package.span);
        let item = |value: Build, links| Item {
            value,
            place: place.clone(),
            links,
        };
        let built = match &table.built {
            Some(at) => self.reference(at),
            None => {
                let sources = all.sources.len();
                let step = self.step(table, &name, &version, all);
                // Whatever was asked for twice is reported where it is inherited or checked.
                for source in all.sources.get_mut(sources..).unwrap_or_default() {
                    source.place = place.clone();
                }
                all.builds.push(item(step, std::mem::take(&mut self.links)));
                all.components.push(Item {
                    value: Component {
                        name: name.clone(),
                        source: Some(name.clone()),
                        version: None,
                        purl: None,
                        license: table.license.clone(),
                    },
                    place: place.clone(),
                    links: Vec::new(),
                });
                Ref::Build {
                    step: step_of(&name),
                    output: MADE.to_owned(),
                }
            }
        };
        let mut depends = Vec::new();
        for at in &table.depends {
            match requirement::parse(&at.value) {
                Ok(requirement) => depends.push(requirement.line().to_owned()),
                Err(why) => {
                    let what = format!("`{}`", at.value);
                    self.fail(&at.span, ProblemKind::Requirement { what, why });
                }
            }
        }
        let extension = Extension {
            name,
            version,
            built,
            depends,
        };
        let item = Item {
            value: extension,
            place,
            links: std::mem::take(&mut self.links),
        };
        super::layer::add(&mut all.extensions, vec![item], self.problems);
    }

    /// Name, normalised, and version of `NAME==VERSION`.
    fn pinned(&mut self, at: &At<String>) -> Option<(String, String)> {
        let pinned = at.value.split_once("==").map(|(name, version)| {
            let name = normal_package_name(name.trim());
            (name, version.trim().to_owned())
        });
        let ok = pinned
            .as_ref()
            .is_some_and(|(name, version)| value::is_name(name) && value::is_name(version));
        self.want(ok, at, "a package with its version, `markupsafe==3.0.2`");
        pinned.filter(|_| ok)
    }

    /// The build step; its sources go to `all`.
    fn step(
        &mut self,
        table: &ExtensionTable,
        name: &str,
        version: &str,
        all: &mut Extensions,
    ) -> Build {
        let place = self.place(&table.package.span);
        let patches = table.patches.iter().map(|at| self.patch(at)).collect();
        let crate_patches = table.crate_patches.iter();
        let crate_patches = crate_patches.map(|at| self.patch(at)).collect();
        let mut source = |id: &str, url: SourceUrl, patches| {
            let source = Source {
                id: id.to_owned(),
                local: None,
                sha256: None,
                extract: url.extract_by_default(),
                strip_components: url.strip_by_default(),
                patches,
                series: None,
                url,
            };
            all.sources.push(Item {
                value: source,
                place: place.clone(),
                links: Vec::new(),
            });
            let id = id.to_owned();
            Ref::Source { id, path: None }
        };
        let mut inputs = BTreeMap::new();
        let url = SourceUrl::Pypi {
            name: name.to_owned(),
            version: Some(version.to_owned()),
            file: PypiKind::Sdist,
        };
        inputs.insert("source".to_owned(), source(name, url, patches));
        for at in table.requires.iter().flatten() {
            let Some((required, version)) = self.pinned(at) else {
                continue;
            };
            let url = SourceUrl::Pypi {
                name: required.clone(),
                version: Some(version),
                file: PypiKind::pure("3.13"),
            };
            let id = format!("{name}-build-{required}");
            inputs.insert(format!("requires/{required}"), source(&id, url, Vec::new()));
        }
        if let Some(at) = &table.crates {
            let path = self.relative_path(at, "the path of a `Cargo.lock`");
            let url = SourceUrl::CargoLock {
                source: name.to_owned(),
                path,
            };
            let id = format!("{name}-crates");
            inputs.insert("crates".to_owned(), source(&id, url, crate_patches));
        } else if let Some(first) = table.crate_patches.first() {
            let message =
                "`crate-patches` are for the crates of `crates`, which names a `Cargo.lock`";
            self.fail(&first.span, ProblemKind::Keys { message });
        }
        for (library, from) in &table.libraries {
            let library = self.relative_path(library, "the name of a library");
            inputs.insert(format!("libraries/{library}"), self.reference(from));
        }
        inputs.extend(self.inputs(&table.inputs));
        let mut tools: Vec<String> = ToolSet::Unix
            .commands()
            .iter()
            .map(|&tool| tool.to_owned())
            .collect();
        tools.extend(table.tools.iter().map(|tool| self.name(tool)));
        self.link(&table.package, Target::Toolchain(TOOLCHAIN.to_owned()));
        if let Some(at) = &table.crates {
            self.link(at, Target::Toolchain(RUST.to_owned()));
        }
        Build {
            id: step_of(name),
            command: Command::Script("sh port/build.sh\n".to_owned()),
            env: self.env(&table.env),
            tools,
            inputs,
            outputs: vec![Output {
                path: MADE.to_owned(),
                folder: true,
            }],
        }
    }
}

fn step_of(name: &str) -> String {
    format!("extension-{name}")
}

/// Adds the step that links Python with the extensions, and has the module be what it makes. An error is what is wrong.
pub(super) fn link(layer: &mut Layer) -> Result<(), &'static str> {
    let Some(first) = layer.extensions.first() else {
        return Ok(());
    };
    let place = first.place.clone();
    let Some(name) = &layer.python.module else {
        return Err(
            "no recipe here says how its Python is linked with extensions: inherit one that does with `from` \
             or `uses`, python/3.13 for example",
        );
    };
    let Some(module) = layer.modules.iter_mut().find(|m| m.value.name == *name) else {
        return Err("`module` in `[python]` names no module");
    };
    let inputs = layer.extensions.iter().map(|item| {
        let Extension { name, built, .. } = &item.value;
        (format!("extensions/{name}"), built.clone())
    });
    let step = Build {
        id: LINKED.to_owned(),
        command: Command::Script("sh port/link.sh\n".to_owned()),
        env: BTreeMap::new(),
        tools: ToolSet::Unix
            .commands()
            .iter()
            .map(|&tool| tool.to_owned())
            .collect(),
        inputs: inputs.collect(),
        outputs: vec![Output {
            path: MODULE.to_owned(),
            folder: false,
        }],
    };
    module.value.file = Ref::Build {
        step: LINKED.to_owned(),
        output: MODULE.to_owned(),
    };
    layer.builds.push(Item {
        value: step,
        place: place.clone(),
        links: vec![Link {
            place,
            target: Target::Toolchain(LINKER.to_owned()),
        }],
    });
    Ok(())
}
