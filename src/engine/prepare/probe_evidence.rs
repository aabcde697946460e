//! Decides whether the answer of a probe may be remembered, and what it depends on. Pure: the trace and the
//! metadata of its paths are given.
//!
//! An answer may be remembered if all that the probe looked up is known, was the same before and after, and
//! would not change unnoticed:
//! - The trace is complete, and the probe used no socket but one that is missing, or that nobody knows, and no
//!   memory or messages of other processes.
//! - Each path is what it was when it was looked up for the first time. So a probe that changes what it
//!   looked up, such as a cache, is only remembered once it no longer does so.
//! - Files, symlinks and listed folders had settled before the probe started (see `Stat::is_settled`).
//! - What the kernel makes up below `/proc`, `/sys` and `/dev` has no metadata that would show a change. If it
//!   describes the probe itself, or the machine in a way that only a restart changes and that runtimes read
//!   anyway (`CONSTANTS`), it counts as constant. If the probe opened anything else there, its answer is
//!   not remembered. The folder in which each JVM notes its own measurements is left out too.
//!
//! What a probe learns without a path can't be seen: the time, the number of processors, random numbers,
//! network interfaces and limits.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use open_trace::{DoubtKind, Lookup, Trace};

use crate::base::stat::{FileTime, Moment, Stat};
use crate::history::probe_answers::{KnownPath, PathState};

/// A probe with more paths than this is faster than looking at all of them.
const MAX_PATHS: usize = 20_000;

/// What counts as constant until the machine is restarted. A `/` at the end means all that is below it.
const CONSTANTS: &[&str] = &[
    "/dev/full",
    "/dev/null",
    "/dev/ptmx",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
    "/proc/cgroups",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/meminfo",
    "/proc/mounts",
    "/proc/stat",
    "/proc/version",
    "/proc/sys/fs/nr_open",
    "/proc/sys/fs/pipe-max-size",
    "/proc/sys/kernel/cap_last_cap",
    "/proc/sys/kernel/ngroups_max",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/ostype",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/random/boot_id",
    "/proc/sys/kernel/random/uuid",
    "/proc/sys/net/core/somaxconn",
    "/proc/sys/vm/max_map_count",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu/",
    "/sys/devices/system/node/",
    "/sys/fs/cgroup/",
    "/sys/kernel/mm/hugepages/",
    "/sys/kernel/mm/transparent_hugepage/",
];

/// Why an answer is not remembered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotRemembered {
    /// Something may have been missed.
    Doubt(DoubtKind),
    /// The probe itself changed a path that it looked up.
    Written(PathBuf),
    /// Something else changed a path while the probe ran.
    Changed(PathBuf),
    /// A path was changed so shortly before the probe that a later change would not show.
    TooNew(PathBuf),
    /// The probe read something that may change unnoticed.
    Unseen(PathBuf),
    /// The probe gives another answer under the tracer.
    Differs,
    /// It looked up too many paths.
    TooMany(usize),
}

impl fmt::Display for NotRemembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Doubt(kind) => kind.fmt(f),
            Self::Written(path) => write!(f, "it changes {}, which it looks up", path.display()),
            Self::Changed(path) => write!(f, "{} changed while it ran", path.display()),
            Self::TooNew(path) => write!(f, "{} was changed just before", path.display()),
            Self::Unseen(path) => write!(f, "it reads {}, which may change unnoticed", path.display()),
            Self::Differs => f.write_str("it gives another answer under the tracer, which is slower"),
            Self::TooMany(paths) => write!(f, "it looks up {paths} paths"),
        }
    }
}

