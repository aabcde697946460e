//! Open folders: their names, and the stats and contents of files relative to them, without following
//! symlinks. They do not know git, except for the names that git never tracks.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;

use crate::base::path::RepoPath;
use crate::base::stat::Stat;
use crate::git::rules::glob::PathKind;

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);
/// Opening a pipe that has replaced a file must not block.
const FILE: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY)
    .union(OFlags::RDONLY);

/// An open folder.
#[derive(Debug)]
pub(crate) struct OpenFolder(OwnedFd);

/// A borrowed open folder, which many threads can use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FolderRef<'f>(BorrowedFd<'f>);

/// The names in a folder that a tree can contain, sorted as in a tree.
#[derive(Debug, Default)]
pub(crate) struct FolderNames {
    bytes: Vec<u8>,
    list: Vec<(Range<usize>, PathKind)>,
}

impl OpenFolder {
    /// Opens a folder by its path.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = FOLDER.difference(OFlags::NOFOLLOW);
        Ok(Self(rustix::fs::open(path, flags, rustix::fs::Mode::empty())?))
    }

    /// Opens a folder below this one; returns `None` if it is missing or a symlink is on the way.
    pub(crate) fn open_below(&self, path: &RepoPath) -> io::Result<Option<Self>> {
        let opened = if path.is_top() { open_at(self.0.as_fd(), b".") } else { open_below(&self.0, path) };
        match opened {
            Ok(fd) => Ok(Some(Self(fd))),
            Err(error) if is_missing(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Borrows the folder.
    pub(crate) fn as_ref(&self) -> FolderRef<'_> {
        FolderRef(self.0.as_fd())
    }

    /// Returns the folder's own stat.
    pub(crate) fn stat(&self) -> io::Result<Stat> {
        Ok(Stat::of_system(&rustix::fs::fstat(&self.0)?))
    }

    /// Returns whether the file system is known to change a folder's times whenever a name is added
    /// or removed. Network file systems and those shared with a host are not.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn has_reliable_times(&self) -> bool {
        const EXT: u64 = 0xef53;
        const XFS: u64 = 0x5846_5342;
        const BTRFS: u64 = 0x9123_683e;
        const TMPFS: u64 = 0x0102_1994;
        const F2FS: u64 = 0xf2f5_2010;
        const ZFS: u64 = 0x2fc1_2fc1;
        const OVERLAY: u64 = 0x794c_7630;
        let kind = rustix::fs::fstatfs(&self.0).map(|stat| number(stat.f_type));
        matches!(kind, Ok(EXT | XFS | BTRFS | TMPFS | F2FS | ZFS | OVERLAY))
    }

    /// Returns `false`: no such file system is known on this platform.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn has_reliable_times(&self) -> bool {
        false
    }

    /// Returns the names in the folder, without `.git` and without everything that is neither file,
    /// symlink nor folder.
    pub(crate) fn names(&self) -> io::Result<FolderNames> {
        let mut names = FolderNames::default();
        let mut unknown = Vec::new();
        for_each_name(&self.0, |name, kind| match kind {
            _ if is_hidden(name) => {}
            FileType::RegularFile | FileType::Symlink => names.push(name, PathKind::File),
            FileType::Directory => names.push(name, PathKind::Folder),
            FileType::Unknown => unknown.push(name.to_vec()),
            _ => {}
        })?;
        for name in unknown {
            if let Some(kind) = self.as_ref().kind(&name)? {
                names.push(&name, kind);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Returns this one name, if it is in the folder.
    pub(crate) fn find_name(&self, name: &[u8]) -> io::Result<FolderNames> {
        let mut names = FolderNames::default();
        if !is_hidden(name)
            && let Some(kind) = self.as_ref().kind(name)?
        {
            names.push(name, kind);
        }
        Ok(names)
    }
}

impl FolderRef<'_> {
    /// Returns the stat of a name, without following a symlink; `None` if it is missing.
    pub(crate) fn stat(self, name: &[u8]) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Stat::of_system(&stat))),
            Err(error) if is_missing(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn kind(self, name: &[u8]) -> io::Result<Option<PathKind>> {
        Ok(match self.stat(name)? {
            Some(stat) if stat.is_dir() => Some(PathKind::Folder),
            Some(stat) if stat.is_file() || stat.is_symlink() => Some(PathKind::File),
            _ => None,
        })
    }

    /// Returns the target of a symlink; `None` if the name is not one.
    pub(crate) fn read_link(self, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match rustix::fs::readlinkat(self.0, name, Vec::new()) {
            Ok(target) => Ok(Some(target.into_bytes())),
            Err(error) if is_missing(error) || error == Errno::INVAL => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a regular file for reading; returns `None` if the name is not one.
    pub(crate) fn open_file(self, name: &[u8]) -> io::Result<Option<File>> {
        let file = match rustix::fs::openat(self.0, name, FILE, rustix::fs::Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(error) if is_missing(error) || error == Errno::NXIO => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(file.metadata()?.is_file().then_some(file))
    }

    /// Returns the content of a small file; `None` if the name is not a file.
    pub(crate) fn read_file(self, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = self.open_file(name)? else { return Ok(None) };
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok(Some(text))
    }
}

impl FolderNames {
    fn push(&mut self, name: &[u8], kind: PathKind) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.list.push((start..self.bytes.len(), kind));
    }

    /// Sorts by the bytes of the paths below the names: a folder counts as if it ended with a slash.
    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.list.sort_unstable_by(|(a, a_kind), (b, b_kind)| {
            compare_names(&bytes[a.clone()], *a_kind, &bytes[b.clone()], *b_kind)
        });
    }

    /// Iterates over the names and their kinds.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], PathKind)> {
        self.list.iter().map(|(range, kind)| (&self.bytes[range.clone()], *kind))
    }

    /// Returns whether there is a file of this name.
    pub(crate) fn has_file(&self, name: &[u8]) -> bool {
        let found = |(range, kind): &(Range<usize>, PathKind)| {
            compare_names(&self.bytes[range.clone()], *kind, name, PathKind::File)
        };
        self.list.binary_search_by(found).is_ok()
    }
}

