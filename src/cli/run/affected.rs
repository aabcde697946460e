//! `--affected[=BASE]`: the tasks that changes since a merge base can reach. It must not decide which these
//! are.

use crate::affected::{self, Affected, TreeSide};
use crate::base::path::RepoPath;
use crate::base::text::count;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::config::model::TaskId;
use crate::engine::report::baseline::DEFAULT_BASES;
use crate::gate::definition;
use crate::git::{Commit, WorkTreeReader};
use crate::graph::{Graph, Reach};
use crate::select::Selection;

/// The affected tasks, and the lines to print about them.
pub struct AffectedTasks {
    /// The tasks.
    pub tasks: Vec<TaskId>,
    /// The lines: first the base, then each task with its reason.
    pub notes: Vec<String>,
}

/// Returns the affected tasks among `names` and all that they need, by the changes since the merge base of
/// HEAD and `base`. An empty `base` means the main branch of the remote.
///
/// # Errors
/// A name is unknown, the base is missing, or a tree can't be read.
pub fn affected_tasks(project: &Project, names: &[String], base: &str) -> Result<AffectedTasks, Failure> {
    let repository = project.repository()?;
    let bases: Vec<&str> = if base.is_empty() { DEFAULT_BASES.to_vec() } else { vec![base] };
    let (name, commit) = repository.merge_base(None, &bases)?;
    let snapshot = WorkTreeReader::open(repository, project.state())?.snapshot()?;
    let folders = [RepoPath::top(), project.config.base.clone()];
    let former = definition::load_config(repository, &commit.tree, &folders, &commit.id[..10])?;
    let filters = former.as_ref().map_or(&[][..], |config| &config.worktree.filters);
    let former_snapshot = repository.commit_snapshot(&commit.tree, filters)?;
    let selection = Selection::from_names(&project.config, names)?;
    let graph = Graph::new(&project.config, &selection.tasks, Reach::WithNeeds);
    let now = TreeSide { config: &project.config, snapshot: &snapshot };
    let former = former.as_ref().map(|config| TreeSide { config, snapshot: &former_snapshot });
    let found = affected::affected(&graph, now, former);
    let notes = notes(project, &found, &name, &commit, former.is_some());
    Ok(AffectedTasks { tasks: found.iter().map(|affected| affected.task).collect(), notes })
}

fn notes(project: &Project, found: &[Affected], name: &str, commit: &Commit, has_tasks: bool) -> Vec<String> {
    let since = format!("since {} (the merge base with {name})", &commit.id[..10]);
    let head = match (found.len(), has_tasks) {
        (0, _) => format!("nothing is affected {since}"),
        (_, false) => format!("all tasks are new {since}, which has no tasks.toml"),
        (number, _) => format!("{} affected {since}", count(number, "task")),
    };
    let each = found.iter().map(|affected| {
        format!("{} is affected: {}", project.config.task(affected.task).name, affected.reason)
    });
    let each = each.filter(|_| has_tasks);
    std::iter::once(head).chain(each).collect()
}
