//! Credentials for a registry, from where `docker login` and `podman login` put them.
//!
//! Order: `$REGISTRY_AUTH_FILE`, `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`,
//! `$XDG_RUNTIME_DIR/containers/auth.json`. The first file that knows the registry decides. A
//! credential helper named there is run (`docker-credential-NAME get`), as Docker does.
//!
//! Secrets are never printed: [`Credentials`] shows user names only.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;

/// Who we are to a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody in particular.
    Anonymous,
    /// User name and password, or a token in its place.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Anonymous => f.write_str("Anonymous"),
            Credentials::Basic { user, .. } => write!(f, "Basic({user})"),
        }
    }
}

/// Why credentials could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file could not be read.
    #[error("reading registry credentials from {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A file is not what Docker writes.
    #[error(
        "the registry credentials in {path} are malformed: {problem}; run `docker login` again"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A credential helper did not help.
    #[error(
        "the credential helper `{helper}`, named in {path}, failed: {problem}; install it or remove it from that file"
    )]
    Helper {
        /// Name of the program.
        helper: String,
        /// The file that names it.
        path: PathBuf,
        /// What happened.
        problem: String,
    },
}

/// Docker's `config.json`, as far as it concerns us; podman's `auth.json` is a subset.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// What a helper prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// Docker Hub's key in `auths`, for reasons of history.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

