//! The main loop of a run. It receives the outcomes of workers and signals, passes them to the scheduler, and
//! carries out the scheduler's actions. The scheduler decides when each node starts.

use std::sync::mpsc::RecvTimeoutError;
use std::thread::Scope;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::path::RepoPath;
use crate::base::text::first_of;
use crate::config::hook_stage::Stage;
use crate::config_lint::Warnings;
use crate::decision_reason::{FileChange, Reason};
use crate::engine::context::Context;
use crate::engine::location::Store;
use crate::engine::report::store::ReportStore;
use crate::engine::run::Run;
use crate::engine::run::emitter::Emitter;
use crate::engine::run::inbox::{Inbox, NodeOutcome, Notification, signal_name};
use crate::engine::run::manifest::{ManifestDraft, ShardReports};
use crate::engine::run::scheduler::{Action, Cost, Message, Scheduler};
use crate::engine::run::workers::Workers;
use crate::engine::task::task_env;
use crate::engine::watch::rescan::rescan;
use crate::engine::worker;
use crate::event::{Ended, Level, RunStarted, Status, Summary, Verdict, What};
use crate::graph::NodeId;
use crate::history::gate_records::GateRecords;
use crate::history::runs::Runs;
use crate::history::tasks::History;
use crate::key::inputs::InputSet;
use crate::plan::{Decision, Planned};
use crate::process::orphans;
use crate::process::stop::StopRequest;

/// How many untracked files a note names at most.
const MAX_UNTRACKED: usize = 3;
/// How often blocked nodes try again.
const RETRY_EVERY: Duration = Duration::from_millis(50);

/// The progress of the main loop.
struct Progress<'a> {
    scheduler: Scheduler<'a>,
    tally: Tally,
    /// Nodes that wait for a lock of another run, and try again.
    blocked: Vec<NodeId>,
}

/// The counts of a run.
#[derive(Default)]
struct Tally {
    hits: usize,
    executed: usize,
    skipped: usize,
    superseded: usize,
    saved: u64,
    failed: Vec<String>,
    flaky: Vec<String>,
    slow: Vec<String>,
    signals: usize,
    signal: Option<i32>,
    /// Whether the work tree changed during a gated run in it, or what a task read, so that the run has no
    /// verdict.
    is_undecided: bool,
}

