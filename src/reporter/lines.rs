//! Formats the lines about a run that people read, with a function for each kind of event. It must not know
//! whether they go to a terminal or a file.

use std::time::Duration;

use crate::base::text::count;
use crate::base::units;
use crate::config_warning::Warning;
use crate::decision_reason::Reason;
use crate::event::{Ended, Gated, Level, Log, RunStarted, Status, Stored, Summary, TaskFinished, Verdict};
use crate::failure_hint::Hint;
use crate::reporter::run_state::cut;
use crate::reporter::style::{Paint, Tone};
use crate::reporter::text::{self, Keep};

/// How many files are named when tasks modified a gated tree.
const LISTED_CHANGES: usize = 5;

/// The data of a run's first event that its summary lines need.
#[derive(Clone, Debug, Default)]
pub struct RunHeading {
    /// The run's id.
    pub run: String,
    /// What is gated.
    pub gated: Option<Gated>,
}

/// The maximum number of characters of a clause. Commands and paths can have any length.
const CLAUSE: usize = 400;
/// The maximum number of characters of a name.
const NAME: usize = 200;
/// The maximum number of names of a list.
const NAMES: usize = 50;

/// How many lines of a failed service are shown.
const LAST_LINES: usize = 20;

/// Formats lines.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// Whether lines have colours.
    pub paint: Paint,
    /// The width of the longest task name, in columns.
    pub width: usize,
}

impl Lines {
    /// Formats `running 3 of 12 tasks, 9 cached · tree 3f2a9c1`.
    pub fn started(&self, run: &RunStarted) -> String {
        let tree = run.tree.as_ref().map(|tree| format!(" · tree {}", tree.get(..10).unwrap_or(tree)));
        let cached = if run.hits > 0 { format!(", {} cached", run.hits) } else { String::new() };
        let gated = run.gated.as_ref().map(|gated| {
            let here = if gated.in_place { " in your work tree" } else { "" };
            format!(" · gate of {}{here}", gated.name)
        });
        let text = format!(
            "{}: {}{cached}{}{}",
            first_names(&run.names, " "),
            count(run.tasks, "task"),
            gated.unwrap_or_default(),
            tree.unwrap_or_default()
        );
        self.paint.tone(Tone::Faint, &text)
    }

    /// Formats `warning: …`.
    pub fn notice(&self, level: Level, text: &str) -> String {
        let text = clause(text);
        match level {
            Level::Note => format!("{} {text}", self.paint.tone(Tone::Strong, "note:")),
            Level::Warning => format!("{} {text}", self.paint.tone(Tone::Odd, "warning:")),
        }
    }

    /// Formats lines such as `warning: tasks.toml:12: "scr/**" matches no file: …`.
    pub fn warnings(&self, warnings: &[Warning], more: usize) -> String {
        let line =
            |warning: &Warning| self.notice(Level::Warning, &format!("{}: {warning}", warning.place()));
        let mut lines: Vec<String> = warnings.iter().map(line).collect();
        if more > 0 {
            let what = format!("and {more} more declarations without effect: xtask doctor");
            lines.push(self.notice(Level::Warning, &what));
        }
        lines.join("\n")
    }

    /// Formats `✓ unit  2.1 s  src/a.rs changed`.
    pub fn finished(&self, task: &TaskFinished) -> String {
        let took = units::duration(Duration::from_millis(task.took));
        let (mark, tone, middle) = match &task.status {
            Status::Passed => ("✓", Tone::Good, took),
            Status::Hit => ("✓", Tone::Good, "cached".to_owned()),
            Status::Flaky => ("~", Tone::Odd, took),
            Status::Failed { .. } => ("✗", Tone::Bad, took),
            Status::Stopped => ("■", Tone::Odd, took),
            Status::Skipped => ("-", Tone::Faint, "skipped".to_owned()),
        };
        let mark = self.paint.tone(tone, mark);
        let name = self.name(&task.task);
        let line = format!(
            "{mark} {name}  {middle:>8}  {}",
            self.paint.tone(Tone::Faint, &clause(&reason_clause(task)))
        );
        let mut line = line.trim_end().to_owned();
        if let Stored::No { why } = &task.stored {
            let note = format!("\n  {}  not stored: {}", " ".repeat(self.width), clause(why));
            line.push_str(&self.paint.tone(Tone::Odd, &note));
        }
        line
    }

