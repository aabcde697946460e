//! What the system does not report of a watched tree, and why: as data, and in words. It must not know
//! how changes are found instead.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::base::units;

/// Changes that the system does not report, or did not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gap {
    /// Folders that the system does not watch. They are looked at instead.
    Unwatched {
        /// Why.
        cause: Cause,
        /// How many folders are watched.
        watched: usize,
        /// How many are not.
        unwatched: usize,
        /// How often these are looked at.
        every: Duration,
    },
    /// Folders on a file system that reports only what this machine changes. They are looked at, too.
    Remote {
        /// The first of them.
        folder: String,
        /// The kind of file system.
        kind: &'static str,
        /// How often they are looked at.
        every: Duration,
    },
    /// More happened at once than the system remembers. All is looked at once.
    Overflow {
        /// How much that is, if it is known.
        limit: Option<u64>,
    },
    /// The system watches all folders again that it did not watch.
    Closed,
}

/// Why the system does not watch a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    /// It has no room for more watched folders.
    Watches(Limit),
    /// It has no room for another program that watches.
    Instances(Limit),
    /// This process can open no more files.
    Files,
    /// Anything else that it said.
    System(String),
}

/// A setting of the kernel that limits all programs of a user together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Its name, as `sysctl` takes it.
    pub setting: &'static str,
    /// Its value, if it can be read.
    pub value: Option<u64>,
}

impl Limit {
    /// Of watched folders.
    pub fn of_watches() -> Self {
        Self::lower("fs.inotify.max_user_watches", "user.max_inotify_watches")
    }

    /// Of programs that watch.
    pub fn of_instances() -> Self {
        Self::lower("fs.inotify.max_user_instances", "user.max_inotify_instances")
    }

    /// The lower of two settings: a container has a limit of its own beside that of the machine.
    fn lower(of_machine: &'static str, of_container: &'static str) -> Self {
        let limit = |setting| Self { setting, value: setting_value(setting) };
        let (machine, container) = (limit(of_machine), limit(of_container));
        match (machine.value, container.value) {
            (Some(most), Some(own)) if own < most => container,
            _ => machine,
        }
    }

    /// A line for a shell that raises it.
    fn raise(&self) -> String {
        let least = if self.setting.ends_with("watches") { 524_288 } else { 1024 };
        let value = self.value.map_or(least, |value| value.saturating_mul(2)).max(least);
        format!("sudo sysctl {}={value}", self.setting)
    }
}

/// How many events the system remembers for a program that does not take them.
pub(super) fn queue_limit() -> Option<u64> {
    setting_value("fs.inotify.max_queued_events")
}

fn setting_value(setting: &str) -> Option<u64> {
    let path = Path::new("/proc/sys").join(setting.replace('.', "/"));
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

impl Gap {
    /// Whether changes may be seen later than they should, which a setting could fix.
    pub fn is_defect(&self) -> bool {
        matches!(self, Self::Unwatched { .. })
    }
}

impl fmt::Display for Limit {
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
                    Cause::Watches(limit) => write!(f, ", since the limit {limit} is reached")?,
                    Cause::Instances(limit) => {
                        write!(f, ", since too many programs watch files ({limit})")?;
                    }
                    Cause::Files => f.write_str(", since this process can open no more files (ulimit -n)")?,
                    Cause::System(said) => write!(f, " ({said})")?,
                }
                let rest = if *watched == 0 { "changes" } else { "changes in the others" };
                write!(f, ": {rest} are found by looking every {every}")?;
                match cause {
                    Cause::Watches(limit) | Cause::Instances(limit) => {
                        write!(f, "\n  hint: {}", limit.raise())
                    }
                    Cause::Files => f.write_str("\n  hint: ulimit -n 4096"),
                    Cause::System(_) => Ok(()),
                }
            }
            Self::Remote { folder, kind, every } => write!(
                f,
                "{folder} is on {kind}, which does not report what other machines or the host change: such \
                 changes are found by looking every {}",
                units::duration(*every)
            ),
            Self::Overflow { limit } => {
                f.write_str("more files changed at once than the system remembers")?;
                if let Some(limit) = limit {
                    write!(f, " (fs.inotify.max_queued_events = {limit})")?;
                }
                f.write_str(": all are looked at")
            }
            Self::Closed => f.write_str("the system watches all folders again"),
        }
    }
}

/// The kind of file system of a folder, if it is one on which changes may come from elsewhere.
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

/// Of the number by which Linux knows a kind of file system.
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
    fn a_gap_names_the_setting_and_what_is_done() {
        let every = Duration::from_secs(2);
        let limit = |setting, value| Limit { setting, value };
        let unwatched = |cause, watched| Gap::Unwatched { cause, watched, unwatched: 5, every }.to_string();
        assert_eq!(
            unwatched(Cause::Watches(limit("fs.inotify.max_user_watches", Some(8192))), 3),
            "the system watches only 3 of 8 folders, since the limit fs.inotify.max_user_watches = 8192 is \
             reached: changes in the others are found by looking every 2.0 s\n  hint: sudo sysctl \
             fs.inotify.max_user_watches=524288"
        );
        assert_eq!(
            unwatched(Cause::Instances(limit("user.max_inotify_instances", None)), 0),
            "the system can't watch this work tree, since too many programs watch files \
             (user.max_inotify_instances): changes are found by looking every 2.0 s\n  hint: sudo sysctl \
             user.max_inotify_instances=1024"
        );
        assert_eq!(
            unwatched(Cause::System("broken".to_owned()), 0),
            "the system can't watch this work tree (broken): changes are found by looking every 2.0 s"
        );
        let raise = limit("fs.inotify.max_user_watches", Some(1_000_000)).raise();
        assert_eq!(raise, "sudo sysctl fs.inotify.max_user_watches=2000000");
    }

    #[test]
    fn file_systems_that_others_change_are_known() {
        assert_eq!(kind(0x6969), Some("NFS"));
        assert_eq!(kind(0xff53_4d42), Some("SMB"));
        // ext4, btrfs, tmpfs, overlay, xfs, zfs.
        for local in [0xef53, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x5846_5342, 0x2fc1_2fc1] {
            assert_eq!(kind(local), None, "{local:x}");
        }
        assert_eq!(remote_kind(Path::new("/no/such/folder")), None);
    }
}
