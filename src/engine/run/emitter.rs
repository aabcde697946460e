//! The emitter: puts the time on what happened and hands it on, one event at a time, and keeps in mind
//! what became of each task. It must not know who listens.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::clock::Clock;
use crate::base::file::FileError;
use crate::engine::run::inbox::OnSuspension;
use crate::event::{Event, Level, Status, TaskFinished, What};
use crate::manifest::Told;
use crate::process::suspend::Suspension;
use crate::reason::Reason;

/// Lines of a failed task's log that are kept in mind.
const LAST_LINES: usize = 30;

/// What listens to a run.
pub type Sink = Box<dyn FnMut(&Event) + Send>;

/// Hands events to a sink.
pub struct Emitter {
    clock: Clock,
    sink: Arc<Mutex<Sink>>,
    shows_lines: bool,
    outcomes: Mutex<HashMap<String, TaskOutcome>>,
    slow: Mutex<HashSet<String>>,
    unwritten: Arc<WriteWarning>,
}

/// Whether a run has warned that its state can't be written. A read-only or full disk fails every
/// write, and one warning says so for all of them.
#[derive(Debug, Default)]
pub struct WriteWarning {
    is_told: AtomicBool,
    held: Mutex<Option<String>>,
}

impl WriteWarning {
    /// Returns whether this is the first call.
    pub fn is_first(&self) -> bool {
        !self.is_told.swap(true, Ordering::Relaxed)
    }

    /// Keeps a warning until the run starts, unless there was one before.
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

/// What became of a task, in short.
#[derive(Clone, Debug)]
pub struct TaskOutcome {
    /// What became of it.
    pub status: Status,
    /// Why.
    pub reason: Reason,
    /// How often it was tried.
    pub attempts: u32,
    /// How long that took, in milliseconds.
    pub took: u64,
    /// What else there is to tell of it.
    pub told: Told,
}

impl Emitter {
    /// Times events by `clock`.
    pub fn new(clock: Clock, sink: Sink) -> Self {
        Self {
            clock,
            sink: Arc::new(Mutex::new(sink)),
            shows_lines: false,
            outcomes: Mutex::default(),
            slow: Mutex::default(),
            unwritten: Arc::default(),
        }
    }

    /// Shares the memory of whether state could be written.
    #[must_use]
    pub fn sharing(self, unwritten: Arc<WriteWarning>) -> Self {
        Self { unwritten, ..self }
    }

    /// The same for a sink that shows what running tasks print, or does not.
    #[must_use]
    pub fn showing_lines(self, shows_lines: bool) -> Self {
        Self { shows_lines, ..self }
    }

    /// Whether [`What::TaskLine`] is worth an event.
    pub fn shows_lines(&self) -> bool {
        self.shows_lines
    }

    /// What hands on that the run is suspended, and that it goes on.
    pub fn on_suspension(&self) -> OnSuspension {
        let (clock, sink) = (self.clock.clone(), Arc::clone(&self.sink));
        Box::new(move |step| {
            let what = match step {
                Suspension::Begins => What::Suspended,
                Suspension::Ends => What::Resumed,
            };
            hand_on(&clock, &sink, what);
        })
    }

    /// Milliseconds since the run started.
    pub fn millis(&self) -> u64 {
        millis(&self.clock)
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Hands on what happened now. Events of several threads get their times in the order in which
    /// they are handed on.
    pub fn emit(&self, what: What) {
        match &what {
            What::TaskSlow { task, .. } => _ = lock(&self.slow).insert(task.clone()),
            What::TaskFinished(task) => {
                let outcome = TaskOutcome::of(task, lock(&self.slow).contains(&task.task));
                lock(&self.outcomes).insert(task.task.clone(), outcome);
            }
            _ => {}
        }
        let is_start = matches!(what, What::RunStarted(_));
        hand_on(&self.clock, &self.sink, what);
        if is_start && let Some(text) = lock(&self.unwritten.held).take() {
            self.notice(Level::Warning, text);
        }
    }

    /// Warns once a run that a file of the state directory can't be written. The tasks' verdict
    /// stands without it.
    pub fn warn_unwritten(&self, error: &FileError) {
        self.warn_unwritten_with(|| write_warning(error));
    }

    /// Warns with other words that state can't be written, unless the run was warned before.
    pub fn warn_unwritten_with(&self, text: impl FnOnce() -> String) {
        if self.unwritten.is_first() {
            self.notice(Level::Warning, text());
        }
    }

    /// Keeps a warning that state can't be written until the run starts.
    pub fn hold_unwritten(&self, text: String) {
        self.unwritten.hold(text);
    }

    /// What became of each task so far, by its name. It is forgotten by that.
    pub fn outcomes(&self) -> HashMap<String, TaskOutcome> {
        std::mem::take(&mut *lock(&self.outcomes))
    }

    /// Hands on a line that belongs to no task.
    pub fn notice(&self, level: Level, text: impl Into<String>) {
        self.emit(What::Notice { level, text: text.into() });
    }
}

impl TaskOutcome {
    fn of(task: &TaskFinished, slow: bool) -> Self {
        let failed = matches!(task.status, Status::Failed { .. });
        let (log, command) = if failed {
            (task.log.last_lines(LAST_LINES), task.command.clone())
        } else {
            (String::new(), String::new())
        };
        Self {
            status: task.status.clone(),
            reason: task.reason.clone(),
            attempts: task.attempts,
            took: task.took,
            told: Told { reported: task.reported.clone(), log, command, slow },
        }
    }
}

fn hand_on(clock: &Clock, sink: &Mutex<Sink>, what: What) {
    let mut sink = lock(sink);
    let event = Event { at: millis(clock), what };
    (*sink)(&event);
}

fn millis(clock: &Clock) -> u64 {
    u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What a thread that panicked left is as good as what it would have left.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
