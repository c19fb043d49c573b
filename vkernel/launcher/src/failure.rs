//! Why nothing was run: one line on standard error, an exit status, perhaps an audit event.

use std::io::{self, Write};

use megabinary_format::Limit;
use vkernel_abi::exit;
use vkernel_engine::EngineError;
use vkernel_kernel::{
    BuildError,
    audit::{Audit, AuditError},
    confine::ConfineError,
    exec::ExecError,
};
use vkernel_sandbox::Refused;

use crate::{command_line::UsageError, payload::PayloadError};

/// A launch that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    status: i32,
    message: String,
    refusal: Option<Refusal>,
    /// The policy's key and value, where a limit is the reason.
    limit: Option<(Limit, u64)>,
}

#[derive(Debug)]
struct Refusal {
    path: Vec<u8>,
    errno: &'static str,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure {
            status: exit::VKERNEL,
            message: message.into(),
            refusal: None,
            limit: None,
        }
    }

    /// A host call that failed while doing something.
    pub(crate) fn host(doing: &'static str) -> impl FnOnce(io::Error) -> Failure {
        move |error| Failure::new(format!("{doing}: {error}"))
    }

    pub(crate) fn confine(error: ConfineError) -> Failure {
        Failure::new(format!("confining this process: {error}; nothing was run"))
    }

    pub(crate) fn status(&self) -> i32 {
        self.status
    }

    pub(crate) fn print(&self) {
        say(&self.message);
    }

    pub(crate) fn audit(&self, audit: &Audit) {
        if let Some(refusal) = &self.refusal {
            audit.refuse("execve", &refusal.path, &self.message, refusal.errno);
        }
        if let Some((limit, value)) = self.limit {
            audit.limit(limit, value);
        }
    }
}

impl From<ExecError> for Failure {
    fn from(error: ExecError) -> Failure {
        Failure {
            status: error.exit_code(),
            message: error.to_string(),
            refusal: Some(Refusal {
                path: error.path().to_vec(),
                errno: error.errno_name(),
            }),
            limit: None,
        }
    }
}

macro_rules! from {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::new(error.to_string())
            }
        })*
    };
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::new(format!(
            "opening the megabinary's own file, /proc/self/exe: {error}; is /proc mounted?"
        ))
    }
}

from!(PayloadError, UsageError, BuildError, AuditError, Refused);

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        let failure = Failure::new(error.to_string());
        match error {
            EngineError::MemoryLimit { limit, .. } => Failure {
                status: exit::LIMIT,
                limit: Some((Limit::Memory, limit)),
                ..failure
            },
            _ => failure,
        }
    }
}

/// One message of the vkernel on standard error; a closed one leaves nobody to tell.
pub(crate) fn say(message: &str) {
    let _ = io::stderr().write_all(format!("vkernel: {message}\n").as_bytes());
}

/// Ends the process at once.
#[allow(unsafe_code)]
pub fn end(status: i32) -> ! {
    // SAFETY: _exit runs nothing of this process; there is nothing left that should run.
    unsafe { libc::_exit(status) }
}
