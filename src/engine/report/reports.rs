//! The reports of a task, read from where it wrote them: each must be there, be no older than the
//! task, and be whole. It must not judge what they say.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::base::digest::Digest;
use crate::base::path::RepoPath;
use crate::base::pattern::What;
use crate::base::text::first_of;
use crate::config::model::{Report, Task};
use crate::engine::report::tree_paths::TreePaths;
use crate::event::{Ended, Reported};
use crate::git::snapshot::Snapshot;
use crate::process::mask::Mask;
use crate::quality::evidence::Source;
use ci_reports::facts::{Coverage, Facts, Finding, MeasuredTwice, Tests, content_digest};
use ci_reports::{Completeness, Kind, ParseError, ReportFile};

/// What the reports of a task say.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// All of it.
    pub facts: Facts,
    /// Where it was read.
    pub sources: Vec<Source>,
}

/// Whether a report was not written by the last attempt.
pub type IsStale<'a> = dyn Fn(&RepoPath) -> bool + 'a;

/// Where reports lie and what they speak of.
#[derive(Clone, Copy, Debug)]
pub struct Library<'a> {
    /// The top of the work tree.
    pub root: &'a Path,
    /// What stands for it where the task ran: itself, or a sandbox.
    pub place: &'a Path,
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
    #[error("it is older than the task that should have written it{}", advice(others))]
    Stale {
        /// More such reports of the task.
        others: Vec<String>,
    },
    /// Another has written it.
    #[error("it was changed after `{task}` ended; do two tasks write it?")]
    Changed {
        /// The task that it is of.
        task: String,
    },
    /// It can't be kept.
    #[error("it is a symlink, and what that leads to is not stored; write the report itself")]
    Linked,
    /// The cache has lost it meanwhile.
    #[error("what its task stored is gone from the cache; run it again")]
    Forgotten,
    /// It is a folder or such.
    #[error("it is not a file")]
    NoFile,
    /// It can't be opened.
    #[error("it can't be read: {0}")]
    Io(#[source] io::Error),
    /// What is in it.
    #[error(transparent)]
    ParseError(ParseError),
    /// Nothing is in it, nor in any other of its kind.
    #[error("{flaw}{}", and_others(*others))]
    Nothing {
        /// What it says.
        flaw: ParseError,
        /// How many more of the task's reports of this kind there are.
        others: usize,
    },
    /// What is in it, if its task may allow it.
    #[error("{0}; mend it, or if it does no harm, say why in the task: reports = {{ …, partial = \"why\" }}")]
    Partial(ParseError),
    /// Two reports contradict each other.
    #[error("{0}")]
    Twice(String),
}

fn and_others(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => "; the other report of its kind says the same".to_owned(),
        _ => format!("; the {count} other reports of its kind say the same"),
    }
}

/// What to do about stale reports.
fn advice(others: &[String]) -> String {
    /// That are named, with the first.
    const NAMED: usize = 5;
    if others.is_empty() {
        return "; delete it if nothing writes it any more".to_owned();
    }
    let named = first_of(others, NAMED - 1);
    format!(", and so are {named}; delete what nothing writes any more")
}

