//! `xtask` alone: lists tasks and groups. It must not look at trees or the cache.

use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::config::model::{Config, Task};
use crate::process::secret_mask::Mask;
use crate::reporter::lines::clause;
use crate::reporter::style::{Paint, Tone};

/// Prints the tasks and groups.
///
/// # Errors
/// There is no tasks.toml, or it is invalid.
pub fn run(session: &Session) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    session.print(&text(&project.config, session.paint_out()))?;
    // The program ends here. To free many tasks one by one would take as long as to load them.
    std::mem::forget(project);
    Ok(End::Passed)
}

fn text(config: &Config, paint: Paint) -> String {
    if config.tasks.is_empty() {
        return "tasks.toml has no tasks yet; a first one:\n\n[tasks.hello]\nrun = \"echo hello\"\n"
            .to_owned();
    }
    let width = config.tasks.iter().map(|task| task.name.chars().count()).max().unwrap_or(0).min(40);
    let mut text = String::new();
    let mut section = |title: &str, tasks: Vec<&Task>| {
        if tasks.is_empty() {
            return;
        }
        text.push_str(&paint.tone(Tone::Strong, title));
        text.push('\n');
        for task in tasks {
            let padding = " ".repeat(width.saturating_sub(task.name.chars().count()));
            let line =
                format!("  {}{padding}  {}", task.name, paint.tone(Tone::Faint, &summary(config, task)));
            text.push_str(line.trim_end());
            text.push('\n');
        }
    };
    let of = |group: Option<&str>| -> Vec<&Task> {
        config.tasks.iter().filter(|task| task.group.as_deref() == group).collect()
    };
    section("tasks", of(None));
    for group in config.groups() {
        section(&format!("group {group}"), of(Some(group)));
    }
    text
}

/// Returns one line about a task.
pub fn summary(config: &Config, task: &Task) -> String {
    if let Some(description) = &task.description {
        return clause(description);
    }
    if let Some(gate) = task.gate() {
        let of = task.needs.iter().map(|id| config.task(*id).name.as_str());
        return format!("gate of {}: {}", first_names(of), gate.rules.names().join(", "));
    }
    match task.command() {
        Some(command) => {
            let shown = crate::engine::task::command::display(command, &[], &Mask::default());
            let line = shown.lines().next().unwrap_or_default();
            if line.chars().count() > 60 {
                line.chars().take(59).chain(['…']).collect()
            } else {
                line.to_owned()
            }
        }
        None => {
            format!("all of {}", first_names(task.needs.iter().map(|id| config.task(*id).name.as_str())))
        }
    }
}

/// Returns the first names.
fn first_names<'n>(mut names: impl Iterator<Item = &'n str>) -> String {
    let shown: Vec<&str> = names.by_ref().take(8).collect();
    let more = if names.next().is_some() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
