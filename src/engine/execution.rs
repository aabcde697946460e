//! The execution of one task: its attempts and its `finally`. It must not know the cache.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use crate::base::path::RepoPath;
use crate::config::model::{Command, Task, TimeLimits};
use crate::decision_reason::Reason;
use crate::engine::context::Context;
use crate::engine::report::reader::{self, ReportReader, TaskReports};
use crate::engine::report::stale::StaleReports;
use crate::engine::sandbox::SandboxError;
use crate::engine::sandbox::workdir::{self, Workdir};
use crate::engine::services::service_ports::ServicePorts;
use crate::engine::services::{ServiceEnv, ServiceFailure};
use crate::engine::task::command::{self, CommandContext};
use crate::engine::task::rust_task;
use crate::engine::task::task_env;
use crate::engine::work_tree_access::AccessVerdict;
use crate::engine::work_tree_access::attempts::GatedAttempts;
use crate::event::{Ended, Log, Reported, What};
use crate::graph::NodeId;
use crate::process::run::{self, Finished};
use crate::process::spawn::Spawn;
use crate::process::stop::{Stop, StopRequest};
use crate::process::watcher::Watcher;
use crate::quality::evidence::Evidence;
use ci_reports::Facts;

/// The timeout of a `finally` whose task has none.
const FINALLY_TIMEOUT: Duration = Duration::from_secs(300);

/// The outcome of an execution.
#[derive(Clone, Debug)]
pub struct Execution {
    /// When the first attempt began, in milliseconds since the run started.
    pub started: u64,
    /// How long all attempts took together, in milliseconds.
    pub took: u64,
    /// How the last attempt ended.
    pub ended: Ended,
    /// The number of attempts.
    pub attempts: u32,
    /// What the last attempt printed.
    pub log: Log,
    /// What earlier, failed attempts printed.
    pub failed_logs: Vec<Log>,
    /// Whether it took longer than `slow-after`.
    pub is_slow: bool,
    /// The summary of its reports, as far as they exist.
    pub reported: Option<Box<Reported>>,
    /// What its reports say; without the facts if no gate asks for them.
    pub reports: Option<TaskReports>,
    /// The evidence for a gate's verdict.
    pub evidence: Option<Box<Evidence>>,
    /// Why a pass may depend on files of the user's work tree. Such a pass is not stored.
    pub unsure: Option<String>,
}

impl Execution {
    /// Returns an execution that starts now, without any result yet.
    pub fn new(started: u64) -> Self {
        Self {
            started,
            took: 0,
            ended: Ended::Stopped,
            attempts: 0,
            log: Log::default(),
            failed_logs: Vec::new(),
            is_slow: false,
            reported: None,
            reports: None,
            evidence: None,
            unsure: None,
        }
    }

    /// Returns the text that the cache stores as the log. For a gate, that is its evidence.
    pub fn stored_log(&self) -> Cow<'_, str> {
        match &self.evidence {
            // Evidence consists of texts and numbers, so it can always be written as JSON.
            Some(evidence) => serde_json::to_string(evidence).unwrap_or_default().into(),
            None => Cow::Borrowed(&self.log.text),
        }
    }
}

