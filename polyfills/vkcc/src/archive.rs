//! `vkar` and `vkranlib`: the archiver, with members that carry no time, owner or mode.

use std::ffi::OsString;

use crate::{environment::Environment, error::Result, process::status};

/// Which tool a name stands for, if any.
pub(crate) fn tool(name: &str) -> Option<&'static str> {
    match name {
        _ if name.ends_with("ranlib") => Some("ranlib"),
        _ if name.ends_with("ar") => Some("ar"),
        _ => None,
    }
}

/// Runs it.
pub(crate) fn run(environment: &Environment, tool: &str, arguments: Vec<OsString>) -> Result<u8> {
    let mut arguments = arguments;
    if tool == "ar"
        && let Some(operation) = arguments.first_mut().and_then(|first| {
            first
                .to_str()
                .filter(|text| !text.starts_with("--") && !text.contains('U'))
                .map(|text| text.replace('u', ""))
        })
    {
        // Deterministic, whatever the archiver's default is; `u` compares times and is its foe.
        arguments[0] = format!("{operation}D").into();
    }
    status(environment.tool(tool).args(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(tool("vkar"), Some("ar"));
        assert_eq!(tool("vkranlib"), Some("ranlib"));
        assert_eq!(tool("vkcc"), None);
    }
}
