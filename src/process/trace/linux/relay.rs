//! The way around the signals that `nix` has no name for, those from 32 on: glibc has two of its own
//! among them, without which threads hang. It must not know anything of files.
//!
//! Such a signal is delivered as another that nobody uses, to the same handler. The stopped thread is
//! made to give that stand-in the handler, gets the stand-in, and stands at the first instruction of
//! the handler then; what the handler is told is put right there. The thread is stopped all the
//! while, so nothing of it is missed.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;

use nix::libc::{self, siginfo_t, user_regs_struct};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{WaitOptions, WaitStatus};

use super::machine;
use super::tracee::Tracee;

/// Nothing sends it: the coprocessor that it is named for is gone.
const STAND_IN: Signal = Signal::SIGSTKFLT;
/// What a handler may not be overwritten below its stack's end, and room for what calls take.
const BELOW_STACK: u64 = 1024;
/// The kernel's form of a signal's action: handler, flags, (restorer,) mask; no longer than this.
const ACTION_SIZE: usize = 32;
/// The size of a mask of signals.
const MASK_SIZE: u64 = 8;

/// How it went.
pub(super) enum Relayed {
    /// The thread stands in the handler, or ignores the signal, and is to go on.
    Done,
    /// The signal has no handler, and ends its process.
    Fatal,
    /// Something else happened to the thread first, which is to be heard.
    Heard(WaitStatus),
}

/// A thread that stands before the delivery of a signal.
struct Relay {
    thread: Pid,
    saved: user_regs_struct,
    /// Signals that came in between.
    others: Vec<Signal>,
}

/// Why a relay ends early.
enum Cut {
    Heard(WaitStatus),
    Failed(io::Error),
}

impl From<io::Error> for Cut {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<nix::errno::Errno> for Cut {
    fn from(error: nix::errno::Errno) -> Self {
        Self::Failed(error.into())
    }
}

/// Delivers signal `number` to a thread that stands before its delivery.
///
/// # Errors
/// The thread can't be made to take it. It is as it was, without the signal.
pub(super) fn relay(thread: i32, number: i32) -> io::Result<Relayed> {
    let id = Pid::from_raw(thread);
    let told = ptrace::getsiginfo(id)?;
    let mut relay = Relay { thread: id, saved: ptrace::getregs(id)?, others: Vec::new() };
    let end = relay.deliver(number, told);
    // They lose who sent them, and may reach another thread.
    if let Some(process) = Tracee(thread).process() {
        for other in &relay.others {
            let _ = kill(Pid::from_raw(process), *other);
        }
    }
    match end {
        Ok(relayed) => Ok(relayed),
        Err(Cut::Heard(status)) => Ok(Relayed::Heard(status)),
        Err(Cut::Failed(error)) => {
            let _ = ptrace::setregs(id, relay.saved);
            Err(error)
        }
    }
}

impl Relay {
    fn deliver(&mut self, number: i32, mut told: siginfo_t) -> Result<Relayed, Cut> {
        let tracee = Tracee(self.thread.as_raw());
        let memory = fs::File::options().read(true).write(true).open(tracee.place("mem"))?;
        let gate = tracee.call_instruction(machine::CALL_INSTRUCTION)?;
        let blocked = tracee.blocks(STAND_IN as i32);
        let scratch = (machine::stack(&self.saved) - BELOW_STACK) & !15;
        let signal = i64::from(number).cast_unsigned();
        let stand_in = i64::from(STAND_IN as i32).cast_unsigned();
        self.call(gate, libc::SYS_rt_sigaction, [signal, 0, scratch, MASK_SIZE])?;
        let mut action = [0_u8; ACTION_SIZE];
        memory.read_exact_at(&mut action, scratch)?;
        let handler = u64::from_ne_bytes([
            action[0], action[1], action[2], action[3], action[4], action[5], action[6], action[7],
        ]);
        if handler < 2 {
            ptrace::setregs(self.thread, self.saved)?;
            return Ok(if handler == 0 { Relayed::Fatal } else { Relayed::Done });
        }
        self.call(gate, libc::SYS_rt_sigaction, [stand_in, scratch, 0, MASK_SIZE])?;
        let mask = 1_u64 << (STAND_IN as i32 - 1);
        if blocked {
            memory.write_all_at(&mask.to_ne_bytes(), scratch)?;
            let unblock = i64::from(libc::SIG_UNBLOCK).cast_unsigned();
            self.call(gate, libc::SYS_rt_sigprocmask, [unblock, scratch, 0, MASK_SIZE])?;
        }
        ptrace::setregs(self.thread, self.saved)?;
        ptrace::syscall(self.thread, STAND_IN)?;
        self.await_stop(STAND_IN as i32)?;
        told.si_signo = STAND_IN as i32;
        ptrace::setsiginfo(self.thread, &told)?;
        ptrace::step(self.thread, STAND_IN)?;
        self.await_stop(libc::SIGTRAP)?;
        let mut registers = ptrace::getregs(self.thread)?;
        let (told_at, context) = machine::enter_as(&mut registers, signal);
        memory.write_all_at(&number.to_ne_bytes(), told_at)?;
        if blocked {
            let at = context + machine::MASK_IN_CONTEXT;
            let mut saved_mask = [0; 8];
            memory.read_exact_at(&mut saved_mask, at)?;
            let saved_mask = u64::from_ne_bytes(saved_mask) | mask;
            memory.write_all_at(&saved_mask.to_ne_bytes(), at)?;
        }
        ptrace::setregs(self.thread, registers)?;
        Ok(Relayed::Done)
    }

    /// Has the thread make a system call, which must succeed, and stops it at its exit.
    fn call(&mut self, gate: u64, number: i64, args: [u64; 4]) -> Result<(), Cut> {
        ptrace::setregs(self.thread, machine::calling(&self.saved, gate, number, args))?;
        for _ in ["entry", "exit"] {
            ptrace::syscall(self.thread, None)?;
            self.await_stop(super::CALL_STOP)?;
        }
        match machine::result(&ptrace::getregs(self.thread)?) {
            0 => Ok(()),
            error => Err(io::Error::other(format!("call {number} returned {error}")).into()),
        }
    }

    /// Waits until the thread stops for this. Other signals are put off.
    fn await_stop(&mut self, expected: i32) -> Result<(), Cut> {
        let id = rustix::process::Pid::from_raw(self.thread.as_raw());
        let options = WaitOptions::from_bits_retain(libc::__WALL.cast_unsigned());
        loop {
            let status = match rustix::process::waitpid(id, options) {
                Ok(Some((_, status))) => status,
                Ok(None) | Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(Cut::Failed(error.into())),
            };
            match status.stopping_signal() {
                Some(signal) if status.as_raw() >> 16 == 0 && signal == expected => return Ok(()),
                Some(signal) if status.as_raw() >> 16 == 0 => {
                    self.others.extend(Signal::try_from(signal).ok());
                    ptrace::syscall(self.thread, None)?;
                }
                // A stop of its process is put off until it is told again.
                Some(_) => ptrace::syscall(self.thread, None)?,
                None => return Err(Cut::Heard(status)),
            }
        }
    }
}