/// Executes the task of a node, with all its attempts, and then its `finally`.
pub fn execute(context: &Context<'_>, id: NodeId, reason: &Reason) -> Execution {
    let task = context.task(id);
    let mut execution = Execution::new(context.emitter.millis());
    let mut stale_reports = StaleReports::new(context, task);
    let mut gated = context.location.access.map(|access| GatedAttempts::new(context, id, access));
    let mut repeats = false;
    let workdir = loop {
        if !repeats {
            execution.attempts += 1;
            context.emitter.emit(What::TaskStarted {
                task: task.name.clone(),
                attempt: execution.attempts,
                reason: reason.clone(),
                expected: context.expected(id),
            });
        }
        let attempt = execution.attempts;
        let workdir = match missing_cwd(context, task) {
            Some(folder) => Err(SandboxError::LeftOut(folder)),
            None => Workdir::create(context, id),
        };
        if let Ok(workdir) = &workdir {
            stale_reports.prepare(workdir.root());
        }
        if let Some(gated) = &mut gated {
            gated.begin();
        }
        let gate = gated.as_ref();
        let (mut ended, log) = match &workdir {
            Ok(workdir) => attempt_once(context, id, task, workdir, attempt, gate, &mut execution.is_slow),
            Err(SandboxError::Stopped) => (Ended::Stopped, Log::default()),
            Err(error) => (Ended::NotStarted { why: error.to_string() }, Log::default()),
        };
        if context.watching.is_some() {
            context.invalidation().end(id);
        }
        if let (Some(gated), Ok(workdir)) = (&mut gated, &workdir) {
            let verdict = gated.evaluate(workdir.root(), &ended);
            repeats = matches!(verdict, AccessVerdict::Repeat(_));
            if repeats {
                stale_reports.record_written(workdir.root());
                continue;
            }
            if let AccessVerdict::Opened(files) = verdict {
                ended = Ended::WorkTree { files };
            }
            execution.unsure = gated.unsure();
        }
        let again = !ended.is_pass()
            && !matches!(ended, Ended::WorkTree { .. })
            && attempt <= task.run().map_or(0, |run| run.retries)
            && context.stop.request() == StopRequest::None
            && context.invalidation().superseded(id).is_none();
        execution.ended = ended;
        if !again {
            execution.log = log;
            break workdir;
        }
        if let Ok(workdir) = &workdir {
            stale_reports.record_written(workdir.root());
        }
        let ended = execution.ended.clone();
        context.emitter.emit(What::TaskRetries { task: task.name.clone(), attempt, ended });
        execution.failed_logs.push(log);
    };
    execution.took = context.emitter.millis().saturating_sub(execution.started);
    // Without a workdir there is nothing to clean up.
    if let Ok(workdir) = workdir {
        if let Some(command) = task.run().and_then(|run| run.finally.as_ref()) {
            run_finally(context, task, &workdir, command);
        }
        if !task.reports().is_empty() && context.options.audit_collector().is_none() {
            stale_reports.record_written(workdir.root());
            read_reports(context, id, &stale_reports, workdir.root(), &mut execution);
        }
        execution.ended = workdir.finish(context, id, execution.ended);
        stale_reports.save(&execution.ended);
    }
    execution
}

/// Returns the folder of a task if a sparse checkout leaves it out.
fn missing_cwd(context: &Context<'_>, task: &Task) -> Option<RepoPath> {
    if task.env.cwd.is_top() || task.env.cwd.under(context.location.root).exists() {
        return None;
    }
    let snapshot = context.tree.snapshot()?;
    snapshot.entries_in(&task.env.cwd).iter().any(|entry| entry.not_checked_out).then(|| task.env.cwd.clone())
}

/// Reads the reports that the last attempt wrote in `workdir`. A task without valid reports fails.
fn read_reports(
    context: &Context<'_>,
    id: NodeId,
    stale_reports: &StaleReports<'_>,
    workdir: &Path,
    execution: &mut Execution,
) {
    let task = context.task(id);
    let snapshot = context.tree.snapshot();
    let root = context.location.root;
    let reader = ReportReader { root, workdir, snapshot: snapshot.as_deref(), mask: &context.secrets.mask };
    let is_stale = |path: &RepoPath| stale_reports.is_stale(path, workdir);
    match reader.read(task, Some(&is_stale)) {
        Ok(mut reports) => {
            execution.reported = Some(Box::new(reader::summary(&reports.facts)));
            if !context.report_store.is_wanted(id) {
                reports.facts = Facts::default();
            }
            execution.reports = Some(reports);
        }
        Err(error) if execution.ended.is_pass() => {
            execution.ended = error.ended(&context.secrets.mask);
        }
        // The task failed anyway, perhaps before it had written all reports.
        Err(_) => {
            let facts = reader.read_available(task, &is_stale);
            if facts != Facts::default() {
                execution.reported = Some(Box::new(reader::summary(&facts)));
            }
        }
    }
}

