//! Linker arguments, as `-Wl,` and `-Xlinker` bring them: GNU ld's, of which wasm-ld knows few.
//!
//! What only concerns ELF is dropped, what wasm-ld knows goes to it, and what would let a symbol
//! stay undefined is refused: an undefined symbol is an error here, never an import.

/// What becomes of a linker argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkerRule {
    /// It goes to the linker, alone or with the next argument.
    Keep,
    KeepWithNext,
    /// It is dropped, alone or with the next argument.
    Drop,
    DropWithNext,
    /// Print the linker's version and stop.
    Version,
    /// A folder to search: checked like `-L`.
    Folder,
    /// The name of a library, here or in the next argument.
    Soname,
    SonameNext,
    /// The program may ask for its symbols by name.
    DynamicSymbols,
    /// It cannot be honoured.
    Refuse(&'static str),
}

use LinkerRule::*;

const UNDEFINED: &str =
    "undefined symbols are errors: they would become imports that nothing offers";
const SHARED: &str = "say -shared to the driver, and not to the linker";
const FIXED: &str = "the driver decides this; the personality depends on it";

/// Name, whether it is only the beginning of the argument, and what becomes of it. The longest
/// name that fits counts.
static RULES: &[(&str, bool, LinkerRule)] = &[
    ("--version", false, Version),
    ("-v", false, Version),
    ("-V", false, Version),
    ("-L", true, Folder),
    ("--library-path=", true, Folder),
    // ELF's business.
    ("-rpath", false, DropWithNext),
    ("-rpath=", true, Drop),
    ("--rpath", false, DropWithNext),
    ("--rpath=", true, Drop),
    ("-rpath-link", false, DropWithNext),
    ("-rpath-link=", true, Drop),
    ("-R", false, DropWithNext),
    ("-soname", false, SonameNext),
    ("-soname=", true, Soname),
    ("--soname", false, SonameNext),
    ("--soname=", true, Soname),
    ("-h", false, SonameNext),
    ("--version-script", false, DropWithNext),
    ("--version-script=", true, Drop),
    ("-version-script", false, DropWithNext),
    ("--dynamic-list=", true, Drop),
    ("--dynamic-linker=", true, Drop),
    ("-dynamic-linker", false, DropWithNext),
    ("--dynamic-linker", false, DropWithNext),
    ("--hash-style=", true, Drop),
    ("-hash-style", false, DropWithNext),
    ("--build-id", true, Drop),
    ("--as-needed", false, Drop),
    ("--no-as-needed", false, Drop),
    ("--add-needed", false, Drop),
    ("--no-add-needed", false, Drop),
    ("--copy-dt-needed-entries", false, Drop),
    ("--no-copy-dt-needed-entries", false, Drop),
    ("--enable-new-dtags", false, Drop),
    ("--disable-new-dtags", false, Drop),
    ("-Bsymbolic", true, Drop),
    ("-Bstatic", false, Drop),
    ("-Bdynamic", false, Drop),
    ("-static", false, Drop),
    ("--export-dynamic", false, DynamicSymbols),
    ("-export-dynamic", false, DynamicSymbols),
    ("-E", false, DynamicSymbols),
    ("--eh-frame-hdr", false, Drop),
    ("--sort-common", true, Drop),
    ("--sort-section", true, Drop),
    ("--start-group", false, Drop),
    ("--end-group", false, Drop),
    ("-(", false, Drop),
    ("-)", false, Drop),
    ("--no-undefined", false, Drop),
    ("--warn-", true, Drop),
    ("--no-warn-", true, Drop),
    ("--no-copy-relocs", false, Drop),
    ("--compress-debug-sections", true, Drop),
    ("--allow-multiple-definition", false, Drop),
    ("--allow-shlib-undefined", false, Drop),
    ("--no-allow-shlib-undefined", false, Drop),
    ("--fatal-warnings", false, Keep),
    ("-pie", false, Drop),
    ("-no-pie", false, Drop),
    ("-O", true, Drop),
    ("-m", false, DropWithNext),
    ("-plugin-opt", true, Drop),
    // wasm-ld's own.
    ("-z", false, KeepWithNext),
    ("-u", false, KeepWithNext),
    ("-y", false, KeepWithNext),
    ("-Map", false, KeepWithNext),
    ("-o", false, Refuse(FIXED)),
    ("-e", true, Refuse(FIXED)),
    ("--entry", true, Refuse(FIXED)),
    ("-T", true, Refuse("the linker has no scripts")),
    ("--script", true, Refuse("the linker has no scripts")),
    ("-shared", false, Refuse(SHARED)),
    ("-Bshareable", false, Refuse(SHARED)),
    ("--allow-undefined", true, Refuse(UNDEFINED)),
    ("--import-undefined", false, Refuse(UNDEFINED)),
    ("--unresolved-symbols", true, Refuse(UNDEFINED)),
    ("--import-memory", true, Refuse(FIXED)),
    ("--import-table", false, Refuse(FIXED)),
    ("--shared-memory", false, Refuse(FIXED)),
    ("--table-base", true, Refuse(FIXED)),
    ("--no-stack-first", false, Refuse(FIXED)),
    ("--global-base", true, Refuse(FIXED)),
];

/// What becomes of an argument that begins with `-`.
pub(crate) fn linker_rule(argument: &str) -> LinkerRule {
    RULES
        .iter()
        .filter(|(name, prefix, _)| argument == *name || (*prefix && argument.starts_with(name)))
        .max_by_key(|(name, ..)| name.len())
        .map_or(Keep, |(.., rule)| *rule)
}

/// Values of `-z` that wasm-ld understands.
pub(crate) fn known_z(value: &str) -> bool {
    value.starts_with("stack-size=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let check = |argument: &str, expected: LinkerRule| {
            assert_eq!(linker_rule(argument), expected, "{argument}");
        };
        check("-rpath", DropWithNext);
        check("-rpath=/x", Drop);
        check("-rpath-link", DropWithNext);
        check("--as-needed", Drop);
        check("--gc-sections", Keep);
        check("--whole-archive", Keep);
        check("-z", KeepWithNext);
        check("--allow-undefined", Refuse(UNDEFINED));
        check("--unresolved-symbols=ignore-all", Refuse(UNDEFINED));
        check("--version", Version);
        check("-L/usr/lib", Folder);
    }

    #[test]
    fn stack_size_is_the_only_z() {
        assert!(known_z("stack-size=65536"));
        assert!(!known_z("relro"));
        assert!(!known_z("now"));
    }
}
