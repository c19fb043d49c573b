//! What a container of an image would run.
//!
//! The vkernel judges what is executed *inside*. What an engine executes itself (entrypoint,
//! command, health check, `docker exec`) the host kernel judges: a native program would simply run,
//! with no vkernel around it. So every file that can be executed, of all layers as a container has
//! them, must lead to the vkernel: a stub with a route, or a script whose interpreter is one.

use std::collections::BTreeMap;

use megabinary_format::{Digest, Index, stub};
use polybuild_oci::{
    labels,
    read::{ContentId, Glance, Node, NodeKind, Tree},
};

use super::document::{self, Document};
use crate::{
    commands::target::ImageTarget,
    exit,
    failure::{Failure, Result},
};

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Why the image must not be trusted.
    pub(super) problems: Vec<String>,
    /// What was looked at, and what is worth knowing.
    pub(super) notes: Vec<String>,
}

/// How many scripts may lead to each other (`exec_binprm`, `fs/exec.c`).
const SCRIPTS_MAX: usize = 5;

/// Problems of one kind that are listed one by one.
const LISTED: usize = 20;

/// Where programs are looked for when the image does not say (Docker's and containerd's default).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Start of the names of variables that the launcher takes from whoever runs the image.
const OURS: &str = "VKERNEL_";

/// Starts of files that are programs of other systems, which a host may run (binfmt_misc).
const FOREIGN: &[(&[u8], &str)] = &[
    (b"MZ", "a Windows program"),
    (b"\0asm", "a WebAssembly module"),
    (b"\xca\xfe\xba\xbe", "a Java class or Mach-O program"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (b"\xce\xfa\xed\xfe", "a Mach-O program"),
    (b"\xfe\xed\xfa\xcf", "a Mach-O program"),
    (b"\xfe\xed\xfa\xce", "a Mach-O program"),
];

/// What the host kernel makes of a file that it is to execute.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Runs {
    /// The vkernel, which finds a route for it.
    Vkernel,
    /// The launcher itself.
    Launcher,
    /// Something else: what, and what would happen.
    Native(String),
    /// The launcher, which refuses it.
    Unrouted,
    /// Nothing: why.
    Nothing(String),
}

/// Looks at an image whose megabinary has this digest and index.
pub(super) fn check(image: &ImageTarget, index: &Index, megabinary: &Digest) -> Result<Findings> {
    let seen = image
        .image
        .glance(&image.tree)
        .map_err(|e| Failure::new(exit::VERIFY, &e))?;
    let mut findings = Findings::default();
    let world = World {
        tree: &image.tree,
        seen: &seen,
        index,
        megabinary,
    };
    world.files(&mut findings);
    match document::read(image.image.config_document()) {
        Ok(document) => world.settings(&document, &mut findings),
        Err(what) => findings.problems.push(format!(
            "the image's configuration cannot be judged: {what}"
        )),
    }
    Ok(findings)
}

struct World<'a> {
    tree: &'a Tree,
    seen: &'a BTreeMap<ContentId, Glance>,
    index: &'a Index,
    megabinary: &'a Digest,
}

