//! No circle of modules: if one file uses another, the other does not use it, by whatever way.
//!
//! Only then can a file be read after those that it uses, and moved together with them. For each
//! folder of [`FOLDERS`] the files' paths (`crate::`, `super::`, `self::`, in `use` and elsewhere) are
//! resolved to files, through re-exports, and circles are looked for.
//!
//! Not counted: what tests use, and what a module uses of the files that are parts of it. A folder's
//! `mod.rs` names its files and calls them; that they use its types in turn is what they are there
//! for.
#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, with its line"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Folders whose files form no circle. Each lies in the `src` of a crate.
const FOLDERS: &[&str] = &[
    "megabinary-linker/linker/src",
    "polybuild/command/src/pipeline",
    "polyfills/vkcc/src",
];

#[test]
fn no_file_uses_what_uses_it() {
    for folder in FOLDERS {
        let circles = circles(&Modules::read(&polybuild_e2e::workspace().join(folder)));
        assert!(circles.is_empty(), "{folder}: {circles:#?}");
    }
}

/// The search finds what it is to find, and nothing else.
#[test]
fn circles_are_found() {
    let check = |files: &[(&str, &str)], expected: &[&[&str]]| {
        let home = tempfile::tempdir().unwrap();
        let src = home.path().join("src");
        for (name, text) in files {
            let path = src.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found: Vec<Vec<String>> = circles(&Modules::read(&src))
            .into_iter()
            .map(|circle| circle.files)
            .collect();
        assert_eq!(found, expected, "{files:?}");
    };
    let two = |a, b| [("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", b)];
    check(&two("use crate::b::B;", "use super::a::A;"), &[&["a", "b"]]);
    check(
        &two("use crate::{b};", "fn f() { crate::a::f() }"),
        &[&["a", "b"]],
    );
    check(
        &two("use crate::{x::Y, b::{self, B}};", "pub struct B;"),
        &[],
    );
    check(
        &two(
            "use crate::b::B;",
            "// crate::a\n/* crate::a::A */ const X: &str = \"crate::a::A\";",
        ),
        &[],
    );
    check(
        &two(
            "use crate::b::B;",
            "#[cfg(test)] mod tests { use crate::a::A; }",
        ),
        &[],
    );
    check(
        &two(
            "use crate::b::B;",
            "#[cfg(test)] mod tests {} use crate::a::A;",
        ),
        &[&["a", "b"]],
    );
    // Through a name that the crate's root, or a parent, passes on.
    check(
        &[
            (
                "lib.rs",
                "mod a; mod b; pub use a::A; pub(crate) use b::{B as C, f};",
            ),
            ("a.rs", "use crate::C;"),
            ("b.rs", "use crate::A;"),
        ],
        &[&["a", "b"]],
    );
    // Parts may use the whole; three files; a test's file.
    check(
        &[
            ("lib.rs", "mod whole; #[cfg(test)] mod tests;"),
            (
                "whole/mod.rs",
                "mod x; mod y; mod z; pub struct Shared; fn f() { x::f() }",
            ),
            ("whole/x.rs", "use super::{Shared, y::Y};"),
            ("whole/y.rs", "use super::z;"),
            ("whole/z.rs", "use crate::whole::{x::X, Shared};"),
            ("tests.rs", "use super::whole; "),
        ],
        &[&["whole::x", "whole::y", "whole::z"]],
    );
}

/// Files that use each other, and by which paths.
#[derive(Debug)]
struct Circle {
    files: Vec<String>,
    #[allow(dead_code, reason = "printed when the test fails")]
    uses: Vec<String>,
}

/// A path in the source: its names from the crate's root on.
type Names = Vec<String>;

struct Modules {
    /// By the module's name: what its file says, in tokens.
    files: BTreeMap<Names, Vec<String>>,
}

impl Modules {
    /// All files of a folder, which is a crate's `src` or lies in it.
    fn read(folder: &Path) -> Modules {
        let src = folder.ancestors().find(|f| f.ends_with("src")).unwrap();
        let mut files = BTreeMap::new();
        for entry in walkdir::WalkDir::new(folder) {
            let entry = entry.unwrap();
            if entry.path().extension().is_none_or(|e| e != "rs") {
                continue;
            }
            let path = entry.path().strip_prefix(src).unwrap().with_extension("");
            let mut names: Names = path
                .iter()
                .map(|n| n.to_str().unwrap().to_owned())
                .collect();
            if names
                .last()
                .is_some_and(|n| ["mod", "lib", "main"].contains(&n.as_str()))
            {
                names.pop();
            }
            files.insert(names, tokens(&fs::read_to_string(entry.path()).unwrap()));
        }
        // What `#[cfg(test)]` is before goes, with the files of such modules.
        let names: Vec<Names> = files.keys().cloned().collect();
        for name in names {
            let Some(all) = files.remove(&name) else {
                continue;
            };
            let (kept, modules) = without_tests(&all);
            files.insert(name.clone(), kept);
            for module in modules {
                let tests: Names = name.iter().cloned().chain([module]).collect();
                files.retain(|file, _| !file.starts_with(&tests));
            }
        }
        Modules { files }
    }

    /// The files that a file uses, each with the path by which it does.
    fn used_by(&self, name: &Names) -> BTreeMap<Names, String> {
        let mut used = BTreeMap::new();
        for path in paths(&self.files[name]) {
            let Some(target) = self.absolute(name, &path).and_then(|p| self.file_of(&p, 0)) else {
                continue;
            };
            // Itself, or a part of it.
            if !target.starts_with(name) {
                used.insert(target, path.join("::"));
            }
        }
        used
    }

    /// A path from the crate's root on; nothing for paths into other crates.
    fn absolute(&self, from: &Names, path: &[String]) -> Option<Names> {
        let mut base = from.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {}
            // A child's name.
            first => {
                let child: Names = from.iter().cloned().chain([first.to_owned()]).collect();
                self.files.get(&child)?;
            }
        }
        while rest.first().is_some_and(|n| n == "super") {
            base.pop()?;
            rest = &rest[1..];
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The file in which what a path names is; nothing if it is not in this folder.
    fn file_of(&self, path: &[String], depth: usize) -> Option<Names> {
        let within = (0..=path.len())
            .rev()
            .find(|&n| self.files.contains_key(&path[..n]))?;
        let module = path[..within].to_vec();
        let Some(item) = path.get(within) else {
            return Some(module);
        };
        // A file names what it passes on in a `use`. Such names do not go round for ever.
        if depth < 8 {
            for used in uses(&self.files[&module]) {
                if used.last() == Some(item)
                    && let Some(absolute) = self.absolute(&module, &used)
                    && let Some(found) = self.file_of(&absolute, depth + 1)
                {
                    return Some(found);
                }
            }
        }
        Some(module)
    }
}

fn circles(modules: &Modules) -> Vec<Circle> {
    let used: BTreeMap<&Names, _> = modules
        .files
        .keys()
        .map(|n| (n, modules.used_by(n)))
        .collect();
    // Everything that can be reached from a file.
    let reached = |from: &Names| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(next) = open.pop() {
            open.extend(used[next].keys().filter(|n| seen.insert((*n).clone())));
        }
        seen
    };
    let all: BTreeMap<&Names, _> = modules.files.keys().map(|n| (n, reached(n))).collect();
    let mut left: BTreeSet<&Names> = modules.files.keys().collect();
    let mut circles = Vec::new();
    while let Some(first) = left.pop_first() {
        if !all[first].contains(first) {
            continue;
        }
        let mut circle = vec![first];
        circle.extend(
            left.iter()
                .filter(|n| all[first].contains(**n) && all[**n].contains(first)),
        );
        left.retain(|n| !circle.contains(n));
        let mut uses = Vec::new();
        for file in &circle {
            for (target, path) in used[*file].iter().filter(|(t, _)| circle.contains(t)) {
                uses.push(format!(
                    "{} uses {} ({path})",
                    file.join("::"),
                    target.join("::")
                ));
            }
        }
        let files = circle.iter().map(|file| file.join("::")).collect();
        circles.push(Circle { files, uses });
    }
    circles
}

/// The paths that begin with `crate`, `self` or `super`, with the trees of `use` taken apart.
fn paths(tokens: &[String]) -> Vec<Names> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = ["crate", "self", "super"].contains(&tokens[at].as_str())
            && tokens.get(at + 1).is_some_and(|t| t == "::")
            && (at == 0 || tokens[at - 1] != "::");
        match starts {
            true => at = tree(tokens, at, &[], &mut found),
            false => at += 1,
        }
    }
    found
}

