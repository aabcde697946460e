//! The scheduler: decides when each node starts. It is pure: it receives messages and returns actions. It
//! must not know about time, processes or the cache.
//!
//! A node is ready once all its needs have passed. Of the ready nodes, the one with the longest expected path
//! to the end of the run starts first, if its slots and locks are free. If they are not, the next node whose
//! slots and locks are free starts. A node without cost (an aggregate, or a hit whose outputs need no
//! restoring) takes no slot and starts at once. A node never takes more slots than there are, so a run can
//! always finish, even with one slot.
//!
//! A node whose command has passed gives its slots back while its result is stored, so that the next command
//! runs meanwhile. With one slot it does not, since then people want one thing after the other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use crate::decision_reason::Reason;
use crate::graph::{Graph, NodeId, Role};

/// The slots, locks and time that a node takes.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// The number of job slots it takes; 0 if it costs nothing.
    pub slots: u32,
    /// The locks that it holds while it runs.
    pub locks: Vec<String>,
    /// How long it is expected to take, in milliseconds.
    pub expected: u64,
}

/// Whether other tasks still run after one has failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnFailure {
    /// The run ends.
    Stop,
    /// Tasks that do not need the failed task still run.
    KeepGoing,
}

/// A message to the scheduler.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// The command of a started node passed, and its result is about to be stored.
    Storing(NodeId),
    /// A started node passed.
    Passed(NodeId),
    /// A started node did not pass. The text is its name.
    Failed(NodeId, String),
    /// A started node is out of date and has no result in this run. The text is its name.
    Superseded(NodeId, String),
    /// A started node waits for a lock of another run, and gives its slots back.
    Blocked(NodeId),
    /// A blocked node may try again.
    Retry(NodeId),
    /// The run was interrupted.
    Interrupted,
}

/// An action of the main loop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Start this node; a `Passed`, `Failed`, `Superseded` or `Blocked` follows, perhaps after a `Storing`.
    Start(NodeId),
    /// This node will not run.
    Skip(NodeId, Reason),
    /// Stop all running tasks.
    EndAll,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NodePhase {
    Waiting,
    Ready,
    Running,
    Blocked,
    Done,
}

/// The state of a run.
#[derive(Debug)]
pub struct Scheduler<'a> {
    graph: &'a Graph,
    costs: Vec<Cost>,
    priority: Vec<u64>,
    state: Vec<NodePhase>,
    needs_left: Vec<usize>,
    /// Ready nodes without slots and locks. They start at once.
    at_once: Vec<NodeId>,
    ready: BinaryHeap<(u64, Reverse<NodeId>)>,
    free_slots: u32,
    slots: u32,
    /// The nodes that have given their slots back, but have no result yet.
    storing: HashSet<NodeId>,
    held_locks: HashSet<String>,
    on_failure: OnFailure,
    halt: Option<Reason>,
    unfinished: usize,
}

impl<'a> Scheduler<'a> {
    /// Returns a scheduler for the selected nodes of `graph` with `slots` job slots.
    pub fn new(graph: &'a Graph, mut costs: Vec<Cost>, slots: u32, on_failure: OnFailure) -> Self {
        let slots = slots.max(1);
        for cost in &mut costs {
            cost.slots = cost.slots.min(slots);
        }
        let selected = |id: NodeId| graph.node(id).role == Role::Selected;
        let state = |id| if selected(id) { NodePhase::Waiting } else { NodePhase::Done };
        let needs_left = |id: NodeId| graph.node(id).needs.iter().filter(|need| selected(**need)).count();
        Self {
            priority: priorities(graph, &costs),
            state: graph.ids().map(state).collect(),
            needs_left: graph.ids().map(needs_left).collect(),
            unfinished: graph.ids().filter(|id| selected(*id)).count(),
            at_once: Vec::new(),
            ready: BinaryHeap::new(),
            free_slots: slots,
            slots,
            storing: HashSet::new(),
            held_locks: HashSet::new(),
            halt: None,
            graph,
            costs,
            on_failure,
        }
    }

