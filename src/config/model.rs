//! What tasks.toml says once it is known to be right. It must not know how it was written, but for
//! the place of each task, which messages name.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::base::env::Env;
use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;
use crate::config::diagnostic::Lines;
use crate::config::load::dotenv::Hidden;
use crate::config::naming::{self, Called, Names};
use crate::config::stage::Stage;
use crate::quality::rules::Rules;
use ci_reports::Kind;

/// The tasks of a repository and what they share.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The folder that holds tasks.toml; its paths are relative to it.
    pub base: RepoPath,
    /// `[settings]`.
    pub settings: Settings,
    /// `[tools]`, by their names with their projects.
    pub tools: BTreeMap<String, Tool>,
    /// The tasks in the order of the file. A task's index here is its [`TaskId`].
    pub tasks: Vec<Task>,
    /// `[hooks]`: the names of the tasks and groups that gate a stage.
    pub hooks: BTreeMap<Stage, Vec<String>>,
    /// `[worktree]`.
    pub worktree: Worktree,
    /// What the repository's own program is made of, if tasks are functions of it.
    pub program: Patterns,
    /// `[ci]`.
    pub ci: Ci,
    /// `[services]`. A service's index here is its [`ServiceId`].
    pub services: Vec<Service>,
    /// The files that it was read from, the outermost first.
    pub files: Vec<SourceFile>,
    /// Whether tasks were left out or exchanged since, as for `xtask fix`: then what seems unused may
    /// be used by those.
    pub is_part: bool,
}

/// A file that a config was read from: what messages about its text need.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// As messages name it.
    pub name: String,
    /// Its path in the tree.
    pub path: RepoPath,
    /// The folder that its paths are relative to.
    pub base: RepoPath,
    /// Its text.
    pub text: Arc<str>,
    /// `[files]`.
    pub sets: Vec<NamedSet>,
    /// The tools that it defines, by their names with their projects, and where.
    pub tools: Vec<(String, Range<usize>)>,
}

/// A set of `[files]`.
#[derive(Clone, Debug)]
pub struct NamedSet {
    /// Its name, without the `@`.
    pub name: String,
    /// Where its name is written.
    pub span: Range<usize>,
    /// Its patterns.
    pub patterns: Patterns,
}

impl SourceFile {
    /// The place of the byte `at` of its text.
    pub fn place(&self, at: usize) -> Place {
        let (line, column) = Lines::of(&self.text).place(at);
        Place { file: self.name.clone(), line, column }
    }
}

/// `[ci]`: what CI systems are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ci {
    /// The tasks and groups that are run.
    pub run: Vec<String>,
    /// Over how many machines they are spread.
    pub shards: NonZeroU32,
    /// A file of recorded durations, by which they are spread.
    pub timings: Option<RepoPath>,
    /// Branches whose pushes are run; empty: not said.
    pub branches: Vec<String>,
    /// The CI systems that are used; empty: not said.
    pub providers: Vec<Provider>,
    /// A shell line that puts the runner on a machine; `None`: not said.
    pub install: Option<String>,
    /// How long a machine may take.
    pub timeout: Duration,
}

impl Default for Ci {
    fn default() -> Self {
        Self {
            run: vec!["ci".to_owned()],
            shards: NonZeroU32::MIN,
            timings: None,
            branches: Vec::new(),
            providers: Vec::new(),
            install: None,
            timeout: Duration::from_secs(3600),
        }
    }
}

/// A CI system that reads its jobs from a file of the repository.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Provider {
    /// GitHub Actions.
    GitHub,
    /// GitLab CI.
    GitLab,
}

impl Provider {
    /// All of them, by their names in tasks.toml.
    pub const ALL: [(&'static str, Self); 2] = [("github", Self::GitHub), ("gitlab", Self::GitLab)];
}

/// A service's place in [`Config::services`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServiceId(pub usize);

/// A long-lived process that tasks use.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its command with all that surrounds it: its name, what it needs and uses, its inputs.
    pub task: Task,
    /// The port that it listens on.
    pub port: Option<Port>,
    /// How it is known to be ready.
    pub ready: Ready,
    /// How it is ended.
    pub stop: Stopping,
}

/// The port of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Port {
    /// A free one is picked for each run.
    Auto,
    /// This one.
    Fixed(u16),
}

