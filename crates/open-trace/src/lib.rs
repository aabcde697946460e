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
//! matter. A trace never claims more than was seen: everything that may have escaped is a [`Doubt`] in it.
//! Only Linux on x86-64 and aarch64 can be traced. Elsewhere the program just runs, and the trace says
//! so.
//!
//! Where to read: [`report`] is what a trace contains, `linux/mod.rs` follows the processes,
//! `linux/syscalls.rs` is the table of watched calls, `linux/observer.rs` and `linux/lookups.rs` turn calls
//! into findings, and `linux/ptrace.rs` is the only module with `unsafe`.

mod file_path;
mod options;
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

pub use file_path::FilePath;
pub use options::{Options, Outcome, Scope};
pub use report::{Access, Doubt, DoubtKind, FileAccess, FileState, FirstAccess, Lookup, PathState, Trace};

/// Runs `command` and traces it until its scope ends.
///
/// Environment, current folder and standard streams are inherited. A program without a slash in its name
/// is looked up in `PATH`. If the calling process dies, all that is traced is killed.
///
/// # Errors
/// No process can be started, an argument contains a zero byte, or the exit status of the program was lost.
pub fn trace(command: &[OsString], options: &Options) -> io::Result<Outcome> {
    if command.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no program to run"));
    }
    tracer::trace(command, options)
}
