//! The output of a deploy in CI: lines for people, and an annotation for what failed. It must not know any
//! service; each is a [`Dialect`].

use std::io::{self, Write};

use ci_reports::facts::Severity;

use crate::deploy::event::{DeployEvent, DeployNews};
use crate::deploy::step::StepOutcome;
use crate::reporter::ci::Dialect;
use crate::reporter::ci::annotations::{Annotation, Grade, Subject};
use crate::reporter::ci::escape_commands::escape_commands;
use crate::reporter::deploy::DeployReporter;
use crate::reporter::deploy::summary::DeployState;
use crate::reporter::deploy::text::{DeployText, Shows, ending_text};
use crate::reporter::run_state::RunState;
use crate::reporter::style::Paint;

/// Writes lines for people and commands for a CI service.
pub struct DeployCi<W> {
    writer: W,
    text: DeployText,
    dialect: Box<dyn Dialect>,
    state: DeployState,
}

impl<W: Write + Send> DeployCi<W> {
    /// Creates a reporter that writes to `writer`.
    pub fn new(writer: W, paint: Paint, shows: Shows, dialect: Box<dyn Dialect>) -> Self {
        Self { writer, text: DeployText::new(paint, shows), dialect, state: DeployState::default() }
    }
}

impl<W: Write + Send> DeployReporter for DeployCi<W> {
    fn event(&mut self, event: &DeployEvent) -> io::Result<()> {
        let is_last = self.state.apply(event);
        let mut text = String::new();
        if matches!(event.what, DeployNews::Ended { .. })
            && let Some(line) = self.dialect.conclude()
        {
            text += &format!("{line}\n");
        }
        text += &escape_commands(&self.text.text(event), self.dialect.markers());
        if is_last {
            let annotation = annotation(&self.state);
            for line in annotation.iter().filter_map(|annotation| self.dialect.annotation(annotation)) {
                text += &format!("{line}\n");
            }
            for line in self.dialect.end(&RunState::default()) {
                text += &format!("{line}\n");
            }
        }
        self.writer.write_all(text.as_bytes())?;
        self.writer.flush()
    }
}

/// Returns the annotation for a deploy that has ended: what failed, or what needs attention.
fn annotation(state: &DeployState) -> Option<Annotation> {
    let environment = &state.environment;
    let what = match &state.release {
        Some((release, _)) => format!("{environment}: {} of {release}", state.command_word()),
        None => format!("{environment}: {}", state.command_word()),
    };
    let (title, text) = match state.end.as_ref()? {
        DeployNews::Ended { status: 0, .. } => return None,
        DeployNews::Ended { ending, status, reason, serving, next, left, .. } => {
            let mut lines = vec![reason.clone()];
            let failed = state.steps.iter().filter(|step| !matches!(step.outcome, StepOutcome::Done));
            lines.extend(failed.map(|step| format!("failed: {}", step.step)));
            lines.extend(left.iter().map(|line| format!("left: {line}")));
            lines.push(format!("{environment}: {serving}"));
            lines.push(format!("next: {next}"));
            (format!("{what}: {}", ending_text(*ending, *status).2), lines.join("\n"))
        }
        DeployNews::Refused { reason, hint, .. } => {
            let hint = hint.as_ref().map(|hint| format!("\nhint: {hint}"));
            (format!("{what} did not begin"), format!("{reason}{}", hint.unwrap_or_default()))
        }
        DeployNews::Left { next } => {
            (format!("{what} has not ended"), format!("what serves is not certain\nnext: {next}"))
        }
        _ => return None,
    };
    Some(Annotation {
        grade: Grade::Error,
        severity: Severity::High,
        about: Subject::Task,
        location: None,
        check: "deploy".to_owned(),
        title,
        text,
    })
}
