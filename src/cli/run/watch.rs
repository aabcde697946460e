//! `xtask watch`: runs tasks, and runs again those that a change affects, until a signal ends it. It must not
//! decide who changed a file.
//!
//! Each round is an ordinary run. If a file changes during a round, the tasks that read it and have no result
//! yet start again in the next round, which follows at once. All others continue.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use clap::Args;

use crate::base::clock::Clock;
use crate::base::path::RepoPath;
use crate::cli::exit::End;
use crate::cli::failure::{Failure, describe};
use crate::cli::project::Project;
use crate::cli::reporters::{Format, ReporterOptions};
use crate::cli::run;
use crate::cli::run::{RunArgs, SchedulingArgs};
use crate::cli::session::{LOOKING, Session};
use crate::config::load::FILE;
use crate::config::model::Config;
use crate::engine::prepare::Prepared;
use crate::engine::run::emitter::Emitter;
use crate::engine::run::inbox::{Inbox, Notification};
use crate::engine::services::ServiceEnv;
use crate::engine::task::secrets::Secrets;
use crate::engine::watch::change_origin::{self, PathChange};
use crate::engine::watch::{
    WatchSession, affected_nodes, affects_env_files, describe_changes, without_outputs,
};
use crate::event::{Level, Verdict};
use crate::git::activity::{GitActivity, when_git_idle};
use crate::git::snapshot::Snapshot;
use crate::git::{Repository, WorkTreeReader};
use crate::history::runs;
use crate::process::orphans;
use crate::process::stop::{Stop, StopRequest};
use crate::reporter::Output;
use crate::reporter::lines::Lines;
use crate::watch::{LONGEST, Watch, WatchReport, WatchTarget};

/// Arguments of `watch`.
#[derive(Args, Debug, Clone)]
pub struct WatchArgs {
    /// Tasks or groups
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// How to start tasks
    #[command(flatten)]
    pub scheduling: SchedulingArgs,
    /// The logs to show
    #[arg(short, long, value_enum, default_value_t, value_name = "WHICH")]
    pub output: Output,
    /// The output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// Arguments for the one task that is named
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

/// Why the next round begins, or that there is none.
enum NextRound {
    /// Files changed while nothing was running.
    Changed,
    /// Files changed during the last round.
    ChangedDuringRound,
    /// A signal ended the command.
    Interrupted(i32),
}

/// Why the tree could not be read.
enum LookError {
    /// A signal arrived.
    Signal(i32),
    /// Reading it failed.
    Failed(Failure),
}

/// The time between two checks whether git is at work.
const GIT_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// What all rounds share.
struct Rounds<'a> {
    session: &'a Session,
    args: RunArgs,
    inbox: Inbox,
    watching: WatchSession,
}

/// Runs rounds until a signal arrives.
///
/// # Errors
/// There is no repository, a name is unknown, or the work tree can't be watched.
pub fn run(session: &Session, args: WatchArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    project.repository()?;
    let mark = format!("{}-watch", runs::new_id(session.clock.now(), std::process::id()));
    let WatchArgs { names, scheduling, output, format, args } = args;
    let reporters = ReporterOptions { output, format, ..ReporterOptions::default() };
    let args = RunArgs { names, scheduling, reporters, args, ..RunArgs::default() };
    let inbox = Inbox::open().map_err(Failure::signals)?;
    let rounds = Rounds { session, args, inbox, watching: WatchSession::new(mark.clone()) };
    // From here on every change is noticed.
    let _watch = rounds.watch(&project)?;
    let mut project = project;
    let end = rounds.run_rounds(&mut project);
    rounds.end_services(&project.config, &mark);
    end
}

