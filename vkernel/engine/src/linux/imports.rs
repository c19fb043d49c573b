//! Links a module's imports: system calls by the kernel crate's table, and the few functions by
//! which a C library starts (`polyfills/sysroot/README.md`).
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use rustix::io::Errno;
use vkernel_abi::wali::{self, Syscall};
use vkernel_kernel::linux::{
    Args, Cx, Row, Stop, answer, is_error, row,
    straight::{ANY, READ, Shape, Straight, arguments, as_they_are},
};
use wasmtime::{AsContextMut, Caller, FuncType, Linker, Module, ValRaw, ValType};

use super::{Guest, deliver, threads};
use crate::EngineError;

/// Links every function that the module imports.
pub(super) fn add(linker: &mut Linker<Guest>, module: &Module) -> Result<(), EngineError> {
    for import in module.imports() {
        let Some(ty) = import.ty().func().cloned() else {
            continue;
        };
        let (from, field) = (import.module(), import.name());
        let linked = match wali::syscall(field) {
            Some(call) => system_call(linker, from, field, ty, call),
            None => startup(linker, from, field),
        };
        linked.map_err(EngineError::wasmtime("linking the personality"))?;
    }
    Ok(())
}

/// Where wasmtime has a function's arguments and takes its result.
type Values = [MaybeUninit<ValRaw>];

fn system_call(
    linker: &mut Linker<Guest>,
    from: &str,
    field: &str,
    ty: FuncType,
    call: &'static Syscall,
) -> wasmtime::Result<()> {
    #[cfg(feature = "testing")]
    if super::testing::add(linker, from, field, call)? {
        return Ok(());
    }
    let shape = as_they_are(
        call.params,
        ty.params().map(|ty| matches!(ty, ValType::I64)),
    );
    let row = row(call.number);
    let straight = row.and_then(|row| Straight::new(row, shape));
    let import = Import { call, row, shape };
    let name = (from, field);
    match straight {
        None => link(linker, name, ty, move |caller, values| {
            import.make(caller, values, None)
        }),
        Some(way) if way.shape() == READ => link(linker, name, ty, passing::<READ>(import, way)),
        Some(way) => link(linker, name, ty, passing::<ANY>(import, way)),
    }
}

fn link(
    linker: &mut Linker<Guest>,
    (from, field): (&str, &str),
    ty: FuncType,
    function: impl Fn(Caller<'_, Guest>, &mut Values) -> wasmtime::Result<()> + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    // SAFETY: the functions of `system_call` read as many values as `ty` has parameters and write
    // its one result, an i64, which the linker has checked the import for.
    unsafe { linker.func_new_unchecked(from, field, ty, function) }.map(drop)
}

/// The function of a call that is passed straight on.
fn passing<const SHAPE: Shape>(
    import: Import,
    straight: Straight,
) -> impl Fn(Caller<'_, Guest>, &mut Values) -> wasmtime::Result<()> + Send + Sync + 'static {
    move |caller, values| {
        let (result, is_all) = pass::<SHAPE>(&caller, &straight, values)?;
        match is_all {
            true => {
                answer_with(values, result);
                Ok(())
            }
            false => import.make(caller, values, Some(result)),
        }
    }
}

/// Passes a call straight on; whether that is all, because it did not fail and no signal came.
#[inline(always)]
fn pass<const SHAPE: Shape>(
    caller: &Caller<'_, Guest>,
    straight: &Straight,
    values: &Values,
) -> wasmtime::Result<(i64, bool)> {
    let guest = caller.data();
    let cx = Cx {
        process: &guest.running()?.process,
        thread: &guest.thread,
    };
    guest.thread.inbox.will_look(true);
    let result = straight.pass::<SHAPE, _>(&cx, values, low, whole);
    guest.thread.inbox.will_look(false);
    Ok((result, !is_error(result) && !guest.thread.has_signals()))
}

/// The lower half of an argument.
fn low(value: &MaybeUninit<ValRaw>) -> u32 {
    // SAFETY: wasmtime initialises as many values as the type has parameters, and no shape has
    // letters for more.
    unsafe { value.assume_init_ref() }.get_u32()
}

/// An argument of 64 bits.
fn whole(value: &MaybeUninit<ValRaw>) -> u64 {
    // SAFETY: as above.
    unsafe { value.assume_init_ref() }.get_u64()
}

fn answer_with(values: &mut Values, result: i64) {
    if let Some(first) = values.first_mut() {
        first.write(ValRaw::i64(result));
    }
}

/// A system call as a module imports it.
struct Import {
    call: &'static Syscall,
    row: Option<&'static Row>,
    /// Its arguments as they are.
    shape: Shape,
}

impl Import {
    /// Makes the call, with all that may come of it. `passed` is the host's result where it has
    /// been passed on.
    #[inline(never)]
    fn make(
        &self,
        caller: Caller<'_, Guest>,
        values: &mut Values,
        passed: Option<i64>,
    ) -> wasmtime::Result<()> {
        let args = arguments(self.shape, values, low, whole);
        let result = run(caller, self.call, self.row, &args, passed)?;
        answer_with(values, result);
        Ok(())
    }
}

/// One system call: made, begun again if a signal ended it and its handler wants that, and the
/// handlers of what came meanwhile called. `passed` is the host's result where it has been made.
fn run(
    mut caller: Caller<'_, Guest>,
    call: &'static Syscall,
    row: Option<&'static Row>,
    args: &Args,
    mut passed: Option<i64>,
) -> wasmtime::Result<i64> {
    loop {
        if row.is_some_and(|row| row.about_stacks) {
            deliver::tell_stack(&mut caller.as_context_mut());
        }
        let guest = caller.data();
        let running = guest.running()?;
        let cx = Cx {
            process: &running.process,
            thread: &guest.thread,
        };
        guest.thread.inbox.will_look(true);
        let answered = match (row, passed.take()) {
            (Some(row), None) => row.run(&cx, args),
            (Some(row), Some(result)) => row.passed(&cx, args, result),
            (None, _) => {
                running.process.unsupported(call.name, args);
                Err(Stop::Errno(Errno::NOSYS))
            }
        };
        guest.thread.inbox.will_look(false);
        let mail = guest.thread.has_signals();
        let value = match answered {
            Ok(value) => value,
            Err(Stop::Errno(Errno::INTR)) if mail => {
                let again = deliver::all(&mut caller.as_context_mut())?;
                if again && row.is_some_and(|row| row.begins_again(args)) {
                    continue;
                }
                return Ok(answer(Errno::INTR));
            }
            Err(Stop::Errno(errno)) => answer(errno),
            Err(stop) => return Err(wasmtime::Error::new(stop)),
        };
        if mail {
            deliver::all(&mut caller.as_context_mut())?;
        }
        return Ok(value);
    }
}

/// EINVAL and EFAULT as the start-up functions give them.
const INVALID: i32 = -22;
const FAULT: i32 = -14;

fn strings<'a>(
    caller: &'a Caller<'_, Guest>,
    environment: bool,
) -> wasmtime::Result<&'a [Vec<u8>]> {
    let image = &caller.data().running()?.process.image;
    Ok(match environment {
        true => &image.env,
        false => &image.argv,
    })
}

