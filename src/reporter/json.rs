//! The JSON reporter: writes one event per line, in the format that `event` documents.

use std::io::{self, Write};

use crate::event::Event;
use crate::reporter::Reporter;

/// Writes each event as a line of JSON.
pub struct Json<W>(W);

impl<W: Write + Send> Json<W> {
    /// Creates a reporter that writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self(writer)
    }
}

impl<W: Write + Send> Reporter for Json<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        self.0.flush()
    }
}
