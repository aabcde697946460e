//! The index of entries in use: a decision about a hit takes from it what it needs, and opens no file. It
//! does not know the format of the file.
//!
//! Entries stay the truth. A row counts only while the entry's file has the stat that it had when the row
//! was made, so an entry that was removed, replaced or edited since, by whomever, is read as without an
//! index. Nothing else has to keep the index up to date: runs only add rows, each at its end, in one file
//! that is replaced as a whole. If two runs do this at the same time, or one is killed, rows are missing
//! and the next run reads those entries.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError};
use crate::base::stat::{Moment, Stat};
use crate::cache::dirs::CacheDirs;
use crate::cache::format::entry::{Entry, EntryDraft};
use crate::cache::format::index::{self, IndexFile, IndexRow};

/// The index of a cache, shared by the threads of a run.
#[derive(Debug)]
pub(super) struct EntryIndex {
    path: PathBuf,
    /// The folder of all entries. Paths relative to it are short, which thousands of look-ups notice.
    entries: Option<OwnedFd>,
    file: IndexFile,
    /// Whether this run used the row at this position.
    used: Vec<AtomicBool>,
    added: Mutex<AddedRows>,
    /// The time before the first entry was read that had no row; `None` if it is unknown.
    before: OnceLock<Option<Moment>>,
}

/// The rows that this run adds.
#[derive(Debug, Default)]
struct AddedRows {
    /// Rows of entries that were read.
    read: HashMap<Digest, IndexRow>,
    /// Rows of entries that were written.
    written: HashMap<Digest, IndexRow>,
}

impl EntryIndex {
    /// Reads the index. A missing or damaged one is empty.
    pub(super) fn load(path: PathBuf, entries: &Path) -> Self {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let entries = rustix::fs::open(entries, flags, Mode::empty()).ok();
        let file = read(&path);
        let used = (0..file.len()).map(|_| AtomicBool::new(false)).collect();
        Self { path, entries, file, used, added: Mutex::default(), before: OnceLock::new() }
    }

    /// Returns the row of a key if the entry's file has still the stat that it had.
    pub(super) fn get(&self, key: &Digest) -> Option<IndexRow> {
        let position = self.file.position(key)?;
        let (_, row) = self.file.row(position)?;
        let path = CacheDirs::name_in_folder(key);
        let stat = rustix::fs::statat(self.entries.as_ref()?, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        if Stat::of_system(&stat) != row.stat {
            return None;
        }
        self.used[position].store(true, Ordering::Relaxed);
        Some(row)
    }

    /// Reads the clock of the cache's file system, before entries are read.
    pub(super) fn begin_reading(&self, temp: &Path) {
        self.before.get_or_init(|| Moment::now(temp).ok());
    }

    /// Adds an entry that was read when its file had this stat.
    pub(super) fn add_read(&self, entry: &Entry, stat: Stat) {
        let is_settled = self.before.get().and_then(Option::as_ref).is_some_and(|now| stat.is_settled(now));
        if let Some(row) = IndexRow::from_entry(entry, stat).filter(|_| is_settled) {
            self.added().read.insert(entry.key, row);
        }
    }

    /// Adds an entry that this run wrote.
    pub(super) fn add_written(&self, draft: &EntryDraft<'_>, stat: Stat) {
        if let Some(row) = IndexRow::from_draft(draft, stat) {
            self.added().written.insert(draft.key, row);
        }
    }

    fn added(&self) -> std::sync::MutexGuard<'_, AddedRows> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the index if this run has rows to add.
    pub(super) fn save(&self, temp: &Path, now: Timestamp) -> Result<(), FileError> {
        let AddedRows { mut read, written } = std::mem::take(&mut *self.added());
        if !written.is_empty()
            && let Ok(moment) = Moment::now(temp)
        {
            // Their bytes were written to private files, and any later change shows in their stat.
            read.extend(written.into_iter().filter(|(_, row)| row.stat.is_settled(&moment)));
        }
        if read.is_empty() {
            return Ok(());
        }
        // Other runs may have added rows.
        let mut rows = self::read(&self.path).rows();
        for (position, used) in self.used.iter().enumerate() {
            if used.load(Ordering::Relaxed)
                && let Some((key, row)) = self.file.row(position)
            {
                rows.entry(key).or_insert(row).used = now.0;
            }
        }
        for (key, mut row) in read {
            row.used = now.0;
            rows.insert(key, row);
        }
        file::write(&self.path, &index::encode(rows, now.0), temp, Durability::Relaxed)
    }
}

fn read(path: &Path) -> IndexFile {
    IndexFile::new(file::read(path).ok().flatten().unwrap_or_default())
}
