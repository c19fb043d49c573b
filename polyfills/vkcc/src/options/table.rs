//! The compiler's options. What is not here goes to the compiler as it stands.

use super::{
    Meaning::{self, *},
    Rule,
    Shape::{self, *},
};

const fn rule(name: &'static str, shape: Shape, meaning: Meaning) -> Rule {
    Rule {
        name,
        shape,
        meaning,
    }
}

const SHARED: &str = "there are no dynamic libraries of this kind: say -shared";
const WIDTH: &str = "`int`, `long` and pointers have 32 bits, and there is no other form";
const TARGET: &str = "the target is fixed";
const PLUGIN: &str = "compiler plug-ins are code of the host";
const PROFILE: &str = "there is no run time that would write profiles";
const COMMON: &str = "objects have no common symbols: define each variable in one file, and declare it \
    `extern` in the others";
const SCRIPT: &str = "the linker has no scripts";

pub(super) static RULES: &[Rule] = &[
    // What to make.
    rule("-E", Alone, Preprocess),
    rule("-S", Alone, Assembly),
    rule("-c", Alone, Object),
    rule("-M", Alone, CompilerOnly),
    rule("-MM", Alone, CompilerOnly),
    rule("-fsyntax-only", Alone, CompilerOnly),
    rule("-o", Either, Output),
    rule("--output=", Joined, Output),
    rule("-x", Either, Language),
    rule("-r", Alone, Relocatable),
    // Preprocessor.
    rule("-D", Either, Compiler),
    rule("-U", Either, Compiler),
    rule("-I", Either, CompilerPath),
    rule("-include", Next, CompilerPath),
    rule("-imacros", Next, CompilerPath),
    rule("-isystem", Either, CompilerPath),
    rule("-iquote", Either, CompilerPath),
    rule("-idirafter", Either, CompilerPath),
    rule("-iprefix", Next, CompilerPath),
    rule("-iwithprefix", Next, Compiler),
    rule("-iwithprefixbefore", Next, Compiler),
    rule("-isysroot", Next, Ignore),
    rule("--sysroot=", Joined, Ignore),
    rule("--sysroot", Next, Ignore),
    rule("-nostdinc", Alone, NoIncludes),
    rule("-nostdinc++", Alone, NoCxxIncludes),
    rule("-MD", Alone, Dependencies),
    rule("-MMD", Alone, Dependencies),
    rule("-MF", Either, DependencyFile),
    rule("-MT", Either, Compiler),
    rule("-MQ", Either, Compiler),
    rule("-MJ", Either, Compiler),
    // Values that must not be taken for inputs.
    rule("-Xclang", Next, Compiler),
    rule("-Xpreprocessor", Next, Compiler),
    rule("-Xassembler", Next, Compiler),
    rule("-mllvm", Next, Compiler),
    rule("--param", Next, Ignore),
    rule("-aux-info", Next, Ignore),
    rule("-A", Either, Compiler),
    // Linker.
    rule("-l", Either, Library),
    rule("-L", Either, LibraryFolder),
    rule("-Xlinker", Next, LinkerArgument),
    rule("-Wl,", Joined, LinkerList),
    rule("-s", Alone, Linker("--strip-all")),
    rule("-u", Either, Linker("-u")),
    rule("-z", Next, Linker("-z")),
    rule("-static", Alone, Ignore),
    rule("--static", Alone, Ignore),
    rule("-static-pie", Alone, Ignore),
    rule("-static-libgcc", Alone, Ignore),
    rule("-static-libstdc++", Alone, Ignore),
    rule("-shared-libgcc", Alone, Ignore),
    rule("-rdynamic", Alone, DynamicSymbols),
    rule("-pie", Alone, Ignore),
    rule("-no-pie", Alone, Ignore),
    rule("-nopie", Alone, Ignore),
    rule("-fuse-ld=", Joined, Ignore),
    rule("-nostdlib", Alone, NoDefaults),
    rule("-nodefaultlibs", Alone, NoLibraries),
    rule("-nostartfiles", Alone, NoStartFile),
    rule("-shared", Alone, Shared),
    rule("--shared", Alone, Shared),
    rule("-mloadable=", Joined, Loadable),
    rule("-mside-module=", Joined, SideModule),
    rule("-mexports=", Joined, Exports),
    rule("-mcallbacks=", Joined, Callbacks),
    rule("-dynamiclib", Alone, Refuse(SHARED)),
    rule("-T", Either, Refuse(SCRIPT)),
    rule("-R", Next, Ignore),
    rule("-B", Either, Ignore),
    // Everything is linked statically; position-independent code would only be slower.
    rule("-fpic", Alone, Ignore),
    rule("-fPIC", Alone, Ignore),
    rule("-fpie", Alone, Ignore),
    rule("-fPIE", Alone, Ignore),
    // Objects are of one form (see `lto`).
    rule("-ffat-lto-objects", Alone, Ignore),
    rule("-fuse-linker-plugin", Alone, Ignore),
    rule("-fcommon", Alone, Refuse(COMMON)),
    rule("--coverage", Alone, Refuse(PROFILE)),
    rule("-coverage", Alone, Refuse(PROFILE)),
    rule("-fprofile-arcs", Alone, Refuse(PROFILE)),
    rule("-fprofile-generate", Joined, Refuse(PROFILE)),
    rule("-fprofile-instr-generate", Joined, Refuse(PROFILE)),
    // Target.
    rule("-m32", Alone, Ignore),
    rule("-m64", Alone, Refuse(WIDTH)),
    rule("-mx32", Alone, Refuse(WIDTH)),
    // What it is fixed to may be said: rustc does.
    rule("--target=wasm32-unknown-linux-musl", Alone, Ignore),
    rule("-target", Next, Refuse(TARGET)),
    rule("--target=", Joined, Refuse(TARGET)),
    rule("-arch", Next, Refuse(TARGET)),
    rule("-V", Next, Refuse(TARGET)),
    rule("-b", Next, Refuse(TARGET)),
    rule("-fplugin=", Joined, Refuse(PLUGIN)),
    rule("-specs=", Joined, Ignore),
    rule("-mcast-calls", Alone, CastCalls),
    rule("-mtrust-objects", Alone, TrustObjects),
    rule("-pthread", Alone, Threads),
    rule("-pthreads", Alone, Threads),
    rule("-mthreads", Alone, Threads),
    rule("-mthread-model", Next, ThreadModel),
    // Questions and manners.
    rule("-print-", Joined, Print),
    rule("--print-", Joined, Print),
    rule("-dumpmachine", Alone, Print),
    rule("-dumpversion", Alone, Print),
    rule("-dumpfullversion", Alone, Print),
    rule("--version", Alone, Print),
    rule("-v", Alone, Verbose),
    rule("--verbose", Alone, Verbose),
    rule("-###", Alone, ShowOnly),
    rule("-pipe", Alone, Ignore),
    rule("-save-temps", Alone, Ignore),
    rule("--driver-mode=", Joined, Ignore),
];
