//! Follows `from` and `uses`, and merges what they lead to.
//!
//! The rules, which `docs/recipe-reference.md` repeats for users:
//!
//! - What has a name (sources, steps, toolchains, modules, preloads by their module, programs, files, trees, components) is inherited;
//!   a declaration of the recipe itself replaces an inherited one of the same name whole. Two
//!   inherited ones of the same name are a problem.
//! - Name, version, kind, description, image name and tag are a recipe's own.
//! - `image.env` and `image.labels` are merged by key, `expose`, `volumes` and the policy's lists
//!   are united, every other setting is replaced. Setting `entrypoint` drops an inherited `cmd`.
//! - Of a used recipe only `env` is taken from its image settings: it has no others.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use miette::NamedSource;

use super::{
    find::{Found, Search, find},
    layer::{self, ImageLayer, Layer, PolicyLayer, PythonLayer},
    lower, parse,
};
use crate::{
    Extension, Kind, Offered, Part, Place, Shelf, Used, WantedPackages,
    error::{Problem, ProblemKind},
    written::{At, RecipeTable},
};

/// Reads recipes.
pub(super) struct Loader<'a> {
    /// Where names lead that no folder has.
    shelf: &'a dyn Shelf,
    /// Canonical paths of the recipes being read, outermost first, with the names to show.
    stack: Vec<(PathBuf, PathBuf)>,
    pub(super) parts: Vec<Part>,
    pub(super) problems: Vec<Problem>,
}

