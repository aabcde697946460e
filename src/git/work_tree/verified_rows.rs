//! The files that were read and have exactly the bytes of their rows in git's index, although git may convert
//! them. Without this, a file with `text=auto` would need a look into the cache of stats at each reading, even if
//! its line ends are those of its blob. It does not know how files are read.
//!
//! A row says something about the file only together with its stat in the index. The stored file belongs to one
//! index; for another one, or if it is damaged, it counts as empty.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError};
use crate::git::index::Index;

const MAGIC: &[u8; 8] = b"tgrows1\n";
const HEAD: usize = MAGIC.len() + Digest::LEN;

/// The rows of verified files, stored on disk between runs.
#[derive(Debug, Default)]
pub(crate) struct VerifiedRows {
    rows: RwLock<Arc<RowSet>>,
    is_changed: AtomicBool,
    /// The stored file, and its folder.
    file: Option<(PathBuf, PathBuf)>,
}

/// A set of rows: a bit for each.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowSet(Vec<u8>);

impl RowSet {
    /// Returns whether the set contains a row.
    pub(crate) fn contains(&self, row: usize) -> bool {
        self.0.get(row / 8).is_some_and(|byte| byte & (1 << (row % 8)) != 0)
    }

    fn insert(&mut self, row: usize) {
        if self.0.len() <= row / 8 {
            self.0.resize(row / 8 + 1, 0);
        }
        self.0[row / 8] |= 1 << (row % 8);
    }
}

impl VerifiedRows {
    /// Loads the rows that were stored for this index. Without a file, nothing is stored.
    pub(crate) fn load(file: Option<(PathBuf, PathBuf)>, index: &Index) -> Self {
        let bytes = file.as_ref().and_then(|(path, _)| file::read(path).ok().flatten());
        let rows = bytes.and_then(|bytes| parse(&bytes, index)).unwrap_or_default();
        Self { rows: RwLock::new(Arc::new(rows)), is_changed: AtomicBool::new(false), file }
    }

    /// Returns the rows that are known now.
    pub(crate) fn rows(&self) -> Arc<RowSet> {
        Arc::clone(&self.rows.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds rows.
    pub(crate) fn add(&self, added: &[usize]) {
        if added.is_empty() {
            return;
        }
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let rows = Arc::make_mut(&mut rows);
        for row in added {
            rows.insert(*row);
        }
        self.is_changed.store(true, Ordering::Relaxed);
    }

    /// Writes the file if rows were added.
    pub(crate) fn save(&self, index: &Index) -> Result<(), FileError> {
        let Some((path, dir)) = &self.file else { return Ok(()) };
        if !self.is_changed.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let body = [index.digest().bytes(), &*self.rows().0].concat();
        file::make_dir(dir)?;
        file::write(
            path,
            &[MAGIC, &Digest::hash(&body).bytes()[..], &body].concat(),
            dir,
            Durability::Relaxed,
        )
    }
}

fn parse(bytes: &[u8], index: &Index) -> Option<RowSet> {
    let (head, body) = bytes.split_at_checked(HEAD)?;
    let (of, rows) = body.split_at_checked(Digest::LEN)?;
    let is_whole = head == [MAGIC, &Digest::hash(body).bytes()[..]].concat();
    (is_whole && of == index.digest().bytes()).then(|| RowSet(rows.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_loaded_for_the_same_index_until_the_file_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows");
        let file = Some((path.clone(), dir.path().to_owned()));
        let (index, mut other) = (Index::default(), Index::default());
        other.checksum = [1; 20];
        let rows = VerifiedRows::load(file.clone(), &index);
        rows.add(&[0, 9, 1000]);
        rows.save(&index).unwrap();
        let load = |index| VerifiedRows::load(file.clone(), index).rows();
        let found: Vec<usize> = (0..2000).filter(|row| load(&index).contains(*row)).collect();
        assert_eq!(found, [0, 9, 1000]);
        assert!(!load(&other).contains(9));
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            std::fs::write(&path, bad).unwrap();
            assert!(!load(&index).contains(9), "byte {at}");
            std::fs::write(&path, &bytes[..at]).unwrap();
            assert!(!load(&index).contains(9), "cut at {at}");
        }
    }
}
