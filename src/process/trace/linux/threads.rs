//! What is known of each traced thread, and how it is to go on. Pure: it must not know how that is
//! done, nor what a call in flight is about.

use std::collections::HashMap;

use super::registers::Phase;

/// All traced threads, each with what `C` says of the call that it is in.
#[derive(Debug)]
pub(super) struct Threads<C> {
    all: HashMap<i32, Thread<C>>,
    /// Whether a filter has only the watched calls stop. It is known once the first of them did.
    filtered: bool,
}

#[derive(Debug)]
struct Thread<C> {
    /// The watched call that it has entered and not left.
    call: Option<C>,
    /// Whether it stands still with its process, until that is continued.
    held: bool,
}

/// How a thread goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Until {
    /// It stops at the next entry or exit of any call.
    NextCall,
    /// It stops at the next watched call.
    Filtered,
}

impl<C> Default for Threads<C> {
    fn default() -> Self {
        Self { all: HashMap::new(), filtered: false }
    }
}

impl<C> Threads<C> {
    fn thread(&mut self, id: i32) -> &mut Thread<C> {
        self.all.entry(id).or_insert(Thread { call: None, held: false })
    }

    /// The filter had it stop at the entry of a watched call.
    pub(super) fn filtered(&mut self, id: i32, call: Option<C>) {
        self.filtered = true;
        self.thread(id).call = call;
    }

    /// It stopped at the entry or exit of a call. The call that it comes back from, if that is
    /// watched. `entered` says what is entered.
    pub(super) fn stopped(
        &mut self,
        id: i32,
        phase: Phase,
        entered: impl FnOnce() -> Option<C>,
    ) -> Option<C> {
        // With a filter, the entries stopped there, and only exits are waited for.
        match phase {
            Phase::Entry if !self.filtered => {
                self.thread(id).call = entered();
                None
            }
            _ => self.thread(id).call.take(),
        }
    }

    /// The process of `former` executed a program and goes on as the thread `id` alone. The call by
    /// which it did so.
    pub(super) fn executed(&mut self, former: i32, id: i32) -> Option<C> {
        let call = self.all.remove(&former).and_then(|thread| thread.call);
        self.all.insert(id, Thread { call: None, held: false });
        call
    }

    /// It has ended.
    pub(super) fn ended(&mut self, id: i32) {
        self.all.remove(&id);
    }

    /// It stands still with its process.
    pub(super) fn hold(&mut self, id: i32) {
        self.thread(id).held = true;
    }

    /// Those that stand still.
    pub(super) fn held(&self) -> Vec<i32> {
        self.all.iter().filter(|(_, thread)| thread.held).map(|(id, _)| *id).collect()
    }

    /// How it goes on; it no longer stands still.
    pub(super) fn resume(&mut self, id: i32) -> Until {
        let filtered = self.filtered;
        let thread = self.thread(id);
        thread.held = false;
        if filtered && thread.call.is_none() { Until::Filtered } else { Until::NextCall }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_filter_each_exit_belongs_to_the_entry_before() {
        let mut threads = Threads::default();
        assert_eq!(threads.stopped(1, Phase::Exit, || Some("never")), None);
        assert_eq!(threads.stopped(1, Phase::Entry, || Some("open")), None);
        assert_eq!(threads.stopped(2, Phase::Entry, || None), None);
        assert_eq!(threads.resume(1), Until::NextCall);
        assert_eq!(threads.stopped(2, Phase::Exit, || Some("never")), None);
        assert_eq!(threads.stopped(1, Phase::Exit, || Some("never")), Some("open"));
        assert_eq!(threads.stopped(1, Phase::Exit, || Some("never")), None);
        assert_eq!(threads.resume(1), Until::NextCall);
    }

    #[test]
    fn with_a_filter_only_the_exit_of_a_watched_call_stops() {
        let mut threads = Threads::default();
        threads.filtered(1, Some("open"));
        assert_eq!(threads.resume(1), Until::NextCall);
        assert_eq!(threads.stopped(1, Phase::Exit, || Some("never")), Some("open"));
        assert_eq!(threads.resume(1), Until::Filtered);
        threads.filtered(1, None);
        assert_eq!(threads.resume(1), Until::Filtered);
        assert_eq!(threads.resume(3), Until::Filtered, "a new one");
    }

    #[test]
    fn an_exec_by_another_thread_moves_its_call() {
        let mut threads = Threads::default();
        threads.filtered(1, Some("read"));
        threads.filtered(2, Some("exec"));
        assert_eq!(threads.executed(2, 1), Some("exec"));
        assert_eq!(threads.resume(1), Until::Filtered);
        assert_eq!(threads.all.len(), 1);
        threads.filtered(1, Some("exec"));
        assert_eq!(threads.executed(1, 1), Some("exec"));
        threads.ended(1);
        assert_eq!(threads.all.len(), 0);
    }

    #[test]
    fn what_stands_still_is_known_until_it_goes_on() {
        let mut threads = Threads::<()>::default();
        threads.hold(1);
        threads.resume(2);
        assert_eq!(threads.held(), [1]);
        threads.resume(1);
        assert!(threads.held().is_empty());
    }
}
