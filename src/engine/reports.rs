//! The reports of a task, read from where it wrote them: each must be there, be no older than the
//! task, and be whole. It must not judge what they say.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::config::model::{Report, Task};
use crate::engine::tree_paths::TreePaths;
use crate::git::snapshot::Snapshot;
use crate::ground::clock::Timestamp;
use crate::ground::path::RepoPath;
use crate::ground::pattern::What;
use crate::process::mask::Mask;
use crate::quality::evidence::Source;
use crate::report::facts::{Facts, Finding, MeasuredTwice, content_digest};
use crate::report::{self, Extent, Flaw};

/// The time that file systems give a file runs behind the clock by up to a tick of the kernel.
const TICK: Duration = Duration::from_millis(20);

/// What the reports of a task say.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// All of it.
    pub facts: Facts,
    /// Where it was read.
    pub sources: Vec<Source>,
}

/// Where reports lie and what they speak of.
#[derive(Clone, Copy, Debug)]
pub struct Library<'a> {
    /// The top of the work tree.
    pub root: &'a Path,
    /// The files of the tree; `None` outside a repository.
    pub snapshot: Option<&'a Snapshot>,
    /// What hides secrets that a tool may have written down.
    pub mask: &'a Mask,
}

/// A report that is no evidence.
#[derive(Debug, thiserror::Error)]
#[error("report {path}: {why}")]
pub struct NoEvidence {
    /// The file, or the pattern that no file matches.
    pub path: String,
    /// What is wrong.
    pub why: Why,
}

/// Why a report is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// There is none.
    #[error("it was not written")]
    Missing,
    /// Its task is not part of the run.
    #[error("its task is not run with `--only`, so nothing tells what its reports are of")]
    NotRun,
    /// It is from before.
    #[error("it is older than the task that should have written it; delete it if nothing writes it any more")]
    Stale,
    /// It is a folder or such.
    #[error("it is not a file")]
    NoFile,
    /// It can't be opened.
    #[error("it can't be read: {0}")]
    Io(#[source] io::Error),
    /// What is in it.
    #[error(transparent)]
    Flaw(Flaw),
    /// What is in it, if its task may allow it.
    #[error("{0}; mend it, or if it does no harm, say why in the task: reports = {{ …, partial = \"why\" }}")]
    Partial(Flaw),
    /// Two reports contradict each other.
    #[error("{0}")]
    Twice(String),
}

impl From<Flaw> for Why {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Incomplete { .. } => Self::Partial(flaw),
            _ => Self::Flaw(flaw),
        }
    }
}

impl Told {
    /// Adds what other reports say.
    ///
    /// # Errors
    /// They contradict these.
    pub fn join(&mut self, other: Self) -> Result<(), NoEvidence> {
        let path = other.sources.first().map(|source| source.path.clone()).unwrap_or_default();
        let twice = |what: MeasuredTwice| NoEvidence { path, why: Why::Twice(what.to_string()) };
        self.facts = std::mem::take(&mut self.facts).join(other.facts).map_err(twice)?;
        self.sources.extend(other.sources);
        Ok(())
    }
}

