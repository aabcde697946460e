//! Makes the artifacts of a tree: asks the gate whether the tree has passed, packs the outputs of its tasks and
//! puts them into the store. It must not know what is current on a target.

use std::collections::{BTreeMap, BTreeSet};

use crate::artifact::image::{ImageError, image_digest};
use crate::artifact::outputs::{OutputsError, TaskOutputs};
use crate::artifact::pack::{PackError, pack, pack_files};
use crate::artifact::store::{Store, StoreError};
use crate::base::file::{self, FileError};
use crate::base::path::RepoPath;
use crate::config::deploy::{Artifact, ArtifactContent, Environment, Runs};
use crate::config::model::{Config, TaskId};
use crate::deploy::release::{ArtifactDigest, COMPOSE_FILE, ReleaseArtifact};
use crate::event::Verdict;
use crate::gate::answer::Answer;
use crate::gate::context::GateContext;
use crate::gate::error::GateError;
use crate::gate::question::Question;
use crate::git::snapshot::Mode;
use crate::git::{Commit, GitError};

/// What artifacts are made from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// What tasks are run with.
    pub gate: &'a GateContext<'a>,
    /// The folders that may contain tasks.toml, the outermost first.
    pub folders: &'a [RepoPath],
    /// The tasks.toml of the tree.
    pub config: &'a Config,
    /// The commit of the tree.
    pub commit: &'a Commit,
    /// The tasks and groups that the tree must have passed.
    pub names: &'a [String],
}

/// The artifacts of a tree.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Artifacts {
    /// The artifacts, by their names.
    pub made: BTreeMap<String, ReleaseArtifact>,
    /// The names of those whose digest is not known before they are built.
    pub unknown: Vec<String>,
}

/// Why there are no artifacts.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The tree did not pass.
    #[error("the tree did not pass its gate")]
    NotPassed(Verdict),
    /// The gate could not answer.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// An artifact is not defined.
    #[error("a role needs artifact {name}, which the tasks.toml of {commit} does not define")]
    Undefined {
        /// Its name.
        name: String,
        /// The commit.
        commit: String,
    },
    /// The digest of an image is unknown.
    #[error("artifact {artifact}")]
    Image {
        /// The artifact.
        artifact: String,
        /// The reason.
        source: Box<ImageError>,
    },
    /// The tree has no compose file.
    #[error("environment {environment} needs {file}, which {commit} does not have")]
    NoFile {
        /// The environment.
        environment: String,
        /// The compose file.
        file: String,
        /// The commit.
        commit: String,
    },
    /// The commit can't be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The result of a task is not in the cache.
    #[error("artifact {artifact}: the result of task {task} is not stored")]
    NotStored {
        /// The artifact.
        artifact: String,
        /// The task.
        task: String,
    },
    /// The outputs can't be used.
    #[error("artifact {artifact}")]
    Outputs {
        /// The artifact.
        artifact: String,
        /// The reason.
        source: OutputsError,
    },
    /// The outputs can't be packed.
    #[error("artifact {artifact}")]
    Pack {
        /// The artifact.
        artifact: String,
        /// The reason.
        source: PackError,
    },
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Returns the artifacts that the roles of an environment need.
///
/// # Errors
/// One of them is not defined.
pub fn needed<'c>(
    config: &'c Config,
    environment: &Environment,
    commit: &Commit,
) -> Result<Vec<&'c Artifact>, PrepareError> {
    let names: BTreeSet<&String> = environment.roles.iter().flat_map(|role| &role.artifacts).collect();
    let mut needed = Vec::new();
    for name in names {
        let found = config.artifacts.iter().find(|artifact| artifact.name == *name);
        let Some(artifact) = found else {
            let commit = commit.id[..7].to_owned();
            return Err(PrepareError::Undefined { name: name.clone(), commit });
        };
        needed.push(artifact);
    }
    Ok(needed)
}

/// Asks the gate, which runs what has not passed yet, then packs the artifacts and puts them into the store.
///
/// # Errors
/// The tree did not pass, or an artifact can't be made or stored.
pub fn prepare(
    source: &Source<'_>,
    artifacts: &[&Artifact],
    store: &Store,
) -> Result<Artifacts, PrepareError> {
    let mut names = source.names.to_vec();
    names.extend(artifacts.iter().map(|artifact| source.config.task(artifact.task).name.clone()));
    names.dedup();
    ask_gate(source, names)?;
    make(source, artifacts, Some(store))
}

/// Asks the gate about the tree, which runs what has not passed yet. Nothing is built but for this.
///
/// # Errors
/// The tree did not pass.
pub fn check_gate(source: &Source<'_>) -> Result<(), PrepareError> {
    ask_gate(source, source.names.to_vec())
}

fn ask_gate(source: &Source<'_>, names: Vec<String>) -> Result<(), PrepareError> {
    let question = Question::from_names(source.commit, names);
    if question.names.is_empty() {
        return Ok(());
    }
    let answer = source.gate.answer(&question, source.folders)?;
    let verdict = match &answer {
        Answer::NoConfig | Answer::NoTasks(_) => Verdict::Failed,
        answer => answer.verdict(),
    };
    if verdict == Verdict::Passed { Ok(()) } else { Err(PrepareError::NotPassed(verdict)) }
}

