//! Tries the tasks that are proposed for a repository, where a gate will run them: in a private worktree, with
//! the cache, so that what passed here is a hit in the first run. It must not write tasks.toml.
//!
//! Read [`Trial::run`]. [`mod@bench`] runs tasks in a private worktree. [`missing`] finds what a failed task lacks, and
//! [`outputs`] turns written files into patterns. [`outside_git`] is the trial where there is no repository.

pub mod bench;
pub mod missing;
pub mod outputs;
pub mod outside_git;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use self::bench::{Bench, CheckOut, TrialRun, limit_time};
use self::missing::Additions;
use self::outputs::Written;

use crate::base::clock::Timestamp;
use crate::base::path::RepoPath;
use crate::base::text::{count, first_of};
use crate::cli::failure::Failure;
use crate::config::load::FILE;
use crate::config::model::Config;
use crate::config::{SourceText, parse};
use crate::event::{Ended, Status, TaskFinished, Verdict};
use crate::failure_hint::{Hint, Remedy};
use crate::gate::error::GateError;
use crate::gate::prepare_worktree::Provision;
use crate::git::Warmth;
use crate::git::browse::FolderEntry;
use crate::git::snapshot::Snapshot;
use crate::history::init_logs;
use crate::init::Proposals;
use crate::init::proposals::{Candidate, Install, TaskKind};
use crate::init::text::{self, Inclusion, TrialMode};
use crate::plan::CachePolicy;
use crate::reporter::trial::failure;

/// How often a private worktree is made with other additions.
const ATTEMPTS: usize = 8;
/// How often tasks are left out and the rest is run again.
const SETTLING: usize = 4;
/// After this time beyond the first run of all tasks, no copies of ignored files are tried any more.
const EXTRA: Duration = Duration::from_secs(120);
/// The maximum number of files of a folder that are looked at to see whether it was written.
const LOOKED_AT: usize = 2000;
/// The largest ignored file that is copied because it may be needed, in bytes.
const LARGEST_COPY: u64 = 64 << 10;
/// The number of paths that a message names.
const SHOWN: usize = 3;

/// The end of a trial.
pub enum TrialEnd {
    /// All tasks were tried. Contains what the reader has to know.
    Done(Vec<String>),
    /// A signal ended it.
    Interrupted(i32),
}

/// What is known of a task.
enum State {
    /// It was not tried with its present definition.
    Untried,
    /// It passed.
    Passed,
    /// It failed.
    Failed(Box<TaskFinished>),
    /// It can't be a task, for this reason.
    Rejected(String, Box<TaskFinished>),
}

/// Whether to go on.
enum Flow {
    Continue,
    Interrupted(i32),
}

/// Continues, or returns from the function if a signal arrived.
macro_rules! go_on {
    ($flow:expr) => {
        if let Flow::Interrupted(signal) = $flow {
            return Ok(Flow::Interrupted(signal));
        }
    };
}

/// A trial of the tasks of a repository.
pub struct Trial<'b, 'p> {
    bench: &'b Bench<'b>,
    found: &'p mut Proposals,
    inclusions: &'p mut [Inclusion],
    states: BTreeMap<String, State>,
    /// What was added for each task.
    added: BTreeMap<String, Additions>,
    /// The tree with the files of the work tree.
    base: String,
    /// The work tree before the trial.
    before: &'p Snapshot,
    commit: Option<String>,
    ignored: Vec<FolderEntry>,
    /// Tasks that write files which others may read. They run alone.
    writers: BTreeSet<String>,
    /// Paths that can't be provided.
    refused: BTreeSet<String>,
    /// Setups that failed, with the reasons.
    failed_setups: BTreeMap<Install, String>,
    notes: Vec<String>,
}

/// Parses a tasks.toml that is not written yet.
///
/// # Errors
/// It is invalid.
pub fn parse_config(text: &str) -> Result<Config, Failure> {
    parse(&SourceText { name: FILE, text, base: RepoPath::top(), project: "" }).map_err(Failure::Config)
}