fn compare_names(a: &[u8], a_kind: PathKind, b: &[u8], b_kind: PathKind) -> std::cmp::Ordering {
    let common = a.len().min(b.len());
    let next = |name: &[u8], kind| match (name.get(common), kind) {
        (Some(byte), _) => Some(*byte),
        (None, PathKind::Folder) => Some(b'/'),
        (None, PathKind::File) => None,
    };
    a[..common].cmp(&b[..common]).then_with(|| next(a, a_kind).cmp(&next(b, b_kind)))
}

/// Returns whether git never tracks this name: `.git` in any spelling of upper and lower case.
fn is_hidden(name: &[u8]) -> bool {
    matches!(name, b"." | b"..") || name.eq_ignore_ascii_case(b".git")
}

fn is_missing(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn for_each_name(folder: &OwnedFd, mut each: impl FnMut(&[u8], FileType)) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(32 * 1024);
    let mut entries = rustix::fs::RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        each(entry.file_name().to_bytes(), entry.file_type());
    }
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn for_each_name(folder: &OwnedFd, mut each: impl FnMut(&[u8], FileType)) -> io::Result<()> {
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        each(entry.file_name().to_bytes(), entry.file_type());
    }
    Ok(())
}

fn open_at(folder: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(folder, name, FOLDER, rustix::fs::Mode::empty())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_below(top: &OwnedFd, path: &RepoPath) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    match openat2(top, path.bytes(), FOLDER, rustix::fs::Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // Older kernels and some sandboxes lack this call.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::AGAIN) => step_below(top, path),
        opened => opened,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open_below(top: &OwnedFd, path: &RepoPath) -> rustix::io::Result<OwnedFd> {
    step_below(top, path)
}

fn step_below(top: &OwnedFd, path: &RepoPath) -> rustix::io::Result<OwnedFd> {
    let mut folder = open_at(top.as_fd(), b".")?;
    for part in path.parts() {
        folder = open_at(folder.as_fd(), part)?;
    }
    Ok(folder)
}

/// Converts a part of a stat, whose type depends on the system.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn number<A: TryInto<B>, B: Default>(value: A) -> B {
    value.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_sort_like_git_and_special_files_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a.b", "a0", "z", ".GIT"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("a")).unwrap();
        symlink("nowhere", dir.path().join("link")).unwrap();
        let folder = OpenFolder::open(dir.path()).unwrap();
        let names = folder.names().unwrap();
        let listed: Vec<_> =
            names.iter().map(|(name, kind)| (String::from_utf8_lossy(name).into_owned(), kind)).collect();
        let expected = [
            ("a.b", PathKind::File),
            ("a", PathKind::Folder),
            ("a0", PathKind::File),
            ("link", PathKind::File),
            ("z", PathKind::File),
        ];
        assert_eq!(listed, expected.map(|(name, kind)| (name.to_owned(), kind)));
        assert!(names.has_file(b"z") && names.has_file(b"a.b") && !names.has_file(b"a"));
    }

    #[test]
    fn stat_equals_the_one_of_libgit2() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "text").unwrap();
        let folder = OpenFolder::open(dir.path()).unwrap();
        let expected = Stat::new(&std::fs::symlink_metadata(dir.path().join("f")).unwrap());
        assert_eq!(folder.as_ref().stat(b"f").unwrap(), Some(expected));
        assert_eq!(folder.as_ref().stat(b"g").unwrap(), None);
    }

    #[test]
    fn symlinked_parent_folder_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("real/sub")).unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        let folder = OpenFolder::open(dir.path()).unwrap();
        let below = |path: &str| folder.open_below(&RepoPath::from_git(path.as_bytes())).unwrap();
        assert!(below("real/sub").is_some());
        assert!(below("link/sub").is_none());
        assert!(below("link").is_none());
        assert!(below("absent").is_none());
        assert!(step_below(&folder.0, &RepoPath::from_git(&b"real/sub"[..])).is_ok());
        assert!(step_below(&folder.0, &RepoPath::from_git(&b"link/sub"[..])).is_err());
    }
}
