//! `write-seeds FOLDER`: writes every target's seeds to `FOLDER/TARGET/seed-N`, the corpus that
//! libFuzzer starts from.

use std::{io, path::PathBuf, process::ExitCode};

fn write(folder: PathBuf) -> io::Result<()> {
    for target in polybuild_fuzz::TARGETS {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: write-seeds FOLDER");
        return ExitCode::from(2);
    };
    match write(folder.into()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("writing seeds: {error}");
            ExitCode::FAILURE
        }
    }
}
