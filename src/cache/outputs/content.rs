//! Hashes the contents of outputs: each file is read as one unchanging whole, or not read if the stat
//! table knows it. It does not know which outputs are expected.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::base::digest::Digest;
use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::stat::{Moment, Stat};
use crate::cache::error::CacheError;
use crate::cache::outputs::table::StatTable;
use crate::cache::outputs::walk::FoundFile;

/// Opens a regular file and returns its stat; fails if it no longer exists.
pub(crate) fn open(root: &Path, path: &RepoPath) -> Result<(File, Stat), CacheError> {
    let full = path.under(root);
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let file = match File::options().read(true).custom_flags(flags).open(&full) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(changed_error(path)),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(changed_error(path));
        }
        Err(error) => return Err(FileError::context("read", &full)(error).into()),
    };
    let stat = stat(&file, root, path)?;
    if stat.is_file() { Ok((file, stat)) } else { Err(changed_error(path)) }
}

fn stat(file: &File, root: &Path, path: &RepoPath) -> Result<Stat, CacheError> {
    let meta = file.metadata().map_err(FileError::context("look at", &path.under(root)))?;
    Ok(Stat::new(&meta))
}

pub(crate) fn changed_error(path: &RepoPath) -> CacheError {
    CacheError::Changed { path: path.clone() }
}

/// Returns the digest of a file whose stat is the same before and after reading.
fn hash_file(root: &Path, found: &FoundFile) -> Result<Digest, CacheError> {
    let (mut file, before) = open(root, &found.path)?;
    if before != found.stat {
        return Err(changed_error(&found.path));
    }
    let mut hasher = blake3::Hasher::new();
    let size = usize::try_from(found.stat.size).unwrap_or(usize::MAX);
    let mut chunk = vec![0; size.clamp(1, 256 << 10)];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => hasher.update(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(FileError::context("read", &found.path.under(root))(error).into()),
        };
    }
    if stat(&file, root, &found.path)? != found.stat {
        return Err(changed_error(&found.path));
    }
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}

/// Returns the digests of regular files, in order. Files that the table knows are not opened.
pub(crate) fn hash_files(
    root: &Path,
    files: &[&FoundFile],
    table: &StatTable,
    temp: &Path,
) -> Vec<Result<Digest, CacheError>> {
    let known: Vec<Option<Digest>> =
        files.iter().map(|found| table.get(found.path.bytes(), &found.stat)).collect();
    let unknown: Vec<&FoundFile> =
        files.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(found, _)| *found).collect();
    if unknown.is_empty() {
        return known.into_iter().flatten().map(Ok).collect();
    }
    // The time must be read before the contents. Without it nothing can be remembered, which only
    // costs time.
    let before = Moment::now(temp);
    let read: Vec<_> = match unknown.as_slice() {
        [one] => vec![hash_file(root, one)],
        many => many.par_iter().map(|found| hash_file(root, found)).collect(),
    };
    if let Ok(before) = before {
        let rows = unknown.iter().zip(&read).filter_map(|(found, digest)| {
            digest.as_ref().ok().map(|digest| (found.path.bytes(), &found.stat, *digest))
        });
        table.insert(rows, &before);
    }
    let mut read = read.into_iter();
    known.into_iter().filter_map(|known| known.map(Ok).or_else(|| read.next())).collect()
}
