//! The summary reporter of deploys: writes the result to a file, as Markdown. It must not know which CI service
//! shows it.

use std::io;
use std::path::PathBuf;

use crate::base::units;
use crate::deploy::analysis::{Figures, Verdict};
use crate::deploy::event::{Command, DeployEvent, DeployNews};
use crate::deploy::impact::{Downtime, Impact, MeasuredStep};
use crate::deploy::plan::{Phase, Plan};
use crate::deploy::record::Ending;
use crate::deploy::release::{ReleaseId, Slot};
use crate::deploy::step::{Step, StepOutcome};
use crate::reporter::deploy::DeployReporter;
use crate::reporter::deploy::text::millis;
use crate::reporter::markdown::{cell, code, row, table_header};
use crate::reporter::summary::Mode;

/// How many steps are listed.
const STEPS: usize = 200;
/// The text that replaces what did not fit.
const CUT: &str =
    "\n*The summary is cut here: there is no room for more. `xtask log` shows the whole deploy.*\n";

/// Collects the events of a command on an environment, and writes the file at its end.
pub struct DeploySummary {
    path: PathBuf,
    mode: Mode,
    state: DeployState,
}

/// What is known of a deploy so far.
#[derive(Clone, Debug, Default)]
pub struct DeployState {
    /// The environment.
    pub environment: String,
    /// The command.
    pub command: Option<Command>,
    /// The release that becomes current, and its commit.
    pub release: Option<(ReleaseId, String)>,
    /// Who asked for it.
    pub by: String,
    /// The steps that have ended.
    pub steps: Vec<EndedStep>,
    /// What is not as it should be.
    pub warnings: Vec<String>,
    /// The last event.
    pub end: Option<DeployNews>,
}

/// A step that has ended.
#[derive(Clone, Debug)]
pub struct EndedStep {
    /// What it is part of.
    pub phase: Phase,
    /// The step.
    pub step: Step,
    /// How it ended.
    pub outcome: StepOutcome,
    /// How long it took, in milliseconds.
    pub took: u64,
}

impl DeployState {
    /// Updates the state with the next event. Returns whether it is the last one.
    pub fn apply(&mut self, event: &DeployEvent) -> bool {
        match &event.what {
            DeployNews::CommandStarted { environment, command, .. } => {
                self.environment.clone_from(environment);
                self.command = Some(*command);
            }
            DeployNews::Begun { environment, release, commit, by, .. }
            | DeployNews::TakenOver { environment, release, commit, by, .. } => {
                self.environment.clone_from(environment);
                self.release = Some((release.clone(), commit.clone()));
                self.by.clone_from(by);
            }
            DeployNews::StepEnded { phase, step, outcome, took } => self.steps.push(EndedStep {
                phase: *phase,
                step: step.clone(),
                outcome: outcome.clone(),
                took: *took,
            }),
            DeployNews::Warning { text, .. } => self.warnings.push(text.clone()),
            DeployNews::Ended { .. }
            | DeployNews::Unchanged { .. }
            | DeployNews::Left { .. }
            | DeployNews::Refused { .. }
            | DeployNews::Planned { .. } => {
                self.end = Some(event.what.clone());
                return true;
            }
            DeployNews::Preparing { .. }
            | DeployNews::Waiting { .. }
            | DeployNews::StepStarted { .. }
            | DeployNews::Progress { .. }
            | DeployNews::Measured { .. }
            | DeployNews::Stopping { .. } => {}
        }
        false
    }

    /// Returns the words for the command.
    pub fn command_word(&self) -> &'static str {
        match self.command {
            Some(Command::Rollback) => "rollback",
            Some(Command::Plan | Command::Prepare) => "plan",
            Some(Command::Resume) => "resumed deploy",
            Some(Command::Abort) => "abort",
            Some(Command::Deploy) | None => "deploy",
        }
    }
}

impl DeploySummary {
    /// Creates a reporter that writes to `path`, whose folder exists.
    pub fn new(path: PathBuf, mode: Mode) -> Self {
        Self { path, mode, state: DeployState::default() }
    }
}

impl DeployReporter for DeploySummary {
    fn event(&mut self, event: &DeployEvent) -> io::Result<()> {
        if self.state.apply(event) {
            self.mode.write(&self.path, |room| markdown(&self.state, room))
        } else {
            Ok(())
        }
    }
}

/// Formats a command that has ended in at most `room` bytes; empty if it has not.
pub fn markdown(state: &DeployState, room: usize) -> String {
    let Some(end) = &state.end else { return String::new() };
    let mut sections = vec![heading(state, end)];
    if let DeployNews::Ended { impact, left, next, .. } = end {
        sections.push(remaining(left, &state.warnings, next));
        sections.push(downtime(impact));
        sections.push(judged(&impact.measured));
    } else {
        sections.push(remaining(&[], &state.warnings, ""));
    }
    if let DeployNews::Planned { plan, objections, .. } = end {
        sections.push(planned(plan, objections));
    }
    sections.push(steps(&state.steps));
    let mut text = String::new();
    for section in sections.iter().filter(|section| !section.is_empty()) {
        if text.len() + section.len() + 1 + CUT.len() > room {
            if text.len() + CUT.len() <= room {
                text.push_str(CUT);
            }
            return text;
        }
        text.push_str(section);
        text.push('\n');
    }
    text
}

