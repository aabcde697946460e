//! What keeps a command from doing what it was asked for, in words and with a hint. It must not know
//! exit statuses.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::base::file::FileError;
use crate::cache::CacheError;
use crate::config::diagnostic::Diagnostics;
use crate::engine::prepare::PrepareError;
use crate::engine::prepare::sharding::ShardingError;
use crate::engine::report::baseline::UnreadableBaseline;
use crate::gate::error::GateError;
use crate::git::{Form, GitError, NoBase};
use crate::history::runs::RunsError;
use crate::manifest::merge::MergeError;
use crate::process::mask::MaskError;
use crate::reporter::story::cut;
use crate::reporter::style::{Paint, Tone};
use crate::select::SelectError;
use crate::sonar::{SonarError, TOKEN};
use crate::watch::WatchError;

/// Why a command could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A combination of arguments that makes no sense.
    #[error("{text}")]
    Usage {
        /// What is wrong.
        text: String,
        /// What to do.
        hint: Option<String>,
    },
    /// tasks.toml is wrong; the text is rendered already.
    #[error("tasks.toml is wrong")]
    Config(Diagnostics),
    /// There is no tasks.toml.
    #[error("there is no tasks.toml in {folder}")]
    NoConfig {
        /// Where it was looked for.
        folder: String,
    },
    /// Names that stand for nothing.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// No commit was named, and the one that is taken then can't be found.
    #[error(transparent)]
    NoCommit(GitError),
    /// A committed baseline is broken.
    #[error(transparent)]
    Baseline(#[from] UnreadableBaseline),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Secrets can't be hidden, so nothing is run.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// tasks.toml names no tasks for any stage of git.
    #[error("tasks.toml names no tasks for a stage of git")]
    NoHooks,
    /// There is nothing for CI to run: what it runs if tasks.toml says nothing else is not there.
    #[error("CI runs the task or group `ci`, and there is none")]
    NothingForCi,
    /// The gate has no answer.
    #[error(transparent)]
    Gate(GateError),
    /// The work tree can't be watched.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// A `SonarQube` server has no answer.
    #[error(transparent)]
    Sonar(#[from] SonarError),
    /// A record is not there.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// There is no verdict to explain.
    #[error(transparent)]
    NoVerdict(#[from] NoVerdictError),
    /// A plan can't be split into shards.
    #[error(transparent)]
    Sharding(ShardingError),
    /// A file is not what it is said to be.
    #[error("can't use {}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Runs don't belong together.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The runs are of another tree than the work tree.
    #[error("the runs are of the tree {runs}, and the work tree is {here}, so its rules are not theirs")]
    OtherTree {
        /// That of the runs.
        runs: String,
        /// That of the work tree.
        here: String,
    },
    /// There is no repository, and the command needs one.
    #[error("this is not a git repository, so {what}")]
    NoRepository {
        /// What is not to be had.
        what: &'static str,
    },
    /// The operating system refused something.
    #[error("can't {attempt}")]
    System {
        /// What was attempted.
        attempt: String,
        /// What it said.
        source: std::io::Error,
    },
}

impl Failure {
    /// Returns the failure to listen for signals.
    pub fn signals(source: std::io::Error) -> Self {
        Self::System { attempt: "listen for signals".to_owned(), source }
    }
}

impl From<PrepareError> for Failure {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::Select(error) => Self::Select(error),
            PrepareError::Git(error) => Self::Git(error),
            PrepareError::Mask(error) => Self::Mask(error),
            PrepareError::NoInputs(diagnostics) => Self::Config(diagnostics),
        }
    }
}

impl From<ShardingError> for Failure {
    fn from(error: ShardingError) -> Self {
        match error {
            error @ ShardingError::BehindGate { .. } => Self::Sharding(error),
        }
    }
}

impl From<GateError> for Failure {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Config(diagnostics) => Self::Config(diagnostics),
            GateError::Git(error) => Self::Git(error),
            GateError::Prepare(error) => error.into(),
            GateError::File(error) => Self::File(error),
            GateError::Signals { source } => Self::signals(source),
            error @ (GateError::Altered { .. }
            | GateError::Provided { .. }
            | GateError::LeadsBack { .. }
            | GateError::TrackedLink { .. }
            | GateError::BehindSymlink { .. }) => Self::Gate(error),
        }
    }
}

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
pub enum NoVerdictError {
    /// No gate has the name.
    #[error("no gate is named `{name}`")]
    UnknownGate {
        /// The name as it was given.
        name: String,
        /// What to do.
        hint: String,
    },
    /// No record has a verdict of it.
    #[error("no recorded run judged `{name}`")]
    NeverJudged {
        /// The gate.
        name: String,
    },
}

