//! Baselines: what a gate's tree is compared with. That is what was recorded of the tree of the merge
//! base; it must not guess where nothing was.
//!
//! The state directory is asked first, then the notes on that commit (`refs/notes/xtask`), then the
//! committed file that the gate names, as the merge base has it: what a change says of its own
//! baseline does not count.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::model::{Config, Gate, TaskId};
use crate::git::snapshot::Snapshot;
use crate::git::{Commit, GitError, NoBase, Notes, Repository, tree_id};
use crate::graph::Graph;
use crate::ground::clock::Timestamp;
use crate::history::records::{Recorded, Records};
use crate::quality::evidence::Record;
use crate::quality::rules::Day;
use crate::quality::{Baseline, Basis};

/// The name below `refs/notes/` under which records are shared.
pub const NOTES: &str = "xtask";

/// Branches that are tried in turn if no base is named.
pub const BASES: [&str; 3] = ["origin/HEAD", "origin/main", "origin/master"];

/// Where in the history the tree of a run stands.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// The user's repository.
    pub repository: &'a Repository,
    /// The commit that the tree is of, or else was made from; `None`: HEAD.
    pub commit: Option<&'a str>,
}

/// What the tree of a run is, beside its line.
#[derive(Clone, Copy)]
pub struct Standing<'a> {
    /// Its line; `None` outside a repository.
    pub line: Option<Line<'a>>,
    /// The state directory.
    pub state: Option<&'a Path>,
    /// Its files.
    pub snapshot: Option<&'a Snapshot>,
    /// The time.
    pub now: Timestamp,
}

/// What each gate of the graph is judged by beside its rules and reports.
pub fn of_gates(config: &Config, graph: &Graph, standing: Standing<'_>) -> BTreeMap<TaskId, Basis> {
    let today = day(standing.now);
    let mut found: BTreeMap<TaskId, Basis> = BTreeMap::new();
    for node in &graph.nodes {
        let task = config.task(node.task);
        let Some(gate) = &task.gate else { continue };
        let baseline =
            if gate.rules.ask_baseline() { baseline(gate, &task.name, standing) } else { Baseline::Unasked };
        found.insert(node.task, Basis { baseline, today });
    }
    found
}

/// The day of a time, where it is noon in Greenwich.
pub fn day(now: Timestamp) -> Day {
    let text = now.rfc3339();
    let mut parts = text.get(..10).unwrap_or_default().split('-');
    let mut next = || parts.next().and_then(|part| part.parse::<u16>().ok()).unwrap_or_default();
    let (year, month, day) = (i32::from(next()), next(), next());
    Day { year, month: u8::try_from(month).unwrap_or_default(), day: u8::try_from(day).unwrap_or_default() }
}

fn baseline(gate: &Gate, name: &str, standing: Standing<'_>) -> Baseline {
    let absent = |why: String| Baseline::Absent { why };
    let Some(line) = standing.line else {
        return absent("there is no repository".to_owned());
    };
    let (of, commit) = match former(gate, line, standing.snapshot) {
        Ok(Some(found)) => found,
        Ok(None) => return absent("the commit has no parent here".to_owned()),
        Err(GitError::NoBase { base, why: NoBase::Shallow }) => {
            return absent(format!(
                "the history of this clone is cut off before {base}; `git fetch --unshallow origin` brings it"
            ));
        }
        Err(error) => return absent(error.to_string()),
    };
    match record(gate, name, (line.repository, &commit), standing.state) {
        Ok(Some(record)) => Baseline::Known { of, record },
        Ok(None) => {
            let short = &commit.id[..10];
            absent(format!(
                "nothing is recorded of {of}; `xtask run {name} --at {short}` records it, and `xtask baseline fetch` brings what others recorded"
            ))
        }
        Err(error) => absent(error.to_string()),
    }
}

/// The commit whose tree this one is compared with, and what it is called. On the branch itself that
/// is the commit before.
fn former(
    gate: &Gate,
    line: Line<'_>,
    snapshot: Option<&Snapshot>,
) -> Result<Option<(String, Commit)>, GitError> {
    let bases: Vec<&str> = gate.base.as_deref().map_or_else(|| BASES.to_vec(), |base| vec![base]);
    let (name, base) = line.repository.merge_base(line.commit, &bases)?;
    let own = match line.commit {
        Some(id) => Some(id.to_owned()),
        None => line.repository.head_commit()?.map(|head| head.id),
    };
    let is_itself = own.as_deref() == Some(&*base.id)
        && snapshot.map(tree_id).transpose()?.is_some_and(|tree| tree == base.tree);
    if !is_itself {
        return Ok(Some((format!("{} (the merge base with {name})", &base.id[..10]), base)));
    }
    let parent = line.repository.parent(&base.id)?;
    Ok(parent.map(|parent| (format!("{} (the commit before)", &parent.id[..10]), parent)))
}

/// What is recorded of a commit's tree, wherever it is first found.
fn record(
    gate: &Gate,
    name: &str,
    (repository, commit): (&Repository, &Commit),
    state: Option<&Path>,
) -> Result<Option<Record>, GitError> {
    if let Some(record) = state.and_then(|state| Records::new(state).get(&commit.tree, name)) {
        return Ok(Some(record));
    }
    if let Some(note) = Notes::new(repository, NOTES).get(&commit.id)?
        && let Some(record) = in_lines(&note, name)
    {
        return Ok(Some(record));
    }
    let Some(path) = &gate.baseline else { return Ok(None) };
    let bytes = repository.read_file(&commit.tree, path)?;
    Ok(bytes.and_then(|bytes| in_lines(&String::from_utf8_lossy(&bytes), name)))
}

/// What lines say, each of which is a record; others are passed over.
pub fn lines_of(text: &str) -> impl Iterator<Item = Recorded> {
    text.lines().filter_map(|line| serde_json::from_str::<Recorded>(line).ok())
}

/// The record of a gate among lines; the last counts.
fn in_lines(text: &str, name: &str) -> Option<Record> {
    lines_of(text).filter(|recorded| recorded.gate == name).last().map(|recorded| recorded.record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_day() {
        let cases = [
            (0, Day { year: 1970, month: 1, day: 1 }),
            (1_795_219_199_999, Day { year: 2026, month: 11, day: 20 }),
            (1_795_219_200_000, Day { year: 2026, month: 11, day: 21 }),
        ];
        for (millis, expected) in cases {
            assert_eq!(day(Timestamp(millis)), expected);
        }
    }

    #[test]
    fn the_last_line_of_a_gate_counts() {
        let line = |gate: &str, tests| {
            let record = Record { tests: Some(tests), ..Record::default() };
            serde_json::to_string(&Recorded { gate: gate.to_owned(), record }).unwrap()
        };
        let text = format!("{}\nnot a line\n{}\n{}\n", line("q", 1), line("other", 2), line("q", 3));
        assert_eq!(in_lines(&text, "q").and_then(|record| record.tests), Some(3));
        assert_eq!(in_lines(&text, "none"), None);
    }
}
