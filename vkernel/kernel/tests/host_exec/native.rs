//! Exec compared with the host's: the same files at the same paths are executed natively, by the host
//! kernel or its `env`, and what arrives must be equal.

#![allow(unsafe_code)]

use std::{
    ffi::CString,
    fs, io,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::Path,
    process::Command,
};

use megabinary_format::EntryKind;
use vkernel_kernel::exec::{ExecError, ExecRequest, MAX_SCRIPTS, Resolution, resolve};

use crate::{Case, Host};

/// A script that shows, natively, what an interpreter or a program gets.
const SHOW: &str =
    "#!/bin/sh\n/bin/cat /proc/$$/cmdline; printf '\\001'; /bin/cat /proc/$$/environ\n";

/// Arguments or an environment.
type Words = Vec<Vec<u8>>;

/// Executes natively, with exactly these arguments and environment; the arguments and environment
/// that [`SHOW`] got, or the errno.
fn natively(
    path: &str,
    argv: &[Vec<u8>],
    env: &[Vec<u8>],
    cwd: &Path,
) -> Result<(Words, Words), i32> {
    let c = |bytes: &[u8]| CString::new(bytes).unwrap();
    let path = c(path.as_bytes());
    let argv: Vec<CString> = argv.iter().map(|a| c(a)).collect();
    let env: Vec<CString> = env.iter().map(|a| c(a)).collect();
    loop {
        let mut command = Command::new("unused");
        let (path, argv, env) = (path.clone(), argv.clone(), env.clone());
        // SAFETY: after fork the child only makes system calls and two small allocations.
        unsafe {
            command.current_dir(cwd).pre_exec(move || {
                let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
                    list.iter()
                        .map(|a| a.as_ptr())
                        .chain([std::ptr::null()])
                        .collect()
                };
                // Not execvp, which would give a file that is no program to the shell.
                libc::execve(
                    path.as_ptr(),
                    pointers(&argv).as_ptr(),
                    pointers(&env).as_ptr(),
                );
                Err(io::Error::last_os_error())
            });
        }
        match command.output() {
            Ok(output) => {
                let mut parts = output.stdout.split(|b| *b == 1);
                let mut list = || {
                    let part = parts.next().unwrap_or_default();
                    let words: Vec<Vec<u8>> = part
                        .strip_suffix(b"\0")
                        .unwrap_or(part)
                        .split(|b| *b == 0)
                        .map(<[u8]>::to_vec)
                        .collect();
                    if part.is_empty() { Vec::new() } else { words }
                };
                let mut cmdline = list();
                if cmdline.is_empty() {
                    return Err(0);
                }
                // The shell that runs SHOW got SHOW's path in place of argv[0].
                cmdline.remove(0);
                return Ok((cmdline, list()));
            }
            // Another test's fork holds a file of ours open for writing for a moment.
            Err(e) if e.raw_os_error() == Some(libc::ETXTBSY) => std::thread::yield_now(),
            Err(e) => return Err(e.raw_os_error().unwrap()),
        }
    }
}

