//! The hidden commands that trace a program. It must not know how tracing works.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::process::trace::{self, Stops, Watched, start};

/// Returns the system calls to stop at.
pub fn stops(all: bool) -> Stops {
    if all { Stops::All } else { Stops::Few }
}

/// Runs a program, writes a report of the files that it and its descendants opened, and ends as it did.
///
/// # Errors
/// The program can't be started, or the report can't be written.
pub fn run_traced(
    session: &Session,
    report: &Path,
    command: &[OsString],
    stops: Stops,
    below: Option<PathBuf>,
) -> Result<End, Failure> {
    let watched = below.map_or(Watched::Everything, Watched::Below);
    let followed = trace::follow(session.env.program(), command, stops, &watched);
    let (status, trace) =
        followed.map_err(|source| Failure::System { attempt: "follow the program".to_owned(), source })?;
    trace.write(&session.resolve(report))?;
    Ok(End::As(start::end_as(status)))
}

/// Replaces this process by the program. Returns only if that fails.
pub fn become_traced(
    session: &Session,
    tracer: i32,
    command: &[OsString],
    stops: Stops,
    is_narrow: bool,
) -> End {
    let (text, status) = start::become_seized(tracer, command, stops, is_narrow);
    session.eprint(&format!("error: {text}\n"));
    End::As(status)
}
