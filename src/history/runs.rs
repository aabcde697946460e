//! Run records: for each run a file of events and a manifest, in `<state>/runs/`. It does not know
//! the meaning of events, nor the content of manifests.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError};
use crate::event::{Event, RunStarted, Summary, What};

/// The number of records that are kept.
const KEPT: usize = 100;
/// The bytes of records that are kept. The newest record is always kept.
const KEPT_BYTES: u64 = 256 << 20;
/// The suffix of files of events.
const RECORD: &str = ".jsonl";
/// The suffix of manifests.
const MANIFEST: &str = ".manifest.zst";
/// The suffix of files of keys.
const KEYS: &str = ".keys.zst";
/// Keys may be this much older than the oldest run.
const KEYS_GRACE: Duration = Duration::from_secs(24 * 60 * 60);
/// The compression level of manifests: the lowest, because each run waits for it.
const COMPRESSION_LEVEL: i32 = 1;

/// The run records of a repository.
#[derive(Clone, Debug)]
pub struct Runs {
    folder: PathBuf,
}

/// Why a record can't be found or read.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// No record has the id.
    #[error("unknown run `{0}`")]
    Unknown(String),
    /// Several records contain the text in their id.
    #[error("`{0}` matches several runs: {1}")]
    Ambiguous(String, String),
    /// There is no record.
    #[error("no run has been recorded yet")]
    Empty,
    /// There is no record of a deploy.
    #[error("no deploy has been recorded yet")]
    NoDeploy,
    /// A newer version wrote the record.
    #[error("the record of deploy {0} was written by a newer version of xtask")]
    Newer(String),
    /// There are fewer records.
    #[error("there is no run `last~{0}`")]
    TooFewRuns(usize),
    /// The run has no manifest.
    #[error("run {0} has no manifest")]
    NoManifest(String),
}

/// A record that is being written.
#[derive(Debug)]
pub struct RunFile(File);

impl Write for RunFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The first and the last event of a record, for lists.
#[derive(Clone, Debug)]
pub struct RunHead {
    /// The run's id.
    pub id: String,
    /// The first event.
    pub started: RunStarted,
    /// The summary; `None` if the run was killed or is still running.
    pub summary: Option<Summary>,
}

/// Returns an id that sorts by time, to the millisecond, and is unlikely to be that of another run:
/// `20261121-093015-4711a`.
pub fn new_id(now: Timestamp, process: u32) -> String {
    let time = now.rfc3339().replace(['-', ':', 'Z'], "").replace('T', "-");
    let unique = Digest::hash(format!("{} {process}", now.0).as_bytes());
    format!("{time}-{:03}{}", now.0 % 1000, &unique.hex()[..2])
}

/// Creates the file of a record.
///
/// # Errors
/// The file can't be created.
pub fn create_record(path: &Path) -> Result<RunFile, FileError> {
    let file = File::options().create_new(true).append(true).open(path);
    file.map(RunFile).map_err(FileError::context("make the record", path))
}

/// Returns the ids of the records in a folder, newest first.
///
/// # Errors
/// The folder can't be read.
pub fn record_ids(folder: &Path) -> Result<Vec<String>, FileError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(FileError::context("read", folder))?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut ids: Vec<String> =
        names.filter_map(|name| name.strip_suffix(RECORD).map(str::to_owned)).collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    Ok(ids)
}

/// Returns the id that is `text`, or the only one that contains it.
///
/// # Errors
/// No id or several ids contain it.
pub fn find_id(ids: &[String], text: &str) -> Result<String, RunsError> {
    let matching: Vec<&String> = ids.iter().filter(|id| id.contains(text)).collect();
    match &*matching {
        [] => Err(RunsError::Unknown(text.to_owned())),
        [one] => Ok((*one).clone()),
        _ if ids.iter().any(|id| id == text) => Ok(text.to_owned()),
        several => {
            let shown: Vec<&str> = several.iter().take(5).map(|id| id.as_str()).collect();
            Err(RunsError::Ambiguous(text.to_owned(), shown.join(", ")))
        }
    }
}

/// Returns whether a record is kept: its index from the newest on, and the bytes of it and all newer ones.
pub fn is_kept(index: usize, bytes: u64) -> bool {
    index == 0 || index < KEPT && bytes <= KEPT_BYTES
}

