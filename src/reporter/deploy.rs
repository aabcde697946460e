//! Formats the events of a deploy: as lines for people, or one JSON object a line. It must not know how a deploy
//! is carried out.

use std::io::{self, Write};
use std::time::Duration;

use crate::base::units;
use crate::deploy::event::{DeployEvent, DeployNews};
use crate::deploy::plan::{Goal, Phase, Plan};
use crate::deploy::record::Ending;
use crate::deploy::step::StepOutcome;
use crate::reporter::run_state::cut;
use crate::reporter::style::{Paint, Tone};

/// The maximum number of characters of a line that a program may have printed.
const LINE: usize = 1000;
/// How many digits of a plan's id are shown to people.
const PLAN_DIGITS: usize = 12;

/// Receives the events of a deploy.
pub trait DeployReporter: Send {
    /// Handles the next event.
    ///
    /// # Errors
    /// The writer failed.
    fn event(&mut self, event: &DeployEvent) -> io::Result<()>;
}

/// Writes lines for people.
pub struct DeployLines<W> {
    writer: W,
    paint: Paint,
    /// The phase of the last line.
    phase: Option<Phase>,
}

impl<W: Write + Send> DeployLines<W> {
    /// Creates a reporter that writes to `writer`.
    pub fn new(writer: W, paint: Paint) -> Self {
        Self { writer, paint, phase: None }
    }

    fn text(&mut self, event: &DeployEvent) -> String {
        let paint = self.paint;
        match &event.what {
            DeployNews::Preparing { what } => paint.tone(Tone::Faint, what) + "\n",
            DeployNews::Planned { environment, plan, unknown, objections } => {
                plan_text(environment, plan, unknown, objections, paint)
            }
            DeployNews::Waiting { reason } => format!("{} {reason}\n", paint.tone(Tone::Odd, "waiting:")),
            DeployNews::Begun { environment, deploy, goal, release, previous, plan, by } => {
                let previous = previous.as_ref().map_or_else(
                    || "nothing was deployed before".to_owned(),
                    |previous| format!("{previous} serves until then"),
                );
                let detail = format!(" · plan {} · deploy {deploy} · by {by}", short(plan));
                format!(
                    "{} {release}, {previous}{}\n",
                    heading(*goal, environment),
                    paint.tone(Tone::Faint, &detail)
                )
            }
            DeployNews::TakenOver { environment, deploy, release, is_aborted, by } => {
                let verb = if *is_aborted { "giving up" } else { "continuing" };
                let detail = format!(" · by {by}");
                format!(
                    "{environment}: {verb} deploy {deploy} of {release}{}\n",
                    paint.tone(Tone::Faint, &detail)
                )
            }
            DeployNews::StepStarted { phase, .. } => self.heading_of(*phase),
            DeployNews::Progress { step, text } => {
                format!("  {} {step}: {}\n", paint.tone(Tone::Faint, "…"), cut(text, LINE))
            }
            DeployNews::StepEnded { phase, step, outcome, took } => {
                let heading = self.heading_of(*phase);
                let (mark, reason) = outcome_text(outcome, paint);
                let took = units::duration(Duration::from_millis(*took));
                let took = paint.tone(Tone::Faint, &took);
                format!("{heading}  {mark} {step}  {took}{}\n", cut(&reason, LINE))
            }
            DeployNews::Warning { text, hint } => {
                let hint =
                    hint.as_ref().map(|hint| format!("{} {hint}\n", paint.tone(Tone::Strong, "hint:")));
                format!(
                    "{} {}\n{}",
                    paint.tone(Tone::Odd, "warning:"),
                    cut(text, LINE),
                    hint.unwrap_or_default()
                )
            }
            DeployNews::Stopping { text } => paint.tone(Tone::Odd, text) + "\n",
            DeployNews::Ended { ending, serving, reason, left, next, took, .. } => {
                let took = units::duration(Duration::from_millis(*took));
                let (mark, tone) = match ending {
                    Ending::Succeeded => ("✓", Tone::Good),
                    Ending::RolledBack | Ending::Unchanged => ("✗", Tone::Bad),
                    Ending::NeedsAttention => ("!", Tone::Bad),
                };
                let word = match ending {
                    Ending::Succeeded => "done",
                    Ending::RolledBack => "went back",
                    Ending::Unchanged => "nothing was changed",
                    Ending::NeedsAttention => "needs attention",
                };
                let mut text =
                    format!("{} {word} after {took}: {}\n", paint.tone(tone, mark), cut(reason, LINE));
                for line in left {
                    text += &format!("  {} {}\n", paint.tone(Tone::Odd, "left:"), cut(line, LINE));
                }
                text += &format!("{}\n", paint.tone(Tone::Strong, serving));
                let next_label = if *ending == Ending::Succeeded { "to go back:" } else { "next:" };
                text += &format!("{} {next}\n", paint.tone(Tone::Strong, next_label));
                text
            }
            DeployNews::Unchanged { release } => {
                let mark = paint.tone(Tone::Good, "✓");
                let serving = paint.tone(Tone::Strong, &format!("{release} serves"));
                format!("{mark} nothing to do: it is current already\n{serving}\n")
            }
            DeployNews::Left { next } => format!(
                "{} the deploy has not ended, and what serves is not certain\n{} {next}\n",
                paint.tone(Tone::Bad, "left:"),
                paint.tone(Tone::Strong, "next:")
            ),
        }
    }