    /// Formats `↻ e2e  attempt 1 failed (exit status 1), trying again`.
    pub fn retries(&self, task: &str, attempt: u32, ended: &Ended) -> String {
        let mark = self.paint.tone(Tone::Odd, "↻");
        format!(
            "{mark} {}  attempt {attempt} failed ({}), trying again",
            self.name(task),
            clause(&ended.to_string())
        )
    }

    /// Formats `… e2e  is slow: running for 2m 00s`.
    pub fn slow(&self, task: &str, after: u64) -> String {
        let after = units::duration(Duration::from_millis(after));
        format!("{} {}  is slow: running for {after}", self.paint.tone(Tone::Odd, "…"), self.name(task))
    }

    /// Formats `… e2e  waits for another run with the same key`.
    pub fn waits(&self, task: &str, on: &str) -> String {
        format!("{} {}  waits for {}", self.paint.tone(Tone::Faint, "…"), self.name(task), clause(on))
    }

    /// Formats `▲ db  ready on port 40213, after 1.2 s`.
    pub fn service_ready(&self, service: &str, port: Option<u16>, took: u64) -> String {
        let took = units::duration(Duration::from_millis(took));
        let port = port.map(|port| format!(" on port {port},")).unwrap_or_default();
        let what = self.paint.tone(Tone::Faint, &format!("service is ready{port} after {took}"));
        format!("{} {}  {what}", self.paint.tone(Tone::Faint, "▲"), self.name(service))
    }

    /// Formats `✗ db  service: killed by signal 9 (tasks.toml:12)`.
    pub fn service_failed(&self, service: &str, why: &str) -> String {
        format!("{} {}  service: {}", self.paint.tone(Tone::Bad, "✗"), self.name(service), clause(why))
    }

    /// Formats the last lines of a failed service.
    pub fn last_lines(&self, service: &str, log: &Log) -> String {
        let (heading, log) = Self::service_log(service, log);
        self.log(&heading, Tone::Bad, &log)
    }

    /// Returns a heading and the last lines of a service.
    pub fn service_log(service: &str, log: &Log) -> (String, Log) {
        let lines: Vec<&str> = log.text.lines().collect();
        let left_out = lines.len().saturating_sub(LAST_LINES);
        let text = lines[left_out..].join("\n");
        let which = if left_out > 0 { "last lines" } else { "output" };
        (format!("service {service}: {which}"), Log { text, left_out: 0 })
    }

    /// Formats `■ SIGINT: stopping the running tasks; a second signal kills them`.
    pub fn interrupted(&self, signal: &str, now: bool) -> String {
        let what = if now {
            "killing the running tasks"
        } else {
            "stopping the running tasks; a second signal kills them"
        };
        format!("{} {signal}: {what}", self.paint.tone(Tone::Odd, "■"))
    }

    /// Formats ``warning: the `finally` of db failed: exit status 1``.
    pub fn finally_failed(&self, task: &str, ended: &Ended) -> String {
        self.notice(Level::Warning, &format!("the `finally` of {task} failed: {ended}"))
    }

    /// Formats a task's log under a heading.
    pub fn log(&self, heading: &str, tone: Tone, log: &Log) -> String {
        format!("{}\n{}", self.rule(heading, tone), self.log_body(log))
    }

    /// Formats `hint: …`.
    pub fn hint(&self, hint: &Hint) -> String {
        // A hint can quote a log.
        let text = text::safe(&hint.to_string(), Keep::Nothing).replace('\n', " ");
        format!("{} {text}", self.paint.tone(Tone::Strong, "hint:"))
    }

    /// Formats a heading, followed by a horizontal rule.
    pub fn rule(&self, heading: &str, tone: Tone) -> String {
        let rule = "─".repeat(70_usize.saturating_sub(console::measure_text_width(heading)));
        self.paint.tone(tone, &format!("── {heading} {rule}"))
    }

