//! `xtask log`: prints past runs and deploys from their records. It must not know what a run would do today.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::base::text::count;
use crate::base::units;
use crate::cli::ci::service;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::inspect::{deploy_log, skips};
use crate::cli::project::Project;
use crate::cli::reporters::Format;
use crate::cli::session::Session;
use crate::cli::shards;
use crate::event::{Event, ServiceEnd, Status, TaskFinished, Verdict, What};
use crate::git::Repository;
use crate::history::deploys::DeployRecords;
use crate::history::init_logs;
use crate::history::runs::{self, RunHead, Runs, RunsError};
use crate::reporter::Output;
use crate::reporter::Reporter as _;
use crate::reporter::ci::CiReporter;
use crate::reporter::lines::Lines;
use crate::reporter::plain::Plain;
use crate::reporter::style::{Paint, Tone};

/// Arguments of `log`.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch as it was typed")]
#[derive(Args, Debug, Clone)]
pub struct LogArgs {
    /// The id of a run or a deploy, or a part of it
    #[arg(value_name = "RUN", conflicts_with = "last")]
    pub run: Option<String>,
    /// Show the last run or deploy
    #[arg(long)]
    pub last: bool,
    /// Show the last deploy
    #[arg(long, conflicts_with_all = ["run", "last", "failed", "skips", "timings", "task", "service"])]
    pub deploy: bool,
    /// Show only what failed
    #[arg(long)]
    pub failed: bool,
    /// Show the gates that were skipped, by whom and why
    #[arg(long, conflicts_with_all = ["run", "last", "failed", "task"])]
    pub skips: bool,
    /// Show the logs of the tasks that `xtask init` left out
    #[arg(long, conflicts_with_all = ["run", "last", "failed", "skips", "deploy", "service"])]
    pub init: bool,
    /// Print how long each task takes, as JSON for `--shard`
    #[arg(long, conflicts_with_all = ["run", "last", "failed", "task", "service", "skips"])]
    pub timings: bool,
    /// Show only this task, with its log
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// Show only the output of this service
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["task", "failed"])]
    pub service: Option<String>,
    /// The logs to show
    #[arg(short, long, value_enum, default_value_t, value_name = "WHICH")]
    pub output: Output,
    /// The output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// The CI service to print for
    #[arg(long, value_enum, default_value_t, value_name = "SERVICE")]
    pub ci: service::CiChoice,
}

/// The number of runs in the list.
const LISTED: usize = 20;

/// Prints past runs, or one run.
///
/// # Errors
/// There is no repository, or the run is unknown.
pub fn run(session: &Session, args: &LogArgs) -> Result<End, Failure> {
    if args.timings {
        return shards::timings(session);
    }
    if args.skips {
        return skips::run(session, args.format);
    }
    if args.init {
        return init_logs(session, args.task.as_deref());
    }
    let project = Project::open(&session.env, &session.dir)?;
    project.repository()?;
    let runs = Runs::new(project.state_dir()?);
    let deploys = DeployRecords::new(project.state_dir()?);
    let is_about_tasks = args.failed || args.task.is_some() || args.service.is_some();
    let deploy = match &args.run {
        Some(run) => {
            let id = runs::find_id(&[runs.ids()?, deploys.ids()?].concat(), run)?;
            deploys.ids()?.into_iter().find(|known| *known == id)
        }
        None if args.deploy => Some(deploys.ids()?.into_iter().next().ok_or(RunsError::NoDeploy)?),
        None if args.last && !is_about_tasks => last_deploy(&runs, &deploys)?,
        None => None,
    };
    if let Some(id) = deploy {
        session.print(&deploy_log::replay(session, args.format, args.ci, &id, &deploys.events(&id)?)?)?;
        return Ok(End::Passed);
    }
    let id = match (&args.run, args.last || args.task.is_some() || args.service.is_some()) {
        (Some(run), _) => runs.find(run)?,
        (None, true) => runs.before_last(0)?,
        (None, false) => return list(session, args, &runs, &deploys),
    };
    let events = runs.events(&id)?;
    if let Some(service) = &args.service {
        session.print(&service_logs(session, &events, &id, service)?)?;
        return Ok(End::Passed);
    }
    let text = match &args.task {
        Some(task) => {
            logs(session, &events, |finished| finished.task == *task).ok_or_else(|| Failure::Usage {
                text: format!("the run {id} had no task `{task}`"),
                hint: Some(format!("`xtask log {id}` shows its tasks")),
            })?
        }
        None if args.failed => {
            logs(session, &events, |finished| matches!(finished.status, Status::Failed { .. }))
                .unwrap_or_else(|| "nothing failed in this run\n".to_owned())
        }
        None => replay(session, args, &events)?,
    };
    session.print(&text)?;
    Ok(End::Passed)
}

