//! `xtask schema`: prints the JSON schema of tasks.toml, or the reference of all keys. It must not read any
//! tasks.toml.

use clap::Args;

use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::config::schema;

/// Arguments of `schema`.
#[derive(Args, Debug)]
pub struct SchemaArgs {
    /// Print the reference of all keys as Markdown instead
    #[arg(long)]
    pub markdown: bool,
}

/// Prints the schema or the reference.
///
/// # Errors
/// Standard output can't be written to.
pub fn run(session: &Session, args: &SchemaArgs) -> Result<End, Failure> {
    let text = if args.markdown { schema::markdown::text() } else { schema::text() };
    session.print(&text)?;
    Ok(End::Passed)
}
