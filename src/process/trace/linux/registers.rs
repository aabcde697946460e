//! The registers of a stopped thread that hold a system call. It must not know what the call does.

use nix::libc::user_regs_struct;
use nix::sys::ptrace;
use nix::unistd::Pid;

/// A system call as its thread is about to make it, or comes back from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Registers {
    /// The call's number; only at its entry is it sure.
    pub(super) number: i64,
    /// Its arguments; only at its entry are they sure.
    pub(super) args: [u64; 6],
    /// What it returned; only at its exit.
    pub(super) result: i64,
    /// Which of both it is, if it is one of both.
    pub(super) phase: Phase,
}

/// Where in a system call a thread stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Entry,
    Exit,
}

/// Reads them. `None` if the thread has died meanwhile.
pub(super) fn read(thread: i32) -> Option<Registers> {
    ptrace::getregs(Pid::from_raw(thread)).ok().map(|raw| of(&raw))
}

/// At an entry the kernel puts ENOSYS in the place of the result. A call that returns just that is
/// taken for an entry, which makes the next entry an entry again.
#[cfg(target_arch = "x86_64")]
fn of(raw: &user_regs_struct) -> Registers {
    const ENOSYS: i64 = -(nix::libc::ENOSYS as i64);
    let result = raw.rax.cast_signed();
    Registers {
        number: raw.orig_rax.cast_signed(),
        args: [raw.rdi, raw.rsi, raw.rdx, raw.r10, raw.r8, raw.r9],
        result,
        phase: if result == ENOSYS { Phase::Entry } else { Phase::Exit },
    }
}

/// At a stop, the kernel lends x7 to say which it is.
#[cfg(target_arch = "aarch64")]
fn of(raw: &user_regs_struct) -> Registers {
    let [a, b, c, d, e, f, _, phase, number, ..] = raw.regs;
    Registers {
        number: number.cast_signed(),
        args: [a, b, c, d, e, f],
        result: a.cast_signed(),
        phase: if phase == 0 { Phase::Entry } else { Phase::Exit },
    }
}

/// Whether a thread's call is another architecture's, where the kernel tells.
#[cfg(target_env = "gnu")]
pub(super) fn is_foreign(thread: i32) -> bool {
    #[cfg(target_arch = "x86_64")]
    const NATIVE: u32 = 0xC000_003E;
    #[cfg(target_arch = "aarch64")]
    const NATIVE: u32 = 0xC000_00B7;
    ptrace::syscall_info(Pid::from_raw(thread)).is_ok_and(|info| info.arch != NATIVE)
}

/// Whether a thread's call is another architecture's, where the kernel tells.
#[cfg(not(target_env = "gnu"))]
pub(super) fn is_foreign(_thread: i32) -> bool {
    false
}
