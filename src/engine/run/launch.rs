//! The launch: a prepared plan brought to its run. It must not decide what is planned or who listens.

use std::fs::File;
use std::path::Path;

use crate::engine::audit::Desk;
use crate::engine::context::{Conduct, Site, Store};
use crate::engine::prepare::Prepared;
use crate::engine::run::Run;
use crate::engine::run::emitter::Emitter;
use crate::engine::run::inbox::Inbox;
use crate::engine::run::scheduler::OnFailure;
use crate::engine::services::Services;
use crate::engine::watch::Watching;
use crate::engine::work_tree_access::WorkTreeAccess;
use crate::event::{Gated, Level, Summary};
use crate::git::tree_id;
use crate::plan::{Plan, World};

/// What a run needs besides its plan.
pub struct Launch<'a> {
    /// The top of the work tree that tasks run in.
    pub root: &'a Path,
    /// How it runs.
    pub conduct: &'a Conduct,
    /// What a failure means for the rest.
    pub on_failure: OnFailure,
    /// The tree's id, if it is known already.
    pub tree: Option<&'a str>,
    /// What is gated, if a gate asks.
    pub gated: Option<Gated>,
    /// An open file whose lock keeps the work tree, if it is a private one.
    pub hold: Option<&'a File>,
    /// What becomes of results.
    pub keeps: Keeps<'a>,
    /// What notices tasks that open files of the user's work tree, if that is not where they run.
    pub access: Option<&'a WorkTreeAccess>,
    /// What rounds share, if the run is one of several.
    pub watching: Option<&'a Watching>,
}

/// What becomes of results.
#[derive(Clone, Copy, Debug)]
pub enum Keeps<'a> {
    /// Those that may be are stored.
    Results,
    /// Nothing is stored, restored or locked.
    Nothing,
    /// Each task is audited in a sandbox; its trace goes here, and nothing else is kept.
    Traces(&'a Desk),
}

impl Prepared<'_> {
    /// Runs a plan that was made from this to its end.
    pub fn launch(
        &self,
        (world, plan): (&World<'_>, &Plan),
        launch: &Launch<'_>,
        (emitter, inbox): (&Emitter, &Inbox),
    ) -> Summary {
        let store = self.store.as_ref().zip(self.reader.as_ref()).map(|((state, cache), tree)| Store {
            state: state.clone(),
            cache,
            tree,
        });
        let (store, desk) = match launch.keeps {
            Keeps::Results => (store, None),
            Keeps::Nothing => (None, None),
            Keeps::Traces(desk) => (store, Some(desk)),
        };
        if let Some(text) = &self.unwritten {
            emitter.hold_unwritten(text.clone());
        }
        let site =
            Site { root: launch.root.to_owned(), store, hold: launch.hold, desk, access: launch.access };
        let tree = match launch.tree {
            Some(tree) => Some(tree.to_owned()),
            // A tree that has no id can still be run.
            None => world.snapshot.and_then(|snapshot| tree_id(snapshot).ok()),
        };
        if let Some(access) = launch.access {
            access.begin(world.snapshot);
        }
        let own = Services::new(format!("{}-services", launch.conduct.run));
        let run = Run {
            world: *world,
            plan,
            site: &site,
            conduct: launch.conduct,
            on_failure: launch.on_failure,
            history: &self.history,
            names: &self.names,
            tree,
            part: self.part.as_ref(),
            secrets: &self.secrets,
            notices: self.notices(),
            warnings: &self.without_effect,
            services: launch.watching.map_or(&own, |watching| &watching.services),
            watching: launch.watching,
            gated: launch.gated.clone(),
        };
        run.perform(emitter, inbox)
    }

    /// What the reader has to know before the run.
    fn notices(&self) -> Vec<(Level, String)> {
        let mut notices: Vec<_> = self.warnings.iter().map(|text| (Level::Warning, text.clone())).collect();
        notices.extend(self.notes.iter().map(|text| (Level::Note, text.clone())));
        if self.store.is_none() {
            notices.push((Level::Note, "this is not a git repository, so nothing is cached".to_owned()));
        }
        notices
    }
}