impl Run<'_> {
    /// Runs the plan and returns the summary.
    pub fn run(&self, emitter: &Emitter, inbox: &Inbox) -> Summary {
        inbox.on_suspension(Some(emitter.on_suspension()));
        emitter.emit(What::RunStarted(self.start_event(emitter)));
        for note in &self.notes {
            emitter.notice(Level::Note, note);
        }
        if !self.warnings.listed.is_empty() {
            let Warnings { listed, more } = self.warnings;
            emitter.emit(What::Warnings { warnings: listed.clone(), more: *more });
        }
        let mut context = Context::new(self, emitter, inbox.sender());
        if self.shard_plan.is_some_and(|part| !part.gates.is_empty()) {
            context.report_store = ReportStore::for_nodes(self.inputs.graph.ids());
        }
        let executes =
            |planned: &Planned| matches!(planned.decision, Decision::Miss(_) | Decision::Pending(_));
        if self.plan.nodes.iter().any(executes) {
            context.set_expected(self.history.get());
        }
        let costs = self.costs(&context);
        let scheduler = Scheduler::new(self.inputs.graph, costs, self.options.jobs, self.options.on_failure);
        let mut progress = Progress { scheduler, tally: Tally::default(), blocked: Vec::new() };
        let workers = Workers::default();
        let draft = std::thread::scope(|scope| {
            let _close = workers.close_on_drop();
            // What needs no task runs beside the tasks.
            let draft = self.location.state.map(|state| {
                let context = &context;
                scope.spawn(move || {
                    Runs::new(state).prune(&self.options.run_id);
                    self.has_manifest().then(|| ManifestDraft::new(self, context))
                })
            });
            let mut actions = progress.scheduler.begin();
            loop {
                self.carry_out(&context, scope, &workers, &mut progress, actions, inbox);
                if progress.scheduler.is_finished() {
                    break;
                }
                actions = handle_next(&context, &mut progress, inbox);
            }
            draft.and_then(|draft| draft.join().ok().flatten())
        });
        let mut tally = progress.tally;
        self.end_services(&context, &mut tally, inbox);
        self.end_orphans(&context);
        self.store_history(&context);
        let changed = match &self.options.gated {
            Some(gated) if gated.in_place && tally.signal.is_none() => {
                let changed = self.touched_files(&context);
                tally.is_undecided = !changed.is_empty();
                changed
            }
            Some(_) if tally.is_pass() => self.changed_files(&context),
            _ => Vec::new(),
        };
        if changed.is_empty() {
            self.store_gate_records(&context);
        }
        self.report_untracked_inputs(&context, &tally);
        let left = self.shard_plan.map(|part| part.gates.clone()).unwrap_or_default();
        let has_reports = draft.is_some() && !left.is_empty();
        let mut shard_reports =
            if has_reports { self.shard_reports(&context) } else { ShardReports::default() };
        tally.failed.append(&mut shard_reports.missing);
        let summary =
            Summary { changed_files: changed, pending_gates: left, ..tally.summary(emitter.millis()) }
                .judged();
        if let Some(draft) = draft {
            self.write_manifest(&context, draft, shard_reports, &summary);
        }
        inbox.on_suspension(None);
        emitter.emit(What::RunFinished(summary.clone()));
        summary
    }

    fn start_event(&self, emitter: &Emitter) -> RunStarted {
        let tasks = self.inputs.graph.nodes.iter().zip(&self.plan.nodes);
        let counted =
            tasks.filter(|(_, planned)| !matches!(planned.decision, Decision::Aggregate | Decision::Context));
        let names: Vec<&str> =
            counted.map(|(node, _)| self.inputs.config.task(node.task).name.as_str()).collect();
        let now = emitter.clock().now().0.saturating_sub(emitter.millis());
        RunStarted {
            version: crate::event::VERSION,
            run: self.options.run_id.clone(),
            started: Timestamp(now),
            names: self.names.to_vec(),
            tree: self.tree.clone(),
            tasks: names.len(),
            hits: self.plan.hits(),
            jobs: self.options.jobs,
            width: names.iter().map(|name| name.chars().count()).max().unwrap_or(0),
            gated: self.options.gated.clone(),
            parent_run: task_env::parent_run(self.inputs.env),
        }
    }

    fn costs(&self, context: &Context<'_>) -> Vec<Cost> {
        let cost = |id: NodeId| {
            let task = self.inputs.config.task(self.inputs.graph.node(id).task);
            match &self.plan.nodes[id.0].decision {
                Decision::Aggregate | Decision::Context | Decision::Skip(_) | Decision::Fail(_) => {
                    Cost::default()
                }
                Decision::Hit(Reason::Cached { restores: None, .. }) => Cost::default(),
                Decision::Hit(_) => Cost { slots: 1, ..Cost::default() },
                Decision::Miss(_) | Decision::Pending(_) => Cost {
                    slots: task.run().map_or(1, |run| run.slots.get()),
                    locks: task.run().map(|run| run.locks.clone()).unwrap_or_default(),
                    expected: context.expected(id).unwrap_or(0),
                },
            }
        };
        self.inputs.graph.ids().map(cost).collect()
    }

    /// Carries out actions, and the actions that follow from nodes that finish at once.
    fn carry_out<'scope, 'env: 'scope>(
        &self,
        context: &'env Context<'_>,
        scope: &'scope Scope<'scope, 'env>,
        workers: &'env Workers,
        progress: &mut Progress<'_>,
        mut actions: Vec<Action>,
        inbox: &Inbox,
    ) {
        while !actions.is_empty() {
            let mut next = Vec::new();
            for action in actions {
                match action {
                    Action::Start(id) if self.starts_at_once(id) => {
                        let outcome = worker::run_node(context, id);
                        next.extend(progress.handle_outcome(context, id, outcome));
                    }
                    Action::Start(id) => {
                        let notes = inbox.sender();
                        workers.start(scope, id, move |id| {
                            // The receiver exists until each node has its result.
                            let _ =
                                notes.send(Notification::from_worker(id, || worker::run_node(context, id)));
                        });
                    }
                    Action::Skip(id, reason) => {
                        let result = worker::result(context, id, Status::Skipped, reason);
                        if !self.is_aggregate(id) {
                            progress.tally.skipped += 1;
                            context.emitter.emit(What::TaskFinished(result));
                        }
                    }
                    Action::EndAll => context.stop.terminate(),
                }
            }
            actions = next;
        }
    }

    fn starts_at_once(&self, id: NodeId) -> bool {
        matches!(
            self.plan.nodes[id.0].decision,
            Decision::Aggregate
                | Decision::Context
                | Decision::Skip(_)
                | Decision::Fail(_)
                | Decision::Hit(Reason::Cached { restores: None, .. })
        )
    }

    fn is_aggregate(&self, id: NodeId) -> bool {
        self.inputs.config.task(self.inputs.graph.node(id).task).is_aggregate()
    }

    /// Stops the services, unless they stay up for the next run. A signal that arrives meanwhile kills them.
    fn end_services(&self, context: &Context<'_>, tally: &mut Tally, inbox: &Inbox) {
        if self.options.watching.is_some() && tally.signal.is_none() {
            return;
        }
        let service_env = context.service_env();
        let mut how = if tally.signals > 1 { StopRequest::Kill } else { StopRequest::Terminate };
        while !context.services.is_empty() {
            context.services.stop_unused(&service_env, how);
            if let Ok(Notification::Signal(signal)) = inbox.receiver().try_recv() {
                tally.signals += 1;
                tally.signal.get_or_insert(signal);
                let signal = signal_name(signal).to_owned();
                context.emitter.emit(What::Interrupted { signal, now: true });
                how = StopRequest::Kill;
            }
        }
    }

    /// Ends processes that have left their process group, and warns about each.
    fn end_orphans(&self, context: &Context<'_>) {
        let tasks = context.has_started().then_some(self.options.run_id.as_str());
        let services = context.services.mark().filter(|_| context.services.is_empty());
        for mark in tasks.into_iter().chain(services) {
            Self::end_marked(context, mark);
        }
    }

    fn end_marked(context: &Context<'_>, mark: &str) {
        for orphan in orphans::end_all(mark, Duration::from_secs(1)) {
            let text = format!(
                "process {} outlived its task and was stopped: {}",
                orphan.pid,
                context.secrets.mask.text(&orphan.command)
            );
            context.emitter.notice(Level::Warning, text);
        }
    }

    /// Returns the files of a private worktree that its run has modified, apart from declared outputs. If there are
    /// any, its results are removed from the cache, since any task may have read a modified file.
    fn changed_files(&self, context: &Context<'_>) -> Vec<String> {
        let (Some(store), Some(before)) = (&self.store, self.inputs.snapshot) else { return Vec::new() };
        if !context.has_started() {
            return Vec::new();
        }
        let changed = match store.tree.snapshot() {
            Ok(after) => {
                before.changes(&after).into_iter().filter(|(path, _)| !self.is_output(path)).collect()
            }
            Err(error) => {
                context.emitter.notice(Level::Warning, format!("can't read the tree again: {error}"));
                vec![(RepoPath::top(), FileChange::Changed)]
            }
        };
        if !changed.is_empty() {
            Self::forget_stored(context, store, Timestamp(0));
        }
        changed.iter().map(|(path, how)| format!("{path} {how}")).collect()
    }

    /// Returns the files of the work tree that were written, added or removed during a gated run in it, apart
    /// from declared outputs that are not part of the tree or have the same content again. It may have been the
    /// user, or a task. Results that were stored before the first of these changes stay; all others are removed
    /// from the cache. If there are no such files, what changed only while a task read it is returned.
    fn touched_files(&self, context: &Context<'_>) -> Vec<String> {
        let (Some(store), Some(before)) = (&self.store, self.inputs.snapshot) else { return Vec::new() };
        if !context.has_started() {
            return Vec::new();
        }
        // Its task may have stored a content that the user has written, at any time.
        let mut is_output_written = false;
        let touched = match store.tree.snapshot() {
            Ok(after) => {
                let is_same = |path: &RepoPath| match (before.get(path), after.get(path)) {
                    (Some(was), Some(now)) => !was.tracked || (was.id, was.mode) == (now.id, now.mode),
                    (Some(was), None) => !was.tracked,
                    (None, _) => true,
                };
                let mut touched = before.touched_paths(&after);
                let is_tracked = |path: &RepoPath| before.get(path).is_some_and(|entry| entry.tracked);
                is_output_written =
                    touched.iter().any(|(_, path, _)| is_tracked(path) && self.is_output(path));
                touched.retain(|(_, path, _)| !(is_same(path) && self.is_output(path)));
                touched
            }
            Err(error) => vec![(format!("can't read the tree again: {error}"), RepoPath::top(), None)],
        };
        let first = touched.iter().map(|(.., at)| at.unwrap_or_default()).min();
        let changed = match first {
            Some(_) => touched.into_iter().map(|(what, ..)| what).collect(),
            None => context.records.take_changes(),
        };
        if is_output_written && !changed.is_empty() {
            Self::forget_stored(context, store, Timestamp(0));
        } else if let Some(first) = first {
            Self::forget_stored(context, store, first.into());
        }
        changed
    }

    /// Returns whether a path is a declared output of a task of the run.
    fn is_output(&self, path: &RepoPath) -> bool {
        let mut nodes = self.inputs.graph.nodes.iter();
        nodes.any(|node| self.inputs.config.task(node.task).outputs.matches(path))
    }

    /// Removes the results from the cache that this run has stored since a time.
    fn forget_stored(context: &Context<'_>, store: &Store<'_>, since: Timestamp) {
        let stored = context.records.take_stored();
        for (key, _) in stored.into_iter().filter(|(_, at)| at.0 >= since.0) {
            if let Err(error) = store.cache.forget(&key) {
                context.emitter.notice(Level::Warning, format!("can't remove a stored result: {error}"));
            }
        }
    }

    /// Reports the untracked files that executed tasks read, if a hook names what ran: a push has a tree without
    /// them, so its gate runs these tasks again.
    fn report_untracked_inputs(&self, context: &Context<'_>, tally: &Tally) {
        let is_hooked = |name: &String| {
            self.inputs.config.hooks.get(&Stage::PRE_PUSH).is_some_and(|all| all.contains(name))
        };
        let is_asked = self.options.gated.is_none() && self.options.watching.is_none();
        let Some(snapshot) =
            self.inputs.snapshot.filter(|_| is_asked && tally.is_pass() && tally.executed > 0)
        else {
            return;
        };
        if self.store.is_none() || !self.names.iter().any(is_hooked) {
            return;
        }
        let misses = self.inputs.graph.nodes.iter().zip(&self.plan.nodes);
        let misses = misses
            .filter(|(_, planned)| matches!(planned.decision, Decision::Miss(_) | Decision::Pending(_)));
        let inputs: Vec<InputSet<'_>> =
            misses.map(|(node, _)| InputSet::new(self.inputs.config, self.inputs.graph, node)).collect();
        // A new tasks.toml is about to be committed.
        let is_config = |path: &RepoPath| self.inputs.config.files.iter().any(|file| file.path == *path);
        let is_input = |path: &RepoPath| inputs.iter().any(|set| set.contains(path)) && !is_config(path);
        let untracked = snapshot.entries().iter().filter(|entry| !entry.tracked && is_input(&entry.path));
        let names: Vec<String> = untracked.map(|entry| entry.path.to_string()).collect();
        if names.is_empty() {
            return;
        }
        let (files, are, them) =
            if names.len() == 1 { ("file", "is", "it") } else { ("files", "are", "them") };
        let shown = first_of(&names, MAX_UNTRACKED);
        let text = format!(
            "{} untracked {files} {are} part of this tree: {shown}; a push without {them} runs these tasks again",
            names.len()
        );
        context.emitter.notice(Level::Note, text);
    }

    /// Stores the findings of gates that passed, for comparison with later trees.
    fn store_gate_records(&self, context: &Context<'_>) {
        let (Some(store), Some(tree)) = (&self.store, &self.tree) else { return };
        for recorded in context.records.take_gates() {
            if let Err(error) = GateRecords::new(store.state).add(tree, &recorded) {
                let cause = &error.source;
                context.emitter.warn_unwritten_with(|| {
                    format!("{}: its findings can't be recorded: {error}: {cause}", recorded.gate)
                });
            }
        }
    }

    fn store_history(&self, context: &Context<'_>) {
        let executions = context.records.take_executions();
        let Some(store) = self.store.as_ref().filter(|_| !executions.is_empty()) else { return };
        if let Err(error) = History::add(store.state, &executions) {
            context.emitter.warn_unwritten(&error);
        }
    }
}

