//! The record reporter: stores a run's events for `xtask log`. It leaves out events that are not needed to
//! show the run again: single lines of output are in the tasks' logs, and the live view is not repeated.

use std::io::{self, BufWriter, Write as _};

use crate::event::{Event, What};
use crate::history::runs::RunFile;
use crate::reporter::Reporter;

/// The size of the buffer, in bytes: the hits of a few hundred tasks.
const BUFFER: usize = 64 << 10;

/// Writes the file of a run.
pub struct RunRecorder(BufWriter<RunFile>);

impl RunRecorder {
    /// Creates a reporter that writes to `file`.
    pub fn new(file: RunFile) -> Self {
        Self(BufWriter::with_capacity(BUFFER, file))
    }
}

impl Reporter for RunRecorder {
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
        // If a run is killed, its record must be readable up to the last executed task. There can be
        // thousands of hits, so they are not flushed one by one.
        let hit = matches!(&event.what, What::TaskFinished(task) if task.attempts == 0);
        if hit { Ok(()) } else { self.0.flush() }
    }
}
