//! `https:` through curl, which resumes what an interrupted fetch left.

use std::fs;

use super::{Arrived, Job, tool::Tool};
use crate::error::{FetchError, io};

const CURL: Tool = Tool {
    names: &["curl"],
    package: "curl",
};

/// Name of the file in the work folder while and after it is fetched.
const FILE: &str = "download";

pub(super) fn fetch(job: &Job<'_>, url: &str) -> Result<Arrived, FetchError> {
    download(job, url, "=https")
}

/// `protocols`: what curl may follow a redirection to, in the syntax of its `--proto`.
fn download(job: &Job<'_>, url: &str, protocols: &str) -> Result<Arrived, FetchError> {
    let file = job.guard.work.join(FILE);
    let resumed = fs::metadata(&file).is_ok_and(|m| m.len() > 0);
    let result = run(job, url, protocols);
    if resumed && matches!(result, Err(FetchError::Client { .. })) {
        // The server may not resume, or what is there is longer than the file: from the start.
        fs::remove_file(&file).map_err(io("remove", &file))?;
        run(job, url, protocols)?;
    } else {
        result?;
    }
    Ok(Arrived {
        file,
        version: String::new(),
        registry: None,
    })
}

fn run(job: &Job<'_>, url: &str, protocols: &str) -> Result<(), FetchError> {
    let args = [
        "--fail",
        "--location",
        "--silent",
        "--show-error",
        "--netrc-optional",
        // Braces and brackets in the address are letters, not patterns.
        "--globoff",
        "--proto",
        protocols,
        "--proto-redir",
        protocols,
        "--retry",
        "2",
        "--connect-timeout",
        "30",
        // A transfer slower than 100 bytes a second for a minute is dead.
        "--speed-limit",
        "100",
        "--speed-time",
        "60",
        "--continue-at",
        "-",
        "--output",
        FILE,
        "--url",
        url,
    ];
    CURL.run(job, args, &[]).map(|_| ())
}
