//! `xtask hook STAGE`: what an installed git hook calls. It must not know how the hook was installed.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::hooks::gate::GateCommand;
use crate::cli::project::Project;
use crate::cli::reporters::ReporterOptions;
use crate::cli::run;
use crate::cli::run::RunArgs;
use crate::cli::session::Session;
use crate::config::hook_stage::Stage;
use crate::engine::run::inbox::LazyInbox;
use crate::gate::push;
use crate::gate::question::{self, Question};
use crate::gate::remote_url::is_ssh;
use crate::git::{Repository, Warmth};
use crate::history::skips::{Skip, SkippedTree, Skips};
use crate::process::caller::{Caller, CallerWatch, terminate_self};
use crate::reporter::run_state::cut;
use crate::reporter::text::{self, Keep};

/// Arguments of `hook`.
#[derive(Args, Debug, Clone)]
pub struct HookArgs {
    /// The stage, by its name in git
    #[arg(value_name = "STAGE", value_parser = parse_stage)]
    pub stage: Stage,
    /// The arguments from git
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<OsString>,
}

fn parse_stage(name: &str) -> Result<Stage, String> {
    Stage::parse(name).ok_or_else(|| {
        let known: Vec<&str> = Stage::all().map(Stage::name).collect();
        format!("not a client-side stage; there are {}", known.join(", "))
    })
}

/// The variable with the reason for skipping a gate.
const SKIP_VARIABLE: &str = "XTASK_SKIP";
/// The variables with the path of the index that git commits: our shim's and git's own.
const INDEX_VARIABLES: [&str; 2] = ["XTASK_INDEX_FILE", "GIT_INDEX_FILE"];
/// The stages whose first argument is a file that their tasks check.
const FILE_STAGES: [&str; 4] = ["applypatch-msg", "prepare-commit-msg", "commit-msg", "sendemail-validate"];

/// Runs the gate or the tasks of a stage.
///
/// # Errors
/// There is no answer, which blocks as a failure does.
pub fn run(session: &Session, args: &HookArgs) -> Result<End, Failure> {
    let caller = Caller::find("git");
    let hook = GitHook { session, repository: session.repository()?, caller, args };
    match args.stage {
        Stage::PRE_PUSH => hook.gate_push(),
        Stage::PRE_COMMIT | Stage::PRE_MERGE_COMMIT => hook.gate_staged(),
        _ => hook.run_in_work_tree(),
    }
}

/// A hook that git called.
struct GitHook<'a> {
    session: &'a Session,
    repository: Repository,
    caller: Caller,
    args: &'a HookArgs,
}

