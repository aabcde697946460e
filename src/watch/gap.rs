//! The changes of a watched tree that the system does not report, and why, as data and as messages. This
//! module does not know how these changes are found instead.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::base::units;

/// A kind of changes that the system does not report, or the end of such a state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gap {
    /// The system does not watch some folders. They are polled instead.
    Unwatched {
        /// Why the system does not watch them.
        cause: UnwatchedCause,
        /// The number of folders that the system watches.
        watched: usize,
        /// The number of folders that it does not watch.
        unwatched: usize,
        /// The time between two polls.
        every: Duration,
    },
    /// Some folders are on a file system that reports only the changes that this machine makes. They are
    /// also polled.
    Remote {
        /// The first of these folders.
        folder: String,
        /// The name of the file system.
        kind: &'static str,
        /// The time between two polls.
        every: Duration,
    },
    /// The system's queue of events was full, so events were lost. All files count as changed.
    Overflow {
        /// The size of the queue, if it is known.
        limit: Option<u64>,
    },
    /// The system now watches all folders that it did not watch before.
    Closed,
}

/// The reason why the system does not watch a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UnwatchedCause {
    /// The limit of watched folders is reached.
    Watches(KernelLimit),
    /// The limit of programs that watch files is reached.
    Instances(KernelLimit),
    /// This process can't open more files.
    Files,
    /// Another error, with the text of the system.
    System(String),
}

/// A kernel setting that is a limit for all programs of a user together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KernelLimit {
    /// The name of the setting for `sysctl`.
    pub setting: &'static str,
    /// The value of the setting, if it can be read.
    pub value: Option<u64>,
}

impl KernelLimit {
    /// Returns the limit of watched folders.
    pub fn of_watches() -> Self {
        Self::lower("fs.inotify.max_user_watches", "user.max_inotify_watches")
    }

    /// Returns the limit of programs that watch files.
    pub fn of_instances() -> Self {
        Self::lower("fs.inotify.max_user_instances", "user.max_inotify_instances")
    }

    /// Returns the lower of two limits: a container has its own limit in addition to the machine's.
    fn lower(of_machine: &'static str, of_container: &'static str) -> Self {
        let limit = |setting| Self { setting, value: setting_value(setting) };
        let (machine, container) = (limit(of_machine), limit(of_container));
        match (machine.value, container.value) {
            (Some(most), Some(own)) if own < most => container,
            _ => machine,
        }
    }

    /// Returns a shell command that raises the limit.
    fn raise(&self) -> String {
        let least = if self.setting.ends_with("watches") { 524_288 } else { 1024 };
        let value = self.value.map_or(least, |value| value.saturating_mul(2)).max(least);
        format!("sudo sysctl {}={value}", self.setting)
    }
}

/// Returns the number of events that the system keeps for a program that does not read them.
pub(super) fn queue_limit() -> Option<u64> {
    setting_value("fs.inotify.max_queued_events")
}

