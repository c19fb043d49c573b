//! Guest path strings: what is refused before the host sees them, and how a path is split.
//!
//! Purely lexical; nothing here looks at a file system or decides about access. Invariant: a path
//! that passed [`check`] is non-empty, relative, without NUL and shorter than `PATH_MAX`.

use rustix::io::Errno;

use super::Result;

/// Longest path in bytes, its terminating NUL included (`PATH_MAX`, `limits.h` of Linux).
pub(crate) const PATH_MAX: usize = 4096;

/// Refuses what no `path_*` call may be given: empty paths (ENOENT, as POSIX), NUL bytes
/// (EINVAL), absolute paths (EPERM: guests name files relative to a descriptor), overlong ones.
pub(crate) fn check(path: &[u8]) -> Result<()> {
    if path.is_empty() {
        Err(Errno::NOENT)
    } else if path.contains(&0) {
        Err(Errno::INVAL)
    } else if path.len() >= PATH_MAX {
        Err(Errno::NAMETOOLONG)
    } else if path.starts_with(b"/") {
        Err(Errno::PERM)
    } else {
        Ok(())
    }
}

/// Splits off the last component, trailing slashes included with it; the folder part may be
/// empty, which means the start. A path that ends in `.` or `..` names a folder, not an entry of
/// its parent: it is all folder, with `.` as its last component.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let trimmed = trim_end(path);
    let at = trimmed
        .iter()
        .rposition(|b| *b == b'/')
        .map_or(0, |slash| slash + 1);
    let (folder, _) = path.split_at(at);
    let (_, last) = path.split_at(at);
    match trim_end(last) {
        b"." | b".." => (path, b"."),
        b"" => (path, b"."),
        _ => (folder, last),
    }
}

/// `path` without its trailing slashes.
pub(crate) fn trim_end(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |i| i + 1);
    path.get(..end).unwrap_or_default()
}

/// Whether the path demands a folder by its form alone: it ends in `/`, `/.` or `/..`.
pub(crate) fn ends_in_slash(path: &[u8]) -> bool {
    path.ends_with(b"/")
}

/// Whether `path` is `folder` or lies below it. Both absolute, without trailing slashes except
/// for `/` itself.
pub(crate) fn is_within(path: &[u8], folder: &[u8]) -> bool {
    match path.strip_prefix(folder) {
        Some(rest) => rest.is_empty() || folder == b"/" || rest.starts_with(b"/"),
        None => false,
    }
}

/// `folder` and `name` joined by exactly one slash.
pub(crate) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(folder.len() + 1 + name.len());
    joined.extend_from_slice(folder);
    if !folder.ends_with(b"/") {
        joined.push(b'/');
    }
    joined.extend_from_slice(trim_end(name));
    joined
}

/// `path`, absolute, with `.`, `..`, and repeated or trailing slashes resolved lexically.
pub(crate) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        let check = |path: &[u8], expected| assert_eq!(check(path), expected, "{path:?}");
        check(b"a/b", Ok(()));
        check(b"../..", Ok(()));
        check(b"", Err(Errno::NOENT));
        check(b"/a", Err(Errno::PERM));
        check(b"a\0b", Err(Errno::INVAL));
        check(&[b'a'; 4095], Ok(()));
        check(&[b'a'; 4096], Err(Errno::NAMETOOLONG));
    }

    #[test]
    fn splitting() {
        let check = |path: &str, folder: &str, last: &str| {
            let got = split(path.as_bytes());
            assert_eq!(got, (folder.as_bytes(), last.as_bytes()), "{path}");
        };
        check("a", "", "a");
        check("a/b", "a/", "b");
        check("a//b//", "a//", "b//");
        check("a/", "", "a/");
        check(".", ".", ".");
        check("..", "..", ".");
        check("a/.", "a/.", ".");
        check("a/../", "a/../", ".");
        check("../a", "../", "a");
    }

    #[test]
    fn nesting() {
        let check = |path: &str, folder: &str, expected| {
            let got = is_within(path.as_bytes(), folder.as_bytes());
            assert_eq!(got, expected, "{path} in {folder}");
        };
        check("/a", "/a", true);
        check("/a/b", "/a", true);
        check("/ab", "/a", false);
        check("/", "/a", false);
        check("/a", "/", true);
        check("/", "/", true);
    }

    #[test]
    fn normal_forms() {
        let check = |path: &str, expected: &str| assert_eq!(normal(path), expected, "{path}");
        check("/", "/");
        check("", "/");
        check("/a//b/./c/", "/a/b/c");
        check("/../a/../b", "/b");
        assert_eq!(join(b"/", b"a"), b"/a");
        assert_eq!(join(b"/a", b"b/"), b"/a/b");
    }
}
