//! Collects the candidates for the cursor: commands, options, and names from tasks.toml. It must not know how
//! a shell reads them.

use std::collections::BTreeSet;

use clap::{Arg, Command};

use super::cursor::{Cursor, CursorPosition, ValueKind};
use crate::cli::inspect::list;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::config::hook_stage::Stage;
use crate::config::model::Config;
use crate::config::own_name;
use crate::history::runs::Runs;

/// What a shell can offer.
pub(super) enum Completions {
    /// These choices.
    Choices(Vec<Completion>),
    /// Files, which shells list best themselves.
    Files,
    /// Folders.
    Folders,
}

/// One choice.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Completion {
    /// The whole word.
    pub(super) text: String,
    /// A line of description, may be empty.
    pub(super) about: String,
}

/// The number of past runs that are offered.
const RUNS: usize = 50;

impl Completions {
    /// Returns what can be offered at the cursor.
    pub(super) fn for_cursor(session: &Session, cursor: &Cursor<'_>) -> Self {
        match &cursor.position {
            CursorPosition::Option(commands) => Self::Choices(options(commands)),
            CursorPosition::TaskArgument => Self::Files,
            CursorPosition::Value(arg, front) => match ValueKind::from_arg(arg) {
                Some(ValueKind::Files) => Self::Files,
                Some(ValueKind::Folders) => Self::Folders,
                Some(ValueKind::Listed) => Self::Choices(listed(arg, front)),
                kind => {
                    let mut choices = values(session, cursor, kind.unwrap_or(ValueKind::Other));
                    for choice in &mut choices {
                        choice.text.insert_str(0, front);
                    }
                    Self::Choices(choices)
                }
            },
            CursorPosition::Word(command, kind) => {
                let mut choices = subcommands(command);
                match kind {
                    ValueKind::Files => return Self::Files,
                    ValueKind::Folders => return Self::Folders,
                    ValueKind::Listed => {
                        choices.extend(command.get_positionals().flat_map(|arg| listed(arg, "")));
                    }
                    kind => choices.extend(values(session, cursor, *kind)),
                }
                Self::Choices(choices)
            }
        }
    }
}

fn completion(text: impl Into<String>, about: impl Into<String>) -> Completion {
    Completion { text: text.into(), about: about.into() }
}

fn subcommands(command: &Command) -> Vec<Completion> {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    shown.map(|command| completion(command.get_name(), about(command.get_about()))).collect()
}

fn options(commands: &[&Command]) -> Vec<Completion> {
    let mut choices: Vec<Completion> = Vec::new();
    for arg in commands.iter().flat_map(|command| command.get_arguments()) {
        let Some(long) = arg.get_long().filter(|_| !arg.is_hide_set()) else { continue };
        let text = format!("--{long}");
        if choices.iter().all(|known| known.text != text) {
            choices.push(completion(text, about(arg.get_help())));
        }
    }
    choices
}

fn listed(arg: &Arg, front: &str) -> Vec<Completion> {
    let shown = arg.get_possible_values().into_iter().filter(|value| !value.is_hide_set());
    shown.map(|value| completion(format!("{front}{}", value.get_name()), about(value.get_help()))).collect()
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

/// Returns the values of a kind; none if they can't be read.
fn values(session: &Session, cursor: &Cursor<'_>, kind: ValueKind) -> Vec<Completion> {
    if kind == ValueKind::Stages {
        return Stage::all().map(|stage| completion(stage.name(), "")).collect();
    }
    if kind == ValueKind::Other {
        return Vec::new();
    }
    let dir = cursor.directory.as_ref().map_or_else(|| session.dir.clone(), |dir| session.dir.join(dir));
    let Ok(project) = Project::open(&session.env, &dir.canonicalize().unwrap_or(dir)) else {
        return Vec::new();
    };
    let config = &project.config;
    match kind {
        ValueKind::Names => names(config, &cursor.typed),
        ValueKind::Tasks => {
            config.tasks.iter().map(|task| completion(&task.name, list::summary(config, task))).collect()
        }
        ValueKind::Gates => {
            let gates = config.tasks.iter().filter(|task| task.is_gate());
            gates.map(|task| completion(&task.name, list::summary(config, task))).collect()
        }
        ValueKind::Services => {
            let services = config.services.iter();
            services
                .map(|service| completion(&service.name, service.description.clone().unwrap_or_default()))
                .collect()
        }
        ValueKind::Environments => {
            config.environments.iter().map(|environment| completion(&environment.name, "")).collect()
        }
        ValueKind::Runs => runs(&project),
        _ => Vec::new(),
    }
}

/// Returns all names that stand for tasks.
fn names(config: &Config, typed: &str) -> Vec<Completion> {
    let mut choices: Vec<Completion> =
        config.tasks.iter().map(|task| completion(&task.name, list::summary(config, task))).collect();
    let known: BTreeSet<&str> = config.tasks.iter().map(|task| task.name.as_str()).collect();
    let mut several: Vec<String> = config.names();
    // `:test` stands for the task `test` of every project.
    if typed.starts_with(':') {
        let own = config
            .tasks
            .iter()
            .flat_map(|task| [Some(own_name(&task.name, &task.project)), task.group.as_deref()]);
        let own: BTreeSet<&str> = own.flatten().collect();
        several.extend(own.into_iter().map(|name| format!(":{name}")));
    }
    for name in several.into_iter().filter(|name| !known.contains(name.as_str())) {
        let about = members(config, &name);
        choices.push(completion(name, about));
    }
    choices
}

fn members(config: &Config, name: &str) -> String {
    let ids = config.named(name);
    let shown: Vec<&str> = ids.iter().take(4).map(|id| config.task(*id).name.as_str()).collect();
    let more = if ids.len() > shown.len() { ", …" } else { "" };
    format!("all of {}{more}", shown.join(", "))
}

fn runs(project: &Project) -> Vec<Completion> {
    let Some(state) = project.state() else { return Vec::new() };
    let runs = Runs::new(state);
    let ids = runs.ids().unwrap_or_default();
    ids.into_iter().take(RUNS).map(|id| completion(id, "")).collect()
}
