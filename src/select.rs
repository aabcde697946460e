//! Finds the tasks that the names on the command line refer to. It must not know the graph.

use crate::base::name;
use crate::config::model::{Config, TaskId};

/// The requested tasks, in the order of the files and without repetitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The tasks.
    pub tasks: Vec<TaskId>,
    /// The names as they were given.
    pub names: Vec<String>,
}

/// Why names can't be selected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// No task and no group has this name.
    #[error("unknown task or group `{name}`")]
    Unknown {
        /// The name as it was given.
        name: String,
        /// The nearest known name.
        nearest: Option<String>,
    },
    /// Arguments after `--` need exactly one task.
    #[error("arguments after `--` go to one task, but {what}")]
    Arguments {
        /// What was named instead.
        what: String,
    },
}

impl Selection {
    /// Returns the tasks of all `names`; all tasks if there are none.
    ///
    /// # Errors
    /// A name is unknown.
    pub fn from_names(config: &Config, names: &[String]) -> Result<Self, SelectError> {
        let mut tasks: Vec<TaskId> = Vec::new();
        for name in names {
            let named = config.named(name);
            if named.is_empty() {
                let known = config.names();
                let nearest = name::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
                return Err(SelectError::Unknown { name: name.clone(), nearest });
            }
            tasks.extend(named);
        }
        if names.is_empty() {
            tasks.extend(config.ids());
        }
        tasks.sort_unstable();
        tasks.dedup();
        Ok(Self { tasks, names: names.to_vec() })
    }

    /// Returns the task that gets the arguments after `--`.
    ///
    /// # Errors
    /// Not exactly one task is selected, or it runs no command.
    pub fn receiver(&self, config: &Config) -> Result<TaskId, SelectError> {
        match &*self.tasks {
            [one] if config.task(*one).command().is_some() => Ok(*one),
            [one] => {
                let name = &config.task(*one).name;
                Err(SelectError::Arguments { what: format!("`{name}` runs no command of its own") })
            }
            several => Err(SelectError::Arguments { what: format!("{} tasks are selected", several.len()) }),
        }
    }
}