    /// Returns the first actions.
    pub fn begin(&mut self) -> Vec<Action> {
        for id in self.graph.ids() {
            if self.state[id.0] == NodePhase::Waiting && self.needs_left[id.0] == 0 {
                self.make_ready(id);
            }
        }
        let mut actions = Vec::new();
        self.dispatch(&mut actions);
        actions
    }

    /// Returns whether each node has its result.
    pub fn is_finished(&self) -> bool {
        self.unfinished == 0
    }

    /// Handles a message and returns the actions that follow.
    pub fn on(&mut self, message: Message) -> Vec<Action> {
        let mut actions = Vec::new();
        match message {
            // Only as many nodes as there are slots store their results without slots: storing takes time, too.
            Message::Storing(id) => {
                if self.slots > 1 && self.storing.len() < self.slots as usize && self.storing.insert(id) {
                    self.free_slots += self.costs[id.0].slots;
                }
            }
            Message::Passed(id) => {
                self.release(id);
                self.finish(id);
                self.notify_dependents(id);
            }
            Message::Failed(id, name) => {
                self.release(id);
                self.finish(id);
                self.fail(id, name, &mut actions);
            }
            Message::Superseded(id, name) => {
                self.release(id);
                self.finish(id);
                self.skip_dependents(id, &Reason::NeedSuperseded { task: name }, &mut actions);
            }
            Message::Blocked(id) => {
                self.release(id);
                self.state[id.0] = NodePhase::Blocked;
                if let Some(reason) = self.halt.clone() {
                    self.skip(id, reason, &mut actions);
                }
            }
            Message::Retry(id) => {
                if self.state[id.0] == NodePhase::Blocked {
                    self.make_ready(id);
                }
            }
            Message::Interrupted => self.halt(Reason::Interrupted, &mut actions),
        }
        self.dispatch(&mut actions);
        actions
    }

    fn make_ready(&mut self, id: NodeId) {
        self.state[id.0] = NodePhase::Ready;
        let cost = &self.costs[id.0];
        if cost.slots == 0 && cost.locks.is_empty() {
            self.at_once.push(id);
        } else {
            self.ready.push((self.priority[id.0], Reverse(id)));
        }
    }

    /// Starts all ready nodes that fit, in the order of their priority.
    fn dispatch(&mut self, actions: &mut Vec<Action>) {
        for id in std::mem::take(&mut self.at_once) {
            if self.state[id.0] == NodePhase::Ready {
                self.mark_running(id);
                actions.push(Action::Start(id));
            }
        }
        let mut unfit = Vec::new();
        while self.free_slots > 0
            && let Some((priority, Reverse(id))) = self.ready.pop()
        {
            if self.state[id.0] != NodePhase::Ready {
                continue;
            }
            if self.fits(id) {
                self.mark_running(id);
                actions.push(Action::Start(id));
            } else {
                unfit.push((priority, Reverse(id)));
            }
        }
        self.ready.extend(unfit);
    }

    fn fits(&self, id: NodeId) -> bool {
        let cost = &self.costs[id.0];
        // What takes all slots is to be alone, even with what stores a result.
        let is_alone = cost.slots < self.slots || self.storing.is_empty();
        is_alone
            && cost.slots <= self.free_slots
            && !cost.locks.iter().any(|lock| self.held_locks.contains(lock))
    }

    fn mark_running(&mut self, id: NodeId) {
        self.state[id.0] = NodePhase::Running;
        self.free_slots -= self.costs[id.0].slots;
        self.held_locks.extend(self.costs[id.0].locks.iter().cloned());
    }

    fn release(&mut self, id: NodeId) {
        if !self.storing.remove(&id) {
            self.free_slots += self.costs[id.0].slots;
        }
        for lock in &self.costs[id.0].locks {
            self.held_locks.remove(lock);
        }
    }

    fn finish(&mut self, id: NodeId) {
        self.state[id.0] = NodePhase::Done;
        self.unfinished -= 1;
    }

    fn notify_dependents(&mut self, id: NodeId) {
        for dependent in &self.graph.node(id).needed_by {
            self.needs_left[dependent.0] = self.needs_left[dependent.0].saturating_sub(1);
            if self.needs_left[dependent.0] == 0 && self.state[dependent.0] == NodePhase::Waiting {
                self.make_ready(*dependent);
            }
        }
    }

