//! Opens the reporters of a run, as the options say. It must not know what is run.

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
use crate::reporter::busy_line::BusyLine;
use crate::reporter::ci::CiReporter;
use crate::reporter::json::Json;
use crate::reporter::junit::Junit;
use crate::reporter::lines::Lines;
use crate::reporter::plain::Plain;
use crate::reporter::record::RunRecorder;
use crate::reporter::summary::{Mode, SummaryFile};
use crate::reporter::terminal::Terminal;
use crate::reporter::trace::Trace;
use crate::reporter::{Output, Reporter, Reporters};

/// The format of what a run prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Format {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON event per line.
    Json,
}

/// What the caller wants to see, and which reports to write.
#[derive(Args, Clone, Debug, Default)]
pub struct ReporterOptions {
    /// The logs to show
    #[arg(short, long, value_enum, default_value_t, value_name = "WHICH")]
    pub output: Output,
    /// The output format: lines for people on stderr, or one JSON event per line on stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// The CI service to print for [default: the one that runs this process]
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

/// The reporters of one run, shared by all threads that emit events.
#[derive(Clone, Default)]
pub struct SharedReporters {
    reporters: Arc<Mutex<Reporters>>,
    unwritten: Arc<WriteWarning>,
}

/// What messages call the record of a run.
const RECORD: &str = "the run's record";

impl ReporterOptions {
    /// Opens the reporters of a run, which is recorded in `state`.
    ///
    /// # Errors
    /// The folder of a report can't be created.
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
            // The CI reporter may mention a file, which must exist by then.
            Some(ci) => {
                ci.add_files(session, &mut reporters)?;
                reporters.add(self.for_ci(session, &ci)?, "standard error");
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
        let unwritten = WriteWarning::default();
        if let Some(state) = state {
            match Runs::new(state).create(run) {
                Ok(file) => reporters.add(Box::new(RunRecorder::new(file)), RECORD),
                // A missing record does not keep the run from starting.
                Err(error) => unwritten.hold(write_warning(&error)),
            }
        }
        Ok(SharedReporters { reporters: Arc::new(Mutex::new(reporters)), unwritten: Arc::new(unwritten) })
    }

    /// Returns the reporter for a CI service. It writes to one stream, so that the service reads commands and
    /// output in their order.
    fn for_ci(&self, session: &Session, ci: &CiOutput) -> Result<Box<dyn Reporter>, Failure> {
        let (paint, dialect, context) = (session.paint_err(), ci.dialect()?, ci.annotation_context());
        Ok(Box::new(CiReporter::new(std::io::stderr(), paint, self.output, dialect, context)))
    }

    fn for_people(&self, session: &Session) -> Box<dyn Reporter> {
        let paint = session.paint_err();
        if session.is_live() {
            Box::new(Terminal::new(paint, self.output))
        } else {
            Box::new(Plain::new(std::io::stderr(), paint, self.output))
        }
    }
}

impl SharedReporters {
    /// Returns an emitter that sends events to the reporters, with times from `clock`.
    pub fn emitter(&self, clock: &Clock) -> Emitter {
        let reporters = self.clone();
        let shows_lines = self.reporters.lock().unwrap_or_else(PoisonError::into_inner).shows_lines();
        Emitter::new(clock.clone(), Box::new(move |event: &Event| reporters.event(event)))
            .with_write_warning(Arc::clone(&self.unwritten))
            .with_shown_lines(shows_lines)
    }

    fn event(&self, event: &Event) {
        let mut reporters = self.reporters.lock().unwrap_or_else(PoisonError::into_inner);
        reporters.event(event);
        // The record is state, so a full disk does not fail the run.
        if let Some(error) = reporters.take_error(RECORD)
            && self.unwritten.is_first()
        {
            let text =
                format!("state can't be written: {RECORD}: {error}: `xtask log` will not show this run");
            reporters.event(&Event { at: event.at, what: What::Notice { level: Level::Warning, text } });
        }
    }

    /// Returns the first report that could not be written.
    pub fn failure(&self) -> Option<Failure> {
        // The lines before the error are shown even then.
        let _ = std::io::stderr().flush();
        let errors = self.reporters.lock().unwrap_or_else(PoisonError::into_inner).errors();
        let (what, source) = errors.into_iter().next()?;
        Some(Failure::System { attempt: format!("write {what}"), source })
    }
}

/// The reporters for all runs that a gate starts.
pub struct GateReporters<'a> {
    session: &'a Session,
    options: ReporterOptions,
    state: &'a Path,
    opened: RefCell<Vec<SharedReporters>>,
    /// What is shown until there is something to report.
    busy: RefCell<Option<BusyLine>>,
}

impl<'a> GateReporters<'a> {
    /// Returns reporters with the default options.
    pub fn new(session: &'a Session, state: &'a Path) -> Self {
        Self {
            session,
            options: ReporterOptions::default(),
            state,
            opened: RefCell::default(),
            busy: RefCell::default(),
        }
    }

    /// Replaces the options.
    pub fn with_options(self, options: ReporterOptions) -> Self {
        Self { options, ..self }
    }

    /// Shows that a gate looks at a tree, until it has something to report or the returned value is dropped.
    #[must_use]
    pub fn looking_at(&self, what: &str) -> impl Drop + '_ {
        struct Looking<'g>(&'g RefCell<Option<BusyLine>>);
        impl Drop for Looking<'_> {
            fn drop(&mut self) {
                self.0.take();
            }
        }
        self.busy.replace(self.session.busy(&format!("gate: looking at {what}")));
        Looking(&self.busy)
    }

    /// Returns the first report that could not be written.
    pub fn failure(&self) -> Option<Failure> {
        self.opened.borrow().iter().find_map(SharedReporters::failure)
    }
}

impl GateObserver for GateReporters<'_> {
    fn emitter(&self, run: &str, clock: &Clock) -> Emitter {
        self.busy.take();
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
        self.busy.take();
        let lines = Lines { paint: self.session.paint_err(), width: 0 };
        self.session.eprint(&format!("{}\n", lines.notice(Level::Note, text)));
    }
}

/// Returns the path of a report, and creates its folder before the run, so that an error shows at once.
///
/// # Errors
/// The folder can't be created.
pub fn prepare_report_path(session: &Session, path: &Path) -> Result<PathBuf, Failure> {
    let path = session.resolve(path);
    if let Some(folder) = path.parent() {
        make_report_folder(folder)?;
    }
    Ok(path)
}
