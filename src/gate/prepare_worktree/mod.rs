//! Prepares a private worktree: checks out the tree, links or copies untracked files from the user's
//! work tree, and runs the setup. This module does not know what runs there afterwards.

mod installed_packages;
pub mod link_and_copy;
mod ready;
mod remedy;
pub mod setup;
pub mod setup_paths;

use std::path::Path;

use self::link_and_copy::{Mirror, MirrorError, Mirrored, ProvideMode};
pub use self::ready::ReadyWorktree;

use crate::base::env::Env;
use crate::base::file::{self, Durability, FileError};
use crate::base::path::RepoPath;
use crate::base::path_mapping::PathMapping;
use crate::config::model::{Config, ProvidedPattern};
use crate::engine::task::passed_variables;
use crate::engine::work_tree_access::WorkTreeAccess;
use crate::event::Verdict;
use crate::gate::context::GateContext;
use crate::gate::error::GateError;
use crate::git::snapshot::{Mode, Snapshot};
use crate::git::{CheckoutTarget, PoolFinder, PrivateWorktree};

/// The file in the private worktree's git folder that lists the provided paths.
const PROVIDED: &str = "taskgate-provided";
/// The file in the same folder with the digest of what was provided. It is written once all is provided.
const MIRROR: &str = "taskgate-mirror";
/// The line in `info/exclude` after which all lines were written by the gate.
const BORDER: &str = "# provided by taskgate";

/// The result of preparing a private worktree.
pub enum Provision {
    /// The worktree is ready.
    Ready(Box<ReadyWorktree>),
    /// The setup did not pass.
    SetupFailed(Verdict),
}

/// The paths of the work tree that a private worktree gets.
struct ProvidedPaths {
    link: Vec<RepoPath>,
    copy: Vec<RepoPath>,
    /// Those of them that may be missing.
    may_miss: Vec<RepoPath>,
}

