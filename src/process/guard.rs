//! The guard: a process beside the runner that ends what the runner started if the runner is killed. It
//! must not know what that is, only the run's id and the ids of its groups.
//!
//! The guard reads its standard input. `+12` and `-12` say that group 12 was started and is gone, `/path`
//! that this folder is to be removed with the run, and `.` that the runner has ended by itself. An end of
//! the input without `.` means that the runner was killed. The guard then kills the groups and, where the
//! system shows environments, all processes with the run's id in theirs and the groups that they lead. A
//! runner that is killed between the start of a group and its `+` leaves a group that the guard does not
//! know. It finds that group by the environment of its leader, unless the leader has ended or changed its
//! environment within that moment.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, PipeWriter, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::process::{children, orphans};

/// The hidden first argument that makes the program a guard; the run's id follows.
pub const GUARD_ARGUMENT: &str = "__guard";

/// Where a program that was built to measure coverage writes its profile. A guard has no environment, so
/// it would write into its folder.
const PROFILE: Option<&str> = option_env!("LLVM_PROFILE_FILE");

/// The runner's handle of its guard. Dropping it says that the runner ends by itself.
#[derive(Debug)]
pub struct Guard {
    channel: Mutex<Channel>,
    /// When it is dropped, the next start of a process reaps it.
    _process: duct::Handle,
}

#[derive(Debug)]
struct Channel {
    pipe: PipeWriter,
    /// What the pipe had no room for. It fills only if someone stops the guard.
    unsent: Vec<u8>,
}

impl Guard {
    /// Starts `program`, which has to call [`guard_main`] when its arguments are [`GUARD_ARGUMENT`] and
    /// `run`. The guard keeps `hold` open until it ends, and so the lock that the file may have.
    ///
    /// # Errors
    /// No process or pipe can be created, or the program is missing.
    pub fn start(program: &Path, run: &str, hold: Option<&File>) -> io::Result<Self> {
        Self::start_as(program, &[GUARD_ARGUMENT, run], &[], hold)
    }

    pub(super) fn start_as(
        program: &Path,
        args: &[&str],
        env: &[(&str, &str)],
        hold: Option<&File>,
    ) -> io::Result<Self> {
        // From now on, a process that outlives its parent becomes a child of this process.
        #[cfg(target_os = "linux")]
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        if cfg!(target_os = "linux") {
            children::reap_orphans()?;
        }
        let (reader, pipe) = io::pipe()?;
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let command = duct::cmd(program, args);
        // It writes nothing, so its stdout can keep the file open.
        let command = match hold {
            Some(file) => command.stdout_file(file.try_clone()?),
            None => command.stdout_null(),
        };
        let process = command
            .stdin_file(reader)
            .stderr_null()
            .dir("/")
            .full_env(env.iter().copied().chain(PROFILE.map(|file| ("LLVM_PROFILE_FILE", file))))
            .before_spawn(|command| {
                command.process_group(0);
                Ok(())
            })
            .unchecked()
            .start()?;
        Ok(Self { channel: Mutex::new(Channel { pipe, unsent: Vec::new() }), _process: process })
    }

    /// Reports that a group was started.
    pub(super) fn add_group(&self, group: Pid) {
        self.send(&format!("+{}\n", group.as_raw_pid()));
    }

    /// Reports that a group is gone, so that its id may be reused.
    pub(super) fn remove_group(&self, group: Pid) {
        self.send(&format!("-{}\n", group.as_raw_pid()));
    }

    /// Reports a folder to be removed if this process is killed. A path that is not UTF-8 or contains a
    /// line end is left out.
    pub fn add_folder(&self, folder: &Path) {
        if let Some(path) = folder.to_str().filter(|path| path.starts_with('/') && !path.contains('\n')) {
            self.send(&format!("{path}\n"));
        }
    }

    /// Sends a line. It never blocks and never fails: nothing can be done about a guard that is gone.
    fn send(&self, line: &str) {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let Channel { pipe, unsent } = &mut *channel;
        unsent.extend_from_slice(line.as_bytes());
        match pipe.write(unsent) {
            Ok(sent) => drop(unsent.drain(..sent)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => unsent.clear(),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.send(".\n");
    }
}

/// Does the work of the guard: waits until the runner has ended, and if it was killed, ends what is left
/// of the run.
pub fn guard_main(run: &str) {
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        // A handler that sets an unused flag ignores the signal. If it can't be set, a guard that may be
        // ended is better than none.
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
    if let Some(left) = read_messages(io::stdin().lock()) {
        for group in left.groups {
            let _ = kill_process_group(group, Signal::KILL);
        }
        orphans::kill_all(run);
        for folder in left.folders {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// What remains of a killed runner.
#[derive(Debug, Default)]
struct Leftovers {
    groups: HashSet<Pid>,
    folders: Vec<PathBuf>,
}

/// Reads the runner's messages until it ends. Returns what remains of it, or `None` if it ended by
/// itself.
fn read_messages(mut input: impl BufRead) -> Option<Leftovers> {
    let mut left = Leftovers::default();
    let mut line = String::new();
    // A last line without its end may be half an id.
    while input.read_line(&mut line).is_ok() && line.ends_with('\n') {
        let group =
            |digits: &str| digits.trim_end().parse().ok().filter(|id| *id > 1).and_then(Pid::from_raw);
        match line.split_at_checked(1) {
            Some((".", _)) => return None,
            Some(("+", digits)) => left.groups.extend(group(digits)),
            Some(("-", digits)) => {
                group(digits).map(|group| left.groups.remove(&group));
            }
            Some(("/", _)) => left.folders.push(PathBuf::from(line.trim_end_matches('\n'))),
            _ => {}
        }
        line.clear();
    }
    Some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guard_knows_the_groups_that_are_left() {
        let cases: [(&str, Option<&[i32]>); 7] = [
            ("", Some(&[])),
            ("+12\n+13\n-12\n", Some(&[13])),
            ("+12\n.\n", None),
            ("/a\n+12\n/b", Some(&[12])),
            ("+1\n+0\n+-5\n+x\n\n?\n", Some(&[])),
            ("+12\n+13", Some(&[12])),
            ("-12\n+12\n", Some(&[12])),
        ];
        for (said, expected) in cases {
            let left = read_messages(said.as_bytes());
            let folders = left.as_ref().map_or(0, |left| left.folders.len());
            assert_eq!(folders, usize::from(said.starts_with('/')), "{said:?}");
            let groups =
                left.map(|left| left.groups.iter().map(|group| group.as_raw_pid()).collect::<Vec<_>>());
            assert_eq!(groups.as_deref(), expected, "{said:?}");
        }
    }
}
