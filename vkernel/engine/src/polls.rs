//! Puts *polls* into a module: places where a computation looks whether there is a signal whose
//! handler is to be called.
//!
//! A poll is a load, a comparison and a branch that is never taken but then:
//!
//! ```wat
//! i32.const 0
//! i32.load $word        ;; of a memory that this thread alone has and the guest cannot name
//! if                    ;; hinted as unlikely
//!   global.get $call    ;; a function of the engine's
//!   call_ref $nothing
//! end
//! ```
//!
//! They are in every loop, and at the beginning of some functions ([`places`]): what has neither ends
//! soon. Where a function calls `__signal_checkpoint`, by itself or by a function that does, polls
//! stand in place of those calls and nowhere else: they are the places where the C compiler expects
//! that something is thrown (`polyfills/sysroot/port/src/setjmp/wasm32/checkpoint.c`).
//!
//! wasmtime's epochs do the same by 64-bit counters and deadlines, which cost two registers in every
//! loop and a value that flows through all of them; and since a poll is code like any other, what a
//! handler throws is caught where the poll is (`longjmp`).
//!
//! Invariant: no index of any index space changes; the memory, the global and the type come last.

mod places;

use std::collections::BTreeSet;

use wasm_encoder::{BranchHint, BranchHints, Encode, Function, MemArg, RawSection, SectionId};
use wasmparser::{BinaryReader, FunctionBody, MemoryType, Operator, Parser, Payload, TypeRef};

use vkernel_abi::wali::CHECKPOINT;

use crate::linux::polls::{self, CALL, WORD};

/// Sections in the order that a module has them in (core spec 5.5.2).
const ORDER: &[SectionId] = &[
    SectionId::Type,
    SectionId::Import,
    SectionId::Function,
    SectionId::Table,
    SectionId::Memory,
    SectionId::Tag,
    SectionId::Global,
    SectionId::Export,
    SectionId::Start,
    SectionId::Element,
    SectionId::DataCount,
    SectionId::Code,
    SectionId::Data,
];

/// Numbers of what a module has, and so the indices of what is added.
#[derive(Default)]
struct Counts {
    types: u32,
    functions: u32,
    memories: u32,
    globals: u32,
    /// The import that polls take the place of.
    checkpoint: Option<u32>,
}

/// The module with polls. It must be valid.
pub(crate) fn insert(wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let mut counts = Counts::default();
    let mut sections: Vec<(u8, &[u8])> = Vec::new();
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        counts.add(&payload)?;
        if let Some((id, range)) = payload.as_section()
            && id != SectionId::Code as u8
            && let Some(contents) = wasm.get(range)
        {
            sections.push((id, contents));
        }
        if let Payload::CodeSectionEntry(body) = payload {
            bodies.push(body);
        }
    }

    let mut out = wasm_encoder::Module::new();
    let (code, hints) = counts.code(wasm, &bodies)?;
    for id in ORDER {
        let id = *id as u8;
        let mut contents = sections
            .iter()
            .filter(|(section, _)| *section == id)
            .map(|(_, contents)| *contents);
        let contents = contents.next();
        let added = counts.added(id);
        if id == SectionId::Code as u8 && !bodies.is_empty() {
            out.section(&hints).section(&code);
        } else if !added.is_empty() {
            let data = append(contents.unwrap_or(&[0]), &added)?;
            out.section(&RawSection { id, data: &data });
        } else if let Some(data) = contents {
            out.section(&RawSection { id, data });
        }
    }
    Ok(out.finish())
}

/// A section's contents, which are a vector, with more elements.
fn append(vector: &[u8], elements: &[Vec<u8>]) -> wasmtime::Result<Vec<u8>> {
    let mut reader = BinaryReader::new(vector, 0);
    let count = reader.read_var_u32()?;
    let mut out = Vec::with_capacity(vector.len() + 64);
    (count + elements.len() as u32).encode(&mut out);
    out.extend_from_slice(reader.read_bytes(reader.bytes_remaining())?);
    elements.iter().for_each(|e| out.extend_from_slice(e));
    Ok(out)
}

