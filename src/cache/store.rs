//! Storing: a passed run becomes an entry, whole or not at all. It must not know whether the run
//! deserves it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::PoisonError;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use tempfile::NamedTempFile;

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::file::{self, FileError};
use crate::base::lock::FileLock;
use crate::base::path::RepoPath;
use crate::cache::Cache;
use crate::cache::error::CacheError;
use crate::cache::format::blob::{self, Depth, Name, StageError};
use crate::cache::format::entry::{Draft, NewSection, Packed, Stored};
use crate::cache::outputs::content;
use crate::cache::outputs::output_set::{Content, Output, OutputSet};
use crate::cache::place::{self, Kind};
use crate::cache::secret::Forbidden;
use crate::cache::stage::Staging;

/// Files up to this size share packs, larger ones have blobs of their own.
const SMALL_FILE: u64 = 64 << 10;
/// Log, explanation and packs up to this size, compressed, lie in the entry's own file.
const INLINE: usize = 64 << 10;
/// A pack takes files up to this sum.
const PACK: u64 = 8 << 20;

/// What is to be stored under a key.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    /// The task's name.
    pub task: &'a str,
    /// The key field by field, for whoever asks why; the cache does not look into it.
    pub explanation: &'a [u8],
    /// What the run printed, secrets masked.
    pub log: &'a str,
    /// How long the run took, in milliseconds.
    pub took: u64,
    /// When it passed.
    pub at: Timestamp,
    /// What it left, as [`Cache::collect`] found it.
    pub outputs: &'a OutputSet,
    /// What its outputs must not hold.
    pub forbidden: Option<&'a Forbidden<'a>>,
}

/// What took less, in milliseconds, is not flushed to the disk before it gets its name: flushing
/// would take longer than making it again. If a power cut takes its bytes, its digest shows it.
const WORTH_FLUSHING: u64 = 100;

impl Cache {
    /// Stores an entry with the outputs that lie below `root`, and replaces what was under the key.
    /// Beyond the cap it collects garbage afterwards, except on a thread of rayon's, which may hold
    /// another store on its stack.
    ///
    /// # Errors
    /// An output changed since it was collected or holds what is forbidden, the disk is full, or the
    /// result is larger than the cache may be. Nothing is stored then and nothing stays behind.
    pub fn store(&self, key: &Digest, new: &NewEntry<'_>, root: &Path) -> Result<(), CacheError> {
        let needed = new.outputs.size() + (new.log.len() + new.explanation.len()) as u64;
        let grown = self.store_shared(key, new, root);
        let grown = grown.map_err(|error| error.with_space(&self.place.folder(Kind::Entry), needed))?;
        // The entry stands, whatever becomes of the tidying up.
        let _ = self.remove_damaged();
        if self.grow(grown) > self.cap && rayon::current_thread_index().is_none() {
            let _ = self.gc();
        }
        Ok(())
    }

