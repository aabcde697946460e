//! The terminal reporter of deploys: prints lines for people above a live view, which shows each step that is
//! carried out with its time, and what is measured of the traffic meanwhile. It must only be used with a terminal.
//!
//! A thread redraws the view ten times a second. While nothing is carried out, or a step runs tasks, which have
//! a view of their own, nothing is drawn.

use std::io::{self, Write as _};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::base::clock::Clock;
use crate::base::text::count;
use crate::base::units;
use crate::deploy::analysis::{Figures, Limits, Measurement, Verdict};
use crate::deploy::event::{DeployEvent, DeployNews};
use crate::deploy::machine::Direction;
use crate::deploy::release::Slot;
use crate::deploy::step::Step;
use crate::reporter::deploy::DeployReporter;
use crate::reporter::deploy::text::{DeployText, Shows, millis};
use crate::reporter::screen::{Screen, is_in_foreground};
use crate::reporter::style::{Paint, Tone};
use crate::reporter::text::{Keep, safe};

/// The time between two redraws.
const PERIOD: Duration = Duration::from_millis(100);
/// The characters that show that something goes on.
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// How many rows of the terminal the view leaves to the lines above it.
const ROWS_ABOVE: usize = 6;

/// Draws on the terminal of standard error.
pub struct DeployTerminal {
    text: DeployText,
    view: Arc<Mutex<View>>,
    /// The thread ends when this is dropped.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The rows of the live view, as data.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// What the command waits for before it begins, and since when.
    waiting: Option<(String, u64)>,
    /// The steps that are carried out.
    running: Vec<RunningStep>,
    /// How many steps of the way forward there are.
    steps: Option<usize>,
    /// How many steps have ended.
    ended: usize,
    /// When the deploy began.
    begun: u64,
}

#[derive(Debug)]
struct RunningStep {
    step: Step,
    started: u64,
    up_to: Option<u64>,
    text: String,
    measurement: Option<Measurement>,
}

/// The state of the terminal.
struct View {
    rows: Rows,
    paint: Paint,
    clock: Clock,
    bars: MultiProgress,
    /// One for each row.
    shown: Vec<ProgressBar>,
    /// Whether the process may draw on the terminal.
    is_shown: bool,
}

impl DeployTerminal {
    /// Starts with an empty view. `clock` is the one that events have their times from.
    pub fn new(paint: Paint, clock: Clock) -> Self {
        let view = Arc::new(Mutex::new(View {
            rows: Rows::default(),
            paint,
            clock,
            bars: MultiProgress::with_draw_target(Screen::target()),
            shown: Vec::new(),
            is_shown: true,
        }));
        let (end, ended) = channel::<()>();
        let drawn = Arc::clone(&view);
        // If the thread can't be started, the view is drawn whenever an event arrives.
        let thread = std::thread::Builder::new().name("live-view".to_owned()).spawn(move || {
            while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                lock(&drawn).draw();
            }
        });
        Self { text: DeployText::new(paint, Shows::AboveView), view, end: Some(end), thread: thread.ok() }
    }
}

impl DeployReporter for DeployTerminal {
    fn event(&mut self, event: &DeployEvent) -> io::Result<()> {
        let mut view = lock(&self.view);
        view.rows.apply(event);
        let text = self.text.text(event);
        // Rows that are gone must not be drawn again below the text.
        view.draw();
        let text = text.trim_end_matches('\n');
        if text.is_empty() { Ok(()) } else { view.print(text) }
    }
}

impl Drop for DeployTerminal {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // The thread ends at once, and it has no result.
            let _ = thread.join();
        }
        let mut view = lock(&self.view);
        view.rows = Rows::default();
        view.draw();
    }
}

impl View {
    fn draw(&mut self) {
        self.take_terminal();
        if !self.is_shown {
            return;
        }
        let height = usize::from(Term::stderr().size().0);
        let most = height.saturating_sub(ROWS_ABOVE).max(1);
        let now = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        let rows = self.rows.format(now, most, self.paint);
        while self.shown.len() > rows.len() {
            if let Some(bar) = self.shown.pop() {
                bar.finish_and_clear();
                self.bars.remove(&bar);
            }
        }
        for (i, row) in rows.into_iter().enumerate() {
            if self.shown.len() == i {
                let bar = self.bars.add(ProgressBar::new_spinner());
                bar.set_style(style());
                self.shown.push(bar);
            }
            self.shown[i].set_message(row);
            self.shown[i].tick();
        }
    }

