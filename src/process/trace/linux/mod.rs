//! The tracer: seizes a program that has not begun, goes with all that comes of it from stop to stop,
//! and lets it see as little as possible of that. It must not know what the stops tell of files.
//!
//! Two things are as `nix` allows them, which has no `PTRACE_LISTEN` and no real-time signals. A
//! process that job control stops is held in its stop, and looked at now and then until a SIGCONT
//! waits for it. A real-time signal is delivered by a [`relay`].

mod calls;
mod filter;
mod machine;
mod observer;
mod registers;
mod relay;
mod threads;
mod tracee;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::process::{WaitOptions, WaitStatus};

use self::observer::{Flight, Observer};
use self::relay::Relayed;
use self::threads::{Threads, Until};
use self::tracee::Tracee;
use crate::process::trace::report::{Trace, Why};
use crate::process::trace::{Stops, Watched, start};

/// Children and what they started, processes and threads.
const ALL: WaitOptions = WaitOptions::from_bits_retain(libc::__WALL.cast_unsigned());
/// How often those that stand still are looked at.
const PERIOD: Duration = Duration::from_millis(5);
/// What a stop at a system call looks like.
const CALL_STOP: i32 = libc::SIGTRAP | 0x80;

/// Follows a command from its start until all that came of it has ended, or only the command itself.
pub(super) fn follow(
    own: &Path,
    command: &[OsString],
    stops: Stops,
    watched: &Watched,
) -> io::Result<(ExitStatus, Trace)> {
    start::outlive_the_group()?;
    let mut child = start::command(own, command, stops, watched.is_narrow()).spawn()?;
    let first = i32::try_from(child.id()).map_err(io::Error::other)?;
    let mut observer = Observer::new(watched);
    if let Some(status) = await_stop(first)? {
        observer.blind(Why::Lost);
        return Ok((status, observer.finish()));
    }
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACESECCOMP
        | Options::PTRACE_O_EXITKILL;
    if let Err(error) = ptrace::seize(Pid::from_raw(first), options) {
        observer.blind(Why::NotPermitted(error.desc().to_owned()));
        nix::sys::signal::kill(Pid::from_raw(first), Signal::SIGCONT)?;
        return Ok((child.wait()?, observer.finish()));
    }
    let tracer = Tracer {
        first,
        ends_with_first: watched.is_narrow(),
        beginning: Beginning::Stopped,
        status: None,
        threads: Threads::default(),
        observer,
    };
    tracer.run()
}

