//! Pass: the `.py` files of packages, and of the folders that the recipe names, compiled by the image's own
//! Python, which runs confined as programs at their snapshot points do.
//!
//! What is compiled is not compared with its source at run time ("unchecked hash"): no times are in it, so
//! that every build makes the same, and an import reads one file.
//!
//! Invariant: what is compiled depends on the interpreter, its own files (those of the image below its
//! prefix) and the files that are compiled. Changing an app's files compiles no package again.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use megabinary_linker::{Keys, LinkedModule, Megabinary, PlannedModule};
use polybuild_recipe::{Entry, ImageFile, Program, Python, Recipe};
use walkdir::WalkDir;

use super::{
    super::{
        Context, cached, code,
        copy::{beneath, copy},
        inputs::Inputs,
        modules::EmbeddedFile,
        pack, plan,
        root::{identity, put},
    },
    Packages,
};
use crate::{
    confine::{self, Job, Words},
    exit,
    failure::{Failure, IoContext, Result},
    files,
    scratch::Scratch,
};

/// What the interpreter runs.
const SCRIPT: &str = include_str!("compile.py");

/// Folders with what was compiled, to be laid over the image's root.
#[derive(Default)]
pub(in super::super) struct Compiled {
    /// Of packages.
    pub(in super::super) packages: Option<PathBuf>,
    /// Of the folders that the recipe names.
    pub(in super::super) folders: Option<PathBuf>,
}

/// The interpreter of the image, and the module that it runs.
pub(in super::super) struct Interpreter {
    python: Python,
    program: Program,
    module: PlannedModule,
    /// Shared libraries, of which it may use some.
    libraries: Vec<PlannedModule>,
}

/// The interpreter, if something is to be compiled.
pub(in super::super) fn interpreter(
    recipe: &Recipe,
    modules: &[PlannedModule],
    packages: Option<&Packages>,
) -> Result<Option<Interpreter>> {
    let Some(python) = &recipe.python else {
        return Ok(None);
    };
    if packages.is_none() && python.compile.is_empty() {
        return Ok(None);
    }
    let path = python.interpreter();
    let program = recipe.programs.iter().find(|p| p.paths.contains(&path));
    let module = program.and_then(|program| match &program.entry {
        Entry::Module(name) => modules.iter().find(|m| m.name == *name),
        Entry::Env => None,
    });
    match (program, module) {
        (Some(program), Some(module)) => Ok(Some(Interpreter {
            python: python.clone(),
            program: program.clone(),
            module: PlannedModule {
                name: module.name.clone(),
                wasm: module.wasm.clone(),
            },
            libraries: modules
                .iter()
                .filter(|m| megabinary_linker::is_library(&m.wasm))
                .cloned()
                .collect(),
        })),
        // Whoever has packages without an interpreter gets them as they are.
        _ if python.compile.is_empty() => Ok(None),
        _ => Err(Failure::message(
            exit::RECIPE,
            format!(
                "`compile` in `[python]` needs the image's Python, and no program is at {path}"
            ),
        )
        .hint("inherit a recipe of Python with `from` or `uses`")),
    }
}

/// Compiles what there is to compile.
///
/// `made` is the image's megabinary with its code, in which the interpreter's code is.
pub(in super::super) fn compile(
    cx: &Context<'_>,
    recipe: &Recipe,
    interpreter: &Interpreter,
    made: (&Megabinary, &[Vec<u8>]),
    packages: Option<&Packages>,
    inputs: &Inputs,
    embedded: &[EmbeddedFile],
) -> Result<Compiled> {
    let python = &interpreter.python;
    let own: Vec<&ImageFile> = recipe
        .image_files
        .iter()
        .filter(|file| overlap(&python.prefix, &file.path))
        .collect();
    let run = Run {
        cx,
        interpreter,
        made,
        own: &own,
        inputs,
        embedded,
    };
    let packages = match packages {
        None => None,
        Some(packages) => {
            let identity = packages.identity.clone();
            let folders = [python.site_packages()];
            Some(run.compiled("Python packages", &folders, identity, |root| {
                copy(&packages.tree, root, Path::new(""))
            })?)
        }
    };
    let named: Vec<&ImageFile> = recipe
        .image_files
        .iter()
        .filter(|file| !own.iter().any(|own| own.path == file.path))
        .filter(|file| {
            python
                .compile
                .iter()
                .any(|folder| overlap(folder, &file.path))
        })
        .collect();
    let folders = match python.compile.is_empty() {
        true => None,
        false => {
            let identity = identity(&named, inputs)?;
            Some(run.compiled(
                &python.compile.join(", "),
                &python.compile,
                identity,
                |root| {
                    named
                        .iter()
                        .try_for_each(|file| put(file, inputs, root, false))
                },
            )?)
        }
    };
    Ok(Compiled { packages, folders })
}

