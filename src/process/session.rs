//! Sessions and the terminal: a child gets a session of its own, and so no terminal. It must not know
//! what the child is.
//!
//! A process that is not in the foreground of its terminal is stopped by the kernel when it reads from
//! it or changes its settings, and nobody would continue it. Without a terminal there is nothing to
//! open, as in CI: `/dev/tty` can't be opened, and what asks for a password fails at once.

use std::io;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};
use process_wrap::std::{CommandWrap, CommandWrapper as _, ProcessSession, ResetSigmask};

/// Has `command` start as the leader of a new session, which is also the leader of a new group, with no
/// signal blocked.
///
/// # Errors
/// None that is known of.
pub fn separate(command: &mut Command) -> io::Result<()> {
    // The wrappers ask for what is wrapped, and don't look at it.
    let unused = CommandWrap::with_new("", |_| {});
    ProcessSession.pre_spawn(command, &unused)?;
    ResetSigmask.pre_spawn(command, &unused)
}

/// Has this process go on when it writes to its terminal from the background, even after
/// `stty tostop`: nothing that it waits for would be ended while it is stopped. To be called before
/// there is a second thread.
pub fn write_from_background() {
    let mut stops = SigSet::empty();
    stops.add(Signal::SIGTTOU);
    // If it fails, writing is as it is for any program.
    let _ = stops.thread_block();
}
