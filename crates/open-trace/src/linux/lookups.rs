//! Turns the watched calls of traced threads into lookups: every path that had an influence on a program,
//! and what it was. It does not know how the threads are followed.
//!
//! A path is looked up here before the call does the same, so its state is that of before the call. It is
//! walked part by part, since each symlink on the way decides what the path means.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use super::observe::Observe;
use super::syscalls::{self, Call, PathArgument, Watched};
use super::tracee::Tracee;
use crate::report::{DoubtKind, PathState, Recorder, Trace};

/// The folder of processes. Its symlinks mean something else for each process that follows them.
const PROCESSES: &str = "/proc";
/// As many symlinks and interpreters as the kernel follows.
const MAX_LINKS: u32 = 40;
const MAX_INTERPRETERS: u32 = 5;
/// Failures that say nothing of the path, and may not happen again.
const PASSING: &[i32] = &[
    libc::EAGAIN,
    libc::EINTR,
    libc::EIO,
    libc::EMFILE,
    libc::ENFILE,
    libc::ENOMEM,
    libc::ESTALE,
    libc::ETXTBSY,
];
/// The address family of the kernel itself: `AF_NETLINK`.
const NETLINK: u16 = 16;

/// A watched call between its entry and its exit.
#[derive(Debug)]
pub(super) struct PendingLookup {
    call: Call,
    /// Where its path ended.
    end: Option<PathEnd>,
}

/// Where a path ended that was looked up.
#[derive(Debug)]
struct PathEnd {
    path: PathBuf,
    is_missing: bool,
    /// Whether the last part of the path is a symlink. Some calls don't follow it.
    is_link: bool,
}

/// Records what calls look up.
#[derive(Debug, Default)]
pub(super) struct LookupObserver {
    recorder: Recorder,
    /// Whether the program was executed. Until then, the tracer's own child looks for it.
    has_begun: bool,
}

impl Observe for LookupObserver {
    type Pending = PendingLookup;

    fn at_entry(&mut self, tracee: Tracee, number: u64, args: &[u64; 6]) -> Option<PendingLookup> {
        let call = syscalls::parse(number, args, Watched::Lookups)?;
        let end = match call {
            Call::Execute(at) => self.look_up(tracee, at, false),
            _ if !self.has_begun => return None,
            Call::Open(at, _) | Call::Look(at) => self.look_up(tracee, at, false),
            Call::OpenHow(at, address) => {
                const RESOLVE_IN_ROOT: u64 = 0x10;
                let resolve = self.or_doubt(tracee, tracee.number(address + 16))?;
                if resolve & RESOLVE_IN_ROOT != 0 {
                    self.doubt(DoubtKind::OtherRoot, tracee);
                }
                self.look_up(tracee, at, false)
            }
            Call::Change(at) => self.look_up(tracee, at, true),
            Call::Link { from, to, .. } | Call::Rename { from, to, .. } => {
                self.look_up(tracee, from, matches!(call, Call::Rename { .. }));
                self.look_up(tracee, to, true)
            }
            Call::Connect { address, length } => self.socket_path(tracee, address, length),
            Call::Clone(flags) => {
                self.check_clone(tracee, flags);
                return None;
            }
            Call::CloneHow(address) => {
                let flags = self.or_doubt(tracee, tracee.number(address))?;
                self.check_clone(tracee, flags);
                return None;
            }
            Call::Send(address) => {
                self.check_receiver(tracee, address);
                return None;
            }
            Call::Bind(address) => {
                self.check_own_address(tracee, address);
                return None;
            }
            Call::SendMessage(message) => {
                let address = self.or_doubt(tracee, tracee.number(message))?;
                self.check_receiver(tracee, address);
                return None;
            }
            Call::List(_) | Call::Escape(_) => None,
        };
        Some(PendingLookup { call, end })
    }

