//! What all commands are given: the environment, the clock, the current folder, and where to print.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::base::clock::Clock;
use crate::base::env::Env;
use crate::cli::failure::Failure;
use crate::git::Repository;
use crate::reporter::style::{Color, Paint};

/// What all commands are given.
#[derive(Clone)]
pub struct Session {
    /// The caller's environment.
    pub env: Env,
    /// The time, counted from the start of the program.
    pub clock: Clock,
    /// The folder to start from.
    pub dir: PathBuf,
    /// When to colour.
    pub color: Color,
}

impl Session {
    /// Colours for standard output.
    pub fn paint_out(&self) -> Paint {
        self.color.paint(&self.env, self.env.terminal().stdout)
    }

    /// Colours for standard error.
    pub fn paint_err(&self) -> Paint {
        self.color.paint(&self.env, self.env.terminal().stderr)
    }

    /// Writes a result to standard output. A reader that has gone away is no failure.
    ///
    /// # Errors
    /// The disk that it is redirected to is full, or such.
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

    /// Writes a message to standard error.
    pub fn eprint(&self, text: &str) {
        // Where even this fails there is nobody left to tell.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// `path` as the caller means it.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.dir.join(path)
    }

    /// The repository that the caller stands in.
    ///
    /// # Errors
    /// There is none.
    pub fn repository(&self) -> Result<Repository, Failure> {
        let what = "there is nothing to gate";
        Repository::discover(&self.dir, &self.env)?.ok_or(Failure::NoRepository { what })
    }
}