impl Runs {
    /// Returns the records in a state directory.
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join("runs") }
    }

    /// Creates a record.
    ///
    /// # Errors
    /// The file can't be created.
    pub fn create(&self, id: &str) -> Result<RunFile, FileError> {
        file::make_dir(&self.folder)?;
        create_record(&self.path(id))
    }

    /// Returns the ids of all records, newest first.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn ids(&self) -> Result<Vec<String>, FileError> {
        record_ids(&self.folder)
    }

    /// Returns the id that is `text`, or the only one that contains it.
    ///
    /// # Errors
    /// No id or several ids contain it.
    pub fn find(&self, text: &str) -> Result<String, RunsError> {
        find_id(&self.ids()?, text)
    }

    /// Returns when a record was last written to; `None` if that is unknown.
    pub fn modified(&self, id: &str) -> Option<SystemTime> {
        std::fs::metadata(self.path(id)).and_then(|meta| meta.modified()).ok()
    }

    /// Returns all events of a record. A line that a kill cut off is skipped.
    ///
    /// # Errors
    /// There is no such record, or it can't be read.
    pub fn events(&self, id: &str) -> Result<Vec<Event>, RunsError> {
        let path = self.path(id);
        let file = File::open(&path).map_err(FileError::context("open", &path))?;
        let lines = BufReader::new(file).lines();
        Ok(lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect())
    }

    /// Returns the first and the last event of a record; `None` if it has no first event.
    ///
    /// # Errors
    /// There is no such record, or it can't be read.
    pub fn head(&self, id: &str) -> Result<Option<RunHead>, RunsError> {
        let mut events = self.events(id)?;
        let summary = match events.pop().map(|event| event.what) {
            Some(What::RunFinished(summary)) => Some(summary),
            Some(What::RunStarted(started)) => {
                return Ok(Some(RunHead { id: id.to_owned(), started, summary: None }));
            }
            _ => None,
        };
        let started = first_event(events);
        Ok(started.map(|started| RunHead { id: id.to_owned(), started, summary }))
    }

    /// Returns the id of the run that is `number` runs before the last. Runs that tasks of recorded
    /// runs started are not counted: the user waited for the outer run.
    ///
    /// # Errors
    /// There are fewer records.
    pub fn before_last(&self, number: usize) -> Result<String, RunsError> {
        let ids = self.ids()?;
        let none = if ids.is_empty() { RunsError::Empty } else { RunsError::TooFewRuns(number) };
        let is_inner = |id: &&String| {
            let outer = self.started(id).and_then(|started| started.parent_run);
            outer.is_some_and(|outer| ids.contains(&outer))
        };
        ids.iter().filter(|id| !is_inner(id)).nth(number).cloned().ok_or(none)
    }

    /// Returns the first event of a record; `None` if it has none.
    fn started(&self, id: &str) -> Option<RunStarted> {
        let file = File::open(self.path(id)).ok()?;
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        first_event(lines.filter_map(|line| serde_json::from_str(&line).ok()))
    }

    /// Stores a run's manifest beside its record.
    ///
    /// # Errors
    /// The manifest can't be written.
    pub fn store_manifest(&self, id: &str, bytes: &[u8]) -> Result<(), FileError> {
        file::make_dir(&self.folder)?;
        self.write_compressed(&self.manifest_path(id), bytes)
    }

    /// Returns whether keys are stored under this digest, and marks them as used by this run.
    pub fn touch_keys(&self, digest: &str, now: Timestamp) -> bool {
        let file = File::options().write(true).open(self.keys_path(digest));
        file.and_then(|file| file.set_modified(now.system())).is_ok()
    }

    /// Stores keys, which the manifests of several runs share.
    ///
    /// # Errors
    /// The keys can't be written.
    pub fn store_keys(&self, digest: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.write_compressed(&self.keys_path(digest), bytes)
    }

    /// Returns the keys that were stored; `None` if there are none. Damaged keys are removed, and the
    /// next run writes them again.
    ///
    /// # Errors
    /// The keys can't be read.
    pub fn keys(&self, digest: &str) -> Result<Option<Vec<u8>>, FileError> {
        let path = self.keys_path(digest);
        let Some(packed) = file::read(&path)? else { return Ok(None) };
        let keys = zstd::stream::decode_all(&*packed).ok();
        if keys.is_none() {
            file::remove_all(&path)?;
        }
        Ok(keys)
    }

    fn write_compressed(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        file::make_dir(&self.folder)?;
        let packed =
            zstd::bulk::compress(bytes, COMPRESSION_LEVEL).map_err(FileError::context("compress", path))?;
        file::write(path, &packed, &self.folder, Durability::Relaxed)
    }

    /// Returns the manifest of a run.
    ///
    /// # Errors
    /// There is none, or it can't be read.
    pub fn manifest(&self, id: &str) -> Result<Vec<u8>, RunsError> {
        let path = self.manifest_path(id);
        let packed = file::read(&path)?.ok_or_else(|| RunsError::NoManifest(id.to_owned()))?;
        Ok(zstd::stream::decode_all(&*packed).map_err(FileError::context("decompress", &path))?)
    }

    /// Removes the oldest records beyond those that are kept. Errors are ignored.
    pub fn prune(&self, current: &str) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
        for entry in entries.flatten() {
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(RECORD).or(name.strip_suffix(MANIFEST)));
            if let Some(id) = id.filter(|id| *id != current) {
                let size = entry.metadata().map_or(0, |meta| meta.len());
                *sizes.entry(id.to_owned()).or_default() += size;
            }
        }
        let mut bytes = 0;
        let is_removed = |(i, (_, size)): &(usize, (&String, &u64))| {
            bytes += **size;
            !is_kept(*i, bytes)
        };
        let removed: Vec<&String> =
            sizes.iter().rev().enumerate().filter(is_removed).map(|(_, (id, _))| id).collect();
        for id in &removed {
            for path in [self.path(id), self.manifest_path(id)] {
                let _ = std::fs::remove_file(path);
            }
        }
        if !removed.is_empty()
            && let Some(oldest) = sizes.keys().nth(removed.len())
        {
            self.prune_keys(oldest);
        }
    }

    /// Removes the keys that no run from `oldest` on has used.
    fn prune_keys(&self, oldest: &str) {
        let modified = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified());
        let Ok(since) = modified(&self.manifest_path(oldest)).or_else(|_| modified(&self.path(oldest)))
        else {
            return;
        };
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let are_keys = path.to_str().is_some_and(|path| path.ends_with(KEYS));
            // A run marks its keys as used before it writes its manifest, by up to the length of the
            // run.
            if are_keys && modified(&path).is_ok_and(|at| at + KEYS_GRACE < since) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}{RECORD}"))
    }

    fn keys_path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}{KEYS}"))
    }

    fn manifest_path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}{MANIFEST}"))
    }
}