impl Library<'_> {
    /// Reads all reports of a task. Those that the task has just written are not older than `since`.
    ///
    /// # Errors
    /// The first report that is no evidence.
    pub fn read(&self, task: &Task, since: Option<Timestamp>) -> Result<Told, NoEvidence> {
        let mut told = Told::default();
        for report in &task.reports {
            for path in self.files(report)? {
                let (facts, source) = self.read_one(task, (report, &path), since)?;
                told.join(Told { facts, sources: vec![source] })?;
            }
        }
        Ok(told)
    }

    fn read_one(
        &self,
        task: &Task,
        (report, path): (&Report, &RepoPath),
        since: Option<Timestamp>,
    ) -> Result<(Facts, Source), NoEvidence> {
        let no = |why| NoEvidence { path: path.to_string(), why };
        let on_disk = path.under(self.root);
        let about = fs::metadata(&on_disk).map_err(|error| no(Why::Io(error)))?;
        if !about.is_file() {
            return Err(no(Why::NoFile));
        }
        let written = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        if since.is_some_and(|since| written + TICK < since.system()) {
            return Err(no(Why::Stale));
        }
        let file = File::open(&on_disk).map_err(|error| no(Why::Io(error)))?;
        let mut hashed = Hashed { inner: file, hasher: blake3::Hasher::new() };
        let mut bytes = BufReader::with_capacity(256 * 1024, &mut hashed);
        let extent = if report.partial.is_some() { Extent::Part } else { Extent::Whole };
        let mut facts = report::read_to(report.kind, extent, &mut bytes).map_err(|flaw| no(flaw.into()))?;
        // A reader may stop at the end of what it understands.
        io::copy(&mut bytes, &mut io::sink()).map_err(|error| no(Why::Io(error)))?;
        let digest = hashed.hasher.finalize().to_hex().to_string();
        let paths = TreePaths { root: self.root, cwd: &task.cwd, snapshot: self.snapshot };
        facts.rename(&mut |written| paths.inside(written));
        // A report may hold a million texts.
        if !self.mask.is_empty() {
            facts.reword(&|text| self.mask.text(text));
        }
        let mut texts = Texts::default();
        for finding in facts.findings.iter_mut().chain(&mut facts.secrets).flatten() {
            texts.complete(finding, self.root);
        }
        let kind = report.kind.name().to_owned();
        Ok((facts, Source { task: task.name.clone(), kind, path: path.to_string(), digest }))
    }

    /// The files of a report, sorted; each of its patterns has one.
    fn files(&self, report: &Report) -> Result<Vec<RepoPath>, NoEvidence> {
        let mut found: Vec<RepoPath> = Vec::new();
        for folder in report.files.folders() {
            list(self.root, &folder, &mut found)
                .map_err(|error| NoEvidence { path: folder.to_string(), why: Why::Io(error) })?;
        }
        found.retain(|path| report.files.matches(path));
        found.sort_unstable();
        found.dedup();
        for item in report.files.items() {
            if let What::One(pattern) = &item.what
                && !item.excludes
                && !found.iter().any(|path| pattern.matches(path))
            {
                return Err(NoEvidence { path: pattern.text().to_owned(), why: Why::Missing });
            }
        }
        Ok(found)
    }
}

/// The files at or below a path; nothing if it is not there.
fn list(root: &Path, path: &RepoPath, found: &mut Vec<RepoPath>) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut stack = vec![path.clone()];
    while let Some(path) = stack.pop() {
        let on_disk = path.under(root);
        match fs::symlink_metadata(&on_disk) {
            Ok(about) if about.is_dir() => {
                for entry in fs::read_dir(&on_disk)? {
                    stack.push(path.child(entry?.file_name().as_bytes()));
                }
            }
            Ok(_) => found.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads and digests.
struct Hashed {
    inner: File,
    hasher: blake3::Hasher,
}

impl Read for Hashed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hasher.update(&bytes[..read]);
        Ok(read)
    }
}

/// The lines of files that findings speak of.
#[derive(Default)]
struct Texts(HashMap<String, Option<Vec<String>>>);

impl Texts {
    /// Adds what stands in the place of a finding, if its report does not say so.
    fn complete(&mut self, finding: &mut Finding, root: &Path) {
        /// Longer files are not what people write.
        const MOST: u64 = 16 << 20;
        let (None, Some(place)) = (&finding.content, &finding.place) else { return };
        let Some(first) = place.line.filter(|line| *line > 0) else { return };
        let lines = self.0.entry(place.path.clone()).or_insert_with(|| {
            let path = RepoPath::top().join(&place.path)?.under(root);
            fs::metadata(&path).ok().filter(|about| about.is_file() && about.len() <= MOST)?;
            let text = String::from_utf8_lossy(&fs::read(path).ok()?).into_owned();
            Some(text.lines().map(str::to_owned).collect())
        });
        let Some(lines) = lines else { return };
        let last = place.end_line.unwrap_or(first).max(first);
        let from = usize::try_from(first - 1).unwrap_or(usize::MAX);
        let to = usize::try_from(last).unwrap_or(usize::MAX).min(lines.len());
        if let Some(found) = lines.get(from..to) {
            finding.content = Some(content_digest(&found.join("\n")));
        }
    }
}
