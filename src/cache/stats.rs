//! Statistics of a cache for users. Nothing else depends on them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::cache::Cache;
use crate::cache::dirs::FileKind;
use crate::cache::error::CacheError;

/// The statistics of a cache.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// The number of entries, including damaged ones.
    pub entries: usize,
    /// The number of blobs.
    pub blobs: usize,
    /// The bytes of entries and blobs on disk.
    pub bytes: u64,
    /// The bytes that they may take.
    pub cap: u64,
    /// The last use of the least recently used entry.
    pub oldest_use: Option<Timestamp>,
    /// The last use of any entry.
    pub newest_use: Option<Timestamp>,
    /// The tasks, in descending order of their bytes.
    pub tasks: Vec<TaskStats>,
}

/// The statistics of one task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskStats {
    /// The task's name.
    pub task: String,
    /// The number of its entries.
    pub entries: usize,
    /// The bytes of its entries and of their blobs. A blob of several tasks counts for each of them.
    pub bytes: u64,
}

impl Cache {
    /// Computes the statistics.
    ///
    /// # Errors
    /// A folder can't be listed.
    pub fn stats(&self) -> Result<Stats, CacheError> {
        let entries = self.dirs.list(FileKind::Entry)?;
        let blobs: HashMap<Digest, u64> =
            self.dirs.list(FileKind::Blob)?.into_iter().map(|(digest, meta)| (digest, meta.len())).collect();
        let uses = || entries.iter().filter_map(|(_, meta)| meta.modified().ok()).map(timestamp);
        let mut stats = Stats {
            entries: entries.len(),
            blobs: blobs.len(),
            bytes: entries.iter().map(|(_, meta)| meta.len()).sum::<u64>() + blobs.values().sum::<u64>(),
            cap: self.cap,
            oldest_use: uses().min(),
            newest_use: uses().max(),
            tasks: Vec::new(),
        };
        let read: Vec<(String, u64, Vec<Digest>)> = entries
            .into_par_iter()
            .filter_map(|(key, _)| {
                let (entry, _) = self.entry(&key).ok()?;
                Some((entry.task().to_owned(), entry.size(), entry.blobs().collect()))
            })
            .collect();
        let mut tasks: BTreeMap<String, (usize, u64, HashSet<Digest>)> = BTreeMap::new();
        for (task, size, needs) in read {
            let (entries, bytes, seen) = tasks.entry(task).or_default();
            *entries += 1;
            *bytes += size;
            for digest in needs {
                if seen.insert(digest) {
                    *bytes += blobs.get(&digest).copied().unwrap_or(0);
                }
            }
        }
        stats.tasks =
            tasks.into_iter().map(|(task, (entries, bytes, _))| TaskStats { task, entries, bytes }).collect();
        stats.tasks.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.task.cmp(&b.task)));
        Ok(stats)
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
