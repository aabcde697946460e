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
use std::path::{Path, PathBuf};
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
/// The option of [`TRACE_ARGUMENT`] that asks for [`Watched::Below`]; the folder follows.
pub const BELOW_OPTION: &str = "--below";
/// The option of [`STOPPED_ARGUMENT`] that asks for the filter of [`Watched::Below`].
pub const NARROW_OPTION: &str = "--narrow";

/// Which system calls stop for a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stops {
    /// Those that matter, where a filter can tell them, else all.
    Few,
    /// All of them, which is slower and finds the same.
    All,
}

/// What a trace is to find.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Watched {
    /// All files that the program and its descendants depend on, until the last of them has ended.
    Everything,
    /// Those below this folder that are opened, executed or changed, until the program itself has
    /// ended; what is left of its descendants is killed then. It stops at far fewer calls.
    Below(PathBuf),
}

impl Watched {
    /// Whether only files that are opened or changed are looked for.
    pub fn is_narrow(&self) -> bool {
        *self != Self::Everything
    }
}

/// Runs `command` through `own`, which is this program, follows all that comes of it as long as
/// `watched` says, and returns how the command ended and what was seen. Environment, folder and
/// standard streams are inherited.
///
/// # Errors
/// There is no room for a process, or its end is lost.
pub fn follow(
    own: &Path,
    command: &[OsString],
    stops: Stops,
    watched: &Watched,
) -> io::Result<(ExitStatus, Trace)> {
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    return linux::follow(own, command, stops, watched);
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    return elsewhere::follow(own, command, stops, watched);
}
