//! Sets the variables of `env-file` in the tasks and services that name the files. It must not know how a
//! file is parsed.

use std::collections::BTreeMap;

use crate::base::path::RepoPath;
use crate::config::diagnostic::{Diagnostics, FileDiagnostics};
use crate::config::load::dotenv::{self, SecretText};
use crate::config::load::tree::{self, ConfigTree, LoadError};
use crate::config::model::{Config, EnvFile, Task};

/// The variables of each file; `None` if the file does not exist.
type FileDrafts = BTreeMap<RepoPath, Option<Vec<(String, SecretText)>>>;

/// Reads all files that tasks and services name, each once.
///
/// # Errors
/// A file can't be read or parsed. A missing file is no error here: it is recorded in the tasks that name it,
/// and other tasks can still run.
pub(crate) fn fill<L: ConfigTree>(tree: &L, config: &mut Config) -> Result<(), LoadError<L::Error>> {
    let setup = config.worktree.setup.as_deref_mut();
    let services = config.services.iter_mut().map(|service| &mut service.task);
    let mut all: Vec<&mut Task> = config.tasks.iter_mut().chain(services).chain(setup).collect();
    all.retain(|task| !task.env_files.is_empty());
    if all.is_empty() {
        return Ok(());
    }
    let mut contents = FileDrafts::new();
    let mut invalid_files: Vec<FileDiagnostics> = Vec::new();
    for EnvFile { path, .. } in all.iter().flat_map(|task| &task.env_files) {
        if contents.contains_key(path) {
            continue;
        }
        let bytes = tree::read_beside(tree, path).map_err(LoadError::Tree)?;
        let variables = match bytes.map(|bytes| dotenv::read(&tree.name(path), &bytes)) {
            Some(Err(fault)) => {
                invalid_files.push(fault);
                None
            }
            Some(Ok(variables)) => Some(variables),
            None => None,
        };
        contents.insert(path.clone(), variables);
    }
    if !invalid_files.is_empty() {
        return Err(LoadError::Wrong(Diagnostics::new(invalid_files)));
    }
    for task in all {
        take(task, &contents);
    }
    let missing: Vec<Option<RepoPath>> =
        config.services.iter().map(|service| service.task.missing_file.clone()).collect();
    for task in &mut config.tasks {
        let of_services = || task.uses.iter().find_map(|id| missing[id.0].clone());
        task.missing_file = task.missing_file.take().or_else(of_services);
    }
    Ok(())
}

/// Sets the variables of a task's files.
fn take(task: &mut Task, contents: &FileDrafts) {
    for file in &task.env_files {
        match contents.get(&file.path) {
            Some(Some(variables)) => task.file_env.extend(variables.iter().cloned()),
            _ if file.may_miss => {}
            _ => task.missing_file = task.missing_file.take().or_else(|| Some(file.path.clone())),
        }
    }
    task.file_env.retain(|name, _| !task.env.contains_key(name));
}