/// Waits until the process that is to become the program has stopped itself. How it ended, if it did
/// that instead.
fn await_stop(first: i32) -> io::Result<Option<ExitStatus>> {
    let first = rustix::process::Pid::from_raw(first);
    loop {
        match rustix::process::waitpid(first, WaitOptions::UNTRACED) {
            Ok(Some((_, status))) if status.stopped() => return Ok(None),
            Ok(Some((_, status))) => return Ok(Some(ExitStatus::from_raw(status.as_raw()))),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What the process does that is to become the program: waits until it is seized, and goes under the
/// filter. It dies with `tracer`.
pub(super) fn await_seizure(tracer: i32, stops: Stops, is_narrow: bool) -> io::Result<()> {
    use rustix::process::{Signal, getpid, getppid, kill_process, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().map(rustix::process::Pid::as_raw_pid) != Some(tracer) {
        return Err(io::Error::other("it is gone"));
    }
    kill_process(getpid(), Signal::STOP)?;
    set_parent_process_death_signal(None)?;
    // Under a filter and without a tracer, the watched calls would fail.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let seized = status.lines().filter_map(|line| line.strip_prefix("TracerPid:"));
    if stops == Stops::Few && seized.map(str::trim).any(|id| id == tracer.to_string()) {
        // Without it, each call stops.
        let _ = filter::install(is_narrow);
    }
    Ok(())
}

struct Tracer {
    /// The process that becomes the program.
    first: i32,
    /// Whether the end of the first is the end of the trace. The others are killed with the tracer.
    ends_with_first: bool,
    beginning: Beginning,
    /// How the first one ended.
    status: Option<ExitStatus>,
    threads: Threads<Flight>,
    observer: Observer,
}

/// How far the first process is in being set going.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beginning {
    /// It still stands in the stop that it put itself into.
    Stopped,
    /// The SIGCONT for that is on its way.
    Continued,
    Done,
}

impl Tracer {
    fn run(mut self) -> io::Result<(ExitStatus, Trace)> {
        while let Some((thread, status)) = self.next()? {
            self.heard(thread, status);
            if self.ends_with_first && self.status.is_some() {
                break;
            }
        }
        let status = self.status.ok_or_else(|| io::Error::other("the program's end is lost"))?;
        Ok((status, self.observer.finish()))
    }

    /// What happens next; `None` when all have ended.
    fn next(&mut self) -> io::Result<Option<(i32, WaitStatus)>> {
        loop {
            let held = self.threads.held();
            let options = if held.is_empty() { ALL } else { ALL | WaitOptions::NOHANG };
            match rustix::process::wait(options) {
                Ok(Some((thread, status))) => return Ok(Some((thread.as_raw_pid(), status))),
                Ok(None) => {
                    if !self.release(&held) {
                        thread::sleep(PERIOD);
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CHILD) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Has those go on that stand still and whose process was continued. Whether there were any.
    fn release(&mut self, held: &[i32]) -> bool {
        let continued: Vec<Option<i32>> = held
            .iter()
            .filter(|thread| Tracee(**thread).is_continued())
            .map(|thread| Tracee(*thread).process())
            .collect();
        let mut any = false;
        for thread in held {
            // The SIGCONT is taken by one thread, and is for all.
            if continued.contains(&Tracee(*thread).process()) {
                self.resume(*thread, None);
                any = true;
            }
        }
        any
    }

    fn heard(&mut self, thread: i32, status: WaitStatus) {
        let Some(signal) = status.stopping_signal() else {
            self.threads.ended(thread);
            if thread == self.first {
                self.status = Some(ExitStatus::from_raw(status.as_raw()));
            }
            return;
        };
        match status.as_raw() >> 16 {
            0 if signal == CALL_STOP => self.at_call(thread),
            0 => return self.deliver(thread, signal),
            libc::PTRACE_EVENT_SECCOMP => self.at_filter(thread),
            libc::PTRACE_EVENT_EXEC => self.at_exec(thread),
            libc::PTRACE_EVENT_STOP if is_stop(signal) => return self.stand_still(thread),
            // Of a start the starter and the started tell, in any order; each just goes on.
            _ => {}
        }
        self.resume(thread, None);
    }

    fn at_call(&mut self, thread: i32) {
        let Some(registers) = registers::read(thread) else { return };
        let tracee = Tracee(thread);
        let observer = &mut self.observer;
        let left = self.threads.stopped(thread, registers.phase, || {
            if registers::is_foreign(thread) {
                observer.doubt(Why::ForeignCalls, tracee);
                return None;
            }
            observer.entered(tracee, &registers)
        });
        if let Some(flight) = left {
            self.observer.left(tracee, &flight, registers.result);
        }
    }

    fn at_filter(&mut self, thread: i32) {
        let data = ptrace::getevent(Pid::from_raw(thread)).unwrap_or_default();
        let tracee = Tracee(thread);
        let mut flight = None;
        if data == i64::from(filter::NATIVE) {
            flight = registers::read(thread).and_then(|registers| self.observer.entered(tracee, &registers));
        } else if data == i64::from(filter::FOREIGN) {
            self.observer.doubt(Why::ForeignCalls, tracee);
        }
        self.threads.filtered(thread, flight);
    }

    fn at_exec(&mut self, thread: i32) {
        let former = ptrace::getevent(Pid::from_raw(thread)).ok().and_then(|id| i32::try_from(id).ok());
        let flight = self.threads.executed(former.unwrap_or(thread), thread);
        self.observer.executed(Tracee(thread), flight);
    }

    fn stand_still(&mut self, thread: i32) {
        if thread == self.first && self.beginning == Beginning::Stopped {
            self.beginning = Beginning::Continued;
            // If it is dead, that will be heard.
            let _ = nix::sys::signal::kill(Pid::from_raw(thread), Signal::SIGCONT);
            self.resume(thread, None);
        } else {
            self.threads.hold(thread);
        }
    }

    /// Passes a signal on.
    fn deliver(&mut self, thread: i32, number: i32) {
        if thread == self.first && number == libc::SIGCONT && self.beginning == Beginning::Continued {
            self.beginning = Beginning::Done;
            return self.resume(thread, None);
        }
        let signal = match Signal::try_from(number) {
            Ok(signal) => Some(signal),
            Err(_) => match relay::relay(thread, number) {
                Ok(Relayed::Done) => None,
                Ok(Relayed::Fatal) => {
                    self.observer.doubt(Why::Signal(number), Tracee(thread));
                    Some(Signal::SIGKILL)
                }
                Ok(Relayed::Heard(status)) => return self.heard(thread, status),
                Err(_) => {
                    self.observer.doubt(Why::Signal(number), Tracee(thread));
                    None
                }
            },
        };
        self.resume(thread, signal);
    }

    fn resume(&mut self, thread: i32, signal: Option<Signal>) {
        let id = Pid::from_raw(thread);
        let resumed = match self.threads.resume(thread) {
            Until::NextCall => ptrace::syscall(id, signal),
            Until::Filtered => ptrace::cont(id, signal),
        };
        // One that was killed meanwhile is gone, and will be heard of.
        if let Err(error) = resumed
            && error != Errno::ESRCH
        {
            self.observer.doubt(Why::Lost, Tracee(thread));
        }
    }
}

/// Whether a signal stops a process.
fn is_stop(signal: i32) -> bool {
    matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU)
}
