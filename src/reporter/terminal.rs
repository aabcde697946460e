//! The terminal reporter: human lines above a live view of what runs. It must not be used where
//! there is no terminal.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::{Event, What};
use crate::reporter::human::Human;
use crate::reporter::lines::count;
use crate::reporter::style::Paint;
use crate::reporter::{Output, Reporter};

/// Draws on the terminal that standard error is.
pub struct Terminal {
    human: Human,
    bars: MultiProgress,
    total: ProgressBar,
    running: BTreeMap<String, ProgressBar>,
    left: usize,
}

impl Terminal {
    /// Starts with an empty view.
    pub fn new(paint: Paint, output: Output) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let total = bars.add(ProgressBar::new_spinner());
        Self { human: Human::new(paint, output), bars, total, running: BTreeMap::new(), left: 0 }
    }

    fn start(&mut self, task: &str, attempt: u32, expected: Option<u64>) {
        let bar = self.bars.insert_before(&self.total, ProgressBar::new_spinner());
        let expected = expected.map(|millis| {
            format!(" of about {}", crate::ground::units::duration(Duration::from_millis(millis)))
        });
        let attempt = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
        let template =
            format!("{{spinner}} {{prefix}}{attempt}  {{elapsed}}{}", expected.unwrap_or_default());
        bar.set_style(style(&template));
        bar.set_prefix(task.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        if let Some(former) = self.running.insert(task.to_owned(), bar) {
            former.finish_and_clear();
            self.bars.remove(&former);
        }
    }

    fn end(&mut self, task: &str) {
        if let Some(bar) = self.running.remove(task) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }

    fn show_left(&self) {
        self.total.set_message(format!("{} left", count(self.left, "task")));
    }
}

impl Reporter for Terminal {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.what {
            What::RunStarted(run) => {
                self.left = run.tasks;
                self.total.set_style(style("  {msg}"));
                self.show_left();
            }
            What::TaskStarted { task, attempt, expected, .. } => self.start(task, *attempt, *expected),
            What::TaskFinished(task) => {
                self.end(&task.task);
                self.left = self.left.saturating_sub(1);
                self.show_left();
            }
            What::RunFinished(_) => {
                self.total.finish_and_clear();
                self.bars.clear()?;
            }
            _ => {}
        }
        if let Some(text) = self.human.text(event) {
            self.bars.println(text)?;
        }
        Ok(())
    }
}

/// A template that is wrong draws the default: a live view is never worth a failure.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}
