//! `xtask graph`: draws which task needs which. It must not know keys or the cache.

use std::collections::HashSet;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::config::model::{Config, TaskId};
use crate::graph::{Graph, Reach};
use crate::select::Selection;

/// Arguments of `graph`.
#[derive(Args, Debug, Clone)]
pub struct GraphArgs {
    /// Tasks or groups [default: all tasks]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The format of the graph
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: GraphFormat,
}

/// A format for graphs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum GraphFormat {
    /// An indented tree.
    #[default]
    Text,
    /// For Graphviz.
    Dot,
    /// For Markdown.
    Mermaid,
    /// For programs.
    Json,
}

/// Draws the graph.
///
/// # Errors
/// A name is unknown.
pub fn run(session: &Session, args: &GraphArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    let config = &project.config;
    let selection = Selection::from_names(config, &args.names)?;
    let graph = Graph::new(config, &selection.tasks, Reach::WithNeeds);
    session.print(&match args.format {
        GraphFormat::Text => text(config, &graph, &selection),
        GraphFormat::Dot => dot(config, &graph),
        GraphFormat::Mermaid => mermaid(config, &graph),
        GraphFormat::Json => json(config, &graph),
    })?;
    Ok(End::Passed)
}

/// Returns a tree for each selected task that no other needs. A task that was drawn already is only named.
fn text(config: &Config, graph: &Graph, selection: &Selection) -> String {
    let needed: HashSet<TaskId> =
        graph.nodes.iter().flat_map(|node| config.task(node.task).needs.clone()).collect();
    // Gates that joined the run are drawn after the selected tasks.
    let joined = graph.nodes.iter().map(|node| node.task).filter(|task| !selection.tasks.contains(task));
    let joined: Vec<TaskId> = joined.filter(|task| config.task(*task).is_gate()).collect();
    let roots = selection.tasks.iter().chain(&joined).filter(|task| !needed.contains(task));
    let mut text = String::new();
    let mut drawn = HashSet::new();
    for root in roots {
        let mut stack = vec![(*root, String::new(), String::new())];
        while let Some((task, lead, below)) = stack.pop() {
            let needs = &config.task(task).needs;
            let again = !drawn.insert(task) && !needs.is_empty();
            let mark = if again { " (see above)" } else { "" };
            text.push_str(&format!("{lead}{}{mark}\n", config.task(task).name));
            if again {
                continue;
            }
            for (i, need) in needs.iter().enumerate().rev() {
                let last = i + 1 == needs.len();
                let (lead, deeper) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                stack.push((*need, format!("{below}{lead}"), format!("{below}{deeper}")));
            }
        }
    }
    text
}

fn edges<'a>(config: &'a Config, graph: &'a Graph) -> impl Iterator<Item = (&'a str, &'a str)> {
    let name = |task: TaskId| config.task(task).name.as_str();
    graph.nodes.iter().flat_map(move |node| {
        config.task(node.task).needs.iter().map(move |need| (name(node.task), name(*need)))
    })
}

fn dot(config: &Config, graph: &Graph) -> String {
    let mut text = String::from("digraph tasks {\n  rankdir = LR\n");
    for node in &graph.nodes {
        let task = config.task(node.task);
        let shape = match task {
            task if task.is_gate() => "diamond",
            task if task.is_aggregate() => "ellipse",
            _ => "box",
        };
        text.push_str(&format!("  \"{}\" [shape = {shape}]\n", task.name));
    }
    for (from, to) in edges(config, graph) {
        text.push_str(&format!("  \"{from}\" -> \"{to}\"\n"));
    }
    text + "}\n"
}

fn mermaid(config: &Config, graph: &Graph) -> String {
    let mut text = String::from("flowchart LR\n");
    let id =
        |name: &str| graph.nodes.iter().position(|node| config.task(node.task).name == name).unwrap_or(0);
    for (i, node) in graph.nodes.iter().enumerate() {
        let task = config.task(node.task);
        let (open, close) = match task {
            task if task.is_gate() => ("{", "}"),
            task if task.is_aggregate() => ("([", "])"),
            _ => ("[", "]"),
        };
        text.push_str(&format!("  t{i}{open}\"{}\"{close}\n", task.name));
    }
    for (from, to) in edges(config, graph) {
        text.push_str(&format!("  t{} --> t{}\n", id(from), id(to)));
    }
    text
}

fn json(config: &Config, graph: &Graph) -> String {
    let tasks: Vec<_> = graph
        .nodes
        .iter()
        .map(|node| {
            let task = config.task(node.task);
            let needs: Vec<&str> = task.needs.iter().map(|need| config.task(*need).name.as_str()).collect();
            json!({ "task": task.name, "group": task.group, "runs": task.command().is_some(), "gate": task.is_gate(), "needs": needs })
        })
        .collect();
    format!("{:#}\n", json!({ "version": 1, "tasks": tasks }))
}
