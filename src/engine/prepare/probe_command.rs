//! The command of a tool's probe: what it is given, and its run. It does not know what is remembered of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::env::Env;
use crate::config::model::{Config, Tool};
use crate::engine::task::command::GRACE;
use crate::engine::task::task_env::{self, EnvVars};
use crate::graph::Graph;
use crate::plan::CachePolicy;
use crate::process::TRACE_ARGUMENT;
use crate::process::find_program::find_program;
use crate::process::guard::Guard;
use crate::process::run::{Ended, Finished, run};
use crate::process::secret_mask::Mask;
use crate::process::spawn::{Limits, Spawn};
use crate::process::stop::Stop;

/// The timeout of a probe.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The time limit under the tracer.
const TRACED_TIMEOUT: Duration = Duration::from_secs(20);

/// What probes depend on.
#[derive(Clone, Copy)]
pub struct ProbeContext<'a> {
    /// The tasks and tools.
    pub config: &'a Config,
    /// The tasks whose tools are probed.
    pub graph: &'a Graph,
    /// The caller's variables.
    pub env: &'a Env,
    /// The top of the work tree.
    pub root: &'a Path,
    /// The state directory; without one, no answer is remembered.
    pub state: Option<&'a Path>,
    /// Whether remembered answers are used, and whether new ones are stored.
    pub policy: CachePolicy,
    /// The clock of the run.
    pub clock: &'a Clock,
    /// The id of the run.
    pub run: &'a str,
}

/// The command of a tool's probe.
pub(super) struct ProbeCommand<'a> {
    pub(super) tool: &'a str,
    pub(super) line: &'a str,
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) dir: PathBuf,
    pub(super) env: EnvVars,
}

impl<'a> ProbeCommand<'a> {
    /// Returns the command of a tool's probe, or why it can't be started.
    pub(super) fn new(context: ProbeContext<'a>, name: &'a str, tool: &'a Tool) -> Result<Self, String> {
        let ProbeContext { config, graph, env, root, run, .. } = context;
        let (dir, line) = (tool.cwd.under(root), &tool.probe);
        let (program, args) = config.settings.shell.split_first().ok_or("no shell is configured")?;
        let program = find_program(program.as_ref(), env.passed("PATH").as_deref(), &dir)
            .map_err(|error| error.to_string())?;
        let args = args.iter().map(OsString::from).chain([OsString::from(line)]).collect();
        let users = graph.nodes.iter().map(|node| config.task(node.task));
        let users = users.filter(|task| task.tools.iter().any(|tool| tool == name));
        let passed: Vec<&str> =
            users.flat_map(|task| &task.env.variables.passed).map(|pass| pass.name.as_str()).collect();
        let env = task_env::for_probe(env, run, &passed);
        Ok(Self { tool: name, line, program, args, dir, env })
    }

    /// Runs the command until it ends, under a tracer if a report is wanted.
    pub(super) fn start(&self, guard: Option<&Arc<Guard>>, tracer: Option<(&Path, &Path)>) -> Finished {
        let (program, args) = match tracer {
            None => (self.program.clone(), self.args.clone()),
            Some((tracer, report)) => {
                let words = [TRACE_ARGUMENT.into(), "--lookups".into(), report.into(), "--".into()];
                let command = [self.program.clone().into()].into_iter().chain(self.args.clone());
                (tracer.to_owned(), words.into_iter().chain(command).collect())
            }
        };
        let timeout = if tracer.is_some() { TRACED_TIMEOUT } else { TIMEOUT };
        let spawn = Spawn {
            program,
            args,
            dir: self.dir.clone(),
            env: self.env.clone(),
            mask: Arc::new(Mask::default()),
            limits: Limits { timeout: Some(timeout), grace: GRACE, ..Limits::default() },
            guard: guard.cloned(),
        };
        run(&spawn, &Stop::new(), &mut ())
    }

    /// Returns the answer of a command that has ended, or why it gave no answer.
    pub(super) fn result(&self, finished: Finished) -> Result<String, String> {
        let ended = match finished.ended {
            Ended::Exit(0) => return Ok(finished.log.text),
            Ended::Exit(code) => format!("exit status {code}"),
            Ended::Signal(signal) => format!("killed by signal {signal}"),
            Ended::TimedOut => format!("no answer in {} seconds", TIMEOUT.as_secs()),
            Ended::Stopped => "stopped".to_owned(),
            Ended::NotStarted(why) => why,
        };
        let said = finished.log.text.lines().last().unwrap_or_default().trim().to_owned();
        let said = if said.is_empty() { said } else { format!(": {said}") };
        Err(format!("the probe `{}` failed with {ended}{said}", self.line))
    }
}
