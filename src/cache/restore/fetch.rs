//! Fetches the contents that a restore writes: they are read and verified before anything is changed.
//! It does not know what is at their destination.

use std::collections::HashMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rayon::iter::{IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _};
use tempfile::TempPath;

use crate::base::digest::Digest;
use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::cache::Cache;
use crate::cache::dirs::FileKind;
use crate::cache::error::CacheError;
use crate::cache::format::blob::{self, UnpackError};
use crate::cache::format::entry::{Entry, PackPosition, Section, SectionLocation, StoredOutput};
use crate::cache::outputs::output_set::OutputContent;
use crate::cache::restore::plan::{PlannedWrite, RestoreError, RestorePlan};

/// Packs up to this total size are kept in memory, otherwise in temporary files.
const MAX_PACK_MEMORY: u64 = 256 << 20;

/// Verified contents.
#[derive(Debug, Default)]
pub(crate) struct FetchedContents {
    /// The packs by their index in the entry; `None` for unused ones.
    packs: Vec<Option<FetchedPack>>,
    /// Large files, complete and with their mode, on the file system of their destination; by the
    /// index of the output.
    pub(crate) large: HashMap<usize, TempPath>,
}

#[derive(Debug)]
enum FetchedPack {
    Memory(Vec<u8>),
    /// An unnamed file.
    File(File),
}

impl FetchedContents {
    /// Reads `size` bytes of a pack into `buffer`.
    pub(crate) fn read(&self, packed: PackPosition, size: u64, buffer: &mut Vec<u8>) -> std::io::Result<()> {
        let missing = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let size = usize::try_from(size).map_err(|_| missing())?;
        let pack = usize::try_from(packed.pack).ok().and_then(|pack| self.packs.get(pack));
        buffer.clear();
        match pack {
            Some(Some(FetchedPack::Memory(bytes))) => {
                let start = usize::try_from(packed.offset).map_err(|_| missing())?;
                let bytes = bytes.get(start..).and_then(|rest| rest.get(..size)).ok_or_else(missing)?;
                buffer.extend_from_slice(bytes);
                Ok(())
            }
            Some(Some(FetchedPack::File(file))) => {
                buffer.resize(size, 0);
                file.read_exact_at(buffer, packed.offset)
            }
            _ => Err(missing()),
        }
    }
}

/// The folders where outputs will be written, and their disks.
pub(crate) struct TargetDisks<'a> {
    root: &'a Path,
    nearest: HashMap<RepoPath, (PathBuf, u64)>,
}

impl<'a> TargetDisks<'a> {
    pub(crate) fn new(root: &'a Path) -> Self {
        Self { root, nearest: HashMap::new() }
    }

    /// Returns the nearest existing folder above `path`, and its device.
    fn above(&mut self, path: &RepoPath) -> Result<(PathBuf, u64), FileError> {
        let parent = path.parent().unwrap_or_default();
        if let Some(known) = self.nearest.get(&parent) {
            return Ok(known.clone());
        }
        let mut at = parent.clone();
        let found = loop {
            let full = at.under(self.root);
            let meta = if at.is_top() { full.metadata() } else { full.symlink_metadata() };
            match (meta, at.parent()) {
                (Ok(meta), _) if meta.is_dir() => break (full, meta.dev()),
                (_, Some(parent)) => at = parent,
                (Ok(_), None) => return Err(not_a_folder(&full)),
                (Err(error), None) => return Err(FileError::context("look at", &full)(error)),
            }
        };
        self.nearest.insert(parent, found.clone());
        Ok(found)
    }
}

fn not_a_folder(path: &Path) -> FileError {
    FileError::context("restore below", path)(std::io::ErrorKind::NotADirectory.into())
}

impl Cache {
    /// Reads and verifies all contents that the plan writes.
    pub(crate) fn fetch(
        &self,
        root: &Path,
        entry: &Entry,
        plan: &RestorePlan,
    ) -> Result<FetchedContents, RestoreError> {
        let mut disks = TargetDisks::new(root);
        check_space(&entry.outputs, plan, &mut disks)?;
        Ok(FetchedContents {
            packs: self.fetch_packs(root, entry, plan)?,
            large: self.fetch_large(entry, plan, &mut disks)?,
        })
    }

    fn fetch_packs(
        &self,
        root: &Path,
        entry: &Entry,
        plan: &RestorePlan,
    ) -> Result<Vec<Option<FetchedPack>>, RestoreError> {
        let temp = self.dirs.writable_temp().unwrap_or_else(|| root.to_owned());
        let mut is_needed = vec![false; entry.packs.len()];
        for packed in plan.writes.iter().filter_map(|write| entry.outputs[write.index].packed) {
            if let Some(needed) = usize::try_from(packed.pack).ok().and_then(|pack| is_needed.get_mut(pack)) {
                *needed = true;
            }
        }
        let packs = || entry.packs.iter().zip(&is_needed).filter(|(_, is_needed)| **is_needed);
        let fits = packs().map(|(pack, _)| pack.len).sum::<u64>() <= MAX_PACK_MEMORY;
        let fetch = |(pack, is_needed): (&Section, &bool)| match &pack.location {
            _ if !is_needed => Ok(None),
            SectionLocation::Blob(digest) if !fits => {
                self.unpack(digest, pack.len, &temp).map(FetchedPack::File).map(Some)
            }
            _ => match self.section(entry, pack) {
                Ok(bytes) => Ok(Some(FetchedPack::Memory(bytes))),
                Err(CacheError::Damaged(what)) => Err(RestoreError::Damaged(what)),
                Err(other) => Err(RestoreError::Damaged(other.to_string())),
            },
        };
        entry.packs.par_iter().zip(&is_needed).map(fetch).collect()
    }

