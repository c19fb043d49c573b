//! Links a module's imports: system calls by the kernel crate's table, and the few functions by
//! which a C library starts (`polyfills/sysroot/README.md`).
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use rustix::io::Errno;
use vkernel_abi::wali::{self, Syscall};
use vkernel_kernel::linux::{Args, Cx, Row, Stop, answer, row};
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

fn system_call(
    linker: &mut Linker<Guest>,
    from: &str,
    field: &str,
    ty: FuncType,
    call: &'static Syscall,
) -> wasmtime::Result<()> {
    // Toolchains differ in whether a word is i32 or i64; the module says.
    let widths: Vec<Width> = ty
        .params()
        .zip(call.params.bytes())
        .map(|(ty, kind)| Width::of(&ty, kind))
        .collect();
    let row = row(call.number);
    let function = move |caller: Caller<'_, Guest>, values: &mut [MaybeUninit<ValRaw>]| {
        let mut args: Args = [0; 6];
        for ((to, value), width) in args.iter_mut().zip(&*values).zip(&widths) {
            // SAFETY: wasmtime initialises as many values as the type has parameters, and `widths`
            // has no more elements.
            *to = width.widen(unsafe { value.assume_init() });
        }
        let result = run(caller, call, row, &args)?;
        if let Some(first) = values.first_mut() {
            first.write(ValRaw::i64(result));
        }
        Ok(())
    };
    // SAFETY: the function reads as many values as `ty` has parameters and writes its one result,
    // an i64, which the linker has checked the import for.
    unsafe { linker.func_new_unchecked(from, field, ty, function) }.map(drop)
}

/// How an argument becomes 64 bits wide, without a branch.
struct Width {
    /// The bits that it has.
    mask: u64,
    /// The highest of them if it is to be sign-extended, else 0.
    sign: u64,
}

impl Width {
    /// Of a parameter of a type; `kind` is its letter in the interface.
    fn of(ty: &ValType, kind: u8) -> Width {
        match (ty, kind) {
            (ValType::I64, _) => Width {
                mask: u64::MAX,
                sign: 0,
            },
            (_, b'i') => Width {
                mask: u32::MAX.into(),
                sign: 1 << 31,
            },
            _ => Width {
                mask: u32::MAX.into(),
                sign: 0,
            },
        }
    }

    /// Of an i32, the upper half of a value is not defined.
    fn widen(&self, value: ValRaw) -> u64 {
        ((value.get_u64() & self.mask) ^ self.sign).wrapping_sub(self.sign)
    }
}

/// One system call: made, begun again if a signal ended it and its handler wants that, and the
/// handlers of what came meanwhile called.
fn run(
    mut caller: Caller<'_, Guest>,
    call: &'static Syscall,
    row: Option<&'static Row>,
    args: &Args,
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
        let answered = match row {
            Some(row) => row.run(&cx, args),
            None => {
                running.process.unsupported(call.name, args);
                Err(Stop::Errno(Errno::NOSYS))
            }
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_widened_as_their_kinds_say() {
        for (ty, kind, value, widened) in [
            (ValType::I32, b'i', 0xdead_beef_ffff_fffe, u64::MAX - 1),
            (ValType::I32, b'i', 0xdead_beef_7fff_ffff, 0x7fff_ffff),
            (ValType::I32, b'p', 0xdead_beef_ffff_fffe, 0xffff_fffe),
            (
                ValType::I64,
                b'i',
                0xdead_beef_ffff_fffe,
                0xdead_beef_ffff_fffe,
            ),
        ] {
            let width = Width::of(&ty, kind);
            assert_eq!(width.widen(ValRaw::u64(value)), widened, "{ty} {kind}");
        }
    }
}
