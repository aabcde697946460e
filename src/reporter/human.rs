//! The fold that all human output shares: which lines an event leads to, and which logs are kept for
//! the end. It must not know how lines get to the reader.

use std::collections::BTreeMap;

use crate::event::{Ended, Event, Log, ServiceEnd, Status, TaskFinished, What};
use crate::reporter::Output;
use crate::reporter::lines::{Head, Lines};
use crate::reporter::rulings;
use crate::reporter::style::{Paint, Tone};

/// Folds events into text.
pub struct Human {
    lines: Lines,
    output: Output,
    head: Head,
    /// A gate all of whose tasks are known says just that, in one line.
    is_quiet: bool,
    failures: Vec<TaskFinished>,
    finally_logs: Vec<(String, Log)>,
    /// Where the services that are being started listen.
    ports: BTreeMap<String, Option<u16>>,
    service_logs: Vec<(String, Log)>,
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
        match &event.what {
            What::RunStarted(run) => {
                self.lines.width = run.width.min(40);
                self.head = Head { run: run.run.clone(), gated: run.gated.clone() };
                self.is_quiet = run.gated.is_some() && run.hits == run.tasks && self.output != Output::All;
                (!self.is_quiet).then(|| self.lines.started(run))
            }
            What::Notice { level, text } => Some(self.lines.notice(*level, text)),
            What::TaskStarted { .. } => None,
            What::TaskWaits { task, on } => Some(self.lines.waits(task, on)),
            What::TaskOutput { task, text } => {
                (self.output == Output::Stream).then(|| self.streamed(task, text))
            }
            What::TaskSlow { task, after } => Some(self.lines.slow(task, *after)),
            What::TaskRetries { task, attempt, ended } => Some(self.lines.retries(task, *attempt, ended)),
            What::TaskFinished(task) if self.is_quiet && task.status == Status::Hit => None,
            What::TaskFinished(task) => Some(self.finished(task)),
            What::FinallyFinished { task, ended, log, .. } => (!ended.is_pass()).then(|| {
                self.finally_logs.push((task.clone(), log.clone()));
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
            What::ServiceEnded { service, end, log } => self.service_ended(service, end, log),
            What::Interrupted { signal, now } => Some(self.lines.interrupted(signal, *now)),
            What::RunFinished(summary) => {
                let mut parts = Vec::new();
                for (task, log) in &self.finally_logs {
                    parts.push(self.lines.log(&format!("{task}: finally"), Tone::Odd, log));
                }
                for (service, log) in &self.service_logs {
                    parts.push(self.lines.last_lines(service, log));
                }
                // What a service did is told by the service, unless the task has something to add.
                let of_service = |task: &TaskFinished| {
                    matches!(&task.status, Status::Failed { ended: Ended::Service { .. } })
                        && task.log.text.is_empty()
                };
                let is_told = |task: &TaskFinished| task.evidence.is_some() && task.log.text.is_empty();
                for task in self.failures.iter().filter(|task| !of_service(task) && !is_told(task)) {
                    parts.push(self.failure(task));
                }
                if !parts.is_empty() {
                    parts.push(String::new());
                }
                parts.push(self.lines.summary(&self.head, summary));
                Some(parts.join("\n"))
            }
        }
    }

    /// A service that ended as it was asked to is not worth a line.
    fn service_ended(&mut self, service: &str, end: &ServiceEnd, log: &Log) -> Option<String> {
        let (ServiceEnd::Died { why } | ServiceEnd::NotReady { why }) = end else { return None };
        if !log.text.is_empty() {
            self.service_logs.push((service.to_owned(), log.clone()));
        }
        Some(self.lines.service_failed(service, why))
    }

    fn finished(&mut self, task: &TaskFinished) -> String {
        let mut text = self.lines.finished(task);
        let ran = task.attempts > 0;
        if let Some(evidence) = &task.evidence
            && (task.status != Status::Hit || self.output == Output::All)
        {
            text.push('\n');
            text.push_str(&rulings::table(evidence, rulings::FEW, self.lines.paint));
            if let Some(more) = rulings::hidden(evidence, rulings::FEW) {
                let more = format!("\n  {more}: xtask explain-gate {}", task.task);
                text.push_str(&self.lines.paint.tone(Tone::Faint, &more));
            }
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
                    text.push('\n');
                    text.push_str(&self.lines.log(&Lines::heading(task), Tone::Faint, &task.log));
                }
            }
        }
        if matches!(task.status, Status::Failed { .. }) {
            self.failures.push(task.clone());
        }
        text
    }

    fn failure(&self, task: &TaskFinished) -> String {
        let mut parts = Vec::new();
        for (i, log) in task.failed_logs.iter().enumerate() {
            parts.push(self.lines.log(&format!("{}: attempt {}", task.task, i + 1), Tone::Odd, log));
        }
        parts.push(self.lines.log(&Lines::heading(task), Tone::Bad, &task.log));
        if !task.command.is_empty() {
            let command = format!("$ {}", task.command.lines().next().unwrap_or_default());
            parts.push(self.lines.paint.tone(Tone::Faint, &command));
        }
        if task.sandboxed {
            let text = format!("it runs in a sandbox: `xtask audit {}` tells what it lacks there", task.task);
            parts.push(self.lines.paint.tone(Tone::Faint, &text));
        }
        parts.join("\n")
    }

    fn streamed(&self, task: &str, text: &str) -> String {
        let keep = if self.lines.paint.is_colored() {
            crate::reporter::text::Keep::Colors
        } else {
            crate::reporter::text::Keep::Nothing
        };
        let text = crate::reporter::text::safe(text, keep);
        let prefix = self.lines.paint.tone(Tone::Faint, &format!("{task} │"));
        let lines: Vec<String> =
            text.trim_end_matches('\n').split('\n').map(|line| format!("{prefix} {line}")).collect();
        lines.join("\n")
    }
}
