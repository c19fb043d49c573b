//! A user of one test's own: home, cache, configuration and work folder in a temporary folder, so
//! that tests neither see nor touch what belongs to whoever runs them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Said, polybuild_path, run};

/// The cases' folder.
pub fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// The user.
pub struct Sandbox {
    home: tempfile::TempDir,
}

impl Default for Sandbox {
    fn default() -> Sandbox {
        Sandbox::new()
    }
}

impl Sandbox {
    /// A new user, who signs with the tests' own key.
    pub fn new() -> Sandbox {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config/polybuild");
        fs::create_dir_all(&config).unwrap();
        fs::create_dir(home.path().join("work")).unwrap();
        fs::copy(cases().join("test.key"), config.join("development.key")).unwrap();
        Sandbox { home }
    }

    /// A user whose work folder holds a copy of a folder of `cases/`.
    pub fn with(case: &str) -> Sandbox {
        let sandbox = Sandbox::new();
        sandbox.add(case);
        sandbox
    }

    /// Copies a folder of `cases/` into the work folder.
    pub fn add(&self, case: &str) {
        let from = cases().join(case);
        copy(&from, &self.work());
    }

    /// Everything of this user.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where commands run.
    pub fn work(&self) -> PathBuf {
        self.home().join("work")
    }

    /// polybuild's cache.
    pub fn cache(&self) -> PathBuf {
        self.home().join("cache/polybuild")
    }

    /// Writes a file of the work folder.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    /// Reads a file of the work folder.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.work().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// A program run as this user.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.work())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("NO_COLOR", "1")
            .env("HOME", self.home())
            .env("XDG_CACHE_HOME", self.home().join("cache"))
            .env("XDG_CONFIG_HOME", self.home().join("config"));
        command
    }

    /// polybuild, run as this user.
    pub fn polybuild(&self, args: &[&str]) -> Command {
        let mut command = self.command(polybuild_path());
        command.args(args);
        command
    }

    /// Runs polybuild, which must do what it is told.
    pub fn ok(&self, args: &[&str]) -> Said {
        let said = run(&mut self.polybuild(args));
        assert_eq!(said.status, 0, "polybuild {args:?}: {said:#?}");
        self.nothing_half_written();
        said
    }

    /// The same, where something killed before may have left its traces.
    pub fn ok_with_leftovers(&self, args: &[&str]) -> Said {
        let said = run(&mut self.polybuild(args));
        assert_eq!(said.status, 0, "polybuild {args:?}: {said:#?}");
        said
    }

    /// Runs polybuild, which must end with `status` and say all of `says`.
    #[track_caller]
    pub fn fails(&self, args: &[&str], status: i32, says: &[&str]) -> Said {
        self.command_fails(&mut self.polybuild(args), status, says)
    }

    /// Runs a command, which must end with `status`, say all of `says` on standard error, not
    /// panic, and leave nothing half-written.
    #[track_caller]
    pub fn command_fails(&self, command: &mut Command, status: i32, says: &[&str]) -> Said {
        let said = run(command);
        assert_eq!(said.status, status, "{command:?}: {said:#?}");
        // Long messages are wrapped to the width of the terminal.
        let flat = said
            .stderr
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace("│ ", "");
        for part in says {
            assert!(
                flat.contains(part),
                "{command:?} does not say {part:?}: {said:#?}"
            );
        }
        assert!(!flat.contains("panicked"), "{said:#?}");
        self.nothing_half_written();
        said
    }

    /// Names that only exist while something is being made.
    pub fn half_written(&self) -> Vec<PathBuf> {
        files(self.home())
            .into_iter()
            .filter(|path| {
                path.iter().any(|part| {
                    let part = part.to_string_lossy();
                    part.starts_with(".polybuild-") || part.ends_with(".unfinished")
                })
            })
            .collect()
    }

    /// Asserts that there are none.
    #[track_caller]
    pub fn nothing_half_written(&self) {
        let found = self.half_written();
        assert!(found.is_empty(), "half-written files are left: {found:#?}");
    }
}

/// All files, folders and links below a folder, sorted.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        // Folders that a command is just removing are as good as gone.
        for entry in fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|e| e.ok())
        {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                folders.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// Copies a folder with everything in it.
pub fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        if path.is_dir() {
            fs::create_dir_all(&target).unwrap();
        } else {
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(&path, &target).unwrap();
        }
    }
}
