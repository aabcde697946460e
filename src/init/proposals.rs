//! What was found in a repository: proposed tasks, what they share, and what was left out and why. It must
//! not know the kinds of projects.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::tool_files::{self, ToolFiles};
use crate::init::survey::Folder;

/// What a task is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TaskKind {
    /// Checks the format of the code.
    Format,
    /// Runs a linter.
    Lint,
    /// Checks types.
    Types,
    /// Runs unit tests.
    Test,
    /// Runs integration tests.
    Integration,
    /// Runs end-to-end tests.
    E2e,
    /// Builds something.
    Build,
}

impl TaskKind {
    /// Returns the group of such tasks.
    pub fn group(self) -> &'static str {
        match self {
            Self::Format | Self::Lint | Self::Types => "lint",
            Self::Test => "unit",
            Self::Integration => "integration",
            Self::E2e => "e2e",
            Self::Build => "build",
        }
    }
}

/// A proposed task.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The name.
    pub name: String,
    /// The description.
    pub about: String,
    /// What it is for.
    pub kind: TaskKind,
    /// The command, a shell line.
    pub run: String,
    /// The command that fixes its findings.
    pub fix: Option<String>,
    /// The folder that it runs in; empty for the top.
    pub folder: String,
    /// The input patterns; empty for the whole tree.
    pub inputs: Vec<String>,
    /// The files that it writes, as patterns from the top.
    pub outputs: Vec<String>,
    /// The tasks that must pass before it, by name.
    pub needs: Vec<String>,
    /// The tools whose probes are part of its key.
    pub tools: Vec<String>,
    /// The locks it takes.
    pub locks: Vec<String>,
    /// The programs that it needs.
    pub programs: Vec<String>,
    /// Whether it may rewrite files of the tree.
    pub rewrites: bool,
    /// A comment for the reader.
    pub remark: Option<String>,
    /// What to do if it fails.
    pub advice: Option<String>,
    /// The file that suggests it, such as `web/package.json`.
    pub origin: String,
}

/// The probe of a tool, with the folder it runs in. Version managers look for their files in this folder and
/// those above it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// The shell line.
    pub run: String,
    /// The folder; empty for the top.
    pub folder: String,
}

/// A compose file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compose {
    /// The path from the top.
    pub path: String,
    /// Whether docker finds it without being given its path.
    pub is_default: bool,
    /// The services; `None` if they could not be read.
    pub services: Option<Vec<Service>>,
}

/// A service of a compose file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// The name.
    pub name: String,
    /// The port of this machine that it is published at.
    pub port: Option<u16>,
}

/// A command that installs dependencies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Install {
    /// The folder that it runs in; empty for the top.
    pub folder: String,
    /// The shell line.
    pub run: String,
    /// The files that it reads, by their paths from the top.
    pub inputs: Vec<String>,
}

/// Something that was found but is not proposed as a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Omission {
    /// What was found.
    pub what: String,
    /// Why it is not a task.
    pub why: String,
}

/// All that was found in a repository.
#[derive(Clone, Debug, Default)]
pub struct Proposals {
    /// Proposed tasks.
    pub tasks: Vec<Candidate>,
    /// Named sets of input patterns.
    pub sets: BTreeMap<String, Vec<String>>,
    /// Probes by the names of tools.
    pub tools: BTreeMap<String, Probe>,
    /// Variables that are passed to all tasks.
    pub pass_env: BTreeSet<String>,
    /// Folders that private worktrees are linked to.
    pub links: BTreeSet<String>,
    /// Ignored files that private worktrees get copies of.
    pub copies: BTreeSet<String>,
    /// What makes a private worktree ready.
    pub setups: Vec<Install>,
    /// Commands that create virtual environments of Python with all that the tasks need. They are for private
    /// worktrees that can't be linked to the existing ones.
    pub installs: Vec<Install>,
    /// Compose files.
    pub services: Vec<Compose>,
    /// What was left out.
    pub omitted: Vec<Omission>,
    /// Further comments, a line each.
    pub remarks: Vec<String>,
    /// The programs that scripts of tasks call, with the folders they run in.
    pub programs_run: BTreeSet<(String, String)>,
}