impl<'b, 'p> Trial<'b, 'p> {
    /// Prepares the trial of the tasks that are not left out. `before` is the snapshot of the work tree.
    ///
    /// # Errors
    /// git fails.
    pub fn new(
        bench: &'b Bench<'b>,
        found: &'p mut Proposals,
        inclusions: &'p mut [Inclusion],
        before: &'p Snapshot,
    ) -> Result<Self, Failure> {
        let repository = bench.repository;
        let mut trial = Self {
            bench,
            states: BTreeMap::new(),
            added: BTreeMap::new(),
            base: repository.write_work_dir_tree(&bench.state)?,
            before,
            commit: repository.head_commit()?.map(|commit| commit.id),
            ignored: repository.ignored_paths()?,
            writers: BTreeSet::new(),
            refused: BTreeSet::new(),
            failed_setups: BTreeMap::new(),
            notes: Vec::new(),
            found,
            inclusions,
        };
        for name in trial.kept(|_| true) {
            trial.states.insert(name, State::Untried);
        }
        trial.link_node_modules();
        Ok(trial)
    }

    /// Tries all tasks, adds what they lack, and leaves out those that fail all the same.
    ///
    /// # Errors
    /// git or the disk failed.
    pub fn run(mut self) -> Result<TrialEnd, Failure> {
        self.bench.inbox.get().map_err(Failure::signals)?;
        let flow = match self.try_all() {
            // Ctrl-C in a terminal also stops the processes of git. Their failures are not reported.
            Err(_) if self.bench.inbox.signalled().is_some() => Flow::Continue,
            flow => flow?,
        };
        if let (Flow::Interrupted(signal), _) | (_, Some(signal)) = (flow, self.bench.inbox.signalled()) {
            return Ok(TrialEnd::Interrupted(signal));
        }
        self.leave_out_failed()?;
        *self.found = self.proposals();
        self.note_surprises();
        Ok(TrialEnd::Done(self.notes))
    }

    /// Notes what the reader may not expect.
    fn note_surprises(&mut self) {
        let copies: Vec<String> = self.found.copies.iter().cloned().collect();
        if !copies.is_empty() {
            let shown = first_of(&copies, SHOWN);
            self.notes.push(format!("tasks need {shown}: tasks.toml copies it into private worktrees"));
        }
        let untracked = self.before.entries().iter().filter(|entry| !entry.tracked);
        let untracked: Vec<String> = untracked.map(|entry| entry.path.to_string()).collect();
        if !untracked.is_empty() {
            let shown = first_of(&untracked, SHOWN);
            self.notes.push(format!(
                "tried with files that are not committed: {shown}; a push without them runs the tasks again"
            ));
        }
    }

    fn try_all(&mut self) -> Result<Flow, Failure> {
        let names = self.kept(|_| true);
        let shown = count(names.len(), "task");
        self.bench.session.eprint(&format!(
            "trying {shown} in a private worktree, as a push is tested: {}\n",
            names.join(", ")
        ));
        let clock = self.bench.session.clock.restarted();
        let at = self.check_out(Warmth::Cold)?;
        go_on!(self.try_in_worktree(at)?);
        let first = clock.elapsed();
        for step in [Self::add_named, Self::add_builds] {
            if self.add(step) {
                go_on!(self.try_untried()?);
            }
        }
        if clock.elapsed() < first + EXTRA {
            go_on!(self.try_with_copies()?);
        }
        self.settle()
    }

    /// Tries all tasks once: those that need no build first, so that it shows which ones do.
    fn try_in_worktree(&mut self, mut at: Option<CheckOut<'b>>) -> Result<Flow, Failure> {
        let is_build = |task: &Candidate| task.kind == TaskKind::Build;
        let checks = self.kept(|task| !is_build(task) && task.needs.is_empty());
        let builds = self.kept(is_build);
        let others = self.kept(|task| !is_build(task) && !task.needs.is_empty());
        go_on!(self.run_at(&mut at, &checks)?);
        for build in builds {
            go_on!(self.run_at(&mut at, &[build])?);
        }
        go_on!(self.run_at(&mut at, &others)?);
        self.release(at)
    }

    /// Tries the tasks again whose definitions have changed.
    fn try_untried(&mut self) -> Result<Flow, Failure> {
        let names = self.names_of(|state| matches!(state, State::Untried));
        if names.is_empty() {
            return Ok(self.flow());
        }
        let mut at = self.check_out(Warmth::Warm)?;
        go_on!(self.run_at(&mut at, &names)?);
        self.release(at)
    }

