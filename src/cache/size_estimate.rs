//! The estimate of the cache's size: the sum of what each store added since the last garbage
//! collection. It only decides when garbage is collected, so a killed run may leave out its last stores.

use std::io::Write as _;
use std::sync::PoisonError;

use crate::base::file::{self, Durability, FileError};
use crate::cache::dirs::FileKind;
use crate::cache::{Cache, SizeEstimate};

/// Beyond this many bytes the file of summands is replaced by the sum.
const MAX_FILE_SIZE: usize = 64 << 10;

/// So many bytes are added to the file at once: a run of many small stores does not write it for each.
const MIN_ADDED: u64 = 1 << 20;

impl Cache {
    /// Adds to the estimate and returns the new one. If the file is lost, the files of the cache are
    /// counted; if that fails too, the estimate is 0.
    pub(super) fn add_to_size_estimate(&self, bytes: u64) -> u64 {
        let mut estimate = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        // The bytes were stored already, so counted files contain them.
        let Some(known) = estimate.known.or_else(|| self.saved_size()) else {
            let total = self.count_bytes().unwrap_or(0);
            *estimate = SizeEstimate { known: Some(total), unsaved: 0 };
            self.replace_size(total);
            return total;
        };
        let total = known.saturating_add(bytes);
        *estimate = SizeEstimate { known: Some(total), unsaved: estimate.unsaved.saturating_add(bytes) };
        if estimate.unsaved >= MIN_ADDED {
            self.save_size(&mut estimate);
        }
        total
    }

    /// Sets the estimate to a counted size.
    pub(super) fn set_size_estimate(&self, bytes: u64) {
        let mut estimate = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        *estimate = SizeEstimate { known: Some(bytes), unsaved: 0 };
        self.replace_size(bytes);
    }

    /// Adds to the file what this process has stored since it did so last.
    pub(super) fn save_size_estimate(&self) {
        self.save_size(&mut self.size.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Adds the unsaved bytes to the file, and takes over what other processes have added.
    fn save_size(&self, estimate: &mut SizeEstimate) {
        let bytes = std::mem::take(&mut estimate.unsaved);
        if bytes == 0 {
            return;
        }
        let path = self.dirs.size();
        let text = file::read(&path).ok().flatten().unwrap_or_default();
        let saved = sum(&text);
        if saved.is_some() && text.len() < MAX_FILE_SIZE {
            // One short append, so that many processes can add at the same time.
            let line = format!("{bytes}\n");
            let _ = file::open_append(&path).map(|mut file| file.write_all(line.as_bytes()));
        } else {
            self.replace_size(saved.map_or(estimate.known.unwrap_or(0), |saved| saved.saturating_add(bytes)));
        }
        estimate.known = saved.map(|saved| saved.saturating_add(bytes)).or(estimate.known);
    }

    fn saved_size(&self) -> Option<u64> {
        sum(&file::read(&self.dirs.size()).ok().flatten().unwrap_or_default())
    }

    fn replace_size(&self, bytes: u64) {
        let text = format!("{bytes}\n");
        let _ = file::write(&self.dirs.size(), text.as_bytes(), &self.dirs.temp(), Durability::Relaxed);
    }

    fn count_bytes(&self) -> Result<u64, FileError> {
        let files = [self.dirs.list(FileKind::Entry)?, self.dirs.list(FileKind::Blob)?];
        Ok(files.iter().flatten().map(|(_, meta)| meta.len()).sum())
    }
}

/// Returns the sum of the lines; `None` if there are none or one is not a number.
fn sum(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.is_empty() {
        return None;
    }
    text.lines().try_fold(0u64, |sum, line| Some(sum.saturating_add(line.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_estimate_is_ignored() {
        for (text, expected) in [("", None), ("12\n", Some(12)), ("12\n3\n", Some(15)), ("12\nx\n", None)] {
            assert_eq!(sum(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(sum(b"\xff\n"), None);
    }
}
