//! Random system calls with random memory, by a guest in many short-lived sandboxes. Whatever it
//! does, only the guest ends: the vkernel does not panic, abort, fault or call what its own filter
//! kills for, and nothing outside of the root changes.
//!
//! `RANDOM_SECONDS` says for how long (default 6), `RANDOM_SEED` where to begin; one sandbox alone
//! is `RANDOM_ONLY=single:SEED` or `threads:SEED`. Needs root, `out/musl-1.2.5` and `tests/install`.
//! See `docs/fuzzing.md`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use polybuild_e2e::{
    Said,
    interface::c_type,
    linux::{each, vkcc},
    polybuild,
    root::Root,
    run,
    trace::{self, is_violation},
    workspace,
};
use vkernel_abi::{personality::Type, wali::SYSCALLS};

/// Calls that one sandbox makes.
const CALLS: &str = "400";

/// Longest life of one sandbox in seconds: calls may wait for ever, once the guest has turned its
/// own clock off.
const LONGEST: &str = "4";

/// `calls.h` of the guest, from the table of the interface.
fn header() -> String {
    let (mut imports, mut table, mut cases) = (String::new(), String::new(), String::new());
    for (at, call) in SYSCALLS.iter().enumerate() {
        let name = call.name;
        let types: Vec<&str> = call.params.iter().map(|param| c_type(*param)).collect();
        let kinds: Vec<&str> = call
            .params
            .iter()
            .map(|param| match param.ty() {
                Type::I64 => "WIDE",
                Type::I32 if param.is_address() => "ADDRESS",
                Type::I32 if param.is_signed() => "INT",
                Type::I32 => "WORD",
            })
            .collect();
        let parameters = match types.is_empty() {
            true => "void".to_owned(),
            false => types.join(", "),
        };
        let arguments: Vec<String> = types
            .iter()
            .enumerate()
            .map(|(i, kind)| format!("({kind})a[{i}]"))
            .collect();
        writeln!(
            imports,
            "__attribute__((__import_module__(\"wali\"), __import_name__(\"SYS_{name}\"))) \
             long long call_{name}({parameters});"
        )
        .unwrap();
        let kinds = kinds.join(", ");
        writeln!(table, "\t{{ \"{name}\", {{ {kinds} }} }},").unwrap();
        writeln!(
            cases,
            "\tcase {at}: return call_{name}({});",
            arguments.join(", ")
        )
        .unwrap();
    }
    format!(
        "{imports}\nenum kind {{ NONE, INT, WORD, WIDE, ADDRESS }};\n\
         static const struct {{ const char *name; enum kind kinds[6]; }} calls[] = {{\n{table}}};\n\
         static long long make(int index, const long long *a)\n{{\n\tswitch (index) {{\n{cases}\t}}\n\
         \treturn -38;\n}}\n"
    )
}

/// The guest, with threads and without, in one image.
fn image(folder: &Path) -> PathBuf {
    fs::write(folder.join("calls.h"), header()).unwrap();
    let mut recipe = String::from(
        "[recipe]\nname = \"random\"\nversion = \"1\"\nkind = \"app\"\n\
         [image]\nname = \"test/random\"\ntag = \"1\"\n",
    );
    for (name, option) in [("single", "-O1"), ("threads", "-pthread")] {
        let mut command = vkcc();
        command
            .args(["-std=gnu17", "-O1", "-w", option, "-I"])
            .arg(folder)
            .arg("-o")
            .arg(folder.join(format!("{name}.wasm")))
            .arg(workspace().join("tests/e2e/guests/linux/random.c"));
        let said = run(&mut command);
        assert_eq!(said.status, 0, "{}", said.stderr);
        write!(
            recipe,
            "[[module]]\nname = \"{name}\"\nfile = \"path:{name}.wasm\"\n\
             [[program]]\nname = \"{name}\"\nmodule = \"{name}\"\npaths = [\"/bin/{name}\"]\n"
        )
        .unwrap();
    }
    fs::write(folder.join("recipe.toml"), recipe).unwrap();
    let image = folder.join("image");
    let said = run(polybuild()
        .arg("--quiet")
        .arg(folder.join("recipe.toml"))
        .arg("-o")
        .arg(&image));
    assert_eq!(said.status, 0, "{}", said.stderr);
    image
}

/// Runs the guest in name spaces of its own, in which it is free to signal whom it likes.
fn sandbox(root: &Root, guest: &str, seed: u64, audit: &Path) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", LONGEST, "unshare"])
        .args(["--pid", "--ipc", "--uts", "--net", "--mount", "--fork"])
        .args(["--kill-child", "--"])
        // The first process of a name space is not like others.
        .args(["sh", "-c", "ulimit -c 0; \"$@\"; exit $?", "sh"])
        .arg(root.path().join(".vkernel/megabinary"))
        .arg("--root")
        .arg(root.path())
        .args(["--cwd", "/w", "--program", &format!("/bin/{guest}"), "--"])
        .args([&seed.to_string(), CALLS])
        .env("VKERNEL_AUDIT", audit);
    command
}

/// What follows in a line, which starts at this offset of the audit file, where a page of the file
/// ends. The host kernel ends the write of a process that is being killed there and nowhere else, so
/// that its last event may be cut; the next one follows.
fn after_page(line: &str, start: usize) -> Option<&str> {
    const PAGE: usize = 4096;
    let end = start.next_multiple_of(PAGE) - start;
    (end > 0).then(|| line.get(end..)).flatten()
}

