//! Formats events for people: which lines an event causes, and which logs are printed at the end. It must not
//! know how the lines are printed, or what is printed around them.

use std::collections::BTreeMap;

use crate::event::{Ended, Event, Level, Log, ServiceEnd, Status, Summary, TaskFinished, What};
use crate::reporter::Output;
use crate::reporter::gate_table;
use crate::reporter::lines::{Lines, RunHeading, clause};
use crate::reporter::style::{Paint, Tone};
use ci_reports::facts::Location;

/// A segment of the output. A reporter can print something around it.
#[derive(Clone, PartialEq, Debug)]
pub enum Segment {
    /// Lines of taskgate, without the last line end.
    Text(String),
    /// The log of a task or service.
    Log(PrintedLog),
    /// Lines that a running task printed.
    Streamed {
        /// The task.
        task: String,
        /// The lines.
        text: String,
    },
}

/// The log of a task or service, with a heading.
#[derive(Clone, PartialEq, Debug)]
pub struct PrintedLog {
    /// The heading, one line.
    pub heading: String,
    /// The tone of the heading. A log whose heading is faint needs no attention.
    pub tone: Tone,
    /// What was printed.
    pub log: Log,
    /// When it started and ended, in milliseconds since the run started.
    pub span: (u64, u64),
}

/// Formats events as text.
pub struct TextFormatter {
    lines: Lines,
    output: Output,
    head: RunHeading,
    /// Whether only the last line is shown, such as for a gate whose tasks are all hits.
    is_quiet: bool,
    failures: Vec<TaskFinished>,
    finally_logs: Vec<PrintedLog>,
    /// The ports of services that are being started.
    ports: BTreeMap<String, Option<u16>>,
    service_logs: Vec<PrintedLog>,
}

impl TextFormatter {
    /// Creates a formatter with these colours that shows the logs that `output` selects.
    pub fn new(paint: Paint, output: Output) -> Self {
        Self {
            lines: Lines { paint, width: 0 },
            output,
            head: RunHeading::default(),
            is_quiet: false,
            failures: Vec::new(),
            finally_logs: Vec::new(),
            ports: BTreeMap::new(),
            service_logs: Vec::new(),
        }
    }

    /// Returns the formatter of single lines.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Returns the text for an event, without the last line end. Most events have none.
    pub fn text(&mut self, event: &Event) -> Option<String> {
        let parts: Vec<String> = self.parts(event).iter().map(|part| self.format_segment(part)).collect();
        (!parts.is_empty()).then(|| parts.join("\n"))
    }

    /// Returns the text for an event in segments, in order.
    pub fn parts(&mut self, event: &Event) -> Vec<Segment> {
        let text = match &event.what {
            What::RunStarted(run) => {
                self.lines.width = run.width.min(40);
                self.head = RunHeading { run: run.run.clone(), gated: run.gated.clone() };
                self.is_quiet = run.gated.is_some() && run.hits == run.tasks && self.output != Output::All;
                (!self.is_quiet).then(|| self.lines.started(run))
            }
            What::Notice { level, text } => Some(self.lines.notice(*level, text)),
            What::Warnings { warnings, more } => Some(self.lines.warnings(warnings, *more)),
            What::TaskStarted { .. } => None,
            What::TaskWaits { task, on } => Some(self.lines.waits(task, on)),
            What::TaskOutput { task, text } if self.output == Output::Stream => {
                return vec![Segment::Streamed { task: task.clone(), text: text.clone() }];
            }
            What::TaskOutput { .. } | What::TaskLine { .. } => None,
            What::Suspended | What::Resumed => None,
            What::TaskSlow { task, after } => Some(self.lines.slow(task, *after)),
            What::TaskRetries { task, attempt, ended } => Some(self.lines.retries(task, *attempt, ended)),
            What::TaskFinished(task) if self.is_quiet && task.status == Status::Hit && !has_unused(task) => {
                None
            }
            What::TaskFinished(task) => return self.finished(task),
            What::FinallyFinished { task, ended, log, took } => (!ended.is_pass()).then(|| {
                self.finally_logs.push(PrintedLog {
                    heading: format!("{task}: finally"),
                    tone: Tone::Odd,
                    log: log.clone(),
                    span: (event.at.saturating_sub(*took), event.at),
                });
                self.lines.finally_failed(task, ended)
            }),
            What::ServiceStarted { service, port, .. } => {
                self.ports.insert(service.clone(), *port);
                None
            }
            What::ServiceReady { service, took } => {
                let port = self.ports.get(service).copied().flatten();
                Some(self.lines.service_ready(service, port, *took))
            }
            What::ServiceEnded { service, end, log } => self.service_ended(service, end, log, event.at),
            What::Interrupted { signal, now } => Some(self.lines.interrupted(signal, *now)),
            What::RunFinished(summary) => return self.ending(summary),
        };
        text.map(Segment::Text).into_iter().collect()
    }

    /// Formats a segment as plain text, with nothing around it.
    pub fn format_segment(&self, part: &Segment) -> String {
        match part {
            Segment::Text(text) => text.clone(),
            Segment::Log(printed) => self.lines.log(&printed.heading, printed.tone, &printed.log),
            Segment::Streamed { task, text } => self.streamed(task, text),
        }
    }

