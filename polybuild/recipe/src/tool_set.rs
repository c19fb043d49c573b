//! Named sets of commands that a build step may run.
//!
//! A set holds what a machine that builds has anyway, so that recipes do not list the words of their
//! configure scripts one by one. Less common commands (`tclsh`, `bzip2`, `nm`) are a step's `tools`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A set of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ToolSet {
    /// what makefiles and configure scripts expect of every system: `awk`, `basename`, `cat`, `chmod`,
    /// `cmp`, `cp`, `cut`, `date`, `dd`, `diff`, `dirname`, `echo`, `egrep`, `env`, `expr`, `false`,
    /// `fgrep`, `find`, `grep`, `head`, `id`, `install`, `ln`, `ls`, `make`, `mkdir`, `mktemp`, `mv`,
    /// `nl`, `od`, `printf`, `pwd`, `readlink`, `rm`, `rmdir`, `sed`, `sh`, `sleep`, `sort`, `stat`,
    /// `tail`, `tee`, `test`, `touch`, `tr`, `true`, `uname`, `uniq`, `wc`, `xargs`, `yes`.
    Unix,
    /// the machine's own compiler, for programs that a build makes and runs: `gcc`, `as`, `ld`.
    HostCompiler,
}

impl ToolSet {
    /// Its commands.
    pub fn commands(self) -> &'static [&'static str] {
        match self {
            ToolSet::Unix => &[
                "awk", "basename", "cat", "chmod", "cmp", "cp", "cut", "date", "dd", "diff",
                "dirname", "echo", "egrep", "env", "expr", "false", "fgrep", "find", "grep",
                "head", "id", "install", "ln", "ls", "make", "mkdir", "mktemp", "mv", "nl", "od",
                "printf", "pwd", "readlink", "rm", "rmdir", "sed", "sh", "sleep", "sort", "stat",
                "tail", "tee", "test", "touch", "tr", "true", "uname", "uniq", "wc", "xargs",
                "yes",
            ],
            ToolSet::HostCompiler => &["gcc", "as", "ld"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference page is made from the comments.
    #[test]
    fn the_comment_lists_the_commands() {
        let schema = schemars::schema_for!(ToolSet).to_value();
        let shown: Vec<&str> = schema["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|choice| choice["description"].as_str())
            .collect();
        let sets = [ToolSet::Unix, ToolSet::HostCompiler];
        assert_eq!(shown.len(), sets.len());
        for (text, set) in shown.iter().zip(sets) {
            let words: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
            assert_eq!(words, set.commands());
        }
    }
}