impl Counts {
    fn add(&mut self, payload: &Payload<'_>) -> wasmtime::Result<()> {
        match payload {
            Payload::TypeSection(groups) => {
                for group in groups.clone() {
                    self.types += group?.types().len() as u32;
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => {
                            if import.name == CHECKPOINT {
                                self.checkpoint = Some(self.functions);
                            }
                            self.functions += 1;
                        }
                        TypeRef::Memory(memory) => self.add_memory(memory)?,
                        TypeRef::Global(_) => self.globals += 1,
                        TypeRef::Table(_) | TypeRef::Tag(_) => {}
                    }
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories.clone() {
                    self.add_memory(memory?)?;
                }
            }
            Payload::GlobalSection(globals) => self.globals += globals.count(),
            _ => {}
        }
        Ok(())
    }

    /// Only the memory of polls may have pages of another size: the engine knows it by that.
    fn add_memory(&mut self, memory: MemoryType) -> wasmtime::Result<()> {
        if memory.page_size_log2.is_some() {
            wasmtime::bail!("a memory with pages of another size than 64 KiB");
        }
        self.memories += 1;
        Ok(())
    }

    /// What is added to a section.
    fn added(&self, id: u8) -> Vec<Vec<u8>> {
        let call = wasm_encoder::RefType {
            nullable: true,
            heap_type: wasm_encoder::HeapType::Concrete(self.types),
        };
        let mut element = Vec::new();
        if id == SectionId::Type as u8 {
            // A function type, without parameters and results.
            element.extend_from_slice(&[0x60, 0, 0]);
        } else if id == SectionId::Memory as u8 {
            let size = polls::SIZE as u64;
            wasm_encoder::MemoryType {
                minimum: size,
                maximum: Some(size),
                memory64: false,
                shared: false,
                page_size_log2: Some(0),
            }
            .encode(&mut element);
        } else if id == SectionId::Global as u8 {
            wasm_encoder::GlobalType {
                val_type: wasm_encoder::ValType::Ref(call),
                mutable: true,
                shared: false,
            }
            .encode(&mut element);
            wasm_encoder::ConstExpr::ref_null(call.heap_type).encode(&mut element);
        } else if id == SectionId::Export as u8 {
            let export = |name: &str, kind: wasm_encoder::ExportKind, index: u32| {
                let mut element = Vec::new();
                name.encode(&mut element);
                kind.encode(&mut element);
                index.encode(&mut element);
                element
            };
            return vec![
                export(WORD, wasm_encoder::ExportKind::Memory, self.memories),
                export(CALL, wasm_encoder::ExportKind::Global, self.globals),
            ];
        } else {
            return Vec::new();
        }
        vec![element]
    }

