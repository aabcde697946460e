//! The estimate of the cache's size: the sum of what each store added since the last garbage
//! collection. It only decides when garbage is collected.

use std::io::Write as _;

use crate::base::file::{self, Durability, FileError};
use crate::cache::Cache;
use crate::cache::dirs::FileKind;

/// Beyond this many bytes the file of summands is replaced by the sum.
const MAX_FILE_SIZE: usize = 64 << 10;

impl Cache {
    /// Adds to the estimate and returns the new one. If the file is lost, the files of the cache are
    /// counted; if that fails too, the estimate is 0.
    pub(super) fn add_to_size_estimate(&self, bytes: u64) -> u64 {
        let path = self.dirs.size();
        let text = file::read(&path).ok().flatten().unwrap_or_default();
        match sum(&text) {
            Some(known) if text.len() < MAX_FILE_SIZE => {
                // One short append, so that many processes can add at the same time.
                let line = format!("{bytes}\n");
                let _ = file::open_append(&path).map(|mut file| file.write_all(line.as_bytes()));
                known.saturating_add(bytes)
            }
            Some(known) => {
                let total = known.saturating_add(bytes);
                self.set_size_estimate(total);
                total
            }
            None => {
                let total = self.count_bytes().unwrap_or(0);
                self.set_size_estimate(total);
                total
            }
        }
    }

    /// Sets the estimate to a counted size.
    pub(super) fn set_size_estimate(&self, bytes: u64) {
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
