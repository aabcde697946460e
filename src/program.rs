//! A program of a repository's own: taskgate with Rust functions as tasks. It must not know what the
//! functions do.
//!
//! A crate `xtask` in the repository makes the program:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     taskgate::Program::new().task("codegen", codegen).main()
//! }
//!
//! fn codegen(_args: &[String]) -> taskgate::Outcome {
//!     std::fs::write("src/generated.rs", "// made by `cargo xtask codegen`\n")?;
//!     Ok(())
//! }
//! ```
//!
//! tasks.toml names the function; all other keys are those of any task:
//!
//! ```toml
//! [tasks.codegen]
//! rust = "codegen"
//! inputs = ["schema/**"]
//! outputs = ["src/generated.rs"]
//! ```
//!
//! The function runs in a child process of the program, in the task's folder, with the task's
//! environment, log and limits. The child prints an `Err` and ends with 1; a panic ends it with 101. All
//! Rust sources of the tree are part of the task's key, because they may be part of the program.

use std::process::ExitCode;

use crate::cli;
use crate::engine::task::rust_task::{Functions, Outcome};

/// taskgate's program, with functions of its own.
#[derive(Default)]
pub struct Program {
    functions: Functions,
}

impl Program {
    /// Returns a program without functions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a function for tasks with `rust = "name"`. It replaces an earlier one of the same name.
    #[must_use]
    pub fn task(mut self, name: &str, function: impl Fn(&[String]) -> Outcome + 'static) -> Self {
        self.functions.insert(name.to_owned(), Box::new(function));
        self
    }

    /// Runs the program with the arguments and the environment of this process. A panic is a bug, and has its
    /// own exit status.
    pub fn main(self) -> ExitCode {
        let run = std::panic::AssertUnwindSafe(|| cli::main(std::env::args_os(), &self.functions));
        std::panic::catch_unwind(run).unwrap_or_else(|_| cli::report_bug())
    }
}