    /// Unpacks a pack into an unnamed file.
    fn unpack(&self, digest: &Digest, len: u64, temp: &Path) -> Result<File, RestoreError> {
        let mut file = tempfile::tempfile_in(temp).map_err(|error| {
            RestoreError::from_file_error(FileError::context("make a file in", temp)(error), temp, len)
        })?;
        self.unpack_to(digest, &mut file, temp, len)?;
        Ok(file)
    }

    fn unpack_to(
        &self,
        digest: &Digest,
        file: &mut File,
        folder: &Path,
        len: u64,
    ) -> Result<(), RestoreError> {
        blob::unpack(&self.dirs.file(FileKind::Blob, digest), digest, file).map_err(|error| match error {
            UnpackError::Blob(error) => RestoreError::Damaged(self.damaged_blob(digest, &error)),
            UnpackError::Out(error) => {
                RestoreError::from_file_error(FileError::context("write to", folder)(error), folder, len)
            }
        })
    }

    /// Stages large files: in the cache's own folder if it is on the same disk, so that a killed
    /// restore leaves nothing in the work tree, else as near to their destination as possible.
    fn fetch_large(
        &self,
        entry: &Entry,
        plan: &RestorePlan,
        disks: &mut TargetDisks<'_>,
    ) -> Result<HashMap<usize, TempPath>, RestoreError> {
        let own = self.dirs.writable_temp().and_then(|temp| Some((fs::metadata(&temp).ok()?.dev(), temp)));
        let mut jobs: Vec<(usize, &StoredOutput, PathBuf)> = Vec::new();
        for PlannedWrite { index, .. } in &plan.writes {
            let stored = &entry.outputs[*index];
            if stored.packed.is_none() && matches!(stored.output.content, OutputContent::File { .. }) {
                let (near, device) = disks.above(&stored.output.path)?;
                let folder = match &own {
                    Some((own, temp)) if *own == device => temp.clone(),
                    _ => near,
                };
                jobs.push((*index, stored, folder));
            }
        }
        let needed = jobs.iter().map(|(_, stored, _)| stored.output.size()).sum();
        let stage = |(index, stored, folder): &(usize, &StoredOutput, PathBuf)| {
            self.stage_large(stored, folder, needed).map(|staged| (*index, staged))
        };
        jobs.par_iter().map(stage).collect()
    }

    fn stage_large(
        &self,
        stored: &StoredOutput,
        folder: &Path,
        needed: u64,
    ) -> Result<TempPath, RestoreError> {
        let OutputContent::File { mode, digest, .. } = &stored.output.content else {
            return Err(RestoreError::InvalidOutput { path: stored.output.path.clone() });
        };
        let failed = |attempt| {
            move |error| {
                RestoreError::from_file_error(FileError::context(attempt, folder)(error), folder, needed)
            }
        };
        let mut staged = tempfile::Builder::new()
            .prefix(".taskgate-")
            .tempfile_in(folder)
            .map_err(failed("make a temporary file in"))?;
        self.unpack_to(digest, staged.as_file_mut(), folder, needed)?;
        let mode = Permissions::from_mode(*mode);
        staged.as_file().set_permissions(mode).map_err(failed("set the mode of a file in"))?;
        Ok(staged.into_temp_path())
    }
}

/// Fails if the disks lack space. Small files are written directly to their destination, so a full
/// disk must be detected first.
pub(crate) fn check_space(
    outputs: &[StoredOutput],
    plan: &RestorePlan,
    disks: &mut TargetDisks<'_>,
) -> Result<(), RestoreError> {
    let mut needed: HashMap<u64, (PathBuf, u64, u64)> = HashMap::new();
    for write in &plan.writes {
        let output = &outputs[write.index].output;
        let (folder, device) = disks.above(&output.path)?;
        let (_, files, bytes) = needed.entry(device).or_insert((folder, 0, 0));
        *files += 1;
        *bytes += output.size();
    }
    for (folder, files, bytes) in needed.into_values() {
        // If the disk does not report its space, a full disk shows when something is written.
        let Ok(disk) = rustix::fs::statvfs(&folder) else { continue };
        // On average the last block of a file is half empty.
        let blocks = bytes / disk.f_frsize.max(1) + files.div_ceil(2);
        let lacks_files = disk.f_files > 0 && disk.f_favail < files;
        if blocks > disk.f_bavail || lacks_files {
            return Err(RestoreError::NoSpace { path: folder, needed: bytes });
        }
    }
    Ok(())
}
