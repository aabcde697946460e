//! The launch: a prepared plan brought to its run. It must not decide what is planned or who listens.

use std::fs::File;
use std::path::Path;

use crate::engine::context::{Conduct, Site, Store};
use crate::engine::emitter::Emitter;
use crate::engine::inbox::Inbox;
use crate::engine::prepare::Prepared;
use crate::engine::run::Run;
use crate::engine::scheduler::OnFailure;
use crate::engine::secrets::Secrets;
use crate::event::{Gated, Level, Summary};
use crate::git::tree_id;
use crate::ground::env::Env;
use crate::plan::{Knowledge, Plan};

/// What a run needs besides its plan.
pub struct Launch<'a> {
    /// The top of the work tree that tasks run in.
    pub root: &'a Path,
    /// The caller's environment.
    pub env: &'a Env,
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
    /// What is known of former runs, instead of what the cache knows; then nothing is stored either.
    pub knowledge: Option<&'a dyn Knowledge>,
}

impl Prepared<'_> {
    /// Plans and runs it to its end.
    pub fn launch(
        &self,
        launch: &Launch<'_>,
        secrets: &Secrets,
        (emitter, inbox): (&Emitter, &Inbox),
    ) -> Summary {
        let store = self.store.as_ref().zip(self.reader.as_ref()).map(|((state, cache), tree)| Store {
            state: state.clone(),
            cache,
            tree,
        });
        let store = store.filter(|_| launch.knowledge.is_none());
        let site = Site { root: launch.root.to_owned(), store, hold: launch.hold };
        let digests = self.digests();
        let recall = self.knowledge();
        let world = self.world(launch.env, &digests, launch.knowledge.unwrap_or(&*recall));
        let plan = Plan::of(&world);
        let tree = match launch.tree {
            Some(tree) => Some(tree.to_owned()),
            // A tree that has no id can still be run.
            None => world.snapshot.and_then(|snapshot| tree_id(snapshot).ok()),
        };
        let run = Run {
            world,
            plan: &plan,
            site: &site,
            conduct: launch.conduct,
            on_failure: launch.on_failure,
            history: &self.history,
            names: &self.names,
            tree,
            secrets,
            notices: self.notices(),
            gated: launch.gated.clone(),
        };
        run.perform(emitter, inbox)
    }

    /// What the reader has to know before the run.
    fn notices(&self) -> Vec<(Level, String)> {
        let mut notices: Vec<_> = self.warnings.iter().map(|text| (Level::Warning, text.clone())).collect();
        if self.store.is_none() {
            notices.push((Level::Note, "this is not a git repository, so nothing is cached".to_owned()));
        }
        notices
    }
}
