//! Decides what people see of each event of a deploy, and formats it. It must not know where the text is shown.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::text::count;
use crate::base::units;
use crate::deploy::analysis::Verdict;
use crate::deploy::event::{DeployEvent, DeployNews};
use crate::deploy::impact::{Downtime, Impact};
use crate::deploy::plan::{Goal, Phase, Plan};
use crate::deploy::record::Ending;
use crate::deploy::step::{Step, StepOutcome};
use crate::reporter::run_state::cut;
use crate::reporter::style::{Paint, Tone};
use crate::reporter::text::{Keep, safe};

/// The maximum number of characters of a line that a program may have printed.
const LINE: usize = 1000;
/// How many digits of a plan's id are shown to people.
const PLAN_DIGITS: usize = 12;
/// How many milliseconds a step waits before it gets another line. The executor repeats its news after 30
/// seconds, and must not be a little too early.
const LINE_INTERVAL: u64 = 29_000;

/// Which events have lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shows {
    /// All but those that say what the caller prints itself: why the command could not begin.
    Output,
    /// Those that a live view does not show better.
    AboveView,
    /// All, since the deploy is over.
    Record,
}

/// Formats the events of a deploy, one after the other.
pub struct DeployText {
    paint: Paint,
    shows: Shows,
    /// The phase of the last line.
    phase: Option<Phase>,
    /// The environment of the command.
    environment: Option<String>,
    /// The steps that are carried out.
    running: BTreeMap<String, Running>,
}

/// A step that is carried out.
struct Running {
    started: u64,
    /// How long it takes, or may take.
    up_to: Option<u64>,
    /// When it last had a line.
    shown: u64,
    /// The last judgement of a slot's traffic.
    judged: Option<(Verdict, String)>,
}

impl DeployText {
    /// Starts with the first event.
    pub fn new(paint: Paint, shows: Shows) -> Self {
        Self { paint, shows, phase: None, environment: None, running: BTreeMap::new() }
    }

