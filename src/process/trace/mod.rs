//! Which files a program and all its descendants open: a tracer, and the report that it writes. It
//! must not know what the report is for.
//!
//! [`follow`] is what the hidden mode [`TRACE_ARGUMENT`] does. It starts the program through the
//! second hidden mode, [`STOPPED_ARGUMENT`], which stops itself so that it is seized before the
//! program has its first say. A seccomp filter has only those system calls stop that matter; where
//! there can be none, all of them do. A report never claims more than was seen: whatever may have
//! escaped is a [`Doubt`](report::Doubt) in it. Only Linux can do this, on two architectures;
//! elsewhere the program just runs, and the report says so.

pub mod file_path;
pub mod report;
pub mod start;

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod elsewhere;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitStatus;

use crate::process::trace::report::Trace;

/// The hidden first argument by which the program is told to trace; the report's path and the
/// command follow.
pub const TRACE_ARGUMENT: &str = "__trace";
/// The hidden first argument by which the program is told to wait until it is seized, and to become
/// the command that follows.
pub const STOPPED_ARGUMENT: &str = "__stopped";
/// The option of both modes that asks for [`Stops::All`].
pub const ALL_STOPS_OPTION: &str = "--all-stops";

/// Which system calls stop for a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stops {
    /// Those that matter, where a filter can tell them, else all.
    Few,
    /// All of them, which is slower and finds the same.
    All,
}

/// Runs `command` through `own`, which is this program, follows all that comes of it until the last
/// of it has ended, and returns how the command ended and what was seen. Environment, folder and
/// standard streams are inherited.
///
/// # Errors
/// There is no room for a process, or its end is lost.
pub fn follow(own: &Path, command: &[OsString], stops: Stops) -> io::Result<(ExitStatus, Trace)> {
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    return linux::follow(own, command, stops);
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    return elsewhere::follow(own, command, stops);
}
