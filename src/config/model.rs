//! The config of a repository: what tasks.toml says once it is known to be valid. It must not know how the
//! file was written, except for the places that messages name.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::env::Env;
use crate::base::path::RepoPath;
use crate::base::pattern::{Pattern, Patterns};
use crate::config::deploy::{Artifact, DeploySettings, Environment};
use crate::config::diagnostic::LineIndex;
use crate::config::hook_stage::Stage;
pub use crate::config::ids::{ServiceId, SourceLocation, TaskId};
use crate::config::load::dotenv::SecretText;
use crate::config::naming::{self, NameIndex, TaskNames};
use crate::quality::rules::Rules;
use ci_reports::ReportKind;

/// The tasks of a repository and what they share.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Config {
    /// The folder that contains tasks.toml. Paths in the file are relative to it.
    pub base: RepoPath,
    /// `[settings]`.
    pub settings: Settings,
    /// `[tools]`, by qualified name.
    pub tools: BTreeMap<String, Tool>,
    /// The tasks and gates, in the order of the files. The index of a task is its [`TaskId`].
    pub tasks: Vec<Task>,
    /// `[hooks]`: the names of the tasks and groups that gate a stage.
    pub hooks: BTreeMap<Stage, Vec<String>>,
    /// `[worktree]`.
    pub worktree: Worktree,
    /// The files that the repository's own program is built from, if tasks are functions of it.
    pub program: Patterns,
    /// `[ci]`.
    pub ci: Ci,
    /// `[services]`. The index of a service is its [`ServiceId`].
    pub services: Vec<Service>,
    /// `[artifacts]`.
    pub artifacts: Vec<Artifact>,
    /// `[deploy]`.
    pub deploy: DeploySettings,
    /// `[environments]`.
    pub environments: Vec<Environment>,
    /// The files of the config, the outermost first.
    pub files: Vec<SourceFile>,
    /// Whether tasks were removed or replaced after parsing, as for `xtask fix`. What seems unused then may
    /// be used by the removed tasks.
    pub is_part: bool,
}

/// A file of the config, with what messages about its text need.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceFile {
    /// Its name in messages.
    pub name: String,
    /// Its path in the tree.
    pub path: RepoPath,
    /// The folder that its paths are relative to.
    pub base: RepoPath,
    /// Its text. It is in the file, so a remembered config leaves it out.
    #[serde(skip)]
    pub text: Arc<str>,
    /// `[files]`.
    pub sets: Vec<NamedSet>,
    /// The qualified names of its tools, with their places.
    pub tools: Vec<(String, Range<usize>)>,
}

/// A set of `[files]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamedSet {
    /// Its name, without the `@`.
    pub name: String,
    /// The place of its name.
    pub span: Range<usize>,
    /// Its patterns.
    pub patterns: Patterns,
}

impl SourceFile {
    /// Returns the line and column of the byte `at` of its text.
    pub fn place(&self, at: usize) -> SourceLocation {
        let (line, column) = LineIndex::new(&self.text).place(at);
        SourceLocation { file: self.name.clone(), line, column }
    }
}

/// `[ci]`: what CI systems run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ci {
    /// The tasks and groups that run.
    pub run: Vec<String>,
    /// How many machines share the tasks.
    pub shards: NonZeroU32,
    /// A file of recorded durations, by which the tasks are shared out.
    pub timings: Option<RepoPath>,
    /// Branches whose pushes are tested; empty: not set.
    pub branches: Vec<String>,
    /// The CI systems in use; empty: not set.
    pub providers: Vec<Provider>,
    /// A shell line that installs the runner on a machine; `None`: not set.
    pub install: Option<String>,
    /// How long a job on a machine may take.
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Provider {
    /// GitHub Actions.
    GitHub,
    /// GitLab CI.
    GitLab,
}

impl Provider {
    /// All CI systems, by their names in tasks.toml.
    pub const ALL: [(&'static str, Self); 2] = [("github", Self::GitHub), ("gitlab", Self::GitLab)];
}

/// A long-lived process that tasks use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    /// Its qualified name, unique among the services of the repository.
    pub name: String,
    /// The project that defines it; empty for the outermost.
    pub project: String,
    /// One line for lists of services.
    pub description: Option<String>,
    /// Where it is defined.
    pub place: SourceLocation,
    /// The command that runs until it is stopped.
    pub command: Command,
    /// What its commands run in.
    pub env: CommandEnv,
    /// The files that it reads.
    pub inputs: Patterns,
    /// Names of tools in [`Config::tools`] whose versions may change what it does.
    pub tools: Vec<String>,
    /// Tasks that must have passed before it starts.
    pub needs: Vec<TaskId>,
    /// The port that it listens on.
    pub port: Option<Port>,
    /// How to know that it is ready.
    pub ready: Ready,
    /// How it is stopped.
    pub stop: StopOptions,
}

/// The port of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Port {
    /// A free port, chosen for each run.
    Auto,
    /// A fixed port.
    Fixed(u16),
}

