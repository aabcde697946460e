//! The request that commands stop, made from any thread. It must not know how a command is ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::process::self_pipe::Waker;

/// Stops all commands that are run with it. A command that is run afterwards does not start.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    state: Arc<Mutex<StopState>>,
    /// What is requested of this one is requested of its commands too.
    outer: Option<Arc<Stop>>,
}

#[derive(Debug, Default)]
struct StopState {
    request: StopRequest,
    wakers: Vec<(u64, Waker)>,
    next_waker: u64,
}

/// How urgently commands are to end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum StopRequest {
    /// Not at all.
    #[default]
    None,
    /// With TERM, and with KILL after their grace.
    Terminate,
    /// With KILL, at once.
    Kill,
}

impl Stop {
    /// Returns one that requests nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns one for some of the commands of this one.
    pub fn inner(&self) -> Self {
        Self { state: Arc::default(), outer: Some(Arc::new(self.clone())) }
    }

    /// Ends the commands with TERM, and with KILL after their grace.
    pub fn terminate(&self) {
        self.raise(StopRequest::Terminate);
    }

    /// Ends the commands with KILL at once.
    pub fn kill(&self) {
        self.raise(StopRequest::Kill);
    }

    /// Returns what has been requested so far.
    pub fn request(&self) -> StopRequest {
        let own = self.state().request;
        self.outer.as_ref().map_or(own, |outer| own.max(outer.request()))
    }

    fn raise(&self, request: StopRequest) {
        let mut state = self.state();
        if request > state.request {
            state.request = request;
            for (_, waker) in &state.wakers {
                waker.wake();
            }
        }
    }

    /// Wakes `waker` at each new request, until the registration is dropped.
    pub(super) fn register(&self, waker: Waker) -> Registration<'_> {
        let outer = self.outer.as_ref().map(|outer| Box::new(outer.register(waker.clone())));
        let mut state = self.state();
        let number = state.next_waker;
        state.next_waker += 1;
        state.wakers.push((number, waker));
        Registration { stop: self, number, _outer: outer }
    }

    /// No code panics while it holds the lock, so a poisoned one is sound.
    fn state(&self) -> MutexGuard<'_, StopState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The registration of a command with a [`Stop`].
#[derive(Debug)]
pub(super) struct Registration<'a> {
    stop: &'a Stop,
    number: u64,
    _outer: Option<Box<Registration<'a>>>,
}

impl Registration<'_> {
    /// Returns what has been requested so far.
    pub(super) fn request(&self) -> StopRequest {
        self.stop.request()
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.stop.state().wakers.retain(|(number, _)| *number != self.number);
    }
}