/// Returns what the answer of a traced probe depends on. `now` has the metadata of each lookup's path after
/// the probe, or the number of the error; `started` is the time before its start.
///
/// # Errors
/// The answer must not be remembered.
pub fn evidence(
    trace: &Trace,
    now: &[Result<Stat, i32>],
    started: &Moment,
) -> Result<Vec<KnownPath>, NotRemembered> {
    if let Some(doubt) = trace.doubts.first() {
        return Err(NotRemembered::Doubt(doubt.kind.clone()));
    }
    if trace.lookups.is_empty() || trace.lookups.len() != now.len() {
        return Err(NotRemembered::Doubt(DoubtKind::Unreported));
    }
    if trace.lookups.len() > MAX_PATHS {
        return Err(NotRemembered::TooMany(trace.lookups.len()));
    }
    let mut paths = Vec::new();
    for (lookup, now) in trace.lookups.iter().zip(now) {
        let path = lookup.path.as_path();
        if let Some(state) = state(lookup, now, started)? {
            paths.push(KnownPath { path: path.to_owned(), state });
        }
    }
    Ok(paths)
}

/// Returns what a path must be, or `None` if it does not matter.
fn state(
    lookup: &Lookup,
    now: &Result<Stat, i32>,
    started: &Moment,
) -> Result<Option<PathState>, NotRemembered> {
    use open_trace::PathState as Traced;
    let path = || lookup.path.as_path().to_owned();
    let is_made_up = is_made_up(lookup.path.as_path());
    let traced = match lookup.state {
        Traced::OwnProcess => {
            let is_own = !leaves_process(lookup.path.as_path());
            return if is_own { Ok(None) } else { Err(NotRemembered::Unseen(path())) };
        }
        Traced::Missing(error) => Err(error),
        Traced::Present(file) => Ok(Stat {
            device: file.device,
            inode: file.inode,
            size: file.size,
            mode: file.mode,
            modified: time(file.modified),
            changed: time(file.changed),
        }),
    };
    if is_made_up && is_constant(lookup.path.as_path()) || is_of_jvm(lookup.path.as_path()) {
        return Ok(None);
    }
    let changed =
        || if lookup.written { NotRemembered::Written(path()) } else { NotRemembered::Changed(path()) };
    let stat = match traced {
        Ok(stat) => stat,
        Err(error) => {
            let state = PathState::Missing(error);
            return if state.holds(now) { Ok(Some(state)) } else { Err(changed()) };
        }
    };
    let state = if is_made_up {
        PathState::Kind(stat.mode)
    } else if stat.is_file() || stat.is_symlink() || lookup.listed {
        PathState::Content(stat)
    } else {
        PathState::Folder { device: stat.device, inode: stat.inode, mode: stat.mode }
    };
    if !state.holds(now) {
        return Err(changed());
    }
    let has_content = matches!(state, PathState::Content(_));
    if has_content && !stat.is_settled(started) {
        return Err(NotRemembered::TooNew(path()));
    }
    // Pipes, sockets and devices have a content that their metadata says nothing of.
    let is_read = lookup.listed || lookup.opened && !stat.is_dir();
    if is_read && !has_content {
        return Err(NotRemembered::Unseen(path()));
    }
    Ok(Some(state))
}

fn time((seconds, nanos): (i64, i64)) -> FileTime {
    FileTime { seconds, nanos: u32::try_from(nanos).unwrap_or(0) }
}

/// Returns whether the kernel makes up what is at a path, so that its metadata says nothing of its content.
fn is_made_up(path: &Path) -> bool {
    let is_below = |folder| path.starts_with(folder);
    is_below("/proc") || is_below("/sys") || is_below("/dev") && !is_below("/dev/shm")
}

fn is_constant(path: &Path) -> bool {
    CONSTANTS.iter().any(|constant| match constant.strip_suffix('/') {
        Some(folder) => path.starts_with(folder),
        None => path == Path::new(constant),
    })
}

/// Returns whether a path is in the folder in which each JVM notes its own measurements while it runs.
fn is_of_jvm(path: &Path) -> bool {
    let name = path.strip_prefix("/tmp").ok().and_then(|path| path.components().next());
    name.is_some_and(|name| name.as_os_str().as_encoded_bytes().starts_with(b"hsperfdata_"))
}

