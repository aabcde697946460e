//! Finds the baseline of a gate: the record of the tree that a run is compared with, usually the tree
//! of the merge base.
//!
//! The state directory is searched first, then the git notes of the commit (`refs/notes/xtask`), then
//! the committed file that the gate names, as it is in that commit: what a change writes to its own
//! baseline does not count. If that file does not exist yet, there is no baseline; if it can't be
//! read, that is an error.

use std::collections::BTreeMap;
use std::path::Path;

use crate::base::clock::Timestamp;
use crate::base::path::RepoPath;
use crate::config::model::{Config, Gate, TaskId};
use crate::git::snapshot::Snapshot;
use crate::git::{Commit, GitError, NoBaseReason, Notes, Repository, tree_id};
use crate::graph::Graph;
use crate::history::gate_records::{GateRecord, GateRecords};
use crate::quality::evidence::BaselineFacts;
use crate::quality::rules::Day;
use crate::quality::{Baseline, JudgingContext};
use ci_reports::facts::Ratio;

/// The name below `refs/notes/` under which records are shared.
pub const NOTES_REF: &str = "xtask";

/// The branches that are tried in turn if the gate names no base.
pub const DEFAULT_BASES: [&str; 3] = ["origin/HEAD", "origin/main", "origin/master"];

/// Where the tree of a run comes from.
#[derive(Clone, Copy)]
pub struct TreeOrigin<'a> {
    /// The user's repository.
    pub repository: &'a Repository,
    /// The commit that the tree is of or is based on; `None` for HEAD.
    pub commit: Option<&'a str>,
}

/// The data that is needed to find the baselines of a run.
#[derive(Clone, Copy)]
pub struct BaselineContext<'a> {
    /// Where the tree comes from; `None` outside a repository.
    pub origin: Option<TreeOrigin<'a>>,
    /// The state directory.
    pub state: Option<&'a Path>,
    /// The files of the tree.
    pub snapshot: Option<&'a Snapshot>,
    /// The current time.
    pub now: Timestamp,
}

/// A committed baseline that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the baseline {path} of {commit} can't be read: {why}")]
pub struct UnreadableBaseline {
    /// The file.
    pub path: RepoPath,
    /// The commit, as it is shown to people.
    pub commit: String,
    /// What is wrong with the file.
    pub why: String,
}

/// Why looking for a record failed.
enum RecordError {
    /// Git failed.
    Git(GitError),
    /// The committed file can't be read.
    File(UnreadableBaseline),
}

impl From<GitError> for RecordError {
    fn from(error: GitError) -> Self {
        Self::Git(error)
    }
}

/// Returns, for each gate of the graph, its baseline and the current day, which its rules may use.
pub fn gate_bases(
    config: &Config,
    graph: &Graph,
    context: BaselineContext<'_>,
) -> BTreeMap<TaskId, JudgingContext> {
    let today = day(context.now);
    let mut bases: BTreeMap<TaskId, JudgingContext> = BTreeMap::new();
    for node in &graph.nodes {
        let task = config.task(node.task);
        let Some(gate) = task.gate() else { continue };
        let baseline = if gate.rules.need_baseline() {
            find_baseline(gate, &task.name, context)
        } else {
            Baseline::NotNeeded
        };
        bases.insert(node.task, JudgingContext { baseline, today });
    }
    bases
}

/// Returns the day of a time, in UTC.
pub fn day(now: Timestamp) -> Day {
    let text = now.rfc3339();
    let mut parts = text.get(..10).unwrap_or_default().split('-');
    let mut next = || parts.next().and_then(|part| part.parse::<u16>().ok()).unwrap_or_default();
    let (year, month, day) = (i32::from(next()), next(), next());
    Day { year, month: u8::try_from(month).unwrap_or_default(), day: u8::try_from(day).unwrap_or_default() }
}

fn find_baseline(gate: &Gate, name: &str, context: BaselineContext<'_>) -> Baseline {
    let absent = |why: String| Baseline::Missing { why };
    let Some(origin) = context.origin else {
        return absent("there is no repository".to_owned());
    };
    let (shown, commit) = match baseline_commit(gate, origin, context.snapshot) {
        Ok(Some(found)) => found,
        Ok(None) => return absent("the commit has no parent in this clone".to_owned()),
        Err(GitError::NoBase { base, why: NoBaseReason::Shallow, fetch }) => {
            return absent(format!(
                "the history of this clone ends before {base}; fetch it with `git fetch --unshallow {fetch}`"
            ));
        }
        Err(error) => return absent(error.to_string()),
    };
    let short = &commit.id[..10];
    match find_record(gate, name, origin.repository, &shown, &commit, context.state) {
        Ok(Some(record)) => Baseline::Known { of: shown, record },
        Ok(None) => absent(format!(
            "no record for {shown}; create one with `xtask run {name} --at {short}`, or fetch the records of others with `xtask baseline fetch`"
        )),
        Err(RecordError::Git(error)) => absent(error.to_string()),
        Err(RecordError::File(error)) => Baseline::Unreadable {
            why: format!(
                "{error}; regenerate it there with `xtask baseline write {}`; until then, `xtask run {name} --at {short}` creates a record",
                error.path
            ),
        },
    }
}

