//! Exec against real files: routes, scripts, `env`, and every way to fail. Where the host kernel
//! or the host's `env` answers the same question, it is the oracle: see `native`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

mod native;

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{
            ffi::OsStrExt,
            fs::{OpenOptionsExt, PermissionsExt, symlink},
        },
    },
    path::{Path, PathBuf},
};

use megabinary_format::{Digest, Entry, EntryKind, Index, Policy, Route, Target, stub};
use vkernel_kernel::exec::{
    ExecError, ExecRequest, Files, MAX_HASHED, Resolution, resolve, resolve_stub,
};

/// A folder of files, and an index that routes some of them. Guest paths are host paths.
struct Case {
    dir: PathBuf,
    index: Index,
}

struct Host;

impl Files for Host {
    fn open(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        let mut options = fs::OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        Ok(options.open(path)?.into())
    }
}

impl Case {
    fn new(name: &str) -> Case {
        let dir = std::env::temp_dir().join(format!("vkernel-exec-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let index = Index {
            name: "test".into(),
            provenance: Digest([0; 32]),
            target: Target::X86_64,
            modules: Vec::new(),
            entries: Vec::new(),
            programs: Vec::new(),
            routes: Vec::new(),
            trees: Vec::new(),
            policy: Policy::default(),
            segments: Vec::new(),
        };
        Case { dir, index }
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().into()
    }

    /// Writes an executable file.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self.path(name)
    }

    /// Routes a file with these contents to a new entry; gives the entry's digest.
    fn route(&mut self, contents: &[u8], name: &str, kind: EntryKind, prefix: &[&str]) -> Digest {
        let argv_prefix: Vec<String> = prefix.iter().map(|p| p.to_string()).collect();
        let digest = Entry::compute_digest(name, None, &argv_prefix);
        self.index.routes.push(Route {
            file: Digest::of(contents),
            entry: self.index.entries.len() as u32,
        });
        self.index.routes.sort_by_key(|r| r.file);
        self.index.entries.push(Entry {
            digest,
            name: name.into(),
            kind,
            argv_prefix,
        });
        digest
    }

    /// Installs a program as the linker does: an entry and its stub.
    fn program(&mut self, path: &str, kind: EntryKind, prefix: &[&str]) -> String {
        let argv_prefix: Vec<String> = prefix.iter().map(|p| p.to_string()).collect();
        let text = stub::text(&Entry::compute_digest(path, None, &argv_prefix));
        self.route(text.as_bytes(), path, kind, prefix);
        self.file(path, text)
    }

    fn request(&self, path: &str, args: &[&str]) -> ExecRequest {
        ExecRequest {
            path: path.into(),
            argv: [path]
                .iter()
                .chain(args)
                .map(|a| a.as_bytes().to_vec())
                .collect(),
            env: vec![b"PATH=/nowhere".to_vec(), b"X=1".to_vec()],
            cwd: self.path("").into_bytes(),
        }
    }

