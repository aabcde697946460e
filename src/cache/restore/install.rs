//! Carries out the plan of a restore on the file system. It does not decide anything, nor read blobs.
//!
//! Each folder is opened part by part from the root without following symlinks, and names are
//! relative to it. So nothing is ever written outside the root, even if other processes change
//! folders. A file is created where nothing is, or renamed over an existing file; only files that were just created
//! are opened for writing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::base::digest::{Digest, FieldHasher};
use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::cache::format::entry::{PackPosition, StoredOutput};
use crate::cache::outputs::output_set::OutputContent;
use crate::cache::restore::fetch::FetchedContents;
use crate::cache::restore::plan::{Destination, PlannedWrite, RestorePlan};

/// The permissions that the owner of a folder needs to change its content.
const OWNER_ACCESS: u32 = 0o700;
/// The number of files of a folder that a thread writes at a time.
const CHUNK: usize = 128;

/// Carries out plans below one root.
pub(crate) struct Installer<'a> {
    root: &'a Path,
    top: OwnedFd,
    /// The folder for temporary files and its device, if it can be written to.
    temp: Option<(OwnedFd, u64)>,
}

impl<'a> Installer<'a> {
    pub(crate) fn new(root: &'a Path, temp: Option<&Path>) -> Result<Self, FileError> {
        let open = |path: &Path| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty())
                .map_err(|error| FileError::context("open the folder", path)(error.into()))
        };
        let temp = temp.and_then(|temp| Some((open(temp).ok()?, temp.metadata().ok()?.dev())));
        Ok(Self { root, top: open(root)?, temp })
    }

    /// Removes files, creates folders, writes files, and sets the modes of folders.
    pub(crate) fn run(
        &self,
        outputs: &[StoredOutput],
        plan: &RestorePlan,
        contents: &mut FetchedContents,
    ) -> Result<(), FileError> {
        let opened = self.make_folders_writable(outputs, plan);
        let changed = self.change(outputs, plan, contents);
        for (folder, mode) in opened.iter().rev() {
            // Folders that were removed or get another mode below need none.
            let _ = self.set_mode(folder, *mode);
        }
        changed?;
        plan.modes.iter().try_for_each(|(folder, mode)| self.set_mode(folder, *mode))
    }

    /// Makes folders writable in which something will be changed, because tasks may leave them
    /// read-only. Returns their previous modes, the highest folder first.
    fn make_folders_writable(&self, outputs: &[StoredOutput], plan: &RestorePlan) -> Vec<(RepoPath, u32)> {
        let written = plan.writes.iter().map(|write| &outputs[write.index].output.path);
        let changed = plan.remove.iter().chain(&plan.prune).chain(&plan.folders).chain(written);
        let folders: BTreeSet<RepoPath> =
            changed.filter_map(RepoPath::parent).filter(|folder| !folder.is_top()).collect();
        let mut opened = Vec::new();
        for folder in folders {
            // Errors show when something is written.
            let Ok(open) = self.open(&folder) else { continue };
            let Ok(meta) = File::from(open).metadata() else { continue };
            let mode = meta.mode() & 0o7777;
            let is_open = mode & OWNER_ACCESS == OWNER_ACCESS;
            if !is_open && self.set_mode(&folder, mode | OWNER_ACCESS).is_ok() {
                opened.push((folder, mode));
            }
        }
        opened
    }

    fn set_mode(&self, folder: &RepoPath, mode: u32) -> Result<(), FileError> {
        let file = File::from(self.open(folder)?);
        file.set_permissions(Permissions::from_mode(mode)).map_err(self.failed("set the mode of", folder))
    }

    fn change(
        &self,
        outputs: &[StoredOutput],
        plan: &RestorePlan,
        contents: &mut FetchedContents,
    ) -> Result<(), FileError> {
        let large = std::mem::take(&mut contents.large);
        self.remove(plan)?;
        for folder in &plan.folders {
            self.make_folder(folder)?;
        }
        let mut jobs: BTreeMap<RepoPath, Vec<PlannedWrite>> = BTreeMap::new();
        for write in plan.writes.iter().filter(|write| !large.contains_key(&write.index)) {
            let folder = outputs[write.index].output.path.parent().unwrap_or_default();
            jobs.entry(folder).or_default().push(*write);
        }
        let jobs: Vec<(&RepoPath, &[PlannedWrite])> = jobs
            .iter()
            .flat_map(|(folder, writes)| writes.chunks(CHUNK).map(move |chunk| (folder, chunk)))
            .collect();
        jobs.par_iter().try_for_each(|(folder, writes)| self.write(folder, writes, outputs, contents))?;
        for (index, staged) in large {
            self.move_in(&staged, &outputs[index].output.path)?;
            // After a rename nothing remains to be removed. If the file was copied, dropping the
            // temporary path removes the source.
        }
        Ok(())
    }

    fn failed(&self, attempt: &'static str, path: &RepoPath) -> impl Fn(io::Error) -> FileError {
        let full = path.under(self.root);
        move |error| FileError::context(attempt, &full)(error)
    }

    /// Opens a folder below the root, no part of whose path is a symlink.
    fn open(&self, folder: &RepoPath) -> Result<OwnedFd, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at: Option<OwnedFd> = None;
        for part in folder.parts() {
            let parent = at.as_ref().unwrap_or(&self.top);
            let next = rustix::fs::openat(parent, part, flags, Mode::empty())
                .map_err(|error| self.failed("open the folder", folder)(error.into()))?;
            at = Some(next);
        }
        match at {
            Some(folder) => Ok(folder),
            None => self.top.try_clone().map_err(self.failed("open the folder", folder)),
        }
    }

    /// Opens the parent folder of a path; also returns the name in it.
    fn parent<'p>(&self, path: &'p RepoPath) -> Result<(OwnedFd, &'p [u8]), FileError> {
        let name = path.parts().last().unwrap_or_default();
        Ok((self.open(&path.parent().unwrap_or_default())?, name))
    }

    fn remove(&self, plan: &RestorePlan) -> Result<(), FileError> {
        let mut folders: BTreeMap<RepoPath, Vec<&RepoPath>> = BTreeMap::new();
        for path in &plan.remove {
            folders.entry(path.parent().unwrap_or_default()).or_default().push(path);
        }
        let folders: Vec<_> = folders.into_iter().collect();
        folders.par_iter().try_for_each(|(folder, paths)| {
            let open = self.open(folder)?;
            paths.iter().try_for_each(|path| {
                let name = path.parts().last().unwrap_or_default();
                match rustix::fs::unlinkat(&open, name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => Ok(()),
                    Err(error) => Err(self.failed("remove", path)(error.into())),
                }
            })
        })?;
        for path in &plan.prune {
            let (folder, name) = self.parent(path)?;
            match rustix::fs::unlinkat(&folder, name, AtFlags::REMOVEDIR) {
                // Files of other processes in it stay.
                Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(error) => return Err(self.failed("remove the folder", path)(error.into())),
            }
        }
        Ok(())
    }

    fn make_folder(&self, path: &RepoPath) -> Result<(), FileError> {
        let (folder, name) = self.parent(path)?;
        match rustix::fs::mkdirat(&folder, name, Mode::from_bits_truncate(0o777)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(self.failed("make the folder", path)(error.into())),
        }
    }

    /// Writes some outputs of one folder.
    fn write(
        &self,
        folder: &RepoPath,
        writes: &[PlannedWrite],
        outputs: &[StoredOutput],
        contents: &FetchedContents,
    ) -> Result<(), FileError> {
        let open = self.open(folder)?;
        let device = rustix::fs::fstat(&open)
            .map(|stat| same_width(stat.st_dev))
            .map_err(|error| self.failed("look at", folder)(error.into()))?;
        // A temporary name in the cache's own folder can't remain in the work tree.
        let aside = match &self.temp {
            Some((temp, temp_device)) if *temp_device == device => temp.as_fd(),
            _ => open.as_fd(),
        };
        let mut buffer = Vec::new();
        for write in writes {
            let stored = &outputs[write.index];
            let path = &stored.output.path;
            let new = match &stored.output.content {
                OutputContent::Symlink { target } => NewFile::Symlink(target),
                OutputContent::File { mode, size, .. } => {
                    let packed = stored.packed.unwrap_or(PackPosition { pack: u32::MAX, offset: 0 });
                    contents.read(packed, *size, &mut buffer).map_err(self.failed("restore", path))?;
                    NewFile::File(&buffer, *mode)
                }
                OutputContent::Folder { .. } => continue,
            };
            let name = path.parts().last().unwrap_or_default();
            let slot = InstallSlot { folder: open.as_fd(), name, aside, temp: self.temp_name(path) };
            slot.install(&new, write.destination).map_err(self.failed("restore", path))?;
        }
        Ok(())
    }

    /// Gives a staged file its name.
    fn move_in(&self, staged: &Path, path: &RepoPath) -> Result<(), FileError> {
        let (folder, name) = self.parent(path)?;
        match rustix::fs::renameat(CWD, staged, &folder, name) {
            Ok(()) => Ok(()),
            // The same device under two mounts.
            Err(Errno::XDEV) => {
                let slot = InstallSlot {
                    folder: folder.as_fd(),
                    name,
                    aside: folder.as_fd(),
                    temp: self.temp_name(path),
                };
                File::open(staged)
                    .and_then(|file| slot.replace(&NewFile::Copy(&file)))
                    .map_err(self.failed("restore", path))
            }
            Err(error) => Err(self.failed("restore", path)(error.into())),
        }
    }

    /// Returns a name that no other restore uses at the same time.
    fn temp_name(&self, path: &RepoPath) -> Vec<u8> {
        let mut fields = FieldHasher::new("taskgate restore");
        fields.add(self.root.as_os_str().as_encoded_bytes()).add(path.bytes());
        let digest: Digest = fields.digest();
        format!(".taskgate-{}-{}", std::process::id(), digest.short()).into_bytes()
    }
}

