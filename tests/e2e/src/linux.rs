//! The comparison of the Linux personality with the host: the programs of `tests/linux/cases`, made
//! for both, and run in equal roots.
//!
//! What was compiled is kept in the target folder under a digest of what it was made from. Natively
//! the programs are static, so that their root needs nothing else.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde::Deserialize;

use crate::{Said, guests::test_tools_python, polybuild, polybuild_path, run, run_with, workspace};

/// Longest run of one program, in seconds.
const LONGEST: &str = "60";

/// What a case says beside its source, in `NAME.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Environment, besides `PATH`.
    pub env: BTreeMap<String, String>,
    /// Lines in which the vkernel means to differ.
    pub difference: Vec<Difference>,
}

/// Lines of the standard output in which the vkernel means to differ.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// What the host's run says: whole lines.
    pub native: String,
    /// What the vkernel's run says instead; nothing if the lines are missing.
    pub ours: String,
    /// Why.
    pub reason: String,
}

/// One program of the comparison.
#[derive(Debug)]
pub struct Case {
    /// Its name: the source's without `.c`.
    pub name: String,
    /// What is said beside it.
    pub settings: Settings,
    /// What it is about, from its head: `/* about: ... */`.
    pub about: String,
    /// The calls that it is about, from its head: `/* calls: ... */`. None if it is about none in particular.
    pub calls: Vec<String>,
    source: PathBuf,
    threads: bool,
}

/// What a comment of this kind says in a case; nothing if there is none.
fn said(text: &str, kind: &str) -> String {
    let begin = format!("/* {kind}: ");
    let rest = text.split_once(begin.as_str()).map_or("", |(_, rest)| rest);
    let comment = rest.split_once("*/").map_or("", |(comment, _)| comment);
    let words = comment.split_whitespace().filter(|word| *word != "*");
    words.collect::<Vec<_>>().join(" ")
}

/// The cases, by name; `CASE` in the environment names the only one that is wanted.
pub fn cases() -> Vec<Case> {
    let only = std::env::var("CASE").ok();
    let is_wanted = |case: &Case| only.as_ref().is_none_or(|only| *only == case.name);
    all_cases().into_iter().filter(is_wanted).collect()
}

