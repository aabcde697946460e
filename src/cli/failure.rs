//! Why a command could not do its work: the message and a hint. It must not know exit statuses.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::base::file::FileError;
use crate::cache::CacheError;
use crate::cli::deploy::error::DeployError;
use crate::config::diagnostic::Diagnostics;
use crate::deployment::operation::OperationError;
use crate::deployment::prepare;
use crate::deployment::secrets::SecretError;
use crate::engine::prepare::PrepareError;
use crate::engine::prepare::sharding::ShardingError;
use crate::engine::report::baseline::UnreadableBaseline;
use crate::gate::error::GateError;
use crate::git::{GitError, NoBaseReason, UnsupportedFormat};
use crate::history::runs::RunsError;
use crate::process::secret_mask::MaskError;
use crate::reporter::run_state::cut;
use crate::reporter::style::{Paint, Tone};
use crate::run_manifest::merge::MergeError;
use crate::select::SelectError;
use crate::sonar_client::{SonarError, TOKEN};
use crate::watch::WatchError;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The arguments don't fit together.
    #[error("{text}")]
    Usage {
        /// What is wrong.
        text: String,
        /// What to do.
        hint: Option<String>,
    },
    /// tasks.toml is invalid.
    #[error("tasks.toml is invalid")]
    Config(Diagnostics),
    /// There is no tasks.toml.
    #[error("there is no tasks.toml in {folder}")]
    NoConfig {
        /// The folders that were searched.
        folder: String,
    },
    /// A name is unknown.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// No commit was named, and the default one can't be found.
    #[error(transparent)]
    NoCommit(GitError),
    /// A committed baseline can't be read.
    #[error(transparent)]
    Baseline(#[from] UnreadableBaseline),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Secrets can't be hidden, so nothing runs.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// tasks.toml has no tasks for any git hook.
    #[error("tasks.toml has no tasks for a git hook")]
    NoHooks,
    /// There is nothing for CI to run: no `ci.run`, and no task or group `ci`.
    #[error("there is no task or group `ci` for CI to run")]
    NothingForCi,
    /// The gate could not answer.
    #[error(transparent)]
    Gate(GateError),
    /// The work tree can't be watched.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// A `SonarQube` server did not answer.
    #[error(transparent)]
    Sonar(#[from] SonarError),
    /// A record of a run is missing.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// There is no verdict to explain.
    #[error(transparent)]
    NoVerdict(#[from] NoVerdictError),
    /// A plan can't be split into shards.
    #[error(transparent)]
    Sharding(ShardingError),
    /// A file has the wrong content.
    #[error("can't use {}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The manifests are not the shards of one run.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The shards ran another tree than the work tree.
    #[error("the shards ran the tree {runs}, but the work tree is {here}")]
    OtherTree {
        /// The tree of the shards.
        runs: String,
        /// The tree of the work tree.
        here: String,
    },
    /// A command on an environment could not begin.
    #[error(transparent)]
    Deploy(DeployError),
    /// The command needs a git repository, and there is none.
    #[error("this is not a git repository, so {what}")]
    NoRepository {
        /// What is missing without one.
        what: &'static str,
    },
    /// The operating system reported an error.
    #[error("can't {attempt}")]
    System {
        /// What was attempted.
        attempt: String,
        /// The error.
        source: std::io::Error,
    },
}

impl Failure {
    /// Returns the failure for signals that can't be listened for.
    pub fn signals(source: std::io::Error) -> Self {
        Self::System { attempt: "listen for signals".to_owned(), source }
    }
}

impl From<DeployError> for Failure {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Prepare(prepare::PrepareError::Gate(error)) => error.into(),
            DeployError::Operation {
                source: OperationError::Secret(SecretError::Invalid(diagnostics)),
                ..
            } => Self::Config(diagnostics),
            error => Self::Deploy(error),
        }
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
            error @ ShardingError::NeedsGate { .. } => Self::Sharding(error),
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
            error @ (GateError::TreeModified { .. }
            | GateError::ProvidedTracked { .. }
            | GateError::BackReference { .. }
            | GateError::TrackedLink { .. }
            | GateError::BelowSymlink { .. }) => Self::Gate(error),
        }
    }
}

/// Why there is no verdict to explain.
#[derive(Debug, thiserror::Error)]
pub enum NoVerdictError {
    /// tasks.toml has no such gate.
    #[error("unknown gate `{name}`")]
    UnknownGate {
        /// The name that was typed.
        name: String,
        /// What to do.
        hint: String,
    },
    /// No recorded run judged the gate.
    #[error("no recorded run judged `{name}`")]
    NeverJudged {
        /// The gate.
        name: String,
    },
}

impl NoVerdictError {
    /// Returns what to do.
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownGate { hint, .. } => hint.clone(),
            Self::NeverJudged { name } => {
                let quoted = shlex::try_quote(name).unwrap_or_default();
                format!(
                    "run it: xtask run {quoted} (`xtask merge-runs` prints its verdicts and records none)"
                )
            }
        }
    }
}

/// Returns the text for a failure: the message, its causes, and a hint. `meant` is a command that may have
/// been meant by an unknown name.
pub fn describe(failure: &Failure, meant: Option<&str>, paint: Paint) -> String {
    if let Failure::Config(diagnostics) = failure {
        return diagnostics.render(paint.is_colored());
    }
    let mut text = format!("{} {}\n", paint.tone(Tone::Bad, "error:"), message(failure));
    if let Some(hint) = hint(failure, meant).map(|hint| cut_lines(&hint)) {
        text = format!("{text}{} {hint}\n", paint.tone(Tone::Strong, "hint:"));
    }
    text
}

