//! The metadata of a file, which can be read without opening it. This module must not know git.

use std::os::unix::fs::MetadataExt as _;

use crate::base::clock::Timestamp;

/// Seconds and nanoseconds since 1970, by the file system's clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct FileTime {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds of the second.
    pub nanos: u32,
}

impl From<FileTime> for Timestamp {
    fn from(time: FileTime) -> Self {
        let millis = time.seconds.saturating_mul(1000).saturating_add(i64::from(time.nanos / 1_000_000));
        Self(u64::try_from(millis).unwrap_or(0))
    }
}

/// The metadata that shows whether a file's content has changed. If none of it changes, the content
/// has not changed, provided that the last change was before the metadata was read (see
/// [`Stat::is_settled`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Stat {
    /// The device that contains the file.
    pub device: u64,
    /// The number of the file on the device.
    pub inode: u64,
    /// The size in bytes.
    pub size: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// The last change of the content.
    pub modified: FileTime,
    /// The last change of content or attributes. No program can set it.
    pub changed: FileTime,
}

impl Stat {
    /// Returns the stat of metadata that was read without following a symlink.
    pub fn new(meta: &std::fs::Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            mode: meta.mode(),
            modified: time(meta.mtime(), meta.mtime_nsec()),
            changed: time(meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Returns the stat that a system call has returned.
    pub fn of_system(stat: &rustix::fs::Stat) -> Self {
        Self {
            device: number(stat.st_dev),
            inode: number(stat.st_ino),
            size: number(stat.st_size),
            mode: number(stat.st_mode),
            modified: FileTime { seconds: number(stat.st_mtime), nanos: number(stat.st_mtime_nsec) },
            changed: FileTime { seconds: number(stat.st_ctime), nanos: number(stat.st_ctime_nsec) },
        }
    }

    /// Returns whether the last change is before `now` on the clock of the same file system, so
    /// that a later change will be detected. `now` must be read before the content.
    pub fn is_settled(&self, now: &Moment) -> bool {
        let last = self.modified.max(self.changed);
        if self.device == now.device { last < now.time } else { last.seconds + 2 < now.time.seconds }
    }

    /// Returns whether this is a regular file.
    pub fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    /// Returns whether this is a symlink.
    pub fn is_symlink(&self) -> bool {
        self.mode & 0o170_000 == 0o120_000
    }

    /// Returns whether this is a folder.
    pub fn is_dir(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    /// Returns whether its owner may execute it, which is the only permission that git records.
    pub fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }
}

/// Converts a part of a stat, whose type depends on the system.
fn number<A: TryInto<B>, B: Default>(value: A) -> B {
    value.try_into().unwrap_or_default()
}

/// The part of a stat that shows whether a file was written, each number cut to 32 bits, as git's index
/// stores it. A write changes it, because it changes the time of the last change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct ShortStat {
    /// The seconds and nanoseconds of the last change of content or attributes.
    pub changed: (u32, u32),
    /// The seconds and nanoseconds of the last change of the content.
    pub modified: (u32, u32),
    /// The number of the file on its device.
    pub inode: u32,
    /// The size in bytes.
    pub size: u32,
}

impl ShortStat {
    /// Cuts a stat as git does.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "git cuts it the same way")]
    pub fn new(stat: &Stat) -> Self {
        let time = |time: FileTime| (time.seconds as u32, time.nanos);
        Self {
            changed: time(stat.changed),
            modified: time(stat.modified),
            inode: stat.inode as u32,
            size: stat.size as u32,
        }
    }

    /// Returns the time of the last change of content or attributes.
    pub fn changed_at(&self) -> FileTime {
        FileTime { seconds: self.changed.0.into(), nanos: self.changed.1 }
    }
}

fn time(seconds: i64, nanos: i64) -> FileTime {
    FileTime { seconds, nanos: u32::try_from(nanos).unwrap_or(0) }
}

/// A time on a file system's own clock, which may have coarse steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// The device with this clock.
    pub device: u64,
    /// The time.
    pub time: FileTime,
}

impl Moment {
    /// Reads the clock of the file system that contains `dir` by writing a file there.
    ///
    /// # Errors
    /// The folder can't be written to.
    pub fn now(dir: &std::path::Path) -> std::io::Result<Self> {
        let file = tempfile::tempfile_in(dir)?;
        std::io::Write::write_all(&mut &file, b"x")?;
        let stat = Stat::new(&file.metadata()?);
        Ok(Self { device: stat.device, time: stat.modified })
    }
}