fn heading(state: &DeployState, end: &DeployNews) -> String {
    let (word, mut facts) = match end {
        DeployNews::Ended { ending, status, serving, took, impact, .. } => {
            let word = match ending {
                Ending::Succeeded => "✅ done",
                Ending::RolledBack if *status == 0 => "✅ went back",
                Ending::RolledBack => "❌ went back",
                Ending::Unchanged => "❌ nothing was changed",
                Ending::NeedsAttention => "❗ needs attention",
            };
            let mut facts = vec![code(serving), format!("took {}", millis(*took))];
            facts.extend(impact.going_back.map(|took| format!("going back took {}", millis(took))));
            (word, facts)
        }
        DeployNews::Unchanged { release } => ("✅ nothing to do", vec![code(&format!("{release} serves"))]),
        DeployNews::Planned { plan, unknown, .. } if unknown.is_empty() => {
            ("📋 plan", vec![format!("plan {}", code(&plan.id))])
        }
        DeployNews::Planned { .. } => ("📋 plan", Vec::new()),
        DeployNews::Left { next } => {
            ("❗ not ended", vec!["what serves is not certain".to_owned(), format!("next: {}", code(next))])
        }
        _ => ("❌ did not begin", vec!["nothing was changed".to_owned()]),
    };
    if let Some((release, commit)) = &state.release {
        facts.push(format!("release {}", code(&release.0)));
        facts.push(format!("commit {}", code(commit)));
        facts.push(format!("by {}", code(&state.by)));
    }
    let command = match end {
        DeployNews::Planned { .. } => String::new(),
        _ => format!("{} ", state.command_word()),
    };
    let mut text = format!("## {} {command}{word}\n\n", code(&state.environment));
    match end {
        DeployNews::Ended { reason, ending, .. } if *ending != Ending::Succeeded => {
            text += &format!("{}\n\n", code(reason));
        }
        DeployNews::Refused { reason, hint, .. } => {
            text += &format!("{}\n\n", code(reason));
            if let Some(hint) = hint {
                text += &format!("Hint: {}\n\n", code(hint));
            }
        }
        _ => {}
    }
    text + &facts.join(" · ") + "\n"
}

fn remaining(left: &[String], warnings: &[String], next: &str) -> String {
    let mut text = String::new();
    for line in left {
        text += &format!("- Left: {}\n", code(line));
    }
    for line in warnings {
        text += &format!("- Warning: {}\n", code(line));
    }
    if !next.is_empty() {
        text += &format!("- Next: {}\n", code(next));
    }
    text
}

fn downtime(impact: &Impact) -> String {
    if impact.downtime.is_empty() {
        return String::new();
    }
    let mut text = format!("### Downtime\n\n{}", table_header(&["role", "host", "did not serve for"]));
    for Downtime { role, host, took, goes_on, is_partial } in &impact.downtime {
        let least = if *is_partial { "at least " } else { "" };
        let still = if *goes_on { ", and is still down" } else { "" };
        text += &row(&[cell(role), cell(host), format!("{least}{}{still}", millis(*took))]);
    }
    text
}

fn judged(measured: &[MeasuredStep]) -> String {
    if measured.is_empty() {
        return String::new();
    }
    let names = ["step", "slot", "requests", "failed", "mean", "p95", "verdict"];
    let mut text = format!("### Requests\n\n{}", table_header(&names));
    for MeasuredStep { step, measurement } in measured {
        for slot in Slot::ALL {
            let verdict = match measurement.verdict {
                _ if slot != measurement.slot => "–",
                Verdict::Good => "✅ good",
                Verdict::Bad => "❌ bad",
                Verdict::Inconclusive => "❔ inconclusive",
            };
            let figures = measurement.figures(slot);
            // The other slot is only shown to compare with.
            if figures.is_none() && slot != measurement.slot {
                continue;
            }
            let figure = |text: &dyn Fn(&Figures) -> String| figures.map_or_else(|| "–".to_owned(), text);
            let time =
                |time: Option<std::time::Duration>| time.map_or_else(|| "–".to_owned(), units::duration);
            text += &row(&[
                cell(&step.to_string()),
                slot.name().to_owned(),
                figure(&|figures| figures.requests.to_string()),
                figure(&|figures| format!("{:.2} %", figures.error_rate())),
                figure(&|figures| time(figures.mean)),
                figure(&|figures| time(figures.p95)),
                verdict.to_owned(),
            ]);
        }
    }
    text
}

fn steps(steps: &[EndedStep]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let mut text = format!("### Steps\n\n{}", table_header(&["phase", "step", "outcome", "took"]));
    for EndedStep { phase, step, outcome, took } in steps.iter().take(STEPS) {
        let outcome = match outcome {
            StepOutcome::Done => "✅ done".to_owned(),
            StepOutcome::Failed { reason } => format!("❌ {}", cell(reason)),
            StepOutcome::Unreachable { host, reason } => {
                format!("❌ {}", cell(&format!("{host} can't be reached: {reason}")))
            }
            StepOutcome::Superseded { .. } => "❌ another deploy has taken over".to_owned(),
            StepOutcome::Interrupted => "■ interrupted".to_owned(),
        };
        text += &row(&[phase.to_string(), cell(&step.to_string()), outcome, millis(*took)]);
    }
    match steps.len().saturating_sub(STEPS) {
        0 => text,
        more => format!("{text}\n*and {more} more*\n"),
    }
}

fn planned(plan: &Plan, objections: &[String]) -> String {
    let mut text = format!("### Steps\n\n{}", table_header(&["phase", "step", "why"]));
    for group in &plan.groups {
        for planned in &group.steps {
            let cells =
                [group.phase.to_string(), cell(&planned.step.to_string()), cell(&planned.reason.to_string())];
            text += &row(&cells);
        }
    }
    text.push('\n');
    for note in &plan.notes {
        text += &format!("- Note: {}\n", code(&note.to_string()));
    }
    for objection in objections {
        text += &format!("- Forbidden: {}\n", code(objection));
    }
    text
}
