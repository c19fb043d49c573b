//! Where safepoints go: into every loop, and to the beginning of so many functions that no cycle of calls
//! is without one and no chain of calls takes long.
//!
//! A loop that goes back in one place has its safepoint there, for many loops run once and never go back;
//! one that does so in several has it at its head.
//!
//! A cycle with an indirect call enters the function that makes it: such functions have a safepoint, and
//! are the only ones whose cycles cannot be seen. What is left is a graph of direct calls, whose
//! cycles a depth-first search cuts where it comes back to a function that it is in. Without cycles,
//! what a call may run before it comes to a safepoint can be counted; where it is more than
//! [`LONGEST`] operators, the function has a safepoint too.
//!
//! Most functions are small and called by others: they cost nothing then.

use std::{collections::BTreeSet, ops::Range};

use wasmparser::{Catch, FunctionBody, Operator};

/// Operators that a call may run without a safepoint: some microseconds.
const LONGEST: u64 = 10_000;

/// Where safepoints go in one function, and what they take the place of: ranges of bytes in the module,
/// in order.
pub(super) type Places = Vec<Range<usize>>;

/// What a function does that bears on its safepoints.
struct Sketch {
    beginning: usize,
    loops: Places,
    /// Calls that safepoints take the place of; the C compiler has put one at the function's beginning.
    checked: Places,
    /// The functions of the module that it calls by their names, counted from the first that is not
    /// imported.
    callees: Vec<usize>,
    calls_indirectly: bool,
    operators: u64,
}

/// The places in every function, in order. `imported` functions come before them; calls of
/// `checkpoints` are replaced.
pub(super) fn all(
    bodies: &[FunctionBody<'_>],
    imported: u32,
    checkpoints: &BTreeSet<u32>,
) -> wasmtime::Result<Vec<Places>> {
    let functions = imported..imported.saturating_add(bodies.len() as u32);
    let sketches = bodies
        .iter()
        .map(|body| Sketch::of(body, &functions, checkpoints))
        .collect::<wasmtime::Result<Vec<_>>>()?;
    let safepointed = beginnings(&sketches);
    Ok(sketches
        .into_iter()
        .zip(safepointed)
        .map(|(sketch, safepointed)| sketch.places(safepointed))
        .collect())
}

/// Where branches lead to.
enum Label {
    /// To the end of a block.
    Forward,
    /// To the head of a loop, and what branches there.
    Loop { head: usize, back: Vec<Back> },
}

/// What goes back to the head of a loop.
enum Back {
    /// A branch, before which a safepoint may be: it leaves the operands of the branch as they are.
    At(usize),
    /// One of several branches of an operator.
    Otherwise,
}

/// Takes note of a branch over so many of the open labels.
fn branches(open: &mut [Label], depth: u32, how: Back) {
    let label = open.len().checked_sub(1 + depth as usize);
    if let Some(Label::Loop { back, .. }) = label.and_then(|label| open.get_mut(label)) {
        back.push(how);
    }
}

impl Sketch {
    fn of(
        body: &FunctionBody<'_>,
        functions: &Range<u32>,
        checkpoints: &BTreeSet<u32>,
    ) -> wasmtime::Result<Sketch> {
        let mut operators = body.get_operators_reader()?;
        let mut sketch = Sketch {
            beginning: operators.original_position(),
            loops: Places::new(),
            checked: Places::new(),
            callees: Vec::new(),
            calls_indirectly: false,
            operators: 0,
        };
        let mut open = vec![Label::Forward];
        while !operators.eof() {
            let before = operators.original_position();
            let operator = operators.read()?;
            let after = operators.original_position();
            sketch.operators += 1;
            match operator {
                Operator::Loop { .. } => open.push(Label::Loop {
                    head: after,
                    back: Vec::new(),
                }),
                Operator::Block { .. } | Operator::If { .. } => open.push(Label::Forward),
                Operator::TryTable { try_table } => {
                    for catch in &try_table.catches {
                        let (Catch::One { label, .. }
                        | Catch::OneRef { label, .. }
                        | Catch::All { label }
                        | Catch::AllRef { label }) = *catch;
                        branches(&mut open, label, Back::Otherwise);
                    }
                    open.push(Label::Forward);
                }
                Operator::End => {
                    if let Some(Label::Loop { head, back }) = open.pop() {
                        let place = match back[..] {
                            [Back::At(place)] => place,
                            _ => head,
                        };
                        sketch.loops.push(place..place);
                    }
                }
                Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                    branches(&mut open, relative_depth, Back::At(before));
                }
                Operator::BrTable { targets } => {
                    let depths = targets.targets().chain([Ok(targets.default())]);
                    for depth in depths {
                        branches(&mut open, depth?, Back::Otherwise);
                    }
                }
                Operator::BrOnNull { relative_depth }
                | Operator::BrOnNonNull { relative_depth }
                | Operator::BrOnCast { relative_depth, .. }
                | Operator::BrOnCastFail { relative_depth, .. }
                | Operator::BrOnCastDescEq { relative_depth, .. }
                | Operator::BrOnCastDescEqFail { relative_depth, .. } => {
                    branches(&mut open, relative_depth, Back::Otherwise);
                }
                Operator::Call { function_index } if checkpoints.contains(&function_index) => {
                    sketch.checked.push(before..after);
                }
                Operator::Call { function_index } | Operator::ReturnCall { function_index }
                    if functions.contains(&function_index) =>
                {
                    let callee = function_index - functions.start;
                    sketch.callees.push(callee as usize);
                }
                Operator::CallIndirect { .. }
                | Operator::CallRef { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::ReturnCallRef { .. } => sketch.calls_indirectly = true,
                _ => {}
            }
        }
        // Loops end in another order than they have their safepoints in.
        sketch.loops.sort_unstable_by_key(|place| place.start);
        Ok(sketch)
    }

    fn places(self, safepointed: bool) -> Places {
        if !self.checked.is_empty() {
            return self.checked;
        }
        let beginning = safepointed.then_some(self.beginning..self.beginning);
        beginning.into_iter().chain(self.loops).collect()
    }
}

/// How far the search has come with a function.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Not,
    /// It is on the path that the search is on.
    Inside,
    Done,
}

