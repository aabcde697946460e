//! The threads that run nodes. A thread that has finished with a node takes the next one, so that a thousand
//! short tasks don't need a thousand threads. This module must not know what a node does.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use crate::graph::NodeId;

/// The nodes that wait for a thread, and the threads that wait for a node.
#[derive(Debug, Default)]
pub struct Workers {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    nodes: VecDeque<NodeId>,
    idle: usize,
    is_closed: bool,
}

/// Ends the idle threads when it is dropped, even by a panic: the scope waits for them.
#[derive(Debug)]
pub struct CloseOnDrop<'a>(&'a Workers);

impl Workers {
    /// Returns a value that closes these workers when it is dropped.
    pub fn close_on_drop(&self) -> CloseOnDrop<'_> {
        CloseOnDrop(self)
    }

    /// Runs a node on an idle thread, or on a new one if none is idle. It never waits for another node.
    pub fn start<'scope, 'env: 'scope>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        id: NodeId,
        work: impl Fn(NodeId) + Send + 'scope,
    ) {
        let mut queue = self.queue();
        queue.nodes.push_back(id);
        if queue.idle >= queue.nodes.len() {
            self.changed.notify_one();
        } else {
            scope.spawn(move || {
                while let Some(id) = self.next() {
                    work(id);
                }
            });
        }
    }

    /// Waits for a node; returns `None` when the workers are closed.
    fn next(&self) -> Option<NodeId> {
        let mut queue = self.queue();
        loop {
            if let Some(id) = queue.nodes.pop_front() {
                return Some(id);
            }
            if queue.is_closed {
                return None;
            }
            queue.idle += 1;
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    /// No code panics while it holds the lock, so a poisoned one is sound.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.queue().is_closed = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::mpsc::channel;

    #[test]
    fn nodes_that_wait_for_each_other_all_run() {
        let workers = Workers::default();
        let barrier = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            let _close = workers.close_on_drop();
            for node in 0..8 {
                let barrier = &barrier;
                workers.start(scope, NodeId(node), move |_| _ = barrier.wait());
            }
        });
    }

    #[test]
    fn nodes_one_after_the_other_share_a_thread() {
        let workers = Workers::default();
        let (sender, receiver) = channel();
        let mut threads = HashSet::new();
        std::thread::scope(|scope| {
            let _close = workers.close_on_drop();
            for node in 0..50 {
                let sender = sender.clone();
                workers.start(scope, NodeId(node), move |id| {
                    let _ = sender.send((id, std::thread::current().id()));
                });
                let (id, thread) = receiver.recv().unwrap();
                assert_eq!(id, NodeId(node));
                threads.insert(thread);
                while workers.queue().idle == 0 {
                    std::thread::yield_now();
                }
            }
        });
        assert_eq!(threads.len(), 1);
    }

    #[test]
    fn panic_ends_the_idle_threads() {
        let workers = Workers::default();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            std::thread::scope(|scope| {
                let _close = workers.close_on_drop();
                workers.start(scope, NodeId(0), |_| {});
                std::panic::resume_unwind(Box::new("broken"));
            });
        }));
        assert!(ended.is_err());
    }
}
