//! The start of a traced program: what the tracer does before it, and what the process does that is
//! to become it. It must not know what is looked for.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use crate::process::trace::{ALL_STOPS_OPTION, NARROW_OPTION, STOPPED_ARGUMENT, Stops};

/// Has this process live on through the signals that its group gets, so that it sees the others end.
///
/// # Errors
/// The system refuses.
pub(super) fn outlive_the_group() -> io::Result<()> {
    // SIGCHLD is among them because whoever ignores it loses how his children ended.
    for signal in [SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2] {
        // A handler that does nothing that matters is what an exec takes away again.
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

/// How the process that is to become `command` is started.
#[expect(clippy::disallowed_methods, reason = "duct reaps its children, and that is the tracer's part")]
pub(super) fn command(own: &Path, command: &[OsString], stops: Stops, is_narrow: bool) -> Command {
    let mut start = Command::new(own);
    start.arg(STOPPED_ARGUMENT).arg(std::process::id().to_string());
    if stops == Stops::All {
        start.arg(ALL_STOPS_OPTION);
    }
    if is_narrow {
        start.arg(NARROW_OPTION);
    }
    start.arg("--").args(command);
    start
}

/// Becomes `command` once the process `tracer` has seized this process and has it go on. Returns only if that
/// fails: why, and the exit status of a shell for it.
#[expect(clippy::disallowed_methods, reason = "this process becomes the program")]
pub fn become_seized(tracer: i32, command: &[OsString], stops: Stops, is_narrow: bool) -> (String, u8) {
    let [program, args @ ..] = command else {
        return ("there is no program to run".to_owned(), 127);
    };
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    if let Err(error) = super::linux::await_seizure(tracer, stops, is_narrow) {
        return (format!("can't wait for the tracer: {error}"), 126);
    }
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = (tracer, stops, is_narrow);
    let error = Command::new(program).args(args).exec();
    let shown = program.display();
    match error.kind() {
        io::ErrorKind::NotFound => (format!("there is no program `{shown}`"), 127),
        _ => (format!("can't run `{shown}`: {error}"), 126),
    }
}

/// Ends this process as `status` says that another ended: by the same signal if it has one that can
/// end a process, else with the exit status that a shell has for it, which is returned.
pub fn end_as(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let Some(signal) = status.signal() else {
        return status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    };
    // One core file of the program is enough.
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    // Real-time signals are unknown to it.
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    128 + u8::try_from(signal).unwrap_or(0)
}