/// Waits for the next notification and passes it to the scheduler.
fn handle_next(context: &Context<'_>, progress: &mut Progress<'_>, inbox: &Inbox) -> Vec<Action> {
    let note = if progress.blocked.is_empty() {
        inbox.receiver().recv().map_err(|_| RecvTimeoutError::Disconnected)
    } else {
        inbox.receiver().recv_timeout(RETRY_EVERY)
    };
    match note {
        Ok(Notification::Storing(id)) => progress.scheduler.on(Message::Storing(id)),
        Ok(Notification::NodeDone(id, outcome)) => progress.handle_outcome(context, id, outcome),
        Ok(Notification::Panicked(with)) => {
            // The scope waits for the other workers, so they have to stop.
            context.stop.terminate();
            std::panic::resume_unwind(with)
        }
        Ok(Notification::Changed(_)) => {
            rescan(context);
            Vec::new()
        }
        Ok(Notification::Notice(level, text)) => {
            context.emitter.notice(level, text);
            Vec::new()
        }
        Ok(Notification::Signal(signal)) => {
            let tally = &mut progress.tally;
            tally.signals += 1;
            tally.signal.get_or_insert(signal);
            let now = tally.signals > 1;
            let signal = signal_name(signal).to_owned();
            context.emitter.emit(What::Interrupted { signal, now });
            if now {
                context.stop.kill();
            }
            // The third signal stops `finally` commands too.
            if tally.signals > 2 {
                context.stop_finally.kill();
            }
            progress.scheduler.on(Message::Interrupted)
        }
        Err(_) => {
            let blocked = std::mem::take(&mut progress.blocked);
            blocked.into_iter().flat_map(|id| progress.scheduler.on(Message::Retry(id))).collect()
        }
    }
}