/// The paths of all `use`, whatever they begin with; where a name is changed, with the new one in the
/// place of the old.
fn uses(tokens: &[String]) -> Vec<Names> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token == "use" {
            tree(tokens, at + 1, &[], &mut found);
        }
    }
    found
}

/// Reads a path or a tree of paths at a token; gives the place after it.
fn tree(tokens: &[String], mut at: usize, prefix: &[String], found: &mut Vec<Names>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        if token == "{" && at > 0 && tokens[at - 1] == "::" {
            at += 1;
            while tokens.get(at).is_some_and(|t| t != "}") {
                let before = at;
                at = tree(tokens, at, &path, found);
                at += usize::from(tokens.get(at).is_some_and(|t| t == ","));
                assert!(at > before, "a tree of `use` that cannot be read: {path:?}");
            }
            return at + 1;
        }
        if token == "self" && !path.is_empty() {
            // `{self, …}` stands for what is before it.
        } else if is_name(token) {
            path.push(token.clone());
        } else if token != "*" {
            break;
        }
        at += 1;
        match tokens.get(at).map(String::as_str) {
            Some("::") => at += 1,
            _ => break,
        }
    }
    if tokens.get(at).is_some_and(|t| t == "as") {
        if let (Some(last), Some(new)) = (path.last_mut(), tokens.get(at + 1)) {
            last.clone_from(new);
        }
        at += 2;
    }
    found.push(path);
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c == '_' || c.is_alphabetic())
}