/// Converts a device number, whose width depends on the system.
fn same_width<T: TryInto<u64>>(device: T) -> u64 {
    device.try_into().unwrap_or(u64::MAX)
}

/// A file or symlink to be created.
enum NewFile<'a> {
    Symlink(&'a [u8]),
    /// A file with these bytes and this mode.
    File(&'a [u8], u32),
    /// A file with the bytes and the mode of another file.
    Copy(&'a File),
}

/// A name in a folder, and where a temporary name for it may be used.
struct InstallSlot<'a> {
    folder: BorrowedFd<'a>,
    name: &'a [u8],
    aside: BorrowedFd<'a>,
    temp: Vec<u8>,
}

impl InstallSlot<'_> {
    /// Creates it directly if nothing is there, else beside it, and renames.
    fn install(&self, new: &NewFile<'_>, at: Destination) -> io::Result<()> {
        if at == Destination::Free {
            match create(self.folder, self.name, new) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made,
            }
        }
        self.replace(new)
    }

    fn replace(&self, new: &NewFile<'_>) -> io::Result<()> {
        let replaced = match self.replace_by(self.aside, new) {
            Err(Errno::XDEV) => self.replace_by(self.folder, new),
            replaced => replaced,
        };
        replaced.map_err(io::Error::from)
    }

    fn replace_by(&self, aside: BorrowedFd<'_>, new: &NewFile<'_>) -> rustix::io::Result<()> {
        let made = match create(aside, &self.temp, new) {
            // A killed process with the same id left it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                rustix::fs::unlinkat(aside, &*self.temp, AtFlags::empty())?;
                create(aside, &self.temp, new)
            }
            made => made,
        };
        made.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let renamed = rustix::fs::renameat(aside, &*self.temp, self.folder, self.name);
        if renamed.is_err() {
            let _ = rustix::fs::unlinkat(aside, &*self.temp, AtFlags::empty());
        }
        renamed
    }
}

