//! The launcher's own arguments.
//!
//! Two forms. **Through a stub**, as the host kernel calls an interpreter (`execve(2)`):
//! `MEGABINARY sha256:DIGEST STUB [ARG]...`. **Directly**, by a person, `polybuild` or a test:
//! `MEGABINARY [OPTION]... [-- ARG]...`. Nothing here touches files.
//!
//! Invariant: the stub form is recognised by its second argument alone and has no options, so no
//! argument of a program can be taken for one of the launcher's.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use megabinary_format::{Digest, DigestError};
use vkernel_kernel::exec::Printable;

/// What the launcher was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandLine {
    /// Started by the host kernel through a stub.
    Stub(StubStart),
    /// Started directly.
    Direct(Direct),
}

/// The stub form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StubStart {
    /// Digest of the entry in the stub's line, as the host kernel read it.
    pub claimed: Digest,
    /// Path of the stub as it was executed; relative to the working directory unless absolute.
    pub path: Vec<u8>,
    /// The guest's arguments: `argv[0]`, which is the path (the caller's own is lost in the host
    /// kernel), and the caller's.
    pub argv: Vec<Vec<u8>>,
}

/// The direct form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Direct {
    /// Host folder that is the guest's root; `None`: the launcher's own root.
    pub root: Option<PathBuf>,
    /// Whether the root is only read, and what is written to it goes with the run; without a root, a
    /// root of its own that is empty.
    pub fresh: bool,
    /// Whether the guest gets namespaces of its own.
    pub isolate: bool,
    /// Names of promises that the host need not keep.
    pub accept_less: Vec<String>,
    /// Inherited descriptors that the guest is to have, besides the standard streams.
    pub keep_fds: Vec<i32>,
    /// Host folders given to the guest.
    pub dirs: Vec<DirMapping>,
    /// Variables to set, each `NAME=VALUE`.
    pub env: Vec<Vec<u8>>,
    /// Guest path of the working directory.
    pub cwd: Option<Vec<u8>>,
    /// What to start.
    pub start: Start,
    /// `argv[0]`, where it is not to be the program's path or name.
    pub arg0: Option<Vec<u8>>,
    /// Arguments after the program's name.
    pub args: Vec<Vec<u8>>,
}

/// What the direct form starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The megabinary's only entry, or an error that lists them.
    #[default]
    Default,
    /// `--program`: the file at this guest path.
    Program(Vec<u8>),
    /// `--entry`: the entry with this name, whatever files there are.
    Entry(String),
    /// `--snapshot`: no program; run a module to its snapshot point and save its state.
    Snapshot {
        /// Name of the module.
        module: String,
        /// Host file to write.
        out: PathBuf,
        /// What the clocks show at the start, in seconds since 1970-01-01 UTC.
        time: u64,
    },
    /// `--info`: print what is in the megabinary.
    Info,
}

/// A host folder and where the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirMapping {
    /// Host path.
    pub host: PathBuf,
    /// Absolute guest path.
    pub guest: Vec<u8>,
}

/// Why the launcher's arguments make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// An option that does not exist.
    #[error("unknown option {}; the arguments of the program go after `--`\n{USAGE}", Printable(.0))]
    UnknownOption(Vec<u8>),
    /// An argument that is not an option before `--`.
    #[error(
        "unexpected argument {shown}; the arguments of the program go after `--`, as in `-- {shown}`",
        shown = Printable(.0)
    )]
    UnexpectedArgument(Vec<u8>),
    /// An option without its value.
    #[error("option {0} needs a value\n{USAGE}")]
    MissingValue(&'static str),
    /// A value of the wrong form.
    #[error("option {option}: expected {expected}, found `{}`", Printable(found))]
    Value {
        /// The option.
        option: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What was given.
        found: Vec<u8>,
    },
    /// Two options that exclude each other, or one twice.
    #[error("options {0} and {1} cannot be given together")]
    Conflict(&'static str, &'static str),
    /// One option demands another.
    #[error("option {0} needs option {1} as well")]
    Needs(&'static str, &'static str),
    /// The stub form with a malformed digest.
    #[error("called as by a stub, but its digest is malformed: {0}; a stub is damaged")]
    Digest(DigestError),
    /// The stub form without a stub.
    #[error("called as by a stub with `{0}`, but without the stub's path")]
    MissingStub(Digest),
    /// The stub was executed through a descriptor.
    #[error(
        "the program was executed through an open descriptor ({}: fexecve or execveat), so that \
         its path is unknown; execute it by its path",
        Printable(.0)
    )]
    StubByDescriptor(Vec<u8>),
}

