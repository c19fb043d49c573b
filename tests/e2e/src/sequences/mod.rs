//! System-call fuzzing: sequences of calls generated from the table of calls, made by a guest one
//! by one or by threads that race, with everything that must hold looked at in between.
//!
//! [`describe`] says what arguments are, [`generate`] makes sequences of a seed, [`session`] has them
//! made in a sandbox, [`oracles`] says what must hold. All of it is outside of the sandbox, which is
//! the launcher that is shipped. `docs/fuzzing.md` says how to run it.

pub mod describe;
pub mod generate;
mod oracles;
pub mod session;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use describe::Described;
use generate::{Generator, Operation, Step};
use session::{Ended, Finding, Form, Setting, hex};

use crate::interface;

/// What stands in the hidden file.
const SECRET: &[u8] = b"the secret of the hidden file, 7c1f0a66b1d54e3f";

/// The root of an image with the interpreter as its only program, and what is guarded in it.
fn root(folder: &Path, threads: bool) -> PathBuf {
    // The size of files, so that no sequence fills the host's disk.
    let policy = "hidden = [\"/hd\"]\nread-only = [\"/ro\"]\nnetwork = \"loopback\"\n\
                  file-size-max = \"32MiB\"\n";
    let root = interface::root(folder, "interpreter", threads, policy);
    fs::write(root.join("hd/f"), SECRET).unwrap();
    root
}

/// What sequences run in.
#[derive(Debug)]
pub struct Bench {
    folder: tempfile::TempDir,
    roots: [PathBuf; 2],
    calls: Vec<Described>,
    /// Kinds of findings that are passed over.
    pub known: Vec<String>,
}

/// A sequence, by its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// Whether the guest has threads.
    pub threads: bool,
    /// The seed. Odd ones run in a root that the launcher enters.
    pub seed: u64,
    /// Steps.
    pub len: usize,
}

impl Case {
    fn form(self) -> Form {
        match self.seed.is_multiple_of(2) {
            true => Form::Contained,
            false => Form::Entered,
        }
    }
}

impl Bench {
    /// A bench, with another launcher than the one that is shipped if one is given.
    pub fn new(launcher: Option<&Path>) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let roots = [false, true].map(|threads| {
            let place = folder
                .path()
                .join(if threads { "threads" } else { "single" });
            let root = root(&place, threads);
            if let Some(launcher) = launcher {
                interface::repack(&place, &fs::read(launcher).unwrap());
            }
            root
        });
        Bench {
            folder,
            roots,
            calls: describe::all(),
            known: Vec::new(),
        }
    }

    /// The steps of a case.
    pub fn steps(&self, case: Case) -> Vec<Step> {
        Generator::new(&self.calls, case.seed, case.threads).sequence(case.len)
    }

    /// Runs steps in a fresh root.
    pub fn run(&self, case: Case, steps: &[Step]) -> Result<Ended, Finding> {
        let place = tempfile::tempdir_in(self.folder.path()).unwrap();
        let (root, outside) = (place.path().join("root"), place.path().join("outside"));
        crate::root::copy(&self.roots[usize::from(case.threads)], &root, true);
        fs::create_dir_all(outside.join("folder")).unwrap();
        fs::write(outside.join("canary"), "unchanged").unwrap();
        fs::write(outside.join("folder/canary"), "unchanged").unwrap();
        let setting = Setting {
            root,
            outside,
            calls: &self.calls,
            form: case.form(),
            secret: SECRET.to_owned(),
            known: self.known.clone(),
        };
        session::run(&setting, steps)
    }

    /// Leaves out steps without which the same is still found, for at most so long.
    pub fn shorten(&self, case: Case, steps: &[Step], kind: &str, limit: Duration) -> Vec<Step> {
        let start = Instant::now();
        let mut kept = steps.to_vec();
        let mut size = kept.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < kept.len() && start.elapsed() < limit {
                let end = (at + size).min(kept.len());
                let mut tried = kept.clone();
                tried[at..end].fill(Step::Nothing);
                let is_nothing = |step: &Step| matches!(step, Step::Nothing);
                if !kept[at..end].iter().all(is_nothing)
                    && self
                        .run(case, &tried)
                        .is_err_and(|found| found.kind == kind)
                {
                    kept = tried;
                }
                at = end;
            }
            size /= 2;
        }
        kept
    }

    /// A sequence as text, one step a line.
    pub fn text(&self, steps: &[Step]) -> String {
        let mut text = String::new();
        for (number, step) in steps.iter().enumerate() {
            let said = match step {
                Step::Nothing => continue,
                Step::Call(one) => self.call(one),
                Step::Family(one, child) => {
                    let child: Vec<String> = child.iter().map(|one| self.call(one)).collect();
                    format!("{}, in the child: {}", self.call(one), child.join("; "))
                }
                Step::Sent { signal, info } => {
                    format!(
                        "sends itself {signal} with {} {:x?}",
                        hex(&info.bytes),
                        info.fields
                    )
                }
                Step::Race(threads, rounds) => {
                    let mut said = format!("{rounds} times at the same time:");
                    for operations in threads {
                        let all: Vec<String> =
                            operations.iter().map(|one| self.call(one)).collect();
                        write!(said, "\n          {}", all.join("; ")).unwrap();
                    }
                    said
                }
            };
            writeln!(text, "    {number}: {said}").unwrap();
        }
        text
    }

    fn call(&self, operation: &Operation) -> String {
        use generate::Value;
        let args: Vec<String> = operation
            .args
            .iter()
            .map(|value| match value {
                Value::Number(number) => format!("{number:#x}"),
                Value::Block(at) => operation.blocks.get(*at).map_or(String::new(), |block| {
                    let text = block.bytes.trim_ascii_end();
                    match std::str::from_utf8(text.strip_suffix(b"\0").unwrap_or(text)) {
                        Ok(path) if path.bytes().all(|b| b.is_ascii_graphic()) => {
                            format!("{path:?}")
                        }
                        _ if block.fields.is_empty() => hex(&block.bytes),
                        _ => format!("{} {:?}", hex(&block.bytes), block.fields),
                    }
                }),
                other => format!("{other:?}"),
            })
            .collect();
        let name = operation
            .call
            .map_or("store", |at| self.calls[at].call.name);
        format!("{name}({})", args.join(", "))
    }
}
