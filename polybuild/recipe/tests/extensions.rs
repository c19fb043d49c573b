//! `[[extension]]`: what it comes to, and what is wrong with one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{fs, path::Path};

use polybuild_recipe::{Recipe, RecipeError, Ref, load};

const PYTHON: &str = r#"
[recipe]
name = "python"
version = "3.13.5"
kind = "runtime"

[[toolchain]]
name = "python-extension"

[[toolchain]]
name = "python-link"

[[module]]
name = "python"
file = "path:python.wasm"

[[program]]
name = "python3"
module = "python"
paths = ["/usr/local/bin/python3"]

[python]
version = "3.13.5"
module = "python"
"#;

const KNOWN: &str = r#"
[recipe]
name = "python-extensions/markupsafe"
version = "3.0.2"
kind = "extension"

[[extension]]
package = "MarkupSafe==3.0.2"
requires = ["setuptools==80.9.0"]
license = "BSD-3-Clause"
"#;

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn app(extensions: &str) -> Result<Recipe, RecipeError> {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "recipes/python/3.13/recipe.toml", PYTHON);
    write(folder, "recipes/python/3.13/python.wasm", "");
    write(
        folder,
        "recipes/python-extensions/markupsafe/recipe.toml",
        KNOWN,
    );
    let head =
        "[recipe]\nname = \"app\"\nversion = \"1\"\nkind = \"app\"\nuses = [\"python/3.13\"]\n";
    write(folder, "app/recipe.toml", &format!("{head}{extensions}"));
    load(&folder.join("app/recipe.toml"))
}

#[track_caller]
fn refused(extensions: &str, says: &str) {
    let error = app(extensions).unwrap_err();
    let said: Vec<String> = error
        .problems
        .iter()
        .map(|p| {
            let help = miette::Diagnostic::help(p).map(|h| h.to_string());
            format!("{p} {}", help.unwrap_or_default())
        })
        .collect();
    assert!(said.concat().contains(says), "{said:?}");
}

#[test]
fn a_known_one_is_built_and_linked() {
    let recipe =
        app("[[extension]]\npackage = \"markupsafe==3.0.2\"\n[python]\npackages = [\"jinja2\"]\n")
            .unwrap();
    let steps: Vec<&str> = recipe.builds.iter().map(|b| b.id.as_str()).collect();
    assert_eq!(steps, ["extension-markupsafe", "python-with-extensions"]);
    let sources: Vec<String> = recipe.sources.iter().map(|s| s.url.to_string()).collect();
    assert_eq!(sources.len(), 2);
    assert!(sources[0].contains("markupsafe@3.0.2"), "{sources:?}");
    let linked = Ref::Build {
        step: "python-with-extensions".into(),
        output: "python.wasm".into(),
    };
    assert_eq!(recipe.module("python").unwrap().file, linked);
    let link = &recipe.builds[1].inputs["extensions/markupsafe"];
    assert_eq!(link.to_string(), "build:extension-markupsafe/extension");
    // pip is told of it, and it is installed.
    let packages = recipe.parts[0].packages.as_ref().unwrap();
    assert_eq!(packages.requirements, ["jinja2", "markupsafe==3.0.2"]);
    assert_eq!(packages.extensions[0].name, "markupsafe");
}

#[test]
fn kept_ones_are_not_installed() {
    let recipe = app(
        "[[extension]]\npackage = \"markupsafe==3.0.2\"\n[python]\nwheels = \"/usr/local/share/wheels\"\n",
    )
    .unwrap();
    assert_eq!(recipe.parts[0].packages, None);
    assert_eq!(recipe.extensions.len(), 1);
}

#[test]
fn others_say_how() {
    let recipe = app(
        "[[extension]]\npackage = \"x==1\"\nrequires = []\ndepends = [\"idna>=2\"]\n[extension.env]\nA = \"b\"\n",
    )
    .unwrap();
    assert_eq!(recipe.builds[0].env["A"], "b");
    assert_eq!(recipe.extensions[0].depends, ["idna>=2"]);
}

#[test]
fn what_is_wrong() {
    refused(
        "[[extension]]\npackage = \"markupsafe\"\n",
        "a package with its version",
    );
    refused(
        "[[extension]]\npackage = \"markupsafe==2.0\"\n",
        "write `==3.0.2`",
    );
    refused(
        "[[extension]]\npackage = \"unheard-of==1\"\n",
        "say how it is built",
    );
    refused(
        "[[extension]]\npackage = \"x==1\"\ndepends = [\"y\"]\n",
        "has `requires`",
    );
}
