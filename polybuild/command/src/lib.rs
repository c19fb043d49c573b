//! The `polybuild` command: arguments, the pipeline, progress, errors.
//!
//! The only part of the project that reads flags, environment and terminal. The program
//! calls [`run`]; everything else is a module here so that tests and other tools can reach it.

pub mod args;
pub mod base_recipes;
pub mod commands;
pub mod confine;
pub mod dirs;
pub mod exit;
pub mod failure;
pub mod files;
mod interrupt;
pub mod keys;
pub mod launchers;
pub mod pipeline;
pub mod scratch;
pub mod trusted;
pub mod ui;

use std::{ffi::OsString, path::Path};

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::{args::Cli, failure::Failure, ui::Ui};

/// Runs one command line, the program's name first; returns the exit status.
pub fn run(
    arguments: Vec<OsString>,
    launchers: &'static launchers::Launchers,
    recipes: &'static [base_recipes::File],
) -> i32 {
    launchers::set(launchers);
    base_recipes::set(recipes);
    if let Some(status) = confine::succeeded(&arguments) {
        return status;
    }
    confine::keep_descriptors();
    if let Some(status) = interrupt::succeeded(&arguments) {
        return status;
    }
    commands::doctor::answered(&arguments);
    let cli = match Cli::try_parse_from(with_default_command(arguments)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let help = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            return if help { 0 } else { i32::from(exit::USAGE.code) };
        }
    };
    trace(cli.global.verbose);
    let ui = Ui::new(cli.global.quiet, cli.global.json);
    if let Err(error) = interrupt::install(&ui) {
        return report(&ui, &Failure::environment(error));
    }
    let result = commands::run(&ui, cli);
    interrupt::settle(result.is_err());
    match result {
        Ok(status) => status,
        Err(failure) => report(&ui, &failure),
    }
}

/// The command as clap knows it, with the table of exit statuses at its end.
fn command() -> clap::Command {
    Cli::command().after_help(exit::table())
}

/// `polybuild recipe.toml` means `polybuild build recipe.toml`: when the first word that is not
/// an option looks like a path and is no command.
fn with_default_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let command = command();
    let mut value_follows = false;
    for at in 1..arguments.len() {
        // What is not UTF-8 can only be a path.
        let word = &*arguments[at].to_string_lossy();
        if std::mem::take(&mut value_follows) {
            continue;
        }
        if word.starts_with('-') {
            value_follows = matches!(word, "--cache");
            if word == "--" {
                break;
            }
            continue;
        }
        let known = word == "help" || command.get_subcommands().any(|c| c.get_name() == word);
        let path_like =
            word.contains('/') || word.ends_with(".toml") || Path::new(&arguments[at]).exists();
        if !known && path_like {
            arguments.insert(at, "build".into());
        }
        break;
    }
    arguments
}

fn report(ui: &Ui, failure: &Failure) -> i32 {
    if ui.json() {
        ui.event(&failure.event());
    }
    // A closed standard error leaves nobody to tell.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), failure.text().as_bytes());
    i32::from(failure.status().code)
}

fn trace(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expected: &[&str]) {
        let words = words.iter().map(OsString::from).collect();
        let expected: Vec<OsString> = expected.iter().map(OsString::from).collect();
        assert_eq!(with_default_command(words), expected);
    }

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_path_means_build() {
        check(&["p", "a/recipe.toml"], &["p", "build", "a/recipe.toml"]);
        check(
            &["p", "-q", "recipe.toml"],
            &["p", "-q", "build", "recipe.toml"],
        );
        check(
            &["p", "--cache", "c/d", "x.toml"],
            &["p", "--cache", "c/d", "build", "x.toml"],
        );
        check(&["p", "verify", "out/x"], &["p", "verify", "out/x"]);
        check(&["p", "biuld"], &["p", "biuld"]);
        check(&["p"], &["p"]);
    }

    #[test]
    fn exit_statuses_are_distinct() {
        let mut codes: Vec<u8> = exit::ALL.iter().map(|s| s.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), exit::ALL.len());
    }
}