impl NoVerdictError {
    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownGate { hint, .. } => hint.clone(),
            Self::NeverJudged { name } => {
                let quoted = shlex::try_quote(name).unwrap_or_default();
                format!(
                    "run it: xtask run {quoted}; what `xtask merge-runs` judges it prints itself, and no run has it on record"
                )
            }
        }
    }
}

/// What a failure is told by: what happened, its causes, and what to do. `meant` is a command that
/// was probably meant in place of an unknown name.
pub fn describe(failure: &Failure, meant: Option<&str>, paint: Paint) -> String {
    if let Failure::Config(diagnostics) = failure {
        return diagnostics.render(paint.is_colored());
    }
    let mut text = format!("{} {failure}", paint.tone(Tone::Bad, "error:"));
    // What git says is in the message already.
    let mut source = std::error::Error::source(failure).filter(|_| !matches!(failure, Failure::Git(_)));
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text = cut_lines(&text);
    text.push('\n');
    if let Some(hint) = hint(failure, meant).map(|hint| cut_lines(&hint)) {
        text = format!("{text}{} {hint}\n", paint.tone(Tone::Strong, "hint:"));
    }
    text
}

/// At most so many characters of each line: a name may be as long as an argument can be.
fn cut_lines(text: &str) -> String {
    const MOST: usize = 1000;
    text.split('\n').map(|line| cut(line, MOST)).collect::<Vec<_>>().join("\n")
}

