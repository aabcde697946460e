//! `xtask init`: writes a first tasks.toml with tasks that it finds and that pass. It must not overwrite an
//! existing one.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::base::file;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::definition_folders;
use crate::cli::session::Session;
use crate::cli::setup::init_summary::InitSummary;
use crate::cli::setup::trial::bench::Bench;
use crate::cli::setup::trial::{self, Trial, TrialEnd, outside_git};
use crate::config::load::FILE;
use crate::engine::run::inbox::LazyInbox;
use crate::git::snapshot::{Mode, Snapshot};
use crate::git::{Repository, WorkTreeReader};
use crate::history::init_logs;
use crate::init::text::{self, Inclusion, TrialMode};
use crate::init::{self, Candidate, Proposals, Survey};
use crate::process::find_program::find_program;

/// Arguments of `init`.
#[derive(Args, Debug, Clone, Copy)]
pub struct InitArgs {
    /// Print to standard output, and write no file
    #[arg(long)]
    pub print: bool,
    /// Don't try which tasks pass
    #[arg(long)]
    pub no_run: bool,
}

/// What is needed to write a tasks.toml.
struct Initializer<'s> {
    session: &'s Session,
    root: PathBuf,
    work: Option<WorkTreeState>,
}

/// The work tree before the trial.
struct WorkTreeState {
    repository: Repository,
    before: Snapshot,
}

/// Surveys the repository, tries tasks and writes tasks.toml.
///
/// # Errors
/// There is a tasks.toml already, or git or the disk failed.
pub fn run(session: &Session, args: InitArgs) -> Result<End, Failure> {
    let repository = Repository::discover(&session.dir, &session.env)?;
    let root = repository.as_ref().map_or(&*session.dir, Repository::work_dir).to_owned();
    if !args.print {
        refuse_existing(session, &root)?;
    }
    let work = repository.map(WorkTreeState::read).transpose()?;
    let site = Initializer { session, root, work };
    let survey = site.survey()?;
    let mut found = init::propose_tasks(&survey);
    if survey.is_cut() {
        session.eprint("note: too many folders, so some were skipped\n");
    }
    let mut inclusions: Vec<Inclusion> =
        found.tasks.iter().map(|task| site.initial_inclusion(task, args)).collect();
    let mode = if args.no_run { TrialMode::Not } else { TrialMode::Once };
    let mut notes = Vec::new();
    let is_trial = !args.no_run && inclusions.contains(&Inclusion::Kept);
    if is_trial {
        match site.try_out(&mut found, &mut inclusions)? {
            TrialEnd::Interrupted(signal) => {
                session.eprint("interrupted: nothing was written\n");
                return Ok(End::Interrupted(signal));
            }
            TrialEnd::Done(told) => notes = told,
        }
    }
    let text = text::tasks_toml(&found, &inclusions, mode);
    // The text must be valid, whatever names the repository has.
    trial::parse_config(&text)?;
    if args.print {
        session.print(&text)?;
    } else {
        write(&site.root, &text)?;
    }
    let summary = InitSummary {
        found: &found,
        inclusions: &inclusions,
        notes: &notes,
        is_written: !args.print,
        is_tried: !args.no_run,
        has_logs: is_trial && site.has_logs()?,
    };
    session.eprint(&summary.text(session.paint_err(), site.work.is_some()));
    Ok(End::Passed)
}

impl WorkTreeState {
    fn read(repository: Repository) -> Result<Self, Failure> {
        let state = repository.common_dir().join("xtask");
        let before = WorkTreeReader::open(&repository, Some(&state))?.snapshot()?;
        Ok(Self { repository, before })
    }
}

impl Initializer<'_> {
    fn survey(&self) -> Result<Survey, Failure> {
        let files = match &self.work {
            // Ignored files are not part of the repository.
            Some(work) => {
                let own = work.before.entries().iter().filter(|entry| entry.mode != Mode::Submodule);
                own.filter_map(|entry| std::str::from_utf8(entry.path.bytes()).ok().map(str::to_owned))
                    .collect()
            }
            None => init::files(&self.root)?,
        };
        Ok(Survey::read(&self.root, &files, |name| self.missing(name, "").is_none()))
    }

    /// Returns why a task in `folder` would not find a program.
    fn missing(&self, name: &str, folder: &str) -> Option<String> {
        let path = self.session.env.var("PATH");
        find_program(name.as_ref(), path, &self.root.join(folder)).err().map(|error| error.to_string())
    }

    /// Returns what can be said about a task without running it.
    fn initial_inclusion(&self, task: &Candidate, args: InitArgs) -> Inclusion {
        if let Some(why) = task.programs.iter().find_map(|name| self.missing(name, &task.folder)) {
            return Inclusion::LeftOut(why);
        }
        // In a repository, it is tried in a private worktree.
        if task.rewrites && self.work.is_none() && !args.no_run {
            let why = "not tried: it may rewrite files, and this is not a git repository";
            return Inclusion::LeftOut(why.to_owned());
        }
        Inclusion::Kept
    }

    /// Returns whether the trial has stored logs.
    fn has_logs(&self) -> Result<bool, Failure> {
        let Some(work) = &self.work else { return Ok(false) };
        let logs = init_logs::read(&work.repository.common_dir().join("xtask"))?;
        Ok(logs.is_some_and(|logs| !logs.is_empty()))
    }

    /// Runs the tasks that are not left out.
    fn try_out(&self, found: &mut Proposals, inclusions: &mut [Inclusion]) -> Result<TrialEnd, Failure> {
        let inbox = LazyInbox::default();
        match &self.work {
            Some(work) => {
                let bench = Bench::new(self.session, &work.repository, &inbox, &self.root);
                Trial::new(&bench, found, inclusions, &work.before)?.run()
            }
            None => outside_git::run(self.session, &self.root, found, inclusions, &inbox),
        }
    }
}

/// Fails if there is a tasks.toml already.
fn refuse_existing(session: &Session, root: &Path) -> Result<(), Failure> {
    let folders = definition_folders(root, &session.dir);
    let mut paths = folders.iter().map(|folder| folder.child(FILE.as_bytes()));
    match paths.find(|path| path.under(root).symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(path) => Err(Failure::Usage {
            text: format!("tasks.toml exists already: {}", path.under(root).display()),
            hint: Some("`xtask init --print` shows what would be written".to_owned()),
        }),
    }
}

fn write(root: &Path, text: &str) -> Result<(), Failure> {
    let path = root.join(FILE);
    if file::write_new(&path, text.as_bytes())? {
        return Ok(());
    }
    Err(Failure::Usage { text: format!("another process has just written {}", path.display()), hint: None })
}