/// How to know that a service is ready.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// What is checked; `None`: it is ready once it was started.
    pub probe: Option<Probe>,
    /// How long it may take.
    pub timeout: Duration,
}

/// A check of whether a service is ready.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Probe {
    /// Something listens at this `host:port`.
    Tcp(String),
    /// Something listens on the Unix socket at this path, relative to the service's `cwd`.
    Unix(String),
    /// A GET of this URL is answered with a status below 400.
    Http(String),
    /// A line of its output matches this regular expression.
    Log(String),
    /// This command exits with 0.
    Command(Command),
}

/// How a service is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StopOptions {
    /// The signal that it is sent.
    #[serde(with = "signal_number")]
    pub signal: rustix::process::Signal,
    /// How long it may take then before it is killed.
    pub grace: Duration,
}

/// `[worktree]`: what a private worktree needs that git does not have.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Worktree {
    /// Files and folders of the user's work tree that are recreated with hard links.
    pub link: Vec<RepoPath>,
    /// Files and folders of the user's work tree that are copied.
    pub copy: Vec<RepoPath>,
    /// The paths above that may be missing; written with `?` in front.
    pub may_miss: Vec<RepoPath>,
    /// Patterns of ignored files and folders that are recreated with hard links.
    pub link_patterns: Vec<ProvidedPattern>,
    /// Patterns of ignored files and folders that are copied.
    pub copy_patterns: Vec<ProvidedPattern>,
    /// The folder of the pools of private worktrees and sandboxes, as it is written: an absolute path, or one
    /// below `~`.
    pub root: Option<String>,
    /// Whether a gate runs tasks in a private worktree even if the work tree has exactly the tree under test.
    pub always_private: bool,
    /// Filter drivers of git that may run during checkout.
    pub filters: Vec<String>,
    /// What runs in it before its tasks, each time that its key changed.
    pub setup: Option<Setup>,
}

/// A pattern of `link` or `copy` in `[worktree]`: a path with `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvidedPattern {
    /// The pattern. It matches what git ignores.
    pub pattern: Pattern,
    /// Whether it may match nothing; written with `?` in front.
    pub may_miss: bool,
}

impl ProvidedPattern {
    /// Returns the pattern as it is written in tasks.toml.
    pub fn text(&self) -> String {
        format!("{}{}", if self.may_miss { "?" } else { "" }, self.pattern.text())
    }
}

/// `setup` of `[worktree]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Where it is defined.
    pub place: SourceLocation,
    /// What it runs.
    pub run: RunSpec,
    /// What its command runs in.
    pub env: CommandEnv,
    /// Names of tools in [`Config::tools`].
    pub tools: Vec<String>,
    /// The files that it reads.
    pub inputs: Patterns,
}

impl Setup {
    /// Its name in messages, logs and records. No task can have this name.
    pub const NAME: &str = "worktree setup";

    /// Returns a task that does the same.
    pub fn into_task(self) -> Task {
        Task {
            name: Self::NAME.to_owned(),
            project: String::new(),
            description: None,
            group: None,
            variant_of: None,
            place: self.place,
            action: TaskAction::Run(Box::new(self.run)),
            fix: None,
            env: self.env,
            tools: self.tools,
            needs: Vec::new(),
            inputs: self.inputs,
            outputs: Patterns::default(),
        }
    }
}

/// A tool whose version is part of the keys of tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// A shell line that prints its version.
    pub probe: String,
    /// The folder that the line runs in.
    pub cwd: RepoPath,
}

/// `[settings]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Job slots; `None`: one per core.
    pub jobs: Option<NonZeroU32>,
    /// The size of the cache in bytes.
    pub cache_size: u64,
    /// The program that runs a string command, with its arguments before the line. It is never empty.
    pub shell: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { jobs: None, cache_size: 10 << 30, shell: vec!["sh".to_owned(), "-ec".to_owned()] }
    }
}

