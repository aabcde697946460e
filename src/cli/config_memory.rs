//! The parsed configs of earlier commands, in the folder `config` of the state directory: a file for each
//! config. Nothing here is reported, since a lost file only costs the time to parse tasks.toml. It must not
//! know what the files contain.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::base::digest::{Digest, FieldHasher};
use crate::base::env::Env;
use crate::base::file::{self, Durability};
use crate::config::load::ConfigMemory;

/// How many configs are kept. Work trees, branches and versions of the program share them.
const KEPT: usize = 32;

/// The configs of one repository.
pub struct StoredConfigs {
    folder: PathBuf,
    program: Digest,
}

impl StoredConfigs {
    /// Opens the configs in a state directory. Returns `None` if this program can't be told from others.
    pub fn open(env: &Env, state: &Path) -> Option<Self> {
        Some(Self { folder: state.join("config"), program: program_identity(env.program())? })
    }
}

impl ConfigMemory for StoredConfigs {
    fn program(&self) -> &Digest {
        &self.program
    }

    fn read(&self, name: &Digest) -> Option<Vec<u8>> {
        fs::read(self.folder.join(name.hex())).ok()
    }

    fn write(&self, name: &Digest, bytes: &[u8]) {
        // The state directory itself is made by the first run: to list or complete tasks leaves no trace.
        let _ = fs::create_dir(&self.folder);
        let path = self.folder.join(name.hex());
        if file::write(&path, bytes, &self.folder, Durability::Relaxed).is_ok() {
            remove_oldest(&self.folder);
        }
    }
}

/// Returns what tells a program from all others: two builds may have the same version, but not the same file.
fn program_identity(program: &Path) -> Option<Digest> {
    let meta = fs::metadata(program).ok()?;
    let mut fields = FieldHasher::new("program");
    fields.add(env!("CARGO_PKG_VERSION").as_bytes());
    fields.number(meta.dev()).number(meta.ino()).number(meta.size());
    for time in [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()] {
        fields.add(&time.to_le_bytes());
    }
    Some(fields.digest())
}

/// Removes all but the newest files, among them what a killed command left half-written.
fn remove_oldest(folder: &Path) {
    let modified = |entry: fs::DirEntry| {
        let time = entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        (time, entry.path())
    };
    let mut files: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(modified).collect();
    files.sort();
    let excess = files.len().saturating_sub(KEPT);
    for (_, path) in &files[..excess] {
        // Another command may have removed it already.
        let _ = fs::remove_file(path);
    }
}