/// Which functions have a safepoint at their beginning.
fn beginnings(sketches: &[Sketch]) -> Vec<bool> {
    let mut safepointed: Vec<bool> = sketches
        .iter()
        .map(|sketch| sketch.calls_indirectly || !sketch.checked.is_empty())
        .collect();
    let mut seen = vec![Seen::Not; sketches.len()];
    // What a call runs until it comes to a safepoint or ends, at most.
    let mut longest = vec![0u64; sketches.len()];
    for root in 0..sketches.len() {
        if seen.get(root) != Some(&Seen::Not) {
            continue;
        }
        // The path of the search: functions, and how many of each one's callees have been seen. Not
        // by recursion: a module may have chains as long as it likes.
        let mut path = vec![(root, 0)];
        seen[root] = Seen::Inside;
        while let Some((function, next)) = path.last_mut() {
            let (function, callee) = (*function, sketches[*function].callees.get(*next).copied());
            *next += 1;
            match callee {
                // A cycle with a function that has one is none.
                Some(callee) if safepointed[callee] => {}
                Some(callee) => match seen[callee] {
                    Seen::Not => {
                        seen[callee] = Seen::Inside;
                        path.push((callee, 0));
                    }
                    Seen::Inside => safepointed[callee] = true,
                    Seen::Done => {}
                },
                None => {
                    let sketch = &sketches[function];
                    longest[function] = sketch
                        .callees
                        .iter()
                        .filter(|callee| !safepointed[**callee])
                        .fold(sketch.operators, |sum, callee| {
                            sum.saturating_add(longest[*callee])
                        });
                    safepointed[function] |= longest[function] > LONGEST;
                    seen[function] = Seen::Done;
                    path.pop();
                }
            }
        }
    }
    safepointed
}

#[cfg(test)]
mod tests {
    use wasmparser::{Parser, Payload};

    use super::*;

    /// Which functions have a safepoint at their beginning, by their names.
    fn safepointed(text: &str) -> Vec<bool> {
        let wasm = wat::parse_str(text).unwrap();
        let bodies: Vec<_> = Parser::new(0)
            .parse_all(&wasm)
            .filter_map(|payload| match payload.unwrap() {
                Payload::CodeSectionEntry(body) => Some(body),
                _ => None,
            })
            .collect();
        let places = all(&bodies, 1, &BTreeSet::new()).unwrap();
        places.iter().map(|places| !places.is_empty()).collect()
    }

    /// The operators before which a function's safepoints are.
    fn before(function: &str) -> Vec<String> {
        let wasm = wat::parse_str(format!("(module {function})")).unwrap();
        let payloads = Parser::new(0).parse_all(&wasm).map(Result::unwrap);
        let mut found = Vec::new();
        for payload in payloads {
            if let Payload::CodeSectionEntry(body) = payload {
                let places = all(std::slice::from_ref(&body), 0, &BTreeSet::new()).unwrap();
                for place in &places[0] {
                    assert!(place.is_empty());
                    let mut operators = body.get_operators_reader().unwrap();
                    while operators.original_position() < place.start {
                        operators.read().unwrap();
                    }
                    assert_eq!(operators.original_position(), place.start);
                    found.push(format!("{:?}", operators.read().unwrap()));
                }
            }
        }
        found
    }