/// A node of the graph: a task with a command, a gate, or an aggregate of other tasks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Its qualified name, unique in the repository.
    pub name: String,
    /// The project that defines it, such as `api` or `api:auth`; empty for the outermost.
    pub project: String,
    /// One line for the list of tasks.
    pub description: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// The original task, if a matrix made it.
    pub variant_of: Option<String>,
    /// Where it is defined.
    pub place: SourceLocation,
    /// What it does.
    pub action: TaskAction,
    /// The command that fixes what the task complains of.
    pub fix: Option<Command>,
    /// What its commands run in.
    pub env: CommandEnv,
    /// Names of tools in [`Config::tools`], with those of its services.
    pub tools: Vec<String>,
    /// Tasks that must have passed before, sorted and without repetitions. They include the needs of its
    /// services.
    pub needs: Vec<TaskId>,
    /// The files that it reads, without its own outputs.
    pub inputs: Patterns,
    /// The files that it writes; the patterns are anchored.
    pub outputs: Patterns,
}

/// What a task does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum TaskAction {
    /// It runs a command.
    Run(Box<RunSpec>),
    /// It judges the reports of the tasks that it needs.
    Judge(Box<Gate>),
    /// Nothing: it is an aggregate, which has only needs.
    None,
}

/// What a task runs, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunSpec {
    /// The command.
    pub command: Command,
    /// The command that runs after it, whatever its result.
    pub finally: Option<Command>,
    /// The time limits of one attempt.
    pub limits: TimeLimits,
    /// How many attempts may follow a failed one.
    pub retries: u32,
    /// Names that only one running task can have.
    pub locks: Vec<String>,
    /// How many job slots it takes.
    pub slots: NonZeroU32,
    /// Systems it runs on, as Rust names them (`linux`, `macos`); empty: all.
    pub os: Vec<String>,
    /// Whether its result may be stored in the cache and taken from it.
    pub cache: bool,
    /// Whether it runs in a folder that contains only what it declares.
    pub sandbox: bool,
    /// The reports that it writes; their files are among the task's outputs.
    pub reports: Vec<Report>,
}

/// The time limits of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeLimits {
    /// The command is stopped after this time.
    pub timeout: Option<Duration>,
    /// The command is reported as slow after this time.
    pub slow_after: Option<Duration>,
}

/// What the commands of a task or a service run in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommandEnv {
    /// The shell for string commands.
    pub shell: Vec<String>,
    /// The folder.
    pub cwd: RepoPath,
    /// The environment variables.
    pub variables: CommandVariables,
    /// Services that it uses, by the names in its texts.
    pub services: BTreeMap<String, ServiceId>,
    /// These services and all that they use, each after those it uses.
    pub uses: Vec<ServiceId>,
}

/// The environment variables that a task or a service declares.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CommandVariables {
    /// `env`: variables with their values.
    pub set: BTreeMap<String, String>,
    /// `pass-env`: variables passed from the caller.
    pub passed: Vec<PassEnv>,
    /// `secret-env`: variables passed from the caller and masked everywhere.
    pub secret: Vec<String>,
    /// `env-file`: files of variables. A later file overrides an earlier one.
    pub files: Vec<EnvFile>,
    /// The variables of these files, without those in `set`. For a variable that is passed from the caller,
    /// this value is used only if the caller has none.
    #[serde(skip)]
    pub from_files: BTreeMap<String, SecretText>,
    /// The first of these files that is missing.
    #[serde(skip)]
    pub missing_file: Option<RepoPath>,
}

/// A report that a task writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its kind.
    pub kind: ReportKind,
    /// Its files; each pattern must match at least one.
    pub files: Patterns,
    /// Why its tool may report that it could not examine everything; `None`: it may not.
    pub partial: Option<String>,
}

/// What a gate requires. It reads the reports of the tasks that it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Its rules.
    pub rules: Rules,
    /// A committed file with the facts of an earlier tree, which is used if no other facts are known.
    pub baseline: Option<RepoPath>,
    /// The branch whose merge base is the baseline; `None`: that of `--affected`.
    pub base: Option<String>,
    /// Whether it runs only if it is named. Otherwise it runs whenever all tasks that it reads run.
    pub by_name: bool,
}

/// A file of variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvFile {
    /// Its path.
    pub path: RepoPath,
    /// Whether it may be missing; written as `?PATH`.
    pub may_miss: bool,
}

/// What a task runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// A line for the task's shell.
    Shell(String),
    /// A program with its arguments. It is never empty.
    Argv(Vec<String>),
    /// A function of the repository's own program, by its registered name.
    Rust(String),
}

/// A variable passed from the caller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PassEnv {
    /// Its name.
    pub name: String,
    /// Whether its value is part of the key; written as `?NAME` if not.
    pub keyed: bool,
}

