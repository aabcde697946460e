//! `xtask gate`: asks the gate about commits or staged files, as a push and a commit do. It must not know how
//! an answer is found.

use std::cell::{Cell, OnceCell};
use std::path::Path;

use clap::Args;

use crate::base::path::RepoPath;
use crate::cli::ci::service::CiChoice;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::definition_folders;
use crate::cli::reporters::ReporterOptions;
use crate::cli::reporters::{Format, GateReporters};
use crate::cli::session::Session;
use crate::config::hook_stage::Stage;
use crate::config::load::FILE;
use crate::engine::run::inbox::LazyInbox;
use crate::event::Verdict;
use crate::gate::answer::Answer;
use crate::gate::context::GateContext;
use crate::gate::question::Question;
use crate::git::{Repository, Warmth};
use crate::reporter::Output;
use crate::reporter::lines::Lines;
use crate::reporter::style::Tone;

/// Arguments of `gate`.
#[derive(Args, Debug, Clone)]
pub struct GateArgs {
    /// Commits [default: HEAD]
    #[arg(value_name = "REV")]
    pub revs: Vec<String>,
    /// Gate the staged files
    #[arg(long, conflicts_with = "revs")]
    pub staged: bool,
    /// Run in a fresh private worktree instead of a warm one
    #[arg(long)]
    pub cold: bool,
    /// The number of job slots [default: `settings.jobs`, or one per core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// The logs to show
    #[arg(short, long, value_enum, default_value_t, value_name = "WHICH")]
    pub output: Output,
    /// The output format: lines for people on stderr, or one JSON event per line on stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// The CI service to print for [default: the one that runs this process]
    #[arg(long, value_enum, default_value = "auto", hide_default_value = true, value_name = "SERVICE")]
    pub ci: CiChoice,
}

/// Asks the gate about the named commits.
///
/// # Errors
/// A revision is unknown, or the gate could not answer.
pub fn run(session: &Session, args: &GateArgs) -> Result<End, Failure> {
    let repository = session.repository()?;
    let questions = if args.staged {
        let head = repository.head_commit()?;
        let stages = vec![Stage::PRE_COMMIT, Stage::PRE_PUSH];
        vec![Question::from_index(repository.staged_tree(None)?, head.as_ref(), stages)]
    } else {
        let head = ["HEAD".to_owned()];
        let revs = if args.revs.is_empty() { &head[..] } else { &args.revs };
        let mut questions: Vec<Question> = Vec::new();
        for rev in revs {
            let question = Question::from_commit(&repository.resolve(rev)?);
            if !questions.iter().any(|known| known.tree == question.tree) {
                questions.push(question);
            }
        }
        questions
    };
    let options = ReporterOptions {
        output: args.output,
        format: args.format,
        ci: args.ci,
        ..ReporterOptions::default()
    };
    let inbox = LazyInbox::default();
    let command = GateCommand { session, repository: &repository, inbox: &inbox };
    let age = if args.cold { Warmth::Cold } else { Warmth::Warm };
    command.ask(&questions, options, age, args.jobs)
}

/// What is needed to ask the gate.
pub struct GateCommand<'a> {
    /// The session.
    pub session: &'a Session,
    /// The repository.
    pub repository: &'a Repository,
    /// Where signals arrive.
    pub inbox: &'a LazyInbox,
}

impl GateCommand<'_> {
    /// Asks the questions one by one, until one does not pass.
    ///
    /// # Errors
    /// The gate could not answer a question.
    pub fn ask(
        &self,
        questions: &[Question],
        options: ReporterOptions,
        age: Warmth,
        jobs: Option<u32>,
    ) -> Result<End, Failure> {
        let state = self.repository.common_dir().join("xtask");
        let reporters = GateReporters::new(self.session, &state).with_options(options);
        let host = self.host(&state, &reporters, age, jobs);
        let folders = definition_folders(self.repository.work_dir(), &self.session.dir);
        for question in questions {
            let looking = reporters.looking_at(&question.what);
            let answer = host.answer(question, &folders);
            drop(looking);
            let answer = answer.map_err(|error| {
                self.session.eprint(&format!(
                    "gate: {} {}{}\n",
                    question.what,
                    self.verdict_text(Verdict::Failed),
                    not_pushed(question)
                ));
                Failure::from(error)
            })?;
            self.print_answer(question, &answer, &folders);
            if answer.verdict() != Verdict::Passed {
                return Ok(answer.verdict().into());
            }
        }
        reporters.failure().map_or(Ok(End::Passed), Err)
    }

    fn host<'h>(
        &'h self,
        state: &'h Path,
        reporters: &'h GateReporters<'h>,
        age: Warmth,
        jobs: Option<u32>,
    ) -> GateContext<'h> {
        GateContext {
            repository: self.repository,
            state,
            env: &self.session.env,
            clock: &self.session.clock,
            inbox: self.inbox,
            observer: reporters,
            warmth: age,
            jobs,
            runs: Cell::new(0),
            access: OnceCell::new(),
        }
    }

    fn verdict_text(&self, verdict: Verdict) -> String {
        Lines { paint: self.session.paint_err(), width: 0 }.verdict(verdict)
    }

    /// Prints an answer that no run has printed.
    fn print_answer(&self, question: &Question, answer: &Answer, folders: &[RepoPath]) {
        let why = match answer {
            Answer::Ran { .. } => return,
            Answer::NoConfig => return self.print_untested(question, folders),
            Answer::NoTasks(stage) => {
                format!("its tasks.toml has no tasks for {stage}, such as [hooks] {stage} = [\"ci\"]")
            }
            Answer::SetupFailed(_) => {
                format!("the setup of its worktree failed{}", not_pushed(question))
            }
            Answer::Interrupted(_) => format!("nothing ran{}", not_pushed(question)),
        };
        self.session.eprint(&format!(
            "gate: {} {}: {why}\n",
            question.what,
            self.verdict_text(answer.verdict())
        ));
    }

    /// Prints that nothing was tested, since the tree has no tasks.toml, and how to commit that of the work tree.
    fn print_untested(&self, question: &Question, folders: &[RepoPath]) {
        let paint = self.session.paint_err();
        let nothing = paint.tone(Tone::Odd, "nothing was tested");
        let text = format!("gate: {}: {nothing}, since its tree has no tasks.toml", question.what);
        let text = match self.uncommitted_config(folders) {
            Some(path) => {
                let from_top = if self.session.dir == self.repository.work_dir() { "" } else { ":/" };
                let hint = paint.tone(Tone::Strong, "hint:");
                format!("{text}; yours is not committed\n{hint} git add {from_top}{path}\n")
            }
            None => format!("{text}\n"),
        };
        self.session.eprint(&text);
    }

    /// Returns the path of the first tasks.toml of the work tree, if HEAD does not have it.
    fn uncommitted_config(&self, folders: &[RepoPath]) -> Option<RepoPath> {
        let paths = folders.iter().map(|folder| folder.child(FILE.as_bytes()));
        let path = paths.into_iter().find(|path| path.under(self.repository.work_dir()).is_file())?;
        let head = self.repository.head_commit().ok()?;
        let is_committed = match head {
            Some(head) => self.repository.read_file(&head.tree, &path).ok()?.is_some(),
            None => false,
        };
        (!is_committed).then_some(path)
    }
}

/// Returns which refs are not pushed: `: refs/heads/main is not pushed`
fn not_pushed(question: &Question) -> String {
    match &*question.refs {
        [] => String::new(),
        refs => format!(": {} is not pushed", refs.join(", ")),
    }
}
