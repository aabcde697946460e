//! Turns the watched calls of traced threads into findings: which files were used, and what may have
//! escaped. It does not know how the threads are followed.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::observe::Observe;
use super::syscalls::{self, Call, PathArgument, Watched};
use super::tracee::Tracee;
use crate::file_path::FilePath;
use crate::report::{Access, FirstAccess, Recorder, Trace};

/// A watched call between its entry and its exit.
#[derive(Debug)]
pub(super) struct PendingCall {
    call: Call,
    /// The path that it names, if it has to be read at the entry.
    path: Option<PathBuf>,
    /// The same path with symlinks as they are.
    named: Option<PathBuf>,
    /// What a link or a rename starts from.
    source: Option<LinkSource>,
}

/// A file or folder that a link or a rename gives another name.
#[derive(Debug)]
struct LinkSource {
    path: PathBuf,
    is_folder: bool,
}

impl LinkSource {
    fn new(path: PathBuf) -> Self {
        let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        Self { path, is_folder }
    }

    /// Returns the access that becomes possible through the new name, which the trace would miss.
    fn access(&self) -> Access {
        if self.is_folder { Access::Listed } else { Access::Read }
    }
}

/// Records the file accesses of calls.
#[derive(Debug, Default)]
pub(super) struct Observer {
    recorder: Recorder,
    /// Whether the program was executed. Until then, the tracer's own child looks for it.
    has_begun: bool,
    /// Whether only files below a folder are wanted, and only those opened, executed or changed.
    opens_only: bool,
}

impl Observe for Observer {
    type Pending = PendingCall;

    fn at_entry(&mut self, tracee: Tracee, number: u64, args: &[u64; 6]) -> Option<PendingCall> {
        let call = syscalls::parse(number, args, Watched::Accesses)?;
        let mut source = None;
        let mut named = None;
        let path = match call {
            // After an exec the memory with the path is gone, and after a rename the path may mean another file.
            Call::Execute(at) => {
                named = self.opens_only.then(|| tracee.named(at).ok()).flatten();
                self.path(tracee, at)
            }
            _ if !self.has_begun => return None,
            Call::Change(at) => self.path(tracee, at),
            Call::Link { from, to, follows } => {
                source = self.source(tracee, from, follows);
                self.path(tracee, to)
            }
            Call::Rename { from, to, .. } => {
                source = self.source(tracee, from, false);
                self.path(tracee, to)
            }
            Call::Clone(flags) => {
                self.check_clone(tracee, flags);
                return None;
            }
            Call::CloneHow(address) => {
                let flags = self.or_doubt(tracee, tracee.number(address))?;
                self.check_clone(tracee, flags);
                return None;
            }
            _ => None,
        };
        Some(PendingCall { call, path, named, source })
    }

    fn at_exit(&mut self, tracee: Tracee, pending: &PendingCall, result: i64) {
        let errno = i32::try_from(-result).ok().filter(|errno| *errno > 0);
        let is_missing = matches!(errno, Some(libc::ENOENT | libc::EACCES | libc::ENOTDIR));
        match pending.call {
            Call::Open(at, flags) if errno.is_none() || is_missing => self.opened(tracee, at, flags, result),
            Call::OpenHow(at, address) if errno.is_none() || is_missing => {
                if let Some(flags) = self.or_doubt(tracee, tracee.number(address)) {
                    self.opened(tracee, at, flags, result);
                }
            }
            Call::Look(at) if errno == Some(libc::ENOENT) => self.missed(tracee, at),
            Call::Execute(_) if is_missing => self.record(tracee, pending.path.as_deref(), Access::Missing),
            // A program that removes a missing file would remove it where it is there.
            Call::Change(_) if errno.is_none() || self.opens_only && errno == Some(libc::ENOENT) => {
                self.record(tracee, pending.path.as_deref(), Access::Written);
            }
            Call::Link { .. } | Call::Rename { .. } => self.renamed(tracee, pending, errno),
            Call::List(descriptor) if errno.is_none() => {
                let folder = self.or_doubt(tracee, tracee.opened(descriptor)).flatten();
                self.record(tracee, folder.as_ref().map(|(path, _)| path.as_path()), Access::Listed);
            }
            Call::Escape(escape) => self.escaped(tracee, escape, errno.is_none()),
            _ => {}
        }
    }

