//! Links a module's imports: system calls by the kernel crate's table, and the few functions
//! that are none: those by which a C library starts, and SHA-256 (`polyfills/sysroot/README.md`).
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use rustix::io::Errno;
use vkernel_abi::wali::{self, Syscall};
use vkernel_kernel::linux::{
    AnyShape, Args, Cx, Import, ReadOrWrite, Shape, Stop, answer, digest, is_error,
};
use wasmtime::{AsContextMut, Caller, FuncType, Linker, Module, ValRaw, ValType};

use super::{Guest, deliver, snapshot::SnapshotPoint, threads};
use crate::EngineError;

/// Links every function that the module imports.
///
/// While a snapshot is taken (`taking`), calls answer nothing that depends on the host.
pub(super) fn add(
    linker: &mut Linker<Guest>,
    module: &Module,
    taking: bool,
) -> Result<(), EngineError> {
    for import in module.imports() {
        let Some(ty) = import.ty().func().cloned() else {
            continue;
        };
        let (from, field) = (import.module(), import.name());
        let linked = match wali::syscall(field) {
            Some(call) => system_call(linker, (from, field), ty, call, taking),
            None => function(linker, from, field),
        };
        linked.map_err(EngineError::wasmtime("linking the personality"))?;
    }
    Ok(())
}

/// Where wasmtime has a function's arguments and takes its result.
type Values = [MaybeUninit<ValRaw>];

fn system_call(
    linker: &mut Linker<Guest>,
    (from, field): (&str, &str),
    ty: FuncType,
    call: &'static Syscall,
    taking: bool,
) -> wasmtime::Result<()> {
    #[cfg(feature = "testing")]
    if super::testing::add(linker, from, field, call)? {
        return Ok(());
    }
    let mut import = Import::new(call, ty.params().map(|ty| matches!(ty, ValType::I64)));
    if taking {
        import = import.for_snapshot();
    }
    let name = (from, field);
    match import.is_direct() {
        false => link(linker, name, ty, move |caller, values| {
            make(&import, caller, values, None)
        }),
        true if import.has::<ReadOrWrite>() => {
            link(linker, name, ty, direct::<ReadOrWrite>(import))
        }
        true => link(linker, name, ty, direct::<AnyShape>(import)),
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

/// The function of a call that the host answers and nobody judges.
fn direct<S: Shape>(
    import: Import,
) -> impl Fn(Caller<'_, Guest>, &mut Values) -> wasmtime::Result<()> + Send + Sync + 'static {
    move |caller, values| {
        let (result, is_all) = call_host::<S>(&caller, &import, values)?;
        match is_all {
            true => {
                answer_with(values, result);
                Ok(())
            }
            false => make(&import, caller, values, Some(result)),
        }
    }
}

/// Makes the host's call; whether that is all, because it did not fail and no signal came.
#[inline(always)]
fn call_host<S: Shape>(
    caller: &Caller<'_, Guest>,
    import: &Import,
    values: &Values,
) -> wasmtime::Result<(i64, bool)> {
    let guest = caller.data();
    let cx = Cx {
        process: &guest.running()?.process,
        thread: &guest.thread,
    };
    guest.thread.inbox.will_look(true);
    let result = import.call::<S, _>(&cx, values, low, whole);
    guest.thread.inbox.will_look(false);
    Ok((result, !is_error(result) && !guest.thread.has_signals()))
}

/// The lower half of an argument.
fn low(value: &MaybeUninit<ValRaw>) -> u32 {
    // SAFETY: wasmtime initialises as many values as the type has parameters, and of more none
    // is read (`Import::new`).
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

/// Makes a call, with all that may come of it. `made` is the host's result where it has been called
/// already.
#[inline(never)]
fn make(
    import: &Import,
    caller: Caller<'_, Guest>,
    values: &mut Values,
    made: Option<i64>,
) -> wasmtime::Result<()> {
    let args = import.args(values, low, whole);
    let result = run(caller, import, &args, made)?;
    answer_with(values, result);
    Ok(())
}

/// One system call: made, begun again if a signal ended it and its handler wants that, and the
/// handlers of what came meanwhile called. `made` is the host's result where it has been made.
fn run(
    mut caller: Caller<'_, Guest>,
    import: &Import,
    args: &Args,
    mut made: Option<i64>,
) -> wasmtime::Result<i64> {
    loop {
        if import.is_about_stacks() {
            deliver::tell_stack(&mut caller.as_context_mut());
        }
        let guest = caller.data();
        let running = guest.running()?;
        let cx = Cx {
            process: &running.process,
            thread: &guest.thread,
        };
        guest.thread.inbox.will_look(true);
        let answered = import.run(&cx, args, made.take());
        guest.thread.inbox.will_look(false);
        let mail = guest.thread.has_signals();
        let value = match answered {
            Ok(value) => value,
            Err(Stop::Errno(Errno::INTR)) if mail => {
                let again = deliver::all(&mut caller.as_context_mut())?;
                if again && import.begins_again(args) {
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

fn function(linker: &mut Linker<Guest>, from: &str, field: &str) -> wasmtime::Result<()> {
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
        // Compiled code has safepoints instead (`safepoints`), unless it calls through a table.
        wali::CHECKPOINT => {
            linker.func_wrap(from, field, |mut caller: Caller<'_, Guest>| {
                deliver::all(&mut caller.as_context_mut()).map(drop)
            })?;
        }
        wali::SHA256_BLOCKS => {
            linker.func_wrap(
                from,
                field,
                |caller: Caller<'_, Guest>, state: i32, data: i32, blocks: i32| {
                    let memory = caller.data().running()?.process.space.memory();
                    let [state, data, blocks] = [state, data, blocks].map(i32::cast_unsigned);
                    Ok(match digest::sha256_blocks(&memory, state, data, blocks) {
                        Ok(()) => 0,
                        Err(errno) => answer(errno) as i32,
                    })
                },
            )?;
        }
        wali::SNAPSHOT_POINT => {
            linker.func_wrap(
                from,
                field,
                |caller: Caller<'_, Guest>| -> wasmtime::Result<i32> {
                    match caller.data().running()?.process.is_snapshotted() {
                        true => Err(wasmtime::Error::new(SnapshotPoint)),
                        false => Ok(0),
                    }
                },
            )?;
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
