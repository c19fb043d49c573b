//! What is to be run: from the arguments, through the root's files, to a module and its
//! arguments.

use std::{
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    rc::Rc,
};

use megabinary_format::{EntryKind, Index, Policy};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use vkernel_kernel::exec::{self, ExecRequest, Files, Resolution};
use vkernel_sandbox::Accepted;

use crate::{
    command_line::{CommandLine, Direct, Start, StubStart},
    failure::Failure,
    guest::{Guest, Role},
    info, isolation,
    payload::Payload,
    settings::Settings,
};

/// A parsed command line.
pub(crate) struct Request {
    line: CommandLine,
    accepted: Rc<Accepted>,
    isolated: bool,
}

impl Request {
    pub(crate) fn new(index: &Index, mut line: CommandLine) -> Result<Request, Failure> {
        let mut accepted = Accepted::default();
        if let CommandLine::Direct(direct) = &line {
            accepted = Accepted::from_names(&direct.accept_less)
                .map_err(|error| Failure::new(format!("option --accept-less: {error}")))?;
        }
        if let CommandLine::Direct(direct) = &mut line
            && direct.start == Start::Default
        {
            direct.start = only_entry(index)?;
        }
        Ok(Request {
            line,
            accepted: Rc::new(accepted),
            isolated: false,
        })
    }

    /// Goes on in namespaces of the guest's own, if that was asked for.
    pub(crate) fn isolate(&mut self, policy: &Policy) -> Result<(), Failure> {
        if let CommandLine::Direct(direct) = &mut self.line {
            self.isolated = isolation::enter(direct, &self.accepted, policy)?;
        }
        Ok(())
    }

    /// `None`: there was nothing to run, and what was asked for is done.
    pub(crate) fn resolve<'p>(
        self,
        payload: &'p Payload,
        settings: &Settings,
    ) -> Result<Option<Guest<'p>>, Failure> {
        let guest = match self.line {
            CommandLine::Stub(stub) => through_stub(payload, settings, stub),
            CommandLine::Direct(direct) => directly(payload, settings, direct),
        }?;
        Ok(guest.map(|guest| Guest {
            accepted: self.accepted,
            isolated: self.isolated,
            ..guest
        }))
    }
}

/// Without a choice, a megabinary runs its only entry.
fn only_entry(index: &Index) -> Result<Start, Failure> {
    match index.entries.as_slice() {
        [entry] => Ok(Start::Entry(entry.name.clone())),
        entries => {
            let names: Vec<&str> = entries.iter().map(|e| e.name.as_str()).collect();
            Err(Failure::new(format!(
                "this megabinary holds several programs ({}): choose one with --entry NAME or \
                 --program PATH",
                names.join(", ")
            )))
        }
    }
}

/// As the host kernel starts a stub: the container's root is the guest's.
fn through_stub<'p>(
    payload: &'p Payload,
    settings: &Settings,
    stub: StubStart,
) -> Result<Option<Guest<'p>>, Failure> {
    let root = open_folder(std::path::Path::new("/"))?;
    let cwd = std::env::current_dir().map_err(Failure::host("finding the working directory"))?;
    let request = ExecRequest {
        path: stub.path,
        argv: stub.argv,
        env: settings.guest_env.clone(),
        cwd: cwd.as_os_str().as_bytes().to_vec(),
    };
    let files = Root {
        root: &root,
        is_host_root: true,
    };
    let resolution = exec::resolve_stub(&payload.index, &files, stub.claimed, request.clone())?;
    resolved(payload, resolution, request.cwd, Some((root, None)))
}

