//! A root folder as the Python image makes it, and programs run in it through the launcher, as a
//! container engine would but without one.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{polybuild, python_from_source, python_image, run};

/// Path of the interpreter in the image.
pub const PYTHON: &str = "/usr/local/bin/python3";

/// A copy of an image's files; gone when dropped.
pub struct Root {
    outer: TempDir,
}

impl Root {
    /// The Python image's, with an empty folder `/w`.
    pub fn python() -> Root {
        Root::new(&unpacked(&python_image()), true)
    }

    /// The same, with nothing shared between the copies.
    pub fn python_unshared() -> Root {
        Root::new(&unpacked(&python_image()), false)
    }

    /// The image's of Python that is compiled from source, with `/w` too, and a folder `/dev` for the launcher.
    pub fn python_from_source() -> Root {
        let root = Root::new(&unpacked(&python_from_source()), true);
        fs::create_dir_all(root.path().join("dev")).unwrap();
        root
    }

    /// Of another image, by its output folder.
    pub fn of(image: &Path) -> Root {
        let scratch = unpack(image);
        Root::new(&scratch.path().join("root"), false)
    }

    /// A copy of another one, which nobody has used.
    pub fn like(other: &Root) -> Root {
        let outer = tempfile::tempdir().unwrap();
        copy(&other.path(), &outer.path().join("root"), false);
        Root { outer }
    }

    fn new(from: &Path, share: bool) -> Root {
        let outer = tempfile::tempdir().unwrap();
        copy(from, &outer.path().join("root"), share);
        let root = Root { outer };
        fs::create_dir(root.path().join("w")).unwrap();
        root
    }

    /// The root on the host.
    pub fn path(&self) -> PathBuf {
        self.outer.path().join("root")
    }

    /// The folder around the root: outside for the guest.
    pub fn outside(&self) -> &Path {
        self.outer.path()
    }

    /// Writes a file; `path` is the guest's, its folders are made.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let host = self.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(host.parent().unwrap()).unwrap();
        fs::write(&host, contents).unwrap();
        host
    }

    /// The launcher with this root, `/w` as the working directory and the image's environment.
    pub fn launcher(&self) -> Command {
        let mut command = Command::new(self.path().join(".vkernel/megabinary"));
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .arg("--root")
            .arg(self.path());
        command
    }

    /// A program in `/w`.
    pub fn program(&self, program: &str, args: &[impl AsRef<OsStr>]) -> Command {
        self.program_in("/w", program, args)
    }

    /// A program in another working directory.
    pub fn program_in(&self, cwd: &str, program: &str, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = self.launcher();
        command
            .args(["--cwd", cwd, "--program", program, "--"])
            .args(args);
        command
    }

    /// A program run by the host kernel through its stub, as PID 1 of a container that has this
    /// root and `/proc`.
    pub fn contained(&self, argv: &[impl AsRef<OsStr>]) -> Command {
        let _ = fs::create_dir(self.path().join("proc"));
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.arg("--root").arg(self.path()).args(argv);
        command
    }

    /// The interpreter in `/w`.
    pub fn python3(&self, args: &[impl AsRef<OsStr>]) -> Command {
        self.program(PYTHON, args)
    }
}

/// An image's files, unpacked once. The folder is kept where `cargo clean` finds it.
fn unpacked(image: &Path) -> PathBuf {
    let folder = crate::workspace().join("target/test-roots");
    fs::create_dir_all(&folder).unwrap();
    let root = folder.join(record_digest(image));
    if !root.is_dir() {
        let scratch = unpack(image);
        let made = tempfile::tempdir_in(&folder).unwrap();
        copy(
            &scratch.path().join("root"),
            &made.path().join("root"),
            false,
        );
        // Somebody else may have been faster; theirs is as good.
        let _ = fs::rename(made.path().join("root"), &root);
    }
    root
}

/// A name for the image's contents.
fn record_digest(image: &Path) -> String {
    let record = fs::read_to_string(image.join("build.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    fn find(value: &serde_json::Value) -> Option<String> {
        match value {
            serde_json::Value::Object(map) => match map.get("manifest") {
                Some(serde_json::Value::String(digest)) => Some(digest.clone()),
                _ => map.values().find_map(find),
            },
            _ => None,
        }
    }
    find(&record)
        .expect("build.json names the manifest")
        .replace("sha256:", "")
}

fn unpack(image: &Path) -> TempDir {
    let scratch = tempfile::tempdir().unwrap();
    let said = run(polybuild()
        .args(["export", "--quiet", "--format", "rootfs"])
        .arg(image)
        .arg("-o")
        .arg(scratch.path().join("root")));
    assert_eq!(said.status, 0, "{}", said.stderr);
    scratch
}

/// Copies a folder with modes and links; with `share`, large files become hard links.
pub(crate) fn copy(from: &Path, to: &Path, share: bool) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let meta = entry.metadata().unwrap();
        if meta.is_dir() {
            copy(&source, &target, share);
        } else if meta.is_symlink() {
            symlink(fs::read_link(&source).unwrap(), &target).unwrap();
        } else if share && meta.len() > 1 << 20 && fs::hard_link(&source, &target).is_ok() {
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}