impl Rounds<'_> {
    fn watch(&self, project: &Project) -> Result<Watch, Failure> {
        let session = self.session;
        let repository = Repository::discover(&session.dir, &session.env)?;
        let what = "there is no tree to watch";
        let repository = repository.ok_or(Failure::NoRepository { what })?;
        let git_dir = repository.git_dir().to_owned();
        let place = WatchTarget {
            root: project.root.clone(),
            is_git_working: Box::new(move || GitActivity::read(&git_dir).is_working()),
            folders: Box::new(move |folder| {
                // Only folders matter here.
                let names = repository.browse_work_tree(folder, "/").unwrap_or_default();
                names.into_iter().filter(|name| name.is_folder).map(|name| name.path).collect()
            }),
        };
        let sender = self.inbox.sender();
        let tell = move |news| {
            let _ = sender.send(match news {
                WatchReport::Changed(paths) => Notification::Changed(paths),
                WatchReport::Gap(gap) if gap.is_defect() => {
                    Notification::Notice(Level::Warning, gap.to_string())
                }
                WatchReport::Gap(gap) => Notification::Notice(Level::Note, gap.to_string()),
            });
        };
        Ok(Watch::start(place, tell)?)
    }

    /// Runs one round after another.
    fn run_rounds(&self, project: &mut Project) -> Result<End, Failure> {
        let mut by_itself = false;
        loop {
            match self.round(project, by_itself) {
                Ok(NextRound::Interrupted(signal)) => return Ok(End::Interrupted(signal)),
                Ok(next) => by_itself = matches!(next, NextRound::ChangedDuringRound),
                // tasks.toml does not fit this tree; a change of either may fix that.
                Err(failure @ Failure::Config(_)) => {
                    if let Err(signal) = self.wait_for_fix(&failure) {
                        return Ok(End::Interrupted(signal));
                    }
                }
                Err(failure) => return Err(failure),
            }
            match self.reopen_project()? {
                Ok(new) => *project = new,
                Err(signal) => return Ok(End::Interrupted(signal)),
            }
        }
    }

    /// Returns the project as it is now. While its tasks.toml is invalid, waits for a change, or returns the
    /// number of a signal.
    fn reopen_project(&self) -> Result<Result<Project, i32>, Failure> {
        loop {
            match Project::open(&self.session.env, &self.session.dir) {
                Ok(project) => return Ok(Ok(project)),
                Err(failure @ (Failure::Config(_) | Failure::NoConfig { .. })) => {
                    if let Err(signal) = self.wait_for_fix(&failure) {
                        return Ok(Err(signal));
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Prints what is wrong with tasks.toml and waits for a change. Returns the number of a signal as the
    /// error.
    fn wait_for_fix(&self, failure: &Failure) -> Result<(), i32> {
        self.session.eprint(&describe(failure, None, self.session.paint_err()));
        self.note("waiting for a fix; Ctrl-C ends it");
        self.wait().map(|_| ())
    }

    /// Returns the next changed paths. Returns the number of a signal as the error.
    fn wait(&self) -> Result<Vec<RepoPath>, i32> {
        loop {
            match self.inbox.receiver().recv() {
                Ok(Notification::Changed(paths)) => return Ok(paths),
                Ok(Notification::Signal(signal)) => return Err(signal),
                Ok(Notification::Notice(level, text)) => self.line(level, &text),
                Ok(Notification::Storing(_) | Notification::NodeDone(..) | Notification::Panicked(_)) => {}
                Err(_) => return Err(signal_hook::consts::SIGTERM),
            }
        }
    }

    /// Runs one round and waits for what starts the next one.
    fn round(&self, project: &Project, by_itself: bool) -> Result<NextRound, Failure> {
        let location = project.location(&self.session.env);
        let run_id = runs::new_id(self.session.clock.now(), std::process::id());
        let request = run::request(&self.args);
        let busy = self.session.busy(LOOKING);
        let prepared = Prepared::load(&project.config, &request, location, &self.session.clock, &run_id)?;
        drop(busy);
        let Some(before) = &prepared.snapshot else { return Ok(NextRound::Changed) };
        let is_tracked = |path: &RepoPath| before.get(path).is_some_and(|entry| entry.tracked);
        self.watching.changes().begin_round(by_itself, is_tracked);
        self.watching.services.forget_failures();
        let (summary, reporters) = run::run_prepared(
            self.session,
            &self.args,
            &prepared,
            location,
            &run_id,
            &self.inbox,
            Some(&self.watching),
        )?;
        if let Some(failure) = reporters.failure() {
            return Err(failure);
        }
        if let Verdict::Interrupted { signal } = summary.verdict {
            return Ok(NextRound::Interrupted(signal));
        }
        let after = tree(project)?;
        let changes = changes_between(&prepared, before, &after);
        let mut tracker = self.watching.changes();
        let by_hand: Vec<PathChange> = tracker.user_changes(&changes).into_iter().cloned().collect();
        for path in tracker.suspected_outputs() {
            self.warn(&format!(
                "{path} changed in each of the last rounds; if a task writes it, add it to `outputs` or to .gitignore; until then it starts a round only if it changes while nothing runs"
            ));
        }
        drop(tracker);
        let by_hand: Vec<&PathChange> = by_hand.iter().collect();
        if !affected_nodes(prepared.config, &prepared.graph, &by_hand).is_empty()
            || changes_tasks(prepared.config, &by_hand)
        {
            self.note(&format!("{}, while it ran", describe_changes(&by_hand)));
            return Ok(NextRound::ChangedDuringRound);
        }
        self.idle(project, &prepared, after)
    }

    /// Waits for a change that affects a task.
    fn idle(
        &self,
        project: &Project,
        prepared: &Prepared<'_>,
        mut last: Snapshot,
    ) -> Result<NextRound, Failure> {
        self.note("watching for changes; Ctrl-C ends it");
        loop {
            let looked = self
                .wait()
                .map_err(LookError::Signal)
                .and_then(|paths| self.read_stable_tree(project, paths));
            let (paths, now) = match looked {
                Ok(looked) => looked,
                Err(LookError::Signal(signal)) => return Ok(NextRound::Interrupted(signal)),
                Err(LookError::Failed(failure)) => return Err(failure),
            };
            let changes = changes_between(prepared, &last, &now);
            let changes: Vec<&PathChange> = changes.iter().collect();
            last = now;
            self.watching.changes().record_user_changes(changes.iter().map(|change| &change.path));
            let reached = affected_nodes(prepared.config, &prepared.graph, &changes);
            if !reached.is_empty() || changes_tasks(prepared.config, &changes) {
                self.note(&describe_changes(&changes));
                return Ok(NextRound::Changed);
            }
            if affects_env_files(prepared.config, &prepared.graph, &paths) {
                let is_known = !paths.iter().any(RepoPath::is_top);
                self.note(if is_known { "an env file changed" } else { "anything may have changed" });
                return Ok(NextRound::Changed);
            }
        }
    }

    /// Returns all changed paths and the tree. Git may be switching branches, so this waits until it is idle:
    /// a half switched branch is no tree.
    fn read_stable_tree(
        &self,
        project: &Project,
        mut paths: Vec<RepoPath>,
    ) -> Result<(Vec<RepoPath>, Snapshot), LookError> {
        let git_dir = project.repository().map_err(LookError::Failed)?.git_dir();
        let clock = Clock::system();
        let mut last = clock.elapsed();
        let pause = || {
            match self.inbox.receiver().recv_timeout(GIT_CHECK_INTERVAL) {
                Ok(Notification::Changed(more)) => {
                    paths.extend(more);
                    last = clock.elapsed();
                }
                Ok(Notification::Signal(signal)) => return Err(LookError::Signal(signal)),
                Ok(Notification::Notice(level, text)) => self.line(level, &text),
                Ok(Notification::Storing(_) | Notification::NodeDone(..) | Notification::Panicked(_))
                | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(LookError::Signal(signal_hook::consts::SIGTERM));
                }
            }
            Ok(clock.elapsed() < last + LONGEST)
        };
        let tree =
            when_git_idle(|| GitActivity::read(git_dir), || tree(project).map_err(LookError::Failed), pause)?;
        Ok((paths, tree))
    }

    /// Ends the services that are still running. A second signal kills them.
    fn end_services(&self, config: &Config, mark: &str) {
        let emitter = Emitter::new(self.session.clock.clone(), Box::new(|_| {}));
        let none = Secrets::none();
        let service_env = ServiceEnv {
            config,
            env: &self.session.env,
            root: self.session.dir.clone(),
            emitter: &emitter,
            mask: none.mask,
            hold: None,
            stop: Stop::new(),
            is_retry: false,
            identity: Box::new(|_| None),
        };
        let mut how = StopRequest::Terminate;
        while !self.watching.services.is_empty() {
            self.watching.services.stop_unused(&service_env, how);
            if let Ok(Notification::Signal(_)) = self.inbox.receiver().try_recv() {
                how = StopRequest::Kill;
            }
        }
        if self.watching.services.mark().is_some() {
            orphans::end_all(mark, Duration::from_secs(1));
        }
    }

    fn note(&self, text: &str) {
        self.line(Level::Note, text);
    }

    fn warn(&self, text: &str) {
        self.line(Level::Warning, text);
    }

    fn line(&self, level: Level, text: &str) {
        let lines = Lines { paint: self.session.paint_err(), width: 0 };
        self.session.eprint(&format!("{}\n", lines.notice(level, text)));
    }
}

/// Returns the tree as it is now, with the current ignore rules and index.
fn tree(project: &Project) -> Result<Snapshot, Failure> {
    Ok(WorkTreeReader::open(project.repository()?, project.state())?.snapshot()?)
}

/// Returns the differences between two trees, without declared outputs.
fn changes_between(prepared: &Prepared<'_>, before: &Snapshot, after: &Snapshot) -> Vec<PathChange> {
    without_outputs(prepared.config, &prepared.graph, change_origin::changes_between(before, after))
}

/// Returns whether a file with tasks is among the changes.
fn changes_tasks(config: &Config, changes: &[&PathChange]) -> bool {
    let defines = |path: &RepoPath| {
        path.parts().last() == Some(FILE.as_bytes())
            || config.tasks.iter().any(|task| task.place.file == path.to_string())
    };
    changes.iter().any(|change| defines(&change.path))
}