impl World<'_> {
    /// Every file of every layer.
    fn files(&self, findings: &mut Findings) {
        let (mut programs, mut objects) = (0_usize, Vec::new());
        let mut problems = Vec::new();
        for (path, node) in self.tree.iter() {
            let NodeKind::File { content, .. } = &node.kind else {
                continue;
            };
            let at = show(path);
            if !executable(node) {
                let elf = self
                    .seen
                    .get(content)
                    .is_some_and(|g| g.head.starts_with(b"\x7fELF"));
                if elf {
                    objects.push(at);
                }
                continue;
            }
            match self.runs(node, 0) {
                Runs::Vkernel | Runs::Launcher => programs += 1,
                Runs::Native(what) => problems.push(format!(
                    "{at} can be executed and is {what}: a container engine would run it natively, \
                     outside of the vkernel; remove it, or its execute permission if it is data"
                )),
                Runs::Unrouted => problems.push(format!(
                    "{at} is a stub without a route in the signed index: the vkernel would refuse \
                     it; remove it, or build the image again with its program"
                )),
                // Data with an execute permission, as file systems without them have it.
                Runs::Nothing(_) => {}
            }
        }
        findings.notes.push(format!(
            "{programs} files that can be executed lead to the vkernel"
        ));
        if !objects.is_empty() {
            findings.notes.push(format!(
                "note: {} native files without execute permission cannot be run: {}",
                objects.len(),
                some(&objects).join(", ")
            ));
        }
        findings.problems.extend(some(&problems));
    }

    /// What the configuration has a container do.
    fn settings(&self, document: &Document, findings: &mut Findings) {
        for variable in &document.env {
            let name = variable.split('=').next().unwrap_or_default();
            if name.starts_with(OURS) {
                findings.problems.push(format!(
                    "the image sets the environment variable {name}, which is for whoever runs it: \
                     it could choose the key to trust, or turn auditing off; build it without"
                ));
            }
        }
        let mut named = Vec::new();
        let first = |list: &[String]| list.first().cloned();
        let command = match first(&document.entrypoint) {
            Some(program) => Some(("entrypoint", program)),
            None => first(&document.cmd).map(|program| ("command", program)),
        };
        named.extend(command);
        named.extend(first(&document.shell).map(|program| ("shell", program)));
        match document.healthcheck.as_slice() {
            [] => {}
            [kind] if kind == "NONE" || kind.is_empty() => {}
            [kind, program, ..] if kind == "CMD" => named.push(("health check", program.clone())),
            [kind, ..] if kind == "CMD-SHELL" => {
                let shell = first(&document.shell).unwrap_or_else(|| "/bin/sh".into());
                named.push(("health check", shell));
            }
            [kind, ..] => findings.problems.push(format!(
                "the image's health check is of the unknown kind `{kind}`"
            )),
        }
        for instruction in &document.onbuild {
            findings.problems.push(format!(
                "the image has `{instruction}` done in every build upon it (ONBUILD), which cannot \
                 be judged; build it without"
            ));
        }
        for (what, program) in &named {
            if let Err(problem) = self.starts(document, program) {
                findings
                    .problems
                    .push(format!("the image's {what} is `{program}`, {problem}"));
            }
        }
        if named.is_empty() {
            findings.notes.push("it names no program to start".into());
        } else {
            let list: Vec<String> = named.iter().map(|(w, p)| format!("{w} {p}")).collect();
            findings
                .notes
                .push(format!("what a container starts: {}", list.join(", ")));
        }
        for (name, value) in &document.labels {
            if name == labels::STEPS {
                findings.notes.push(format!(
                    "note: its build steps ran {value}: on a machine that they could change"
                ));
            }
        }
    }

    /// Whether a program that an engine is told to start leads to the vkernel.
    fn starts(&self, document: &Document, program: &str) -> std::result::Result<(), String> {
        let workdir = match document.workdir.as_str() {
            "" => "/",
            dir => dir,
        };
        let path = document
            .env
            .iter()
            .rev()
            .find_map(|v| v.strip_prefix("PATH="))
            .unwrap_or(DEFAULT_PATH);
        let candidates: Vec<String> = if program.contains('/') {
            vec![format!("{workdir}/{program}")]
                .into_iter()
                .map(|relative| match program.starts_with('/') {
                    true => program.to_owned(),
                    false => relative,
                })
                .collect()
        } else {
            path.split(':')
                .map(|folder| match folder.starts_with('/') {
                    true => format!("{folder}/{program}"),
                    // Relative to the working directory, an empty one too.
                    false => format!("{workdir}/{folder}/{program}"),
                })
                .collect()
        };
        let found = candidates.iter().find_map(|candidate| {
            let (at, node) = self.tree.resolve(candidate.as_bytes()).ok()?;
            (matches!(node.kind, NodeKind::File { .. }) && executable(node)).then_some((at, node))
        });
        let Some((at, node)) = found else {
            return Err("which is no program of the image; name one of its own".into());
        };
        let at = show(&at);
        match self.runs(node, 0) {
            Runs::Vkernel => Ok(()),
            Runs::Launcher => Err(
                "which is the launcher itself, with options of the image's choice; name a program"
                    .into(),
            ),
            Runs::Unrouted => Err(format!("and {at} is a stub without a route")),
            Runs::Native(what) => Err(format!(
                "and {at} is {what}: it would run natively, outside of the vkernel"
            )),
            Runs::Nothing(why) => Err(format!("and {at} cannot be run: {why}")),
        }
    }

    /// What executing a file comes to on the host. `depth`: scripts that led to it.
    fn runs(&self, node: &Node, depth: usize) -> Runs {
        let NodeKind::File { content, .. } = &node.kind else {
            return Runs::Nothing("it is not a file".into());
        };
        let Some(Glance {
            head,
            digest: Some(digest),
        }) = self.seen.get(content)
        else {
            return Runs::Nothing("it cannot be executed".into());
        };
        if digest == self.megabinary {
            return Runs::Launcher;
        }
        if head.starts_with(b"\x7fELF") {
            return Runs::Native("a native program (ELF)".into());
        }
        if let Some((_, what)) = FOREIGN.iter().find(|(start, _)| head.starts_with(start)) {
            return Runs::Native((*what).into());
        }
        if !head.starts_with(b"#!") {
            return Runs::Nothing("it is of no format that is executed".into());
        }
        let Some(interpreter) = interpreter(head) else {
            return Runs::Nothing("its first line names no interpreter".into());
        };
        let named = show_raw(interpreter);
        if !interpreter.starts_with(b"/") {
            return Runs::Native(format!(
                "a script for `{named}`, which depends on where it is started"
            ));
        }
        if depth >= SCRIPTS_MAX {
            return Runs::Nothing("too many scripts lead to each other".into());
        }
        let Ok((_, next)) = self.tree.resolve(interpreter) else {
            return Runs::Nothing(format!("its interpreter `{named}` is not in the image"));
        };
        if !executable(next) {
            return Runs::Nothing(format!("its interpreter `{named}` cannot be executed"));
        }
        match self.runs(next, depth + 1) {
            // A stub, then, or what pretends to be one.
            Runs::Launcher => match self.is_routed(head, digest) {
                true => Runs::Vkernel,
                false => Runs::Unrouted,
            },
            Runs::Native(what) => Runs::Native(format!("a script for `{named}`, {what}")),
            other => other,
        }
    }

    /// Whether the launcher, started through this file, finds its route.
    fn is_routed(&self, head: &[u8], digest: &Digest) -> bool {
        let line = head
            .split_inclusive(|b| *b == b'\n')
            .next()
            .unwrap_or_default();
        let (Some(entry), Ok(claimed)) = (self.index.route(digest), stub::parse(line)) else {
            return false;
        };
        entry.digest == claimed
    }
}

