//! Resolves the paths that reports contain to paths of the tree. A report may name a file relative to
//! the top of the work tree, relative to the folder that its tool ran in, or by an absolute path, which
//! may even be that of a work tree on another machine.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::base::path::RepoPath;
use crate::git::snapshot::Snapshot;

/// Resolves the paths in the reports of one task.
#[derive(Clone, Copy, Debug)]
pub struct TreePaths<'a> {
    /// The top of the work tree.
    pub root: &'a Path,
    /// The folder that the task ran in.
    pub cwd: &'a RepoPath,
    /// The files of the tree; `None` outside a repository.
    pub snapshot: Option<&'a Snapshot>,
}

impl TreePaths<'_> {
    /// Returns the path relative to the top of the tree if it names a file of the tree; otherwise the
    /// path as it is written.
    pub fn resolve(&self, written: &str) -> String {
        self.find(Path::new(written))
            .unwrap_or_else(|| written.strip_prefix("./").unwrap_or(written).to_owned())
    }

    fn find(&self, written: &Path) -> Option<String> {
        if written.is_relative() {
            return self.known(&self.cwd.as_path().join(written)).or_else(|| self.known(written));
        }
        if let Ok(inside) = written.strip_prefix(self.root)
            && let Some(found) = self.known(inside)
        {
            return Some(found);
        }
        // The report was written in another folder: a sandbox, a private worktree, or a clone on another
        // machine. If the end of the path, with at least one folder, is a file of the tree, it is that file.
        let parts: Vec<Component<'_>> =
            written.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        (1..parts.len().saturating_sub(1))
            .find_map(|from| self.known(&parts[from..].iter().collect::<PathBuf>()))
    }

    /// Returns the path without `.` and `..`, if the tree has such a file.
    fn known(&self, path: &Path) -> Option<String> {
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::Normal(name) => plain.push(name),
                Component::CurDir => {}
                Component::ParentDir if plain.pop() => {}
                _ => return None,
            }
        }
        let found = RepoPath::from_git(plain.as_os_str().as_bytes());
        let is_known = match self.snapshot {
            Some(snapshot) => snapshot.get(&found).is_some(),
            None => found.under(self.root).is_file(),
        };
        is_known.then(|| found.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::snapshot::{ContentId, Mode, SnapshotEntry};

    #[test]
    fn path_is_found_in_any_notation() {
        let files = ["web/src/a.ts", "src/a.ts", "worker/tax.py", "main.py"];
        let entry = |path: &&str| SnapshotEntry {
            path: RepoPath::from_git(path.as_bytes()),
            mode: Mode::File,
            id: ContentId([1; 20]),
            stat: None,
            tracked: true,
            not_checked_out: false,
        };
        let snapshot = Snapshot::new(files.iter().map(entry).collect());
        let cwd = RepoPath::from_git(&b"web"[..]);
        let paths = TreePaths { root: Path::new("/work/shop"), cwd: &cwd, snapshot: Some(&snapshot) };
        let cases = [
            ("web/src/a.ts", "web/src/a.ts"),
            ("src/a.ts", "web/src/a.ts"),
            ("./src/../src/a.ts", "web/src/a.ts"),
            ("../worker/tax.py", "worker/tax.py"),
            ("/work/shop/worker/tax.py", "worker/tax.py"),
            ("/home/ci/build/7/worker/tax.py", "worker/tax.py"),
            ("/work/shop/.git/xtask/worktrees/1/tree/web/src/a.ts", "web/src/a.ts"),
            // A file name without a folder is not enough: it may be the name of another file.
            ("/usr/lib/main.py", "/usr/lib/main.py"),
            ("../../main.py", "../../main.py"),
            ("./gone.py", "gone.py"),
            ("node:internal/fs", "node:internal/fs"),
            ("", ""),
        ];
        for (written, expected) in cases {
            assert_eq!(paths.resolve(written), expected, "{written}");
        }
    }
}
