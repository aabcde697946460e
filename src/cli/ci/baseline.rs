//! `xtask baseline`: what gates recorded of a tree, shown and shared, so that other trees can be
//! compared with it. It must not compare.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::base::file;
use crate::base::text::count;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::config::model::Config;
use crate::engine::report::baseline::{DEFAULT_BASES, NOTES_REF, parse_lenient, read_committed};
use crate::git::{Commit, GitError, Notes, Repository};
use crate::history::records::{Recorded, Records};

/// Arguments of `baseline`.
#[derive(Args, Debug, Clone)]
pub struct BaselineArgs {
    /// What to do with them
    #[command(subcommand)]
    pub action: BaselineAction,
}

/// What to do with records.
#[derive(Subcommand, Debug, Clone)]
pub enum BaselineAction {
    /// Tell what is recorded of a commit
    Show {
        /// The commit [default: the merge base with the remote's main branch]
        #[arg(value_name = "REV")]
        rev: Option<String>,
    },
    /// Note on a commit what is recorded of it, and push these notes
    Push {
        /// The remote
        #[arg(value_name = "REMOTE", default_value = "origin")]
        remote: String,
        /// The commit
        #[arg(long, value_name = "REV", default_value = "HEAD")]
        rev: String,
    },
    /// Bring the notes of a remote
    Fetch {
        /// The remote
        #[arg(value_name = "REMOTE", default_value = "origin")]
        remote: String,
    },
    /// Write what is recorded of a commit to a file that can be committed
    Write {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The commit
        #[arg(long, value_name = "REV", default_value = "HEAD")]
        rev: String,
    },
}

/// Does it, and tells on standard output.
///
/// # Errors
/// There is no repository or no such commit, or the remote can't be reached.
pub fn run(session: &Session, args: &BaselineArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    let repository = project.repository()?;
    let place = BaselineStore { repository, records: Records::new(&repository.common_dir().join("xtask")) };
    match &args.action {
        BaselineAction::Show { rev } => show(session, (&place, &project.config), rev.as_deref()),
        BaselineAction::Push { remote, rev } => push(session, &place, (remote, rev)),
        BaselineAction::Fetch { remote } => {
            Notes::new(repository, NOTES_REF).fetch(remote)?;
            session.print(&format!("the notes of {remote} are here, as refs/notes/{NOTES_REF}\n"))?;
            Ok(End::Passed)
        }
        BaselineAction::Write { file, rev } => write(session, &place, (file, rev)),
    }
}

/// Where records are.
struct BaselineStore<'a> {
    repository: &'a Repository,
    records: Records,
}

impl BaselineStore<'_> {
    /// What is recorded of a commit here, and what is noted on it besides.
    fn recorded(&self, commit: &Commit) -> Result<Vec<Recorded>, Failure> {
        let mut all = self.records.of_tree(&commit.tree);
        let note = Notes::new(self.repository, NOTES_REF).get(&commit.id)?.unwrap_or_default();
        for noted in parse_lenient(&note) {
            if !all.iter().any(|known| known.gate == noted.gate) {
                all.push(noted);
            }
        }
        Ok(all)
    }

    /// The same, and what the files say that gates name as their baselines.
    fn recorded_with_files(&self, commit: &Commit, config: &Config) -> Result<Vec<Recorded>, Failure> {
        let mut all = self.recorded(commit)?;
        for task in &config.tasks {
            let Some(path) = task.gate.as_ref().and_then(|gate| gate.baseline.as_ref()) else { continue };
            let committed = read_committed(self.repository, path, &commit.id[..10], commit)?;
            let own = committed.into_iter().flatten().rfind(|recorded| recorded.gate == task.name);
            if !all.iter().any(|known| known.gate == task.name) {
                all.extend(own);
            }
        }
        Ok(all)
    }

    /// What is recorded of a commit, of which there has to be something.
    fn recorded_or_error(&self, commit: &Commit) -> Result<Vec<Recorded>, Failure> {
        let all = self.recorded(commit)?;
        if all.is_empty() {
            let short = &commit.id[..10];
            return Err(Failure::Usage {
                text: format!("nothing is recorded of {short}"),
                hint: Some(format!("`xtask run GATE --at {short}` records what a gate finds")),
            });
        }
        Ok(all)
    }
}

fn show(
    session: &Session,
    (shelf, config): (&BaselineStore<'_>, &Config),
    rev: Option<&str>,
) -> Result<End, Failure> {
    let commit = match rev {
        Some(rev) => shelf.repository.resolve(rev)?,
        None => match shelf.repository.merge_base(None, &DEFAULT_BASES) {
            Err(error @ GitError::NoBase { .. }) => return Err(Failure::NoCommit(error)),
            found => found?.1,
        },
    };
    let short = &commit.id[..10];
    let mut text = String::new();
    for Recorded { gate, record } in shelf.recorded_with_files(&commit, config)? {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(record.coverage.map(|ratio| format!("{} of {} lines covered", ratio.part, ratio.whole)));
        parts.extend(record.tests.map(|tests| format!("{tests} tests run")));
        parts.extend(record.findings.map(|found| {
            count(usize::try_from(found.values().sum::<u64>()).unwrap_or(usize::MAX), "finding")
        }));
        text.push_str(&format!("{gate}: {}\n", parts.join(", ")));
    }
    if text.is_empty() {
        text = format!("nothing is recorded of {short}\n");
    }
    session.print(&text)?;
    Ok(End::Passed)
}

fn push(session: &Session, shelf: &BaselineStore<'_>, (remote, rev): (&str, &str)) -> Result<End, Failure> {
    let commit = shelf.repository.resolve(rev)?;
    let notes = Notes::new(shelf.repository, NOTES_REF);
    let recorded = shelf.recorded_or_error(&commit)?;
    notes.set(&commit.id, &encode(&recorded))?;
    notes.push(remote)?;
    let gates = count(recorded.len(), "gate");
    session.print(&format!("what {gates} found at {} is noted at {remote}\n", &commit.id[..10]))?;
    Ok(End::Passed)
}

fn write(session: &Session, shelf: &BaselineStore<'_>, (to, rev): (&PathBuf, &str)) -> Result<End, Failure> {
    let commit = shelf.repository.resolve(rev)?;
    let recorded = shelf.recorded_or_error(&commit)?;
    let path = session.resolve(to);
    let folder = path.parent().unwrap_or(&session.dir);
    file::write(&path, encode(&recorded).as_bytes(), folder, file::Durability::Relaxed)?;
    session.print(&format!(
        "{}: {} of {}\n",
        to.display(),
        count(recorded.len(), "gate"),
        &commit.id[..10]
    ))?;
    Ok(End::Passed)
}

/// A line for each gate.
fn encode(recorded: &[Recorded]) -> String {
    // Records are of text and numbers, so they can always be written as JSON.
    recorded.iter().filter_map(|one| serde_json::to_string(one).ok()).map(|line| line + "\n").collect()
}
