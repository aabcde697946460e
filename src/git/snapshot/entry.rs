//! The entry of a snapshot: the kind and the content of a path. It does not know where entries come from.

use std::io;

use git2::{ObjectType, Oid};

use crate::base::path::RepoPath;
use crate::base::stat::ShortStat;

/// The kind of an entry, as git distinguishes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A regular file.
    File,
    /// An executable file.
    Executable,
    /// A symlink.
    Symlink,
    /// A submodule.
    Submodule,
}

impl Mode {
    /// Returns the mode as git writes it in a tree.
    pub fn octal(self) -> u32 {
        match self {
            Self::File => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Symlink => 0o120_000,
            Self::Submodule => 0o160_000,
        }
    }
}

/// The id of the bytes that a reader of the path gets: git's blob id of them, without any clean
/// filter. For a symlink it is the id of its target, for a clean submodule its commit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentId(pub [u8; 20]);

impl ContentId {
    /// Hashes bytes as git hashes the content of a blob.
    pub(crate) fn of_blob(bytes: &[u8]) -> io::Result<Self> {
        Oid::hash_object(ObjectType::Blob, bytes).map_err(io::Error::other).and_then(Self::from_oid)
    }

    pub(crate) fn from_oid(id: Oid) -> io::Result<Self> {
        id.as_bytes().try_into().map(Self).map_err(io::Error::other)
    }

    /// Returns the id as forty hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(40), |mut hex, byte| {
            hex.extend(
                [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
            );
            hex
        })
    }
}

impl std::fmt::Debug for ContentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hex()[..12])
    }
}

/// A path of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotEntry {
    /// The path.
    pub path: RepoPath,
    /// The kind of the entry.
    pub mode: Mode,
    /// The content of the entry.
    pub id: ContentId,
    /// The stat of the file when its content was read, in a snapshot of the work tree.
    pub stat: Option<ShortStat>,
    /// Whether git tracks the path. Otherwise it is untracked and not ignored.
    pub tracked: bool,
    /// Whether a sparse checkout leaves the path out of the work tree. Its content is then that of
    /// the index.
    pub not_checked_out: bool,
}
