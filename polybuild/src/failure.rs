//! The one boundary between errors inside and what a person or a script sees: a message, a hint,
//! an exit status.

use std::{error::Error, fmt::Write as _};

use crate::exit::{self, Status};

/// Why a command did not succeed.
#[derive(Debug)]
pub struct Failure {
    status: Status,
    message: String,
    hint: Option<String>,
}

/// What commands return.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure with `error` and all its causes as its message.
    pub fn new(status: Status, error: &(dyn Error + 'static)) -> Failure {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Many errors print their cause themselves.
            if !message.contains(&text) {
                let _ = write!(message, ": {text}");
            }
            cause = error.source();
        }
        Failure { status, message, hint: None }
    }

    /// A failure with a message of our own.
    pub fn message(status: Status, message: impl Into<String>) -> Failure {
        Failure { status, message: message.into(), hint: None }
    }

    /// A failure that shows the place in a file.
    pub fn diagnostic(status: Status, error: impl miette::Diagnostic + Send + Sync + 'static) -> Failure {
        Failure { status, message: format!("{:?}", miette::Report::new(error)), hint: None }
    }

    /// The recipe or its inputs are wrong.
    pub fn recipe(error: impl Error + 'static) -> Failure {
        Failure::new(exit::RECIPE, &error)
    }

    /// The machine cannot do it.
    pub fn environment(error: impl Error + 'static) -> Failure {
        Failure::new(exit::ENVIRONMENT, &error)
    }

    /// A bug.
    pub fn internal(error: impl Error + 'static) -> Failure {
        Failure::new(exit::INTERNAL, &error)
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// The exit status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The text for people.
    pub fn text(&self) -> String {
        let mut text = format!("error: {}\n", self.message.trim_end());
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, " hint: {hint}");
        }
        text
    }

    /// The event for machines.
    pub fn event(&self) -> serde_json::Value {
        serde_json::json!({
            "event": "error",
            "status": self.status.code,
            "message": self.message,
            "hint": self.hint,
        })
    }
}

/// Reads, writes and the like on `path`: says what was being done when it failed.
pub trait IoContext<T> {
    /// Adds what was being done, and on what.
    fn doing(self, doing: &str, path: &std::path::Path) -> Result<T>;
}

impl<T, E: std::fmt::Display> IoContext<T> for std::result::Result<T, E> {
    fn doing(self, doing: &str, path: &std::path::Path) -> Result<T> {
        self.map_err(|e| {
            Failure::message(exit::ENVIRONMENT, format!("{doing} {}: {e}", path.display()))
        })
    }
}
