//! Reads the reports of a task from where the task wrote them. Each report must exist, be written by
//! the task, and be complete.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::base::digest::Digest;
use crate::base::path::RepoPath;
use crate::base::pattern::Matcher;
use crate::config::model::{Report, Task};
use crate::engine::report::error::{ReportError, ReportErrorKind};
use crate::engine::report::tree_paths::TreePaths;
use crate::event::Reported;
use crate::git::snapshot::Snapshot;
use crate::process::secret_mask::Mask;
use crate::quality::evidence::JudgedReport;
use ci_reports::facts::{Coverage, DuplicateMeasure, Facts, Finding, Tests, content_digest};
use ci_reports::{Completeness, ParseError, ReportFile, ReportKind};

/// The content of a task's reports.
#[derive(Clone, Debug, Default)]
pub struct TaskReports {
    /// The facts of all reports.
    pub facts: Facts,
    /// The files that were read.
    pub sources: Vec<JudgedReport>,
}

/// Returns whether a report was written before the current attempt.
pub type IsStale<'a> = dyn Fn(&RepoPath) -> bool + 'a;

/// Reads the reports of tasks.
#[derive(Clone, Copy, Debug)]
pub struct ReportReader<'a> {
    /// The top of the work tree.
    pub root: &'a Path,
    /// The folder that the task saw as the top of the work tree: `root` or a sandbox.
    pub workdir: &'a Path,
    /// The files of the tree; `None` outside a repository.
    pub snapshot: Option<&'a Snapshot>,
    /// Masks secrets that a tool may have written to a report.
    pub mask: &'a Mask,
}

impl TaskReports {
    /// Adds the content of other reports.
    ///
    /// # Errors
    /// Both have a measure of the same name.
    pub fn join(&mut self, other: Self) -> Result<(), ReportError> {
        let path = other.sources.first().map(|source| source.path.clone()).unwrap_or_default();
        let duplicate = |error: DuplicateMeasure| ReportError {
            path,
            kind: ReportErrorKind::DuplicateMeasure(error.to_string()),
        };
        self.facts = std::mem::take(&mut self.facts).join(other.facts).map_err(duplicate)?;
        self.sources.extend(other.sources);
        Ok(())
    }
}

