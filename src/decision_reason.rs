//! Reasons: why a task was a hit, a miss or skipped, and what changed, as data that can be shown as one line.
//! The code that makes these decisions is elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::path::RepoPath;
use crate::base::units;

/// Why a task ran, was taken from the cache or was skipped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reason {
    /// A hit: the cache has an entry under its key.
    Cached {
        /// When the stored attempt passed.
        at: Timestamp,
        /// How long the stored attempt took, in milliseconds.
        took: u64,
        /// Why outputs are restored from the entry, if they are.
        restores: Option<String>,
    },
    /// A hit: another run executed the same key at the same time, and it passed.
    OtherRun,
    /// A miss: the task was never run before.
    FirstRun,
    /// A miss: these fields of the key differ from the most similar stored entry.
    Changed {
        /// The first changed fields.
        changes: Vec<Change>,
        /// How many more there are.
        more: usize,
    },
    /// A miss: it failed with this key, and failures are not stored.
    FailedBefore,
    /// A miss: it failed with another key and never passed.
    NeverPassed,
    /// A miss: it ran with this key, but its result was not stored or was removed.
    NotStored,
    /// A miss: the entry is damaged.
    Damaged {
        /// The damaged file of the entry, and how it is damaged.
        what: String,
    },
    /// A miss: the outputs of the entry can't be restored.
    Unrestorable {
        /// Why.
        what: String,
    },
    /// A miss: `--force`.
    Forced,
    /// A miss: `--no-cache`.
    CacheOff,
    /// A miss: `cache = false`.
    Uncached,
    /// A miss: nothing is cached outside of a git repository.
    NoRepository,
    /// A miss: one of its inputs can't be read, so it has no key.
    Unreadable {
        /// The input, and why it can't be read.
        what: String,
    },
    /// Not known yet: its key depends on the outputs of a task that must run first.
    Waits {
        /// The other task.
        on: String,
    },
    /// It fails before it runs: an env file is missing.
    NoEnvFile {
        /// The path of the file.
        path: RepoPath,
        /// Where the task is defined.
        place: String,
    },
    /// It fails before it runs: a tool probe failed.
    ProbeFailed {
        /// The tool's name in tasks.toml.
        tool: String,
        /// How the probe failed.
        what: String,
    },
    /// Skipped: a task that it needs did not pass.
    NeedFailed {
        /// The other task.
        task: String,
    },
    /// Skipped: another task failed, and the run stops at the first failure.
    FailFast {
        /// The other task.
        task: String,
    },
    /// Stopped or skipped: one of its inputs changed during the run, so it will start again.
    Superseded {
        /// The input.
        path: RepoPath,
        /// How it changed.
        how: FileChange,
    },
    /// Skipped: a task that it needs will start again.
    NeedSuperseded {
        /// The other task.
        task: String,
    },
    /// Skipped: the run was interrupted.
    Interrupted,
    /// Skipped: it does not run on this operating system.
    WrongSystem {
        /// The systems that it runs on.
        os: Vec<String>,
    },
    /// Skipped: it is a quality gate, and no task that writes its reports runs on this system.
    ReadsNothing {
        /// The tasks that write the reports.
        tasks: Vec<String>,
        /// This system.
        os: String,
    },
}

/// A field in which two keys differ.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "kebab-case")]
pub enum Change {
    /// An input file.
    File {
        /// The path of the file.
        path: RepoPath,
        /// How it changed.
        how: FileChange,
    },
    /// A declared variable.
    Variable {
        /// The name of the variable.
        name: String,
        /// The earlier value.
        from: Option<String>,
        /// The current value.
        to: Option<String>,
    },
    /// A secret variable; its values are never shown.
    Secret {
        /// The name of the variable.
        name: String,
    },
    /// The output of a tool's probe.
    Tool {
        /// The tool's name in tasks.toml.
        name: String,
        /// The first line that differs, with its earlier text.
        from: String,
        /// The current text of that line.
        to: String,
    },
    /// The outputs or the key of a needed task.
    Need {
        /// The other task.
        task: String,
    },
    /// A part of the task's definition.
    Definition {
        /// The key in tasks.toml, such as `run`, `cwd` or `args`.
        name: String,
        /// The earlier value.
        from: String,
        /// The current value.
        to: String,
    },
}

/// What happened to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileChange {
    /// It is new.
    Added,
    /// It was removed.
    Removed,
    /// Its content changed.
    Changed,
    /// Its mode changed.
    Mode,
}

impl Change {
    /// Returns the name of the field, such as `inputs`, `env RUSTFLAGS` or `tool rustc`.
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
            Self::NotStored => f.write_str("the last result was not stored"),
            Self::Damaged { what } => write!(f, "cache entry damaged: {what}"),
            Self::Unrestorable { what } => write!(f, "outputs can't be restored: {what}"),
            Self::Forced => f.write_str("--force"),
            Self::CacheOff => f.write_str("--no-cache"),
            Self::Uncached => f.write_str("cache = false"),
            Self::NoRepository => f.write_str("not in a git repository"),
            Self::Unreadable { what } => write!(f, "no key: {what}"),
            Self::Waits { on } => write!(f, "waits for {on}"),
            Self::NoEnvFile { path, place } => {
                write!(f, "{path} is missing, and `env-file` names it ({place})")
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
    /// Returns the time that a hit saved, in milliseconds.
    pub fn saved(&self) -> u64 {
        if let Self::Cached { took, .. } = self { *took } else { 0 }
    }

    /// Describes how long ago a cached result passed.
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

/// Returns at most sixty characters, on one line.
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
    fn reasons_are_one_line() {
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