/// How a service is known to be ready.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ready {
    /// What is asked; nothing: it is ready once it was started.
    pub probe: Option<Probe>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What tells that a service is ready.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Probe {
    /// Something listens at this `host:port`.
    Tcp(String),
    /// Something listens on the Unix socket at this path, which is relative to the service's `cwd`.
    Unix(String),
    /// A GET of this URL is answered with a status below 400.
    Http(String),
    /// A line of its output matches this regular expression.
    Log(String),
    /// This command ends with 0.
    Command(Command),
}

/// How a service is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopping {
    /// What it is sent.
    pub signal: rustix::process::Signal,
    /// How long it has then until it is killed.
    pub grace: Duration,
}

/// `[worktree]`: what a private worktree needs that git does not hold.
#[derive(Clone, Debug, Default)]
pub struct Worktree {
    /// Files and folders of the user's work tree that are recreated with hard links.
    pub link: Vec<RepoPath>,
    /// Files and folders of the user's work tree that are copied.
    pub copy: Vec<RepoPath>,
    /// Those of them that may be missing; written with `?` in front.
    pub may_miss: Vec<RepoPath>,
    /// The folder that pools of private worktrees and sandboxes are in, as it was written: absolute,
    /// or below `~`.
    pub root: Option<String>,
    /// Filter drivers of git that may run to check it out.
    pub filters: Vec<String>,
    /// What runs in it before its tasks, each time that its key is another.
    pub setup: Option<Box<Task>>,
}

/// What tells which tool is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// A shell line that prints it.
    pub probe: String,
    /// The folder it is asked in.
    pub cwd: RepoPath,
}

/// A task's place in [`Config::tasks`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskId(pub usize);

/// `[settings]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Job slots; `None` is one per core.
    pub jobs: Option<NonZeroU32>,
    /// Bytes that the cache may take.
    pub cache_size: u64,
    /// What runs a string command: program and arguments before the line. Never empty.
    pub shell: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { jobs: None, cache_size: 10 << 30, shell: vec!["sh".to_owned(), "-ec".to_owned()] }
    }
}

/// One task.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name, unique in the repository: behind that of its project, if it has one.
    pub name: String,
    /// The included file that defines it, as `api` or `api:auth`; empty for the outermost.
    pub project: String,
    /// One line for the list.
    pub description: Option<String>,
    /// The label it shares with others.
    pub group: Option<String>,
    /// The task that it was made of, if a matrix made it.
    pub variant_of: Option<String>,
    /// What it runs; an aggregate runs nothing.
    pub run: Option<Command>,
    /// What mends the findings of `run`.
    pub fix: Option<Command>,
    /// What runs behind it, whatever became of it.
    pub finally: Option<Command>,
    /// What runs a string command of this task.
    pub shell: Vec<String>,
    /// The folder its commands run in.
    pub cwd: RepoPath,
    /// The files it reads. Its own outputs are not among them.
    pub inputs: Patterns,
    /// The files it writes; its patterns are anchored. Empty: it writes none that count.
    pub outputs: Patterns,
    /// Tasks that must have passed before, with groups and names resolved, sorted, each once; also
    /// those that its services need.
    pub needs: Vec<TaskId>,
    /// Services that it uses, by the names that its texts call them.
    pub services: BTreeMap<String, ServiceId>,
    /// These and all that they use, each behind those it uses.
    pub uses: Vec<ServiceId>,
    /// Variables with their values.
    pub env: BTreeMap<String, String>,
    /// Variables passed from the caller.
    pub pass_env: Vec<PassEnv>,
    /// Variables passed from the caller and hidden everywhere.
    pub secret_env: Vec<String>,
    /// Files of variables, later ones before earlier ones.
    pub env_files: Vec<EnvFile>,
    /// What these files say, without what `env` says too. A variable that is passed from the caller
    /// has the value from here only if the caller has none.
    pub file_env: BTreeMap<String, Hidden>,
    /// The first of these files that is missing.
    pub missing_file: Option<RepoPath>,
    /// Names of probes in [`Config::tools`].
    pub tools: Vec<String>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// From when on it is called slow.
    pub slow_after: Option<Duration>,
    /// Attempts after the first that failed.
    pub retries: u32,
    /// Names that never have two holders at once.
    pub locks: Vec<String>,
    /// Job slots it takes.
    pub slots: NonZeroU32,
    /// Systems it runs on, as Rust names them (`linux`, `macos`); empty: all.
    pub os: Vec<String>,
    /// Whether its result may be stored and taken from the cache.
    pub cache: bool,
    /// Whether it runs in a folder that holds only what it declares.
    pub sandbox: bool,
    /// The reports that it writes; their files are among its outputs.
    pub reports: Vec<Report>,
    /// What it demands of the reports of the tasks that it needs, if it is a gate.
    pub gate: Option<Box<Gate>>,
    /// Where it is defined.
    pub place: Place,
}

