//! What all commands are given: the environment, the clock, the current folder, and where to print.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::base::clock::Clock;
use crate::base::env::Env;
use crate::cli::failure::Failure;
use crate::git::Repository;
use crate::reporter::busy_line::BusyLine;
use crate::reporter::style::{Color, Paint};

/// What [`Session::busy`] says while a plan is made: the snapshot is taken, and tools are asked for their versions.
pub const LOOKING: &str = "looking at files and tools";

/// What all commands are given.
#[derive(Clone)]
pub struct Session {
    /// The environment of the caller.
    pub env: Env,
    /// The clock, which counts from the start of the program.
    pub clock: Clock,
    /// The current folder, or the one that `--directory` names.
    pub dir: PathBuf,
    /// When to use colours.
    pub color: Color,
}

impl Session {
    /// Returns the colours for standard output.
    pub fn paint_out(&self) -> Paint {
        self.color.paint(&self.env, self.env.terminal().stdout)
    }

    /// Returns the colours for standard error.
    pub fn paint_err(&self) -> Paint {
        self.color.paint(&self.env, self.env.terminal().stderr)
    }

    /// Returns whether people see a terminal on which lines can be drawn again.
    pub fn is_live(&self) -> bool {
        self.env.terminal().stderr && self.env.var("TERM").is_none_or(|term| term != "dumb")
    }

    /// Shows on a terminal what the command is doing, until the returned value is dropped.
    #[must_use]
    pub fn busy(&self, text: &str) -> Option<BusyLine> {
        self.is_live().then(|| BusyLine::start(self.paint_err(), text))
    }

    /// Prints a result to standard output. It is no error if the reader has gone away.
    ///
    /// # Errors
    /// Standard output can't be written to, for example because the disk is full.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::System { attempt: "write to standard output".to_owned(), source: error })
            }
            _ => Ok(()),
        }
    }

    /// Prints a message to standard error.
    pub fn eprint(&self, text: &str) {
        // If standard error can't be written to, there is no other place to say so.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// Returns the absolute path for a path that the caller typed.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.dir.join(path)
    }

    /// Returns the repository of the current folder.
    ///
    /// # Errors
    /// There is no repository.
    pub fn repository(&self) -> Result<Repository, Failure> {
        let what = "there is nothing to gate";
        Repository::discover(&self.dir, &self.env)?.ok_or(Failure::NoRepository { what })
    }
}
