//! One wheel, laid out as the specification of binary distributions says ("Binary distribution format",
//! version 1.0): what is in it, where it goes, and the record of that.
//!
//! What a wheel says is not trusted: it names no place outside of the folders of the scheme, and what is
//! written depends on its bytes and the [`Scheme`] alone.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use megabinary_format::Digest;
use polybuild_recipe::{LockedWheel, Python, normal_package_name};
use walkdir::WalkDir;

use super::super::plan;
use crate::failure::{Failure, Result};

/// What becomes of a wheel: absolute path in the image → file.
pub(super) type Layout = BTreeMap<String, Placed>;

/// A file of an installed package.
pub(super) struct Placed {
    pub(super) content: Content,
    pub(super) executable: bool,
}

/// Where the bytes of a file are.
pub(super) enum Content {
    /// As the wheel has it.
    File(PathBuf),
    /// Made by the installation.
    Made(Vec<u8>),
}

impl Placed {
    /// Its bytes.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        match &self.content {
            Content::File(path) => crate::files::read(path),
            Content::Made(bytes) => Ok(bytes.clone()),
        }
    }
}

/// Who laid a package out, as its folder says.
const INSTALLER: &[u8] = b"polybuild\n";

/// Lays out the wheel that was unpacked into `folder`.
pub(super) fn lay_out(
    folder: &Path,
    wheel: &LockedWheel,
    python: &Python,
    is_extension: bool,
) -> Result<Layout> {
    let info = info_folder(folder, wheel)?;
    check_kind(&folder.join(&info), wheel, is_extension)?;
    let site = python.site_packages();
    let data = format!("{}.data", info.trim_end_matches(".dist-info"));
    let mut layout = Layout::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(Failure::environment)?;
        if entry.file_type().is_dir() {
            continue;
        }
        let relative = entry
            .path()
            .strip_prefix(folder)
            .map_err(Failure::internal)?;
        let relative = plan::text(relative)?;
        if !entry.file_type().is_file() {
            return Err(wrong(
                wheel,
                &format!("{relative} is a link, which wheels do not have"),
            ));
        }
        if relative.split('/').any(|part| part == "__pycache__") {
            continue;
        }
        let mode = entry
            .metadata()
            .map_err(Failure::environment)?
            .permissions();
        let mut placed = Placed {
            content: Content::File(entry.path().to_owned()),
            executable: mode.mode() & 0o111 != 0,
        };
        let inside = relative
            .strip_prefix(&data)
            .and_then(|r| r.strip_prefix('/'));
        let to = match inside.and_then(|inside| inside.split_once('/')) {
            None if inside.is_some() => {
                return Err(wrong(
                    wheel,
                    &format!("{relative} belongs to no folder of the scheme"),
                ));
            }
            None => format!("{site}/{relative}"),
            Some(("purelib" | "platlib", rest)) => format!("{site}/{rest}"),
            Some(("scripts", rest)) => {
                placed.executable = true;
                if let Some(text) = with_interpreter(&placed.bytes()?, python) {
                    placed.content = Content::Made(text);
                }
                format!("{}/{rest}", python.commands())
            }
            Some(("headers", rest)) => {
                format!("{}/{}/{rest}", python.headers(), wheel.name)
            }
            Some(("data", rest)) => format!("{}/{rest}", python.prefix),
            Some((other, _)) => {
                return Err(wrong(wheel, &format!("its scheme has no folder `{other}`")));
            }
        };
        layout.insert(to, placed);
    }
    let of_info = |name: &str| format!("{site}/{info}/{name}");
    // What signs the wheel's record says nothing of this one.
    for name in ["RECORD", "RECORD.jws", "RECORD.p7s"] {
        layout.remove(&of_info(name));
    }
    let made = |bytes: Vec<u8>, executable| Placed {
        content: Content::Made(bytes),
        executable,
    };
    if let Some(points) = layout.get(&of_info("entry_points.txt")) {
        let text = points.bytes()?;
        for (name, script) in commands(&String::from_utf8_lossy(&text), wheel, python)? {
            let path = format!("{}/{name}", python.commands());
            layout.insert(path, made(script.into_bytes(), true));
        }
    }
    layout.insert(of_info("INSTALLER"), made(INSTALLER.to_vec(), false));
    let record = record(&layout, &site, &of_info("RECORD"))?;
    layout.insert(of_info("RECORD"), made(record.into_bytes(), false));
    Ok(layout)
}

