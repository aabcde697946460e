//! The inputs of a task: which entries of a snapshot it reads, their digest, and whether they changed while
//! it ran. It must not know how a snapshot is taken.

use crate::base::digest::Digest;
use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;
use crate::config::model::{Command, Config, Service, Task};
use crate::git::snapshot::{self, Snapshot, SnapshotEntry};
use crate::graph::{Graph, Node};

/// The files that a task reads: its patterns and those of its services, without its own outputs and those of
/// the tasks that it needs, which enter its key as digests.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct InputSet<'a> {
    /// The patterns of the task, of the services that it uses, and of its program if it is a Rust task.
    patterns: Vec<&'a Patterns>,
    without: Vec<&'a Patterns>,
}

impl<'a> InputSet<'a> {
    /// Returns the inputs of the task of `node`.
    pub fn new(config: &'a Config, graph: &Graph, node: &Node) -> Self {
        let task: &Task = config.task(node.task);
        let sources = node.sources.iter().map(|id| &config.task(graph.node(*id).task).outputs);
        let without = std::iter::once(&task.outputs).chain(sources).filter(|outputs| !outputs.is_empty());
        let used = task.env.uses.iter().map(|id| &config.service(*id).inputs);
        // The code of a function is an input of the task that calls it.
        let program = matches!(task.command(), Some(Command::Rust(_))).then_some(&config.program);
        let patterns = std::iter::once(&task.inputs).chain(used).chain(program).collect();
        Self { patterns, without: without.collect() }
    }

    /// Returns the inputs of a service.
    pub fn for_service(service: &'a Service) -> Self {
        Self { patterns: vec![&service.inputs], without: Vec::new() }
    }

    /// Returns folders or files that contain all inputs.
    pub fn folders(&self) -> Vec<RepoPath> {
        let mut folders: Vec<RepoPath> =
            self.patterns.iter().flat_map(|patterns| patterns.folders()).collect();
        if self.patterns.len() > 1 {
            folders.sort_unstable();
            // Paths in a folder directly follow it in this order, and are read with it.
            folders.dedup_by(|inner, outer| inner.is_within(outer));
        }
        folders
    }

    /// Returns whether a file at this path is an input.
    pub fn contains(&self, path: &RepoPath) -> bool {
        self.patterns.iter().any(|patterns| patterns.is_whole() || patterns.matches(path))
            && !self.without.iter().any(|outputs| outputs.matches(path))
    }

    /// Returns the entries that are inputs, in their order.
    pub fn select<'s>(&self, snapshot: &'s Snapshot) -> impl Iterator<Item = &'s SnapshotEntry> {
        let folders = self.folders();
        // A pattern may match files in a submodule, which has a single entry.
        let mut above: Vec<&SnapshotEntry> = folders
            .iter()
            .flat_map(|folder| std::iter::successors(folder.parent(), RepoPath::parent))
            .filter_map(|folder| snapshot.get(&folder))
            .filter(|entry| entry.mode == snapshot::Mode::Submodule)
            .collect();
        above.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        above.dedup_by(|a, b| a.path == b.path);
        let below = folders.into_iter().flat_map(|folder| snapshot.entries_in(&folder));
        above.into_iter().chain(below.filter(|entry| self.contains(&entry.path)))
    }

    /// Returns the digest of the entries that are inputs.
    pub fn digest(&self, snapshot: &Snapshot) -> Digest {
        if self.without.is_empty() && self.patterns.iter().any(|patterns| patterns.is_whole()) {
            return snapshot.digest();
        }
        snapshot::digest_entries(self.select(snapshot))
    }

    /// Returns the first change between two snapshots, as a clause such as `src/a.rs changed`. A file that
    /// was written with the same content counts: it may have had another content in between.
    pub fn first_change(&self, before: &Snapshot, after: &Snapshot) -> Option<String> {
        let mut before = self.select(before).peekable();
        let mut after = self.select(after).peekable();
        loop {
            let order = match (before.peek(), after.peek()) {
                (None, None) => return None,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(old), Some(new)) => old.path.cmp(&new.path),
            };
            match order {
                std::cmp::Ordering::Less => {
                    return before.next().map(|gone| format!("{} disappeared", gone.path));
                }
                std::cmp::Ordering::Greater => {
                    return after.next().map(|new| format!("{} appeared", new.path));
                }
                std::cmp::Ordering::Equal => {
                    if let (Some(old), Some(new)) = (before.next(), after.next())
                        && let Some(verb) = compare(old, new)
                    {
                        return Some(format!("{} {verb}", new.path));
                    }
                }
            }
        }
    }
}

fn compare(old: &SnapshotEntry, new: &SnapshotEntry) -> Option<&'static str> {
    if old.id != new.id {
        Some("changed")
    } else if old.mode != new.mode {
        Some("changed its mode")
    } else if old.stat != new.stat && new.mode != snapshot::Mode::Submodule {
        Some("was written")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SourceText, parse};
    use crate::git::snapshot::{ContentId, Mode};
    use crate::graph::Reach;

    #[test]
    fn pattern_into_a_submodule_selects_the_submodule() {
        let text = "[tasks.t]\nrun = \"true\"\ninputs = [\"lib/sub/src/**\"]\n";
        let config =
            parse(&SourceText { name: "tasks.toml", text, base: RepoPath::top(), project: "" }).unwrap();
        let graph = Graph::new(&config, &config.ids().collect::<Vec<_>>(), Reach::WithNeeds);
        let set = InputSet::new(&config, &graph, &graph.nodes[0]);
        let digest = |id| {
            let path = RepoPath::from_git(&b"lib/sub"[..]);
            let entry = SnapshotEntry {
                path,
                mode: Mode::Submodule,
                id: ContentId([id; 20]),
                stat: None,
                tracked: true,
                not_checked_out: false,
            };
            set.digest(&Snapshot::new(vec![entry]))
        };
        assert_ne!(digest(1), digest(2));
    }
}
