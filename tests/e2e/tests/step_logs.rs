//! What build steps say is kept whole.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::PathBuf};

use polybuild_e2e::sandbox::Sandbox;

fn recipe(script: &str) -> String {
    format!(
        "[recipe]\nname = \"l\"\nversion = \"1\"\nkind = \"library\"\n[[build]]\nid = \"talk\"\n\
         outputs = [\"made\"]\ntools = [\"seq\", \"touch\"]\nscript = \"{script}\"\n"
    )
}

#[test]
fn a_failed_step_names_its_log() {
    let sandbox = Sandbox::new();
    sandbox.write("recipe.toml", recipe("seq 1 20000; echo wrong >&2; exit 3"));
    let said = sandbox.fails(
        &["recipe.toml", "-o", "out"],
        3,
        &["exit status: 3", "the whole log: "],
    );
    assert!(said.stderr.contains("    wrong\n"), "{said:#?}");
    // The end is shown, and not more.
    assert!(!said.stderr.contains("    19000\n"), "{said:#?}");
    let (_, path) = said.stderr.split_once("the whole log: ").unwrap();
    let path = PathBuf::from(path.lines().next().unwrap());
    assert!(
        path.starts_with(sandbox.cache().join("steps")),
        "{}",
        path.display()
    );
    let log = fs::read_to_string(&path).unwrap();
    let numbers: Vec<&str> = log.lines().filter(|line| *line != "wrong").collect();
    assert_eq!(numbers.len(), 20_000);
    assert!(log.lines().any(|line| line == "wrong"));
    // The next run has a log of its own, and leaves nothing that could be taken for a result.
    sandbox.fails(&["recipe.toml", "-o", "out"], 3, &["the whole log: "]);
    assert_eq!(fs::read_to_string(&path).unwrap().len(), log.len());
    sandbox.write("recipe.toml", recipe("echo well; touch made"));
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    let logs: Vec<String> = fs::read_dir(sandbox.cache().join("steps"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert_eq!(logs.len(), 2);
    assert!(logs.contains(&"well\n".to_owned()));
    // What is missing may be explained there too.
    sandbox.write("recipe.toml", recipe("echo nothing"));
    let says = ["did not make the file `made`", "the whole log: "];
    sandbox.fails(&["recipe.toml", "-o", "out"], 3, &says);
}
