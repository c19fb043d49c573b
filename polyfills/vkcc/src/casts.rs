//! `-mcast-calls`: functions may be called through pointers of another type, as on other machines.
//!
//! In WebAssembly a call through a pointer names the function's type, and traps where the function has
//! another one. Much old C calls through casts all the same: a cleanup that gives nothing as one that
//! gives an `int`, a comparison of two strings as one of two `void *` and a context. Elsewhere this
//! works since arguments are in registers.
//!
//! In the linked module each `call_indirect` of a type becomes a call of one function made for the type,
//! which takes the same arguments and the index. It looks at what the table has there. A function of
//! the type is called as it would have been. For any other there is a second table, where every
//! function of the first has at the same index an *adapter*: all adapters are of one type, as many i64
//! as any function takes, and an i64 for the result.
//!
//! ```wat
//! (func $cast (param i32 i32) (result i32) (local (ref $type))   ;; the last parameter is the index
//!   block (result (ref $type))
//!     (table.get 0 (local.get 1))
//!     br_on_cast 0 funcref (ref $type)
//!     drop
//!     (return (i32.wrap_i64 (call_indirect 1 (type $adapter)
//!       (i64.extend_i32_u (local.get 0)) (i64.const 0) … (local.get 1))))
//!   end
//!   local.set 2
//!   (call_ref $type (local.get 0) (local.get 2)))
//! ```
//!
//! What an argument is worth to a function that expects another type: integers lose their upper half or
//! get one of zeros, as pointers have on 64-bit machines; floating-point numbers are taken as their bits.
//! Missing arguments are zero, and so is the result of a function that has none; surplus ones are dropped.
//!
//! Invariant: no index of any index space changes; everything new comes last.

use std::{collections::BTreeMap, convert::Infallible};

use wasm_encoder::{
    BlockType, CodeSection, ElementSection, Elements, Encode, Function, HeapType, InstructionSink,
    NameMap, NameSection, RawSection, RefType, SectionId, TypeSection, reencode::Error,
};
use wasmparser::{
    BinaryReader, ElementItems, ElementKind, FuncType, FunctionBody, Name, NameSectionReader,
    Operator, Parser, Payload, TypeRef, ValType,
};

type Result<T> = std::result::Result<T, Error<Infallible>>;

/// The table of the functions that pointers name.
const POINTERS: u32 = 0;

/// What a module has.
#[derive(Default)]
struct Module<'a> {
    /// By index; none for what is no function's type.
    types: Vec<Option<FuncType>>,
    /// The type of each function, those imported first.
    functions: Vec<u32>,
    imported: usize,
    tables: Vec<wasmparser::TableType>,
    bodies: Vec<FunctionBody<'a>>,
    /// Segments of the first table: offset and functions.
    segments: Vec<(wasm_encoder::ConstExpr, Vec<u32>)>,
}

/// What is added to a module, besides the table.
struct Plan {
    /// How many parameters an adapter has.
    width: usize,
    /// Index of the adapters' type; those of the functions that call come after it.
    adapter: u32,
    /// Which function calls as which type, for every type that is called.
    casts: BTreeMap<u32, u32>,
    /// Which function adapts which.
    adapters: BTreeMap<u32, u32>,
}

/// The module with calls that may cast. It must be a valid one that the linker made.
pub(crate) fn rewrite(wasm: &[u8]) -> Result<Vec<u8>> {
    let module = Module::read(wasm)?;
    let plan = module.plan()?;
    if plan.casts.is_empty() || plan.adapters.is_empty() {
        return Ok(wasm.to_owned());
    }
    let mut out = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        let contents = |range| wasm.get(range).unwrap_or_default();
        match &payload {
            Payload::CustomSection(section) if section.name() == "name" => {
                let names = module.names(&plan, section.data(), section.data_offset())?;
                out.section(&names);
            }
            Payload::CustomSection(section) if names_places(section.name()) => {}
            Payload::CodeSectionStart { .. } => {
                out.section(&module.code(wasm, &plan)?);
            }
            _ => {
                if let Some((id, range)) = payload.as_section() {
                    let data = append(contents(range), &module.added(&plan, id)?)?;
                    out.section(&RawSection { id, data: &data });
                }
            }
        }
    }
    Ok(out.finish())
}