fn wrong(wheel: &LockedWheel, what: &str) -> Failure {
    let LockedWheel { file, name, .. } = wheel;
    Failure::message(
        crate::exit::RECIPE,
        format!("the package `{name}` cannot be installed: {file}: {what}"),
    )
}

/// The folder with what a wheel says of itself.
fn info_folder(folder: &Path, wheel: &LockedWheel) -> Result<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Failure::environment)? {
        let name = plan::text(Path::new(&entry.map_err(Failure::environment)?.file_name()))?;
        if name.ends_with(".dist-info") {
            found.push(name);
        }
    }
    let [info] = found.as_slice() else {
        let what = format!("it has {} folders `*.dist-info`, and not one", found.len());
        return Err(wrong(wheel, &what));
    };
    let name = info.split('-').next().unwrap_or_default();
    match normal_package_name(name) == wheel.name {
        true => Ok(info.clone()),
        false => Err(wrong(wheel, &format!("it says that it is `{info}`"))),
    }
}

/// Whether it is a wheel of pure Python that this installer understands.
fn check_kind(info: &Path, wheel: &LockedWheel, is_extension: bool) -> Result<()> {
    let bytes = fs::read(info.join("WHEEL"))
        .map_err(|error| wrong(wheel, &format!("its file WHEEL cannot be read: {error}")))?;
    let text = String::from_utf8_lossy(&bytes);
    let values = |key: &str| {
        let mut all = Vec::new();
        for line in text.lines() {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case(key)
            {
                all.push(value.trim());
            }
        }
        all
    };
    if !values("Wheel-Version").iter().any(|v| v.starts_with("1.")) {
        return Err(wrong(
            wheel,
            "it is of another version of the format than 1",
        ));
    }
    // What we have built holds stubs, and nothing that the build-python or this machine could run.
    if is_extension {
        return Ok(());
    }
    let pure = values("Root-Is-Purelib")
        .iter()
        .any(|v| v.eq_ignore_ascii_case("true"));
    if !pure || values("Tag").iter().any(|tag| !tag.ends_with("-none-any")) {
        return Err(wrong(
            wheel,
            "it is not of pure Python, so that it may hold machine code",
        ));
    }
    Ok(())
}

/// A script for `#!python`, whose interpreter is put in.
fn with_interpreter(text: &[u8], python: &Python) -> Option<Vec<u8>> {
    let rest = text.strip_prefix(b"#!python")?;
    let rest = rest.strip_prefix(b"w").unwrap_or(rest);
    let mut script = format!("#!{}", python.interpreter()).into_bytes();
    script.extend_from_slice(rest);
    Some(script)
}

/// Commands that the entry points ask for: name and text.
fn commands(text: &str, wheel: &LockedWheel, python: &Python) -> Result<Vec<(String, String)>> {
    let mut section = "";
    let mut commands = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name.trim();
            continue;
        }
        if !["console_scripts", "gui_scripts"].contains(&section) {
            continue;
        }
        let odd = || {
            wrong(
                wheel,
                &format!("its entry point `{line}` names no function"),
            )
        };
        let (name, target) = line.split_once('=').ok_or_else(odd)?;
        let target = target.split('[').next().unwrap_or_default();
        let (module, function) = target.split_once(':').ok_or_else(odd)?;
        let (name, module, function) = (name.trim(), module.trim(), function.trim());
        let path = |text: &str| text.split('.').all(is_identifier);
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        let named = !name.is_empty() && name.chars().all(plain) && !name.starts_with('.');
        if !named || !path(module) || !path(function) {
            return Err(odd());
        }
        let first = function.split('.').next().unwrap_or_default();
        let script = format!(
            "#!{}\nimport sys\nfrom {module} import {first}\n\nif __name__ == \"__main__\":\n    \
             sys.exit({function}())\n",
            python.interpreter()
        );
        commands.push((name.to_owned(), script));
    }
    Ok(commands)
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// `RECORD`: every file with its digest and size, paths relative to `site-packages`.
fn record(layout: &Layout, site: &str, own: &str) -> Result<String> {
    let mut lines = Vec::new();
    for (path, placed) in layout {
        let bytes = placed.bytes()?;
        let digest = url_safe_base64(&Digest::of(&bytes).0);
        lines.push(format!(
            "{},sha256={digest},{}",
            field(&relative(path, site)),
            bytes.len()
        ));
    }
    lines.push(format!("{},,", field(&relative(own, site))));
    lines.sort();
    Ok(lines.join("\n") + "\n")
}

