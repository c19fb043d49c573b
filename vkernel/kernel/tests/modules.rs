//! The modules of `linux` import each other in one direction: none is reached from itself.
//!
//! A file is a module. What is behind `#[cfg(test)]`, where files end, is not looked at: tests may import what
//! they like.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A module's path from `linux` on; `linux` itself has none.
type Name = Vec<String>;

/// The code of every module.
fn modules(folder: &Path, name: &Name, found: &mut BTreeMap<Name, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let below = || [name.clone(), vec![stem.clone()]].concat();
        if path.is_dir() {
            modules(&path, &below(), found);
            continue;
        }
        let name = match stem.as_str() {
            "tests" => continue,
            "mod" => name.clone(),
            _ => below(),
        };
        found.insert(name, code(&fs::read_to_string(&path).unwrap()));
    }
}

/// A file without comments and without its tests.
fn code(text: &str) -> String {
    let until_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = until_tests.lines();
    lines
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The words of all paths in some code that begin at `super`, `self` or `crate`, or at a child of the module;
/// braces of `use` are multiplied out.
fn paths(code: &str, children: &BTreeSet<&str>) -> Vec<Vec<String>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(len);
        if !token.trim().is_empty() {
            tokens.push(token);
        }
        rest = after;
    }
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins =
            ["super", "self", "crate"].contains(&tokens[at]) || children.contains(tokens[at]);
        let is_start = at == 0 || tokens[at - 1] != "::";
        if begins && is_start && tokens.get(at + 1) == Some(&"::") {
            at = tree(&tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one tree of `use`; where it ends.
fn tree(tokens: &[&str], mut at: usize, before: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(at) {
            Some(&"{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| *token != "}") {
                    at = match tokens[at] {
                        "," => at + 1,
                        "as" => at + 2,
                        _ => tree(tokens, at, &path, found),
                    };
                }
                return at + 1;
            }
            Some(word) => path.push((*word).to_owned()),
            None => break,
        }
        at += 1;
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    found.push(path);
    at
}

/// The module that a path in `from` leads into.
fn target(from: &Name, path: &[String], all: &BTreeMap<Name, String>) -> Option<Name> {
    let mut name = from.clone();
    let mut words = path.iter().map(String::as_str).peekable();
    match words.peek().copied() {
        Some("crate") => {
            words.next();
            if words.next() != Some("linux") {
                return None;
            }
            name = Vec::new();
        }
        Some("self") => drop(words.next()),
        _ => {}
    }
    while words.peek() == Some(&"super") {
        words.next();
        // Above `linux`.
        name.pop()?;
    }
    for word in words {
        name.push(word.to_owned());
        if !all.contains_key(&name) {
            name.pop();
            break;
        }
    }
    Some(name)
}

/// What each module imports.
fn edges(all: &BTreeMap<Name, String>) -> BTreeMap<&Name, BTreeSet<Name>> {
    all.iter()
        .map(|(name, code)| {
            let children = all.keys().filter(|child| child.len() == name.len() + 1);
            let children = children
                .filter(|child| child.starts_with(name))
                .filter_map(|child| child.last().map(String::as_str))
                .collect();
            let targets = paths(code, &children);
            let targets = targets.iter().filter_map(|path| target(name, path, all));
            (name, targets.filter(|to| to != name).collect())
        })
        .collect()
}

/// A line for each module that is reached from itself.
fn circles(edges: &BTreeMap<&Name, BTreeSet<Name>>) -> Vec<String> {
    let reached = |from: &Name| {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&Name> = edges[from].iter().collect();
        while let Some(name) = next.pop() {
            if seen.insert(name) {
                next.extend(&edges[name]);
            }
        }
        seen
    };
    edges
        .keys()
        .filter(|name| reached(name).contains(*name))
        .map(|name| {
            let direct = edges[name].iter().filter(|to| reached(to).contains(name));
            let direct: Vec<String> = direct.map(|to| to.join("::")).collect();
            format!("{} imports {}", name.join("::"), direct.join(", "))
        })
        .collect()
}

#[test]
fn no_module_of_linux_is_reached_from_itself() {
    let mut all = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/linux");
    modules(&root, &Vec::new(), &mut all);
    assert!(all.len() > 40, "{} modules", all.len());
    let edges = edges(&all);
    assert!(edges.values().map(BTreeSet::len).sum::<usize>() > 150);
    let circles = circles(&edges);
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

#[test]
fn circles_are_found() {
    let module = |name: &str, code: &str| (vec![name.to_owned()], code.to_owned());
    let all = BTreeMap::from([
        module("a", "use super::b::X;"),
        module("b", "fn f() { crate::linux::c::g(super::d::h()) }"),
        module("c", "use super::{d, a::{Y, Z}};"),
        module("d", "use crate::exec::a;"),
    ]);
    let expected = ["a imports b", "b imports c", "c imports a"];
    assert_eq!(circles(&edges(&all)), expected);
}

#[test]
fn trees_of_use_are_multiplied_out() {
    let code = "use super::{a::{B, c::D}, super::e as f}; fn g() { crate::linux::h::i(j::k) }";
    let found = paths(code, &BTreeSet::from(["j"]));
    let found: Vec<String> = found.iter().map(|path| path.join("::")).collect();
    let expected = [
        "super::a::B",
        "super::a::c::D",
        "super::super::e",
        "crate::linux::h::i",
        "j::k",
    ];
    assert_eq!(found, expected);
}
