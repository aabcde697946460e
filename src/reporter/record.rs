//! The record reporter: stores a run's events for `xtask log`. It leaves out what is not needed to show the
//! run again: single lines of output are in the tasks' logs, and the live view is not shown again.

use std::io::{self, BufWriter, Write as _};

use crate::event::{Event, What};
use crate::history::runs::RunFile;
use crate::reporter::Reporter;

/// Writes the file of a run.
pub struct Record(BufWriter<RunFile>);

impl Record {
    /// Creates a reporter that writes to `file`.
    pub fn new(file: RunFile) -> Self {
        Self(BufWriter::new(file))
    }
}

impl Reporter for Record {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        if matches!(
            event.what,
            What::TaskOutput { .. } | What::TaskLine { .. } | What::Suspended | What::Resumed
        ) {
            return Ok(());
        }
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        // The record of a killed run must be readable up to its last executed task, but a thousand
        // hits are not worth a thousand writes.
        let hit = matches!(&event.what, What::TaskFinished(task) if task.attempts == 0);
        if hit { Ok(()) } else { self.0.flush() }
    }
}
