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
        let mut hint = hint_of(error);
        let mut cause = error.source();
        while let Some(error) = cause {
            hint = hint.or_else(|| hint_of(error));
            let text = error.to_string();
            // Many errors print their cause themselves.
            if !message.contains(&text) {
                let _ = write!(message, ": {text}");
            }
            cause = error.source();
        }
        Failure {
            status,
            message,
            hint: hint.map(Into::into),
        }
    }

    /// A failure with a message of our own.
    pub fn message(status: Status, message: impl Into<String>) -> Failure {
        Failure {
            status,
            message: message.into(),
            hint: None,
        }
    }

    /// A failure that shows the place in a file.
    pub fn diagnostic(
        status: Status,
        error: impl miette::Diagnostic + Send + Sync + 'static,
    ) -> Failure {
        let text = format!("{:?}", miette::Report::new(error));
        // It stands after `error: ` already.
        let text = text
            .trim_start()
            .trim_start_matches("× ")
            .replace("\nError: \n", "\n");
        Failure {
            status,
            message: text,
            hint: None,
        }
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

    /// Says what was being done, before everything else.
    pub fn while_doing(mut self, doing: &str) -> Failure {
        self.message = format!("{doing}: {}", self.message);
        self
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

impl<T, E: Error + 'static> IoContext<T> for std::result::Result<T, E> {
    fn doing(self, doing: &str, path: &std::path::Path) -> Result<T> {
        self.map_err(|e| {
            Failure::new(exit::ENVIRONMENT, &e).while_doing(&format!("{doing} {}", path.display()))
        })
    }
}

/// What to do about an error of the system, where that is the same whatever was being done.
fn hint_of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    use std::io::ErrorKind as K;
    let kind = match error.downcast_ref::<std::io::Error>() {
        Some(error) => error.kind(),
        None => std::io::Error::from(*error.downcast_ref::<rustix::io::Errno>()?).kind(),
    };
    Some(match kind {
        K::StorageFull | K::QuotaExceeded => {
            "make room on that disk, or choose another place with --output or --cache"
        }
        K::FileTooLarge => "raise the limit of file sizes (ulimit -f)",
        K::PermissionDenied | K::ReadOnlyFilesystem => {
            "choose a place that you may write to with --output or --cache, or check its permissions"
        }
        _ => return None,
    })
}