    /// Formats the text of a log so that it is safe to show.
    pub fn log_body(&self, log: &Log) -> String {
        let body = text::safe(&log.text, self.keep());
        let reset = if body.contains('\u{1b}') { "\u{1b}[0m" } else { "" };
        let body = body.trim_end_matches('\n');
        if body.is_empty() {
            return self.paint.tone(Tone::Faint, "(no output)");
        }
        format!("{body}{reset}")
    }

    /// Returns which control sequences of tasks are kept.
    pub fn keep(&self) -> Keep {
        if self.paint.is_colored() { Keep::Colors } else { Keep::Nothing }
    }

    /// Returns the heading of a finished task's log.
    pub fn heading(task: &TaskFinished) -> String {
        let took = units::duration(Duration::from_millis(task.took));
        match &task.status {
            Status::Failed { ended } => format!("{}: {}, {took}", task.task, clause(&ended.to_string())),
            Status::Hit => format!("{}: cached", task.task),
            Status::Flaky => format!("{}: passed at attempt {}", task.task, task.attempts),
            Status::Passed => format!("{}: passed, {took}", task.task),
            Status::Stopped => format!("{}: stopped, {took}", task.task),
            Status::Skipped => format!("{}: skipped", task.task),
        }
    }

    /// Formats the summary lines of a run.
    pub fn summary(&self, run: &RunHeading, summary: &Summary) -> String {
        let mut lines = self.notable_tasks(summary);
        let is_over = matches!(summary.verdict, Verdict::Passed | Verdict::Superseded);
        let again = (!is_over && !run.run.is_empty()).then(|| {
            let task = match &*summary.failed {
                // The name of a matrix task contains brackets, which shells interpret.
                [task] => format!(" --task {}", shlex::try_quote(task).unwrap_or_default()),
                _ => String::new(),
            };
            let log = if run.gated.is_some() { ("the log", &*task) } else { ("show this again", "") };
            self.paint.tone(Tone::Faint, &format!("{}: xtask log {}{}", log.0, run.run, log.1))
        });
        match &run.gated {
            // The last line of a gate is its verdict.
            Some(gated) => {
                let changed = &summary.changed_files;
                if summary.verdict == Verdict::Superseded {
                    lines.push(self.touched_files(changed));
                } else {
                    lines.extend(changed.iter().take(LISTED_CHANGES).map(|what| self.changed_file(what)));
                }
                lines.extend(again);
                lines.push(self.gate(gated, summary));
            }
            None => {
                lines.push(format!("{}: {}", self.verdict(summary.verdict), figures(summary)));
                lines.extend(again);
            }
        }
        if !summary.pending_gates.is_empty() {
            let gates = first_names(&summary.pending_gates, ", ");
            lines.push(format!("{} {gates}", self.paint.tone(Tone::Odd, "left to `xtask merge-runs`:")));
        }
        lines.join("\n")
    }

    /// Formats `failed: unit, e2e`, and lines for flaky and slow tasks.
    pub fn notable_tasks(&self, summary: &Summary) -> Vec<String> {
        let all = [
            (&summary.slow, Tone::Odd, "slow:"),
            (&summary.flaky, Tone::Odd, "flaky, so not stored:"),
            (&summary.failed, Tone::Bad, "failed:"),
        ];
        let named = all.into_iter().filter(|(names, ..)| !names.is_empty());
        let named = named.map(|(names, tone, what)| {
            format!("{} {}", self.paint.tone(tone, what), first_names(names, ", "))
        });
        named.collect()
    }

    /// Formats the line of a file that the run changed, such as `changed: src/a.rs changed during the run: …`.
    fn changed_file(&self, what: &str) -> String {
        let note =
            "during the run: tasks modified files of the tree under test; fix them, or commit their changes";
        format!("{} {what} {}", self.paint.tone(Tone::Bad, "changed:"), self.paint.tone(Tone::Faint, note))
    }