    /// Runs all tasks with the final text. Only what has no result is executed.
    fn settle(&mut self) -> Result<Flow, Failure> {
        for _ in 0..SETTLING {
            self.leave_out_failed()?;
            for name in self.kept(|task| self.writers.contains(&task.name)) {
                let mut at = self.check_out(Warmth::Warm)?;
                go_on!(self.run_at(&mut at, &[name])?);
                go_on!(self.release(at)?);
            }
            let names = self.kept(|_| true);
            if names.is_empty() {
                break;
            }
            let mut at = self.check_out(Warmth::Warm)?;
            go_on!(self.run_at(&mut at, &names)?);
            go_on!(self.release(at)?);
            let is_settled = |state: &State| matches!(state, State::Passed);
            if names.iter().all(|name| self.states.get(name).is_some_and(is_settled)) {
                break;
            }
        }
        Ok(self.flow())
    }

    /// Releases a private worktree for the next use.
    fn release(&self, at: Option<CheckOut<'b>>) -> Result<Flow, Failure> {
        at.map(CheckOut::release).transpose()?;
        Ok(self.flow())
    }

    fn flow(&self) -> Flow {
        self.bench.inbox.signalled().map_or(Flow::Continue, Flow::Interrupted)
    }

    // ---- What is written

    /// Returns the names of the tasks that are not left out.
    fn kept(&self, wanted: impl Fn(&Candidate) -> bool) -> Vec<String> {
        let tasks = self.found.tasks.iter().zip(&*self.inclusions);
        let kept = tasks.filter(|(task, inclusion)| **inclusion == Inclusion::Kept && wanted(task));
        kept.map(|(task, _)| task.name.clone()).collect()
    }

    fn names_of(&self, wanted: impl Fn(&State) -> bool) -> Vec<String> {
        self.states.iter().filter(|(_, state)| wanted(state)).map(|(name, _)| name.clone()).collect()
    }

    fn task(&self, name: &str) -> Option<&Candidate> {
        self.found.tasks.iter().find(|task| task.name == name)
    }

    /// Returns the proposals with all that was added for tasks.
    fn proposals(&self) -> Proposals {
        let mut found = self.found.clone();
        for (name, added) in &self.added {
            found.links.extend(added.links.iter().cloned());
            found.copies.extend(added.copies.iter().cloned());
            for install in &added.setups {
                if !found.setups.contains(install) {
                    found.setups.push(install.clone());
                }
            }
            if let Some(task) = found.tasks.iter_mut().find(|task| task.name == *name) {
                let new = added.needs.iter().filter(|need| !task.needs.contains(need));
                let new: Vec<String> = new.cloned().collect();
                task.needs.extend(new);
            }
        }
        found.links.retain(|path| !self.refused.contains(path));
        found.copies.retain(|path| !self.refused.contains(path));
        found.setups.retain(|install| !self.failed_setups.contains_key(install));
        found
    }

    fn text(&self) -> String {
        text::tasks_toml(&self.proposals(), self.inclusions, TrialMode::Once)
    }

    fn leave_out_failed(&mut self) -> Result<(), Failure> {
        self.drop_followed_advice();
        let mut failed = Vec::new();
        for (task, inclusion) in self.found.tasks.iter().zip(&mut *self.inclusions) {
            let advice = task.advice.as_ref().map_or(String::new(), |advice| format!("; {advice}"));
            match self.states.get(&task.name) {
                Some(State::Failed(finished)) => {
                    let why = failure(finished, |text| self.bench.observer.tidy(text));
                    let why = why.unwrap_or_else(|| "it was not tried".to_owned());
                    *inclusion = Inclusion::LeftOut(format!("{why}{advice}"));
                    failed.push((**finished).clone());
                }
                Some(State::Rejected(why, finished)) => {
                    *inclusion = Inclusion::LeftOut(format!("{why}{advice}"));
                    failed.push((**finished).clone());
                }
                _ => continue,
            }
            self.added.remove(&task.name);
        }
        Ok(init_logs::write(&self.bench.state, &failed)?)
    }

