//! The report files that each task wrote or restored in a work tree. They belong to the task, which
//! may delete them before it writes new ones. This file does not know what exists now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError};
use crate::base::path::RepoPath;

/// The number of files that are remembered for a task. A task that always gives its reports new names
/// writes more.
const MOST: usize = 10_000;

/// Report files, each with the digest of its content. A file with the same path and another content
/// is somebody else's.
pub type ReportDigests = BTreeMap<RepoPath, Digest>;

/// The report files of all tasks in one work tree.
#[derive(Clone, Debug)]
pub struct TaskReportFiles {
    folder: PathBuf,
}

impl TaskReportFiles {
    /// Returns those of the work tree at `root`, in a state directory that several work trees may
    /// share.
    pub fn new(state: &Path, root: &Path) -> Self {
        let root = Digest::hash(root.as_os_str().as_encoded_bytes());
        Self { folder: state.join("reports").join(root.short()) }
    }

    /// Returns the known report files of a task. From a damaged record, complete rows are returned.
    pub fn for_task(&self, task: &str) -> ReportDigests {
        let bytes = file::read(&self.path(task)).ok().flatten().unwrap_or_default();
        let whole = bytes.iter().rposition(|byte| *byte == 0).map_or(&[][..], |end| &bytes[..end]);
        let record = |record: &[u8]| {
            let (digest, path) = record.split_at_checked(2 * Digest::LEN)?;
            let digest = Digest::parse(std::str::from_utf8(digest).ok()?)?;
            (!path.is_empty()).then(|| (RepoPath::from_git(path), digest))
        };
        whole.split(|byte| *byte == 0).filter_map(record).collect()
    }

    /// Adds report files of a task.
    ///
    /// # Errors
    /// The record can't be written.
    pub fn add(&self, task: &str, left: &ReportDigests) -> Result<(), FileError> {
        let mut known = self.for_task(task);
        if left.iter().all(|(path, digest)| known.get(path) == Some(digest)) {
            return Ok(());
        }
        known.extend(left.iter().map(|(path, digest)| (path.clone(), *digest)));
        // If there are too many, those just written are most likely to be there the next time.
        let kept = if known.len() > MOST { left } else { &known };
        let record =
            |(path, digest): (&RepoPath, &Digest)| [digest.hex().as_bytes(), path.bytes(), &[0]].concat();
        let bytes: Vec<u8> = kept.iter().take(MOST).flat_map(record).collect();
        file::make_dir(&self.folder)?;
        file::write(&self.path(task), &bytes, &self.folder, Durability::Relaxed)
    }

    fn path(&self, task: &str) -> PathBuf {
        self.folder.join(Digest::hash(task.as_bytes()).short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(names: &[&str]) -> ReportDigests {
        let record = |name: &&str| (RepoPath::from_git(name.as_bytes()), Digest::hash(name.as_bytes()));
        names.iter().map(record).collect()
    }

    #[test]
    fn written_reports_are_remembered_up_to_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let written = TaskReportFiles::new(dir.path(), Path::new("/tree"));
        assert_eq!(written.for_task("a"), left(&[]));
        written.add("a", &left(&["out/a.xml", "out/line\nend.xml"])).unwrap();
        written.add("a", &left(&["out/b.xml"])).unwrap();
        written.add("b", &left(&["c"])).unwrap();
        assert_eq!(written.for_task("a"), left(&["out/a.xml", "out/line\nend.xml", "out/b.xml"]));
        assert_eq!(TaskReportFiles::new(dir.path(), Path::new("/other")).for_task("a"), left(&[]));
        // Only the last content counts.
        let again = ReportDigests::from([(RepoPath::from_git(&b"c"[..]), Digest::hash(b"again"))]);
        written.add("b", &again).unwrap();
        assert_eq!(written.for_task("b"), again);
        let many: Vec<String> = (0..MOST).map(|number| number.to_string()).collect();
        let many = left(&many.iter().map(String::as_str).collect::<Vec<_>>());
        written.add("a", &many).unwrap();
        assert_eq!(written.for_task("a"), many);
    }

    #[test]
    fn truncated_record_keeps_its_whole_rows() {
        let dir = tempfile::tempdir().unwrap();
        let written = TaskReportFiles::new(dir.path(), Path::new("/tree"));
        written.add("a", &left(&["a.xml", "b.xml"])).unwrap();
        let bytes = std::fs::read(written.path("a")).unwrap();
        for (kept, known) in [(bytes.len() - 1, &["a.xml"][..]), (70, &["a.xml"]), (69, &[]), (3, &[])] {
            std::fs::write(written.path("a"), &bytes[..kept]).unwrap();
            assert_eq!(written.for_task("a"), left(known), "{kept}");
        }
        std::fs::write(written.path("a"), b"a.xml\0\xff\0\0").unwrap();
        assert_eq!(written.for_task("a"), left(&[]));
    }
}
