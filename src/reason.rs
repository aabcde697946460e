//! Reasons: why a task was a hit, a miss or skipped, and what changed, as data with a one-line text.
//! They are made by the code that decides; this file must not know how it decides.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::path::RepoPath;
use crate::base::units;

/// Why a task was decided the way it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reason {
    /// A hit: an entry is stored under its key.
    Cached {
        /// When the stored run passed.
        at: Timestamp,
        /// How long it took, in milliseconds.
        took: u64,
        /// What is wrong with the outputs on disk, and is put right from the entry.
        restores: Option<String>,
    },
    /// A hit: another run had the same key in work, and it passed.
    OtherRun,
    /// A miss: no run of this task is on record.
    FirstRun,
    /// A miss: the key differs from the nearest entry's in these fields.
    Changed {
        /// The first differences.
        changes: Vec<Change>,
        /// How many more there are.
        more: usize,
    },
    /// A miss: it failed with this very key, and failures are not stored.
    FailedBefore,
    /// A miss: it failed with another key, and no pass is on record.
    NeverPassed,
    /// A miss: it ran with this very key, but its result was not stored or is no longer there.
    NotStored,
    /// A miss: the entry is damaged.
    Damaged {
        /// Which file of it, and how.
        what: String,
    },
    /// A miss: the entry is sound but its outputs can't be put in place.
    Unrestorable {
        /// What stands in the way.
        what: String,
    },
    /// A miss: `--force`.
    Forced,
    /// A miss: `--no-cache`.
    CacheOff,
    /// A miss: `cache = false`.
    Uncached,
    /// A miss: there is no git repository, so there is no tree to be cached by.
    NoRepository,
    /// A miss: a file that it reads can't be read, so it has no key.
    Unreadable {
        /// Which, and why.
        what: String,
    },
    /// Not known yet: its key depends on the output of a task that has to run first.
    Waits {
        /// That task.
        on: String,
    },
    /// Fails before it runs: a file of variables is missing.
    NoEnvFile {
        /// Which.
        path: RepoPath,
        /// Where the task is defined.
        place: String,
    },
    /// Fails before it runs: a tool probe failed.
    ProbeFailed {
        /// The tool's name in tasks.toml.
        tool: String,
        /// What the probe did.
        what: String,
    },
    /// Skipped: a task that it needs did not pass.
    NeedFailed {
        /// That task.
        task: String,
    },
    /// Skipped: another task failed, and the run ends at the first failure.
    FailFast {
        /// That task.
        task: String,
    },
    /// Ended or skipped: a file that it reads changed while the run went on, so it starts again.
    Superseded {
        /// Which.
        path: RepoPath,
        /// How it changed.
        how: FileChange,
    },
    /// Skipped: a task that it needs starts again.
    NeedSuperseded {
        /// That task.
        task: String,
    },
    /// Skipped: the run was interrupted.
    Interrupted,
    /// Skipped: it does not run on this system.
    WrongSystem {
        /// The systems it runs on.
        os: Vec<String>,
    },
    /// Skipped: it is a gate, and none of what it reads is written on this system.
    ReadsNothing {
        /// The tasks that would write it.
        tasks: Vec<String>,
        /// The system.
        os: String,
    },
}

/// One field in which a key differs from another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "kebab-case")]
pub enum Change {
    /// A file among the inputs.
    File {
        /// Which.
        path: RepoPath,
        /// How it changed.
        how: FileChange,
    },
    /// A declared variable.
    Variable {
        /// Which.
        name: String,
        /// Its former value.
        from: Option<String>,
        /// Its value now.
        to: Option<String>,
    },
    /// A secret variable; its values are never shown.
    Secret {
        /// Which.
        name: String,
    },
    /// The output of a tool's probe.
    Tool {
        /// The tool's name in tasks.toml.
        name: String,
        /// The first line that differs, formerly.
        from: String,
        /// The same line now.
        to: String,
    },
    /// A needed task's output or key.
    Need {
        /// That task.
        task: String,
    },
    /// Something in the task's definition, by its key in tasks.toml.
    Definition {
        /// Such as `run`, `cwd`, `args`.
        name: String,
        /// Formerly.
        from: String,
        /// Now.
        to: String,
    },
}

/// What happened to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its content is another.
    Changed,
    /// Its mode is another.
    Mode,
}

