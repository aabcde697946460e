//! The process table, as Linux shows it in `/proc`; elsewhere it is empty. It must not know
//! what is searched for in it.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid};

/// How often a process that is changing its program is read again.
const EXEC_LOOKS: u32 = 1000;
/// The time between two such looks.
const EXEC_PAUSE: Duration = Duration::from_millis(1);

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ProcStat {
    pub(super) pid: Pid,
    /// The name of its program, at most 15 bytes of it.
    pub(super) name: String,
    state: char,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// When it was started, which distinguishes it from a later process with the same id.
    started: u64,
    /// The size of its memory: 0 for a process of the kernel, and for one that is ending.
    memory: u64,
    /// The addresses of its code and its stack, which differ between programs. Linux sets that of the
    /// code last, after the environment's, so there is none while the process changes its program.
    program: Option<(u64, u64)>,
}

impl ProcStat {
    /// Returns whether the process has ended, even if it has not been reaped yet.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Returns whether the process is stopped, until it is continued or its tracer resumes it.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// Reads the process again; `None` if it is gone.
    pub(super) fn reread(&self) -> Option<Self> {
        stat(self.pid).filter(|now| now.started == self.started)
    }

    /// Returns whether a process whose environment was empty between these two looks may have one
    /// nonetheless, because it was changing its program.
    fn may_have_environment(&self, after: &Self) -> bool {
        let changes = after.program.is_none() || self.program != after.program;
        self.memory > 0 && after.memory > 0 && changes
    }

    /// Parses `12 (name) S 1 …`, see proc(5). The name may contain anything, so it ends at the last
    /// bracket.
    fn parse(pid: Pid, text: &[u8]) -> Option<Self> {
        let name_end = text.iter().rposition(|byte| *byte == b')')?;
        let name_start = text.iter().position(|byte| *byte == b'(')? + 1;
        let name = String::from_utf8_lossy(text.get(name_start..name_end)?).into_owned();
        let rest = std::str::from_utf8(&text[name_end + 1..]).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // As proc(5) numbers them; the state is the third.
        let field = |number: usize| fields.get(number - 3);
        let id = |number| field(number)?.parse::<i32>().ok();
        let number = |number| field(number)?.parse::<u64>().ok();
        let (code, stack) = (number(26)?, number(28)?);
        Some(Self {
            pid,
            name,
            state: field(3)?.chars().next()?,
            parent: id(4)?,
            group: id(5)?,
            session: id(6)?,
            started: number(22)?,
            memory: number(23)?,
            program: (code > 0).then_some((code, stack)),
        })
    }
}

/// Returns the entry of a process in the table; `None` if it is gone.
pub(super) fn stat(pid: Pid) -> Option<ProcStat> {
    ProcStat::parse(pid, &fs::read(folder(pid).join("stat")).ok()?)
}

/// Returns whether a process has memory: one that is ending has none.
pub(super) fn has_memory(pid: Pid) -> bool {
    stat(pid).is_some_and(|stat| stat.memory > 0)
}

/// Returns all processes.
pub(super) fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
}

/// Returns the children of a process, and others where the kernel does not list them. Some may be missing
/// while others end.
pub(super) fn children_of(parent: Pid) -> Vec<Pid> {
    // The list of each thread spares a look at every process of the machine.
    let listed = || {
        let mut pids = Vec::new();
        for thread in fs::read_dir(folder(parent).join("task")).ok()? {
            let list = fs::read_to_string(thread.ok()?.path().join("children")).ok()?;
            pids.extend(list.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)));
        }
        Some(pids)
    };
    listed().unwrap_or_else(|| processes().collect())
}

/// Returns whether a process group has a member that has not ended. If the table can't be read, any
/// member that can be signalled counts.
pub(super) fn is_group_alive(group: Pid) -> bool {
    let mut is_readable = false;
    let is_alive = processes().filter_map(stat).any(|stat| {
        is_readable = true;
        stat.group == group.as_raw_pid() && !stat.has_ended()
    });
    is_alive || !is_readable
}

