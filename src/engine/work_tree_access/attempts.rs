//! The attempts of one task in a gate: which of them run under the tracer, and what is reported of
//! those that do. It must not decide what an attempt means: see [`work_tree_access`].
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

/// The attempts of a task.
pub struct GatedAttempts<'a> {
    context: &'a Context<'a>,
    task: &'a Task,
    access: &'a WorkTreeAccess,
    mode: AttemptMode,
    /// Whether it does not pass under the tracer.
    is_untraceable: bool,
    mark: WatchPosition,
    /// Where the tracer's report goes: beside what the gate keeps in its own worktree.
    report: PathBuf,
    unsure: Option<String>,
}

impl<'a> GatedAttempts<'a> {
    /// Before the first.
    pub fn new(context: &'a Context<'a>, id: NodeId, access: &'a WorkTreeAccess) -> Self {
        let task = context.task(id);
        let report = context.location.root.join(".git").join(format!("taskgate-trace-{}", id.0));
        let (way, mark) = (access.first_mode(), access.position());
        Self { context, task, access, mode: way, is_untraceable: false, mark, report, unsure: None }
    }

    /// Begins the next.
    pub fn begin(&mut self) {
        self.unsure = None;
        // What cannot be removed is not there, or can't be written either, which is no report.
        let _ = std::fs::remove_file(&self.report);
        self.mark = self.access.position();
    }

    /// Where the tracer's report goes, and the folder of which it is; `None` if it is not traced.
    pub fn trace(&self) -> Option<(&Path, &Path)> {
        (self.mode == AttemptMode::Traced).then(|| (self.report.as_path(), self.access.root()))
    }

    /// Why it is unknown whether the last one opened files of the work tree, if it is unknown.
    pub fn unsure(&self) -> Option<String> {
        self.unsure.clone()
    }

    /// What the attempt means that ended so in the tree at `place`.
    pub fn evaluate(&mut self, place: &Path, ended: &Ended) -> AccessVerdict {
        let opened = self.access.opened_since(self.mark);
        let trace = Trace::load(&self.report).ok();
        let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
        let found = trace.map(|trace| self.access.find(&trace, &place, &self.context.secrets.mask));
        let has_opened = found.as_ref().is_some_and(|found| !found.files.is_empty());
        let is_quiet = opened.as_ref().is_none_or(BTreeSet::is_empty) && !has_opened;
        let is_sure = found.as_ref().is_some_and(|found| found.doubt.is_none()) && !has_opened;
        let has_run = matches!(ended, Ended::Exit { .. } | Ended::Signal { .. } | Ended::TimedOut { .. });
        if !has_run || self.context.stop.request() != StopRequest::None {
            if !is_quiet && !is_sure {
                self.access.taint();
            }
            return AccessVerdict::Stands;
        }
        let ruling = judge(&Attempt {
            mode: self.mode,
            passed: ended.is_pass(),
            opened: opened.as_ref(),
            trace: found.as_ref(),
            is_untraceable: self.is_untraceable || self.access.is_untraceable(),
            uses_services: !self.task.services.is_empty(),
        });
        self.report(&ruling, ended.is_pass(), opened.as_ref(), found.as_ref());
        match &ruling {
            AccessVerdict::Again(way) => {
                self.is_untraceable |= self.mode == AttemptMode::Traced;
                self.mode = *way;
            }
            AccessVerdict::Stands if is_sure => self.access.note_others(!is_quiet),
            AccessVerdict::Stands | AccessVerdict::Unsure(_) if is_quiet => {}
            AccessVerdict::Stands | AccessVerdict::Unsure(_) | AccessVerdict::Opened(_) => {
                self.access.taint()
            }
        }
        ruling
    }

    /// Tells the reader what is not said by the task's result.
    fn report(
        &mut self,
        ruling: &AccessVerdict,
        passed: bool,
        opened: Option<&BTreeSet<RepoPath>>,
        found: Option<&TraceResult>,
    ) {
        let name = &self.task.name;
        let files = opened.map(|opened| list_paths(opened.iter())).unwrap_or_default();
        let (level, text) = match ruling {
            AccessVerdict::Stands if passed => return,
            AccessVerdict::Stands if self.mode == AttemptMode::Traced && self.access.differs() => {
                let what = "ran under a tracer, since your work tree differs from what is gated";
                (Level::Note, format!("{name}: {what}"))
            }
            AccessVerdict::Stands if self.mode == AttemptMode::Traced || files.is_empty() => return,
            AccessVerdict::Stands => {
                let what =
                    "in your work tree while it ran; if it was the task, the work tree may be why it failed";
                (Level::Note, format!("{name}: a program opened {files} {what}"))
            }
            AccessVerdict::Again(AttemptMode::Traced) => {
                let what = "in your work tree while it ran; it runs again under a tracer to see which";
                (Level::Note, format!("{name}: a program opened {files} {what}"))
            }
            AccessVerdict::Again(AttemptMode::Plain) => {
                let doubt = found.and_then(|found| found.doubt.as_ref());
                let doubt = doubt.map(|doubt| format!(" ({doubt})")).unwrap_or_default();
                (Level::Note, format!("{name}: failed under the tracer{doubt}; it runs again without it"))
            }
            AccessVerdict::Opened(_) => {
                let what = "what it needs must be in the gate's own tree: install it there with `setup` in \
                            `[worktree]`, such as `setup = \"npm ci\"`, and use relative paths";
                (Level::Note, format!("{name}: {what}"))
            }
            AccessVerdict::Unsure(Uncertainty::Blind) => {
                if !self.access.is_first_blind_report() {
                    return;
                }
                let what = "a task that opens files of your work tree would not be noticed";
                (Level::Note, format!("{what}: {}", Uncertainty::Blind))
            }
            AccessVerdict::Unsure(why) => {
                self.unsure = Some(format!("a program opened {files} in the work tree while it ran"));
                let what = format!("it or another program opened {files} in your work tree while it ran");
                (Level::Warning, format!("{name}: {what}, and {why}; the result is not stored"))
            }
        };
        self.context.emitter.notice(level, self.context.secrets.mask.text(&text));
    }
}