/// Returns the commit whose tree a run is compared with, and how it is shown to people. It is the
/// merge base, or the parent commit if the run's tree is that of the base itself.
fn baseline_commit(
    gate: &Gate,
    origin: TreeOrigin<'_>,
    snapshot: Option<&Snapshot>,
) -> Result<Option<(String, Commit)>, GitError> {
    let bases: Vec<&str> = gate.base.as_deref().map_or_else(|| DEFAULT_BASES.to_vec(), |base| vec![base]);
    let (name, base) = origin.repository.merge_base(origin.commit, &bases)?;
    let own = match origin.commit {
        Some(id) => Some(id.to_owned()),
        None => origin.repository.head_commit()?.map(|head| head.id),
    };
    let is_base = own.as_deref() == Some(&*base.id)
        && snapshot.map(tree_id).transpose()?.is_some_and(|tree| tree == base.tree);
    if !is_base {
        return Ok(Some((format!("{} (the merge base with {name})", &base.id[..10]), base)));
    }
    let parent = origin.repository.parent(&base.id)?;
    Ok(parent.map(|parent| (format!("{} (the commit before)", &parent.id[..10]), parent)))
}

/// Returns the record of a gate for the tree of a commit, from the first place that has one.
fn find_record(
    gate: &Gate,
    name: &str,
    repository: &Repository,
    shown: &str,
    commit: &Commit,
    state: Option<&Path>,
) -> Result<Option<BaselineFacts>, RecordError> {
    if let Some(record) = state.and_then(|state| GateRecords::new(state).get(&commit.tree, name)) {
        return Ok(Some(record));
    }
    if let Some(note) = Notes::new(repository, NOTES_REF).get(&commit.id)? {
        let noted: Vec<GateRecord> = parse_lenient(&note).collect();
        if let Some(record) = last_of_gate(noted, name) {
            return Ok(Some(record));
        }
    }
    let Some(path) = &gate.baseline else { return Ok(None) };
    let committed = read_committed(repository, path, shown, commit).map_err(RecordError::File)?;
    Ok(committed.and_then(|all| last_of_gate(all, name)))
}

/// Returns the records of a baseline file in a commit; `None` if the commit does not have the file.
/// `shown` is how the commit is shown to people.
///
/// # Errors
/// The file can't be read.
pub fn read_committed(
    repository: &Repository,
    path: &RepoPath,
    shown: &str,
    commit: &Commit,
) -> Result<Option<Vec<GateRecord>>, UnreadableBaseline> {
    let unreadable = |why: String| UnreadableBaseline { path: path.clone(), commit: shown.to_owned(), why };
    let bytes = repository.read_file(&commit.tree, path).map_err(|error| unreadable(error.to_string()))?;
    bytes.map(|bytes| parse_strict(&bytes).map_err(unreadable)).transpose()
}

/// Parses a file, each line of which must be a record.
fn parse_strict(bytes: &[u8]) -> Result<Vec<GateRecord>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parse = |(at, line): (usize, &str)| {
        parse_line(line).map_err(|error| format!("line {} is not a record of a gate ({error})", at + 1))
    };
    lines.map(parse).collect()
}

/// Parses the lines that are records, and skips all others.
pub fn parse_lenient(text: &str) -> impl Iterator<Item = GateRecord> {
    text.lines().filter_map(|line| parse_line(line).ok())
}

fn parse_line(line: &str) -> Result<GateRecord, String> {
    let recorded: GateRecord = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match recorded.record.coverage {
        Some(Ratio { part, whole }) if part > whole => Err(format!("it covers {part} of {whole} lines")),
        _ => Ok(recorded),
    }
}

/// Returns the last record of a gate.
fn last_of_gate(all: Vec<GateRecord>, name: &str) -> Option<BaselineFacts> {
    all.into_iter().rfind(|recorded| recorded.gate == name).map(|recorded| recorded.record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_converted_to_its_day() {
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
    fn last_record_of_a_gate_counts() {
        let line = |gate: &str, tests| {
            let record = BaselineFacts { tests: Some(tests), ..BaselineFacts::default() };
            serde_json::to_string(&GateRecord { gate: gate.to_owned(), record }).unwrap()
        };
        let text = format!("{}\nnot a line\n{}\n{}\n", line("q", 1), line("other", 2), line("q", 3));
        let tests = |name| last_of_gate(parse_lenient(&text).collect(), name).and_then(|record| record.tests);
        assert_eq!(tests("q"), Some(3));
        assert_eq!(tests("none"), None);
        // A note contains lines that others wrote; in a committed file, each line must be valid.
        let error = parse_strict(text.as_bytes()).unwrap_err();
        assert!(error.starts_with("line 2 is not a record of a gate (expected ident"), "{error}");
        let whole = format!("{}\n\n{}\n", line("q", 1), line("other", 2));
        assert_eq!(parse_strict(whole.as_bytes()).map(|all| all.len()), Ok(2));
    }

    #[test]
    fn line_that_is_not_a_record_is_reported() {
        let cases: [(&[u8], &str); 6] = [
            (b"{", "line 1 is not a record of a gate (EOF"),
            (b"<<<<<<< ours\n", "line 1 is not a record of a gate (expected value"),
            (b"{\"gate\": \"q\"}\n", "line 1 is not a record of a gate (missing field `record`"),
            (b"\n\n[]", "line 3 is not a record of a gate ("),
            (b"\xff\xfe", "it is not text"),
            (
                br#"{"gate": "q", "record": {"coverage": {"part": 9, "whole": 0}}}"#,
                "line 1 is not a record of a gate (it covers 9 of 0 lines)",
            ),
        ];
        for (bytes, expected) in cases {
            let error = parse_strict(bytes).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        assert_eq!(parse_strict(b""), Ok(Vec::new()));
    }
}