impl Loader<'_> {
    pub(super) fn new(shelf: &dyn Shelf) -> Loader<'_> {
        Loader {
            shelf,
            stack: Vec::new(),
            parts: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn fail(&mut self, kind: ProblemKind, place: Option<&Place>) {
        self.problems.push(Problem {
            kind,
            place: place.cloned(),
        });
    }

    /// Reads one recipe with all that is under it. `None` when something is too wrong to go on;
    /// there is a problem then. `place` is what led here.
    pub(super) fn layer(&mut self, path: &Path, place: Option<&Place>) -> Option<Layer> {
        let read = std::fs::canonicalize(path)
            .and_then(|canonical| Ok((canonical, std::fs::read_to_string(path)?)));
        let (canonical, text) = match read {
            Ok(read) => read,
            Err(error) => {
                let path = path.into();
                self.fail(ProblemKind::Read { path, error }, place);
                return None;
            }
        };
        if let Some(start) = self.stack.iter().position(|(c, _)| *c == canonical) {
            let files = self.stack.iter().skip(start).map(|(_, shown)| shown);
            let chain: Vec<_> = files
                .chain([&path.to_owned()])
                .map(|p| p.display().to_string())
                .collect();
            let chain = chain.join(" → ");
            self.fail(ProblemKind::Cycle { chain }, place);
            return None;
        }
        let known = self.parts.iter().position(|part| part.is_at(&canonical));
        let part = known.unwrap_or_else(|| {
            self.parts.push(Part::new(path, &canonical, &text));
            self.parts.len() - 1
        });
        let text = Arc::new(NamedSource::new(path.display().to_string(), text));
        let file = match parse::parse(&text) {
            Ok(file) => file,
            Err(problems) => {
                self.problems.extend(problems);
                return None;
            }
        };
        let dir = path.parent().unwrap_or(Path::new(""));
        let mut own = lower::lower(&file, &text, dir, &mut self.problems);
        self.stack.push((canonical, path.into()));
        let under = self.under(&file.recipe, &own, dir);
        self.stack.pop();
        let mut under = under?;
        if let (None, Some(part)) = (known, self.parts.get_mut(part)) {
            let sources = own.sources.iter().map(|item| item.value.clone());
            part.declares(sources.collect(), std::mem::take(&mut own.locals));
            part.used = std::mem::take(&mut under.used);
        }
        let had = std::mem::take(&mut under.had);
        put_over(&mut own, under);
        let extensions: Vec<&Extension> = own.extensions.iter().map(|item| &item.value).collect();
        // What is new here is installed, and with it what it requires.
        let mut requirements = own.python.requirements.clone();
        if own.python.wheels.is_none() {
            let new = extensions.iter().filter(|e| !had.contains(&e.name));
            requirements.extend(new.map(|e| format!("{}=={}", e.name, e.version)));
        }
        if let (None, Some(part)) = (known, self.parts.get_mut(part))
            && !requirements.is_empty()
        {
            part.packages = own.python.python().map(|python| WantedPackages {
                python,
                requirements,
                extensions: extensions.into_iter().map(Offered::of).collect(),
            });
        }
        Some(own)
    }

    /// What a recipe inherits: its parent, and beside that the recipes that it uses.
    fn under(&mut self, table: &RecipeTable, own: &Layer, dir: &Path) -> Option<Under> {
        let mut under = Under::default();
        if let Some(from) = &table.from {
            let (parent, pin) = self.follow(from, own, dir, Search::From)?;
            under.used.push(pin);
            under.image = parent.image.clone();
            under.policy = parent.policy.clone();
            under.had = parent
                .extensions
                .iter()
                .map(|e| e.value.name.clone())
                .collect();
            under.add(parent, &mut self.problems);
        }
        for used in &table.uses {
            let (layer, pin) = self.follow(used, own, dir, Search::Uses)?;
            under.used.push(pin);
            if matches!(layer.kind, Kind::Image | Kind::App) {
                let place = Place::new(&own.place.text, used.span.clone());
                let message = "`uses` takes runtimes, libraries and tools; an image is extended \
                               with `from`";
                self.fail(ProblemKind::Keys { message }, Some(&place));
            }
            self.add_env(&mut under.image, &layer.image, own);
            under.add(layer, &mut self.problems);
        }
        for known in &own.known {
            let (layer, pin) = self.follow(&known.recipe, own, dir, Search::Uses)?;
            under.used.push(pin);
            let place = Place::new(&own.place.text, known.recipe.span.clone());
            let mut there = layer.extensions.iter().map(|item| &item.value);
            match there.find(|extension| extension.name == known.name) {
                Some(extension) if extension.version == known.version => {}
                found => {
                    let name = known.name.clone();
                    let known = found.map(|found| found.version.clone());
                    self.fail(ProblemKind::ExtensionVersion { name, known }, Some(&place));
                }
            }
            under.add(layer, &mut self.problems);
        }
        Some(under)
    }

    /// The layer of a recipe that `at` names, and what a lock file has to say of that recipe.
    fn follow(
        &mut self,
        at: &At<String>,
        own: &Layer,
        dir: &Path,
        how: Search,
    ) -> Option<(Layer, Used)> {
        let place = Place::new(&own.place.text, at.span.clone());
        match find(dir, &at.value, how, self.shelf) {
            Ok(Found { path, on_shelf }) => {
                let layer = self.layer(&path, Some(&place))?;
                // It was read just now: neither of these fails unless it is removed meanwhile.
                let canonical = std::fs::canonicalize(&path);
                let part = canonical.and_then(|canonical| {
                    let mut parts = self.parts.iter();
                    let found = parts.find(|part| part.is_at(&canonical));
                    found.ok_or_else(|| std::io::ErrorKind::NotFound.into())
                });
                match part {
                    Ok(part) => Some((layer, Used::new(dir, &path, on_shelf, part))),
                    Err(error) => {
                        self.fail(ProblemKind::Read { path, error }, Some(&place));
                        None
                    }
                }
            }
            Err(kind) => {
                self.fail(kind, Some(&place));
                None
            }
        }
    }

    /// Adds the environment of a used recipe to what is inherited.
    fn add_env(&mut self, under: &mut ImageLayer, used: &ImageLayer, own: &Layer) {
        for (name, (value, place)) in &used.env {
            match under.env.get(name) {
                Some((first, at)) if first != value && !own.image.env.contains_key(name) => {
                    let first = (first.clone(), at.clone());
                    let name = name.clone();
                    self.fail(ProblemKind::Conflict { name, first }, Some(place));
                }
                _ => {
                    under
                        .env
                        .insert(name.clone(), (value.clone(), place.clone()));
                }
            }
        }
    }
}

