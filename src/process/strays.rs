//! Processes of a run that left their group, found by the mark that each command of the run bears in
//! its environment, or because they became this process's children when their parents ended: a
//! daemon may write over its environment. It must not know what the run does. Only Linux shows them.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::base::clock::Clock;
use crate::process::marked::{self, Marked};

/// The variable whose value is the run's id. The caller sets it in the environment of each command.
pub const RUN_VARIABLE: &str = "XTASK_RUN";
/// The variable whose value is the folder of a service, which no other start of it has.
pub const SERVICE_DIR_VARIABLE: &str = "XTASK_SERVICE_DIR";
/// The variable whose value is the task's name.
pub const TASK_VARIABLE: &str = "XTASK_TASK";

/// How long the search goes on for what KILL does not end at once.
const KILL_WAIT: Duration = Duration::from_secs(10);
/// The time between two searches that find nobody: what was being started in the first is there in
/// the second.
const QUIET: Duration = Duration::from_millis(100);
/// The time between two searches while there is someone.
const PAUSE: Duration = Duration::from_millis(10);

/// A process that outlived its command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stray {
    /// Its id.
    pub pid: i32,
    /// The task that started it.
    pub task: Option<String>,
    /// Its arguments in one line; they may hold secrets.
    pub command: String,
}

/// The living processes of the run.
pub fn find(run: &str) -> Vec<Stray> {
    marked::find(RUN_VARIABLE, run).iter().map(stray).collect()
}

/// Ends the processes of the run, with TERM and after `grace` with KILL, and returns them. When there
/// are none it takes one look.
pub fn end_all(run: &str, grace: Duration) -> Vec<Stray> {
    end(grace, || {
        let mut found = marked::find(RUN_VARIABLE, run);
        // One that shows another run's mark is that run's.
        let is_new = |new: &Marked| found.iter().all(|known| known.pid != new.pid);
        let unmarked = |new: &Marked| is_new(new) && new.variable(RUN_VARIABLE).is_none();
        let adopted: Vec<Marked> = marked::adopted().into_iter().filter(unmarked).collect();
        found.extend(adopted);
        found
    })
}

/// Ends in the same way what one start of a service, whose folder this is, left behind.
pub fn end_of_service(dir: &Path, grace: Duration) -> Vec<Stray> {
    end(grace, || marked::find(SERVICE_DIR_VARIABLE, &dir.to_string_lossy()))
}

fn end(grace: Duration, find: impl Fn() -> Vec<Marked>) -> Vec<Stray> {
    let clock = Clock::system();
    let mut strays: Vec<Stray> = Vec::new();
    let mut quiet = 0;
    loop {
        let found = find();
        quiet = if found.is_empty() { quiet + 1 } else { 0 };
        if quiet > 0 && (strays.is_empty() || quiet == 2) {
            return strays;
        }
        let killing = clock.elapsed() >= grace;
        for process in &found {
            if !strays.iter().any(|known| known.pid == process.pid.as_raw_pid()) {
                strays.push(stray(process));
                process.signal(Signal::TERM);
                process.signal(Signal::CONT);
            }
            if killing {
                process.signal(Signal::KILL);
            }
        }
        if clock.elapsed() >= grace + KILL_WAIT {
            return strays;
        }
        thread::sleep(PAUSE);
    }
}

/// Ends the processes of the run with KILL, and the groups that they lead, until two searches in a row
/// find nobody.
pub(super) fn kill_all(run: &str) {
    let clock = Clock::system();
    let mut quiet = 0;
    while quiet < 2 && clock.elapsed() < KILL_WAIT {
        let found = marked::find(RUN_VARIABLE, run);
        found.iter().for_each(Marked::kill);
        if found.is_empty() {
            quiet += 1;
            thread::sleep(if quiet < 2 { QUIET } else { Duration::ZERO });
        } else {
            quiet = 0;
            thread::sleep(PAUSE);
        }
    }
}

fn stray(process: &Marked) -> Stray {
    Stray { pid: process.pid.as_raw_pid(), task: process.variable(TASK_VARIABLE), command: process.command() }
}