    /// Updates whether the process may draw on the terminal.
    fn take_terminal(&mut self) {
        let is_shown = is_in_foreground();
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
    fn print(&self, text: &str) -> io::Result<()> {
        if self.is_shown && !self.shown.is_empty() {
            return self.bars.println(text);
        }
        writeln!(io::stderr().lock(), "{text}")
    }
}

impl Rows {
    /// Updates the rows with the next event.
    pub(super) fn apply(&mut self, event: &DeployEvent) {
        match &event.what {
            DeployNews::Waiting { reason } => {
                let since = self.waiting.take().map_or(event.at, |(_, since)| since);
                self.waiting = Some((reason.clone(), since));
            }
            DeployNews::Begun { steps, .. } => {
                *self = Self { steps: Some(*steps), begun: event.at, ..Self::default() };
            }
            DeployNews::TakenOver { .. } => *self = Self { begun: event.at, ..Self::default() },
            DeployNews::StepStarted { direction, step, up_to, .. } => {
                // The steps of the way back are not counted in advance.
                if *direction == Direction::Back {
                    self.steps = None;
                }
                self.running.push(RunningStep {
                    step: step.clone(),
                    started: event.at,
                    up_to: *up_to,
                    text: String::new(),
                    measurement: None,
                });
            }
            DeployNews::Progress { step, text } => {
                if let Some(running) = self.running(step) {
                    running.text.clone_from(text);
                }
            }
            DeployNews::Measured { step, measurement } => {
                if let Some(running) = self.running(step) {
                    running.measurement = Some(measurement.clone());
                }
            }
            DeployNews::StepEnded { step, .. } => {
                self.running.retain(|running| running.step != *step);
                self.ended += 1;
            }
            DeployNews::Ended { .. }
            | DeployNews::Left { .. }
            | DeployNews::Unchanged { .. }
            | DeployNews::Planned { .. }
            | DeployNews::Refused { .. } => *self = Self::default(),
            DeployNews::CommandStarted { .. }
            | DeployNews::Preparing { .. }
            | DeployNews::Warning { .. }
            | DeployNews::Stopping { .. } => {}
        }
    }

    fn running(&mut self, step: &Step) -> Option<&mut RunningStep> {
        self.running.iter_mut().find(|running| running.step == *step)
    }

    /// Returns at most `most` rows.
    pub(super) fn format(&self, now: u64, most: usize, paint: Paint) -> Vec<String> {
        let spinner = usize::try_from(now / 100).unwrap_or(0) % SPINNER.len();
        let spinner = SPINNER[spinner];
        if let Some((reason, since)) = &self.waiting {
            let elapsed = millis(now.saturating_sub(*since));
            return vec![format!("{spinner} waiting  {elapsed}  {}", one_line(reason))];
        }
        // Tasks have a view of their own.
        let running: Vec<_> =
            self.running.iter().filter(|running| !matches!(running.step, Step::Smoke { .. })).collect();
        if running.is_empty() {
            return Vec::new();
        }
        let mut rows = Vec::new();
        for running in &running {
            rows.extend(running.format(now, spinner, paint));
        }
        let more = (rows.len() + 1).saturating_sub(most);
        if more > 0 {
            rows.truncate(most.saturating_sub(2));
            rows.push(paint.tone(Tone::Faint, &format!("  and {}", count(more + 1, "more row"))));
        }
        let elapsed = millis(now.saturating_sub(self.begun));
        let progress = match self.steps {
            Some(steps) if self.ended < steps => {
                format!("  {} of {steps} steps done · {elapsed}", self.ended)
            }
            _ => format!("  {} done · {elapsed}", count(self.ended, "step")),
        };
        rows.push(paint.tone(Tone::Faint, &progress));
        rows
    }
}

impl RunningStep {
    fn format(&self, now: u64, spinner: &str, paint: Paint) -> Vec<String> {
        let elapsed = millis(now.saturating_sub(self.started));
        let elapsed = match self.up_to {
            Some(up_to) => format!("{elapsed} of {}", millis(up_to)),
            None => elapsed,
        };
        let mut rows = Vec::new();
        let text = match &self.measurement {
            None => paint.tone(Tone::Faint, &one_line(&self.text)),
            Some(measurement) => {
                for slot in Slot::ALL {
                    if let Some(figures) = measurement.figures(slot) {
                        let limits = (slot == measurement.slot).then_some(&measurement.limits);
                        rows.push(figures_row(slot, figures, limits));
                    }
                }
                match measurement.verdict {
                    Verdict::Good => paint.tone(Tone::Good, "good so far"),
                    Verdict::Bad => paint.tone(Tone::Bad, "bad"),
                    // The reason says so.
                    Verdict::Inconclusive => paint.tone(Tone::Odd, &one_line(&measurement.reason)),
                }
            }
        };
        rows.insert(0, format!("{spinner} {}  {elapsed}  {text}", self.step).trim_end().to_owned());
        rows
    }
}

/// Formats what was measured of a slot, with the limits if it is the one that is judged.
fn figures_row(slot: Slot, figures: &Figures, limits: Option<&Limits>) -> String {
    let requests = match limits {
        Some(limits) if figures.requests < limits.min_requests.max(1) => {
            format!("{} of at least {} requests", figures.requests, limits.min_requests.max(1))
        }
        _ => count(usize::try_from(figures.requests).unwrap_or(usize::MAX), "request"),
    };
    let most = |limit: Option<String>| limit.map_or_else(String::new, |limit| format!(" (at most {limit})"));
    let rate = most(limits.and_then(|limits| limits.error_rate).map(|limit| format!("{limit} %")));
    let mut row = format!("    {:<5}  {requests} · {:.2} % failed{rate}", slot.name(), figures.error_rate());
    for (name, time, limit) in [
        ("mean", figures.mean, limits.and_then(|limits| limits.mean)),
        ("p95", figures.p95, limits.and_then(|limits| limits.p95)),
    ] {
        if let Some(time) = time {
            row += &format!(" · {name} {}{}", units::duration(time), most(limit.map(units::duration)));
        }
    }
    row
}

/// Returns a text without control characters and line ends.
fn one_line(text: &str) -> String {
    safe(text, Keep::Nothing).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A row is cut at the width of the terminal.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Locks the state, even if another thread panicked.
fn lock(view: &Mutex<View>) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}