    /// Removes the advice to install what the setup of the private worktree has tried to install.
    fn drop_followed_advice(&mut self) {
        let setups = self.proposals().setups;
        let tried: Vec<&str> =
            setups.iter().chain(self.failed_setups.keys()).map(|it| it.run.as_str()).collect();
        for task in &mut self.found.tasks {
            task.advice.take_if(|advice| tried.iter().any(|run| advice.ends_with(run)));
        }
    }

    // ---- The private worktree

    /// Checks out the tree with the tasks.toml as it is now. Paths and setups that fail are given up. Returns
    /// `None` if a signal arrived.
    fn check_out(&mut self, warmth: Warmth) -> Result<Option<CheckOut<'b>>, Failure> {
        let mut warmth = warmth;
        for _ in 0..ATTEMPTS {
            let text = self.text();
            let mut config = parse_config(&text)?;
            limit_time(&mut config);
            let tree = self.bench.repository.tree_with_file(&self.base, FILE, text.as_bytes())?;
            let context = self.bench.context(warmth);
            let provision = context.provide(&config, &tree, self.commit.as_deref());
            if self.bench.inbox.signalled().is_some() {
                return Ok(None);
            }
            let setup = self.bench.observer.take();
            match provision {
                Ok(Provision::Ready(ready)) => {
                    let commit = self.commit.clone();
                    return Ok(Some(CheckOut { context, ready: *ready, config, commit }));
                }
                Ok(Provision::SetupFailed(Verdict::Interrupted { .. })) => return Ok(None),
                Ok(Provision::SetupFailed(_)) => {
                    let tidy = |text: &str| self.bench.observer.tidy(text);
                    let why = setup.iter().find_map(|task| failure(task, tidy)).unwrap_or_default();
                    for install in self.proposals().setups {
                        self.notes.push(format!("`{}` fails in a private worktree: {why}", install.run));
                        self.failed_setups.insert(install, why.clone());
                    }
                }
                Err(GateError::BackReference { back, remedy }) => {
                    let path = back.provided.to_string();
                    if let Some(install) = parse_setup(&remedy) {
                        // The gate does not know which packages the tasks need.
                        let known = self.found.installs.iter().find(|known| {
                            known.folder == install.folder && install.run.starts_with("python3 -m venv")
                        });
                        let folder = RepoPath::from_git(install.folder.as_bytes());
                        let pyproject = folder.child(b"pyproject.toml");
                        let text =
                            self.bench.repository.read_file(&self.base, &pyproject)?.unwrap_or_default();
                        let text = String::from_utf8_lossy(&text);
                        let install = match known {
                            Some(known) => known.clone(),
                            None => missing::with_python_groups(install, &text),
                        };
                        self.added.entry(String::new()).or_default().setups.insert(install);
                    }
                    self.refused.insert(path);
                }
                Err(GateError::ProvidedTracked { path, .. } | GateError::BelowSymlink { path }) => {
                    self.refused.insert(path);
                }
                Err(error) => return Err(error.into()),
            }
            warmth = Warmth::Warm;
        }
        Err(Failure::Gate(GateError::TreeModified { what: "its setup does not pass".to_owned() }))
    }

    /// Runs tasks in a private worktree, and records what they gave and what they wrote. Afterwards the worktree
    /// has the tree again.
    fn run_at(&mut self, slot: &mut Option<CheckOut<'b>>, names: &[String]) -> Result<Flow, Failure> {
        let Some(at) = slot.as_ref().filter(|_| !names.is_empty()) else { return Ok(self.flow()) };
        let is_build = |name: &String| self.task(name).is_some_and(|task| task.kind == TaskKind::Build);
        let build = names.first().filter(|name| names.len() == 1 && is_build(name));
        let had = build.map(|_| at.ready.repository.ignored_paths()).transpose()?;
        let run = at.run(names, CachePolicy::Use, self.bench)?;
        go_on!(self.flow());
        self.record(&run);
        if let (Some(build), Some(had)) = (build, had) {
            self.find_outputs(at, build, &had, &run)?;
        }
        let changed = Self::changed_files(at, &run)?;
        if changed.is_empty() {
            return Ok(self.flow());
        }
        let mut suspects = suspects(at.ready.worktree.path(), &changed, &run);
        if suspects.is_empty() {
            let executed = run.finished.iter().filter(|task| task.attempts > 0);
            suspects = executed.map(|task| task.task.clone()).collect();
        }
        if let [name] = &*suspects {
            self.blame(name, &changed, &run);
            return self.renew(slot);
        }
        // Several tasks ran at that time, so each of them runs alone.
        for name in suspects {
            go_on!(self.renew(slot)?);
            let Some(at) = slot.as_ref() else { break };
            let run = at.run(std::slice::from_ref(&name), CachePolicy::Force, self.bench)?;
            go_on!(self.flow());
            self.record(&run);
            let changed = Self::changed_files(at, &run)?;
            if !changed.is_empty() {
                self.blame(&name, &changed, &run);
            }
        }
        self.renew(slot)
    }

    /// Checks the tree out again, without what tasks changed in it.
    fn renew(&mut self, slot: &mut Option<CheckOut<'b>>) -> Result<Flow, Failure> {
        // While it is in use, another one would be taken.
        go_on!(self.release(slot.take())?);
        *slot = self.check_out(Warmth::Warm)?;
        Ok(self.flow())
    }

    fn record(&mut self, run: &TrialRun) {
        for finished in &run.finished {
            let Some(state) = self.states.get_mut(&finished.task) else { continue };
            if matches!(state, State::Rejected(..)) {
                continue;
            }
            *state = match &finished.status {
                status if status.is_pass() => State::Passed,
                Status::Failed { .. } => State::Failed(Box::new(finished.clone())),
                _ => State::Untried,
            };
        }
    }

    /// Declares the ignored files that a build wrote as its outputs.
    fn find_outputs(
        &mut self,
        at: &CheckOut<'b>,
        name: &str,
        had: &[FolderEntry],
        run: &TrialRun,
    ) -> Result<(), Failure> {
        let Some(finished) = run.finished.iter().find(|task| task.task == name && task.attempts > 0) else {
            return Ok(());
        };
        let declared = self.task(name).is_some_and(|task| !task.outputs.is_empty());
        let is_stored = matches!(finished.stored, crate::event::Stored::Yes);
        if !finished.status.is_pass() || declared && is_stored {
            return Ok(());
        }
        let root = at.ready.worktree.path();
        let provided = &self.proposals();
        let is_provided = |path: &RepoPath| {
            let path = path.to_string();
            provided.links.contains(&path) || provided.copies.contains(&path)
        };
        let new =
            at.ready.repository.ignored_paths()?.into_iter().filter(|it| !is_provided(&it.path)).filter(
                |it| {
                    !had.contains(it)
                        || !outputs::is_of_tool(&it.path) && was_written(&it.path.under(root), run.started)
                },
            );
        let written: Vec<Written> =
            new.map(|it| Written { path: it.path, is_folder: it.is_folder }).collect();
        let Some(patterns) = outputs::ignored_outputs(&written) else {
            self.notes.push(format!(
                "{name} writes too many files to list them: set its `outputs`, so that they are cached"
            ));
            return Ok(());
        };
        if patterns.is_empty() && !declared {
            return Ok(());
        }
        if let Some(task) = self.found.tasks.iter_mut().find(|task| task.name == name) {
            task.outputs = patterns;
        }
        // It runs again with its outputs, so that what is stored is what ran.
        self.states.insert(name.to_owned(), State::Untried);
        Ok(())
    }

    /// Returns the files of the tree that a run changed, created or removed, without declared outputs.
    fn changed_files(at: &CheckOut<'b>, run: &TrialRun) -> Result<Vec<RepoPath>, Failure> {
        let after = at.snapshot()?;
        let is_output = |path: &RepoPath| at.config.tasks.iter().any(|task| task.outputs.matches(path));
        Ok(differences(&run.before, &after).into_iter().filter(|path| !is_output(path)).collect())
    }

    /// Declares the files of the tree that a task wrote as its outputs, or rejects the task.
    fn blame(&mut self, name: &str, changed: &[RepoPath], run: &TrialRun) {
        let Some(finished) = run.finished.iter().find(|task| task.task == name) else { return };
        if !finished.status.is_pass() {
            return;
        }
        let Some(task) = self.found.tasks.iter_mut().find(|task| task.name == name) else { return };
        let texts: Vec<String> = changed.iter().map(ToString::to_string).collect();
        let is_new = changed.iter().all(|path| run.before.get(path).is_none());
        let folder = RepoPath::from_git(task.folder.as_bytes());
        let patterns = if is_new {
            let tops: BTreeSet<Written> = changed.iter().map(|path| new_folder(path, &run.before)).collect();
            outputs::tracked_outputs(&folder, &[]).map(|_| {
                tops.iter()
                    .map(|it| {
                        let text = crate::init::proposals::literal(&it.path.to_string());
                        if it.is_folder { format!("{text}/**") } else { text }
                    })
                    .collect()
            })
        } else if task.kind == TaskKind::Build && !task.rewrites {
            // Outputs are not part of the key, so a file that the task may read, such as its settings, can't be one.
            let patterns = outputs::tracked_outputs(&folder, changed);
            patterns.filter(|all| all.iter().all(|pattern| pattern.ends_with("/**")))
        } else {
            None
        };
        let shown = first_of(&texts, SHOWN);
        match patterns {
            Some(patterns) => {
                let patterns: Vec<String> = patterns;
                self.notes.push(if is_new {
                    format!(
                        "{name} creates {}, which git does not ignore: commit or ignore it",
                        first_of(&patterns, SHOWN)
                    )
                } else {
                    format!(
                        "{name} rewrites files that git tracks, so they are its outputs: {}",
                        first_of(&patterns, SHOWN)
                    )
                });
                let new: Vec<String> =
                    patterns.into_iter().filter(|text| !task.outputs.contains(text)).collect();
                task.outputs.extend(new);
                self.states.insert(name.to_owned(), State::Untried);
                self.writers.insert(name.to_owned());
            }
            None => {
                let why = format!("it changes files that git tracks: {shown}");
                self.states.insert(name.to_owned(), State::Rejected(why, Box::new(finished.clone())));
            }
        }
    }

    // ---- What tasks lack

    /// Adds something for each task that failed. Returns whether anything was added.
    fn add(&mut self, step: fn(&Self, &Candidate, &TaskFinished, &str) -> Additions) -> bool {
        let mut added = Vec::new();
        let mut is_shared = false;
        for name in self.names_of(|state| matches!(state, State::Failed(_))) {
            let (Some(State::Failed(finished)), Some(task)) = (self.states.get(&name), self.task(&name))
            else {
                continue;
            };
            let log = self.bench.observer.tidy(&finished.log.text);
            let is_unfound = matches!(
                finished.status,
                Status::Failed { ended: Ended::NotStarted { .. } | Ended::Exit { code: 126 | 127 } }
            );
            if is_unfound || missing::says_missing(&log) {
                let new = self.only_new(&name, step(self, task, finished, &log));
                is_shared |= new.is_shared();
                added.push((name, new));
            }
        }
        let mut has_added = false;
        for (name, new) in added {
            // What one task gets may be what another one lacks.
            if is_shared || !new.is_empty() {
                self.added.entry(name.clone()).or_default().extend(new);
                self.states.insert(name, State::Untried);
                has_added = true;
            }
        }
        has_added
    }

    /// Returns the additions without those that a task has.
    fn only_new(&self, name: &str, mut new: Additions) -> Additions {
        let found = self.proposals();
        let has =
            |need: &String| found.tasks.iter().any(|task| task.name == *name && task.needs.contains(need));
        new.needs.retain(|need| !has(need));
        let is_known = |path: &String| {
            found.links.contains(path) || found.copies.contains(path) || self.refused.contains(path)
        };
        new.links.retain(|path| !is_known(path));
        new.copies.retain(|path| !is_known(path));
        new.setups
            .retain(|install| !found.setups.contains(install) && !self.failed_setups.contains_key(install));
        new
    }

    /// Returns what the log of a failed task names.
    fn add_named(&self, task: &Candidate, finished: &TaskFinished, log: &str) -> Additions {
        let mut added = Additions::default();
        for build in self.found.tasks.iter().filter(|build| self.may_need(task, build)) {
            let outputs = build.outputs.iter().map(|output| output.trim_end_matches("/**"));
            let mut paths = outputs.map(|output| RepoPath::from_git(output.as_bytes()));
            if paths.any(|path| missing::names_path(log, &path, &task.folder)) {
                added.needs.insert(build.name.clone());
            }
        }
        for hint in &finished.hints {
            let Hint::NotInTree { paths, remedy } = hint else { continue };
            match remedy {
                Remedy::Link { .. } => added.links.extend(paths.iter().cloned()),
                Remedy::Copy { .. } => added.copies.extend(paths.iter().cloned()),
                Remedy::Needs { needs, .. } => {
                    added.needs.insert(needs.clone());
                }
                Remedy::Add => {}
            }
        }
        let root = self.bench.repository.work_dir();
        let has = |path: &RepoPath| self.before.get(path).is_some();
        let exists = |path: &RepoPath| path.under(root).symlink_metadata().is_ok();
        added.setups.extend(missing::install(&task.folder, &task.programs, &has, &exists));
        added
    }

    /// Returns the builds that a failed task may need.
    fn add_builds(&self, task: &Candidate, _: &TaskFinished, _: &str) -> Additions {
        let builds = self.found.tasks.iter().filter(|build| {
            self.may_need(task, build) && !build.outputs.is_empty() && is_near(&build.folder, &task.folder)
        });
        Additions { needs: builds.map(|build| build.name.clone()).collect(), ..Additions::default() }
    }

    /// Returns whether `build` has not failed and `task` can need it.
    fn may_need(&self, task: &Candidate, build: &Candidate) -> bool {
        build.kind == TaskKind::Build
            && build.name != task.name
            && matches!(self.states.get(&build.name), Some(State::Passed | State::Untried))
            && !self.proposals().tasks.iter().any(|it| it.name == build.name && it.needs.contains(&task.name))
    }

    /// Links the installed packages of Node.js, without which no script runs.
    fn link_node_modules(&mut self) {
        let is_node = |path: &RepoPath| path.parts().last() == Some(b"node_modules");
        let folders = self.ignored.iter().filter(|it| it.is_folder && is_node(&it.path));
        let folders: Vec<String> = folders.map(|it| it.path.to_string()).collect();
        if self.found.tasks.iter().any(|task| task.origin.ends_with("package.json")) {
            self.found.links.extend(folders);
        }
    }

    /// Tries what failed with copies of the ignored files that a person may have written. Nothing is tried in the
    /// work tree: what a task or the user changes there meanwhile could not be told apart.
    fn try_with_copies(&mut self) -> Result<Flow, Failure> {
        let names = self.names_of(|state| match state {
            State::Failed(finished) => missing::says_missing(&finished.log.text) || finished.took < 30_000,
            _ => false,
        });
        let mut tried = Vec::new();
        for name in names {
            let folder = self.task(&name).map(|task| task.folder.clone()).unwrap_or_default();
            let root = self.bench.repository.work_dir();
            let copies = self.ignored.iter().filter(|it| !it.is_folder && may_be_copied(&it.path));
            let copies = copies.filter(|it| {
                let near = it.path.parent().is_some_and(|parent| is_near(&parent.to_string(), &folder));
                near && it.path.under(root).metadata().is_ok_and(|meta| meta.len() <= LARGEST_COPY)
            });
            let copies = copies.map(|it| it.path.to_string()).collect();
            let new = self.only_new(&name, Additions { copies, ..Additions::default() });
            if !new.is_empty() {
                self.added.entry(name.clone()).or_default().extend(new);
                self.states.insert(name.clone(), State::Untried);
                tried.push(name);
            }
        }
        if tried.is_empty() {
            return Ok(self.flow());
        }
        self.bench.session.eprint(&format!(
            "trying {} again, with copies of ignored files: {}\n",
            count(tried.len(), "task"),
            tried.join(", ")
        ));
        self.try_untried()
    }
}

