//! The proof that nothing becomes executable: system-call traces and memory maps, parsed.
//!
//! The parser knows nothing of the vkernel; it flags any program that makes memory executable.

use std::{fs, path::Path, process::Command};

use crate::{Said, run_with};

/// Calls that can make code executable, or run other code.
const CALLS: &str = "mmap,mprotect,pkey_mprotect,mremap,remap_file_pages,memfd_create,shmat,\
                     execve,execveat,personality,uselib";

/// [`CALLS`], and those that begin processes and threads.
pub const CALLS_AND_PROCESSES: &str = "mmap,mprotect,pkey_mprotect,mremap,remap_file_pages,\
                                       memfd_create,shmat,execve,execveat,personality,uselib,\
                                       clone,clone3,fork,vfork";

/// A traced run.
pub struct Traced {
    /// What the program said.
    pub said: Said,
    /// Every line of the trace.
    pub lines: Vec<String>,
}

/// Runs `command` under strace with `input` as its standard input.
pub fn trace(command: &Command, input: &[u8]) -> Traced {
    trace_calls(command, CALLS, input)
}

/// The same for other calls.
pub fn trace_calls(command: &Command, calls: &str, input: &[u8]) -> Traced {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("trace");
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-v", "-s", "256", "-e"])
        .arg(format!("trace={calls}"));
    strace.arg("-o").arg(&log);
    // The environment is given to the traced program alone: strace finds itself by PATH.
    let keep = ["PATH", "HOME"];
    let cleared = command.get_envs().count() > 0;
    if cleared {
        for name in std::env::vars_os().map(|(name, _)| name) {
            if !keep.iter().any(|k| name == *k) {
                strace.env_remove(name);
            }
        }
    }
    for (name, value) in command.get_envs() {
        let value = value.unwrap_or_default().to_string_lossy().into_owned();
        strace
            .arg("-E")
            .arg(format!("{}={value}", name.to_string_lossy()));
    }
    strace
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args());
    let said = run_with(&mut strace, input);
    let text = fs::read_to_string(&log)
        .unwrap_or_else(|e| panic!("strace left no log ({e}): {}", said.stderr));
    Traced {
        said,
        lines: text.lines().map(str::to_owned).collect(),
    }
}

impl Traced {
    /// Lines after the program's own start: everything that it did itself.
    pub fn after_start(&self) -> &[String] {
        let start = self
            .lines
            .iter()
            .position(|l| l.contains(" execve(") && l.ends_with(" = 0"));
        let start = start.unwrap_or_else(|| panic!("no execve in {:#?}", self.lines));
        &self.lines[start + 1..]
    }

    /// Calls after the start that made something executable, or tried to.
    pub fn violations(&self) -> Vec<&str> {
        self.after_start()
            .iter()
            .map(String::as_str)
            .filter(|l| is_violation(l))
            .collect()
    }
}

/// Whether a line of a trace is a call that makes code executable or runs other code. A call that
/// failed counts too: nobody may even try.
pub fn is_violation(line: &str) -> bool {
    let call = line
        .split_once(' ')
        .map_or(line, |(_, call)| call.trim_start());
    let Some((name, rest)) = call.split_once('(') else {
        // `<... resumed>` repeats a call that its first line has shown; what a seccomp filter
        // killed for is in the line of the call.
        return call.contains("killed by SIGSYS");
    };
    match name {
        "mmap" | "mprotect" | "pkey_mprotect" => rest.contains("PROT_EXEC"),
        "shmat" => rest.contains("SHM_EXEC"),
        // 0xffffffff only asks.
        "personality" => !rest.starts_with("0xffffffff)"),
        "memfd_create" | "execve" | "execveat" | "uselib" | "remap_file_pages" => true,
        _ => false,
    }
}

/// One line of `/proc/PID/maps` (`proc_pid_maps(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// `rwxp`.
    pub perms: String,
    /// The file, `[stack]`, or nothing.
    pub path: String,
}

/// A live process and all that descend from it.
pub fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    for at in 0.. {
        let Some(pid) = family.get(at) else { break };
        for task in fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
        {
            let path = task.unwrap().path().join("children");
            let children = fs::read_to_string(path).unwrap_or_default();
            family.extend(
                children
                    .split_whitespace()
                    .map(|id| id.parse::<u32>().unwrap()),
            );
        }
    }
    family
}

/// The mappings of a live process.
pub fn mappings(pid: u32) -> Vec<Mapping> {
    parse_maps(&fs::read_to_string(format!("/proc/{pid}/maps")).unwrap())
}

fn parse_maps(text: &str) -> Vec<Mapping> {
    text.lines()
        .map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let perms = fields.nth(1).expect("permissions").to_owned();
            let path = fields.skip(3).collect::<Vec<_>>().join(" ");
            Mapping { perms, path }
        })
        .collect()
}

/// Executable mappings that are not the program's own file or the host kernel's, and those that
/// can be written.
pub fn bad_mappings(maps: &[Mapping], program: &Path) -> Vec<Mapping> {
    let program = program.to_str().unwrap();
    maps.iter()
        .filter(|m| m.perms.contains('x'))
        .filter(|m| {
            let known = m.path == program || m.path == "[vdso]" || m.path == "[vsyscall]";
            !known || m.perms.contains('w') || m.perms.ends_with('s')
        })
        .cloned()
        .collect()
}
