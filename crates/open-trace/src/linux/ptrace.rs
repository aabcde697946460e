//! The requests of `ptrace(2)`, and the start of a program that waits until it is traced. This is the
//! only module with `unsafe`: neither std nor a safe crate offers `PTRACE_LISTEN`,
//! `PTRACE_GET_SYSCALL_INFO`, signals by number, or a child that can be seized before it executes.

#![expect(unsafe_code, reason = "see above; each block says why it is sound")]

use std::ffi::{CString, OsString, c_char, c_int, c_long};
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::ptr;

use libc::sock_filter;

/// The architecture of this program's system calls, as `linux/audit.h` numbers it.
#[cfg(target_arch = "x86_64")]
pub(super) const NATIVE_ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
pub(super) const NATIVE_ARCHITECTURE: u32 = 0xC000_00B7;
/// System calls from this number on are those of x32, which claims to be x86-64.
pub(super) const X32: u32 = 0x4000_0000;

/// Not every libc has it.
const PTRACE_GET_SYSCALL_INFO: c_long = 0x420e;

/// A system call at which a thread is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SyscallInfo {
    architecture: u32,
    pub(super) stop: SyscallStop,
}

/// Where in a system call a thread is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SyscallStop {
    /// Before the call.
    Entry { number: u64, args: [u64; 6] },
    /// After the call; a negative result is an error.
    Exit { result: i64 },
    /// Before the call, stopped by a filter that returned `data`.
    Filter { number: u64, args: [u64; 6], data: u16 },
    /// In no call.
    Other,
}

impl SyscallInfo {
    /// Reads `struct ptrace_syscall_info`. Both architectures are little-endian.
    fn from_words(words: &[u64; 11]) -> Self {
        let [head, _, _, first, args @ .., data] = *words;
        let stop = match head & 0xff {
            1 => SyscallStop::Entry { number: first, args },
            2 => SyscallStop::Exit { result: first.cast_signed() },
            // Only the lower half of what a filter returns is its own.
            3 => SyscallStop::Filter { number: first, args, data: (data & 0xffff) as u16 },
            _ => SyscallStop::Other,
        };
        Self { architecture: (head >> 32) as u32, stop }
    }

    /// Returns whether the call with this number is one of another architecture.
    pub(super) fn is_foreign(&self, number: u64) -> bool {
        self.architecture != NATIVE_ARCHITECTURE || number >= u64::from(X32)
    }
}

/// Makes this thread the tracer of a process, which keeps running.
pub(super) fn seize(process: i32) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_TRACESECCOMP
        | libc::PTRACE_O_EXITKILL;
    request(c_long::from(libc::PTRACE_SEIZE), process, i64::from(options))
}

/// Stops a running tracee.
pub(super) fn interrupt(thread: i32) -> io::Result<()> {
    request(c_long::from(libc::PTRACE_INTERRUPT), thread, 0)
}

/// Leaves a tracee in the stop of its process, and reports when that is over.
pub(super) fn listen(thread: i32) -> io::Result<()> {
    request(c_long::from(libc::PTRACE_LISTEN), thread, 0)
}

/// Resumes a tracee with a signal, or with none (0).
pub(super) fn resume(thread: i32, signal: i32) -> io::Result<()> {
    request(c_long::from(libc::PTRACE_CONT), thread, i64::from(signal))
}

/// Resumes a tracee until the next entry or exit of any system call.
pub(super) fn resume_until_syscall(thread: i32, signal: i32) -> io::Result<()> {
    request(c_long::from(libc::PTRACE_SYSCALL), thread, i64::from(signal))
}

/// Makes a request whose data is a number.
fn request(request: c_long, thread: i32, data: i64) -> io::Result<()> {
    // SAFETY: these requests take their data by value and touch no memory of this process.
    let returned = unsafe { libc::syscall(libc::SYS_ptrace, request, c_long::from(thread), 0_u64, data) };
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Returns the number of the event at which a tracee is stopped.
pub(super) fn event_message(thread: i32) -> io::Result<u64> {
    let mut message = 0_u64;
    let request = c_long::from(libc::PTRACE_GETEVENTMSG);
    let data: *mut u64 = &raw mut message;
    // SAFETY: the kernel writes one `unsigned long` of 64 bits, for which `data` has room.
    let returned = unsafe { libc::syscall(libc::SYS_ptrace, request, c_long::from(thread), 0_u64, data) };
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(message) }
}

/// Returns the system call at which a tracee is stopped.
pub(super) fn syscall_info(thread: i32) -> io::Result<SyscallInfo> {
    let mut words = [0_u64; 11];
    let size = size_of_val(&words);
    let data: *mut u64 = words.as_mut_ptr();
    // SAFETY: the kernel writes at most `size` bytes, for which `data` has room. Any bytes are numbers.
    let returned =
        unsafe { libc::syscall(libc::SYS_ptrace, PTRACE_GET_SYSCALL_INFO, c_long::from(thread), size, data) };
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(SyscallInfo::from_words(&words)) }
}