impl Candidate {
    /// Creates a task of `folder` that its file `file` suggests. Its inputs are the folder, or the whole tree
    /// for the top.
    pub fn new(folder: &Folder, file: &str, name: &str, kind: TaskKind) -> Self {
        let inputs = if folder.is_top() { Vec::new() } else { vec![format!("{}/**", literal(&folder.path))] };
        Self {
            name: task_name(&folder.path, name),
            about: String::new(),
            kind,
            run: String::new(),
            fix: None,
            folder: folder.path.clone(),
            inputs,
            outputs: Vec::new(),
            needs: Vec::new(),
            tools: Vec::new(),
            locks: Vec::new(),
            programs: Vec::new(),
            rewrites: false,
            remark: None,
            advice: None,
            origin: folder.path_of(file),
        }
    }
}

impl Proposals {
    /// Adds a task, with another name if its name is taken. Returns its name.
    pub fn add(&mut self, mut task: Candidate) -> String {
        let taken = |name: &str| name == "ci" || self.tasks.iter().any(|task| task.name == name);
        if taken(&task.name) {
            let free =
                (2..=self.tasks.len() + 2).map(|n| format!("{}-{n}", task.name)).find(|name| !taken(name));
            task.name = free.unwrap_or_default();
        }
        let name = task.name.clone();
        self.tasks.push(task);
        name
    }

    /// Adds tasks that must pass before a task.
    pub fn add_needs(&mut self, task: &str, needs: impl IntoIterator<Item = String>) {
        if let Some(task) = self.tasks.iter_mut().find(|it| it.name == task) {
            task.needs.extend(needs);
        }
    }

    /// Returns the outputs of a task.
    pub fn outputs_of(&self, task: &str) -> Vec<String> {
        self.tasks.iter().find(|it| it.name == task).map(|it| it.outputs.clone()).unwrap_or_default()
    }

    /// Returns the kind of a task.
    pub fn kind_of(&self, task: &str) -> Option<TaskKind> {
        self.tasks.iter().find(|it| it.name == task).map(|it| it.kind)
    }

    /// Adds a tool with the probe `run`, which is run in the folder of its tasks. Returns the tool's name.
    pub fn tool(&mut self, folder: &Folder, name: &str, run: &str) -> String {
        let probe = Probe { run: run.to_owned(), folder: folder.path.clone() };
        let name = match self.tools.get(name) {
            Some(known) if *known != probe => task_name(&folder.path, name),
            _ => name.to_owned(),
        };
        self.tools.insert(name.clone(), probe);
        name
    }

    /// Adds the set of the configuration files of these tools. Returns how `inputs` refers to it.
    pub fn settings(&mut self, name: &str, tools: &[ToolFiles]) -> String {
        self.sets.entry(name.to_owned()).or_insert_with(|| tool_files::patterns(tools));
        format!("@{name}")
    }

    /// Adds something that is not proposed as a task.
    pub fn omit(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.omitted.push(Omission { what: what.into(), why: why.into() });
    }

    /// Returns whether the folder or one below it has a task of a kind.
    pub fn has_below(&self, folder: &Folder, kind: TaskKind) -> bool {
        let is_below = |path: &str| {
            folder.is_top()
                || path == folder.path
                || path.strip_prefix(&folder.path).is_some_and(|rest| rest.starts_with('/'))
        };
        self.tasks.iter().any(|task| is_below(&task.folder) && task.kind == kind)
    }
}

/// Returns the name of a task of a folder, without characters that are not allowed in names.
pub fn task_name(folder: &str, name: &str) -> String {
    let own = |c: char| if c.is_alphanumeric() || matches!(c, '_' | '.') { c } else { '-' };
    let prefix: String = folder.chars().map(own).collect();
    let prefix = prefix.trim_matches(['-', '.']);
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}-{name}") }
}

/// Escapes a path as a pattern that only matches it.
pub fn literal(path: &str) -> String {
    let mut text = String::new();
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\') || text.is_empty() && matches!(c, '!' | '@')
        {
            text.push('\\');
        }
        text.push(c);
    }
    text
}
