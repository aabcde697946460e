//! Sets the variables of `env-file` in the tasks and services that name the files. It must not know how a
//! file is parsed.

use std::collections::BTreeMap;

use crate::base::path::RepoPath;
use crate::config::diagnostic::{Diagnostics, FileDiagnostics};
use crate::config::load::dotenv::{self, SecretText};
use crate::config::load::tree::{self, ConfigTree, LoadError};
use crate::config::model::{CommandVariables, Config, EnvFile};

/// The variables of each file; `None` if the file does not exist.
type FileDrafts = BTreeMap<RepoPath, Option<Vec<(String, SecretText)>>>;

/// Reads all files that tasks and services name, each once.
///
/// # Errors
/// A file can't be read or parsed. A missing file is no error here: it is recorded in the tasks that name it,
/// and other tasks can still run.
pub(crate) fn fill<L: ConfigTree>(tree: &L, config: &mut Config) -> Result<(), LoadError<L::Error>> {
    let tasks = config.tasks.iter_mut().map(|task| &mut task.env);
    let services = config.services.iter_mut().map(|service| &mut service.env);
    let setup = config.worktree.setup.iter_mut().map(|setup| &mut setup.env);
    let mut all: Vec<_> = tasks.chain(services).chain(setup).map(|env| &mut env.variables).collect();
    all.retain(|variables| !variables.files.is_empty());
    if all.is_empty() {
        return Ok(());
    }
    let mut contents = FileDrafts::new();
    let mut invalid_files: Vec<FileDiagnostics> = Vec::new();
    for EnvFile { path, .. } in all.iter().flat_map(|variables| &variables.files) {
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
    for variables in all {
        set_variables(variables, &contents);
    }
    let missing: Vec<Option<RepoPath>> =
        config.services.iter().map(|service| service.env.variables.missing_file.clone()).collect();
    for task in &mut config.tasks {
        let of_services = || task.env.uses.iter().find_map(|id| missing[id.0].clone());
        let variables = &mut task.env.variables;
        variables.missing_file = variables.missing_file.take().or_else(of_services);
    }
    Ok(())
}

/// Sets the variables of the files.
fn set_variables(declared: &mut CommandVariables, contents: &FileDrafts) {
    for file in &declared.files {
        match contents.get(&file.path) {
            Some(Some(variables)) => declared.from_files.extend(variables.iter().cloned()),
            _ if file.may_miss => {}
            _ => declared.missing_file = declared.missing_file.take().or_else(|| Some(file.path.clone())),
        }
    }
    declared.from_files.retain(|name, _| !declared.set.contains_key(name));
}
