//! `RecipeFile` to `Layer`: the identity, sources, steps, modules and programs, and the tools to
//! lower any value with its place. Files, trees and settings are in `content`.

use std::{collections::BTreeMap, path::Path};

use megabinary_format::Digest;

use super::layer::{Item, Layer, Link, Target};
use crate::{
    Build, Command, Entry, Graft, Kind, LocalPath, Module, Output, Place, Preload, Program, Ref,
    Series, Snapshot, Source, SourceUrl, Toolchain,
    error::{Problem, ProblemKind},
    place::SourceText,
    value,
    written::{
        At, BuildTable, GraftTable, ModuleTable, PreloadTable, ProgramTable, RecipeFile,
        SeriesChoice, SourceTable, ToolchainTable,
    },
};

/// Lowers one file. Bad values are reported and stand in the result as written; it is not used
/// further then.
pub(super) fn lower(
    file: &RecipeFile,
    text: &SourceText,
    dir: &Path,
    problems: &mut Vec<Problem>,
) -> Layer {
    let mut lower = Lower {
        text,
        dir,
        problems,
        links: Vec::new(),
        locals: Vec::new(),
    };
    let mut layer = lower.layer(file);
    layer.locals = lower.locals;
    layer
}

pub(super) struct Lower<'a> {
    text: &'a SourceText,
    /// Folder of the file, to which its paths are relative.
    dir: &'a Path,
    pub(super) problems: &'a mut Vec<Problem>,
    /// Links of the item being lowered.
    pub(super) links: Vec<Link>,
    /// Files of the machine that were met.
    locals: Vec<LocalPath>,
}

const NAME: &str = "a name: letters, digits and `._+-`";