/// Returns the id of the last deploy, unless a run ended later. The gate's run of a deploy ends before it.
fn last_deploy(runs: &Runs, deploys: &DeployRecords) -> Result<Option<String>, Failure> {
    let Some(deploy) = deploys.ids()?.into_iter().next() else { return Ok(None) };
    let run = runs.ids()?.iter().filter_map(|id| runs.modified(id)).max();
    Ok((run <= deploys.modified(&deploy)).then_some(deploy))
}

fn replay(session: &Session, args: &LogArgs, events: &[Event]) -> Result<String, Failure> {
    let mut text = Vec::new();
    let is_json = args.format == Format::Json;
    let written: std::io::Result<()> = if is_json {
        events.iter().try_for_each(|event| crate::reporter::json::Json::new(&mut text).event(event))
    } else if let Some(ci) = args.ci.output(session, is_json)? {
        let (dialect, context) = (ci.dialect()?, ci.annotation_context());
        let mut reporter = CiReporter::new(&mut text, session.paint_out(), args.output, dialect, context);
        events.iter().try_for_each(|event| reporter.event(event))
    } else {
        let mut plain = Plain::new(&mut text, session.paint_out(), args.output);
        events.iter().try_for_each(|event| plain.event(event))
    };
    written.map_err(|source| Failure::System { attempt: "draw the run".to_owned(), source })?;
    let mut text = String::from_utf8_lossy(&text).into_owned();
    let ended = matches!(events.last(), Some(Event { what: What::RunFinished(_), .. }));
    if !ended && args.format == Format::Human {
        text.push_str("the record ends here: the run was killed, or is still running\n");
    }
    Ok(text)
}

/// Returns the output of a service, for each time that it was started.
fn service_logs(session: &Session, events: &[Event], run: &str, name: &str) -> Result<String, Failure> {
    let lines = Lines { paint: session.paint_out(), width: 0 };
    let mut text = String::new();
    for event in events {
        if let What::ServiceEnded { service, end, log } = &event.what
            && service == name
        {
            let (tone, how) = match end {
                ServiceEnd::Stopped => (Tone::Faint, "ended with the run"),
                ServiceEnd::Died { why } | ServiceEnd::NotReady { why } => (Tone::Bad, why.as_str()),
            };
            text.push_str(&lines.log(&format!("service {name}: {how}"), tone, log));
            text.push('\n');
        }
    }
    if text.is_empty() {
        return Err(Failure::Usage {
            text: format!("the run {run} had no service `{name}`"),
            hint: Some(format!("`xtask log {run} --format json` shows all that happened")),
        });
    }
    Ok(text)
}

/// Prints the logs of the tasks that `xtask init` left out, or of one of them.
fn init_logs(session: &Session, task: Option<&str>) -> Result<End, Failure> {
    let what = "`xtask init` keeps no logs of the tasks that it tries";
    let repository =
        Repository::discover(&session.dir, &session.env)?.ok_or(Failure::NoRepository { what })?;
    let state = repository.common_dir().join("xtask");
    let Some(results) = init_logs::read(&state)? else {
        return Err(Failure::Usage {
            text: "there are no logs: `xtask init` was not run here, was interrupted, or tried no task"
                .to_owned(),
            hint: None,
        });
    };
    let chosen = results.iter().filter(|result| task.is_none_or(|task| task == result.task));
    let text = task_logs(session, chosen);
    session.print(&text.unwrap_or_else(|| "`xtask init` left out no task that it tried\n".to_owned()))?;
    Ok(End::Passed)
}

