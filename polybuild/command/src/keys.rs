//! Which key signs: the one the user names, or a development key made on first use.

use std::path::{Path, PathBuf};

use megabinary_format::PublicKey;
use megabinary_linker::Keys;

use crate::{
    dirs, exit,
    failure::{Failure, Result},
    files,
    ui::Ui,
};

/// Where the key to sign with lies, and which it is. The secret is read when something is signed,
/// after everything that was fetched has run, and not kept.
#[derive(Debug)]
pub struct Signer {
    path: PathBuf,
    public: PublicKey,
}

impl Signer {
    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Reads the secret key.
    pub fn open(&self) -> Result<Keys> {
        let keys = load(&self.path)?;
        if keys.public_key() != self.public {
            return Err(Failure::message(
                exit::ENVIRONMENT,
                format!(
                    "the key in {} was changed during the build: it was {} and is {}",
                    self.path.display(),
                    self.public.key_id(),
                    keys.public_key().key_id()
                ),
            )
            .hint("build again"));
        }
        Ok(keys)
    }
}

/// The key to sign with.
pub fn signer(ui: &Ui, given: Option<&Path>) -> Result<Signer> {
    let (path, keys) = match given {
        Some(path) => (path.to_owned(), load(path)?),
        None => development(ui)?,
    };
    Ok(Signer {
        path,
        public: keys.public_key(),
    })
}

/// Public keys that `verify` trusts: the ones named, or the development key.
pub fn trusted(names: &[String]) -> Result<Vec<PublicKey>> {
    if names.is_empty() {
        let path = development_path()?;
        if !path.is_file() {
            return Err(Failure::message(
                exit::VERIFY,
                "no key is named and there is no development key to trust",
            )
            .hint("name the public key with --key FILE"));
        }
        return Ok(vec![load(&path)?.public_key()]);
    }
    names.iter().map(|name| public(name)).collect()
}

/// A public key given as a file or as its text.
fn public(name: &str) -> Result<PublicKey> {
    let text = if Path::new(name).exists() {
        String::from_utf8_lossy(&files::read(Path::new(name))?).into_owned()
    } else {
        name.to_owned()
    };
    PublicKey::parse(&text).map_err(|error| {
        Failure::message(exit::USAGE, format!("--key {name}: {error}"))
            .hint("give the .pub file that `polybuild keygen` wrote, or its base64 line")
    })
}

fn load(path: &Path) -> Result<Keys> {
    let text = files::read(path)
        .map_err(|failure| failure.hint("make a key with `polybuild keygen FILE`"))?;
    let no_password = || -> Option<String> { std::env::var("POLYBUILD_KEY_PASSWORD").ok() };
    Keys::parse(&String::from_utf8_lossy(&text), no_password).map_err(|error| {
        Failure::message(
            exit::USAGE,
            format!("reading the secret key {}: {error}", path.display()),
        )
    })
}

fn development_path() -> Result<PathBuf> {
    Ok(dirs::config()?.join("development.key"))
}

fn development(ui: &Ui) -> Result<(PathBuf, Keys)> {
    let path = development_path()?;
    if path.is_file() {
        let keys = load(&path)?;
        return Ok((path, keys));
    }
    let keys = generate(&path)?;
    ui.warn(&format!(
        "made a development key, {}, in {}; sign what you publish with a key of your own (--key)",
        keys.public_key().key_id(),
        path.display()
    ));
    Ok((path, keys))
}

/// Makes a key pair: the secret key at `path`, readable by its owner alone, the public key beside
/// it with `.pub` added.
pub fn generate(path: &Path) -> Result<Keys> {
    let keys = Keys::generate().map_err(Failure::environment)?;
    let secret = keys
        .secret_text()
        .ok_or_else(|| Failure::message(exit::INTERNAL, "a new key came out password-protected"))?;
    files::write_whole(
        &public_path(path),
        keys.public_key().to_text().as_bytes(),
        0o644,
    )?;
    files::write_whole(path, secret.as_bytes(), 0o600)?;
    Ok(keys)
}

/// Where the public key of the secret key at `path` goes.
pub fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}