/// Returns the paths that two snapshots don't have in common.
fn differences(before: &Snapshot, after: &Snapshot) -> Vec<RepoPath> {
    let changed = before.changes(after).into_iter().map(|(path, _)| path);
    let new = after.entries().iter().filter(|entry| before.get(&entry.path).is_none());
    changed.chain(new.map(|entry| entry.path.clone())).collect()
}

/// Returns the outermost folder of a new file that did not exist before, or the file itself.
fn new_folder(path: &RepoPath, before: &Snapshot) -> Written {
    let folders = std::iter::successors(path.parent(), RepoPath::parent).filter(|folder| !folder.is_top());
    let new = folders.filter(|folder| before.entries_in(folder).is_empty()).last();
    match new {
        Some(folder) => Written { path: folder, is_folder: true },
        None => Written { path: path.clone(), is_folder: false },
    }
}

/// Returns the tasks that ran when one of these files was written.
fn suspects(root: &Path, changed: &[RepoPath], run: &TrialRun) -> Vec<String> {
    /// How much the times of files and of runs may differ, in milliseconds.
    const LAG: u64 = 100;
    let times: Vec<u64> = changed.iter().filter_map(|path| modified(&path.under(root))).collect();
    let wrote = |task: &&TaskFinished| {
        let start = (run.started.0 + task.started).saturating_sub(LAG);
        let end = run.started.0 + task.started + task.took + LAG;
        task.attempts > 0 && times.iter().any(|time| (start..=end).contains(time))
    };
    run.finished.iter().filter(wrote).map(|task| task.task.clone()).collect()
}

