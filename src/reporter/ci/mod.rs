//! The output of a run in CI: the lines that people read, and the commands that a CI service reads. It
//! must not know any service; each is a [`Dialect`].
//!
//! [`CiReporter`] below writes both; [`github`], [`gitlab`], [`azure`] and [`buildkite`] are the
//! dialects. [`annotations`] decides what is annotated and in which order. What tasks print is data:
//! [`escape_commands`] changes what the service would read as a command.

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

/// How a CI service is spoken to.
pub trait Dialect: Send {
    /// What the service looks for in our own lines.
    fn markers(&self) -> &'static [Marker];

    /// What it looks for in a log, within the fence if there is one.
    fn markers_in_logs(&self) -> &'static [Marker] {
        self.markers()
    }

    /// What comes before all else.
    fn begin(&self) -> Option<String> {
        None
    }

    /// What comes before a log and behind it; `None` if its heading is drawn as everywhere.
    fn group(&self, group: &Group<'_>) -> Option<(String, String)>;

    /// What opens and closes a fence, another one each time.
    fn fence(&mut self) -> Option<(String, String)> {
        None
    }

    /// How many annotations of a grade the service shows, and that in words; `None` if it has no place for
    /// them.
    fn limit(&self) -> Option<(usize, &'static str)> {
        None
    }

    /// A annotation; `None` if the service has no place for its grade.
    fn annotation(&self, _remark: &Annotation) -> Option<String> {
        None
    }

    /// What comes before the last lines of a run.
    fn conclude(&self) -> Option<String> {
        None
    }

    /// What comes behind all else.
    fn end(&self, _story: &RunState) -> Vec<String> {
        Vec::new()
    }
}

/// A log that the service may fold.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// Its heading, harmless.
    pub heading: &'a str,
    /// Whether it needs no look.
    pub is_folded: bool,
    /// Which of the run it is, from 1.
    pub number: usize,
    /// When it began and ended, in seconds since 1970.
    pub span: (u64, u64),
}

/// Where annotations have their places.
#[derive(Default)]
pub struct AnnotationContext {
    /// The top of the repository.
    pub root: String,
    /// Finds out which lines the branch changes; asked once, if there is a annotation.
    pub changed: Option<Box<dyn FnOnce() -> Option<ChangedLines> + Send>>,
}

/// Writes lines for people and commands for a service.
pub struct CiReporter<W: Write> {
    formatter: TextFormatter,
    dialect: Box<dyn Dialect>,
    context: AnnotationContext,
    state: RunState,
    /// What other voices have known_before on.
    known_before: Annotations,
    /// What closes the fence that is open.
    fence: Option<String>,
    groups: usize,
    writer: BufWriter<W>,
}

impl<W: Write + Send> CiReporter<W> {
    /// Writes to `writer`.
    pub fn new(
        (writer, paint, output): (W, Paint, Output),
        dialect: Box<dyn Dialect>,
        context: AnnotationContext,
    ) -> Self {
        Self {
            formatter: TextFormatter::new(paint, output),
            dialect,
            context,
            state: RunState::default(),
            known_before: Annotations::default(),
            fence: None,
            groups: 0,
            writer: BufWriter::new(writer),
        }
    }

    /// Tells of a run in lines that are drawn already, and behind them what the service is to know of its
    /// events: those that other voices have told before, whose annotations are not repeated, and the others.
    ///
    /// # Errors
    /// The writer failed.
    pub fn replay(&mut self, lines: &str, (told, new): (&[Event], &[Event])) -> io::Result<()> {
        for event in told {
            self.state.take(event);
        }
        self.known_before = Annotations::of(&self.state, &self.context.root);
        for event in new {
            self.state.take(event);
        }
        if let Some(line) = self.dialect.begin() {
            self.command(&line)?;
        }
        let lines = lines.trim_end_matches('\n');
        let (before, last) = lines.rsplit_once('\n').map_or((None, lines), |(all, last)| (Some(all), last));
        before.map_or(Ok(()), |before| self.own(before))?;
        if let Some(line) = self.dialect.conclude() {
            self.command(&line)?;
        }
        self.own(last)?;
        self.end()?;
        self.writer.flush()
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        self.writer.write_all(line.as_bytes())?;
        self.writer.write_all(b"\n")
    }

    /// Our own lines, in which there may be anybody's names.
    fn own(&mut self, text: &str) -> io::Result<()> {
        let text = safe(text, self.formatter.lines().keep());
        let text = escape_commands(&text, self.dialect.markers()).into_owned();
        self.line(&text)
    }

    /// Lines of a task, fenced until the next command.
    fn foreign(&mut self, text: &str) -> io::Result<()> {
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

    /// A line for the service.
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
                self.own(&rule)?;
            }
        }
        let body = self.formatter.lines().body(&printed.log);
        if printed.log.text.is_empty() {
            self.own(&body)?;
        } else {
            self.foreign(&body)?;
            self.leave_fence()?;
        }
        match &group {
            Some((_, close)) if !close.is_empty() => self.command(close),
            _ => Ok(()),
        }
    }

    fn part(&mut self, part: &Segment) -> io::Result<()> {
        match part {
            Segment::Text(text) => self.own(text),
            Segment::Log(printed) => self.log(printed),
            Segment::Streamed { .. } => {
                let text = self.formatter.drawn(part);
                self.foreign(&text)
            }
        }
    }

    /// What is said behind the last lines.
    fn end(&mut self) -> io::Result<()> {
        self.leave_fence()?;
        if let Some((limit, words)) = self.dialect.limit() {
            let mut annotations = Annotations::of(&self.state, &self.context.root).beyond(&self.known_before);
            if annotations.known.iter().any(|annotation| annotation.place.is_some()) {
                let changed = self.context.changed.take().and_then(|find| find());
                annotations.sort(changed.as_ref());
            } else {
                annotations.sort(None);
            }
            let (lines, left) = annotations.shown(limit, |annotation| self.dialect.annotation(annotation));
            for line in lines {
                self.command(&line)?;
            }
            if let Some(left) = left.told() {
                self.own(&format!("not annotated: {left}; {words}"))?;
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
        self.state.take(event);
        let is_last = matches!(event.what, What::RunFinished(_));
        if matches!(event.what, What::RunStarted(_))
            && let Some(line) = self.dialect.begin()
        {
            self.command(&line)?;
        }
        let parts = self.formatter.parts(event);
        for (i, part) in parts.iter().enumerate() {
            if is_last && i + 1 == parts.len() {
                // What follows is short; it stands outside of any log.
                self.leave_fence()?;
                if let Some(line) = self.dialect.conclude() {
                    self.command(&line)?;
                }
            }
            self.part(part)?;
        }
        if is_last {
            self.end()?;
        }
        // A thousand hits need no thousand writes.
        let hit = matches!(&event.what, What::TaskFinished(task) if task.attempts == 0);
        if hit { Ok(()) } else { self.writer.flush() }
    }
}
