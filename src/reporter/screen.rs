//! The terminal of standard error, as live views draw on it. It must not know what is drawn.

use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;

/// The terminal. Each drawing is written in one piece. Lines are not padded to the terminal's width: they
/// would wrap when it becomes narrower, and typed characters such as `^Z` would start a new line.
#[derive(Debug, Default)]
pub struct Screen(Mutex<Drawing>);

/// The drawing in progress.
#[derive(Debug, Default)]
struct Drawing {
    text: String,
    /// Whether the next text is the padding that follows each line.
    is_filler: bool,
    /// Whether the cursor is at the end of a line that must not be continued.
    has_line: bool,
}

impl Screen {
    /// Returns a target for drawing on the terminal of standard error.
    pub fn target() -> ProgressDrawTarget {
        ProgressDrawTarget::term_like_with_hz(Box::new(Self::default()), 20)
    }

    /// Adds a control sequence that moves the cursor by this many lines or columns, unless the number is 0.
    fn move_by(&self, count: usize, letter: char) {
        if count > 0 {
            self.drawing().text.push_str(&format!("\u{1b}[{count}{letter}"));
        }
    }

    fn drawing(&self) -> MutexGuard<'_, Drawing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        Term::stderr().size().1
    }

    fn height(&self) -> u16 {
        Term::stderr().size().0
    }

    fn move_cursor_up(&self, count: usize) -> io::Result<()> {
        self.move_by(count, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, count: usize) -> io::Result<()> {
        self.move_by(count, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, count: usize) -> io::Result<()> {
        self.move_by(count, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, count: usize) -> io::Result<()> {
        self.move_by(count, 'D');
        Ok(())
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.write_str(line)?;
        self.write_str(" ")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.drawing().add(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        let mut drawing = self.drawing();
        drawing.has_line = false;
        drawing.text.push_str("\r\u{1b}[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let text = std::mem::take(&mut self.drawing().text);
        let mut terminal = io::stderr().lock();
        terminal.write_all(text.as_bytes())?;
        terminal.flush()
    }
}

impl Drawing {
    fn add(&mut self, text: &str) {
        if self.is_filler {
            // After a line of full width, the cursor is still on its last character.
            if !text.is_empty() {
                self.text.push_str("\u{1b}[K");
            }
        } else {
            if self.has_line {
                self.text.push('\n');
            }
            self.has_line = true;
            self.text.push_str(text);
        }
        self.is_filler = !self.is_filler;
    }
}

/// Returns whether this process is in the foreground of the terminal, so that drawing disturbs no other
/// process. If the terminal belongs to another session, there is no job control and the answer is yes.
pub fn is_in_foreground() -> bool {
    tcgetpgrp(io::stderr()).map_or(true, |group| group == getpgrp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_not_padded() {
        let mut drawing = Drawing::default();
        for text in ["text", "      ", "", "          ", "full-width", ""] {
            drawing.add(text);
        }
        assert_eq!(drawing.text, "text\u{1b}[K\n\u{1b}[K\nfull-width");
    }
}
