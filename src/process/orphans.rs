//! Orphans: processes of a run that outlived their command. They are found by the variables that each
//! command of the run has in its environment, or because they became children of this process when their
//! parents ended: a daemon may overwrite its environment. It must not know what the run does. Only Linux
//! shows them.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process_group};

use crate::base::clock::Clock;
use crate::process::{children, procfs};

/// The variable whose value is the run's id. The caller sets it in the environment of each command.
pub const RUN_VARIABLE: &str = "XTASK_RUN";
/// The variable whose value is the folder of a service; each start of a service has its own.
pub const SERVICE_DIR_VARIABLE: &str = "XTASK_SERVICE_DIR";
/// The variable whose value is the task's name.
pub const TASK_VARIABLE: &str = "XTASK_TASK";

/// How long the search continues for a process that KILL does not end at once.
const KILL_WAIT: Duration = Duration::from_secs(10);
/// The time between two searches that find nothing. The second finds what was being started in the first.
const QUIET: Duration = Duration::from_millis(100);
/// The time between two searches while some are left.
const PAUSE: Duration = Duration::from_millis(10);

/// A process that outlived its command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Orphan {
    /// Its id.
    pub pid: i32,
    /// The task that started it.
    pub task: Option<String>,
    /// Its arguments in one line. They may contain secrets.
    pub command: String,
}

/// A living process and the environment that it was started with.
#[derive(Clone, Debug)]
pub(super) struct MarkedProcess {
    pid: Pid,
    environment: Vec<u8>,
}

/// Returns the living processes of a run.
pub fn find(run: &str) -> Vec<Orphan> {
    find_by_variable(RUN_VARIABLE, run).iter().map(MarkedProcess::orphan).collect()
}

/// Ends the processes of a run with TERM, and after `grace` with KILL, and returns them. If there are
/// none, it looks only once.
pub fn end_all(run: &str, grace: Duration) -> Vec<Orphan> {
    end(grace, || {
        let mut found = find_by_variable(RUN_VARIABLE, run);
        let pids: Vec<Pid> = found.iter().map(|known| known.pid).collect();
        // A daemon may have overwritten the environment that it was started with. One that shows another
        // run's id belongs to that run.
        let adopted = children::adopted().into_iter().filter(|pid| !pids.contains(pid));
        let adopted = adopted
            .map(|pid| MarkedProcess { pid, environment: procfs::environment(pid).unwrap_or_default() })
            // One that is ending has no environment any more, so it can't be said whose it was.
            .filter(|process| !process.environment.is_empty() || procfs::has_memory(process.pid))
            .filter(|process| process.variable(RUN_VARIABLE).is_none());
        found.extend(adopted);
        found
    })
}

/// Ends the remaining processes of one start of a service in the same way. `dir` is the service's folder.
pub fn end_all_of_service(dir: &Path, grace: Duration) -> Vec<Orphan> {
    end(grace, || find_by_variable(SERVICE_DIR_VARIABLE, &dir.to_string_lossy()))
}

fn end(grace: Duration, find: impl Fn() -> Vec<MarkedProcess>) -> Vec<Orphan> {
    let clock = Clock::system();
    let mut orphans: Vec<Orphan> = Vec::new();
    let mut empty_searches = 0;
    loop {
        let found = find();
        empty_searches = if found.is_empty() { empty_searches + 1 } else { 0 };
        if empty_searches > 0 && (orphans.is_empty() || empty_searches == 2) {
            return orphans;
        }
        let kills = clock.elapsed() >= grace;
        for process in &found {
            if !orphans.iter().any(|known| known.pid == process.pid.as_raw_pid()) {
                orphans.push(process.orphan());
                process.signal(Signal::TERM);
                process.signal(Signal::CONT);
            }
            if kills {
                process.signal(Signal::KILL);
            }
        }
        if clock.elapsed() >= grace + KILL_WAIT {
            return orphans;
        }
        thread::sleep(PAUSE);
    }
}

/// Kills the processes of a run and the groups that they lead, until two searches in a row find nothing.
pub(super) fn kill_all(run: &str) {
    let clock = Clock::system();
    let mut empty_searches = 0;
    while empty_searches < 2 && clock.elapsed() < KILL_WAIT {
        let found = find_by_variable(RUN_VARIABLE, run);
        found.iter().for_each(MarkedProcess::kill);
        if found.is_empty() {
            empty_searches += 1;
            thread::sleep(if empty_searches < 2 { QUIET } else { Duration::ZERO });
        } else {
            empty_searches = 0;
            thread::sleep(PAUSE);
        }
    }
}

/// Returns all living processes but this one that were started with the variable `name` set to `value`.
pub(super) fn find_by_variable(name: &str, value: &str) -> Vec<MarkedProcess> {
    let own = getpid();
    let others = procfs::processes().filter(|pid| *pid != own);
    let processes =
        others.filter_map(|pid| Some(MarkedProcess { pid, environment: procfs::environment(pid)? }));
    processes.filter(|process| process.variable(name).as_deref() == Some(value)).collect()
}

impl MarkedProcess {
    fn orphan(&self) -> Orphan {
        Orphan {
            pid: self.pid.as_raw_pid(),
            task: self.variable(TASK_VARIABLE),
            command: procfs::arguments(self.pid).join(" "),
        }
    }

    /// Returns the value of a variable of its environment.
    fn variable(&self, name: &str) -> Option<String> {
        self.environment.split(|byte| *byte == 0).find_map(|entry| {
            let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(String::from_utf8_lossy(value).into_owned())
        })
    }

    fn is_unchanged(&self) -> bool {
        procfs::environment(self.pid).is_some_and(|now| now == self.environment)
    }

    fn signal(&self, signal: Signal) {
        procfs::signal_if(self.pid, signal, || self.is_unchanged());
    }

    /// Kills it, and if it leads a group, all members: it started them, even those without the variable.
    fn kill(&self) {
        let leads = procfs::stat(self.pid).is_some_and(|stat| stat.group == self.pid.as_raw_pid());
        if leads && self.is_unchanged() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_is_found_by_its_whole_name() {
        let process = MarkedProcess { pid: getpid(), environment: b"A=1\0RUN=ab\0RUNNER=x\0".to_vec() };
        assert_eq!(process.variable("RUN").as_deref(), Some("ab"));
        for other in ["RU", "UN", "RUN=a", "B"] {
            assert_eq!(process.variable(other), None, "{other}");
        }
    }
}
