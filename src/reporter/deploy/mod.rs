//! The reporters of deploys: each turns the events of a command on an environment into output for one purpose.
//! They must not know how a deploy is carried out. They take all times from the events, so that a recorded deploy
//! can be shown again unchanged.
//!
//! [`text`] decides what people see of each event. [`lines`] prints it, [`terminal`] adds a live view, and [`ci`]
//! adds commands for a CI service. [`json`], [`record`] and [`summary`] write for programs and for later use.

pub mod ci;
pub mod json;
pub mod lines;
pub mod record;
pub mod summary;
pub mod terminal;
pub mod text;

#[cfg(test)]
mod tests;

use std::io;

use crate::deploy::event::{DeployEvent, DeployNews};

/// Receives the events of a deploy.
pub trait DeployReporter: Send {
    /// Handles the next event.
    ///
    /// # Errors
    /// The writer failed.
    fn event(&mut self, event: &DeployEvent) -> io::Result<()>;
}

/// Several reporters. One that fails is not called again. That never ends a deploy: the others say so.
#[derive(Default)]
pub struct DeployReporters {
    all: Vec<(Box<dyn DeployReporter>, &'static str)>,
}

impl DeployReporters {
    /// Adds a reporter. Warnings use `name` to say what could not be written.
    pub fn add(&mut self, reporter: Box<dyn DeployReporter>, name: &'static str) {
        self.all.push((reporter, name));
    }

    /// Passes the next event to all of them.
    pub fn event(&mut self, event: &DeployEvent) {
        for warning in self.pass(event) {
            self.pass(&DeployEvent { at: event.at, what: warning });
        }
    }

    /// Passes an event to all of them, and returns a warning for each that failed.
    fn pass(&mut self, event: &DeployEvent) -> Vec<DeployNews> {
        let mut warnings = Vec::new();
        self.all.retain_mut(|(reporter, name)| match reporter.event(event) {
            Ok(()) => true,
            Err(error) => {
                // It is no problem if the reader of standard output has stopped reading.
                if error.kind() != io::ErrorKind::BrokenPipe {
                    let text = format!("{name} can't be written: {error}");
                    let hint = Some("the deploy goes on without it".to_owned());
                    warnings.push(DeployNews::Warning { text, hint });
                }
                false
            }
        });
        warnings
    }
}