    fn fail(&mut self, id: NodeId, name: String, actions: &mut Vec<Action>) {
        self.skip_dependents(id, &Reason::NeedFailed { task: name.clone() }, actions);
        if self.on_failure == OnFailure::Stop && self.halt.is_none() {
            self.halt(Reason::FailFast { task: name }, actions);
        }
    }

    /// Skips all nodes that need a node without a result, directly or not.
    fn skip_dependents(&mut self, id: NodeId, reason: &Reason, actions: &mut Vec<Action>) {
        let mut stack: Vec<NodeId> = self.graph.node(id).needed_by.iter().rev().copied().collect();
        while let Some(next) = stack.pop() {
            if self.state[next.0] == NodePhase::Waiting {
                self.skip(next, reason.clone(), actions);
                stack.extend(self.graph.node(next).needed_by.iter().rev());
            }
        }
    }

    fn halt(&mut self, reason: Reason, actions: &mut Vec<Action>) {
        for id in self.graph.ids() {
            if matches!(self.state[id.0], NodePhase::Waiting | NodePhase::Ready | NodePhase::Blocked) {
                self.skip(id, reason.clone(), actions);
            }
        }
        self.halt = Some(reason);
        actions.push(Action::EndAll);
    }

    fn skip(&mut self, id: NodeId, reason: Reason, actions: &mut Vec<Action>) {
        self.finish(id);
        actions.push(Action::Skip(id, reason));
    }
}