fn directly<'p>(
    payload: &'p Payload,
    settings: &Settings,
    direct: Direct,
) -> Result<Option<Guest<'p>>, Failure> {
    let Direct {
        root,
        dirs,
        env,
        cwd,
        start,
        args,
        arg0,
        ..
    } = direct;
    let mut variables = settings.guest_env.clone();
    for variable in env {
        set_variable(&mut variables, variable);
    }
    let cwd = cwd.unwrap_or_else(|| b"/".to_vec());
    let mut guest = match start {
        Start::Info => {
            info::print(payload);
            return Ok(None);
        }
        Start::Default => return Err(Failure::new("nothing to run")),
        Start::Program(program) => {
            let host = root.clone().unwrap_or_else(|| "/".into());
            let fd = open_folder(&host)?;
            let files = Root {
                root: &fd,
                is_host_root: root.is_none(),
            };
            let path = find_program(&files, &variables, &cwd, program);
            let argv = [arg0.unwrap_or_else(|| path.clone())]
                .into_iter()
                .chain(args)
                .collect();
            let request = ExecRequest {
                path,
                argv,
                env: variables,
                cwd: cwd.clone(),
            };
            let resolution = exec::resolve(&payload.index, &files, request)?;
            match resolved(payload, resolution, cwd, Some((fd, root)))? {
                Some(guest) => guest,
                None => return Ok(None),
            }
        }
        Start::Entry(name) => {
            let root = open_root(root)?;
            let argv0 = arg0.unwrap_or_else(|| name.clone().into_bytes());
            entry(payload, &name, argv0, args, variables, cwd, root)?
        }
        Start::Snapshot { module, out, time } => {
            let root = open_root(root)?;
            let at = payload
                .index
                .modules
                .iter()
                .position(|m| m.name == module)
                .ok_or_else(|| Failure::new(format!("this megabinary has no module `{module}`")))?;
            let mut guest = Guest::new(payload, at, args, variables, cwd, root)?;
            // Only what the builder says is visible at the snapshot point.
            guest.role = Role::Snapshot { out, time };
            guest
        }
    };
    for mapping in dirs {
        let fd = open_folder(&mapping.host)?;
        guest.dirs.push((mapping, fd));
    }
    Ok(Some(guest))
}

fn entry<'p>(
    payload: &'p Payload,
    name: &str,
    argv0: Vec<u8>,
    args: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    cwd: Vec<u8>,
    root: Option<(OwnedFd, Option<std::path::PathBuf>)>,
) -> Result<Guest<'p>, Failure> {
    let found = payload
        .index
        .entries
        .iter()
        .find(|e| e.name == name)
        .ok_or_else(|| Failure::new(format!("this megabinary has no entry `{name}`")))?;
    let EntryKind::Module(module) = found.kind else {
        return Err(Failure::new(format!(
            "the entry `{name}` is built into the vkernel and runs no module; use --program PATH"
        )));
    };
    let argv = [argv0]
        .into_iter()
        .chain(found.argv_prefix.iter().map(|a| a.clone().into_bytes()))
        .chain(args)
        .collect();
    let mut guest = Guest::new(payload, module as usize, argv, env, cwd, root)?;
    guest.entry_name = found.name.clone();
    guest.entry_digest = found.digest;
    guest.program = found.name.clone().into_bytes();
    Ok(guest)
}

fn resolved<'p>(
    payload: &'p Payload,
    resolution: Resolution<'p>,
    cwd: Vec<u8>,
    root: Option<(OwnedFd, Option<std::path::PathBuf>)>,
) -> Result<Option<Guest<'p>>, Failure> {
    match resolution {
        Resolution::Launch(launch) => {
            let module = launch.module as usize;
            let mut guest = Guest::new(payload, module, launch.argv, launch.env, cwd, root)?;
            guest.entry_name = launch.entry.name.clone();
            guest.entry_digest = launch.entry.digest;
            guest.program = launch.program;
            guest.file = Some(launch.file);
            Ok(Some(guest))
        }
        Resolution::PrintEnvironment(variables) => {
            let mut text = variables.join(&b'\n');
            if !text.is_empty() {
                text.push(b'\n');
            }
            io::stdout()
                .write_all(&text)
                .and_then(|()| io::stdout().flush())
                .map_err(Failure::host("writing the environment"))?;
            Ok(None)
        }
    }
}

/// A name without `/` is looked up in the guest's `PATH`, as execvp(3) does.
fn find_program(files: &impl Files, env: &[Vec<u8>], cwd: &[u8], program: Vec<u8>) -> Vec<u8> {
    if program.contains(&b'/') {
        return program;
    }
    let path = env.iter().find_map(|v| v.strip_prefix(b"PATH="));
    path.unwrap_or(b"/usr/local/bin:/usr/bin:/bin")
        .split(|b| *b == b':')
        .map(|dir| {
            // An empty element means the working directory.
            let dir = if dir.is_empty() { cwd } else { dir };
            [dir, b"/", program.as_slice()].concat()
        })
        .find(|candidate| files.open(candidate).is_ok())
        .unwrap_or(program)
}

