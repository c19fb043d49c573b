//! Bills of materials say what is in lock files, and lock files what is compiled (the fetcher compares
//! a source package with its lock at each use: `polybuild/fetch/tests/package.rs`). For every recipe.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use polybuild_e2e::{guests::test_tools_python, polybuild, python_image, run, workspace};
use polybuild_recipe::{Lock, LockStatus, Part, Pins, Recipe, Series, SourceUrl, load};
use serde_json::Value;

/// The recipes of the repository.
fn recipes() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for top in ["recipes", "base-images"] {
        for entry in walkdir::WalkDir::new(workspace().join(top))
            .min_depth(3)
            .max_depth(3)
        {
            let path = entry.unwrap().into_path();
            if path.ends_with("recipe.toml") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "{found:?}");
    found
}

fn read(path: &Path) -> (Recipe, Pins) {
    let recipe = load(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let read = |part: &Part| {
        let shown = part.path.display();
        let lock = Lock::read(&part.lock_path()).unwrap();
        let lock = lock.unwrap_or_else(|| panic!("{shown} has no lock"));
        assert_eq!(lock.check(part).unwrap(), LockStatus::Fresh, "{shown}");
        lock
    };
    let locks: Vec<Lock> = recipe.parts.iter().map(read).collect();
    let pins = Pins::new(&recipe, &locks);
    (recipe, pins)
}

fn bill(path: &Path) -> Value {
    let said = run(polybuild().arg("sbom").arg(path));
    assert_eq!(said.status, 0, "{}: {}", path.display(), said.stderr);
    serde_json::from_str(&said.stdout).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn purl(package: &Value) -> Option<&str> {
    package["externalRefs"][0]["referenceLocator"].as_str()
}

#[test]
fn every_recipe_agrees_with_its_lock() {
    for path in recipes() {
        let (recipe, lock) = read(&path);
        let document = bill(&path);
        let packages = list(&document, "packages");
        for source in &recipe.sources {
            let SourceUrl::DebianSource { name, suite, .. } = &source.url else {
                continue;
            };
            let shown = format!("{}: {}", path.display(), source.id);
            let input = lock.input(&source.id).unwrap();
            let locked = input.package.as_ref().unwrap_or_else(|| panic!("{shown}"));
            let of_it: Vec<&Value> = packages
                .iter()
                .filter(|p| {
                    let info = p["sourceInfo"].as_str().unwrap_or_default();
                    info.contains(&input.sha256.hex())
                })
                .collect();
            let [package] = of_it.as_slice() else {
                panic!("{shown}: {of_it:?}");
            };
            assert_eq!(package["versionInfo"], input.version, "{shown}");
            assert_eq!(
                package["checksums"][0]["checksumValue"],
                input.sha256.hex(),
                "{shown}"
            );
            let info = package["sourceInfo"].as_str().unwrap();
            for part in &locked.parts {
                let words = format!("{} sha256:{}", part.file, part.sha256.hex());
                assert!(info.contains(&words), "{shown}: {info}");
            }
            let purl = purl(package).unwrap();
            let annotations: Vec<&str> = list(package, "annotations")
                .iter()
                .map(|a| a["comment"].as_str().unwrap())
                .collect();
            let encoded = input.version.replace('+', "%2B");
            if source.series == Some(Series::Applied) {
                assert_eq!(
                    purl,
                    format!("pkg:deb/debian/{name}@{encoded}?arch=source&distro={suite}"),
                    "{shown}"
                );
                assert!(package["comment"].is_null(), "{shown}");
                for patch in &locked.patches {
                    let found = annotations.iter().find(|a| a.contains(&patch.sha256.hex()));
                    let found = found.unwrap_or_else(|| panic!("{shown}: {}", patch.name));
                    assert!(found.contains(&patch.name), "{shown}: {found}");
                    assert!(
                        patch.cves.iter().all(|cve| found.contains(cve)),
                        "{shown}: {found}"
                    );
                }
            } else {
                // Nothing names the distribution's revision, nor any part of its fixes.
                assert_eq!(purl, format!("pkg:generic/{name}@{encoded}"), "{shown}");
                assert!(
                    !input.version.contains("deb") && !input.version.contains('-'),
                    "{shown}"
                );
                let comment = package["comment"].as_str().unwrap();
                assert!(
                    comment.starts_with("upstream version without the distribution's fixes: "),
                    "{shown}: {comment}"
                );
                let text = package.to_string();
                assert!(
                    !text.contains("pkg:deb") && !text.contains("+deb"),
                    "{shown}: {text}"
                );
                assert!(
                    !annotations.iter().any(|a| a.contains("debian/patches")),
                    "{shown}"
                );
                assert!(locked.patches.is_empty(), "{shown}");
            }
        }
    }
}

/// musl carries the fix that its revision is known for, and says so.
#[test]
fn musl_names_its_fix() {
    let document = bill(&workspace().join("recipes/musl/1.2.5/recipe.toml"));
    let text = document.to_string();
    assert!(text.contains("which names CVE-2025-26519"), "{text}");
}

#[test]
fn what_is_linked_in_besides_is_listed() {
    let document = bill(&workspace().join("base-images/base/1.0/recipe.toml"));
    let names: Vec<&str> = list(&document, "packages")
        .iter()
        .filter_map(|p| p["name"].as_str())
        .collect();
    for name in [
        "musl",
        "libcxx",
        "libcxxabi",
        "libunwind",
        "compiler-rt",
        "wasmtime",
        "vkernel-kernel",
        "rust-std",
        "dash",
        "busybox",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    // No compiler is in the launcher, and nothing that only runs while compiling.
    for name in ["cranelift-codegen", "syn", "serde_derive", "clap"] {
        assert!(!names.contains(&name), "{name}: {names:?}");
    }
    let of_engine = |p: &&Value| p["name"] == "wasmtime";
    let engine = list(&document, "packages").iter().find(of_engine).unwrap();
    assert!(
        engine["checksums"][0]["checksumValue"].is_string()
            && engine["licenseDeclared"] != "NOASSERTION",
        "{engine}"
    );
    let report = bill(&workspace().join("recipes/examples/report/recipe.toml"));
    let purls: Vec<&str> = list(&report, "packages").iter().filter_map(purl).collect();
    for wanted in [
        "pkg:pypi/jinja2@3.1.6",
        "pkg:pypi/markupsafe@3.0.2",
        "pkg:pypi/pyyaml@6.0.2",
    ] {
        assert!(purls.contains(&wanted), "{wanted}: {purls:?}");
    }
}

/// Every document passes the validator of the SPDX project, and no package URL is empty.
#[test]
fn documents_are_valid() {
    const VALIDATE: &str = "
import sys
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
bad = 0
for path in sys.argv[1:]:
    for message in validate_full_spdx_document(parse_file(path)):
        bad = 1
        print(path, message.validation_message, message.context.full_element and '')
sys.exit(bad)
";
    let folder = tempfile::tempdir().unwrap();
    let mut files = vec![python_image().join("sbom.spdx.json")];
    for (at, path) in recipes().iter().enumerate() {
        let document = bill(path);
        for package in list(&document, "packages") {
            assert_ne!(purl(package), Some(""), "{package}");
        }
        let file = folder.path().join(format!("{at}.spdx.json"));
        fs::write(&file, document.to_string()).unwrap();
        files.push(file);
    }
    let validate = |files: &[PathBuf]| {
        run(Command::new(test_tools_python())
            .args(["-c", VALIDATE])
            .args(files))
    };
    let said = validate(&files);
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);

    // The validator can say no.
    let good = fs::read_to_string(&files[1]).unwrap();
    let broken = folder.path().join("broken.spdx.json");
    fs::write(&broken, good.replace("SPDXRef-Image", "Image")).unwrap();
    assert_ne!(validate(&[broken]).status, 0);
}

#[test]
fn a_bill_needs_a_fresh_lock() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("recipe.toml");
    fs::write(
        &recipe,
        "[recipe]\nname = \"x\"\nversion = \"1\"\nkind = \"library\"\n",
    )
    .unwrap();
    let said = run(polybuild().arg("sbom").arg(&recipe));
    assert_eq!(said.status, 3, "{}", said.stderr);
    assert!(said.stderr.contains("polybuild lock"), "{}", said.stderr);
}
