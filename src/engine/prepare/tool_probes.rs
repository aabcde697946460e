//! Tool probes: commands that print a tool's version, run once in each run. Their output is never stored,
//! since a tool can change at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;

use crate::base::env::Env;
use crate::config::model::{Config, Tool};
use crate::engine::task::command::GRACE;
use crate::engine::task::task_env;
use crate::graph::{Graph, Role};
use crate::process::find_program::find_program;
use crate::process::guard::Guard;
use crate::process::run::{Ended, run};
use crate::process::secret_mask::Mask;
use crate::process::spawn::{Limits, Spawn};
use crate::process::stop::Stop;

/// The timeout of a probe.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The output of each tool's probe, or an error message.
pub type ProbeResults = BTreeMap<String, Result<String, String>>;

/// Runs the probes of all tools that the tasks of `graph` name, in parallel.
pub fn run_probes(config: &Config, graph: &Graph, env: &Env, root: &Path, run: &str) -> ProbeResults {
    let selected =
        graph.nodes.iter().filter(|node| node.role == Role::Selected || !node.needed_by.is_empty());
    let tools: BTreeSet<&String> = selected.flat_map(|node| &config.task(node.task).tools).collect();
    if tools.is_empty() {
        return ProbeResults::new();
    }
    // No signal handler is installed yet, so Ctrl-C ends this process at once. If the guard can't start, a
    // probe then runs until it ends by itself.
    let guard = Guard::start(env.program(), run, None).ok().map(Arc::new);
    let probe = |tool: &String| {
        let users =
            graph.nodes.iter().map(|node| config.task(node.task)).filter(|task| task.tools.contains(tool));
        let passed: Vec<&str> =
            users.flat_map(|task| &task.env.variables.passed).map(|pass| pass.name.as_str()).collect();
        let env_vars = task_env::for_probe(env, run, &passed);
        let answer = match config.tools.get(tool) {
            Some(tool) => run_probe(config, tool, env, root, env_vars, guard.clone()),
            None => Err("the tool is not defined".to_owned()),
        };
        (tool.clone(), answer)
    };
    // Each probe gets its own thread, since it waits for a program and must not block the thread pool.
    let tools: Vec<&String> = tools.into_iter().collect();
    match &*tools {
        [one] => std::iter::once(probe(one)).collect(),
        several => several.par_iter().map(|tool| probe(tool)).collect(),
    }
}

fn run_probe(
    config: &Config,
    tool: &Tool,
    env: &Env,
    root: &Path,
    env_vars: task_env::EnvVars,
    guard: Option<Arc<Guard>>,
) -> Result<String, String> {
    let (dir, line) = (tool.cwd.under(root), &tool.probe);
    let (program, args) = config.settings.shell.split_first().ok_or("no shell is configured")?;
    let program = find_program(program.as_ref(), env.passed("PATH").as_deref(), &dir)
        .map_err(|error| error.to_string())?;
    let args = args.iter().map(OsString::from).chain([OsString::from(line)]).collect();
    let spawn = Spawn {
        program,
        args,
        dir,
        env: env_vars,
        mask: Arc::new(Mask::default()),
        limits: Limits { timeout: Some(TIMEOUT), grace: GRACE, ..Limits::default() },
        guard,
    };
    let finished = run(&spawn, &Stop::new(), &mut ());
    match finished.ended {
        Ended::Exit(0) => Ok(finished.log.text),
        ended => {
            let ended = match ended {
                Ended::Exit(code) => format!("exit status {code}"),
                Ended::Signal(signal) => format!("killed by signal {signal}"),
                Ended::TimedOut => format!("no answer in {} seconds", TIMEOUT.as_secs()),
                Ended::Stopped => "stopped".to_owned(),
                Ended::NotStarted(why) => why,
            };
            let said = finished.log.text.lines().last().unwrap_or_default().trim().to_owned();
            let said = if said.is_empty() { said } else { format!(": {said}") };
            Err(format!("the probe `{line}` failed with {ended}{said}"))
        }
    }
}
