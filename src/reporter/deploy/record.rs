//! The record reporter of deploys: stores the events for `xtask log`. It must not know what they mean.

use std::io::{self, Write as _};

use crate::deploy::event::DeployEvent;
use crate::history::runs::RunFile;
use crate::reporter::deploy::DeployReporter;

/// Writes the record of a deploy.
pub struct DeployRecorder(RunFile);

impl DeployRecorder {
    /// Creates a reporter that writes to `file`.
    pub fn new(file: RunFile) -> Self {
        Self(file)
    }
}

impl DeployReporter for DeployRecorder {
    fn event(&mut self, event: &DeployEvent) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        // In one piece: the record of a process that was killed is readable up to its last event.
        self.0.write_all(&line)?;
        self.0.flush()
    }
}
