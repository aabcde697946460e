//! The emitter: puts the time on what happened and hands it on, one event at a time, and keeps in mind
//! what became of each task. It must not know who listens.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::event::{Event, Level, Status, What};
use crate::ground::clock::Clock;
use crate::reason::Reason;

/// What listens to a run.
pub type Sink = Box<dyn FnMut(&Event) + Send>;

/// Hands events to a sink.
pub struct Emitter {
    clock: Clock,
    sink: Mutex<Sink>,
    outcomes: Mutex<HashMap<String, Outcome>>,
}

/// What became of a task, in short.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What became of it.
    pub status: Status,
    /// Why.
    pub reason: Reason,
    /// How often it was tried.
    pub attempts: u32,
    /// How long that took, in milliseconds.
    pub took: u64,
}

impl Emitter {
    /// Times events by `clock`.
    pub fn new(clock: Clock, sink: Sink) -> Self {
        Self { clock, sink: Mutex::new(sink), outcomes: Mutex::default() }
    }

    /// Milliseconds since the run started.
    pub fn millis(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Hands on what happened now. Events of several threads get their times in the order in which
    /// they are handed on.
    pub fn emit(&self, what: What) {
        if let What::TaskFinished(task) = &what {
            let (status, reason) = (task.status.clone(), task.reason.clone());
            let outcome = Outcome { status, reason, attempts: task.attempts, took: task.took };
            let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            outcomes.insert(task.task.clone(), outcome);
        }
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Event { at: self.millis(), what };
        (*sink)(&event);
    }

    /// What became of each task so far, by its name. It is forgotten by that.
    pub fn outcomes(&self) -> HashMap<String, Outcome> {
        std::mem::take(&mut *self.outcomes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands on a line that belongs to no task.
    pub fn notice(&self, level: Level, text: impl Into<String>) {
        self.emit(What::Notice { level, text: text.into() });
    }
}