/// An absolute path as seen from the folder `site`.
fn relative(path: &str, site: &str) -> String {
    if let Some(inside) = path
        .strip_prefix(site)
        .and_then(|rest| rest.strip_prefix('/'))
    {
        return inside.to_owned();
    }
    let (from, to): (Vec<&str>, Vec<&str>) = (site.split('/').collect(), path.split('/').collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut parts = vec![".."; from.len() - common];
    parts.extend(to.iter().skip(common));
    parts.join("/")
}

/// A field of a file of comma-separated values.
fn field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// RFC 4648, section 5, without padding.
fn url_safe_base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..=chunk.len() {
            let letter = LETTERS[(bits >> (18 - 6 * n) & 63) as usize];
            let _ = write!(out, "{}", char::from(letter));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python() -> Python {
        Python {
            version: "3.12.0".into(),
            prefix: "/usr/local".into(),
            platform: "linux".into(),
            machine: "wasm32".into(),
            compile: Vec::new(),
            wheels: None,
        }
    }

    fn wheel() -> LockedWheel {
        LockedWheel {
            name: "a-b".into(),
            version: "1.0".into(),
            file: "a_b-1.0-py3-none-any.whl".into(),
            sha256: Digest([0; 32]),
            size: 0,
        }
    }

    struct Unpacked(tempfile::TempDir);

    impl Unpacked {
        fn new(files: &[(&str, &str)]) -> Unpacked {
            let unpacked = Unpacked(tempfile::tempdir().unwrap());
            unpacked.add("A_b-1.0.dist-info/WHEEL", GOOD);
            unpacked.add("A_b-1.0.dist-info/RECORD", "lies,,\n");
            for (name, text) in files {
                unpacked.add(name, text);
            }
            unpacked
        }

        fn add(&self, name: &str, text: &str) {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn lay_out(&self) -> Result<Layout> {
            lay_out(self.0.path(), &wheel(), &python(), false)
        }

        #[track_caller]
        fn refused(&self, says: &str) {
            let text = match self.lay_out() {
                Ok(_) => panic!("it was laid out"),
                Err(failure) => failure.text(),
            };
            assert!(text.contains(says) && text.contains("`a-b`"), "{text}");
        }
    }

    const GOOD: &str = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";

    fn text(layout: &Layout, path: &str) -> String {
        let placed = layout
            .get(path)
            .unwrap_or_else(|| panic!("{path} is missing"));
        String::from_utf8(placed.bytes().unwrap()).unwrap()
    }

    #[test]
    fn everything_has_its_place() {
        let unpacked = Unpacked::new(&[
            ("a_b/__init__.py", "x = 1\n"),
            ("a_b/__pycache__/__init__.cpython-312.pyc", "old"),
            ("A_b-1.0.dist-info/RECORD.jws", "signed"),
            (
                "A_b-1.0.dist-info/entry_points.txt",
                "[console_scripts]\n# one\nab = a_b.cli:Main.run [fast]\n\n[other]\nx = y\n",
            ),
            ("A_b-1.0.data/scripts/tool", "#!python -s\nprint()\n"),
            ("A_b-1.0.data/scripts/sh", "#!/bin/sh\n"),
            ("A_b-1.0.data/purelib/more.py", ""),
            ("A_b-1.0.data/data/share/a,b.txt", "data"),
            ("A_b-1.0.data/headers/ab.h", ""),
        ]);
        let layout = unpacked.lay_out().unwrap();
        let site = "/usr/local/lib/python3.12/site-packages";
        let paths: Vec<&str> = layout.keys().map(String::as_str).collect();
        let expected: Vec<String> = [
            "/usr/local/bin/ab".to_owned(),
            "/usr/local/bin/sh".to_owned(),
            "/usr/local/bin/tool".to_owned(),
            "/usr/local/include/python3.12/a-b/ab.h".to_owned(),
        ]
        .into_iter()
        .chain(
            ["INSTALLER", "RECORD", "WHEEL", "entry_points.txt"]
                .map(|name| format!("{site}/A_b-1.0.dist-info/{name}")),
        )
        .chain(["a_b/__init__.py", "more.py"].map(|name| format!("{site}/{name}")))
        .chain(["/usr/local/share/a,b.txt".to_owned()])
        .collect();
        assert_eq!(paths, expected);
        assert_eq!(
            text(&layout, "/usr/local/bin/ab"),
            "#!/usr/local/bin/python3\nimport sys\nfrom a_b.cli import Main\n\n\
             if __name__ == \"__main__\":\n    sys.exit(Main.run())\n"
        );
        assert_eq!(
            text(&layout, "/usr/local/bin/tool"),
            "#!/usr/local/bin/python3 -s\nprint()\n"
        );
        assert_eq!(text(&layout, "/usr/local/bin/sh"), "#!/bin/sh\n");
        assert!(layout["/usr/local/bin/sh"].executable);
        let record = text(&layout, &format!("{site}/A_b-1.0.dist-info/RECORD"));
        let lines: Vec<&str> = record.lines().collect();
        assert!(lines.contains(&"A_b-1.0.dist-info/RECORD,,"), "{record}");
        // As `printf 'x = 1\n' | openssl dgst -sha256 -binary | basenc --base64url` says.
        let init = "a_b/__init__.py,sha256=nia_NpkRxFwkPGhBR7I_yeHc_PJX0pmhxjIBam_NM_Q,6";
        assert!(lines.contains(&init), "{record}");
        assert!(record.contains("\n../../../bin/ab,sha256="), "{record}");
        assert!(
            record.starts_with("\"../../../share/a,b.txt\","),
            "{record}"
        );
        assert_eq!(lines.len(), layout.len());
        let again = text(
            &unpacked.lay_out().unwrap(),
            &format!("{site}/A_b-1.0.dist-info/RECORD"),
        );
        assert_eq!(record, again);
    }

    #[test]
    fn what_is_no_wheel_of_pure_python_is_refused() {
        let with = |text: &str| {
            let unpacked = Unpacked::new(&[]);
            unpacked.add("A_b-1.0.dist-info/WHEEL", text);
            unpacked
        };
        with(&GOOD.replace("1.0", "2.0")).refused("another version of the format");
        with(&GOOD.replace("true", "false")).refused("not of pure Python");
        with(&GOOD.replace("none-any", "cp312-linux_x86_64")).refused("not of pure Python");
        with("").refused("another version");
        Unpacked::new(&[("c-1.dist-info/WHEEL", GOOD)]).refused("2 folders");
        Unpacked::new(&[("A_b-1.0.data/etc/x", "")]).refused("no folder `etc`");
        Unpacked::new(&[("A_b-1.0.data/x", "")]).refused("no folder of the scheme");
        let link = Unpacked::new(&[]);
        std::os::unix::fs::symlink("/etc/passwd", link.0.path().join("x")).unwrap();
        link.refused("is a link");
        let other = Unpacked::new(&[]);
        let folder = |name: &str| other.0.path().join(name);
        fs::rename(folder("A_b-1.0.dist-info"), folder("c-1.0.dist-info")).unwrap();
        other.refused("says that it is `c-1.0.dist-info`");
    }

    #[test]
    fn entry_points_name_functions() {
        for bad in [
            "x",
            "x = y",
            "x = y:",
            "../x = y:z",
            "x = y:z()",
            "x = y z:w",
            "x y = a:b",
            " = a:b",
            ".x = a:b",
            "x = a:b\u{7f}",
        ] {
            let text = format!("[console_scripts]\n{bad}\n");
            assert!(commands(&text, &wheel(), &python()).is_err(), "{bad}");
            let text = format!("[other]\n{bad}\n");
            assert!(commands(&text, &wheel(), &python()).is_ok(), "{bad}");
        }
    }

    #[test]
    fn digests_in_letters() {
        assert_eq!(url_safe_base64(b""), "");
        assert_eq!(url_safe_base64(&[0xfb]), "-w");
        assert_eq!(url_safe_base64(&[0xff, 0xff]), "__8");
        assert_eq!(url_safe_base64(b"abc"), "YWJj");
    }
}
