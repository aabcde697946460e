//! Runs `[worktree] setup` in a private worktree if its key differs from the key with which it last
//! passed in the same worktree. This module does not know what runs there afterwards.

use std::path::{Path, PathBuf};

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError};
use crate::cache::Lookup;
use crate::config::model::{Config, Setup, SourceFile, Task, Worktree};
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::{Prepared, Request};
use crate::engine::run::options::{ResultMode, RunOptions};
use crate::event::Verdict;
use crate::gate::context::GateContext;
use crate::gate::error::GateError;
use crate::gate::prepare_worktree::ready::ReadyWorktree;
use crate::gate::prepare_worktree::setup_paths;
use crate::key::explanation::Explanation;
use crate::key::inputs::InputSet;
use crate::plan::{Decision, Knowledge, LastRun, PastResults, Plan, PlanInputs, StoredResult};

/// The file in a private worktree's git folder with the key of the last setup that passed.
const STAMP: &str = "taskgate-setup";
/// The length of a digest in hexadecimal, in bytes.
const HEX: usize = 64;

/// Runs the setup of `config` in a worktree if necessary, and returns the verdict.
///
/// # Errors
/// Fails if the setup can't be planned, or if its stamp can't be written.
pub fn run(context: &GateContext<'_>, config: &Config, ready: &ReadyWorktree) -> Result<Verdict, GateError> {
    let Some(setup) = &config.worktree.setup else { return Ok(Verdict::Passed) };
    let setup_config = setup_only_config(config, setup.clone());
    let request = Request::new(vec![Setup::NAME.to_owned()]);
    let run = context.new_run();
    let root = ready.worktree.path();
    let location = context.location(root, Tree::WorkDir(&ready.repository), None);
    let location = RunLocation { env: &ready.env, ..location };
    let prepared = Prepared::load(&setup_config, &request, location, context.clock, &run)?;
    let stamp = Stamp::read(&ready.worktree.git_dir());
    let digests = prepared.digests();
    let plan_inputs = prepared.plan_inputs(&ready.env, &digests, &stamp);
    let plan = Plan::new(&plan_inputs);
    if matches!(plan.nodes[0].decision, Decision::Hit(_)) {
        if !setup_paths::are_known(context.state, setup) {
            setup_paths::record(context.state, setup, &ready.repository)?;
        }
        return Ok(Verdict::Passed);
    }
    file::remove_all(&stamp.path)?;
    let hold = ready.hold()?;
    let location = RunLocation { hold: Some(&hold), access: context.access()?, ..location };
    let options = RunOptions { results: ResultMode::Discard, ..context.options(&run, &setup_config) };
    let emitter = context.observer.emitter(&run, &context.clock.restarted());
    let summary = prepared.launch(&plan_inputs, &plan, location, &options, &emitter, context.listen()?);
    if summary.verdict == Verdict::Passed {
        stamp.write(&plan_inputs, &plan)?;
        setup_paths::record(context.state, setup, &ready.repository)?;
    }
    Ok(summary.verdict)
}

/// Removes the stamp, so that the setup runs again.
///
/// # Errors
/// Fails if the stamp can't be removed.
pub fn forget(git_dir: &Path) -> Result<(), FileError> {
    file::remove_all(&git_dir.join(STAMP))
}

/// Returns a config whose only task is the setup.
pub fn setup_only_config(config: &Config, setup: Setup) -> Config {
    // Without the other tasks, shared sets and tools would be reported as unused.
    let files = config.files.iter().cloned();
    let files = files.map(|file| SourceFile { sets: Vec::new(), tools: Vec::new(), ..file });
    Config {
        files: files.collect(),
        services: Vec::new(),
        tasks: vec![setup.into_task()],
        hooks: std::collections::BTreeMap::new(),
        worktree: Worktree::default(),
        is_part: true,
        ..config.clone()
    }
}

/// The key and the explanation of the last setup that passed in a worktree.
struct Stamp {
    path: PathBuf,
    last: Option<(Digest, Explanation)>,
}

impl Stamp {
    /// Reads the stamp. A stamp that can't be read counts as missing, so that the setup runs again.
    fn read(git_dir: &Path) -> Self {
        let path = git_dir.join(STAMP);
        let bytes = file::read(&path).ok().flatten().unwrap_or_default();
        let decode = |bytes: &[u8]| {
            let (hex, rest) = bytes.split_at_checked(HEX)?;
            Some((Digest::parse(std::str::from_utf8(hex).ok()?)?, Explanation::decode(rest)?))
        };
        Self { last: decode(&bytes), path }
    }

    fn write(&self, plan_inputs: &PlanInputs<'_>, plan: &Plan) -> Result<(), FileError> {
        let (Some(key), Some(snapshot)) = (&plan.nodes[0].key, plan_inputs.snapshot) else { return Ok(()) };
        let inputs = InputSet::new(plan_inputs.config, plan_inputs.graph, &plan_inputs.graph.nodes[0]);
        let explanation = Explanation::new(&key.fields, inputs.select(snapshot), plan_inputs.mask).encode();
        let bytes = [key.digest.hex().as_bytes(), &explanation].concat();
        let folder = self.path.parent().unwrap_or(&self.path);
        file::write(&self.path, &bytes, folder, Durability::Relaxed)
    }
}

impl Knowledge for Stamp {
    fn look_up(&self, _: &Task, key: &Digest) -> Lookup<StoredResult> {
        match &self.last {
            Some((last, _)) if last == key => {
                Lookup::Hit(StoredResult { at: Timestamp(0), took: 0, outputs: *key, differs: None })
            }
            _ => Lookup::Absent,
        }
    }

    fn past_results(&self, _: &Task, _: &Digest) -> PastResults {
        match &self.last {
            Some((_, explanation)) => {
                PastResults { last: LastRun::Other, entries: vec![explanation.clone()] }
            }
            None => PastResults { last: LastRun::Never, entries: Vec::new() },
        }
    }

    fn outputs_on_disk(&self, _: &Task) -> Option<Digest> {
        None
    }
}
