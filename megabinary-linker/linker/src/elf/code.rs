//! A compiled module: wasmtime's `.cwasm`, an ELF file of which only `.text` may be executable.

use std::ops::Range;

use megabinary_format::{PAGE, Target};

use super::raw::{EM_X86_64, Header, PT_LOAD, Phdr, R, X};

/// A compiled module, as far as mapping it is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodeImage {
    /// Length in the file: whole pages.
    pub(crate) padded: u64,
    /// The pages of its text, relative to its start; `None` when nothing of it is executed by
    /// the processor (Pulley).
    pub(crate) text: Option<Range<u64>>,
}

impl CodeImage {
    /// Reads the section headers of a compiled module; total.
    pub(crate) fn read(bytes: &[u8], target: Target) -> Result<CodeImage, String> {
        let header = Header::read(bytes)?;
        let padded = (bytes.len() as u64).next_multiple_of(PAGE);
        let native = header.machine == EM_X86_64;
        match (target, native) {
            (Target::X86_64, true) => {}
            (Target::Pulley64, false) => return Ok(CodeImage { padded, text: None }),
            _ => {
                return Err(format!(
                    "it is compiled for ELF machine {}, which is not what {target:?} needs",
                    header.machine
                ));
            }
        }
        let sections = header.sections(bytes)?;
        let mut texts = sections.iter().filter(|s| s.name == b".text");
        let text = match (texts.next(), texts.next()) {
            (Some(text), None) => text.range.clone(),
            _ => return Err("it does not have exactly one `.text` section".into()),
        };
        if text.start % PAGE != 0 || text.is_empty() {
            return Err(format!(
                "its text at {:#x} is empty or not page-aligned",
                text.start
            ));
        }
        let pages = text.start..text.end.next_multiple_of(PAGE);
        // Whatever shares a page with text would become executable too.
        let shares = |s: &&super::raw::Section| {
            s.name != b".text"
                && !s.range.is_empty()
                && s.range.start < pages.end
                && s.range.end > pages.start
        };
        if let Some(section) = sections.iter().find(shares) {
            let name = String::from_utf8_lossy(&section.name);
            return Err(format!("its section `{name}` shares a page with its text"));
        }
        Ok(CodeImage {
            padded,
            text: Some(pages),
        })
    }

    /// The segments that map it at `vaddr` from `offset`: R, R-X, R, or a single R.
    pub(crate) fn loads(&self, offset: u64, vaddr: u64) -> Vec<Phdr> {
        let text = self.text.clone().unwrap_or(0..0);
        [
            (R, 0..text.start),
            (R | X, text.clone()),
            (R, text.end..self.padded),
        ]
        .into_iter()
        .filter(|(_, range)| !range.is_empty())
        .map(|(flags, range)| {
            let len = range.end - range.start;
            Phdr::over(
                PT_LOAD,
                flags,
                offset + range.start,
                vaddr + range.start,
                len,
            )
        })
        .collect()
    }
}
