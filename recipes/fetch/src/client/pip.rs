//! `pypi:` through `pip download`, without dependencies.
//!
//! A wheel is only downloaded. For a source distribution pip also runs the project's own build
//! backend, to ask for its metadata: prefer wheels.

use polybuild_recipe::PypiKind;

use super::{Arrived, Job, tool::Tool};
use crate::FetchError;

const PIP: Tool = Tool {
    names: &["pip3", "pip"],
    package: "python3-pip",
};

pub(super) fn fetch(
    job: &Job<'_>,
    name: &str,
    version: Option<String>,
    file: &PypiKind,
) -> Result<Arrived, FetchError> {
    let package = match version {
        Some(version) => format!("{name}=={version}"),
        None => name.to_owned(),
    };
    let mut args = vec![
        "download",
        "--no-deps",
        "--disable-pip-version-check",
        "--progress-bar=off",
        "--dest=.",
    ];
    match file {
        PypiKind::Wheel { python, platform } => {
            args.extend(["--only-binary=:all:", "--python-version", python]);
            args.extend(["--platform", platform]);
        }
        PypiKind::Sdist => args.push("--no-binary=:all:"),
    }
    args.extend(["--", &package]);
    PIP.run(job, args, &[])?;
    let ends = &[".whl", ".tar.gz", ".zip", ".tar.bz2"];
    let file = job.only_file("pip3", ends)?;
    let version = version_of(
        &file.file_name().unwrap_or_default().to_string_lossy(),
        ends,
    )
    .ok_or_else(|| job.unexpected("pip3", "brought a file whose name has no version"))?;
    Ok(Arrived {
        file,
        version,
        registry: None,
        resumed: false,
    })
}

/// The version in a file's name: `NAME-VERSION-….whl` (binary distribution format, "File name
/// convention"), `NAME-VERSION.tar.gz` (source distribution format).
fn version_of(name: &str, ends: &[&str]) -> Option<String> {
    let stem = ends.iter().find_map(|end| name.strip_suffix(end))?;
    let version = match name.ends_with(".whl") {
        true => stem.split('-').nth(1)?,
        // Old projects have hyphens in their names, no project has one in its version.
        false => stem.rsplit_once('-')?.1,
    };
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_in_file_names() {
        let check = |name, expected: Option<&str>| {
            let found = super::version_of(name, &[".whl", ".tar.gz"]);
            assert_eq!(found.as_deref(), expected, "{name}");
        };
        check("six-1.16.0-py2.py3-none-any.whl", Some("1.16.0"));
        check(
            "a_b-2!1.0+x-1-cp312-cp312-linux_x86_64.whl",
            Some("2!1.0+x"),
        );
        check("markupsafe-3.0.2.tar.gz", Some("3.0.2"));
        check("an-old-name-1.tar.gz", Some("1"));
        check("six.whl", None);
        check("six-1.zip", None);
    }
}
