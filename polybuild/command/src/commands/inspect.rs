//! `polybuild inspect`: routes, modules, imports, sizes, snapshots and the signer of a megabinary.
//!
//! It reports what the index says; whether that can be trusted is `verify`'s answer.

use std::fmt::Write as _;

use megabinary_format::{
    Digest, EntryKind, Index, KeyId, MemoryImage, Module, Policy, SegmentKind, Unit,
};
use serde_json::{Value, json};

use polybuild_oci::labels;

use super::target::{self, Target};
use crate::{
    args::Inspect,
    exit,
    failure::{Failure, Result},
    pipeline::WITHOUT,
    ui::{Ui, size},
};

pub(super) fn run(ui: &Ui, args: &Inspect) -> Result<()> {
    let (bytes, form, without) = match target::open(&args.target)? {
        Target::Elf(bytes) => (bytes, "executable", None),
        Target::Portable(bytes) => (bytes, "portable", None),
        Target::Image(image) => {
            let labels = image.image.settings().labels;
            let without = labels.get(labels::WITHOUT_FIXES).cloned();
            (image.megabinary()?, "executable, in an image", without)
        }
    };
    let (index, signature) =
        megabinary_linker::peek(&bytes).map_err(|e| Failure::new(exit::VERIFY, &e))?;
    let (signer, len) = (signature.key_id(), bytes.len() as u64);
    let about = About {
        index: &index,
        signer,
        form,
        len,
        without,
    };
    ui.result(&about.text(), &about.json());
    Ok(())
}

struct About<'a> {
    index: &'a Index,
    signer: KeyId,
    form: &'static str,
    len: u64,
    /// Sources without their distribution's fixes, as the image's label has them.
    without: Option<String>,
}

impl About<'_> {
    fn text(&self) -> String {
        let index = self.index;
        let mut t = format!(
            "{} ({}, {:?}), {}\nsigned by {}, index {}, provenance {}\n",
            index.name,
            self.form,
            index.target,
            size(self.len),
            self.signer,
            Digest::of(&index.encode()),
            index.provenance,
        );
        if let Some(without) = &self.without {
            // Of somebody's image: no control characters for the terminal.
            let without: String = without.chars().filter(|c| !c.is_control()).collect();
            let _ = writeln!(t, "{WITHOUT}: {without}");
        }
        t.push_str("\nmodules\n");
        for module in &index.modules {
            let _ = writeln!(t, "  {}  {}", module.name, module.digest);
            if let Some(code) = module.code {
                let _ = writeln!(t, "    code      {}", size(code.len));
            }
            let _ = writeln!(t, "    for       {}", module.personality.name());
            if module.is_library {
                let _ = writeln!(t, "    shared    {}", shared_text(index, module));
            }
            if !module.libraries.is_empty() {
                let _ = writeln!(t, "    uses      {}", module.libraries.join(", "));
            }
            let _ = writeln!(t, "    memory    {}", image_text(&module.cold));
            if let Some(warm) = &module.warm {
                let _ = writeln!(t, "    snapshot  {}", image_text(warm));
            }
            let _ = writeln!(t, "    imports   {} functions", module.imports.len());
            for import in &module.imports {
                let _ = writeln!(t, "      {import}");
            }
        }
        t.push_str("\nprograms\n");
        for program in &index.programs {
            let entry = index.entries.get(program.entry as usize);
            let name = entry.map_or("?", |e| e.name.as_str());
            let _ = writeln!(t, "  {} -> {name}", program.path);
        }
        t.push_str("\nroutes\n");
        for route in &index.routes {
            let entry = index.entries.get(route.entry as usize);
            let name = entry.map_or("?", |e| e.name.as_str());
            let _ = writeln!(t, "  {} -> {name}", route.file);
        }
        for tree in &index.trees {
            let _ = writeln!(t, "\ntree at {}: {} nodes", tree.mount, tree.nodes.len());
        }
        if !index.segments.is_empty() {
            t.push_str("\nsegments\n");
            for s in &index.segments {
                let kind = segment_name(s.kind);
                let _ = writeln!(
                    t,
                    "  {:>10x} {:>10}  {kind:<8} {}",
                    s.offset,
                    size(s.len),
                    s.digest
                );
            }
        }
        t.push_str(&policy_text(&index.policy));
        t
    }

    fn json(&self) -> Value {
        let index = self.index;
        let entry_name = |at: u32| index.entries.get(at as usize).map(|e| e.name.clone());
        json!({
            "name": index.name,
            "form": self.form,
            "target": format!("{:?}", index.target),
            "size": self.len,
            "without_fixes": self.without,
            "signer": self.signer.to_string(),
            "index": Digest::of(&index.encode()).to_string(),
            "provenance": index.provenance.to_string(),
            "modules": index.modules.iter().map(|m| json!({
                "name": m.name,
                "digest": m.digest.to_string(),
                "personality": m.personality.name(),
                "code": m.code.map(|c| c.len),
                "memory": image_json(&m.cold),
                "snapshot": m.warm.as_ref().map(image_json),
                "imports": m.imports,
                "shared_by": m.is_library.then(|| users(index, m)),
                "saved": m.is_library.then(|| saved(index, m)),
                "libraries": m.libraries,
            })).collect::<Vec<_>>(),
            "entries": index.entries.iter().map(|e| json!({
                "name": e.name,
                "digest": e.digest.to_string(),
                "module": match e.kind {
                    EntryKind::Module(at) => index.modules.get(at as usize).map(|m| m.name.clone()),
                    EntryKind::Env => None,
                },
                "argv_prefix": e.argv_prefix,
            })).collect::<Vec<_>>(),
            "programs": index.programs.iter().map(|p| json!({
                "path": p.path, "entry": entry_name(p.entry),
            })).collect::<Vec<_>>(),
            "routes": index.routes.iter().map(|r| json!({
                "file": r.file.to_string(), "entry": entry_name(r.entry),
            })).collect::<Vec<_>>(),
            "trees": index.trees.iter().map(|t| json!({
                "mount": t.mount, "nodes": t.nodes.len(),
            })).collect::<Vec<_>>(),
            "segments": index.segments.iter().map(|s| json!({
                "kind": segment_name(s.kind), "offset": s.offset, "size": s.len,
                "digest": s.digest.to_string(),
            })).collect::<Vec<_>>(),
            "policy": {
                "limits": index.policy.limits,
                "network": index.policy.network.as_ref().map(|rules| {
                    rules.iter().map(ToString::to_string).collect::<Vec<_>>()
                }),
                "read-only-root": index.policy.read_only_root,
                "read-only": index.policy.read_only,
                "hidden": index.policy.hidden,
            },
        })
    }
}