/// Returns the expected time from each node's start to the end of the run, on the longest path after it.
fn priorities(graph: &Graph, costs: &[Cost]) -> Vec<u64> {
    let mut priority = vec![0_u64; graph.nodes.len()];
    for id in graph.ids().collect::<Vec<_>>().into_iter().rev() {
        let behind = graph.node(id).needed_by.iter().map(|dependent| priority[dependent.0]).max();
        // Each node adds at least 1, so that a long chain of tasks without a known duration starts first.
        priority[id.0] = costs[id.0].expected.saturating_add(1).saturating_add(behind.unwrap_or(0));
    }
    priority
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::model::TaskId;
    use crate::graph::Node;

    /// Returns a graph in which node `i` needs the nodes `needs[i]`, all of which are smaller than `i`.
    fn graph(needs: &[Vec<usize>]) -> Graph {
        let mut nodes: Vec<Node> = Vec::new();
        for (i, needs) in needs.iter().enumerate() {
            let needs: Vec<NodeId> = needs.iter().copied().map(NodeId).collect();
            for need in &needs {
                nodes[need.0].needed_by.push(NodeId(i));
            }
            nodes.push(Node {
                task: TaskId(i),
                role: Role::Selected,
                sources: needs.clone(),
                needs,
                needed_by: Vec::new(),
            });
        }
        Graph { nodes }
    }

    fn costs(list: &[(u32, &[&str], u64)]) -> Vec<Cost> {
        list.iter()
            .map(|(slots, locks, expected)| Cost {
                slots: *slots,
                locks: locks.iter().map(|lock| (*lock).to_owned()).collect(),
                expected: *expected,
            })
            .collect()
    }

    fn starts(actions: &[Action]) -> Vec<usize> {
        actions.iter().filter_map(|a| if let Action::Start(id) = a { Some(id.0) } else { None }).collect()
    }

    #[test]
    fn longest_expected_path_starts_first() {
        let graph = graph(&[vec![], vec![], vec![1], vec![]]);
        let costs = costs(&[(1, &[], 50), (1, &[], 10), (1, &[], 100), (1, &[], 60)]);
        let mut scheduler = Scheduler::new(&graph, costs, 1, OnFailure::Stop);
        let mut order = starts(&scheduler.begin());
        while !scheduler.is_finished() {
            let last = NodeId(*order.last().unwrap());
            order.extend(starts(&scheduler.on(Message::Passed(last))));
        }
        assert_eq!(order, [1, 2, 3, 0]);
    }

    #[test]
    fn failure_skips_the_rest_with_a_reason() {
        let graph = graph(&[vec![], vec![], vec![0], vec![2], vec![]]);
        let mut scheduler = Scheduler::new(&graph, costs(&[(1, &[][..], 5); 5]), 2, OnFailure::Stop);
        assert_eq!(starts(&scheduler.begin()), [0, 1]);
        let actions = scheduler.on(Message::Failed(NodeId(0), "a".to_owned()));
        let need = Reason::NeedFailed { task: "a".to_owned() };
        assert_eq!(
            actions,
            [
                Action::Skip(NodeId(2), need.clone()),
                Action::Skip(NodeId(3), need),
                Action::Skip(NodeId(4), Reason::FailFast { task: "a".to_owned() }),
                Action::EndAll,
            ]
        );
        assert!(!scheduler.is_finished());
        assert_eq!(scheduler.on(Message::Failed(NodeId(1), "b".to_owned())), []);
        assert!(scheduler.is_finished());
    }

    #[test]
    fn keep_going_skips_only_dependents_of_the_failed_task() {
        let graph = graph(&[vec![], vec![0], vec![]]);
        let mut scheduler = Scheduler::new(&graph, costs(&[(1, &[][..], 5); 3]), 1, OnFailure::KeepGoing);
        assert_eq!(starts(&scheduler.begin()), [0]);
        let actions = scheduler.on(Message::Failed(NodeId(0), "a".to_owned()));
        assert_eq!(starts(&actions), [2]);
        assert!(scheduler.on(Message::Passed(NodeId(2))).is_empty() && scheduler.is_finished());
    }

    #[test]
    fn blocked_node_frees_its_slot_and_retries() {
        let graph = graph(&[vec![], vec![]]);
        let mut scheduler = Scheduler::new(&graph, costs(&[(1, &[], 9), (1, &[], 5)]), 1, OnFailure::Stop);
        assert_eq!(starts(&scheduler.begin()), [0]);
        assert_eq!(starts(&scheduler.on(Message::Blocked(NodeId(0)))), [1]);
        assert_eq!(starts(&scheduler.on(Message::Retry(NodeId(0)))), Vec::<usize>::new());
        assert_eq!(starts(&scheduler.on(Message::Passed(NodeId(1)))), [0]);
        let actions = scheduler.on(Message::Interrupted);
        assert_eq!(actions, [Action::EndAll]);
        assert!(
            scheduler.on(Message::Blocked(NodeId(0))).contains(&Action::Skip(NodeId(0), Reason::Interrupted))
        );
        assert!(scheduler.is_finished());
    }

    #[test]
    fn next_command_runs_while_a_result_is_stored() {
        let graph = graph(&[vec![], vec![], vec![], vec![], vec![0]]);
        let costs = costs(&[(2, &["l"][..], 9), (1, &[], 8), (1, &["l"], 7), (1, &[], 6), (1, &[], 5)]);
        let mut scheduler = Scheduler::new(&graph, costs.clone(), 2, OnFailure::Stop);
        assert_eq!(starts(&scheduler.begin()), [0]);
        // The lock is not free, and what needs the result waits.
        assert_eq!(starts(&scheduler.on(Message::Storing(NodeId(0)))), [1, 3]);
        assert_eq!(starts(&scheduler.on(Message::Storing(NodeId(0)))), Vec::<usize>::new());
        assert_eq!(starts(&scheduler.on(Message::Passed(NodeId(0)))), Vec::<usize>::new());
        assert_eq!(starts(&scheduler.on(Message::Passed(NodeId(1)))), [2]);
        let mut one = Scheduler::new(&graph, costs, 1, OnFailure::Stop);
        assert_eq!(starts(&one.begin()), [0]);
        assert_eq!(starts(&one.on(Message::Storing(NodeId(0)))), Vec::<usize>::new());
        assert_eq!(starts(&one.on(Message::Passed(NodeId(0)))), [1]);
    }

    #[derive(Debug, Clone)]
    struct Case {
        needs: Vec<Vec<usize>>,
        costs: Vec<Cost>,
        slots: u32,
        keep_going: bool,
        script: Vec<(usize, u8)>,
    }

    fn cases() -> impl Strategy<Value = Case> {
        (1..20_usize).prop_flat_map(|len| {
            let needs: Vec<_> = (0..len).map(|i| prop::collection::vec(0..i.max(1), 0..3)).collect();
            let cost = (0..4_u32, prop::collection::vec("[xyz]", 0..2), 0..100_u64)
                .prop_map(|(slots, locks, expected)| Cost { slots, locks, expected });
            (
                needs,
                prop::collection::vec(cost, len),
                1..4_u32,
                any::<bool>(),
                prop::collection::vec((any::<usize>(), 0..12_u8), 200),
            )
                .prop_map(|(mut needs, costs, slots, keep_going, script)| {
                    needs[0].clear();
                    for needs in &mut needs {
                        needs.sort_unstable();
                        needs.dedup();
                    }
                    Case { needs, costs, slots, keep_going, script }
                })
        })
    }

    proptest! {
        /// Checks, for random orders and results: no more slots and locks are taken than there are, needs
        /// pass before the nodes that need them, each node gets one result, and the run ends.
        #[test]
        fn rules_hold_in_every_order_of_results(case in cases()) {
            let graph = graph(&case.needs);
            let on_failure = if case.keep_going { OnFailure::KeepGoing } else { OnFailure::Stop };
            let mut scheduler = Scheduler::new(&graph, case.costs.clone(), case.slots, on_failure);
            let mut running: Vec<usize> = Vec::new();
            let mut blocked: Vec<usize> = Vec::new();
            let mut passed: HashSet<usize> = HashSet::new();
            let mut storing: HashSet<usize> = HashSet::new();
            let mut ended = 0;
            let mut script = case.script.iter().cycle();
            let mut actions = scheduler.begin();
            for step in 0.. {
                prop_assert!(step < 2000, "the run does not end");
                for action in &actions {
                    match action {
                        Action::Start(id) => {
                            prop_assert!(case.needs[id.0].iter().all(|need| passed.contains(need)));
                            running.push(id.0);
                        }
                        Action::Skip(id, _) => {
                            blocked.retain(|other| other != &id.0);
                            ended += 1;
                        }
                        Action::EndAll => {}
                    }
                }
                let has_slots = running.iter().filter(|id| !storing.contains(*id));
                let slots: u32 = has_slots.map(|id| case.costs[*id].slots.min(case.slots)).sum();
                prop_assert!(slots <= case.slots);
                let locks: Vec<&String> = running.iter().flat_map(|id| &case.costs[*id].locks).collect();
                let distinct: HashSet<&String> = locks.iter().copied().collect();
                prop_assert_eq!(locks.len(), distinct.len() + duplicate_locks(&running, &case.costs));
                if scheduler.is_finished() {
                    break;
                }
                let (pick, what) = script.next().unwrap();
                let resumes = running.is_empty() || *what == 11;
                let message = if resumes && !blocked.is_empty() {
                    Message::Retry(NodeId(blocked.remove(pick % blocked.len())))
                } else {
                    prop_assert!(!running.is_empty(), "nothing runs and the run is not finished");
                    let id = running.remove(pick % running.len());
                    let may_store = case.slots > 1 && storing.len() < case.slots as usize;
                    match what {
                        4 if storing.contains(&id) || may_store => {
                            running.push(id);
                            storing.insert(id);
                            Message::Storing(NodeId(id))
                        }
                        1 | 2 if storing.remove(&id) => {
                            ended += 1;
                            passed.insert(id);
                            Message::Passed(NodeId(id))
                        }
                        0 => { ended += 1; Message::Failed(NodeId(id), "x".to_owned()) }
                        1 | 2 => { blocked.push(id); Message::Blocked(NodeId(id)) }
                        3 if step > 20 => { running.push(id); Message::Interrupted }
                        _ => { ended += 1; passed.insert(id); Message::Passed(NodeId(id)) }
                    }
                };
                if !matches!(message, Message::Storing(_) | Message::Interrupted) {
                    storing.retain(|id| running.contains(id));
                }
                actions = scheduler.on(message);
            }
            prop_assert_eq!(ended, case.needs.len());
        }
    }

    /// Returns how many locks are named twice by the same running node.
    fn duplicate_locks(running: &[usize], costs: &[Cost]) -> usize {
        running
            .iter()
            .map(|id| costs[*id].locks.len() - costs[*id].locks.iter().collect::<HashSet<_>>().len())
            .sum()
    }
}
