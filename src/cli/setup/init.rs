//! `xtask init`: writes a first tasks.toml with tasks that it finds and that pass. It must not overwrite an
//! existing one.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::base::file;
use crate::base::path::RepoPath;
use crate::base::text::{count, first_of};
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::definition_folders;
use crate::cli::session::Session;
use crate::cli::setup::trial::{self, Outcomes, Trial};
use crate::config::load::FILE;
use crate::config::{SourceText, parse};
use crate::git::snapshot::{Mode, Snapshot};
use crate::git::{Repository, WorkTreeReader, tree_id};
use crate::init::text::{self, Inclusion, TrialMode};
use crate::init::{self, Candidate, Proposals, Survey};
use crate::process::find_program::find_program;
use crate::reporter::style::Tone;

/// The number of paths that a message names.
const SHOWN: usize = 5;

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
    reader: WorkTreeReader,
    before: Snapshot,
    /// Whether everything is committed.
    is_clean: bool,
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
    let work = repository.map(|repository| WorkTreeState::read(&repository)).transpose()?;
    let site = Initializer { session, root, work };
    let survey = site.survey()?;
    let found = init::propose_tasks(&survey);
    if survey.is_cut() {
        session.eprint("note: too many folders, so some were skipped\n");
    }
    let mut inclusions: Vec<Inclusion> =
        found.tasks.iter().map(|task| site.initial_inclusion(task, args)).collect();
    let mode = if args.no_run { TrialMode::Not } else { TrialMode::Once };
    if !args.no_run {
        match site.try_out(&found, &inclusions)? {
            Trial::Interrupted(signal) => {
                session.eprint("interrupted: nothing was written\n");
                return Ok(End::Interrupted(signal));
            }
            Trial::Done(outcomes) => leave_out_failed(&found, &mut inclusions, &outcomes),
        }
        site.report_changes()?;
    }
    let text = text::tasks_toml(&found, &inclusions, mode);
    // The text must be valid, whatever names the repository has.
    parse_config(&text)?;
    if args.print {
        session.print(&text)?;
    } else {
        write(&site.root, &text)?;
    }
    session.eprint(&summary(session, &found, &inclusions, args));
    Ok(End::Passed)
}

impl WorkTreeState {
    fn read(repository: &Repository) -> Result<Self, Failure> {
        let state = repository.common_dir().join("xtask");
        let reader = WorkTreeReader::open(repository, Some(&state))?;
        let before = reader.snapshot()?;
        let head = repository.head_commit()?;
        let is_clean = head.is_some_and(|head| tree_id(&before).is_ok_and(|tree| tree == head.tree));
        Ok(Self { reader, before, is_clean })
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
        let is_clean = self.work.as_ref().is_some_and(|work| work.is_clean);
        if task.rewrites && !is_clean && !args.no_run {
            let why = "not tried: it may rewrite files, and some are not committed";
            return Inclusion::LeftOut(why.to_owned());
        }
        Inclusion::Kept
    }

    /// Runs the tasks that are not left out.
    fn try_out(&self, found: &Proposals, inclusions: &[Inclusion]) -> Result<Trial, Failure> {
        let names: Vec<String> = found
            .tasks
            .iter()
            .zip(inclusions)
            .filter(|(_, inclusion)| **inclusion == Inclusion::Kept)
            .map(|(task, _)| task.name.clone())
            .collect();
        if names.is_empty() {
            return Ok(Trial::Done(Outcomes::new()));
        }
        let config = parse_config(&text::tasks_toml(found, inclusions, TrialMode::Once))?;
        let shown = count(names.len(), "task");
        self.session.eprint(&format!("trying {shown}, each once: {}\n", names.join(", ")));
        trial::run(self.session, &config, names, &self.root)
    }

    /// Prints what the trial changed in the tree: with these changes a gate would fail.
    fn report_changes(&self) -> Result<(), Failure> {
        let Some(work) = &self.work else { return Ok(()) };
        let after = work.reader.snapshot()?;
        let changed = work.before.changes(&after).into_iter().map(|(path, _)| path.to_string());
        let changed: Vec<String> = changed.collect();
        let made = after.entries().iter().filter(|entry| work.before.get(&entry.path).is_none());
        let mut made: Vec<String> = made.map(|entry| first_part(&entry.path)).collect();
        made.dedup();
        if !changed.is_empty() {
            self.warn(&format!(
                "the tasks changed {}; a gate would fail (see `git diff`)",
                first_of(&changed, SHOWN)
            ));
        }
        if !made.is_empty() {
            let text = "; commit what belongs to the repository and ignore the rest, or a gate would fail";
            self.warn(&format!("the tasks created {}{text}", first_of(&made, SHOWN)));
        }
        Ok(())
    }

    fn warn(&self, text: &str) {
        let word = self.session.paint_err().tone(Tone::Odd, "warning:");
        self.session.eprint(&format!("{word} {text}\n"));
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

fn parse_config(text: &str) -> Result<crate::config::model::Config, Failure> {
    parse(&SourceText { name: FILE, text, base: RepoPath::top(), project: "" }).map_err(Failure::Config)
}

fn write(root: &Path, text: &str) -> Result<(), Failure> {
    let path = root.join(FILE);
    if file::write_new(&path, text.as_bytes())? {
        return Ok(());
    }
    Err(Failure::Usage { text: format!("another process has just written {}", path.display()), hint: None })
}

/// Leaves out the tasks that failed.
fn leave_out_failed(found: &Proposals, inclusions: &mut [Inclusion], outcomes: &Outcomes) {
    for (task, inclusion) in found.tasks.iter().zip(inclusions) {
        if let Some(Err(why)) = outcomes.get(&task.name) {
            let advice = task.advice.as_ref().map_or(String::new(), |advice| format!("; {advice}"));
            *inclusion = Inclusion::LeftOut(format!("{why}{advice}"));
        }
    }
}

/// Returns what was written, what was left out, and what to do next.
fn summary(session: &Session, found: &Proposals, inclusions: &[Inclusion], args: InitArgs) -> String {
    let paint = session.paint_err();
    let left: Vec<(&str, &str)> = found
        .tasks
        .iter()
        .zip(inclusions)
        .filter_map(|(task, inclusion)| match inclusion {
            Inclusion::Kept => None,
            Inclusion::LeftOut(why) => Some((&*task.name, &**why)),
        })
        .collect();
    let mut text = String::new();
    for (name, why) in &left {
        text.push_str(&format!("{} {name}: {why}\n", paint.tone(Tone::Odd, "left out:")));
    }
    for it in &found.omitted {
        text.push_str(&format!("{} {}: {}\n", paint.tone(Tone::Faint, "no task:"), it.what, it.why));
    }
    let kept = found.tasks.len() - left.len();
    if kept == 0 {
        text.push_str("note: no task was found that passes, so tasks.toml has an example\n");
    }
    if !args.print {
        let tried = if args.no_run && kept > 0 { ", none of them tried" } else { "" };
        text.push_str(&format!(
            "wrote tasks.toml with {}{tried}; next: xtask ci\n",
            count(kept.max(1), "task")
        ));
    }
    text
}

/// Returns the first part of a path, so that a thousand new files are one line.
fn first_part(path: &RepoPath) -> String {
    let mut parts = path.parts().map(String::from_utf8_lossy);
    let first = parts.next().unwrap_or_default();
    if parts.next().is_some() { format!("{first}/") } else { first.into_owned() }
}
