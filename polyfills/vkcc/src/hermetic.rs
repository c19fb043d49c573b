//! Which paths are the host's.
//!
//! A build system that adds `-I/usr/include` means the compiler's own headers, and would get the
//! host's, for another machine and another C library. Such a path is dropped with a warning, so
//! that the build goes on with ours; a file in such a place cannot be named either.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// Where a host keeps headers and libraries of its own.
const HOST: &[&str] = &[
    "/usr/include",
    "/usr/local/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libx32",
    "/usr/local/lib",
    "/lib",
    "/lib32",
    "/lib64",
];

/// Whether a path lies in the host's folders and not in one of ours.
pub(crate) fn is_host(path: &str, ours: &[&Path]) -> bool {
    let named = normal(Path::new(path));
    let real = fs::canonicalize(path).unwrap_or_else(|_| named.clone());
    let host = |path: &Path| HOST.iter().any(|folder| path.starts_with(folder));
    (host(&named) || host(&real))
        && !ours
            .iter()
            .any(|folder| named.starts_with(folder) || real.starts_with(folder))
}

/// The path without `.` and `..`, made absolute if the working directory is known.
fn normal(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut normal = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_folders() {
        let check = |path: &str, expected: bool| {
            assert_eq!(
                is_host(path, &[Path::new("/usr/lib/vk")]),
                expected,
                "{path}"
            );
        };
        check("/usr/include", true);
        check("/usr/include/x86_64-linux-gnu", true);
        check("/usr/./include/../include", true);
        check("/usr/lib/libz.a", true);
        check("/usr/lib/vk/sysroot/include", false);
        check("/usr/src/zlib", false);
        check("/usr/includes", false);
        check("include", false);
        check("/nonexistent/include", false);
    }
}
