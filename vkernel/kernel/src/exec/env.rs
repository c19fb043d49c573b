//! `env(1)` as part of exec: `env [-i] [-u NAME]... [-S STRING] [NAME=VALUE]... [PROGRAM [ARG]...]`.
//!
//! Scripts start with `#!/usr/bin/env python3`, so the vkernel answers for it. Only what changes
//! what is executed is here, with the meaning of GNU coreutils; every other option is an error.

use super::{Printable, split};

/// Why `env` did not understand its arguments. Like coreutils', its exit status is 125.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// An option that is not supported.
    #[error(
        "env: unsupported option {}: the vkernel's env knows -i, -u NAME, -S STRING and NAME=VALUE",
        Printable(.0)
    )]
    Option(Vec<u8>),
    /// An option without its argument.
    #[error("env: option {0} requires an argument")]
    MissingArgument(&'static str),
    /// A variable's name to unset that is empty or holds `=`.
    #[error("env: `{}` is not a variable's name", Printable(.0))]
    Name(Vec<u8>),
    /// The string of `-S` is malformed.
    #[error("env: in the string of -S: {0}")]
    Split(#[from] split::SplitError),
    /// The string of `-S` leads to another one too often.
    #[error("env: more than {0} options -S in one command")]
    TooManySplits(usize),
}

/// What the arguments of `env` ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Print the environment.
    Print(Vec<Vec<u8>>),
    /// Run the program named by `argv[0]`.
    Run {
        argv: Vec<Vec<u8>>,
        env: Vec<Vec<u8>>,
    },
}

/// How often `-S` may occur: each can bring another.
const MAX_SPLITS: usize = 64;

/// Interprets the arguments of `env`, `argv[0]` included, with the environment it is given.
pub(super) fn interpret(argv: &[Vec<u8>], env: Vec<Vec<u8>>) -> Result<Command, EnvError> {
    let given = env;
    let mut clear = false;
    let mut unset = Vec::new();
    // Arguments still to be read, the next one last.
    let mut rest: Vec<Vec<u8>> = argv.iter().skip(1).rev().cloned().collect();
    let mut splits = 0;
    while let Some(arg) = rest.pop() {
        let mut take = |attached: &[u8], option| {
            if attached.is_empty() {
                rest.pop().ok_or(EnvError::MissingArgument(option))
            } else {
                Ok(attached.to_vec())
            }
        };
        match arg.as_slice() {
            b"--" => break,
            b"-i" | b"--ignore-environment" => clear = true,
            b"--unset" => unset.push(variable(take(b"", "--unset")?)?),
            b"--split-string" => {
                let string = take(b"", "--split-string")?;
                splice(&string, &given, &mut rest, &mut splits)?;
            }
            option => {
                if let Some(name) = option.strip_prefix(b"--unset=") {
                    unset.push(variable(name.to_vec())?);
                } else if let Some(string) = option.strip_prefix(b"--split-string=") {
                    splice(string, &given, &mut rest, &mut splits)?;
                } else if let Some(attached) = option.strip_prefix(b"-u") {
                    unset.push(variable(take(attached, "-u")?)?);
                } else if let Some(attached) = option.strip_prefix(b"-S") {
                    let string = take(attached, "-S")?;
                    splice(&string, &given, &mut rest, &mut splits)?;
                } else if let Some(more) = option.strip_prefix(b"-i") {
                    // Short options can be joined: -iS, -iu.
                    clear = true;
                    rest.push([b"-", more].concat());
                } else if option.starts_with(b"-") && option.len() > 1 {
                    return Err(EnvError::Option(arg));
                } else {
                    rest.push(arg);
                    break;
                }
            }
        }
    }

    // An operand `-` in front means -i.
    if rest.last().is_some_and(|arg| arg == b"-") {
        rest.pop();
        clear = true;
    }
    let mut env = if clear { Vec::new() } else { given };
    env.retain(|pair| !unset.iter().any(|name| name_of(pair) == name.as_slice()));
    while let Some(arg) = rest.pop() {
        if !arg.contains(&b'=') {
            rest.push(arg);
            break;
        }
        let name = name_of(&arg);
        match env.iter_mut().find(|pair| name_of(pair) == name) {
            Some(pair) => *pair = arg,
            None => env.push(arg),
        }
    }
    if rest.is_empty() {
        return Ok(Command::Print(env));
    }
    rest.reverse();
    Ok(Command::Run { argv: rest, env })
}

