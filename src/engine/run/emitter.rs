//! The emitter: adds the time to events, passes them to a sink one at a time, and remembers the outcome of
//! each task. It must not know the reporters.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::clock::Clock;
use crate::base::file::FileError;
use crate::decision_reason::Reason;
use crate::engine::run::inbox::OnSuspension;
use crate::event::{Event, Level, Status, TaskFinished, What};
use crate::process::suspend::SuspensionStep;
use crate::run_manifest::TaskDetails;

/// How many lines of a failed task's log are remembered.
const LAST_LINES: usize = 30;

/// Receives the events of a run.
pub type Sink = Box<dyn FnMut(&Event) + Send>;

/// Passes events to a sink.
pub struct Emitter {
    clock: Clock,
    sink: Arc<Mutex<Sink>>,
    shows_lines: bool,
    outcomes: Mutex<HashMap<String, TaskOutcome>>,
    slow: Mutex<HashSet<String>>,
    write_warning: Arc<WriteWarning>,
}

/// Whether a run has warned that its state can't be written. On a read-only or full disk every write
/// fails, and one warning is enough for all of them.
#[derive(Debug, Default)]
pub struct WriteWarning {
    was_printed: AtomicBool,
    held: Mutex<Option<String>>,
}

impl WriteWarning {
    /// Returns whether this is the first call.
    pub fn is_first(&self) -> bool {
        !self.was_printed.swap(true, Ordering::Relaxed)
    }

    /// Holds a warning until the run starts, unless there was one before.
    pub fn hold(&self, text: String) {
        if self.is_first() {
            *lock(&self.held) = Some(text);
        }
    }
}

/// Returns the warning that a file of the state directory can't be written.
pub fn write_warning(error: &FileError) -> String {
    let FileError { path, source, .. } = error;
    format!("state can't be written: {}: {source}: results of this run may not be stored", path.display())
}

/// A short form of the outcome of a task.
#[derive(Clone, Debug)]
pub struct TaskOutcome {
    /// Its status.
    pub status: Status,
    /// The reason for the status.
    pub reason: Reason,
    /// The number of attempts.
    pub attempts: u32,
    /// How long all attempts took, in milliseconds.
    pub took: u64,
    /// Details for the manifest, if there are any.
    pub details: Option<Box<TaskDetails>>,
}

impl Emitter {
    /// Returns an emitter that takes the time from `clock`.
    pub fn new(clock: Clock, sink: Sink) -> Self {
        Self {
            clock,
            sink: Arc::new(Mutex::new(sink)),
            shows_lines: false,
            outcomes: Mutex::default(),
            slow: Mutex::default(),
            write_warning: Arc::default(),
        }
    }

    /// Shares with other emitters whether a warning about unwritable state was printed.
    #[must_use]
    pub fn with_write_warning(self, unwritten: Arc<WriteWarning>) -> Self {
        Self { write_warning: unwritten, ..self }
    }

    /// Sets whether the sink shows what running tasks print.
    #[must_use]
    pub fn with_shown_lines(self, shows_lines: bool) -> Self {
        Self { shows_lines, ..self }
    }

    /// Returns whether the sink shows [`What::TaskLine`].
    pub fn shows_lines(&self) -> bool {
        self.shows_lines
    }

    /// Returns a function that emits an event when the run is suspended and when it continues.
    pub fn on_suspension(&self) -> OnSuspension {
        let (clock, sink) = (self.clock.clone(), Arc::clone(&self.sink));
        Box::new(move |step| {
            let what = match step {
                SuspensionStep::Begins => What::Suspended,
                SuspensionStep::Ends => What::Resumed,
            };
            pass_on(&clock, &sink, what);
        })
    }

    /// Returns the milliseconds since the run started.
    pub fn millis(&self) -> u64 {
        millis(&self.clock)
    }

    /// Returns the clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Emits an event that happens now. Events of several threads are passed to the sink in the order of
    /// their times.
    pub fn emit(&self, what: What) {
        match &what {
            What::RunStarted(run) => lock(&self.outcomes).reserve(run.tasks),
            What::TaskSlow { task, .. } => _ = lock(&self.slow).insert(task.clone()),
            What::TaskFinished(task) => {
                let outcome = TaskOutcome::from_finished(task, lock(&self.slow).contains(&task.task));
                lock(&self.outcomes).insert(task.task.clone(), outcome);
            }
            _ => {}
        }
        let is_start = matches!(what, What::RunStarted(_));
        pass_on(&self.clock, &self.sink, what);
        if is_start && let Some(text) = lock(&self.write_warning.held).take() {
            self.notice(Level::Warning, text);
        }
    }

    /// Warns, once in a run, that a file of the state directory can't be written. The run's verdict does not
    /// change.
    pub fn warn_unwritten(&self, error: &FileError) {
        self.warn_unwritten_with(|| write_warning(error));
    }

    /// Warns with another text that state can't be written, unless the run has warned before.
    pub fn warn_unwritten_with(&self, text: impl FnOnce() -> String) {
        if self.write_warning.is_first() {
            self.notice(Level::Warning, text());
        }
    }

    /// Holds a warning that state can't be written until the run starts.
    pub fn hold_unwritten(&self, text: String) {
        self.write_warning.hold(text);
    }

    /// Removes and returns the outcomes of all tasks so far, by name.
    pub fn outcomes(&self) -> HashMap<String, TaskOutcome> {
        std::mem::take(&mut *lock(&self.outcomes))
    }

    /// Emits a message that belongs to no task.
    pub fn notice(&self, level: Level, text: impl Into<String>) {
        self.emit(What::Notice { level, text: text.into() });
    }
}

impl TaskOutcome {
    fn from_finished(task: &TaskFinished, slow: bool) -> Self {
        let failed = matches!(task.status, Status::Failed { .. });
        let (log, command) = if failed {
            (task.log.last_lines(LAST_LINES), task.command.clone())
        } else {
            (String::new(), String::new())
        };
        let details = TaskDetails { reported: task.reported.clone(), log, command, slow };
        Self {
            status: task.status.clone(),
            reason: task.reason.clone(),
            attempts: task.attempts,
            took: task.took,
            details: (details != TaskDetails::default()).then(|| Box::new(details)),
        }
    }
}

fn pass_on(clock: &Clock, sink: &Mutex<Sink>, what: What) {
    let mut sink = lock(sink);
    let event = Event { at: millis(clock), what };
    (*sink)(&event);
}

fn millis(clock: &Clock) -> u64 {
    u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Locks a mutex. Each change is a single step, so the data is consistent even if another thread panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
