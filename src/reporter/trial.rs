//! The reporter of the runs in which `xtask init` tries tasks: a line for each task that was executed, with the
//! line of its log that explains a failure. It must not know what is done with the results.

use std::io::{self, Write as _};
use std::time::Duration;

use crate::base::units;
use crate::event::{Event, Status, TaskFinished, What};
use crate::reporter::Reporter;
use crate::reporter::failure_line::{failure_line, shortened};
use crate::reporter::style::{Paint, Tone};
use crate::reporter::terminal::{EventLines, Terminal};

/// Returns a reporter for standard error; `live`: with a live view of the running tasks. `tidy` changes the
/// line that explains a failure before it is shown.
pub fn trial_reporter(
    paint: Paint,
    live: bool,
    tidy: impl Fn(&str) -> String + Send + 'static,
) -> Box<dyn Reporter> {
    let line = move |event: &Event| line(paint, event, live, &tidy);
    if live {
        Box::new(Terminal::with_lines(paint, Box::new(line)))
    } else {
        Box::new(PlainTrial(Box::new(line)))
    }
}

/// Writes lines to standard error.
struct PlainTrial(EventLines);

impl Reporter for PlainTrial {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match (self.0)(event) {
            Some(text) => writeln!(io::stderr().lock(), "{text}"),
            None => Ok(()),
        }
    }
}

/// Returns why a task failed, in a few words; `None` if it did not.
pub fn failure(task: &TaskFinished, tidy: impl Fn(&str) -> String) -> Option<String> {
    let Status::Failed { ended } = &task.status else { return None };
    let line = failure_line(&tidy(&task.log.text));
    let ended = shortened(&ended.to_string());
    Some(if line.is_empty() { ended } else { format!("{ended}: {line}") })
}

fn line(paint: Paint, event: &Event, live: bool, tidy: &impl Fn(&str) -> String) -> Option<String> {
    match &event.what {
        What::TaskFinished(task) => {
            let took = paint.tone(Tone::Faint, &units::duration(Duration::from_millis(task.took)));
            match &task.status {
                Status::Passed | Status::Flaky => {
                    Some(format!("  {} {}  {took}", paint.tone(Tone::Good, "✓"), task.task))
                }
                Status::Failed { .. } => {
                    let why = failure(task, tidy)?;
                    Some(format!("  {} {}  {took}  {why}", paint.tone(Tone::Bad, "✗"), task.task))
                }
                Status::Hit | Status::Stopped | Status::Skipped => None,
            }
        }
        What::TaskSlow { task, after } if !live => {
            let after = units::duration(Duration::from_millis(*after));
            Some(paint.tone(Tone::Faint, &format!("  … {task} has been running for {after}")))
        }
        _ => None,
    }
}
