//! The graph of the selected tasks and everything they need. Each task comes after those it needs. It must
//! not know keys, files or time.

use std::collections::BTreeMap;

use crate::config::model::{Config, TaskId};

/// The index of a node in [`Graph::nodes`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub usize);

/// Whether a node runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It was requested, or is needed.
    Selected,
    /// It is needed, but does not run (`--only`). It is in the graph because keys depend on it.
    Context,
}

/// A task in the graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its task.
    pub task: TaskId,
    /// Whether it runs.
    pub role: Role,
    /// The nodes that it needs.
    pub needs: Vec<NodeId>,
    /// The nodes that need it.
    pub needed_by: Vec<NodeId>,
    /// The nodes with a command that it needs, sorted by name: its key depends on them. Aggregates are
    /// replaced by what they need.
    pub sources: Vec<NodeId>,
}

/// Nodes in an order in which each comes after those it needs.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// Which tasks join a selection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// The selected tasks and everything they need.
    WithNeeds,
    /// The selected tasks and everything they need, but no gate that joins by itself: a shard runs none.
    Shard,
    /// Only the selected tasks.
    Only,
}

impl Graph {
    /// Builds the graph of `selected`, with the gates that join by themselves. The needs of a [`Config`]
    /// never have a cycle.
    pub fn new(config: &Config, selected: &[TaskId], reach: Reach) -> Self {
        let mut order = postorder(config, selected);
        if reach == Reach::WithNeeds {
            join_gates(config, &mut order);
        }
        let ids: BTreeMap<TaskId, NodeId> =
            order.iter().enumerate().map(|(i, task)| (*task, NodeId(i))).collect();
        let mut nodes: Vec<Node> = Vec::with_capacity(order.len());
        for (i, task) in order.iter().enumerate() {
            let needs: Vec<NodeId> = config.task(*task).needs.iter().map(|need| ids[need]).collect();
            for need in &needs {
                nodes[need.0].needed_by.push(NodeId(i));
            }
            let sources = sources(config, &nodes, &needs);
            let role = match reach {
                Reach::Only if !runs_with_only(config, selected, *task) => Role::Context,
                _ => Role::Selected,
            };
            nodes.push(Node { task: *task, role, needs, needed_by: Vec::new(), sources });
        }
        Self { nodes }
    }

    /// Returns the ids of all nodes, those that are needed first.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// Returns the node with this id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Returns the nodes by their distance from nodes that need nothing. Nodes of one level don't need each
    /// other.
    pub fn levels(&self) -> Vec<Vec<NodeId>> {
        let mut level = vec![0_usize; self.nodes.len()];
        let mut levels: Vec<Vec<NodeId>> = Vec::new();
        for id in self.ids() {
            let node = self.node(id);
            level[id.0] = node.needs.iter().map(|need| level[need.0] + 1).max().unwrap_or(0);
            if levels.len() <= level[id.0] {
                levels.resize_with(level[id.0] + 1, Vec::new);
            }
            levels[level[id.0]].push(id);
        }
        levels
    }
}

/// Returns whether `--only` runs it: it was requested itself, or by an aggregate that was.
fn runs_with_only(config: &Config, selected: &[TaskId], task: TaskId) -> bool {
    selected.contains(&task)
        || selected.iter().any(|id| config.task(*id).is_aggregate() && config.task(*id).needs.contains(&task))
}

/// Returns the tasks, those that are needed first. It does not recurse, so a long chain can't overflow the
/// stack.
fn postorder(config: &Config, selected: &[TaskId]) -> Vec<TaskId> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; config.tasks.len()];
    let mut order = Vec::new();
    let mut stack: Vec<TaskId> = selected.iter().rev().copied().collect();
    while let Some(task) = stack.last().copied() {
        match marks[task.0] {
            Mark::New => {
                marks[task.0] = Mark::Open;
                let needs = &config.task(task).needs;
                stack.extend(needs.iter().rev().filter(|need| marks[need.0] == Mark::New));
            }
            Mark::Open => {
                marks[task.0] = Mark::Done;
                order.push(task);
                stack.pop();
            }
            Mark::Done => {
                stack.pop();
            }
        }
    }
    order
}

/// Adds the gates that read only reports of tasks in the order. They belong to what was requested as much as
/// these tasks do.
fn join_gates(config: &Config, order: &mut Vec<TaskId>) {
    let mut is_in = vec![false; config.tasks.len()];
    for task in order.iter() {
        is_in[task.0] = true;
    }
    let joins = |id: &TaskId| config.task(*id).gate().as_ref().is_some_and(|gate| !gate.by_name);
    for id in config.ids().filter(joins) {
        let needs = &config.task(id).needs;
        if !is_in[id.0] && !needs.is_empty() && needs.iter().all(|need| is_in[need.0]) {
            order.push(id);
        }
    }
}

fn sources(config: &Config, nodes: &[Node], needs: &[NodeId]) -> Vec<NodeId> {
    let mut sources: Vec<NodeId> = Vec::new();
    for need in needs {
        let node = &nodes[need.0];
        if config.task(node.task).is_aggregate() {
            sources.extend(&node.sources);
        } else {
            sources.push(*need);
        }
    }
    sources.sort_unstable_by(|a, b| {
        let name = |id: &NodeId| &config.task(nodes[id.0].task).name;
        name(a).cmp(name(b))
    });
    sources.dedup();
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::path::RepoPath;
    use crate::config::model::{Gate, TaskAction};
    use crate::config::{SourceText, parse};
    use crate::quality::rules::Rules;

    #[test]
    fn gate_is_shown_with_the_last_task_that_it_reads() {
        let text = "[tasks]\nunit = { run = 'u' }\nlint = { run = 'l' }\nquality = { needs = ['unit', 'lint'] }\nci = { needs = ['unit', 'lint'] }\n";
        let source = SourceText { name: "tasks.toml", text, base: RepoPath::top(), project: "" };
        let mut config = parse(&source).unwrap();
        let gate = config.tasks.iter_mut().find(|task| task.name == "quality").unwrap();
        let rules = Rules::default();
        gate.action = TaskAction::Judge(Box::new(Gate { rules, baseline: None, base: None, by_name: false }));
        let cases = [
            ("unit", Reach::WithNeeds, "unit"),
            ("ci", Reach::WithNeeds, "unit lint ci quality"),
            ("quality", Reach::WithNeeds, "unit lint quality"),
            ("ci", Reach::Only, "unit lint ci"),
            ("ci", Reach::Shard, "unit lint ci"),
        ];
        for (name, reach, expected) in cases {
            let graph = Graph::new(&config, &config.named(name), reach);
            let names: Vec<&str> = graph.nodes.iter().map(|node| &*config.task(node.task).name).collect();
            let mut names = names;
            names.sort_unstable();
            let mut expected: Vec<&str> = expected.split(' ').collect();
            expected.sort_unstable();
            assert_eq!(names, expected, "{name}");
        }
    }
}