/// The direct form's options, for messages.
pub const USAGE: &str = "\
usage: megabinary [--root DIR] [--fresh] [--isolate] [--accept-less PROMISE[,PROMISE]...]
                  [--keep-fd N]... [--dir HOST::GUEST]... [--env NAME=VALUE]... [--cwd DIR]
                  [--program PATH | --entry NAME] [--arg0 NAME] [-- ARG...]
       megabinary --snapshot MODULE --snapshot-out FILE [--snapshot-time SECONDS]
                  [--root DIR] [--env NAME=VALUE]... [--cwd DIR] [-- ARG...]
       megabinary --info";

impl CommandLine {
    /// Reads the launcher's arguments, `argv[0]` included.
    pub fn parse(args: Vec<OsString>) -> Result<CommandLine, UsageError> {
        let mut args = args.into_iter().skip(1).map(OsString::into_vec).peekable();
        if args.peek().is_some_and(|arg| arg.starts_with(b"sha256:")) {
            return stub(args).map(CommandLine::Stub);
        }
        direct(args).map(CommandLine::Direct)
    }
}

fn stub(mut args: impl Iterator<Item = Vec<u8>>) -> Result<StubStart, UsageError> {
    let claimed = String::from_utf8_lossy(&args.next().unwrap_or_default())
        .parse()
        .map_err(UsageError::Digest)?;
    let path = args.next().ok_or(UsageError::MissingStub(claimed))?;
    // What the host kernel passes for a script without a path (`execveat(2)`, NOTES); and the
    // other names of the same files.
    for folder in [&b"/dev/fd/"[..], b"/proc/self/fd/", b"/dev/std"] {
        if path.starts_with(folder) {
            return Err(UsageError::StubByDescriptor(path));
        }
    }
    let argv = std::iter::once(path.clone()).chain(args).collect();
    Ok(StubStart {
        claimed,
        path,
        argv,
    })
}

fn direct(mut args: impl Iterator<Item = Vec<u8>>) -> Result<Direct, UsageError> {
    let mut out = Direct::default();
    let mut start: Option<(&'static str, Start)> = None;
    let (mut snapshot_out, mut snapshot_time) = (None, None);
    while let Some(arg) = args.next() {
        // `--option value` and `--option=value` are the same.
        let (name, attached) = match arg.iter().position(|b| *b == b'=') {
            Some(at) if arg.starts_with(b"--") => (&arg[..at], arg.get(at + 1..)),
            _ => (arg.as_slice(), None),
        };
        let mut value = |option: &'static str| {
            let next = || args.next();
            attached
                .map(<[u8]>::to_vec)
                .or_else(next)
                .ok_or(UsageError::MissingValue(option))
        };
        match name {
            b"--" if attached.is_none() => {
                out.args = args.collect();
                break;
            }
            b"--root" => once("--root", &mut out.root, path(value("--root")?))?,
            b"--fresh" if attached.is_none() => out.fresh = true,
            b"--isolate" if attached.is_none() => out.isolate = true,
            b"--accept-less" => {
                let names = text("--accept-less", value("--accept-less")?)?;
                out.accept_less.extend(names.split(',').map(str::to_owned));
            }
            b"--keep-fd" => out.keep_fds.push(descriptor(value("--keep-fd")?)?),
            b"--dir" => out.dirs.push(mapping(value("--dir")?)?),
            b"--env" => out.env.push(variable(value("--env")?)?),
            b"--cwd" => once("--cwd", &mut out.cwd, guest_path("--cwd", value("--cwd")?)?)?,
            b"--arg0" => once("--arg0", &mut out.arg0, value("--arg0")?)?,
            b"--program" => {
                let path = value("--program")?;
                only(&mut start, "--program", Start::Program(path))?;
            }
            b"--entry" => {
                let entry = text("--entry", value("--entry")?)?;
                only(&mut start, "--entry", Start::Entry(entry))?;
            }
            b"--snapshot" => {
                let module = text("--snapshot", value("--snapshot")?)?;
                let snapshot = Start::Snapshot {
                    module,
                    out: PathBuf::new(),
                    time: 0,
                };
                only(&mut start, "--snapshot", snapshot)?;
            }
            b"--snapshot-time" => {
                let time = seconds("--snapshot-time", value("--snapshot-time")?)?;
                once("--snapshot-time", &mut snapshot_time, time)?;
            }
            b"--snapshot-out" => {
                once(
                    "--snapshot-out",
                    &mut snapshot_out,
                    path(value("--snapshot-out")?),
                )?;
            }
            b"--info" if attached.is_none() => only(&mut start, "--info", Start::Info)?,
            option if option.starts_with(b"-") && option.len() > 1 => {
                return Err(UsageError::UnknownOption(arg));
            }
            _ => return Err(UsageError::UnexpectedArgument(arg)),
        }
    }
    out.start = start.map(|(_, start)| start).unwrap_or_default();
    match (&mut out.start, snapshot_out) {
        (Start::Snapshot { out, time, .. }, Some(file)) => {
            *out = file;
            *time = snapshot_time.take().unwrap_or(0);
        }
        (Start::Snapshot { .. }, None) => {
            return Err(UsageError::Needs("--snapshot", "--snapshot-out"));
        }
        (_, Some(_)) => return Err(UsageError::Needs("--snapshot-out", "--snapshot")),
        (_, None) => {}
    }
    if snapshot_time.is_some() {
        return Err(UsageError::Needs("--snapshot-time", "--snapshot"));
    }
    // It is mounted over the root, which takes a mount namespace.
    if out.fresh && !out.isolate {
        return Err(UsageError::Needs("--fresh", "--isolate"));
    }
    Ok(out)
}

