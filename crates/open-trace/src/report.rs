//! What a trace contains, and its form as a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::file_path::FilePath;

/// The files that a program and its descendants used.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Trace {
    /// Why something may have been missed, sorted. It is empty if the trace is complete.
    pub doubts: Vec<Doubt>,
    /// Each path once, sorted.
    pub files: Vec<FileAccess>,
    /// Each path that was looked up, once, sorted; only in a trace of [lookups](crate::Scope::Lookups),
    /// where `files` is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lookups: Vec<Lookup>,
}

/// A path that was looked up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lookup {
    /// The absolute path; none of its parent folders is a symlink. Each symlink on the way to it has a
    /// lookup of its own. Below `/proc`, the path is as the program named it.
    pub path: FilePath,
    /// What it was when it was looked up for the first time.
    pub state: PathState,
    /// Whether it was opened or executed.
    pub opened: bool,
    /// Whether it is a folder whose entries were read.
    pub listed: bool,
    /// Whether the program may have changed it.
    pub written: bool,
}

/// What a path is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathState {
    /// Nothing that can be found; the number of the error.
    Missing(i32),
    /// A file, a folder or a symlink.
    Present(FileState),
    /// An entry of `/proc` about the process that looked it up.
    OwnProcess,
}

/// The metadata of a file, a folder or a symlink.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileState {
    /// The device that contains it.
    pub device: u64,
    /// Its number on the device.
    pub inode: u64,
    /// The size in bytes.
    pub size: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// The last change of the content: seconds and nanoseconds.
    pub modified: (i64, i64),
    /// The last change of content or attributes: seconds and nanoseconds.
    pub changed: (i64, i64),
}

impl PathState {
    /// Returns whether two states of a path are the same, except for what changes all the time: times and
    /// sizes of folders and devices, and everything but the type of what the kernel makes up.
    fn is_like(&self, other: &Self, path: &Path) -> bool {
        match (self, other) {
            (Self::Present(one), Self::Present(other)) if is_made_up(path) => one.mode == other.mode,
            (Self::Present(one), Self::Present(other)) if !one.has_content() => {
                (one.device, one.inode, one.mode) == (other.device, other.inode, other.mode)
            }
            _ => self == other,
        }
    }

    /// Returns what a path is, without following it if it is a symlink.
    pub fn of(path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        match path.symlink_metadata() {
            Ok(metadata) => Self::Present(FileState {
                device: metadata.dev(),
                inode: metadata.ino(),
                size: metadata.size(),
                mode: metadata.mode(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            }),
            Err(error) => Self::Missing(error.raw_os_error().unwrap_or_default()),
        }
    }
}

/// A path and how it was used.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileAccess {
    /// The absolute path.
    pub path: FilePath,
    /// Each kind of access once, in the order of their first appearance. A file that was written before
    /// it was read was made by the program itself; one that is only `Missing` was never there.
    pub accesses: Vec<Access>,
    /// The first access; recorded only by a trace [below](crate::Scope::Below) a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<FirstAccess>,
}

/// Who used a path first, and by which name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FirstAccess {
    /// The program, if it is known.
    pub program: Option<FilePath>,
    /// The path that it named, with symlinks as they were.
    pub named: Option<FilePath>,
}

/// A kind of access to a path.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Opened for reading while it had old content, or given a further name by which it can be read.
    Read,
    /// Opened for writing, created, replaced by a rename or a link, or removed.
    Written,
    /// Executed: the program itself, or a script that names its interpreter.
    Executed,
    /// Looked for in vain: it was not there or could not be opened.
    Missing,
    /// A folder whose entries were read.
    Listed,
}

/// Something that may have escaped the tracer, or that tracing may have changed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Doubt {
    /// What it was.
    pub kind: DoubtKind,
    /// The program that did it, if it is known.
    pub program: Option<FilePath>,
}

