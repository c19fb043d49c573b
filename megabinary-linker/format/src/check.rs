//! What an index must satisfy beyond its bytes being well-formed.
//!
//! The launcher trusts these facts without looking again: positions are in range, lists that are
//! searched are sorted, every file range lies in a segment of its kind, paths cannot climb.
//! Deliberately not here, because it costs hashing: digests of entries and of segments; see the
//! linker's `verify`.

use vkernel_abi::personality::Personality;

use crate::{
    EntryKind, FileKind, FileTree, FormatError, Index, MemoryImage, Module, Segment, SegmentKind,
    Target,
};

/// Size of the pages in which memory images are cut, in bytes.
pub const PAGE: u64 = 4096;

/// Size of a WebAssembly page in bytes (core specification 4.2.8).
pub const WASM_PAGE: u64 = 65536;

/// Most pages a 32-bit linear memory can have.
pub const WASM_PAGES_MAX: u64 = 65536;

impl Index {
    /// Whether the index is consistent; decoding an index includes this.
    pub fn check(&self) -> Result<(), FormatError> {
        self.check_positions()?;
        self.check_order()?;
        self.check_segments()?;
        self.check_modules()?;
        let files = self.bounds(SegmentKind::Files);
        for tree in &self.trees {
            check_tree(tree, files)?;
        }
        for path in self.policy.read_only.iter().chain(&self.policy.hidden) {
            if !is_absolute(path) {
                return Err(wrong(format!(
                    "policy names `{path}`, not a plain absolute path"
                )));
            }
        }
        Ok(())
    }

    fn check_positions(&self) -> Result<(), FormatError> {
        for entry in &self.entries {
            if let EntryKind::Module(module) = entry.kind
                && module as usize >= self.modules.len()
            {
                return Err(wrong(format!(
                    "entry `{}` runs module {module} of {}",
                    entry.name,
                    self.modules.len()
                )));
            }
            if let EntryKind::Module(at) = entry.kind
                && self.modules.get(at as usize).is_some_and(|m| m.is_library)
            {
                return Err(wrong(format!("entry `{}` runs a library", entry.name)));
            }
        }
        let routes = self.routes.iter().map(|r| r.entry);
        for entry in routes.chain(self.programs.iter().map(|p| p.entry)) {
            if entry as usize >= self.entries.len() {
                let count = self.entries.len();
                return Err(wrong(format!(
                    "a route or program names entry {entry} of {count}"
                )));
            }
        }
        Ok(())
    }

    fn check_order(&self) -> Result<(), FormatError> {
        if !self.routes.is_sorted_by(|a, b| a.file < b.file) {
            return Err(wrong("routes are not sorted by digest, each once"));
        }
        if !self.programs.is_sorted_by(|a, b| a.path < b.path) {
            return Err(wrong("programs are not sorted by path, each once"));
        }
        if !self.trees.is_sorted_by(|a, b| a.mount < b.mount) {
            return Err(wrong("trees are not sorted by mount point, each once"));
        }
        if let Some(p) = self
            .programs
            .iter()
            .find(|p| p.path == "/" || !is_absolute(&p.path))
        {
            return Err(wrong(format!(
                "program at `{}`, not a plain absolute path",
                p.path
            )));
        }
        Ok(())
    }

    /// Segments come in one order, so that equal contents make equal files.
    fn check_segments(&self) -> Result<(), FormatError> {
        use SegmentKind::{Code, Files, Headers, Launcher, Memory};
        let mut rest = &self.segments[..];
        let mut next = |kind: SegmentKind| match rest.split_first() {
            Some((first, tail)) if first.kind == kind => {
                rest = tail;
                Some(*first)
            }
            _ => None,
        };
        if self.target == Target::Portable {
            for kind in [Memory, Files] {
                if let Some(segment) = next(kind)
                    && segment.offset != 0
                {
                    return Err(wrong("a section of the portable form starts at offset 0"));
                }
            }
        } else {
            next(Launcher).ok_or_else(|| wrong("the first segment is not the launcher"))?;
            for module in &self.modules {
                let inside = next(Code).zip(module.code).is_some_and(|(segment, code)| {
                    code.offset == segment.offset && code.len <= segment.len && code.len > 0
                });
                if !inside {
                    return Err(wrong(format!(
                        "the code of module `{}` is not in a code segment of its own",
                        module.name
                    )));
                }
            }
            next(Memory);
            next(Files);
            next(Headers).ok_or_else(|| wrong("the last segment is not the header table"))?;
            let mut end = 0;
            for segment in &self.segments {
                if segment.offset != end {
                    let at = segment.offset;
                    return Err(wrong(format!(
                        "a segment starts at {at:#x} instead of {end:#x}"
                    )));
                }
                end = end_of(segment.offset, segment.len)?;
            }
        }
        if !rest.is_empty() {
            return Err(wrong("segments are not in their order"));
        }
        Ok(())
    }

