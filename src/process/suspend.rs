//! Suspending: Ctrl-Z stops all that this process started, then this process, and what was stopped goes
//! on when this process does. It must not know what runs.
//!
//! The terminal signals only the group in the foreground, and each command leads a session of its own.
//! Its group is an orphaned one to the kernel, which ignores TSTP there, so commands are sent STOP.
//! Only Linux shows which processes come from this one; elsewhere they go on.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, getpgid, getpgrp, getpid, getsid};
use signal_hook::consts::{SIGCONT, SIGSTOP};

use crate::base::clock;
use crate::process::caller::{self, Row};
use crate::process::children;
use crate::process::guard::GUARD_ARGUMENT;
use crate::process::marked;

/// What happens when this process is suspended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It is about to stop.
    Stops,
    /// It goes on.
    GoesOn,
}

/// How often it is looked for processes that were started before their parents stopped.
const LOOKS: u32 = 50;
/// The time between two such looks.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(1);

/// Suspends this process and all that come from it, until it is continued: what TSTP does where nobody
/// handles it. Tells `hear` before and after.
pub fn suspend(hear: &dyn Fn(Step)) {
    if !is_controlled() {
        return;
    }
    // A shell may have continued the job before this process, which is not the first of it, has stopped.
    let is_continued = Arc::new(AtomicBool::new(false));
    let handler = signal_hook::flag::register(SIGCONT, Arc::clone(&is_continued)).ok();
    let none_starts = children::none_starts();
    hear(Step::Stops);
    let stopped = stop_descendants();
    let suspension = clock::suspend();
    // The shell may have ended meanwhile, with the terminal.
    if is_controlled() && !is_continued.load(Ordering::SeqCst) {
        // It is sent to this very thread, which therefore does not return from it before it goes on.
        let _ = signal_hook::low_level::raise(SIGSTOP);
    }
    drop(suspension);
    handler.map(signal_hook::low_level::unregister);
    for process in &stopped {
        process.signal(Signal::CONT);
    }
    drop(none_starts);
    hear(Step::GoesOn);
}

/// Whether someone can continue this process: a shell with job control, which leads the session and is
/// in another group. Otherwise the kernel ignores TSTP.
fn is_controlled() -> bool {
    let leader = getsid(None).ok();
    leader.and_then(|leader| getpgid(Some(leader)).ok()).is_some_and(|group| group != getpgrp())
}

/// A process that was stopped here.
struct Stopped(Row);

impl Stopped {
    /// Signals it, and nobody who got its id after its end.
    fn signal(&self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.0.pid) else { return };
        marked::signal_if(pid, signal, || self.is_same());
    }

    fn now(&self) -> Option<Row> {
        caller::row(self.0.pid).filter(|row| row.started == self.0.started)
    }

    fn is_same(&self) -> bool {
        self.now().is_some()
    }

    /// Whether it has stopped or ended by now.
    fn stands_still(&self) -> bool {
        self.now().is_none_or(|row| row.is_stopped() || !row.lives())
    }
}

/// Stops all processes that come from this one but guards, which have to act if this process is killed
/// while it is suspended. Those that were stopped already are left alone.
fn stop_descendants() -> Vec<Stopped> {
    let mut stopped: Vec<Stopped> = Vec::new();
    for _ in 0..LOOKS {
        let known = stopped.len();
        for row in descendants() {
            let is_known = stopped.iter().any(|known| known.0.pid == row.pid && known.is_same());
            if is_known || row.is_stopped() || !row.lives() || is_guard(row.pid) {
                continue;
            }
            let process = Stopped(row);
            process.signal(Signal::STOP);
            stopped.push(process);
        }
        // Until the last has stopped, it may start another.
        if stopped.len() == known && stopped.iter().all(Stopped::stands_still) {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    stopped
}

/// All processes that come from this one.
fn descendants() -> Vec<Row> {
    let mut others: Vec<Row> = caller::all_processes().into_iter().filter_map(caller::row).collect();
    let mut parents = vec![getpid().as_raw_pid()];
    let mut found = Vec::new();
    while let Some(parent) = parents.pop() {
        for row in others.extract_if(.., |row| row.parent == parent) {
            parents.push(row.pid);
            found.push(row);
        }
    }
    found
}

fn is_guard(pid: i32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).nth(1) == Some(GUARD_ARGUMENT.as_bytes())
}
