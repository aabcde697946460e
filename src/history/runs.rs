//! Run records: one file of events a run, and one of what it was a run of, in `<state>/runs/`. It must
//! not know what events mean, nor what is in a manifest.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError};
use crate::event::{Event, RunStarted, Summary, What};

/// GateRecords that are kept.
const KEPT: usize = 100;
/// Bytes of records that are kept, the newest always among them.
const KEPT_BYTES: u64 = 256 << 20;
/// How the names of files of keys end.
const KEYS: &str = ".keys.zst";
/// How much older than the oldest run keys may be.
const SPARED: Duration = Duration::from_secs(24 * 60 * 60);
/// How much is done to make manifests small: as little as there is, since each run waits for it.
const PACKED: i32 = 1;

/// The records of a repository.
#[derive(Clone, Debug)]
pub struct Runs {
    folder: PathBuf,
}

/// What is wrong with a wish for a record.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// No record has the id.
    #[error("no run is recorded as `{0}`")]
    Unknown(String),
    /// Several records start with it.
    #[error("`{0}` fits several runs: {1}")]
    Ambiguous(String, String),
    /// There are none.
    #[error("no run is recorded yet")]
    Empty,
    /// There are not so many.
    #[error("there is no run {0} before the last")]
    NotSoMany(usize),
    /// It left no manifest.
    #[error("the run {0} left no manifest")]
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

/// The ends of a record: enough for a list.
#[derive(Clone, Debug)]
pub struct RunHead {
    /// The run's id.
    pub id: String,
    /// Its first event.
    pub started: RunStarted,
    /// Its figures; `None` if it was killed or is still running.
    pub summary: Option<Summary>,
}

/// An id that sorts by time, to the millisecond, and is unlikely to be another's:
/// `20261121-093015-4711a`.
pub fn new_id(now: Timestamp, process: u32) -> String {
    let time = now.rfc3339().replace(['-', ':', 'Z'], "").replace('T', "-");
    let unique = Digest::of(format!("{} {process}", now.0).as_bytes());
    format!("{time}-{:03}{}", now.0 % 1000, &unique.hex()[..2])
}

