//! Starts the run of a prepared plan. It must not decide what is planned or who receives the events.

use crate::engine::location::RunLocation;
use crate::engine::location::Store;
use crate::engine::prepare::Prepared;
use crate::engine::run::Run;
use crate::engine::run::emitter::Emitter;
use crate::engine::run::inbox::Inbox;
use crate::engine::run::options::{ResultMode, RunOptions};
use crate::engine::services::Services;
use crate::event::Summary;
use crate::git::tree_id;
use crate::plan::{Plan, PlanInputs};

impl Prepared<'_> {
    /// Runs a plan that was made from `self`, and returns the summary.
    pub fn launch(
        &self,
        plan_inputs: &PlanInputs<'_>,
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
        if let Some(text) = &self.write_warning {
            emitter.hold_unwritten(text.clone());
        }
        let tree = match options.tree_id {
            Some(tree) => Some(tree.to_owned()),
            // A tree without an id can still be run.
            None => plan_inputs.snapshot.and_then(|snapshot| tree_id(snapshot).ok()),
        };
        if let Some(access) = location.access {
            access.begin(plan_inputs.snapshot);
        }
        let own = Services::new(format!("{}-services", options.run_id));
        let run = Run {
            inputs: *plan_inputs,
            plan,
            location,
            store,
            options,
            history: &self.history,
            names: &self.names,
            tree,
            shard_plan: self.shard_plan.as_ref(),
            secrets: &self.secrets,
            notes: self.notes(),
            warnings: &self.warnings,
            services: options.watching.map_or(&own, |watching| &watching.services),
        };
        run.run(emitter, inbox)
    }

    /// Returns the notes for the reader that are printed before the run.
    fn notes(&self) -> Vec<String> {
        let mut notes = self.notes.clone();
        if self.store.is_none() {
            notes.push("this is not a git repository, so nothing is cached".to_owned());
        }
        notes
    }
}
