//! The facts that the files of CI systems depend on, from tasks.toml and the repository. It must not know
//! how the files are written.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::path::RepoPath;
use crate::base::pattern::{Matcher, Pattern};
use crate::config::model::{Command, Config, Task};
use crate::graph::Graph;
use crate::workflow::runner::{Install, Runner};
use ci_reports::ReportKind;

/// A shell line that fetches the recorded facts of earlier trees. With the star, which matches no other
/// notes, it is no error for git if there are none yet.
pub const NOTES: &str = "git fetch --quiet origin '+refs/notes/xtask*:refs/notes/xtask*'";

/// An operating system that CI systems have machines for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    /// Linux.
    Linux,
    /// macOS.
    MacOs,
}

/// A command of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCommand {
    /// The folder that it runs in, from the top of the repository; empty for the top.
    pub folder: String,
    /// The command, as a line of a shell.
    pub line: String,
}

/// What a checkout needs besides the files of the commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkout {
    /// Whether there are submodules.
    pub submodules: bool,
    /// Whether files are in Git LFS.
    pub lfs: bool,
}

/// The facts that the files depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CiFacts {
    /// How xtask is called, quoted for a shell.
    pub call: String,
    /// How it is installed.
    pub install: Option<Install>,
    /// The arguments that run the tasks, quoted for a shell.
    pub run: String,
    /// The number of shards.
    pub shards: u32,
    /// Options of a shard, quoted for a shell.
    pub timings: String,
    /// The systems that tasks run on.
    pub systems: Vec<System>,
    /// Operating systems of tasks that there is no known machine for.
    pub unserved: Vec<String>,
    /// Branches whose pushes are run; empty for the default branch.
    pub branches: Vec<String>,
    /// The timeout of a job, in minutes.
    pub minutes: u64,
    /// The paths of `JUnit` reports that tasks write.
    pub junit: Vec<String>,
    /// The path of a Cobertura report that a task writes.
    pub cobertura: Option<String>,
    /// Whether there is a quality gate.
    pub judges: bool,
    /// Whether a quality gate compares with a baseline.
    pub compares: bool,
    /// The commands of the tasks.
    pub commands: Vec<TaskCommand>,
    /// The other commands that a run starts: probes of tools, and services.
    pub probes: Vec<TaskCommand>,
    /// Whether tasks use services of tasks.toml.
    pub has_services: bool,
    /// What a checkout needs.
    pub checkout: Checkout,
}

impl CiFacts {
    /// Returns the facts of the tasks of a graph: those that `[ci] run` names, with what they need.
    pub fn new(config: &Config, graph: &Graph, runner: Runner) -> Self {
        let ci = &config.ci;
        let tasks: Vec<&Task> = graph.nodes.iter().map(|node| config.task(node.task)).collect();
        let (systems, unserved) = systems(&tasks);
        let mut call = match runner {
            Runner::Own => "cargo xtask".to_owned(),
            Runner::Installed => "xtask".to_owned(),
        };
        if !config.base.is_top() {
            call = format!("{call} -C {}", quote_word(&config.base.to_string()));
        }
        let words: Vec<String> = ci.run.iter().map(|name| quote_word(name)).collect();
        // Any other name could also be that of a command.
        let run = if ci.run == ["ci"] { "ci".to_owned() } else { format!("run {}", words.join(" ")) };
        let install = match &ci.install {
            Some(line) => Some(Install::Line(line.clone())).filter(|_| !line.is_empty()),
            None => Some(Install::Release).filter(|_| runner == Runner::Installed),
        };
        let own = TaskCommand { folder: String::new(), line: call.clone() };
        let timings = ci.timings.as_ref();
        Self {
            call,
            install,
            run,
            shards: ci.shards.get(),
            timings: timings.map_or_else(String::new, |file| {
                format!(" --timings {}", quote_word(&relative(config, file)))
            }),
            systems,
            unserved,
            branches: ci.branches.clone(),
            minutes: minutes(ci.timeout),
            junit: reports(&tasks, ReportKind::Junit),
            cobertura: reports(&tasks, ReportKind::Cobertura).into_iter().next(),
            judges: tasks.iter().any(|task| task.is_gate()),
            compares: tasks.iter().any(|task| task.gate().is_some_and(|gate| gate.rules.need_baseline())),
            commands: commands(&tasks),
            probes: probes(config, &tasks).chain(Some(own).filter(|_| runner == Runner::Own)).collect(),
            has_services: tasks.iter().any(|task| !task.env.uses.is_empty()),
            checkout: Checkout::default(),
        }
    }
}

/// Returns the commands that tasks run.
fn commands(tasks: &[&Task]) -> Vec<TaskCommand> {
    let runs = tasks.iter().filter_map(|task| Some((&task.env.cwd, task.command()?)));
    runs.filter_map(|(cwd, command)| Some(TaskCommand { folder: folder(cwd), line: shell_line(command)? }))
        .collect()
}

