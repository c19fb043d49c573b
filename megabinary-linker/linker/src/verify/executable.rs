//! Verification of the executable form.

use std::ops::Range;

use megabinary_format::{
    Digest, Index, PT_VKERNEL, PublicKey, Segment, SegmentKind, Signature, Tail, Target,
};

use super::{Report, VerifyError};
use crate::{
    elf::{
        code::CodeImage,
        end, launcher,
        raw::{self, Header, PT_LOAD, PT_PHDR, Phdr, X},
    },
    portable::check_names,
};

/// Verifies an executable megabinary; `trusted` are the keys it may be signed with.
pub fn verify_elf(bytes: &[u8], trusted: &[PublicKey]) -> Result<Report, VerifyError> {
    let one = |problem| VerifyError {
        problems: vec![problem],
    };
    let header = Header::read(bytes).map_err(one)?;
    let phdrs = header.phdrs(bytes).map_err(one)?;
    let mut v = Verifier {
        bytes,
        header,
        phdrs: &phdrs,
        problems: Vec::new(),
    };
    v.problems.extend(launcher::check(bytes, &header, &phdrs));
    let Some((tail_at, tail)) = v.tail() else {
        return Err(VerifyError {
            problems: v.problems,
        });
    };

    let index = v.note("its index", Index::decode(tail.index));
    let signature = v.note("its signature", Signature::decode(tail.signature));
    if let Some(signature) = &signature
        && let Err(e) = signature.verify_by(tail.index, trusted)
    {
        v.problems.push(e.to_string());
    }
    if let Some(index) = &index {
        v.segments(index, tail_at);
        v.headers(index, tail_at);
        v.loads(index);
        if let Err(what) = check_names(index) {
            v.problems
                .push(format!("{what} is not what its contents give"));
        }
        if index.target == Target::Portable {
            v.problems
                .push("its index is that of a portable megabinary".into());
        }
    }
    match (index, signature) {
        (Some(index), Some(signature)) if v.problems.is_empty() => Ok(Report {
            checked: checked(&index, bytes.len()),
            index,
            signer: signature.public_key,
            trusted_comment: signature.trusted_comment,
        }),
        _ => Err(VerifyError {
            problems: v.problems,
        }),
    }
}

fn checked(index: &Index, len: usize) -> Vec<String> {
    vec![
        "the index is canonical and signed by a trusted key".into(),
        format!(
            "{} segments and the signed tail cover all {len} bytes; every digest fits",
            index.segments.len()
        ),
        "no segment is writable and executable; the stack is not executable".into(),
        format!(
            "only the launcher's text and the text of {} modules is executable",
            index.modules.len()
        ),
        "no interpreter, no shared library, no text relocation".into(),
        "entries, stubs, routes, code, memory and files belong together".into(),
    ]
}

struct Verifier<'a> {
    bytes: &'a [u8],
    header: Header,
    phdrs: &'a [Phdr],
    problems: Vec<String>,
}

