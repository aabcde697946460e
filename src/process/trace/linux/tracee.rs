//! A stopped thread as `/proc` shows it: its memory, its folders, its descriptors, its program. It
//! must not know what is looked for in them.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use super::calls::At;

/// The longest path that a call takes, with its end.
const LONGEST_PATH: usize = 4096;
/// SIGCONT, in a mask of signals.
const CONTINUE: u64 = 1 << (nix::libc::SIGCONT - 1);

/// A thread that stands still as long as it is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracee(pub(super) i32);

impl Tracee {
    fn link(self, name: &str) -> io::Result<PathBuf> {
        fs::read_link(self.place(name))
    }

    /// A file of its folder in `/proc`.
    pub(super) fn place(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    /// The program that it runs.
    pub(super) fn program(self) -> Option<PathBuf> {
        self.link("exe").ok()
    }

    /// A text in its memory, without the zero at its end.
    pub(super) fn text(self, address: u64) -> io::Result<PathBuf> {
        let mut bytes = vec![0; LONGEST_PATH];
        // It comes out shorter where the memory ends.
        let read = File::open(self.place("mem"))?.read_at(&mut bytes, address)?;
        let end = bytes[..read].iter().position(|byte| *byte == 0);
        let end = end.ok_or(io::ErrorKind::InvalidData)?;
        Ok(PathBuf::from(OsStr::from_bytes(&bytes[..end])))
    }

    /// A number in its memory.
    pub(super) fn number(self, address: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        File::open(self.place("mem"))?.read_exact_at(&mut bytes, address)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// The absolute path that a call names, with the symlinks before its last part followed. `None`
    /// if it is empty and so stands for the descriptor itself.
    pub(super) fn path(self, at: At) -> io::Result<Option<PathBuf>> {
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

    /// The absolute path that a call names, as it names it, with all symlinks.
    pub(super) fn named(self, at: At) -> io::Result<PathBuf> {
        let text = self.text(at.text)?;
        Ok(match at.folder {
            _ if text.is_absolute() => text,
            None => self.link("cwd")?.join(text),
            Some(descriptor) => self.leads_to(descriptor)?.join(text),
        })
    }

    /// What the kernel calls what is open under a descriptor.
    pub(super) fn leads_to(self, descriptor: i32) -> io::Result<PathBuf> {
        self.link(&format!("fd/{descriptor}"))
    }

    /// The absolute path of what is open under a descriptor, and what it is. `None` if it has no
    /// path, such as a pipe, or none any more.
    pub(super) fn opened(self, descriptor: i32) -> io::Result<Option<(PathBuf, Metadata)>> {
        const DELETED: &[u8] = b" (deleted)";
        let name = format!("fd/{descriptor}");
        let path = self.link(&name)?;
        if !path.is_absolute() {
            return Ok(None);
        }
        let metadata = fs::metadata(self.place(&name))?;
        if metadata.nlink() == 0 && path.as_os_str().as_bytes().ends_with(DELETED) {
            return Ok(None);
        }
        Ok(Some((path, metadata)))
    }

    /// Whether executing its program would have given it other privileges if it were not traced.
    pub(super) fn lacks_privileges(self) -> io::Result<bool> {
        const SET_USER: u32 = 0o4000;
        const SET_GROUP: u32 = 0o2010;
        let program = fs::metadata(self.place("exe"))?;
        let own = fs::metadata(self.place(""))?;
        let set_user = program.mode() & SET_USER == SET_USER && program.uid() != own.uid();
        let set_group = program.mode() & SET_GROUP == SET_GROUP && program.gid() != own.gid();
        let capable = own.uid() != 0 && {
            let size = rustix::fs::getxattr(self.place("exe"), "security.capability", &mut [0_u8; 64]);
            size.is_ok_and(|size| size > 0)
        };
        Ok(set_user || set_group || capable)
    }

    /// Whether its paths mean the files that they mean to this process.
    pub(super) fn shares_root(self) -> io::Result<bool> {
        let root = self.link("root")?;
        let space = self.link("ns/mnt")?;
        Ok(root == fs::read_link("/proc/self/root")? && space == fs::read_link("/proc/self/ns/mnt")?)
    }

    /// Its process's id.
    pub(super) fn process(self) -> Option<i32> {
        self.status("Tgid:")?.trim().parse().ok()
    }

    /// Whether a SIGCONT waits for it, while it stands still with its process.
    pub(super) fn is_continued(self) -> bool {
        let waits = |field| {
            self.status(field)
                .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
                .is_some_and(|mask| mask & CONTINUE != 0)
        };
        waits("ShdPnd:") || waits("SigPnd:")
    }

    /// Whether it blocks a signal.
    pub(super) fn blocks(self, signal: i32) -> bool {
        let mask = self.status("SigBlk:").and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
    }

    /// Where in the page that the kernel lends each process there are these bytes.
    pub(super) fn call_instruction(self, bytes: &[u8]) -> io::Result<u64> {
        let maps = fs::read_to_string(self.place("maps"))?;
        let range = maps.lines().find(|line| line.ends_with("[vdso]")).and_then(|line| {
            let (start, end) = line.split_once(' ')?.0.split_once('-')?;
            Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
        });
        let (start, end) = range.ok_or(io::ErrorKind::NotFound)?;
        let mut page = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
        File::open(self.place("mem"))?.read_exact_at(&mut page, start)?;
        // Where instructions have one length, each begins at a multiple of it.
        let step = if cfg!(target_arch = "x86_64") { 1 } else { bytes.len() };
        let at = (0..page.len()).step_by(step).find(|at| page[*at..].starts_with(bytes));
        let at = at.ok_or(io::ErrorKind::NotFound)?;
        Ok(start + u64::try_from(at).map_err(io::Error::other)?)
    }

    fn status(self, field: &str) -> Option<String> {
        let status = fs::read_to_string(self.place("status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix(field)).map(str::to_owned)
    }
}

/// `path` with the symlinks before its last part followed, as far as there is anything. What is below
/// a missing folder ends before it goes up again, where no call would have come.
fn followed(path: &Path) -> PathBuf {
    for folder in path.ancestors().skip(1) {
        let Ok(real) = folder.canonicalize() else { continue };
        let rest = path.strip_prefix(folder).unwrap_or(path);
        let mut whole = real;
        for (index, component) in rest.components().enumerate() {
            match component {
                Component::Normal(name) => whole.push(name),
                // The folder itself is there, so this is its parent.
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
    fn symlinks_before_the_last_part_are_followed() {
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
    fn this_thread_is_seen_as_it_is() {
        let own = Tracee(nix::unistd::getpid().as_raw());
        assert_eq!(own.process(), Some(own.0));
        assert!(own.shares_root().unwrap() && !own.is_continued());
        let text = c"here";
        assert_eq!(own.text(text.as_ptr() as u64).unwrap(), Path::new("here"));
        let at = At { folder: None, text: text.as_ptr() as u64 };
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