    fn at_exit(&mut self, tracee: Tracee, pending: &PendingLookup, result: i64) {
        let errno = i32::try_from(-result).ok().filter(|errno| *errno > 0);
        match pending.call {
            Call::Open(_, flags) => self.opened(tracee, pending, flags, result),
            Call::OpenHow(_, address) => {
                if let Some(flags) = self.or_doubt(tracee, tracee.number(address)) {
                    self.opened(tracee, pending, flags, result);
                }
            }
            Call::Look(_) => self.compare(pending, errno, false),
            Call::Execute(_) if errno.is_some() => self.compare(pending, errno, false),
            Call::List(descriptor) if errno.is_none() => {
                if let Some((path, _)) = self.or_doubt(tracee, tracee.opened(descriptor)).flatten() {
                    let path = own_process(&path, tracee);
                    let state = state(&path);
                    self.recorder.look_up(&path, state).listed = true;
                }
            }
            Call::Connect { .. } => self.connected(tracee, pending, errno),
            Call::Escape(escape) => self.escaped(tracee, escape, errno.is_none()),
            _ => {}
        }
    }

    fn executed(&mut self, tracee: Tracee, pending: Option<PendingLookup>) {
        self.has_begun = true;
        self.check_program(tracee);
        let program = pending.and_then(|pending| pending.end).map(|end| end.path);
        // There, a path is something else for this process than for the program.
        let is_elsewhere = program.as_ref().is_some_and(|path| path.starts_with(PROCESSES));
        let program = if is_elsewhere { tracee.program() } else { program };
        let Some(program) = program.and_then(|path| self.interpreters(tracee, path)) else {
            return self.doubt(DoubtKind::OtherFormat, tracee);
        };
        let id = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
        let running = tracee.program().and_then(|path| id(&path));
        if running.is_none() || running != id(&program) {
            self.doubt(DoubtKind::OtherFormat, tracee);
        }
    }

    fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    fn finish(self) -> Trace {
        self.recorder.finish()
    }
}

impl LookupObserver {
    /// Looks up the path that a call names. `None` if it names a descriptor, or if its end is of no use.
    fn look_up(&mut self, tracee: Tracee, at: PathArgument, is_written: bool) -> Option<PathEnd> {
        // Some calls take the descriptor itself if there is no path.
        if at.text == 0 {
            return None;
        }
        let text = self.or_doubt(tracee, tracee.text(at.text))?;
        if text.as_os_str().is_empty() {
            return None;
        }
        let start = if text.is_absolute() { None } else { Some(self.or_doubt(tracee, tracee.folder(at))?) };
        let end = self.walk(tracee, start, &text)?;
        if is_written {
            self.recorder.look_up(&end.path, state(&end.path)).written = true;
        }
        Some(end)
    }

