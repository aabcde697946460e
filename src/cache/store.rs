//! Stores the result of a passed run as an entry, completely or not at all. It does not know whether
//! the result may be stored.

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
use crate::base::stat::Stat;
use crate::cache::Cache;
use crate::cache::dirs::{self, FileKind};
use crate::cache::error::CacheError;
use crate::cache::format::blob::{self, BlobName, StageError, VerifyDepth};
use crate::cache::format::entry::{EntryDraft, NewSection, PackPosition, StoredOutput};
use crate::cache::outputs::content;
use crate::cache::outputs::output_set::{Output, OutputContent, OutputSet};
use crate::cache::secret_search::SecretMatcher;
use crate::cache::staging_dir::Staging;

/// Files up to this size share packs; larger ones have blobs of their own.
const SMALL_FILE: u64 = 64 << 10;
/// A log, explanation or pack up to this compressed size is in the entry's own file.
const MAX_INLINE: usize = 64 << 10;
/// The maximum size of a pack.
const MAX_PACK: u64 = 8 << 20;

/// The result to be stored under a key.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    /// The task's name.
    pub task: &'a str,
    /// The fields of the key, for explanations; the cache does not read them.
    pub explanation: &'a [u8],
    /// The output of the run, with secrets masked.
    pub log: &'a str,
    /// How long the run took, in milliseconds.
    pub took: u64,
    /// When it passed.
    pub at: Timestamp,
    /// The outputs, as returned by [`Cache::collect`].
    pub outputs: &'a OutputSet,
    /// Finds secrets, which outputs must not contain.
    pub forbidden: Option<&'a SecretMatcher<'a>>,
}

/// A result that took less time, in milliseconds, is not flushed to the disk: flushing would take
/// longer than computing it again. If a power cut damages it, its digest shows that.
const WORTH_FLUSHING: u64 = 100;

impl Cache {
    /// Stores an entry with the outputs below `root`, and replaces an existing one. If the cache
    /// exceeds its cap, garbage is collected afterwards, except on a thread of rayon, which may have
    /// another store on its stack.
    ///
    /// # Errors
    /// An output has changed since it was collected or contains a secret, the disk is full, or the
    /// result is larger than the cache may be. Then nothing is stored and no file stays.
    pub fn store(&self, key: &Digest, new: &NewEntry<'_>, root: &Path) -> Result<(), CacheError> {
        let needed = new.outputs.size() + (new.log.len() + new.explanation.len()) as u64;
        let grown = self.store_shared(key, new, root);
        let grown = grown.map_err(|error| error.with_space(&self.dirs.folder(FileKind::Entry), needed))?;
        // The entry is stored even if the cleanup fails.
        let _ = self.remove_damaged();
        if self.add_to_size_estimate(grown) > self.cap && rayon::current_thread_index().is_none() {
            let _ = self.gc();
        }
        Ok(())
    }

