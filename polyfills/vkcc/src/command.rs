//! What a command line means: the table of [`options`](crate::options) applied to it, once.

use std::path::{Path, PathBuf};

use crate::{
    error::{Error, Result},
    hermetic,
    options::{self, LinkerRule, Meaning, Shape},
    place::Place,
};

/// As many callbacks of one type as one may ask for: each costs half a kilobyte of machine code.
const MOST_CALLBACKS: usize = 1024;

/// How far to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// `-E`.
    Preprocess,
    /// `-M`, `-MM`, `-fsyntax-only`.
    CompilerOnly,
    /// `-S`.
    Assembly,
    /// `-c`.
    Object,
    /// A program.
    #[default]
    Link,
}

/// Something that goes into a program, in the order of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// To compile: file, and language if `-x` gave one.
    Source(String, Option<String>),
    /// To link: object or archive.
    Object(String),
    /// `-l`.
    Library(String),
    /// Arguments for the linker.
    Linker(Vec<String>),
}

/// A command line, understood.
#[derive(Debug, Default)]
pub(crate) struct Command {
    pub(crate) stage: Stage,
    pub(crate) output: Option<PathBuf>,
    pub(crate) items: Vec<Item>,
    /// Options for the compiler.
    pub(crate) compiler: Vec<String>,
    /// Folders of libraries.
    pub(crate) folders: Vec<String>,
    pub(crate) dependencies: bool,
    pub(crate) dependency_file: bool,
    /// What the command line says about threads.
    pub(crate) threads: Option<bool>,
    pub(crate) no_includes: bool,
    pub(crate) no_cxx_includes: bool,
    pub(crate) no_libraries: bool,
    pub(crate) no_start_file: bool,
    pub(crate) relocatable: bool,
    /// A shared library instead of a program, and its name where it is not the file's; libraries that the
    /// program may open, and whether it may ask for its own symbols by name: see
    /// [`libraries`](crate::libraries).
    pub(crate) shared: bool,
    pub(crate) soname: Option<String>,
    pub(crate) loadable: Vec<String>,
    pub(crate) dynamic_symbols: bool,
    /// The library is a module of its own, at this place, and offers what this file names: see
    /// [`sides`](crate::sides).
    pub(crate) side_module: Option<Place>,
    pub(crate) exports: Option<String>,
    /// How many callbacks of a type there can be; see [`calls`](crate::calls).
    pub(crate) callbacks: Option<usize>,
    /// See [`casts`](crate::casts).
    pub(crate) cast_calls: bool,
    /// Objects need no mark; see [`model`](crate::model).
    pub(crate) trust_objects: bool,
    pub(crate) verbose: bool,
    pub(crate) show_only: bool,
    /// A question instead of work.
    pub(crate) print: Option<String>,
    pub(crate) linker_version: bool,
    /// The command line chose the size of the stack.
    pub(crate) stack_size: bool,
    /// What was dropped and should be known.
    pub(crate) warnings: Vec<String>,
}

/// Reads a command line; `ours` are folders that are ours wherever they lie.
pub(crate) fn parse(arguments: Vec<String>, ours: &[&Path]) -> Result<Command> {
    let mut parser = Parser {
        command: Command::default(),
        language: None,
        linker: Vec::new(),
        ours,
    };
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        if argument == "-" || !argument.starts_with('-') {
            parser.input(argument)?;
            continue;
        }
        let Some(rule) = options::rule(&argument) else {
            parser.command.compiler.push(argument);
            continue;
        };
        let joined = &argument[rule.name.len()..];
        let value = match rule.shape {
            Shape::Alone => String::new(),
            Shape::Joined => joined.to_owned(),
            Shape::Either if !joined.is_empty() => joined.to_owned(),
            Shape::Next | Shape::Either => rest
                .next()
                .ok_or_else(|| Error::NoValue(argument.clone()))?,
        };
        parser.option(rule, &argument, value)?;
    }
    parser.finish()
}

struct Parser<'a> {
    command: Command,
    language: Option<String>,
    /// Linker arguments not yet complete: `-Wl,-z -Wl,now` belong together.
    linker: Vec<String>,
    ours: &'a [&'a Path],
}

