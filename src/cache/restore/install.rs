//! Installing: a plan carried out on the file system. It must not decide anything, nor read blobs.
//!
//! Each folder is opened part by part from the root without following a symlink, and names are used
//! relative to it. So nothing is ever written outside the root, whatever others do meanwhile. A file
//! is made where nothing is, or renamed over what is there; nothing is opened for writing that this
//! did not make.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::base::digest::{Digest, Fields};
use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::cache::format::entry::{Packed, Stored};
use crate::cache::outputs::output_set::Content;
use crate::cache::restore::fetch::Contents;
use crate::cache::restore::plan::{Place, Plan, Write};

/// What the owner of a folder needs to change what is in it.
const OWN: u32 = 0o700;
/// How many files of one folder one thread writes at a time.
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
                .map_err(|error| FileError::of("open the folder", path)(error.into()))
        };
        let temp = temp.and_then(|temp| Some((open(temp).ok()?, temp.metadata().ok()?.dev())));
        Ok(Self { root, top: open(root)?, temp })
    }

    /// Removes, makes folders, writes, and gives folders their modes.
    pub(crate) fn run(
        &self,
        outputs: &[Stored],
        plan: &Plan,
        contents: &mut Contents,
    ) -> Result<(), FileError> {
        let opened = self.open_up(outputs, plan);
        let changed = self.change(outputs, plan, contents);
        for (folder, mode) in opened.iter().rev() {
            // Those that are gone or get another mode below need none.
            let _ = self.set_mode(folder, *mode);
        }
        changed?;
        plan.modes.iter().try_for_each(|(folder, mode)| self.set_mode(folder, *mode))
    }

    /// Makes folders writable in which something is to be changed: tasks may leave them read-only.
    /// Returns their former modes, the highest first.
    fn open_up(&self, outputs: &[Stored], plan: &Plan) -> Vec<(RepoPath, u32)> {
        let written = plan.writes.iter().map(|write| &outputs[write.index].output.path);
        let changed = plan.remove.iter().chain(&plan.prune).chain(&plan.folders).chain(written);
        let folders: BTreeSet<RepoPath> =
            changed.filter_map(RepoPath::parent).filter(|folder| !folder.is_top()).collect();
        let mut opened = Vec::new();
        for folder in folders {
            // What can't be opened or changed shows when something is to be written.
            let Ok(open) = self.open(&folder) else { continue };
            let Ok(meta) = File::from(open).metadata() else { continue };
            let mode = meta.mode() & 0o7777;
            let is_open = mode & OWN == OWN;
            if !is_open && self.set_mode(&folder, mode | OWN).is_ok() {
                opened.push((folder, mode));
            }
        }
        opened
    }

    fn set_mode(&self, folder: &RepoPath, mode: u32) -> Result<(), FileError> {
        let file = File::from(self.open(folder)?);
        file.set_permissions(Permissions::from_mode(mode)).map_err(self.failed("set the mode of", folder))
    }

    fn change(&self, outputs: &[Stored], plan: &Plan, contents: &mut Contents) -> Result<(), FileError> {
        let large = std::mem::take(&mut contents.large);
        self.remove(plan)?;
        for folder in &plan.folders {
            self.make_folder(folder)?;
        }
        let mut jobs: BTreeMap<RepoPath, Vec<Write>> = BTreeMap::new();
        for write in plan.writes.iter().filter(|write| !large.contains_key(&write.index)) {
            let folder = outputs[write.index].output.path.parent().unwrap_or_default();
            jobs.entry(folder).or_default().push(*write);
        }
        let jobs: Vec<(&RepoPath, &[Write])> = jobs
            .iter()
            .flat_map(|(folder, writes)| writes.chunks(CHUNK).map(move |chunk| (folder, chunk)))
            .collect();
        jobs.par_iter().try_for_each(|(folder, writes)| self.write(folder, writes, outputs, contents))?;
        for (index, staged) in large {
            self.move_in(&staged, &outputs[index].output.path)?;
            // It has its new name; nothing is left to be removed. If it was copied, dropping the
            // temporary path removes the source.
        }
        Ok(())
    }

    fn failed(&self, attempt: &'static str, path: &RepoPath) -> impl Fn(io::Error) -> FileError {
        let full = path.under(self.root);
        move |error| FileError::of(attempt, &full)(error)
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

    /// Opens the folder that holds a path; gives the name in it too.
    fn parent<'p>(&self, path: &'p RepoPath) -> Result<(OwnedFd, &'p [u8]), FileError> {
        let name = path.parts().last().unwrap_or_default();
        Ok((self.open(&path.parent().unwrap_or_default())?, name))
    }

    fn remove(&self, plan: &Plan) -> Result<(), FileError> {
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
                // What others hold in it is none of our business.
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
        writes: &[Write],
        outputs: &[Stored],
        contents: &Contents,
    ) -> Result<(), FileError> {
        let open = self.open(folder)?;
        let device = rustix::fs::fstat(&open)
            .map(|stat| same_width(stat.st_dev))
            .map_err(|error| self.failed("look at", folder)(error.into()))?;
        // A name in the cache's own folder can't be left behind in the work tree.
        let aside = match &self.temp {
            Some((temp, temp_device)) if *temp_device == device => temp.as_fd(),
            _ => open.as_fd(),
        };
        let mut buffer = Vec::new();
        for write in writes {
            let stored = &outputs[write.index];
            let path = &stored.output.path;
            let new = match &stored.output.content {
                Content::Symlink { target } => New::Symlink(target),
                Content::File { mode, size, .. } => {
                    let packed = stored.packed.unwrap_or(Packed { pack: u32::MAX, offset: 0 });
                    contents.read(packed, *size, &mut buffer).map_err(self.failed("restore", path))?;
                    New::File(&buffer, *mode)
                }
                Content::Folder { .. } => continue,
            };
            let name = path.parts().last().unwrap_or_default();
            let place = At { folder: open.as_fd(), name, aside, temp: self.temp_name(path) };
            place.put(&new, write.at).map_err(self.failed("restore", path))?;
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
                let place =
                    At { folder: folder.as_fd(), name, aside: folder.as_fd(), temp: self.temp_name(path) };
                File::open(staged)
                    .and_then(|file| place.replace(&New::Copy(&file)))
                    .map_err(self.failed("restore", path))
            }
            Err(error) => Err(self.failed("restore", path)(error.into())),
        }
    }

    /// A name that no other restore uses at the same time.
    fn temp_name(&self, path: &RepoPath) -> Vec<u8> {
        let mut fields = Fields::new("taskgate restore");
        fields.add(self.root.as_os_str().as_encoded_bytes()).add(path.bytes());
        let digest: Digest = fields.digest();
        format!(".taskgate-{}-{}", std::process::id(), digest.short()).into_bytes()
    }
}

