//! `polybuild doctor --host`: which promises of `polybuild run` this machine keeps, and why not.
//!
//! Each is tried, not guessed from a version, in a process of its own: this program again, with the
//! name of the question as its argument.

use std::{
    ffi::OsString,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use vkernel_kernel::confine::{self, Directories, Layer, Surface};
use vkernel_sandbox::{Promise, host};

use crate::{
    exit,
    failure::{Failure, IoContext, Result},
    ui::Ui,
};

/// First argument of the process that answers; then the question, and a folder.
const QUESTION: &str = "--answer-about-this-host";

/// Landlock's versions (`landlock(7)`).
const WITH_PORTS: i64 = 4;
const WITH_SCOPES: i64 = 6;

/// What an answer begins with.
const YES: &str = "yes";

/// One thing that is tried.
struct Question {
    name: &'static str,
    promises: &'static str,
    /// Whether a run is refused without it, and the name by which it is given up.
    gives: Gives,
    /// What holds the answer.
    ask: fn(&Path) -> std::result::Result<String, String>,
}

/// What depends on an answer.
enum Gives {
    /// No run without it.
    Always,
    /// No run without it, unless it is given up.
    Promise(Promise),
    /// A second lock where there is a first.
    Second,
}

const QUESTIONS: &[Question] = &[
    Question {
        name: "seccomp",
        promises: "no host call outside of the image's list; no executable memory",
        gives: Gives::Always,
        ask: |_| confinement().map(|_| YES.into()),
    },
    Question {
        name: "mdwe",
        promises: "executable memory is refused by the host kernel's own rule too",
        gives: Gives::Promise(Promise::Mdwe),
        ask: |_| layer(confinement()?.mdwe),
    },
    Question {
        name: "landlock",
        promises: "files outside of the root, and execution, are refused once more",
        gives: Gives::Promise(Promise::Landlock),
        ask: |_| match confinement()?.landlock {
            Layer::Absent(why) => Err(why),
            _ => Ok(format!("{YES}: version {}", host::landlock_version())),
        },
    },
    Question {
        name: "landlock-scopes",
        promises: "no signals to, and no abstract sockets of, processes outside",
        gives: Gives::Promise(Promise::LandlockScopes),
        ask: |_| version(WITH_SCOPES),
    },
    Question {
        name: "landlock-network",
        promises: "the policy's TCP ports are kept by the host kernel too",
        gives: Gives::Promise(Promise::LandlockNetwork),
        ask: |_| version(WITH_PORTS),
    },
    Question {
        name: "namespaces",
        promises: "processes, IPC, host name, mounts and network of a run's own",
        gives: Gives::Promise(Promise::Namespaces),
        ask: |_| {
            host::namespaces()
                .map(|()| YES.into())
                .map_err(|error| error.to_string())
        },
    },
    Question {
        name: "own-root",
        promises: "a root of each run's own (overlayfs, pivot_root)",
        gives: Gives::Promise(Promise::Namespaces),
        ask: |folder| {
            host::own_root(folder)
                .map(|()| YES.into())
                .map_err(|error| error.to_string())
        },
    },
    Question {
        name: "openat2",
        promises: "paths resolve inside the root, by the host kernel",
        gives: Gives::Always,
        ask: |_| {
            host::openat2_works()
                .map(|()| YES.into())
                .map_err(|error| error.to_string())
        },
    },
    Question {
        name: "close_range",
        promises: "inherited descriptors are closed before a guest starts",
        gives: Gives::Always,
        ask: |_| {
            host::close_range_works()
                .map(|()| YES.into())
                .map_err(|error| error.to_string())
        },
    },
    Question {
        name: "proc-mem",
        promises: "read-only pages cannot be written through /proc/self/mem",
        gives: Gives::Second,
        ask: |_| match host::keeps_pages_read_only() {
            Ok(true) => Ok(YES.into()),
            Ok(false) => Err(
                "this kernel allows it (boot with proc_mem.force_override=never, \
                              Linux 6.12); the vkernel refuses to open that file"
                    .into(),
            ),
            Err(error) => Err(format!("cannot tell: {error}")),
        },
    },
];

fn confinement() -> std::result::Result<confine::Confinement, String> {
    let nothing = Directories::default();
    confine::apply(Surface::Wasi, &[], Some(&nothing)).map_err(|error| error.to_string())
}

fn layer(layer: Layer) -> std::result::Result<String, String> {
    match layer {
        Layer::InForce => Ok(YES.into()),
        Layer::Partial(why) | Layer::Absent(why) => Err(why),
    }
}

fn version(wanted: i64) -> std::result::Result<String, String> {
    match host::landlock_version() {
        0 => Err("this kernel has no Landlock, or did not start it (lsm=landlock,…)".into()),
        found if found < wanted => Err(format!(
            "this kernel has version {found} of Landlock; it takes {wanted}"
        )),
        _ => Ok(YES.into()),
    }
}

/// Answers a question, if `arguments` are one; then this process has ended.
pub(crate) fn answered(arguments: &[OsString]) {
    let [_, first, name, folder] = arguments else {
        return;
    };
    if first != QUESTION {
        return;
    }
    let found = QUESTIONS.iter().find(|question| name == question.name);
    let answer = match found {
        Some(question) => (question.ask)(Path::new(folder)),
        None => Err("no such question".into()),
    };
    // Ends at once: what was tried has changed this process for good.
    let text = answer.unwrap_or_else(|why| format!("no: {why}"));
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    std::process::exit(0)
}

/// What the machine says about itself; nothing depends on it.
const FACTS: &[(&str, &str)] = &[
    ("kernel", "/proc/sys/kernel/osrelease"),
    ("security modules", "/sys/kernel/security/lsm"),
    (
        "user namespaces at most",
        "/proc/sys/user/max_user_namespaces",
    ),
    (
        "user namespaces for everybody",
        "/proc/sys/kernel/unprivileged_userns_clone",
    ),
    ("ptrace scope (Yama)", "/proc/sys/kernel/yama/ptrace_scope"),
    ("io_uring disabled", "/proc/sys/kernel/io_uring_disabled"),
];

pub(super) fn run(ui: &Ui) -> Result<i32> {
    let folder = tempfile::tempdir().doing("making a folder in", &std::env::temp_dir())?;
    let (mut lines, mut rows) = (String::new(), Vec::new());
    let mut broken = false;
    for question in QUESTIONS {
        let answer = ask(question, folder.path())?;
        let holds = answer.starts_with(YES);
        let (label, name) = match question.gives {
            Gives::Always => ("a run is refused without it", None),
            Gives::Promise(promise) => ("a run is refused without it", Some(promise.name())),
            Gives::Second => ("a second lock", None),
        };
        broken |= !holds && !matches!(question.gives, Gives::Second);
        let word = if holds { "holds" } else { "MISSING" };
        lines.push_str(&format!(
            "  {word:<8} {:<17} {}\n",
            question.name, question.promises
        ));
        let why = answer.split_once(": ").map(|(_, why)| why.to_owned());
        if !holds {
            let why = why.as_deref().unwrap_or(&answer);
            lines.push_str(&format!("{:28}{why}\n", ""));
            lines.push_str(&format!("{:28}{label}", ""));
            if let Some(name) = name {
                lines.push_str(&format!(", or with --accept-less {name}"));
            }
            lines.push('\n');
        }
        rows.push(serde_json::json!({
            "name": question.name,
            "promise": question.promises,
            "holds": holds,
            "required": !matches!(question.gives, Gives::Second),
            "accept_less": name,
            "why": why,
        }));
    }
    let facts: Vec<(&str, String)> = FACTS
        .iter()
        .map(|(name, path)| {
            let value = fs::read_to_string(path).unwrap_or_else(|_| "unknown".into());
            (*name, value.trim().to_owned())
        })
        .collect();
    for (name, value) in &facts {
        lines.push_str(&format!("  {name}: {value}\n"));
    }
    let facts: serde_json::Map<String, serde_json::Value> = facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let text = format!("what `polybuild run` promises on this machine:\n{lines}");
    ui.result(
        &text,
        &serde_json::json!({"promises": rows, "host": facts, "all_hold": !broken}),
    );
    Ok(match broken {
        true => i32::from(exit::ENVIRONMENT.code),
        false => 0,
    })
}

fn ask(question: &Question, folder: &Path) -> Result<String> {
    let doing = format!("asking this host about {}", question.name);
    let output = Command::new("/proc/self/exe")
        .args([QUESTION, question.name])
        .arg(folder)
        .stdin(Stdio::null())
        .output()
        .doing(&doing, Path::new("/proc/self/exe"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match said.is_empty() {
        false => Ok(said),
        // The answer itself ended the process.
        true if !output.status.success() => Ok(format!(
            "no: the process that tried it ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        )),
        true => Err(Failure::message(
            exit::INTERNAL,
            format!("{doing}: no answer"),
        )),
    }
}
