//! `xtask gate`: asks the gate about commits or about what is staged, as a push and a commit do. It
//! must not know how an answer is found.

use std::cell::{Cell, OnceCell};
use std::path::Path;

use clap::Args;

use crate::cli::ci::service::CiChoice;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::definition_folders;
use crate::cli::reporters::ReporterOptions;
use crate::cli::reporters::{Format, GateReporters};
use crate::cli::session::Session;
use crate::config::stage::Stage;
use crate::engine::run::inbox::LazyInbox;
use crate::event::Verdict;
use crate::gate::answer::Answer;
use crate::gate::context::GateContext;
use crate::gate::question::Question;
use crate::git::{Age, Repository};
use crate::reporter::Output;
use crate::reporter::lines::Lines;

/// Arguments of `gate`.
#[derive(Args, Debug, Clone)]
pub struct GateArgs {
    /// Commits [default: HEAD]
    #[arg(value_name = "REV")]
    pub revs: Vec<String>,
    /// Gate what is staged
    #[arg(long, conflicts_with = "revs")]
    pub staged: bool,
    /// Run in a fresh private worktree instead of a warm one
    #[arg(long)]
    pub cold: bool,
    /// How many job slots there are [default: `settings.jobs`, or one per core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// Which logs to show
    #[arg(short, long, value_enum, default_value_t, value_name = "WHICH")]
    pub output: Output,
    /// How to write what happens: lines for people on stderr, or an event a line on stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// For which CI service to write it [default: the one that this runs in]
    #[arg(long, value_enum, default_value = "auto", hide_default_value = true, value_name = "SERVICE")]
    pub ci: CiChoice,
}

/// Asks about the commits that `args` name.
///
/// # Errors
/// A revision names no commit, or there is no answer.
pub fn run(session: &Session, args: &GateArgs) -> Result<End, Failure> {
    let repository = session.repository()?;
    let questions = if args.staged {
        let head = repository.head_commit()?;
        let stages = vec![Stage::PRE_COMMIT, Stage::PRE_PUSH];
        vec![Question::of_index(repository.staged_tree(None)?, head.as_ref(), stages)]
    } else {
        let head = ["HEAD".to_owned()];
        let revs = if args.revs.is_empty() { &head[..] } else { &args.revs };
        let mut questions: Vec<Question> = Vec::new();
        for rev in revs {
            let question = Question::of_commit(&repository.resolve(rev)?);
            if !questions.iter().any(|known| known.tree == question.tree) {
                questions.push(question);
            }
        }
        questions
    };
    let voices = ReporterOptions {
        output: args.output,
        format: args.format,
        ci: args.ci,
        ..ReporterOptions::default()
    };
    let inbox = LazyInbox::default();
    let asking = GateCommand { session, repository: &repository, inbox: &inbox };
    let age = if args.cold { Age::Cold } else { Age::Warm };
    asking.ask(&questions, (voices, age, args.jobs))
}

/// What it takes to ask a gate.
pub struct GateCommand<'a> {
    /// The caller.
    pub session: &'a Session,
    /// The repository.
    pub repository: &'a Repository,
    /// Where signals are heard.
    pub inbox: &'a LazyInbox,
}

impl GateCommand<'_> {
    /// Asks the questions in turn, until one is not passed.
    ///
    /// # Errors
    /// There is no answer to one of them.
    pub fn ask(
        &self,
        questions: &[Question],
        (voices, age, jobs): (ReporterOptions, Age, Option<u32>),
    ) -> Result<End, Failure> {
        let state = self.repository.common_dir().join("xtask");
        let listener = GateReporters::new(self.session, &state).with_options(voices);
        let host = self.host(&state, &listener, (age, jobs));
        let folders = definition_folders(self.repository.work_dir(), &self.session.dir);
        for question in questions {
            let answer = host.answer(question, &folders).map_err(|error| {
                self.tell(&format!(
                    "gate: {} {}{}\n",
                    question.what,
                    self.verdict_text(Verdict::Failed),
                    not_pushed(question)
                ));
                Failure::from(error)
            })?;
            self.print_answer(question, &answer);
            if answer.verdict() != Verdict::Passed {
                return Ok(answer.verdict().into());
            }
        }
        listener.failure().map_or(Ok(End::Passed), Err)
    }

    fn host<'h>(
        &'h self,
        state: &'h Path,
        listener: &'h GateReporters<'h>,
        (age, jobs): (Age, Option<u32>),
    ) -> GateContext<'h> {
        GateContext {
            repository: self.repository,
            state,
            env: &self.session.env,
            clock: &self.session.clock,
            inbox: self.inbox,
            observer: listener,
            age,
            jobs,
            runs: Cell::new(0),
            access: OnceCell::new(),
        }
    }

    fn tell(&self, text: &str) {
        self.session.eprint(text);
    }

    fn verdict_text(&self, verdict: Verdict) -> String {
        Lines { paint: self.session.paint_err(), width: 0 }.verdict(verdict)
    }

    /// Says what no run has said.
    fn print_answer(&self, question: &Question, answer: &Answer) {
        let why = match answer {
            Answer::Ran { .. } => return,
            Answer::NoConfig => "its tree has no tasks.toml".to_owned(),
            Answer::NoTasks(stage) => {
                format!("its tasks.toml names no tasks for {stage}, as `[hooks] {stage} = [\"ci\"]` does")
            }
            Answer::SetupFailed(_) => {
                format!("the setup of its worktree did not pass{}", not_pushed(question))
            }
            Answer::Interrupted(_) => format!("nothing was run yet{}", not_pushed(question)),
        };
        self.tell(&format!("gate: {} {}: {why}\n", question.what, self.verdict_text(answer.verdict())));
    }
}

/// `: refs/heads/main is not pushed`
fn not_pushed(question: &Question) -> String {
    match &*question.refs {
        [] => String::new(),
        refs => format!(": {} is not pushed", refs.join(", ")),
    }
}