/// Returns whether a path below the entry of a process in `/proc` follows one of its links to somewhere else.
fn leaves_process(path: &Path) -> bool {
    let names: Vec<&std::ffi::OsStr> = path.components().map(Component::as_os_str).collect();
    let is_link = |name: &std::ffi::OsStr| name == "cwd" || name == "root" || name == "exe";
    let follows = |(index, name): (usize, &&std::ffi::OsStr)| {
        is_link(name) && index + 1 < names.len() || *name == "fd" && index + 2 < names.len()
    };
    names.iter().enumerate().any(follows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_trace::{Doubt, FilePath, FileState, PathState as Traced};

    const STARTED: Moment = Moment { device: 1, time: FileTime { seconds: 100, nanos: 0 } };

    fn stat(mode: u32, seconds: i64) -> Stat {
        let time = FileTime { seconds, nanos: 0 };
        Stat { device: 1, inode: 2, size: 3, mode, modified: time, changed: time }
    }

    fn traced(stat: &Stat) -> Traced {
        let time = |time: FileTime| (time.seconds, i64::from(time.nanos));
        Traced::Present(FileState {
            device: stat.device,
            inode: stat.inode,
            size: stat.size,
            mode: stat.mode,
            modified: time(stat.modified),
            changed: time(stat.changed),
        })
    }

    fn lookup(path: &str, state: Traced) -> Lookup {
        Lookup { path: FilePath::new(Path::new(path)), state, opened: false, listed: false, written: false }
    }

    fn judge(lookup: Lookup, now: Result<Stat, i32>) -> Result<Option<PathState>, String> {
        let trace = Trace { lookups: vec![lookup], ..Trace::default() };
        let paths = evidence(&trace, &[now], &STARTED).map_err(|why| why.to_string())?;
        Ok(paths.into_iter().next().map(|path| path.state))
    }

    const FILE: u32 = 0o100_644;
    const FOLDER: u32 = 0o040_755;
    const LINK: u32 = 0o120_777;
    const DEVICE: u32 = 0o020_666;
    const PIPE: u32 = 0o010_600;

    #[test]
    fn unchanged_paths_are_evidence() {
        for (mode, listed, expected) in [
            (FILE, false, PathState::Content(stat(FILE, 99))),
            (LINK, false, PathState::Content(stat(LINK, 99))),
            (FOLDER, true, PathState::Content(stat(FOLDER, 99))),
            (FOLDER, false, PathState::Folder { device: 1, inode: 2, mode: FOLDER }),
            (PIPE, false, PathState::Folder { device: 1, inode: 2, mode: PIPE }),
        ] {
            let it = stat(mode, 99);
            let lookup = Lookup { listed, ..lookup("/a", traced(&it)) };
            assert_eq!(judge(lookup, Ok(it)), Ok(Some(expected)));
        }
        assert_eq!(judge(lookup("/a", Traced::Missing(2)), Err(2)), Ok(Some(PathState::Missing(2))));
    }

    #[test]
    fn change_during_the_probe_is_not_remembered() {
        let old = stat(FILE, 50);
        let cases = [
            (Traced::Missing(2), Ok(old)),
            (Traced::Missing(2), Err(13)),
            (traced(&old), Err(2)),
            (traced(&old), Ok(stat(FILE, 51))),
            (traced(&old), Ok(Stat { inode: 9, ..old })),
            (traced(&old), Ok(Stat { size: 9, ..old })),
            (traced(&stat(FOLDER, 50)), Ok(Stat { inode: 9, ..stat(FOLDER, 50) })),
        ];
        for (then, now) in cases {
            assert_eq!(judge(lookup("/a", then), now), Err("/a changed while it ran".to_owned()));
            let written = Lookup { written: true, ..lookup("/a", then) };
            assert_eq!(judge(written, now), Err("it changes /a, which it looks up".to_owned()));
        }
        let listed = Lookup { listed: true, ..lookup("/a", traced(&stat(FOLDER, 50))) };
        assert!(judge(listed, Ok(stat(FOLDER, 51))).is_err());
    }

    #[test]
    fn change_just_before_the_probe_is_not_remembered() {
        for (it, is_remembered) in [
            (stat(FILE, 99), true),
            (stat(FILE, 100), false),
            (stat(FILE, 101), false),
            (stat(FOLDER, 101), true),
            (Stat { device: 7, ..stat(FILE, 97) }, true),
            (Stat { device: 7, ..stat(FILE, 98) }, false),
        ] {
            assert_eq!(judge(lookup("/a", traced(&it)), Ok(it)).is_ok(), is_remembered, "{it:?}");
        }
    }

    #[test]
    fn what_the_kernel_makes_up_is_constant_or_not_remembered() {
        let file = stat(FILE, 150);
        for (path, opened, expected) in [
            ("/proc/meminfo", true, Ok(None)),
            ("/sys/fs/cgroup/cpu/cpu.max", true, Ok(None)),
            ("/sys/fs/selinux", false, Ok(Some(PathState::Kind(FILE)))),
            ("/proc/sys/kernel/hostname", false, Ok(Some(PathState::Kind(FILE)))),
            ("/proc/uptime", true, Err(())),
            ("/proc/1/status", true, Err(())),
            ("/sys/class/net/eth0/address", true, Err(())),
        ] {
            let lookup = Lookup { opened, ..lookup(path, traced(&file)) };
            let now = Stat { inode: 9, ..file };
            assert_eq!(judge(lookup, Ok(now)).map_err(|_| ()), expected, "{path}");
        }
        let jvm =
            Lookup { listed: true, written: true, ..lookup("/tmp/hsperfdata_me", traced(&stat(FOLDER, 50))) };
        assert_eq!(judge(jvm, Ok(stat(FOLDER, 101))), Ok(None));
        let device = stat(DEVICE, 150);
        for (path, is_remembered) in [("/dev/null", true), ("/dev/dri/card0", false)] {
            let lookup = Lookup { opened: true, ..lookup(path, traced(&device)) };
            assert_eq!(judge(lookup, Ok(device)).is_ok(), is_remembered, "{path}");
        }
        let pipe = Lookup { opened: true, ..lookup("/a", traced(&stat(PIPE, 50))) };
        assert!(judge(pipe, Ok(stat(PIPE, 50))).is_err());
        let all = Lookup { opened: true, listed: true, ..lookup("/proc", traced(&stat(FOLDER, 50))) };
        assert!(judge(all, Ok(stat(FOLDER, 50))).is_err());
        for (path, is_remembered) in [
            ("/proc/self/maps", true),
            ("/proc/self/exe", true),
            ("/proc/self/fd/3", true),
            ("/proc/self/task/7/comm", true),
            ("/proc/self/cwd/version", false),
            ("/proc/self/root/etc/version", false),
            ("/proc/self/task/7/root/etc/version", false),
            ("/proc/self/fd/3/version", false),
        ] {
            let lookup = Lookup { opened: true, ..lookup(path, Traced::OwnProcess) };
            assert_eq!(judge(lookup, Err(2)).is_ok(), is_remembered, "{path}");
        }
    }

    #[test]
    fn incomplete_trace_is_not_remembered() {
        let doubts = vec![Doubt { kind: DoubtKind::Socket, program: None }];
        let file = stat(FILE, 50);
        let trace = Trace { doubts, lookups: vec![lookup("/a", traced(&file))], ..Trace::default() };
        assert_eq!(evidence(&trace, &[Ok(file)], &STARTED), Err(NotRemembered::Doubt(DoubtKind::Socket)));
        assert!(evidence(&Trace::default(), &[], &STARTED).is_err());
    }
}
