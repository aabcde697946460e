//! The voices of a run: which reporters listen to it, by what the caller asked for. It must not know
//! what is run.

use std::cell::RefCell;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, ValueEnum};

use crate::base::clock::Clock;
use crate::cli::ci::service::{CiChoice, CiOutput, make_report_folder};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::engine::run::emitter::{Emitter, WriteWarning, write_warning};
use crate::event::{Event, Level, What};
use crate::gate::context::GateObserver;
use crate::history::runs::Runs;
use crate::reporter::ci::Ci as CiVoice;
use crate::reporter::json::Json;
use crate::reporter::junit::Junit;
use crate::reporter::lines::Lines;
use crate::reporter::plain::Plain;
use crate::reporter::record::Record;
use crate::reporter::summary::{Mode, SummaryFile};
use crate::reporter::terminal::Terminal;
use crate::reporter::trace::Trace;
use crate::reporter::{Output, Reporter, Reporters};

/// How to write what happens in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Format {
    /// Lines for people.
    #[default]
    Human,
    /// One event a line.
    Json,
}

/// What the caller wants to see and to have written.
#[derive(Args, Clone, Debug, Default)]
pub struct ReporterOptions {
    /// Which logs to show
    #[arg(short, long, value_enum, default_value_t, value_name = "WHICH")]
    pub output: Output,
    /// How to write what happens: lines for people on stderr, or an event a line on stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// For which CI service to write it [default: the one that this runs in]
    #[arg(long, value_enum, default_value = "auto", hide_default_value = true, value_name = "SERVICE")]
    pub ci: CiChoice,
    /// Write a `JUnit` report
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write a trace that Chrome and Perfetto open
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Write a summary in Markdown
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
}

/// The reporters of one run, shared by the threads that emit.
#[derive(Clone, Default)]
pub struct SharedReporters {
    reporters: Arc<Mutex<Reporters>>,
    unwritten: Arc<WriteWarning>,
}

/// What errors call the record of a run.
const RECORD: &str = "the run's record";

impl ReporterOptions {
    /// Opens them for a run, which is recorded in `state`.
    ///
    /// # Errors
    /// A report's folder can't be made.
    pub fn open(
        &self,
        session: &Session,
        run: &str,
        state: Option<&Path>,
    ) -> Result<SharedReporters, Failure> {
        let mut reporters = Reporters::default();
        let is_json = self.format == Format::Json;
        if is_json {
            reporters.add(Box::new(Json::new(std::io::stdout())), "standard output");
        }
        match self.ci.output(session, is_json)? {
            // The voice may name a file, which is to be there by then.
            Some(spoken) => {
                spoken.add_files(session, &mut reporters)?;
                reporters.add(self.for_ci(session, &spoken)?, "standard error");
            }
            None if is_json => {}
            None => reporters.add(self.for_people(session), "standard error"),
        }
        if let Some(path) = &self.summary {
            let summary = SummaryFile::new(prepare_report_path(session, path)?, Mode::Replace);
            reporters.add(Box::new(summary), "the summary");
        }
        if let Some(path) = &self.junit {
            reporters.add(Box::new(Junit::new(prepare_report_path(session, path)?)), "the JUnit report");
        }
        if let Some(path) = &self.trace {
            reporters.add(Box::new(Trace::new(prepare_report_path(session, path)?)), "the trace");
        }
        let trouble = WriteWarning::default();
        if let Some(state) = state {
            let runs = Runs::new(state);
            runs.prune();
            match runs.create(run) {
                Ok(file) => reporters.add(Box::new(Record::new(file)), RECORD),
                // A run that can't be looked at later is still a run.
                Err(error) => trouble.hold(write_warning(&error)),
            }
        }
        Ok(SharedReporters { reporters: Arc::new(Mutex::new(reporters)), unwritten: Arc::new(trouble) })
    }