/// Only what the policy restricts.
fn policy_text(policy: &Policy) -> String {
    let limits = policy.limits.iter();
    let mut lines: Vec<_> = limits
        .map(|(limit, value)| {
            let value = match limit.row().unit {
                Unit::Bytes => size(value),
                Unit::Milliseconds | Unit::Count => limit.text(value),
            };
            format!("{:<15} {value}", limit.key())
        })
        .collect();
    match policy.network.as_deref() {
        None => {}
        Some([]) => lines.push("network         none".to_owned()),
        Some(rules) => lines.extend(rules.iter().map(|rule| format!("network         {rule}"))),
    }
    lines.extend(
        policy
            .read_only_root
            .then(|| "read-only-root  true".to_owned()),
    );
    lines.extend(
        policy
            .read_only
            .iter()
            .map(|path| format!("read-only       {path}")),
    );
    lines.extend(
        policy
            .hidden
            .iter()
            .map(|path| format!("hidden          {path}")),
    );
    if lines.is_empty() {
        lines.push("no limits beyond the sandbox itself".to_owned());
    }
    format!("\npolicy\n  {}\n", lines.join("\n  "))
}

fn image_text(image: &MemoryImage) -> String {
    let stored: u64 = image.runs.iter().map(|r| r.len).sum();
    format!(
        "{} with {} of contents in {} runs",
        size(image.pages * megabinary_format::WASM_PAGE),
        size(stored),
        image.runs.len()
    )
}

fn image_json(image: &MemoryImage) -> Value {
    json!({
        "bytes": image.pages * megabinary_format::WASM_PAGE,
        "stored": image.runs.iter().map(|r| r.len).sum::<u64>(),
        "runs": image.runs.len(),
        "globals": image.globals.len(),
    })
}

fn segment_name(kind: SegmentKind) -> &'static str {
    match kind {
        SegmentKind::Launcher => "launcher",
        SegmentKind::Code => "code",
        SegmentKind::Memory => "memory",
        SegmentKind::Files => "files",
        SegmentKind::Headers => "headers",
    }
}

/// The programs that use a library.
fn users<'a>(index: &'a Index, library: &Module) -> Vec<&'a str> {
    let modules = index.modules.iter().filter(|m| !m.is_library);
    modules
        .filter(|m| m.libraries.contains(&library.name))
        .map(|m| m.name.as_str())
        .collect()
}

/// How many bytes of code and data would be there once more for each program but the first.
fn saved(index: &Index, library: &Module) -> u64 {
    let data: u64 = library.cold.runs.iter().map(|run| run.len).sum();
    let once = library.code.map_or(0, |code| code.len) + data;
    once * (users(index, library).len() as u64).saturating_sub(1)
}

fn shared_text(index: &Index, library: &Module) -> String {
    let users = users(index, library);
    format!(
        "by {} ({}): {} saved",
        match users.len() {
            1 => "1 program".to_owned(),
            count => format!("{count} programs"),
        },
        users.join(", "),
        size(saved(index, library))
    )
}
