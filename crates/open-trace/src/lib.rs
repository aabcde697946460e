//! Finds out which files a program and all its descendants open, execute, list, change or miss.
//!
//! ```no_run
//! use open_trace::{Options, trace};
//!
//! let outcome = trace(&["cc", "-c", "main.c"].map(Into::into), &Options::default())?;
//! for file in &outcome.trace.files {
//!     println!("{} {:?}", file.path, file.accesses);
//! }
//! # std::io::Result::Ok(())
//! ```
//!
//! The program runs under `ptrace`, with a seccomp filter that stops it only at the system calls that
//! matter. A trace never claims more than was seen: whatever may have escaped is a [`Doubt`] in it.
//! Only Linux on x86-64 and aarch64 can be traced. Elsewhere the program just runs, and the trace says
//! so.
//!
//! Where to read: [`report`] is what a trace contains, `linux/mod.rs` follows the processes,
//! `linux/syscalls.rs` is the table of watched calls, `linux/observer.rs` turns calls into findings, and
//! `linux/ptrace.rs` is the only module with `unsafe`.

mod file_path;
pub mod report;
pub mod signals;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
use linux as tracer;
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod unsupported;
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
use unsupported as tracer;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

pub use file_path::FilePath;
pub use report::{Access, Doubt, DoubtKind, FileAccess, FirstAccess, Trace};

/// How a program is traced.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// What is looked for.
    pub scope: Scope,
    /// Whether the program stops at every system call. That is slower and finds the same as the filter
    /// that is used otherwise. It is for comparison: where a filter can't be set, this happens anyway.
    pub stop_at_all_calls: bool,
}

/// What a trace looks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Scope {
    /// All files that the program and its descendants depend on, until the last of them has ended.
    #[default]
    Everything,
    /// Files below this folder that are opened, executed or changed, until the program itself has ended;
    /// what is left of its descendants is killed then. The program stops at far fewer calls.
    Below(PathBuf),
}

/// The outcome of a traced program.
#[derive(Debug)]
pub struct Outcome {
    /// How the program ended: 127 if it was not found, 126 if it could not be executed.
    pub status: ExitStatus,
    /// Why the program could not be executed, if so.
    pub exec_error: Option<io::Error>,
    /// What was seen.
    pub trace: Trace,
}

/// Runs `command` and traces it for as long as the scope says.
///
/// Environment, current folder and standard streams are inherited. A program without a slash in its name
/// is looked up in `PATH`. If the calling process dies, all that is traced is killed.
///
/// # Errors
/// No process can be started, an argument contains a zero byte, or the program's end is lost.
pub fn trace(command: &[OsString], options: &Options) -> io::Result<Outcome> {
    if command.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no program to run"));
    }
    tracer::trace(command, options)
}
