//! The process table, as Linux shows it in `/proc`: who is in a group, and who bears a mark in his
//! environment. It must not know what a mark stands for. Elsewhere it sees nobody.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process_group};

use crate::process::{caller, children};

const PROC: &str = "/proc";
/// How often a process that is changing its program is looked at again.
const LOOKS: u32 = 1000;
/// The time between two such looks.
const BLINK: Duration = Duration::from_millis(1);

/// A living process that bears a mark.
#[derive(Clone, Debug)]
pub(super) struct Marked {
    pub(super) pid: Pid,
    /// The environment it was started with: `NAME=value`, each ended by a zero.
    environment: Vec<u8>,
}

/// All living processes but this one that were started with the variable `name` set to `value`.
pub(super) fn find(name: &str, value: &str) -> Vec<Marked> {
    let mark = format!("{name}={value}");
    let own = getpid();
    let marked = |pid: Pid| {
        let environment = environment(pid)?;
        has(&environment, &mark).then_some(Marked { pid, environment })
    };
    processes().filter(|pid| *pid != own).filter_map(marked).collect()
}

/// The living processes that became children of this one when whoever started them ended. What runs in
/// the session of this process is not among them: it may have been started here.
pub(super) fn adopted() -> Vec<Marked> {
    // A child that is just being started is not awaited yet.
    let _alone = children::none_starts();
    let living = orphans(processes()).filter(|(_, standing)| !standing.has_ended());
    // A daemon may have written over the environment that it was started with.
    living.map(|(pid, _)| Marked { pid, environment: environment(pid).unwrap_or_default() }).collect()
}

/// Those that have ended and are not reaped. Some may be missed while others end.
pub(super) fn ended_orphans() -> Vec<Pid> {
    let ended = orphans(caller::children_of(getpid())).filter(|(_, standing)| standing.has_ended());
    ended.map(|(pid, _)| pid).collect()
}

fn orphans(among: impl IntoIterator<Item = Pid>) -> impl Iterator<Item = (Pid, Standing)> {
    let own = getpid();
    let session = standing(own).map(|own| own.session);
    let stand = among.into_iter().filter_map(|pid| Some((pid, standing(pid)?)));
    stand.filter(move |(pid, standing)| {
        standing.parent == own.as_raw_pid()
            && session.is_some_and(|session| standing.session != session)
            && !children::is_awaited(*pid)
    })
}

impl Marked {
    /// The value of another variable of its environment.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        entries(&self.environment).find_map(|entry| {
            let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(String::from_utf8_lossy(value).into_owned())
        })
    }

    /// Its arguments in one line.
    pub(super) fn command(&self) -> String {
        let line = fs::read(folder(self.pid).join("cmdline")).unwrap_or_default();
        let line = line.strip_suffix(b"\0").unwrap_or(&line);
        String::from_utf8_lossy(line).replace('\0', " ")
    }

    /// Signals it, and nobody who got its id after its end.
    pub(super) fn signal(&self, signal: Signal) {
        signal_if(self.pid, signal, || environment(self.pid).is_some_and(|now| now == self.environment));
    }

    /// Kills it, and if it leads a group, all members: they came from it, even those that bear no mark.
    pub(super) fn kill(&self) {
        let leads = standing(self.pid).is_some_and(|standing| standing.group == self.pid.as_raw_pid());
        if leads && environment(self.pid).is_some_and(|now| now == self.environment) {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        self.signal(Signal::KILL);
    }
}

/// Signals a process if it still is the one that is meant.
pub(super) fn signal_if(pid: Pid, signal: Signal, is_meant: impl FnOnce() -> bool) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
        let descriptor = pidfd_open(pid, PidfdFlags::empty());
        // The descriptor names one process for good; if that is the one that was found, it still is.
        let same = is_meant();
        match descriptor {
            Ok(descriptor) if same => {
                let _ = pidfd_send_signal(descriptor, signal);
                return;
            }
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM | rustix::io::Errno::MFILE) if same => {}
            _ => return,
        }
    }
    #[cfg(not(target_os = "linux"))]
    if !is_meant() {
        return;
    }
    let _ = rustix::process::kill_process(pid, signal);
}

/// Whether a group has a member that has not ended. Where the table can't be read, a member that
/// can be signalled counts.
pub(super) fn group_lives(group: Pid) -> bool {
    let mut readable = false;
    let lives = processes().any(|pid| {
        let Some(standing) = standing(pid) else { return false };
        readable = true;
        standing.group == group.as_raw_pid() && !standing.has_ended()
    });
    lives || !readable
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir(PROC).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
}

fn folder(pid: Pid) -> std::path::PathBuf {
    Path::new(PROC).join(pid.as_raw_pid().to_string())
}

/// `None` for another user's process; empty for one that has ended and is not reaped.
///
/// A process that is changing its program shows none for a moment, which may be long on a busy
/// machine. It is waited for: who hunts for a mark must not take it for one that has none.
fn environment(pid: Pid) -> Option<Vec<u8>> {
    let mut found = read_environment(pid)?;
    for _ in 0..LOOKS {
        if !found.is_empty() {
            break;
        }
        let before = standing(pid);
        found = read_environment(pid)?;
        let (Some(before), Some(after)) = (before, standing(pid)) else { break };
        if !before.may_show_variables(after) || !programs_are_told() {
            break;
        }
        thread::sleep(BLINK);
    }
    Some(found)
}