fn setting_value(setting: &str) -> Option<u64> {
    let path = Path::new("/proc/sys").join(setting.replace('.', "/"));
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

impl Gap {
    /// Returns whether changes are seen late because of something that a setting could fix.
    pub fn is_defect(&self) -> bool {
        matches!(self, Self::Unwatched { .. })
    }
}

impl fmt::Display for KernelLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.setting)?;
        self.value.map_or(Ok(()), |value| write!(f, " = {value}"))
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwatched { cause, watched, unwatched, every } => {
                let every = units::duration(*every);
                if *watched == 0 {
                    f.write_str("the system can't watch this work tree")?;
                } else {
                    write!(f, "the system watches only {watched} of {} folders", watched + unwatched)?;
                }
                match cause {
                    UnwatchedCause::Watches(limit) => write!(f, ", since the limit {limit} is reached")?,
                    UnwatchedCause::Instances(limit) => {
                        write!(f, ", since too many programs watch files ({limit})")?;
                    }
                    UnwatchedCause::Files => {
                        f.write_str(", since this process can open no more files (ulimit -n)")?;
                    }
                    UnwatchedCause::System(said) => write!(f, " ({said})")?,
                }
                let rest = if *watched == 0 { "changes" } else { "changes in the others" };
                write!(f, ": {rest} are found by polling every {every}")?;
                match cause {
                    UnwatchedCause::Watches(limit) | UnwatchedCause::Instances(limit) => {
                        write!(f, "\n  hint: {}", limit.raise())
                    }
                    UnwatchedCause::Files => f.write_str("\n  hint: ulimit -n 4096"),
                    UnwatchedCause::System(_) => Ok(()),
                }
            }
            Self::Remote { folder, kind, every } => write!(
                f,
                "{folder} is on {kind}, which does not report what other machines or the host change: such \
                 changes are found by polling every {}",
                units::duration(*every)
            ),
            Self::Overflow { limit } => {
                f.write_str("too many files changed at once, so the system lost some changes")?;
                if let Some(limit) = limit {
                    write!(f, " (fs.inotify.max_queued_events = {limit})")?;
                }
                f.write_str(": all files count as changed")
            }
            Self::Closed => f.write_str("the system watches all folders again"),
        }
    }
}

/// Returns the name of a folder's file system, if other machines or the host can change files on it.
pub(super) fn remote_kind(path: &Path) -> Option<&'static str> {
    #[cfg(target_os = "linux")]
    {
        let stat = rustix::fs::statfs(path).ok()?;
        kind(u32::try_from(i128::from(stat.f_type) & 0xffff_ffff).ok()?)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        None
    }
}

/// Returns the name of such a file system for the magic number that Linux uses.
#[cfg(any(target_os = "linux", test))]
fn kind(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => "SMB",
        0x0102_1997 => "9p",
        0x6573_5546 => "FUSE",
        0x786f_4256 => "vboxsf",
        0xbacb_acbc => "vmhgfs",
        0x7c7c_6673 => "prl_fs",
        0x00c3_6400 => "Ceph",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x0bd0_0bd0 => "Lustre",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        0x4750_4653 => "GPFS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warning_names_the_setting_and_the_fallback() {
        let every = Duration::from_secs(2);
        let limit = |setting, value| KernelLimit { setting, value };
        let unwatched = |cause, watched| Gap::Unwatched { cause, watched, unwatched: 5, every }.to_string();
        assert_eq!(
            unwatched(UnwatchedCause::Watches(limit("fs.inotify.max_user_watches", Some(8192))), 3),
            "the system watches only 3 of 8 folders, since the limit fs.inotify.max_user_watches = 8192 is \
             reached: changes in the others are found by polling every 2.0 s\n  hint: sudo sysctl \
             fs.inotify.max_user_watches=524288"
        );
        assert_eq!(
            unwatched(UnwatchedCause::Instances(limit("user.max_inotify_instances", None)), 0),
            "the system can't watch this work tree, since too many programs watch files \
             (user.max_inotify_instances): changes are found by polling every 2.0 s\n  hint: sudo sysctl \
             user.max_inotify_instances=1024"
        );
        assert_eq!(
            unwatched(UnwatchedCause::System("broken".to_owned()), 0),
            "the system can't watch this work tree (broken): changes are found by polling every 2.0 s"
        );
        let raise = limit("fs.inotify.max_user_watches", Some(1_000_000)).raise();
        assert_eq!(raise, "sudo sysctl fs.inotify.max_user_watches=2000000");
    }

    #[test]
    fn file_systems_that_other_machines_change_are_recognised() {
        assert_eq!(kind(0x6969), Some("NFS"));
        assert_eq!(kind(0xff53_4d42), Some("SMB"));
        // ext4, btrfs, tmpfs, overlay, xfs, zfs.
        for local in [0xef53, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x5846_5342, 0x2fc1_2fc1] {
            assert_eq!(kind(local), None, "{local:x}");
        }
        assert_eq!(remote_kind(Path::new("/no/such/folder")), None);
    }
}