/// All cases, by name.
pub fn all_cases() -> Vec<Case> {
    let mut cases: Vec<Case> = fs::read_dir(folder().join("cases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "c"))
        .map(|source| {
            let name = source.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&source).unwrap();
            let settings = match fs::read_to_string(source.with_extension("toml")) {
                Ok(text) => toml::from_str(&text).unwrap_or_else(|e| panic!("{name}.toml: {e}")),
                Err(_) => Settings::default(),
            };
            Case {
                threads: said(&text, "flags") == "-pthread",
                about: said(&text, "about"),
                calls: said(&text, "calls")
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
                name,
                settings,
                source,
            }
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// The module of a guest in `tests/e2e/guests/linux`, which has threads, or of one that is for all
/// personalities, beside that folder.
pub fn guest(name: &str) -> PathBuf {
    let guests = workspace().join("tests/e2e/guests");
    let own = guests.join(format!("linux/{name}.c"));
    let case = Case {
        name: name.to_owned(),
        settings: Settings::default(),
        about: String::new(),
        calls: Vec::new(),
        source: match own.is_file() {
            true => own,
            false => guests.join(format!("{name}.c")),
        },
        threads: true,
    };
    compile(&case, false)
}

/// A root with a [`guest`] as its only program, under a policy.
pub struct Sandbox {
    outer: tempfile::TempDir,
    program: String,
}

impl Sandbox {
    /// Builds an image with the guest `name` as `/usr/bin/NAME` and the lines of `[policy]`.
    pub fn new(name: &str, policy: &str) -> Sandbox {
        let outer = tempfile::tempdir().unwrap();
        let recipe = format!(
            "[recipe]\nname = \"{name}\"\nversion = \"1\"\nkind = \"app\"\n\n\
             [[module]]\nname = \"{name}\"\nfile = \"path:{name}.wasm\"\n\n\
             [[program]]\nname = \"{name}\"\nmodule = \"{name}\"\n\
             paths = [\"/usr/bin/{name}\"]\n\n\
             [image]\nname = \"test/{name}\"\ntag = \"1\"\n\n[policy]\n{policy}"
        );
        fs::copy(guest(name), outer.path().join(format!("{name}.wasm"))).unwrap();
        fs::write(outer.path().join("recipe.toml"), recipe).unwrap();
        let sandbox = Sandbox {
            outer,
            program: format!("/usr/bin/{name}"),
        };
        let (image, root) = (sandbox.outer.path().join("image"), sandbox.root());
        let said = run(polybuild()
            .arg(sandbox.outer.path().join("recipe.toml"))
            .arg("-o")
            .arg(&image));
        assert_eq!(said.status, 0, "building the image: {}", said.stderr);
        let said = run(polybuild()
            .args(["export", "--quiet", "--format", "rootfs", "-o"])
            .arg(&root)
            .arg(&image));
        assert_eq!(said.status, 0, "unpacking the image: {}", said.stderr);
        for folder in ["proc", "dev", "w", "tmp"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        sandbox
    }

    /// Its root.
    pub fn root(&self) -> PathBuf {
        self.outer.path().join("root")
    }

    /// The folder that its root is in.
    pub fn outside(&self) -> &Path {
        self.outer.path()
    }

    /// What runs the guest in `/w` of the root that the vkernel itself makes its own.
    pub fn alone(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.root().join(".vkernel/megabinary"));
        command.arg("--root").arg(self.root());
        command.args(["--cwd", "/w", "--program", &self.program, "--"]);
        command.args(args);
        command
    }

    /// Runs the guest as in a container, with audit events on standard error unless `env` says
    /// otherwise.
    pub fn run(&self, args: &[&str], env: &[&str]) -> Said {
        let env = [&["VKERNEL_AUDIT=stderr"], env].concat();
        enter(&self.root(), &self.program, args, &env)
    }
}

fn folder() -> PathBuf {
    workspace().join("tests/linux")
}

/// Does something for each item in as many threads as there are processors; results in order.
pub fn each<T: Sync, R: Send>(items: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(item) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    items.get(at).map(|item| (at, item))
                } {
                    let result = act(item.1);
                    done.lock().unwrap().push((item.0, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The two roots: `bin/NAME` is the case, natively and for the vkernel.
pub struct Roots {
    native: PathBuf,
    ours: PathBuf,
}

impl Roots {
    /// Compiles all cases for both and lays the roots out.
    pub fn new(cases: &[Case]) -> Roots {
        // Tests of one process share what is compiled.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap();
        let made = each(cases, |case| (compile(case, true), compile(case, false)));
        let mut digest = DefaultHasher::new();
        let builder = fs::metadata(polybuild_path()).unwrap();
        (builder.size(), builder.mtime(), builder.mtime_nsec(), &made).hash(&mut digest);
        let place = target().join(format!("roots-{:016x}", digest.finish()));
        let roots = Roots {
            native: place.join("native"),
            ours: place.join("ours"),
        };
        if !place.is_dir() {
            fs::create_dir_all(target()).unwrap();
            let scratch = tempfile::tempdir_in(target()).unwrap();
            native_root(&scratch.path().join("native"), cases, &made);
            our_root(scratch.path(), cases, &made);
            for root in ["native", "ours"] {
                mount_points(&scratch.path().join(root));
            }
            fs::rename(scratch.keep(), &place).unwrap();
        }
        roots
    }

    /// Runs a case natively.
    pub fn native(&self, case: &Case) -> Said {
        run_with(&mut in_root(&self.native, case, ""), INPUT)
    }

    /// Runs a case in the vkernel.
    pub fn ours(&self, case: &Case) -> Said {
        run_with(&mut self.command(case), INPUT)
    }

    /// Runs a case in an image of its own, whose seccomp filter is made for that case alone.
    pub fn ours_alone(&self, case: &Case) -> Said {
        let folder = tempfile::tempdir().unwrap();
        let made = [(compile(case, true), compile(case, false))];
        our_root(folder.path(), std::slice::from_ref(case), &made);
        let root = folder.path().join("ours");
        mount_points(&root);
        run_with(&mut in_root(&root, case, ""), INPUT)
    }

    /// What runs a case in the vkernel: the host executes `/bin/NAME` last.
    pub fn command(&self, case: &Case) -> Command {
        in_root(&self.ours, case, "")
    }

    /// The same under a policy that guards paths, none of which the case uses.
    pub fn ours_judged(&self, case: &Case) -> Said {
        let policy = "VKERNEL_POLICY=hidden=/nowhere;read-only=/nothing";
        run_with(&mut in_root(&self.ours, case, policy), INPUT)
    }
}

fn target() -> PathBuf {
    workspace().join("target/test-linux")
}

/// The compiled case for the vkernel.
pub fn module(case: &Case) -> PathBuf {
    compile(case, false)
}

/// The compiled case: natively, or a module.
fn compile(case: &Case, native: bool) -> PathBuf {
    let driver = polybuild_path().with_file_name("vkcc");
    let sysroot = workspace().join("out/musl-1.2.5");
    let record = fs::read(sysroot.join("build.json")).unwrap_or_else(|e| {
        panic!(
            "{}: {e}: run `polybuild recipes/musl/1.2.5/recipe.toml`",
            sysroot.display()
        )
    });
    let mut digest = DefaultHasher::new();
    for path in [&case.source, &folder().join("check.h")] {
        fs::read(path).unwrap().hash(&mut digest);
    }
    if !native {
        (record, fs::read(&driver).unwrap()).hash(&mut digest);
    }
    let place = target().join(format!("{}-{:016x}", case.name, digest.finish()));
    let made = place.join(if native { "native" } else { "module.wasm" });
    if made.is_file() {
        return made;
    }
    fs::create_dir_all(&place).unwrap();
    let mut command = match native {
        true => Command::new("gcc"),
        false => vkcc(),
    };
    command.args(["-std=gnu17", "-O1", "-fno-builtin", "-w"]);
    if native {
        command.args(["-static", "-pthread"]);
    } else if case.threads {
        command.arg("-pthread");
    }
    // Another test may be making the same.
    let folder = tempfile::tempdir_in(&place).unwrap();
    let scratch = folder.path().join("unfinished");
    let said = run(command.arg("-o").arg(&scratch).arg(&case.source).arg("-lm"));
    assert_eq!(said.status, 0, "compiling {}: {}", case.name, said.stderr);
    fs::rename(scratch, &made).unwrap();
    made
}

/// The built sysroot.
pub fn sysroot() -> PathBuf {
    let path = workspace().join("out/musl-1.2.5/sysroot/sysroot");
    assert!(
        path.is_dir(),
        "{} is missing: run `polybuild recipes/musl/1.2.5/recipe.toml`",
        path.display()
    );
    path
}

/// The compiler driver with the built sysroot.
pub fn vkcc() -> Command {
    let mut command = Command::new(polybuild_path().with_file_name("vkcc"));
    command.env("VKCC_SYSROOT", sysroot());
    command.env("VKCC_ZIG", zig());
    command
}

/// The driver under one of the names that lie beside polybuild, in a folder, with nothing else of the
/// environment.
pub fn driver(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(polybuild_path().with_file_name(name));
    command
        .env_clear()
        .env("VKCC_SYSROOT", sysroot())
        .env("VKCC_ZIG", zig())
        .current_dir(folder);
    command
}

/// The compiler that `tests/install` made.
pub fn zig() -> PathBuf {
    let said = run(Command::new(test_tools_python()).args([
        "-c",
        "import ziglang, os; print(os.path.join(os.path.dirname(ziglang.__file__), 'zig'))",
    ]));
    PathBuf::from(said.stdout.trim())
}

/// Empty folders for what [`enter`] mounts.
fn mount_points(root: &Path) {
    for folder in ["proc", "dev", "w", "tmp"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
}

fn native_root(root: &Path, cases: &[Case], made: &[(PathBuf, PathBuf)]) {
    fs::create_dir_all(root.join("bin")).unwrap();
    for (case, (native, _)) in cases.iter().zip(made) {
        fs::copy(native, root.join("bin").join(&case.name)).unwrap();
    }
}

/// All modules in one image, whose files are the root.
fn our_root(folder: &Path, cases: &[Case], made: &[(PathBuf, PathBuf)]) {
    let mut recipe = String::from("[recipe]\nname = \"cases\"\nversion = \"1\"\nkind = \"app\"\n");
    for (case, (_, module)) in cases.iter().zip(made) {
        let name = &case.name;
        fs::copy(module, folder.join(format!("{name}.wasm"))).unwrap();
        write!(
            recipe,
            "\n[[module]]\nname = \"{name}\"\nfile = \"path:{name}.wasm\"\n\n\
             [[program]]\nname = \"{name}\"\nmodule = \"{name}\"\npaths = [\"/bin/{name}\"]\n"
        )
        .unwrap();
    }
    recipe.push_str("\n[image]\nname = \"test/cases\"\ntag = \"1\"\n");
    fs::write(folder.join("recipe.toml"), recipe).unwrap();
    let (image, root) = (folder.join("image"), folder.join("ours"));
    let said = run(polybuild()
        .arg(folder.join("recipe.toml"))
        .arg("-o")
        .arg(&image));
    assert_eq!(said.status, 0, "building the image: {}", said.stderr);
    let said = run(polybuild()
        .args(["export", "--quiet", "--format", "rootfs", "-o"])
        .arg(&root)
        .arg(&image));
    assert_eq!(said.status, 0, "unpacking the image: {}", said.stderr);
}

/// Makes the root look like a container's, and runs a program that is not its first process.
const ENTER: &str = r#"
set -e
root=$1 program=$2
shift 2
# Neither side gets descriptors of whoever runs the tests: the launcher would close them.
for link in /proc/self/fd/*; do
    number=${link##*/}
    case $number in 0 | 1 | 2) ;; *) eval "exec $number>&-" ;; esac
done
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 scratch "$root/w"
mount -t tmpfs -o mode=755 dev "$root/dev"
cd "$root/dev"
mknod -m 666 null c 1 3
mknod -m 666 zero c 1 5
mknod -m 666 full c 1 7
mknod -m 666 random c 1 8
mknod -m 666 urandom c 1 9
mknod -m 666 tty c 5 0
mkdir pts shm
mount -t devpts -o newinstance,ptmxmode=666 devpts pts
ln -s pts/ptmx ptmx
ln -s /proc/self/fd fd
cd /
ulimit -c 0
case "$*" in *RAISE_FILES=1*) ulimit -n "$(ulimit -Hn)" ;; esac
set +e
env -i PATH=/bin "$@" unshare --root="$root" --wd=/w "$program"
exit $?
"#;

/// Standard input of every case.
pub const INPUT: &[u8] = b"standard input\n";

fn in_root(root: &Path, case: &Case, policy: &str) -> Command {
    let env: Vec<String> = case
        .settings
        .env
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .chain((!policy.is_empty()).then(|| policy.to_owned()))
        .collect();
    entering(
        root,
        &format!("/bin/{}", case.name),
        &case.settings.args,
        &env,
    )
}

/// Runs a program in a root that has empty folders `proc`, `dev` and `w`, as a container engine
/// would: `/w` is an empty file system and the working directory.
pub fn enter(
    root: &Path,
    program: &str,
    args: &[impl AsRef<str>],
    env: &[impl AsRef<str>],
) -> Said {
    run_with(&mut entering(root, program, args, env), INPUT)
}

fn entering(
    root: &Path,
    program: &str,
    args: &[impl AsRef<str>],
    env: &[impl AsRef<str>],
) -> Command {
    let mut script = ENTER.to_owned();
    if !args.is_empty() {
        let args = args.iter().map(|a| format!(" '{}'", a.as_ref()));
        script = script.replace(
            "\"$program\"\nexit",
            &format!("\"$program\"{}\nexit", args.collect::<String>()),
        );
    }
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", LONGEST, "unshare"])
        .args([
            "--mount",
            "--pid",
            "--ipc",
            "--uts",
            "--fork",
            "--kill-child",
        ])
        // dash cannot name descriptors above 9.
        .args(["bash", "-c", &script, "bash"])
        .arg(root)
        .arg(program)
        .args(env.iter().map(AsRef::as_ref));
    command
}