/// All of it by one read: a second one finds nothing if the process has changed its program since.
fn read_environment(pid: Pid) -> Option<Vec<u8>> {
    let path = folder(pid).join("environ");
    let mut room = 64 << 10;
    loop {
        let mut bytes = vec![0; room];
        let length = fs::File::open(&path).and_then(|mut file| file.read(&mut bytes)).ok()?;
        if length < room {
            bytes.truncate(length);
            return Some(bytes);
        }
        room *= 2;
    }
}

/// Whether the system says where programs lie, by which a change of program is seen.
fn programs_are_told() -> bool {
    standing(getpid()).is_some_and(|own| own.program.is_some())
}

fn entries(environment: &[u8]) -> impl Iterator<Item = &[u8]> {
    environment.split(|byte| *byte == 0)
}

fn has(environment: &[u8], entry: &str) -> bool {
    entries(environment).any(|candidate| candidate == entry.as_bytes())
}

/// Where a process stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Standing {
    state: char,
    parent: i32,
    group: i32,
    session: i32,
    /// The size of its memory: 0 for one of the kernel's, and one that is ending.
    memory: u64,
    /// Where its code and its stack begin: other places with each program. Linux sets the code's last,
    /// after the environment's, so until then it is changing its program and there is none.
    program: Option<(u64, u64)>,
}

impl Standing {
    /// Whether one whose environment was empty between these two looks may have one nonetheless:
    /// because it was changing its program then.
    fn may_show_variables(self, after: Self) -> bool {
        let changes = after.program.is_none() || self.program != after.program;
        self.memory > 0 && after.memory > 0 && changes
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

fn standing(pid: Pid) -> Option<Standing> {
    parse_stat(&fs::read(folder(pid).join("stat")).ok()?)
}

/// `12 (a) b) S 1 12 12 …`: the name in brackets may hold anything.
fn parse_stat(stat: &[u8]) -> Option<Standing> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(&stat[name_end + 1..]).ok()?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let mut number = || fields.next()?.parse().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    // The 23rd field is the size of its memory, the 26th and the 28th the begins of code and stack.
    let mut field = |skipped| fields.nth(skipped)?.parse().ok();
    let (memory, code, stack) = (field(16)?, field(2)?, field(1)?);
    let program = (code > 0).then_some((code, stack));
    Some(Standing { state, parent, group, session, memory, program })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of a process: its fields up to the session, its memory, its code and its stack.
    fn line(begin: &[u8], memory: u64, code: u64, stack: u64) -> Vec<u8> {
        let between = ["0"; 16].join(" ");
        let rest = format!(" {between} {memory} 1 2 {code} 4 {stack} 0\n");
        [begin, rest.as_bytes()].concat()
    }

    #[test]
    fn the_name_of_a_process_does_not_confuse_its_state() {
        let standing = |state, group| {
            Some(Standing { state, parent: 1, group, session: 9, memory: 7, program: Some((8, 5)) })
        };
        assert_eq!(parse_stat(&line(b"12 (sh) S 1 10 9", 7, 8, 5)), standing('S', 10));
        assert_eq!(parse_stat(&line(b"12 (a) R 7 (\xff) Z 1 11 9", 7, 8, 5)), standing('Z', 11));
        for cut in ["12 (a", "12 (a) S 1", "12 (a) S 1 10 9", ""] {
            assert_eq!(parse_stat(cut.as_bytes()), None, "{cut}");
        }
    }

    #[test]
    fn an_environment_that_can_not_be_seen_is_not_an_empty_one() {
        let cases = [
            ("it has none", (7, 8, 5), (7, 8, 5), false),
            ("it is changing its program", (7, 0, 0), (7, 0, 0), true),
            ("it is nearly there", (7, 0, 5), (7, 0, 5), true),
            ("it has begun to", (7, 8, 5), (7, 0, 0), true),
            ("it has just done so", (7, 0, 5), (7, 8, 4), true),
            ("it has done so between the looks", (7, 8, 5), (7, 8, 4), true),
            ("it has ended", (7, 8, 5), (0, 0, 0), false),
            ("it is the kernel's", (0, 0, 0), (0, 0, 0), false),
        ];
        for (what, before, after, expected) in cases {
            let at =
                |(memory, code, stack)| parse_stat(&line(b"12 (sh) S 1 10 9", memory, code, stack)).unwrap();
            assert_eq!(at(before).may_show_variables(at(after)), expected, "{what}");
        }
    }

    #[test]
    fn a_mark_is_a_whole_entry() {
        let environment = b"A=1\0RUN=ab\0RUNNER=x\0";
        assert!(has(environment, "RUN=ab"));
        for other in ["RUN=a", "RUN=abc", "UN=ab", "RUN"] {
            assert!(!has(environment, other), "{other}");
        }
        let marked = Marked { pid: getpid(), environment: environment.to_vec() };
        assert_eq!(marked.variable("RUN").as_deref(), Some("ab"));
        assert_eq!(marked.variable("RU"), None);
    }
}
