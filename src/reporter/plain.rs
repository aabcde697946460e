//! The plain reporter: human lines to a writer that is no terminal, or for a replay. It must not
//! write control characters of its own but line ends and, where asked for, colours.

use std::io::{self, Write};

use crate::event::Event;
use crate::reporter::human::Human;
use crate::reporter::style::Paint;
use crate::reporter::{Output, Reporter};

/// Writes lines.
pub struct Plain<W> {
    human: Human,
    writer: W,
}

impl<W: Write + Send> Plain<W> {
    /// Writes to `writer`.
    pub fn new(writer: W, paint: Paint, output: Output) -> Self {
        Self { human: Human::new(paint, output), writer }
    }
}

impl<W: Write + Send> Reporter for Plain<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        if let Some(text) = self.human.text(event) {
            self.writer.write_all(text.as_bytes())?;
            self.writer.write_all(b"\n")?;
            self.writer.flush()?;
        }
        Ok(())
    }
}
