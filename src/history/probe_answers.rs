//! Answers of tool probes, each with the paths that it depends on. It does not know how the paths of a probe
//! are found out, nor when a probe is run again.
//!
//! If the file is lost or damaged, the probes run again. Two runs that write it at the same time lose an
//! answer at worst. The keys contain the version of the program, so two versions can share the file.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError};
use crate::base::stat::{FileTime, Stat};

const MAGIC: &[u8; 8] = b"tgprobe1";
/// With more answers, the oldest are removed.
const MAX_RECORDS: usize = 256;

/// What a path must be, so that an answer that depends on it is still true.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PathState {
    /// Nothing that can be found; the number of the error.
    Missing(i32),
    /// A file, symlink or listed folder with exactly this metadata.
    Content(Stat),
    /// A folder that was only looked up. Its times may change, since its content does not matter.
    Folder {
        /// The device that contains it.
        device: u64,
        /// Its number on the device.
        inode: u64,
        /// Type and permission bits.
        mode: u32,
    },
    /// Something of this type, and with these permissions.
    Kind(u32),
}

impl PathState {
    /// Returns whether a path is still the same. `now` is its metadata, or the number of the error.
    pub fn holds(&self, now: &Result<Stat, i32>) -> bool {
        match (self, now) {
            (Self::Missing(error), Err(now)) => error == now,
            (Self::Content(stat), Ok(now)) => stat == now,
            (Self::Folder { device, inode, mode }, Ok(now)) => {
                (*device, *inode, *mode) == (now.device, now.inode, now.mode)
            }
            (Self::Kind(mode), Ok(now)) => *mode == now.mode,
            _ => false,
        }
    }
}

/// A path and what it must be.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct KnownPath {
    /// The absolute path; none of its parent folders is a symlink.
    pub path: PathBuf,
    /// What it must be.
    pub state: PathState,
}

/// What is known of a probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Known<P> {
    /// Its answer, and the paths that it depends on.
    Answer {
        /// What it printed.
        output: String,
        /// The paths.
        paths: P,
    },
    /// It can't be remembered.
    Refused {
        /// Why.
        reason: String,
        /// How often that was tried.
        tries: u32,
    },
}

/// What is known of a probe, and since when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record<P> {
    /// When the probe ran.
    pub at: Timestamp,
    /// What is known.
    pub known: Known<P>,
}

/// The answers of probes, by the digests of their commands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProbeAnswers {
    /// The paths of all answers, each once.
    paths: Vec<KnownPath>,
    /// The records; their paths are indices.
    records: BTreeMap<[u8; Digest::LEN], Record<Vec<u32>>>,
}

impl ProbeAnswers {
    /// Reads the answers of a state directory. A missing or damaged file has none.
    pub fn load(state: &Path) -> Self {
        let bytes = file::read(&path(state)).ok().flatten().unwrap_or_default();
        parse(&bytes).unwrap_or_default()
    }

    /// Returns what is known of a probe. The paths are indices for [`ProbeAnswers::path`].
    pub fn get(&self, key: &Digest) -> Option<&Record<Vec<u32>>> {
        self.records.get(key.bytes())
    }

    /// Returns a path of an answer.
    pub fn path(&self, index: u32) -> Option<&KnownPath> {
        self.paths.get(index as usize)
    }

    /// Adds records to the file of a state directory.
    ///
    /// # Errors
    /// The file can't be written. The old one is then unchanged.
    pub fn add(state: &Path, fresh: Vec<(Digest, Record<Vec<KnownPath>>)>) -> Result<(), FileError> {
        let folder = folder(state);
        file::make_dir(&folder)?;
        let mut all = Self::load(state).into_records();
        all.extend(fresh.into_iter().map(|(key, record)| (*key.bytes(), record)));
        let mut newest: Vec<_> = all.into_iter().collect();
        newest.sort_by_key(|(_, record)| std::cmp::Reverse(record.at));
        newest.truncate(MAX_RECORDS);
        file::write(&path(state), &Self::from_records(newest).bytes(), &folder, Durability::Relaxed)
    }

