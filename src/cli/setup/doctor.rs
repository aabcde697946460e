//! `xtask doctor`: checks what taskgate depends on here, and says what to do. It must not change anything.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::base::text::count;
use crate::base::units;
use crate::cli::exit::End;
use crate::cli::failure::{Failure, hint};
use crate::cli::hooks::install;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::config::diagnostic::Diagnostics;
use crate::config_warning::Warning;
use crate::engine::location::Tree;
use crate::engine::prepare;
use crate::engine::prepare::probe_command::ProbeContext;
use crate::engine::prepare::tool_probes;
use crate::gate::prepare_worktree::setup;
use crate::gate::remote_url::{is_ssh, ssh_host};
use crate::git::{GitError, PoolFinder, Repository, WorkTreeReader};
use crate::graph::{Graph, Reach};
use crate::plan::CachePolicy;
use crate::process::find_program::find_program;
use crate::process::run::{self, Ended};
use crate::process::secret_mask::Mask;
use crate::process::spawn::{Limits, Spawn};
use crate::process::stop::Stop;
use crate::reporter::style::Tone;

/// Arguments of `doctor`.
#[derive(Args, Debug, Clone, Copy)]
pub struct DoctorArgs {
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Less free space than this is a warning.
const LOW_SPACE: u64 = 1 << 30;
/// The time that a program gets to answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The result of one check.
struct Check {
    what: String,
    state: CheckState,
    text: String,
    hint: Option<String>,
}

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CheckState {
    Passed,
    /// It works, with a limitation.
    Warning,
    Failed,
}

impl Check {
    fn passed(what: &str, text: impl Into<String>) -> Self {
        Self { what: what.to_owned(), state: CheckState::Passed, text: text.into(), hint: None }
    }

    fn warning(what: &str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.to_owned(), state: CheckState::Warning, text: text.into(), hint: Some(hint.into()) }
    }

    fn failed(what: &str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.to_owned(), state: CheckState::Failed, text: text.into(), hint: Some(hint.into()) }
    }
}

/// Runs all checks and prints them. Fails if something does not work.
///
/// # Errors
/// Standard output can't be written to.
pub fn run(session: &Session, args: &DoctorArgs) -> Result<End, Failure> {
    let mut findings = vec![git(session)];
    match Repository::discover(&session.dir, &session.env) {
        Ok(Some(repository)) => {
            findings.push(Check::passed("repository", repository.work_dir().display().to_string()));
            findings.extend(tasks(session));
            findings.extend(hooks(session));
            findings.push(state(&repository.common_dir().join("xtask")));
            findings.extend(worktrees(session, &repository));
            findings.extend(remotes(session, &repository));
        }
        Ok(None) => {
            let hint = "git init; without one nothing is cached and nothing is gated";
            findings.push(Check::warning("repository", "this is not a git repository", hint));
            findings.extend(tasks(session));
        }
        Err(error) => {
            let text = error.to_string();
            let hint = hint(&Failure::Git(error), None);
            let hint = hint.unwrap_or_else(|| "check the repository: git status".to_owned());
            findings.push(Check::failed("repository", text, hint));
        }
    }
    findings.extend(environment(session));
    let text = if args.json { as_json(&findings) } else { as_text(session, &findings) };
    session.print(&text)?;
    let sound = findings.iter().all(|finding| finding.state != CheckState::Failed);
    Ok(if sound { End::Passed } else { End::Failed })
}

fn as_text(session: &Session, findings: &[Check]) -> String {
    let paint = session.paint_out();
    let line = |finding: &Check| {
        let (tone, mark) = match finding.state {
            CheckState::Passed => (Tone::Good, "✓"),
            CheckState::Warning => (Tone::Odd, "!"),
            CheckState::Failed => (Tone::Bad, "✗"),
        };
        let hint = finding.hint.as_ref().map(|hint| {
            let lines: Vec<String> = hint.lines().map(|line| format!("    {line}\n")).collect();
            paint.tone(Tone::Faint, &lines.concat())
        });
        let what = paint.tone(Tone::Strong, &finding.what);
        format!("{} {what}: {}\n{}", paint.tone(tone, mark), finding.text, hint.unwrap_or_default())
    };
    findings.iter().map(line).collect()
}