    /// Commands for a CI service are read from both streams; in one they keep their order.
    fn for_ci(&self, session: &Session, spoken: &CiOutput) -> Result<Box<dyn Reporter>, Failure> {
        let to = (std::io::stderr(), session.paint_err(), self.output);
        Ok(Box::new(CiVoice::new(to, spoken.dialect()?, spoken.site())))
    }

    fn for_people(&self, session: &Session) -> Box<dyn Reporter> {
        let paint = session.paint_err();
        let live = session.env.terminal().stderr && session.env.var("TERM").is_none_or(|term| term != "dumb");
        if live {
            Box::new(Terminal::new(paint, self.output))
        } else {
            Box::new(Plain::new(std::io::stderr(), paint, self.output))
        }
    }
}

impl SharedReporters {
    /// What emits to them, timed by `clock`.
    pub fn emitter(&self, clock: &Clock) -> Emitter {
        let reporters = self.clone();
        let shows_lines = self.reporters.lock().unwrap_or_else(PoisonError::into_inner).shows_lines();
        Emitter::new(clock.clone(), Box::new(move |event: &Event| reporters.event(event)))
            .sharing(Arc::clone(&self.unwritten))
            .showing_lines(shows_lines)
    }

    fn event(&self, event: &Event) {
        let mut reporters = self.reporters.lock().unwrap_or_else(PoisonError::into_inner);
        reporters.event(event);
        // The record is state: that the disk is full at its last line does not fail the run.
        if let Some(error) = reporters.take_error(RECORD)
            && self.unwritten.is_first()
        {
            let text = format!("state can't be written: {RECORD}: {error}: `xtask log` will lack this run");
            reporters.event(&Event { at: event.at, what: What::Notice { level: Level::Warning, text } });
        }
    }

    /// The first thing that could not be written.
    pub fn failure(&self) -> Option<Failure> {
        // What could not be written is worth a line even then.
        let _ = std::io::stderr().flush();
        let errors = self.reporters.lock().unwrap_or_else(PoisonError::into_inner).errors();
        let (what, source) = errors.into_iter().next()?;
        Some(Failure::System { attempt: format!("write {what}"), source })
    }
}

/// What listens to the runs of a gate, and to what it says besides.
pub struct GateReporters<'a> {
    session: &'a Session,
    options: ReporterOptions,
    state: &'a Path,
    opened: RefCell<Vec<SharedReporters>>,
}

impl<'a> GateReporters<'a> {
    /// One with the usual voices.
    pub fn new(session: &'a Session, state: &'a Path) -> Self {
        Self { session, options: ReporterOptions::default(), state, opened: RefCell::default() }
    }

    /// One with these voices.
    pub fn with_options(self, options: ReporterOptions) -> Self {
        Self { options, ..self }
    }

    /// The first thing that could not be written.
    pub fn failure(&self) -> Option<Failure> {
        self.opened.borrow().iter().find_map(SharedReporters::failure)
    }
}

impl GateObserver for GateReporters<'_> {
    fn emitter(&self, run: &str, clock: &Clock) -> Emitter {
        let reporters = match self.options.open(self.session, run, Some(self.state)) {
            Ok(reporters) => reporters,
            Err(failure) => {
                self.note(&failure.to_string());
                SharedReporters::default()
            }
        };
        self.opened.borrow_mut().push(reporters.clone());
        reporters.emitter(clock)
    }

    fn note(&self, text: &str) {
        let lines = Lines { paint: self.session.paint_err(), width: 0 };
        self.session.eprint(&format!("{}\n", lines.notice(Level::Note, text)));
    }
}

/// A report's path, whose folder is made before the run, so that a mistake shows before the wait.
///
/// # Errors
/// The folder can't be made.
pub fn prepare_report_path(session: &Session, path: &Path) -> Result<PathBuf, Failure> {
    let path = session.resolve(path);
    if let Some(folder) = path.parent() {
        make_report_folder(folder)?;
    }
    Ok(path)
}
