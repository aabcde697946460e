//! The graph: the selected tasks and all they need, in an order in which what is needed comes first.
//! It must not know keys, files or time.

use std::collections::BTreeMap;

use crate::config::model::{Config, TaskId};

/// A node's place in [`Graph::nodes`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub usize);

/// Whether a node is to be run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It was asked for, or is needed.
    Selected,
    /// It is needed but not to be run (`--only`): it is here since keys depend on it.
    Context,
}

/// A task of the graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// Which task.
    pub task: TaskId,
    /// Whether it is to be run.
    pub role: Role,
    /// The nodes it needs.
    pub needs: Vec<NodeId>,
    /// The nodes that need it.
    pub needed_by: Vec<NodeId>,
    /// The nodes with a command that it needs, with aggregates replaced by what they gather, sorted
    /// by name: what its key depends on.
    pub sources: Vec<NodeId>,
}

/// Nodes so ordered that each comes behind those it needs.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// How far a selection reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// The selected tasks and all they need.
    WithNeeds,
    /// The selected tasks and all they need, and no gate that could be judged by them: a shard judges
    /// none.
    Shard,
    /// The selected tasks alone.
    Only,
}

impl Graph {
    /// The graph of `selected`, with the gates that can be judged by it. The needs of a [`Config`] have
    /// no cycle, since one is refused there.
    pub fn of(config: &Config, selected: &[TaskId], reach: Reach) -> Self {
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
                Reach::Only if !belongs(config, selected, *task) => Role::Context,
                _ => Role::Selected,
            };
            nodes.push(Node { task: *task, role, needs, needed_by: Vec::new(), sources });
        }
        Self { nodes }
    }

    /// The ids of all nodes, what is needed first.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// The node with this id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Nodes by their distance from the nodes that need nothing: those of one level don't need each
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

/// Whether `--only` still runs it: it was asked for by itself, or by an aggregate that was.
fn belongs(config: &Config, selected: &[TaskId], task: TaskId) -> bool {
    selected.contains(&task)
        || selected.iter().any(|id| config.task(*id).is_aggregate() && config.task(*id).needs.contains(&task))
}

/// What is needed first, without recursion, so that a long chain can't exhaust the stack.
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

/// Adds the gates that can be judged: those all of whose reports come from tasks that are in the order
/// already. A gate is no less a part of what was asked for than the tasks whose reports it reads.
fn join_gates(config: &Config, order: &mut Vec<TaskId>) {
    let mut is_in = vec![false; config.tasks.len()];
    for task in order.iter() {
        is_in[task.0] = true;
    }
    let joins = |id: &TaskId| config.task(*id).gate.as_ref().is_some_and(|gate| !gate.by_name);
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
    use crate::config::model::Gate;
    use crate::config::{Source, parse};
    use crate::quality::rules::Rules;

    #[test]
    fn a_gate_joins_when_all_that_it_reads_is_there() {
        let text = "[tasks]\nunit = { run = 'u' }\nlint = { run = 'l' }\nquality = { needs = ['unit', 'lint'] }\nci = { needs = ['unit', 'lint'] }\n";
        let source = Source { name: "tasks.toml", text, base: RepoPath::top(), project: "" };
        let mut config = parse(&source).unwrap();
        let gate = config.tasks.iter_mut().find(|task| task.name == "quality").unwrap();
        gate.gate =
            Some(Box::new(Gate { rules: Rules::default(), baseline: None, base: None, by_name: false }));
        let cases = [
            ("unit", Reach::WithNeeds, "unit"),
            ("ci", Reach::WithNeeds, "unit lint ci quality"),
            ("quality", Reach::WithNeeds, "unit lint quality"),
            ("ci", Reach::Only, "unit lint ci"),
            ("ci", Reach::Shard, "unit lint ci"),
        ];
        for (name, reach, expected) in cases {
            let graph = Graph::of(&config, &config.named(name), reach);
            let names: Vec<&str> = graph.nodes.iter().map(|node| &*config.task(node.task).name).collect();
            let mut names = names;
            names.sort_unstable();
            let mut expected: Vec<&str> = expected.split(' ').collect();
            expected.sort_unstable();
            assert_eq!(names, expected, "{name}");
        }
    }
}