/// The tokens without items under `#[cfg(test)]`, and the names of the modules among those.
fn without_tests(tokens: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut at = 0;
    while at < tokens.len() {
        if !tokens[at..].iter().zip(attribute).all(|(a, b)| a == b) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        // The item ends at a semicolon, or where its braces are closed.
        let mut depth = 0_usize;
        at += attribute.len();
        while let Some(token) = tokens.get(at) {
            match token.as_str() {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                "mod" if depth == 0 => modules.extend(tokens.get(at + 1).cloned()),
                _ => {}
            }
            at += 1;
            if depth == 0 && [";", "}"].contains(&token.as_str()) {
                break;
            }
        }
    }
    (kept, modules)
}

/// Names, `::` and single characters; no comments, texts and characters in quotes.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(len) = quoted(rest) {
            len
        } else if is_name(rest) {
            let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric());
            let end = end.unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            end
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[len..];
    }
    tokens
}

/// Length of the text or the character in quotes that is next, if one is.
fn quoted(rest: &str) -> Option<usize> {
    let raw = rest.trim_start_matches(['b', 'c']);
    if let Some(hashes) = raw.strip_prefix('r') {
        let inner = hashes.trim_start_matches('#');
        if let Some(body) = inner.strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes.len() - inner.len()));
            let end = body.find(&end).map_or(body.len(), |at| at + end.len());
            return Some(rest.len() - body.len() + end);
        }
    }
    let quote = match rest.trim_start_matches(['b', 'c']).chars().next()? {
        '"' => '"',
        // A lifetime has no second quote.
        '\'' if rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'') => '\'',
        _ => return None,
    };
    let start = rest.find(quote)? + 1;
    let mut characters = rest[start..].char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => _ = characters.next(),
            c if c == quote => return Some(start + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}