impl Parser<'_> {
    fn option(&mut self, rule: &options::Rule, argument: &str, value: String) -> Result<()> {
        let command = &mut self.command;
        match rule.meaning {
            // As with gcc, the one that does least wins, wherever it stands.
            Meaning::Preprocess => self.stage(Stage::Preprocess),
            Meaning::Assembly => self.stage(Stage::Assembly),
            Meaning::Object => self.stage(Stage::Object),
            Meaning::CompilerOnly => {
                command.compiler.push(argument.to_owned());
                self.stage(Stage::CompilerOnly);
            }
            Meaning::Output => command.output = Some(PathBuf::from(value)),
            Meaning::Language => self.language = (value != "none").then_some(value),
            Meaning::Compiler => pass(&mut command.compiler, rule, value),
            Meaning::CompilerPath => {
                if self.allowed(rule.name, &value) {
                    pass(&mut self.command.compiler, rule, value);
                }
            }
            Meaning::Dependencies => {
                command.dependencies = true;
                command.compiler.push(argument.to_owned());
            }
            Meaning::DependencyFile => {
                command.dependency_file = true;
                pass(&mut command.compiler, rule, value);
            }
            Meaning::Library => command.items.push(Item::Library(value)),
            Meaning::LibraryFolder => {
                if self.allowed(rule.name, &value) {
                    self.command.folders.push(value);
                }
            }
            Meaning::LinkerArgument => self.linker(value)?,
            Meaning::LinkerList => {
                for part in value.split(',').filter(|part| !part.is_empty()) {
                    self.linker(part.to_owned())?;
                }
            }
            Meaning::Linker(name) => {
                self.linker(name.to_owned())?;
                if rule.shape != Shape::Alone {
                    self.linker(value)?;
                }
            }
            Meaning::NoIncludes => command.no_includes = true,
            Meaning::NoCxxIncludes => command.no_cxx_includes = true,
            Meaning::NoLibraries => command.no_libraries = true,
            Meaning::NoStartFile => command.no_start_file = true,
            Meaning::NoDefaults => {
                command.no_libraries = true;
                command.no_start_file = true;
            }
            Meaning::Relocatable => command.relocatable = true,
            Meaning::Shared => command.shared = true,
            Meaning::Loadable => command.loadable.push(value),
            Meaning::Callbacks => {
                let count = value.parse().ok();
                command.callbacks = count.filter(|count| (1..=MOST_CALLBACKS).contains(count));
                if command.callbacks.is_none() {
                    return Err(Error::Refused {
                        option: argument.to_owned(),
                        why: "say how many callbacks of a type there can be, from 1 to 1024",
                    });
                }
            }
            Meaning::DynamicSymbols => command.dynamic_symbols = true,
            Meaning::SideModule => {
                command.side_module = Place::read(&value);
                if command.side_module.is_none() {
                    return Err(Error::Refused {
                        option: argument.to_owned(),
                        why: "say ADDRESS:BYTES:SLOT:COUNT: multiples of 65536 from 0x4000000 to 0x8000000, and \
                              slots from 32768 to 98304",
                    });
                }
            }
            Meaning::Exports => command.exports = Some(value),
            Meaning::CastCalls => command.cast_calls = true,
            Meaning::TrustObjects => command.trust_objects = true,
            Meaning::Threads => command.threads = Some(true),
            Meaning::ThreadModel => match value.as_str() {
                "posix" => command.threads = Some(true),
                "single" => command.threads = Some(false),
                _ => {
                    return Err(Error::Refused {
                        option: format!("-mthread-model {value}"),
                        why: "say posix or single",
                    });
                }
            },
            Meaning::Print => command.print = Some(argument.to_owned()),
            Meaning::Verbose => command.verbose = true,
            Meaning::ShowOnly => command.show_only = true,
            Meaning::Ignore => {}
            Meaning::Refuse(why) => {
                return Err(Error::Refused {
                    option: argument.to_owned(),
                    why,
                });
            }
        }
        Ok(())
    }

    fn stage(&mut self, stage: Stage) {
        let rank = |stage| match stage {
            Stage::CompilerOnly => 0,
            Stage::Preprocess => 1,
            Stage::Assembly => 2,
            Stage::Object => 3,
            Stage::Link => 4,
        };
        if rank(stage) < rank(self.command.stage) {
            self.command.stage = stage;
        }
    }

    fn input(&mut self, path: String) -> Result<()> {
        if path != "-" && hermetic::is_host(&path, self.ours) {
            return Err(Error::Refused {
                option: path,
                why: "files of the host's compiler and libraries cannot be used",
            });
        }
        let item = if self.language.is_some() || path == "-" || is_source(&path) {
            Item::Source(path, self.language.clone())
        } else {
            Item::Object(path)
        };
        self.command.items.push(item);
        Ok(())
    }

    fn allowed(&mut self, option: &str, path: &str) -> bool {
        let host = hermetic::is_host(path, self.ours);
        if host {
            self.command
                .warnings
                .push(format!("ignoring `{option} {path}`: it is the host's"));
        }
        !host
    }

    fn linker(&mut self, argument: String) -> Result<()> {
        if let Some(first) = self.linker.pop() {
            return self.linker_pair(first, argument);
        }
        if !argument.starts_with('-') {
            return self.input(argument);
        }
        match options::linker_rule(&argument) {
            LinkerRule::Keep => self.command.items.push(Item::Linker(vec![argument])),
            LinkerRule::Drop => {}
            LinkerRule::DynamicSymbols => self.command.dynamic_symbols = true,
            LinkerRule::Soname => {
                let name = argument.split_once('=').unwrap_or_default().1;
                self.command.soname = Some(name.to_owned());
            }
            LinkerRule::KeepWithNext | LinkerRule::DropWithNext | LinkerRule::SonameNext => {
                self.linker.push(argument);
            }
            LinkerRule::Version => self.command.linker_version = true,
            LinkerRule::Folder => {
                let folder = argument
                    .trim_start_matches("--library-path=")
                    .trim_start_matches("-L")
                    .to_owned();
                if folder.is_empty() {
                    self.linker.push("-L".to_owned());
                } else if self.allowed("-L", &folder) {
                    self.command.folders.push(folder);
                }
            }
            LinkerRule::Refuse(why) => {
                return Err(Error::Refused {
                    option: format!("-Wl,{argument}"),
                    why,
                });
            }
        }
        Ok(())
    }

    fn linker_pair(&mut self, first: String, value: String) -> Result<()> {
        match options::linker_rule(&first) {
            LinkerRule::Folder => {
                if self.allowed("-L", &value) {
                    self.command.folders.push(value);
                }
            }
            LinkerRule::DropWithNext => {}
            LinkerRule::SonameNext => self.command.soname = Some(value),
            _ if first == "-z" && !options::known_z(&value) => {}
            _ => {
                self.command.stack_size |= first == "-z";
                self.command.items.push(Item::Linker(vec![first, value]));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Command> {
        if let Some(first) = self.linker.last() {
            return Err(Error::NoValue(format!("-Wl,{first}")));
        }
        let command = self.command;
        let sources = command.sources().count();
        let one_each = matches!(
            command.stage,
            Stage::Preprocess | Stage::Assembly | Stage::Object
        );
        if let Some(output) = &command.output
            && one_each
            && sources > 1
        {
            return Err(Error::OneOutput(output.clone()));
        }
        let unnamed = command
            .sources()
            .any(|(path, language)| path == "-" && language.is_none());
        if unnamed && command.stage != Stage::Preprocess {
            return Err(Error::NoLanguage);
        }
        Ok(command)
    }
}

impl Command {
    /// Files to compile, and their languages where `-x` gave them.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.items.iter().filter_map(|item| match item {
            Item::Source(path, language) => Some((path.as_str(), language.as_deref())),
            _ => None,
        })
    }

    /// Whether there is a file to work on.
    pub(crate) fn has_input(&self) -> bool {
        self.items
            .iter()
            .any(|item| matches!(item, Item::Source(..) | Item::Object(_)))
    }
}

/// Passes an option on as it was shaped.
fn pass(arguments: &mut Vec<String>, rule: &options::Rule, value: String) {
    match rule.shape {
        Shape::Alone => arguments.push(rule.name.to_owned()),
        Shape::Joined => arguments.push(format!("{}{value}", rule.name)),
        Shape::Next | Shape::Either => arguments.extend([rule.name.to_owned(), value]),
    }
}

fn is_source(path: &str) -> bool {
    const EXTENSIONS: &[&str] = &[
        "c", "i", "cc", "cp", "cpp", "cxx", "c++", "C", "CPP", "ii", "s", "S", "sx", "h", "hh",
        "hpp",
    ];
    Path::new(path)
        .extension()
        .is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
}

#[cfg(test)]
mod tests;