    /// Returns the lines for an event, each with its end; empty if it has none.
    pub fn text(&mut self, event: &DeployEvent) -> String {
        let text = self.lines(event);
        // What hosts and programs say must not control the terminal.
        let keep = if self.paint.is_colored() { Keep::Colors } else { Keep::Nothing };
        safe(&text, keep).into_owned()
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each event")]
    fn lines(&mut self, event: &DeployEvent) -> String {
        let paint = self.paint;
        match &event.what {
            DeployNews::CommandStarted { environment, .. } => {
                self.environment = Some(environment.clone());
                String::new()
            }
            DeployNews::Preparing { what } => paint.tone(Tone::Faint, what) + "\n",
            DeployNews::Planned { environment, plan, unknown, objections } => {
                plan_text(environment, plan, unknown, objections, paint)
            }
            DeployNews::Waiting { reason } => format!("{} {reason}\n", paint.tone(Tone::Odd, "waiting:")),
            DeployNews::Begun { environment, deploy, goal, release, previous, plan, by, .. } => {
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
            DeployNews::TakenOver { environment, deploy, release, is_aborted, by, .. } => {
                let verb = if *is_aborted { "giving up" } else { "continuing" };
                let detail = format!(" · by {by}");
                format!(
                    "{environment}: {verb} deploy {deploy} of {release}{}\n",
                    paint.tone(Tone::Faint, &detail)
                )
            }
            DeployNews::StepStarted { phase, step, up_to, .. } => {
                let running = Running { started: event.at, up_to: *up_to, shown: event.at, judged: None };
                self.running.insert(step.to_string(), running);
                self.heading_of(*phase)
            }
            DeployNews::Progress { step, text } => self.progress(event.at, step, text),
            DeployNews::Measured { step, measurement } => {
                if let Some(running) = self.running.get_mut(&step.to_string()) {
                    running.judged = Some((measurement.verdict, measurement.reason.clone()));
                }
                self.progress(event.at, step, &measurement.reason)
            }
            DeployNews::StepEnded { phase, step, outcome, took } => {
                let heading = self.heading_of(*phase);
                let (mark, reason) = outcome_text(outcome, paint);
                let judged = self.running.remove(&step.to_string()).and_then(|running| running.judged);
                // The reason of a failure has the figures already.
                let judged = judged.filter(|_| *outcome == StepOutcome::Done).map(|(verdict, reason)| {
                    let tone = if verdict == Verdict::Good { Tone::Faint } else { Tone::Odd };
                    format!("  {}", paint.tone(tone, &one_line(&reason)))
                });
                let took = paint.tone(Tone::Faint, &millis(*took));
                format!(
                    "{heading}  {mark} {step}  {took}{}{}\n",
                    one_line(&reason),
                    judged.unwrap_or_default()
                )
            }
            DeployNews::Warning { text, hint } => {
                let hint =
                    hint.as_ref().map(|hint| format!("{} {hint}\n", paint.tone(Tone::Strong, "hint:")));
                format!(
                    "{} {}\n{}",
                    paint.tone(Tone::Odd, "warning:"),
                    one_line(text),
                    hint.unwrap_or_default()
                )
            }
            DeployNews::Stopping { text } => paint.tone(Tone::Odd, text) + "\n",
            DeployNews::Ended {
                status,
                environment,
                ending,
                serving,
                release: _,
                reason,
                left,
                next,
                took,
                impact,
            } => {
                let took = millis(*took);
                let (mark, tone, word) = ending_text(*ending, *status);
                let mut text =
                    format!("{} {word} after {took}: {}\n", paint.tone(tone, mark), one_line(reason));
                for line in impact_lines(impact) {
                    text += &format!("  {}\n", paint.tone(Tone::Faint, &line));
                }
                for line in left {
                    text += &format!("  {} {}\n", paint.tone(Tone::Odd, "left:"), one_line(line));
                }
                text += &format!("{}\n", paint.tone(Tone::Strong, &format!("{environment}: {serving}")));
                let is_way_back = next.starts_with("xtask rollback");
                let next_label = if is_way_back { "to go back:" } else { "next:" };
                text += &format!("{} {next}\n", paint.tone(Tone::Strong, next_label));
                text
            }
            DeployNews::Unchanged { release } => {
                let mark = paint.tone(Tone::Good, "✓");
                let environment = self.environment.as_ref().map(|name| format!("{name}: "));
                let serving = format!("{}{release} serves", environment.unwrap_or_default());
                let serving = paint.tone(Tone::Strong, &serving);
                format!("{mark} nothing to do: it is current already\n{serving}\n")
            }
            DeployNews::Left { next } => {
                let environment = self.environment.as_ref().map(|name| format!("{name}: "));
                let serving = format!("{}what serves is not certain", environment.unwrap_or_default());
                format!(
                    "{} this process leaves before the deploy has ended\n{}\n{} {next}\n",
                    paint.tone(Tone::Bad, "!"),
                    paint.tone(Tone::Strong, &serving),
                    paint.tone(Tone::Strong, "next:")
                )
            }
            DeployNews::Refused { reason, hint, .. } if self.shows == Shows::Record => {
                let mut text = format!("{} {reason}\n", paint.tone(Tone::Bad, "error:"));
                if let Some(hint) = hint {
                    text += &format!("{} {hint}\n", paint.tone(Tone::Strong, "hint:"));
                }
                text
            }
            DeployNews::Refused { .. } => String::new(),
        }
    }

    /// Formats the news of a step. A step that waits has few lines, however much it says.
    fn progress(&mut self, at: u64, step: &Step, text: &str) -> String {
        let faint = |text: &str| self.paint.tone(Tone::Faint, text);
        let text = one_line(text);
        let Some(running) = self.running.get_mut(&step.to_string()) else {
            return format!("  {} {step}: {text}\n", faint("…"));
        };
        if let Some(up_to) = running.up_to {
            let is_over = at.saturating_sub(running.started) >= up_to;
            let is_early = at.saturating_sub(running.shown) < LINE_INTERVAL;
            if is_over || is_early || self.shows == Shows::AboveView {
                return String::new();
            }
        }
        running.shown = at;
        let elapsed = millis(at.saturating_sub(running.started));
        let elapsed = match running.up_to {
            Some(up_to) => format!("  {}", faint(&format!("{elapsed} of {}", millis(up_to)))),
            None => String::new(),
        };
        format!("  {} {step}{elapsed}: {text}\n", faint("…"))
    }

    /// Returns the line that begins a phase, if the last line belongs to another one.
    fn heading_of(&mut self, phase: Phase) -> String {
        if self.phase.replace(phase) == Some(phase) {
            return String::new();
        }
        format!("{}\n", self.paint.tone(Tone::Strong, &phase.to_string()))
    }
}

/// Returns the mark, the tone and the words for how a deploy ended. One that was given up has gone back as it
/// should.
pub fn ending_text(ending: Ending, status: u8) -> (&'static str, Tone, &'static str) {
    match ending {
        // It was given up, and that has worked.
        Ending::RolledBack | Ending::Unchanged if status == 0 => ("✓", Tone::Good, "given up"),
        Ending::Succeeded => ("✓", Tone::Good, "done"),
        Ending::RolledBack => ("✗", Tone::Bad, "went back"),
        Ending::Unchanged => ("✗", Tone::Bad, "nothing was changed"),
        Ending::NeedsAttention => ("!", Tone::Bad, "needs attention"),
    }
}

/// Formats what a deploy meant for the users of its environment.
pub fn impact_lines(impact: &Impact) -> Vec<String> {
    let mut lines: Vec<String> = impact.downtime.iter().map(downtime_line).collect();
    let judged = impact.measured.iter().filter_map(|one| one.measurement.figures(one.measurement.slot));
    let (steps, requests, errors) = judged.fold((0, 0u64, 0u64), |(steps, requests, errors), figures| {
        (steps + 1, requests.saturating_add(figures.requests), errors.saturating_add(figures.errors))
    });
    if steps > 0 {
        let requests = count(usize::try_from(requests).unwrap_or(usize::MAX), "request");
        lines.push(format!("judged: {requests} in {}, {errors} failed", count(steps, "step")));
    }
    if let Some(took) = impact.going_back {
        lines.push(format!("going back took {}", millis(took)));
    }
    lines
}

fn downtime_line(downtime: &Downtime) -> String {
    let Downtime { role, host, took, goes_on, is_partial } = downtime;
    let took = millis(*took);
    let least = if *is_partial { "at least " } else { "" };
    if *goes_on {
        format!("downtime: {role} on {host} is down since {least}{took}")
    } else {
        format!("downtime: {role} on {host} was down for {least}{took}")
    }
}

/// Cuts a text that a program may have printed, and makes it one line.
fn one_line(text: &str) -> String {
    cut(&text.replace('\n', " "), LINE)
}

/// Formats a number of milliseconds.
pub fn millis(millis: u64) -> String {
    units::duration(Duration::from_millis(millis))
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