impl<'a> Verifier<'a> {
    fn wrong(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    fn note<T, E: std::fmt::Display>(&mut self, what: &str, result: Result<T, E>) -> Option<T> {
        result
            .map_err(|e| self.problems.push(format!("{what} is not readable: {e}")))
            .ok()
    }

    /// The tail, which must end with the file.
    fn tail(&mut self) -> Option<(u64, Tail<'a>)> {
        let mut found = self.phdrs.iter().filter(|p| p.kind == PT_VKERNEL);
        let (Some(phdr), None) = (found.next(), found.next()) else {
            self.wrong("it is not a megabinary: it does not have one PT_VKERNEL program header");
            return None;
        };
        let len = self.bytes.len() as u64;
        if phdr.file().is_none_or(|r| r.end != len) {
            self.wrong(format!(
                "its tail does not end with the file, which has {len} bytes"
            ));
        }
        let range = raw::slice(self.bytes, phdr.offset, phdr.filesz);
        let Some(range) = range else {
            self.wrong("its tail is outside the file");
            return None;
        };
        Some((phdr.offset, self.note("its tail", Tail::decode(range))?))
    }

    /// Segments have their digests and tile the file up to the tail. That each begins where the
    /// one before ends is part of `Index::check`.
    fn segments(&mut self, index: &Index, tail_at: u64) {
        for segment in &index.segments {
            let contents = raw::slice(self.bytes, segment.offset, segment.len);
            if contents.map(Digest::of) != Some(segment.digest) {
                self.wrong(format!(
                    "the {:?} segment at {:#x} ({:#x} bytes) does not have the digest {}",
                    segment.kind, segment.offset, segment.len, segment.digest
                ));
            }
        }
        let end = index
            .segments
            .last()
            .map_or(0, |s| s.offset.saturating_add(s.len));
        if end != tail_at {
            self.wrong(format!(
                "its segments end at {end:#x}, but its tail is at {tail_at:#x}"
            ));
        }
    }

    /// The program header table is the headers segment, and there are no section headers.
    fn headers(&mut self, index: &Index, tail_at: u64) {
        let Some(segment) = find(index, SegmentKind::Headers) else {
            return;
        };
        let table = (self.header.phoff, u64::from(self.header.phnum) * raw::PHDR);
        if table != (segment.offset, segment.len) {
            self.wrong("its program header table is not the headers segment");
        }
        let sections = (self.header.shoff, self.header.shnum, self.header.shstrndx);
        if sections != (0, 0, 0) {
            self.wrong("it has section headers, which nobody accounts for");
        }
        let end = self
            .phdrs
            .iter()
            .filter(|p| p.kind == PT_LOAD)
            .find(|p| p.file().is_some_and(|r| r.contains(&segment.offset)));
        let Some(end) = end else {
            return self.wrong("its program headers are not mapped");
        };
        let vaddr = end.vaddr.wrapping_add(segment.offset - end.offset);
        let expected = [
            Phdr::over(PT_PHDR, raw::R, segment.offset, vaddr, segment.len),
            Phdr::over(
                PT_VKERNEL,
                raw::R,
                tail_at,
                vaddr.wrapping_add(segment.len),
                (self.bytes.len() as u64).saturating_sub(tail_at),
            ),
        ];
        for phdr in expected {
            if self
                .phdrs
                .iter()
                .filter(|p| p.kind == phdr.kind)
                .ne([&phdr])
            {
                self.wrong(format!(
                    "its program header of type {:#x} is misplaced",
                    phdr.kind
                ));
            }
        }
    }

    /// Every PT_LOAD is the launcher's, the end's, or one that a code image calls for.
    fn loads(&mut self, index: &Index) {
        let mut rest: Vec<Phdr> = self
            .phdrs
            .iter()
            .filter(|p| p.kind == PT_LOAD)
            .copied()
            .collect();
        let (mut code_loads, mut names) = (Vec::new(), Vec::new());
        for module in &index.modules {
            let Some(code) = module.code else { continue };
            let Some(image) = raw::slice(self.bytes, code.offset, code.len) else {
                self.wrong(format!(
                    "the code of module `{}` is outside the file",
                    module.name
                ));
                continue;
            };
            match CodeImage::read(image, index.target) {
                Err(e) => self.wrong(format!("the code of module `{}`: {e}", module.name)),
                Ok(image) => {
                    let loads = image.loads(code.offset, code.vaddr);
                    names.extend(loads.iter().map(|_| &module.name));
                    code_loads.extend(loads);
                }
            }
        }
        let mut take = |load: &Phdr| {
            let before = rest.len();
            rest.retain(|l| l != load);
            rest.len() + 1 == before
        };
        let headers = self.phdrs.iter().find(|p| p.kind == PT_PHDR).copied();
        if let Some(headers) = headers {
            let len = self.bytes.len() as u64;
            let end = end::load(&mut code_loads, &index.segments, &headers, len);
            if !take(&end) {
                self.problems
                    .push("its program headers and tail are not mapped as they should be".into());
            }
        }
        for (load, name) in code_loads.iter().zip(names) {
            if !take(load) {
                self.problems.push(format!(
                    "the code of module `{name}` is not mapped as R, R-X, R"
                ));
            }
        }
        let launcher = find(index, SegmentKind::Launcher)
            .map(range)
            .unwrap_or(0..0);
        let mut entry_is_launcher = false;
        for load in rest {
            let Some(file) = load.file() else { continue };
            let inside = file.start >= launcher.start && file.end <= launcher.end;
            if !inside {
                let at = load.vaddr;
                self.wrong(format!(
                    "its segment at {at:#x} maps what the index does not name"
                ));
            }
            let entry = self.header.entry.checked_sub(load.vaddr);
            entry_is_launcher |=
                inside && load.flags & X != 0 && entry.is_some_and(|e| e < load.filesz);
        }
        if !entry_is_launcher {
            self.wrong("its entry point is not in the launcher's text");
        }
    }
}

fn find(index: &Index, kind: SegmentKind) -> Option<&Segment> {
    index.segments.iter().find(|s| s.kind == kind)
}

fn range(segment: &Segment) -> Range<u64> {
    segment.offset..segment.offset.saturating_add(segment.len)
}
