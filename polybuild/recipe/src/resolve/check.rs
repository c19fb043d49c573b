//! The whole recipe: references that lead somewhere, paths that are taken once, steps in order.

use std::collections::BTreeMap;

use super::{
    extension,
    layer::{Item, Layer, Named, Target},
};
use crate::{
    Build, Image, ImageFile, Kind, Module, Place, Policy, Preload, Recipe, Ref, Source, SourceUrl,
    Toolchain, Tree,
    error::{Problem, ProblemKind},
    nearest::nearest,
};

/// The recipe, or `None` and at least one problem.
pub(super) fn check(mut layer: Layer, problems: &mut Vec<Problem>) -> Option<Recipe> {
    let before = problems.len();
    // An extension by itself is no program: the Python that it is for is that of the image.
    if layer.kind != Kind::Extension
        && let Err(message) = extension::link(&mut layer)
    {
        problems.push(Problem {
            kind: ProblemKind::Keys { message },
            place: layer.extensions.first().map(|item| item.place.clone()),
        });
    }
    follow_links(&layer, problems);
    let whole = matches!(layer.kind, Kind::Image | Kind::App);
    if whole && layer.programs.is_empty() {
        let message =
            "an image or app has one program at least; inherit some with `from` or `uses`";
        problems.push(Problem {
            kind: ProblemKind::Keys { message },
            place: Some(layer.place.clone()),
        });
    }
    let python = layer.python.python();
    if let (None, Some(place)) = (&python, &layer.python.place) {
        let message = "no recipe here says which Python the packages are for: inherit one with \
                       `from` or `uses`, or say its `version`";
        problems.push(Problem {
            kind: ProblemKind::Keys { message },
            place: Some(place.clone()),
        });
    }
    let builds = in_order(with_toolchains(layer.builds, &layer.toolchains), problems);
    if problems.len() > before {
        return None;
    }
    let image = layer.image;
    let policy = layer.policy;
    Some(Recipe {
        path: Default::default(),
        parts: Vec::new(),
        image: Image {
            name: image.name.unwrap_or_else(|| layer.name.clone()),
            tag: image.tag.unwrap_or_else(|| layer.version.clone()),
            env: image.env.into_iter().map(|(k, (v, _))| (k, v)).collect(),
            entrypoint: image.entrypoint,
            cmd: image.cmd,
            user: image.user,
            workdir: image.workdir,
            labels: image.labels,
            expose: image.expose,
            volumes: image.volumes,
            stop_signal: image.stop_signal,
        },
        name: layer.name,
        version: layer.version,
        description: layer.description,
        kind: layer.kind,
        sources: values(layer.sources),
        builds,
        modules: with_preloads(values(layer.modules), values(layer.preloads)),
        programs: values(layer.programs),
        image_files: values(layer.files),
        trees: values(layer.trees),
        python,
        extensions: values(layer.extensions),
        policy: Policy {
            limits: policy.limits,
            network: policy.network.flatten(),
            read_only_root: policy.read_only_root.unwrap_or(false),
            read_only: policy.read_only,
            hidden: policy.hidden,
        },
        components: values(layer.components),
    })
}

fn values<T>(items: Vec<Item<T>>) -> Vec<T> {
    items.into_iter().map(|i| i.value).collect()
}

/// The modules, each with what goes into its snapshot besides.
fn with_preloads(mut modules: Vec<Module>, preloads: Vec<Preload>) -> Vec<Module> {
    for preload in preloads {
        let module = modules.iter_mut().find(|m| m.name == preload.module);
        if let Some(snapshot) = module.and_then(|m| m.snapshot.as_mut()) {
            snapshot.preload = Some(preload);
        }
    }
    modules
}

fn follow_links(layer: &Layer, problems: &mut Vec<Problem>) {
    let mut follow = Follow {
        sources: &layer.sources,
        builds: &layer.builds,
        toolchains: &layer.toolchains,
        trees: &layer.trees,
        modules: &layer.modules,
        files: &layer.files,
        is_part: layer.kind == Kind::Extension,
        taken: BTreeMap::new(),
        problems,
    };
    follow.items(&layer.sources);
    follow.items(&layer.builds);
    follow.items(&layer.toolchains);
    follow.items(&layer.modules);
    follow.items(&layer.preloads);
    follow.items(&layer.programs);
    follow.items(&layer.files);
    follow.items(&layer.trees);
    follow.items(&layer.components);
    follow.items(&layer.extensions);
}