    fn check_modules(&self) -> Result<(), FormatError> {
        let memory = self.bounds(SegmentKind::Memory);
        for module in &self.modules {
            if module.code.is_some() == (self.target == Target::Portable) {
                return Err(wrong(format!(
                    "module `{}`: compiled code belongs to executable forms and only there",
                    module.name
                )));
            }
            if !module.imports.is_sorted_by(|a, b| a < b) {
                return Err(wrong(format!(
                    "imports of `{}` are not sorted",
                    module.name
                )));
            }
            self.check_libraries(module)
                .map_err(|problem| wrong(format!("module `{}`: {problem}", module.name)))?;
            let imports = module.imports.iter().filter_map(|i| i.split('.').next());
            let found = match module.is_library {
                true => Personality::Linux,
                false => Personality::of(imports),
            };
            if found != module.personality {
                return Err(wrong(format!(
                    "module `{}` is said to be of the personality `{}`, and its imports are of `{}`",
                    module.name,
                    module.personality.name(),
                    found.name()
                )));
            }
            check_process(module)
                .map_err(|problem| wrong(format!("module `{}`: {problem}", module.name)))?;
            for image in [Some(&module.cold), module.warm.as_ref()]
                .into_iter()
                .flatten()
            {
                check_image(image, memory)
                    .map_err(|problem| wrong(format!("module `{}`: {problem}", module.name)))?;
            }
        }
        Ok(())
    }

    /// Libraries that a module uses are there, and what is a library is nothing else.
    fn check_libraries(&self, module: &Module) -> Result<(), String> {
        if !module.libraries.is_sorted_by(|a, b| a < b) {
            return Err("its libraries are not sorted, each once".into());
        }
        if module.is_library && (!module.imports.is_empty() || module.warm.is_some()) {
            return Err("a library has imports of its own or a snapshot".into());
        }
        for name in &module.libraries {
            let mut named = self.modules.iter().filter(|m| m.name == *name);
            let found = match (named.next(), named.next()) {
                (Some(found), None) => found,
                _ => {
                    return Err(format!(
                        "it uses the library `{name}`, which is not one module"
                    ));
                }
            };
            if !found.is_library || module.personality != Personality::Linux {
                return Err(format!("it uses `{name}` as a library, which cannot be"));
            }
            if let Some(missing) = found
                .libraries
                .iter()
                .find(|n| !module.libraries.contains(n))
                && !module.is_library
            {
                return Err(format!(
                    "it uses `{name}` without `{missing}`, which that needs"
                ));
            }
            let in_it = |end: u64| end <= module.cold.pages * WASM_PAGE;
            let mut runs = found.cold.runs.iter();
            let ends = runs.all(|r| r.memory_offset.checked_add(r.len).is_some_and(in_it));
            if !module.is_library && !ends {
                return Err(format!("its memory has no place for the library `{name}`"));
            }
        }
        Ok(())
    }

    /// Start and end of the segment of this kind (of which there is at most one).
    fn bounds(&self, kind: SegmentKind) -> Option<(u64, u64)> {
        let Segment { offset, len, .. } = *self.segments.iter().find(|s| s.kind == kind)?;
        Some((offset, offset.checked_add(len)?))
    }
}

