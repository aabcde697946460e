//! The hidden command that traces which files a program opens. It must not know how that is done.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use open_trace::{Options, signals};

use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::session::Session;

/// Runs a program, writes a report of the files that it and its descendants opened, and ends as it did.
///
/// # Errors
/// The program can't be started, or the report can't be written.
pub fn run_traced(
    session: &Session,
    report: &Path,
    command: &[OsString],
    options: &Options,
) -> Result<End, Failure> {
    let failed = |source| Failure::System { attempt: "trace the program".to_owned(), source };
    signals::survive_group_signals().map_err(failed)?;
    let outcome = open_trace::trace(command, options).map_err(failed)?;
    if let Some(error) = &outcome.exec_error {
        let program = command[0].display();
        session.eprint(&match error.kind() {
            io::ErrorKind::NotFound => format!("error: there is no program `{program}`\n"),
            _ => format!("error: can't run `{program}`: {error}\n"),
        });
    }
    let failed = |source| Failure::System { attempt: "write the trace".to_owned(), source };
    outcome.trace.store(&session.resolve(report)).map_err(failed)?;
    Ok(End::As(signals::end_as(outcome.status)))
}
