//! What `-shared` makes: a text that stands for the library, and an archive of its objects beside it.
//!
//! `foo.so` is for the image, where `dlopen` reads it; `foo.so.a` is for the linker. The text has the
//! library's name and the archive's digest, by which the program that it is linked into knows it.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The first line (`polyfills/sysroot/port/src/ldso/wasm32/dlopen.c` reads it).
const FIRST_LINE: &str = "vkernel-shared-object 1";

/// The longest name of a library.
const LONGEST_NAME: usize = 255;

/// What a stub says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stub {
    pub(crate) name: String,
    pub(crate) digest: String,
}

impl Stub {
    /// That of a library with this archive.
    pub(crate) fn of(name: &str, archive: &[u8]) -> Stub {
        // Of the name too: equal objects may be two libraries.
        let digest = Sha256::new_with_prefix(name)
            .chain_update([0])
            .chain_update(archive);
        let digest: String = digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Stub {
            name: name.to_owned(),
            digest: format!("sha256:{digest}"),
        }
    }

    pub(crate) fn text(&self) -> String {
        format!("{FIRST_LINE}\n{}\n{}\n", self.name, self.digest)
    }

    /// Reads a text; `None` if it is no stub.
    pub(crate) fn read(text: &[u8]) -> Option<Stub> {
        let text = std::str::from_utf8(text).ok()?.strip_suffix('\n')?;
        let lines: Vec<&str> = text.split('\n').collect();
        match lines.as_slice() {
            [FIRST_LINE, name, digest] if is_name(name) => Some(Stub {
                name: (*name).to_owned(),
                digest: (*digest).to_owned(),
            }),
            _ => None,
        }
    }
}

/// Whether a library can be called so: `dlopen` takes it for a file's name.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = (1..=LONGEST_NAME).contains(&name.len());
    fits && !name.contains(|c: char| c.is_control() || c == '/')
}

/// The archive beside a stub.
pub(crate) fn archive(stub: &Path) -> PathBuf {
    let mut name = stub.as_os_str().to_owned();
    name.push(".a");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let stub = Stub::of("_x.so", b"objects");
        assert_eq!(Stub::read(stub.text().as_bytes()), Some(stub));
        for text in [
            "",
            "vkernel-shared-object 1\n",
            "vkernel-shared-object 2\na\nb\n",
            "vkernel-shared-object 1\na/b\nb\n",
            "vkernel-shared-object 1\n\nb\n",
            "vkernel-shared-object 1\na\nb",
            "vkernel-shared-object 1\na\nb\nc\n",
        ] {
            assert_eq!(Stub::read(text.as_bytes()), None, "{text}");
        }
    }
}
