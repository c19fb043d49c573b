//! Every `tests/invalid/NAME.toml` is refused with the words in `NAME.stderr`, which
//! `POLYBUILD_BLESS=1 cargo test -p polybuild-recipe` writes anew. `tests/invalid/files` holds
//! what these recipes refer to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{fs, path::Path};

use miette::{GraphicalReportHandler, GraphicalTheme};

fn shown(path: &Path) -> String {
    let error = match polybuild_recipe::load(path) {
        Ok(_) => panic!("{} was accepted", path.display()),
        Err(error) => error,
    };
    let mut out = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::none())
        .with_width(100)
        .render_report(&mut out, &error)
        .unwrap();
    // Trailing blanks of the frame say nothing.
    out.lines().flat_map(|l| [l.trim_end(), "\n"]).collect()
}

#[test]
fn each_is_refused_with_its_message() {
    // Relative, so that messages name no place of this machine; tests run in the crate's folder.
    let mut names: Vec<_> = fs::read_dir("tests/invalid")
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    names.sort();
    assert!(
        names.len() > 30,
        "the folder of invalid recipes is incomplete"
    );
    let bless = std::env::var_os("POLYBUILD_BLESS").is_some();
    let mut wrong = Vec::new();
    for path in names {
        let found = shown(&path);
        let expected = path.with_extension("stderr");
        if bless {
            fs::write(&expected, &found).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", path.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "other messages than recorded:\n{}",
        wrong.join("\n")
    );
}