/// Returns the event of the run's start.
fn first_event(events: impl IntoIterator<Item = Event>) -> Option<RunStarted> {
    events.into_iter().find_map(|event| match event.what {
        What::RunStarted(started) => Some(started),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shared_renewed_and_pruned_with_the_last_run() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::new(dir.path());
        let day = |day: u64| Timestamp(1_700_000_000_000 + day * 86_400_000);
        assert!(!runs.touch_keys("old", day(0)));
        for name in ["old", "used", "new"] {
            runs.store_keys(name, name.as_bytes()).unwrap();
            assert!(runs.touch_keys(name, day(0)));
        }
        assert_eq!(runs.keys("used").unwrap().as_deref(), Some(&b"used"[..]));
        assert_eq!(runs.keys("none").unwrap(), None);
        // More records than are kept; the oldest remaining one is of the tenth day.
        for i in 0..=KEPT {
            let id = format!("20260101-{i:06}");
            runs.create(&id).unwrap();
            runs.store_manifest(&id, b"m").unwrap();
            let file = File::options().write(true).open(runs.manifest_path(&id)).unwrap();
            file.set_modified(day(10).system()).unwrap();
        }
        assert!(runs.touch_keys("used", day(9)) && runs.touch_keys("new", day(30)));
        runs.prune("current");
        assert_eq!(runs.ids().unwrap().len(), KEPT);
        assert!(matches!(runs.manifest("20260101-000000"), Err(RunsError::NoManifest(_))));
        let there = |name| runs.keys(name).unwrap().is_some();
        assert!(!there("old") && there("used") && there("new"));
    }

    #[test]
    fn damaged_keys_are_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::new(dir.path());
        runs.store_keys("a", b"text").unwrap();
        std::fs::write(runs.keys_path("a"), b"half").unwrap();
        assert_eq!(runs.keys("a").unwrap(), None);
        assert!(!runs.touch_keys("a", Timestamp(0)), "so the next run writes them");
    }
}