    /// Stores while no garbage is collected; gives the bytes that were written.
    fn store_shared(&self, key: &Digest, new: &NewEntry<'_>, root: &Path) -> Result<u64, CacheError> {
        if !self.place.temp().is_dir() {
            self.place.make()?;
        }
        let _shared = match FileLock::shared(&self.place.lock()) {
            // Garbage collection can't take it there either, and so never runs.
            Err(error) if FileLock::is_unsupported(&error) => None,
            lock => Some(lock?),
        };
        let staging = Staging::new(self, new.forbidden);
        let outputs = new.outputs.outputs();
        check_names(outputs, &staging)?;
        let layout = Layout::of(outputs);
        // Most tasks have no outputs; asking the thread pool to do nothing would cost more than the rest.
        let packs: Vec<NewSection<'static>> = if outputs.is_empty() {
            Vec::new()
        } else {
            let large = outputs.par_iter().filter(|output| output.size() > SMALL_FILE);
            large.map(|output| add_file(output, root, &staging)).collect::<Result<(), _>>()?;
            layout.packs.par_iter().map(|files| pack(files, root, &staging)).collect::<Result<_, _>>()?
        };
        let draft = Draft {
            key: *key,
            task: new.task,
            took: new.took,
            at: new.at,
            output_digest: new.outputs.digest(),
            outputs: layout.place(outputs),
            packs,
            log: section(new.log.as_bytes(), &staging)?,
            explanation: section(new.explanation, &staging)?,
        };
        self.install(&draft, staging)
    }

    /// Writes the entry, then names the blobs, then the entry.
    fn install(&self, draft: &Draft<'_>, staging: Staging<'_>) -> Result<u64, CacheError> {
        let (temp, path) = (self.place.temp(), self.place.file(Kind::Entry, &draft.key));
        let bytes = draft.encode();
        staging.grow(bytes.len() as u64);
        staging.check_size()?;
        let mut file =
            NamedTempFile::new_in(&temp).map_err(FileError::of("make a temporary file in", &temp))?;
        file.write_all(&bytes).map_err(FileError::of("write to", &temp))?;
        if draft.took >= WORTH_FLUSHING {
            file.as_file().sync_data().map_err(FileError::of("flush to", &temp))?;
        }
        if let Some(shard) = path.parent() {
            file::make_dir(shard)?;
        }
        let installed = staging.install()?;
        // The folder is not flushed: an entry that a power cut takes back is a miss, no damage.
        file.persist(&path).map_err(|error| FileError::of("rename into place", &path)(error.error))?;
        installed.remember(self);
        Ok(installed.bytes + bytes.len() as u64)
    }

    /// Removes blobs that were found damaged and that no store has replaced.
    fn remove_damaged(&self) -> Result<(), CacheError> {
        if rayon::current_thread_index().is_some() {
            return Ok(());
        }
        let damaged = std::mem::take(&mut *self.damaged.lock().unwrap_or_else(PoisonError::into_inner));
        if damaged.is_empty() {
            return Ok(());
        }
        // Alone, so that no store counts on a blob between our look and its end.
        let _alone = FileLock::exclusive(&self.place.lock())?;
        for digest in damaged {
            let path = self.place.file(Kind::Blob, &digest);
            if blob::verify(&path, &digest, Depth::Content).is_err() {
                place::remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Which small file goes into which pack.
struct Layout<'a> {
    packs: Vec<Vec<&'a Output>>,
    places: HashMap<&'a RepoPath, Packed>,
}

impl<'a> Layout<'a> {
    fn of(outputs: &'a [Output]) -> Self {
        let mut layout = Self { packs: Vec::new(), places: HashMap::new() };
        let mut end = 0;
        for output in outputs {
            if !matches!(output.content, Content::File { .. }) || output.size() > SMALL_FILE {
                continue;
            }
            if layout.packs.is_empty() || end + output.size() > PACK {
                layout.packs.push(Vec::new());
                end = 0;
            }
            let pack = u32::try_from(layout.packs.len() - 1).unwrap_or(u32::MAX);
            layout.places.insert(&output.path, Packed { pack, offset: end });
            if let Some(last) = layout.packs.last_mut() {
                last.push(output);
            }
            end += output.size();
        }
        layout
    }

    fn place(&self, outputs: &[Output]) -> Vec<Stored> {
        let place = |output: &Output| self.places.get(&output.path).copied();
        outputs.iter().map(|output| Stored { output: output.clone(), packed: place(output) }).collect()
    }
}

/// Names and targets are stored as well, so they are searched too.
fn check_names(outputs: &[Output], staging: &Staging<'_>) -> Result<(), CacheError> {
    for output in outputs {
        let target = match &output.content {
            Content::Symlink { target } => target,
            _ => &Box::default(),
        };
        if staging.search().finds_in(output.path.bytes()) || staging.search().finds_in(target) {
            return Err(CacheError::Secret { path: output.path.clone() });
        }
    }
    Ok(())
}

/// Reads small files into one pack.
fn pack(files: &[&Output], root: &Path, staging: &Staging<'_>) -> Result<NewSection<'static>, CacheError> {
    let contents: Vec<Vec<u8>> =
        files.par_iter().map(|output| read_small(output, root, staging)).collect::<Result<_, _>>()?;
    Ok(section(&contents.concat(), staging)?.into_owned())
}

fn read_small(output: &Output, root: &Path, staging: &Staging<'_>) -> Result<Vec<u8>, CacheError> {
    let Content::File { size, digest, .. } = &output.content else { return Ok(Vec::new()) };
    let (file, _) = content::open(root, &output.path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(*size).unwrap_or(0) + 1);
    let full = || output.path.under(root);
    file.take(size + 1).read_to_end(&mut bytes).map_err(|error| FileError::of("read", &full())(error))?;
    if Digest::of(&bytes) != *digest {
        return Err(content::changed(&output.path));
    }
    if staging.search().finds_in(&bytes) {
        return Err(CacheError::Secret { path: output.path.clone() });
    }
    Ok(bytes)
}

/// Stages a large file as a blob of its own.
fn add_file(output: &Output, root: &Path, staging: &Staging<'_>) -> Result<(), CacheError> {
    let Content::File { size, digest, .. } = &output.content else { return Ok(()) };
    let (mut file, _): (File, _) = content::open(root, &output.path)?;
    let staged = staging.add_output(Name { digest: *digest, len: *size }, &mut file);
    staged.map_err(|error| match error {
        StageError::File(error) => error.into(),
        StageError::Read(error) => FileError::of("read", &output.path.under(root))(error).into(),
        StageError::Changed => content::changed(&output.path),
        StageError::Secret => CacheError::Secret { path: output.path.clone() },
    })?;
    staging.check_size()
}

/// Bytes that lie in the entry if they are few, else in a blob. The caller has searched them.
fn section<'a>(raw: &'a [u8], staging: &Staging<'_>) -> Result<NewSection<'a>, CacheError> {
    let inline = NewSection::inline(raw);
    if matches!(&inline, NewSection::Inline { bytes, .. } if bytes.len() <= INLINE) {
        return Ok(inline);
    }
    let name = Name::of(raw);
    staging.add_bytes(name, raw).map_err(|error| match error {
        StageError::File(error) => error.into(),
        StageError::Changed | StageError::Secret | StageError::Read(_) => {
            CacheError::Damaged("bytes in memory changed while they were stored".to_owned())
        }
    })?;
    staging.check_size()?;
    Ok(NewSection::Blob(name))
}
