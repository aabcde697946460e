//! The same program as a cargo subcommand, so that `cargo xtask` works in any repository.

use std::process::ExitCode;

fn main() -> ExitCode {
    taskgate::main()
}
