//! Folders by handle: names, stats and files relative to an open folder, with no symlink followed.
//! It must not know of git, but for the names it never shows.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;

use crate::base::path::RepoPath;
use crate::base::stat::{FileTime, Stat};
use crate::git::rules::glob::Kind;

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);
/// A pipe that took a file's name must not make the open wait.
const FILE: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY)
    .union(OFlags::RDONLY);

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

/// A borrowed open folder, for many threads at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'f>(BorrowedFd<'f>);

/// The names in a folder that can be in a tree, sorted as a tree is.
#[derive(Debug, Default)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    list: Vec<(Range<usize>, Kind)>,
}

impl Folder {
    /// Opens a folder by its path on this machine.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = FOLDER.difference(OFlags::NOFOLLOW);
        Ok(Self(rustix::fs::open(path, flags, rustix::fs::Mode::empty())?))
    }

    /// Opens a folder below this one; `None` if there is none, or a symlink is on the way.
    pub(crate) fn below(&self, path: &RepoPath) -> io::Result<Option<Self>> {
        let opened = if path.is_top() { open_at(self.0.as_fd(), b".") } else { open_below(&self.0, path) };
        match opened {
            Ok(fd) => Ok(Some(Self(fd))),
            Err(error) if is_absent(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// For use by many threads.
    pub(crate) fn at(&self) -> At<'_> {
        At(self.0.as_fd())
    }

    /// The folder's own stat.
    pub(crate) fn stat(&self) -> io::Result<Stat> {
        Ok(to_stat(&rustix::fs::fstat(&self.0)?))
    }

    /// Whether the file system is one of those that are known to change a folder's times whenever
    /// a name comes or goes. Network and host-shared ones are not.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn dates_names(&self) -> bool {
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

    /// See the Linux version; elsewhere none is known.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn dates_names(&self) -> bool {
        false
    }

    /// The folder's names, without `.git` and what is neither file, symlink nor folder.
    pub(crate) fn names(&self) -> io::Result<Names> {
        let mut names = Names::default();
        let mut unknown = Vec::new();
        list(&self.0, |name, kind| match kind {
            _ if is_hidden(name) => {}
            FileType::RegularFile | FileType::Symlink => names.push(name, Kind::File),
            FileType::Directory => names.push(name, Kind::Folder),
            FileType::Unknown => unknown.push(name.to_vec()),
            _ => {}
        })?;
        for name in unknown {
            if let Some(kind) = self.at().kind(&name)? {
                names.push(&name, kind);
            }
        }
        names.sort();
        Ok(names)
    }

    /// This one name, if it is in the folder.
    pub(crate) fn name(&self, name: &[u8]) -> io::Result<Names> {
        let mut names = Names::default();
        if !is_hidden(name)
            && let Some(kind) = self.at().kind(name)?
        {
            names.push(name, kind);
        }
        Ok(names)
    }
}

impl At<'_> {
    /// The stat of a name, of a symlink itself; `None` if there is none.
    pub(crate) fn stat(self, name: &[u8]) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(to_stat(&stat))),
            Err(error) if is_absent(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn kind(self, name: &[u8]) -> io::Result<Option<Kind>> {
        Ok(match self.stat(name)? {
            Some(stat) if stat.is_dir() => Some(Kind::Folder),
            Some(stat) if stat.is_file() || stat.is_symlink() => Some(Kind::File),
            _ => None,
        })
    }

    /// Where a symlink points to; `None` if the name is none.
    pub(crate) fn target(self, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match rustix::fs::readlinkat(self.0, name, Vec::new()) {
            Ok(target) => Ok(Some(target.into_bytes())),
            Err(error) if is_absent(error) || error == Errno::INVAL => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a regular file for reading; `None` if the name is none.
    pub(crate) fn file(self, name: &[u8]) -> io::Result<Option<File>> {
        let file = match rustix::fs::openat(self.0, name, FILE, rustix::fs::Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(error) if is_absent(error) || error == Errno::NXIO => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(file.metadata()?.is_file().then_some(file))
    }

    /// The content of a small file; `None` if the name is none.
    pub(crate) fn text(self, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = self.file(name)? else { return Ok(None) };
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok(Some(text))
    }
}

impl Names {
    fn push(&mut self, name: &[u8], kind: Kind) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.list.push((start..self.bytes.len(), kind));
    }

    /// Sorted by the bytes of the paths below them: a folder counts as if it ended in a slash.
    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.list.sort_unstable_by(|(a, a_kind), (b, b_kind)| {
            order(&bytes[a.clone()], *a_kind, &bytes[b.clone()], *b_kind)
        });
    }

    /// Each name and what it is.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], Kind)> {
        self.list.iter().map(|(range, kind)| (&self.bytes[range.clone()], *kind))
    }

    /// Whether a file of this name is there.
    pub(crate) fn has_file(&self, name: &[u8]) -> bool {
        let found =
            |(range, kind): &(Range<usize>, Kind)| order(&self.bytes[range.clone()], *kind, name, Kind::File);
        self.list.binary_search_by(found).is_ok()
    }
}

