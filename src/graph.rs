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
    /// The selected tasks alone.
    Only,
}

impl Graph {
    /// The graph of `selected`. The needs of a [`Config`] have no cycle, since one is refused there.
    pub fn of(config: &Config, selected: &[TaskId], reach: Reach) -> Self {
        let order = postorder(config, selected);
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