    fn executed(&mut self, tracee: Tracee, pending: Option<PendingCall>) {
        self.has_begun = true;
        let program = tracee.program().filter(|program| program.is_absolute());
        let (path, named) = pending.map_or((None, None), |pending| (pending.path, pending.named));
        let wanted = program.as_deref().filter(|program| self.recorder.wants(program));
        if let Some(program) = wanted.filter(|program| program.exists()) {
            self.recorder.record(program, Access::Executed, || first_access(tracee, named.clone()));
        }
        // What runs is the interpreter if the path is that of a script.
        let path = path.map(|path| path.canonicalize().unwrap_or(path));
        let path = path.filter(|path| self.recorder.wants(path));
        if let Some(path) = path.filter(|path| !is_same(path, program.as_deref())) {
            self.recorder.record(&path, Access::Executed, || first_access(tracee, named));
        }
        self.check_program(tracee);
    }

    fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    fn finish(self) -> Trace {
        self.recorder.finish()
    }
}

impl Observer {
    /// Returns one that looks only for files below a folder that are opened, executed or changed.
    pub(super) fn below(folder: &Path) -> Self {
        Self { recorder: Recorder::below(folder), has_begun: false, opens_only: true }
    }

    /// Returns what a link or a rename starts from. An empty path means the descriptor itself.
    fn source(&mut self, tracee: Tracee, at: PathArgument, follows: bool) -> Option<LinkSource> {
        let path = match (self.path(tracee, at), at.folder) {
            (Some(path), _) => path,
            (None, Some(descriptor)) => self.or_doubt(tracee, tracee.opened(descriptor)).flatten()?.0,
            (None, None) => return None,
        };
        Some(LinkSource::new(if follows { path.canonicalize().unwrap_or(path) } else { path }))
    }

    fn renamed(&mut self, tracee: Tracee, pending: &PendingCall, errno: Option<i32>) {
        let source = pending.source.as_ref();
        if let Some(source) = source
            && errno == Some(libc::ENOENT)
            && source.path.symlink_metadata().is_err()
        {
            self.record(tracee, Some(&source.path), Access::Missing);
        }
        if errno.is_some() {
            return;
        }
        if let Some(source) = source {
            self.record(tracee, Some(&source.path), source.access());
            if let Call::Rename { swaps, .. } = pending.call {
                self.record(tracee, Some(&source.path), Access::Written);
                if swaps {
                    // The earlier target has the name of the source now.
                    self.record(
                        tracee,
                        pending.path.as_deref(),
                        LinkSource::new(source.path.clone()).access(),
                    );
                }
            }
        }
        self.record(tracee, pending.path.as_deref(), Access::Written);
    }

    fn opened(&mut self, tracee: Tracee, at: PathArgument, flags: u64, result: i64) {
        if result < 0 {
            if !self.opens_only {
                self.missed(tracee, at);
            }
            return;
        }
        let Ok(descriptor) = i32::try_from(result) else { return };
        if self.opens_only
            && tracee.descriptor_target(descriptor).is_ok_and(|path| !self.recorder.wants(&path))
        {
            return;
        }
        let opened = self.or_doubt(tracee, tracee.opened(descriptor)).flatten();
        // Opening a folder is not yet reading it.
        let Some((path, _)) = opened.filter(|(_, metadata)| !metadata.is_dir()) else { return };
        for access in syscalls::accesses(flags) {
            self.recorder.record(&path, *access, || first_access(tracee, tracee.named(at).ok()));
        }
    }

    fn missed(&mut self, tracee: Tracee, at: PathArgument) {
        let path = self.path(tracee, at);
        self.record(tracee, path.as_deref(), Access::Missing);
    }

    fn path(&mut self, tracee: Tracee, at: PathArgument) -> Option<PathBuf> {
        self.or_doubt(tracee, tracee.path(at)).flatten()
    }

    fn record(&mut self, tracee: Tracee, path: Option<&Path>, access: Access) {
        if let Some(path) = path {
            self.recorder.record(path, access, || first_access(tracee, None));
        }
    }
}

/// Returns who uses a path, by which name.
fn first_access(tracee: Tracee, named: Option<PathBuf>) -> FirstAccess {
    let path = |path: PathBuf| FilePath::new(&path);
    FirstAccess { program: tracee.program().map(path), named: named.map(path) }
}

/// Returns whether two paths are one file.
fn is_same(one: &Path, other: Option<&Path>) -> bool {
    let id = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    other.is_some_and(|other| one == other || id(one).is_some() && id(one) == id(other))
}