impl GateContext<'_> {
    /// Prepares a private worktree that contains the tree `tree`, with HEAD at `commit`, as described by
    /// `[worktree]` of `config`.
    ///
    /// # Errors
    /// Fails if the tree can't be checked out, or if a path of `[worktree]` can't be provided.
    pub fn provide(&self, config: &Config, tree: &str, commit: Option<&str>) -> Result<Provision, GateError> {
        let root = config.worktree.root.as_deref();
        let finder = PoolFinder { state: self.state, env: self.env, root };
        let pool = finder.open()?;
        let worktree = PrivateWorktree::acquire(pool.path(), self.warmth)?;
        if ready::may_be_tainted(&worktree.git_dir()) {
            worktree.clear()?;
        }
        let mapping = finder.mapping_to(worktree.path());
        let provided = self.provided_paths(config)?;
        let mirrored = self.scan_provided(&provided, tree, &mapping)?;
        let source = mirrored.digest().hex();
        let git_dir = worktree.git_dir();
        // If the same files were provided before, they stay, and so do the files that the setup and tasks
        // added to them.
        let is_same = || -> Result<bool, FileError> {
            Ok(file::read(&git_dir.join(MIRROR))?.is_some_and(|former| former == source.as_bytes()))
        };
        if !is_same()? {
            remove_provided(&git_dir, worktree.path())?;
        }
        let target = CheckoutTarget { tree, commit, filters: &config.worktree.filters };
        let snapshot = worktree.check_out(self.repository, &target)?;
        check_symlinks(&snapshot, worktree.path(), &mapping)?;
        let paths: Vec<&RepoPath> = provided.link.iter().chain(&provided.copy).collect();
        self.check_provided_paths(&paths, &worktree, tree)?;
        let is_made = is_same()? && mirrored.exists_below(worktree.path());
        if !is_made {
            remove_provided(&git_dir, worktree.path())?;
        }
        if !paths.is_empty() {
            record_provided(&git_dir, &paths)?;
        }
        if !is_made {
            for folder in paths.iter().filter_map(|path| path.parent()) {
                file::make_dir(&folder.under(worktree.path()))?;
            }
            mirrored.create(&self.real_root()?, worktree.path())?;
            file::write(&git_dir.join(MIRROR), source.as_bytes(), &git_dir, Durability::Relaxed)?;
            // The provided folders are new, so the files that the last setup wrote into them are missing.
            setup::forget(&git_dir)?;
        }
        self.report_missing_targets(&mirrored, worktree.path());
        let repository = worktree.open(self.repository, &config.worktree.filters)?;
        let ready = ReadyWorktree { worktree, repository, env: self.env.in_tree(&mapping) };
        ready.mark_as_tainted()?;
        self.report_mapped_variables(config, &ready.env);
        self.report_reachable_files(&mapping, &ready.env);
        match setup::run(self, config, &ready)? {
            Verdict::Passed => Ok(Provision::Ready(Box::new(ready))),
            verdict => {
                self.release(&ready)?;
                Ok(Provision::SetupFailed(verdict))
            }
        }
    }

    /// Allows the next gate to use the worktree in its current state, unless a task may have used files of
    /// the user's work tree.
    ///
    /// # Errors
    /// Fails if the mark on the worktree can't be removed.
    pub fn release(&self, ready: &ReadyWorktree) -> Result<(), GateError> {
        if !self.access.get().is_some_and(WorkTreeAccess::is_tainted) {
            ready.clear_mark()?;
        }
        Ok(())
    }

    fn real_root(&self) -> Result<std::path::PathBuf, FileError> {
        let root = self.repository.work_dir();
        root.canonicalize().map_err(FileError::context("find", root))
    }

    /// Returns the paths that `[worktree]` names, with what its patterns match.
    fn provided_paths(&self, config: &Config) -> Result<ProvidedPaths, GateError> {
        let wanted = &config.worktree;
        let has_patterns = !(wanted.link_patterns.is_empty() && wanted.copy_patterns.is_empty());
        let ignored = if has_patterns { self.repository.ignored_paths()? } else { Vec::new() };
        let with_matches = |paths: &[RepoPath], patterns: &[ProvidedPattern]| {
            let mut all = paths.to_vec();
            for wanted in patterns {
                let matches = ignored.iter().filter(|entry| wanted.pattern.matches(&entry.path));
                let matches: Vec<RepoPath> = matches.map(|entry| entry.path.clone()).collect();
                if matches.is_empty() && !wanted.may_miss {
                    let text = wanted.text();
                    self.observer.note(&format!("{text} of `[worktree]` matches nothing that git ignores"));
                }
                all.extend(matches.into_iter().filter(|path| !paths.contains(path)));
            }
            all
        };
        Ok(ProvidedPaths {
            link: with_matches(&wanted.link, &wanted.link_patterns),
            copy: with_matches(&wanted.copy, &wanted.copy_patterns),
            may_miss: wanted.may_miss.clone(),
        })
    }

    /// Scans the provided paths.
    fn scan_provided(
        &self,
        wanted: &ProvidedPaths,
        tree: &str,
        mapping: &PathMapping,
    ) -> Result<Mirrored, GateError> {
        let mut mirrored = Mirrored::default();
        if wanted.link.is_empty() && wanted.copy.is_empty() {
            return Ok(mirrored);
        }
        let root = self.real_root()?;
        let shared = self.repository.files_with_more_names()?;
        // A path in both lists is copied: the later entry wins in the map.
        let links = wanted.link.iter().map(|path| (path.clone(), ProvideMode::Link));
        let provided =
            links.chain(wanted.copy.iter().map(|path| (path.clone(), ProvideMode::Copy))).collect();
        let mirror = Mirror { root: &root, mapping, shared, provided };
        for (path, how) in mirror.provided.iter().map(|(path, how)| (path, *how)) {
            if let Some(file) = self.repository.first_tracked(path)? {
                return Err(GateError::ProvidedTracked { path: path.to_string(), file: file.to_string() });
            }
            if path.under(&root).symlink_metadata().is_err() {
                if !wanted.may_miss.contains(path) {
                    self.observer.note(&format!(
                        "{path} of `[worktree]` is not in the work tree, so it is not provided"
                    ));
                }
                continue;
            }
            mirror.scan(path, how, &mut mirrored).map_err(|error| match error {
                MirrorError::File(error) => GateError::File(error),
                MirrorError::BackReference(back) => {
                    let has = |path: &RepoPath| matches!(self.repository.read_file(tree, path), Ok(Some(_)));
                    let remedy = remedy::remedy(&back, &has);
                    GateError::BackReference { back, remedy }
                }
            })?;
        }
        Ok(mirrored)
    }

    /// Fails if a path of `[worktree]` is tracked, contains a tracked file, or has a symlink above it.
    fn check_provided_paths(
        &self,
        paths: &[&RepoPath],
        worktree: &PrivateWorktree,
        tree: &str,
    ) -> Result<(), GateError> {
        for path in paths {
            if let Some(file) = self.repository.first_file(tree, path, worktree.path())? {
                return Err(GateError::ProvidedTracked { path: path.to_string(), file: file.to_string() });
            }
            if is_below_symlink(worktree.path(), path) {
                return Err(GateError::BelowSymlink { path: path.to_string() });
            }
        }
        Ok(())
    }

    /// Reports provided symlinks whose targets are missing in the private worktree.
    fn report_missing_targets(&self, mirrored: &Mirrored, root: &Path) {
        let is_missing =
            |(_, target): &&(_, std::path::PathBuf)| root.join(target).symlink_metadata().is_err();
        let mut missing = mirrored.inward_links.iter().filter(is_missing);
        if let Some((link, target)) = missing.next() {
            let (link, target) = (link.display(), target.display());
            let more = match missing.count() {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            let text = format!("{link} points to {target}, which the tree under test does not have{more}");
            self.observer.note(&text);
        }
    }

    /// Reports files outside of the work tree that refer to it and that tasks can find through `PATH`. The
    /// gate can't change them. It continues, because the tasks may not use them.
    fn report_reachable_files(&self, mapping: &PathMapping, env: &Env) {
        let path = env.passed("PATH").unwrap_or_default();
        let reached = installed_packages::reached_by_path(mapping, &path, env.var("HOME"));
        if let Some((entry, place)) = reached.first() {
            let place = if place.as_os_str().is_empty() { Path::new("its top") } else { place };
            let more =
                if reached.len() > 1 { format!(" (and {} more)", reached.len() - 1) } else { String::new() };
            let text = format!(
                "{} refers to the work tree: {}{more}; a task that uses it does not test the tree under test",
                entry.display(),
                place.display(),
            );
            self.observer.note(&text);
        }
    }

    /// Reports the variables that name a path of the work tree. Tasks get the same path of the private
    /// worktree instead.
    fn report_mapped_variables(&self, config: &Config, env: &Env) {
        let passed = config
            .tasks
            .iter()
            .flat_map(|task| &task.env.variables.passed)
            .map(|passed| passed.name.as_str());
        let mut names = env.mapped_names(passed_variables::names(env).chain(passed));
        names.sort_unstable();
        names.dedup();
        if !names.is_empty() {
            let (names, verb) = (names.join(", "), if names.len() == 1 { "contains" } else { "contain" });
            self.observer.note(&format!(
                "{names} {verb} paths in the work tree; tasks get the same paths in the tree under test"
            ));
        }
    }
}