/// Puts the words of a `-S` string in front of the arguments still to be read.
fn splice(
    string: &[u8],
    env: &[Vec<u8>],
    rest: &mut Vec<Vec<u8>>,
    splits: &mut usize,
) -> Result<(), EnvError> {
    *splits += 1;
    if *splits > MAX_SPLITS {
        return Err(EnvError::TooManySplits(MAX_SPLITS));
    }
    let words = split::words(string, |name| value_of(env, name))?;
    rest.extend(words.into_iter().rev());
    Ok(())
}

fn variable(name: Vec<u8>) -> Result<Vec<u8>, EnvError> {
    if name.is_empty() || name.contains(&b'=') {
        return Err(EnvError::Name(name));
    }
    Ok(name)
}

fn name_of(pair: &[u8]) -> &[u8] {
    pair.split(|b| *b == b'=').next().unwrap_or_default()
}

/// The value of a variable.
pub(super) fn value_of<'e>(env: &'e [Vec<u8>], name: &[u8]) -> Option<&'e [u8]> {
    env.iter()
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `env` with these arguments (separated by `|`) in the environment A=1 B=2, shown as
    /// `VARIABLES > ARGV` or `VARIABLES` or `! ERROR`.
    fn check(args: &str, expected: &str) {
        let argv: Vec<Vec<u8>> = std::iter::once("env")
            .chain(args.split('|').filter(|a| !a.is_empty()))
            .map(|a| a.as_bytes().to_vec())
            .collect();
        let join = |list: &[Vec<u8>]| String::from_utf8(list.join(&b'|')).unwrap();
        let got = match interpret(&argv, vec![b"A=1".to_vec(), b"B=2".to_vec()]) {
            Ok(Command::Print(env)) => join(&env),
            Ok(Command::Run { argv, env }) => format!("{} > {}", join(&env), join(&argv)),
            Err(error) => format!("! {error}"),
        };
        assert_eq!(got, expected, "env {args}");
    }

    #[test]
    fn arguments() {
        check("", "A=1|B=2");
        check("python3", "A=1|B=2 > python3");
        check("python3|-i|X=1", "A=1|B=2 > python3|-i|X=1");
        check("-i|python3", " > python3");
        check("-|python3", " > python3");
        check("-|-u|x", " > -u|x");
        check("-u|A|python3|-u", "B=2 > python3|-u");
        check("-uA|--unset=B|X=|p", "X= > p");
        check("=x|p", "A=1|B=2|=x > p");
        check("A=3|C=4=5|p", "A=3|B=2|C=4=5 > p");
        check("--|-x", "A=1|B=2 > -x");
        check("-S|python3 -u|s.py", "A=1|B=2 > python3|-u|s.py");
        check("-Spython3 -u|s.py", "A=1|B=2 > python3|-u|s.py");
        check("-S -i X=${A} p|q", "X=1 > p|q");
        check("-iS|p x", " > p|x");
        check("--split-string=p 'a b'", "A=1|B=2 > p|a b");
        check("-iuA", "");
    }

    #[test]
    fn refusals() {
        check(
            "-x|p",
            "! env: unsupported option -x: the vkernel's env knows -i, -u NAME, -S STRING and NAME=VALUE",
        );
        check(
            "--chdir=/|p",
            "! env: unsupported option --chdir=/: the vkernel's env knows -i, -u NAME, -S STRING and NAME=VALUE",
        );
        check("-u", "! env: option -u requires an argument");
        check("-u|A=1|p", "! env: `A=1` is not a variable's name");
        check("-S|a 'b", "! env: in the string of -S: no closing quote");
        check("-S|-S '-S -S' -S", "! env: option -S requires an argument");
    }
}