/// Returns the artifacts as far as they are known without running a task, and stores nothing.
///
/// # Errors
/// The tree or the cache can't be read, or the outputs of a task can't be packed.
pub fn look_up(source: &Source<'_>, artifacts: &[&Artifact]) -> Result<Artifacts, PrepareError> {
    make(source, artifacts, None)
}

fn make(
    source: &Source<'_>,
    artifacts: &[&Artifact],
    store: Option<&Store>,
) -> Result<Artifacts, PrepareError> {
    if artifacts.is_empty() {
        return Ok(Artifacts::default());
    }
    let tasks: Vec<TaskId> = artifacts.iter().map(|artifact| artifact.task).collect();
    let question = Question::from_names(source.commit, source.names.to_vec());
    let results = source.gate.stored_results(&question, source.config, &tasks, store.is_some())?;
    let temp = temp_folder(source, store)?;
    let mut made = Artifacts::default();
    for artifact in artifacts {
        let name = artifact.name.clone();
        let task = source.config.task(artifact.task);
        let Some(entry) = results.entries.get(&artifact.task) else {
            if store.is_some() {
                return Err(PrepareError::NotStored { artifact: name, task: task.name.clone() });
            }
            made.made.insert(name.clone(), unknown());
            made.unknown.push(name);
            continue;
        };
        let outputs = TaskOutputs::from_entry(&results.cache, entry, &task.outputs, temp.path());
        let outputs = outputs.map_err(|source| PrepareError::Outputs { artifact: name.clone(), source })?;
        if let ArtifactContent::Image(image) = &artifact.content {
            let digest = image_digest(&outputs, image);
            let digest = digest
                .map_err(|error| PrepareError::Image { artifact: name.clone(), source: Box::new(error) })?;
            made.made.insert(name, ReleaseArtifact { digest, image: Some(image.clone()), size: None });
            continue;
        }
        let packed = pack(&outputs, temp.path());
        let packed = packed.map_err(|source| PrepareError::Pack { artifact: name.clone(), source })?;
        if let Some(store) = store {
            store.put(&packed)?;
        }
        let digest = packed.digest().clone();
        made.made.insert(name, ReleaseArtifact { digest, image: None, size: Some(packed.size()) });
    }
    Ok(made)
}

/// Adds the compose file of an environment to the artifacts, if it has one: with all that git tracks in its folder,
/// or alone if it is at the top of the repository. It replaces that of an environment that was promoted from.
///
/// # Errors
/// The commit does not have the file or can't be read, or the store can't be used.
pub fn add_compose_file(
    source: &Source<'_>,
    environment: &Environment,
    store: Option<&Store>,
    artifacts: &mut Artifacts,
) -> Result<(), PrepareError> {
    artifacts.made.retain(|name, _| !name.starts_with(COMPOSE_FILE));
    let file = environment.roles.iter().find_map(|role| match &role.runs {
        Runs::Compose { file, .. } => Some(file),
        _ => None,
    });
    let Some(file) = file else { return Ok(()) };
    let commit = source.commit;
    let missing = || PrepareError::NoFile {
        environment: environment.name.clone(),
        file: file.clone(),
        commit: commit.id[..7].to_owned(),
    };
    let path = RepoPath::top().join(file).ok_or_else(missing)?;
    let repository = source.gate.repository;
    let content = repository.read_file(&commit.tree, &path)?.ok_or_else(missing)?;
    let files = match path.parent() {
        Some(folder) if !folder.is_top() => repository.files_below(&commit.tree, &folder)?,
        _ => vec![(path, Mode::File, content)],
    };
    let temp = temp_folder(source, store)?;
    let name = format!("{COMPOSE_FILE}{file}");
    let packed = pack_files(&files, temp.path());
    let packed = packed.map_err(|source| PrepareError::Pack { artifact: name.clone(), source })?;
    if let Some(store) = store {
        store.put(&packed)?;
    }
    let artifact =
        ReleaseArtifact { digest: packed.digest().clone(), image: None, size: Some(packed.size()) };
    artifacts.made.insert(name, artifact);
    Ok(())
}

/// Makes a temporary folder. Without a store, nothing is left behind.
fn temp_folder(source: &Source<'_>, store: Option<&Store>) -> Result<tempfile::TempDir, FileError> {
    let state = source.gate.state;
    let mut builder = tempfile::Builder::new();
    builder.prefix("deploy-");
    if store.is_none() && !state.exists() {
        return builder.tempdir().map_err(FileError::context("make a temporary folder for", state));
    }
    file::make_dir(state)?;
    builder.tempdir_in(state).map_err(FileError::context("make a temporary folder in", state))
}

/// Returns what stands for an artifact that is not built yet.
fn unknown() -> ReleaseArtifact {
    ReleaseArtifact { digest: ArtifactDigest("unknown".to_owned()), image: None, size: None }
}
