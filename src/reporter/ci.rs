//! The voice of a run in CI: the lines that people read, with what a CI service draws around them. It
//! must not know any service; each is a [`Dialect`].
//!
//! What tasks print is data. A log is fenced where the service has a fence, and in any case loses what
//! the service would read as a command, as do our own lines, in which names and reasons are data too.

use std::io::{self, BufWriter, Write};

use crate::event::{Event, What};
use crate::git::ChangedLines;
use crate::reporter::harmless::{Marker, harmless};
use crate::reporter::human::{Human, Part, Printed};
use crate::reporter::remarks::{Remark, Remarks};
use crate::reporter::story::Story;
use crate::reporter::style::{Paint, Tone};
use crate::reporter::text::{Keep, safe};
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

    /// How many remarks of a grade the service shows, and that in words; `None` if it has no place for
    /// them.
    fn limit(&self) -> Option<(usize, &'static str)> {
        None
    }

    /// A remark; `None` if the service has no place for its grade.
    fn remark(&self, _remark: &Remark) -> Option<String> {
        None
    }

    /// What comes before the last lines of a run.
    fn conclude(&self) -> Option<String> {
        None
    }

    /// What comes behind all else.
    fn end(&self, _story: &Story) -> Vec<String> {
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

/// Where remarks have their places.
#[derive(Default)]
pub struct Site {
    /// The top of the repository.
    pub root: String,
    /// Finds out which lines the branch changes; asked once, if there is a remark.
    pub changed: Option<Box<dyn FnOnce() -> Option<ChangedLines> + Send>>,
}

/// Writes lines for people and commands for a service.
pub struct Ci<W: Write> {
    human: Human,
    dialect: Box<dyn Dialect>,
    site: Site,
    story: Story,
    /// What other voices have remarked on.
    remarked: Remarks,
    /// What closes the fence that is open.
    fence: Option<String>,
    groups: usize,
    writer: BufWriter<W>,
}

impl<W: Write + Send> Ci<W> {
    /// Writes to `writer`.
    pub fn new((writer, paint, output): (W, Paint, Output), dialect: Box<dyn Dialect>, site: Site) -> Self {
        Self {
            human: Human::new(paint, output),
            dialect,
            site,
            story: Story::default(),
            remarked: Remarks::default(),
            fence: None,
            groups: 0,
            writer: BufWriter::new(writer),
        }
    }

    /// Tells of a run in lines that are drawn already, and behind them what the service is to know of its
    /// events: those that other voices have told before, whose remarks are not repeated, and the others.
    ///
    /// # Errors
    /// The writer failed.
    pub fn retell(&mut self, lines: &str, (told, new): (&[Event], &[Event])) -> io::Result<()> {
        for event in told {
            self.story.take(event);
        }
        self.remarked = Remarks::of(&self.story, &self.site.root);
        for event in new {
            self.story.take(event);
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
        let text = safe(text, self.human.lines().keep());
        let text = harmless(&text, self.dialect.markers()).into_owned();
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
        let text = harmless(text, self.dialect.markers_in_logs()).into_owned();
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

    fn log(&mut self, printed: &Printed) -> io::Result<()> {
        self.groups += 1;
        let heading = safe(&printed.heading, Keep::Nothing).replace('\n', " ");
        let heading = harmless(&heading, self.dialect.markers()).into_owned();
        let start = self.story.run.as_ref().map_or(0, |run| run.started.0);
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
                let rule = self.human.lines().rule(&heading, printed.tone);
                self.own(&rule)?;
            }
        }
        let body = self.human.lines().body(&printed.log);
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

    fn part(&mut self, part: &Part) -> io::Result<()> {
        match part {
            Part::Text(text) => self.own(text),
            Part::Log(printed) => self.log(printed),
            Part::Streamed { .. } => {
                let text = self.human.drawn(part);
                self.foreign(&text)
            }
        }
    }

    /// What is said behind the last lines.
    fn end(&mut self) -> io::Result<()> {
        self.leave_fence()?;
        if let Some((limit, words)) = self.dialect.limit() {
            let mut remarks = Remarks::of(&self.story, &self.site.root).beyond(&self.remarked);
            if remarks.known.iter().any(|remark| remark.place.is_some()) {
                let changed = self.site.changed.take().and_then(|find| find());
                remarks.sort(changed.as_ref());
            } else {
                remarks.sort(None);
            }
            let (lines, left) = remarks.shown(limit, |remark| self.dialect.remark(remark));
            for line in lines {
                self.command(&line)?;
            }
            if let Some(left) = left.told() {
                self.own(&format!("not annotated: {left}; {words}"))?;
            }
        }
        for line in self.dialect.end(&self.story) {
            self.command(&line)?;
        }
        Ok(())
    }
}

impl<W: Write + Send> Reporter for Ci<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.story.take(event);
        let is_last = matches!(event.what, What::RunFinished(_));
        if matches!(event.what, What::RunStarted(_))
            && let Some(line) = self.dialect.begin()
        {
            self.command(&line)?;
        }
        let parts = self.human.parts(event);
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
