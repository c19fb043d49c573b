//! Audit events: what was launched, what was refused and how programs ended, as JSON lines.
//!
//! For: an operator who collects one stream per container. Not for: diagnostics of the vkernel
//! (those go to stderr as text), nor a log that the guest can write to.
//!
//! Invariants: every event is **one line, written by one `write(2)`** of at most [`MAX_LINE`]
//! bytes, so lines of several processes do not mix on a pipe (`pipe(7)`, PIPE_BUF) or in a file
//! opened for appending; every line is valid JSON whatever bytes the guest chose; an event that
//! could not be written is counted, and the next line says how many are missing (`dropped`).
//! There is no global state: whoever audits holds an [`Audit`], which is cheap to clone.

mod config;
mod json;
mod stream;
mod time;

use std::{
    fmt, io,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use megabinary_format::{Digest, Limit};

pub use config::ENV;
use json::Line;
use stream::Stream;

/// Longest line in bytes, line end included: PIPE_BUF of Linux (`pipe(7)`).
pub const MAX_LINE: usize = 4096;

/// A handle to the audit stream; [`Audit::off`] by default.
///
/// Clones share the stream. All methods return nothing: auditing never changes what the audited
/// program sees. A failed write is counted (see [`Audit::dropped`]).
#[derive(Clone, Debug, Default)]
pub struct Audit {
    sink: Option<Arc<Sink>>,
}

#[derive(Debug)]
struct Sink {
    stream: Stream,
    /// Events lost since the last line that was written.
    dropped: AtomicU64,
}

/// Why an audit stream could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The value of [`ENV`] has none of the known forms.
    #[error(
        "{ENV}={value}: expected `off`, `stderr`, `fd:N` with N a descriptor number, or an \
         absolute path"
    )]
    Syntax {
        /// The value found.
        value: String,
    },
    /// The descriptor is not open for writing.
    #[error("{ENV} names descriptor {fd}, which cannot be written: {source}")]
    Descriptor {
        /// Its number.
        fd: i32,
        /// What the host kernel said.
        source: io::Error,
    },
    /// The file cannot be opened.
    #[error("{ENV} names the file {}, which cannot be opened for appending: {source}", path.display())]
    Open {
        /// Its path.
        path: PathBuf,
        /// What the host kernel said.
        source: io::Error,
    },
}

/// A program launch, as it is audited.
#[derive(Clone, Copy, Debug)]
pub struct LaunchEvent<'a> {
    /// Guest path of the program.
    pub program: &'a [u8],
    /// Name of the entry.
    pub entry: &'a str,
    /// Digest of the file at the program's path, the key of the route; `None` when an entry was
    /// started by name.
    pub stub: Option<&'a Digest>,
    /// Digest of the entry.
    pub entry_digest: &'a Digest,
    /// Digest of the module.
    pub module: &'a Digest,
    /// The guest's arguments.
    pub argv: &'a [Vec<u8>],
}

impl Audit {
    /// No stream: every event costs one comparison.
    pub fn off() -> Audit {
        Audit::default()
    }

    /// Events go to `fd`, which must be writable; the handle closes it when the last clone goes.
    pub fn to_fd(fd: OwnedFd) -> Audit {
        Audit {
            sink: Some(Arc::new(Sink {
                stream: Stream::new(fd),
                dropped: AtomicU64::new(0),
            })),
        }
    }

    /// Moves the stream's descriptor out of a guest's reach, for all clones. Only in a process that
    /// has one thread.
    pub(crate) fn move_by(
        &self,
        act: impl FnOnce(OwnedFd) -> io::Result<OwnedFd>,
    ) -> io::Result<()> {
        match &self.sink {
            Some(sink) => sink.stream.move_by(act),
            None => Ok(()),
        }
    }

    /// Whether events go anywhere.
    pub fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    /// Events lost since the last line that was written.
    pub fn dropped(&self) -> u64 {
        self.sink
            .as_ref()
            .map_or(0, |sink| sink.dropped.load(Ordering::Relaxed))
    }