impl Config {
    /// Returns the environment with this name.
    pub fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.name == name)
    }

    /// Returns the artifact with this name.
    pub fn artifact(&self, name: &str) -> Option<&Artifact> {
        self.artifacts.iter().find(|artifact| artifact.name == name)
    }

    /// Returns the service with this id.
    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.0]
    }

    /// Returns the job slots of a run: those that were asked for or set, or one per core.
    pub fn slots(&self, asked: Option<u32>) -> u32 {
        asked.or(self.settings.jobs.map(NonZeroU32::get)).unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1))
        })
    }

    /// Returns the number of the file that `place` is in.
    pub fn file_of(&self, place: &SourceLocation) -> Option<usize> {
        self.files.iter().position(|file| file.name == place.file)
    }

    /// Returns the task with this id.
    pub fn task(&self, id: TaskId) -> &Task {
        &self.tasks[id.0]
    }

    /// Returns the ids of all tasks, in the order of the files.
    pub fn ids(&self) -> impl Iterator<Item = TaskId> + use<> {
        (0..self.tasks.len()).map(TaskId)
    }

    /// Returns the tasks that `name` refers to: the task with this name, the members of the group, and the
    /// tasks that a matrix made from the task; `:name` is the name in each project.
    pub fn named(&self, name: &str) -> Vec<TaskId> {
        self.ids().filter(|id| self.task(*id).called().is_named(name)).collect()
    }

    /// Returns the names that [`Self::named`] knows, tasks first, for suggestions.
    pub fn names(&self) -> Vec<String> {
        NameIndex::new(self.tasks.iter().map(Task::called)).known_names()
    }

    /// Returns the groups in the order of their first member.
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
    /// Returns all names by which it can be referred to.
    fn called(&self) -> TaskNames<'_> {
        TaskNames {
            own: naming::own_name(&self.name, &self.project),
            project: &self.project,
            group: self.group.as_deref(),
            variant_of: self.variant_of.as_deref().map(|name| naming::own_name(name, &self.project)),
        }
    }

    /// Returns what it runs; `None` for a gate and an aggregate.
    pub fn run(&self) -> Option<&RunSpec> {
        if let TaskAction::Run(run) = &self.action { Some(run) } else { None }
    }

    /// Returns what it runs, to change it.
    pub fn run_mut(&mut self) -> Option<&mut RunSpec> {
        if let TaskAction::Run(run) = &mut self.action { Some(run) } else { None }
    }

    /// Returns the command that it runs.
    pub fn command(&self) -> Option<&Command> {
        self.run().map(|run| &run.command)
    }

    /// Returns what it requires of the reports of the tasks that it needs, if it is a gate.
    pub fn gate(&self) -> Option<&Gate> {
        if let TaskAction::Judge(gate) = &self.action { Some(gate) } else { None }
    }

    /// Returns whether it is a gate.
    pub fn is_gate(&self) -> bool {
        self.gate().is_some()
    }

    /// Returns whether it has only needs.
    pub fn is_aggregate(&self) -> bool {
        matches!(self.action, TaskAction::None)
    }

    /// Returns the reports that it writes.
    pub fn reports(&self) -> &[Report] {
        self.run().map_or(&[], |run| &run.reports)
    }

    /// Returns whether it runs in a sandbox.
    pub fn is_sandboxed(&self) -> bool {
        self.run().is_some_and(|run| run.sandbox)
    }

    /// Returns whether it runs on the system with this name.
    pub fn runs_on(&self, system: &str) -> bool {
        self.systems().is_empty() || self.systems().iter().any(|os| os == system)
    }

    /// Returns the systems that it runs on; empty: all.
    pub fn systems(&self) -> &[String] {
        self.run().map_or(&[], |run| &run.os)
    }

    /// Returns whether its result may be stored in the cache and taken from it.
    pub fn is_cached(&self) -> bool {
        self.run().is_none_or(|run| run.cache)
    }
}

impl RunSpec {
    /// Returns a command with the defaults of everything else.
    pub fn new(command: Command) -> Self {
        Self {
            command,
            finally: None,
            limits: TimeLimits::default(),
            retries: 0,
            locks: Vec::new(),
            slots: NonZeroU32::MIN,
            os: Vec::new(),
            cache: true,
            sandbox: false,
            reports: Vec::new(),
        }
    }
}

impl CommandVariables {
    /// Returns the value of a variable that is passed from the caller.
    pub fn value<'a>(&'a self, env: &'a Env, name: &str) -> Option<&'a OsStr> {
        env.var(name).or_else(|| self.from_files.get(name).map(|value| OsStr::new(&value.0)))
    }
}

/// Stores a signal as its number.
mod signal_number {
    use rustix::process::Signal;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(super) fn serialize<S: Serializer>(signal: &Signal, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i32(signal.as_raw())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Signal, D::Error> {
        let number = i32::deserialize(deserializer)?;
        Signal::from_named_raw(number).ok_or_else(|| D::Error::custom("unknown signal"))
    }
}
