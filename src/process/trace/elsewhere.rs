//! Running a program where nothing can be traced. It must not know more of a trace than that.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitStatus;

use crate::process::trace::report::{Notebook, Trace, Why};
use crate::process::trace::{Stops, Watched, start};

pub(super) fn follow(
    own: &Path,
    command: &[OsString],
    stops: Stops,
    watched: &Watched,
) -> io::Result<(ExitStatus, Trace)> {
    start::outlive_the_group()?;
    let status = start::command(own, command, stops, watched.is_narrow()).status()?;
    let mut notebook = Notebook::default();
    notebook.doubt(Why::Unavailable, None);
    Ok((status, notebook.finish()))
}