fn order(a: &[u8], a_kind: Kind, b: &[u8], b_kind: Kind) -> std::cmp::Ordering {
    let common = a.len().min(b.len());
    let next = |name: &[u8], kind| match (name.get(common), kind) {
        (Some(byte), _) => Some(*byte),
        (None, Kind::Folder) => Some(b'/'),
        (None, Kind::File) => None,
    };
    a[..common].cmp(&b[..common]).then_with(|| next(a, a_kind).cmp(&next(b, b_kind)))
}

/// Git never lets `.git` in a tree, whichever way a file system spells it.
fn is_hidden(name: &[u8]) -> bool {
    matches!(name, b"." | b"..") || name.eq_ignore_ascii_case(b".git")
}

fn is_absent(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn list(folder: &OwnedFd, mut each: impl FnMut(&[u8], FileType)) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(32 * 1024);
    let mut entries = rustix::fs::RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        each(entry.file_name().to_bytes(), entry.file_type());
    }
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn list(folder: &OwnedFd, mut each: impl FnMut(&[u8], FileType)) -> io::Result<()> {
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
        // Older kernels and some sandboxes have no such call.
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

fn to_stat(stat: &rustix::fs::Stat) -> Stat {
    Stat {
        device: number(stat.st_dev),
        inode: number(stat.st_ino),
        size: number(stat.st_size),
        mode: number(stat.st_mode),
        modified: FileTime { seconds: number(stat.st_mtime), nanos: number(stat.st_mtime_nsec) },
        changed: FileTime { seconds: number(stat.st_ctime), nanos: number(stat.st_ctime_nsec) },
    }
}

/// The types of a stat's parts differ from system to system.
fn number<A: TryInto<B>, B: Default>(value: A) -> B {
    value.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_sort_as_paths_and_hide_what_no_tree_holds() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a.b", "a0", "z", ".GIT"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("a")).unwrap();
        symlink("nowhere", dir.path().join("link")).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let names = folder.names().unwrap();
        let listed: Vec<_> =
            names.iter().map(|(name, kind)| (String::from_utf8_lossy(name).into_owned(), kind)).collect();
        let expected = [
            ("a.b", Kind::File),
            ("a", Kind::Folder),
            ("a0", Kind::File),
            ("link", Kind::File),
            ("z", Kind::File),
        ];
        assert_eq!(listed, expected.map(|(name, kind)| (name.to_owned(), kind)));
        assert!(names.has_file(b"z") && names.has_file(b"a.b") && !names.has_file(b"a"));
    }

    #[test]
    fn the_stat_is_the_one_that_the_library_reads() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "text").unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let expected = Stat::of(&std::fs::symlink_metadata(dir.path().join("f")).unwrap());
        assert_eq!(folder.at().stat(b"f").unwrap(), Some(expected));
        assert_eq!(folder.at().stat(b"g").unwrap(), None);
    }

    #[test]
    fn a_symlink_on_the_way_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("real/sub")).unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let below = |path: &str| folder.below(&RepoPath::from_git(path.as_bytes())).unwrap();
        assert!(below("real/sub").is_some());
        assert!(below("link/sub").is_none());
        assert!(below("link").is_none());
        assert!(below("absent").is_none());
        assert!(step_below(&folder.0, &RepoPath::from_git(&b"real/sub"[..])).is_ok());
        assert!(step_below(&folder.0, &RepoPath::from_git(&b"link/sub"[..])).is_err());
    }
}
