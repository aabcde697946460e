//! `xtask sonar`: prints the status of a `SonarQube` server's quality gate, as a report for one of our gates.
//! It must not judge it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::base::{file, units};
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::sonar_client::{ReportTask, Server, TOKEN};

/// Arguments of `sonar`.
#[derive(Args, Debug, Clone)]
pub struct SonarArgs {
    /// The file that the scanner wrote
    #[arg(value_name = "FILE", default_value = ".scannerwork/report-task.txt")]
    pub report_task: PathBuf,
    /// How long the server may take to process the analysis
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = units::parse_duration)]
    pub timeout: Duration,
}

/// Prints the answer of the server, when there is one.
///
/// # Errors
/// The file is missing, or the server did not answer.
pub fn run(session: &Session, args: &SonarArgs) -> Result<End, Failure> {
    let path = session.resolve(&args.report_task);
    let Some(bytes) = file::read(&path)? else {
        return Err(Failure::Usage {
            text: format!("there is no {}", args.report_task.display()),
            hint: Some("run the scanner first: it writes this file".to_owned()),
        });
    };
    let name = args.report_task.display().to_string();
    let of = ReportTask::parse(&name, &String::from_utf8_lossy(&bytes))?;
    let token = session.env.var(TOKEN).and_then(|token| token.to_str());
    let answer = Server { token, clock: &session.clock, timeout: args.timeout }.status(&of)?;
    session.print(&format!("{}\n", answer.trim_end()))?;
    Ok(End::Passed)
}
