//! Starts a process without copying this one. It must not know what the process is for.
//!
//! A fork copies the page tables of this process, which for a large tree takes longer than everything else
//! that starting a task needs. `posix_spawn` shares the memory until the new program begins. It can't set
//! the folder of the new process, so the calling thread gets a folder of its own and goes there meanwhile.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::waitpid;
use rustix::fs::OFlags;
use rustix::process::{Pid, chdir, fchdir, getcwd};

/// Starts a command as the leader of a new session and group, without a terminal, with no signal blocked.
/// Both its outputs go to `output`. Returns `None` if this is not possible here, as in containers that
/// forbid threads with a folder of their own, and emulators.
///
/// # Errors
/// The program can't be started, or the folder is missing.
pub(super) fn launch(
    program: &Path,
    args: &[OsString],
    env: &[(OsString, OsString)],
    dir: &Path,
    output: &PipeWriter,
) -> io::Result<Option<Pid>> {
    // An old C library can't start a session.
    let Ok(attributes) = attributes() else { return Ok(None) };
    if !are_failures_reported(&attributes) {
        return Ok(None);
    }
    let program = c_string(program.as_os_str())?;
    let args = std::iter::once(Ok(program.clone())).chain(args.iter().map(|arg| c_string(arg)));
    let args: Vec<CString> = args.collect::<Result<_, _>>()?;
    // Of two values, programs read the first one, but here the last one is meant.
    let env: BTreeMap<&OsString, &OsString> = env.iter().map(|(name, value)| (name, value)).collect();
    let env = env.iter().map(|(name, value)| {
        let pair = [name.as_bytes(), b"=", value.as_bytes()].concat();
        c_string(OsStr::from_bytes(&pair))
    });
    let env: Vec<CString> = env.collect::<Result<_, _>>()?;
    let mut files = PosixSpawnFileActions::init()?;
    files.add_dup2(null()?.as_raw_fd(), 0)?;
    files.add_dup2(output.as_raw_fd(), 1)?;
    files.add_dup2(output.as_raw_fd(), 2)?;
    in_folder(dir, || {
        let pid = posix_spawn(program.as_c_str(), &files, &attributes, &args, &env)?;
        Pid::from_raw(pid.as_raw()).ok_or_else(|| io::Error::other("the process has no id"))
    })
}

/// Returns whether `posix_spawn` fails if the program can't be executed. Emulators such as qemu copy the memory
/// that the new process should share, so it can't report a failure and exits with 127, as a program might.
fn are_failures_reported(attributes: &PosixSpawnAttr) -> bool {
    static ARE_REPORTED: OnceLock<bool> = OnceLock::new();
    if let Some(known) = ARE_REPORTED.get() {
        return *known;
    }
    let nothing: [CString; 0] = [];
    let Ok(files) = PosixSpawnFileActions::init() else { return false };
    // A folder can't be executed.
    let are_reported = match posix_spawn(c"/", &files, attributes, &nothing, &nothing) {
        Ok(pid) => {
            let _ = waitpid(pid, None);
            false
        }
        Err(Errno::EACCES) => true,
        // There are too many processes, for example.
        Err(_) => return false,
    };
    *ARE_REPORTED.get_or_init(|| are_reported)
}

/// Returns an empty file that all commands read as their standard input.
fn null() -> io::Result<&'static File> {
    static NULL: OnceLock<File> = OnceLock::new();
    if let Some(file) = NULL.get() {
        return Ok(file);
    }
    let file = File::open("/dev/null")?;
    Ok(NULL.get_or_init(|| file))
}

fn attributes() -> io::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::from_bits_retain(libc::POSIX_SPAWN_SETSID.into())
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    attributes.set_sigmask(&SigSet::empty())?;
    // The runtime of Rust ignores it in this process.
    let mut default = SigSet::empty();
    default.add(Signal::SIGPIPE);
    attributes.set_sigdefault(&default)?;
    Ok(attributes)
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "nul byte found in provided data"))
}

/// Calls `start` while the calling thread is in a folder. Other threads don't notice. Returns `None` if the
/// system forbids that.
fn in_folder<T>(dir: &Path, start: impl FnOnce() -> io::Result<T>) -> io::Result<Option<T>> {
    if getcwd(Vec::new()).is_ok_and(|here| here.as_bytes() == dir.as_os_str().as_bytes()) {
        return start().map(Some);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(back) = rustix::fs::open(".", flags, rustix::fs::Mode::empty()) else { return Ok(None) };
    if unshare(CloneFlags::CLONE_FS).is_err() {
        return Ok(None);
    }
    chdir(dir)?;
    let started = start();
    // All paths are absolute, so nothing depends on it.
    let _ = fchdir(back);
    started.map(Some)
}