impl Lower<'_> {
    fn layer(&mut self, file: &RecipeFile) -> Layer {
        let recipe = &file.recipe;
        let name_ok = recipe.name.value.split('/').all(value::is_name);
        self.want(name_ok, &recipe.name, "a name: letters, digits and `._+-/`");
        self.want(
            value::is_name(&recipe.version.value),
            &recipe.version,
            "a version",
        );
        let whole = matches!(recipe.kind, Kind::Image | Kind::App);
        if let (Some(policy), false) = (&file.policy, whole) {
            let message = "`[policy]` belongs in recipes of kind `image` and `app`";
            self.fail(&policy.span, ProblemKind::Keys { message });
        }
        let extensions = self.extensions(&file.extension);
        let mut layer = Layer {
            place: self.place(&recipe.name.span),
            name: recipe.name.value.clone(),
            version: recipe.version.value.clone(),
            description: recipe.description.clone(),
            kind: recipe.kind,
            sources: self.items(&file.source, |l, t| (l.source(t), t.id.span.clone())),
            builds: self.items(&file.build, |l, t| (l.build(t), t.id.span.clone())),
            toolchains: self.items(&file.toolchain, |l, t| {
                (l.toolchain(t), t.name.span.clone())
            }),
            modules: self.items(&file.module, |l, t| (l.module(t), t.name.span.clone())),
            preloads: self.items(&file.preload, |l, t| (l.preload(t), t.module.span.clone())),
            programs: self.items(&file.program, |l, t| (l.program(t), t.name.span.clone())),
            files: self.items(&file.file, |l, t| (l.file(t), t.path.span.clone())),
            trees: self.items(&file.tree, |l, t| (l.tree(t), t.mount.span.clone())),
            components: self.items(&file.component, |l, t| {
                (l.component(t), t.name.span.clone())
            }),
            python: self.python(file.python.as_ref()),
            image: self.image(file.image.as_ref(), whole),
            policy: self.policy(file.policy.as_ref()),
            extensions: extensions.extensions,
            known: extensions.known,
            locals: Vec::new(),
        };
        super::layer::add(&mut layer.sources, extensions.sources, self.problems);
        super::layer::add(&mut layer.builds, extensions.builds, self.problems);
        super::layer::add(&mut layer.components, extensions.components, self.problems);
        layer
    }

    /// Lowers the tables of one kind; two of the same name in one file are a problem.
    fn items<T, U: super::layer::Named>(
        &mut self,
        tables: &[At<T>],
        lower: impl Fn(&mut Self, &T) -> (U, std::ops::Range<usize>),
    ) -> Vec<Item<U>> {
        let mut items = Vec::new();
        for table in tables {
            let (value, span) = lower(self, &table.value);
            let item = Item {
                value,
                place: self.place(&span),
                links: std::mem::take(&mut self.links),
            };
            super::layer::add(&mut items, vec![item], self.problems);
        }
        items
    }

    pub(super) fn place(&self, span: &std::ops::Range<usize>) -> Place {
        Place::new(self.text, span.clone())
    }

    pub(super) fn fail(&mut self, span: &std::ops::Range<usize>, kind: ProblemKind) {
        let place = Some(self.place(span));
        self.problems.push(Problem { kind, place });
    }

    /// Reports a value that is not what is wanted.
    pub(super) fn want(&mut self, ok: bool, at: &At<String>, wanted: &'static str) {
        if !ok {
            let value = at.value.clone();
            self.fail(&at.span, ProblemKind::BadValue { value, wanted });
        }
    }

    pub(super) fn link(&mut self, at: &At<String>, target: Target) {
        let place = self.place(&at.span);
        self.links.push(Link { place, target });
    }

    pub(super) fn name(&mut self, at: &At<String>) -> String {
        self.want(value::is_name(&at.value), at, NAME);
        at.value.clone()
    }

    /// An absolute path in the image.
    pub(super) fn image_path(&mut self, at: &At<String>) -> String {
        self.path(at, "a path in the image", value::image_path(&at.value))
    }

    /// A relative path below a folder.
    pub(super) fn relative_path(&mut self, at: &At<String>, wanted: &'static str) -> String {
        self.path(at, wanted, value::relative_path(&at.value))
    }

    fn path(
        &mut self,
        at: &At<String>,
        wanted: &'static str,
        checked: Result<(), &'static str>,
    ) -> String {
        if let Err(why) = checked {
            let path = at.value.clone();
            self.fail(&at.span, ProblemKind::BadPath { path, wanted, why });
        }
        at.value.clone()
    }

    /// A file or folder of the machine, which must exist.
    pub(super) fn local(&mut self, at: &At<String>, path: &str) -> LocalPath {
        let shown = value::normalise(&self.dir.join(path));
        if path.is_empty() || Path::new(path).is_absolute() {
            let kind = ProblemKind::BadPath {
                path: path.to_owned(),
                wanted: "a path relative to the recipe",
                why: match path.is_empty() {
                    true => "it names no file",
                    false => "it is absolute, so that it would mean nothing on another machine",
                },
            };
            self.fail(&at.span, kind);
        } else if let Some(trouble) = crate::trouble(&shown) {
            let kind = ProblemKind::MissingFile {
                path: shown.clone(),
                trouble,
            };
            self.fail(&at.span, kind);
        }
        let absolute = value::absolute;
        let name = value::relative_to(&absolute(self.dir), &absolute(&shown));
        let local = LocalPath {
            name: name.to_string_lossy().into_owned(),
            path: absolute(&shown),
        };
        self.locals.push(local.clone());
        local
    }

    /// `ID`, `ID:PATH`, `build:STEP/OUTPUT` or `path:PATH`.
    pub(super) fn reference(&mut self, at: &At<String>) -> Ref {
        let (head, tail) = match at.value.split_once(':') {
            Some((head, tail)) => (head, Some(tail)),
            None => (at.value.as_str(), None),
        };
        match (head, tail) {
            ("path", Some(path)) => Ref::Local(self.local(at, path)),
            ("build", Some(output)) => {
                let (step, output) = output.split_once('/').unwrap_or((output, ""));
                // An empty one is an output that the step does not have: that is said later.
                if !output.is_empty()
                    && let Err(why) = value::relative_path(output)
                {
                    let (path, wanted) = (output.to_owned(), "an output of a build step");
                    self.fail(&at.span, ProblemKind::BadPath { path, wanted, why });
                }
                let (step, output) = (step.to_owned(), output.to_owned());
                let link = Target::Build {
                    step: step.clone(),
                    output: output.clone(),
                };
                self.link(at, link);
                Ref::Build { step, output }
            }
            (id, path) => {
                if let Some(Err(why)) = path.map(value::relative_path) {
                    let path = path.unwrap_or_default().to_owned();
                    let wanted = "a path in a source";
                    self.fail(&at.span, ProblemKind::BadPath { path, wanted, why });
                }
                let link = Target::Source {
                    id: id.to_owned(),
                    inside: path.is_some(),
                };
                self.link(at, link);
                Ref::Source {
                    id: id.to_owned(),
                    path: path.map(Into::into),
                }
            }
        }
    }

    fn source(&mut self, table: &SourceTable) -> Source {
        let id = self.name(&table.id);
        let free = id != "path" && id != "build";
        self.want(
            free,
            &table.id,
            "free to be an id: references begin with it",
        );
        let url = table.url.value.parse().unwrap_or_else(|error| {
            let url = table.url.value.clone();
            self.fail(&table.url.span, ProblemKind::BadUrl { url, error });
            SourceUrl::Path {
                path: String::new(),
            }
        });
        let local = match &url {
            SourceUrl::Path { path } if !path.is_empty() => Some(self.local(&table.url, path)),
            _ => None,
        };
        let sha256 = table
            .sha256
            .as_ref()
            .and_then(|at| match Digest::from_either(&at.value) {
                Ok(digest) => Some(digest),
                Err(error) => {
                    let text = at.value.clone();
                    self.fail(&at.span, ProblemKind::BadDigest { text, error });
                    None
                }
            });
        if matches!(url, SourceUrl::Https { .. }) && table.sha256.is_none() {
            self.fail(&table.url.span, ProblemKind::MissingDigest);
        }
        let extract = table.extract.unwrap_or(url.extract_by_default());
        if let (Some(first), false) = (table.patches.first(), extract) {
            let message = "only a source that is unpacked can be patched";
            self.fail(&first.span, ProblemKind::Keys { message });
        }
        let strip_components = table.strip_components.unwrap_or(url.strip_by_default());
        let patches = table.patches.iter().map(|at| self.patch(at)).collect();
        let series = self.series(table, &url, extract);
        Source {
            id,
            local,
            sha256,
            extract,
            strip_components,
            patches,
            series,
            url,
        }
    }

    fn series(&mut self, table: &SourceTable, url: &SourceUrl, extract: bool) -> Option<Series> {
        let (choice, reason) = (table.series.as_ref(), table.series_reason.as_ref());
        if !matches!(url, SourceUrl::DebianSource { .. }) {
            let first = choice.map(|at| &at.span).or(reason.map(|at| &at.span));
            if let Some(span) = first {
                let message = "only a `debian-source:` has a series of patches";
                self.fail(span, ProblemKind::Keys { message });
            }
            return None;
        }
        match (choice.map(|at| at.value), reason) {
            (Some(SeriesChoice::None), Some(reason)) => {
                let text = reason.value.trim();
                self.want(
                    !text.is_empty() && !text.contains(char::is_control),
                    reason,
                    "a reason: one line of text",
                );
                Some(Series::None(text.to_owned()))
            }
            (Some(SeriesChoice::None), None) => {
                let message = "a source without the distribution's patches says why: add \
                               `series-reason = \"…\"`";
                let span = choice.map_or(table.url.span.clone(), |at| at.span.clone());
                self.fail(&span, ProblemKind::Keys { message });
                None
            }
            (_, Some(reason)) => {
                let message =
                    "`series-reason` says why `series = \"none\"`, which is not said here";
                self.fail(&reason.span, ProblemKind::Keys { message });
                None
            }
            (_, None) => {
                if !extract {
                    let message = "a source package is several files: unpack it, or take the \
                                   upstream archive alone with `series = \"none\"`";
                    self.fail(&table.url.span, ProblemKind::Keys { message });
                }
                Some(Series::Applied)
            }
        }
    }

    pub(super) fn patch(&mut self, at: &At<String>) -> LocalPath {
        let path = at.value.strip_prefix("path:");
        self.want(
            path.is_some(),
            at,
            "a `path:` reference, which a patch has to be",
        );
        self.local(at, path.unwrap_or(&at.value))
    }

    fn build(&mut self, table: &BuildTable) -> Build {
        let command = match (&table.run, &table.script) {
            (Some(run), None) => {
                if run.value.first().is_none_or(String::is_empty) {
                    let message = "`run` begins with the name of a command";
                    self.fail(&run.span, ProblemKind::Keys { message });
                }
                Command::Run(run.value.clone())
            }
            (None, Some(script)) => Command::Script(script.value.clone()),
            _ => {
                let message = "a build step has either `run` or `script`";
                self.fail(&table.id.span, ProblemKind::Keys { message });
                Command::Run(Vec::new())
            }
        };
        let sets = table.tool_sets.iter().flat_map(|set| set.commands());
        let mut tools: Vec<String> = sets.map(|&tool| tool.to_owned()).collect();
        for tool in &table.tools {
            let tool = self.name(tool);
            if !tools.contains(&tool) {
                tools.push(tool);
            }
        }
        if let Some(at) = &table.toolchain {
            self.link(at, Target::Toolchain(at.value.clone()));
        }
        let outputs = table.outputs.iter();
        Build {
            id: self.name(&table.id),
            command,
            env: self.env(&table.env),
            tools,
            inputs: self.inputs(&table.inputs),
            outputs: outputs.map(|at| self.output(at)).collect(),
        }
    }

    pub(super) fn inputs(
        &mut self,
        written: &BTreeMap<At<String>, At<String>>,
    ) -> BTreeMap<String, Ref> {
        let inputs = written.iter();
        inputs
            .map(|(to, from)| {
                let to = self.relative_path(to, "a path in the step's folder");
                (to, self.reference(from))
            })
            .collect()
    }

    fn toolchain(&mut self, table: &ToolchainTable) -> Toolchain {
        Toolchain {
            name: self.name(&table.name),
            tools: table.tools.iter().map(|t| self.name(t)).collect(),
            env: self.env(&table.env),
            inputs: self.inputs(&table.inputs),
        }
    }

    /// A path in the step's folder; a `/` at its end says that it is a folder.
    fn output(&mut self, at: &At<String>) -> Output {
        let (path, folder) = match at.value.strip_suffix('/') {
            Some(path) => (path, true),
            None => (at.value.as_str(), false),
        };
        let checked = value::relative_path(path);
        self.path(at, "a path in the step's folder", checked);
        Output {
            path: path.to_owned(),
            folder,
        }
    }

    fn seen_files(&mut self, paths: &[At<String>]) -> Vec<String> {
        for path in paths {
            self.link(path, Target::File(path.value.clone()));
        }
        paths.iter().map(|path| path.value.clone()).collect()
    }

    fn module(&mut self, table: &ModuleTable) -> Module {
        let snapshot = table.snapshot.as_ref().map(|at| Snapshot {
            env: self.env(&at.value.env),
            args: at.value.args.clone(),
            time: at.value.time.as_ref().map(|t| t.value),
            files: self.seen_files(&at.value.files),
            preload: None,
        });
        let embedded_zip = table.embedded_zip.as_ref().map(|at| {
            self.link(at, Target::Path(at.value.clone()));
            self.image_path(at)
        });
        Module {
            name: self.name(&table.name),
            file: self.reference(&table.file),
            graft: table.graft.iter().map(|g| self.graft(&g.value)).collect(),
            embedded_zip,
            snapshot,
        }
    }

    fn preload(&mut self, table: &PreloadTable) -> Preload {
        let module = table.module.value.clone();
        self.link(&table.module, Target::Snapshot(module.clone()));
        if table.names.is_empty() {
            let message = "`names` has one name at least";
            self.fail(&table.module.span, ProblemKind::Keys { message });
        }
        for name in &table.names {
            let plain = !name.value.is_empty() && !name.value.contains(|c: char| c <= ' ');
            self.want(
                plain,
                name,
                "a name of the runtime's language, without blanks",
            );
        }
        let mut path = Vec::new();
        for at in &table.path {
            self.want(!at.value.contains(':'), at, "a folder: it has a `:`");
            self.link(at, Target::InTree(at.value.clone()));
            path.push(self.image_path(at));
        }
        Preload {
            module,
            names: table.names.iter().map(|n| n.value.clone()).collect(),
            path,
        }
    }

    fn graft(&mut self, table: &GraftTable) -> Graft {
        let data = table.data.iter();
        Graft {
            file: self.reference(&table.file),
            data: data
                .map(|(name, from)| (name.value.clone(), self.reference(from)))
                .collect(),
        }
    }

    fn program(&mut self, table: &ProgramTable) -> Program {
        let entry = match (&table.module, table.kind.is_module()) {
            (Some(module), true) => {
                self.link(module, Target::Module(module.value.clone()));
                Entry::Module(module.value.clone())
            }
            (None, false) => Entry::Env,
            (None, true) => {
                let message = "a program names its `module`";
                self.fail(&table.name.span, ProblemKind::Keys { message });
                Entry::Env
            }
            (Some(module), false) => {
                let message = "a program of kind `env` has no module";
                self.fail(&module.span, ProblemKind::Keys { message });
                Entry::Env
            }
        };
        if table.paths.is_empty() {
            let message = "a program is installed at one path at least";
            self.fail(&table.name.span, ProblemKind::Keys { message });
        }
        for arg in &table.args {
            self.want(!arg.value.contains('\0'), arg, "an argument: it has a NUL");
        }
        let mut paths = Vec::new();
        for at in &table.paths {
            self.link(at, Target::Path(at.value.clone()));
            paths.push(self.image_path(at));
        }
        Program {
            name: self.name(&table.name),
            entry,
            args: table.args.iter().map(|a| a.value.clone()).collect(),
            paths,
        }
    }
}
