//! The environment of this process. It is read once, and only in this file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::path_mapping::PathMapping;

/// The environment variables, current folder, program and terminals of the caller.
#[derive(Clone, Debug, Default)]
pub struct Env {
    vars: BTreeMap<OsString, OsString>,
    dir: PathBuf,
    program: PathBuf,
    program_path: PathBuf,
    functions: Vec<String>,
    terminal: Terminal,
    moved: Option<Arc<PathMapping>>,
}

/// Which of the output streams are terminals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal {
    /// Whether standard output is a terminal.
    pub stdout: bool,
    /// Whether standard error is a terminal.
    pub stderr: bool,
}

impl Env {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// The current folder can't be read: it was deleted, or the user has no permission to enter it.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
    pub fn capture() -> std::io::Result<Self> {
        Ok(Self {
            vars: std::env::vars_os().collect(),
            dir: std::env::current_dir()?,
            program: own_program(),
            program_path: std::env::current_exe().unwrap_or_default(),
            functions: Vec::new(),
            moved: None,
            terminal: Terminal {
                stdout: std::io::stdout().is_terminal(),
                stderr: std::io::stderr().is_terminal(),
            },
        })
    }

    /// Returns an environment with these variables in `dir`, without terminals.
    pub fn new(vars: impl IntoIterator<Item = (OsString, OsString)>, dir: PathBuf) -> Self {
        Self { vars: vars.into_iter().collect(), dir, ..Self::default() }
    }

    /// Returns the value of a variable.
    pub fn var(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.vars.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// Returns the value of a variable as commands receive it. In a tree that replaces the work
    /// tree, paths in the value are moved to that tree. A moved `TMPDIR` is left out, since a
    /// folder for temporary files must exist.
    pub fn passed(&self, name: &str) -> Option<Cow<'_, OsStr>> {
        let value = self.var(name)?;
        let passed = self.moved(value);
        (name != "TMPDIR" || matches!(passed, Cow::Borrowed(_))).then_some(passed)
    }

    /// Returns a value as commands receive it.
    pub fn moved<'v>(&self, value: &'v OsStr) -> Cow<'v, OsStr> {
        match &self.moved {
            Some(moved) => moved.value(value),
            None => Cow::Borrowed(value),
        }
    }

    /// Returns the same environment for commands in a tree that replaces the user's work trees.
    #[must_use]
    pub fn in_tree(&self, moved: &PathMapping) -> Self {
        Self { moved: Some(Arc::new(moved.clone())), ..self.clone() }
    }

    /// Returns the variables among these whose values contain a path in a replaced work tree.
    pub fn mapped_names<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
        let is_moved =
            |name: &&str| self.var(name).is_some_and(|value| matches!(self.moved(value), Cow::Owned(_)));
        names.filter(is_moved).collect()
    }

    /// Returns all variables, sorted by name.
    pub fn vars(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.vars.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Returns whether a variable is set and not empty.
    pub fn is_set(&self, name: &str) -> bool {
        self.var(name).is_some_and(|value| !value.is_empty())
    }

    /// Returns the current folder of the caller.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path by which this process starts this program again.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the path by which other processes start this program.
    pub fn program_path(&self) -> &Path {
        &self.program_path
    }

    /// Returns the same environment for a program with these functions.
    #[must_use]
    pub fn with_functions(self, functions: Vec<String>) -> Self {
        Self { functions, ..self }
    }

    /// Returns the functions of this program that tasks may call.
    pub fn functions(&self) -> &[String] {
        &self.functions
    }

    /// Returns which standard streams are terminals.
    pub fn terminal(&self) -> Terminal {
        self.terminal
    }
}

/// Returns the path of the running program. On Linux, the link to it still works after a rebuild
/// replaced the file on disk.
#[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
fn own_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        PathBuf::from("/proc/self/exe")
    } else {
        std::env::current_exe().unwrap_or_else(|_| PathBuf::from("xtask"))
    }
}