fn as_json(findings: &[Check]) -> String {
    let rows: Vec<_> = findings
        .iter()
        .map(|finding| {
            let state = match finding.state {
                CheckState::Passed => "good",
                CheckState::Warning => "odd",
                CheckState::Failed => "bad",
            };
            json!({ "check": finding.what, "state": state, "text": finding.text, "hint": finding.hint })
        })
        .collect();
    format!("{}\n", json!(rows))
}

fn git(session: &Session) -> Check {
    match output_of(session, "git", &["--version"]) {
        Ok(text) => Check::passed("git", text.trim().trim_start_matches("git version ").to_owned()),
        Err(why) => Check::failed("git", why, "install git"),
    }
}

/// Checks tasks.toml and the tools that it names.
fn tasks(session: &Session) -> Vec<Check> {
    let project = match Project::open(&session.env, &session.dir) {
        Ok(project) => project,
        Err(Failure::Config(diagnostics)) => {
            let text = format!("{} to fix", count(diagnostics.list().count(), "error"));
            return vec![Check::failed("tasks.toml", text, "`xtask` shows them all")];
        }
        Err(failure) => {
            let hint = hint(&failure, None).unwrap_or_default();
            return vec![Check::failed("tasks.toml", failure.to_string(), hint)];
        }
    };
    let mut findings = vec![Check::passed("tasks.toml", count(project.config.tasks.len(), "task"))];
    findings.extend(tools(session, &project));
    if let Some(repository) = &project.repository {
        match without_effect(&project, repository) {
            Ok(found) => findings.extend(found),
            Err(error) => {
                findings.push(Check::failed("tree", error.to_string(), "check the repository: git status"));
            }
        }
    }
    findings
}

/// Checks for declarations of tasks.toml that have no effect on the work tree.
fn without_effect(project: &Project, repository: &Repository) -> Result<Vec<Check>, GitError> {
    let snapshot = WorkTreeReader::open(repository, project.state())?.snapshot()?;
    let setup =
        project.config.worktree.setup.clone().map(|setup| setup::setup_only_config(&project.config, setup));
    let mut findings = Vec::new();
    let mut known: Vec<Warning> = Vec::new();
    for config in std::iter::once(&project.config).chain(&setup) {
        let all: Vec<_> = config.ids().collect();
        let graph = Graph::new(config, &all, Reach::WithNeeds);
        let tree = Tree::WorkDir(repository);
        let judged = prepare::find_ineffective(config, &graph, &snapshot, tree, &project.root, usize::MAX);
        known.extend(judged.warnings.listed);
        findings.extend(judged.refused.iter().flat_map(Diagnostics::records).map(|record| {
            let text = format!("{}:{}: {}", record.file, record.line, record.message);
            Check::failed("inputs", text, record.hint.unwrap_or_default())
        }));
    }
    findings.extend(known.into_iter().map(|warning| {
        let text = format!("{}: {} {}", warning.place(), warning.declared, warning.problem);
        Check::warning("no effect", text, warning.hint.unwrap_or_default())
    }));
    let wanted = &project.config.worktree;
    for path in wanted.link.iter().chain(&wanted.copy) {
        if path.under(&project.root).symlink_metadata().is_err() && !wanted.may_miss.contains(path) {
            let hint = format!("create it, or write \"?{path}\" if it may be missing");
            let text = format!("{path} is not in the work tree, so private worktrees lack it");
            findings.push(Check::warning("[worktree]", text, hint));
        }
    }
    let patterns: Vec<_> = wanted.link_patterns.iter().chain(&wanted.copy_patterns).collect();
    let ignored = if patterns.is_empty() { Vec::new() } else { repository.ignored_paths()? };
    for wanted in patterns.into_iter().filter(|wanted| !wanted.may_miss) {
        if !ignored.iter().any(|entry| wanted.pattern.matches(&entry.path)) {
            let text = format!("{} matches nothing that git ignores", wanted.text());
            let hint = format!("correct it, or write \"?{}\" if it may match nothing", wanted.text());
            findings.push(Check::warning("[worktree]", text, hint));
        }
    }
    Ok(findings)
}

