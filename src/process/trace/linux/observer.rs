//! What the watched calls of the traced threads tell of files, and what may have escaped. It must not
//! know how the threads are followed.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::libc;

use super::calls::{self, At, Call, Hiding};
use super::registers::Registers;
use super::tracee::Tracee;
use crate::process::trace::Watched;
use crate::process::trace::file_path::FilePath;
use crate::process::trace::report::{Access, How, Notebook, Trace, Why};

/// A watched call between its entry and its exit.
#[derive(Debug)]
pub(super) struct Flight {
    call: Call,
    /// What it names, where that has to be read at the entry.
    path: Option<PathBuf>,
    /// The same as it was named, with all symlinks.
    named: Option<PathBuf>,
    /// What a link or a rename begins from.
    source: Option<Source>,
}

/// What gets a further or another name.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    is_folder: bool,
}

impl Source {
    fn of(path: PathBuf) -> Self {
        let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        Self { path, is_folder }
    }

    /// Who has it by another name can read it there, unseen.
    fn how(&self) -> How {
        if self.is_folder { How::Listed } else { How::Read }
    }
}

/// Takes notes.
#[derive(Debug, Default)]
pub(super) struct Observer {
    notebook: Notebook,
    /// Whether the program was executed; before, this program looks for it.
    begun: bool,
    /// Whether only what is opened, executed or changed below a folder is wanted.
    is_narrow: bool,
}

impl Observer {
    /// One that looks for what is wanted.
    pub(super) fn new(watched: &Watched) -> Self {
        match watched {
            Watched::Everything => Self::default(),
            Watched::Below(folder) => {
                Self { notebook: Notebook::below(folder), begun: false, is_narrow: true }
            }
        }
    }

    /// A thread enters a call.
    pub(super) fn entered(&mut self, tracee: Tracee, registers: &Registers) -> Option<Flight> {
        let call = calls::call(registers.number, &registers.args)?;
        let mut source = None;
        let mut named = None;
        let path = match call {
            // What an exec names is gone when it is done, and where a rename led may be.
            Call::Execute(at) => {
                named = self.is_narrow.then(|| tracee.named(at).ok()).flatten();
                self.path(tracee, at)
            }
            _ if !self.begun => return None,
            Call::Make(at) => self.path(tracee, at),
            Call::Link { from, to, follows } => {
                source = self.source(tracee, from, follows);
                self.path(tracee, to)
            }
            Call::Move { from, to, .. } => {
                source = self.source(tracee, from, false);
                self.path(tracee, to)
            }
            Call::Clone(flags) => {
                self.cloned(tracee, flags);
                return None;
            }
            Call::CloneHow(address) => {
                let flags = self.sure(tracee, tracee.number(address))?;
                self.cloned(tracee, flags);
                return None;
            }
            _ => None,
        };
        Some(Flight { call, path, named, source })
    }

    /// What a link or a rename begins from; an empty path stands for the descriptor itself.
    fn source(&mut self, tracee: Tracee, at: At, follows: bool) -> Option<Source> {
        let path = match (self.path(tracee, at), at.folder) {
            (Some(path), _) => path,
            (None, Some(descriptor)) => self.sure(tracee, tracee.opened(descriptor)).flatten()?.0,
            (None, None) => return None,
        };
        Some(Source::of(if follows { path.canonicalize().unwrap_or(path) } else { path }))
    }

    fn cloned(&mut self, tracee: Tracee, flags: u64) {
        if flags & calls::bits(libc::CLONE_UNTRACED) != 0 {
            self.doubt(Why::Unattached, tracee);
        }
    }

    /// A thread comes back from a call.
    pub(super) fn left(&mut self, tracee: Tracee, flight: &Flight, result: i64) {
        let errno = i32::try_from(-result).ok().filter(|errno| *errno > 0);
        let refused = matches!(errno, Some(libc::ENOENT | libc::EACCES | libc::ENOTDIR));
        match flight.call {
            Call::Open(at, flags) if errno.is_none() || refused => self.opened(tracee, at, flags, result),
            Call::OpenHow(at, address) if errno.is_none() || refused => {
                if let Some(flags) = self.sure(tracee, tracee.number(address)) {
                    self.opened(tracee, at, flags, result);
                }
            }
            Call::Look(at) if errno == Some(libc::ENOENT) => self.missed(tracee, at),
            Call::Execute(_) if refused => self.saw(tracee, flight.path.as_deref(), How::Missing),
            // Who removes a file that is gone already does so wherever it is still there.
            Call::Make(_) if errno.is_none() || self.is_narrow && errno == Some(libc::ENOENT) => {
                self.saw(tracee, flight.path.as_deref(), How::Written);
            }
            Call::Link { .. } | Call::Move { .. } => self.renamed(tracee, flight, errno),
            Call::List(descriptor) if errno.is_none() => {
                let folder = self.sure(tracee, tracee.opened(descriptor)).flatten();
                self.saw(tracee, folder.as_ref().map(|(path, _)| path.as_path()), How::Listed);
            }
            Call::Hide(hiding) => self.hidden(tracee, hiding, errno.is_none()),
            _ => {}
        }
    }