    fn resolve(&self, path: &str, args: &[&str]) -> Result<Resolution<'_>, ExecError> {
        resolve(&self.index, &Host, self.request(path, args))
    }

    /// The entry and arguments that a request leads to, as `ENTRY: ARG|ARG`; with the folder's
    /// path shortened to `.`; or the error.
    fn shown(&self, path: &str, args: &[&str]) -> String {
        let text = match self.resolve(path, args) {
            Ok(Resolution::Launch(launch)) => {
                format!("{}: {}", launch.entry.name, show(&launch.argv))
            }
            Ok(Resolution::PrintEnvironment(env)) => format!("print {}", show(&env)),
            Err(error) => {
                format!("{} {}: {error}", error.exit_code(), error.errno_name())
            }
        };
        text.replace(self.dir.to_str().unwrap(), ".")
    }

    #[track_caller]
    fn check(&self, path: &str, args: &[&str], expected: &str) {
        assert_eq!(self.shown(path, args), expected);
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn show(list: &[Vec<u8>]) -> String {
    String::from_utf8_lossy(&list.join(&b'|')).into_owned()
}

#[test]
fn routes() {
    let mut case = Case::new("routes");
    let python = case.program("python3", EntryKind::Module(0), &[]);
    let pip = case.program("pip", EntryKind::Module(0), &["-m", "pip"]);
    case.check(&python, &["-c", "pass"], "python3: ./python3|-c|pass");
    case.check(&pip, &["list"], "pip: ./pip|-m|pip|list");
    case.check("pip", &[], "pip: pip|-m|pip");
    case.check("./pip", &[], "pip: ./pip|-m|pip");

    // The content counts, not the name.
    fs::copy(&python, case.dir.join("copy")).unwrap();
    symlink("pip", case.dir.join("link")).unwrap();
    case.check("copy", &[], "python3: copy");
    case.check("link", &[], "pip: link|-m|pip");

    // argv[0] stays the caller's; without arguments it is empty.
    let mut request = case.request(&python, &[]);
    request.argv = vec![b"-python".to_vec()];
    match resolve(&case.index, &Host, request.clone()).unwrap() {
        Resolution::Launch(launch) => {
            assert_eq!(launch.argv, [b"-python".to_vec()]);
            assert_eq!(launch.program, python.as_bytes());
            assert_eq!(launch.file, Digest::of(&fs::read(&python).unwrap()));
            assert_eq!((launch.module, launch.env.len()), (0, 2));
            assert!(launch.chain.is_empty());
        }
        other => panic!("{other:?}"),
    }
    request.argv.clear();
    match resolve(&case.index, &Host, request).unwrap() {
        Resolution::Launch(launch) => assert_eq!(launch.argv, [b"".to_vec()]),
        other => panic!("{other:?}"),
    }

    // A routed file that looks like a script of its own is a program.
    let text = b"#!/does/not/exist\n";
    case.route(text, "app", EntryKind::Module(0), &[]);
    case.file("app", text);
    case.check("app", &["x"], "app: app|x");
}

#[test]
fn refusals() {
    let mut case = Case::new("refusals");
    let python = case.program("python3", EntryKind::Module(0), &[]);
    let found = |name: &str| Digest::of(&fs::read(case.dir.join(name)).unwrap());

    case.check(
        "none",
        &[],
        "127 ENOENT: cannot execute ./none: No such file or directory (os error 2)",
    );
    case.check(
        "",
        &[],
        "127 ENOENT: cannot execute : No such file or directory (os error 2)",
    );
    case.check(
        "python3/x",
        &[],
        "126 ENOTDIR: cannot execute ./python3/x: Not a directory (os error 20)",
    );
    case.check(
        ".",
        &[],
        "126 EACCES: cannot execute ./.: it is a directory",
    );
    case.check(
        "/dev/null",
        &[],
        "126 EACCES: cannot execute /dev/null: it is a character device",
    );
    rustix::fs::mknodat(
        rustix::fs::CWD,
        case.path("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o755),
        0,
    )
    .unwrap();
    case.check(
        "fifo",
        &[],
        "126 EACCES: cannot execute ./fifo: it is a named pipe",
    );
    symlink("loop", case.dir.join("loop")).unwrap();
    assert!(
        case.shown("loop", &[])
            .starts_with("126 ELOOP: cannot execute ./loop: Too many")
    );

    case.file("data", "x");
    fs::set_permissions(case.dir.join("data"), fs::Permissions::from_mode(0o644)).unwrap();
    case.check("data", &[], "126 EACCES: cannot execute ./data: it has no execute permission (chmod +x ./data, or give it to its interpreter as an argument)");

    case.file("elf", b"\x7fELF and so on");
    let native = "; native programs do not run here: take the program from a vkernel image, or add it to the recipe and build the image again";
    case.check("elf", &[], &format!("126 EACCES: cannot execute elf: it is neither a program of this image (no route for its digest {}) nor a script (no `#!` line){native}", found("elf")));
    // Programs, whole or not: refused. Anything else is no program: a shell may read it.
    for program in [
        &b"\x7fELF"[..],
        b"\0asm",
        b"\0asm\x01\0\0\0",
        b"\0asm\x0d\0\x01\0",
    ] {
        case.file("program", program);
        assert!(
            case.shown("program", &[])
                .starts_with("126 EACCES: cannot execute program: it is neither")
        );
    }
    let data = [
        &b""[..],
        b"\n",
        b"echo hello\n",
        b"\x7fEL",
        b"\x7fELG",
        b"\0as",
        b"\0\0asm",
        b" #!/bin/sh\n",
        b"#",
        b"MZ\0\0",
    ];
    let no_format = "126 ENOEXEC: cannot execute data: it has no `#!` line and is no program of this image; give it a first line that names its interpreter, or give it to its interpreter as an argument";
    for data in data {
        case.file("data", data);
        case.check("data", &[], no_format);
    }
    fs::set_permissions(case.dir.join("data"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(case.shown("data", &[]).starts_with("126 EACCES: "));

    // A stub of another build, a damaged stub, and one that names the megabinary some other way.
    let other = Digest([9; 32]);
    case.file("stale", stub::text(&other));
    case.check("stale", &[], &format!("126 EACCES: cannot execute stale: its digest {} has no route in this megabinary; the stub names the entry {other}, which belongs to another build of the image: stubs and megabinary must come from the same build", found("stale")));
    let mut bytes = fs::read(&python).unwrap();
    for i in 0..bytes.len() {
        bytes[i] ^= 1;
        case.file("damaged", &bytes);
        let shown = case.shown("damaged", &[]);
        assert!(
            shown.starts_with("126 E") || shown.starts_with("127 ENOENT"),
            "byte {i}: {shown}"
        );
        bytes[i] ^= 1;
    }
    // Text after a stub's line: no route, and the message names the entry that the line claims.
    case.file("more", [bytes.as_slice(), b"\n"].concat());
    let shown = case.shown("more", &[]);
    assert!(
        shown.starts_with("126 EACCES: cannot execute more: its digest ")
            && shown.contains("has no route in this megabinary; the stub names the entry "),
        "{shown}"
    );

    // Too large to be hashed: no route, whatever it is, unless it is a script.
    let large = fs::File::create(case.dir.join("large")).unwrap();
    large.set_len(MAX_HASHED + 1).unwrap();
    large
        .set_permissions(fs::Permissions::from_mode(0o755))
        .unwrap();
    case.check("large", &[], &no_format.replace("data", "large"));
    use std::os::unix::fs::FileExt;
    large.write_all_at(b"\x7fELF", 0).unwrap();
    case.check("large", &[], &format!("126 EACCES: cannot execute large: it is not a program of this image ({} bytes; files of more than {MAX_HASHED} have no route){native}", MAX_HASHED + 1));
    large
        .write_all_at(format!("#!{python}\n").as_bytes(), 0)
        .unwrap();
    case.check("large", &[], "python3: ./python3|large");
}

#[test]
fn stubs_of_the_host_kernel() {
    let mut case = Case::new("stubs");
    let python = case.program("python3", EntryKind::Module(0), &[]);
    let claimed = case.index.entries[0].digest;
    let run = |claimed, path: &str| {
        resolve_stub(&case.index, &Host, claimed, case.request(path, &["x"]))
            .map(|_| ())
            .map_err(|e| format!("{} {e}", e.exit_code()))
    };
    assert_eq!(run(claimed, &python), Ok(()));
    let other = Digest([9; 32]);
    let message = run(other, &python).unwrap_err();
    assert!(
        message.starts_with("126 ")
            && message.contains(&format!("a stub for the entry {other}, but")),
        "{message}"
    );
    // A file that has no route must not be followed as a script.
    let script = case.file("script", format!("#!{python}\n"));
    let message = run(claimed, &script).unwrap_err();
    assert!(
        message.contains("it is neither a program of this image"),
        "{message}"
    );
}

#[test]
fn scripts() {
    let mut case = Case::new("scripts");
    let python = case.program("python3", EntryKind::Module(0), &["-I"]);
    case.file("s", format!("#!{python} -u -x\nprint()\n"));
    case.check("s", &["a"], "python3: ./python3|-I|-u -x|s|a");
    match case.resolve("s", &[]).unwrap() {
        Resolution::Launch(launch) => assert_eq!(launch.chain, [b"s".to_vec()]),
        other => panic!("{other:?}"),
    }
    case.file("relative", "#!python3\n");
    case.check("relative", &[], "python3: python3|-I|relative");
    case.file("missing", "#!/bin/nothing\n");
    case.check("missing", &[], "127 ENOENT: cannot execute the script missing, whose `#!` line names the interpreter /bin/nothing: cannot execute /bin/nothing: No such file or directory (os error 2)");
    case.file("folder", "#!/tmp\n");
    assert!(
        case.shown("folder", &[])
            .starts_with("126 EACCES: cannot execute the script folder")
    );
    case.file("malformed", "#!\n");
    case.check("malformed", &[], "126 ENOEXEC: cannot execute malformed: its `#!` line names no interpreter, or one whose path does not end within 255 bytes");
    case.file("self", format!("#!{}\n", case.path("self")));
    case.check("self", &[], "126 ELOOP: cannot execute ./self: more than 5 scripts lead to each other through their `#!` lines");
    // The script's own bytes may be anything.
    case.file(
        "binary",
        [format!("#!{python}\n").as_bytes(), &[0xff, 0, 0x80]].concat(),
    );
    case.check("binary", &[], "python3: ./python3|-I|binary");
}

#[test]
fn env() {
    let mut case = Case::new("env");
    let env = case.program("bin/env", EntryKind::Env, &[]);
    case.program("bin/python3", EntryKind::Module(0), &[]);
    case.file("first/python3", "no program");
    fs::set_permissions(
        case.dir.join("first/python3"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let path = format!("PATH=relative::{}:{}", case.path("first"), case.path("bin"));

    case.check(&env, &[], "print PATH=/nowhere|X=1");
    case.check(&env, &["-i", "A=1"], "print A=1");
    case.check(&env, &[&path, "python3", "-c"], "bin/python3: python3|-c");
    case.check(&env, &["bin/python3", "x"], "bin/python3: bin/python3|x");
    case.check(
        &env,
        &["python3"],
        "127 ENOENT: env: cannot find the program python3 in PATH=/nowhere",
    );
    case.check(&env, &["-z"], "125 EINVAL: env: unsupported option -z: the vkernel's env knows -i, -u NAME, -S STRING and NAME=VALUE");
    let refused = format!("PATH={}", case.path("first"));
    assert!(
        case.shown(&env, &[&refused, "python3"])
            .starts_with("126 EACCES: cannot execute ./first/python3")
    );

    // Scripts that find their interpreter by env, env by env, and env without end.
    case.file("s", format!("#!{env} -S {path} python3 -u\n"));
    case.check("s", &["a"], "bin/python3: python3|-u|s|a");
    case.check(&env, &[&env, &path, "python3"], "bin/python3: python3");
    case.file("endless", format!("#!{env} {}\n", case.path("endless")));
    assert!(case.shown("endless", &[]).starts_with("126 ELOOP: "));
    case.program("prefixed", EntryKind::Env, &["-u", "X"]);
    case.check("prefixed", &["A=1"], "print PATH=/nowhere|A=1");

    // What has no known format is for the shell (execvp(3)).
    let text = case.file("text", "echo hello\n");
    assert!(case.shown(&env, &[&text]).starts_with("126 EACCES: "));
    let shell = fs::read("/bin/sh").unwrap();
    case.route(&shell, "sh", EntryKind::Module(0), &[]);
    case.check(&env, &[&text, "a"], "sh: /bin/sh|./text|a");
    case.file("by", format!("#!{text}\n"));
    case.check(&env, &[&case.path("by")], "sh: /bin/sh|./by");
    assert!(case.shown("text", &[]).starts_with("126 ENOEXEC: "));
}
