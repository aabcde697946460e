//! The emitter: puts the time on what happened and hands it on, one event at a time. It must not
//! know who listens.

use std::sync::{Mutex, PoisonError};

use crate::event::{Event, Level, What};
use crate::ground::clock::Clock;

/// What listens to a run.
pub type Sink = Box<dyn FnMut(&Event) + Send>;

/// Hands events to a sink.
pub struct Emitter {
    clock: Clock,
    sink: Mutex<Sink>,
}

impl Emitter {
    /// Times events by `clock`.
    pub fn new(clock: Clock, sink: Sink) -> Self {
        Self { clock, sink: Mutex::new(sink) }
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
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Event { at: self.millis(), what };
        (*sink)(&event);
    }

    /// Hands on a line that belongs to no task.
    pub fn notice(&self, level: Level, text: impl Into<String>) {
        self.emit(What::Notice { level, text: text.into() });
    }
}