    /// A program starts.
    pub fn launch(&self, event: &LaunchEvent<'_>) {
        self.emit("launch", |line| {
            line.bytes("program", event.program);
            line.text("entry", event.entry);
            if let Some(stub) = event.stub {
                line.text("stub", &stub.to_string());
            }
            line.text("entry_digest", &event.entry_digest.to_string());
            line.text("module", &event.module.to_string());
            line.list("argv", event.argv);
        });
    }

    /// Something was refused: `operation` (a host or guest call, `execve`, `path_open`), on
    /// `object` (a path, a number), for `reason`, with the name of the errno the guest saw
    /// (`EACCES`).
    pub fn refuse(&self, operation: &str, object: &[u8], reason: &str, errno: &str) {
        self.emit("refusal", |line| {
            line.text("operation", operation);
            line.text("errno", errno);
            line.text("reason", reason);
            line.bytes("object", object);
        });
    }

    /// The guest trapped; `function` is where, if known.
    pub fn trap(&self, program: &[u8], trap: &str, function: Option<&str>) {
        self.emit("trap", |line| {
            line.bytes("program", program);
            line.text("trap", trap);
            if let Some(function) = function {
                line.text("function", function);
            }
        });
    }

    /// A limit of the policy ended the guest: its key in the recipe and its value.
    pub fn limit(&self, limit: Limit, value: u64) {
        self.emit("limit", |line| {
            line.text("limit", limit.key());
            line.number("value", value);
        });
    }

    /// The program's snapshot could not serve this start, and it begins afresh.
    pub fn cold_start(&self, program: &[u8]) {
        self.emit("cold-start", |line| line.bytes("program", program));
    }

    /// The guest exited with `status`.
    pub fn exit(&self, program: &[u8], status: i32) {
        self.emit("exit", |line| {
            line.bytes("program", program);
            line.signed("status", i64::from(status));
        });
    }

    fn emit(&self, event: &str, fields: impl FnOnce(&mut Line)) {
        let Some(sink) = &self.sink else { return };
        let mut line = Line::begin();
        line.text("time", time::utc(SystemTime::now()).as_str());
        line.number("pid", u64::from(std::process::id()));
        line.text("event", event);
        let dropped = sink.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            line.number("dropped", dropped);
        }
        fields(&mut line);
        if !sink.write(&line.end()) {
            sink.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
    }

    /// The parts of a `limit` line between which a signal handler can put the time: what comes
    /// before it and what comes after. With [`Audit::raw_fd`], for [`crate::signals`] only.
    pub(crate) fn limit_parts(limit: Limit, value: u64) -> (Vec<u8>, Vec<u8>) {
        let mut line = Line::begin();
        line.text("time", "");
        line.number("pid", u64::from(std::process::id()));
        line.text("event", "limit");
        line.text("limit", limit.key());
        line.number("value", value);
        let mut before = line.end();
        let after = before.split_off(TIME_AT);
        (before, after)
    }

    /// The stream's descriptor.
    pub(crate) fn raw_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.sink.as_ref().map(|sink| sink.stream.fd())
    }
}

pub(crate) use time::Timestamp;

/// Offset of the time's first digit in every line: after `{"time":"`.
const TIME_AT: usize = 9;

