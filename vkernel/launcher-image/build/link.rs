//! Stands in front of the linker: puts the functions of a start next to each other.
//!
//! A start runs once through some seven hundred functions of a few thousand. Side by side they fill
//! less of the processor's caches and of its page tables: a small program started in 646 µs instead
//! of 664 on a quiet machine, and more was gained beside other work. LLD takes an order by symbol; but the symbols end in hashes of compiler and
//! dependencies, so the list has demangled names, and the symbols are looked up in the objects that
//! are about to be linked. A name that is in none (the list is of another release) costs nothing
//! but its place.
//!
//! Linkers other than LLD know no such option: with them the order is whatever it is.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Becomes the C compiler as rustc wants it for linking; returns only if that fails.
pub(crate) fn run(list: &Path, arguments: Vec<OsString>) -> Result<(), String> {
    let mut command = Command::new("cc");
    command.args(&arguments);
    if arguments.iter().any(|a| a == "-fuse-ld=lld") {
        let output = arguments
            .windows(2)
            .find(|pair| pair[0] == "-o")
            .map(|pair| PathBuf::from(&pair[1]))
            .ok_or("the linker is given no output")?;
        let order = output.with_extension("order");
        write_order(list, &arguments, &order)?;
        command
            .arg(option("-Wl,--symbol-ordering-file=", &order))
            .arg("-Wl,--no-warn-symbol-ordering")
            // What `tests/bench/start-order` finds functions by, with the names written above.
            .arg(option("-Wl,-Map=", &output.with_extension("map")))
            .arg("-Wl,--no-demangle");
    }
    Err(format!("running cc to link: {}", command.exec()))
}

fn option(name: &str, value: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(value);
    option
}

fn write_order(list: &Path, arguments: &[OsString], order: &Path) -> Result<(), String> {
    let names = fs::read_to_string(list).map_err(|e| format!("reading {}: {e}", list.display()))?;
    let mut symbols: HashMap<String, Vec<String>> = HashMap::new();
    let mut readable_names = String::new();
    let objects = arguments.iter().map(Path::new);
    for object in objects.filter(|path| path.extension() == Some(OsStr::new("o"))) {
        for symbol in defined(object)? {
            let name = readable(&symbol);
            add(&mut readable_names, &format!("{symbol} {name}"));
            symbols.entry(name).or_default().push(symbol);
        }
    }
    let write = |path: &Path, text: String| {
        fs::write(path, text).map_err(|e| format!("writing {}: {e}", path.display()))
    };
    write(&order.with_extension("names"), readable_names)?;
    let mut lines = String::new();
    for name in names.lines() {
        match symbols.remove(name) {
            Some(found) => found.iter().for_each(|symbol| add(&mut lines, symbol)),
            // A function of the C library, whose archive is not read here: its symbol is its name.
            None => add(&mut lines, name),
        }
    }
    write(order, lines)
}

fn add(lines: &mut String, symbol: &str) {
    lines.push_str(symbol);
    lines.push('\n');
}

/// The symbols that an object file defines, in its order.
fn defined(object: &Path) -> Result<Vec<String>, String> {
    let failed = |e: &dyn std::fmt::Display| format!("reading {}: {e}", object.display());
    let bytes = fs::read(object).map_err(|e| failed(&e))?;
    let elf = goblin::elf::Elf::parse(&bytes).map_err(|e| failed(&e))?;
    let names = elf
        .syms
        .iter()
        .filter(|s| s.is_function() && s.st_shndx != 0);
    Ok(names
        .filter_map(|s| elf.strtab.get_at(s.st_name))
        .map(str::to_owned)
        .collect())
}

/// The name without hashes.
fn readable(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}
