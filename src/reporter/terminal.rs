//! The terminal reporter: prints lines for people above a live view, which shows each running task with its
//! last line of output. It must only be used with a terminal.
//!
//! A thread redraws the view ten times a second, however much is printed. While the run is in the background
//! or suspended, another process uses the terminal, so there are only lines and no view.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::base::text::count;
use crate::event::{Event, What};
use crate::reporter::screen::{Screen, is_in_foreground};
use crate::reporter::style::{Paint, Tone};
use crate::reporter::text::{Keep, safe};
use crate::reporter::text_formatter::TextFormatter;
use crate::reporter::{Output, Reporter};

/// The time between two redraws.
const PERIOD: Duration = Duration::from_millis(100);

/// Returns the lines that an event causes.
pub type EventLines = Box<dyn FnMut(&Event) -> Option<String> + Send>;

/// Draws on the terminal of standard error.
pub struct Terminal {
    /// Returns the lines that an event causes.
    lines: EventLines,
    view: Arc<Mutex<View>>,
    /// The thread ends when this is dropped.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The state of the live view.
struct View {
    paint: Paint,
    bars: MultiProgress,
    total: ProgressBar,
    running: BTreeMap<String, Running>,
    left: usize,
    /// Whether the run is not finished. Until then, the view has at least one line.
    goes_on: bool,
    /// Whether the process may draw on the terminal.
    is_shown: bool,
    is_suspended: bool,
}

/// A running task.
struct Running {
    bar: ProgressBar,
    /// The last line that it printed, if it is not drawn yet.
    line: Option<String>,
}

impl Terminal {
    /// Starts with an empty view.
    pub fn new(paint: Paint, output: Output) -> Self {
        let mut formatter = TextFormatter::new(paint, output);
        Self::with_lines(paint, Box::new(move |event| formatter.text(event)))
    }

    /// Starts with an empty view, above which other lines are printed.
    pub fn with_lines(paint: Paint, lines: EventLines) -> Self {
        let bars = MultiProgress::with_draw_target(Screen::target());
        let total = bars.add(ProgressBar::new_spinner());
        let view = Arc::new(Mutex::new(View {
            paint,
            bars,
            total,
            running: BTreeMap::new(),
            left: 0,
            goes_on: false,
            is_shown: true,
            is_suspended: false,
        }));
        let (end, ended) = channel::<()>();
        let drawn = Arc::clone(&view);
        // If the thread can't be started, the view is drawn whenever an event arrives.
        let thread = std::thread::Builder::new().name("live-view".to_owned()).spawn(move || {
            while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                lock(&drawn).draw();
            }
        });
        Self { lines, view, end: Some(end), thread: thread.ok() }
    }
}

impl View {
    fn start(&mut self, task: &str, attempt: u32, expected: Option<u64>) {
        let bar = self.bars.insert_before(&self.total, ProgressBar::new_spinner());
        let expected = expected.map(|millis| {
            format!(" of about {}", crate::base::units::duration(Duration::from_millis(millis)))
        });
        let attempt = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
        let template = format!(
            "{{spinner}} {{prefix}}{attempt}  {{elapsed}}{}{{wide_msg}}",
            expected.unwrap_or_default()
        );
        bar.set_style(style(&template));
        bar.set_prefix(task.to_owned());
        bar.tick();
        if let Some(former) = self.running.insert(task.to_owned(), Running { bar, line: None }) {
            self.remove(&former.bar);
        }
    }

    fn end(&mut self, task: &str) {
        if let Some(running) = self.running.remove(task) {
            self.remove(&running.bar);
        }
        self.left = self.left.saturating_sub(1);
        self.show_left();
    }

    fn remove(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        self.bars.remove(bar);
    }

    fn show_left(&self) {
        self.total.set_message(format!("{} left", count(self.left, "task")));
    }

    /// Draws changes, if the process may draw on the terminal.
    fn draw(&mut self) {
        self.take_terminal();
        if !self.is_shown {
            return;
        }
        for Running { bar, line } in self.running.values_mut() {
            if let Some(line) = line.take().and_then(|line| visible_text(&line)) {
                bar.set_message(self.paint.tone(Tone::Faint, &format!("  {line}")));
            }
            bar.tick();
        }
    }

    /// Updates whether the process may draw on the terminal.
    fn take_terminal(&mut self) {
        let is_shown = !self.is_suspended && is_in_foreground();
        if is_shown != self.is_shown {
            self.is_shown = is_shown;
            if is_shown {
                self.bars.set_draw_target(Screen::target());
            } else {
                // If this fails, the rest of the view stays on the screen, which is harmless.
                let _ = self.bars.clear();
                self.bars.set_draw_target(ProgressDrawTarget::hidden());
            }
        }
    }

    /// Writes lines above the view.
    fn print(&mut self, text: &str) -> io::Result<()> {
        self.take_terminal();
        let is_drawn = self.is_shown && self.goes_on;
        if is_drawn { self.bars.println(text) } else { writeln!(io::stderr().lock(), "{text}") }
    }
}

impl Reporter for Terminal {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let mut view = lock(&self.view);
        view.take_terminal();
        match &event.what {
            What::RunStarted(run) => {
                view.goes_on = true;
                view.left = run.tasks;
                view.total.set_style(style("  {msg}"));
                view.show_left();
            }
            What::TaskStarted { task, attempt, expected, .. } => view.start(task, *attempt, *expected),
            What::TaskLine { task, line } => {
                if let Some(running) = view.running.get_mut(task) {
                    running.line = Some(line.clone());
                }
            }
            What::TaskFinished(task) => view.end(&task.task),
            What::Suspended => {
                view.is_suspended = true;
                view.take_terminal();
            }
            What::Resumed => {
                view.is_suspended = false;
                view.draw();
            }
            What::RunFinished(_) => {
                view.goes_on = false;
                view.total.finish_and_clear();
                view.bars.clear()?;
            }
            _ => {}
        }
        if let Some(text) = (self.lines)(event) {
            view.print(&text)?;
        }
        Ok(())
    }

    fn shows_lines(&self) -> bool {
        true
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // The thread ends at once, and it has no result.
            let _ = thread.join();
        }
    }
}

/// Returns a line as it is shown; `None` if nothing of it is visible.
fn visible_text(line: &str) -> Option<String> {
    let line = safe(line, Keep::Nothing);
    let line = line.lines().rev().map(str::trim_end).find(|line| !line.is_empty())?;
    Some(line.replace('\t', "    "))
}

/// Returns the style of this template, or the default if it is invalid: a live view must not cause a failure.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

/// Locks the state, even if another thread panicked.
fn lock(view: &Mutex<View>) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_left_out() {
        let cases = [
            ("plain", Some("plain")),
            ("\u{1b}[32mgreen\u{1b}[0m text", Some("green text")),
            ("\u{1b}[2K\u{1b}[1Gfetching 日本", Some("fetching 日本")),
            ("a\tb  ", Some("a    b")),
            ("\u{1b}]0;title\u{7}", None),
            ("bell\u{7}\u{8}", Some("bell")),
            ("   ", None),
        ];
        for (line, expected) in cases {
            assert_eq!(visible_text(line).as_deref(), expected, "{line:?}");
        }
    }
}