#[test]
fn scripts_as_the_host_kernel_reads_them() {
    let mut case = Case::new("native-scripts");
    let show = case.file("show", SHOW);
    case.route(SHOW.as_bytes(), "show", EntryKind::Module(0), &[]);
    let dir = case.path("");
    let pad = |n: usize| "x".repeat(n);
    let long = 253 - dir.len() - 2;
    let mut lines: Vec<Vec<u8>> = [
        format!("#!{show}\n"),
        format!("#!{show}"),
        format!("#!{show} "),
        format!("#!{show} \t"),
        format!("#! \t {show} \t \n"),
        format!("#!{show} a\n"),
        format!("#!{show} a b  c \t\n"),
        format!("#!{show}\ta\n"),
        format!("#!{show} a"),
        format!("#!{show} a  "),
        format!("#!{show}\r\n"),
        format!("#!{show} a\r\n"),
        format!("#!{show}\0 a\n"),
        format!("#!{show} a\0b\n"),
        format!("#!{show} \0b\n"),
        format!("#!{show} {}\n", pad(500)),
        format!("#!{show}{}\n", " ".repeat(500)),
        format!("#!{show}{}a\n", " ".repeat(500)),
        "#!show a\n".into(),
        "#!./show\n".into(),
        "#!\n".into(),
        "#!".into(),
        "#! ".into(),
        "#!   \n".into(),
        "#!\t\n".into(),
        "#!\0\n".into(),
        "#! \0".into(),
        format!("#!{}\n", " ".repeat(400)),
        " #!/bin/sh\n".into(),
        "#!/nowhere\n".into(),
        format!("#!{dir}\n"),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect();
    // Around the end of the buffer.
    for length in long - 3..long + 4 {
        let name = pad(length);
        let _ = fs::hard_link(&show, case.dir.join(&name));
        for end in ["\n", "", " ", " a\n", "\0"] {
            lines.push(format!("#!{dir}{name}{end}").into_bytes());
        }
    }
    let mut ran = 0;
    for line in lines {
        case.file("script", &line);
        let shown = line.escape_ascii();
        for args in [&[][..], &["1", "2"]] {
            let request = case.request("script", args);
            let native = natively("script", &request.argv, &request.env, &case.dir);
            match (native, resolve(&case.index, &Host, request)) {
                (Ok((argv, _)), Ok(Resolution::Launch(launch))) => {
                    ran += 1;
                    assert_eq!(show_list(&launch.argv), show_list(&argv), "{shown}");
                }
                // An empty path, ended by a zero byte, opens the working directory natively
                // (EACCES); here it is what it looks like, a line without an interpreter.
                (Err(libc::EACCES), Err(ExecError::MalformedScript { .. })) => {}
                (Err(errno), Err(error)) => assert_eq!(error.errno(), errno, "{shown}: {error}"),
                (native, ours) => panic!("{shown}: {native:?}, {ours:?}"),
            }
        }
    }
    assert!(ran > 60, "{ran}");
}

fn show_list(list: &[Vec<u8>]) -> String {
    list.iter()
        .map(|a| format!("[{}]", a.escape_ascii()))
        .collect()
}

#[test]
fn as_many_scripts_as_the_host_kernel_follows() {
    let mut case = Case::new("native-chain");
    let mut next = case.file("show", SHOW);
    case.route(SHOW.as_bytes(), "show", EntryKind::Module(0), &[]);
    // SHOW is itself a script natively, so that natively one fewer can lead to it.
    for depth in 1..=MAX_SCRIPTS + 1 {
        next = case.file(&format!("s{depth}"), format!("#!{next} {depth}\n"));
        let request = case.request(&next, &["x"]);
        let native = natively(&next, &request.argv, &request.env, &case.dir);
        match resolve(&case.index, &Host, request) {
            Ok(Resolution::Launch(launch)) if depth < MAX_SCRIPTS => {
                assert_eq!(show_list(&launch.argv), show_list(&native.unwrap().0));
            }
            Ok(_) => assert_eq!((depth, native), (MAX_SCRIPTS, Err(libc::ELOOP))),
            Err(error) => {
                assert_eq!((depth, error.errno()), (MAX_SCRIPTS + 1, libc::ELOOP));
                assert_eq!(native, Err(libc::ELOOP));
            }
        }
    }
}

#[test]
fn env_as_coreutils_understands_it() {
    const ENV: &str = "/usr/bin/env";
    let version = Command::new(ENV).arg("--version").output().unwrap().stdout;
    assert!(
        version.starts_with(b"env (GNU coreutils)"),
        "the oracle is GNU coreutils' env"
    );

    let mut case = Case::new("native-env");
    let show = case.file("bin/show", SHOW);
    case.route(SHOW.as_bytes(), "show", EntryKind::Module(0), &[]);
    case.program("bin/env", EntryKind::Env, &[]);
    let folder = case.path("bin");
    let env = [
        format!("PATH=/nowhere::{folder}"),
        "X=1".into(),
        "Y=a b".into(),
        "E=".into(),
    ];
    let env: Vec<Vec<u8>> = env.into_iter().map(String::into_bytes).collect();
    // In each case SHOW stands for the program; arguments are separated by `|`.
    let cases = [
        "show",
        "show|-i|A=1|--|x",
        "-i|SHOW",
        "-|SHOW",
        "-|-|SHOW",
        "-u|X|SHOW",
        "-uX|-u|Y|SHOW",
        "--unset=X|SHOW",
        "--unset|X|SHOW",
        "-uNONE|SHOW",
        "-iuX|SHOW",
        "A=1|X=2|B=|C==|SHOW",
        "--|A=1|SHOW|A=2",
        "--|-|SHOW",
        "-u|X|-|SHOW",
        "-i|-u|X|X=3|SHOW",
        "--ignore-environment|SHOW",
        "-S|show a b",
        "-Sshow a b|c",
        "-S|-i A=${X} SHOW ${Y}|c",
        "-iS|SHOW x",
        "-S -uX show '${Y}' \"${Y}\"",
        "-S show 'a b' \"c d\" e'f'\"g\"",
        r"-S show a\_b '\_' \t\n\r\f\v \# \$ \\ \' \042",
        r"-S show a\_b \t\#\$\\\'",
        r#"-S show "a\_b" "\"" "\$\t" '\'' '\a\\'"#,
        "-S show a #comment b",
        "-S show a#b ## c",
        r"-S show a\cb c",
        "-S show '' \"\" x",
        "-S show a${NONE}b ${NONE} ${E} c",
        "-S show ${X",
        "-S show $X",
        "-S show ${1}",
        "-S show 'a",
        "-S show \"a",
        r"-S show a\",
        r"-S show \q",
        r#"-S show "\c""#,
        "-S  \t show \t a\t",
        "-S show|-S|x",
        "-S -S 'show a'",
        "--split-string=show a",
        "--split-string|show a",
        "-u",
        "-uA=1|SHOW",
        "-u||SHOW",
        "=1|SHOW",
        "--nonsense|SHOW",
        "-z|SHOW",
        "nothing",
        "PATH=/nowhere|show",
        "PATH=|show",
        "-uPATH|nothing-at-all",
        "bin/show|x",
        "/nowhere/show",
        "bin|x",
    ];
    let mut ran = 0;
    for line in cases {
        let args: Vec<Vec<u8>> = line
            .replace("SHOW", &show)
            .split('|')
            .map(|a| a.as_bytes().to_vec())
            .collect();
        let argv = [b"env".to_vec()]
            .into_iter()
            .chain(args)
            .collect::<Vec<_>>();
        let native = natively(ENV, &argv, &env, &case.dir);
        let request = ExecRequest {
            path: b"bin/env".to_vec(),
            argv,
            env: env.clone(),
            cwd: case.dir.as_os_str().as_bytes().to_vec(),
        };
        match (native, resolve(&case.index, &Host, request)) {
            (Ok((argv, mut native)), Ok(Resolution::Launch(launch))) => {
                ran += 1;
                let mut ours = launch.env;
                native.sort();
                ours.sort();
                assert_eq!(show_list(&ours), show_list(&native), "{line}");
                // The shell that runs SHOW natively puts the path found in place of argv[0].
                assert_eq!(
                    show_list(&launch.argv[1..]),
                    show_list(&argv[1..]),
                    "{line}"
                );
            }
            (Err(_), Err(_)) => {}
            (native, ours) => panic!("env {line}: natively {native:?}, here {ours:?}"),
        }
    }
    assert!(ran >= 35, "{ran}");
}
