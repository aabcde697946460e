//! Contents of outputs: read as one unchanging whole, or known by the stat table and not read at all.
//! It must not know which outputs are wanted.

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
use crate::cache::outputs::table::Table;
use crate::cache::outputs::walk::Found;

/// Opens a regular file and gives its stat; an error says that there is none any more.
pub(crate) fn open(root: &Path, path: &RepoPath) -> Result<(File, Stat), CacheError> {
    let full = path.under(root);
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let file = match File::options().read(true).custom_flags(flags).open(&full) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(changed(path)),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(changed(path));
        }
        Err(error) => return Err(FileError::of("read", &full)(error).into()),
    };
    let stat = stat(&file, root, path)?;
    if stat.is_file() { Ok((file, stat)) } else { Err(changed(path)) }
}

fn stat(file: &File, root: &Path, path: &RepoPath) -> Result<Stat, CacheError> {
    let meta = file.metadata().map_err(FileError::of("look at", &path.under(root)))?;
    Ok(Stat::of(&meta))
}

pub(crate) fn changed(path: &RepoPath) -> CacheError {
    CacheError::Changed { path: path.clone() }
}

/// The digest of a file that had this stat before, and still has it afterwards.
fn hash(root: &Path, found: &Found) -> Result<Digest, CacheError> {
    let (mut file, before) = open(root, &found.path)?;
    if before != found.stat {
        return Err(changed(&found.path));
    }
    let mut hasher = blake3::Hasher::new();
    let size = usize::try_from(found.stat.size).unwrap_or(usize::MAX);
    let mut chunk = vec![0; size.clamp(1, 256 << 10)];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => hasher.update(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(FileError::of("read", &found.path.under(root))(error).into()),
        };
    }
    if stat(&file, root, &found.path)? != found.stat {
        return Err(changed(&found.path));
    }
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}

/// The digests of regular files, in their order. Those that the table knows are not opened.
pub(crate) fn digests(
    root: &Path,
    files: &[&Found],
    table: &Table,
    temp: &Path,
) -> Vec<Result<Digest, CacheError>> {
    let known: Vec<Option<Digest>> =
        files.iter().map(|found| table.get(found.path.bytes(), &found.stat)).collect();
    let unknown: Vec<&Found> =
        files.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(found, _)| *found).collect();
    if unknown.is_empty() {
        return known.into_iter().flatten().map(Ok).collect();
    }
    // Read before the contents are; without it nothing can be remembered, which costs time only.
    let before = Moment::now(temp);
    let read: Vec<_> = match unknown.as_slice() {
        [one] => vec![hash(root, one)],
        many => many.par_iter().map(|found| hash(root, found)).collect(),
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