/// Returns the commands of the tools and services that tasks use.
fn probes<'c>(config: &'c Config, tasks: &[&Task]) -> impl Iterator<Item = TaskCommand> + use<'c> {
    let tools: BTreeSet<String> = tasks.iter().flat_map(|task| task.tools.iter().cloned()).collect();
    let tools = tools.into_iter().filter_map(|name| config.tools.get(&name));
    let tools = tools.map(|tool| TaskCommand { folder: folder(&tool.cwd), line: tool.probe.clone() });
    let uses: BTreeSet<_> = tasks.iter().flat_map(|task| task.env.uses.iter().copied()).collect();
    let services = uses.into_iter().filter_map(|id| {
        let service = config.service(id);
        Some(TaskCommand { folder: folder(&service.env.cwd), line: shell_line(&service.command)? })
    });
    tools.chain(services)
}

fn folder(path: &RepoPath) -> String {
    if path.is_top() { String::new() } else { path.to_string() }
}

fn shell_line(command: &Command) -> Option<String> {
    match command {
        Command::Shell(line) => Some(line.clone()),
        Command::Argv(words) => shlex::try_join(words.iter().map(String::as_str)).ok(),
        Command::Rust(_) => None,
    }
}

/// Returns a path relative to the folder of tasks.toml.
fn relative(config: &Config, path: &RepoPath) -> String {
    let up = config.base.parts().map(|_| "../").collect::<String>();
    if config.base.is_top() { path.to_string() } else { format!("{up}{path}") }
}

/// Quotes a word for a shell.
fn quote_word(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| String::new(), std::borrow::Cow::into_owned)
}

/// Returns the systems with machines, and those without. A task that runs anywhere only needs a machine if
/// there is no other.
fn systems(tasks: &[&Task]) -> (Vec<System>, Vec<String>) {
    let mut systems = BTreeSet::new();
    let mut unserved = BTreeSet::new();
    for task in tasks.iter().filter(|task| !task.is_aggregate()) {
        if task.systems().is_empty() {
            systems.insert(System::Linux);
        }
        for name in task.systems() {
            match name.as_str() {
                "linux" => _ = systems.insert(System::Linux),
                "macos" => _ = systems.insert(System::MacOs),
                other => _ = unserved.insert(other.to_owned()),
            }
        }
    }
    if systems.is_empty() {
        systems.insert(System::Linux);
    }
    (systems.into_iter().collect(), unserved.into_iter().collect())
}

/// Returns the patterns of the reports of a kind, each once.
fn reports(tasks: &[&Task], kind: ReportKind) -> Vec<String> {
    let reports = tasks.iter().flat_map(|task| task.reports()).filter(|report| report.kind == kind);
    let items = reports.flat_map(|report| report.files.items()).filter(|item| !item.excludes);
    let paths: BTreeSet<String> = items
        .filter_map(|item| match &item.matcher {
            Matcher::Pattern(pattern) => Some(from_top(pattern)),
            Matcher::Set { .. } => None,
        })
        .collect();
    paths.into_iter().collect()
}

/// Returns a pattern relative to the top of the repository.
fn from_top(pattern: &Pattern) -> String {
    let folder = Some(pattern.folder().to_string()).filter(|_| !pattern.folder().is_top());
    let parts: Vec<String> = folder.into_iter().chain(pattern.components()).collect();
    parts.join("/")
}

/// Returns the host and `owner/name` of a remote's URL.
pub fn slug(url: &str) -> Option<(String, String)> {
    let rest = match url.split_once("://") {
        Some((_, rest)) => rest,
        // `git@host:owner/name`
        None => url.split_once(':').filter(|(host, _)| !host.contains('/')).map(|_| url)?,
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let (host, path) = rest.split_once(['/', ':'])?;
    // A port is between the colon and the slash.
    let path = match path.split_once('/') {
        Some((port, path)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => path,
        _ => path,
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
    };
    (path.contains('/') && plain(path) && plain(host)).then(|| (host.to_owned(), path.to_owned()))
}

/// Rounds a duration up to minutes, at least one.
fn minutes(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(60_000_000_000)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_rounded_up() {
        let cases = [(0, 1), (100, 1), (60_000, 1), (60_001, 2), (1_800_000, 30)];
        for (millis, expected) in cases {
            assert_eq!(minutes(Duration::from_millis(millis)), expected, "{millis} ms");
        }
    }

    #[test]
    fn remote_gives_host_and_slug() {
        let cases = [
            ("https://github.com/a/b.git", Some(("github.com", "a/b"))),
            ("https://user:token@github.com/a/b", Some(("github.com", "a/b"))),
            ("git@github.com:a/b.git", Some(("github.com", "a/b"))),
            ("ssh://git@gitlab.example.com:2222/g/s/p.git", Some(("gitlab.example.com", "g/s/p"))),
            ("/srv/git/a.git", None),
            ("../a/b", None),
            ("file:///srv/a", None),
            ("https://github.com/a", None),
            ("https://github.com/a/b](x)", None),
        ];
        for (url, expected) in cases {
            let expected = expected.map(|(host, slug)| (host.to_owned(), slug.to_owned()));
            assert_eq!(slug(url), expected, "{url}");
        }
    }
}
