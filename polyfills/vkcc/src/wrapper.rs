//! Programs that run where they were linked, for configure scripts and build steps that make a
//! program to run it.
//!
//! With `VKCC_RUN=LAUNCHER` the module goes to `OUTPUT.wasm`, and `OUTPUT` becomes a script that
//! runs `LAUNCHER OUTPUT.wasm ARGUMENTS…`. A recipe then takes `OUTPUT.wasm`.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::error::{IoContext, Result};

/// Puts the module and the script into place.
pub(crate) fn install(module: &Path, output: &Path, launcher: &str) -> Result<()> {
    let mut name = output.as_os_str().to_owned();
    name.push(".wasm");
    let beside = std::path::absolute(Path::new(&name)).doing("finding", output)?;
    let script = module.with_extension("sh");
    fs::write(&script, text(launcher, &beside.to_string_lossy())).doing("writing", &script)?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&script, mode).doing("making executable", &script)?;
    fs::rename(module, &beside).doing("putting into place", &beside)?;
    fs::rename(&script, output).doing("putting into place", output)
}

/// The launcher is a command with its arguments; the module's path is one word whatever is in it.
fn text(launcher: &str, module: &str) -> String {
    let module = module.replace('\'', r"'\''");
    format!("#!/bin/sh\nexec {launcher} '{module}' \"$@\"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        assert_eq!(
            text("run --fast", "/a b/it's.wasm"),
            "#!/bin/sh\nexec run --fast '/a b/it'\\''s.wasm' \"$@\"\n"
        );
    }

    #[test]
    fn both_files_appear() {
        let dir = tempfile::tempdir().unwrap();
        let module = dir.path().join("module.wasm");
        let output = dir.path().join("conftest");
        fs::write(&module, "x").unwrap();
        install(&module, &output, "run").unwrap();
        assert_eq!(fs::read(dir.path().join("conftest.wasm")).unwrap(), b"x");
        assert_eq!(
            fs::metadata(&output).unwrap().permissions().mode() & 0o777,
            0o755
        );
    }
}