fn attempt_once(
    context: &Context<'_>,
    id: NodeId,
    task: &Task,
    workdir: &Workdir,
    attempt: u32,
    gated: Option<&GatedAttempts<'_>>,
    is_slow: &mut bool,
) -> (Ended, Log) {
    let Some(spec) = task.run() else { return (Ended::Exit { code: 0 }, Log::default()) };
    let (command, times) = (&spec.command, spec.limits);
    let args = context.inputs.args.filter(|(receiver, _)| *receiver == context.inputs.graph.node(id).task);
    // The task gets its own stop, since a service that ends stops only the tasks that use it.
    let stop = context.stop.inner();
    if context.watching.is_some() {
        context.invalidation().begin(id, &stop);
    }
    let service_env = ServiceEnv { is_retry: attempt > 1, ..context.service_env() };
    let lease = match context.services.acquire(&service_env, task, &stop) {
        Ok(lease) => lease,
        Err(failure) => return (service_failure_end(failure), Log::default()),
    };
    let words = command::command_words(
        &task.env.shell,
        &lease.ports.fill_command(command),
        args.map_or(&[], |(_, args)| args),
    );
    let words = match with_rust_program(context, command, words) {
        Ok(words) => words,
        Err(why) => return (Ended::NotStarted { why }, Log::default()),
    };
    let mut listener = Listener { context, task, is_slow };
    let ready = prepare_command(context, task, &lease.ports, &words, times, workdir);
    let ready = ready.map(|spawn| match gated.and_then(GatedAttempts::trace) {
        Some((report, below)) => workdir::through_tracer(context, spawn, report, Some(below)),
        None => workdir.command(context, spawn),
    });
    let (ended, log) = run_command(ready, times, &stop, &mut listener);
    match lease.failure(context.inputs.config) {
        // A task that is stopped with the run did not fail because of its service.
        Some(failure) if context.stop.request() == StopRequest::None => (service_failure_end(failure), log),
        _ => (ended, log),
    }
}

/// Returns the words of a command, with the program that contains its function if it is a Rust task.
fn with_rust_program(
    context: &Context<'_>,
    command: &Command,
    words: Vec<String>,
) -> Result<Vec<String>, String> {
    match command {
        Command::Rust(_) if context.options.gated.is_some() || context.location.hold.is_some() => {
            Ok(rust_task::with_cargo(words))
        }
        Command::Rust(_) => rust_task::with_this_program(words, context.inputs.env),
        Command::Shell(_) | Command::Argv(_) => Ok(words),
    }
}

fn service_failure_end(failure: ServiceFailure) -> Ended {
    match failure {
        ServiceFailure::Stopped => Ended::Stopped,
        ServiceFailure::Service { name, why } => Ended::Service { name, why },
    }
}

/// Runs the task's `finally`, whether the task passed or failed, and reports how it ended.
fn run_finally(context: &Context<'_>, task: &Task, workdir: &Workdir, command: &Command) {
    let started = context.emitter.millis();
    let timeout = task.run().and_then(|run| run.limits.timeout);
    let times = TimeLimits { timeout: Some(timeout.unwrap_or(FINALLY_TIMEOUT)), slow_after: None };
    let ports = context.services.ports(context.inputs.config, &task.env);
    let (ended, log) = if let Some(service) = ports.first_missing(command) {
        // Otherwise the command would get the placeholder instead of a port or folder, which may do harm.
        (Ended::NotStarted { why: format!("service {service} did not start") }, Log::default())
    } else {
        let words = command::command_words(&task.env.shell, &ports.fill_command(command), &[]);
        let mut listener = Listener { context, task, is_slow: &mut false };
        let ready = prepare_command(context, task, &ports, &words, times, workdir);
        run_command(ready, times, &context.stop_finally, &mut listener)
    };
    let took = context.emitter.millis().saturating_sub(started);
    context.emitter.emit(What::FinallyFinished { task: task.name.clone(), ended, took, log });
}

