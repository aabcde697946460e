//! Affected tasks: tasks whose result may differ from their result at an earlier tree, and why. The
//! answer is exact: it compares the fields of the tasks' keys that depend on the tree. This module
//! must not guess from paths and must not know the cache.
//!
//! Fields that do not depend on the tree (the values of passed variables, the tools of the machine)
//! count as equal on both sides. A task that needs an affected task is affected too.

use std::fmt;

use crate::base::digest::Digest;
use crate::base::path::RepoPath;
use crate::config::model::{Config, Task, TaskId};
use crate::decision_reason::Change;
use crate::git::snapshot::Snapshot;
use crate::graph::{Graph, Node, NodeId, Reach};
use crate::key::explanation::Explanation;
use crate::key::inputs::InputSet;
use crate::key::{Contribution, Field, Key, KeyInputs, probe_files};
use crate::process::secret_mask::Mask;

/// The maximum number of changes that are listed.
const LISTED: usize = 2;

/// A tree and the tasks that it defines.
#[derive(Clone, Copy, Debug)]
pub struct TreeSide<'a> {
    /// The configuration with its tasks.
    pub config: &'a Config,
    /// The snapshot of its files.
    pub snapshot: &'a Snapshot,
}

/// A task that is affected, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Affected {
    /// The task.
    pub task: TaskId,
    /// The reason.
    pub reason: AffectedReason,
}

/// Why a task is affected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AffectedReason {
    /// The earlier tree has no such task.
    New,
    /// These parts of its key differ.
    Changed {
        /// The first of them.
        changes: Vec<Change>,
        /// The number of further ones.
        more: usize,
    },
    /// A file changed that may select another version of one of the task's tools.
    Tool {
        /// The tool.
        tool: String,
        /// The file.
        file: RepoPath,
    },
    /// A task that it needs is affected.
    Needs {
        /// The affected task.
        task: String,
    },
}

impl fmt::Display for AffectedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("is new"),
            Self::Changed { changes, more } => {
                let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
                f.write_str(&changes.join(", "))?;
                if *more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
            Self::Tool { tool, file } => write!(f, "its tool {tool} may have changed: {file} differs"),
            Self::Needs { task } => write!(f, "needs {task}"),
        }
    }
}

/// Returns the affected tasks of `graph`, in its order. `graph` contains the tasks of `now`.
/// Without an `earlier` side, all tasks are new.
pub fn affected(graph: &Graph, now: TreeSide<'_>, earlier: Option<TreeSide<'_>>) -> Vec<Affected> {
    let earlier = earlier.map(|side| {
        let all: Vec<TaskId> = side.config.ids().collect();
        (side, Graph::new(side.config, &all, Reach::WithNeeds))
    });
    let mut found: Vec<Affected> = Vec::new();
    for node in graph.nodes.iter().filter(|node| !now.config.task(node.task).is_aggregate()) {
        let own = match &earlier {
            None => Some(AffectedReason::New),
            Some((side, all)) => difference(&TaskAtTree { side: now, graph, node }, *side, all),
        };
        let needed = || {
            let affected = |id: &&NodeId| found.iter().any(|known| known.task == graph.node(**id).task);
            let id = node.sources.iter().find(affected)?;
            Some(AffectedReason::Needs { task: now.config.task(graph.node(*id).task).name.clone() })
        };
        if let Some(why) = own.or_else(needed) {
            found.push(Affected { task: node.task, reason: why });
        }
    }
    found
}

/// A task in a graph of one tree.
struct TaskAtTree<'a> {
    side: TreeSide<'a>,
    graph: &'a Graph,
    node: &'a Node,
}

