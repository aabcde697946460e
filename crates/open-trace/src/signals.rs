//! Signals of a program whose only job is to trace another: it outlives what a signal to the group
//! ends, and then ends in the same way.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

/// Makes this process survive the signals that its process group gets, so that it can report how the
/// traced program ended. The traced program does not inherit this.
///
/// # Errors
/// A handler can't be installed.
pub fn survive_group_signals() -> io::Result<()> {
    // SIGCHLD is among them because a process that ignores it loses how its children ended.
    for signal in [SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2] {
        // Unlike an ignored signal, a handler is reset when the traced program is executed.
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

/// Ends this process by the signal that ended another, if `status` says so. Otherwise returns the exit
/// status that a shell would show.
pub fn end_as(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let Some(signal) = status.signal() else {
        return status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    };
    // One core file, that of the program, is enough.
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    // It does not know real-time signals; those become an exit status.
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    128 + u8::try_from(signal).unwrap_or(0)
}