/// Returns the arguments of a process, its own name first.
pub(super) fn arguments(pid: Pid) -> Vec<String> {
    let line = fs::read(folder(pid).join("cmdline")).unwrap_or_default();
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// Returns the environment that a process was started with: `NAME=value`, each ended by a zero. `None`
/// for another user's process; empty for one that has ended.
///
/// A process that is changing its program shows no environment for a moment, which may be long on a busy
/// machine. This waits for it, so that a process with a mark is not taken for one without.
pub(super) fn environment(pid: Pid) -> Option<Vec<u8>> {
    let mut found = read_environment(pid)?;
    for _ in 0..EXEC_LOOKS {
        if !found.is_empty() {
            break;
        }
        let before = stat(pid);
        found = read_environment(pid)?;
        let (Some(before), Some(after)) = (before, stat(pid)) else { break };
        if !before.may_have_environment(&after) || !shows_programs() {
            break;
        }
        thread::sleep(EXEC_PAUSE);
    }
    Some(found)
}

/// Reads all of it at once: a second read finds nothing if the process has changed its program since.
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

/// Returns whether the system shows addresses, by which a change of program is seen.
fn shows_programs() -> bool {
    stat(getpid()).is_some_and(|own| own.program.is_some())
}

fn folder(pid: Pid) -> PathBuf {
    Path::new("/proc").join(pid.as_raw_pid().to_string())
}

/// Signals a process if it still is the one that is meant, and not another that got its id.
pub(super) fn signal_if(pid: Pid, signal: Signal, is_meant: impl FnOnce() -> bool) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
        let descriptor = pidfd_open(pid, PidfdFlags::empty());
        // The descriptor always means the same process, so this answer stays valid.
        let is_meant = is_meant();
        match descriptor {
            Ok(descriptor) if is_meant => {
                let _ = pidfd_send_signal(descriptor, signal);
                return;
            }
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM | rustix::io::Errno::MFILE)
                if is_meant => {}
            _ => return,
        }
    }
    #[cfg(not(target_os = "linux"))]
    if !is_meant() {
        return;
    }
    let _ = rustix::process::kill_process(pid, signal);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the line of a process: its fields up to the session, its start, memory, code and stack.
    fn line(begin: &[u8], memory: u64, code: u64, stack: u64) -> Vec<u8> {
        let between = ["0"; 15].join(" ");
        let rest = format!(" {between} 4711 {memory} 1 2 {code} 4 {stack} 0\n");
        [begin, rest.as_bytes()].concat()
    }

    fn parse(text: &[u8]) -> Option<ProcStat> {
        ProcStat::parse(getpid(), text)
    }

    #[test]
    fn stat_is_parsed_whatever_the_name() {
        for (name, shown) in
            [(&b"git"[..], "git"), (b"a) R 7 (\xff", "a) R 7 (\u{fffd}"), (b"", ""), (b"x y", "x y")]
        {
            let begin = [b"12 (", name, b") S 1 10 9"].concat();
            let expected = ProcStat {
                pid: getpid(),
                name: shown.to_owned(),
                state: 'S',
                parent: 1,
                group: 10,
                session: 9,
                started: 4711,
                memory: 7,
                program: Some((8, 5)),
            };
            assert_eq!(parse(&line(&begin, 7, 8, 5)), Some(expected));
        }
        for cut in ["12 (a", "12 (a) S 1", "12 (a) S 1 10 9", ""] {
            assert_eq!(parse(cut.as_bytes()), None, "{cut}");
        }
        assert!(parse(&line(b"12 (a) Z 1 10 9", 7, 8, 5)).unwrap().has_ended());
        assert!(parse(&line(b"12 (a) T 1 10 9", 7, 8, 5)).unwrap().is_stopped());
    }

    #[test]
    fn environment_that_can_not_be_seen_is_not_an_empty_one() {
        let cases = [
            ("it has none", (7, 8, 5), (7, 8, 5), false),
            ("it is changing its program", (7, 0, 0), (7, 0, 0), true),
            ("it has nearly changed it", (7, 0, 5), (7, 0, 5), true),
            ("it has begun to change it", (7, 8, 5), (7, 0, 0), true),
            ("it has just changed it", (7, 0, 5), (7, 8, 4), true),
            ("it has changed it between the looks", (7, 8, 5), (7, 8, 4), true),
            ("it has ended", (7, 8, 5), (0, 0, 0), false),
            ("it is the kernel's", (0, 0, 0), (0, 0, 0), false),
        ];
        for (what, before, after, expected) in cases {
            let at = |(memory, code, stack)| parse(&line(b"12 (sh) S 1 10 9", memory, code, stack)).unwrap();
            assert_eq!(at(before).may_have_environment(&at(after)), expected, "{what}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_in_the_table() {
        let own = stat(getpid()).unwrap();
        let parent = Pid::from_raw(own.parent).unwrap();
        assert!(children_of(parent).contains(&own.pid) && processes().any(|pid| pid == own.pid));
        assert_eq!(own.reread().map(|again| again.started), Some(own.started));
        assert!(ProcStat { started: 0, ..own }.reread().is_none());
    }
}