/// Returns the message of a failure and its causes.
pub fn message(failure: &Failure) -> String {
    if let Failure::Config(diagnostics) = failure {
        return diagnostics.render(false);
    }
    let mut text = failure.to_string();
    // The message has git's output already.
    let mut source = std::error::Error::source(failure).filter(|_| !matches!(failure, Failure::Git(_)));
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    cut_lines(&text)
}

/// Cuts each line: a name that was typed can be very long.
fn cut_lines(text: &str) -> String {
    const MOST: usize = 1000;
    text.split('\n').map(|line| cut(line, MOST)).collect::<Vec<_>>().join("\n")
}

/// Returns a hint for a failure. `meant` is a command that may have been meant by an unknown name.
pub fn hint(failure: &Failure, meant: Option<&str>) -> Option<String> {
    match failure {
        Failure::Select(SelectError::Unknown { nearest, .. }) if meant.is_some() => {
            let command = meant.unwrap_or_default();
            Some(match nearest {
                // `ci` is a command that changes CI files, and often a task.
                Some(task) if task == command => format!("did you mean `{task}`?"),
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
        Failure::Gate(GateError::TreeModified { .. }) => Some(
            "ignore the files that `[worktree]` provides, and change no tracked files in its setup"
                .to_owned(),
        ),
        Failure::Gate(GateError::ProvidedTracked { .. } | GateError::BelowSymlink { .. }) => {
            Some("remove it from `link` and `copy` in `[worktree]`, or list only the ignored files in it".to_owned())
        }
        Failure::Gate(GateError::BackReference { remedy, .. }) => Some(remedy.clone()),
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
            UnsupportedFormat::Objects(_) => {
                "taskgate needs a repository with SHA-1 object ids: git init --object-format=sha1".to_owned()
            }
            UnsupportedFormat::Reftable => {
                "git refs migrate --ref-format=files (git 2.49 or newer), or clone it: git clone --ref-format=files"
                    .to_owned()
            }
            // Git has read and written the other name since 2.24.
            UnsupportedFormat::Extension(name) if name == "partialclone" => {
                "git config remote.origin.promisor true && git config --unset extensions.partialClone".to_owned()
            }
            UnsupportedFormat::Extension(name) => format!("see what it is needed for: git config extensions.{name}"),
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
            Some(format!("write it again and commit it: xtask baseline write {path}"))
        }
        Failure::Sonar(SonarError::AccessDenied { .. }) => Some(format!(
            "set {TOKEN} to a token that may see the project; a task is passed it by secret-env = [\"{TOKEN}\"]"
        )),
        Failure::NoHooks => {
            Some("add to tasks.toml, for example:\n    [hooks]\n    pre-push = [\"ci\"]\n    pre-commit = [\"lint\"]".to_owned())
        }
        Failure::NothingForCi => {
            Some("add a task with everything that CI must run:\n    [tasks.ci]\n    needs = [\"lint\", \"test\"]\nor name existing tasks:\n    [ci]\n    run = [\"test\"]".to_owned())
        }
        Failure::NoConfig { .. } => Some("`xtask init` writes a first one".to_owned()),
        Failure::Runs(RunsError::Unknown(_) | RunsError::Ambiguous(..) | RunsError::TooFewRuns(_)) => {
            Some("`xtask log` lists the runs".to_owned())
        }
        Failure::NoVerdict(unknown) => Some(unknown.hint()),
        Failure::Runs(RunsError::NoManifest(_)) => {
            Some("runs of `watch` and `audit` have no manifest, nor do runs of older versions".to_owned())
        }
        Failure::Sharding(_) => {
            Some("run that task after `xtask merge-runs`, not in a shard".to_owned())
        }
        Failure::Merge(MergeError::Plans { .. }) => Some(
            "use the same names, the same --timings and equal machines for all shards".to_owned(),
        ),
        Failure::Deploy(error) => error.hint(),
        Failure::OtherTree { .. } => Some("check out what the shards ran".to_owned()),
        Failure::Runs(RunsError::Empty) => Some("run something: `xtask` lists the tasks".to_owned()),
        _ => None,
    }
}

/// Returns a hint for a file that can't be read or written.
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

/// Quotes a word for a shell, if necessary.
fn shell_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@:,".contains(&byte);
    if word.bytes().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// What to do if the usual base is not available.
struct BaseAdvice {
    /// How to name another base.
    another: &'static str,
    /// What to do if there is no commit.
    unborn: &'static str,
}

const AFFECTED: BaseAdvice = BaseAdvice {
    another: "--affected=BRANCH",
    unborn: "commit something; without `--affected` all tasks are run",
};
const SHOW: BaseAdvice =
    BaseAdvice { another: "xtask baseline show REV", unborn: "commit something, and run a gate for it" };

/// Returns a hint for getting a base to compare with.
fn base_hint(fetch: &str, why: NoBaseReason, way: &BaseAdvice) -> String {
    match why {
        NoBaseReason::Shallow => format!("fetch the history: git fetch --unshallow {fetch}"),
        NoBaseReason::Unknown => format!("name another: {}; or fetch it: git fetch {fetch}", way.another),
        NoBaseReason::Unrelated => format!("name another: {}", way.another),
        NoBaseReason::Unborn => way.unborn.to_owned(),
    }
}