fn tools(session: &Session, project: &Project) -> Vec<Check> {
    let config = &project.config;
    let all: Vec<_> = config.ids().collect();
    let graph = Graph::new(config, &all, Reach::WithNeeds);
    let probes = tool_probes::answer_probes(ProbeContext {
        config,
        graph: &graph,
        env: &session.env,
        root: &project.root,
        state: project.state(),
        policy: CachePolicy::Use,
        clock: &session.clock,
        run: "doctor",
    });
    let origin = |tool: &str| Some(probes.origins.get(tool)?.describe(session.clock.now()));
    let finding = |(tool, answer): (&String, &Result<String, String>)| {
        let what = format!("tool {tool}");
        match answer {
            Ok(text) => {
                let first = text.lines().next().unwrap_or_default();
                let origin = origin(tool).map(|origin| format!(" ({origin})")).unwrap_or_default();
                Check::passed(&what, format!("{first}{origin}"))
            }
            Err(why) => Check::failed(&what, why, "install it, or fix its probe in [tools] of tasks.toml"),
        }
    };
    probes.results.iter().map(finding).collect()
}

fn hooks(session: &Session) -> Vec<Check> {
    match install::stage_statuses(session) {
        Err(failure) => {
            vec![Check::failed("hooks", failure.to_string(), hint(&failure, None).unwrap_or_default())]
        }
        Ok(rows) if rows.is_empty() => {
            let hint = "to gate what is pushed, write: [hooks] pre-push = [\"ci\"]";
            vec![Check::warning("hooks", "tasks.toml has no tasks for a git hook", hint)]
        }
        Ok(rows) => rows
            .into_iter()
            .map(|(stage, text, in_force)| {
                let what = format!("hook {stage}");
                if in_force {
                    Check::passed(&what, text)
                } else {
                    Check::warning(&what, text, "nothing is checked at this stage")
                }
            })
            .collect(),
    }
}

/// Checks whether the state directory can be written to, and its free space.
fn state(path: &Path) -> Check {
    let what = "state";
    let shown = path.display();
    let trial = crate::base::file::make_dir(path)
        .map_err(|error| error.source)
        .and_then(|()| tempfile::tempfile_in(path));
    if let Err(error) = trial {
        let text = format!("{shown} can't be written to: {error}");
        let hint = "make it writable; until then tasks run, but no result is stored";
        return Check::warning(what, text, hint);
    }
    match rustix::fs::statvfs(path) {
        Ok(stat) if stat.f_bavail.saturating_mul(stat.f_frsize) < LOW_SPACE => {
            let free = units::size(stat.f_bavail.saturating_mul(stat.f_frsize));
            Check::warning(
                what,
                format!("{shown}: only {free} free"),
                "`xtask cache gc` removes what is not used",
            )
        }
        _ => Check::passed(what, shown.to_string()),
    }
}

