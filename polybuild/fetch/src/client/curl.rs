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

/// Downloads what another client has named, under a name of its own, from the start.
pub(super) fn fetch_named(
    job: &Job<'_>,
    url: &str,
    protocols: &str,
) -> Result<Arrived, FetchError> {
    let file = job.guard.work.join(FILE);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io("remove", &file)(error))
        }
        _ => download(job, url, protocols),
    }
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
        resumed,
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

/// Downloads a file of at most `size` bytes into the work folder, over what may be there. Its digest
/// is pinned, so that any protocol of the web will do.
pub(crate) fn file(job: &Job<'_>, url: &str, file: &str, size: u64) -> Result<(), FetchError> {
    let size = size.to_string();
    let args = [
        "--fail",
        "--location",
        "--silent",
        "--show-error",
        "--netrc-optional",
        "--globoff",
        "--proto",
        "=http,https",
        "--proto-redir",
        "=http,https",
        "--retry",
        "2",
        "--connect-timeout",
        "30",
        "--speed-limit",
        "100",
        "--speed-time",
        "60",
        "--max-filesize",
        &size,
        "--output",
        file,
        "--url",
        url,
    ];
    CURL.run(job, args, &[]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::TcpListener,
        path::Path,
    };

    use super::*;
    use crate::{Cache, Options, Request};

    const BODY: &str = "0123456789";

    /// A server on the loopback for `n` requests: `/ok` resumes, `/whole` does not, `/short`
    /// breaks off in the middle. Returns its address.
    fn serve(n: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for _ in 0..n {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = Vec::new();
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    match line.unwrap() {
                        line if line.is_empty() => break,
                        line => head.push(line.to_ascii_lowercase()),
                    }
                }
                let range = head.iter().find_map(|l| l.strip_prefix("range: bytes="));
                let start: usize = range.map_or(0, |r| r.trim_end_matches('-').parse().unwrap());
                let whole = BODY.len();
                let reply = match head[0].split(' ').nth(1).unwrap() {
                    "/ok" if start > 0 => format!(
                        "206 Partial Content\r\ncontent-range: bytes {start}-{}/{whole}\r\n\
                         content-length: {}\r\n\r\n{}",
                        whole - 1,
                        whole - start,
                        &BODY[start..]
                    ),
                    "/ok" | "/whole" => format!("200 OK\r\ncontent-length: {whole}\r\n\r\n{BODY}"),
                    "/short" => format!("200 OK\r\ncontent-length: {whole}\r\n\r\n{}", &BODY[..4]),
                    _ => "404 Not Found\r\ncontent-length: 0\r\n\r\n".into(),
                };
                let _ = write!(stream, "HTTP/1.1 {reply}");
            }
        });
        format!("http://{address}")
    }

    /// Downloads over what is left of an earlier try.
    fn get(cache: &Path, url: &str, left: &str) -> Result<String, FetchError> {
        let request = Request {
            id: "it".into(),
            url: "https://h.example/f".parse().unwrap(),
            local: None,
            sha256: None,
            series: None,
            pin: None,
        };
        let options = Options {
            search_path: std::env::var_os("PATH").unwrap(),
            offline: false,
            snapshots: None,
        };
        let cache = Cache::new(cache);
        let guard = cache.guard(url).unwrap();
        if !left.is_empty() {
            fs::write(guard.work.join(FILE), left).unwrap();
        }
        let job = Job {
            request: &request,
            options: &options,
            cache: &cache,
            guard: &guard,
            progress: &(),
        };
        let arrived = download(&job, url, "=http")?;
        Ok(fs::read_to_string(arrived.file).unwrap())
    }

    #[test]
    fn downloads_and_resumes() {
        let dir = tempfile::tempdir().unwrap();
        let check = |requests, path: &str, left| {
            let url = serve(requests) + path;
            assert_eq!(
                get(dir.path(), &url, left).unwrap(),
                BODY,
                "{path} after {left:?}"
            );
        };
        check(1, "/ok", "");
        check(1, "/ok", "0123");
        // This server knows nothing of ranges.
        check(2, "/whole", "0123");
    }

    #[test]
    fn what_broke_off_is_kept_and_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let url = serve(9);
        let error = get(dir.path(), &format!("{url}/short"), "").unwrap_err();
        assert!(matches!(error, FetchError::Client { .. }), "{error}");
        let guard = Cache::new(dir.path())
            .guard(&format!("{url}/short"))
            .unwrap();
        assert_eq!(fs::read(guard.work.join(FILE)).unwrap(), b"0123");
    }

    #[test]
    fn what_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let error = get(dir.path(), &(serve(3) + "/no"), "").unwrap_err();
        assert!(error.to_string().contains("404"), "{error}");
        // A port on which nobody listens any more.
        let closed = serve(0);
        std::thread::sleep(std::time::Duration::from_millis(50));
        let error = get(dir.path(), &(closed + "/ok"), "").unwrap_err();
        assert!(
            matches!(error, FetchError::Network { tool: "curl", .. }),
            "{error}"
        );
    }

    #[test]
    fn only_https_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let url = serve(1) + "/ok";
        let cache = Cache::new(dir.path());
        let guard = cache.guard(&url).unwrap();
        let request = Request {
            id: "it".into(),
            url: "https://h.example/f".parse().unwrap(),
            local: None,
            sha256: None,
            series: None,
            pin: None,
        };
        let options = Options {
            search_path: std::env::var_os("PATH").unwrap(),
            offline: false,
            snapshots: None,
        };
        let job = Job {
            request: &request,
            options: &options,
            cache: &cache,
            guard: &guard,
            progress: &(),
        };
        assert!(fetch(&job, &url).is_err());
    }
}
