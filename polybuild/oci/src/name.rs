//! The name of an image: registry, repository and tag, with Docker's rules for what is left out.

use std::{fmt, str::FromStr};

use oci_spec::distribution::{ParseError, Reference};

/// The registry that a name without one means.
const DOCKER_HUB: &str = "docker.io";

/// A tagged image name. Written `vkernel/python:3.12`, it means
/// `docker.io/vkernel/python:3.12`; `python` means `docker.io/library/python:latest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    reference: Reference,
    tag: String,
}

/// Why a text is not an image name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// The grammar of references refuses it.
    #[error(
        "`{name}` is not an image name: {cause}; write it as [REGISTRY/]REPOSITORY[:TAG], in lower case"
    )]
    Grammar {
        /// The text.
        name: String,
        /// What the grammar says.
        cause: ParseError,
    },
    /// It names one content, where a name that can be given to new content is wanted.
    #[error(
        "`{0}` names an image by digest; give a tag instead, the digest follows from the content"
    )]
    Digest(String),
}

impl ImageName {
    /// With registry and tag: `docker.io/vkernel/python:3.12`.
    pub fn full(&self) -> String {
        self.reference.to_string()
    }

    /// As Docker shows it: `vkernel/python:3.12`; names of other registries in full.
    pub fn familiar(&self) -> String {
        let full = self.full();
        full.strip_prefix("docker.io/library/")
            .or_else(|| full.strip_prefix("docker.io/"))
            .unwrap_or(&full)
            .to_owned()
    }

    /// Host and port of the registry, `docker.io` for Docker Hub.
    pub fn registry(&self) -> &str {
        self.reference.registry()
    }

    /// Whether it belongs to Docker Hub, named or by default.
    pub fn is_docker_hub(&self) -> bool {
        self.registry() == DOCKER_HUB
    }

    /// The tag, `latest` if none was written.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The same, as `oci-spec` and `oci-client` have it.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }
}

impl FromStr for ImageName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<ImageName, NameError> {
        let reference: Reference = text.parse().map_err(|cause| NameError::Grammar {
            name: text.into(),
            cause,
        })?;
        // The library lets upper case through; engines and registries do not.
        if reference
            .repository()
            .bytes()
            .any(|b| b.is_ascii_uppercase())
        {
            return Err(NameError::Grammar {
                name: text.into(),
                cause: ParseError::NameContainsUppercase,
            });
        }
        if reference.digest().is_some() {
            return Err(NameError::Digest(text.into()));
        }
        let tag = reference.tag().unwrap_or("latest").to_owned();
        Ok(ImageName { reference, tag })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.familiar())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_and_familiar() {
        for (text, full, familiar) in [
            (
                "vkernel/python:3.12",
                "docker.io/vkernel/python:3.12",
                "vkernel/python:3.12",
            ),
            ("python", "docker.io/library/python:latest", "python:latest"),
            ("docker.io/a/b:c", "docker.io/a/b:c", "a/b:c"),
            (
                "127.0.0.1:5000/a:1",
                "127.0.0.1:5000/a:1",
                "127.0.0.1:5000/a:1",
            ),
        ] {
            let name: ImageName = text.parse().unwrap();
            assert_eq!(
                (name.full().as_str(), name.familiar().as_str()),
                (full, familiar)
            );
        }
    }

    #[test]
    fn refused() {
        for bad in [
            "",
            "A/b",
            "a b",
            ":tag",
            "a:b:c",
            &format!("a@sha256:{}", "0".repeat(64)),
        ] {
            assert!(bad.parse::<ImageName>().is_err(), "{bad}");
        }
    }
}
