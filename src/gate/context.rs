//! The context of a gate: the repository, the environment, the signals and the observer. This module
//! makes no decisions.

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

/// Receives the events of a gate's runs.
pub trait GateObserver {
    /// Returns the emitter for the events of the run with the id `run`. `clock` gives their times.
    fn emitter(&self, run: &str, clock: &Clock) -> Emitter;
    /// Reports a line of text that belongs to no run.
    fn note(&self, text: &str);
}

/// Everything that a gate works with.
pub struct GateContext<'a> {
    /// The user's repository.
    pub repository: &'a Repository,
    /// The state directory of the repository.
    pub state: &'a Path,
    /// The caller's environment.
    pub env: &'a Env,
    /// The clock that events and run ids are timed by.
    pub clock: &'a Clock,
    /// The inbox that receives signals.
    pub inbox: &'a LazyInbox,
    /// The observer of the gate's runs.
    pub observer: &'a dyn GateObserver,
    /// Whether existing private worktrees may be used again.
    pub warmth: Warmth,
    /// The number of job slots, if the user gave one.
    pub jobs: Option<u32>,
    /// The number of runs that were started.
    pub runs: Cell<u32>,
    /// The watch that detects tasks which open files of the user's work tree. It starts when it is needed.
    pub access: OnceCell<WorkTreeAccess>,
}

impl GateContext<'_> {
    /// Returns the id of a new run.
    pub fn new_run(&self) -> String {
        self.runs.set(self.runs.get() + 1);
        runs::new_id(self.clock.now(), std::process::id().wrapping_add(self.runs.get()))
    }

    /// Returns the inbox in which a run receives signals, and installs the signal handlers if necessary.
    ///
    /// # Errors
    /// Fails if the handlers can't be installed.
    pub fn listen(&self) -> Result<&Inbox, GateError> {
        self.inbox.get().map_err(|source| GateError::Signals { source })
    }

    /// Returns the watch that detects tasks which open files of the user's work tree, or `None` on a system
    /// without such a watch.
    ///
    /// # Errors
    /// Fails if the index can't be read.
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

    /// Returns the options of the run with the id `run_id`.
    pub fn options<'o>(&self, run_id: &str, config: &Config) -> RunOptions<'o> {
        RunOptions::new(run_id, config.slots(self.jobs))
    }

    /// Returns the location of a plan or a run of `tree`. `commit` is the commit that the tree belongs to
    /// or is based on, by default HEAD.
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
