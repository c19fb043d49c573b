//! `[[file]]`: what a recipe puts into the layers of its image.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
};

use polybuild_e2e::{run, sandbox::Sandbox};

/// Permissions, size and name, with its goal for a link, of everything in the layers under a folder.
fn layers(sandbox: &Sandbox, under: &str) -> Vec<String> {
    let blobs = sandbox.work().join("out/oci-layout/blobs/sha256");
    let mut lines = Vec::new();
    for blob in fs::read_dir(blobs).unwrap() {
        let mut tar = Command::new("tar");
        let listed = run(tar.arg("-tvzf").arg(blob.unwrap().path()));
        for line in listed.stdout.lines().filter(|_| listed.status == 0) {
            let words: Vec<&str> = line.split_whitespace().collect();
            // Mode, owner, size, date, time, name.
            if words.len() >= 6 && words[5].starts_with(under) {
                lines.push(format!(
                    "{} {} {}",
                    words[0],
                    words[1],
                    words[5..].join(" ")
                ));
            }
        }
    }
    lines.sort_by_key(|line| line.split_whitespace().nth(2).map(str::to_owned));
    lines
}

#[test]
fn a_folder_is_copied_with_all_that_is_in_it() {
    let sandbox = Sandbox::with("hello");
    sandbox.write("given/a/text", "text");
    let script = sandbox.write("given/script", "#!/bin/sh\n");
    fs::set_permissions(script, fs::Permissions::from_mode(0o4750)).unwrap();
    fs::create_dir(sandbox.work().join("given/empty")).unwrap();
    symlink("../a/text", sandbox.work().join("given/empty/link")).unwrap();
    let recipe = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    let with = |more: &str| {
        sandbox.write(
            "recipe.toml",
            format!("{recipe}\n[[file]]\npath = \"/srv/given\"\nsource = \"path:given\"\n{more}"),
        )
    };
    with("");
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    assert_eq!(
        layers(&sandbox, "srv/given"),
        [
            "drwxr-xr-x 0/0 srv/given/",
            "drwxr-xr-x 0/0 srv/given/a/",
            "-rw-r--r-- 0/0 srv/given/a/text",
            "drwxr-xr-x 0/0 srv/given/empty/",
            "lrwxrwxrwx 0/0 srv/given/empty/link -> ../a/text",
            "-rwxr-xr-x 0/0 srv/given/script",
        ]
    );
    // It is one input: a change is noticed.
    sandbox.write("given/a/text", "other");
    sandbox.fails(&["recipe.toml", "-o", "out", "--locked"], 3, &["given"]);
    with("mode = \"0600\"\n");
    let says = ["`/srv/given` is a folder", "leave out its `mode`"];
    sandbox.fails(&["recipe.toml", "-o", "other"], 3, &says);
    // A link that climbs out of the image is none.
    with("");
    symlink("../../../../etc", sandbox.work().join("given/out")).unwrap();
    sandbox.fails(
        &["recipe.toml", "-o", "other"],
        3,
        &["above the image's root"],
    );
}

#[test]
fn folders_are_one_and_what_is_excluded_is_left_out() {
    let sandbox = Sandbox::with("hello");
    sandbox.write("app/main.py", "print()");
    sandbox.write("app/__pycache__/main.pyc", "old");
    sandbox.write("app/docs/README.md", "read");
    sandbox.write("app/data/a", "a");
    sandbox.write("more/b", "b");
    let recipe = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    let files = r#"
[[file]]
path = "/srv"
source = "path:app"
owner = "1000:1000"
exclude = ["__pycache__", "*.md"]

[[file]]
path = "/srv/data"
directory = true
mode = "0700"

[[file]]
path = "/srv/docs"
source = "path:more"
"#;
    sandbox.write("recipe.toml", format!("{recipe}{files}"));
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    assert_eq!(
        layers(&sandbox, "srv"),
        [
            "drwxr-xr-x 1000/1000 srv/",
            "drwx------ 0/0 srv/data/",
            "-rw-r--r-- 1000/1000 srv/data/a",
            "drwxr-xr-x 0/0 srv/docs/",
            "-rw-r--r-- 0/0 srv/docs/b",
            "-rw-r--r-- 1000/1000 srv/main.py",
        ]
    );
    sandbox.write("more/main.py", "another");
    let again = files.replace("/srv/docs", "/srv");
    sandbox.write("recipe.toml", format!("{recipe}{again}"));
    sandbox.fails(
        &["recipe.toml", "-o", "other"],
        3,
        &["`/srv` is declared twice"],
    );
    let clash = files.replace(
        "path = \"/srv/docs\"\nsource = \"path:more\"",
        "path = \"/srv/main.py\"\ntext = \"x\"",
    );
    sandbox.write("recipe.toml", format!("{recipe}{clash}"));
    sandbox.fails(&["recipe.toml", "-o", "other"], 3, &["/srv/main.py"]);
    let file = files.replace("source = \"path:app\"", "source = \"path:app/main.py\"");
    sandbox.write("recipe.toml", format!("{recipe}{file}"));
    let says = ["`/srv` is a file", "leave out its `exclude`"];
    sandbox.fails(&["recipe.toml", "-o", "other"], 3, &says);
}

/// Linux programs have the host kernel's files, and would look for a tree in vain.
#[test]
fn trees_are_for_programs_that_see_them() {
    let sandbox = Sandbox::with("hello");
    let recipe = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    let tree = "\n[[tree]]\nmount = \"/app\"\nentry = [{ source = \"path:hello.wat\" }]\n";
    sandbox.write("recipe.toml", format!("{recipe}{tree}"));
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    sandbox.write(
        "linux.wat",
        r#"(module
          (import "wali" "SYS_exit_group" (func $exit (param i32) (result i64)))
          (memory (export "memory") 1)
          (func (export "_start") (drop (call $exit (i32.const 0)))))"#,
    );
    let linux = "\n[[module]]\nname = \"linux\"\nfile = \"path:linux.wat\"\n\
                 [[program]]\nname = \"linux\"\nmodule = \"linux\"\npaths = [\"/bin/linux\"]\n";
    sandbox.write("recipe.toml", format!("{recipe}{tree}{linux}"));
    let said = sandbox.ok(&["recipe.toml", "-o", "out"]);
    let warned = "the tree at /app is not seen by programs that make Linux system calls: linux";
    assert!(said.stderr.contains(warned), "{said:#?}");
    let only = recipe.replace("hello.wat", "linux.wat");
    sandbox.write("recipe.toml", format!("{only}{tree}"));
    let says = [
        "the tree at /app would be seen by no program",
        "`[[file]]` with `path = \"/app\"`",
    ];
    sandbox.fails(&["recipe.toml", "-o", "other"], 3, &says);
}