fn once<T>(option: &'static str, slot: &mut Option<T>, value: T) -> Result<(), UsageError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(UsageError::Conflict(option, option)),
    }
}

fn only(
    slot: &mut Option<(&'static str, Start)>,
    option: &'static str,
    start: Start,
) -> Result<(), UsageError> {
    match slot.replace((option, start)) {
        None => Ok(()),
        Some((earlier, _)) => Err(UsageError::Conflict(earlier, option)),
    }
}

fn path(value: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(value))
}

fn text(option: &'static str, value: Vec<u8>) -> Result<String, UsageError> {
    String::from_utf8(value).map_err(|error| UsageError::Value {
        option,
        expected: "a name in UTF-8",
        found: error.into_bytes(),
    })
}

fn descriptor(value: Vec<u8>) -> Result<i32, UsageError> {
    std::str::from_utf8(&value)
        .ok()
        // `parse` would also take a sign.
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or(UsageError::Value {
            option: "--keep-fd",
            expected: "the number of a descriptor",
            found: value,
        })
}

fn seconds(option: &'static str, value: Vec<u8>) -> Result<u64, UsageError> {
    std::str::from_utf8(&value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(UsageError::Value {
            option,
            expected: "a number of seconds",
            found: value,
        })
}

fn guest_path(option: &'static str, value: Vec<u8>) -> Result<Vec<u8>, UsageError> {
    if value.starts_with(b"/") {
        return Ok(value);
    }
    Err(UsageError::Value {
        option,
        expected: "an absolute path in the sandbox",
        found: value,
    })
}

/// `HOST::GUEST`, or `HOST` alone for the same absolute path on both sides. The last `::` counts,
/// since guest paths are absolute and host paths may hold one.
fn mapping(value: Vec<u8>) -> Result<DirMapping, UsageError> {
    let at = value.windows(2).rposition(|pair| pair == b"::");
    let (host, guest) = match at {
        Some(at) => (&value[..at], &value[at + 2..]),
        None => (value.as_slice(), value.as_slice()),
    };
    if host.is_empty() || !guest.starts_with(b"/") {
        return Err(UsageError::Value {
            option: "--dir",
            expected: "HOST::GUEST with an absolute GUEST (or one absolute path for both)",
            found: value,
        });
    }
    Ok(DirMapping {
        host: PathBuf::from(OsStr::from_bytes(host)),
        guest: guest.to_vec(),
    })
}

fn variable(value: Vec<u8>) -> Result<Vec<u8>, UsageError> {
    if value
        .iter()
        .position(|b| *b == b'=')
        .is_some_and(|at| at > 0)
    {
        return Ok(value);
    }
    Err(UsageError::Value {
        option: "--env",
        expected: "NAME=VALUE",
        found: value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<CommandLine, UsageError> {
        CommandLine::parse(
            std::iter::once("megabinary")
                .chain(line.split('|').filter(|a| !a.is_empty()))
                .map(OsString::from)
                .collect(),
        )
    }

    fn check_direct(line: &str, expected: Direct) {
        assert_eq!(parse(line), Ok(CommandLine::Direct(expected)), "{line}");
    }

    fn check_error(line: &str, expected: &str) {
        let error = parse(line).unwrap_err().to_string();
        assert_eq!(error.lines().next().unwrap(), expected, "{line}");
    }

    #[test]
    fn stub_form() {
        let claimed = Digest([7; 32]);
        let check = |rest: &str, path: &str, argv: &[&str]| {
            let expected = StubStart {
                claimed,
                path: path.into(),
                argv: argv.iter().map(|a| a.as_bytes().to_vec()).collect(),
            };
            assert_eq!(
                parse(&format!("{claimed}|{rest}")),
                Ok(CommandLine::Stub(expected))
            );
        };
        check("/bin/p", "/bin/p", &["/bin/p"]);
        check("./p|--info|--|x", "./p", &["./p", "--info", "--", "x"]);

        check_error(
            &claimed.to_string(),
            &format!("called as by a stub with `{claimed}`, but without the stub's path"),
        );
        check_error(
            &format!("{claimed}|/dev/fd/5"),
            "the program was executed through an open descriptor (/dev/fd/5: fexecve or \
             execveat), so that its path is unknown; execute it by its path",
        );
        check_error(
            "sha256:12|/bin/p",
            "called as by a stub, but its digest is malformed: a SHA-256 digest has 64 \
             hexadecimal digits, this has 2; a stub is damaged",
        );
    }

    #[test]
    fn direct_form() {
        check_direct("", Direct::default());
        check_direct(
            "--root|/r|--dir|.::/work|--dir=/tmp|--env|A=1|--env=B=x=y|--cwd|/work|--program|/bin/p|--arg0|-p|--|-c|x=1",
            Direct {
                root: Some("/r".into()),
                dirs: vec![
                    DirMapping {
                        host: ".".into(),
                        guest: b"/work".to_vec(),
                    },
                    DirMapping {
                        host: "/tmp".into(),
                        guest: b"/tmp".to_vec(),
                    },
                ],
                env: vec![b"A=1".to_vec(), b"B=x=y".to_vec()],
                cwd: Some(b"/work".to_vec()),
                start: Start::Program(b"/bin/p".to_vec()),
                arg0: Some(b"-p".to_vec()),
                args: vec![b"-c".to_vec(), b"x=1".to_vec()],
                ..Direct::default()
            },
        );
        check_direct(
            "--isolate|--fresh|--accept-less|mdwe,landlock|--accept-less=x|--keep-fd|7|--keep-fd=9",
            Direct {
                fresh: true,
                isolate: true,
                accept_less: ["mdwe", "landlock", "x"].map(str::to_owned).to_vec(),
                keep_fds: vec![7, 9],
                ..Direct::default()
            },
        );
        check_direct(
            "--snapshot-out|f|--snapshot|python",
            Direct {
                start: Start::Snapshot {
                    module: "python".into(),
                    out: "f".into(),
                    time: 0,
                },
                ..Direct::default()
            },
        );
        check_direct(
            "--info",
            Direct {
                start: Start::Info,
                ..Direct::default()
            },
        );
    }

    #[test]
    fn usage_errors() {
        check_error(
            "--frobnicate",
            "unknown option --frobnicate; the arguments of the program go after `--`",
        );
        check_error(
            "script.py",
            "unexpected argument script.py; the arguments of the program go after `--`, as in `-- script.py`",
        );
        check_error("--root", "option --root needs a value");
        check_error("--fresh", "option --fresh needs option --isolate as well");
        for wrong in ["-1", "+3", "x", "", "99999999999"] {
            check_error(
                &format!("--keep-fd={wrong}"),
                &format!("option --keep-fd: expected the number of a descriptor, found `{wrong}`"),
            );
        }
        check_error(
            "--root|a|--root|b",
            "options --root and --root cannot be given together",
        );
        check_error(
            "--entry|a|--program|b",
            "options --entry and --program cannot be given together",
        );
        check_error(
            "--snapshot|m",
            "option --snapshot needs option --snapshot-out as well",
        );
        check_error(
            "--snapshot-out|m",
            "option --snapshot-out needs option --snapshot as well",
        );
        check_error(
            "--dir|a::b",
            "option --dir: expected HOST::GUEST with an absolute GUEST (or one absolute path for both), found `a::b`",
        );
        check_error(
            "--dir|a",
            "option --dir: expected HOST::GUEST with an absolute GUEST (or one absolute path for both), found `a`",
        );
        check_error("--env|=x", "option --env: expected NAME=VALUE, found `=x`");
        check_error(
            "--cwd|work",
            "option --cwd: expected an absolute path in the sandbox, found `work`",
        );
        check_error(
            "--info=1",
            "unknown option --info=1; the arguments of the program go after `--`",
        );
    }
}