/// What may have escaped the tracer, or what tracing may have changed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoubtKind {
    /// There is no report, because the tracer was killed.
    Unreported,
    /// This system can't be traced.
    Unavailable,
    /// The system forbids tracing; its error message.
    NotPermitted(String),
    /// `io_uring` was used: what it opens is not seen.
    IoUring,
    /// A file was opened by a handle, without a path.
    OpenByHandle,
    /// A program was executed that would have other privileges if it were not traced.
    Privileged,
    /// A process was started in a way that escapes tracing.
    Unattached,
    /// A process was lost while it was alive.
    Lost,
    /// A process's memory, its system calls or its entry in `/proc` could not be read.
    Unreadable,
    /// System calls of another architecture were used, such as those of 32-bit programs.
    ForeignCalls,
    /// A process has another view of the file system, so its paths may mean other files.
    OtherRoot,
    /// A process tried to trace another.
    Tracer,
    /// A socket was used, by which a program can ask any other; only in a trace of lookups.
    Socket,
    /// Memory, messages or keys of other processes were used; only in a trace of lookups.
    Exchange,
    /// A program of a format that the system gives to another program was executed; only in a trace of lookups.
    OtherFormat,
    /// A path changed while it was looked up; only in a trace of lookups.
    Changed,
    /// Descendants of the program were still running when it ended; only in a trace of lookups.
    LeftRunning,
}

impl FileState {
    /// Returns whether it is a regular file or a symlink.
    fn has_content(&self) -> bool {
        matches!(self.mode & 0o170_000, 0o100_000 | 0o120_000)
    }
}

/// Returns whether the kernel makes up a path when it is looked at.
fn is_made_up(path: &Path) -> bool {
    ["/proc", "/sys"].iter().any(|folder| path.starts_with(folder))
}

impl Trace {
    /// Returns whether nothing can have been missed.
    pub fn is_complete(&self) -> bool {
        self.doubts.is_empty()
    }

    /// Returns the paths with at least one access of this kind.
    pub fn paths(&self, access: Access) -> impl Iterator<Item = &FilePath> {
        self.files.iter().filter(move |file| file.accesses.contains(&access)).map(|file| &file.path)
    }

    /// Reads a report.
    ///
    /// # Errors
    /// The file is missing, which means that the tracer was killed, or it can't be read.
    pub fn load(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    /// Writes a report, either whole or not at all.
    ///
    /// # Errors
    /// The folder is missing, or the disk is full.
    pub fn store(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.persist(path)?;
        Ok(())
    }
}

impl fmt::Display for DoubtKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreported => f.write_str("the tracer was killed before it could report"),
            Self::Unavailable => f.write_str("tracing is not supported on this system"),
            Self::NotPermitted(error) => write!(f, "the system does not permit tracing: {error}"),
            Self::IoUring => f.write_str("io_uring was used, and files that it opens are not traced"),
            Self::OpenByHandle => f.write_str("a file was opened by a handle"),
            Self::Privileged => f.write_str("a program that changes its privileges was executed"),
            Self::Unattached => f.write_str("a process was started so that it can't be traced"),
            Self::Lost => f.write_str("the tracer lost a running process"),
            Self::Unreadable => f.write_str("a process's memory could not be read"),
            Self::ForeignCalls => f.write_str("system calls of another architecture were used"),
            Self::OtherRoot => f.write_str("a process changed its view of the file system"),
            Self::Tracer => f.write_str("a process tried to trace another"),
            Self::Socket => f.write_str("a socket was used"),
            Self::Exchange => f.write_str("memory, messages or keys of other processes were used"),
            Self::OtherFormat => f.write_str("a program was executed by way of another one"),
            Self::Changed => f.write_str("a path changed while it was looked up"),
            Self::LeftRunning => f.write_str("it left processes running"),
        }
    }
}

/// Collects what a trace will contain.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// If it is set, only paths below this folder are recorded.
    below: Option<PathBuf>,
    doubts: BTreeSet<Doubt>,
    files: BTreeMap<FilePath, (Vec<Access>, Option<FirstAccess>)>,
    lookups: BTreeMap<FilePath, Lookup>,
}