/// Reports that a task writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of what kind.
    pub kind: Kind,
    /// Which files; each pattern has to match at least one.
    pub files: Patterns,
    /// Why its tool may note that it could not examine everything, if it may.
    pub partial: Option<String>,
}

/// What a gate demands. The tasks whose reports it reads are those that it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Its rules.
    pub rules: Rules,
    /// A committed file with facts of a former tree, for when nothing else is known of one.
    pub baseline: Option<RepoPath>,
    /// The branch whose merge base is compared with; `None`: that of `--affected`.
    pub base: Option<String>,
    /// Whether it is judged only where it is named, and not whenever all that it reads is run.
    pub by_name: bool,
}

/// A file of variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFile {
    /// Which.
    pub path: RepoPath,
    /// Whether it may be missing; written `?PATH` if so.
    pub may_miss: bool,
}

/// What a task runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A line for the task's shell.
    Shell(String),
    /// A program and its arguments. Never empty.
    Argv(Vec<String>),
    /// A function of the repository's own program, by the name it is registered under.
    Rust(String),
}

/// A variable passed from the caller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PassEnv {
    /// Its name.
    pub name: String,
    /// Whether its value enters the key; written `?NAME` if not.
    pub keyed: bool,
}

/// Where something is defined; line and column count from 1.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// The file, as messages name it.
    pub file: String,
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Config {
    /// The service with this id.
    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.0]
    }

    /// Job slots of a run: as many as were asked for or set, or one per core.
    pub fn slots(&self, asked: Option<u32>) -> u32 {
        asked.or(self.settings.jobs.map(NonZeroU32::get)).unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1))
        })
    }

    /// The number of the file that defines a task or service.
    pub fn file_of(&self, task: &Task) -> Option<usize> {
        self.files.iter().position(|file| file.name == task.place.file)
    }

    /// The task with this id.
    pub fn task(&self, id: TaskId) -> &Task {
        &self.tasks[id.0]
    }

    /// The ids of all tasks in the order of the file.
    pub fn ids(&self) -> impl Iterator<Item = TaskId> + use<> {
        (0..self.tasks.len()).map(TaskId)
    }

    /// The tasks that `name` stands for: the task of that name, the members of the group of that
    /// name, and what the matrix of the task of that name made; `:name` is that in each project.
    pub fn named(&self, name: &str) -> Vec<TaskId> {
        self.ids().filter(|id| self.task(*id).called().answers_to(name)).collect()
    }

    /// The names that [`Self::named`] knows and that a person may mean, tasks first.
    pub fn names(&self) -> Vec<String> {
        Names::of(self.tasks.iter().map(Task::called)).listed()
    }

    /// The groups in the order of their first member.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        for group in self.tasks.iter().filter_map(|task| task.group.as_deref()) {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }
}

impl Task {
    /// All that it is called by.
    fn called(&self) -> Called<'_> {
        Called {
            own: naming::own(&self.name, &self.project),
            project: &self.project,
            group: self.group.as_deref(),
            variant_of: self.variant_of.as_deref().map(|name| naming::own(name, &self.project)),
        }
    }

    /// Whether it runs on the system of this name.
    pub fn runs_on(&self, system: &str) -> bool {
        self.os.is_empty() || self.os.iter().any(|os| os == system)
    }

    /// The value of a variable that is passed from the caller.
    pub fn passed<'a>(&'a self, env: &'a Env, name: &str) -> Option<&'a OsStr> {
        env.var(name).or_else(|| self.file_env.get(name).map(|value| OsStr::new(&value.0)))
    }

    /// Whether it only gathers others.
    pub fn is_aggregate(&self) -> bool {
        self.run.is_none() && self.gate.is_none()
    }
}