    /// Looks up each part of a path that matters: the symlinks on the way and where it ends.
    fn walk(&mut self, tracee: Tracee, start: Option<PathBuf>, text: &Path) -> Option<PathEnd> {
        let mut at = start.unwrap_or_else(|| PathBuf::from("/"));
        let mut rest: VecDeque<OsString> = parts(text).collect();
        let mut links = 0;
        let mut is_link = false;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                // What is above it depends on whether it is a folder or a symlink to one.
                self.recorder.look_up(&at, PathState::of(&at));
                at.pop();
                continue;
            }
            at.push(&part);
            if at.starts_with(PROCESSES) {
                at.extend(rest);
                let path = own_process(&at, tracee);
                self.recorder.look_up(&path, state(&path));
                // Its entries come and go, so there is nothing to compare.
                return Some(PathEnd { path, is_missing: false, is_link: true });
            }
            let found = PathState::of(&at);
            match found {
                PathState::Present(it) if it.mode & 0o170_000 == 0o120_000 => {
                    self.recorder.look_up(&at, found);
                    links += 1;
                    let Ok(target) = at.read_link() else { return None };
                    if links > MAX_LINKS {
                        return None;
                    }
                    is_link |= rest.is_empty();
                    for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                        rest.push_front(part);
                    }
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    } else {
                        at.pop();
                    }
                }
                PathState::Present(_) if !rest.is_empty() => {}
                _ => {
                    self.recorder.look_up(&at, found);
                    let is_missing = matches!(found, PathState::Missing(_));
                    return Some(PathEnd { path: at, is_missing, is_link });
                }
            }
        }
        let found = state(&at);
        self.recorder.look_up(&at, found);
        Some(PathEnd { is_missing: matches!(found, PathState::Missing(_)), path: at, is_link })
    }

    /// Compares the end of a path with what the call said of it. They differ if something else changed the
    /// path in between.
    fn compare(&mut self, pending: &PendingLookup, errno: Option<i32>, creates: bool) {
        let Some(end) = &pending.end else { return };
        let differs = match errno {
            None => end.is_missing && !creates,
            Some(errno) => errno == libc::ENOENT && !end.is_missing,
        };
        let is_passing = errno.is_some_and(|errno| PASSING.contains(&errno));
        if differs && !end.is_link || is_passing {
            self.recorder.doubt(DoubtKind::Changed, None);
        }
    }

    fn opened(&mut self, tracee: Tracee, pending: &PendingLookup, flags: u64, result: i64) {
        let creates = flags & syscalls::bits(libc::O_CREAT) != 0;
        let errno = i32::try_from(-result).ok().filter(|errno| *errno > 0);
        self.compare(pending, errno, creates);
        let mode = flags & syscalls::bits(libc::O_ACCMODE);
        let writes = mode != syscalls::bits(libc::O_RDONLY)
            || creates && pending.end.as_ref().is_some_and(|end| end.is_missing);
        if let Some(end) = &pending.end
            && let Some(lookup) = self.recorder.known(&end.path).filter(|_| errno.is_none())
        {
            lookup.opened = true;
            lookup.written |= writes;
        }
        let Some(descriptor) = i32::try_from(result).ok().filter(|result| *result >= 0) else { return };
        // What is really open may be somewhere else, for example after a symlink in `/proc`.
        let Some((path, _)) = self.or_doubt(tracee, tracee.opened(descriptor)).flatten() else { return };
        if pending.end.as_ref().is_none_or(|end| end.path != path) && !path.starts_with(PROCESSES) {
            let lookup = self.recorder.look_up(&path, PathState::of(&path));
            lookup.opened = true;
            lookup.written |= writes;
        }
    }

    /// Doubts what is sent to an address, unless the kernel is the receiver.
    fn check_receiver(&mut self, tracee: Tracee, address: u64) {
        if address == 0 {
            return;
        }
        let family = self.or_doubt(tracee, tracee.bytes(address, 2));
        if family.is_some_and(|family| family != NETLINK.to_ne_bytes()) {
            self.doubt(DoubtKind::Socket, tracee);
        }
    }

    /// Doubts an address of the program itself, since what is received there comes from somebody. Nobody knows a
    /// port that the kernel chooses; Python's urllib3 takes one to find out whether there is IPv6.
    fn check_own_address(&mut self, tracee: Tracee, address: u64) {
        let Some(bytes) = self.or_doubt(tracee, tracee.bytes(address, 4)) else { return };
        let is_chosen = bytes.split_first_chunk().is_some_and(|(family, port)| {
            let family = u16::from_ne_bytes(*family);
            let is_internet = [libc::AF_INET, libc::AF_INET6].contains(&i32::from(family));
            family == NETLINK || is_internet && port == [0, 0]
        });
        if !is_chosen {
            self.doubt(DoubtKind::Socket, tracee);
        }
    }

    /// Looks up the path of a socket.
    fn socket_path(&mut self, tracee: Tracee, address: u64, length: u64) -> Option<PathEnd> {
        let bytes = usize::try_from(length).unwrap_or(0).min(size_of::<libc::sockaddr_un>());
        let bytes = self.or_doubt(tracee, tracee.bytes(address, bytes))?;
        let (family, path) = bytes.split_first_chunk()?;
        let name = path.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())?;
        if i32::from(u16::from_ne_bytes(*family)) != libc::AF_UNIX {
            return None;
        }
        let text = Path::new(OsStr::from_bytes(name));
        let cwd = PathArgument { folder: None, text: 0 };
        let start = if text.is_absolute() { None } else { Some(self.or_doubt(tracee, tracee.folder(cwd))?) };
        self.walk(tracee, start, text)
    }

    /// Handles the end of a connect. A socket that is missing is only a missing path.
    fn connected(&mut self, tracee: Tracee, pending: &PendingLookup, errno: Option<i32>) {
        let is_missing = pending.end.as_ref().is_some_and(|end| end.is_missing);
        if !is_missing || errno.is_none() {
            self.doubt(DoubtKind::Socket, tracee);
        }
    }

    /// Looks up the interpreters of a program, which the kernel opens itself. Returns the file that runs, or
    /// `None` if its format is unknown.
    fn interpreters(&mut self, tracee: Tracee, program: PathBuf) -> Option<PathBuf> {
        let mut program = program;
        for _ in 0..=MAX_INTERPRETERS {
            self.recorder.look_up(&program, state(&program)).opened = true;
            let file = File::open(&program).ok()?;
            let mut head = [0; 512];
            let length = file.read_at(&mut head, 0).ok()?;
            let head = &head[..length];
            let (interpreter, is_script) = match head.strip_prefix(b"#!") {
                Some(line) => (script_interpreter(line)?, true),
                None => match elf_interpreter(&file, head).ok()? {
                    Some(interpreter) => (interpreter, false),
                    None => return Some(program),
                },
            };
            let cwd = PathArgument { folder: None, text: 0 };
            let start = if interpreter.is_absolute() { None } else { tracee.folder(cwd).ok() };
            let end = self.walk(tracee, start, &interpreter)?;
            if !is_script {
                self.recorder.look_up(&end.path, state(&end.path)).opened = true;
                return Some(program);
            }
            program = end.path;
        }
        None
    }
}