    /// Returns the line that begins a phase, if the last line belongs to another one.
    fn heading_of(&mut self, phase: Phase) -> String {
        if self.phase.replace(phase) == Some(phase) {
            return String::new();
        }
        format!("{}\n", self.paint.tone(Tone::Strong, &phase.to_string()))
    }
}

impl<W: Write + Send> DeployReporter for DeployLines<W> {
    fn event(&mut self, event: &DeployEvent) -> io::Result<()> {
        let text = self.text(event);
        self.writer.write_all(text.as_bytes())?;
        self.writer.flush()
    }
}

/// Writes each event as a line of JSON.
pub struct DeployJson<W>(W);

impl<W: Write + Send> DeployJson<W> {
    /// Creates a reporter that writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self(writer)
    }
}

impl<W: Write + Send> DeployReporter for DeployJson<W> {
    fn event(&mut self, event: &DeployEvent) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        self.0.flush()
    }
}

/// Formats a plan, with the way back and what policy has against it.
pub fn plan_text(
    environment: &str,
    plan: &Plan,
    unknown: &[String],
    objections: &[String],
    paint: Paint,
) -> String {
    let mut text = match (unknown, &plan.previous) {
        ([], Some(previous)) => {
            format!("{} {}, {previous} serves until then\n", heading(plan.goal, environment), plan.release)
        }
        ([], None) => format!("{} {}, nothing serves yet\n", heading(plan.goal, environment), plan.release),
        (unknown, _) => format!(
            "{} a new release; its id is not known before these artifacts are built: {}\n",
            heading(plan.goal, environment),
            unknown.join(", ")
        ),
    };
    let line = |step: &dyn std::fmt::Display, reason: &dyn std::fmt::Display| {
        format!("  {step}  {}\n", paint.tone(Tone::Faint, &reason.to_string()))
    };
    for group in &plan.groups {
        text += &format!("{}\n", paint.tone(Tone::Strong, &group.phase.to_string()));
        for step in &group.steps {
            text += &line(&step.step, &step.reason);
        }
    }
    let undo: Vec<_> = plan.undo.iter().flat_map(|group| &group.steps).collect();
    if !undo.is_empty() {
        text += &format!("{}\n", paint.tone(Tone::Strong, "the way back, if a step before the commit fails"));
        for step in undo {
            text += &line(&step.step, &step.reason);
        }
    }
    for note in &plan.notes {
        text += &format!("{} {note}\n", paint.tone(Tone::Strong, "note:"));
    }
    for objection in objections {
        text += &format!("{} {objection}\n", paint.tone(Tone::Bad, "forbidden:"));
    }
    if unknown.is_empty() {
        text += &format!("plan {}\n", plan.id);
    }
    text
}

fn heading(goal: Goal, environment: &str) -> String {
    match goal {
        Goal::Deploy => format!("{environment}: deploy"),
        Goal::Rollback => format!("{environment}: roll back to"),
        Goal::Adopt => format!("{environment}: adopt as"),
    }
}

/// Returns the mark of a step that has ended, and why it ended so.
fn outcome_text(outcome: &StepOutcome, paint: Paint) -> (String, String) {
    match outcome {
        StepOutcome::Done => (paint.tone(Tone::Good, "✓"), String::new()),
        StepOutcome::Failed { reason } => (paint.tone(Tone::Bad, "✗"), format!("  {reason}")),
        StepOutcome::Unreachable { host, reason } => {
            (paint.tone(Tone::Bad, "✗"), format!("  {host} can't be reached: {reason}"))
        }
        StepOutcome::Superseded { by } => {
            let by = by.as_deref().unwrap_or("another deploy");
            (paint.tone(Tone::Bad, "✗"), format!("  refused: {by} has taken over"))
        }
        StepOutcome::Interrupted => (paint.tone(Tone::Odd, "■"), "  interrupted".to_owned()),
    }
}

fn short(plan: &str) -> &str {
    plan.get(..PLAN_DIGITS).unwrap_or(plan)
}
