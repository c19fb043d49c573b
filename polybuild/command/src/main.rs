//! Entry of the `polybuild` command; all of it is in the library.

fn main() {
    std::process::exit(polybuild::run(std::env::args_os().collect()));
}
