//! The generated page of system calls is that of the table and of the cases. `VKERNEL_BLESS=1 cargo test -p
//! polybuild-e2e --test docs` writes it anew.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::fs;

use polybuild_e2e::{linux::all_cases, support_page::support_page, workspace};
use vkernel_abi::wali::{By, SYSCALLS};

#[test]
fn syscalls() {
    let path = workspace().join("docs/syscalls.md");
    let expected = support_page(&all_cases());
    if std::env::var_os("VKERNEL_BLESS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == expected,
        "docs/syscalls.md is stale; run `VKERNEL_BLESS=1 cargo test -p polybuild-e2e --test docs`"
    );
}

/// A call is only called supported if a case is about it.
#[test]
fn every_answered_call_has_its_case() {
    let cases = all_cases();
    for call in SYSCALLS {
        let is_answered = matches!(call.by, By::Host | By::Vkernel);
        let has_case = cases
            .iter()
            .any(|case| case.calls.contains(&call.name.to_owned()));
        assert!(has_case || !is_answered, "no case is about {}", call.name);
    }
}

#[test]
fn heads_of_cases_say_what_they_are_about() {
    for case in all_cases() {
        assert!(
            case.about.len() > 10,
            "{}: no `/* about: ... */`",
            case.name
        );
        for (at, name) in case.calls.iter().enumerate() {
            let call = SYSCALLS.iter().find(|call| call.name == *name);
            let is_answered = call.is_some_and(|call| call.by != By::Nobody);
            assert!(is_answered, "{}: {name} is not answered", case.name);
            assert!(
                !case.calls[..at].contains(name),
                "{}: {name} twice",
                case.name
            );
        }
    }
}