impl Change {
    /// The name of the field, such as `inputs`, `env RUSTFLAGS`, `tool rustc`.
    pub fn field(&self) -> String {
        match self {
            Self::File { .. } => "inputs".to_owned(),
            Self::Variable { name, .. } | Self::Secret { name } => format!("env {name}"),
            Self::Tool { name, .. } => format!("tool {name}"),
            Self::Need { task } => format!("needs {task}"),
            Self::Definition { name, .. } => name.clone(),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, how } => write!(f, "{path} {how}"),
            Self::Variable { name, from, to } => {
                write!(f, "{name}: {} → {}", value(from.as_deref()), value(to.as_deref()))
            }
            Self::Secret { name } => write!(f, "{name} has another value"),
            Self::Tool { name, from, to } => write!(f, "tool {name}: {} → {}", short(from), short(to)),
            Self::Need { task } => write!(f, "{task} has another result"),
            Self::Definition { name, from, to } => write!(f, "{name}: {} → {}", short(from), short(to)),
        }
    }
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Mode => "has another mode",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cached { restores: None, .. } => f.write_str("cached"),
            Self::Cached { restores: Some(what), .. } => write!(f, "cached, restores outputs: {what}"),
            Self::OtherRun => f.write_str("another run passed it just now"),
            Self::FirstRun => f.write_str("first run"),
            Self::Changed { changes, more } => {
                for (i, change) in changes.iter().enumerate() {
                    write!(f, "{}{change}", if i == 0 { "" } else { ", " })?;
                }
                if *more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
            Self::FailedBefore => f.write_str("failed last time"),
            Self::NeverPassed => f.write_str("has not passed yet"),
            Self::NotStored => f.write_str("its last result was not kept"),
            Self::Damaged { what } => write!(f, "cache entry damaged: {what}"),
            Self::Unrestorable { what } => write!(f, "outputs can't be restored: {what}"),
            Self::Forced => f.write_str("--force"),
            Self::CacheOff => f.write_str("--no-cache"),
            Self::Uncached => f.write_str("cache = false"),
            Self::NoRepository => f.write_str("not in a git repository"),
            Self::Unreadable { what } => write!(f, "no key: {what}"),
            Self::Waits { on } => write!(f, "waits for {on}"),
            Self::NoEnvFile { path, place } => {
                write!(f, "there is no {path}, which its `env-file` names ({place})")
            }
            Self::ProbeFailed { tool, what } => write!(f, "tool {tool}: {what}"),
            Self::NeedFailed { task } => write!(f, "{task} did not pass"),
            Self::Superseded { path, how } => write!(f, "{path} {how}, so it starts again"),
            Self::NeedSuperseded { task } => write!(f, "{task} starts again"),
            Self::FailFast { task } => write!(f, "{task} failed"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::WrongSystem { os } => write!(f, "only on {}", os.join(", ")),
            Self::ReadsNothing { tasks, os } => {
                let verb = if tasks.len() == 1 { "does" } else { "do" };
                write!(f, "reads only {}, which {verb} not run on {os}", tasks.join(", "))
            }
        }
    }
}

impl Reason {
    /// The time that a hit saved, in milliseconds.
    pub fn saved(&self) -> u64 {
        if let Self::Cached { took, .. } = self { *took } else { 0 }
    }

    /// How long ago, in words, a cached result passed.
    pub fn age(&self, now: Timestamp) -> Option<String> {
        if let Self::Cached { at, .. } = self { Some(units::duration(at.age(now))) } else { None }
    }
}

fn value(value: Option<&str>) -> String {
    match value {
        None => "unset".to_owned(),
        Some("") => "\"\"".to_owned(),
        Some(value) => format!("\"{}\"", short(value)),
    }
}

/// At most sixty characters of one line.
fn short(text: &str) -> String {
    if text.is_empty() {
        return "nothing".to_owned();
    }
    let line = text.replace('\n', "⏎");
    if line.chars().count() <= 60 { line } else { line.chars().take(59).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_as_one_line() {
        let changed = Reason::Changed {
            changes: vec![
                Change::File { path: RepoPath::from_git(&b"src/a.rs"[..]), how: FileChange::Changed },
                Change::Variable {
                    name: "RUSTFLAGS".to_owned(),
                    from: None,
                    to: Some("-D warnings".to_owned()),
                },
            ],
            more: 3,
        };
        assert_eq!(changed.to_string(), "src/a.rs changed, RUSTFLAGS: unset → \"-D warnings\" and 3 more");
        let tool = Change::Tool {
            name: "rustc".to_owned(),
            from: "rustc 1.94.0".to_owned(),
            to: "rustc 1.95.0".to_owned(),
        };
        assert_eq!(tool.to_string(), "tool rustc: rustc 1.94.0 → rustc 1.95.0");
    }
}
