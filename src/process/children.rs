//! The children of this process: those that it started and waits for, and the orphans that it inherits
//! as their subreaper, whose ends it collects all the time. It must not know what either is.
//!
//! Collecting the end of a child that someone waits for would lose its exit status. So whoever starts
//! a child holds `STARTING` until the child is in `AWAITED`, and whoever collects holds it alone.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, Once, PoisonError, RwLock, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::process::marked;

/// The children that this process started and waits for.
static AWAITED: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
/// Shared by those that start a child.
static STARTING: RwLock<()> = RwLock::new(());
/// The time between two looks at whether a child has ended.
const PERIOD: Duration = Duration::from_millis(100);

/// Starts a child, or several with these ids, that will be [reaped](reap).
///
/// # Errors
/// As `start`.
pub fn start<C>(start: impl FnOnce() -> io::Result<C>, ids: impl FnOnce(&C) -> Vec<u32>) -> io::Result<C> {
    let _shared = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let child = start()?;
    awaited().extend(ids(&child));
    Ok(child)
}

/// Waits until a child has ended, and reaps it by `reap`.
pub fn reap<T>(id: u32, reap: impl FnOnce() -> T) -> T {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
    }
    // Until the lock is released, no other child with the same id is added.
    let mut awaited = awaited();
    let reaped = reap();
    awaited.remove(&id);
    reaped
}

/// Whether this process started the child and has not reaped it yet.
pub(super) fn is_awaited(pid: Pid) -> bool {
    awaited().contains(&pid.as_raw_pid().unsigned_abs())
}

/// Has no child start until the returned value is dropped.
pub(super) fn none_starts() -> RwLockWriteGuard<'static, ()> {
    STARTING.write().unwrap_or_else(PoisonError::into_inner)
}

/// Collects the ends of orphans from now on, for as long as this process lives.
///
/// # Errors
/// There is no room for a thread.
pub(super) fn collect_orphans() -> io::Result<()> {
    static STARTED: Once = Once::new();
    let mut started = Ok(());
    STARTED.call_once(|| {
        let thread = thread::Builder::new().name("orphans".to_owned());
        started = thread
            .spawn(|| {
                loop {
                    thread::sleep(PERIOD);
                    collect();
                }
            })
            .map(|_| ());
    });
    started
}

fn collect() {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    if !matches!(waitid(WaitId::All, options | WaitIdOptions::NOWAIT), Ok(Some(_))) {
        return;
    }
    let _alone = none_starts();
    for pid in marked::ended_orphans() {
        let _ = waitid(WaitId::Pid(pid), options);
    }
}

/// No code panics while it holds the lock, so a poisoned one is sound.
fn awaited() -> MutexGuard<'static, BTreeSet<u32>> {
    AWAITED.lock().unwrap_or_else(PoisonError::into_inner)
}
