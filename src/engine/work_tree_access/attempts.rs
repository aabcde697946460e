//! The attempts of one task in a gated run. This module decides which of them run under the tracer, and
//! reports what they opened. [`work_tree_access`] decides whether the result of an attempt counts.
//!
//! [`work_tree_access`]: crate::engine::work_tree_access

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use open_trace::Trace;

use crate::base::path::RepoPath;
use crate::config::model::Task;
use crate::engine::context::Context;
use crate::engine::work_tree_access::{
    AccessVerdict, Attempt, AttemptMode, TraceResult, Uncertainty, WatchPosition, WorkTreeAccess, judge,
    list_paths,
};
use crate::event::{Ended, Level};
use crate::graph::NodeId;
use crate::process::stop::StopRequest;

/// The attempts of one task, and what was observed during the current one.
pub struct GatedAttempts<'a> {
    context: &'a Context<'a>,
    task: &'a Task,
    access: &'a WorkTreeAccess,
    mode: AttemptMode,
    /// Whether the task fails under the tracer.
    is_untraceable: bool,
    mark: WatchPosition,
    /// The tracer's report, in the git folder of the private worktree.
    report: PathBuf,
    unsure: Option<String>,
}

impl<'a> GatedAttempts<'a> {
    /// Returns the state before the first attempt.
    pub fn new(context: &'a Context<'a>, id: NodeId, access: &'a WorkTreeAccess) -> Self {
        let task = context.task(id);
        let report = context.location.root.join(".git").join(format!("taskgate-trace-{}", id.0));
        let (mode, mark) = (access.first_mode(), access.position());
        Self { context, task, access, mode, is_untraceable: false, mark, report, unsure: None }
    }

    /// Starts the observation of the next attempt.
    pub fn begin(&mut self) {
        self.unsure = None;
        // A file that can't be removed is missing or can't be written: then there is no report.
        let _ = std::fs::remove_file(&self.report);
        self.mark = self.access.position();
    }

    /// Returns the path of the tracer's report and the folder to trace, if the attempt is traced.
    pub fn trace(&self) -> Option<(&Path, &Path)> {
        (self.mode == AttemptMode::Traced).then(|| (self.report.as_path(), self.access.root()))
    }

    /// Returns why it is unknown whether the last attempt opened files of the work tree; `None` if it is
    /// known.
    pub fn unsure(&self) -> Option<String> {
        self.unsure.clone()
    }

    /// Returns the verdict on an attempt that ended with `ended`. `root` is the top of the tree in which it
    /// ran.
    pub fn evaluate(&mut self, root: &Path, ended: &Ended) -> AccessVerdict {
        let opened = self.access.opened_since(self.mark);
        let trace = Trace::load(&self.report).ok();
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let found = trace.map(|trace| self.access.opened_files(&trace, &root, &self.context.secrets.mask));
        let has_opened = found.as_ref().is_some_and(|found| !found.files.is_empty());
        let is_quiet = opened.as_ref().is_none_or(BTreeSet::is_empty) && !has_opened;
        let is_sure = found.as_ref().is_some_and(|found| found.doubt.is_none()) && !has_opened;
        let has_run = matches!(ended, Ended::Exit { .. } | Ended::Signal { .. } | Ended::TimedOut { .. });
        if !has_run || self.context.stop.request() != StopRequest::None {
            if !is_quiet && !is_sure {
                self.access.taint();
            }
            return AccessVerdict::Accepted;
        }
        let verdict = judge(&Attempt {
            mode: self.mode,
            passed: ended.is_pass(),
            opened: opened.as_ref(),
            trace: found.as_ref(),
            is_untraceable: self.is_untraceable || self.access.is_untraceable(),
            uses_services: !self.task.env.services.is_empty(),
        });
        self.report(&verdict, ended.is_pass(), opened.as_ref(), found.as_ref());
        match &verdict {
            AccessVerdict::Repeat(mode) => {
                self.is_untraceable |= self.mode == AttemptMode::Traced;
                self.mode = *mode;
            }
            AccessVerdict::Accepted if is_sure => self.access.set_others_busy(!is_quiet),
            AccessVerdict::Accepted | AccessVerdict::Unsure(_) if is_quiet => {}
            AccessVerdict::Accepted | AccessVerdict::Unsure(_) | AccessVerdict::Opened(_) => {
                self.access.taint();
            }
        }
        verdict
    }

    /// Prints a note or a warning about what the attempt opened, as the task's result does not show that.
    fn report(
        &mut self,
        verdict: &AccessVerdict,
        passed: bool,
        opened: Option<&BTreeSet<RepoPath>>,
        found: Option<&TraceResult>,
    ) {
        let name = &self.task.name;
        let files = opened.map(|opened| list_paths(opened.iter())).unwrap_or_default();
        let (level, text) = match verdict {
            AccessVerdict::Accepted if passed => return,
            AccessVerdict::Accepted if self.mode == AttemptMode::Traced && self.access.differs() => {
                let clause = "ran under a tracer, since your work tree differs from the tree under test";
                (Level::Note, format!("{name}: {clause}"))
            }
            AccessVerdict::Accepted if self.mode == AttemptMode::Traced || files.is_empty() => return,
            AccessVerdict::Accepted => {
                let clause =
                    "in your work tree while it ran; if it was the task, the work tree may be why it failed";
                (Level::Note, format!("{name}: a program opened {files} {clause}"))
            }
            AccessVerdict::Repeat(AttemptMode::Traced) => {
                let clause = "in your work tree while it ran; it runs again under a tracer to see which";
                (Level::Note, format!("{name}: a program opened {files} {clause}"))
            }
            AccessVerdict::Repeat(AttemptMode::Plain) => {
                let doubt = found.and_then(|found| found.doubt.as_ref());
                let doubt = doubt.map(|doubt| format!(" ({doubt})")).unwrap_or_default();
                (Level::Note, format!("{name}: failed under the tracer{doubt}; it runs again without it"))
            }
            AccessVerdict::Opened(_) => {
                let clause = "what it needs must be in the gate's own tree: install it there with `setup` in \
                            `[worktree]`, such as `setup = \"npm ci\"`, and use relative paths";
                (Level::Note, format!("{name}: {clause}"))
            }
            AccessVerdict::Unsure(Uncertainty::Unobservable) => {
                if !self.access.is_first_report() {
                    return;
                }
                let clause = "a task that opens files of your work tree would not be noticed";
                (Level::Note, format!("{clause}: {}", Uncertainty::Unobservable))
            }
            AccessVerdict::Unsure(why) => {
                self.unsure = Some(format!("a program opened {files} in the work tree while it ran"));
                let clause = format!("it or another program opened {files} in your work tree while it ran");
                (Level::Warning, format!("{name}: {clause}, and {why}; the result is not stored"))
            }
        };
        self.context.emitter.notice(level, self.context.secrets.mask.text(&text));
    }
}
