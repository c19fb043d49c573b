//! One recipe file, lowered: values that mean something by themselves, each with its place, whose
//! references to each other are not followed yet.

use std::collections::BTreeMap;

use megabinary_format::Limits;

use crate::{
    Build, Component, Extension, ImageFile, Kind, LocalPath, Module, Place, Preload, Program,
    Python, Source, Toolchain, Tree,
    error::{Problem, ProblemKind},
    written::At,
};

/// A lowered recipe, or several merged.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) description: Option<String>,
    pub(super) kind: Kind,
    pub(super) sources: Vec<Item<Source>>,
    pub(super) builds: Vec<Item<Build>>,
    pub(super) toolchains: Vec<Item<Toolchain>>,
    pub(super) modules: Vec<Item<Module>>,
    pub(super) preloads: Vec<Item<Preload>>,
    pub(super) programs: Vec<Item<Program>>,
    pub(super) files: Vec<Item<ImageFile>>,
    pub(super) trees: Vec<Item<Tree>>,
    pub(super) components: Vec<Item<Component>>,
    pub(super) extensions: Vec<Item<Extension>>,
    /// Extensions that this file names, and recipes that come with the program build.
    pub(super) known: Vec<Known>,
    pub(super) python: PythonLayer,
    pub(super) image: ImageLayer,
    pub(super) policy: PolicyLayer,
    /// Every file of the machine that this recipe file names: not those of the layers under it.
    pub(super) locals: Vec<LocalPath>,
}

/// An extension of which the recipe says nothing but its name.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) version: String,
    /// The recipe that says how it is built.
    pub(super) recipe: At<String>,
}

/// Something declared by name.
#[derive(Clone, Debug)]
pub(super) struct Item<T> {
    pub(super) value: T,
    pub(super) place: Place,
    /// What it needs or takes; followed by `check`.
    pub(super) links: Vec<Link>,
}

/// A use of something that is declared elsewhere, or a place in the image that is taken.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) place: Place,
    pub(super) target: Target,
}

#[derive(Clone, Debug)]
pub(super) enum Target {
    /// A source; `inside` if a path in it is meant, so that it must be unpacked.
    Source { id: String, inside: bool },
    /// An output of a build step.
    Build { step: String, output: String },
    /// A toolchain.
    Toolchain(String),
    /// A module.
    Module(String),
    /// A module with a snapshot.
    Snapshot(String),
    /// A path in the image.
    Path(String),
    /// A folder in a read-only tree.
    InTree(String),
    /// What a `[[file]]` puts into the image, by its path.
    File(String),
    /// A source that a component is made from.
    Component {
        source: String,
        /// Whether the component has a version or package URL of its own.
        says: bool,
    },
}

/// Image settings that one layer makes.
#[derive(Clone, Debug, Default)]
pub(super) struct ImageLayer {
    pub(super) name: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) env: BTreeMap<String, (String, Place)>,
    pub(super) entrypoint: Option<Vec<String>>,
    pub(super) cmd: Option<Vec<String>>,
    pub(super) user: Option<String>,
    pub(super) workdir: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) expose: Vec<String>,
    pub(super) volumes: Vec<String>,
    pub(super) stop_signal: Option<String>,
}

/// What one layer says of Python.
#[derive(Clone, Debug, Default)]
pub(super) struct PythonLayer {
    pub(super) version: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) platform: Option<String>,
    pub(super) machine: Option<String>,
    pub(super) module: Option<String>,
    pub(super) wheels: Option<String>,
    pub(super) compile: Vec<String>,
    /// Lines of a requirements file: of this recipe file alone.
    pub(super) requirements: Vec<String>,
    /// Where packages or folders to compile are asked for.
    pub(super) place: Option<Place>,
}

impl PythonLayer {
    /// The Python, if its version is known.
    pub(super) fn python(&self) -> Option<Python> {
        let or = |value: &Option<String>, default: &str| value.clone().unwrap_or(default.into());
        Some(Python {
            version: self.version.clone()?,
            prefix: or(&self.prefix, "/usr/local"),
            platform: or(&self.platform, "linux"),
            machine: or(&self.machine, "wasm32"),
            compile: self.compile.clone(),
            wheels: self.wheels.clone(),
        })
    }

    /// What an inherited layer says, where this one says nothing.
    pub(super) fn over(self, under: PythonLayer) -> PythonLayer {
        let mut compile = under.compile;
        for folder in self.compile {
            if !compile.contains(&folder) {
                compile.push(folder);
            }
        }
        PythonLayer {
            version: self.version.or(under.version),
            prefix: self.prefix.or(under.prefix),
            platform: self.platform.or(under.platform),
            machine: self.machine.or(under.machine),
            module: self.module.or(under.module),
            wheels: self.wheels.or(under.wheels),
            compile,
            requirements: self.requirements,
            place: self.place,
        }
    }
}

/// Policy that one layer makes.
#[derive(Clone, Debug, Default)]
pub(super) struct PolicyLayer {
    pub(super) limits: Limits,
    /// What was written; all is `Some(None)`.
    pub(super) network: Option<Option<Vec<String>>>,
    pub(super) read_only_root: Option<bool>,
    pub(super) read_only: Vec<String>,
    pub(super) hidden: Vec<String>,
}

/// What is declared by a name that must be unique.
pub(super) trait Named {
    /// What people call it.
    const WHAT: &'static str;
    fn name(&self) -> &str;
}

macro_rules! named {
    ($($type:ident $field:ident $what:literal;)*) => { $(
        impl Named for $type {
            const WHAT: &'static str = $what;
            fn name(&self) -> &str { &self.$field }
        }
    )* };
}

named! {
    Source id "source";
    Build id "build step";
    Toolchain name "toolchain";
    Module name "module";
    Preload module "preload";
    Program name "program";
    ImageFile path "file";
    Tree mount "tree";
    Component name "component";
    Extension name "extension";
}

/// Adds items beside others: a name that is taken is a problem, unless it is the very same
/// declaration, met twice because two recipes use a third.
pub(super) fn add<T: Named>(
    to: &mut Vec<Item<T>>,
    items: Vec<Item<T>>,
    problems: &mut Vec<Problem>,
) {
    for item in items {
        match to.iter().find(|i| i.value.name() == item.value.name()) {
            None => to.push(item),
            Some(first) if first.place == item.place => {}
            Some(first) => problems.push(Problem {
                kind: ProblemKind::Duplicate {
                    what: T::WHAT,
                    name: item.value.name().to_owned(),
                    first: first.place.clone(),
                },
                place: Some(item.place),
            }),
        }
    }
}

/// Puts items over others: one with a name that is taken replaces the other, in its position.
pub(super) fn replace<T: Named>(under: &mut Vec<Item<T>>, items: Vec<Item<T>>) {
    for item in items {
        match under
            .iter_mut()
            .find(|i| i.value.name() == item.value.name())
        {
            Some(slot) => *slot = item,
            None => under.push(item),
        }
    }
}
