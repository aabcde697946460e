//! The voices of a run: which reporters listen to it, by what the caller asked for. It must not know
//! what is run.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::Session;
use crate::cli::args::{Format, RunArgs};
use crate::cli::exit::Failure;
use crate::engine::emitter::Emitter;
use crate::event::Event;
use crate::ground::clock::Clock;
use crate::history::runs::Runs;
use crate::reporter::json::Json;
use crate::reporter::junit::Junit;
use crate::reporter::plain::Plain;
use crate::reporter::record::Record;
use crate::reporter::terminal::Terminal;
use crate::reporter::trace::Trace;
use crate::reporter::{Output, Reporters};

/// What the caller wants to see and to have written.
#[derive(Clone, Debug, Default)]
pub struct Voices {
    /// Which logs are shown.
    pub output: Output,
    /// How events are written.
    pub format: Format,
    /// Where a `JUnit` report goes.
    pub junit: Option<PathBuf>,
    /// Where a trace goes.
    pub trace: Option<PathBuf>,
}

/// The reporters of one run, shared by the threads that emit.
#[derive(Clone, Default)]
pub struct Chorus(Arc<Mutex<Reporters>>);

impl Voices {
    /// Those that the arguments of `run` name.
    pub fn of(args: &RunArgs) -> Self {
        Self {
            output: args.output,
            format: args.format,
            junit: args.junit.clone(),
            trace: args.trace.clone(),
        }
    }

    /// Opens them for a run, which is recorded in `state`.
    ///
    /// # Errors
    /// A report's folder can't be made.
    pub fn open(&self, session: &Session, run: &str, state: Option<&Path>) -> Result<Chorus, Failure> {
        let mut reporters = Reporters::default();
        let paint = session.paint_err();
        let live = session.env.terminal().stderr && session.env.var("TERM").is_none_or(|term| term != "dumb");
        match self.format {
            Format::Json => reporters.add(Box::new(Json::new(std::io::stdout())), "standard output"),
            Format::Human if live => {
                reporters.add(Box::new(Terminal::new(paint, self.output)), "standard error");
            }
            Format::Human => {
                reporters.add(Box::new(Plain::new(std::io::stderr(), paint, self.output)), "standard error");
            }
        }
        if let Some(path) = &self.junit {
            reporters.add(Box::new(Junit::new(report(session, path)?)), "the JUnit report");
        }
        if let Some(path) = &self.trace {
            reporters.add(Box::new(Trace::new(report(session, path)?)), "the trace");
        }
        if let Some(state) = state {
            let runs = Runs::new(state);
            runs.prune();
            match runs.create(run) {
                Ok(file) => reporters.add(Box::new(Record::new(file)), "the run's record"),
                // A run that can't be looked at later is still a run.
                Err(error) => session.tell(&format!("warning: this run leaves no record: {error}\n")),
            }
        }
        Ok(Chorus(Arc::new(Mutex::new(reporters))))
    }
}

impl Chorus {
    /// What emits to them, timed by `clock`.
    pub fn emitter(&self, clock: &Clock) -> Emitter {
        let chorus = self.clone();
        Emitter::new(clock.clone(), Box::new(move |event: &Event| chorus.event(event)))
    }

    fn event(&self, event: &Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).event(event);
    }

    /// The first thing that could not be written.
    pub fn failure(&self) -> Option<Failure> {
        // What could not be written is worth a line even then.
        let _ = std::io::stderr().flush();
        let errors = self.0.lock().unwrap_or_else(PoisonError::into_inner).errors();
        let (what, source) = errors.into_iter().next()?;
        Some(Failure::System { attempt: format!("write {what}"), source })
    }
}

/// A report's path, whose folder is made before the run, so that a mistake shows before the wait.
fn report(session: &Session, path: &Path) -> Result<PathBuf, Failure> {
    let path = session.path(path);
    if let Some(folder) = path.parent() {
        crate::ground::file::make_dir(folder)?;
    }
    Ok(path)
}