fn startup(linker: &mut Linker<Guest>, from: &str, field: &str) -> wasmtime::Result<()> {
    let environment = field.contains("env");
    match field {
        "__cl_get_argc" | "__get_env_count" => {
            linker.func_wrap(from, field, move |caller: Caller<'_, Guest>| {
                Ok(strings(&caller, environment)?.len() as i32)
            })?;
        }
        "__cl_get_argv_len" | "__get_env_len" => {
            linker.func_wrap(from, field, move |caller: Caller<'_, Guest>, at: i32| {
                let string = strings(&caller, environment)?.get(at.cast_unsigned() as usize);
                Ok(string.map_or(INVALID, |s| s.len() as i32))
            })?;
        }
        "__cl_copy_argv" | "__copy_env" => {
            linker.func_wrap(
                from,
                field,
                move |caller: Caller<'_, Guest>, to: i32, at: i32| {
                    let process = &caller.data().running()?.process;
                    let (to, index) = (to.cast_unsigned(), at.cast_unsigned() as usize);
                    let Some(string) = strings(&caller, environment)?.get(index) else {
                        return Ok(INVALID);
                    };
                    let bytes = [string.as_slice(), &[0]].concat();
                    if process.space.memory().write(to, &bytes).is_err() {
                        return Ok(FAULT);
                    }
                    process.copied(environment, index, to);
                    Ok(0)
                },
            )?;
        }
        "__wasm_thread_spawn" => {
            linker.func_wrap(
                from,
                field,
                |caller: Caller<'_, Guest>, _: i32, argument: i32| {
                    let running = caller.data().running()?;
                    Ok(
                        match threads::spawn(running, &caller.data().thread, argument) {
                            Ok(id) => id,
                            Err(errno) => answer(errno) as i32,
                        },
                    )
                },
            )?;
        }
        // Compiled code polls instead (`polls`), unless it calls through a table.
        wali::CHECKPOINT => {
            linker.func_wrap(from, field, |mut caller: Caller<'_, Guest>| {
                deliver::all(&mut caller.as_context_mut()).map(drop)
            })?;
        }
        "__init" | "__deinit" => {
            linker.func_wrap(from, field, || 0_i32)?;
        }
        // There is no file with an environment for the first program.
        "__get_init_envfile" => {
            linker.func_wrap(from, field, |_: i32, _: i32| 0_i32)?;
        }
        "__proc_exit" => {
            linker.func_wrap(
                from,
                field,
                |caller: Caller<'_, Guest>, status: i32| -> wasmtime::Result<()> {
                    caller.data().running()?.process.exit(status)
                },
            )?;
        }
        // The linker's analysis refuses modules that import anything else.
        _ => {}
    }
    Ok(())
}
