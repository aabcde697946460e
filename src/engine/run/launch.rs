//! The launch: a prepared plan brought to its run. It must not decide what is planned or who listens.

use crate::engine::context::Store;
use crate::engine::location::RunLocation;
use crate::engine::prepare::Prepared;
use crate::engine::run::Run;
use crate::engine::run::emitter::Emitter;
use crate::engine::run::inbox::Inbox;
use crate::engine::run::options::{ResultMode, RunOptions};
use crate::engine::services::Services;
use crate::event::{Level, Summary};
use crate::git::tree_id;
use crate::plan::{Plan, World};

impl Prepared<'_> {
    /// Runs a plan that was made from this to its end.
    pub fn launch(
        &self,
        world: &World<'_>,
        plan: &Plan,
        location: RunLocation<'_>,
        options: &RunOptions<'_>,
        emitter: &Emitter,
        inbox: &Inbox,
    ) -> Summary {
        let store = self.store.as_ref().zip(self.reader.as_ref()).map(|((state, cache), tree)| Store {
            state,
            cache,
            tree,
        });
        let store = store.filter(|_| !matches!(options.results, ResultMode::Discard));
        if let Some(text) = &self.unwritten {
            emitter.hold_unwritten(text.clone());
        }
        let tree = match options.tree_id {
            Some(tree) => Some(tree.to_owned()),
            // A tree that has no id can still be run.
            None => world.snapshot.and_then(|snapshot| tree_id(snapshot).ok()),
        };
        if let Some(access) = location.access {
            access.begin(world.snapshot);
        }
        let own = Services::new(format!("{}-services", options.run_id));
        let run = Run {
            world: *world,
            plan,
            location,
            store,
            options,
            history: &self.history,
            names: &self.names,
            tree,
            part: self.part.as_ref(),
            secrets: &self.secrets,
            notices: self.notices(),
            warnings: &self.without_effect,
            services: options.watching.map_or(&own, |watching| &watching.services),
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
