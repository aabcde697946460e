//! The plain reporter of deploys: prints lines for people where there is no terminal.

use std::io::{self, Write};

use crate::deploy::event::DeployEvent;
use crate::reporter::deploy::DeployReporter;
use crate::reporter::deploy::text::{DeployText, Shows};
use crate::reporter::style::Paint;

/// Writes lines for people.
pub struct DeployLines<W> {
    writer: W,
    text: DeployText,
}

impl<W: Write + Send> DeployLines<W> {
    /// Creates a reporter that writes to `writer`.
    pub fn new(writer: W, paint: Paint, shows: Shows) -> Self {
        Self { writer, text: DeployText::new(paint, shows) }
    }
}

impl<W: Write + Send> DeployReporter for DeployLines<W> {
    fn event(&mut self, event: &DeployEvent) -> io::Result<()> {
        let text = self.text.text(event);
        self.writer.write_all(text.as_bytes())?;
        self.writer.flush()
    }
}
