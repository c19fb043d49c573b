//! Values with a small syntax of their own: paths, names, ports.
//!
//! Each function is total and says what is wrong in words that follow "is not …:".

use std::path::{Component, Path, PathBuf};

/// Folder of the vkernel's own files in an image; not for recipes to write to.
const RESERVED_DIR: &str = "/.vkernel";

/// Checks an absolute path in the image: normal, with no `.` or `..`.
pub(crate) fn image_path(path: &str) -> Result<(), &'static str> {
    let rest = path.strip_prefix('/').ok_or("it does not begin with `/`")?;
    if path == RESERVED_DIR || path.starts_with("/.vkernel/") {
        return Err("`/.vkernel` belongs to the vkernel");
    }
    relative_path(rest)
}

/// Checks a relative path below some folder: normal, with no `.` or `..`.
pub(crate) fn relative_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("it names no file");
    }
    if path.contains('\0') {
        return Err("it has a NUL");
    }
    if path.starts_with('/') {
        return Err("it begins with `/`");
    }
    for part in path.split('/') {
        match part {
            "" => return Err("it has two slashes in a row or one at its end"),
            "." | ".." => return Err("it has a `.` or `..`"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a text is a name: letters, digits and `._+-`, the first not a sign.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
}

/// Whether a text is a name of an image without its tag, as the OCI distribution specification
/// has it ("Pulling manifests", `<name>`), a registry's host and port in front allowed.
pub fn image_name(text: &str) -> bool {
    let (host, path) = match text.split_once('/') {
        // The first part is a host if it could not be anything else (as Docker decides).
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
            (Some(host), path)
        }
        _ => (None, text),
    };
    let host_ok = host.is_none_or(|h| {
        let (name, port) = h.split_once(':').unwrap_or((h, "0"));
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
            && port.parse::<u16>().is_ok()
    });
    host_ok && path.split('/').all(image_name_part)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn image_name_part(part: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators_ok = part
        .split(word)
        .all(|s| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-'));
    part.starts_with(word) && part.ends_with(word) && separators_ok
}

/// Whether a text is an image's tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub fn image_tag(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// `PORT/PROTOCOL` from `PORT` or `PORT/PROTOCOL`.
pub(crate) fn port(text: &str) -> Option<String> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let number: u16 = port.parse().ok().filter(|n| *n != 0)?;
    matches!(protocol, "tcp" | "udp" | "sctp").then(|| format!("{number}/{protocol}"))
}

/// Permission bits from octal text: three or four digits.
pub(crate) fn mode(text: &str) -> Option<u32> {
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    octal.then(|| u32::from_str_radix(text, 8).ok())?
}

/// User and group from `"999:999"`.
pub(crate) fn owner(text: &str) -> Option<(u32, u32)> {
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    };
    let (user, group) = text.split_once(':')?;
    Some((number(user)?, number(group)?))
}

/// Whether `name` matches `pattern`, in which `*` stands for any bytes, none included.
pub(crate) fn matches_pattern(pattern: &[u8], name: &[u8]) -> bool {
    // Greedy matching with one point of return: linear in most cases, never exponential.
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(c) if Some(c) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, at)) => {
                    retry = Some((star, at + 1));
                    p = star + 1;
                    n = at + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == b'*')
}

/// Removes `.` and resolves `..` in a path by its text alone; keeps leading `..`.
pub(crate) fn normalise(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => {
                    out.pop();
                }
                Some(Component::RootDir | Component::Prefix(_)) => {}
                _ => out.push(".."),
            },
            other => out.push(other),
        }
    }
    out
}

/// The whole path of what is named from the working directory.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    // `absolute` of the library fails only for an empty path or without a working directory.
    let path = Path::new(".").join(path);
    normalise(&std::path::absolute(&path).unwrap_or(path))
}

/// `to` as seen from the folder `from`; both absolute and normal.
pub(crate) fn relative_to(from: &Path, to: &Path) -> PathBuf {
    let common = from
        .components()
        .zip(to.components())
        .take_while(|(a, b)| a == b)
        .count();
    let mut out = PathBuf::new();
    for _ in from.components().skip(common) {
        out.push("..");
    }
    out.extend(to.components().skip(common));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_paths() {
        for good in ["/a", "/usr/local/bin/python3", "/..a", "/.vkernels"] {
            assert_eq!(image_path(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/",
            "a",
            "/a/",
            "//a",
            "/a/../b",
            "/./a",
            "/a\0",
            "/.vkernel",
            "/.vkernel/x",
        ] {
            assert!(image_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn image_names_and_tags() {
        for good in [
            "vkernel/python",
            "a",
            "a-b__c.d",
            "localhost:5000/x",
            "r.example/x/y",
        ] {
            assert!(image_name(good), "{good}");
        }
        for bad in [
            "",
            "A",
            "a//b",
            "-a",
            "a_",
            "a___b",
            "a:1",
            "host.x:port/a",
            "a..b",
        ] {
            assert!(!image_name(bad), "{bad}");
        }
        assert!(image_tag("3.12") && image_tag("_x-y"));
        assert!(!image_tag("") && !image_tag(".x") && !image_tag(&"x".repeat(129)));
    }

    #[test]
    fn ports_and_modes() {
        assert_eq!(port("80").as_deref(), Some("80/tcp"));
        assert_eq!(port("53/udp").as_deref(), Some("53/udp"));
        for bad in ["", "0", "65536", "80/", "80/http"] {
            assert_eq!(port(bad), None, "{bad}");
        }
        assert_eq!(mode("0644"), Some(0o644));
        assert_eq!(mode("1777"), Some(0o1777));
        for bad in ["", "8", "64", "06444", "+644", "0x44"] {
            assert_eq!(mode(bad), None, "{bad}");
        }
    }

    #[test]
    fn patterns() {
        let check = |p: &str, n: &str, expected| {
            assert_eq!(
                matches_pattern(p.as_bytes(), n.as_bytes()),
                expected,
                "{p} {n}"
            );
        };
        check("*.so", "a.so", true);
        check("*.so", "a.so.1", false);
        check("tests", "tests", true);
        check("tests", "test", false);
        check("*a*b*", "xxaxxbxx", true);
        check("*a*b*", "xxbxxaxx", false);
        check("*", "", true);
        check("", "", true);
        check("", "a", false);
    }

    #[test]
    fn paths_seen_from_elsewhere() {
        let check = |from: &str, to: &str, expected: &str| {
            assert_eq!(relative_to(from.as_ref(), to.as_ref()), Path::new(expected));
        };
        check("/a/b", "/a/b/c", "c");
        check("/a/b", "/a/c/d", "../c/d");
        check("/a/b", "/a/b", "");
        assert_eq!(normalise("a/./b/../../../c".as_ref()), Path::new("../c"));
        assert_eq!(normalise("/../c".as_ref()), Path::new("/c"));
    }
}