/// A child that waits for its release before it executes the program.
#[derive(Debug)]
pub(super) struct HeldProgram {
    id: i32,
    release: PipeWriter,
    exec_error: PipeReader,
}

/// A released child: it executes the program, or reports why it can't.
#[derive(Debug)]
pub(super) struct ReleasedProgram {
    exec_error: PipeReader,
}

/// What the child is released with: whether it sets the filter first.
const WITHOUT_FILTER: u8 = 0;
const WITH_FILTER: u8 = 1;

impl HeldProgram {
    /// Forks a child that will become `command`.
    pub(super) fn start(command: &[OsString], filter: &[sock_filter]) -> io::Result<Self> {
        let words = command.iter().map(|word| CString::new(word.as_bytes()));
        let words = words.collect::<Result<Vec<CString>, _>>()?;
        let mut argv: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
        argv.push(ptr::null());
        let len = u16::try_from(filter.len()).map_err(io::Error::other)?;
        let filter = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
        let (held, release) = io::pipe()?;
        let (exec_error, error_writer) = io::pipe()?;
        // SAFETY: the child only calls `become_program`, which is sound after a fork and never returns.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: `argv` ends with a null and points to strings that outlive the call, as the filter
            // does; the descriptors are open.
            0 => unsafe {
                let pipes = (held.as_raw_fd(), release.as_raw_fd(), error_writer.as_raw_fd());
                become_program(&argv, &filter, pipes.0, pipes.1, pipes.2)
            },
            id => Ok(Self { id, release, exec_error }),
        }
    }

    /// Returns its process id.
    pub(super) fn id(&self) -> i32 {
        self.id
    }

    /// Lets it execute the program.
    pub(super) fn release(mut self, with_filter: bool) -> io::Result<ReleasedProgram> {
        self.release.write_all(&[if with_filter { WITH_FILTER } else { WITHOUT_FILTER }])?;
        Ok(ReleasedProgram { exec_error: self.exec_error })
    }
}

impl ReleasedProgram {
    /// Returns why the program could not be executed, if so. Waits until that is known.
    pub(super) fn exec_error(mut self) -> io::Result<Option<io::Error>> {
        let mut bytes = Vec::new();
        self.exec_error.read_to_end(&mut bytes)?;
        let errno = <[u8; size_of::<c_int>()]>::try_from(&bytes[..]).ok().map(c_int::from_ne_bytes);
        Ok(errno.map(io::Error::from_raw_os_error))
    }
}

/// Waits for its release and becomes the program, as [`std::process::Command`] would start it. If the
/// tracer is gone, or the program can't be executed, it ends.
///
/// # Safety
/// It is called right after a fork, in the child. `argv` ends with a null and points to C strings, and
/// `filter` is a valid filter. It calls only functions that are async-signal-safe, and allocates nothing.
unsafe fn become_program(
    argv: &[*const c_char],
    filter: &libc::sock_fprog,
    held: RawFd,
    release: RawFd,
    error_writer: RawFd,
) -> ! {
    // SAFETY: all pointers are to local variables or to what the caller vouches for.
    unsafe {
        // Otherwise its own copy would hide that the tracer is gone.
        libc::close(release);
        let mut byte = 0_u8;
        loop {
            match libc::read(held, (&raw mut byte).cast(), 1) {
                1 => break,
                -1 if *libc::__errno_location() == libc::EINTR => {}
                _ => libc::_exit(1),
            }
        }
        let mut no_signals: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut no_signals);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const no_signals, ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        if byte == WITH_FILTER && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 {
            // Without a filter, the tracer sees each call stop, which is slower and finds the same.
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, ptr::from_ref(filter));
        }
        libc::execvp(argv[0], argv.as_ptr());
        let errno = *libc::__errno_location();
        libc::write(error_writer, (&raw const errno).cast(), size_of::<c_int>());
        libc::_exit(if errno == libc::ENOENT { 127 } else { 126 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syscall_info_is_parsed_from_the_kernel_layout() {
        let head = |op: u64| (u64::from(NATIVE_ARCHITECTURE) << 32) | op;
        let words = |op, first, data| [head(op), 7, 7, first, 1, 2, 3, 4, 5, 6, data];
        let args = [1, 2, 3, 4, 5, 6];
        for (words, stop) in [
            (words(0, 9, 0), SyscallStop::Other),
            (words(1, 9, 0), SyscallStop::Entry { number: 9, args }),
            (words(2, u64::MAX - 1, 1), SyscallStop::Exit { result: -2 }),
            (words(3, 9, 2), SyscallStop::Filter { number: 9, args, data: 2 }),
        ] {
            let info = SyscallInfo::from_words(&words);
            assert_eq!((info.stop, info.is_foreign(9)), (stop, false));
            assert!(info.is_foreign(u64::from(X32) + 9));
        }
        assert!(SyscallInfo::from_words(&[1; 11]).is_foreign(9));
    }
}