impl GitHook<'_> {
    /// Gates each distinct tree that git is about to push.
    fn gate_push(&self) -> Result<End, Failure> {
        let mut input = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut input)
            .map_err(|source| Failure::System { attempt: "read what git pushes".to_owned(), source })?;
        let pushed = push::parse(&input).map_err(|error| Failure::Usage {
            text: error.to_string(),
            hint: Some("git writes `<local ref> <local id> <remote ref> <remote id>`".to_owned()),
        })?;
        let asked = question::questions_of_push(&self.repository, &pushed)?;
        for name in &asked.without_commit {
            self.session.eprint(&format!("gate: {name} is not a commit, so nothing runs for it\n"));
        }
        if asked.questions.is_empty() {
            return Ok(End::Passed);
        }
        if let Some(end) = self.skip(&asked.questions)? {
            return Ok(end);
        }
        let (inbox, _watch) = (LazyInbox::default(), self.watch_caller());
        let end = self.ask(&asked.questions, &inbox)?;
        if end != End::Passed {
            return Ok(end);
        }
        let url = self.args.args.get(1).map(|url| url.to_string_lossy().into_owned()).unwrap_or_default();
        let took = self.session.clock.elapsed();
        if let Some(hint) = lost_connection_hint(&url, took) {
            self.session.eprint(hint);
        }
        Ok(End::Passed)
    }

    /// Gates the tree that git is about to commit.
    fn gate_staged(&self) -> Result<End, Failure> {
        let index = INDEX_VARIABLES
            .iter()
            .find_map(|name| self.session.env.var(name))
            .filter(|path| !path.is_empty());
        let index = index.map(|path| self.session.resolve(&PathBuf::from(path)));
        let tree = self.repository.staged_tree(index.as_deref())?;
        let head = self.repository.head_commit()?;
        let questions = [Question::from_index(tree, head.as_ref(), vec![self.args.stage])];
        if let Some(end) = self.skip(&questions)? {
            return Ok(end);
        }
        let (inbox, _watch) = (LazyInbox::default(), self.watch_caller());
        self.ask(&questions, &inbox)
    }

    /// Runs the tasks of the stage in the work tree.
    fn run_in_work_tree(&self) -> Result<End, Failure> {
        let project = match Project::open(&self.session.env, &self.session.dir) {
            Err(Failure::NoConfig { .. }) => return Ok(End::Passed),
            other => other?,
        };
        let stage = self.args.stage;
        let names = project.config.hooks.get(&stage).cloned().unwrap_or_default();
        if names.is_empty() {
            return Ok(End::Passed);
        }
        // A post- hook can't prevent what has happened already, so there is nothing to skip.
        if !stage.name().starts_with("post-")
            && let Some(end) = self.skip(&[])?
        {
            return Ok(end);
        }
        let (inbox, _watch) = (LazyInbox::default(), self.watch_caller());
        let location = project.location(&self.session.env);
        let run = |args: &RunArgs| {
            run::run_in(self.session, args, &run::request(args), &project.config, location, &inbox, None)
        };
        let file = self.args.args.first().filter(|_| FILE_STAGES.contains(&stage.name()));
        let Some(file) = file else {
            return run(&RunArgs { names, ..RunArgs::default() });
        };
        // The file is not part of the tree, so results about it must not be stored.
        let file = self.session.resolve(&PathBuf::from(file)).to_string_lossy().into_owned();
        for name in names {
            let args =
                RunArgs { names: vec![name], args: vec![file.clone()], no_cache: true, ..RunArgs::default() };
            let end = run(&args)?;
            if end != End::Passed {
                return Ok(end);
            }
        }
        Ok(End::Passed)
    }

    fn ask(&self, questions: &[Question], inbox: &LazyInbox) -> Result<End, Failure> {
        let command = GateCommand { session: self.session, repository: &self.repository, inbox };
        command.ask(questions, ReporterOptions::default(), Warmth::Warm, None)
    }

    /// Watches the git process that called this hook. If git alone is killed, this process ends itself by the
    /// same signal.
    fn watch_caller(&self) -> Option<CallerWatch> {
        // Without it, a gate whose git was killed runs to its end, which does no harm.
        CallerWatch::start(self.caller.clone(), terminate_self).ok()
    }

    /// Skips the gate if the caller asked for it. Returns how the hook ends, or `None` if it is not skipped.
    fn skip(&self, questions: &[Question]) -> Result<Option<End>, Failure> {
        let Some(reason) = self.session.env.var(SKIP_VARIABLE) else { return Ok(None) };
        let reason = reason.to_string_lossy().trim().to_owned();
        if reason.is_empty() {
            let text = format!("error: {SKIP_VARIABLE} is empty, so the gate is not skipped\n");
            let hint = format!("hint: give a reason: {SKIP_VARIABLE}=\"the reason\" git …\n");
            self.session.eprint(&format!("{text}{hint}"));
            return Ok(Some(End::Failed));
        }
        if !is_reason(&reason) {
            let shown = cut(&text::safe(&reason, Keep::Nothing).replace('\n', " "), 60);
            let text =
                format!("error: {SKIP_VARIABLE}={shown} is not a reason, so the gate is not skipped\n");
            let hint = format!(
                "hint: give a reason in words, it is recorded: {SKIP_VARIABLE}=\"the registry is down\" git …\n"
            );
            self.session.eprint(&format!("{text}{hint}"));
            return Ok(Some(End::Failed));
        }
        let trees = questions.iter().map(|question| SkippedTree {
            tree: question.tree.clone(),
            commit: question.commit.clone().filter(|_| !question.is_staged()),
            refs: question.refs.clone(),
        });
        let skip = Skip {
            at: self.session.clock.now(),
            user: self.user(),
            stage: self.args.stage.name().to_owned(),
            reason,
            trees: trees.collect(),
        };
        Skips::new(&self.repository.common_dir().join("xtask")).add(&skip)?;
        let names: Vec<&str> = questions.iter().map(|question| question.what.as_str()).collect();
        let names = if names.is_empty() { self.args.stage.name().to_owned() } else { names.join(", ") };
        self.session.eprint(&format!(
            "gate: {names} skipped by {}: {} (see xtask log --skips)\n",
            skip.user, skip.reason
        ));
        Ok(Some(End::Passed))
    }

    /// Returns the name of the caller from git's configuration, or else from the system.
    fn user(&self) -> String {
        let system = || self.session.env.var("USER").map(|name| name.to_string_lossy().into_owned());
        self.repository.user().or_else(system).unwrap_or_else(|| "somebody".to_owned())
    }
}

