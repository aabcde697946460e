//! Describes a command and its limits, and starts it. It must not know what the command is for, nor how
//! it ends.

use std::ffi::OsString;
use std::io::{self, PipeWriter};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::process::Pid;
use rustix::process::Signal;

use crate::process::children;
use crate::process::group::Group;
use crate::process::guard::Guard;
#[cfg(target_os = "linux")]
use crate::process::launch;

use crate::process::find_program::{Interpreter, check};
use crate::process::output::log::LogLimits;
use crate::process::secret_mask::Mask;
use crate::process::session;

/// A command to run. It contains secrets, so it does not implement `Debug`.
#[derive(Clone)]
pub struct Spawn {
    /// The program, as an absolute path: see [`find_program`](crate::process::find_program::find_program).
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// The folder that it runs in.
    pub dir: PathBuf,
    /// Its whole environment; nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// The secrets to hide in its output.
    pub mask: Arc<Mask>,
    /// How long it may take, and how much of its output is kept.
    pub limits: Limits,
    /// Ends its group if this process is killed.
    pub guard: Option<Arc<Guard>>,
}

/// How long a command may take, and how much of its output is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The time after which it is ended.
    pub timeout: Option<Duration>,
    /// The time after which it is reported as slow.
    pub slow_after: Option<Duration>,
    /// The signal that asks its group to end.
    pub signal: Signal,
    /// The time between that signal and KILL.
    pub grace: Duration,
    /// How much of its log is kept.
    pub log: LogLimits,
}

impl Default for Limits {
    /// No limit of time, TERM, five seconds of grace.
    fn default() -> Self {
        Self {
            timeout: None,
            slow_after: None,
            signal: Signal::TERM,
            grace: Duration::from_secs(5),
            log: LogLimits::default(),
        }
    }
}

impl Spawn {
    /// Starts the command as the leader of a new session and group, without a terminal. Both its outputs go
    /// to `output`.
    ///
    /// # Errors
    /// The command can't be started. The error is the reason, as a message.
    pub(super) fn start(&self, output: &PipeWriter) -> Result<Group, String> {
        self.try_start(output).map_err(|error| self.why_not_started(&error))
    }

    fn try_start(&self, output: &PipeWriter) -> io::Result<Group> {
        #[cfg(target_os = "linux")]
        {
            let start = || launch::launch(&self.program, &self.args, &self.env, &self.dir, output);
            let id = |pid: &Option<Pid>| pid.iter().map(|pid| pid.as_raw_pid().unsigned_abs()).collect();
            if let Some(pid) = children::start(start, id)? {
                return Ok(Group::of_child(pid));
            }
        }
        let expression = duct::cmd(&self.program, &self.args)
            .stderr_to_stdout()
            .stdout_file(output.try_clone()?)
            .stdin_null()
            .dir(&self.dir)
            .full_env(self.env.iter().map(|(name, value)| (name, value)))
            .before_spawn(session::start_in_new_session)
            .unchecked();
        children::start(|| expression.start(), duct::Handle::pids).and_then(Group::new)
    }

    /// Returns why it did not start. The system's message does not say whether the program, its
    /// interpreter or the folder is missing.
    fn why_not_started(&self, error: &io::Error) -> String {
        if !self.dir.is_dir() {
            return format!("the folder {} does not exist", self.dir.display());
        }
        if let Err(error) = check(&self.program) {
            return error.to_string();
        }
        let program = self.program.display();
        match error.kind() {
            io::ErrorKind::NotFound => {
                let path = self.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| &**value);
                match Interpreter::of_script(&self.program, path, &self.dir) {
                    Some(it) if it.has_carriage_return => format!(
                        "{program} has CRLF line ends, so its interpreter is looked up as `{}\\r`; save it with LF line ends",
                        it.text
                    ),
                    Some(it) => format!(
                        "the first line of {program} names the interpreter `{}`, which is missing",
                        it.text
                    ),
                    None => {
                        format!("{program} needs a loader or library that is missing (see `ldd {program}`)")
                    }
                }
            }
            // ENOEXEC has no kind of its own.
            _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => format!(
                "{program} can't be executed on this machine; a script needs a first line such as #!/bin/sh"
            ),
            _ => format!("{program}: {error}"),
        }
    }
}
