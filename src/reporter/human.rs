//! The fold that all human output shares: which lines an event leads to, and which logs are kept for
//! the end. It must not know how lines get to the reader, nor what is drawn around them.

use std::collections::BTreeMap;

use crate::event::{Ended, Event, Level, Log, ServiceEnd, Status, Summary, TaskFinished, What};
use crate::reporter::Output;
use crate::reporter::lines::{Head, Lines, clause};
use crate::reporter::rulings;
use crate::reporter::style::{Paint, Tone};
use ci_reports::facts::Location;

/// A piece of what is told, for those who draw something around it.
#[derive(Clone, PartialEq, Debug)]
pub enum Part {
    /// Lines of our own, without a line end.
    Text(String),
    /// What something printed.
    Log(Printed),
    /// Lines that a running task printed.
    Streamed {
        /// The task.
        task: String,
        /// The lines.
        text: String,
    },
}

/// What something printed, under its heading.
#[derive(Clone, PartialEq, Debug)]
pub struct Printed {
    /// One line.
    pub heading: String,
    /// How the heading is meant; a faint one needs no look.
    pub tone: Tone,
    /// What was printed.
    pub log: Log,
    /// When that began and ended, in milliseconds since the run started.
    pub span: (u64, u64),
}

/// Folds events into text.
pub struct Human {
    lines: Lines,
    output: Output,
    head: Head,
    /// A gate all of whose tasks are known says just that, in one line.
    is_quiet: bool,
    failures: Vec<TaskFinished>,
    finally_logs: Vec<Printed>,
    /// Where the services that are being started listen.
    ports: BTreeMap<String, Option<u16>>,
    service_logs: Vec<Printed>,
}

impl Human {
    /// Lines in `paint`, with the logs that `output` names.
    pub fn new(paint: Paint, output: Output) -> Self {
        Self {
            lines: Lines { paint, width: 0 },
            output,
            head: Head::default(),
            is_quiet: false,
            failures: Vec::new(),
            finally_logs: Vec::new(),
            ports: BTreeMap::new(),
            service_logs: Vec::new(),
        }
    }

    /// How lines are drawn.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// The text that an event leads to, without a line end; nothing for most.
    pub fn text(&mut self, event: &Event) -> Option<String> {
        let parts: Vec<String> = self.parts(event).iter().map(|part| self.drawn(part)).collect();
        (!parts.is_empty()).then(|| parts.join("\n"))
    }

