//! Baselines: what a gate's tree is compared with. That is what was recorded of the tree of the merge
//! base; it must not guess where nothing was.
//!
//! The state directory is asked first, then the notes on that commit (`refs/notes/xtask`), then the
//! committed file that the gate names, as the merge base has it: what a change says of its own
//! baseline does not count. Where that file is not there yet, nothing is recorded; where it can't be
//! read, that is an error and no want of a baseline.

use std::collections::BTreeMap;
use std::path::Path;

use crate::base::clock::Timestamp;
use crate::base::path::RepoPath;
use crate::config::model::{Config, Gate, TaskId};
use crate::git::snapshot::Snapshot;
use crate::git::{Commit, GitError, NoBase, Notes, Repository, tree_id};
use crate::graph::Graph;
use crate::history::records::{Recorded, Records};
use crate::quality::evidence::Record;
use crate::quality::rules::Day;
use crate::quality::{Baseline, Basis};
use ci_reports::facts::Ratio;

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

/// A committed baseline that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the baseline {path} can't be read as {of} has it: {why}")]
pub struct Unreadable {
    /// The file.
    pub path: RepoPath,
    /// The commit.
    pub of: String,
    /// What is wrong with it.
    pub why: String,
}

/// Why there is no record.
enum Lost {
    /// Git failed.
    Git(GitError),
    /// The committed file.
    File(Unreadable),
}

impl From<GitError> for Lost {
    fn from(error: GitError) -> Self {
        Self::Git(error)
    }
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
        Err(GitError::NoBase { base, why: NoBase::Shallow, fetch }) => {
            return absent(format!(
                "the history of this clone is cut off before {base}; `git fetch --unshallow {fetch}` brings it"
            ));
        }
        Err(error) => return absent(error.to_string()),
    };
    let short = &commit.id[..10];
    match record((gate, name), line.repository, (&of, &commit), standing.state) {
        Ok(Some(record)) => Baseline::Known { of, record },
        Ok(None) => absent(format!(
            "nothing is recorded of {of}; `xtask run {name} --at {short}` records it, and `xtask baseline fetch` brings what others recorded"
        )),
        Err(Lost::Git(error)) => absent(error.to_string()),
        Err(Lost::File(error)) => Baseline::Unreadable {
            why: format!(
                "{error}; write it anew there: `xtask baseline write {}`; until then `xtask run {name} --at {short}` records what it has to say",
                error.path
            ),
        },
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
    (gate, name): (&Gate, &str),
    repository: &Repository,
    (of, commit): (&str, &Commit),
    state: Option<&Path>,
) -> Result<Option<Record>, Lost> {
    if let Some(record) = state.and_then(|state| Records::new(state).get(&commit.tree, name)) {
        return Ok(Some(record));
    }
    if let Some(note) = Notes::new(repository, NOTES).get(&commit.id)? {
        let noted: Vec<Recorded> = lines_of(&note).collect();
        if let Some(record) = last(noted, name) {
            return Ok(Some(record));
        }
    }
    let Some(path) = &gate.baseline else { return Ok(None) };
    let committed = committed(repository, path, (of, commit)).map_err(Lost::File)?;
    Ok(committed.and_then(|all| last(all, name)))
}

/// What a file says that is committed as a baseline; `None` if the commit does not have it. `of` is
/// what the commit is called.
///
/// # Errors
/// It is there, and can't be read.
pub fn committed(
    repository: &Repository,
    path: &RepoPath,
    (of, commit): (&str, &Commit),
) -> Result<Option<Vec<Recorded>>, Unreadable> {
    let unreadable = |why: String| Unreadable { path: path.clone(), of: of.to_owned(), why };
    let bytes = repository.read_file(&commit.tree, path).map_err(|error| unreadable(error.to_string()))?;
    bytes.map(|bytes| strict(&bytes).map_err(unreadable)).transpose()
}

/// What the lines of a file say, each of which has to be a record.
fn strict(bytes: &[u8]) -> Result<Vec<Recorded>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(at, line): (usize, &str)| {
        recorded(line).map_err(|error| format!("line {} is no record of a gate ({error})", at + 1))
    };
    lines.map(read).collect()
}

/// What lines say, each of which is a record; others are passed over.
pub fn lines_of(text: &str) -> impl Iterator<Item = Recorded> {
    text.lines().filter_map(|line| recorded(line).ok())
}

/// The record of a line.
fn recorded(line: &str) -> Result<Recorded, String> {
    let recorded: Recorded = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match recorded.record.coverage {
        Some(Ratio { part, whole }) if part > whole => Err(format!("it covers {part} of {whole} lines")),
        _ => Ok(recorded),
    }
}

/// The record of a gate among others; the last counts.
fn last(all: Vec<Recorded>, name: &str) -> Option<Record> {
    all.into_iter().rfind(|recorded| recorded.gate == name).map(|recorded| recorded.record)
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
        let tests = |name| last(lines_of(&text).collect(), name).and_then(|record| record.tests);
        assert_eq!(tests("q"), Some(3));
        assert_eq!(tests("none"), None);
        // A note is merged from others' lines; a committed file is one's own, so all of it counts.
        let told = strict(text.as_bytes()).unwrap_err();
        assert!(told.starts_with("line 2 is no record of a gate (expected ident"), "{told}");
        let whole = format!("{}\n\n{}\n", line("q", 1), line("other", 2));
        assert_eq!(strict(whole.as_bytes()).map(|all| all.len()), Ok(2));
    }

    #[test]
    fn what_is_no_record_is_told_by_its_line() {
        let cases: [(&[u8], &str); 6] = [
            (b"{", "line 1 is no record of a gate (EOF"),
            (b"<<<<<<< ours\n", "line 1 is no record of a gate (expected value"),
            (b"{\"gate\": \"q\"}\n", "line 1 is no record of a gate (missing field `record`"),
            (b"\n\n[]", "line 3 is no record of a gate ("),
            (b"\xff\xfe", "it is not text"),
            (
                br#"{"gate": "q", "record": {"coverage": {"part": 9, "whole": 0}}}"#,
                "line 1 is no record of a gate (it covers 9 of 0 lines)",
            ),
        ];
        for (bytes, expected) in cases {
            let told = strict(bytes).unwrap_err();
            assert!(told.starts_with(expected), "{told}");
        }
        assert_eq!(strict(b""), Ok(Vec::new()));
    }
}