/// Whether a custom section names places in the code, which are elsewhere when the code has been
/// rewritten: such sections go.
pub(crate) fn names_places(section: &str) -> bool {
    section.starts_with(".debug_") || section.starts_with("metadata.code.")
}

/// A section's contents with more elements, as another section has them.
fn append(contents: &[u8], more: &[u8]) -> Result<Vec<u8>> {
    if more.is_empty() {
        return Ok(contents.to_owned());
    }
    let (mut first, mut second) = (BinaryReader::new(contents, 0), BinaryReader::new(more, 0));
    let count = first.read_var_u32()? + second.read_var_u32()?;
    let mut out = Vec::with_capacity(contents.len() + more.len() + 8);
    count.encode(&mut out);
    out.extend_from_slice(first.read_bytes(first.bytes_remaining())?);
    out.extend_from_slice(second.read_bytes(second.bytes_remaining())?);
    Ok(out)
}

/// What a section of the encoder's holds, without its size.
fn contents(section: &impl Encode) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    section.encode(&mut bytes);
    let mut reader = BinaryReader::new(&bytes, 0);
    reader.read_var_u32()?;
    Ok(reader.read_bytes(reader.bytes_remaining())?.to_owned())
}

impl<'a> Module<'a> {
    fn read(wasm: &'a [u8]) -> Result<Self> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(groups) => {
                    for group in groups {
                        for sub in group?.types() {
                            let inner = &sub.composite_type.inner;
                            module.types.push(match inner {
                                wasmparser::CompositeInnerType::Func(of) => Some(of.clone()),
                                _ => None,
                            });
                        }
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        match import?.ty {
                            TypeRef::Func(of) | TypeRef::FuncExact(of) => module.functions.push(of),
                            TypeRef::Table(of) => module.tables.push(of),
                            _ => {}
                        }
                    }
                    module.imported = module.functions.len();
                }
                Payload::FunctionSection(functions) => {
                    for of in functions {
                        module.functions.push(of?);
                    }
                }
                Payload::TableSection(tables) => {
                    for table in tables {
                        module.tables.push(table?.ty);
                    }
                }
                Payload::ElementSection(segments) => {
                    for segment in segments {
                        let segment = segment?;
                        if let ElementKind::Active {
                            table_index,
                            offset_expr,
                        } = segment.kind
                            && table_index.unwrap_or(0) == POINTERS
                            && let ElementItems::Functions(functions) = segment.items
                        {
                            let functions = functions
                                .into_iter()
                                .collect::<wasmparser::Result<Vec<_>>>()?;
                            module.segments.push((offset_expr.try_into()?, functions));
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => module.bodies.push(body),
                _ => {}
            }
        }
        Ok(module)
    }

    /// A type, if a call can be adapted to it.
    fn adaptable(&self, of: u32) -> Option<&FuncType> {
        let number = |of: &ValType| {
            matches!(
                of,
                ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64
            )
        };
        self.types.get(of as usize)?.as_ref().filter(|of| {
            of.params().iter().all(number)
                && of.results().iter().all(number)
                && of.results().len() <= 1
        })
    }

    /// The type of a function, if a call can be adapted to it.
    fn adaptable_function(&self, function: u32) -> Option<&FuncType> {
        self.adaptable(*self.functions.get(function as usize)?)
    }

