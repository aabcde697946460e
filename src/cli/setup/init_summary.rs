//! What `xtask init` prints at its end: what runs, what does not and why, and what to do next. It must not know
//! how the tasks were tried.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::text::count;
use crate::init::Proposals;
use crate::init::proposals::TaskKind;
use crate::init::text::Inclusion;
use crate::reporter::style::{Paint, Tone};

const GUIDE: &str = "https://github.com/taskgate/taskgate/blob/main/docs/start.md";
/// The maximum number of lines about what is not a task.
const LISTED: usize = 6;

/// What to do with a tasks.toml that is not committed, and why.
pub const COMMIT: &str =
    "git add tasks.toml && git commit   a push is tested with the tasks.toml of its commit";

/// The end of `xtask init`.
pub struct InitSummary<'a> {
    /// What was found.
    pub found: &'a Proposals,
    /// Whether each task is written as a task.
    pub inclusions: &'a [Inclusion],
    /// What the trial says.
    pub notes: &'a [String],
    /// Whether tasks.toml was written.
    pub is_written: bool,
    /// Whether the tasks were tried.
    pub is_tried: bool,
    /// Whether there are logs of tasks that are left out.
    pub has_logs: bool,
}

impl InitSummary<'_> {
    /// Formats the summary.
    pub fn text(&self, paint: Paint, is_repository: bool) -> String {
        let mut text = String::from("\n");
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut left: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut tests = false;
        for (task, inclusion) in self.found.tasks.iter().zip(self.inclusions) {
            match inclusion {
                Inclusion::Kept => {
                    groups.entry(task.kind.group()).or_default().push(&task.name);
                    tests |= matches!(task.kind, TaskKind::Test | TaskKind::Integration | TaskKind::E2e);
                }
                Inclusion::LeftOut(why) => match left.iter_mut().find(|(known, _)| known == why) {
                    Some((_, names)) => names.push(&task.name),
                    None => left.push((why, vec![&task.name])),
                },
            }
        }
        let kept: usize = groups.values().map(Vec::len).sum();
        if self.is_written {
            let tried = if !self.is_tried && kept > 0 { ", none of them tried" } else { "" };
            let tasks = self.found.tasks.len();
            let what = match kept {
                0 if tasks == 0 => "an example".to_owned(),
                0 => format!(
                    "{} as {}",
                    count(tasks, "task"),
                    if tasks == 1 { "a comment" } else { "comments" }
                ),
                _ => count(kept, "task"),
            };
            text.push_str(&format!("wrote tasks.toml with {what}{tried}\n"));
        }
        let width = groups.keys().map(|group| group.len()).max().unwrap_or(0);
        for (group, names) in &groups {
            text.push_str(&format!("  {group:<width$}  {}\n", names.join(", ")));
        }
        if self.found.tasks.is_empty() {
            text.push_str("note: nothing was found that could be a task, so tasks.toml has an example\n");
        } else if kept == 0 {
            let (tasks, were) = match self.found.tasks.len() {
                1 => ("1 task".to_owned(), "was found and does not pass"),
                many => (count(many, "task"), "were found and none passes"),
            };
            text.push_str(&format!("{} {tasks} {were}\n", paint.tone(Tone::Odd, "note:")));
        }
        for (why, names) in &left {
            text.push_str(&format!("{} {}: {why}\n", paint.tone(Tone::Odd, "left out:"), names.join(", ")));
        }
        if self.has_logs {
            text.push_str("  hint: `xtask log --init` shows their logs\n");
        }
        if !left.is_empty() && kept > 0 {
            text.push_str(
                "  hint: in tasks.toml they are comments: repair one, remove its `# `, and add its group to `ci`\n",
            );
        }
        text.push_str(&self.omissions(paint));
        for note in self.notes {
            text.push_str(&format!("{} {note}\n", paint.tone(Tone::Odd, "note:")));
        }
        if !tests && kept > 0 {
            text.push_str(&format!("{} no task runs tests\n", paint.tone(Tone::Odd, "warning:")));
        }
        if self.is_written {
            text.push_str(&self.next(is_repository));
            text.push_str(&format!("guide: {GUIDE}\n"));
        }
        text
    }

    fn omissions(&self, paint: Paint) -> String {
        let mut text = String::new();
        for it in self.found.omitted.iter().take(LISTED) {
            text.push_str(&format!("{} {}: {}\n", paint.tone(Tone::Faint, "no task:"), it.what, it.why));
        }
        let more = self.found.omitted.len().saturating_sub(LISTED);
        if more > 0 {
            text.push_str(&format!("  and {more} more, at the end of tasks.toml\n"));
        }
        text
    }

    fn next(&self, is_repository: bool) -> String {
        if self.found.tasks.is_empty() {
            return "next: write your tasks into tasks.toml, then: xtask ci\n".to_owned();
        }
        if !self.inclusions.contains(&Inclusion::Kept) {
            return self.repair();
        }
        if !is_repository {
            return "next: xtask ci\n".to_owned();
        }
        let cached = if self.is_tried { "; what passed just now is in the cache" } else { "" };
        format!(
            "next: xtask ci              runs them{cached}\n      \
                   xtask hooks install   tests each push before git sends it\n      \
                   {COMMIT}\n"
        )
    }

    /// Formats what to do if no task passes.
    fn repair(&self) -> String {
        let advice: BTreeSet<&str> =
            self.found.tasks.iter().filter_map(|task| task.advice.as_deref()).collect();
        let advice: Vec<&str> = advice.into_iter().collect();
        let first = if advice.is_empty() {
            "repair or install what is missing".to_owned()
        } else {
            advice.join("\n      ")
        };
        format!("next: {first}\n      then: rm tasks.toml && xtask init\n")
    }
}