    fn into_records(self) -> BTreeMap<[u8; Digest::LEN], Record<Vec<KnownPath>>> {
        let paths = self.paths;
        let full = |record: Record<Vec<u32>>| Record {
            at: record.at,
            known: match record.known {
                Known::Answer { output, paths: indices } => {
                    let paths = indices.iter().filter_map(|index| paths.get(*index as usize).cloned());
                    Known::Answer { output, paths: paths.collect() }
                }
                Known::Refused { reason, tries } => Known::Refused { reason, tries },
            },
        };
        self.records.into_iter().map(|(key, record)| (key, full(record))).collect()
    }

    fn from_records(records: Vec<([u8; Digest::LEN], Record<Vec<KnownPath>>)>) -> Self {
        let mut all = Self::default();
        let mut indices: HashMap<KnownPath, u32> = HashMap::new();
        for (key, record) in records {
            let known = match record.known {
                Known::Answer { output, paths } => {
                    let index = |path: KnownPath| {
                        *indices.entry(path).or_insert_with_key(|path| {
                            all.paths.push(path.clone());
                            u32::try_from(all.paths.len() - 1).unwrap_or(u32::MAX)
                        })
                    };
                    Known::Answer { output, paths: paths.into_iter().map(index).collect() }
                }
                Known::Refused { reason, tries } => Known::Refused { reason, tries },
            };
            all.records.insert(key, Record { at: record.at, known });
        }
        all
    }

    fn bytes(&self) -> Vec<u8> {
        let mut body = Writer(Vec::new());
        body.number(self.paths.len() as u64);
        for KnownPath { path, state } in &self.paths {
            body.text(path.as_os_str().as_bytes());
            body.state(state);
        }
        body.number(self.records.len() as u64);
        for (key, record) in &self.records {
            body.0.extend_from_slice(key);
            body.number(record.at.0);
            match &record.known {
                Known::Answer { output, paths } => {
                    body.0.push(0);
                    body.text(output.as_bytes());
                    body.number(paths.len() as u64);
                    for index in paths {
                        body.0.extend_from_slice(&index.to_le_bytes());
                    }
                }
                Known::Refused { reason, tries } => {
                    body.0.push(1);
                    body.text(reason.as_bytes());
                    body.0.extend_from_slice(&tries.to_le_bytes());
                }
            }
        }
        [MAGIC, Digest::hash(&body.0).bytes().as_slice(), &body.0].concat()
    }
}

/// Returns the folder of a state directory that has the answers.
pub fn folder(state: &Path) -> PathBuf {
    state.join("probes")
}

