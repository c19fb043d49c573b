//! Which functions may have something alive, where a safepoint is, that the garbage collector must find,
//! or a handler of exceptions: their safepoints are calls that the compiler knows of.
//!
//! Compiled code tells the collector where references are by maps that it has for calls, and where
//! exceptions go by tables that it has for calls; it has neither for a load. References to functions
//! are not the collector's.

use wasmparser::{
    CompositeInnerType, FuncType, FunctionBody, HeapType, Operator, Payload, TypeRef, ValType,
};

/// Where references come from that a function may have.
#[derive(Default)]
pub(super) struct References {
    /// Of each type, whether a function of it takes or gives any.
    types: Vec<bool>,
    /// The type of each function.
    functions: Vec<u32>,
    /// Whether a global or a table has any.
    elsewhere: bool,
}

/// Whether a value is one that the collector must find.
fn is_collected(ty: ValType) -> bool {
    matches!(ty, ValType::Ref(ty) if !ty.is_func_ref())
}

fn has_collected(ty: &FuncType) -> bool {
    ty.params()
        .iter()
        .chain(ty.results())
        .any(|ty| is_collected(*ty))
}

impl References {
    /// Takes note of what a section says.
    pub(super) fn add(&mut self, payload: &Payload<'_>) -> wasmtime::Result<()> {
        match payload {
            Payload::TypeSection(groups) => {
                for group in groups.clone() {
                    let group = group?;
                    let types = group.types().map(|ty| match &ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => has_collected(ty),
                        _ => true,
                    });
                    self.types.extend(types);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    match import?.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => self.functions.push(ty),
                        TypeRef::Global(ty) => self.elsewhere |= is_collected(ty.content_type),
                        TypeRef::Table(ty) => {
                            self.elsewhere |= is_collected(ty.element_type.into());
                        }
                        TypeRef::Memory(_) | TypeRef::Tag(_) => {}
                    }
                }
            }
            Payload::FunctionSection(types) => {
                for ty in types.clone() {
                    self.functions.push(ty?);
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals.clone() {
                    self.elsewhere |= is_collected(global?.ty.content_type);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables.clone() {
                    self.elsewhere |= is_collected(table?.ty.element_type.into());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn in_type(&self, ty: u32) -> bool {
        self.types.get(ty as usize).copied().unwrap_or(true)
    }

    fn in_signature(&self, function: u32) -> bool {
        let ty = self.functions.get(function as usize);
        ty.is_none_or(|ty| self.in_type(*ty))
    }

    /// Whether safepoints in this function must be calls.
    pub(super) fn bear_on(&self, function: u32, body: &FunctionBody<'_>) -> wasmtime::Result<bool> {
        if self.elsewhere || self.in_signature(function) {
            return Ok(true);
        }
        for locals in body.get_locals_reader()? {
            if is_collected(locals?.1) {
                return Ok(true);
            }
        }
        for operator in body.get_operators_reader()? {
            let bears = match operator? {
                Operator::TryTable { .. } => true,
                Operator::RefNull { hty } => hty != HeapType::FUNC,
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    self.in_signature(function_index)
                }
                Operator::CallIndirect { type_index, .. }
                | Operator::ReturnCallIndirect { type_index, .. }
                | Operator::CallRef { type_index }
                | Operator::ReturnCallRef { type_index } => self.in_type(type_index),
                _ => false,
            };
            if bears {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::Parser;

    use super::*;

    /// Whether safepoints must be calls, of each function of a module; `imported` are not its own.
    fn bear(imported: u32, text: &str) -> Vec<bool> {
        let wasm = wat::parse_str(text).unwrap();
        let (mut references, mut found) = (References::default(), Vec::new());
        for payload in Parser::new(0).parse_all(&wasm) {
            let payload = payload.unwrap();
            references.add(&payload).unwrap();
            if let Payload::CodeSectionEntry(body) = payload {
                let function = imported + found.len() as u32;
                found.push(references.bear_on(function, &body).unwrap());
            }
        }
        found
    }

    #[test]
    fn functions_with_references_or_handlers_are_known() {
        let found = bear(
            1,
            r#"(module (import "wali" "SYS_getpid" (func $getpid (result i64)))
                (tag $t (param i32))
                (type $gives (func (result externref)))
                (table 1 funcref) (global $f (mut funcref) (ref.null func))
                (func $plain (drop (call $getpid)) (drop (table.get 0 (i32.const 0))))
                (func $functions (local funcref) (global.set $f (local.get 0)))
                (func $takes (param externref))
                (func $has (local anyref))
                (func $makes (drop (ref.null extern)))
                (func $gets (drop (call_indirect (type $gives) (i32.const 0))))
                (func $hands_on (call $takes (unreachable)))
                (func $catches (block $b (result i32)
                    (try_table (catch $t $b) (nop)) (i32.const 1)) (drop))
                (func $catches_reference (block $b (result i32 exnref)
                    (try_table (catch_ref $t $b) (nop)) (unreachable)) (drop) (drop)))"#,
        );
        let expected = [false, false, true, true, true, true, true, true, true];
        assert_eq!(found, expected);
    }

    #[test]
    fn references_outside_of_functions_may_be_anywhere() {
        for elsewhere in [
            "(global (mut externref) (ref.null extern))",
            "(table 1 externref)",
            r#"(import "m" "g" (global externref))"#,
            r#"(import "m" "t" (table 1 anyref))"#,
        ] {
            let text = format!("(module {elsewhere} (func))");
            assert_eq!(bear(0, &text), [true], "{elsewhere}");
        }
    }
}