    /// Formats the line about files that changed during a gated run in the work tree, such as
    /// `changed: src/a.rs changed during the run: …`.
    fn touched_files(&self, touched: &[String]) -> String {
        let first = touched.first().map_or("", String::as_str);
        let more = match touched.len() {
            0 | 1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let note =
            "during the run in your work tree; your files stay as they are, and what has no stored result";
        let note = format!("{note} runs in a private worktree, so that the verdict is about what is pushed");
        format!(
            "{} {first}{more} {}",
            self.paint.tone(Tone::Odd, "changed:"),
            self.paint.tone(Tone::Faint, &note)
        )
    }

    /// Formats `gate: 3f2a9c1 passed (12 cached, 2 ran, 4.1 s)`.
    fn gate(&self, gated: &Gated, summary: &Summary) -> String {
        let took = units::duration(Duration::from_millis(summary.took));
        let skipped =
            if summary.skipped > 0 { format!(", {} skipped", summary.skipped) } else { String::new() };
        let figures = format!("{} cached, {} ran{skipped}, {took}", summary.hits, summary.executed);
        let refs = match (summary.verdict, &*gated.refs) {
            (Verdict::Passed | Verdict::Superseded, _) | (_, []) => String::new(),
            (_, refs) => format!(": {} is not pushed", refs.join(", ")),
        };
        format!("gate: {} {} ({figures}){refs}", gated.name, self.verdict(summary.verdict))
    }

    /// Returns the word for a verdict.
    pub fn verdict(&self, verdict: Verdict) -> String {
        match verdict {
            Verdict::Passed => self.paint.tone(Tone::Good, "passed"),
            Verdict::Failed => self.paint.tone(Tone::Bad, "failed"),
            Verdict::Superseded => self.paint.tone(Tone::Odd, "starts again"),
            Verdict::Interrupted { .. } => self.paint.tone(Tone::Odd, "interrupted"),
        }
    }

    fn name(&self, name: &str) -> String {
        let name = &*cut(name, NAME);
        let padding = self.width.saturating_sub(console::measure_text_width(name));
        format!("{}{}", self.paint.tone(Tone::Strong, name), " ".repeat(padding))
    }
}

/// Formats `12 cached, nothing ran, saved 1m 02s, in 85 ms`.
fn figures(summary: &Summary) -> String {
    let mut parts = Vec::new();
    if summary.hits > 0 {
        parts.push(format!("{} cached", summary.hits));
    }
    match summary.executed {
        0 => parts.push("nothing ran".to_owned()),
        ran => parts.push(format!("{ran} ran")),
    }
    if summary.skipped > 0 {
        parts.push(format!("{} skipped", summary.skipped));
    }
    if summary.saved > 0 {
        parts.push(format!("saved {}", units::duration(Duration::from_millis(summary.saved))));
    }
    parts.push(format!("in {}", units::duration(Duration::from_millis(summary.took))));
    parts.join(", ")
}

/// Returns the reason of a result, as one clause.
fn reason_clause(task: &TaskFinished) -> String {
    match (&task.status, &task.reason) {
        (Status::Hit, Reason::Cached { restores: None, .. }) => String::new(),
        (Status::Hit, Reason::Cached { restores: Some(what), .. }) => format!("outputs restored: {what}"),
        (Status::Failed { ended }, reason) => match ended {
            Ended::NotStarted { why } => why.clone(),
            _ => format!("{ended} · {reason}"),
        },
        (Status::Flaky, reason) => format!("flaky, passed at attempt {} · {reason}", task.attempts),
        (_, reason) => reason.to_string(),
    }
}

/// Shortens a clause that is very long.
pub fn clause(text: &str) -> String {
    cut(text, CLAUSE)
}

/// Returns the first names of a list, and how many more there are.
pub fn first_names(names: &[String], between: &str) -> String {
    let shown: Vec<String> = names.iter().take(NAMES).map(|name| cut(name, NAME)).collect();
    let more = names.len() - shown.len();
    let shown = shown.join(between);
    if more == 0 { shown } else { format!("{shown}{between}and {more} more") }
}
