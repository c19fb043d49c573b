//! Every property on its seeds and on damaged ones, for a moment: what CI runs. Long runs are
//! libFuzzer's, see `docs/fuzzing.md`.
//!
//! `FUZZ_SECONDS` sets the time for each property (default 2).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use polybuild_fuzz::{
    TARGETS, Target,
    mutate::{Random, mutate},
};

fn run(target: &Target, time: Duration) {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{}: no seeds", target.name);
    for seed in &seeds {
        check(target, seed);
    }
    let mut random = Random::new(1);
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < time {
        check(target, &mutate(&seeds, &mut random));
        count += 1;
    }
    eprintln!("{}: {count} inputs", target.name);
}

fn check(target: &Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.property)(input))).is_err() {
        let file = std::env::temp_dir().join(format!("fuzz-{}-finding", target.name));
        std::fs::write(&file, input).unwrap();
        panic!("{} does not hold for {}", target.name, file.display());
    }
}

#[test]
fn every_property_holds_on_damaged_seeds() {
    let seconds = std::env::var("FUZZ_SECONDS").ok();
    let seconds = seconds.and_then(|s| s.parse().ok()).unwrap_or(2);
    let only = std::env::var("FUZZ_TARGET").ok();
    for target in TARGETS {
        if only.as_ref().is_none_or(|name| name == target.name) {
            run(target, Duration::from_secs(seconds));
        }
    }
}

/// A libFuzzer binary for each property, and none without.
#[test]
fn every_property_has_its_fuzz_target() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/cargo-fuzz/");
    let manifest = std::fs::read_to_string(format!("{folder}Cargo.toml")).unwrap();
    let mut files: Vec<String> = std::fs::read_dir(format!("{folder}fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut expected = Vec::new();
    for target in TARGETS {
        expected.push(format!("{}.rs", target.name));
        assert!(manifest.contains(&format!("name = \"{}\"\n", target.name)));
        let text = std::fs::read_to_string(format!("{folder}fuzz_targets/{}.rs", target.name));
        assert!(
            text.unwrap()
                .contains(&format!("properties::{}(data)", target.name))
        );
    }
    expected.sort();
    assert_eq!(files, expected);
}

/// Seeds are good values; otherwise properties would be judged on refusals alone.
#[test]
fn seeds_are_accepted() {
    use megabinary_linker::{analyse, portable, verify::verify_elf};
    use polybuild_fuzz::seeds;

    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    for seed in seeds::portables() {
        portable::read(&seed).unwrap();
    }
    for seed in seeds::elves() {
        verify_elf(&seed, &[seeds::keys().public_key()]).unwrap();
    }
    for seed in &seeds::modules()[..4] {
        analyse("seed", seed).unwrap();
    }
    for (number, seed) in seeds::archives().iter().enumerate() {
        let to = folder.path().join(number.to_string());
        polybuild_fetch::extract(&put("archive", seed), &to, &Default::default()).unwrap();
    }
    for seed in &seeds::images()[2..] {
        let image =
            polybuild_oci::ReadImage::open(&put("image", seed), None, Default::default()).unwrap();
        assert!(image.flatten().unwrap().iter().count() > 3);
    }
    put("main.py", b"");
    put("glue.wat", b"");
    for seed in seeds::recipes() {
        let names = ["recipe.toml", "base.toml", "tool.toml"];
        for (name, text) in names.iter().zip(seed.split(|b| *b == 0)) {
            put(name, text);
        }
        let loaded = polybuild_recipe::load(&folder.path().join("recipe.toml"));
        if let Err(error) = loaded {
            panic!("{error}: {:?}", error.problems);
        }
    }
}
