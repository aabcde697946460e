//! Opens the reporters of a command on an environment. It must not know what the command does.

use std::io;
use std::path::Path;

use crate::cli::ci::service::CiChoice;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::deploy::event::{Command, DeployNews};
use crate::history::deploys::DeployRecords;
use crate::history::runs;
use crate::reporter::deploy::ci::DeployCi;
use crate::reporter::deploy::json::DeployJson;
use crate::reporter::deploy::lines::DeployLines;
use crate::reporter::deploy::record::DeployRecorder;
use crate::reporter::deploy::terminal::DeployTerminal;
use crate::reporter::deploy::text::Shows;
use crate::reporter::deploy::{DeployReporter, DeployReporters};

/// Makes ids of deploys differ from those of runs that start in the same millisecond.
const ID_OFFSET: u32 = 1 << 31;

/// Where the events of a command are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// As lines on standard error.
    Progress,
    /// As lines on standard output, since they are the result.
    Result,
    /// As JSON on standard output.
    Json,
}

/// What decides which reporters a command has.
#[derive(Clone, Copy, Debug)]
pub struct DeployReporterOptions<'a> {
    /// Where its events are printed.
    pub shown: Shown,
    /// The command.
    pub command: Command,
    /// The environment.
    pub environment: &'a str,
}

/// The reporters of a command.
pub struct OpenedReporters {
    /// The reporters.
    pub reporters: DeployReporters,
    /// The id of the record.
    pub id: String,
    /// What could not be opened. That never keeps a deploy from beginning.
    pub warnings: Vec<DeployNews>,
}

impl DeployReporterOptions<'_> {
    /// Opens the reporters. The command is recorded in `state`.
    ///
    /// # Errors
    /// The operating system has no random bytes.
    pub fn open(&self, session: &Session, state: &Path) -> Result<OpenedReporters, Failure> {
        let mut reporters = DeployReporters::default();
        let mut warnings = Vec::new();
        match self.shown {
            Shown::Json => reporters.add(Box::new(DeployJson::new(io::stdout())), "standard output"),
            Shown::Result => {
                let lines = DeployLines::new(io::stdout(), session.paint_out(), Shows::Output);
                reporters.add(Box::new(lines), "standard output");
            }
            Shown::Progress => {}
        }
        match CiChoice::Auto.output(session, self.shown == Shown::Json)? {
            Some(ci) => {
                match ci.deploy_summary() {
                    Ok(summary) => {
                        if let Some(summary) = summary {
                            reporters.add(Box::new(summary), "the summary");
                        }
                    }
                    Err(error) => warnings.push(warning(&format!("there will be no summary: {error}"))),
                }
                if self.shown == Shown::Progress {
                    let (paint, dialect) = (session.paint_err(), ci.deploy_dialect()?);
                    let lines = DeployCi::new(io::stderr(), paint, Shows::Output, dialect);
                    reporters.add(Box::new(lines), "standard error");
                }
            }
            None if self.shown == Shown::Progress => {
                reporters.add(for_people(session), "standard error");
            }
            None => {}
        }
        let id = runs::new_id(session.clock.now(), std::process::id() ^ ID_OFFSET);
        // What only shows a plan changes nothing anywhere.
        if !matches!(self.command, Command::Plan | Command::Prepare) {
            let records = DeployRecords::new(state);
            records.prune();
            match records.create(&id) {
                Ok(file) => {
                    let name = "the deploy's record, which `xtask log` shows,";
                    reporters.add(Box::new(DeployRecorder::new(file)), name);
                }
                Err(error) => {
                    warnings.push(warning(&format!("`xtask log` will not show this deploy: {error}")));
                }
            }
        }
        Ok(OpenedReporters { reporters, id, warnings })
    }
}

fn for_people(session: &Session) -> Box<dyn DeployReporter> {
    let paint = session.paint_err();
    let is_live = session.env.terminal().stderr && session.env.var("TERM").is_none_or(|term| term != "dumb");
    if is_live {
        Box::new(DeployTerminal::new(paint, session.clock.clone()))
    } else {
        Box::new(DeployLines::new(io::stderr(), paint, Shows::Output))
    }
}

fn warning(text: &str) -> DeployNews {
    DeployNews::Warning { text: text.to_owned(), hint: None }
}