    fn plan(&self) -> Result<Plan> {
        let mut called = BTreeMap::new();
        for body in &self.bodies {
            for operator in body.get_operators_reader()? {
                if let Some((of, _)) = indirect(&operator?)
                    && self.adaptable(of).is_some()
                {
                    called.insert(of, 0);
                }
            }
        }
        let mut functions = BTreeMap::new();
        for function in self.segments.iter().flat_map(|(_, functions)| functions) {
            if self.adaptable_function(*function).is_some() {
                functions.insert(*function, 0);
            }
        }
        let width = called
            .keys()
            .filter_map(|of| self.adaptable(*of))
            .chain(functions.keys().filter_map(|f| self.adaptable_function(*f)))
            .map(|of| of.params().len())
            .max();
        let new = called.values_mut().chain(functions.values_mut());
        for (index, next) in new.zip(self.functions.len() as u32..) {
            *index = next;
        }
        Ok(Plan {
            width: width.unwrap_or(0),
            adapter: self.types.len() as u32,
            casts: called,
            adapters: functions,
        })
    }

    /// What is added to a section: as a section, too.
    fn added(&self, plan: &Plan, id: u8) -> Result<Vec<u8>> {
        if id == SectionId::Type as u8 {
            let mut types = TypeSection::new();
            let i64s = std::iter::repeat_n(wasm_encoder::ValType::I64, plan.width);
            types
                .ty()
                .function(i64s, std::iter::once(wasm_encoder::ValType::I64));
            for of in plan.casts.keys().filter_map(|of| self.adaptable(*of)) {
                let mut of: wasm_encoder::FuncType = of.clone().try_into()?;
                let mut params = of.params().to_vec();
                params.push(wasm_encoder::ValType::I32);
                of = wasm_encoder::FuncType::new(params, of.results().to_vec());
                types.ty().func_type(&of);
            }
            return contents(&types);
        }
        if id == SectionId::Function as u8 {
            let mut functions = wasm_encoder::FunctionSection::new();
            for (_, of) in plan.casts.keys().zip(plan.adapter + 1..) {
                functions.function(of);
            }
            for _ in &plan.adapters {
                functions.function(plan.adapter);
            }
            return contents(&functions);
        }
        if id == SectionId::Table as u8
            && let Some(table) = self.tables.get(POINTERS as usize)
        {
            let mut tables = wasm_encoder::TableSection::new();
            tables.table((*table).try_into()?);
            return contents(&tables);
        }
        if id == SectionId::Element as u8 {
            let mut elements = ElementSection::new();
            for (offset, functions) in &self.segments {
                // Those that cannot be adapted stand for themselves: a call of them as adapters traps.
                let adapters: Vec<u32> = functions
                    .iter()
                    .map(|function| plan.adapters.get(function).unwrap_or(function))
                    .copied()
                    .collect();
                let table = Some(self.tables.len() as u32);
                elements.active(table, offset, Elements::Functions(adapters.into()));
            }
            return contents(&elements);
        }
        Ok(Vec::new())
    }

    fn code(&self, wasm: &[u8], plan: &Plan) -> Result<CodeSection> {
        let mut code = CodeSection::new();
        for body in &self.bodies {
            code.raw(&rewritten(wasm, body, plan)?);
        }
        for of in plan.casts.keys() {
            if let Some(params) = self.adaptable(*of) {
                code.function(&self.cast(plan, *of, params));
            }
        }
        for function in plan.adapters.keys() {
            if let Some(of) = self.adaptable_function(*function) {
                code.function(&adapter(*function, of));
            }
        }
        Ok(code)
    }

    /// The function that calls as a type what may be of another.
    fn cast(&self, plan: &Plan, index: u32, of: &FuncType) -> Function {
        let function = RefType {
            nullable: false,
            heap_type: HeapType::Concrete(index),
        };
        let params = of.params();
        let place = params.len() as u32;
        let mut body = Function::new([(1, wasm_encoder::ValType::Ref(function))]);
        let mut code = body.instructions();
        code.block(BlockType::Result(wasm_encoder::ValType::Ref(function)))
            .local_get(place)
            .table_get(POINTERS)
            .br_on_cast(0, RefType::FUNCREF, function)
            .drop();
        for at in 0..plan.width {
            match params.get(at) {
                Some(param) => {
                    code.local_get(at as u32);
                    widen(&mut code, *param);
                }
                None => {
                    code.i64_const(0);
                }
            }
        }
        code.local_get(place)
            .call_indirect(self.tables.len() as u32, plan.adapter);
        match of.results() {
            [result] => narrow(&mut code, *result),
            _ => {
                code.drop();
            }
        }
        code.return_().end().local_set(place + 1);
        for at in 0..place {
            code.local_get(at);
        }
        code.local_get(place + 1).call_ref(index).end();
        body
    }

