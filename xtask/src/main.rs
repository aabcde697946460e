//! The program `xtask`. It only calls the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    taskgate::main()
}