impl ReportReader<'_> {
    /// Reads all reports of a task. `is_stale` is given if the task has just been executed. For each
    /// kind of report, at least one file must say that something was examined.
    ///
    /// # Errors
    /// The first report that can't be used as evidence.
    pub fn read(&self, task: &Task, is_stale: Option<&IsStale<'_>>) -> Result<TaskReports, ReportError> {
        let mut found: Vec<(&Report, RepoPath)> = Vec::new();
        for report in task.reports() {
            found.extend(self.required_files(report)?.into_iter().map(|path| (report, path)));
        }
        if let Some(is_stale) = is_stale {
            let stale = found.iter().map(|(_, path)| path).filter(|path| is_stale(path));
            let stale: BTreeSet<String> = stale.map(ToString::to_string).collect();
            let mut stale = stale.into_iter();
            if let Some(path) = stale.next() {
                return Err(ReportError { path, kind: ReportErrorKind::Stale { others: stale.collect() } });
            }
        }
        let mut reports = TaskReports::default();
        // For each kind, the first file that examined nothing, as long as no file examined anything.
        let mut empty: BTreeMap<ReportKind, Option<(String, ParseError)>> = BTreeMap::new();
        for (report, path) in &found {
            let (file, source) = self.read_file(task, report, path)?;
            let nothing = file.nothing_examined.map(|error| (path.to_string(), error));
            let first = empty.entry(report.kind).or_insert_with(|| nothing.clone());
            *first = first.take().filter(|_| nothing.is_some());
            reports.join(TaskReports { facts: file.facts, sources: vec![source] })?;
        }
        if let Some((kind, (path, error))) = empty.into_iter().find_map(|(kind, first)| Some((kind, first?)))
        {
            let all = found.iter().filter(|(report, _)| report.kind == kind).count();
            return Err(ReportError {
                path,
                kind: ReportErrorKind::NothingExamined { error, others: all - 1 },
            });
        }
        Ok(reports)
    }

    /// Reads as many reports as possible of a task that failed, perhaps before it had written all of
    /// them. Stale reports are left out.
    pub fn read_available(&self, task: &Task, is_stale: &IsStale<'_>) -> Facts {
        let mut all = Facts::default();
        for report in task.reports() {
            let mut paths = self.matching_files(report).unwrap_or_default();
            paths.retain(|path| !is_stale(path));
            let files = paths.iter().filter_map(|path| self.read_file(task, report, path).ok());
            for (ReportFile { facts, .. }, _) in files {
                // Without measures, facts can always be joined.
                let facts = Facts { measures: BTreeMap::new(), ..facts };
                all = all.join(facts).unwrap_or_default();
            }
        }
        all
    }

    fn read_file(
        &self,
        task: &Task,
        report: &Report,
        path: &RepoPath,
    ) -> Result<(ReportFile, JudgedReport), ReportError> {
        let fail = |kind| ReportError { path: path.to_string(), kind };
        let on_disk = path.under(self.workdir);
        let metadata = fs::metadata(&on_disk).map_err(|error| fail(ReportErrorKind::Io(error)))?;
        if !metadata.is_file() {
            return Err(fail(ReportErrorKind::NotAFile));
        }
        let file = File::open(&on_disk).map_err(|error| fail(ReportErrorKind::Io(error)))?;
        let mut hashing = HashingReader { inner: file, hasher: blake3::Hasher::new() };
        let mut bytes = BufReader::with_capacity(256 * 1024, &mut hashing);
        let completeness = if report.partial.is_some() { Completeness::Partial } else { Completeness::Full };
        let ReportFile { mut facts, nothing_examined: nothing } =
            ci_reports::read_file(report.kind, completeness, &mut bytes)
                .map_err(|error| fail(error.into()))?;
        // A reader may stop before the end of the file, but the digest is of all bytes.
        io::copy(&mut bytes, &mut io::sink()).map_err(|error| fail(ReportErrorKind::Io(error)))?;
        let digest = hashing.hasher.finalize().to_hex().to_string();
        let paths = TreePaths { root: self.workdir, cwd: &task.env.cwd, snapshot: self.snapshot };
        facts.map_paths(&mut |written| paths.resolve(written));
        // A report may contain a million texts.
        if !self.mask.is_empty() {
            facts.map_texts(&|text| self.mask.distinct(text));
        }
        let mut sources = SourceLines::default();
        for finding in facts.findings.iter_mut().chain(&mut facts.secrets).flatten() {
            sources.add_content(finding, [self.workdir, self.root]);
        }
        let kind = report.kind.name().to_owned();
        let source = JudgedReport { task: task.name.clone(), kind, path: path.to_string(), digest };
        Ok((ReportFile { facts, nothing_examined: nothing }, source))
    }

    /// Returns the files of a report, sorted.
    ///
    /// # Errors
    /// One of its patterns matches no file.
    fn required_files(&self, report: &Report) -> Result<Vec<RepoPath>, ReportError> {
        let found = self.matching_files(report)?;
        for item in report.files.items() {
            if let Matcher::Pattern(pattern) = &item.matcher
                && !item.excludes
                && !found.iter().any(|path| pattern.matches(path))
            {
                return Err(ReportError { path: pattern.text().to_owned(), kind: ReportErrorKind::Missing });
            }
        }
        Ok(found)
    }

    /// Returns the files that the patterns of a report match, sorted.
    fn matching_files(&self, report: &Report) -> Result<Vec<RepoPath>, ReportError> {
        let mut found: Vec<RepoPath> = Vec::new();
        for folder in report.files.folders() {
            list_files(self.workdir, &folder, &mut found).map_err(|error| ReportError {
                path: folder.to_string(),
                kind: ReportErrorKind::Io(error),
            })?;
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

/// Returns whether a path matches a pattern of the task's reports.
pub fn is_report(task: &Task, path: &RepoPath) -> bool {
    task.reports().iter().any(|report| report.files.matches(path))
}

/// Returns all files below `workdir` that match the reports of a task, even if other programs wrote them.
///
/// # Errors
/// A folder can't be listed.
pub fn find_report_files(task: &Task, workdir: &Path) -> io::Result<BTreeSet<RepoPath>> {
    let mut found = Vec::new();
    for folder in task.reports().iter().flat_map(|report| report.files.folders()) {
        list_files(workdir, &folder, &mut found)?;
    }
    Ok(found.into_iter().filter(|path| is_report(task, path)).collect())
}

/// Returns the digest of a file's content, as [`JudgedReport`] has it.
///
/// # Errors
/// The file can't be read.
pub fn file_digest(path: &Path) -> io::Result<Digest> {
    let mut hashing = HashingReader { inner: File::open(path)?, hasher: blake3::Hasher::new() };
    io::copy(&mut BufReader::with_capacity(256 * 1024, &mut hashing), &mut io::sink())?;
    Ok(Digest::from_bytes(hashing.hasher.finalize().into()))
}

/// Appends the files at or below a path, if it exists. Git's own folders are left out.
fn list_files(root: &Path, path: &RepoPath, found: &mut Vec<RepoPath>) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    match fs::symlink_metadata(path.under(root)) {
        Ok(metadata) if metadata.is_dir() => {}
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

/// A reader that computes the digest of the bytes that are read through it.
struct HashingReader {
    inner: File,
    hasher: blake3::Hasher,
}

impl Read for HashingReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hasher.update(&bytes[..read]);
        Ok(read)
    }
}

/// The lines of the source files in which findings are; `None` for a file that can't be read.
#[derive(Default)]
struct SourceLines(HashMap<String, Option<Vec<String>>>);

impl SourceLines {
    /// Sets the digest of the lines of a finding, if its report has none. The source file is searched in
    /// `folders`.
    fn add_content(&mut self, finding: &mut Finding, folders: [&Path; 2]) {
        /// The size of the largest file that is read. Source files are never larger.
        const MAX_SIZE: u64 = 16 << 20;
        let (None, Some(place)) = (&finding.content, &finding.place) else { return };
        let Some(first) = place.line.filter(|line| *line > 0) else { return };
        let lines = self.0.entry(place.path.clone()).or_insert_with(|| {
            let path = RepoPath::top().join(&place.path)?;
            let paths = folders.map(|folder| path.under(folder));
            let path = paths.iter().find(|path| path.is_file())?;
            fs::metadata(path).ok().filter(|metadata| metadata.len() <= MAX_SIZE)?;
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
