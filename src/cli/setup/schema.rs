//! `xtask schema`: prints the JSON schema of tasks.toml. It must not look at any tasks.toml.

use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::config::schema;

/// Prints it on standard output.
///
/// # Errors
/// Standard output can't be written to.
pub fn run(session: &Session) -> Result<End, Failure> {
    session.print(&schema::text())?;
    Ok(End::Passed)
}