/// Returns whether a text is a reason: it has a word of at least three letters that is neither a switch nor a
/// placeholder.
fn is_reason(text: &str) -> bool {
    const SWITCHES: &[&str] = &[
        "true", "yes", "yep", "yeah", "on", "off", "no", "false", "enable", "enabled", "disable", "disabled",
        "skip", "skipped", "force", "please", "now", "ok", "okay", "sure", "none", "null", "nil", "why",
        "because", "reason", "the", "a", "my", "your", "this", "it", "do", "just", "test", "foo", "bar",
        "asdf", "qwerty", "abc", "todo", "tbd", "n/a", "whatever", "xtask", "gate", "push", "and",
    ];
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.any(|word| {
        let lower = word.to_lowercase();
        let letters: std::collections::BTreeSet<char> = lower.chars().filter(|c| c.is_alphabetic()).collect();
        // One Chinese or Japanese character is a word.
        let is_word =
            lower.chars().count() >= 3 && letters.len() >= 2 || letters.iter().any(|c| *c >= '\u{2e80}');
        is_word && !SWITCHES.contains(&&*lower)
    })
}

/// Returns a hint for a push whose connection may be lost. Git connects before it runs the hook, and hosts
/// drop idle connections: git then fails with a broken pipe although the gate has passed. Over HTTPS, git
/// connects again.
fn lost_connection_hint(url: &str, took: Duration) -> Option<&'static str> {
    const MAY_BE_DROPPED_AFTER: Duration = Duration::from_secs(30);
    (is_ssh(url) && took > MAY_BE_DROPPED_AFTER).then_some(
        "hint: if the push fails now because its connection was closed, push again: what passed is cached; \
         `xtask doctor` says how to keep connections open\n",
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{is_reason, lost_connection_hint};

    #[test]
    fn only_slow_gate_of_a_push_over_ssh_gets_the_hint() {
        for (url, seconds, expected) in [
            ("git@host:a.git", 31, true),
            ("ssh://host/a.git", 600, true),
            ("git@host:a.git", 30, false),
            ("https://host/a.git", 600, false),
            ("/srv/a.git", 600, false),
            ("", 600, false),
        ] {
            let hint = lost_connection_hint(url, Duration::from_secs(seconds));
            assert_eq!(hint.is_some(), expected, "{url} {seconds}");
        }
    }

    #[test]
    fn reason_needs_a_meaningful_word() {
        for text in
            ["the server is down", "hotfix", "INC-1234", "CI ist kaputt", "服务器坏了", "registry down!"]
        {
            assert!(is_reason(text), "{text}");
        }
        for text in [
            "1",
            "0",
            "true",
            "TRUE",
            "yes",
            "y",
            "x",
            "xxx",
            "...",
            "the reason",
            "skip it",
            "on",
            "null",
            "no",
            "-",
            "aaa",
        ] {
            assert!(!is_reason(text), "{text}");
        }
    }
}