    /// The names of functions, for traces, with those of the new ones; other names are not kept.
    fn names(&self, plan: &Plan, data: &[u8], offset: usize) -> Result<NameSection> {
        let mut old = BTreeMap::new();
        let mut names = NameSection::new();
        for name in NameSectionReader::new(BinaryReader::new(data, offset)) {
            match name? {
                Name::Module { name, .. } => names.module(name),
                Name::Function(functions) => {
                    for naming in functions {
                        let naming = naming?;
                        old.insert(naming.index, naming.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        let mut new: Vec<(u32, String)> = Vec::new();
        for (of, function) in &plan.casts {
            new.push((*function, format!("cast call {of}")));
        }
        for (of, function) in &plan.adapters {
            if let Some(name) = old.get(of) {
                new.push((*function, format!("{name} adapted")));
            }
        }
        old.extend(new);
        let mut map = NameMap::new();
        for (function, name) in &old {
            map.append(*function, name);
        }
        names.functions(&map);
        Ok(names)
    }
}

/// The type of a call through the first table, and whether it is a tail call.
fn indirect(operator: &Operator<'_>) -> Option<(u32, bool)> {
    match *operator {
        Operator::CallIndirect {
            type_index,
            table_index: POINTERS,
        } => Some((type_index, false)),
        Operator::ReturnCallIndirect {
            type_index,
            table_index: POINTERS,
        } => Some((type_index, true)),
        _ => None,
    }
}

/// A function's body, with other calls.
fn rewritten(wasm: &[u8], body: &FunctionBody<'_>, plan: &Plan) -> Result<Vec<u8>> {
    let (mut from, end) = (body.range().start, body.range().end);
    let mut bytes = Vec::with_capacity(end - from);
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let before = operators.original_position();
        let operator = operators.read()?;
        if let Some((of, tail)) = indirect(&operator)
            && let Some(cast) = plan.casts.get(&of)
        {
            bytes.extend_from_slice(wasm.get(from..before).unwrap_or_default());
            from = operators.original_position();
            let mut code = InstructionSink::new(&mut bytes);
            match tail {
                true => code.return_call(*cast),
                false => code.call(*cast),
            };
        }
    }
    bytes.extend_from_slice(wasm.get(from..end).unwrap_or_default());
    Ok(bytes)
}

/// The function that calls another with what adapters are called with.
fn adapter(function: u32, of: &FuncType) -> Function {
    let mut body = Function::new([]);
    let mut code = body.instructions();
    for (at, param) in (0..).zip(of.params()) {
        code.local_get(at);
        narrow(&mut code, *param);
    }
    code.call(function);
    match of.results() {
        [result] => widen(&mut code, *result),
        _ => {
            code.i64_const(0);
        }
    }
    code.end();
    body
}

/// A number as an i64.
fn widen(code: &mut InstructionSink<'_>, of: ValType) {
    match of {
        ValType::I32 => code.i64_extend_i32_u(),
        ValType::F32 => code.i32_reinterpret_f32().i64_extend_i32_u(),
        ValType::F64 => code.i64_reinterpret_f64(),
        _ => code,
    };
}

/// A number from an i64.
fn narrow(code: &mut InstructionSink<'_>, of: ValType) {
    match of {
        ValType::I32 => code.i32_wrap_i64(),
        ValType::F32 => code.i32_wrap_i64().f32_reinterpret_i32(),
        ValType::F64 => code.f64_reinterpret_i64(),
        _ => code,
    };
}

#[cfg(test)]
mod tests;