/// Whether one of two absolute paths lies in the other.
fn overlap(a: &str, b: &str) -> bool {
    let inside = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|r| r.starts_with('/'));
    inside(a, b) || inside(b, a)
}

/// Folders of the folder in which the interpreter runs, as [`crate::confine`] wants them.
const WORK: &str = "work";
const BIN: &str = "bin";
const HOME: &str = "home";
const ROOT: &str = "root";

struct Run<'a> {
    cx: &'a Context<'a>,
    interpreter: &'a Interpreter,
    made: (&'a Megabinary, &'a [Vec<u8>]),
    /// The interpreter's own files.
    own: &'a [&'a ImageFile],
    inputs: &'a Inputs,
    embedded: &'a [EmbeddedFile],
}

impl Run<'_> {
    /// What the `.py` files in these folders are compiled to, once `fill` has put them into a root.
    fn compiled(
        &self,
        shown: &str,
        folders: &[String],
        identity_of_files: String,
        fill: impl Fn(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let cx = self.cx;
        let module = megabinary_format::Digest::of(&self.interpreter.module.wasm).to_string();
        let mut parts = vec![
            "compiled Python 1".to_owned(),
            SCRIPT.to_owned(),
            module,
            code::fingerprint(cx.target)?,
            identity(self.own, self.inputs)?,
            identity_of_files,
        ];
        parts.extend(self.interpreter.program.args.iter().cloned());
        parts.extend(folders.iter().cloned());
        for file in self.embedded {
            let digest = megabinary_format::Digest::of(&file.bytes);
            parts.push(format!("{} {digest}", file.path));
        }
        let key = cached::key(&parts.iter().map(String::as_str).collect::<Vec<_>>());
        let entry = cx.cache.join("compiled").join(key.hex());
        let what = "compiled Python";
        if !cx.rebuild
            && let Some(tree) = cached::get(cx.ui, &entry, what)
        {
            return Ok(tree);
        }
        let stage = cx.ui.stage("Precompiling", shown);
        let dir = Scratch::folder_in(&cx.cache.join("tmp"))?;
        let bin = dir.path().join(BIN);
        let root = dir.path().join(WORK).join(ROOT);
        for folder in [&bin, &root, &dir.path().join(HOME)] {
            fs::create_dir_all(folder).doing("creating", folder)?;
        }
        for file in self.own {
            put(file, self.inputs, &root, false)?;
        }
        for file in self.embedded {
            let to = root.join(file.path.trim_start_matches('/'));
            files::write_whole(&to, &file.bytes, 0o444)?;
        }
        fill(&root)?;
        self.pack(&bin.join("megabinary"))?;
        let job = Job {
            what: "the image's Python, which compiles modules,".to_owned(),
            folder: dir.path(),
            tools: &[],
            log: None,
            // The vkernel makes a root for it.
            nested: true,
            command: &|inside| self.words(inside, folders),
        };
        let ended = confine::run(cx.ui, cx.steps, &job)?;
        if !ended.well {
            return Err(Failure::message(
                exit::RECIPE,
                format!(
                    "the image's Python did not compile the modules of {} ({})\n{}{}",
                    folders.join(", "),
                    ended.how,
                    String::from_utf8_lossy(&ended.stdout),
                    String::from_utf8_lossy(&ended.stderr)
                ),
            ));
        }
        let said = String::from_utf8_lossy(&ended.stdout);
        let refused: Vec<&str> = said.lines().collect();
        if let Some(first) = refused.first() {
            cx.ui.warn(&format!(
                "{} Python files cannot be compiled and are left as they are, such as {first}",
                refused.len()
            ));
        }
        let tree = cached::tree(dir.path());
        fs::create_dir_all(&tree).doing("creating", &tree)?;
        let mut count = 0;
        for folder in folders {
            count += collect(&root, folder.trim_start_matches('/'), &tree)?;
        }
        if cx.rebuild {
            cached::set_aside(&entry, &dir.path().join("before"))?;
        }
        let tree = cached::put(cx.ui, dir.path(), &entry, what)?;
        stage.finish(&format!("{count} modules"));
        Ok(tree)
    }

    /// The interpreter by itself, without the image's policy: it has to write. Signed with a key that nobody
    /// keeps.
    fn pack(&self, to: &Path) -> Result<()> {
        let Interpreter {
            module, libraries, ..
        } = self.interpreter;
        let mut plan = plan::bare(&module.name, module.wasm.clone());
        plan.modules.extend(libraries.iter().cloned());
        let linked = megabinary_linker::link(plan).map_err(Failure::recipe)?;
        // A module's code is the same in both: it depends on nothing around it.
        let (image, code) = self.made;
        let known = |ours: &LinkedModule| {
            let mut all = image.modules().iter().zip(code);
            let found = all.find(|(known, _)| known.normalised == ours.normalised);
            found.map(|(_, code)| code.clone())
        };
        let known: Option<Vec<Vec<u8>>> = linked.modules().iter().map(known).collect();
        let code = match known {
            Some(code) => code,
            None => code::compile(self.cx, &linked)?,
        };
        let keys = Keys::generate().map_err(Failure::environment)?;
        let signed = pack(self.cx, &linked, &code, &keys)?;
        fs::write(to, signed.bytes())
            .and_then(|()| fs::set_permissions(to, fs::Permissions::from_mode(0o755)))
            .doing("writing", to)
    }

    /// The command, where the folder is `inside`.
    fn words(&self, inside: &Path, folders: &[String]) -> Words {
        let work = inside.join(WORK);
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut arguments: Vec<String> = vec!["--root".into(), text(&work.join(ROOT))];
        arguments.extend(["--entry".to_owned(), self.interpreter.module.name.clone()]);
        arguments.extend(["--arg0".to_owned(), self.interpreter.python.interpreter()]);
        // Sets are laid out by hashes, and constants may be sets.
        for variable in [
            "PYTHONHASHSEED=0",
            "PYTHONDONTWRITEBYTECODE=1",
            "LC_ALL=C.UTF-8",
        ] {
            arguments.extend(["--env".to_owned(), variable.to_owned()]);
        }
        arguments.extend(["--cwd".to_owned(), "/".to_owned(), "--".to_owned()]);
        arguments.extend(self.interpreter.program.args.clone());
        // Nothing but the library is imported: no `site`, nothing of the working directory.
        arguments.extend(["-S", "-P", "-c", SCRIPT].map(str::to_owned));
        arguments.extend(folders.iter().cloned());
        Words {
            program: inside.join(BIN).join("megabinary"),
            arguments,
            environment: BTreeMap::new(),
            directory: work,
        }
    }
}

/// Copies what was compiled in a folder of the root to the same place below `tree`; says how much it was.
fn collect(root: &Path, folder: &str, tree: &Path) -> Result<usize> {
    let mut count = 0;
    let start = match beneath(root, Path::new(folder)) {
        Ok(start) => start,
        // A folder without a file is in no root.
        Err(_) if fs::symlink_metadata(root.join(folder)).is_err() => return Ok(0),
        Err(failure) => return Err(failure),
    };
    for found in WalkDir::new(&start).sort_by_file_name() {
        let found = found.map_err(Failure::environment)?;
        let compiled = found.file_type().is_file()
            && found.path().extension().is_some_and(|end| end == "pyc")
            && found
                .path()
                .parent()
                .is_some_and(|p| p.ends_with("__pycache__"));
        if compiled {
            let inside = found
                .path()
                .strip_prefix(&start)
                .map_err(Failure::internal)?;
            copy(found.path(), tree, &Path::new(folder).join(inside))?;
            count += 1;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::overlap;

    #[test]
    fn folders_that_meet() {
        assert!(overlap("/app", "/app") && overlap("/app", "/app/x") && overlap("/app/x", "/app"));
        assert!(!overlap("/app", "/apps") && !overlap("/a", "/b"));
    }
}