/// What to do about a failure, in one line. `meant` is a command that was probably meant in place of
/// an unknown name.
pub fn hint(failure: &Failure, meant: Option<&str>) -> Option<String> {
    match failure {
        Failure::Select(SelectError::Unknown { nearest, .. }) if meant.is_some() => {
            let command = meant.unwrap_or_default();
            Some(match nearest {
                Some(task) => format!("did you mean the command `{command}`, or `{task}`?"),
                None => format!("did you mean the command `{command}`? `xtask --help` lists them"),
            })
        }
        Failure::Usage { hint, .. } => hint.clone(),
        Failure::Select(SelectError::Unknown { nearest: Some(nearest), .. }) => {
            Some(format!("did you mean `{nearest}`?"))
        }
        Failure::Select(SelectError::Unknown { .. }) => Some("`xtask` lists the tasks and groups".to_owned()),
        Failure::Select(SelectError::Arguments { .. }) => {
            Some("name one task with a command of its own: xtask run TASK -- ARGS".to_owned())
        }
        Failure::Gate(GateError::Altered { .. }) => Some(
            "let git ignore what `[worktree]` brings in, and let its setup leave tracked files alone"
                .to_owned(),
        ),
        Failure::Gate(GateError::Provided { .. } | GateError::BehindSymlink { .. }) => {
            Some("take it out of `link` and `copy` in `[worktree]`, or name what of it git ignores".to_owned())
        }
        Failure::Gate(GateError::LeadsBack { remedy, .. }) => Some(remedy.clone()),
        Failure::Gate(GateError::TrackedLink { .. }) => {
            Some("commit it with a relative target, which leads to the same file in any checkout".to_owned())
        }
        Failure::Git(GitError::Filter { filter, .. }) => Some(format!(
            "if it may run for private worktrees, write in tasks.toml: [worktree] filters = [\"{filter}\"]"
        )),
        Failure::Git(GitError::NoPool { .. }) => Some(
            "set XDG_CACHE_HOME to a folder outside of the work tree that can be written to, or write in tasks.toml:\n    [worktree]\n    root = \"/path/to/folder\"".to_owned(),
        ),
        Failure::Git(GitError::Unsupported { form, .. }) => Some(match form {
            Form::Objects(_) => {
                "taskgate needs a repository with SHA-1 object ids: git init --object-format=sha1".to_owned()
            }
            Form::Reftable => {
                "git refs migrate --ref-format=files (git 2.49 or newer), or clone it: git clone --ref-format=files"
                    .to_owned()
            }
            // Git writes and reads the other name since 2.24.
            Form::Extension(name) if name == "partialclone" => {
                "git config remote.origin.promisor true && git config --unset extensions.partialClone".to_owned()
            }
            Form::Extension(name) => format!("see what it is needed for: git config extensions.{name}"),
        }),
        Failure::Git(GitError::Foreign { path }) => Some(format!(
            "if you trust its owner: git config --global --add safe.directory {}",
            shell_word(&path.to_string_lossy())
        )),
        Failure::Git(GitError::File(error)) | Failure::File(error) | Failure::Cache(CacheError::File(error)) => {
            file_hint(error)
        }
        Failure::Git(GitError::Submodule { path, .. }) => {
            Some(format!("fetch it: git submodule update --init -- {path}"))
        }
        Failure::Git(GitError::NoBase { why, fetch, .. }) => Some(base_hint(fetch, *why, &AFFECTED)),
        Failure::NoCommit(GitError::NoBase { why, fetch, .. }) => Some(base_hint(fetch, *why, &SHOW)),
        Failure::Baseline(UnreadableBaseline { path, .. }) => {
            Some(format!("write it anew, and commit it there: xtask baseline write {path}"))
        }
        Failure::Sonar(SonarError::Refused { .. }) => Some(format!(
            "set {TOKEN} to a token that may see the project; a task is passed it by secret-env = [\"{TOKEN}\"]"
        )),
        Failure::NoHooks => {
            Some("add to tasks.toml, with the tasks to be run:\n    [hooks]\n    pre-push = [\"ci\"]\n    pre-commit = [\"lint\"]".to_owned())
        }
        Failure::NothingForCi => {
            Some("add a task that needs all that CI is to run:\n    [tasks.ci]\n    needs = [\"lint\", \"test\"]\nor name what is there already:\n    [ci]\n    run = [\"test\"]".to_owned())
        }
        Failure::NoConfig { .. } => Some("`xtask init` writes a first one".to_owned()),
        Failure::Runs(RunsError::Unknown(_) | RunsError::Ambiguous(..) | RunsError::NotSoMany(_)) => {
            Some("`xtask log` lists the runs".to_owned())
        }
        Failure::NoVerdict(unknown) => Some(unknown.hint()),
        Failure::Runs(RunsError::NoManifest(_)) => {
            Some("a run of `watch` or `audit` leaves none, nor did former versions of taskgate".to_owned())
        }
        Failure::Sharding(_) => {
            Some("leave that task out of what is split, and run it behind `xtask merge-runs`".to_owned())
        }
        Failure::Merge(MergeError::Plans { .. }) => Some(
            "give all shards the same names, the same --timings, and machines that are set up alike".to_owned(),
        ),
        Failure::OtherTree { .. } => Some("check out what the shards ran".to_owned()),
        Failure::Runs(RunsError::Empty) => Some("run something: `xtask` lists the tasks".to_owned()),
        _ => None,
    }
}

/// What to do about a file that can't be written or read.
fn file_hint(error: &FileError) -> Option<String> {
    let path = error.path.display();
    match error.source.kind() {
        ErrorKind::ReadOnlyFilesystem => {
            Some(format!("{path} is on a read-only file system: make it writable"))
        }
        ErrorKind::PermissionDenied => Some(format!("see who may use it: ls -ld {path}")),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("free some space; `xtask cache gc` removes what is not used".to_owned())
        }
        _ => None,
    }
}

/// A word as a shell takes it.
fn shell_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@:,".contains(&byte);
    if word.bytes().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// How the caller does without the usual base.
struct BaseAdvice {
    /// By naming another.
    another: &'static str,
    /// Where there is no commit.
    unborn: &'static str,
}

const AFFECTED: BaseAdvice = BaseAdvice {
    another: "--affected=BRANCH",
    unborn: "commit something; without `--affected` all tasks are run",
};
const SHOW: BaseAdvice =
    BaseAdvice { another: "xtask baseline show REV", unborn: "commit something, and run a gate for it" };

/// How to get a base to compare with.
fn base_hint(fetch: &str, why: NoBase, way: &BaseAdvice) -> String {
    match why {
        NoBase::Shallow => format!("fetch the history: git fetch --unshallow {fetch}"),
        NoBase::Unknown => format!("name another: {}; or fetch it: git fetch {fetch}", way.another),
        NoBase::Unrelated => format!("name another: {}", way.another),
        NoBase::Unborn => way.unborn.to_owned(),
    }
}
