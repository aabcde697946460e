//! The host: the repository, the process and the listeners that a gate works for. It must not decide
//! anything.

use std::cell::{Cell, OnceCell};
use std::path::Path;

use crate::base::clock::Clock;
use crate::base::env::Env;
use crate::config::model::Config;
use crate::engine::location::{RunLocation, Tree};
use crate::engine::report::baseline::TreeOrigin;
use crate::engine::run::emitter::Emitter;
use crate::engine::run::inbox::{Inbox, LazyInbox};
use crate::engine::run::options::RunOptions;
use crate::engine::work_tree_access::WorkTreeAccess;
use crate::gate::error::GateError;
use crate::git::{Repository, Warmth};
use crate::history::runs;

/// Who listens to the runs of a gate.
pub trait GateObserver {
    /// What the events of the run with this id go to, timed by `clock`.
    fn emitter(&self, run: &str, clock: &Clock) -> Emitter;
    /// Hears a line that belongs to no run.
    fn note(&self, text: &str);
}

/// All that a gate works with.
pub struct GateContext<'a> {
    /// The user's repository.
    pub repository: &'a Repository,
    /// Its state directory.
    pub state: &'a Path,
    /// The caller's environment.
    pub env: &'a Env,
    /// The time.
    pub clock: &'a Clock,
    /// Where signals are heard.
    pub inbox: &'a LazyInbox,
    /// Who listens.
    pub observer: &'a dyn GateObserver,
    /// Whether private worktrees may be used again.
    pub age: Warmth,
    /// Job slots that were asked for.
    pub jobs: Option<u32>,
    /// Runs that were begun.
    pub runs: Cell<u32>,
    /// What notices tasks that open files of the user's work tree, once something is to be run.
    pub access: OnceCell<WorkTreeAccess>,
}

impl GateContext<'_> {
    /// The id of a new run.
    pub fn new_run(&self) -> String {
        self.runs.set(self.runs.get() + 1);
        runs::new_id(self.clock.now(), std::process::id().wrapping_add(self.runs.get()))
    }

    /// Where a run that starts now hears signals.
    ///
    /// # Errors
    /// The handlers can't be installed.
    pub fn listen(&self) -> Result<&Inbox, GateError> {
        self.inbox.get().map_err(|source| GateError::Signals { source })
    }

    /// What notices tasks that open files of the user's work tree; `None` on systems that can't.
    ///
    /// # Errors
    /// The index can't be read.
    pub fn access(&self) -> Result<Option<&WorkTreeAccess>, GateError> {
        if !cfg!(target_os = "linux") {
            return Ok(None);
        }
        if let Some(access) = self.access.get() {
            return Ok(Some(access));
        }
        let access = WorkTreeAccess::start(self.repository, self.state)?;
        Ok(Some(self.access.get_or_init(|| access)))
    }

    /// Returns the options of a run of this id.
    pub fn options<'o>(&self, run_id: &str, config: &Config) -> RunOptions<'o> {
        RunOptions::new(run_id, config.slots(self.jobs))
    }

    /// Returns the location of a plan or a run of `tree`, which is that of `commit` or is made from HEAD.
    pub fn location<'l>(
        &'l self,
        root: &'l Path,
        tree: Tree<'l>,
        commit: Option<&'l str>,
    ) -> RunLocation<'l> {
        RunLocation {
            tree,
            root,
            state: Some(self.state),
            env: self.env,
            origin: Some(TreeOrigin { repository: self.repository, commit }),
            hold: None,
            access: None,
        }
    }
}