/// Returns the time at which a file was written, in milliseconds since 1970.
fn modified(path: &Path) -> Option<u64> {
    let meta = path.symlink_metadata().ok()?;
    u64::try_from(meta.mtime() * 1000 + meta.mtime_nsec() / 1_000_000).ok()
}

/// Returns whether a file, or one of the files in a folder, was written since `start`.
fn was_written(path: &Path, start: Timestamp) -> bool {
    let mut stack = vec![path.to_owned()];
    for _ in 0..LOOKED_AT {
        let Some(path) = stack.pop() else { return false };
        if modified(&path).is_some_and(|time| time >= start.0) {
            return true;
        }
        if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            let inside = std::fs::read_dir(&path).into_iter().flatten().flatten();
            stack.extend(inside.map(|entry| entry.path()));
        }
    }
    false
}

/// Returns whether one of two folders contains the other.
fn is_near(one: &str, other: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        outer.is_empty()
            || inner == outer
            || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    };
    within(one, other) || within(other, one)
}

/// Returns whether an ignored path can be something that a person wrote.
fn may_be_copied(path: &RepoPath) -> bool {
    let name = path.parts().last().map(String::from_utf8_lossy).unwrap_or_default();
    name.starts_with(".env") || !outputs::is_of_tool(path)
}

