//! Packs the outputs of a task reproducibly: equal outputs make equal archives on any machine, so an artifact is
//! named by the digest of its archive. It must not know where the archive is kept.
//!
//! An archive has the paths of the repository, sorted by their bytes, with all parent folders. It contains no
//! owners, no times, and of the modes only whether a file is executable.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use tar::{Builder, EntryType, Header};

use crate::artifact::archive::{ArchiveWriter, PackedArtifact};
use crate::artifact::outputs::TaskOutputs;
use crate::base::digest::Digest;
use crate::base::file::FileError;
use crate::base::links::{LinkTarget, follow};
use crate::base::path::RepoPath;
use crate::cache::{Output, OutputContent};
use crate::git::snapshot::Mode;

/// Why outputs can't be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A symlink would lead elsewhere on the target.
    #[error("{link} can't be packed: it links to {target}, {why}")]
    Link {
        /// The symlink.
        link: RepoPath,
        /// Its target.
        target: String,
        /// What is wrong with the target.
        why: &'static str,
    },
    /// A file was written after its task had ended.
    #[error("{path} changed while it was packed")]
    Changed {
        /// The file.
        path: RepoPath,
    },
    /// A path can't be part of an archive.
    #[error("{path} can't be packed")]
    Path {
        /// The path.
        path: RepoPath,
        /// The reason.
        source: io::Error,
    },
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// An entry of an archive.
enum Packed<'a> {
    Folder,
    File(&'a Output),
    Symlink(&'a [u8]),
}

/// Packs outputs into a temporary file in the folder `temp`.
///
/// # Errors
/// A symlink leads out of the outputs, a file changes meanwhile, or the disk is full.
pub fn pack(outputs: &TaskOutputs, temp: &Path) -> Result<PackedArtifact, PackError> {
    let entries = entries(outputs.outputs());
    check_links(&entries)?;
    let file = tempfile::NamedTempFile::new_in(temp);
    let file = file.map_err(FileError::context("make a temporary file in", temp))?;
    let mut archive = Builder::new(ArchiveWriter::new(file));
    for (path, entry) in &entries {
        append(&mut archive, path, entry, outputs)?;
    }
    let packed = archive.into_inner().and_then(ArchiveWriter::finish);
    Ok(packed.map_err(FileError::context("write to", temp))?)
}

/// Packs files and symlinks of a commit into a temporary file in the folder `temp`. Their folders are not part of
/// the archive, but are made when it is unpacked.
///
/// # Errors
/// The disk is full.
pub fn pack_files(files: &[(RepoPath, Mode, Vec<u8>)], temp: &Path) -> Result<PackedArtifact, PackError> {
    let file = tempfile::NamedTempFile::new_in(temp);
    let file = file.map_err(FileError::context("make a temporary file in", temp))?;
    let mut archive = Builder::new(ArchiveWriter::new(file));
    for (path, mode, bytes) in files {
        let mut header = Header::new_gnu();
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let appended = if *mode == Mode::Symlink {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            header.set_size(0);
            archive.append_link(&mut header, path.as_path(), OsStr::from_bytes(bytes))
        } else {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(if *mode == Mode::Executable { 0o755 } else { 0o644 });
            header.set_size(bytes.len() as u64);
            archive.append_data(&mut header, path.as_path(), bytes.as_slice())
        };
        appended.map_err(|source| PackError::Path { path: path.clone(), source })?;
    }
    let packed = archive.into_inner().and_then(ArchiveWriter::finish);
    Ok(packed.map_err(FileError::context("write to", temp))?)
}

/// Returns the entries of an archive with these outputs, in its order.
fn entries(outputs: &[Output]) -> BTreeMap<RepoPath, Packed<'_>> {
    let mut entries = BTreeMap::new();
    for output in outputs {
        let entry = match &output.content {
            OutputContent::File { .. } => Packed::File(output),
            OutputContent::Symlink { target } => Packed::Symlink(target),
            OutputContent::Folder { .. } => Packed::Folder,
        };
        let parents = std::iter::successors(output.path.parent(), RepoPath::parent);
        for parent in parents.take_while(|parent| !parent.is_top()) {
            entries.entry(parent).or_insert(Packed::Folder);
        }
        entries.insert(output.path.clone(), entry);
    }
    entries
}

/// Fails if a symlink leads to something that is not in the archive.
fn check_links(entries: &BTreeMap<RepoPath, Packed<'_>>) -> Result<(), PackError> {
    for (link, entry) in entries {
        let Packed::Symlink(target) = entry else { continue };
        let link_target = |path: &RepoPath| match entries.get(path) {
            Some(Packed::Symlink(target)) => Ok(Some(target.to_vec())),
            _ => Ok::<_, std::convert::Infallible>(None),
        };
        let Ok(leads) = follow(link, link_target);
        let why = match leads {
            LinkTarget::To(path) if path.is_top() || entries.contains_key(&path) => continue,
            LinkTarget::To(_) => "which is not an output of the task",
            LinkTarget::Outside { .. } => "which is outside of the outputs",
            LinkTarget::Cycle => "which leads back to it",
        };
        let target = String::from_utf8_lossy(target).into_owned();
        return Err(PackError::Link { link: link.clone(), target, why });
    }
    Ok(())
}

fn append(
    archive: &mut Builder<ArchiveWriter>,
    path: &RepoPath,
    entry: &Packed<'_>,
    outputs: &TaskOutputs,
) -> Result<(), PackError> {
    let mut header = Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let invalid = |source| PackError::Path { path: path.clone(), source };
    match entry {
        Packed::Folder => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            let mut name = path.bytes().to_vec();
            name.push(b'/');
            archive.append_data(&mut header, OsStr::from_bytes(&name), io::empty()).map_err(invalid)
        }
        Packed::Symlink(target) => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            header.set_size(0);
            archive.append_link(&mut header, path.as_path(), OsStr::from_bytes(target)).map_err(invalid)
        }
        Packed::File(output) => {
            let OutputContent::File { mode, size, digest } = &output.content else { return Ok(()) };
            header.set_entry_type(EntryType::Regular);
            header.set_mode(if mode & 0o100 == 0 { 0o644 } else { 0o755 });
            header.set_size(*size);
            let file = outputs.open(output)?;
            let mut content = Content { inner: file.take(*size), hasher: blake3::Hasher::new() };
            let appended = archive.append_data(&mut header, path.as_path(), &mut content);
            appended.map_err(FileError::context("pack", path.as_path()))?;
            let is_longer = content.inner.into_inner().read(&mut [0]).is_ok_and(|length| length > 0);
            let read = Digest::from_bytes(*content.hasher.finalize().as_bytes());
            if is_longer || read != *digest {
                return Err(PackError::Changed { path: path.clone() });
            }
            Ok(())
        }
    }
}

/// The content of a file while it is packed.
struct Content<R> {
    inner: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}