fn path(state: &Path) -> PathBuf {
    folder(state).join("answers")
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text);
    }

    fn state(&mut self, state: &PathState) {
        match state {
            PathState::Missing(error) => {
                self.0.push(0);
                self.0.extend_from_slice(&error.to_le_bytes());
            }
            PathState::Content(stat) => {
                self.0.push(1);
                for number in [stat.device, stat.inode, stat.size, u64::from(stat.mode)] {
                    self.number(number);
                }
                for time in [stat.modified, stat.changed] {
                    self.0.extend_from_slice(&time.seconds.to_le_bytes());
                    self.0.extend_from_slice(&time.nanos.to_le_bytes());
                }
            }
            PathState::Folder { device, inode, mode } => {
                self.0.push(2);
                self.number(*device);
                self.number(*inode);
                self.0.extend_from_slice(&mode.to_le_bytes());
            }
            PathState::Kind(mode) => {
                self.0.push(3);
                self.0.extend_from_slice(&mode.to_le_bytes());
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Option<ProbeAnswers> {
    let bytes = bytes.strip_prefix(MAGIC)?;
    let (digest, body) = bytes.split_first_chunk::<{ Digest::LEN }>()?;
    if digest != Digest::hash(body).bytes() {
        return None;
    }
    let mut reader = Reader(body);
    let mut all = ProbeAnswers::default();
    for _ in 0..reader.number()? {
        let path = PathBuf::from(OsStr::from_bytes(reader.text()?));
        all.paths.push(KnownPath { path, state: reader.state()? });
    }
    for _ in 0..reader.number()? {
        let key = reader.take()?;
        let at = Timestamp(reader.number()?);
        let known = match reader.take::<1>()? {
            [0] => {
                let output = String::from_utf8(reader.text()?.to_vec()).ok()?;
                let count = reader.number()?;
                let indices = (0..count).map(|_| reader.take().map(u32::from_le_bytes));
                let paths = indices.collect::<Option<Vec<u32>>>()?;
                if paths.iter().any(|index| *index as usize >= all.paths.len()) {
                    return None;
                }
                Known::Answer { output, paths }
            }
            [1] => Known::Refused {
                reason: String::from_utf8(reader.text()?.to_vec()).ok()?,
                tries: u32::from_le_bytes(reader.take()?),
            },
            _ => return None,
        };
        all.records.insert(key, Record { at, known });
    }
    reader.0.is_empty().then_some(all)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const L: usize>(&mut self) -> Option<[u8; L]> {
        let (value, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*value)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }

    fn word(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn time(&mut self) -> Option<FileTime> {
        Some(FileTime { seconds: i64::from_le_bytes(self.take()?), nanos: self.word()? })
    }

    fn state(&mut self) -> Option<PathState> {
        Some(match self.take::<1>()? {
            [0] => PathState::Missing(i32::from_le_bytes(self.take()?)),
            [1] => PathState::Content(Stat {
                device: self.number()?,
                inode: self.number()?,
                size: self.number()?,
                mode: u32::try_from(self.number()?).ok()?,
                modified: self.time()?,
                changed: self.time()?,
            }),
            [2] => PathState::Folder { device: self.number()?, inode: self.number()?, mode: self.word()? },
            [3] => PathState::Kind(self.word()?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(size: u64) -> Stat {
        let time = FileTime { seconds: 7, nanos: 9 };
        Stat { device: 1, inode: 2, size, mode: 0o100_644, modified: time, changed: time }
    }

    fn states() -> [PathState; 4] {
        [
            PathState::Missing(2),
            PathState::Content(stat(3)),
            PathState::Folder { device: 1, inode: 2, mode: 0o040_755 },
            PathState::Kind(0o020_666),
        ]
    }

    fn record(at: u64) -> Record<Vec<KnownPath>> {
        let path = |(index, state)| KnownPath { path: format!("/p{index}").into(), state };
        let paths = states().into_iter().enumerate().map(path).collect();
        Record { at: Timestamp(at), known: Known::Answer { output: format!("v{at}"), paths } }
    }

    #[test]
    fn stored_answers_are_loaded_and_any_flipped_byte_discards_them() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Known::Refused { reason: "a socket was used".to_owned(), tries: 2 };
        let fresh = vec![
            (Digest::hash(b"a"), record(1)),
            (Digest::hash(b"b"), record(2)),
            (Digest::hash(b"c"), Record { at: Timestamp(3), known: refused.clone() }),
        ];
        ProbeAnswers::add(dir.path(), fresh.clone()).unwrap();
        let loaded = ProbeAnswers::load(dir.path());
        assert_eq!(loaded.paths.len(), 4, "each path once");
        let records = loaded.into_records();
        for (key, record) in fresh {
            assert_eq!(records[key.bytes()], record);
        }
        let bytes = std::fs::read(path(dir.path())).unwrap();
        for i in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[i] ^= 1;
            assert_eq!(parse(&bad), None, "byte {i}");
            assert_eq!(parse(&bytes[..i]), None, "cut off at {i}");
        }
    }

    #[test]
    fn oldest_answers_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let keys: Vec<Digest> = (0..300_u64).map(|n| Digest::hash(&n.to_le_bytes())).collect();
        let fresh = keys.iter().enumerate().map(|(n, key)| (*key, record(n as u64))).collect();
        ProbeAnswers::add(dir.path(), fresh).unwrap();
        let loaded = ProbeAnswers::load(dir.path());
        assert!(loaded.get(&keys[43]).is_none() && loaded.get(&keys[44]).is_some());
    }

    #[test]
    fn state_holds_only_for_the_same_path() {
        let folder = Stat { mode: 0o040_755, ..stat(3) };
        let device = Stat { mode: 0o020_666, inode: 5, ..stat(3) };
        let nows = [Err(2), Ok(stat(3)), Ok(folder), Ok(device), Err(13), Ok(stat(4))];
        for (i, state) in states().into_iter().enumerate() {
            for (j, now) in nows.iter().enumerate() {
                assert_eq!(state.holds(now), i == j, "{state:?} {now:?}");
            }
        }
        let touched = Stat { modified: FileTime { seconds: 8, nanos: 0 }, size: 4, ..folder };
        assert!(states()[2].holds(&Ok(touched)), "the times of a folder don't count");
    }
}
