//! `xtask baseline`: shows and shares what gates recorded of a tree, so that other trees can be compared with
//! it. It must not compare.

use std::path::{Path, PathBuf};

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
use crate::history::gate_records::{GateRecord, GateRecords};

/// Arguments of `baseline`.
#[derive(Args, Debug, Clone)]
pub struct BaselineArgs {
    /// What to do with records
    #[command(subcommand)]
    pub action: BaselineAction,
}

/// An action on records.
#[derive(Subcommand, Debug, Clone)]
pub enum BaselineAction {
    /// Show what is recorded of a commit
    Show {
        /// The commit [default: the merge base with the remote's main branch]
        #[arg(value_name = "REV")]
        rev: Option<String>,
    },
    /// Attach the records of a commit to it as git notes, and push these notes
    Push {
        /// The remote
        #[arg(value_name = "REMOTE", default_value = "origin")]
        remote: String,
        /// The commit
        #[arg(long, value_name = "REV", default_value = "HEAD")]
        rev: String,
    },
    /// Fetch the notes of a remote
    Fetch {
        /// The remote
        #[arg(value_name = "REMOTE", default_value = "origin")]
        remote: String,
    },
    /// Write the records of a commit to a file that can be committed
    Write {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The commit
        #[arg(long, value_name = "REV", default_value = "HEAD")]
        rev: String,
    },
}

/// Runs the action and prints the result.
///
/// # Errors
/// There is no repository, the commit is unknown, or the remote can't be reached.
pub fn run(session: &Session, args: &BaselineArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    let repository = project.repository()?;
    let store =
        BaselineStore { repository, records: GateRecords::new(&repository.common_dir().join("xtask")) };
    match &args.action {
        BaselineAction::Show { rev } => show(session, &store, &project.config, rev.as_deref()),
        BaselineAction::Push { remote, rev } => push(session, &store, remote, rev),
        BaselineAction::Fetch { remote } => {
            Notes::new(repository, NOTES_REF).fetch(remote)?;
            session.print(&format!("fetched the notes of {remote} into refs/notes/{NOTES_REF}\n"))?;
            Ok(End::Passed)
        }
        BaselineAction::Write { file, rev } => write(session, &store, file, rev),
    }
}

/// Where records are.
struct BaselineStore<'a> {
    repository: &'a Repository,
    records: GateRecords,
}

impl BaselineStore<'_> {
    /// Returns what is recorded of a commit, here and in its notes.
    fn recorded(&self, commit: &Commit) -> Result<Vec<GateRecord>, Failure> {
        let mut all = self.records.for_tree(&commit.tree);
        let note = Notes::new(self.repository, NOTES_REF).get(&commit.id)?.unwrap_or_default();
        for noted in parse_lenient(&note) {
            if !all.iter().any(|known| known.gate == noted.gate) {
                all.push(noted);
            }
        }
        Ok(all)
    }

    /// Returns the same, and the content of baseline files that gates name.
    fn recorded_with_files(&self, commit: &Commit, config: &Config) -> Result<Vec<GateRecord>, Failure> {
        let mut all = self.recorded(commit)?;
        for task in &config.tasks {
            let Some(path) = task.gate().and_then(|gate| gate.baseline.as_ref()) else { continue };
            let committed = read_committed(self.repository, path, &commit.id[..10], commit)?;
            let own = committed.into_iter().flatten().rfind(|recorded| recorded.gate == task.name);
            if !all.iter().any(|known| known.gate == task.name) {
                all.extend(own);
            }
        }
        Ok(all)
    }

    /// Returns what is recorded of a commit; it is an error if there is nothing.
    fn recorded_or_error(&self, commit: &Commit) -> Result<Vec<GateRecord>, Failure> {
        let all = self.recorded(commit)?;
        if all.is_empty() {
            let short = &commit.id[..10];
            return Err(Failure::Usage {
                text: format!("no gate is recorded for {short}"),
                hint: Some(format!("run one: xtask run GATE --at {short}")),
            });
        }
        Ok(all)
    }
}

fn show(
    session: &Session,
    store: &BaselineStore<'_>,
    config: &Config,
    rev: Option<&str>,
) -> Result<End, Failure> {
    let commit = match rev {
        Some(rev) => store.repository.resolve(rev)?,
        None => match store.repository.merge_base(None, &DEFAULT_BASES) {
            Err(error @ GitError::NoBase { .. }) => return Err(Failure::NoCommit(error)),
            found => found?.1,
        },
    };
    let short = &commit.id[..10];
    let mut text = String::new();
    for GateRecord { gate, record } in store.recorded_with_files(&commit, config)? {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(record.coverage.map(|ratio| format!("{} of {} lines covered", ratio.part, ratio.whole)));
        parts.extend(record.tests.map(|tests| format!("{tests} tests run")));
        parts.extend(record.findings.map(|found| {
            count(usize::try_from(found.values().sum::<u64>()).unwrap_or(usize::MAX), "finding")
        }));
        text.push_str(&format!("{gate}: {}\n", parts.join(", ")));
    }
    if text.is_empty() {
        text = format!("no gate is recorded for {short}\n");
    }
    session.print(&text)?;
    Ok(End::Passed)
}

fn push(session: &Session, store: &BaselineStore<'_>, remote: &str, rev: &str) -> Result<End, Failure> {
    let commit = store.repository.resolve(rev)?;
    let notes = Notes::new(store.repository, NOTES_REF);
    let recorded = store.recorded_or_error(&commit)?;
    notes.set(&commit.id, &encode(&recorded))?;
    notes.push(remote)?;
    let gates = count(recorded.len(), "gate");
    session.print(&format!("pushed the records of {gates} at {} to {remote}\n", &commit.id[..10]))?;
    Ok(End::Passed)
}

fn write(session: &Session, store: &BaselineStore<'_>, file_path: &Path, rev: &str) -> Result<End, Failure> {
    let commit = store.repository.resolve(rev)?;
    let recorded = store.recorded_or_error(&commit)?;
    let path = session.resolve(file_path);
    let folder = path.parent().unwrap_or(&session.dir);
    file::write(&path, encode(&recorded).as_bytes(), folder, file::Durability::Relaxed)?;
    session.print(&format!(
        "{}: {} of {}\n",
        file_path.display(),
        count(recorded.len(), "gate"),
        &commit.id[..10]
    ))?;
    Ok(End::Passed)
}

/// Returns a line for each gate.
fn encode(recorded: &[GateRecord]) -> String {
    // GateRecords contain only text and numbers, which are always valid JSON.
    recorded.iter().filter_map(|one| serde_json::to_string(one).ok()).map(|line| line + "\n").collect()
}
