//! `execve` inside the vkernel: scripts, `env`, and the launcher's own command line.

use std::{
    ffi::OsString,
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{
            ffi::{OsStrExt as _, OsStringExt as _},
            fs::{OpenOptionsExt as _, PermissionsExt as _},
        },
    },
    path::PathBuf,
};

use megabinary_format::{
    Digest, Entry, EntryKind, Index, MemoryImage, Module, Policy, Route, Target, stub,
};
use vkernel_kernel::exec::{ExecRequest, Files, Resolution, resolve, resolve_stub};
use vkernel_launcher::command_line::CommandLine;

use crate::scratch::Scratch;

/// The scratch folder as the guest's root, without links.
struct Root(PathBuf);

impl Files for Root {
    fn open(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let path = std::ffi::OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path));
        let parts = std::path::Path::new(path).components();
        if parts
            .into_iter()
            .any(|c| c == std::path::Component::ParentDir)
        {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut options = fs::OpenOptions::new();
        // O_NONBLOCK.
        options.read(true).custom_flags(0o4000);
        Ok(options.open(self.0.join(path))?.into())
    }
}

/// A file with these bytes, executed: either an error with an errno that `execve(2)` can give, or a
/// launch of an entry that the file at the program's path is routed to. Nothing but routed files
/// starts, whatever scripts say.
pub fn exec(data: &[u8]) {
    let scratch = Scratch::new();
    let index = index();
    for folder in ["bin", "usr", "usr/bin"] {
        fs::create_dir_all(scratch.path(folder)).unwrap();
    }
    let put = |path: &str, bytes: &[u8]| {
        let file = scratch.write(path, bytes);
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let stub_of = |entry: usize| stub::text(&index.entries[entry].digest);
    put("bin/sh", stub_of(0).as_bytes());
    put("usr/bin/env", stub_of(1).as_bytes());
    put("s", data);
    put("bin/t", data);
    let files = Root(scratch.path(""));
    let request = |path: &[u8]| ExecRequest {
        path: path.into(),
        argv: vec![b"s".into(), b"one".into(), b"last".into()],
        env: vec![b"PATH=/usr/bin:/bin".into(), b"V=a b".into()],
        cwd: b"/".into(),
    };
    for path in [&b"/s"[..], b"s", b"/bin/t", data] {
        judge(
            &index,
            &files,
            resolve(&index, &files, request(path)).map_err(|e| {
                assert!(!e.to_string().is_empty());
                e.errno()
            }),
        );
    }
    let claimed = index.entries[0].digest;
    // Through a stub, the file itself must be routed.
    let through = resolve_stub(&index, &files, claimed, request(b"/s"));
    assert_eq!(through.is_ok(), data == stub_of(0).as_bytes());
    // `env -S` with the bytes as its string.
    let mut env = request(b"/usr/bin/env");
    env.argv = vec![b"env".into(), [b"-S", data].concat(), b"last".into()];
    judge(
        &index,
        &files,
        resolve(&index, &files, env).map_err(|e| e.errno()),
    );
}

fn judge(index: &Index, files: &Root, result: Result<Resolution<'_>, i32>) {
    match result {
        // ENOENT, EIO, ENOEXEC, EACCES, ENOTDIR, EINVAL, ENAMETOOLONG, ELOOP; `Files` above may
        // fail without a number, which counts as EIO.
        Err(errno) => assert!([2, 5, 8, 13, 20, 22, 36, 40].contains(&errno), "{errno}"),
        Ok(Resolution::PrintEnvironment(env)) => assert!(env.iter().all(|v| v.contains(&b'='))),
        Ok(Resolution::Launch(launch)) => {
            assert_eq!(launch.entry.kind, EntryKind::Module(launch.module));
            let file: fs::File = files.open(&launch.program).unwrap().into();
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut { file }, &mut bytes).unwrap();
            assert_eq!(Digest::of(&bytes), launch.file);
            assert_eq!(index.route(&launch.file), Some(launch.entry));
            assert!(!launch.argv.is_empty());
        }
    }
}

/// One program `sh` and `env`.
fn index() -> Index {
    let entry = |name: &str, kind| Entry {
        digest: Entry::compute_digest(name, None, &[]),
        name: name.into(),
        kind,
        argv_prefix: vec![],
    };
    let entries = vec![
        entry("sh", EntryKind::Module(0)),
        entry("env", EntryKind::Env),
    ];
    let stub = |entry: &Entry| Digest::of(stub::text(&entry.digest).as_bytes());
    let mut routes: Vec<Route> = (0..)
        .zip(&entries)
        .map(|(at, entry)| Route {
            file: stub(entry),
            entry: at,
        })
        .collect();
    routes.sort_by_key(|r| r.file);
    Index {
        name: "fuzz".into(),
        provenance: Digest([0; 32]),
        target: Target::Portable,
        modules: vec![Module {
            name: "sh".into(),
            digest: Digest([0; 32]),
            code: None,
            cold: MemoryImage {
                pages: 0,
                runs: vec![],
                globals: vec![],
            },
            warm: None,
            process: None,
            imports: vec![],
            personality: Default::default(),
            is_library: false,
            libraries: vec![],
        }],
        entries,
        programs: vec![],
        routes,
        trees: vec![],
        policy: Policy::default(),
        segments: vec![],
    }
}

/// Arguments of the launcher, a NUL between: understood or an error that can be shown. The stub's
/// form is told by its first argument alone, and hands the rest on untouched.
pub fn command_line(data: &[u8]) {
    let args: Vec<Vec<u8>> = data.split(|b| *b == 0).map(<[u8]>::to_vec).collect();
    let all = std::iter::once(b"megabinary".to_vec()).chain(args.clone());
    match CommandLine::parse(all.map(OsString::from_vec).collect()) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(CommandLine::Stub(start)) => {
            assert_eq!(start.claimed.to_string().as_bytes(), args[0]);
            assert_eq!(start.argv, args[1..]);
            assert_eq!(start.path, args[1]);
        }
        Ok(CommandLine::Direct(direct)) => {
            assert!(!args[0].starts_with(b"sha256:"));
            assert!(args.ends_with(&direct.args));
            assert!(direct.dirs.iter().all(|d| d.guest.starts_with(b"/")));
            assert!(direct.env.iter().all(|v| v.contains(&b'=') && v[0] != b'='));
            assert!(direct.cwd.iter().all(|d| d.starts_with(b"/")));
        }
    }
}
