//! The program `xtask`. It must not know more than where the library's door is.

use std::process::ExitCode;

fn main() -> ExitCode {
    taskgate::main()
}
