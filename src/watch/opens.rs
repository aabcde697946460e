//! Records which files of some folders are opened, by any program. This module does not know which files
//! matter.
//!
//! The kernel reports every open, including those by setuid programs, through `io_uring` and from
//! containers that have a bind mount of the folder. It doesn't report who opened a file, and it doesn't
//! report programs that only list names or read metadata. Only Linux supports this.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::base::path::RepoPath;

/// The files of watched folders that were opened or changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Opened {
    /// Their paths.
    pub files: BTreeSet<RepoPath>,
    /// Whether `files` may be incomplete: there were too many events, or a watched folder was removed.
    pub is_partial: bool,
}

/// A watch of folders, without the folders inside them. It ends when it is dropped.
#[derive(Debug)]
pub struct OpenWatch(system::Watch);

impl OpenWatch {
    /// Watches the `folders` below `root` that exist.
    ///
    /// # Errors
    /// Fails if the system does not support it, or if the limit of watched folders is reached.
    pub fn start<'f>(root: &Path, folders: impl Iterator<Item = &'f RepoPath>) -> io::Result<Self> {
        system::Watch::start(root, folders).map(Self)
    }

    /// Returns the files that were opened or changed since the last call. Everything that a process did
    /// before it ended is included.
    pub fn take(&self) -> Opened {
        self.0.take()
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::collections::HashMap;
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
    use rustix::io::Errno;

    use super::Opened;
    use crate::base::path::RepoPath;

    /// The size of the event buffer, in bytes.
    const BUFFER: usize = 64 << 10;

    #[derive(Debug)]
    pub(super) struct Watch {
        queue: OwnedFd,
        folders: HashMap<i32, RepoPath>,
    }

    impl Watch {
        pub(super) fn start<'f>(
            root: &Path,
            folders: impl Iterator<Item = &'f RepoPath>,
        ) -> io::Result<Self> {
            let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            let flags = WatchFlags::OPEN
                | WatchFlags::MODIFY
                | WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVED_TO
                | WatchFlags::ONLYDIR
                | WatchFlags::DONT_FOLLOW;
            let mut watch = Self { queue, folders: HashMap::new() };
            for folder in folders {
                match inotify::add_watch(&watch.queue, folder.under(root), flags) {
                    Ok(id) => drop(watch.folders.insert(id, folder.clone())),
                    // A folder that is missing or not accessible contains no files that could be opened.
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(watch)
        }

        pub(super) fn take(&self) -> Opened {
            let mut opened = Opened::default();
            let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
            let mut events = Reader::new(&self.queue, &mut buffer);
            loop {
                let event = match events.next() {
                    Ok(event) => event,
                    Err(Errno::INTR) => continue,
                    Err(Errno::AGAIN) => return opened,
                    Err(_) => return Opened { is_partial: true, ..opened },
                };
                if event.events().intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED) {
                    opened.is_partial = true;
                } else if !event.events().contains(ReadFlags::ISDIR)
                    && let (Some(folder), Some(name)) = (self.folders.get(&event.wd()), event.file_name())
                {
                    opened.files.insert(folder.child(name.to_bytes()));
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::path::Path;

    use super::Opened;
    use crate::base::path::RepoPath;

    #[derive(Debug)]
    pub(super) enum Watch {}

    impl Watch {
        pub(super) fn start<'f>(_: &Path, _: impl Iterator<Item = &'f RepoPath>) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn take(&self) -> Opened {
            match *self {}
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::base::wait::wait_until;
    use std::fs;

    fn path(text: &str) -> RepoPath {
        RepoPath::from_git(text.as_bytes())
    }

    #[test]
    fn opened_and_changed_files_are_reported_and_reads_of_metadata_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("sub/deep")).unwrap();
        for name in ["a", "sub/b", "sub/c", "sub/deep/d"] {
            fs::write(root.join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("../a", root.join("sub/link")).unwrap();
        let folders = [path(""), path("sub"), path("gone")];
        let watch = OpenWatch::start(&root, folders.iter()).unwrap();
        assert_eq!(watch.take(), Opened::default());
        fs::metadata(root.join("a")).unwrap();
        fs::read_dir(root.join("sub")).unwrap().for_each(drop);
        fs::read(root.join("sub/deep/d")).unwrap();
        assert_eq!(watch.take(), Opened::default());
        fs::read(root.join("sub/link")).unwrap();
        fs::rename(root.join("sub/b"), root.join("sub/deep/b")).unwrap();
        fs::remove_file(root.join("sub/c")).unwrap();
        let expected = [path("a"), path("sub/b"), path("sub/c")].into();
        assert_eq!(watch.take(), Opened { files: expected, is_partial: false });
        fs::remove_dir_all(root.join("sub")).unwrap();
        // A process that another test has just started may have the folder open for a moment.
        wait_until("the folder is gone", || watch.take().is_partial);
    }
}