/// Reads the setup from the suggestion of a gate.
fn parse_setup(remedy: &str) -> Option<Install> {
    let setup = &remedy[remedy.find("setup = {")?..];
    let text = |key: &str| {
        let start = setup.find(&format!(" {key} = \""))? + key.len() + 5;
        Some(setup[start..].split('"').next()?.to_owned())
    };
    let inputs = setup.split_once("inputs = [")?.1.split(']').next()?;
    Some(Install {
        folder: text("cwd").unwrap_or_default(),
        run: text("run")?,
        inputs: inputs.split('"').skip(1).step_by(2).map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setup_of_a_suggestion_is_read() {
        let text = "remove it:\n    [worktree]\n    setup = { run = \"uv sync\", cwd = \"api\", inputs = [\"api/uv.lock\", \"b\"] }";
        let install = parse_setup(text).unwrap();
        assert_eq!((&*install.run, &*install.folder), ("uv sync", "api"));
        assert_eq!(install.inputs, ["api/uv.lock", "b"]);
        assert_eq!(parse_setup("remove it"), None);
    }

    #[test]
    fn near_folders_contain_each_other() {
        for (one, other, expected) in
            [("", "a", true), ("a/b", "a", true), ("a", "ab", false), ("a/b", "a/c", false)]
        {
            assert_eq!(is_near(one, other), expected, "{one} {other}");
            assert_eq!(is_near(other, one), expected, "{other} {one}");
        }
    }
}