/// Returns the program that the first line of a script names, after its `#!`.
fn script_interpreter(line: &[u8]) -> Option<PathBuf> {
    let line = line.split(|byte| *byte == b'\n').next()?.trim_ascii();
    let name = line.split(u8::is_ascii_whitespace).next().filter(|name| !name.is_empty())?;
    Some(PathBuf::from(OsStr::from_bytes(name)))
}

/// Returns the loader that a program of 64 bits names, or `None` if it has none. Fails if it is no such
/// program.
fn elf_interpreter(file: &File, head: &[u8]) -> io::Result<Option<PathBuf>> {
    const INTERPRETER: u64 = 3;
    const INVALID: io::ErrorKind = io::ErrorKind::InvalidData;
    let word = |bytes: &[u8], at: usize| {
        let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
        word.map(u64::from_le_bytes).ok_or(INVALID)
    };
    let half = |at: usize| word(head, at).map(|word| word & 0xffff);
    // The magic number, 64 bits, little-endian.
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return Err(INVALID.into());
    }
    let (table, size, count) = (word(head, 32)?, half(54)?, half(56)?);
    for index in 0..count {
        let mut entry = [0; 56];
        file.read_exact_at(&mut entry, table.checked_add(index * size).ok_or(INVALID)?)?;
        if word(&entry, 0)? & 0xffff_ffff != INTERPRETER {
            continue;
        }
        let length =
            usize::try_from(word(&entry, 32)?).ok().filter(|length| *length <= 4096).ok_or(INVALID)?;
        let mut name = vec![0; length];
        file.read_exact_at(&mut name, word(&entry, 8)?)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        return Ok(Some(PathBuf::from(OsStr::from_bytes(name))));
    }
    Ok(None)
}

/// Returns the names and the `..` of a path.
fn parts(text: &Path) -> impl Iterator<Item = OsString> {
    text.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

/// Returns a path below `/proc` as it is for the process of a thread itself.
fn own_process(path: &Path, tracee: Tracee) -> PathBuf {
    let Ok(rest) = path.strip_prefix(PROCESSES) else { return path.to_owned() };
    let mut rest = rest.components();
    let id = rest.next().and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
    if id.starts_with(|first: char| first.is_ascii_digit()) && tracee.is_of_process(id) {
        Path::new("/proc/self").join(rest.as_path())
    } else {
        path.to_owned()
    }
}

/// Returns what a path is.
fn state(path: &Path) -> PathState {
    let is_own = ["/proc/self", "/proc/thread-self"].iter().any(|own| path.starts_with(own));
    if is_own { PathState::OwnProcess } else { PathState::of(path) }
}
