//! Suspending: Ctrl-Z stops all descendants of this process, then this process; they are continued when
//! this process is. It must not know what runs.
//!
//! The terminal signals only the group in the foreground, and each command leads a session of its own. To
//! the kernel its group is orphaned, and TSTP is ignored there, so commands are sent STOP. Only Linux
//! shows the descendants; elsewhere they continue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Signal, getpgid, getpgrp, getpid, getsid};
use signal_hook::consts::{SIGCONT, SIGSTOP};

use crate::base::clock;
use crate::process::children;
use crate::process::guard::GUARD_ARGUMENT;
use crate::process::procfs::{self, ProcStat};

/// A step of a suspension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SuspensionStep {
    /// This process is about to stop.
    Begins,
    /// It was continued.
    Ends,
}

/// How often descendants are looked for that were started before their parents stopped.
const LOOKS: u32 = 50;
/// How often it is looked whether the signal to continue has been handled.
const LATEST: u32 = 1000;
/// The time between two looks.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(1);

/// Suspends this process and all its descendants until it is continued, as TSTP does by default. Calls
/// `on_step` before and after.
pub fn suspend(on_step: &dyn Fn(SuspensionStep)) {
    if !is_controlled() {
        return;
    }
    // A shell may continue the job before this process has stopped, if it is not the first of the job.
    let is_continued = Arc::new(AtomicBool::new(false));
    let handler = signal_hook::flag::register(SIGCONT, Arc::clone(&is_continued)).ok();
    let starts_are_blocked = children::block_starts();
    on_step(SuspensionStep::Begins);
    let stopped = stop_descendants();
    let suspension = clock::suspend();
    // The shell may have ended meanwhile, with the terminal.
    if is_controlled() && !is_continued.load(Ordering::SeqCst) {
        // It is sent to this very thread, which therefore returns only after it is continued.
        let _ = signal_hook::low_level::raise(SIGSTOP);
        // The handler may run on another thread. If it ran later, it would end the next suspension at once.
        let mut looks = 0..LATEST;
        while handler.is_some() && !is_continued.load(Ordering::SeqCst) && looks.next().is_some() {
            std::thread::sleep(PAUSE);
        }
    }
    drop(suspension);
    handler.map(signal_hook::low_level::unregister);
    for process in &stopped {
        signal(process, Signal::CONT);
    }
    drop(starts_are_blocked);
    on_step(SuspensionStep::Ends);
}

/// Returns whether someone can continue this process: a shell with job control, which leads the session
/// and is in another group. Otherwise the kernel ignores TSTP.
fn is_controlled() -> bool {
    let leader = getsid(None).ok();
    leader.and_then(|leader| getpgid(Some(leader)).ok()).is_some_and(|group| group != getpgrp())
}

/// Stops all descendants of this process but guards, which have to act if this process is killed while
/// it is suspended. Those that were stopped already are left alone.
fn stop_descendants() -> Vec<ProcStat> {
    let mut stopped: Vec<ProcStat> = Vec::new();
    for _ in 0..LOOKS {
        let known = stopped.len();
        for process in descendants() {
            let is_known = stopped.iter().any(|known| known.pid == process.pid && known.reread().is_some());
            if is_known || process.is_stopped() || process.has_ended() || is_guard(&process) {
                continue;
            }
            signal(&process, Signal::STOP);
            stopped.push(process);
        }
        // Until the last one has stopped, it may start another.
        let stands_still =
            |process: &ProcStat| process.reread().is_none_or(|now| now.is_stopped() || now.has_ended());
        if stopped.len() == known && stopped.iter().all(stands_still) {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    stopped
}

fn signal(process: &ProcStat, signal: Signal) {
    procfs::signal_if(process.pid, signal, || process.reread().is_some());
}

/// Returns all processes that were started by this one, or by those.
fn descendants() -> Vec<ProcStat> {
    let mut others: Vec<ProcStat> = procfs::processes().filter_map(procfs::stat).collect();
    let mut parents = vec![getpid()];
    let mut found = Vec::new();
    while let Some(parent) = parents.pop() {
        for process in others.extract_if(.., |process| process.parent == parent.as_raw_pid()) {
            parents.push(process.pid);
            found.push(process);
        }
    }
    found
}

fn is_guard(process: &ProcStat) -> bool {
    procfs::arguments(process.pid).get(1).is_some_and(|argument| argument == GUARD_ARGUMENT)
}
