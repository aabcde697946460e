//! `xtask audit`: runs tasks in sandboxes under the tracer, and prints what they did not declare (see
//! [`findings`]). It must not decide what that is.

pub mod findings;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;

use crate::cli::audit::findings::{AuditedTask, Outcome};
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::run::{self, request};
use crate::cli::run::{RunArgs, SchedulingArgs};
use crate::cli::session::Session;
use crate::config::model::{Config, Task, TaskId};
use crate::engine::audit::collector::{self, AuditCollector};
use crate::engine::prepare::{Prepared, Request};
use crate::engine::run::emitter::Emitter;
use crate::engine::run::inbox::LazyInbox;
use crate::engine::run::options::{ResultMode, RunOptions};
use crate::engine::run::scheduler::OnFailure;
use crate::event::{Event, ServiceEnd, Summary, TaskFinished, Verdict, What};
use crate::graph::Reach;
use crate::history::runs;
use crate::plan::CachePolicy;
use crate::reporter::lines::Lines;
use crate::reporter::style::{Paint, Tone};
use crate::select::Selection;

/// Arguments of `audit`.
#[derive(Args, Debug, Clone)]
pub struct AuditArgs {
    /// Tasks or groups
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// The number of job slots [default: `settings.jobs`, or one per core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// The results of the audited tasks, by name.
type Results = Arc<Mutex<BTreeMap<String, TaskFinished>>>;

/// Audits the named tasks. Runs what they need in the work tree first.
///
/// # Errors
/// A name is unknown, there is no repository, or the tree can't be read.
pub fn run(session: &Session, args: &AuditArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    if project.repository.is_none() {
        return Err(Failure::NoRepository { what: "no sandbox can be created" });
    }
    let selection = Selection::from_names(&project.config, &args.names)?;
    let tasks = collector::audited_tasks(&project.config, &selection.tasks);
    if tasks.is_empty() {
        return Err(Failure::Usage {
            text: format!("{} has no command to audit", args.names.join(" ")),
            hint: Some("a gate only reads reports; audit the tasks that write them".to_owned()),
        });
    }
    let inbox = LazyInbox::default();
    let dependencies = run_dependencies(session, args, &project, &tasks, &inbox)?;
    if dependencies != End::Passed {
        session.eprint("nothing was audited: a dependency failed\n");
        return Ok(dependencies);
    }
    let collector = AuditCollector::default();
    let results = Results::default();
    let summary = run_audits(session, args, &project, &tasks, &inbox, &collector, &results)?;
    if let Verdict::Interrupted { signal } = summary.verdict {
        return Ok(End::Interrupted(signal));
    }
    let audited = audited_tasks(&project.config, &tasks, collector, &results);
    let text =
        if args.json { findings::json(&audited) } else { findings::text(&audited, session.paint_out()) };
    session.print(&text)?;
    let is_wrong = |account: &AuditedTask| matches!(account.outcome(), Outcome::Undeclared | Outcome::Fails);
    Ok(if audited.iter().any(is_wrong) { End::Failed } else { End::Passed })
}

/// Runs what the audited tasks need, or takes it from the cache.
fn run_dependencies(
    session: &Session,
    args: &AuditArgs,
    project: &Project,
    tasks: &[TaskId],
    inbox: &LazyInbox,
) -> Result<End, Failure> {
    let mut needs: Vec<TaskId> =
        tasks.iter().flat_map(|task| &project.config.task(*task).needs).copied().collect();
    needs.sort_unstable();
    needs.dedup();
    if needs.is_empty() {
        return Ok(End::Passed);
    }
    let scheduling = SchedulingArgs { jobs: args.jobs, keep_going: false };
    let args = RunArgs { names: args.names.clone(), scheduling, ..RunArgs::default() };
    let notes = vec!["first the dependencies of the audited tasks, in the work tree".to_owned()];
    let request = Request { tasks: Some(needs), notes, ..request(&args) };
    run::run_in(session, &args, &request, &project.config, project.location(&session.env), inbox, None)
}

/// Returns the config for an audit, in which each task runs once.
fn without_retries(config: &Config) -> Config {
    let mut config = config.clone();
    for run in config.tasks.iter_mut().filter_map(Task::run_mut) {
        run.retries = 0;
        run.limits.slow_after = None;
    }
    config
}

/// Runs the audited tasks, each in a sandbox. Neither the cache nor the history changes.
fn run_audits(
    session: &Session,
    args: &AuditArgs,
    project: &Project,
    tasks: &[TaskId],
    inbox: &LazyInbox,
    collector: &AuditCollector,
    results: &Results,
) -> Result<Summary, Failure> {
    let config = without_retries(&project.config);
    let run_id = runs::new_id(session.clock.now(), std::process::id());
    let request = Request {
        reach: Reach::Only,
        policy: CachePolicy::Off,
        tasks: Some(tasks.to_vec()),
        ..Request::new(args.names.clone())
    };
    let location = project.location(&session.env);
    let prepared = Prepared::load(&config, &request, location, &session.clock, &run_id)?;
    let options = RunOptions {
        on_failure: OnFailure::KeepGoing,
        results: ResultMode::Audit(collector),
        ..RunOptions::new(&run_id, config.slots(args.jobs))
    };
    let inbox = inbox.get().map_err(Failure::signals)?;
    let emitter =
        Emitter::new(session.clock.clone(), event_handler(Arc::clone(results), session.paint_err()));
    Ok(prepared.plan(&session.env, |plan_inputs, plan| {
        prepared.launch(plan_inputs, plan, location, &options, &emitter, inbox)
    }))
}

/// Returns an event handler that collects the results, and prints on standard error what happens.
fn event_handler(results: Results, paint: Paint) -> Box<dyn FnMut(&Event) + Send> {
    let lines = Lines { paint, width: 0 };
    Box::new(move |event| {
        let line = match &event.what {
            What::TaskStarted { task, .. } => paint.tone(Tone::Faint, &format!("auditing {task}")),
            What::Notice { level, text } => lines.notice(*level, text),
            What::Warnings { warnings, more } => lines.warnings(warnings, *more),
            What::Interrupted { signal, now } => lines.interrupted(signal, *now),
            What::ServiceEnded { service, end, log } if *end != ServiceEnd::Stopped => {
                lines.last_lines(service, log)
            }
            What::FinallyFinished { task, ended, .. } if !ended.is_pass() => {
                lines.finally_failed(task, ended)
            }
            What::TaskFinished(task) => {
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                results.insert(task.task.clone(), task.clone());
                return;
            }
            _ => return,
        };
        // If standard error can't be written to, there is no other place to say so.
        let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
    })
}

/// Puts the results and the audits together.
fn audited_tasks(
    config: &Config,
    tasks: &[TaskId],
    collector: AuditCollector,
    results: &Results,
) -> Vec<AuditedTask> {
    let mut results = std::mem::take(&mut *results.lock().unwrap_or_else(PoisonError::into_inner));
    let mut audits = collector.into_audits();
    let account = |id: &TaskId| {
        let result = results.remove(&config.task(*id).name)?;
        let at = audits.iter().position(|audit| audit.task == *id);
        Some(AuditedTask {
            result,
            audit: at.map(|at| audits.swap_remove(at)),
            is_whole: config.task(*id).inputs.is_whole(),
        })
    };
    tasks.iter().filter_map(account).collect()
}