/// Fails if the tree has a symlink that points into the user's work tree.
fn check_symlinks(snapshot: &Snapshot, root: &Path, mapping: &PathMapping) -> Result<(), GateError> {
    for entry in snapshot.entries().iter().filter(|entry| entry.mode == Mode::Symlink) {
        let real = entry.path.under(root).canonicalize().ok();
        if let Some(target) = real.and_then(|real| mapping.relative_path(&real)) {
            return Err(GateError::TrackedLink { path: entry.path.to_string(), target });
        }
    }
    Ok(())
}

/// Records the paths that are about to be provided, and excludes them from git. This happens first, so
/// that after a kill the next gate still knows what to remove.
fn record_provided(git_dir: &Path, paths: &[&RepoPath]) -> Result<(), GateError> {
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

/// Removes what was provided the last time.
fn remove_provided(git_dir: &Path, root: &Path) -> Result<(), GateError> {
    let list = git_dir.join(PROVIDED);
    file::remove_all(&git_dir.join(MIRROR))?;
    let Some(bytes) = file::read(&list)? else { return Ok(()) };
    for path in bytes.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
        let path = RepoPath::from_git(path);
        if !is_below_symlink(root, &path) {
            file::remove_all(&path.under(root))?;
        }
    }
    Ok(file::remove_all(&list)?)
}

/// Returns whether a folder above `path` is a symlink. Files reached through one don't belong to the
/// worktree.
fn is_below_symlink(root: &Path, path: &RepoPath) -> bool {
    let folders = std::iter::successors(path.parent(), RepoPath::parent);
    folders.filter(|folder| !folder.is_top()).any(|folder| folder.under(root).is_symlink())
}

/// Escapes a path for `info/exclude`, so that the rule matches only this path.
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
    use std::fs;

    use super::*;

    #[test]
    fn rule_is_escaped_to_match_one_path() {
        for (path, rule) in [("node_modules", "node_modules"), ("a b/[x]*", "a\\ b/\\[x\\]\\*")] {
            assert_eq!(escaped(path), rule);
        }
    }

    #[test]
    fn provided_files_are_removed_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (root, git) = (dir.path().join("root"), dir.path().join("git"));
        fs::create_dir_all(root.join("given/deep")).unwrap();
        fs::create_dir_all(git.join("info")).unwrap();
        fs::write(root.join("kept"), "").unwrap();
        fs::write(git.join("info/exclude"), "*.log\n").unwrap();
        let given = RepoPath::from_git(&b"given"[..]);
        for _ in 0..2 {
            record_provided(&git, &[&given]).unwrap();
        }
        let exclude = fs::read_to_string(git.join("info/exclude")).unwrap();
        assert_eq!(exclude, format!("*.log\n{BORDER}\n/given\n"));
        remove_provided(&git, &root).unwrap();
        remove_provided(&git, &root).unwrap();
        // Files reached through a symlink don't belong to the worktree.
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
        record_provided(&git, &[&RepoPath::from_git(&b"link/file"[..])]).unwrap();
        remove_provided(&git, &root).unwrap();
        assert!(outside.join("file").exists());
        assert!(!root.join("given").exists() && root.join("kept").exists());
    }
}