impl<'a> TaskAtTree<'a> {
    fn task(&self) -> &'a Task {
        self.side.config.task(self.node.task)
    }

    fn inputs(&self) -> InputSet<'a> {
        InputSet::new(self.side.config, self.graph, self.node)
    }

    /// Returns the fields of the task's key that depend on the tree.
    fn fields(&self) -> Vec<Field> {
        let task = self.task();
        let declared = &task.env.variables;
        let passed = declared.passed.iter().filter(|pass| pass.keyed).map(|pass| &pass.name);
        let passed = passed.map(|name| (name.clone(), Some("passed".to_owned())));
        let set = declared.set.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
        let secrets = declared.secret.iter().map(|name| (name.clone(), Some(name.clone())));
        // A file of variables may be in the tree.
        let from_files =
            declared.from_files.iter().map(|(name, value)| (name.clone(), Some(value.0.clone())));
        let name = |id: &NodeId| self.side.config.task(self.graph.node(*id).task).name.clone();
        let needs = self.node.sources.iter().map(name);
        let probe = |tool: &String| {
            (tool.clone(), self.side.config.tools.get(tool).map_or("", |tool| &tool.probe).to_owned())
        };
        Key::new(&KeyInputs {
            task,
            args: &[],
            inputs: self.inputs().digest(self.side.snapshot),
            variables: passed.chain(set).collect(),
            secrets: secrets.chain(from_files).collect(),
            tools: task.tools.iter().map(probe).collect(),
            needs: needs
                .map(|need| (need.clone(), Contribution::Key(Digest::hash(need.as_bytes()))))
                .collect(),
            services: task.env.uses.iter().map(|id| self.side.config.service(*id)).collect(),
            platform: "",
            basis: None,
        })
        .fields
    }

    fn explanation(&self, fields: &[Field]) -> Explanation {
        Explanation::new(fields, self.inputs().select(self.side.snapshot), &Mask::default())
    }
}

/// Returns how a task differs from its earlier version, or `None` if it does not.
fn difference(now: &TaskAtTree<'_>, earlier: TreeSide<'_>, all: &Graph) -> Option<AffectedReason> {
    let name = &now.task().name;
    let is_it = |node: &&Node| {
        let task = earlier.config.task(node.task);
        task.name == *name && !task.is_aggregate()
    };
    let Some(node) = all.nodes.iter().find(is_it) else { return Some(AffectedReason::New) };
    let then = TaskAtTree { side: earlier, graph: all, node };
    let (new, old) = (now.fields(), then.fields());
    if new == old {
        return changed_tool(now, &then);
    }
    let mut changes = now.explanation(&new).changes_since(&then.explanation(&old), &Mask::default());
    let more = changes.len().saturating_sub(LISTED);
    changes.truncate(LISTED);
    Some(AffectedReason::Changed { changes, more })
}

