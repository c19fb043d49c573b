//! Puts *safepoints* into a module: places where a computation looks whether there is a signal whose
//! handler is to be called.
//!
//! A safepoint is a load from a memory that this thread alone has and the guest cannot name. There are two
//! kinds:
//!
//! ```wat
//! i32.const 0
//! i32.atomic.load8_u $page    ;; faults if there is a signal
//! drop
//! ```
//!
//! ```wat
//! i32.const 0
//! i32.load $word
//! if                          ;; hinted as unlikely
//!   global.get $call          ;; a function of the engine's
//!   call_ref $nothing
//! end
//! ```
//!
//! The first kind costs next to nothing: where it faults, the kernel makes it a call of `$stop`, which
//! comes to the engine too and puts all registers back (`vkernel_kernel::linux::safepoints`). It is atomic
//! so that the compiler neither leaves it out nor keeps in registers what a handler may change. The
//! second kind is a call that the compiler knows of: for functions that may catch what a handler
//! throws or have something for the garbage collector to find ([`references`]), and for interpreters.
//!
//! Safepoints are in every loop, and at the beginning of some functions ([`places`]): what has neither ends
//! soon. Where a function calls `__signal_checkpoint`, by itself or by a function that does, safepoints
//! stand in place of those calls and nowhere else: they are the places where the C compiler expects
//! that something is thrown (`polyfills/sysroot/port/src/setjmp/wasm32/checkpoint.c`), or, in a function that
//! catches nothing, those where the program itself looks for signals.
//!
//! wasmtime's epochs do the same by 64-bit counters and deadlines, which cost two registers in every
//! loop and a value that flows through all of them; and since a safepoint is code like any other, what a
//! handler throws is caught where the safepoint is (`longjmp`).
//!
//! Invariant: no index of any index space changes; what is added comes last.

mod outline;
mod places;
mod references;

use std::{collections::BTreeSet, ops::Range};

use wasm_encoder::{BranchHint, BranchHints, Encode, Function, MemArg, RawSection, SectionId};
use wasmparser::{BinaryReader, FunctionBody, MemoryType, Operator, Parser, Payload, TypeRef};

use vkernel_abi::{library as abi, wali::CHECKPOINT};

use self::{outline::Outlined, references::References};
use crate::linux::safepoints::{CALL, NEVER, PAGE, PAGE_SIZE, STOP, WORD, WORD_SIZE};

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
    /// Imported ones.
    functions: u32,
    memories: u32,
    globals: u32,
    /// The import that safepoints take the place of.
    checkpoint: Option<u32>,
    references: References,
    /// Whether safepoints may fault.
    faults: bool,
    /// Whether it is a library, whose safepoints look at what the program's do.
    is_library: bool,
}

