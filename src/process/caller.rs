//! The process that called this one, such as the git that runs a hook: whether it is still there, and
//! which others it had started. It must not know what follows from that. Only Linux shows more than
//! the parent.

use std::fs;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, getppid, kill_process};

/// Who called, as far up as a program of that name.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The parent of this process, when it was looked at.
    parent: Option<Pid>,
    /// The caller by name, if one was found.
    named: Option<Process>,
    /// Other processes that it had started by then: for git, the one that holds the connection.
    others: Vec<Process>,
}

/// A process, told from a later one with the same id by the time it was started.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Process {
    pid: i32,
    started: String,
}

/// What the process table says of a process.
pub(super) struct Row {
    pub(super) pid: i32,
    name: String,
    state: String,
    pub(super) parent: i32,
    pub(super) started: String,
}

/// How often a watch looks.
const PERIOD: Duration = Duration::from_millis(250);
/// Processes that are looked at upwards before the search is given up.
const HIGHEST: usize = 8;

impl Caller {
    /// Looks for the nearest caller whose program has this name.
    pub fn find(name: &str) -> Self {
        let parent = getppid();
        let mut own = vec![getpid().as_raw_pid()];
        let mut next = parent.map(Pid::as_raw_pid);
        let mut named = None;
        while let Some(row) = next.filter(|pid| *pid > 1 && own.len() < HIGHEST).and_then(row) {
            if row.name == name {
                named = Some(row);
                break;
            }
            own.push(row.pid);
            next = Some(row.parent);
        }
        let others = named.as_ref().map_or_else(Vec::new, |caller| children(caller.pid, &own));
        Self { parent, named: named.map(Process::from), others }
    }

    /// Whether whoever called is gone, so that nobody waits for this process any more.
    pub fn is_gone(&self) -> bool {
        getppid() != self.parent || self.named.as_ref().is_some_and(|caller| !caller.lives())
    }

    /// Whether a process that the caller had started beside this one has ended since.
    pub fn has_lost_another(&self) -> bool {
        self.others.iter().any(|process| !process.lives())
    }
}

/// A thread that looks after a caller until this is dropped.
#[derive(Debug)]
pub struct Watch {
    /// Dropping it ends the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Calls `gone` once the caller is gone.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub fn start(caller: Caller, gone: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (end, ended) = channel::<()>();
        let thread = std::thread::Builder::new().name("caller".to_owned()).spawn(move || {
            while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                if caller.is_gone() {
                    gone();
                    break;
                }
            }
        })?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

/// Sends TERM to this process: before a run that ends it, and in one it is heard as any other.
pub fn end_self() {
    // Whoever can't signal himself can't be helped.
    let _ = kill_process(getpid(), Signal::TERM);
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // It ends at once, and has nothing to say.
            let _ = thread.join();
        }
    }
}

impl Process {
    fn lives(&self) -> bool {
        row(self.pid).is_some_and(|row| row.started == self.started && row.lives())
    }
}

impl From<Row> for Process {
    fn from(row: Row) -> Self {
        Self { pid: row.pid, started: row.started }
    }
}

impl Row {
    /// A zombie has ended; only its parent has not asked yet.
    pub(super) fn lives(&self) -> bool {
        !matches!(&*self.state, "Z" | "X" | "x")
    }

    /// Whether it stands still until someone continues it, or a tracer does.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(&*self.state, "T" | "t")
    }
}

/// The living children of a process, without those of `own`.
fn children(parent: i32, own: &[i32]) -> Vec<Process> {
    let pids = listed_children(parent).unwrap_or_else(all_processes);
    let rows = pids.into_iter().filter(|pid| !own.contains(pid)).filter_map(row);
    rows.filter(|row| row.parent == parent && row.lives()).map(Process::from).collect()
}

/// The children of a process; more than those where the kernel does not list them.
pub(super) fn children_of(parent: Pid) -> Vec<Pid> {
    let pids = listed_children(parent.as_raw_pid()).unwrap_or_else(all_processes);
    pids.into_iter().filter_map(Pid::from_raw).collect()
}

/// The children of all threads of a process, where the kernel lists them: that spares a look at each
/// process of the machine.
fn listed_children(parent: i32) -> Option<Vec<i32>> {
    let mut pids = Vec::new();
    for thread in fs::read_dir(format!("/proc/{parent}/task")).ok()? {
        let list = fs::read_to_string(thread.ok()?.path().join("children")).ok()?;
        pids.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Some(pids)
}

pub(super) fn all_processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

pub(super) fn row(pid: i32) -> Option<Row> {
    read(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `12 (name) S 1 …`, by `proc(5)`: the name may hold anything, so it ends at the last bracket.
fn read(pid: i32, stat: &str) -> Option<Row> {
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).map(|field| (*field).to_owned());
    Some(Row { pid, name, state: field(3)?, parent: field(4)?.parse().ok()?, started: field(22)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_table_is_read_whatever_the_name() {
        let fields = "S 7 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1";
        for name in ["git", "a) b (c", "", "x y"] {
            let row = read(12, &format!("12 ({name}) {fields}\n")).unwrap();
            assert_eq!((&*row.name, row.parent, &*row.started, row.lives()), (name, 7, "4711", true));
        }
        assert!(read(12, "12 (git").is_none() && read(12, "12 (git) S 1").is_none());
        assert!(!read(12, &format!("12 (git) {}", fields.replacen('S', "Z", 1))).unwrap().lives());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_sees_its_parent_and_its_children() {
        let own = getpid().as_raw_pid();
        let parent = row(own).unwrap().parent;
        let name = row(parent).unwrap().name;
        let caller = Caller::find(&name);
        assert_eq!(caller.named.as_ref().map(|process| process.pid), Some(parent));
        assert!(!caller.is_gone());
        assert!(listed_children(parent).is_none_or(|all| all.contains(&own)));
        assert!(all_processes().contains(&own));
        let gone = Process { pid: own, started: "another time".to_owned() };
        assert!(!gone.lives());
        assert!(Caller { named: Some(gone.clone()), ..caller.clone() }.is_gone());
        assert!(Caller { others: vec![gone], ..caller }.has_lost_another());
    }
}