/// Returns a command of the task, ready to start in its workdir. The error says why it can't start.
fn prepare_command(
    context: &Context<'_>,
    task: &Task,
    ports: &ServicePorts,
    words: &[String],
    times: TimeLimits,
    workdir: &Workdir,
) -> Result<Spawn, String> {
    let command_context = CommandContext {
        root: workdir.root(),
        mask: context.secrets.mask.clone(),
        guard: context.guard(),
        programs: &context.programs,
    };
    let env_vars = task_env::for_task(context.inputs.env, &context.options.run_id, task, ports);
    command::spawn(&command_context, &task.env.cwd, words, workdir.env(env_vars), times)
}

fn run_command(
    ready: Result<Spawn, String>,
    times: TimeLimits,
    stop: &Stop,
    listener: &mut Listener<'_>,
) -> (Ended, Log) {
    match ready {
        Ok(spawn) => {
            let Finished { ended, log, .. } = run::run(&spawn, stop, listener);
            (to_ended(ended, times), Log { text: log.text, left_out: log.left_out })
        }
        Err(why) => (Ended::NotStarted { why }, Log::default()),
    }
}

fn to_ended(ended: run::Ended, times: TimeLimits) -> Ended {
    match ended {
        run::Ended::Exit(code) => Ended::Exit { code },
        run::Ended::Signal(signal) => Ended::Signal { signal },
        run::Ended::TimedOut => Ended::TimedOut { after: times.timeout.map_or(0, millis) },
        run::Ended::Stopped => Ended::Stopped,
        run::Ended::NotStarted(why) => Ended::NotStarted { why },
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How many bytes at the end of the output are searched for the line to show.
const MAX_SHOWN: usize = 4 * 1024;

/// Emits events for what a process prints.
struct Listener<'a> {
    context: &'a Context<'a>,
    task: &'a Task,
    is_slow: &'a mut bool,
}

impl Listener<'_> {
    /// Shows the last line of a text in the live view, if there is one.
    fn show(&self, text: &str) {
        if self.context.emitter.shows_lines() {
            let mut start = text.len().saturating_sub(MAX_SHOWN);
            while !text.is_char_boundary(start) {
                start += 1;
            }
            let line = last_line(&text[start..]);
            if !line.is_empty() {
                let (task, line) = (self.task.name.clone(), line.to_owned());
                self.context.emitter.emit(What::TaskLine { task, line });
            }
        }
    }
}

/// Returns the last line that is not blank. A carriage return ends a line too.
fn last_line(text: &str) -> &str {
    let ends = |c| c == '\n' || c == '\r';
    text.rsplit(ends).find(|line| !line.trim().is_empty()).unwrap_or_default()
}

impl Watcher for Listener<'_> {
    fn output(&mut self, text: &str) {
        if self.context.options.streams {
            let task = self.task.name.clone();
            self.context.emitter.emit(What::TaskOutput { task, text: text.to_owned() });
        } else {
            self.show(text);
        }
    }

    fn unfinished(&mut self, text: &str) {
        if !self.context.options.streams {
            self.show(text);
        }
    }

    fn slow(&mut self) {
        let after = self.task.run().and_then(|run| run.limits.slow_after).map_or(0, millis);
        *self.is_slow = true;
        self.context.emitter.emit(What::TaskSlow { task: self.task.name.clone(), after });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_line_is_the_last_one_with_text() {
        let cases = [
            ("a\nb\n", "b"),
            ("a\n\n  \n", "a"),
            ("10%\r20%", "20%"),
            ("10%\r20%\r", "20%"),
            ("done\r\n", "done"),
            ("\n \r\n", ""),
            ("", ""),
        ];
        for (text, line) in cases {
            assert_eq!(last_line(text), line, "{text:?}");
        }
    }
}