/// The module with safepoints. It must be valid. `faults` says whether safepoints may be loads that fault.
pub(crate) fn insert(wasm: &[u8], faults: bool) -> wasmtime::Result<Vec<u8>> {
    let mut counts = Counts {
        faults,
        ..Counts::default()
    };
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
    let mut outlined = Outlined::default();
    let (code, hints) = counts.code(wasm, &bodies, &mut outlined)?;
    for id in ORDER {
        let id = *id as u8;
        let mut contents = sections
            .iter()
            .filter(|(section, _)| *section == id)
            .map(|(_, contents)| *contents);
        let contents = contents.next();
        let added = counts.added(id, bodies.len() as u32, &outlined);
        if id == SectionId::Code as u8 {
            if !hints.is_empty() {
                out.section(&hints);
            }
            if !code.is_empty() {
                out.section(&code);
            }
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
        self.references.add(payload)?;
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
                        // Programs have a table of their own.
                        TypeRef::Table(_) => self.is_library = true,
                        TypeRef::Tag(_) => {}
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

    /// Only the memories of safepoints may have pages of another size: the engine knows them by that.
    fn add_memory(&mut self, memory: MemoryType) -> wasmtime::Result<()> {
        if memory.page_size_log2.is_some() {
            wasmtime::bail!("a memory with pages of another size than 64 KiB");
        }
        self.memories += 1;
        Ok(())
    }

    /// What is added to a section of a module that defines so many functions.
    fn added(&self, id: u8, defined: u32, outlined: &Outlined) -> Vec<Vec<u8>> {
        let call = wasm_encoder::RefType {
            nullable: true,
            heap_type: wasm_encoder::HeapType::Concrete(self.types),
        };
        let mut element = Vec::new();
        if id == SectionId::Type as u8 {
            // A function type, without parameters and results.
            let nothing = vec![0x60, 0, 0];
            return [nothing].into_iter().chain(outlined.types()).collect();
        } else if id == SectionId::Function as u8 && self.faults {
            let first = self.types + 1;
            let types = outlined.signatures().map(|signature| first + signature);
            let encoded = |ty: u32| {
                let mut element = Vec::new();
                ty.encode(&mut element);
                element
            };
            return [self.types].into_iter().chain(types).map(encoded).collect();
        } else if id == SectionId::Import as u8 && self.is_library {
            // It has no memory of its own, so that these come next.
            let memories = [(WORD, WORD_SIZE)]
                .into_iter()
                .chain(self.faults.then_some((PAGE, PAGE_SIZE)));
            return memories
                .map(|(name, size)| {
                    let mut element = Vec::new();
                    abi::ENV.encode(&mut element);
                    name.encode(&mut element);
                    element.push(MEMORY_IMPORT);
                    element.extend(memory(size as u64));
                    element
                })
                .collect();
        } else if id == SectionId::Memory as u8 && !self.is_library {
            let sizes = [WORD_SIZE]
                .into_iter()
                .chain(self.faults.then_some(PAGE_SIZE));
            return sizes.map(|size| memory(size as u64)).collect();
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
            if self.is_library {
                return vec![export(CALL, wasm_encoder::ExportKind::Global, self.globals)];
            }
            let mut exports = vec![
                export(WORD, wasm_encoder::ExportKind::Memory, self.memories),
                export(CALL, wasm_encoder::ExportKind::Global, self.globals),
            ];
            if self.faults {
                let stop = self.functions + defined;
                exports.push(export(PAGE, wasm_encoder::ExportKind::Memory, self.page()));
                exports.push(export(STOP, wasm_encoder::ExportKind::Func, stop));
            }
            return exports;
        }
        match element.is_empty() {
            true => Vec::new(),
            false => vec![element],
        }
    }

    /// The index of the memory with the page.
    fn page(&self) -> u32 {
        self.memories + 1
    }

    /// The bodies with safepoints in them, and hints that these are not taken.
    fn code(
        &self,
        wasm: &[u8],
        bodies: &[FunctionBody<'_>],
        outlined: &mut Outlined,
    ) -> wasmtime::Result<(wasm_encoder::CodeSection, BranchHints)> {
        let mut code = wasm_encoder::CodeSection::new();
        let mut hints = BranchHints::new();
        let (calls, loads) = (self.calling_safepoint(), self.loading_safepoint(0));
        let checkpoints = self.checkpoints(bodies)?;
        let places = places::all(bodies, self.functions, &checkpoints)?;
        for (function, (body, places)) in (self.functions..).zip(bodies.iter().zip(places)) {
            let (mut from, end) = (body.range().start, body.range().end);
            let mut bytes = Vec::with_capacity(end - from + places.len() * calls.bytes.len());
            let mut unlikely = Vec::new();
            // Where safepoints take the place of a call, something may be thrown to this function, if it catches.
            let catches = !places.iter().all(Range::is_empty) && catches(body)?;
            let loading = self.faults && !catches && !self.references.bear_on(function, body)?;
            let faulting = match self.faults && catches {
                true => outlined.of(wasm, body)?,
                false => Vec::new(),
            };
            for (place, outlined) in merged(places, faulting) {
                bytes.extend_from_slice(wasm.get(from..place.start).unwrap_or_default());
                if let Some(number) = outlined {
                    let first = self.functions + bodies.len() as u32 + 1;
                    bytes.push(CALL_OPERATOR);
                    (first + number).encode(&mut bytes);
                } else if loading {
                    bytes.extend_from_slice(&loads);
                } else {
                    unlikely.push(BranchHint {
                        branch_func_offset: (bytes.len() + calls.branch) as u32,
                        branch_hint_value: 0,
                    });
                    bytes.extend_from_slice(&calls.bytes);
                }
                from = place.end;
            }
            bytes.extend_from_slice(wasm.get(from..end).unwrap_or_default());
            code.raw(&bytes);
            if !unlikely.is_empty() {
                hints.function_hints(function, unlikely);
            }
        }
        if self.faults {
            code.function(&self.stop());
            outlined.bodies().for_each(|body| {
                code.function(&body);
            });
        }
        Ok((code, hints))
    }

    /// The functions whose calls safepoints take the place of.
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

    fn calling_safepoint(&self) -> CallingSafepoint {
        let mut safepoint = Function::new([]);
        let start = safepoint.byte_len();
        safepoint.instructions().i32_const(0).i32_load(MemArg {
            offset: 0,
            align: 2,
            memory_index: self.memories,
        });
        let branch = safepoint.byte_len() - start;
        safepoint
            .instructions()
            .if_(wasm_encoder::BlockType::Empty)
            .global_get(self.globals)
            .call_ref(self.types)
            .end();
        let bytes = safepoint.into_raw_body().split_off(start);
        CallingSafepoint { bytes, branch }
    }

    /// A load from the memory with the page.
    fn loading_safepoint(&self, at: usize) -> Vec<u8> {
        let mut safepoint = Function::new([]);
        let start = safepoint.byte_len();
        safepoint
            .instructions()
            .i32_const(at as i32)
            .i32_atomic_load8_u(MemArg {
                offset: 0,
                align: 0,
                memory_index: self.page(),
            })
            .drop();
        safepoint.into_raw_body().split_off(start)
    }

    /// What is called where the load of a safepoint faults.
    fn stop(&self) -> Function {
        let mut stop = Function::new([]);
        stop.instructions()
            .global_get(self.globals)
            .call_ref(self.types);
        // This faults too, and does not come back.
        stop.raw(self.loading_safepoint(NEVER));
        stop.instructions().unreachable().end();
        stop
    }
}

/// Places of safepoints, and of instructions with the numbers of their functions, in order.
fn merged(
    safepoints: Vec<Range<usize>>,
    faulting: Vec<(Range<usize>, u32)>,
) -> Vec<(Range<usize>, Option<u32>)> {
    let safepoints = safepoints.into_iter().map(|place| (place, None));
    let faulting = faulting.into_iter();
    let faulting = faulting.map(|(place, number)| (place, Some(number)));
    let mut all: Vec<_> = safepoints.chain(faulting).collect();
    // A safepoint comes before the instruction at the same place.
    all.sort_by_key(|(place, outlined)| (place.start, outlined.is_some()));
    all
}

/// What an imported memory begins with.
const MEMORY_IMPORT: u8 = 0x02;

/// The opcode of `call`.
const CALL_OPERATOR: u8 = 0x10;

/// The instructions of a safepoint that calls, and where among them the branch is.
struct CallingSafepoint {
    bytes: Vec<u8>,
    branch: usize,
}

/// A memory of so many bytes, in pages of one.
fn memory(size: u64) -> Vec<u8> {
    let mut memory = Vec::new();
    wasm_encoder::MemoryType {
        minimum: size,
        maximum: Some(size),
        memory64: false,
        shared: false,
        page_size_log2: Some(0),
    }
    .encode(&mut memory);
    memory
}

/// Whether something that is thrown can end in a function.
fn catches(body: &FunctionBody<'_>) -> wasmtime::Result<bool> {
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        if matches!(reader.read()?, Operator::TryTable { .. }) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use wasmparser::{Validator, WasmFeatures};

    use super::*;

    /// A function's safepoints that call, those that load, and its calls.
    type Found = (usize, usize, usize);

    /// The functions of a module with safepoints.
    fn functions(text: &str, faults: bool) -> Vec<Found> {
        let wasm = wat::parse_str(text).unwrap();
        let out = insert(&wasm, faults).unwrap();
        Validator::new_with_features(
            WasmFeatures::WASM3 | WasmFeatures::THREADS | WasmFeatures::CUSTOM_PAGE_SIZES,
        )
        .validate_all(&out)
        .unwrap();
        let mut found = Vec::new();
        for payload in Parser::new(0).parse_all(&out) {
            if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                let operators = body.get_operators_reader().unwrap();
                let mut counts = (0, 0, 0);
                for operator in operators {
                    match operator.unwrap() {
                        Operator::CallRef { .. } => counts.0 += 1,
                        Operator::I32AtomicLoad8U { .. } => counts.1 += 1,
                        Operator::Call { .. } => counts.2 += 1,
                        _ => {}
                    }
                }
                found.push(counts);
            }
        }
        found
    }

    /// The functions of a module with safepoints, each with its number of safepoints and of calls. Safepoints that
    /// may fault are loads, unless they take the place of something.
    fn safepointed(text: &str) -> Vec<(usize, usize)> {
        let plain = functions(text, false);
        let mut faulting = functions(text, true);
        assert_eq!(faulting.pop(), Some((1, 1, 0)), "the stop");
        let sum = |(calling, loading, calls)| (calling + loading, calls);
        let counted: Vec<_> = plain.iter().copied().map(sum).collect();
        assert_eq!(faulting.into_iter().map(sum).collect::<Vec<_>>(), counted);
        assert!(plain.iter().all(|(_, loading, _)| *loading == 0));
        counted
    }

    #[test]
    fn loops_and_cycles_of_calls_have_safepoints() {
        let found = safepointed(
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
        let loads = functions("(module (func $f (loop (br 0)) (call $f)))", true);
        assert_eq!(loads, [(0, 2, 1), (1, 1, 0)]);
        // Without any section that something is added to, and without any function.
        assert_eq!(safepointed("(module (func))"), [(0, 0)]);
        assert_eq!(safepointed("(module)"), []);
    }

    /// The engine would take such a memory for the one of safepoints, and reserve nothing behind it.
    #[test]
    fn memories_with_other_pages_are_refused() {
        for memory in [
            "(memory 4 4 (pagesize 1))",
            r#"(import "env" "memory" (memory 4 4 (pagesize 1)))"#,
        ] {
            let wasm = wat::parse_str(format!("(module {memory} (func))")).unwrap();
            let refused = insert(&wasm, true).unwrap_err();
            assert!(refused.to_string().contains("another size"), "{refused}");
        }
    }

    #[test]
    fn safepoints_take_the_place_of_checkpoints() {
        let text = r#"(module (import "wali" "__signal_checkpoint" (func $import))
                (memory 1)
                (func $checkpoint (call $import))
                (func $other)
                (func $jumps (call $checkpoint) (loop (call $other) (call $checkpoint))))"#;
        assert_eq!(safepointed(text), [(1, 0), (0, 0), (2, 1)]);
        // Nothing that is thrown there ends in the function: loads.
        assert_eq!(functions(text, true)[2], (0, 2, 1));
        let text = r#"(module (import "wali" "__signal_checkpoint" (func $import))
                (memory 1)
                (func $checkpoint (call $import))
                (func $other)
                (func $jumps (block $end (try_table (catch_all $end) (call $checkpoint)))))"#;
        let caught = functions(text, true)[2];
        assert_eq!((caught.0, caught.1), (1, 0));
    }

    #[test]
    fn hints_name_the_branches_of_safepoints() {
        let wasm = wat::parse_str("(module (func $f (loop) (loop) (call $f)))").unwrap();
        let out = insert(&wasm, false).unwrap();
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

    #[test]
    fn what_catches_has_safepoints_that_call() {
        let text = r#"(module (tag $t)
            (func (loop $a (block $b (try_table (catch $t $b) (nop)) (br $a))))
            (func (loop (br 0))))"#;
        assert_eq!(functions(text, true)[..2], [(1, 0, 0), (0, 1, 0)]);
        assert_eq!(safepointed(text), [(1, 0), (1, 0)]);
    }
}