impl Credentials {
    /// Looks in the usual places, which `env` gives (`std::env::var_os` in the command).
    pub fn find(
        registry: &str,
        env: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Credentials, CredentialsError> {
        let under = |var: &str, rest: &str| {
            env(var)
                .filter(|v| !v.is_empty())
                .map(|v| Path::new(&v).join(rest))
        };
        let files = [
            env("REGISTRY_AUTH_FILE")
                .filter(|v| !v.is_empty())
                .map(PathBuf::from),
            under("DOCKER_CONFIG", "config.json").or_else(|| under("HOME", ".docker/config.json")),
            under("XDG_RUNTIME_DIR", "containers/auth.json"),
        ];
        for file in files.into_iter().flatten() {
            match fs::read(&file) {
                Ok(bytes) => {
                    if let Some(found) = from_config(&file, &bytes, registry)? {
                        return Ok(found);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => return Err(CredentialsError::Read { path: file, cause }),
            }
        }
        Ok(Credentials::Anonymous)
    }

    pub(super) fn to_auth(&self) -> RegistryAuth {
        match self {
            Credentials::Anonymous => RegistryAuth::Anonymous,
            Credentials::Basic { user, password } => {
                RegistryAuth::Basic(user.clone(), password.clone())
            }
        }
    }
}

fn from_config(
    path: &Path,
    bytes: &[u8],
    registry: &str,
) -> Result<Option<Credentials>, CredentialsError> {
    let malformed = |problem: String| CredentialsError::Malformed {
        path: path.to_owned(),
        problem,
    };
    // serde_json's messages quote no values, so no secret can end up in them.
    let config: Config = serde_json::from_slice(bytes).map_err(|e| malformed(e.to_string()))?;
    let keys: &[&str] = match registry {
        "docker.io" => &[DOCKER_HUB_KEY, "docker.io", "index.docker.io"],
        other => &[other],
    };
    let key_of = |known: &str| {
        let host = known
            .trim_start_matches("https://")
            .trim_start_matches("http://")
            .trim_end_matches('/');
        keys.iter().any(|k| *k == known || *k == host)
    };
    if let Some((key, name)) = config.cred_helpers.iter().find(|(k, _)| key_of(k)) {
        return helper(path, name, key);
    }
    let entry = config.auths.iter().find(|(k, _)| key_of(k));
    if let Some((key, auth)) = entry {
        if auth.identitytoken.as_deref().is_some_and(|t| !t.is_empty()) {
            return Err(malformed(format!(
                "`{key}` has an identity token, which is not supported; log in with a password or access token"
            )));
        }
        if let (Some(user), Some(password)) = (&auth.username, &auth.password) {
            return Ok(Some(Credentials::Basic {
                user: user.clone(),
                password: password.clone(),
            }));
        }
        if let Some(encoded) = auth.auth.as_deref().filter(|a| !a.is_empty()) {
            let bad = || malformed(format!("`auth` of `{key}` is not base64 of USER:PASSWORD"));
            let pair = STANDARD.decode(encoded).map_err(|_| bad())?;
            let pair = String::from_utf8(pair).map_err(|_| bad())?;
            let (user, password) = pair.split_once(':').ok_or_else(bad)?;
            return Ok(Some(Credentials::Basic {
                user: user.into(),
                // Docker pads old entries with NULs.
                password: password.trim_end_matches('\0').into(),
            }));
        }
    }
    // Docker leaves an empty entry in `auths` for what its store holds.
    match (&config.creds_store, entry) {
        (Some(store), Some((key, _))) => helper(path, store, key),
        _ => Ok(None),
    }
}

/// Runs `docker-credential-NAME get` (docker-credential-helpers, "Development").
fn helper(path: &Path, name: &str, key: &str) -> Result<Option<Credentials>, CredentialsError> {
    let program = format!("docker-credential-{name}");
    let failed = |problem: String| CredentialsError::Helper {
        helper: program.clone(),
        path: path.to_owned(),
        problem,
    };
    if name.contains('/') {
        return Err(failed("its name has a slash".into()));
    }
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that ends without reading says why by its status.
        let _ = stdin.write_all(key.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|e| failed(e.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return if text.contains("credentials not found") {
            Ok(None)
        } else {
            Err(failed(format!("it ended with {}", output.status)))
        };
    }
    let answer: HelperAnswer =
        serde_json::from_str(&text).map_err(|e| failed(format!("its answer is malformed: {e}")))?;
    if answer.username == "<token>" {
        return Err(failed(
            "it gives an identity token, which is not supported".into(),
        ));
    }
    Ok(Some(Credentials::Basic {
        user: answer.username,
        password: answer.secret,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Ok("user:password")`, `Ok("-")` for nothing, `Err(part of the message)`.
    fn check(config: &str, registry: &str, expected: Result<&str, &str>) {
        let found = from_config(Path::new("config.json"), config.as_bytes(), registry);
        match (found, expected) {
            (Ok(None), Ok("-")) => {}
            (Ok(Some(Credentials::Basic { user, password })), Ok(pair)) => {
                assert_eq!(format!("{user}:{password}"), pair);
            }
            (Err(error), Err(part)) => {
                let message = error.to_string();
                assert!(message.contains(part), "{message}");
                assert!(!message.contains("secret"), "{message}");
            }
            (found, expected) => panic!("{config}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn docker_config() {
        // dTpz = u:s
        check(r#"{"auths":{"r:1":{"auth":"dTpz"}}}"#, "r:1", Ok("u:s"));
        check(
            r#"{"auths":{"https://r:1/":{"auth":"dTpz"}}}"#,
            "r:1",
            Ok("u:s"),
        );
        check(
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpz"}}}"#,
            "docker.io",
            Ok("u:s"),
        );
        check(
            r#"{"auths":{"r":{"username":"a","password":"b"}}}"#,
            "r",
            Ok("a:b"),
        );
        check(r#"{"auths":{"r:1":{"auth":"dTpz"}}}"#, "r:2", Ok("-"));
        check(r#"{"auths":{"r":{}}}"#, "r", Ok("-"));
        check("{}", "r", Ok("-"));
        check(
            r#"{"auths":{"r":{"auth":"secret!"}}}"#,
            "r",
            Err("not base64"),
        );
        check(
            r#"{"auths":{"r":{"auth":"dXM="}}}"#,
            "r",
            Err("not base64 of USER:PASSWORD"),
        );
        check(
            r#"{"auths":{"r":{"identitytoken":"secret"}}}"#,
            "r",
            Err("identity token"),
        );
        check(r#"{"auths":["secret"]}"#, "r", Err("malformed"));
        check(
            r#"{"credHelpers":{"r":"no-such"}}"#,
            "r",
            Err("docker-credential-no-such"),
        );
        check(
            r#"{"credsStore":"no-such","auths":{"r":{}}}"#,
            "r",
            Err("docker-credential-no-such"),
        );
        check(r#"{"credsStore":"no-such"}"#, "r", Ok("-"));
        check(r#"{"credHelpers":{"r":"../evil"}}"#, "r", Err("slash"));
    }
}
