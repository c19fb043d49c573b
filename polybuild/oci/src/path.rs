//! Paths inside an image: `/`-separated names without `.`, `..` or empty parts.
//!
//! Held as bytes without the leading slash; the root is empty. The forms differ in strictness:
//! what we write must already be normal, what others wrote is normalised as their readers do.

/// Prefix by which a layer says that a file of a lower layer is gone (OCI image specification,
/// "Whiteouts").
pub(crate) const WHITEOUT: &[u8] = b".wh.";

/// Name that hides all children that lower layers give a folder.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Does not start with `/`.
    #[error("it is not absolute")]
    Relative,
    /// An empty part or `.`.
    #[error("it has an empty part or `.`")]
    NotNormal,
    /// A `..` part.
    #[error("it has a `..` part")]
    Parent,
    /// A NUL byte.
    #[error("it has a NUL byte")]
    Nul,
    /// A part that starts with `.wh.`, which layers use for deletions.
    #[error("a part starts with `.wh.`, which layers reserve for deletions")]
    Whiteout,
    /// A part longer than 255 bytes or a whole longer than 4095 (`NAME_MAX`, `PATH_MAX`).
    #[error("it is longer than Linux allows")]
    Long,
}

const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4095;

/// Checks an absolute path of a file to be written; returns it without the slash.
pub(crate) fn strict(path: &str) -> Result<&str, PathError> {
    let relative = path.strip_prefix('/').ok_or(PathError::Relative)?;
    if path.len() > PATH_MAX {
        return Err(PathError::Long);
    }
    for part in relative.split('/') {
        match part {
            "" | "." => return Err(PathError::NotNormal),
            ".." => return Err(PathError::Parent),
            _ if part.contains('\0') => return Err(PathError::Nul),
            _ if part.as_bytes().starts_with(WHITEOUT) => return Err(PathError::Whiteout),
            _ if part.len() > NAME_MAX => return Err(PathError::Long),
            _ => {}
        }
    }
    Ok(relative)
}

/// Normalises a path found in an archive: leading slashes, `.` and empty parts go; `..` is refused.
pub(crate) fn normal(raw: &[u8]) -> Result<Vec<u8>, PathError> {
    if raw.len() > PATH_MAX {
        return Err(PathError::Long);
    }
    let mut path = Vec::with_capacity(raw.len());
    for part in raw.split(|b| *b == b'/') {
        match part {
            b"" | b"." => continue,
            b".." => return Err(PathError::Parent),
            _ if part.contains(&0) => return Err(PathError::Nul),
            _ if part.len() > NAME_MAX => return Err(PathError::Long),
            _ => {}
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(part);
    }
    Ok(path)
}

/// The folder of `path` (empty for the root) and its last name; `None` for the root itself.
pub(crate) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    Some(match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (
            path.get(..at).unwrap_or_default(),
            path.get(at + 1..).unwrap_or_default(),
        ),
        None => (&[], path),
    })
}

/// `folder` and `name` as one path.
pub(crate) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        return name.to_vec();
    }
    [folder, b"/", name].concat()
}

/// Whether a link at `path` with this target climbs above the root when followed from its folder.
/// Absolute targets start over at the root and cannot.
pub(crate) fn climbs_out(path: &[u8], target: &[u8]) -> bool {
    let mut depth = if target.starts_with(b"/") {
        0
    } else {
        path.iter().filter(|b| **b == b'/').count()
    };
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

/// For messages: with the leading slash, odd bytes replaced.
pub(crate) fn show(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_paths() {
        assert_eq!(strict("/usr/bin/python3"), Ok("usr/bin/python3"));
        for (bad, why) in [
            ("usr", PathError::Relative),
            ("", PathError::Relative),
            ("/", PathError::NotNormal),
            ("/a//b", PathError::NotNormal),
            ("/a/", PathError::NotNormal),
            ("/a/./b", PathError::NotNormal),
            ("/a/../b", PathError::Parent),
            ("/a/.wh.b", PathError::Whiteout),
            ("/.wh..wh..opq", PathError::Whiteout),
            ("/a\0", PathError::Nul),
        ] {
            assert_eq!(strict(bad), Err(why), "{bad}");
        }
        assert_eq!(
            strict(&format!("/{}", "n".repeat(256))),
            Err(PathError::Long)
        );
    }

    #[test]
    fn normal_paths() {
        for (raw, path) in [
            ("./usr/bin/", "usr/bin"),
            ("/etc", "etc"),
            (".", ""),
            ("a//b/./c", "a/b/c"),
        ] {
            assert_eq!(normal(raw.as_bytes()).unwrap(), path.as_bytes());
        }
        for bad in ["../x", "a/../../x", "a/..", ".."] {
            assert_eq!(normal(bad.as_bytes()), Err(PathError::Parent), "{bad}");
        }
    }

    #[test]
    fn links_out() {
        for (path, target, out) in [
            ("usr/bin/python", "python3", false),
            ("usr/bin/python", "../lib/x", false),
            ("usr/bin/python", "../../x", false),
            ("usr/bin/python", "../../../x", true),
            ("a", "../x", true),
            ("a", "/etc/x", false),
            ("a", "/../x", true),
        ] {
            assert_eq!(
                climbs_out(path.as_bytes(), target.as_bytes()),
                out,
                "{path} -> {target}"
            );
        }
    }
}