fn check_image(image: &MemoryImage, segment: Option<(u64, u64)>) -> Result<(), String> {
    if image.pages > WASM_PAGES_MAX {
        return Err(format!(
            "a memory of {} pages; wasm32 has at most 65536",
            image.pages
        ));
    }
    let size = image.pages * WASM_PAGE;
    let mut free_from = 0;
    for run in &image.runs {
        if [run.memory_offset, run.file_offset, run.len]
            .iter()
            .any(|v| v % PAGE != 0)
        {
            return Err(format!(
                "a run at {:#x} is not page-aligned",
                run.memory_offset
            ));
        }
        let end = run
            .memory_offset
            .checked_add(run.len)
            .filter(|end| *end <= size);
        let Some(end) = end.filter(|_| run.len > 0 && run.memory_offset >= free_from) else {
            return Err(format!(
                "a run of {:#x} bytes at {:#x} is empty, overlaps the one before or leaves the \
                 memory",
                run.len, run.memory_offset
            ));
        };
        free_from = end;
        if !inside(run.file_offset, run.len, segment) {
            return Err(format!(
                "a run at {:#x} is not in a memory segment",
                run.file_offset
            ));
        }
    }
    if !image.globals.is_sorted_by(|a, b| a.index < b.index) {
        return Err("globals are not sorted by index, each once".into());
    }
    Ok(())
}

/// The process of a snapshot: there is one where there must be, and it fits the memory.
fn check_process(module: &Module) -> Result<(), String> {
    match (&module.warm, &module.process, module.personality) {
        (Some(warm), Some(process), Personality::Linux) => {
            process.check(warm.pages)?;
            match process.covers(&warm.runs) {
                true => Ok(()),
                false => Err("its snapshot has contents where nothing is mapped".into()),
            }
        }
        (None, None, _) | (Some(_), None, Personality::Wasi) => Ok(()),
        _ => Err("a snapshot of a Linux program has a process, and nothing else has one".into()),
    }
}

fn check_tree(tree: &FileTree, files: Option<(u64, u64)>) -> Result<(), FormatError> {
    if !is_absolute(&tree.mount) {
        return Err(wrong(format!(
            "a tree at `{}`, not a plain absolute path",
            tree.mount
        )));
    }
    let at = |path: &str| format!("`{path}` in the tree at `{}`", tree.mount);
    if !tree.nodes.is_sorted_by(|a, b| a.path < b.path) {
        return Err(wrong(format!(
            "the tree at `{}` is not sorted, each path once",
            tree.mount
        )));
    }
    // Neighbours mostly share their folder: look it up only when it changes.
    let mut known_parent = "";
    for node in &tree.nodes {
        if !is_relative(&node.path) {
            return Err(wrong(format!(
                "{} is not a plain relative path",
                at(&node.path)
            )));
        }
        let parent = node.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if parent != known_parent {
            let found = tree.nodes.binary_search_by(|n| n.path.as_str().cmp(parent));
            let folder = found.ok().and_then(|i| tree.nodes.get(i));
            if !folder.is_some_and(|n| n.kind == FileKind::Directory) && !parent.is_empty() {
                return Err(wrong(format!("{} has no folder listed", at(&node.path))));
            }
            known_parent = parent;
        }
        match &node.kind {
            FileKind::Directory => {}
            FileKind::File { offset, len, .. } => {
                if !inside(*offset, *len, files) && (*offset, *len) != (0, 0) {
                    return Err(wrong(format!(
                        "{} is not in the files segment",
                        at(&node.path)
                    )));
                }
            }
            FileKind::Symlink(target) => {
                if target.is_empty() || target.contains('\0') {
                    return Err(wrong(format!("{} links to nothing", at(&node.path))));
                }
            }
        }
    }
    Ok(())
}

fn inside(offset: u64, len: u64, bounds: Option<(u64, u64)>) -> bool {
    bounds.is_some_and(|(start, limit)| {
        offset >= start && offset.checked_add(len).is_some_and(|end| end <= limit)
    })
}

fn end_of(offset: u64, len: u64) -> Result<u64, FormatError> {
    offset
        .checked_add(len)
        .ok_or_else(|| wrong("a range leaves the 64-bit space"))
}

/// Whether `path` is `/`, or `/` and names separated by single slashes, none of them `.` or `..`.
pub fn is_absolute(path: &str) -> bool {
    path.strip_prefix('/')
        .is_some_and(|rest| rest.is_empty() || is_relative(rest))
}

/// Whether `path` is names separated by single slashes, none of them `.` or `..`, without NUL.
pub fn is_relative(path: &str) -> bool {
    path.split('/').all(|name| !matches!(name, "" | "." | "..")) && !path.contains('\0')
}

fn wrong(problem: impl Into<String>) -> FormatError {
    FormatError::Inconsistent {
        what: "index",
        problem: problem.into(),
    }
}
