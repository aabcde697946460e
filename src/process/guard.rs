//! The guard: a process beside the runner that ends what the runner started if the runner is killed.
//! It must not know what that is, only the run's mark and the numbers of its groups.
//!
//! The guard reads its standard input. `+12` and `-12` say that group 12 came and went, `/path` that
//! this folder was made for the time of the run, and `.` is the runner's goodbye. An end without a
//! goodbye means that the runner is dead: the guard then kills the groups and, where the system shows
//! environments, all processes that bear the run's mark, and the groups that they lead. A runner that
//! is killed between the start of a group and its `+` has left one that the guard was not told of: it
//! is found by the mark of its leader; only one whose leader has ended or thrown off the mark within
//! that moment is not.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, PipeWriter, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::process::{children, strays};

/// The hidden first argument by which the program is told to be a guard; the run's id follows.
pub const GUARD_ARGUMENT: &str = "__guard";

/// Where a program that was built to measure coverage writes what it ran, and none otherwise. A guard,
/// which has no environment, would write it into its folder.
const PROFILE: Option<&str> = option_env!("LLVM_PROFILE_FILE");

/// The runner's hold on its guard. Dropping it is the goodbye.
#[derive(Debug)]
pub struct Guard {
    channel: Mutex<Channel>,
    /// Whoever drops it without waiting has it reaped by the next start of a process.
    _process: duct::Handle,
}

#[derive(Debug)]
struct Channel {
    pipe: PipeWriter,
    /// What the pipe had no room for. It only fills if someone stops the guard.
    unsent: Vec<u8>,
}

impl Guard {
    /// Starts `program`, which calls [`guard_main`] when its arguments are [`GUARD_ARGUMENT`] and
    /// `run`. It keeps `hold` open until it ends, and with it the lock that the file may have.
    ///
    /// # Errors
    /// There is no room for a process or a pipe, or the program is gone.
    pub fn start(program: &Path, run: &str, hold: Option<&File>) -> io::Result<Self> {
        Self::start_as(program, &[GUARD_ARGUMENT, run], &[], hold)
    }

    pub(super) fn start_as(
        program: &Path,
        args: &[&str],
        env: &[(&str, &str)],
        hold: Option<&File>,
    ) -> io::Result<Self> {
        // From now on what outlives its parent becomes a child of this process, and is found.
        #[cfg(target_os = "linux")]
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        if cfg!(target_os = "linux") {
            children::collect_orphans()?;
        }
        let (reader, pipe) = io::pipe()?;
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let command = duct::cmd(program, args);
        // It writes nothing, so its output is free to carry the file.
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

    /// A group has come.
    pub(super) fn joined(&self, group: Pid) {
        self.tell(&format!("+{}\n", group.as_raw_pid()));
    }

    /// A group is gone, and its number may be another's.
    pub(super) fn left(&self, group: Pid) {
        self.tell(&format!("-{}\n", group.as_raw_pid()));
    }

    /// A folder that goes with the run. One whose path is not text or has a line end is not told.
    pub fn has_folder(&self, folder: &Path) {
        if let Some(path) = folder.to_str().filter(|path| path.starts_with('/') && !path.contains('\n')) {
            self.tell(&format!("{path}\n"));
        }
    }

    /// Never blocks and never fails: a guard that is gone can't be helped.
    fn tell(&self, line: &str) {
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
        self.tell(".\n");
    }
}

/// What the guard does: waits until the runner has ended, in whatever way, and ends what is left of
/// the run unless the runner said goodbye.
pub fn guard_main(run: &str) {
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        // Setting a flag that nobody reads is the way to ignore a signal. Where it can't be ignored,
        // a guard that may be ended is better than none.
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
    if let Some(left) = orphaned(io::stdin().lock()) {
        for group in left.groups {
            let _ = kill_process_group(group, Signal::KILL);
        }
        strays::kill_all(run);
        for folder in left.folders {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// What a dead runner left.
#[derive(Debug, Default)]
struct Left {
    groups: HashSet<Pid>,
    folders: Vec<PathBuf>,
}

/// Listens to the runner until it ends. What it had if it did not say goodbye.
fn orphaned(mut input: impl BufRead) -> Option<Left> {
    let Left { mut groups, mut folders } = Left::default();
    let mut line = String::new();
    // A last line without its end may be half a number.
    while input.read_line(&mut line).is_ok() && line.ends_with('\n') {
        let group =
            |digits: &str| digits.trim_end().parse().ok().filter(|id| *id > 1).and_then(Pid::from_raw);
        match line.split_at_checked(1) {
            Some((".", _)) => return None,
            Some(("+", digits)) => groups.extend(group(digits)),
            Some(("-", digits)) => {
                group(digits).map(|group| groups.remove(&group));
            }
            Some(("/", _)) => folders.push(PathBuf::from(line.trim_end_matches('\n'))),
            _ => {}
        }
        line.clear();
    }
    Some(Left { groups, folders })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_knows_the_groups_that_are_left() {
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
            let left = orphaned(said.as_bytes());
            let folders = left.as_ref().map_or(0, |left| left.folders.len());
            assert_eq!(folders, usize::from(said.starts_with('/')), "{said:?}");
            let groups =
                left.map(|left| left.groups.iter().map(|group| group.as_raw_pid()).collect::<Vec<_>>());
            assert_eq!(groups.as_deref(), expected, "{said:?}");
        }
    }
}
