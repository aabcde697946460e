//! A line on the terminal of standard error that says what a command is doing before it has anything to report. It
//! must only be used with a terminal.

use std::io::{self, Write as _};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::reporter::screen::is_in_foreground;
use crate::reporter::style::{Paint, Tone};

/// What takes less time than this shows no line.
const DELAY: Duration = Duration::from_millis(80);

/// A line that disappears when this is dropped.
#[derive(Debug)]
pub struct BusyLine {
    /// The thread ends when this is dropped.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl BusyLine {
    /// Shows a text from now on, after a short delay.
    pub fn start(paint: Paint, text: &str) -> Self {
        let line = paint.tone(Tone::Faint, &format!("{text} …"));
        let (end, ended) = channel::<()>();
        // If the thread can't be started, there is no line.
        let thread = std::thread::Builder::new().name("busy-line".to_owned()).spawn(move || {
            if ended.recv_timeout(DELAY) == Err(RecvTimeoutError::Timeout) && is_in_foreground() {
                write(&format!("\r\u{1b}[2K{line}"));
                let _ = ended.recv();
                write("\r\u{1b}[2K");
            }
        });
        Self { end: Some(end), thread: thread.ok() }
    }
}

impl Drop for BusyLine {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Writes to the terminal. A line that can't be shown changes nothing.
fn write(text: &str) {
    let mut terminal = io::stderr().lock();
    let _ = terminal.write_all(text.as_bytes());
    let _ = terminal.flush();
}
