//! Sessions and the terminal: each child gets a session of its own, and so no terminal. It must not know
//! what the child is.
//!
//! A process that is not in the foreground of its terminal is stopped by the kernel when it reads from
//! it or changes its settings, and nothing would continue it. Without a terminal, as in CI, `/dev/tty`
//! can't be opened, and a program that asks for a password fails at once.

use std::io;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};
use process_wrap::std::{CommandWrap, CommandWrapper as _, ProcessSession, ResetSigmask};

/// Makes `command` start as the leader of a new session and a new group, with no signal blocked.
///
/// # Errors
/// None are known.
pub fn start_in_new_session(command: &mut Command) -> io::Result<()> {
    // The wrappers take what is wrapped, and don't look at it.
    let unused = CommandWrap::with_new("", |_| {});
    ProcessSession.pre_spawn(command, &unused)?;
    ResetSigmask.pre_spawn(command, &unused)
}

/// Lets this process write to its terminal from the background, even after `stty tostop`: if it were
/// stopped, it would not end what it runs. It must be called before a second thread starts.
pub fn write_from_background() {
    let mut stops = SigSet::empty();
    stops.add(Signal::SIGTTOU);
    // If it fails, the process is stopped like any other.
    let _ = stops.thread_block();
}