/// Returns the logs of the tasks that `wanted` selects; `None` if there are none.
fn logs(session: &Session, events: &[Event], wanted: impl Fn(&TaskFinished) -> bool) -> Option<String> {
    let chosen = events.iter().filter_map(|event| match &event.what {
        What::TaskFinished(task) if wanted(task) => Some(task),
        _ => None,
    });
    task_logs(session, chosen)
}

/// Returns the logs of tasks; `None` if there are none.
fn task_logs<'t>(session: &Session, tasks: impl Iterator<Item = &'t TaskFinished>) -> Option<String> {
    let lines = Lines { paint: session.paint_out(), width: 0 };
    let mut text = String::new();
    for task in tasks {
        for (i, log) in task.failed_logs.iter().enumerate() {
            text.push_str(&lines.log(&format!("{}: attempt {}", task.task, i + 1), Tone::Odd, log));
            text.push('\n');
        }
        let tone = if task.status.is_pass() { Tone::Faint } else { Tone::Bad };
        text.push_str(&lines.log(&Lines::heading(task), tone, &task.log));
        text.push('\n');
        task.hints.iter().for_each(|hint| text.push_str(&format!("{}\n", lines.hint(hint))));
    }
    (!text.is_empty()).then_some(text)
}

fn list(session: &Session, args: &LogArgs, runs: &Runs, deploys: &DeployRecords) -> Result<End, Failure> {
    let paint = session.paint_out();
    let is_json = args.format == Format::Json;
    let (run_ids, deploy_ids) = (runs.ids()?, deploys.ids()?);
    let mut all: Vec<(&String, bool)> =
        run_ids.iter().map(|id| (id, false)).chain(deploy_ids.iter().map(|id| (id, true))).collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    let mut lines = Vec::new();
    for (id, is_deploy) in all {
        let line = if is_deploy {
            let head = deploys.head(id)?.filter(|head| !args.failed || deploy_log::has_failed(head));
            head.map(|head| if is_json { deploy_log::row(&head) } else { deploy_log::line(&head, paint) })
        } else {
            let has_failed = |head: &RunHead| {
                head.summary.as_ref().is_none_or(|summary| summary.verdict != Verdict::Passed)
            };
            let head = runs.head(id)?.filter(|head| !args.failed || has_failed(head));
            head.map(|head| if is_json { run_row(&head) } else { run_line(&head, paint) })
        };
        lines.extend(line);
        if lines.len() == LISTED {
            break;
        }
    }
    if lines.is_empty() && !is_json {
        lines.push("no run has been recorded yet\n".to_owned());
    }
    session.print(&lines.concat())?;
    Ok(End::Passed)
}

fn run_row(head: &RunHead) -> String {
    format!("{}\n", json!({ "run": head.id, "started": head.started, "summary": head.summary }))
}

fn run_line(head: &RunHead, paint: Paint) -> String {
    let gated = head.started.gated.as_ref().map(|gated| format!("gate of {}: ", gated.name));
    let names = format!("{}{}", gated.unwrap_or_default(), head.started.names.join(" "));
    let Some(summary) = &head.summary else {
        let what = paint.tone(Tone::Odd, "no end on record");
        return format!("{}  {what:<11}  {names}\n", head.id);
    };
    let (tone, word) = match summary.verdict {
        Verdict::Passed => (Tone::Good, "passed"),
        Verdict::Failed => (Tone::Bad, "failed"),
        Verdict::Superseded => (Tone::Odd, "superseded"),
        Verdict::Interrupted { .. } => (Tone::Odd, "interrupted"),
    };
    let took = units::duration(Duration::from_millis(summary.took));
    let failed =
        if summary.failed.is_empty() { String::new() } else { format!(" · {}", summary.failed.join(", ")) };
    let word = paint.tone(tone, &format!("{word:<11}"));
    let tasks = count(head.started.tasks, "task");
    format!("{}  {word}  {took:>8}  {names}: {tasks}, {} cached{failed}\n", head.id, summary.hits)
}
