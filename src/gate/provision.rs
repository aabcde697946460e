//! A private worktree made ready: the tree checked out, what git does not hold linked and copied from
//! the user's work tree, and the setup run. It must not know what is run there afterwards.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::config::model::Config;
use crate::engine::work_tree_access::WorkTreeAccess;
use crate::event::Verdict;
use crate::gate::error::GateError;
use crate::gate::host::Host;
use crate::gate::setup;
use crate::gate::unchecked;
use crate::git::{PrivateWorktree, Repository, Target};
use crate::ground::file::{self, Durability, FileError};
use crate::ground::path::RepoPath;

/// The file in the private worktree's git folder that lists what was provided.
const PROVIDED: &str = "taskgate-provided";
/// What stands behind this line in `info/exclude` is ours.
const BORDER: &str = "# provided by taskgate";

/// A private worktree to run in; others can't use it until this is dropped.
pub struct Ready {
    /// The worktree.
    pub worktree: PrivateWorktree,
    /// Its repository, which is not the user's.
    pub repository: Repository,
}

/// What became of the wish for a worktree.
pub enum Provision {
    /// It is there.
    Ready(Box<Ready>),
    /// Its setup did not pass.
    SetupFailed(Verdict),
}

impl Ready {
    /// The open file whose lock keeps the worktree.
    ///
    /// # Errors
    /// There are too many open files.
    pub fn hold(&self) -> Result<File, GateError> {
        self.worktree.hold().map_err(FileError::of("keep", self.worktree.path())).map_err(GateError::from)
    }
}

impl Host<'_> {
    /// A private worktree that holds the tree `tree` with HEAD at `commit`, as `[worktree]` of
    /// `config` wants it.
    ///
    /// # Errors
    /// The tree can't be checked out, or something can't be provided.
    pub fn provide(
        &self,
        config: &Config,
        (tree, commit): (&str, Option<&str>),
    ) -> Result<Provision, GateError> {
        let worktree = PrivateWorktree::take(self.state, self.age)?;
        if unchecked::is_set(&worktree.git_dir()) {
            worktree.empty()?;
        }
        withdraw(&worktree.git_dir(), worktree.path())?;
        let target = Target { tree, commit, filters: &config.worktree.filters };
        worktree.check_out(self.repository, &target)?;
        self.furnish(config, (&worktree, tree))?;
        let repository = worktree.open(self.repository, &config.worktree.filters)?;
        let ready = Ready { worktree, repository };
        unchecked::set(&ready.worktree.git_dir())?;
        match setup::run(self, config, &ready)? {
            Verdict::Passed => Ok(Provision::Ready(Box::new(ready))),
            verdict => {
                self.release(&ready)?;
                Ok(Provision::SetupFailed(verdict))
            }
        }
    }

    /// Lets the next gate use a worktree as it is now, unless a task in it may have made something of
    /// files of the user's work tree.
    ///
    /// # Errors
    /// The mark on it can't be removed.
    pub fn release(&self, ready: &Ready) -> Result<(), GateError> {
        if !self.access.get().is_some_and(WorkTreeAccess::is_tainted) {
            unchecked::clear(&ready.worktree.git_dir())?;
        }
        Ok(())
    }

    /// Links and copies what `[worktree]` names, hidden from git as it is no part of the tree.
    fn furnish(&self, config: &Config, (worktree, tree): (&PrivateWorktree, &str)) -> Result<(), GateError> {
        let wanted = &config.worktree;
        if wanted.link.is_empty() && wanted.copy.is_empty() {
            return Ok(());
        }
        let root = self.repository.work_dir();
        let git_dir = worktree.git_dir();
        let all: Vec<&RepoPath> = wanted.link.iter().chain(&wanted.copy).collect();
        for path in &all {
            if self.repository.holds(tree, path)? {
                return Err(GateError::Provided { path: path.to_string() });
            }
            if is_behind_symlink(worktree.path(), path) {
                return Err(GateError::BehindSymlink { path: path.to_string() });
            }
        }
        note(&git_dir, &all)?;
        for path in &wanted.link {
            let (from, to) = (path.under(root), path.under(worktree.path()));
            if self.is_there(&from, path) {
                make_way(&to)?;
                std::os::unix::fs::symlink(&from, &to).map_err(FileError::of("link", &to))?;
            }
        }
        for path in &wanted.copy {
            let (from, to) = (path.under(root), path.under(worktree.path()));
            if self.is_there(&from, path) {
                make_way(&to)?;
                copy(&from, &to).map_err(FileError::of("copy", &from))?;
            }
        }
        Ok(())
    }

    fn is_there(&self, from: &Path, path: &RepoPath) -> bool {
        let there = from.symlink_metadata().is_ok();
        if !there {
            self.audience
                .note(&format!("{path} of `[worktree]` is not in the work tree, so it is not provided"));
        }
        there
    }
}