fn executable(node: &Node) -> bool {
    node.metadata.mode & 0o111 != 0
}

/// The interpreter that the host kernel finds in a script's first bytes (`load_script`,
/// `fs/binfmt_script.c`); `None`: it says ENOEXEC.
fn interpreter(head: &[u8]) -> Option<&[u8]> {
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let text = head.get(2..)?;
    let (line, whole) = match text.iter().position(|b| *b == b'\n') {
        Some(end) => (text.get(..end)?, true),
        // A file that ends within the buffer is padded with zeroes.
        None => (text, head.len() < 256),
    };
    let start = line.iter().position(|b| !blank(b))?;
    let line = line.get(start..)?;
    let end = line.iter().position(|b| blank(b) || *b == 0);
    let name = match (end, whole) {
        (Some(end), _) => line.get(..end)?,
        (None, true) => line,
        // Its name may be longer than what the kernel reads.
        (None, false) => return None,
    };
    (!name.is_empty()).then_some(name)
}

fn show(path: &[u8]) -> String {
    format!("/{}", show_raw(path))
}

fn show_raw(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// The first of a list, and how many more there are.
fn some(list: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = list.iter().take(LISTED).cloned().collect();
    if list.len() > LISTED {
        shown.push(format!("and {} more", list.len() - LISTED));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_as_the_host_kernel_reads_them() {
        let long = [b"#!/", vec![b'x'; 300].as_slice()].concat();
        let cut = [b"#!/a ", vec![b'x'; 300].as_slice()].concat();
        for (head, expected) in [
            (&b"#!/bin/sh\n"[..], Some(&b"/bin/sh"[..])),
            (b"#! \t/bin/sh -e\n", Some(b"/bin/sh")),
            (b"#!/bin/sh", Some(b"/bin/sh")),
            (b"#!/bin/sh\0/other\n", Some(b"/bin/sh")),
            (b"#!\n/bin/sh\n", None),
            (b"#!   \n", None),
            (b"#!", None),
            (b"#!sh\n", Some(b"sh")),
            (&long[..256], None),
            (&cut[..256], Some(b"/a")),
        ] {
            assert_eq!(interpreter(head), expected, "{}", head.escape_ascii());
        }
    }
}
