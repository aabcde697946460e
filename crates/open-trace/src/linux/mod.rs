//! The tracer: starts a program, follows it and all its descendants from stop to stop, and gives the
//! stops at system calls to the observer.
//!
//! It runs on a thread of its own. `ptrace` and the wait calls below are bound to the thread that
//! started the program, so the rest of the process does not notice; and when the thread ends, the kernel
//! kills what is still traced.

mod filter;
mod lookups;
mod observe;
mod observer;
mod ptrace;
mod syscalls;
mod threads;
mod tracee;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::process::{Pid, WaitOptions, WaitStatus};

use self::lookups::LookupObserver;
use self::observe::Observe;
use self::observer::Observer;
use self::ptrace::{HeldProgram, SyscallInfo, SyscallStop};
use self::syscalls::Watched;
use self::threads::{ResumeUntil, Threads};
use self::tracee::Tracee;
use crate::options::{Options, Outcome, Scope};
use crate::report::{DoubtKind, Trace};

/// Waits for processes and threads that this thread started or traces.
const WAIT_FOR_ALL: WaitOptions =
    WaitOptions::from_bits_retain((libc::__WALL | libc::__WNOTHREAD).cast_unsigned());
/// The signal of a stop at a system call.
const SYSCALL_STOP: i32 = libc::SIGTRAP | 0x80;

