//! Exit statuses of `polybuild`, as one table; the manual page and the reference print it.

/// One status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The number.
    pub code: u8,
    /// What it means.
    pub meaning: &'static str,
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $meaning:literal;)*) => {
        $($(#[$doc])* pub const $name: Status = Status { code: $code, meaning: $meaning };)*
        /// All of them, in order.
        pub const ALL: &[Status] = &[$($name),*];
    };
}

statuses! {
    /// Success.
    OK = 0, "done";
    /// A bug.
    INTERNAL = 1, "a fault of polybuild itself; please report it";
    /// The command line.
    USAGE = 2, "the command line is wrong";
    /// The recipe.
    RECIPE = 3, "the recipe, its lock file or one of its inputs is wrong";
    /// Verification.
    VERIFY = 4, "verification failed: the file must not be trusted";
    /// The machine.
    ENVIRONMENT = 5, "the machine cannot do it: a tool, the network, the disk or a permission is missing";
    /// Interrupted.
    INTERRUPTED = 130, "interrupted (Ctrl-C); nothing half-written is left";
    /// Terminated.
    TERMINATED = 143, "terminated (SIGTERM); nothing half-written is left";
}

/// Statuses that `polybuild run` passes on from the vkernel.
pub const RUN: &[(i32, &str)] = &[
    (
        vkernel_abi::exit::VKERNEL,
        "run: the vkernel failed before the program could start",
    ),
    (
        vkernel_abi::exit::CANNOT_RUN,
        "run: the program may not run: it has no route, or is not a program",
    ),
    (vkernel_abi::exit::NOT_FOUND, "run: no such program"),
    (vkernel_abi::exit::TRAP, "run: the program trapped"),
    (
        vkernel_abi::exit::LIMIT,
        "run: a limit of the policy ended the program",
    ),
];

/// The table as text, for `--help` and the manual page.
pub fn table() -> String {
    let mut text = String::from("Exit status:\n");
    for s in ALL {
        text.push_str(&format!("  {:>3}  {}\n", s.code, s.meaning));
    }
    for (code, meaning) in RUN {
        text.push_str(&format!("  {code:>3}  {meaning}\n"));
    }
    text.push_str("  run otherwise exits with the program's own status.\n");
    text
}
