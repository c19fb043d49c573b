//! gcc's options, as a table: how each takes its value, and what it means to us.
//!
//! Only options that take a value, or that must not simply go to the compiler, are listed; every
//! other argument that begins with `-` is the compiler's, which then says itself what it does not
//! know. That is what a configure script wants to find out.

mod linker;
mod table;

pub(crate) use linker::{LinkerRule, known_z, linker_rule};
use table::RULES;

/// How an option takes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// It has none.
    Alone,
    /// The next argument.
    Next,
    /// The rest of the argument, which may be empty only if the option says so itself.
    Joined,
    /// The rest of the argument or, if that is empty, the next one.
    Either,
}

/// What an option means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Stop after preprocessing, compiling, assembling.
    Preprocess,
    Assembly,
    Object,
    /// Let the compiler look and write nothing we need to know of.
    CompilerOnly,
    /// Output file.
    Output,
    /// Language of the inputs that follow.
    Language,
    /// For the compiler, as it stands.
    Compiler,
    /// For the compiler; its value is a path, which must not be the host's.
    CompilerPath,
    /// Writes a dependency file.
    Dependencies,
    /// Names the dependency file.
    DependencyFile,
    /// A library, a folder of libraries.
    Library,
    LibraryFolder,
    /// Arguments for the linker: one, or a list with commas.
    LinkerArgument,
    LinkerList,
    /// An argument for the linker that has this name there.
    Linker(&'static str),
    /// No default includes; no C++ includes; no libraries; no start-up file; neither.
    NoIncludes,
    NoCxxIncludes,
    NoLibraries,
    NoStartFile,
    NoDefaults,
    /// A relocatable object instead of a program.
    Relocatable,
    /// A shared library instead of a program; a library that the program may open; symbols that it may
    /// ask for by name.
    Shared,
    Loadable,
    DynamicSymbols,
    /// The place of a library that is a module of its own; a file with the names that it offers.
    SideModule,
    Exports,
    /// How many callbacks of a type libffi has.
    Callbacks,
    /// Calls through pointers of another type work.
    CastCalls,
    /// Objects that vkcc did not compile are of its data model.
    TrustObjects,
    /// With threads, or without.
    Threads,
    ThreadModel,
    /// A question.
    Print,
    /// Show commands; show them and run none.
    Verbose,
    ShowOnly,
    /// Means nothing here, and nothing is lost without it.
    Ignore,
    /// Cannot be honoured, for this reason.
    Refuse(&'static str),
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) meaning: Meaning,
}

/// The row for an argument: the longest name that fits.
pub(crate) fn rule(argument: &str) -> Option<&'static Rule> {
    RULES
        .iter()
        .filter(|rule| match rule.shape {
            Shape::Alone | Shape::Next => argument == rule.name,
            Shape::Joined | Shape::Either => argument.starts_with(rule.name),
        })
        .max_by_key(|rule| rule.name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_wins() {
        let check = |argument: &str, expected: Option<&str>| {
            assert_eq!(rule(argument).map(|r| r.name), expected, "{argument}");
        };
        check("-c", Some("-c"));
        check("-lm", Some("-l"));
        check("-isystem", Some("-isystem"));
        check("-iquotefoo", Some("-iquote"));
        check("-Wl,-s", Some("-Wl,"));
        check("-MD", Some("-MD"));
        check("-MFfoo.d", Some("-MF"));
        check("-pthread", Some("-pthread"));
        check("--target=x86_64-linux-gnu", Some("--target="));
        check(
            &format!("--target={}", crate::compile::TRIPLE),
            Some("--target=wasm32-unknown-linux-musl"),
        );
        check("-print-search-dirs", Some("-print-"));
        check("-Wall", None);
        check("-O2", None);
        check("-fno-builtin", None);
        check("-shared", Some("-shared"));
        check("-static-libgcc", Some("-static-libgcc"));
    }

    #[test]
    fn names_are_unique() {
        for (at, rule) in RULES.iter().enumerate() {
            assert!(
                RULES[at + 1..].iter().all(|other| other.name != rule.name),
                "{} is listed twice",
                rule.name
            );
        }
    }
}
