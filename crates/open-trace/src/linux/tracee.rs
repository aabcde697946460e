//! A stopped thread as `/proc` shows it: its memory, its folders, its descriptors and its program. It
//! does not know what is looked for in them.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use super::syscalls::PathArgument;

/// The longest path that a call takes, with the zero at its end.
const LONGEST_PATH: usize = 4096;

/// A thread that is stopped while it is inspected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracee(pub(super) i32);

impl Tracee {
    fn link(self, name: &str) -> io::Result<PathBuf> {
        fs::read_link(self.file(name))
    }

    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    /// Returns the program that it runs.
    pub(super) fn program(self) -> Option<PathBuf> {
        self.link("exe").ok()
    }

    /// Reads a path in its memory, without the zero at its end.
    pub(super) fn text(self, address: u64) -> io::Result<PathBuf> {
        let mut bytes = vec![0; LONGEST_PATH];
        // It reads less where the memory ends.
        let read = File::open(self.file("mem"))?.read_at(&mut bytes, address)?;
        let end = bytes[..read].iter().position(|byte| *byte == 0);
        let end = end.ok_or(io::ErrorKind::InvalidData)?;
        Ok(PathBuf::from(OsStr::from_bytes(&bytes[..end])))
    }

    /// Reads bytes in its memory.
    pub(super) fn bytes(self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        File::open(self.file("mem"))?.read_exact_at(&mut bytes, address)?;
        Ok(bytes)
    }

    /// Returns the folder that a relative path starts from.
    pub(super) fn folder(self, at: PathArgument) -> io::Result<PathBuf> {
        at.folder.map_or_else(|| self.link("cwd"), |descriptor| self.descriptor_target(descriptor))
    }

    /// Returns whether it belongs to the process with this id.
    pub(super) fn is_of_process(self, id: &str) -> bool {
        Path::new(&format!("/proc/{id}/task/{}", self.0)).exists()
    }

    /// Reads a number in its memory.
    pub(super) fn number(self, address: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        File::open(self.file("mem"))?.read_exact_at(&mut bytes, address)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Returns the absolute path that a call names, with the symlinks before its last part followed.
    /// `None` if it is empty and so means the descriptor itself.
    pub(super) fn path(self, at: PathArgument) -> io::Result<Option<PathBuf>> {
        let text = self.text(at.text)?;
        if text.as_os_str().is_empty() {
            return Ok(None);
        }
        if text.is_absolute() {
            return Ok(Some(followed(&text)));
        }
        let folder = match at.folder {
            None => self.link("cwd")?,
            Some(descriptor) => self.link(&format!("fd/{descriptor}"))?,
        };
        Ok(Some(followed(&folder.join(text))))
    }

    /// Returns the absolute path that a call names, with symlinks as they are.
    pub(super) fn named(self, at: PathArgument) -> io::Result<PathBuf> {
        let text = self.text(at.text)?;
        Ok(match at.folder {
            _ if text.is_absolute() => text,
            _ => self.folder(at)?.join(text),
        })
    }

    /// Returns the kernel's name of what a descriptor has open.
    pub(super) fn descriptor_target(self, descriptor: i32) -> io::Result<PathBuf> {
        self.link(&format!("fd/{descriptor}"))
    }

    /// Returns the absolute path and metadata of what a descriptor has open. `None` if it has no path,
    /// as a pipe, or was removed.
    pub(super) fn opened(self, descriptor: i32) -> io::Result<Option<(PathBuf, Metadata)>> {
        const DELETED: &[u8] = b" (deleted)";
        let name = format!("fd/{descriptor}");
        let path = self.link(&name)?;
        if !path.is_absolute() {
            return Ok(None);
        }
        let metadata = fs::metadata(self.file(&name))?;
        if metadata.nlink() == 0 && path.as_os_str().as_bytes().ends_with(DELETED) {
            return Ok(None);
        }
        Ok(Some((path, metadata)))
    }

    /// Returns whether its program would have other privileges if it were not traced.
    pub(super) fn lacks_privileges(self) -> io::Result<bool> {
        const SET_USER: u32 = 0o4000;
        const SET_GROUP: u32 = 0o2010;
        let program = fs::metadata(self.file("exe"))?;
        let own = fs::metadata(self.file(""))?;
        let set_user = program.mode() & SET_USER == SET_USER && program.uid() != own.uid();
        let set_group = program.mode() & SET_GROUP == SET_GROUP && program.gid() != own.gid();
        let capable = own.uid() != 0 && {
            let size = rustix::fs::getxattr(self.file("exe"), "security.capability", &mut [0_u8; 64]);
            size.is_ok_and(|size| size > 0)
        };
        Ok(set_user || set_group || capable)
    }

    /// Returns whether its paths mean the same files as those of this process.
    pub(super) fn shares_root(self) -> io::Result<bool> {
        let root = self.link("root")?;
        let mounts = self.link("ns/mnt")?;
        Ok(root == fs::read_link("/proc/self/root")? && mounts == fs::read_link("/proc/self/ns/mnt")?)
    }
}

/// Follows the symlinks before the last part of `path`, as far as it exists. Below a missing folder, the
/// path ends before the first `..`: no call gets further.
fn followed(path: &Path) -> PathBuf {
    for folder in path.ancestors().skip(1) {
        let Ok(real) = folder.canonicalize() else { continue };
        let rest = path.strip_prefix(folder).unwrap_or(path);
        let mut whole = real;
        for (index, component) in rest.components().enumerate() {
            match component {
                Component::Normal(name) => whole.push(name),
                // The folder exists, so this is its parent.
                Component::ParentDir if index == 0 => drop(whole.pop()),
                Component::ParentDir => break,
                _ => {}
            }
        }
        return whole;
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symlinks_in_parent_folders_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("real/sub")).unwrap();
        std::os::unix::fs::symlink("real/sub", root.join("link")).unwrap();
        for (path, expected) in [
            ("link/none", "real/sub/none"),
            ("link/../none", "real/none"),
            ("link", "link"),
            ("none/a/b", "none/a/b"),
            ("none/../b", "none"),
            ("real/./sub//x", "real/sub/x"),
            ("link/..", "real"),
        ] {
            assert_eq!(followed(&root.join(path)), root.join(expected), "{path}");
        }
    }

    #[test]
    fn current_thread_is_read_correctly() {
        let own = Tracee(rustix::process::getpid().as_raw_pid());
        assert!(own.shares_root().unwrap());
        let text = c"here";
        assert_eq!(own.text(text.as_ptr() as u64).unwrap(), Path::new("here"));
        let at = PathArgument { folder: None, text: text.as_ptr() as u64 };
        assert_eq!(own.path(at).unwrap(), Some(own.link("cwd").unwrap().join("here")));
        assert!(own.text(0).is_err());
        let file = tempfile::NamedTempFile::new().unwrap();
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file);
        assert_eq!(own.opened(descriptor).unwrap().unwrap().0, file.path().canonicalize().unwrap());
        file.as_file().sync_all().unwrap();
        fs::remove_file(file.path()).unwrap();
        assert!(own.opened(descriptor).unwrap().is_none());
    }
}
