//! The plain reporter: prints lines for people where there is no terminal. Its only control characters are
//! line ends and, if requested, colours.

use std::io::{self, BufWriter, Write};

use crate::event::{Event, What};
use crate::reporter::style::Paint;
use crate::reporter::text_formatter::TextFormatter;
use crate::reporter::{Output, Reporter};

/// Writes lines for people.
pub struct Plain<W: Write> {
    formatter: TextFormatter,
    writer: BufWriter<W>,
}

impl<W: Write + Send> Plain<W> {
    /// Creates a reporter that writes to `writer`.
    pub fn new(writer: W, paint: Paint, output: Output) -> Self {
        Self { formatter: TextFormatter::new(paint, output), writer: BufWriter::new(writer) }
    }
}

impl<W: Write + Send> Reporter for Plain<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        if let Some(text) = self.formatter.text(event) {
            self.writer.write_all(text.as_bytes())?;
            self.writer.write_all(b"\n")?;
        }
        // There can be thousands of hits, so they are not flushed one by one.
        let hit = matches!(&event.what, What::TaskFinished(task) if task.attempts == 0);
        if hit { Ok(()) } else { self.writer.flush() }
    }
}