/// Writes down what is about to be provided, before it is: a kill in between leaves nothing unknown.
fn note(git_dir: &Path, paths: &[&RepoPath]) -> Result<(), GateError> {
    let mut list = Vec::new();
    let mut rules = String::new();
    for path in paths {
        list.extend_from_slice(path.bytes());
        list.push(0);
        rules.push_str(&format!("/{}\n", escaped(&path.to_string())));
    }
    file::write(&git_dir.join(PROVIDED), &list, git_dir, Durability::Relaxed)?;
    let info = git_dir.join("info");
    file::make_dir(&info)?;
    let exclude = info.join("exclude");
    let text = file::read(&exclude)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let own = text.split(BORDER).next().unwrap_or_default().trim_end();
    let text = format!("{own}\n{BORDER}\n{rules}");
    file::write(&exclude, text.as_bytes(), git_dir, Durability::Relaxed)?;
    Ok(())
}

/// Takes out what was provided the last time.
fn withdraw(git_dir: &Path, root: &Path) -> Result<(), GateError> {
    let list = git_dir.join(PROVIDED);
    let Some(bytes) = file::read(&list)? else { return Ok(()) };
    for path in bytes.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
        let path = RepoPath::from_git(path);
        if !is_behind_symlink(root, &path) {
            remove(&path.under(root))?;
        }
    }
    remove(&list)
}

/// Whether a folder on the way to `path` is a symlink: what lies behind one is not the worktree's.
fn is_behind_symlink(root: &Path, path: &RepoPath) -> bool {
    let folders = std::iter::successors(path.parent(), RepoPath::parent);
    folders.filter(|folder| !folder.is_top()).any(|folder| folder.under(root).is_symlink())
}

/// Makes sure that nothing is at `path`, and that its folder is there.
fn make_way(path: &Path) -> Result<(), GateError> {
    remove(path)?;
    if let Some(folder) = path.parent() {
        file::make_dir(folder)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), GateError> {
    let removed = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.map_err(FileError::of("remove", path)).map_err(GateError::from)
}

/// Copies a file, a symlink, or a folder with all in it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let kind = from.symlink_metadata()?.file_type();
    if kind.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    if kind.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if kind.is_file() {
        fs::copy(from, to)?;
    }
    Ok(())
}

/// A path as a rule of git's that means just that path.
fn escaped(path: &str) -> String {
    let mut rule = String::with_capacity(path.len());
    for c in path.chars() {
        if "\\*?[] ".contains(c) {
            rule.push('\\');
        }
        rule.push(c);
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_mean_one_path() {
        for (path, rule) in [("node_modules", "node_modules"), ("a b/[x]*", "a\\ b/\\[x\\]\\*")] {
            assert_eq!(escaped(path), rule);
        }
    }

    #[test]
    fn what_was_provided_is_withdrawn_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (root, git) = (dir.path().join("root"), dir.path().join("git"));
        fs::create_dir_all(root.join("given/deep")).unwrap();
        fs::create_dir_all(git.join("info")).unwrap();
        fs::write(root.join("kept"), "").unwrap();
        fs::write(git.join("info/exclude"), "*.log\n").unwrap();
        let given = RepoPath::from_git(&b"given"[..]);
        for _ in 0..2 {
            note(&git, &[&given]).unwrap();
        }
        let exclude = fs::read_to_string(git.join("info/exclude")).unwrap();
        assert_eq!(exclude, format!("*.log\n{BORDER}\n/given\n"));
        withdraw(&git, &root).unwrap();
        withdraw(&git, &root).unwrap();
        // What lies behind a symlink is somebody else's.
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
        note(&git, &[&RepoPath::from_git(&b"link/file"[..])]).unwrap();
        withdraw(&git, &root).unwrap();
        assert!(outside.join("file").exists());
        assert!(!root.join("given").exists() && root.join("kept").exists());
    }
}
