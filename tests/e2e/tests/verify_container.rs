//! `polybuild verify` knows what a container of an image would run: whatever else than the vkernel an
//! engine could be made to start is named and fails the check.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::{fs, path::Path};

use megabinary_format::Digest;
use polybuild_e2e::{run, sandbox::Sandbox};
use serde_json::{Value, json};

const VERIFY: i32 = 4;

/// The start of a native program; no more of it matters to the host kernel's choice.
const ELF: &[u8] = b"\x7fELF\x02\x01\x01 a native program";

/// An entry of a layer: path, mode, and what it is.
enum Entry {
    File(&'static str, u32, Vec<u8>),
    Link(&'static str, &'static str),
    Hard(&'static str, u32, &'static str),
    Folder(&'static str),
}
use Entry::{File, Folder, Hard, Link};

/// A built hello image, and the layout that is changed.
struct World {
    sandbox: Sandbox,
}

impl World {
    fn new() -> World {
        let sandbox = Sandbox::with("hello");
        sandbox.ok(&["recipe.toml", "-o", "out", "-q"]);
        World { sandbox }
    }

    fn stub(&self) -> Vec<u8> {
        let said = self.sandbox.ok(&["inspect", "--json", "out"]);
        let about: Value = serde_json::from_str(&said.stdout).unwrap();
        let entry = about["entries"][0]["digest"].as_str().unwrap();
        format!("#!/.vkernel/megabinary {entry}\n").into_bytes()
    }

    /// The image with more layers, and another configuration.
    fn derive(&self, layers: &[Vec<Entry>], change: impl Fn(&mut Value)) {
        self.derive_text(layers, |mut config| {
            change(&mut config);
            serde_json::to_vec(&config).unwrap()
        });
    }

    fn derive_text(&self, layers: &[Vec<Entry>], config_of: impl Fn(Value) -> Vec<u8>) {
        let layout = self.sandbox.work().join("derived");
        let _ = fs::remove_dir_all(&layout);
        polybuild_e2e::sandbox::copy(&self.sandbox.work().join("out/oci-layout"), &layout);
        let blobs = layout.join("blobs/sha256");
        let read = |digest: &Value| -> Value {
            let hex = digest.as_str().unwrap().trim_start_matches("sha256:");
            serde_json::from_slice(&fs::read(blobs.join(hex)).unwrap()).unwrap()
        };
        let write = |bytes: &[u8]| -> (String, usize) {
            let digest = Digest::of(bytes);
            fs::write(blobs.join(digest.hex()), bytes).unwrap();
            (digest.to_string(), bytes.len())
        };
        let mut index: Value =
            serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
        let mut manifest = read(&index["manifests"][0]["digest"]);
        let mut config = read(&manifest["config"]["digest"]);
        for layer in layers {
            let (digest, size) = write(&tar(layer));
            let list = manifest["layers"].as_array_mut().unwrap();
            list.push(json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": digest, "size": size,
            }));
            let diffs = config["rootfs"]["diff_ids"].as_array_mut().unwrap();
            diffs.push(json!(digest));
            let history = config["history"].as_array_mut().unwrap();
            history.push(json!({"created_by": "test"}));
        }
        let (digest, size) = write(&config_of(config));
        manifest["config"]["digest"] = json!(digest);
        manifest["config"]["size"] = json!(size);
        let (digest, size) = write(&serde_json::to_vec(&manifest).unwrap());
        index["manifests"][0]["digest"] = json!(digest);
        index["manifests"][0]["size"] = json!(size);
        let index = serde_json::to_vec(&index).unwrap();
        fs::write(layout.join("index.json"), index).unwrap();
    }

    #[track_caller]
    fn refused(&self, name: &str, says: &[&str]) {
        println!("{name}");
        let says = [&["derived must not be trusted"], says].concat();
        self.sandbox.fails(&["verify", "derived"], VERIFY, &says);
        // Whatever form the image comes in.
        let format = ["--format", "docker-archive", "-o", "derived.tar"];
        let _ = fs::remove_file(self.sandbox.work().join("derived.tar"));
        let mut export = self.sandbox.polybuild(&["export", "derived"]);
        if run(export.args(format)).status == 0 {
            let said = run(&mut self.sandbox.polybuild(&["verify", "derived.tar"]));
            assert_eq!(said.status, VERIFY, "{name}: {said:#?}");
        }
    }