impl Progress<'_> {
    /// Counts the outcome of a node and passes it to the scheduler.
    fn handle_outcome(&mut self, context: &Context<'_>, id: NodeId, outcome: NodeOutcome) -> Vec<Action> {
        if outcome == NodeOutcome::Blocked {
            self.blocked.push(id);
        }
        let message = self.tally.message(context, id, outcome);
        self.scheduler.on(message)
    }
}

impl Tally {
    /// Counts the outcome of a node and returns the message for the scheduler.
    fn message(&mut self, context: &Context<'_>, id: NodeId, outcome: NodeOutcome) -> Message {
        let name = context.name(id).to_owned();
        let (status, ran, is_slow, saved) = match outcome {
            NodeOutcome::Finished { status, ran, is_slow, saved } => (status, ran, is_slow, saved),
            NodeOutcome::Blocked => return Message::Blocked(id),
            NodeOutcome::Superseded => {
                self.superseded += 1;
                self.skipped += 1;
                return Message::Superseded(id, name);
            }
        };
        self.executed += usize::from(ran);
        self.saved += saved;
        if is_slow {
            self.slow.push(name.clone());
        }
        match status {
            Status::Passed => Message::Passed(id),
            Status::Hit => {
                self.hits += 1;
                Message::Passed(id)
            }
            Status::Flaky => {
                self.flaky.push(name);
                Message::Passed(id)
            }
            Status::Skipped => {
                self.skipped += 1;
                Message::Passed(id)
            }
            Status::Stopped => Message::Failed(id, name),
            Status::Failed { ended } => {
                debug_assert!(ended != Ended::Exit { code: 0 });
                self.failed.push(name.clone());
                Message::Failed(id, name)
            }
        }
    }

    fn is_pass(&self) -> bool {
        self.signal.is_none() && self.failed.is_empty()
    }

    fn summary(self, took: u64) -> Summary {
        let verdict = match self.signal {
            Some(signal) => Verdict::Interrupted { signal },
            None if self.is_undecided => Verdict::Superseded,
            None if self.failed.is_empty() && self.superseded > 0 => Verdict::Superseded,
            None if self.failed.is_empty() => Verdict::Passed,
            None => Verdict::Failed,
        };
        Summary {
            verdict,
            took,
            hits: self.hits,
            executed: self.executed,
            failed: self.failed,
            flaky: self.flaky,
            slow: self.slow,
            skipped: self.skipped,
            saved: self.saved,
            changed_files: Vec::new(),
            pending_gates: Vec::new(),
        }
    }
}