struct Follow<'a> {
    sources: &'a [Item<Source>],
    builds: &'a [Item<Build>],
    toolchains: &'a [Item<Toolchain>],
    trees: &'a [Item<Tree>],
    modules: &'a [Item<Module>],
    files: &'a [Item<ImageFile>],
    /// Whether toolchains are of the image that it becomes a part of.
    is_part: bool,
    /// Path in the image → what is there.
    taken: BTreeMap<&'a str, (String, &'a Place)>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Follow<'a> {
    fn items<T: Named>(&mut self, items: &'a [Item<T>]) {
        for item in items {
            for link in &item.links {
                let kind = match &link.target {
                    Target::Source { id, inside } => self.source(id, *inside),
                    Target::Build { step, output } => self.output(step, output),
                    Target::Toolchain(_) if self.is_part => None,
                    Target::Toolchain(name) => unknown(
                        "toolchain",
                        name,
                        self.toolchains.iter().map(|t| t.value.name()).collect(),
                    ),
                    Target::Module(name) => unknown("module", name, self.module_names()),
                    Target::Snapshot(name) => self.snapshot(name),
                    Target::InTree(path) => self.in_tree(path),
                    Target::File(path) => unknown(
                        "file",
                        path,
                        self.files.iter().map(|f| f.value.path.as_str()).collect(),
                    ),
                    Target::Component { source, says } => self.made_from(source, *says),
                    Target::Path(path) => {
                        let what = format!("{} `{}`", T::WHAT, item.value.name());
                        self.take(path, what, &link.place)
                    }
                };
                self.problems.extend(kind.map(|kind| Problem {
                    kind,
                    place: Some(link.place.clone()),
                }));
            }
        }
    }

    fn snapshot(&self, name: &str) -> Option<ProblemKind> {
        match self.modules.iter().find(|m| m.value.name == name) {
            None => unknown("module", name, self.module_names()),
            Some(module) => module
                .value
                .snapshot
                .is_none()
                .then_some(ProblemKind::Keys {
                    message: "a module without a snapshot: nothing can be preloaded into it",
                }),
        }
    }

    fn in_tree(&self, path: &str) -> Option<ProblemKind> {
        let holds = |mount: &str| {
            let rest = path.strip_prefix(mount);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let found = self.trees.iter().any(|tree| holds(&tree.value.mount));
        (!found).then(|| ProblemKind::BadPath {
            path: path.to_owned(),
            wanted: "a folder in a read-only tree",
            why: "no `[[tree]]` is mounted there or above it",
        })
    }

    fn module_names(&self) -> Vec<&'a str> {
        self.modules.iter().map(|m| m.value.name()).collect()
    }

    fn source(&self, id: &str, inside: bool) -> Option<ProblemKind> {
        let Some(source) = self.sources.iter().find(|s| s.value.id == id) else {
            let known = self.sources.iter().map(|s| s.value.id.as_str()).collect();
            return unknown("source", id, known);
        };
        if inside && matches!(source.value.url, SourceUrl::CargoLock { .. }) {
            return None;
        }
        (inside && !source.value.extract).then_some(ProblemKind::Keys {
            message: "a path in a source that is not unpacked: set `extract = true` there",
        })
    }

    /// A component's source. What a recipe says of a source package could be wrong, and was.
    fn made_from(&self, id: &str, says: bool) -> Option<ProblemKind> {
        let Some(source) = self.sources.iter().find(|s| s.value.id == id) else {
            return self.source(id, false);
        };
        if says && matches!(source.value.url, SourceUrl::DebianSource { .. }) {
            return Some(ProblemKind::Keys {
                message: "version and package URL of a `debian-source:` are those of the lock \
                          file: remove `version` and `purl` here",
            });
        }
        (!says
            && matches!(
                source.value.url,
                SourceUrl::Https { .. } | SourceUrl::Path { .. } | SourceUrl::CargoLock { .. }
            ))
        .then_some(ProblemKind::Keys {
            message: "a source without a version: give the component one, `version = \"…\"`",
        })
    }

    fn output(&self, step: &str, output: &str) -> Option<ProblemKind> {
        match self.builds.iter().find(|b| b.value.id == step) {
            Some(build) => {
                let outputs = &build.value.outputs;
                if outputs.iter().any(|known| known.holds(output)) {
                    return None;
                }
                unknown(
                    "output",
                    output,
                    outputs.iter().map(|o| o.path.as_str()).collect(),
                )
            }
            None => {
                let steps = self.builds.iter().map(|b| b.value.id.as_str()).collect();
                unknown("build step", step, steps)
            }
        }
    }

    fn take(&mut self, path: &'a str, what: String, place: &'a Place) -> Option<ProblemKind> {
        if let Some((other, first)) = self.taken.get(path) {
            return Some(ProblemKind::PathClash {
                path: path.to_owned(),
                what,
                other: other.clone(),
                first: (*first).clone(),
            });
        }
        self.taken.insert(path, (what, place));
        None
    }
}

