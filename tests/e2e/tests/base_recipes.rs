//! The recipes that come with polybuild, and recipes that lie anywhere. Nothing is fetched here.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use polybuild_e2e::{run, sandbox::Sandbox};

const APP: &str = "[recipe]\nname = \"app\"\nversion = \"1\"\nkind = \"app\"\n\
                   from = \"python/3.12-slim\"\n";

#[test]
fn an_app_may_lie_anywhere() {
    let sandbox = Sandbox::new();
    sandbox.write("far/away/recipe.toml", APP);
    let recipe = "far/away/recipe.toml";
    sandbox.ok(&["lock", recipe]);
    let lock = String::from_utf8(sandbox.read("far/away/recipe.lock")).unwrap();
    let base = "path = \"polybuild:base-images/python/3.12-slim/recipe.toml\"";
    assert!(lock.contains(base), "{lock}");
    let home = sandbox.home().display().to_string();
    assert!(!lock.contains(&home), "{lock}");
    assert!(
        !lock.contains("[[input]]"),
        "the base's pins come with it: {lock}"
    );
    sandbox.ok(&["lock", "--check", recipe]);
    let bill = sandbox.ok(&["sbom", recipe]).stdout;
    assert!(
        bill.contains("pkg:npm/%40antonz/python-wasi@3.12.0"),
        "{bill}"
    );
    // What is laid out is not trusted.
    let laid = fs::read_dir(sandbox.cache().join("recipes"))
        .unwrap()
        .next()
        .unwrap();
    let script = laid
        .unwrap()
        .path()
        .join("tree/polyfills/python/_vkernel.py");
    fs::write(&script, "print('mine')").unwrap();
    let said = sandbox.ok(&["lock", "--check", recipe]);
    assert!(said.stderr.contains("cannot be trusted"), "{said:#?}");
    assert!(!fs::read_to_string(&script).unwrap().contains("mine"));
}

#[test]
fn they_are_called_by_their_names() {
    let sandbox = Sandbox::new();
    let bill = sandbox.ok(&["sbom", "python/3.12-slim"]).stdout;
    assert!(bill.contains("vkernel/python:3.12-slim"), "{bill}");
    sandbox.ok(&["lock", "--check", "python/3.12-slim"]);
    sandbox.fails(&["lock", "python/3.12-slim"], 2, &["comes with polybuild"]);
    sandbox.fails(&["sbom", "python/0"], 3, &["python/0"]);
    sandbox.write("recipe.toml", APP.replace("3.12-slim", "3.12-slin"));
    let says = [
        "no recipe `python/3.12-slin`",
        "did you mean `python/3.12-slim`?",
    ];
    sandbox.fails(&["sbom", "recipe.toml"], 3, &says);
}

#[test]
fn those_of_a_checkout_win() {
    let sandbox = Sandbox::with("hello");
    let hello = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    sandbox.write("base-images/python/3.12-slim/recipe.toml", hello);
    sandbox.write(
        "base-images/python/3.12-slim/hello.wat",
        sandbox.read("hello.wat"),
    );
    sandbox.write("apps/app/recipe.toml", APP);
    sandbox.ok(&["lock", "apps/app/recipe.toml"]);
    let lock = String::from_utf8(sandbox.read("apps/app/recipe.lock")).unwrap();
    let base = "path = \"../../base-images/python/3.12-slim/recipe.toml\"";
    assert!(lock.contains(base), "{lock}");
    sandbox.ok(&["apps/app/recipe.toml", "-o", "out"]);
    let said = run(&mut sandbox.polybuild(&["run", "out"]));
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (0, "hello\n"),
        "{said:#?}"
    );
}

/// What a step makes is the same wherever its recipe lies, and whatever its files are called.
#[test]
fn a_step_runs_once_for_recipes_in_several_places() {
    let sandbox = Sandbox::new();
    let recipe = |file: &str| {
        format!(
            "[recipe]\nname = \"l\"\nversion = \"1\"\nkind = \"library\"\n[[build]]\nid = \"copy\"\n\
             outputs = [\"made\"]\ntools = [\"cp\"]\nrun = [\"cp\", \"given\", \"made\"]\n\
             inputs = {{ given = \"path:{file}\" }}\n"
        )
    };
    sandbox.write("a/recipe.toml", recipe("file"));
    sandbox.write("a/file", "content");
    let first = sandbox.ok(&["a/recipe.toml", "-o", "out-a"]);
    assert!(first.stderr.contains("Building"), "{first:#?}");
    sandbox.write("b/c/recipe.toml", recipe("../d/other"));
    sandbox.write("b/d/other", "content");
    let second = sandbox.ok(&["b/c/recipe.toml", "-o", "out-b"]);
    assert!(!second.stderr.contains("Building"), "{second:#?}");
    // The app in its turn.
    let app = "[recipe]\nname = \"m\"\nversion = \"1\"\nkind = \"library\"\nuses = [\"../../b/c/recipe.toml\"]\n";
    sandbox.write("e/f/recipe.toml", app);
    let third = sandbox.ok(&["e/f/recipe.toml", "-o", "out-c"]);
    assert!(!third.stderr.contains("Building"), "{third:#?}");
    sandbox.write("b/d/other", "changed");
    let fourth = sandbox.ok(&["lock", "b/c/recipe.toml"]);
    assert_eq!(fourth.status, 0);
    let fourth = sandbox.ok(&["b/c/recipe.toml", "-o", "out-b"]);
    assert!(fourth.stderr.contains("Building"), "{fourth:#?}");
}
