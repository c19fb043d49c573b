//! `polybuild init`: what it writes can be locked and built, and nothing that is there is changed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use polybuild_e2e::sandbox::Sandbox;

#[test]
fn a_first_recipe() {
    let sandbox = Sandbox::new();
    let said = sandbox.ok(&["init", "python", "My service", "--tag", "3.12-slim"]);
    for text in [
        "wrote My service/recipe.toml, My service/Dockerfile",
        "  polybuild 'My service/recipe.toml'\n",
    ] {
        assert!(said.stdout.contains(text), "{text:?} is not in {said:#?}");
    }
    let recipe = "My service/recipe.toml";
    let read = |name: &str| String::from_utf8(sandbox.read(name)).unwrap();
    assert!(read(recipe).contains("from = \"python/3.12-slim\""));
    assert!(read(recipe).contains("name = \"my-service\""));
    assert!(read("My service/Dockerfile").contains("\nFROM vkernel/python:3.12-slim\n"));
    // Nothing is fetched: it has no requirements yet.
    sandbox.ok(&["lock", recipe]);
    let bill = sandbox.ok(&["sbom", recipe]).stdout;
    assert!(bill.contains("my-service:0.1.0"), "{bill}");
}

#[test]
fn nothing_is_overwritten() {
    let sandbox = Sandbox::new();
    sandbox.write("Dockerfile", "FROM scratch\n");
    let says = ["Dockerfile exists, and nothing was written"];
    sandbox.fails(&["init", "python"], 2, &says);
    assert!(!sandbox.work().join("recipe.toml").exists());
    assert_eq!(sandbox.read("Dockerfile"), b"FROM scratch\n");
    // An app and its requirements are what the recipe is for.
    sandbox.write("own/requirements.txt", "# mine\n");
    sandbox.write("own/app/main.py", "print(1)\n");
    let said = sandbox.ok(&["init", "python", "own"]);
    assert!(
        said.stdout
            .contains("wrote own/recipe.toml, own/Dockerfile\n"),
        "{said:#?}"
    );
    assert_eq!(sandbox.read("own/requirements.txt"), b"# mine\n");
    assert_eq!(sandbox.read("own/app/main.py"), b"print(1)\n");
    sandbox.fails(&["init", "python", "own"], 2, &["own/recipe.toml exists"]);
    // A link in a file's place is not followed.
    fs::create_dir(sandbox.work().join("linked")).unwrap();
    let away = sandbox.home().join("away");
    std::os::unix::fs::symlink(&away, sandbox.work().join("linked/recipe.toml")).unwrap();
    sandbox.fails(
        &["init", "python", "linked"],
        2,
        &["linked/recipe.toml exists"],
    );
    assert!(!away.exists());
}

#[test]
fn what_there_is() {
    let sandbox = Sandbox::new();
    let says = ["no base image python/2.7 comes with polybuild", "3.12"];
    sandbox.fails(&["init", "python", "x", "--tag", "2.7"], 2, &says);
    sandbox.fails(&["init", "cobol"], 2, &["cobol", "python"]);
    assert!(!sandbox.work().join("x").exists());
}