    #[test]
    fn a_loop_has_its_safepoint_where_it_goes_back() {
        let once = "(func (param i32)
            (loop $a (nop) (br_if $a (local.get 0)))
            (block $b (loop $c (br_if $b (local.get 0)) (if (i32.const 1) (then (br $c))))))";
        assert_eq!(
            before(once),
            ["BrIf { relative_depth: 0 }", "Br { relative_depth: 1 }"]
        );
        let nested = "(func (param i32)
            (loop $a (loop $b (br_if $b (local.get 0))) (br_if $a (local.get 0))))";
        assert_eq!(before(nested), ["BrIf { relative_depth: 0 }"; 2]);
        let value = "(func (result i32)
            (i32.const 1) (loop $a (param i32) (result i32) (br_if $a (i32.const 2))))";
        assert_eq!(before(value), ["BrIf { relative_depth: 0 }"]);
    }

    #[test]
    fn a_loop_that_goes_back_in_several_places_has_its_safepoint_at_its_head() {
        let twice = "(func (loop $a (br_if $a (i32.const 1)) (nop) (br $a)))";
        assert_eq!(before(twice), ["I32Const { value: 1 }"]);
        let table = "(func (loop $a (block $b (br_table $b $a (i32.const 0)))))";
        assert_eq!(before(table), ["Block { blockty: Empty }"]);
        let caught = "(tag $t) (func (loop $a (try_table (catch $t $a) (nop)) (br $a)))";
        assert!(before(caught)[0].starts_with("TryTable"));
        let null = "(func (param funcref) (unreachable)
            (loop $a (param (ref func)) (drop) (br_on_non_null $a (local.get 0))))";
        assert_eq!(before(null), ["Drop"]);
    }

    #[test]
    fn a_chain_has_none_and_a_cycle_has_one() {
        let found = safepointed(
            r#"(module (import "wali" "SYS_getpid" (func $getpid (result i64)))
                (func $a (call $b) (call $c))
                (func $b (call $c) (drop (call $getpid)))
                (func $c)
                (func $even (call $c) (call $odd))
                (func $odd (call $even))
                (func $itself (return_call $itself)))"#,
        );
        assert_eq!(found, [false, false, false, true, false, true]);
    }

    /// Two cycles through one function, and one that a search from the first function meets last.
    #[test]
    fn every_cycle_has_one() {
        let found = safepointed(
            r#"(module (import "wali" "SYS_getpid" (func $getpid (result i64)))
                (func $a (call $b))
                (func $b (call $c) (call $d))
                (func $c (call $b))
                (func $d (call $e))
                (func $e (call $d) (call $b)))"#,
        );
        assert_eq!(found, [false, true, false, true, false]);
    }

    #[test]
    fn what_calls_indirectly_has_one() {
        let found = safepointed(
            r#"(module (import "wali" "SYS_getpid" (func $getpid (result i64)))
                (table 1 funcref) (type $t (func))
                (func $a (call $b))
                (func $b (call_indirect (type $t) (i32.const 0)))
                (func $c (return_call_indirect (type $t) (i32.const 0)))
                (elem (i32.const 0) $a))"#,
        );
        assert_eq!(found, [false, true, true]);
    }

    /// Each function calls the next one twice: without safepoints the first would run for years.
    #[test]
    fn what_takes_long_has_one() {
        let mut text =
            r#"(module (import "wali" "SYS_getpid" (func $getpid (result i64)))"#.to_owned();
        for n in 0..64 {
            text.push_str(&format!("(func $f{n} (call $f{0}) (call $f{0}))", n + 1));
        }
        text.push_str("(func $f64))");
        let found = safepointed(&text);
        assert_eq!(found.len(), 65);
        let first = found.iter().rposition(|safepointed| *safepointed).unwrap();
        // 3 * 2^n operators are more than 10,000 from n = 12.
        assert_eq!(64 - first, 12);
        assert!((5..=6).contains(&found.iter().filter(|safepointed| **safepointed).count()));
    }

    #[test]
    fn a_long_chain_is_searched() {
        let mut text =
            r#"(module (import "wali" "SYS_getpid" (func $getpid (result i64)))"#.to_owned();
        for n in 0..50_000 {
            text.push_str(&format!("(func $f{n} (call $f{}))", n + 1));
        }
        text.push_str("(func $f50000 (call $f0)))");
        let found = safepointed(&text);
        assert!(found[0]);
    }
}