    #[track_caller]
    fn accepted(&self, name: &str, says: &[&str]) {
        println!("{name}");
        let said = self.sandbox.ok(&["verify", "derived"]);
        for part in says {
            assert!(said.stdout.contains(part), "{name}: {part}: {said:#?}");
        }
    }
}

fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        header.set_mode(0o755);
        match entry {
            File(path, mode, bytes) => {
                header.set_mode(*mode);
                header.set_size(bytes.len() as u64);
                builder
                    .append_data(&mut header, path, bytes.as_slice())
                    .unwrap();
            }
            Link(path, goal) => {
                header.set_entry_type(tar::EntryType::Symlink);
                builder.append_link(&mut header, path, goal).unwrap();
            }
            Hard(path, mode, goal) => {
                header.set_mode(*mode);
                header.set_entry_type(tar::EntryType::Link);
                builder.append_link(&mut header, path, goal).unwrap();
            }
            Folder(path) => {
                header.set_entry_type(tar::EntryType::Directory);
                builder
                    .append_data(&mut header, Path::new(path), std::io::empty())
                    .unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

fn elf(path: &'static str, mode: u32) -> Entry {
    File(path, mode, ELF.to_vec())
}

fn script(path: &'static str, text: &str) -> Entry {
    File(path, 0o755, text.as_bytes().to_vec())
}

fn set(config: &mut Value, settings: &Value) {
    for (key, value) in settings.as_object().unwrap() {
        config["config"][key] = value.clone();
    }
}

/// Name, layers, settings, and what `verify` says.
type Case<'a> = (&'static str, Vec<Vec<Entry>>, Value, Vec<&'a str>);

#[test]
fn what_leads_to_the_vkernel_is_accepted() {
    let world = World::new();
    world.sandbox.ok(&["verify", "out"]);
    let stub = || world.stub();
    let cases: Vec<Case<'_>> = vec![
        (
            "nothing changed",
            vec![],
            json!({}),
            vec!["command /bin/hello"],
        ),
        (
            "a copy of the stub, scripts for it, links",
            vec![vec![
                File("usr/bin/copy", 0o755, stub()),
                script("usr/bin/one", "#!/bin/hello\n"),
                script("usr/bin/two", "#! /usr/bin/one -x\n"),
                Link("usr/bin/three", "two"),
            ]],
            json!({"Entrypoint": ["three"], "Env": ["PATH=/nowhere:/usr/bin"]}),
            vec!["entrypoint three"],
        ),
        (
            "a shared object that cannot be executed",
            vec![vec![elf("usr/lib/libx.so", 0o644)]],
            json!({}),
            vec![
                "note: 1 native files without execute permission",
                "/usr/lib/libx.so",
            ],
        ),
        (
            "data with an execute permission, and scripts of nobody",
            vec![vec![
                File("data/readme", 0o777, b"text".to_vec()),
                File("data/empty", 0o755, Vec::new()),
                script("data/perl", "#!/usr/bin/perl\n"),
            ]],
            json!({}),
            vec![],
        ),
        (
            "a native program that a later layer takes away",
            vec![
                vec![elf("usr/bin/native", 0o755), elf("opt/x/native", 0o755)],
                vec![
                    File("usr/bin/.wh.native", 0o644, Vec::new()),
                    File("opt/.wh.x", 0o644, Vec::new()),
                ],
            ],
            json!({}),
            vec![],
        ),
        (
            "a relative program, from the working directory",
            vec![vec![File("app/run", 0o755, stub())]],
            json!({"Entrypoint": ["./run"], "WorkingDir": "/app"}),
            vec!["entrypoint ./run"],
        ),
        (
            "a health check of the image's own",
            vec![],
            json!({"Healthcheck": {"Test": ["CMD", "/bin/hello"]}}),
            vec!["health check /bin/hello"],
        ),
        (
            "no health check",
            vec![],
            json!({"Healthcheck": {"Test": ["NONE"]}}),
            vec![],
        ),
        (
            "nothing to start",
            vec![],
            json!({"Cmd": null}),
            vec!["names no program"],
        ),
    ];
    for (name, layers, settings, says) in cases {
        world.derive(&layers, |config| set(config, &settings));
        world.accepted(name, &says);
    }
}

#[test]
fn what_would_run_natively_is_named() {
    let world = World::new();
    let natively = "natively, outside of the vkernel";
    let stub_of_nobody = format!("#!/.vkernel/megabinary sha256:{}\n", "0".repeat(64));
    let cases: Vec<Case<'_>> = vec![
        (
            "a native entrypoint",
            vec![vec![elf("evil", 0o755)]],
            json!({"Entrypoint": ["/evil"]}),
            vec![
                "the image's entrypoint is `/evil`",
                "/evil can be executed",
                natively,
            ],
        ),
        (
            "a native command",
            vec![vec![elf("evil", 0o700)]],
            json!({"Cmd": ["/evil", "x"]}),
            vec!["the image's command is `/evil`"],
        ),
        (
            "a native health check",
            vec![vec![elf("evil", 0o755)]],
            json!({"Healthcheck": {"Test": ["CMD", "/evil"]}}),
            vec!["the image's health check is `/evil`"],
        ),
        (
            "a health check in shell form, with a shell",
            vec![vec![elf("bin/sh", 0o755)]],
            json!({"Healthcheck": {"Test": ["CMD-SHELL", "true"]}}),
            vec![
                "the image's health check is `/bin/sh`",
                "/bin/sh can be executed",
            ],
        ),
        (
            "a health check of an unknown kind",
            vec![],
            json!({"Healthcheck": {"Test": ["/bin/hello"]}}),
            vec!["of the unknown kind `/bin/hello`"],
        ),
        (
            "a shell form without a shell",
            vec![],
            json!({"Cmd": ["/bin/sh", "-c", "hello"]}),
            vec!["the image's command is `/bin/sh`, which is no program of the image"],
        ),
        (
            "another shell",
            vec![vec![elf("evil", 0o755)]],
            json!({"Shell": ["/evil", "-c"]}),
            vec!["the image's shell is `/evil`"],
        ),
        (
            "earlier in PATH",
            vec![vec![elf("first/hello", 0o755)]],
            json!({"Cmd": ["hello"], "Env": ["PATH=/first:/bin"]}),
            vec!["the image's command is `hello`, and /first/hello is a native program"],
        ),
        (
            "in the working directory, by an empty part of PATH",
            vec![vec![elf("w/hello", 0o755)]],
            json!({"Cmd": ["hello"], "WorkingDir": "/w", "Env": ["PATH=:/bin"]}),
            vec!["and /w/hello is a native program"],
        ),
        (
            "set-user-ID, named by nobody",
            vec![vec![elf("usr/bin/su", 0o4755)]],
            json!({}),
            vec!["/usr/bin/su can be executed"],
        ),
        (
            "executable for others alone",
            vec![vec![elf("opt/x", 0o001)]],
            json!({}),
            vec!["/opt/x can be executed"],
        ),
        (
            "through a link",
            vec![vec![
                elf("opt/real", 0o755),
                Link("usr/bin/x", "../../opt/real"),
            ]],
            json!({"Cmd": ["/usr/bin/x"]}),
            vec!["the image's command is `/usr/bin/x`, and /opt/real is"],
        ),
        (
            "by a hard link with other permissions",
            vec![vec![
                elf("lib/x.so", 0o644),
                Hard("usr/bin/x", 0o755, "lib/x.so"),
            ]],
            json!({}),
            vec!["/usr/bin/x can be executed"],
        ),
        (
            "over a stub",
            vec![vec![elf("bin/hello", 0o755)]],
            json!({}),
            vec![
                "program /bin/hello: its stub was changed",
                "the image's command is `/bin/hello`",
            ],
        ),
        (
            "scripts with a native interpreter",
            vec![vec![
                elf("usr/bin/python3", 0o755),
                script("app", "#!/usr/bin/python3\n"),
                script("app2", "#!/app\n"),
            ]],
            json!({"Cmd": ["/app2"]}),
            vec![
                "/app can be executed and is a script for `/usr/bin/python3`",
                "`/app2`",
            ],
        ),
        (
            "a relative interpreter",
            vec![vec![script("app", "#!bin/x\n")]],
            json!({}),
            vec!["/app can be executed and is a script for `bin/x`, which depends on"],
        ),
        (
            "a stub of nobody",
            vec![vec![script("app", &stub_of_nobody)]],
            json!({"Cmd": ["/app"]}),
            vec!["/app is a stub without a route"],
        ),
        (
            "the launcher with options of the image's",
            vec![vec![script("app", "#!/.vkernel/megabinary --help\n")]],
            json!({"Cmd": ["/.vkernel/megabinary", "--root", "/"]}),
            vec![
                "which is the launcher itself",
                "/app is a stub without a route",
            ],
        ),
        (
            "programs of other systems",
            vec![vec![
                File("x.exe", 0o755, b"MZ\x90\0".to_vec()),
                File("x.wasm", 0o755, b"\0asm\x01\0\0\0".to_vec()),
            ]],
            json!({}),
            vec![
                "/x.exe can be executed and is a Windows program",
                "/x.wasm can be executed",
            ],
        ),
        (
            "a link in the place of a stub",
            vec![vec![Link("bin/hello", "/evil"), elf("evil", 0o755)]],
            json!({}),
            vec!["program /bin/hello", "/evil can be executed"],
        ),
        (
            "the launcher's key, from the image",
            vec![],
            json!({"Env": ["PATH=/bin", "VKERNEL_KEY=RWQ"]}),
            vec!["the environment variable VKERNEL_KEY", "whoever runs it"],
        ),
        (
            "a variable without a value",
            vec![],
            json!({"Env": ["VKERNEL_AUDIT"]}),
            vec!["the environment variable VKERNEL_AUDIT"],
        ),
        (
            "instructions for later builds",
            vec![],
            json!({"OnBuild": ["RUN /evil"]}),
            vec!["`RUN /evil`", "ONBUILD"],
        ),
        (
            "a folder as a program",
            vec![vec![Folder("app")]],
            json!({"Cmd": ["/app"]}),
            vec!["`/app`, which is no program of the image"],
        ),
    ];
    assert!(cases.len() > 20);
    for (name, layers, settings, says) in cases {
        world.derive(&layers, |config| set(config, &settings));
        world.refused(name, &says);
    }
    // Long lists are cut.
    let names: Vec<&'static str> = (0..30)
        .map(|n| &*Box::leak(format!("opt/x{n:02}").into_boxed_str()))
        .collect();
    let many = names.iter().map(|n| elf(n, 0o755)).collect();
    world.derive(&[many], |_| {});
    world.refused("many", &["/opt/x19 can be executed", "and 10 more"]);
}