impl From<ParseError> for Why {
    fn from(flaw: ParseError) -> Self {
        match flaw {
            ParseError::Incomplete { .. } => Self::Partial(flaw),
            _ => Self::ParseError(flaw),
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

impl NoEvidence {
    /// How a task or a gate ends for it. A report may hold secrets, and what is wrong with it may
    /// repeat them.
    pub fn ended(&self, mask: &Mask) -> Ended {
        Ended::Report { path: mask.distinct(&self.path), why: mask.distinct(&self.why.to_string()) }
    }
}

impl Library<'_> {
    /// Reads all reports of a task. If it has just been executed, none of them may be stale. Of the files
    /// of each kind one at least must say that something was examined.
    ///
    /// # Errors
    /// The first report that is no evidence.
    pub fn read(&self, task: &Task, is_stale: Option<&IsStale<'_>>) -> Result<Told, NoEvidence> {
        let mut found: Vec<(&Report, RepoPath)> = Vec::new();
        for report in &task.reports {
            found.extend(self.files(report)?.into_iter().map(|path| (report, path)));
        }
        if let Some(is_stale) = is_stale {
            let stale = found.iter().map(|(_, path)| path).filter(|path| is_stale(path));
            let stale: BTreeSet<String> = stale.map(ToString::to_string).collect();
            let mut stale = stale.into_iter();
            if let Some(path) = stale.next() {
                return Err(NoEvidence { path, why: Why::Stale { others: stale.collect() } });
            }
        }
        let mut told = Told::default();
        let mut nothing: BTreeMap<Kind, Option<(String, ParseError)>> = BTreeMap::new();
        for (report, path) in &found {
            let (part, source) = self.read_one(task, (report, path))?;
            let lacks = part.nothing.map(|flaw| (path.to_string(), flaw));
            let known = nothing.entry(report.kind).or_insert_with(|| lacks.clone());
            *known = known.take().filter(|_| lacks.is_some());
            told.join(Told { facts: part.facts, sources: vec![source] })?;
        }
        if let Some((kind, (path, flaw))) = nothing.into_iter().find_map(|(kind, lacks)| Some((kind, lacks?)))
        {
            let all = found.iter().filter(|(report, _)| report.kind == kind).count();
            return Err(NoEvidence { path, why: Why::Nothing { flaw, others: all - 1 } });
        }
        Ok(told)
    }

    /// What can be read of the reports of a task that failed, which may not have written all of them.
    /// Stale ones say nothing of it.
    pub fn read_what_is_there(&self, task: &Task, is_stale: &IsStale<'_>) -> Facts {
        let mut all = Facts::default();
        for report in &task.reports {
            let mut found = self.matching(report).unwrap_or_default();
            found.retain(|path| !is_stale(path));
            for (ReportFile { facts, .. }, _) in
                found.iter().filter_map(|path| self.read_one(task, (report, path)).ok())
            {
                // Without figures there is nothing that could be told twice.
                let facts = Facts { measures: BTreeMap::new(), ..facts };
                all = all.join(facts).unwrap_or_default();
            }
        }
        all
    }

    fn read_one(
        &self,
        task: &Task,
        (report, path): (&Report, &RepoPath),
    ) -> Result<(ReportFile, Source), NoEvidence> {
        let no = |why| NoEvidence { path: path.to_string(), why };
        let on_disk = path.under(self.place);
        let about = fs::metadata(&on_disk).map_err(|error| no(Why::Io(error)))?;
        if !about.is_file() {
            return Err(no(Why::NoFile));
        }
        let file = File::open(&on_disk).map_err(|error| no(Why::Io(error)))?;
        let mut hashed = Hashed { inner: file, hasher: blake3::Hasher::new() };
        let mut bytes = BufReader::with_capacity(256 * 1024, &mut hashed);
        let extent = if report.partial.is_some() { Completeness::Partial } else { Completeness::Full };
        let ReportFile { mut facts, nothing } =
            ci_reports::read_file(report.kind, extent, &mut bytes).map_err(|flaw| no(flaw.into()))?;
        // A reader may stop at the end of what it understands.
        io::copy(&mut bytes, &mut io::sink()).map_err(|error| no(Why::Io(error)))?;
        let digest = hashed.hasher.finalize().to_hex().to_string();
        let paths = TreePaths { root: self.place, cwd: &task.cwd, snapshot: self.snapshot };
        facts.rename(&mut |written| paths.inside(written));
        // A report may hold a million texts.
        if !self.mask.is_empty() {
            facts.reword(&|text| self.mask.distinct(text));
        }
        let mut texts = Texts::default();
        for finding in facts.findings.iter_mut().chain(&mut facts.secrets).flatten() {
            texts.complete(finding, [self.place, self.root]);
        }
        let kind = report.kind.name().to_owned();
        let source = Source { task: task.name.clone(), kind, path: path.to_string(), digest };
        Ok((ReportFile { facts, nothing }, source))
    }

    /// The files of a report, sorted; each of its patterns has one.
    fn files(&self, report: &Report) -> Result<Vec<RepoPath>, NoEvidence> {
        let found = self.matching(report)?;
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

    /// The files that the patterns of a report match, sorted.
    fn matching(&self, report: &Report) -> Result<Vec<RepoPath>, NoEvidence> {
        let mut found: Vec<RepoPath> = Vec::new();
        for folder in report.files.folders() {
            list(self.place, &folder, &mut found)
                .map_err(|error| NoEvidence { path: folder.to_string(), why: Why::Io(error) })?;
        }
        found.retain(|path| report.files.matches(path));
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

/// Returns the summary of a task's reports that is shown with its result.
pub fn summary(facts: &Facts) -> Reported {
    let listed = |tests: &Tests| Tests {
        passed: tests.passed,
        failed: tests.failed.iter().take(Reported::LISTED).cloned().collect(),
        skipped: tests.skipped,
        flaky: tests.flaky.clone(),
        totals: tests.totals,
    };
    let failed = facts.tests.as_ref().map_or(0, |tests| tests.failed.len());
    let mut findings: Vec<&Finding> = facts.findings.iter().chain(&facts.secrets).flatten().collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.place.cmp(&b.place)));
    Reported {
        tests: facts.tests.as_ref().map(listed),
        more_failed: failed.saturating_sub(Reported::LISTED),
        more_findings: findings.len().saturating_sub(Reported::LISTED),
        findings: findings.into_iter().take(Reported::LISTED).cloned().collect(),
        coverage: facts.coverage.as_ref().map(Coverage::ratio),
    }
}

/// Whether a path is that of a report of the task.
pub fn is_one(task: &Task, path: &RepoPath) -> bool {
    task.reports.iter().any(|report| report.files.matches(path))
}

/// All reports of a task that lie below `place`, whoever wrote them.
///
/// # Errors
/// A folder can't be listed.
pub fn lying(task: &Task, place: &Path) -> io::Result<BTreeSet<RepoPath>> {
    let mut found = Vec::new();
    for folder in task.reports.iter().flat_map(|report| report.files.folders()) {
        list(place, &folder, &mut found)?;
    }
    Ok(found.into_iter().filter(|path| is_one(task, path)).collect())
}

/// The digest of a file, as that of a report that is read.
///
/// # Errors
/// It can't be read.
pub fn digest(path: &Path) -> io::Result<Digest> {
    let mut hashed = Hashed { inner: File::open(path)?, hasher: blake3::Hasher::new() };
    io::copy(&mut BufReader::with_capacity(256 * 1024, &mut hashed), &mut io::sink())?;
    Ok(Digest::from_bytes(hashed.hasher.finalize().into()))
}

/// The files at or below a path; nothing if it is not there. Git's own folders hold none.
fn list(root: &Path, path: &RepoPath, found: &mut Vec<RepoPath>) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    match fs::symlink_metadata(path.under(root)) {
        Ok(about) if about.is_dir() => {}
        Ok(_) => {
            found.push(path.clone());
            return Ok(());
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    let mut stack = vec![path.clone()];
    while let Some(folder) = stack.pop() {
        for entry in fs::read_dir(folder.under(root))? {
            let entry = entry?;
            if entry.file_name() == ".git" {
                continue;
            }
            let path = folder.child(entry.file_name().as_bytes());
            if entry.file_type()?.is_dir() { stack.push(path) } else { found.push(path) }
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
    /// Its file is looked for in these places.
    fn complete(&mut self, finding: &mut Finding, places: [&Path; 2]) {
        /// Longer files are not what people write.
        const MOST: u64 = 16 << 20;
        let (None, Some(place)) = (&finding.content, &finding.place) else { return };
        let Some(first) = place.line.filter(|line| *line > 0) else { return };
        let lines = self.0.entry(place.path.clone()).or_insert_with(|| {
            let path = RepoPath::top().join(&place.path)?;
            let paths = places.map(|place| path.under(place));
            let path = paths.iter().find(|path| path.is_file())?;
            fs::metadata(path).ok().filter(|about| about.len() <= MOST)?;
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
