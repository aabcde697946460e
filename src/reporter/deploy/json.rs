//! The JSON reporter of deploys: writes one event per line, in the format that `deploy/event.rs` documents.

use std::io::{self, Write};

use crate::deploy::event::DeployEvent;
use crate::reporter::deploy::DeployReporter;

/// Writes each event as a line of JSON.
pub struct DeployJson<W>(W);

impl<W: Write + Send> DeployJson<W> {
    /// Creates a reporter that writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self(writer)
    }
}

impl<W: Write + Send> DeployReporter for DeployJson<W> {
    fn event(&mut self, event: &DeployEvent) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        self.0.flush()
    }
}
