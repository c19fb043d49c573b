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
