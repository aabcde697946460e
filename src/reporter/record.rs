//! The record reporter: keeps a run's events for `xtask log`. It must not keep what a replay can do
//! without: single output lines are in the tasks' logs, and a live view is not drawn again.

use std::io::{self, BufWriter, Write as _};

use crate::event::{Event, What};
use crate::history::runs::RunFile;
use crate::reporter::Reporter;

/// Writes a run's file.
pub struct Record(BufWriter<RunFile>);

impl Record {
    /// Writes to `file`.
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
        // A killed run shall be readable up to its last executed task; a thousand hits need no
        // thousand writes.
        let hit = matches!(&event.what, What::TaskFinished(task) if task.attempts == 0);
        if hit { Ok(()) } else { self.0.flush() }
    }
}