impl Recorder {
    /// Returns one that records only what is below `folder`.
    #[cfg_attr(
        not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))),
        expect(dead_code, reason = "nothing is seen on other systems")
    )]
    pub(crate) fn below(folder: &Path) -> Self {
        Self { below: Some(folder.to_owned()), ..Self::default() }
    }

    /// Returns whether a path would be recorded.
    pub(crate) fn wants(&self, path: &Path) -> bool {
        self.below.as_ref().is_none_or(|folder| path.starts_with(folder))
    }

    /// Records an access to a path. `first` is called only if it is needed.
    #[cfg_attr(
        not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))),
        expect(dead_code, reason = "nothing is seen on other systems")
    )]
    pub(crate) fn record(&mut self, path: &Path, access: Access, first: impl FnOnce() -> FirstAccess) {
        if !self.wants(path) {
            return;
        }
        let is_below = self.below.is_some();
        let (accesses, known) = self.files.entry(FilePath::new(path)).or_default();
        if is_below && known.is_none() {
            *known = Some(first());
        }
        if !accesses.contains(&access) {
            accesses.push(access);
        }
    }

    /// Records that a path was looked up and was this. The first state counts; another one later is a doubt,
    /// unless the program itself changed the path. Returns the lookup.
    #[cfg_attr(
        not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))),
        expect(dead_code, reason = "nothing is seen on other systems")
    )]
    pub(crate) fn look_up(&mut self, path: &Path, state: PathState) -> &mut Lookup {
        let path = FilePath::new(path);
        let known = self.lookups.get(&path).filter(|known| !known.written);
        if known.is_some_and(|known| !known.state.is_like(&state, path.as_path())) {
            self.doubts.insert(Doubt { kind: DoubtKind::Changed, program: None });
        }
        let lookup = || Lookup { path: path.clone(), state, opened: false, listed: false, written: false };
        self.lookups.entry(path.clone()).or_insert_with(lookup)
    }

    /// Returns a lookup that was recorded.
    #[cfg_attr(
        not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))),
        expect(dead_code, reason = "nothing is seen on other systems")
    )]
    pub(crate) fn known(&mut self, path: &Path) -> Option<&mut Lookup> {
        self.lookups.get_mut(&FilePath::new(path))
    }

    /// Records that something may have been missed.
    pub(crate) fn doubt(&mut self, kind: DoubtKind, program: Option<&Path>) {
        self.doubts.insert(Doubt { kind, program: program.map(FilePath::new) });
    }

    /// Returns the finished trace.
    pub(crate) fn finish(self) -> Trace {
        let files = self.files.into_iter();
        let files = files.map(|(path, (accesses, first))| FileAccess { path, accesses, first }).collect();
        let lookups = self.lookups.into_values().collect();
        Trace { doubts: self.doubts.into_iter().collect(), files, lookups }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_cat() -> FirstAccess {
        FirstAccess { program: Some(FilePath::new(Path::new("/bin/cat"))), named: None }
    }

    #[test]
    fn only_paths_in_the_folder_are_recorded_with_their_first_access() {
        let mut recorder = Recorder::below(Path::new("/tree"));
        for path in ["/a", "/treetop", "/tree/a", "/tree/a"] {
            recorder.record(Path::new(path), Access::Read, by_cat);
        }
        let [file] = &recorder.finish().files[..] else { panic!("one file") };
        assert_eq!((file.path.as_path(), file.first.clone()), (Path::new("/tree/a"), Some(by_cat())));
    }

    #[test]
    fn accesses_are_kept_once_and_in_order() {
        let mut recorder = Recorder::default();
        for (path, access) in [
            ("/b", Access::Missing),
            ("/b", Access::Written),
            ("/a", Access::Read),
            ("/b", Access::Read),
            ("/b", Access::Written),
        ] {
            recorder.record(Path::new(path), access, by_cat);
        }
        let trace = recorder.finish();
        assert!(trace.is_complete());
        let shown: Vec<String> =
            trace.files.iter().map(|file| format!("{} {:?}", file.path, file.accesses)).collect();
        assert_eq!(shown, ["/a [Read]", "/b [Missing, Written, Read]"]);
    }

    #[test]
    fn stored_report_is_loaded_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::default();
        recorder.record(Path::new("/a"), Access::Executed, by_cat);
        recorder.doubt(DoubtKind::Lost, Some(Path::new("/bin/x")));
        recorder.doubt(DoubtKind::NotPermitted("no".to_owned()), None);
        recorder.doubt(DoubtKind::Lost, Some(Path::new("/bin/x")));
        let trace = recorder.finish();
        assert_eq!(trace.doubts.len(), 2);
        let path = dir.path().join("report");
        trace.store(&path).unwrap();
        assert_eq!(Trace::load(&path).unwrap(), trace);
        assert!(Trace::load(&dir.path().join("none")).is_err());
    }
}