/// Engines read keys in any letters, and the last of two.
#[test]
fn a_configuration_that_engines_read_differently() {
    let world = World::new();
    let two = "\"Cmd\":[\"/bin/hello\"],\"Entrypoint\":[\"/x\"],\"entrypoint\"";
    for (from, to) in [
        ("\"Cmd\"", "\"cmd\""),
        ("\"Cmd\"", "\"Cmd\":[\"/bin/hello\"],\"CMD\""),
        ("\"Cmd\"", two),
        ("\"config\"", "\"Config\":{\"Cmd\":[\"/x\"]},\"config\""),
        (
            "\"Cmd\"",
            "\"Healthcheck\":{\"test\":[\"CMD\",\"/x\"]},\"Cmd\"",
        ),
    ] {
        world.derive_text(&[], |config| {
            let text = serde_json::to_string(&config).unwrap();
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            changed.into_bytes()
        });
        let said = run(&mut world.sandbox.polybuild(&["verify", "derived"]));
        // It may be refused before it gets that far.
        assert!([3, VERIFY].contains(&said.status), "{to}: {said:#?}");
        assert!(!said.stderr.contains("panicked"), "{said:#?}");
    }
}

/// The launcher's settings come from whoever runs an image: neither a recipe nor `--env` sets them.
#[test]
fn variables_of_the_launcher() {
    let sandbox = Sandbox::with("hello");
    let recipe = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    let places = [
        format!("{recipe}env = {{ VKERNEL_KEY = \"x\" }}\n"),
        format!("{recipe}env = {{ VKERNEL_ = \"\" }}\n"),
        format!(
            "{recipe}\n[[build]]\nid = \"b\"\nscript = \"true\"\nenv = {{ VKERNEL_POLICY = \"x\" }}\n\
             outputs = [\"o\"]\n"
        ),
        recipe.replace(
            "file = \"path:hello.wat\"",
            "file = \"path:hello.wat\"\n[module.snapshot]\nenv = { VKERNEL_AUDIT = \"off\" }",
        ),
    ];
    for text in &places {
        sandbox.write("recipe.toml", text);
        let said = sandbox.fails(&["recipe.toml", "-o", "out"], 3, &["VKERNEL_"]);
        assert!(said.stderr.contains("whoever"), "{text}: {said:#?}");
    }
    let fine = format!("{recipe}env = {{ XVKERNEL_KEY = \"fine\" }}\n");
    sandbox.write("recipe.toml", fine);
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    for variable in ["VKERNEL_KEY=x", "VKERNEL_POLICY=", "VKERNEL_AUDIT"] {
        let args = ["run", "--env", variable, "out", "--", "/bin/hello"];
        sandbox.fails(&args, 2, &[variable, "the launcher's"]);
    }
}
