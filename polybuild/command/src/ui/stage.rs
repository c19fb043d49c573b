//! One stage of work on screen.

use std::time::Instant;

use indicatif::ProgressBar;

use super::{Ui, bar_style};

/// A stage that has begun; dropping it without [`Stage::finish`] leaves no line behind.
pub struct Stage {
    ui: Ui,
    verb: &'static str,
    what: String,
    begun: Instant,
    bar: Option<ProgressBar>,
    finished: bool,
}

impl Stage {
    pub(super) fn new(ui: Ui, verb: &'static str, what: String, bar: Option<ProgressBar>) -> Stage {
        ui.event(&serde_json::json!({"event": "begin", "stage": verb, "what": what}));
        Stage {
            ui,
            verb,
            what,
            begun: Instant::now(),
            bar,
            finished: false,
        }
    }

    /// Bytes done so far, of how many if that is known.
    pub fn bytes(&self, done: u64, total: Option<u64>) {
        if let Some(bar) = &self.bar
            && let Some(total) = total
        {
            if bar.length() != Some(total) {
                bar.set_length(total);
                bar.set_style(bar_style());
            }
            bar.set_position(done);
        }
    }

    /// What the stage is busy with now.
    pub fn busy_with(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} ({what})", self.what));
        }
    }

    /// Ends the stage with a line that says what came of it.
    pub fn finish(mut self, outcome: &str) {
        self.finished = true;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        self.ui.event(&serde_json::json!({
            "event": "end", "stage": self.verb, "what": self.what, "outcome": outcome,
            "seconds": (seconds * 1000.0).round() / 1000.0,
        }));
        let time = if seconds >= 0.5 {
            format!(" in {seconds:.1} s")
        } else {
            String::new()
        };
        let outcome = if outcome.is_empty() {
            String::new()
        } else {
            format!(": {outcome}")
        };
        self.ui
            .done(self.verb, &format!("{}{outcome}{time}", self.what));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if !self.finished {
            self.ui.event(
                &serde_json::json!({"event": "abandoned", "stage": self.verb, "what": self.what}),
            );
        }
    }
}