    /// Stores while no garbage is collected; returns the number of bytes written.
    fn store_shared(&self, key: &Digest, new: &NewEntry<'_>, root: &Path) -> Result<u64, CacheError> {
        if !self.dirs.temp().is_dir() {
            self.dirs.create()?;
        }
        let _shared = match FileLock::shared(&self.dirs.lock()) {
            // Garbage collection can't take the lock either, so it never runs.
            Err(error) if FileLock::is_unsupported(&error) => None,
            lock => Some(lock?),
        };
        let staging = Staging::new(self, new.forbidden);
        let outputs = new.outputs.outputs();
        check_names(outputs, &staging)?;
        let layout = PackLayout::new(outputs);
        // Most tasks have no outputs. Calling the thread pool for nothing would take longer than the
        // rest.
        let packs: Vec<NewSection<'static>> = if outputs.is_empty() {
            Vec::new()
        } else {
            let large = outputs.par_iter().filter(|output| output.size() > SMALL_FILE);
            large.map(|output| add_file(output, root, &staging)).collect::<Result<(), _>>()?;
            layout.packs.par_iter().map(|files| pack(files, root, &staging)).collect::<Result<_, _>>()?
        };
        let draft = EntryDraft {
            key: *key,
            task: new.task,
            took: new.took,
            at: new.at,
            output_digest: new.outputs.digest(),
            outputs: layout.stored_outputs(outputs),
            packs,
            log: section(new.log.as_bytes(), &staging)?,
            explanation: section(new.explanation, &staging)?,
        };
        self.install(&draft, staging)
    }

    /// Writes the entry, then gives the blobs their names, then the entry.
    fn install(&self, draft: &EntryDraft<'_>, staging: Staging<'_>) -> Result<u64, CacheError> {
        let (temp, path) = (self.dirs.temp(), self.dirs.file(FileKind::Entry, &draft.key));
        let bytes = draft.encode();
        staging.grow(bytes.len() as u64);
        staging.check_size()?;
        let mut file =
            NamedTempFile::new_in(&temp).map_err(FileError::context("make a temporary file in", &temp))?;
        file.write_all(&bytes).map_err(FileError::context("write to", &temp))?;
        if draft.took >= WORTH_FLUSHING {
            file.as_file().sync_data().map_err(FileError::context("flush to", &temp))?;
        }
        if let Some(shard) = path.parent() {
            file::make_dir(shard)?;
        }
        let installed = staging.install()?;
        // The folder is not flushed: an entry that a power cut removes is only a miss.
        let file = rename_into_place(file, &path)?;
        if let Ok(meta) = file.metadata() {
            self.index().add_written(draft, Stat::new(&meta));
        }
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
        // With the exclusive lock no store can rely on a blob between its verification and its
        // removal.
        let _alone = FileLock::exclusive(&self.dirs.lock())?;
        for digest in damaged {
            let path = self.dirs.file(FileKind::Blob, &digest);
            if blob::verify(&path, &digest, VerifyDepth::Content).is_err() {
                dirs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// Gives an entry its name, at once, whether there is an entry with that name or not.
fn rename_into_place(file: NamedTempFile, path: &Path) -> Result<File, FileError> {
    // If a rename replaces a file, some file systems write the new one to the disk first. An exchange does
    // not, and the old entry is removed as a temporary file.
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        if renameat_with(CWD, file.path(), CWD, path, RenameFlags::EXCHANGE).is_ok() {
            return Ok(file.into_file());
        }
    }
    file.persist(path).map_err(|error| FileError::context("rename into place", path)(error.error))
}

/// Assigns small files to packs.
struct PackLayout<'a> {
    packs: Vec<Vec<&'a Output>>,
    positions: HashMap<&'a RepoPath, PackPosition>,
}

impl<'a> PackLayout<'a> {
    fn new(outputs: &'a [Output]) -> Self {
        let mut layout = Self { packs: Vec::new(), positions: HashMap::new() };
        let mut end = 0;
        for output in outputs {
            if !matches!(output.content, OutputContent::File { .. }) || output.size() > SMALL_FILE {
                continue;
            }
            if layout.packs.is_empty() || end + output.size() > MAX_PACK {
                layout.packs.push(Vec::new());
                end = 0;
            }
            let pack = u32::try_from(layout.packs.len() - 1).unwrap_or(u32::MAX);
            layout.positions.insert(&output.path, PackPosition { pack, offset: end });
            if let Some(last) = layout.packs.last_mut() {
                last.push(output);
            }
            end += output.size();
        }
        layout
    }

    fn stored_outputs(&self, outputs: &[Output]) -> Vec<StoredOutput> {
        let place = |output: &Output| self.positions.get(&output.path).copied();
        outputs.iter().map(|output| StoredOutput { output: output.clone(), packed: place(output) }).collect()
    }
}

/// Fails if a name or a symlink's target contains a secret, because they are stored too.
fn check_names(outputs: &[Output], staging: &Staging<'_>) -> Result<(), CacheError> {
    for output in outputs {
        let target = match &output.content {
            OutputContent::Symlink { target } => target,
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
    let OutputContent::File { size, digest, .. } = &output.content else { return Ok(Vec::new()) };
    let (file, _) = content::open(root, &output.path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(*size).unwrap_or(0) + 1);
    let full = || output.path.under(root);
    file.take(size + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| FileError::context("read", &full())(error))?;
    if Digest::hash(&bytes) != *digest {
        return Err(content::changed_error(&output.path));
    }
    if staging.search().finds_in(&bytes) {
        return Err(CacheError::Secret { path: output.path.clone() });
    }
    Ok(bytes)
}

/// Stages a large file as its own blob.
fn add_file(output: &Output, root: &Path, staging: &Staging<'_>) -> Result<(), CacheError> {
    let OutputContent::File { size, digest, .. } = &output.content else { return Ok(()) };
    let (mut file, _): (File, _) = content::open(root, &output.path)?;
    let staged = staging.add_output(BlobName { digest: *digest, len: *size }, &mut file);
    staged.map_err(|error| match error {
        StageError::File(error) => error.into(),
        StageError::Read(error) => FileError::context("read", &output.path.under(root))(error).into(),
        StageError::Changed => content::changed_error(&output.path),
        StageError::Secret => CacheError::Secret { path: output.path.clone() },
    })?;
    staging.check_size()
}

/// Returns a section: in the entry if the bytes are few, else in a blob. The caller has searched them
/// for secrets.
fn section<'a>(raw: &'a [u8], staging: &Staging<'_>) -> Result<NewSection<'a>, CacheError> {
    let inline = NewSection::inline(raw);
    if matches!(&inline, NewSection::Inline { bytes, .. } if bytes.len() <= MAX_INLINE) {
        return Ok(inline);
    }
    let name = BlobName::from_content(raw);
    staging.add_bytes(name, raw).map_err(|error| match error {
        StageError::File(error) => error.into(),
        StageError::Changed | StageError::Secret | StageError::Read(_) => {
            CacheError::Damaged("bytes in memory changed while they were stored".to_owned())
        }
    })?;
    staging.check_size()?;
    Ok(NewSection::Blob(name))
}
