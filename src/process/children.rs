//! The children of this process: those that it started and waits for, and the orphans that it inherits as
//! their subreaper and reaps all the time. It must not know what either is.
//!
//! Reaping a child that a thread waits for would lose its exit status. So a thread that starts a child
//! holds `STARTING` for reading until the child is in `AWAITED`, and a thread that reaps orphans holds it
//! for writing.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, Once, PoisonError, RwLock, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, getpid, waitid};

use crate::process::procfs::{self, ProcStat};

/// The children that this process started and waits for.
static AWAITED: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
/// Held for reading by those that start a child.
static STARTING: RwLock<()> = RwLock::new(());

/// How often a start is tried again. Between its fork and its exec, a child of another thread may hold a file
/// open that this process has already closed.
const BUSY_TRIES: u32 = 10;

/// The time between two looks for orphans that have ended.
const PERIOD: Duration = Duration::from_millis(100);

/// Starts a child, or several with these ids, that will be [reaped](reap). Tries again while the program's
/// file is open for writing.
///
/// # Errors
/// As `start`.
pub fn start<C>(mut start: impl FnMut() -> io::Result<C>, ids: impl FnOnce(&C) -> Vec<u32>) -> io::Result<C> {
    let mut tries = 0;
    loop {
        let shared = STARTING.read().unwrap_or_else(PoisonError::into_inner);
        match start() {
            Ok(child) => {
                awaited().extend(ids(&child));
                return Ok(child);
            }
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                drop(shared);
                thread::sleep(Duration::from_millis(2 << tries));
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
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

/// Keeps children from being started until the returned value is dropped.
pub(super) fn block_starts() -> RwLockWriteGuard<'static, ()> {
    STARTING.write().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the living processes that became children of this one when their parents ended. Processes in
/// the session of this process are not among them: they may have been started here.
pub(super) fn adopted() -> Vec<Pid> {
    // A child that is just being started is not awaited yet.
    let _exclusive = block_starts();
    adopted_among(procfs::processes()).filter(|stat| !stat.has_ended()).map(|stat| stat.pid).collect()
}

fn adopted_among(pids: impl IntoIterator<Item = Pid>) -> impl Iterator<Item = ProcStat> {
    let own = getpid();
    let session = procfs::stat(own).map(|own| own.session);
    pids.into_iter().filter_map(procfs::stat).filter(move |stat| {
        stat.parent == own.as_raw_pid()
            && session.is_some_and(|session| stat.session != session)
            && !awaited().contains(&stat.pid.as_raw_pid().unsigned_abs())
    })
}

/// Reaps orphans from now on, for as long as this process lives.
///
/// # Errors
/// No thread can be started.
pub(super) fn reap_orphans() -> io::Result<()> {
    static STARTED: Once = Once::new();
    let mut started = Ok(());
    STARTED.call_once(|| {
        let thread = thread::Builder::new().name("orphans".to_owned());
        let spawned = thread.spawn(|| {
            loop {
                thread::sleep(PERIOD);
                reap_ended_orphans();
            }
        });
        started = spawned.map(|_| ());
    });
    started
}

fn reap_ended_orphans() {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    if !matches!(waitid(WaitId::All, options | WaitIdOptions::NOWAIT), Ok(Some(_))) {
        return;
    }
    let _exclusive = block_starts();
    for stat in adopted_among(procfs::children_of(getpid())).filter(ProcStat::has_ended) {
        let _ = waitid(WaitId::Pid(stat.pid), options);
    }
}

/// No code panics while it holds the lock, so a poisoned one is sound.
fn awaited() -> MutexGuard<'static, BTreeSet<u32>> {
    AWAITED.lock().unwrap_or_else(PoisonError::into_inner)
}
