//! Locks between processes, on files. It must not know what they guard.
//!
//! The kernel releases a lock when its holder ends, even if it is killed, so no cleanup is needed.
//! The file of a [`FileLock::named`] lock, shared or not, is removed by its last holder, so a
//! folder of locks does not grow.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::base::file::FileError;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    named: Option<PathBuf>,
}

impl FileLock {
    /// Tries to take the exclusive lock with this file. Returns `None` if another process, or another holder
    /// in this one, has it.
    ///
    /// # Errors
    /// The file can't be created or locked.
    pub fn named(path: &Path) -> Result<Option<Self>, FileError> {
        Self::attempt(path, File::try_lock)
    }

    /// Tries to take the shared lock with this file. Returns `None` if another holder has it
    /// exclusively.
    ///
    /// # Errors
    /// The file can't be created or locked.
    pub fn try_named_shared(path: &Path) -> Result<Option<Self>, FileError> {
        Self::attempt(path, File::try_lock_shared)
    }

    fn attempt(
        path: &Path,
        take: impl Fn(&File) -> Result<(), TryLockError>,
    ) -> Result<Option<Self>, FileError> {
        loop {
            let file = open(path)?;
            match take(&file) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(FileError::context("lock", path)(error)),
            }
            // The previous holder may have deleted the file after we opened it and before we locked it.
            if is_same_file(&file, path) {
                return Ok(Some(Self { file, named: Some(path.to_owned()) }));
            }
        }
    }

    /// Writes the name of the holder into the file, to show it to those who wait.
    ///
    /// # Errors
    /// The disk is full.
    pub fn sign(&self, holder: &str) -> Result<(), FileError> {
        let mut file = &self.file;
        let path = self.named.as_deref().unwrap_or(Path::new("a lock"));
        // Some file systems write a file that was truncated to the disk when it is closed.
        let clear = || if file.metadata()?.len() > 0 { file.set_len(0) } else { Ok(()) };
        clear().and_then(|()| file.write_all(holder.as_bytes())).map_err(FileError::context("write", path))
    }

    /// Returns the name of the holder in this file, if it has one.
    pub fn holder(path: &Path) -> Option<String> {
        let text = String::from_utf8(crate::base::file::read(path).ok()??).ok()?;
        (!text.is_empty()).then_some(text)
    }

    /// Returns the open file, to pass it to another process. The lock is released when all processes have
    /// closed the file, or when this is dropped.
    ///
    /// # Errors
    /// There are too many open files.
    pub fn share(&self) -> std::io::Result<File> {
        self.file.try_clone()
    }

    /// Returns whether an error says that the file system has no locks. Some network and shared file systems
    /// have none.
    pub fn is_unsupported(error: &FileError) -> bool {
        let code = error.source.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
        error.source.kind() == std::io::ErrorKind::Unsupported
            || matches!(code, Some(rustix::io::Errno::NOLCK | rustix::io::Errno::OPNOTSUPP))
    }

    /// Waits until no other process has the exclusive lock, and takes the shared one.
    ///
    /// # Errors
    /// The file can't be created or locked.
    pub fn shared(path: &Path) -> Result<Self, FileError> {
        let file = open(path)?;
        file.lock_shared().map_err(FileError::context("lock", path))?;
        Ok(Self { file, named: None })
    }

    /// Waits until no other process has the lock, and takes the exclusive one.
    ///
    /// # Errors
    /// The file can't be created or locked.
    pub fn exclusive(path: &Path) -> Result<Self, FileError> {
        let file = open(path)?;
        file.lock().map_err(FileError::context("lock", path))?;
        Ok(Self { file, named: None })
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // The file is deleted while it is still locked, so that those who wait see that it is stale. If
        // several share the lock, the last one can take it exclusively and deletes the file.
        if let Some(path) = &self.named
            && self.file.try_lock().is_ok()
        {
            let _ = std::fs::remove_file(path);
        }
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> Result<File, FileError> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(FileError::context("open", path))
}

fn is_same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.metadata()) {
        (Ok(ours), Ok(named)) => ours.ino() == named.ino() && ours.dev() == named.dev(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusive_lock_has_one_holder_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let held = FileLock::named(&path).unwrap();
        assert!(held.is_some());
        assert!(FileLock::named(&path).unwrap().is_none());
        assert_eq!(FileLock::holder(&path), None);
        held.as_ref().unwrap().sign("me").unwrap();
        assert_eq!(FileLock::holder(&path).as_deref(), Some("me"));
        drop(held);
        assert!(!path.exists());
        assert!(FileLock::named(&path).unwrap().is_some());
    }

    #[test]
    fn shared_lock_has_many_holders_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("place");
        let first = FileLock::try_named_shared(&path).unwrap();
        let second = FileLock::try_named_shared(&path).unwrap();
        assert!(first.is_some() && second.is_some());
        drop(first);
        assert!(path.exists());
        assert!(FileLock::named(&path).unwrap().is_none());
        drop(second);
        assert!(!path.exists());
        let alone = FileLock::named(&path).unwrap();
        assert!(alone.is_some());
        assert!(FileLock::try_named_shared(&path).unwrap().is_none());
    }
}
