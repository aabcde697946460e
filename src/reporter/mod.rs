//! Reporters: each turns the events of a run into output for one purpose. They must not know the engine. They
//! take all times from the events, so that a recorded run can be shown again unchanged.
//!
//! Start with [`text_formatter`], which decides what people see of each event, and [`lines`], which formats
//! it. [`plain`] and [`terminal`] print that text; [`ci`] prints it for CI services. [`json`], [`junit`],
//! [`trace`], [`record`] and [`summary`] write files for programs and for later use.
//!
//! [`trial`] shows the runs of `xtask init`, with the line that explains each failure ([`failure_line`]).
//! [`deploy`] has the reporters of deploys, which have events of their own.

pub mod busy_line;
pub mod ci;
pub mod deploy;
pub mod failure_line;
pub mod gate_table;
pub mod json;
pub mod junit;
pub mod lines;
pub mod markdown;
pub mod plain;
pub mod record;
pub mod run_state;
pub mod screen;
pub mod style;
pub mod summary;
pub mod terminal;
pub mod text;
pub mod text_formatter;
pub mod trace;
pub mod trial;

#[cfg(test)]
mod tests;

use std::io;

use crate::event::Event;

/// Receives the events of a run.
pub trait Reporter: Send {
    /// Handles the next event.
    ///
    /// # Errors
    /// The writer failed.
    fn event(&mut self, event: &Event) -> io::Result<()>;

    /// Returns whether it shows the output of running tasks, and so needs an event for each line.
    fn shows_lines(&self) -> bool {
        false
    }
}

/// Which logs are shown to people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Output {
    /// Those of tasks that did not pass, at the end.
    #[default]
    Failed,
    /// Each executed task's, when it finishes.
    Grouped,
    /// Each line when it is printed, after its task's name.
    Stream,
    /// As grouped, and those of hits too.
    All,
}

/// Several reporters. A reporter that fails is not called again, and its error is kept.
#[derive(Default)]
pub struct Reporters {
    all: Vec<(Box<dyn Reporter>, &'static str)>,
    errors: Vec<(&'static str, io::Error)>,
}

impl Reporters {
    /// Adds a reporter. Errors use `name` to say what could not be written.
    pub fn add(&mut self, reporter: Box<dyn Reporter>, name: &'static str) {
        self.all.push((reporter, name));
    }

    /// Returns whether one of them shows the output of running tasks.
    pub fn shows_lines(&self) -> bool {
        self.all.iter().any(|(reporter, _)| reporter.shows_lines())
    }

    /// Passes the next event to all of them.
    pub fn event(&mut self, event: &Event) {
        let errors = &mut self.errors;
        self.all.retain_mut(|(reporter, name)| match reporter.event(event) {
            Ok(()) => true,
            Err(error) => {
                // If the reader of standard output has stopped reading, that is not a failure of the run.
                if error.kind() != io::ErrorKind::BrokenPipe {
                    errors.push((*name, error));
                }
                false
            }
        });
    }

    /// Removes and returns the error of the reporter with this name.
    pub fn take_error(&mut self, name: &str) -> Option<io::Error> {
        let at = self.errors.iter().position(|(failed, _)| *failed == name)?;
        Some(self.errors.remove(at).1)
    }

    /// Removes and returns all errors, with the names of the reporters.
    pub fn errors(&mut self) -> Vec<(&'static str, io::Error)> {
        std::mem::take(&mut self.errors)
    }
}
