//! The output of a run in CI: lines for people, and commands for the CI service. It must not know any
//! service; each is a [`Dialect`].
//!
//! [`CiReporter`] below writes both. [`github`], [`gitlab`], [`azure`] and [`buildkite`] are the dialects.
//! [`annotations`] decides what is annotated and in which order. Tasks must not be able to give commands to
//! the service: `escape_commands` changes what it would read as one.

pub mod annotations;
pub mod azure;
pub mod buildkite;
pub mod code_quality;
pub mod escape_commands;
pub mod github;
pub mod gitlab;

use std::io::{self, BufWriter, Write};

use crate::event::{Event, What};
use crate::git::ChangedLines;
use crate::reporter::ci::annotations::{Annotation, Annotations};
use crate::reporter::ci::escape_commands::{Marker, escape_commands};
use crate::reporter::run_state::RunState;
use crate::reporter::style::{Paint, Tone};
use crate::reporter::text::{Keep, safe};
use crate::reporter::text_formatter::{PrintedLog, Segment, TextFormatter};
use crate::reporter::{Output, Reporter};

/// The commands and markers of a CI service.
pub trait Dialect: Send {
    /// Returns the markers that the service looks for in the lines of taskgate.
    fn markers(&self) -> &'static [Marker];

    /// Returns the markers that it looks for in a log, or within the fence if there is one.
    fn markers_in_logs(&self) -> &'static [Marker] {
        self.markers()
    }

    /// Returns the first line of the output.
    fn begin(&self) -> Option<String> {
        None
    }

    /// Returns the lines before and after a log, or `None` to use the usual heading.
    fn group(&self, group: &Group<'_>) -> Option<(String, String)>;

    /// Returns the lines that start and end a fence. They are different each time.
    fn fence(&mut self) -> Option<(String, String)> {
        None
    }

    /// Returns how many annotations of a grade the service shows and a text about this limit, or `None` if it
    /// shows none.
    fn limit(&self) -> Option<(usize, &'static str)> {
        None
    }

    /// Formats an annotation; `None` if the service does not show its grade.
    fn annotation(&self, _remark: &Annotation) -> Option<String> {
        None
    }

    /// Returns the line that is printed before the summary lines of a run.
    fn conclude(&self) -> Option<String> {
        None
    }

    /// Returns the last lines of the output.
    fn end(&self, _story: &RunState) -> Vec<String> {
        Vec::new()
    }
}

/// A log that the service may fold.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// The heading, with commands escaped.
    pub heading: &'a str,
    /// Whether nothing in it needs attention.
    pub is_folded: bool,
    /// Its number in the run, from 1.
    pub number: usize,
    /// When it started and ended, in seconds since 1970.
    pub span: (u64, u64),
}

/// The data that is needed to place and sort annotations.
#[derive(Default)]
pub struct AnnotationContext {
    /// The top of the repository.
    pub root: String,
    /// Returns the lines that the branch changes. It is called at most once, and only if an annotation has a
    /// place.
    pub changed: Option<Box<dyn FnOnce() -> Option<ChangedLines> + Send>>,
}

/// Writes lines for people and commands for a CI service.
pub struct CiReporter<W: Write> {
    formatter: TextFormatter,
    dialect: Box<dyn Dialect>,
    context: AnnotationContext,
    state: RunState,
    /// The annotations that other runs have already written.
    repeated: Annotations,
    /// The line that ends the open fence.
    fence: Option<String>,
    groups: usize,
    writer: BufWriter<W>,
}

impl<W: Write + Send> CiReporter<W> {
    /// Creates a reporter that writes to `writer`.
    pub fn new(
        writer: W,
        paint: Paint,
        output: Output,
        dialect: Box<dyn Dialect>,
        context: AnnotationContext,
    ) -> Self {
        Self {
            formatter: TextFormatter::new(paint, output),
            dialect,
            context,
            state: RunState::default(),
            repeated: Annotations::default(),
            fence: None,
            groups: 0,
            writer: BufWriter::new(writer),
        }
    }

    /// Writes finished lines, followed by the commands for events. Other runs have already written the
    /// annotations of the `printed` events, so these are not repeated.
    ///
    /// # Errors
    /// The writer failed.
    pub fn replay(&mut self, lines: &str, printed: &[Event], new: &[Event]) -> io::Result<()> {
        for event in printed {
            self.state.apply(event);
        }
        self.repeated = Annotations::from_run(&self.state, &self.context.root);
        for event in new {
            self.state.apply(event);
        }
        if let Some(line) = self.dialect.begin() {
            self.command(&line)?;
        }
        let lines = lines.trim_end_matches('\n');
        let (before, last) = lines.rsplit_once('\n').map_or((None, lines), |(all, last)| (Some(all), last));
        before.map_or(Ok(()), |before| self.write_own(before))?;
        if let Some(line) = self.dialect.conclude() {
            self.command(&line)?;
        }
        self.write_own(last)?;
        self.end()?;
        self.writer.flush()
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        self.writer.write_all(line.as_bytes())?;
        self.writer.write_all(b"\n")
    }

