//! The generated documents are those of the types. `POLYBUILD_BLESS=1 cargo test -p
//! polybuild-recipe` writes them anew.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{fs, path::Path};

fn check(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name);
    if std::env::var_os("POLYBUILD_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/{name} is stale; run `POLYBUILD_BLESS=1 cargo test -p polybuild-recipe`"
    );
}

#[test]
fn reference_page() {
    check("recipe-reference.md", &polybuild_recipe::reference_page());
}

#[test]
fn json_schema() {
    let text = serde_json::to_string_pretty(&polybuild_recipe::json_schema()).unwrap();
    check("recipe.schema.json", &(text + "\n"));
}

/// The table of limits in `docs/policy.md` is that of the format.
#[test]
fn table_of_limits() {
    const HEAD: &str = "| key | counts | what happens |\n|---|---|---|\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/policy.md");
    let page = fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(HEAD).unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let rows: Vec<_> = megabinary_format::LIMITS
        .iter()
        .map(|row| format!("| `{}` | {} | {} |", row.key, row.counts, row.reached))
        .collect();
    check(
        "policy.md",
        &format!("{before}{HEAD}{}\n\n{after}", rows.join("\n")),
    );
}
