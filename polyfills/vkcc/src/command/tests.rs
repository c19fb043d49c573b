use super::*;

fn parsed(line: &str) -> Result<Command> {
    parse(line.split_whitespace().map(str::to_owned).collect(), &[])
}

fn source(path: &str) -> Item {
    Item::Source(path.to_owned(), None)
}

#[test]
fn stages() {
    let check = |line: &str, expected: Stage| {
        assert_eq!(parsed(line).unwrap().stage, expected, "{line}");
    };
    check("a.c", Stage::Link);
    check("-c a.c", Stage::Object);
    check("-c -S a.c", Stage::Assembly);
    check("-E -c a.c", Stage::Preprocess);
    check("-c -MM a.c", Stage::CompilerOnly);
    check("-MD -c a.c", Stage::Object);
}

#[test]
fn items_keep_their_order() {
    let command = parsed("a.c -lz b.o -Wl,--whole-archive libx.a -Wl,--no-whole-archive").unwrap();
    assert_eq!(
        command.items,
        [
            source("a.c"),
            Item::Library("z".into()),
            Item::Object("b.o".into()),
            Item::Linker(vec!["--whole-archive".into()]),
            Item::Object("libx.a".into()),
            Item::Linker(vec!["--no-whole-archive".into()]),
        ]
    );
}

#[test]
fn values_are_not_inputs() {
    let command =
        parsed("-D X -I inc -MF d -MT t -include i.h -Xclang -v -x c -c in -o out").unwrap();
    assert_eq!(command.items, [Item::Source("in".into(), Some("c".into()))]);
    assert_eq!(command.output, Some("out".into()));
    assert_eq!(
        command.compiler.join(" "),
        "-D X -I inc -MF d -MT t -include i.h -Xclang -v"
    );
}

#[test]
fn linker_arguments() {
    let check = |line: &str, expected: &[Item]| {
        assert_eq!(parsed(line).unwrap().items, expected, "{line}");
    };
    let linker = |words: &[&str]| Item::Linker(words.iter().map(|w| (*w).to_owned()).collect());
    check("-Wl,-z,now -Wl,-z -Wl,relro", &[]);
    check("-Wl,-rpath,/x,--gc-sections", &[linker(&["--gc-sections"])]);
    check(
        "-Wl,-z,stack-size=65536",
        &[linker(&["-z", "stack-size=65536"])],
    );
    check("-Xlinker -u -Xlinker sym", &[linker(&["-u", "sym"])]);
    check(
        "-s -u sym",
        &[linker(&["--strip-all"]), linker(&["-u", "sym"])],
    );
    assert!(parsed("-Wl,-z,stack-size=65536").unwrap().stack_size);
    assert!(!parsed("-Wl,-z,now").unwrap().stack_size);
    assert_eq!(parsed("-Wl,-L,lib").unwrap().folders, ["lib"]);
}

#[test]
fn shared_libraries() {
    let command = parsed("-shared -Wl,-soname,libx.so.1 -o libx.so x.o").unwrap();
    assert!(command.shared && command.items == [Item::Object("x.o".into())]);
    for line in [
        "-Wl,-soname=n",
        "-Wl,--soname=n",
        "-Wl,-h,n",
        "-Wl,-soname -Wl,n",
    ] {
        let command = parsed(line).unwrap();
        assert_eq!(command.soname.as_deref(), Some("n"), "{line}");
    }
    for line in ["-rdynamic", "-Wl,-E", "-Wl,--export-dynamic"] {
        assert!(parsed(line).unwrap().dynamic_symbols, "{line}");
    }
    let command = parsed("-mloadable=a.so x.o -mloadable=b.so").unwrap();
    assert_eq!(command.loadable, ["a.so", "b.so"]);
    assert_eq!(parsed("-mcallbacks=64 a.c").unwrap().callbacks, Some(64));
}

#[test]
fn the_hosts_folders_are_dropped_with_a_warning() {
    let check = |line: &str| {
        let command = parsed(line).unwrap();
        assert_eq!(command.warnings.len(), 1, "{line}");
        assert!(
            command.compiler.is_empty() && command.folders.is_empty(),
            "{line}"
        );
    };
    check("-I/usr/include a.c");
    check("-isystem /usr/include/x86_64-linux-gnu a.c");
    check("-idirafter /usr/local/include a.c");
    check("-L/usr/lib/x86_64-linux-gnu a.c");
    check("-Wl,-L/usr/lib a.c");
}

#[test]
fn refusals() {
    let check = |line: &str, expected: &str| {
        let message = parsed(line).unwrap_err().to_string();
        assert!(message.contains(expected), "{line}: {message}");
    };
    check("-Wl,-shared a.o", "to the driver");
    check("-m64 a.c", "pointers have 32 bits");
    check("-fcommon a.c", "common symbols");
    check("--coverage a.c", "profiles");
    check("-fprofile-generate=folder a.c", "profiles");
    check("a.c /usr/lib/x86_64-linux-gnu/libz.a", "host's");
    check("-Wl,--allow-undefined a.o", "undefined symbols are errors");
    check("-c a.c b.c -o x.o", "several inputs");
    check("-c -", "-x c");
    check("-o", "needs a value");
    for count in ["0", "1025", "x", "-1", ""] {
        check(&format!("-mcallbacks={count} a.c"), "from 1 to 1024");
    }
    check("a.o -Wl,-z", "needs a value");
    check("-mthread-model win32 a.c", "posix or single");
}

#[test]
fn threads() {
    let check = |line: &str, expected: Option<bool>| {
        assert_eq!(parsed(line).unwrap().threads, expected, "{line}");
    };
    check("a.c", None);
    check("-pthread a.c", Some(true));
    check("a.c -lpthread", None);
    check("-mthread-model posix a.c", Some(true));
    check("-mthread-model single a.c", Some(false));
}