pub(crate) fn trace(command: &[OsString], options: &Options) -> io::Result<Outcome> {
    std::thread::scope(|scope| {
        let tracer = std::thread::Builder::new().name("tracer".to_owned());
        let tracer = tracer.spawn_scoped(scope, || trace_on_this_thread(command, options))?;
        tracer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn trace_on_this_thread(command: &[OsString], options: &Options) -> io::Result<Outcome> {
    match &options.scope {
        Scope::Everything => observe(command, options, Observer::default(), Watched::Accesses),
        Scope::Below(folder) => observe(command, options, Observer::below(folder), Watched::OpensOnly),
        Scope::Lookups => observe(command, options, LookupObserver::default(), Watched::Lookups),
    }
}

fn observe(
    command: &[OsString],
    options: &Options,
    mut observer: impl Observe,
    calls: Watched,
) -> io::Result<Outcome> {
    let ends_with_first = options.scope != Scope::Everything;
    let program = HeldProgram::start(command, &filter::program(calls))?;
    let first = program.id();
    if let Err(error) = ptrace::seize(first).and_then(|()| ptrace::interrupt(first)) {
        observer.recorder().doubt(DoubtKind::NotPermitted(error.to_string()), None);
        let exec_error = program.release(false)?.exec_error()?;
        return Ok(Outcome { status: wait_for(first)?, exec_error, trace: observer.finish() });
    }
    let started = program.release(!options.stop_at_all_calls)?;
    let tracer = Tracer { first, ends_with_first, status: None, threads: Threads::default(), observer };
    let (status, trace) = tracer.run()?;
    Ok(Outcome { status, exec_error: started.exec_error()?, trace })
}

fn wait_for(process: i32) -> io::Result<ExitStatus> {
    loop {
        match rustix::process::waitpid(Pid::from_raw(process), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(ExitStatus::from_raw(status.as_raw())),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

struct Tracer<O: Observe> {
    /// The process that becomes the program.
    first: i32,
    /// Whether the trace ends with the first process, and the others are killed.
    ends_with_first: bool,
    /// How the first process ended.
    status: Option<ExitStatus>,
    threads: Threads<O::Pending>,
    observer: O,
}

/// How often a trace that ends with its program looks for what is about to end too, a millisecond apart.
const LAST_LOOKS: u32 = 100;

impl<O: Observe> Tracer<O> {
    fn run(mut self) -> io::Result<(ExitStatus, Trace)> {
        let mut looks = 0;
        loop {
            let is_over = self.ends_with_first && self.status.is_some();
            let how = if is_over { WAIT_FOR_ALL | WaitOptions::NOHANG } else { WAIT_FOR_ALL };
            match rustix::process::wait(how) {
                Ok(Some((thread, status))) => self.handle(thread.as_raw_pid(), status),
                Ok(None) if is_over && looks == LAST_LOOKS => {
                    self.observer.recorder().doubt(DoubtKind::LeftRunning, None);
                    break;
                }
                Ok(None) if is_over => {
                    looks += 1;
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CHILD) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let status =
            self.status.ok_or_else(|| io::Error::other("the exit status of the program was lost"))?;
        Ok((status, self.observer.finish()))
    }

    fn handle(&mut self, thread: i32, status: WaitStatus) {
        let Some(signal) = status.stopping_signal() else {
            self.threads.ended(thread);
            if thread == self.first {
                self.status = Some(ExitStatus::from_raw(status.as_raw()));
            }
            return;
        };
        match status.as_raw() >> 16 {
            0 if signal == SYSCALL_STOP => self.at_syscall(thread),
            0 => return self.resume(thread, signal),
            libc::PTRACE_EVENT_SECCOMP => self.at_filter(thread),
            libc::PTRACE_EVENT_EXEC => self.at_exec(thread),
            // Job control stopped its process. It stays stopped until it gets a SIGCONT.
            libc::PTRACE_EVENT_STOP if is_stop(signal) => return self.check(thread, ptrace::listen(thread)),
            // A start is reported by both sides, in any order; each just continues.
            _ => {}
        }
        self.resume(thread, 0);
    }

    fn at_syscall(&mut self, thread: i32) {
        let Some(info) = self.syscall_info(thread) else { return };
        let tracee = Tracee(thread);
        match info.stop {
            SyscallStop::Entry { number, args } => {
                let observer = &mut self.observer;
                self.threads.at_entry(thread, || {
                    if info.is_foreign(number) {
                        observer.doubt(DoubtKind::ForeignCalls, tracee);
                        return None;
                    }
                    observer.at_entry(tracee, number, &args)
                });
            }
            SyscallStop::Exit { result } => {
                if let Some(call) = self.threads.at_exit(thread) {
                    self.observer.at_exit(tracee, &call, result);
                }
            }
            SyscallStop::Filter { .. } | SyscallStop::Other => {}
        }
    }

    fn at_filter(&mut self, thread: i32) {
        let Some(info) = self.syscall_info(thread) else { return };
        let tracee = Tracee(thread);
        let mut call = None;
        if let SyscallStop::Filter { number, args, data } = info.stop {
            if data == filter::NATIVE {
                call = self.observer.at_entry(tracee, number, &args);
            } else if data == filter::FOREIGN {
                self.observer.doubt(DoubtKind::ForeignCalls, tracee);
            }
        }
        self.threads.at_filter(thread, call);
    }

    fn syscall_info(&mut self, thread: i32) -> Option<SyscallInfo> {
        let info = ptrace::syscall_info(thread);
        info.map_err(|error| self.check(thread, Err(error))).ok()
    }

    fn at_exec(&mut self, thread: i32) {
        let old_id = ptrace::event_message(thread).ok().and_then(|id| i32::try_from(id).ok());
        let call = self.threads.executed(old_id.unwrap_or(thread), thread);
        self.observer.executed(Tracee(thread), call);
    }

    /// Resumes a stopped thread, with this signal or none (0).
    fn resume(&mut self, thread: i32, signal: i32) {
        let resumed = match self.threads.resume_until(thread) {
            ResumeUntil::AnyCall => ptrace::resume_until_syscall(thread, signal),
            ResumeUntil::WatchedCall => ptrace::resume(thread, signal),
        };
        self.check(thread, resumed);
    }

    /// Doubts the trace if a request failed, unless the thread was killed meanwhile: its end will be
    /// reported.
    fn check(&mut self, thread: i32, done: io::Result<()>) {
        if done.is_err_and(|error| error.raw_os_error() != Some(libc::ESRCH)) {
            self.observer.doubt(DoubtKind::Lost, Tracee(thread));
        }
    }
}

/// Returns whether a signal stops a process.
fn is_stop(signal: i32) -> bool {
    matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU)
}