fn set_variable(env: &mut Vec<Vec<u8>>, variable: Vec<u8>) {
    let name = |v: &[u8]| v.split(|b| *b == b'=').next().map(<[u8]>::to_vec);
    env.retain(|v| name(v) != name(&variable));
    env.push(variable);
}

fn open_root(
    root: Option<std::path::PathBuf>,
) -> Result<Option<(OwnedFd, Option<std::path::PathBuf>)>, Failure> {
    root.map(|path| Ok((open_folder(&path)?, Some(path))))
        .transpose()
}

fn open_folder(path: &std::path::Path) -> Result<OwnedFd, Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty())
        .map_err(|error| Failure::new(format!("opening the folder {}: {error}", path.display())))
}

/// Files as `execve` looks at them, before the guest's own file system exists.
struct Root<'a> {
    root: &'a OwnedFd,
    /// Whether the root is this process's own, where absolute paths need no confinement.
    is_host_root: bool,
}

impl Files for Root<'_> {
    fn open(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match openat2(self.root.as_fd(), path, flags, Mode::empty(), resolve) {
            // Kernels before 5.6, and old container seccomp profiles.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) if self.is_host_root => {
                Ok(openat(CWD, path, flags, Mode::empty())?)
            }
            result => Ok(result?),
        }
    }
}

#[cfg(test)]
mod tests {
    use megabinary_format::{Digest, Entry, Policy, Target};

    use super::*;

    /// Has these files, and nothing in them.
    struct Only(&'static [&'static str]);

    impl Files for Only {
        fn open(&self, path: &[u8]) -> io::Result<OwnedFd> {
            match self.0.iter().any(|file| file.as_bytes() == path) {
                true => Ok(std::fs::File::open("/dev/null")?.into()),
                false => Err(io::ErrorKind::NotFound.into()),
            }
        }
    }

    #[test]
    fn a_name_without_a_slash_is_looked_up_in_the_guests_path() {
        let files = Only(&["/usr/bin/a", "/bin/a", "/own/b", "/work/c"]);
        for (path, name, expected) in [
            (None, "a", "/usr/bin/a"),
            (Some("PATH=/bin:/usr/bin"), "a", "/bin/a"),
            (Some("PATH=/nowhere:/own"), "b", "/own/b"),
            // An empty element is the working directory.
            (Some("PATH=/bin:"), "c", "/work/c"),
            // As it is, for the message: what is nowhere, and what is a path.
            (Some("PATH=/bin"), "b", "b"),
            (Some("PATH=/own"), "./b", "./b"),
        ] {
            let env: Vec<Vec<u8>> = path.iter().map(|v| v.as_bytes().to_vec()).collect();
            let found = find_program(&files, &env, b"/work", name.into());
            assert_eq!(found, expected.as_bytes(), "{path:?} {name}");
        }
    }

    #[test]
    fn a_variable_that_is_set_replaces_its_namesake_alone() {
        let mut env: Vec<Vec<u8>> = ["A=1", "AB=2", "A=3"].map(Into::into).into();
        set_variable(&mut env, b"A=x=y".to_vec());
        assert_eq!(env, [&b"AB=2"[..], b"A=x=y"]);
    }

    #[test]
    fn without_a_choice_there_must_be_one_entry() {
        let entry = |name: &str| Entry {
            digest: Digest::of(name.as_bytes()),
            name: name.into(),
            kind: EntryKind::Env,
            argv_prefix: vec![],
        };
        let index = |names: &[&str]| Index {
            name: "i".into(),
            provenance: Digest::of(b""),
            target: Target::X86_64,
            modules: vec![],
            entries: names.iter().map(|name| entry(name)).collect(),
            programs: vec![],
            routes: vec![],
            trees: vec![],
            policy: Policy::default(),
            segments: vec![],
        };
        let one = only_entry(&index(&["a"])).ok();
        assert_eq!(one, Some(Start::Entry("a".into())));
        for several in [&[][..], &["a", "b"]] {
            assert!(only_entry(&index(several)).is_err(), "{several:?}");
        }
    }
}