    /// The same in pieces, in the order in which they are shown.
    pub fn parts(&mut self, event: &Event) -> Vec<Part> {
        let text = match &event.what {
            What::RunStarted(run) => {
                self.lines.width = run.width.min(40);
                self.head = Head { run: run.run.clone(), gated: run.gated.clone() };
                self.is_quiet = run.gated.is_some() && run.hits == run.tasks && self.output != Output::All;
                (!self.is_quiet).then(|| self.lines.started(run))
            }
            What::Notice { level, text } => Some(self.lines.notice(*level, text)),
            What::Warnings { warnings, more } => Some(self.lines.warnings(warnings, *more)),
            What::TaskStarted { .. } => None,
            What::TaskWaits { task, on } => Some(self.lines.waits(task, on)),
            What::TaskOutput { task, text } if self.output == Output::Stream => {
                return vec![Part::Streamed { task: task.clone(), text: text.clone() }];
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
                self.finally_logs.push(Printed {
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
            What::ServiceEnded { service, end, log } => self.service_ended(service, end, (log, event.at)),
            What::Interrupted { signal, now } => Some(self.lines.interrupted(signal, *now)),
            What::RunFinished(summary) => return self.ending(summary),
        };
        text.map(Part::Text).into_iter().collect()
    }

    /// A piece as it is where nothing is drawn around it.
    pub fn drawn(&self, part: &Part) -> String {
        match part {
            Part::Text(text) => text.clone(),
            Part::Log(printed) => self.lines.log(&printed.heading, printed.tone, &printed.log),
            Part::Streamed { task, text } => self.streamed(task, text),
        }
    }

    /// The logs that were kept, and the last lines.
    fn ending(&self, summary: &Summary) -> Vec<Part> {
        let kept = self.finally_logs.iter().chain(&self.service_logs).cloned();
        let mut parts: Vec<Part> = kept.map(Part::Log).collect();
        // What a service did is told by the service, unless the task has something to add.
        let of_service = |task: &TaskFinished| {
            matches!(&task.status, Status::Failed { ended: Ended::Service { .. } })
                && task.log.text.is_empty()
        };
        let is_told = |task: &TaskFinished| task.evidence.is_some() && task.log.text.is_empty();
        for task in self.failures.iter().filter(|task| !of_service(task) && !is_told(task)) {
            parts.extend(self.failure(task));
        }
        if !parts.is_empty() {
            parts.push(Part::Text(String::new()));
        }
        parts.push(Part::Text(self.lines.summary(&self.head, summary)));
        parts
    }

    /// A service that ended as it was asked to is not worth a line.
    fn service_ended(&mut self, service: &str, end: &ServiceEnd, (log, at): (&Log, u64)) -> Option<String> {
        let (ServiceEnd::Died { why } | ServiceEnd::NotReady { why }) = end else { return None };
        if !log.text.is_empty() {
            let (heading, log) = Lines::last_of(service, log);
            self.service_logs.push(Printed { heading, tone: Tone::Bad, log, span: (at, at) });
        }
        Some(self.lines.service_failed(service, why))
    }

    fn finished(&mut self, task: &TaskFinished) -> Vec<Part> {
        let mut parts = vec![Part::Text(self.lines.finished(task))];
        let ran = task.attempts > 0;
        if let Some(evidence) = &task.evidence
            && (task.status != Status::Hit || self.output == Output::All)
        {
            let mut text = rulings::table(evidence, rulings::FEW, self.lines.paint);
            if let Some(more) = rulings::hidden(evidence, rulings::FEW) {
                let more = format!("\n  {more}: xtask explain-gate {}", task.task);
                text.push_str(&self.lines.paint.tone(Tone::Faint, &more));
            }
            parts.push(Part::Text(text));
        }
        // The table of a gate has this too, and is not drawn for a hit.
        if let Some(evidence) = task.evidence.as_ref().filter(|_| parts.len() == 1) {
            parts.extend(evidence.unused.iter().map(|unused| {
                let line = |place: &Location| place.line.map(|line| format!("{}:{line}: ", place.path));
                let place = unused.place.as_ref().and_then(line).unwrap_or_default();
                Part::Text(self.lines.notice(Level::Warning, &format!("{place}{}", unused.text)))
            }));
        }
        // All that a gate has to say is in its table.
        let is_told = task.evidence.is_some() && task.log.text.is_empty();
        match self.output {
            _ if is_told => {}
            Output::Failed | Output::Stream => {}
            Output::Grouped if !ran => {}
            Output::All if !ran && task.status != Status::Hit => {}
            Output::Grouped | Output::All => {
                // A failure's log comes at the end, where the eye is.
                if !matches!(task.status, Status::Failed { .. }) {
                    parts.push(Part::Log(printed(Lines::heading(task), Tone::Faint, (task, &task.log))));
                }
            }
        }
        if matches!(task.status, Status::Failed { .. }) {
            self.failures.push(task.clone());
        }
        parts
    }

    fn failure(&self, task: &TaskFinished) -> Vec<Part> {
        let mut parts = Vec::new();
        for (i, log) in task.failed_logs.iter().enumerate() {
            let heading = format!("{}: attempt {}", task.task, i + 1);
            parts.push(Part::Log(printed(heading, Tone::Odd, (task, log))));
        }
        parts.push(Part::Log(printed(Lines::heading(task), Tone::Bad, (task, &task.log))));
        if !task.command.is_empty() {
            let command = format!("$ {}", clause(task.command.lines().next().unwrap_or_default()));
            parts.push(Part::Text(self.lines.paint.tone(Tone::Faint, &command)));
        }
        parts.extend(task.hints.iter().map(|hint| Part::Text(self.lines.hint(hint))));
        if task.sandboxed {
            let text = format!("it runs in a sandbox: `xtask audit {}` tells what it lacks there", task.task);
            parts.push(Part::Text(self.lines.paint.tone(Tone::Faint, &text)));
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

/// Whether a gate has suppressions that match nothing.
fn has_unused(task: &TaskFinished) -> bool {
    task.evidence.as_ref().is_some_and(|evidence| !evidence.unused.is_empty())
}

/// One of a task's logs.
fn printed(heading: String, tone: Tone, (task, log): (&TaskFinished, &Log)) -> Printed {
    Printed { heading, tone, log: log.clone(), span: (task.started, task.started + task.took) }
}