impl Runs {
    /// The records below a state directory.
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join("runs") }
    }

    /// Begins a record.
    ///
    /// # Errors
    /// The file can't be made.
    pub fn create(&self, id: &str) -> Result<RunFile, FileError> {
        file::make_dir(&self.folder)?;
        let path = self.path(id);
        let file = File::options().create_new(true).append(true).open(&path);
        file.map(RunFile).map_err(FileError::of("make the run's record", &path))
    }

    /// The ids of all records, newest first.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn ids(&self) -> Result<Vec<String>, FileError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(FileError::of("read", &self.folder))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut ids: Vec<String> =
            names.filter_map(|name| name.strip_suffix(".jsonl").map(str::to_owned)).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    /// The id that `text` is, or that alone contains it.
    ///
    /// # Errors
    /// None does, or several do.
    pub fn find(&self, text: &str) -> Result<String, RunsError> {
        let ids = self.ids()?;
        let fits: Vec<&String> = ids.iter().filter(|id| id.contains(text)).collect();
        match &*fits {
            [] => Err(RunsError::Unknown(text.to_owned())),
            [one] => Ok((*one).clone()),
            _ if ids.iter().any(|id| id == text) => Ok(text.to_owned()),
            several => {
                let shown: Vec<&str> = several.iter().take(5).map(|id| id.as_str()).collect();
                Err(RunsError::Ambiguous(text.to_owned(), shown.join(", ")))
            }
        }
    }

    /// All events of a record. A line that a kill cut off is left out.
    ///
    /// # Errors
    /// There is no such record, or it can't be read.
    pub fn events(&self, id: &str) -> Result<Vec<Event>, RunsError> {
        let path = self.path(id);
        let file = File::open(&path).map_err(FileError::of("open", &path))?;
        let lines = BufReader::new(file).lines();
        Ok(lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect())
    }

    /// The ends of a record; `None` if it has no beginning.
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

    /// The id of the run that is so many before the last. Those that the tasks of recorded runs
    /// started are not counted: the run that somebody waited for is the one around them.
    ///
    /// # Errors
    /// There are not so many.
    pub fn before_last(&self, number: usize) -> Result<String, RunsError> {
        let ids = self.ids()?;
        let none = if ids.is_empty() { RunsError::Empty } else { RunsError::NotSoMany(number) };
        let is_inner = |id: &&String| {
            let around = self.started(id).and_then(|started| started.within);
            around.is_some_and(|around| ids.contains(&around))
        };
        ids.iter().filter(|id| !is_inner(id)).nth(number).cloned().ok_or(none)
    }

    /// The first event of a record; `None` if it has no beginning.
    fn started(&self, id: &str) -> Option<RunStarted> {
        let file = File::open(self.path(id)).ok()?;
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        first_event(lines.filter_map(|line| serde_json::from_str(&line).ok()))
    }

    /// Keeps a run's manifest beside its record.
    ///
    /// # Errors
    /// It can't be written.
    pub fn keep_manifest(&self, id: &str, bytes: &[u8]) -> Result<(), FileError> {
        file::make_dir(&self.folder)?;
        self.pack(&self.manifest_path(id), bytes)
    }

    /// Whether keys are kept under this digest. If so, they are as new as this run.
    pub fn renew_keys(&self, digest: &str, now: Timestamp) -> bool {
        let file = File::options().write(true).open(self.keys_path(digest));
        file.and_then(|file| file.set_modified(now.system())).is_ok()
    }

    /// Keeps keys, which the manifests of several runs share.
    ///
    /// # Errors
    /// They can't be written.
    pub fn keep_keys(&self, digest: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.pack(&self.keys_path(digest), bytes)
    }

    /// What [`Self::keep_keys`] was given; `None` if it is not there. What is damaged is as good as
    /// lost, and the next run writes it anew.
    ///
    /// # Errors
    /// It can't be read.
    pub fn keys(&self, digest: &str) -> Result<Option<Vec<u8>>, FileError> {
        let path = self.keys_path(digest);
        let Some(packed) = file::read(&path)? else { return Ok(None) };
        let keys = zstd::stream::decode_all(&*packed).ok();
        if keys.is_none() {
            file::remove_all(&path)?;
        }
        Ok(keys)
    }

    fn pack(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        file::make_dir(&self.folder)?;
        let packed = zstd::bulk::compress(bytes, PACKED).map_err(FileError::of("compress", path))?;
        file::write(path, &packed, &self.folder, Durability::Relaxed)
    }

    /// What [`Self::keep_manifest`] was given.
    ///
    /// # Errors
    /// There is none, or it can't be read.
    pub fn manifest(&self, id: &str) -> Result<Vec<u8>, RunsError> {
        let path = self.manifest_path(id);
        let packed = file::read(&path)?.ok_or_else(|| RunsError::NoManifest(id.to_owned()))?;
        Ok(zstd::stream::decode_all(&*packed).map_err(FileError::of("decompress", &path))?)
    }

    /// Removes the oldest records beyond what is kept. Failing to is no one's loss.
    pub fn prune(&self) {
        let Ok(ids) = self.ids() else { return };
        let (mut bytes, mut removed) = (0, 0);
        for (i, id) in ids.iter().enumerate() {
            let paths = [self.path(id), self.manifest_path(id)];
            let size = |path| std::fs::metadata(path).map_or(0, |meta| meta.len());
            bytes += paths.iter().map(size).sum::<u64>();
            if i >= KEPT || i > 0 && bytes > KEPT_BYTES {
                for path in paths {
                    let _ = std::fs::remove_file(path);
                }
                removed += 1;
            }
        }
        if removed > 0
            && let Some(oldest) = ids.get(ids.len() - removed - 1)
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
            // A run renews its keys up to its whole length before its manifest is written.
            if are_keys && modified(&path).is_ok_and(|at| at + SPARED < since) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.jsonl"))
    }

    fn keys_path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}{KEYS}"))
    }

    fn manifest_path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.manifest.zst"))
    }
}

/// What the first event of a run among these tells.
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
    fn keys_are_shared_renewed_and_pruned_when_no_run_has_them() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::new(dir.path());
        let day = |day: u64| Timestamp(1_700_000_000_000 + day * 86_400_000);
        assert!(!runs.renew_keys("old", day(0)));
        for name in ["old", "used", "new"] {
            runs.keep_keys(name, name.as_bytes()).unwrap();
            assert!(runs.renew_keys(name, day(0)));
        }
        assert_eq!(runs.keys("used").unwrap().as_deref(), Some(&b"used"[..]));
        assert_eq!(runs.keys("none").unwrap(), None);
        // More records than are kept; the oldest that stays is of the tenth day.
        for i in 0..=KEPT {
            let id = format!("20260101-{i:06}");
            runs.create(&id).unwrap();
            runs.keep_manifest(&id, b"m").unwrap();
            let file = File::options().write(true).open(runs.manifest_path(&id)).unwrap();
            file.set_modified(day(10).system()).unwrap();
        }
        assert!(runs.renew_keys("used", day(9)) && runs.renew_keys("new", day(30)));
        runs.prune();
        assert_eq!(runs.ids().unwrap().len(), KEPT);
        assert!(matches!(runs.manifest("20260101-000000"), Err(RunsError::NoManifest(_))));
        let there = |name| runs.keys(name).unwrap().is_some();
        assert!(!there("old") && there("used") && there("new"));
    }

    #[test]
    fn damaged_keys_are_as_good_as_lost() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::new(dir.path());
        runs.keep_keys("a", b"text").unwrap();
        std::fs::write(runs.keys_path("a"), b"half").unwrap();
        assert_eq!(runs.keys("a").unwrap(), None);
        assert!(!runs.renew_keys("a", Timestamp(0)), "so the next run writes them");
    }
}
