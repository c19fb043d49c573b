//! Running the tools that the driver stands in front of.

use std::process::{Command as Process, ExitStatus, Stdio};

use crate::{
    command::Command,
    error::{IoContext, Result},
};

/// Runs a tool as the command line asks: shown, or shown and run, or run.
pub(crate) fn execute(mut process: Process, command: &Command) -> Result<u8> {
    if command.verbose || command.show_only {
        eprintln!("{process:?}");
    }
    if command.show_only {
        return Ok(0);
    }
    status(&mut process)
}

/// The same, and what the tool wrote to its standard output.
pub(crate) fn execute_and_read(mut process: Process, command: &Command) -> Result<(u8, String)> {
    if command.verbose {
        eprintln!("{process:?}");
    }
    let output = process
        .stderr(Stdio::inherit())
        .output()
        .doing("running", process.get_program().to_owned())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((code(output.status), said))
}

/// Runs a tool; its exit status, or 1 if a signal ended it.
pub(crate) fn status(process: &mut Process) -> Result<u8> {
    let status = process
        .status()
        .doing("running", process.get_program().to_owned())?;
    Ok(code(status))
}

/// Runs a tool and gives what it wrote.
pub(crate) fn capture(process: &mut Process) -> Result<String> {
    let output = process
        .output()
        .doing("running", process.get_program().to_owned())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn code(status: ExitStatus) -> u8 {
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1)
}
