//! What was found: tasks that could be written, what they share, and what was left out with the
//! reason. It must not know what kind of project it came from.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::tool_files::{self, ToolFiles};
use crate::init::survey::Folder;

/// What a task does for its project.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Checks the layout of the code.
    Format,
    /// Looks for mistakes.
    Lint,
    /// Checks types.
    Types,
    /// Tests parts.
    Test,
    /// Tests parts together.
    Integration,
    /// Tests the whole.
    E2e,
    /// Builds.
    Build,
}

impl Kind {
    /// The group that such tasks are in.
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

/// A task that could be written.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its description.
    pub about: String,
    /// What it does.
    pub kind: Kind,
    /// Its command, a shell line.
    pub run: String,
    /// What mends its findings.
    pub fix: Option<String>,
    /// The folder it runs in; empty for the top.
    pub folder: String,
    /// The files it reads; none for the whole tree.
    pub inputs: Vec<String>,
    /// The tools whose probes enter its key.
    pub tools: Vec<String>,
    /// The locks it takes.
    pub locks: Vec<String>,
    /// The programs it can't do without.
    pub programs: Vec<String>,
    /// Whether it may rewrite files of the tree.
    pub rewrites: bool,
    /// What the reader has to know.
    pub remark: Option<String>,
    /// What to do if it fails here.
    pub advice: Option<String>,
    /// What it was found by, such as `web/package.json`.
    pub origin: String,
}

/// What a tool is asked, and in which folder: version managers look for their files from there up.
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
    /// Its path from the top.
    pub path: String,
    /// Whether docker finds it by itself at the top.
    pub is_default: bool,
    /// Its services; `None` if they could not be read.
    pub services: Option<Vec<Service>>,
}

/// A service of a compose file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The port of this machine that leads to it.
    pub port: Option<u16>,
}

/// Something that was seen and is no task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Omission {
    /// What was seen.
    pub what: String,
    /// Why it is no task.
    pub why: String,
}

/// All that was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Tasks that could be written.
    pub tasks: Vec<Candidate>,
    /// Named sets of files.
    pub sets: BTreeMap<String, Vec<String>>,
    /// Probes by the names of tools.
    pub tools: BTreeMap<String, Probe>,
    /// Variables for all tasks.
    pub pass_env: BTreeSet<String>,
    /// What a private worktree is linked to.
    pub links: BTreeSet<String>,
    /// Files of services.
    pub services: Vec<Compose>,
    /// What was left out.
    pub omitted: Vec<Omission>,
    /// What else there is, a line each.
    pub remarks: Vec<String>,
}

impl Candidate {
    /// A task of `folder`, found by its file `file`. What it reads is the folder's, or the whole
    /// tree at the top.
    pub fn new(folder: &Folder, file: &str, name: &str, kind: Kind) -> Self {
        let inputs = if folder.is_top() { Vec::new() } else { vec![format!("{}/**", literal(&folder.path))] };
        Self {
            name: task_name(&folder.path, name),
            about: String::new(),
            kind,
            run: String::new(),
            fix: None,
            folder: folder.path.clone(),
            inputs,
            tools: Vec::new(),
            locks: Vec::new(),
            programs: Vec::new(),
            rewrites: false,
            remark: None,
            advice: None,
            origin: folder.place(file),
        }
    }
}

impl Found {
    /// Adds a task. If another has its name, it gets one of its own.
    pub fn add(&mut self, mut task: Candidate) {
        let taken = |name: &str| name == "ci" || self.tasks.iter().any(|task| task.name == name);
        if taken(&task.name) {
            let free =
                (2..=self.tasks.len() + 2).map(|n| format!("{}-{n}", task.name)).find(|name| !taken(name));
            task.name = free.unwrap_or_default();
        }
        self.tasks.push(task);
    }

    /// Adds a tool that is asked by `run` where the tasks of `folder` run, and returns its name.
    pub fn tool(&mut self, folder: &Folder, name: &str, run: &str) -> String {
        let probe = Probe { run: run.to_owned(), folder: folder.path.clone() };
        let name = match self.tools.get(name) {
            Some(known) if *known != probe => task_name(&folder.path, name),
            _ => name.to_owned(),
        };
        self.tools.insert(name.clone(), probe);
        name
    }

    /// Adds the set of the files by which these tools are configured, and returns how `inputs` names
    /// it.
    pub fn settings(&mut self, name: &str, tools: &[ToolFiles]) -> String {
        self.sets.entry(name.to_owned()).or_insert_with(|| tool_files::patterns(tools));
        format!("@{name}")
    }

    /// Adds something that is no task.
    pub fn omit(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.omitted.push(Omission { what: what.into(), why: why.into() });
    }

    /// Whether a task of this kind was found in the folder.
    pub fn has(&self, folder: &Folder, kinds: &[Kind]) -> bool {
        self.tasks.iter().any(|task| task.folder == folder.path && kinds.contains(&task.kind))
    }
}

/// The name of a task of a folder, made of characters that a name can have.
pub fn task_name(folder: &str, name: &str) -> String {
    let own = |c: char| if c.is_alphanumeric() || matches!(c, '_' | '.') { c } else { '-' };
    let prefix: String = folder.chars().map(own).collect();
    let prefix = prefix.trim_matches(['-', '.']);
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}-{name}") }
}

/// A path as a pattern that means just it.
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
