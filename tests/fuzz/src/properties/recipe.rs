//! Recipes and lock files: any text gives a recipe whose references resolve, or an error that can
//! be shown.

use std::{
    collections::BTreeSet,
    path::{Component, Path},
};

use miette::{GraphicalReportHandler, GraphicalTheme};
use polybuild_recipe::{Content, Entry, Lock, Pins, Recipe, Ref, load, parse};

use crate::{scratch::Scratch, seeds};

/// Names of the files that one input is split into.
const FILES: [&str; 3] = ["recipe.toml", "base.toml", "tool.toml"];

/// Several recipes, one after the other with a NUL between: whatever they say, loading the first
/// either gives a recipe that is consistent and has one digest, or an error whose every place can
/// be underlined in its text.
pub fn recipe(data: &[u8]) {
    let scratch = Scratch::new();
    for (name, text) in FILES.into_iter().zip(data.split(|b| *b == 0)) {
        scratch.write(name, text);
    }
    scratch.write("main.py", b"print(1)");
    scratch.write("glue.wat", b"(module)");
    if let Ok(text) = std::str::from_utf8(data) {
        _ = parse("recipe.toml", text).map_err(|error| show(&error));
    }
    let path = scratch.path(FILES[0]);
    match load(&path) {
        Err(error) => {
            assert!(!error.problems.is_empty());
            show(&error);
        }
        Ok(recipe) => {
            consistent(&recipe);
            assert_eq!(load(&path).unwrap().digest(), recipe.digest());
            assert_eq!(recipe.parts[0].path, path);
            let mut locks = Vec::new();
            for part in &recipe.parts {
                if let Ok(lock) = Lock::new(part, Vec::new()) {
                    same_lock(&lock);
                    lock.check(part).unwrap();
                    locks.push(lock);
                }
            }
            if locks.len() == recipe.parts.len() {
                let pins = Pins::new(&recipe, &locks);
                for local in recipe.sources.iter().flat_map(|s| &s.patches) {
                    assert!(pins.local(local).is_some(), "{} is not pinned", local.name);
                }
            }
        }
    }
}

fn show(error: &polybuild_recipe::RecipeError) {
    let mut out = error.to_string();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .render_report(&mut out, error)
        .expect("an error that cannot be shown");
    for place in error.problems.iter().filter_map(|p| p.place.as_ref()) {
        assert!(place.line() >= 1 && !place.file().is_empty());
    }
}

fn consistent(recipe: &Recipe) {
    unique("source", recipe.sources.iter().map(|s| &s.id));
    unique("module", recipe.modules.iter().map(|m| &m.name));
    unique("program", recipe.programs.iter().map(|p| &p.name));
    let places = recipe.programs.iter().flat_map(|p| &p.paths);
    let places = places.chain(recipe.image_files.iter().map(|f| &f.path));
    unique("path", places.clone());
    let mounts = recipe.trees.iter().map(|t| &t.mount);
    for path in places.chain(mounts).chain(&recipe.policy.hidden) {
        let normal = |c| matches!(c, Component::RootDir | Component::Normal(_));
        assert!(
            Path::new(path).is_absolute() && Path::new(path).components().all(normal),
            "{path}"
        );
    }
    for reference in recipe.refs() {
        match reference {
            Ref::Source { id, path } => {
                assert!(recipe.source(id).is_some());
                assert!(path.as_deref().is_none_or(inside), "{path:?}");
            }
            Ref::Build { step, output } => {
                let step = recipe.builds.iter().find(|b| b.id == *step);
                assert!(step.is_some_and(|s| s.outputs.iter().any(|o| o.holds(output))));
            }
            Ref::Local(local) => assert!(local.path.exists()),
        }
    }
    for program in &recipe.programs {
        if let Entry::Module(module) = &program.entry {
            assert!(recipe.module(module).is_some());
        }
    }
    for build in &recipe.builds {
        assert!(
            build
                .outputs
                .iter()
                .map(|output| &output.path)
                .chain(build.inputs.keys())
                .all(|p| inside(p))
        );
    }
    for file in &recipe.image_files {
        assert!(file.mode <= 0o7777);
        if let Content::Link(target) = &file.content {
            assert!(!target.is_empty());
        }
    }
}

fn inside(path: &str) -> bool {
    Path::new(path)
        .components()
        .all(|c| matches!(c, Component::Normal(_)))
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a String>) {
    let mut seen = BTreeSet::new();
    for name in names {
        assert!(seen.insert(name), "two times the {what} {name}");
    }
}

/// A lock file that parses is written as a text that parses to the same.
pub fn lock(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        match Lock::parse(text, Path::new(seeds::LOCK)) {
            Ok(lock) => same_lock(&lock),
            Err(error) => assert!(error.to_string().contains(seeds::LOCK)),
        }
    }
}

fn same_lock(lock: &Lock) {
    let again = Lock::parse(&lock.text(), Path::new(seeds::LOCK));
    assert_eq!(&again.expect("what was written does not parse"), lock);
}
