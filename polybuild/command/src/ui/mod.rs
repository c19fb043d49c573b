//! What people and machines see while work goes on: bars on a terminal, plain lines otherwise,
//! JSON lines on request, nothing when quiet.
//!
//! Results go to standard output, progress to standard error. A closed pipe is not an error.

mod stage;

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
pub use stage::Stage;

/// How to show things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Bars,
    Lines,
    Json,
    Quiet,
}

/// The one place that writes to the terminal.
#[derive(Clone)]
pub struct Ui {
    mode: Mode,
    bars: MultiProgress,
}

impl Ui {
    /// Chooses the mode from the flags and from what standard error is.
    pub fn new(quiet: bool, json: bool) -> Ui {
        let mode = match (quiet, json) {
            (true, _) => Mode::Quiet,
            (_, true) => Mode::Json,
            _ if std::io::stderr().is_terminal() => Mode::Bars,
            _ => Mode::Lines,
        };
        Ui {
            mode,
            bars: MultiProgress::new(),
        }
    }

    /// Whether results are to be JSON.
    pub fn json(&self) -> bool {
        self.mode == Mode::Json
    }

    /// Takes all bars off the terminal.
    pub(crate) fn clear(&self) {
        let _ = self.bars.clear();
    }

    /// Begins a stage of work, shown until it is finished or dropped.
    pub fn stage(&self, verb: &'static str, what: &str) -> Stage {
        let bar = match self.mode {
            Mode::Bars => {
                let bar = self.bars.add(ProgressBar::new_spinner());
                bar.set_style(spinner());
                bar.set_prefix(format!("{verb:>12}"));
                bar.set_message(what.to_owned());
                bar.enable_steady_tick(Duration::from_millis(100));
                Some(bar)
            }
            _ => None,
        };
        Stage::new(self.clone(), verb, what.to_owned(), bar)
    }

    /// A line of progress that stays: a finished stage.
    pub(crate) fn done(&self, verb: &str, text: &str) {
        match self.mode {
            Mode::Quiet | Mode::Json => {}
            Mode::Bars | Mode::Lines => self.line(&format!("{verb:>12} {text}")),
        }
    }

    /// Something the user should know although work goes on.
    pub fn warn(&self, text: &str) {
        match self.mode {
            Mode::Quiet => {}
            Mode::Json => self.event(&serde_json::json!({"event": "warning", "text": text})),
            _ => self.line(&format!("{:>12} {text}", "warning:")),
        }
    }

    /// An event for machines; ignored unless `--json`.
    pub fn event(&self, value: &serde_json::Value) {
        if self.mode == Mode::Json {
            out(&format!("{value}\n"));
        }
    }

    /// A result: text for people or, with `--json`, the value.
    pub fn result(&self, text: &str, value: &serde_json::Value) {
        match self.mode {
            Mode::Json => out(&format!("{value}\n")),
            Mode::Quiet => {}
            _ => out(text),
        }
    }

    fn line(&self, text: &str) {
        match self.mode {
            Mode::Bars => {
                let _ = self.bars.println(text);
            }
            _ => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    }
}

/// A path in a result. What is not UTF-8 in it is replaced, since JSON has no other texts.
pub(crate) fn shown(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// Writes to standard output; a closed pipe only means that nobody reads on.
pub fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:.cyan} {msg} {spinner} {elapsed:.dim}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

pub(crate) fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template(
        "{prefix:.cyan} {msg} {bar:24.cyan/dim} {binary_bytes}/{binary_total_bytes} {elapsed:.dim}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A size for people, in binary units.
pub fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
