//! Optimisation at link time (`-flto`): which objects cannot wait for it.
//!
//! The linker looks for what a program needs before it compiles objects in the compiler's own form.
//! What LLVM makes of some names only when it compiles is then not looked for: calls of setjmp and
//! longjmp become calls of functions of libc's, `main` without parameters gets another name. Objects
//! with such names are compiled at once; the linker takes both kinds together.

/// How files in the compiler's own form begin (LLVM Bitcode File Format, "Magic Numbers").
const MAGIC: &[u8] = b"BC\xc0\xde";

/// The name of `main` with parameters, which the compiler gives it at once.
const MAIN: &[u8] = b"__main_argc_argv";

/// Whether an object is in the compiler's own form.
pub(crate) fn is_bitcode(object: &[u8]) -> bool {
    object.starts_with(MAGIC)
}

/// Whether an object is in the compiler's own form and has a name that cannot wait. Names stand in
/// it as they are, one after the other: one inside of another name costs optimisation, no more.
pub(crate) fn is_for_now(object: &[u8]) -> bool {
    let has = |name: &[u8]| object.windows(name.len()).any(|w| w == name);
    is_bitcode(object) && (has(b"setjmp") || has(b"longjmp") || has(b"main") && !has(MAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_that_cannot_wait() {
        let object = |names: &str| [MAGIC, names.as_bytes()].concat();
        for names in ["putssetjmp", "_longjmp", "mainprintf"] {
            assert!(is_for_now(&object(names)), "{names}");
        }
        for names in ["", "__main_argc_argvputs", "printf"] {
            assert!(!is_for_now(&object(names)), "{names}");
        }
        assert!(!is_for_now(b"\0asm setjmp"));
        assert!(!is_for_now(b""));
    }
}
