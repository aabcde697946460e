//! `xtask gate`: asks the gate about commits or about what is staged, as a push and a commit do. It
//! must not know how an answer is found.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::Path;

use crate::base::clock::Clock;
use crate::cli::Session;
use crate::cli::args::GateArgs;
use crate::cli::exit::{End, Failure};
use crate::cli::project::definition_folders;
use crate::cli::voices::{Chorus, Voices};
use crate::config::stage::Stage;
use crate::engine::run::emitter::Emitter;
use crate::engine::run::inbox::LazyInbox;
use crate::event::{Level, Verdict};
use crate::gate::answer::Answer;
use crate::gate::host::{Audience, Host};
use crate::gate::question::Question;
use crate::git::{Age, Repository};
use crate::reporter::lines::Lines;

/// What listens to the runs of a gate, and to what it says besides.
pub struct Listener<'a> {
    session: &'a Session,
    voices: Voices,
    state: &'a Path,
    choruses: RefCell<Vec<Chorus>>,
}

impl<'a> Listener<'a> {
    /// One with the usual voices.
    pub fn new(session: &'a Session, state: &'a Path) -> Self {
        Self { session, voices: Voices::default(), state, choruses: RefCell::default() }
    }

    /// One with these voices.
    pub fn with(self, voices: Voices) -> Self {
        Self { voices, ..self }
    }

    /// The first thing that could not be written.
    pub fn failure(&self) -> Option<Failure> {
        self.choruses.borrow().iter().find_map(Chorus::failure)
    }
}

impl Audience for Listener<'_> {
    fn emitter(&self, run: &str, clock: &Clock) -> Emitter {
        let chorus = match self.voices.open(self.session, run, Some(self.state)) {
            Ok(chorus) => chorus,
            Err(failure) => {
                self.note(&failure.to_string());
                Chorus::default()
            }
        };
        self.choruses.borrow_mut().push(chorus.clone());
        chorus.emitter(clock)
    }

    fn note(&self, text: &str) {
        let lines = Lines { paint: self.session.paint_err(), width: 0 };
        self.session.tell(&format!("{}\n", lines.notice(Level::Note, text)));
    }
}

/// Asks about the commits that `args` name.
///
/// # Errors
/// A revision names no commit, or there is no answer.
pub fn perform(session: &Session, args: &GateArgs) -> Result<End, Failure> {
    let repository = discover(session)?;
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
    let voices = Voices { output: args.output, format: args.format, ci: args.ci, ..Voices::default() };
    let inbox = LazyInbox::default();
    let asking = Asking { session, repository: &repository, inbox: &inbox };
    let age = if args.cold { Age::Cold } else { Age::Warm };
    asking.ask(&questions, (voices, age, args.jobs))
}

/// The repository that the caller stands in.
///
/// # Errors
/// There is none.
pub fn discover(session: &Session) -> Result<Repository, Failure> {
    let what = "there is nothing to gate";
    Repository::discover(&session.dir, &session.env)?.ok_or(Failure::NoRepository { what })
}

/// What it takes to ask a gate.
pub struct Asking<'a> {
    /// The caller.
    pub session: &'a Session,
    /// The repository.
    pub repository: &'a Repository,
    /// Where signals are heard.
    pub inbox: &'a LazyInbox,
}

impl Asking<'_> {
    /// Asks the questions in turn, until one is not passed.
    ///
    /// # Errors
    /// There is no answer to one of them.
    pub fn ask(
        &self,
        questions: &[Question],
        (voices, age, jobs): (Voices, Age, Option<u32>),
    ) -> Result<End, Failure> {
        let state = self.repository.common_dir().join("xtask");
        let listener = Listener::new(self.session, &state).with(voices);
        let host = self.host(&state, &listener, (age, jobs));
        let folders = definition_folders(self.repository.work_dir(), &self.session.dir);
        for question in questions {
            let answer = host.answer(question, &folders).map_err(|error| {
                self.tell(&format!(
                    "gate: {} {}{}\n",
                    question.what,
                    self.word(Verdict::Failed),
                    left(question)
                ));
                Failure::from(error)
            })?;
            self.tell_answer(question, &answer);
            if answer.verdict() != Verdict::Passed {
                return Ok(answer.verdict().into());
            }
        }
        listener.failure().map_or(Ok(End::Passed), Err)
    }

    /// Remembers passes for the next push, after one that lost its connection.
    ///
    /// # Errors
    /// The passes can't be written down.
    pub fn remember(&self, questions: &[Question]) -> Result<(), Failure> {
        let state = self.repository.common_dir().join("xtask");
        let listener = Listener::new(self.session, &state);
        let host = self.host(&state, &listener, (Age::Warm, None));
        let folders = definition_folders(self.repository.work_dir(), &self.session.dir);
        questions.iter().try_for_each(|question| Ok(host.remember(question, &folders)?))
    }

    fn host<'h>(
        &'h self,
        state: &'h Path,
        listener: &'h Listener<'h>,
        (age, jobs): (Age, Option<u32>),
    ) -> Host<'h> {
        Host {
            repository: self.repository,
            state,
            env: &self.session.env,
            clock: &self.session.clock,
            inbox: self.inbox,
            audience: listener,
            age,
            jobs,
            runs: Cell::new(0),
            access: OnceCell::new(),
        }
    }

    fn tell(&self, text: &str) {
        self.session.tell(text);
    }

    fn word(&self, verdict: Verdict) -> String {
        Lines { paint: self.session.paint_err(), width: 0 }.verdict(verdict)
    }

    /// Says what no run has said.
    fn tell_answer(&self, question: &Question, answer: &Answer) {
        let why = match answer {
            Answer::Ran { .. } => return,
            Answer::NoConfig => "its tree has no tasks.toml".to_owned(),
            Answer::NoTasks(stage) => {
                format!("its tasks.toml names no tasks for {stage}, as `[hooks] {stage} = [\"ci\"]` does")
            }
            Answer::Remembered { age } => format!(
                "it did {} ago, in the push whose connection was lost",
                crate::base::units::duration(*age)
            ),
            Answer::SetupFailed(_) => format!("the setup of its worktree did not pass{}", left(question)),
            Answer::Interrupted(_) => format!("nothing was run yet{}", left(question)),
        };
        self.tell(&format!("gate: {} {}: {why}\n", question.what, self.word(answer.verdict())));
    }
}

/// `: refs/heads/main is not pushed`
fn left(question: &Question) -> String {
    match &*question.refs {
        [] => String::new(),
        refs => format!(": {} is not pushed", refs.join(", ")),
    }
}