/// Checks the folder of private worktrees and sandboxes, and finds those of deleted repositories.
fn worktrees(session: &Session, repository: &Repository) -> Vec<Check> {
    let what = "worktrees";
    let state = repository.common_dir().join("xtask");
    let project = Project::open(&session.env, &session.dir).ok();
    let root = project.as_ref().and_then(|project| project.config.worktree.root.as_deref());
    let finder = PoolFinder { state: &state, env: &session.env, root };
    let mut findings = match finder.open() {
        Ok(pool) => {
            let (worktrees, bytes) = pool.size();
            let text = format!(
                "{}: {}, {}",
                pool.path().display(),
                count(worktrees, "private worktree"),
                units::size(bytes)
            );
            match pool.fallback_reason() {
                None => vec![Check::passed(what, text)],
                Some(why) => {
                    let hint = "it may be emptied at any time; name another in tasks.toml: [worktree] root = \"/path/to/folder\"";
                    vec![Check::warning(what, format!("{text}, since {why}"), hint)]
                }
            }
        }
        Err(error) => {
            let failure = Failure::from(error);
            vec![Check::failed(what, failure.to_string(), hint(&failure, None).unwrap_or_default())]
        }
    };
    let abandoned = finder.abandoned();
    if !abandoned.is_empty() {
        let bytes = abandoned.iter().map(|pool| pool.size().1).sum();
        let folders = count(abandoned.len(), "folder");
        let text = format!("{folders} of repositories that were moved or deleted: {}", units::size(bytes));
        findings.push(Check::warning(what, text, "`xtask cache gc` removes them"));
    }
    findings
}

/// Checks whether connections of pushes survive a slow gate.
fn remotes(session: &Session, repository: &Repository) -> Vec<Check> {
    let finding = |(name, url): (String, String)| {
        let what = format!("remote {name}");
        if !is_ssh(&url) {
            let text = if url.starts_with("http") {
                format!("{url}: HTTPS keeps no connection open while the gate runs")
            } else {
                url
            };
            return Check::passed(&what, text);
        }
        let host = ssh_host(&url).to_owned();
        let settings = output_of(session, "ssh", &["-G", &host]).unwrap_or_default();
        let alive = settings.lines().find_map(|line| line.strip_prefix("serveraliveinterval "));
        match alive.and_then(|seconds| seconds.trim().parse::<u32>().ok()) {
            Some(seconds) if seconds > 0 => Check::passed(
                &what,
                format!("{url}: ssh keeps the connection alive every {seconds} s (ServerAliveInterval)"),
            ),
            _ => Check::warning(
                &what,
                format!("{url}: ssh doesn't keep an idle connection open"),
                keepalive(&host),
            ),
        }
    };
    repository.remotes().into_iter().map(finding).collect()
}

fn keepalive(host: &str) -> String {
    let host = host.rsplit('@').next().unwrap_or(host);
    format!(
        "git connects before it runs the hook, and idle connections are dropped after minutes. Write in ~/.ssh/config:\n\
         \x20   Host {host}\n\
         \x20       ServerAliveInterval 30\n\
         \x20       ServerAliveCountMax 20\n\
         or push over HTTPS, or run `xtask gate` before the push, which then is a lookup"
    )
}

fn environment(session: &Session) -> Option<Check> {
    session.env.is_set("XTASK_SKIP").then(|| {
        Check::warning(
            "XTASK_SKIP",
            "it is set, so hooks skip every gate",
            "unset XTASK_SKIP; set it for one command at a time",
        )
    })
}

/// Returns the output of a program, or why there is none.
fn output_of(session: &Session, program: &str, args: &[&str]) -> Result<String, String> {
    let env: Vec<(OsString, OsString)> =
        session.env.vars().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let found = find_program(program.as_ref(), session.env.var("PATH"), &session.dir);
    let spawn = Spawn {
        program: found.map_err(|error| error.to_string())?,
        args: args.iter().map(OsString::from).collect(),
        dir: session.dir.clone(),
        env,
        mask: Arc::new(Mask::default()),
        limits: Limits { timeout: Some(TIMEOUT), ..Limits::default() },
        guard: None,
    };
    let finished = run::run(&spawn, &Stop::new(), &mut ());
    match finished.ended {
        Ended::Exit(0) => Ok(finished.log.text),
        _ => Err(format!("`{program} {}` failed: {}", args.join(" "), finished.log.text.trim())),
    }
}