/// Signals by which only a failure of the vkernel ends a guest that does not send them: SIGABRT,
/// SIGSYS, SIGBUS, SIGTRAP; and SIGSEGV, SIGILL and SIGFPE when no trap was recorded.
fn judge(said: &Said, audit: &str) -> Result<(), String> {
    let signal = said.status - 128;
    let trapped = audit.contains("\"event\":\"trap\"");
    let is_event = |line: &str| serde_json::from_str::<serde_json::Value>(line).map(drop);
    let mut start = 0;
    for line in audit.split_inclusive('\n') {
        if let Err(e) = is_event(line) {
            let rest = after_page(line, start);
            if !rest.is_some_and(|rest| rest.is_empty() || is_event(rest).is_ok()) {
                return Err(format!("audit: {e}: {line}"));
            }
        }
        start += line.len();
    }
    if said.stderr.contains("panicked") || said.stderr.contains("RUST_BACKTRACE") {
        return Err("the vkernel panicked".to_owned());
    }
    match signal {
        5 | 6 | 7 | 31 => Err(format!("it ended by signal {signal}")),
        4 | 8 | 11 if !trapped && !said.stderr.contains("segmentation fault") => {
            Err(format!("it ended by signal {signal}, and not by a trap"))
        }
        _ => Ok(()),
    }
}

/// Everything around the root, as text.
fn outside(root: &Root) -> String {
    let mut found = String::new();
    for entry in walkdir::WalkDir::new(root.outside()).sort_by_file_name() {
        let entry = entry.unwrap();
        if entry.path().starts_with(root.path()) {
            continue;
        }
        let meta = entry.metadata().unwrap();
        let text = fs::read(entry.path()).unwrap_or_default();
        writeln!(
            found,
            "{:?} {:?} {text:?}",
            entry.path(),
            meta.permissions()
        )
        .unwrap();
    }
    found
}

#[derive(Default)]
struct Counts {
    done: AtomicU64,
    ended: AtomicU64,
    trapped: AtomicU64,
    stopped: AtomicU64,
}

/// One sandbox; what is wrong with it.
fn once(fresh: &Root, guest: &str, seed: u64, traced: bool, counts: &Counts) -> Option<String> {
    let root = Root::like(fresh);
    fs::write(root.outside().join("canary"), "unchanged").unwrap();
    let before = outside(&root);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit");
    let command = sandbox(&root, guest, seed, &log);
    let said = match traced {
        false => {
            let mut command = command;
            run(&mut command)
        }
        true => {
            let traced = trace::trace(&command, b"");
            let launched = traced
                .lines
                .iter()
                .rposition(|l| l.contains("/.vkernel/megabinary\""));
            let after = &traced.lines[launched.map_or(0, |at| at + 1)..];
            let bad = after
                .iter()
                .find(|l| is_violation(l) && !l.contains("memfd_create("));
            if let Some(bad) = bad {
                return Some(format!("{guest}:{seed}: {bad}"));
            }
            traced.said
        }
    };
    let audit = fs::read_to_string(&log).unwrap_or_default();
    counts.done.fetch_add(1, Ordering::Relaxed);
    let count = match said.status {
        137 => &counts.stopped,
        132 | 136 | 139 => &counts.trapped,
        _ => &counts.ended,
    };
    count.fetch_add(1, Ordering::Relaxed);
    if let Err(why) = judge(&said, &audit) {
        return Some(format!("{guest}:{seed}: {why}: {said:?}\n{audit}"));
    }
    (outside(&root) != before)
        .then(|| format!("{guest}:{seed}: outside of the root: {}", outside(&root)))
}

#[test]
fn random_calls_end_nothing_but_the_guest() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = Root::of(&image(folder.path()));
    let counts = Counts::default();
    if let Ok(only) = std::env::var("RANDOM_ONLY") {
        let (guest, seed) = only.split_once(':').unwrap();
        assert_eq!(
            once(&fresh, guest, seed.parse().unwrap(), false, &counts),
            None
        );
        return;
    }
    let setting = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let seconds = Duration::from_secs(setting("RANDOM_SECONDS", 6));
    let next = AtomicU64::new(setting("RANDOM_SEED", 1));
    let start = Instant::now();
    let workers: Vec<usize> = (0..2).collect();
    let wrong = each(&workers, |_| {
        let mut wrong = Vec::new();
        while start.elapsed() < seconds && wrong.len() < 5 {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let guest = match seed.is_multiple_of(2) {
                true => "threads",
                false => "single",
            };
            wrong.extend(once(&fresh, guest, seed, seed % 16 < 2, &counts));
        }
        wrong
    });
    let [done, ended, trapped, stopped] = [
        &counts.done,
        &counts.ended,
        &counts.trapped,
        &counts.stopped,
    ]
    .map(|count| count.load(Ordering::Relaxed));
    eprintln!("{done} sandboxes: {ended} ended, {trapped} trapped, {stopped} were stopped");
    assert_eq!(wrong.concat(), Vec::<String>::new());
    assert!(done > 4 && ended > 0, "hardly anything ran");
}

#[test]
fn only_events_that_a_page_cuts_may_be_cut() {
    let said = Said {
        status: 0,
        stdout: String::new(),
        stderr: String::new(),
    };
    let whole = |len: usize| format!("{{\"a\":\"{}\"}}\n", "x".repeat(len - 9));
    for (before, cut, is_fine) in [
        (4090, "{\"cut\"", true),
        (4089, "{\"cut\"", false),
        (4091, "{\"cut", true),
        (4090, "{\"cut", false),
    ] {
        let text = whole(before) + cut;
        // The last, and before another; not before what is none.
        assert_eq!(judge(&said, &text).is_ok(), is_fine, "{cut}");
        assert_eq!(
            judge(&said, &(text.clone() + &whole(20))).is_ok(),
            is_fine,
            "{cut}"
        );
        assert!(judge(&said, &(text + "junk\n")).is_err(), "{cut}");
    }
}