/// Puts a recipe's own declarations over what it inherits.
fn put_over(own: &mut Layer, under: Under) {
    /// The inherited list with the own one over it.
    macro_rules! over {
            ($($field:ident)*) => { $(
                let mut merged = under.$field;
                layer::replace(&mut merged, std::mem::take(&mut own.$field));
                own.$field = merged;
            )* };
        }
    over!(sources builds toolchains modules preloads programs files trees components extensions);
    own.python = std::mem::take(&mut own.python).over(under.python);
    own.image = image_over(std::mem::take(&mut own.image), under.image);
    own.policy = policy_over(std::mem::take(&mut own.policy), under.policy);
}

/// Everything that a recipe inherits.
#[derive(Default)]
struct Under {
    sources: Vec<layer::Item<crate::Source>>,
    builds: Vec<layer::Item<crate::Build>>,
    toolchains: Vec<layer::Item<crate::Toolchain>>,
    modules: Vec<layer::Item<crate::Module>>,
    preloads: Vec<layer::Item<crate::Preload>>,
    programs: Vec<layer::Item<crate::Program>>,
    files: Vec<layer::Item<crate::ImageFile>>,
    trees: Vec<layer::Item<crate::Tree>>,
    components: Vec<layer::Item<crate::Component>>,
    extensions: Vec<layer::Item<Extension>>,
    /// Names of the extensions that the recipe in `from` has.
    had: Vec<String>,
    python: PythonLayer,
    image: ImageLayer,
    policy: PolicyLayer,
    /// The recipes themselves.
    used: Vec<Used>,
}

impl Under {
    fn add(&mut self, layer: Layer, problems: &mut Vec<Problem>) {
        layer::add(&mut self.sources, layer.sources, problems);
        layer::add(&mut self.builds, layer.builds, problems);
        layer::add(&mut self.toolchains, layer.toolchains, problems);
        layer::add(&mut self.modules, layer.modules, problems);
        layer::add(&mut self.preloads, layer.preloads, problems);
        layer::add(&mut self.programs, layer.programs, problems);
        layer::add(&mut self.files, layer.files, problems);
        layer::add(&mut self.trees, layer.trees, problems);
        layer::add(&mut self.components, layer.components, problems);
        layer::add(&mut self.extensions, layer.extensions, problems);
        self.python = std::mem::take(&mut self.python).over(layer.python);
    }
}

fn image_over(own: ImageLayer, under: ImageLayer) -> ImageLayer {
    let inherited_cmd = match own.entrypoint {
        Some(_) => None,
        None => under.cmd,
    };
    let mut env = under.env;
    env.extend(own.env);
    let mut labels = under.labels;
    labels.extend(own.labels);
    ImageLayer {
        name: own.name,
        tag: own.tag,
        env,
        entrypoint: own.entrypoint.or(under.entrypoint),
        cmd: own.cmd.or(inherited_cmd),
        user: own.user.or(under.user),
        workdir: own.workdir.or(under.workdir),
        labels,
        expose: united(under.expose, own.expose),
        volumes: united(under.volumes, own.volumes),
        stop_signal: own.stop_signal.or(under.stop_signal),
    }
}

fn policy_over(own: PolicyLayer, under: PolicyLayer) -> PolicyLayer {
    PolicyLayer {
        limits: own.limits.or(&under.limits),
        network: own.network.or(under.network),
        read_only_root: own.read_only_root.or(under.read_only_root),
        read_only: united(under.read_only, own.read_only),
        hidden: united(under.hidden, own.hidden),
    }
}

fn united(mut a: Vec<String>, b: Vec<String>) -> Vec<String> {
    for item in b {
        if !a.contains(&item) {
            a.push(item);
        }
    }
    a
}
