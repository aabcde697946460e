//! Hashes blobs as a checkout would write them, with `git cat-file --filters`. It does not know which
//! blobs need that.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::path::Path;
use std::time::Duration;

use crate::base::file::{self, Durability, FileError};
use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::git_program::GitDirs;
use crate::git::repository::Repository;
use crate::git::rules::attributes::ATTRIBUTES;
use crate::git::rules::filters::check_filters_permitted;
use crate::git::snapshot::ContentId;

/// A blob and the path at which it would be checked out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckoutBlob<'w> {
    pub(crate) id: ContentId,
    pub(crate) path: &'w RepoPath,
    /// Whether a filter driver may convert it.
    pub(crate) has_filter: bool,
}

/// The folder in the state directory for temporary folders of attribute files.
const ATTRIBUTE_FOLDERS: &str = "attributes";

/// No plan takes longer.
const LONGEST_PLAN: Duration = Duration::from_secs(3600);

/// A request between two blobs, to which git answers that there is no such object. The length of a
/// converted blob is unknown, because git prints the length before conversion. Git looks for a ref of any
/// other name in several files; no ref can contain a `?`.
const BORDER: &[u8] = b"taskgate?border?6c0f2d5e8b714a93";

/// Returns the content ids that the blobs have after a checkout, in order. `attributes` are the
/// tree's attribute files by folder. Of filter drivers only `filters` may run.
pub(crate) fn hash_checked_out(
    repository: &Repository,
    attributes: &BTreeMap<RepoPath, Vec<u8>>,
    wanted: &[CheckoutBlob<'_>],
    filters: &[String],
) -> Result<Vec<ContentId>, GitError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    // Git reads attributes from a work tree. This one contains nothing else.
    let parent = repository.common_dir().join("xtask").join(ATTRIBUTE_FOLDERS);
    let builder = tempfile::Builder::new();
    let in_state = file::make_dir(&parent).ok().and_then(|()| builder.tempdir_in(&parent).ok());
    let dir = match in_state {
        Some(dir) => dir,
        // A plan must also work where state can't be written.
        None => builder
            .tempdir()
            .map_err(FileError::context("make a temporary folder instead of one in", &parent))?,
    };
    for (folder, text) in attributes {
        let folder = folder.under(dir.path());
        file::make_dir(&folder)?;
        let path = folder.join(std::str::from_utf8(ATTRIBUTES).unwrap_or_default());
        file::write(&path, text, &folder, Durability::Relaxed)?;
    }
    let dirs = GitDirs { git_dir: repository.git_dir(), work_dir: dir.path() };
    let filtered = wanted.iter().filter(|wanted| wanted.has_filter).map(|wanted| wanted.path);
    check_filters_permitted(repository, dirs, filtered, filters)?;
    let (odd, plain): (Vec<usize>, Vec<usize>) =
        (0..wanted.len()).partition(|at| wanted[*at].path.bytes().contains(&b'\n'));
    let mut ids = vec![ContentId([0; 20]); wanted.len()];
    let mut input = Vec::new();
    for at in &plain {
        input.extend_from_slice(wanted[*at].id.hex().as_bytes());
        input.push(b' ');
        input.extend_from_slice(wanted[*at].path.bytes());
        input.push(b'\n');
        input.extend_from_slice(BORDER);
        input.push(b'\n');
    }
    // The guard ends what a filter started if this process is killed.
    let _guard = repository.program().guard(None);
    let args = ["cat-file", "--batch", "--filters", "--buffer"];
    let read =
        |output: &mut dyn BufRead| plain.iter().map(|_| read_answer(output)).collect::<io::Result<Vec<_>>>();
    let found = repository.program().run_with_input(dirs, &args, &input, read)?;
    for (at, id) in plain.into_iter().zip(found) {
        ids[at] = id;
    }
    for at in odd {
        let CheckoutBlob { id, path, .. } = wanted[at];
        let path = [b"--path=", path.bytes()].concat();
        let path = std::os::unix::ffi::OsStringExt::from_vec(path);
        let args: [std::ffi::OsString; 4] = ["cat-file".into(), "--filters".into(), path, id.hex().into()];
        let bytes = repository.program().run_with_input(dirs, &args, b"", |output| {
            let mut bytes = Vec::new();
            output.read_to_end(&mut bytes).map(|_| bytes)
        })?;
        ids[at] = ContentId::of_blob(&bytes).map_err(FileError::context("hash", dir.path()))?;
    }
    Ok(ids)
}

/// Removes the folders of attribute files that killed plans left.
///
/// # Errors
/// A folder can't be removed.
pub fn remove_stale_attribute_folders(state: &Path) -> Result<(), FileError> {
    let age = |path: &Path| path.metadata().ok()?.modified().ok()?.elapsed().ok();
    for entry in std::fs::read_dir(state.join(ATTRIBUTE_FOLDERS)).into_iter().flatten().flatten() {
        if age(&entry.path()).is_some_and(|age| age > LONGEST_PLAN) {
            file::remove_all(&entry.path())?;
        }
    }
    Ok(())
}

/// Reads one answer: a line, the content, and the border.
fn read_answer(output: &mut dyn BufRead) -> io::Result<ContentId> {
    let mut head = Vec::new();
    output.read_until(b'\n', &mut head)?;
    if !head.windows(6).any(|word| word == b" blob ") {
        let head = String::from_utf8_lossy(&head).trim().to_owned();
        return Err(io::Error::new(io::ErrorKind::InvalidData, head));
    }
    let border = [b"\n", BORDER, b" missing\n"].concat();
    let mut content = Vec::new();
    while !content.ends_with(&border) {
        if output.read_until(b'\n', &mut content)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    ContentId::of_blob(&content[..content.len() - border.len()])
}