/// Creates a file or a symlink where nothing is. On failure it is removed.
fn create(folder: BorrowedFd<'_>, name: &[u8], new: &NewFile<'_>) -> io::Result<()> {
    let (mode, mut bytes): (u32, Box<dyn io::Read + '_>) = match new {
        NewFile::Symlink(target) => return Ok(rustix::fs::symlinkat(*target, folder, name)?),
        NewFile::File(bytes, mode) => return create_file(folder, name, *mode, |file| file.write_all(bytes)),
        NewFile::Copy(file) => (file.metadata()?.mode() & 0o7777, Box::new(*file)),
    };
    create_file(folder, name, mode, |file| io::copy(&mut bytes, file).map(|_| ()))
}

fn create_file(
    folder: BorrowedFd<'_>,
    name: &[u8],
    mode: u32,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let bits = Mode::from_bits_truncate(0o777) & Mode::from_raw_mode(mode as _);
    let mut file = File::from(rustix::fs::openat(folder, name, flags, bits)?);
    let filled = fill(&mut file).and_then(|()| {
        // The umask, or a default of the folder, may have changed it.
        if file.metadata()?.mode() & 0o7777 == mode {
            return Ok(());
        }
        file.set_permissions(Permissions::from_mode(mode))
    });
    if filled.is_err() {
        let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
    }
    filled
}