    /// Writes lines of taskgate, which can contain untrusted names.
    fn write_own(&mut self, text: &str) -> io::Result<()> {
        let text = safe(text, self.formatter.lines().keep());
        let text = escape_commands(&text, self.dialect.markers()).into_owned();
        self.line(&text)
    }

    /// Writes lines of a task, in a fence that stays open until the next command.
    fn write_task_output(&mut self, text: &str) -> io::Result<()> {
        if self.fence.is_none()
            && let Some((open, close)) = self.dialect.fence()
        {
            self.line(&open)?;
            self.fence = Some(close);
        }
        let text = escape_commands(text, self.dialect.markers_in_logs()).into_owned();
        self.line(&text)
    }

    fn leave_fence(&mut self) -> io::Result<()> {
        match self.fence.take() {
            Some(close) => self.line(&close),
            None => Ok(()),
        }
    }

    /// Writes a command.
    fn command(&mut self, line: &str) -> io::Result<()> {
        self.leave_fence()?;
        self.line(line)
    }

    fn log(&mut self, printed: &PrintedLog) -> io::Result<()> {
        self.groups += 1;
        let heading = safe(&printed.heading, Keep::Nothing).replace('\n', " ");
        let heading = escape_commands(&heading, self.dialect.markers()).into_owned();
        let start = self.state.run.as_ref().map_or(0, |run| run.started.0);
        let seconds = |millis: u64| (start + millis) / 1000;
        let group = self.dialect.group(&Group {
            heading: &heading,
            is_folded: printed.tone == Tone::Faint,
            number: self.groups,
            span: (seconds(printed.span.0), seconds(printed.span.1)),
        });
        match &group {
            Some((open, _)) => self.command(open)?,
            None => {
                let rule = self.formatter.lines().rule(&heading, printed.tone);
                self.write_own(&rule)?;
            }
        }
        let body = self.formatter.lines().log_body(&printed.log);
        if printed.log.text.is_empty() {
            self.write_own(&body)?;
        } else {
            self.write_task_output(&body)?;
            self.leave_fence()?;
        }
        match &group {
            Some((_, close)) if !close.is_empty() => self.command(close),
            _ => Ok(()),
        }
    }

    fn write_segment(&mut self, part: &Segment) -> io::Result<()> {
        match part {
            Segment::Text(text) => self.write_own(text),
            Segment::Log(printed) => self.log(printed),
            Segment::Streamed { .. } => {
                let text = self.formatter.format_segment(part);
                self.write_task_output(&text)
            }
        }
    }

    /// Writes the commands after the summary lines.
    fn end(&mut self) -> io::Result<()> {
        self.leave_fence()?;
        if let Some((limit, words)) = self.dialect.limit() {
            let mut annotations =
                Annotations::from_run(&self.state, &self.context.root).except(&self.repeated);
            if annotations.known.iter().any(|annotation| annotation.location.is_some()) {
                let changed = self.context.changed.take().and_then(|find| find());
                annotations.sort(changed.as_ref());
            } else {
                annotations.sort(None);
            }
            let (lines, left) =
                annotations.format_first(limit, |annotation| self.dialect.annotation(annotation));
            for line in lines {
                self.command(&line)?;
            }
            if let Some(left) = left.describe() {
                self.write_own(&format!("not annotated: {left}; {words}"))?;
            }
        }
        for line in self.dialect.end(&self.state) {
            self.command(&line)?;
        }
        Ok(())
    }
}

impl<W: Write + Send> Reporter for CiReporter<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.state.apply(event);
        let is_last = matches!(event.what, What::RunFinished(_));
        if matches!(event.what, What::RunStarted(_))
            && let Some(line) = self.dialect.begin()
        {
            self.command(&line)?;
        }
        let parts = self.formatter.parts(event);
        for (i, part) in parts.iter().enumerate() {
            if is_last && i + 1 == parts.len() {
                // The summary lines are not part of a log.
                self.leave_fence()?;
                if let Some(line) = self.dialect.conclude() {
                    self.command(&line)?;
                }
            }
            self.write_segment(part)?;
        }
        if is_last {
            self.end()?;
        }
        // There can be thousands of hits, so they are not flushed one by one.
        let hit = matches!(&event.what, What::TaskFinished(task) if task.attempts == 0);
        if hit { Ok(()) } else { self.writer.flush() }
    }
}
