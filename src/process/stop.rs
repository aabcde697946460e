//! The demand that a command ends, made from any thread. It must not know how a command is ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::process::wake::Waker;

/// A switch for all commands that are run with it. It is made once, and never taken back: what is
/// started after it was thrown does not start.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    state: Arc<Mutex<State>>,
    /// What is demanded of this one is demanded here too.
    outer: Option<Arc<Stop>>,
}

#[derive(Debug, Default)]
struct State {
    demand: Demand,
    wakers: Vec<(u64, Waker)>,
    /// The number of the next waker.
    next: u64,
}

/// How urgently a command is to end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Demand {
    /// Not at all.
    #[default]
    None,
    /// With TERM, and KILL if its grace passes.
    Terminate,
    /// With KILL, at once.
    Kill,
}

impl Stop {
    /// A switch that nobody has thrown yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A switch of its own for some of the commands of this one.
    pub fn inner(&self) -> Self {
        Self { state: Arc::default(), outer: Some(Arc::new(self.clone())) }
    }

    /// Ends the commands with TERM, and with KILL after their grace.
    pub fn terminate(&self) {
        self.raise(Demand::Terminate);
    }

    /// Ends the commands with KILL at once.
    pub fn kill(&self) {
        self.raise(Demand::Kill);
    }

    /// What has been demanded so far.
    pub fn demand(&self) -> Demand {
        let own = self.state().demand;
        self.outer.as_ref().map_or(own, |outer| own.max(outer.demand()))
    }

    fn raise(&self, demand: Demand) {
        let mut state = self.state();
        if demand > state.demand {
            state.demand = demand;
            for (_, waker) in &state.wakers {
                waker.wake();
            }
        }
    }

    /// Has `waker` woken at each new demand until the registration is dropped.
    pub(super) fn register(&self, waker: Waker) -> Registration<'_> {
        let outer = self.outer.as_ref().map(|outer| Box::new(outer.register(waker.clone())));
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.wakers.push((number, waker));
        Registration { stop: self, number, _outer: outer }
    }

    /// No code panics while it holds the lock, so a poisoned one is sound.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command that listens to a [`Stop`].
#[derive(Debug)]
pub(super) struct Registration<'a> {
    stop: &'a Stop,
    number: u64,
    _outer: Option<Box<Registration<'a>>>,
}

impl Registration<'_> {
    /// What has been demanded so far.
    pub(super) fn demand(&self) -> Demand {
        self.stop.demand()
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.stop.state().wakers.retain(|(number, _)| *number != self.number);
    }
}