    /// The bodies with polls in them, and hints that these are not taken.
    fn code(
        &self,
        wasm: &[u8],
        bodies: &[FunctionBody<'_>],
    ) -> wasmtime::Result<(wasm_encoder::CodeSection, BranchHints)> {
        let mut code = wasm_encoder::CodeSection::new();
        let mut hints = BranchHints::new();
        let poll = self.poll();
        let checkpoints = self.checkpoints(bodies)?;
        let places = places::all(bodies, self.functions, &checkpoints)?;
        for (function, (body, places)) in (self.functions..).zip(bodies.iter().zip(places)) {
            let (mut from, end) = (body.range().start, body.range().end);
            let mut bytes = Vec::with_capacity(end - from + places.len() * poll.bytes.len());
            let mut unlikely = Vec::with_capacity(places.len());
            for place in places {
                bytes.extend_from_slice(wasm.get(from..place.start).unwrap_or_default());
                unlikely.push(BranchHint {
                    branch_func_offset: (bytes.len() + poll.branch) as u32,
                    branch_hint_value: 0,
                });
                bytes.extend_from_slice(&poll.bytes);
                from = place.end;
            }
            bytes.extend_from_slice(wasm.get(from..end).unwrap_or_default());
            code.raw(&bytes);
            if !unlikely.is_empty() {
                hints.function_hints(function, unlikely);
            }
        }
        Ok((code, hints))
    }

    /// The functions whose calls polls take the place of.
    fn checkpoints(&self, bodies: &[FunctionBody<'_>]) -> wasmtime::Result<BTreeSet<u32>> {
        let mut checkpoints = BTreeSet::new();
        let Some(import) = self.checkpoint else {
            return Ok(checkpoints);
        };
        checkpoints.insert(import);
        for (function, body) in (self.functions..).zip(bodies) {
            let mut operators = body.get_operators_reader()?;
            if let (Operator::Call { function_index }, Operator::End) =
                (operators.read()?, operators.read().unwrap_or(Operator::Nop))
                && function_index == import
                && operators.eof()
            {
                checkpoints.insert(function);
            }
        }
        Ok(checkpoints)
    }

    fn poll(&self) -> Poll {
        let mut poll = Function::new([]);
        let start = poll.byte_len();
        poll.instructions().i32_const(0).i32_load(MemArg {
            offset: 0,
            align: 2,
            memory_index: self.memories,
        });
        let branch = poll.byte_len() - start;
        poll.instructions()
            .if_(wasm_encoder::BlockType::Empty)
            .global_get(self.globals)
            .call_ref(self.types)
            .end();
        let bytes = poll.into_raw_body().split_off(start);
        Poll { bytes, branch }
    }
}

/// The instructions of a poll, and where among them the branch is.
struct Poll {
    bytes: Vec<u8>,
    branch: usize,
}

#[cfg(test)]
mod tests {
    use wasmparser::{Validator, WasmFeatures};

    use super::*;

    /// The functions of a module with polls, each with its number of polls and of calls.
    fn polled(text: &str) -> Vec<(usize, usize)> {
        let wasm = wat::parse_str(text).unwrap();
        let out = insert(&wasm).unwrap();
        Validator::new_with_features(
            WasmFeatures::WASM3 | WasmFeatures::THREADS | WasmFeatures::CUSTOM_PAGE_SIZES,
        )
        .validate_all(&out)
        .unwrap();
        let mut found = Vec::new();
        for payload in Parser::new(0).parse_all(&out) {
            if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                let operators = body.get_operators_reader().unwrap();
                let (mut polls, mut calls) = (0, 0);
                for operator in operators {
                    match operator.unwrap() {
                        Operator::CallRef { .. } => polls += 1,
                        Operator::Call { .. } => calls += 1,
                        _ => {}
                    }
                }
                found.push((polls, calls));
            }
        }
        found
    }

    #[test]
    fn loops_and_cycles_of_calls_have_polls() {
        let found = polled(
            r#"(module (import "wali" "SYS_getpid" (func $getpid (result i64)))
                (import "env" "memory" (memory 1 10 shared))
                (global $g (mut i32) (i32.const 0))
                (func $nothing)
                (func $once (call $nothing))
                (func $itself (call $itself))
                (func $loops (loop $a (loop $b (br_if $b (i32.const 0)))))
                (func $both (loop (drop (call $getpid)))))"#,
        );
        assert_eq!(found, [(0, 0), (0, 1), (1, 1), (2, 0), (1, 1)]);
        // Without any section that something is added to, and without any function.
        assert_eq!(polled("(module (func))"), [(0, 0)]);
        assert_eq!(polled("(module)"), []);
    }

    /// The engine would take such a memory for the one of polls, and reserve nothing behind it.
    #[test]
    fn memories_with_other_pages_are_refused() {
        for memory in [
            "(memory 4 4 (pagesize 1))",
            r#"(import "env" "memory" (memory 4 4 (pagesize 1)))"#,
        ] {
            let wasm = wat::parse_str(format!("(module {memory} (func))")).unwrap();
            let refused = insert(&wasm).unwrap_err();
            assert!(refused.to_string().contains("another size"), "{refused}");
        }
    }

    #[test]
    fn polls_take_the_place_of_checkpoints() {
        let found = polled(
            r#"(module (import "wali" "__signal_checkpoint" (func $import))
                (memory 1)
                (func $checkpoint (call $import))
                (func $other)
                (func $jumps (call $checkpoint) (loop (call $other) (call $checkpoint))))"#,
        );
        assert_eq!(found, [(1, 0), (0, 0), (2, 1)]);
    }

    #[test]
    fn hints_name_the_branches_of_polls() {
        let wasm = wat::parse_str("(module (func $f (loop) (loop) (call $f)))").unwrap();
        let out = insert(&wasm).unwrap();
        let (mut hints, mut branches) = (Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(&out) {
            match payload.unwrap() {
                Payload::CustomSection(section) => {
                    let wasmparser::KnownCustom::BranchHints(functions) = section.as_known() else {
                        panic!("{}", section.name());
                    };
                    for function in functions {
                        for hint in function.unwrap().hints {
                            let hint = hint.unwrap();
                            assert!(!hint.taken);
                            hints.push(hint.func_offset as usize);
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    let mut operators = body.get_operators_reader().unwrap();
                    while !operators.eof() {
                        let at = operators.original_position();
                        if matches!(operators.read().unwrap(), Operator::If { .. }) {
                            branches.push(at - body.range().start);
                        }
                    }
                }
                _ => {}
            }
        }
        assert_eq!(branches.len(), 3);
        assert_eq!(hints, branches);
    }
}