/// Returns a tool of the task or of its services that may have another version now.
fn changed_tool(now: &TaskAtTree<'_>, then: &TaskAtTree<'_>) -> Option<AffectedReason> {
    let TreeSide { config, snapshot } = now.side;
    let of_services = now.task().env.uses.iter().flat_map(|id| &config.service(*id).tools);
    now.task().tools.iter().chain(of_services).find_map(|name| {
        let tool = config.tools.get(name)?;
        let mut files = probe_files::probe_files(tool, snapshot);
        files.extend(probe_files::probe_files(tool, then.side.snapshot));
        let content =
            |snapshot: &Snapshot, path: &RepoPath| snapshot.get(path).map(|entry| (entry.mode, entry.id));
        let file =
            files.into_iter().find(|path| content(snapshot, path) != content(then.side.snapshot, path))?;
        Some(AffectedReason::Tool { tool: name.clone(), file })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SourceText, parse};
    use crate::git::snapshot::{ContentId, Mode, SnapshotEntry};

    const TASKS: &str = "[tools]\ncc = 'cc -v'\n[tasks.build]\nrun = 'make'\ninputs = ['src/**']\noutputs = ['out']\ntools = ['cc']\n[tasks.test]\nrun = 'test'\nneeds = ['build']\ninputs = ['tests/**']\n[tasks.lint]\nrun = 'lint'\ninputs = ['src/**', 'lint.toml']\nenv = { A = '1' }\n[tasks.docs]\nrun = 'docs'\ninputs = ['docs/**']\n[tasks.all]\nneeds = ['test', 'lint', 'docs']\n";

    fn config(text: &str) -> Config {
        parse(&SourceText { name: "tasks.toml", text, base: RepoPath::top(), project: "" }).unwrap()
    }

    fn snapshot(files: &[(&str, u8)]) -> Snapshot {
        let entry = |(path, id): &(&str, u8)| SnapshotEntry {
            path: RepoPath::from_git(path.as_bytes()),
            mode: Mode::File,
            id: ContentId([*id; 20]),
            stat: None,
            tracked: true,
            not_checked_out: false,
        };
        Snapshot::new(files.iter().map(entry).collect())
    }

    /// The paths and contents of files.
    type Files = &'static [(&'static str, u8)];

    const FILES: Files = &[("src/a", 1), ("tests/t", 1), ("docs/d", 1), ("lint.toml", 1)];

    fn found(now: (&str, &[(&str, u8)]), former: Option<(&str, &[(&str, u8)])>) -> Vec<String> {
        let (former_config, config) = (former.map(|(text, _)| config(text)), config(now.0));
        let (tree, former_tree) = (snapshot(now.1), former.map(|(_, files)| snapshot(files)));
        let former = former_config.as_ref().zip(former_tree.as_ref());
        let all: Vec<TaskId> = config.ids().collect();
        let graph = Graph::new(&config, &all, Reach::WithNeeds);
        let now = TreeSide { config: &config, snapshot: &tree };
        let former = former.map(|(config, snapshot)| TreeSide { config, snapshot });
        let mut found: Vec<String> = affected(&graph, now, former)
            .iter()
            .map(|affected| format!("{}: {}", config.task(affected.task).name, affected.reason))
            .collect();
        found.sort();
        found
    }

    fn with(changes: &[(&'static str, u8)]) -> Vec<(&'static str, u8)> {
        let mut files = FILES.to_vec();
        for (path, id) in changes {
            files.retain(|(known, _)| known != path);
            if *id > 0 {
                files.push((path, *id));
            }
        }
        files
    }

    #[test]
    fn only_tasks_that_read_a_change_are_affected() {
        let cases: [(Files, &[&str]); 6] = [
            (&[], &[]),
            (&[("README", 1)], &[]),
            (&[("docs/d", 2)], &["docs: docs/d changed"]),
            (&[("docs/e", 1)], &["docs: docs/e added"]),
            (&[("tests/t", 0)], &["test: tests/t removed"]),
            (&[("src/a", 2)], &["build: src/a changed", "lint: src/a changed", "test: needs build"]),
        ];
        for (changes, expected) in cases {
            assert_eq!(found((TASKS, &with(changes)), Some((TASKS, FILES))), expected, "{changes:?}");
        }
    }

    #[test]
    fn version_files_of_tools_affect_tasks() {
        let cases: [(Files, &[&str]); 2] = [
            (
                &[("rust-toolchain.toml", 1)],
                &["build: its tool cc may have changed: rust-toolchain.toml differs", "test: needs build"],
            ),
            (&[("docs/rust-toolchain.toml", 1)], &["docs: docs/rust-toolchain.toml added"]),
        ];
        for (changes, expected) in cases {
            assert_eq!(found((TASKS, &with(changes)), Some((TASKS, FILES))), expected, "{changes:?}");
            let gone = found((TASKS, FILES), Some((TASKS, &with(changes))));
            assert_eq!(gone.len(), expected.len(), "{changes:?}");
        }
        let named = TASKS.replace("'cc -v'", "'sh lint.toml'");
        let found = found((&named, &with(&[("lint.toml", 2)])), Some((&named, FILES)));
        assert_eq!(found[0], "build: its tool cc may have changed: lint.toml differs");
    }

    #[test]
    fn changed_definition_affects_a_task_only_through_its_key() {
        let cases: [(&str, &str, &[&str]); 6] = [
            ("'lint'\n", "'lint -x'\n", &["lint: run: lint → lint -x"]),
            ("A = '1'", "A = '2'", &["lint: A: \"1\" → \"2\""]),
            ("'cc -v'", "'cc -vv'", &["build: tool cc: cc -v → cc -vv", "test: needs build"]),
            ("[tasks.docs]", "[tasks.manual]", &["manual: is new"]),
            ("run = 'docs'", "run = 'docs'\ntimeout = '5m'", &[]),
            ("needs = ['build']\n", "", &["test: build has another result"]),
        ];
        for (from, to, expected) in cases {
            let now = TASKS.replace(from, to).replace("'lint', 'docs']", "'lint']");
            let then = TASKS.replace("'lint', 'docs']", "'lint']");
            assert_eq!(found((&now, FILES), Some((&then, FILES))), expected, "{to}");
        }
        assert_eq!(found((TASKS, FILES), None).len(), 4);
    }
}