    /// Returns the logs that were kept, followed by the summary lines.
    fn ending(&self, summary: &Summary) -> Vec<Segment> {
        let kept = self.finally_logs.iter().chain(&self.service_logs).cloned();
        let mut parts: Vec<Segment> = kept.map(Segment::Log).collect();
        // The line of the service says what happened, so the task's log is only shown if it has text.
        let of_service = |task: &TaskFinished| {
            matches!(&task.status, Status::Failed { ended: Ended::Service { .. } })
                && task.log.text.is_empty()
        };
        let in_gate_table = |task: &TaskFinished| task.evidence.is_some() && task.log.text.is_empty();
        for task in self.failures.iter().filter(|task| !of_service(task) && !in_gate_table(task)) {
            parts.extend(self.failure(task));
        }
        if !parts.is_empty() {
            parts.push(Segment::Text(String::new()));
        }
        parts.push(Segment::Text(self.lines.summary(&self.head, summary)));
        parts
    }

    /// Formats the end of a service, or returns `None` if the run stopped it.
    fn service_ended(&mut self, service: &str, end: &ServiceEnd, log: &Log, at: u64) -> Option<String> {
        let (ServiceEnd::Died { why } | ServiceEnd::NotReady { why }) = end else { return None };
        if !log.text.is_empty() {
            let (heading, log) = Lines::service_log(service, log);
            self.service_logs.push(PrintedLog { heading, tone: Tone::Bad, log, span: (at, at) });
        }
        Some(self.lines.service_failed(service, why))
    }

    fn finished(&mut self, task: &TaskFinished) -> Vec<Segment> {
        let mut parts = vec![Segment::Text(self.lines.finished(task))];
        let ran = task.attempts > 0;
        if let Some(evidence) = &task.evidence
            && (task.status != Status::Hit || self.output == Output::All)
        {
            let mut text = gate_table::table(evidence, gate_table::LISTED_VIOLATIONS, self.lines.paint);
            if let Some(more) = gate_table::hidden_violations(evidence, gate_table::LISTED_VIOLATIONS) {
                let more = format!("\n  {more}: xtask explain-gate {}", task.task);
                text.push_str(&self.lines.paint.tone(Tone::Faint, &more));
            }
            parts.push(Segment::Text(text));
        }
        // The table of a gate also contains this, but the table is not shown for a hit.
        if let Some(evidence) = task.evidence.as_ref().filter(|_| parts.len() == 1) {
            parts.extend(evidence.unused_suppressions.iter().map(|unused| {
                let line = |place: &Location| place.line.map(|line| format!("{}:{line}: ", place.path));
                let place = unused.place.as_ref().and_then(line).unwrap_or_default();
                Segment::Text(self.lines.notice(Level::Warning, &format!("{place}{}", unused.text)))
            }));
        }
        // The table of a gate already shows the log's contents.
        let in_gate_table = task.evidence.is_some() && task.log.text.is_empty();
        match self.output {
            _ if in_gate_table => {}
            Output::Failed | Output::Stream => {}
            Output::Grouped if !ran => {}
            Output::All if !ran && task.status != Status::Hit => {}
            Output::Grouped | Output::All => {
                // The logs of failures are printed at the end, where people look first.
                if !matches!(task.status, Status::Failed { .. }) {
                    parts.push(Segment::Log(printed(Lines::heading(task), Tone::Faint, task, &task.log)));
                }
            }
        }
        if matches!(task.status, Status::Failed { .. }) {
            self.failures.push(task.clone());
        }
        parts
    }

    fn failure(&self, task: &TaskFinished) -> Vec<Segment> {
        let mut parts = Vec::new();
        for (i, log) in task.failed_logs.iter().enumerate() {
            let heading = format!("{}: attempt {}", task.task, i + 1);
            parts.push(Segment::Log(printed(heading, Tone::Odd, task, log)));
        }
        parts.push(Segment::Log(printed(Lines::heading(task), Tone::Bad, task, &task.log)));
        if !task.command.is_empty() {
            let command = format!("$ {}", clause(task.command.lines().next().unwrap_or_default()));
            parts.push(Segment::Text(self.lines.paint.tone(Tone::Faint, &command)));
        }
        parts.extend(task.hints.iter().map(|hint| Segment::Text(self.lines.hint(hint))));
        if task.sandboxed {
            let text =
                format!("it ran in a sandbox; to see what is missing there: xtask audit {}", task.task);
            parts.push(Segment::Text(self.lines.paint.tone(Tone::Faint, &text)));
        }
        parts
    }

    fn streamed(&self, task: &str, text: &str) -> String {
        let text = crate::reporter::text::safe(text, self.lines.keep());
        let prefix = self.lines.paint.tone(Tone::Faint, &format!("{task} │"));
        let lines: Vec<String> =
            text.trim_end_matches('\n').split('\n').map(|line| format!("{prefix} {line}")).collect();
        lines.join("\n")
    }
}

/// Returns whether a gate has suppressions that match nothing.
fn has_unused(task: &TaskFinished) -> bool {
    task.evidence.as_ref().is_some_and(|evidence| !evidence.unused_suppressions.is_empty())
}

/// Returns one of a task's logs with its heading.
fn printed(heading: String, tone: Tone, task: &TaskFinished, log: &Log) -> PrintedLog {
    PrintedLog { heading, tone, log: log.clone(), span: (task.started, task.started + task.took) }
}