/// A device's number, whatever the width that the system gives it.
fn same_width<T: TryInto<u64>>(device: T) -> u64 {
    device.try_into().unwrap_or(u64::MAX)
}

/// What is put in place.
enum New<'a> {
    Symlink(&'a [u8]),
    /// Bytes and mode.
    File(&'a [u8], u32),
    /// Bytes and mode of another file.
    Copy(&'a File),
}

/// A name in a folder, and where a temporary name for it may be used.
struct At<'a> {
    folder: BorrowedFd<'a>,
    name: &'a [u8],
    aside: BorrowedFd<'a>,
    temp: Vec<u8>,
}

impl At<'_> {
    /// Makes it in place where nothing is, else beside it and renames.
    fn put(&self, new: &New<'_>, at: Place) -> io::Result<()> {
        if at == Place::Free {
            match make(self.folder, self.name, new) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made,
            }
        }
        self.replace(new)
    }

    fn replace(&self, new: &New<'_>) -> io::Result<()> {
        let replaced = match self.replace_by(self.aside, new) {
            Err(Errno::XDEV) => self.replace_by(self.folder, new),
            replaced => replaced,
        };
        replaced.map_err(io::Error::from)
    }

    fn replace_by(&self, aside: BorrowedFd<'_>, new: &New<'_>) -> rustix::io::Result<()> {
        let made = match make(aside, &self.temp, new) {
            // A killed process of the same id left it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                rustix::fs::unlinkat(aside, &*self.temp, AtFlags::empty())?;
                make(aside, &self.temp, new)
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

/// Makes a file or a symlink where nothing is. One that fails is removed.
fn make(folder: BorrowedFd<'_>, name: &[u8], new: &New<'_>) -> io::Result<()> {
    let (mode, mut bytes): (u32, Box<dyn io::Read + '_>) = match new {
        New::Symlink(target) => return Ok(rustix::fs::symlinkat(*target, folder, name)?),
        New::File(bytes, mode) => return make_file(folder, name, *mode, |file| file.write_all(bytes)),
        New::Copy(file) => (file.metadata()?.mode() & 0o7777, Box::new(*file)),
    };
    make_file(folder, name, mode, |file| io::copy(&mut bytes, file).map(|_| ()))
}

fn make_file(
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