fn unknown(what: &'static str, name: &str, known: Vec<&str>) -> Option<ProblemKind> {
    (!known.contains(&name)).then(|| ProblemKind::UnknownReference {
        what,
        name: name.to_owned(),
        nearest: nearest(name, known.iter().copied()),
        known: known.into_iter().map(Into::into).collect(),
    })
}

/// Build steps, each with what its toolchain brings; the step's own word counts.
fn with_toolchains(mut builds: Vec<Item<Build>>, known: &[Item<Toolchain>]) -> Vec<Item<Build>> {
    for item in &mut builds {
        // Most steps have one. What an earlier one says counts.
        let named = item.links.iter().filter_map(|link| match &link.target {
            Target::Toolchain(name) => known.iter().find(|t| t.value.name == *name),
            _ => None,
        });
        let step = &mut item.value;
        for toolchain in named {
            let toolchain = &toolchain.value;
            let mut tools = toolchain.tools.clone();
            tools.extend(
                step.tools
                    .drain(..)
                    .filter(|t| !toolchain.tools.contains(t)),
            );
            step.tools = tools;
            for (name, value) in &toolchain.env {
                step.env.entry(name.clone()).or_insert(value.clone());
            }
            for (path, reference) in &toolchain.inputs {
                step.inputs.entry(path.clone()).or_insert(reference.clone());
            }
        }
    }
    builds
}

/// Build steps, each after those whose outputs it reads.
fn in_order(mut left: Vec<Item<Build>>, problems: &mut Vec<Problem>) -> Vec<Build> {
    let mut done: Vec<Build> = Vec::new();
    while !left.is_empty() {
        let ready = left.iter().position(|item| {
            let waits = |r: &Ref| {
                matches!(r, Ref::Build { step, .. }
                if left.iter().any(|other| other.value.id == *step))
            };
            !item.value.inputs.values().any(waits)
        });
        match ready {
            Some(at) => done.push(left.remove(at).value),
            None => {
                problems.push(circle(&left));
                return done;
            }
        }
    }
    done
}

/// Describes a circle among steps that all wait for one another.
fn circle(left: &[Item<Build>]) -> Problem {
    let next = |item: &Item<Build>| {
        item.value.inputs.values().find_map(|r| match r {
            Ref::Build { step, .. } => left.iter().find(|other| other.value.id == *step),
            _ => None,
        })
    };
    let mut chain: Vec<&Item<Build>> = left.first().into_iter().collect();
    while let Some(item) = chain.last().copied().and_then(next) {
        let seen = chain.iter().position(|i| i.value.id == item.value.id);
        chain.push(item);
        if let Some(start) = seen {
            chain.drain(..start);
            break;
        }
    }
    let names: Vec<_> = chain.iter().map(|i| i.value.id.as_str()).collect();
    Problem {
        kind: ProblemKind::BuildCycle {
            chain: names.join(" → "),
        },
        place: chain.first().map(|i| i.place.clone()),
    }
}