impl Sink {
    /// One write; a line that did not go out whole counts as lost. Only a full disk or a pipe in
    /// non-blocking mode can do that to so short a line; and the host kernel, which ends the write of
    /// a process that is being killed where a page of the file ends.
    fn write(&self, line: &[u8]) -> bool {
        crate::confine::files::without_limit(|| {
            loop {
                match rustix::io::write(self.stream.fd(), line) {
                    Err(rustix::io::Errno::INTR) => continue,
                    done => return done == Ok(line.len()),
                }
            }
        })
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "on" } else { "off" })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// What the events written by `act` look like, with time and pid checked and cut off.
    fn lines(act: impl FnOnce(&Audit)) -> Vec<String> {
        let (mut reader, writer) = io::pipe().unwrap();
        act(&Audit::to_fd(writer.into()));
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        let pid = format!(r#"","pid":{},"#, std::process::id());
        all.lines()
            .map(|line| {
                assert!(line.len() < MAX_LINE, "{} bytes", line.len());
                let rest = line.strip_prefix(r#"{"time":""#).unwrap();
                let (time, rest) = rest.split_at(30);
                assert!(time.ends_with('Z') && time.starts_with("20"), "{time}");
                format!("{{{}", rest.strip_prefix(&pid).unwrap())
            })
            .collect()
    }

    fn check(act: impl FnOnce(&Audit), expected: &str) {
        assert_eq!(lines(act), [expected]);
    }

    #[test]
    fn events() {
        let digest = Digest([0xab; 32]);
        let hex = digest.to_string();
        check(
            |a| {
                a.launch(&LaunchEvent {
                    program: b"/usr/bin/python3",
                    entry: "python3",
                    stub: Some(&digest),
                    entry_digest: &digest,
                    module: &digest,
                    argv: &[b"python3".to_vec(), b"a\"b\\\n".to_vec()],
                })
            },
            &format!(
                concat!(
                    r#"{{"event":"launch","program":"/usr/bin/python3","entry":"python3","#,
                    r#""stub":"{0}","entry_digest":"{0}","module":"{0}","#,
                    r#""argv":["python3","a\"b\\\n"]}}"#
                ),
                hex
            ),
        );
        check(
            |a| a.refuse("execve", b"/bin/\xff", "no route", "EACCES"),
            concat!(
                r#"{"event":"refusal","operation":"execve","errno":"EACCES","reason":"no route","#,
                "\"object\":\"/bin/\u{fffd}\",\"object_hex\":\"2f62696e2fff\"}"
            ),
        );
        check(
            |a| a.trap(b"p", "unreachable", Some("abort")),
            r#"{"event":"trap","program":"p","trap":"unreachable","function":"abort"}"#,
        );
        check(
            |a| a.limit(Limit::WallTime, 1500),
            r#"{"event":"limit","limit":"wall-time-max","value":1500}"#,
        );
        check(
            |a| a.cold_start(b"p"),
            r#"{"event":"cold-start","program":"p"}"#,
        );
        check(
            |a| a.exit(b"p", -1),
            r#"{"event":"exit","program":"p","status":-1}"#,
        );
    }

    #[test]
    fn long_lines_are_cut_and_say_so() {
        let digest = Digest([0; 32]);
        let argv: Vec<Vec<u8>> = (0..10_000).map(|i| format!("{i}").into_bytes()).collect();
        let long = [b'\x01'; 100_000];
        let all = lines(|a| {
            a.launch(&LaunchEvent {
                program: &long,
                entry: "e",
                stub: None,
                entry_digest: &digest,
                module: &digest,
                argv: &argv,
            })
        });
        assert_eq!(all.len(), 1);
        assert!(all[0].contains(r#""program_bytes":100000"#), "{}", all[0]);
        assert!(all[0].ends_with(r#"],"argv_count":10000}"#), "{}", all[0]);
    }

    #[test]
    fn off_is_silent_and_losses_are_counted() {
        let off = Audit::off();
        off.exit(b"p", 0);
        assert!(!off.is_on() && off.dropped() == 0);

        let (reader, writer) = io::pipe().unwrap();
        let audit = Audit::to_fd(writer.into());
        drop(reader); // Rust ignores SIGPIPE: writes now fail with EPIPE.
        audit.exit(b"p", 0);
        audit.clone().exit(b"p", 0);
        assert_eq!(audit.dropped(), 2);
    }

    #[test]
    fn limit_parts_make_a_line() {
        let (mut line, after) = Audit::limit_parts(Limit::WallTime, 7);
        line.extend_from_slice(&after);
        let text = String::from_utf8(line).unwrap();
        assert!(
            text.starts_with(r#"{"time":"","pid":"#) && text.ends_with("7}\n"),
            "{text}"
        );
        assert_eq!(after.first(), Some(&b'"'));
    }
}
