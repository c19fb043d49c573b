//! Sequences of system calls made of the table of calls, with oracles after each call
//! (`tests/e2e/src/sequences`, `docs/fuzzing.md`).
//!
//! | variable | meaning |
//! |---|---|
//! | `SEQUENCES_SECONDS` | for how long; without it, a number of sequences that takes some seconds |
//! | `SEQUENCES_GUEST` | `single` or `threads` alone |
//! | `SEQUENCES_SEED` | the first seed (1) |
//! | `SEQUENCES_STEPS` | steps of each sequence (90) |
//! | `SEQUENCES_ONLY` | one sequence again: `single:SEED` or `threads:SEED` |
//! | `SEQUENCES_KNOWN` | kinds of findings that are passed over, between commas |
//! | `SEQUENCES_LAUNCHER` | another launcher than the one that is shipped: a file |
//! | `SEQUENCES_TRACE` | says each step when it has been made |
//! | `SEQUENCES_ALL` | goes on after a finding, to the end; each kind is told once |
//!
//! Needs root, `out/musl-1.2.5` and `tests/install`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use polybuild_e2e::{
    linux::each,
    sequences::{Bench, Case, session::Ended},
};

/// Sequences of each guest without `SEQUENCES_SECONDS`.
const FEW: u64 = 12;

fn setting(name: &str) -> Option<String> {
    std::env::var(format!("SEQUENCES_{name}")).ok()
}

fn number(name: &str, default: u64) -> u64 {
    setting(name).map_or(default, |text| text.parse().unwrap())
}

/// A finding of a kind: when, and all that is known of it.
type Found = BTreeMap<&'static str, (Duration, String)>;

#[test]
fn sequences_of_calls_change_nothing_that_is_not_the_guests() {
    let launcher = setting("LAUNCHER").map(std::path::PathBuf::from);
    let mut bench = Bench::new(launcher.as_deref());
    if let Some(known) = setting("KNOWN") {
        bench.known = known.split(',').map(str::to_owned).collect();
    }
    let (bench, len) = (&bench, number("STEPS", 90) as usize);
    if let Some(only) = setting("ONLY") {
        let (guest, seed) = only.split_once(':').unwrap();
        let threads = guest == "threads";
        let case = Case {
            threads,
            seed: seed.parse().unwrap(),
            len,
        };
        let steps = bench.steps(case);
        let outcome = bench.run(case, &steps);
        assert!(outcome.is_ok(), "{outcome:?}\n{}", bench.text(&steps));
        return;
    }
    let guests: &[bool] = match setting("GUEST").as_deref() {
        Some("single") => &[false],
        Some("threads") => &[true],
        _ => &[false, true],
    };
    let (first, all) = (number("SEED", 1), setting("ALL").is_some());
    let limit = setting("SECONDS").map(|text| Duration::from_secs(text.parse().unwrap()));
    let (next, start) = (AtomicU64::new(0), Instant::now());
    let found: Mutex<Found> = Mutex::default();
    let ended: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    each(&[0, 1], |_| {
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let is_over = match limit {
                Some(limit) => start.elapsed() > limit,
                None => turn >= FEW * guests.len() as u64,
            };
            if is_over || !all && !found.lock().unwrap().is_empty() {
                break;
            }
            let case = Case {
                threads: guests[turn as usize % guests.len()],
                seed: first + turn / guests.len() as u64,
                len,
            };
            let steps = bench.steps(case);
            let outcome = bench.run(case, &steps);
            let word = match &outcome {
                Ok(Ended::Done) => "whole",
                Ok(Ended::Guest) => "ended by the guest",
                Ok(Ended::Waited) => "ended since a call waited",
                Err(_) => "findings",
            };
            *ended.lock().unwrap().entry(word).or_default() += 1;
            let Err(finding) = outcome else { continue };
            let at = start.elapsed();
            let guest = if case.threads { "threads" } else { "single" };
            let text = format!(
                "{} (SEQUENCES_ONLY={guest}:{} SEQUENCES_STEPS={len}, after step {}): {}",
                finding.kind, case.seed, finding.step, finding.what
            );
            let is_new = !found.lock().unwrap().contains_key(finding.kind);
            if is_new {
                eprintln!("after {:.1} s: {text}", at.as_secs_f64());
                found
                    .lock()
                    .unwrap()
                    .insert(finding.kind, (at, text.clone()));
                let until = &steps[..(finding.step + 1).min(steps.len())];
                let short = bench.shorten(case, until, finding.kind, Duration::from_secs(20));
                let text = format!("{text}\nshortened:\n{}", bench.text(&short));
                found.lock().unwrap().insert(finding.kind, (at, text));
            }
        }
    });
    let (found, ended) = (found.into_inner().unwrap(), ended.into_inner().unwrap());
    eprintln!(
        "{:.0} s: sequences {ended:?}",
        start.elapsed().as_secs_f64()
    );
    for (at, text) in found.values() {
        eprintln!("\nafter {:.1} s: {text}", at.as_secs_f64());
    }
    assert!(found.is_empty(), "{} kinds of findings", found.len());
    let sum: u64 = ended.values().sum();
    let whole = ended.get("whole").copied().unwrap_or(0);
    assert!(
        whole * 3 > sum,
        "hardly any sequence was made as a whole: {ended:?}"
    );
}
