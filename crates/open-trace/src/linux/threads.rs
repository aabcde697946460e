//! What is known of each traced thread, and how it continues. Pure: it does not resume threads, and
//! does not know what a call is about.

use std::collections::HashMap;

/// All traced threads that are in a watched call, each with its call.
#[derive(Debug)]
pub(super) struct Threads<C> {
    calls: HashMap<i32, C>,
    /// Whether a filter stops the threads, and only at watched calls. This is known from its first stop.
    is_filtered: bool,
}

/// How far a thread is resumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ResumeUntil {
    /// It stops at the next entry or exit of any call.
    AnyCall,
    /// It stops at the next watched call.
    WatchedCall,
}

impl<C> Default for Threads<C> {
    fn default() -> Self {
        Self { calls: HashMap::new(), is_filtered: false }
    }
}

impl<C> Threads<C> {
    /// Handles a stop by the filter, at the entry of a watched call.
    pub(super) fn at_filter(&mut self, thread: i32, call: Option<C>) {
        self.is_filtered = true;
        self.set(thread, call);
    }

    /// Handles a stop at the entry of any call. `call` says what it is about.
    pub(super) fn at_entry(&mut self, thread: i32, call: impl FnOnce() -> Option<C>) {
        // With a filter, the entries of watched calls stop there.
        if !self.is_filtered {
            self.set(thread, call());
        }
    }

    /// Handles a stop at the exit of a call, and returns the call if it is watched.
    pub(super) fn at_exit(&mut self, thread: i32) -> Option<C> {
        self.calls.remove(&thread)
    }

    /// Handles an exec: the process of `old_id` continues as the thread `thread` alone. Returns the call by
    /// which that happened.
    pub(super) fn executed(&mut self, old_id: i32, thread: i32) -> Option<C> {
        let call = self.calls.remove(&old_id);
        self.calls.remove(&thread);
        call
    }

    /// Handles the end of a thread.
    pub(super) fn ended(&mut self, thread: i32) {
        self.calls.remove(&thread);
    }

    /// Returns how far a thread is resumed.
    pub(super) fn resume_until(&self, thread: i32) -> ResumeUntil {
        if self.is_filtered && !self.calls.contains_key(&thread) {
            ResumeUntil::WatchedCall
        } else {
            ResumeUntil::AnyCall
        }
    }

    fn set(&mut self, thread: i32, call: Option<C>) {
        match call {
            Some(call) => self.calls.insert(thread, call),
            None => self.calls.remove(&thread),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_filter_each_exit_belongs_to_the_previous_entry() {
        let mut threads = Threads::default();
        assert_eq!(threads.at_exit(1), None);
        threads.at_entry(1, || Some("open"));
        threads.at_entry(2, || None);
        assert_eq!(threads.resume_until(1), ResumeUntil::AnyCall);
        assert_eq!(threads.at_exit(2), None);
        assert_eq!(threads.at_exit(1), Some("open"));
        assert_eq!(threads.at_exit(1), None);
        assert_eq!(threads.resume_until(1), ResumeUntil::AnyCall);
    }

    #[test]
    fn with_a_filter_only_exits_of_watched_calls_stop() {
        let mut threads = Threads::default();
        threads.at_filter(1, Some("open"));
        threads.at_entry(1, || Some("never"));
        assert_eq!(threads.resume_until(1), ResumeUntil::AnyCall);
        assert_eq!(threads.at_exit(1), Some("open"));
        assert_eq!(threads.resume_until(1), ResumeUntil::WatchedCall);
        threads.at_filter(1, None);
        assert_eq!(threads.resume_until(1), ResumeUntil::WatchedCall);
        assert_eq!(threads.resume_until(3), ResumeUntil::WatchedCall, "a new one");
    }

    #[test]
    fn exec_by_another_thread_moves_its_call() {
        let mut threads = Threads::default();
        threads.at_filter(1, Some("read"));
        threads.at_filter(2, Some("exec"));
        assert_eq!(threads.executed(2, 1), Some("exec"));
        assert_eq!(threads.resume_until(1), ResumeUntil::WatchedCall);
        assert!(threads.calls.is_empty());
        threads.at_filter(1, Some("exec"));
        assert_eq!(threads.executed(1, 1), Some("exec"));
        threads.at_filter(1, Some("read"));
        threads.ended(1);
        assert!(threads.calls.is_empty());
    }
}