    fn renamed(&mut self, tracee: Tracee, flight: &Flight, errno: Option<i32>) {
        let source = flight.source.as_ref();
        if let Some(source) = source
            && errno == Some(libc::ENOENT)
            && source.path.symlink_metadata().is_err()
        {
            self.saw(tracee, Some(&source.path), How::Missing);
        }
        if errno.is_some() {
            return;
        }
        if let Some(source) = source {
            self.saw(tracee, Some(&source.path), source.how());
            if let Call::Move { swaps, .. } = flight.call {
                self.saw(tracee, Some(&source.path), How::Written);
                if swaps {
                    // What the target was stands in place of the source now.
                    self.saw(tracee, flight.path.as_deref(), Source::of(source.path.clone()).how());
                }
            }
        }
        self.saw(tracee, flight.path.as_deref(), How::Written);
    }

    fn opened(&mut self, tracee: Tracee, at: At, flags: u64, result: i64) {
        if result < 0 {
            if !self.is_narrow {
                self.missed(tracee, at);
            }
            return;
        }
        let Ok(descriptor) = i32::try_from(result) else { return };
        if self.is_narrow && tracee.leads_to(descriptor).is_ok_and(|path| !self.notebook.wants(&path)) {
            return;
        }
        let opened = self.sure(tracee, tracee.opened(descriptor)).flatten();
        // A folder is only read when it is listed.
        let Some((path, _)) = opened.filter(|(_, metadata)| !metadata.is_dir()) else { return };
        for how in calls::ways(flags) {
            self.notebook.saw(&path, *how, || access(tracee, tracee.named(at).ok()));
        }
    }

    fn missed(&mut self, tracee: Tracee, at: At) {
        let path = self.path(tracee, at);
        self.saw(tracee, path.as_deref(), How::Missing);
    }

    fn hidden(&mut self, tracee: Tracee, hiding: Hiding, succeeded: bool) {
        let why = match hiding {
            Hiding::IoUring => Why::IoUring,
            Hiding::Handle => Why::OpenByHandle,
            Hiding::Root => Why::OtherRoot,
            // It can't succeed, and what the program does then is not what it does otherwise.
            Hiding::Tracer => return self.doubt(Why::Tracer, tracee),
        };
        if succeeded {
            self.doubt(why, tracee);
        }
    }

    /// A thread executed a program, by this call.
    pub(super) fn executed(&mut self, tracee: Tracee, flight: Option<Flight>) {
        self.begun = true;
        let program = tracee.program().filter(|program| program.is_absolute());
        let (path, named) = flight.map_or((None, None), |flight| (flight.path, flight.named));
        let wanted = program.as_deref().filter(|program| self.notebook.wants(program));
        if let Some(program) = wanted.filter(|program| program.exists()) {
            self.notebook.saw(program, How::Executed, || access(tracee, named.clone()));
        }
        // A script is not the program that runs then.
        let path = path.map(|path| path.canonicalize().unwrap_or(path));
        let path = path.filter(|path| self.notebook.wants(path));
        if let Some(path) = path.filter(|path| !is_same(path, program.as_deref())) {
            self.notebook.saw(&path, How::Executed, || access(tracee, named));
        }
        if self.sure(tracee, tracee.lacks_privileges()) == Some(true) {
            self.doubt(Why::Privileged, tracee);
        }
        if self.sure(tracee, tracee.shares_root()) == Some(false) {
            self.doubt(Why::OtherRoot, tracee);
        }
    }

    /// Something may have escaped.
    pub(super) fn doubt(&mut self, why: Why, tracee: Tracee) {
        self.notebook.doubt(why, tracee.program().as_deref());
    }

    /// Nothing could be seen.
    pub(super) fn blind(&mut self, why: Why) {
        self.notebook.doubt(why, None);
    }

    /// All that was seen.
    pub(super) fn finish(self) -> Trace {
        self.notebook.finish()
    }

    fn path(&mut self, tracee: Tracee, at: At) -> Option<PathBuf> {
        self.sure(tracee, tracee.path(at)).flatten()
    }

    fn saw(&mut self, tracee: Tracee, path: Option<&Path>, how: How) {
        if let Some(path) = path {
            self.notebook.saw(path, how, || access(tracee, None));
        }
    }

    /// What could be read, or a doubt.
    fn sure<T>(&mut self, tracee: Tracee, read: io::Result<T>) -> Option<T> {
        if read.is_err() {
            self.doubt(Why::Unreadable, tracee);
        }
        read.ok()
    }
}

/// Who reached a path, and as what.
fn access(tracee: Tracee, named: Option<PathBuf>) -> Access {
    let path = |path: PathBuf| FilePath::of(&path);
    Access { program: tracee.program().map(path), named: named.map(path) }
}

/// Whether two paths are one file.
fn is_same(one: &Path, other: Option<&Path>) -> bool {
    let id = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    other.is_some_and(|other| one == other || id(one).is_some() && id(one) == id(other))
}
