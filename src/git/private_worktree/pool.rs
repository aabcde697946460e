//! The pool: the folder with a repository's private worktrees and sandboxes, apart from all of its
//! work trees. It does not know what runs there.
//!
//! Tools look for their configuration in all parent folders, so a private worktree inside the user's
//! work tree would be tested with files of the work tree. A pool is in the user's cache folder, or in
//! `[worktree] root`. It shares only such parent folders with the work tree that cannot be avoided,
//! such as the home folder.
//!
//! A pool belongs to one repository: its name contains an id of the repository's folder, made of the
//! folder's path and its identity on the disk. A copy of a repository has another path, and a
//! repository that was moved or recreated has another identity, so they never share a pool.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::base::digest::FieldHasher;
use crate::base::env::Env;
use crate::base::file::{self, Durability, FileError};
use crate::base::lock::FileLock;
use crate::base::path_mapping::PathMapping;
use crate::git::error::GitError;
use crate::git::private_worktree;

/// The file in a pool with the path of its repository.
const OWNER: &str = "repository";
/// The folder in a pool with its sandboxes.
const SANDBOXES: &str = "sandboxes";
/// The file in the state directory with the folders of pools other than the default one.
const ROOTS: &str = "worktree-roots";
/// The folder of pools, in the user's cache folder or in the folder for temporary files.
const FOLDER: &str = "worktrees";
/// The number of digits of a repository's id.
const DIGITS: usize = 12;
/// The number of letters of a repository's name in the name of its pool.
const LONGEST: usize = 32;

/// What is needed to find the pool of a repository.
#[derive(Clone, Copy, Debug)]
pub struct PoolFinder<'a> {
    /// The state directory of the repository.
    pub state: &'a Path,
    /// The environment, which names the user's cache folder.
    pub env: &'a Env,
    /// `[worktree] root`.
    pub root: Option<&'a str>,
}

/// A repository's folder for private worktrees and sandboxes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pool {
    dir: PathBuf,
    /// Why the pool is not in its default folder.
    fallback_reason: Option<String>,
}

/// What a collection of garbage removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RemovedWorktrees {
    /// Unused private worktrees of this repository.
    pub worktrees: usize,
    /// Pools of repositories that no longer exist.
    pub pools: usize,
}

/// A folder that may contain pools.
struct PoolRoot {
    path: PathBuf,
    is_temporary: bool,
}

impl Pool {
    /// Returns the pool's folder, with symlinks resolved.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Returns why the pool is in the folder for temporary files and not in the user's cache folder,
    /// if it is.
    pub fn fallback_reason(&self) -> Option<&str> {
        self.fallback_reason.as_deref()
    }

    /// Returns the folder of the pool's sandboxes.
    pub fn sandboxes(&self) -> PathBuf {
        self.dir.join(SANDBOXES)
    }

    /// Returns the number of private worktrees, and the bytes of everything in the pool.
    pub fn size(&self) -> (usize, u64) {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let worktrees = entries.filter(|entry| private_worktree::is_private_worktree(&entry.path())).count();
        (worktrees, bytes_below(&self.dir))
    }
}

impl PoolFinder<'_> {
    /// Opens the pool, and creates it if it is missing: in `[worktree] root` if that is set, else in
    /// the user's cache folder, else, if that can't be written to, in the folder for temporary files.
    ///
    /// # Errors
    /// `[worktree] root` is in the work tree or contains it, or no folder can be written to.
    pub fn open(&self) -> Result<Pool, GitError> {
        let common = self.common_dir()?;
        let trees = self.work_trees();
        let name = pool_name(&common);
        let roots = self.roots()?;
        let mut refusals = Vec::new();
        if self.root.is_none() && self.cache_folder().is_none() {
            refusals.push("neither XDG_CACHE_HOME nor HOME names a cache folder".to_owned());
        }
        for root in &roots {
            match self.open_in(root, &name, &trees) {
                Ok(pool) => {
                    let owner = pool.dir.join(OWNER);
                    if file::read(&owner)?.is_none_or(|known| known != common.as_os_str().as_bytes()) {
                        file::write(&owner, common.as_os_str().as_bytes(), &pool.dir, Durability::Relaxed)?;
                    }
                    self.record(&root.path);
                    let why = if root.is_temporary { refusals } else { Vec::new() };
                    return Ok(Pool { fallback_reason: (!why.is_empty()).then(|| why.join("; ")), ..pool });
                }
                Err(why) => refusals.push(why),
            }
        }
        Err(GitError::NoPool { why: refusals.join("; ") })
    }

    /// Returns the existing pools of this repository.
    pub fn existing(&self) -> Vec<Pool> {
        let Ok(common) = self.common_dir() else { return Vec::new() };
        let name = pool_name(&common);
        let pools = self.known_roots().into_iter().filter_map(|root| root.join(&name).canonicalize().ok());
        let mut pools: Vec<Pool> = pools
            .filter(|dir| dir.join(OWNER).is_file())
            .map(|dir| Pool { dir, fallback_reason: None })
            .collect();
        pools.dedup();
        pools
    }

    /// Returns the pools of repositories that were moved, recreated or deleted.
    pub fn abandoned(&self) -> Vec<Pool> {
        let folders = self.known_roots().into_iter().filter_map(|root| fs::read_dir(root).ok());
        let mut pools: Vec<Pool> = folders
            .flatten()
            .flatten()
            .map(|entry| Pool { dir: entry.path(), fallback_reason: None })
            .filter(|pool| is_abandoned(&pool.dir))
            .collect();
        pools.sort_by(|a, b| a.dir.cmp(&b.dir));
        pools.dedup();
        pools
    }

    /// Removes unused private worktrees of this repository, also those that earlier versions left in
    /// the state directory, and the pools of repositories that no longer exist.
    ///
    /// # Errors
    /// Something can't be removed; everything else is.
    pub fn remove_unused(&self) -> Result<RemovedWorktrees, GitError> {
        let mut removed = RemovedWorktrees::default();
        let mut failure = None;
        let old_folder = self.state.join("worktrees");
        let own = self.existing().into_iter().map(|pool| pool.dir).chain([old_folder.clone()]);
        for dir in own {
            match private_worktree::remove_unused(&dir) {
                Ok(count) => removed.worktrees += count,
                Err(error) => failure = Some(error),
            }
        }
        // This succeeds if it is empty.
        let _ = fs::remove_dir(old_folder);
        for pool in self.abandoned() {
            match remove_abandoned(&pool.dir) {
                Ok(true) => removed.pools += 1,
                Ok(false) => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(removed), Err)
    }

    /// The work trees of the repository, by their real names: the main one and the linked ones.
    pub fn work_trees(&self) -> Vec<PathBuf> {
        let Ok(common) = self.common_dir() else { return Vec::new() };
        let mut trees = Vec::new();
        if let Ok(repository) = git2::Repository::open(&common) {
            trees.extend(repository.workdir().and_then(|dir| dir.canonicalize().ok()));
            let names = repository.worktrees();
            for name in names.iter().flat_map(|names| names.iter()).flatten().flatten() {
                let linked = repository.find_worktree(name).ok();
                trees.extend(linked.and_then(|linked| linked.path().canonicalize().ok()));
            }
        }
        trees
    }

    /// Returns the mapping from the work trees of the repository to the tree at `to`. A work tree
    /// that contains the home folder is left out: its files belong to the machine as much as to the
    /// tree.
    pub fn mapping_to(&self, to: &Path) -> PathMapping {
        let home = self.home().and_then(|home| home.canonicalize().ok());
        let has_home = |tree: &PathBuf| home.as_ref().is_some_and(|home| home.starts_with(tree));
        let mut from = self.work_trees();
        from.retain(|tree| !has_home(tree));
        // A linked worktree may be inside the main one.
        from.sort_by_key(|tree| std::cmp::Reverse(tree.components().count()));
        PathMapping { from, to: to.to_owned() }
    }

    fn common_dir(&self) -> Result<PathBuf, GitError> {
        let common = self.state.parent().unwrap_or(self.state);
        Ok(common.canonicalize().map_err(FileError::context("find", common))?)
    }

    /// Returns the folders that may contain the pool, the preferred one first.
    fn roots(&self) -> Result<Vec<PoolRoot>, GitError> {
        if let Some(root) = self.root {
            let path = self.expand(root).ok_or_else(|| GitError::NoPool {
                why: format!("`root` of `[worktree]` is {root}, and HOME is not set"),
            })?;
            return Ok(vec![PoolRoot { path, is_temporary: false }]);
        }
        let cache = self.cache_folder().map(|folder| PoolRoot { path: folder, is_temporary: false });
        Ok(cache.into_iter().chain([PoolRoot { path: self.temporary(), is_temporary: true }]).collect())
    }

    /// Returns `[worktree] root` as a path; `None` if it begins with `~` and there is no home folder.
    fn expand(&self, root: &str) -> Option<PathBuf> {
        match root.strip_prefix('~') {
            Some(rest) => Some(self.home()?.join(rest.trim_start_matches('/'))),
            None => Some(PathBuf::from(root)),
        }
    }

    fn home(&self) -> Option<PathBuf> {
        self.absolute("HOME")
    }

    /// Returns the value of a variable if it is an absolute path.
    fn absolute(&self, name: &str) -> Option<PathBuf> {
        self.env.var(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// Returns the folder of pools in the user's cache folder. A missing home folder, such as
    /// `/nonexistent` of system users, is not created.
    fn cache_folder(&self) -> Option<PathBuf> {
        let home = || self.home().filter(|home| home.is_dir());
        let usual = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
        let cache = self.absolute("XDG_CACHE_HOME").or_else(|| Some(home()?.join(usual)))?;
        Some(cache.join("xtask").join(FOLDER))
    }

    /// Returns the folder of pools in the folder for temporary files, which is private to the user.
    fn temporary(&self) -> PathBuf {
        let temp = self.absolute("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"));
        temp.join(format!("xtask-{}", rustix::process::getuid().as_raw())).join(FOLDER)
    }

    /// Returns all folders in which a pool of this repository may have been created.
    fn known_roots(&self) -> Vec<PathBuf> {
        let configured = self.root.and_then(|root| self.expand(root));
        let recorded = file::read(&self.state.join(ROOTS)).ok().flatten().unwrap_or_default();
        let recorded = recorded.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        let recorded = recorded.map(|path| PathBuf::from(OsString::from_vec(path.to_vec())));
        let all = configured.into_iter().chain(self.cache_folder()).chain([self.temporary()]).chain(recorded);
        let mut roots: Vec<PathBuf> = Vec::new();
        for root in all.filter_map(|root| root.canonicalize().ok()) {
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
        roots
    }

    /// Records a folder of pools that the environment alone does not determine, for later collections
    /// of garbage. If it can't be written, those miss the folder.
    fn record(&self, root: &Path) {
        if self.root.is_none() && self.cache_folder().as_deref() == Some(root) {
            return;
        }
        let path = self.state.join(ROOTS);
        let known = file::read(&path).ok().flatten().unwrap_or_default();
        if known.split(|byte| *byte == 0).any(|known| known == root.as_os_str().as_bytes()) {
            return;
        }
        let text = [&known, root.as_os_str().as_bytes(), b"\0"].concat();
        let _ = file::make_dir(self.state)
            .and_then(|()| file::write(&path, &text, self.state, Durability::Relaxed));
    }

    /// Creates the pool in a folder, or returns why it can't be there.
    fn open_in(&self, root: &PoolRoot, name: &OsString, trees: &[PathBuf]) -> Result<Pool, String> {
        let real = real_name(&root.path);
        let shown = root.path.display();
        if let Some(tree) = trees.iter().find(|tree| real.starts_with(tree)) {
            return Err(format!("{shown} is in the work tree {}", tree.display()));
        }
        let common = self.common_dir().map_err(|error| error.to_string())?;
        if real.starts_with(&common) {
            return Err(format!("{shown} is in the repository {}", common.display()));
        }
        let inside = |tree: &&PathBuf| tree.starts_with(&real);
        if self.root.is_some()
            && let Some(tree) = trees.iter().chain([&common]).find(inside)
        {
            return Err(format!("{shown} contains the work tree {}", tree.display()));
        }
        let made = if root.is_temporary { create_private_folder(&real) } else { fs::create_dir_all(&real) };
        let dir = real.join(name);
        // Other users must not read a checkout: the user's work tree may be in a private folder.
        let private = || match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
        made.and_then(|()| private())
            .and_then(|()| tempfile::tempfile_in(&dir))
            .map_err(|error| format!("{shown} can't be written to: {error}"))?;
        let dir = dir.canonicalize().map_err(|error| format!("{shown} can't be read: {error}"))?;
        Ok(Pool { dir, fallback_reason: None })
    }
}

/// Creates a folder inside one that all users can write to, and checks that no other user created it.
fn create_private_folder(folder: &Path) -> std::io::Result<()> {
    let own = folder.parent().unwrap_or(folder);
    match fs::DirBuilder::new().mode(0o700).create(own) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let meta = own.symlink_metadata()?;
    if !meta.is_dir() || meta.uid() != rustix::process::getuid().as_raw() || meta.mode() & 0o022 != 0 {
        return Err(std::io::Error::other(format!("{} belongs to another user", own.display())));
    }
    fs::create_dir_all(folder)
}

/// Returns the name of a repository's pool.
fn pool_name(common: &Path) -> OsString {
    let named = if common.file_name().is_some_and(|name| name == ".git") { common.parent() } else { None };
    let name = named.unwrap_or(common).file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.trim_end_matches(".git").chars().take(LONGEST).map(plain).collect();
    format!("{name}-{}", repository_id(common)).into()
}

/// Returns an id of a repository's folder, which changes if the folder is moved, copied or recreated.
fn repository_id(common: &Path) -> String {
    let mut fields = FieldHasher::new("taskgate repository 1");
    fields.add(common.as_os_str().as_bytes());
    if let Ok(meta) = common.metadata() {
        let born = meta.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        fields.number(meta.ino()).add(&born.unwrap_or_default().as_nanos().to_le_bytes());
    }
    fields.digest().hex().chars().take(DIGITS).collect()
}

/// Returns whether a folder is the pool of a repository that no longer exists.
fn is_abandoned(dir: &Path) -> bool {
    let Ok(Some(owner)) = file::read(&dir.join(OWNER)) else { return false };
    let owner = PathBuf::from(OsString::from_vec(owner));
    owner.is_absolute() && dir.file_name().is_some_and(|name| name != pool_name(&owner))
}

/// Removes the pool of a repository that no longer exists, unless something in it is in use. Returns
/// whether it was removed.
fn remove_abandoned(dir: &Path) -> Result<bool, GitError> {
    private_worktree::remove_unused(dir)?;
    let sandboxes = dir.join(SANDBOXES);
    for folder in [dir, &*sandboxes] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|ending| ending == "lock") && FileLock::named(&path)?.is_none() {
                return Ok(false);
            }
        }
    }
    file::remove_all(dir)?;
    Ok(true)
}

/// Returns the path, with symlinks resolved, that a path will have once it is created.
fn real_name(path: &Path) -> PathBuf {
    let mut missing = Vec::new();
    let mut above = path;
    loop {
        if let Ok(real) = above.canonicalize() {
            let rest = missing.iter().rev().filter(|part| **part != Component::CurDir);
            return rest.fold(real, |path, part: &Component<'_>| match part {
                Component::ParentDir => path.parent().map(Path::to_owned).unwrap_or(path),
                part => path.join(part),
            });
        }
        let (Some(last), Some(parent)) = (above.components().next_back(), above.parent()) else {
            return path.to_owned();
        };
        missing.push(last);
        above = parent;
    }
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
        // A hard link to the user's own file takes no space of its own.
        Ok(meta) => meta.len() / meta.nlink().max(1),
        Err(_) => 0,
    });
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::tests::test_repo::TestRepo;

    fn env(vars: &[(&str, &Path)]) -> Env {
        Env::new(vars.iter().map(|(name, value)| ((*name).into(), (*value).into())), "/".into())
    }

    #[test]
    fn pool_is_in_the_cache_folder_and_linked_worktrees_share_it() {
        let sandbox = TestRepo::with(&[("a", "1")]);
        let linked = sandbox.outside().join("linked");
        sandbox.git(&["worktree", "add", "--quiet", linked.to_str().unwrap()]);
        let (cache, home) = (sandbox.outside().join("cache"), sandbox.outside());
        let state = sandbox.state();
        let env = env(&[("XDG_CACHE_HOME", &cache), ("HOME", &home)]);
        let finder = PoolFinder { state: &state, env: &env, root: None };
        let pool = finder.open().unwrap();
        assert!(pool.path().starts_with(cache.join("xtask/worktrees")), "{}", pool.path().display());
        assert_eq!(finder.work_trees(), [sandbox.dir.clone(), linked.clone()]);
        sandbox.git(&["worktree", "add", "--quiet", "inside/deep"]);
        let (inside, gate) = (sandbox.dir.join("inside/deep"), Path::new("/gate"));
        assert_eq!(finder.mapping_to(gate).from, [inside.clone(), sandbox.dir.clone(), linked]);
        assert_eq!(finder.mapping_to(gate).relative_path(&inside.join("a")), Some("a".into()));
        assert_eq!(finder.existing(), [pool]);
        assert!(!state.join(ROOTS).exists());
    }

    #[test]
    fn copied_and_moved_repositories_have_pools_of_their_own() {
        let sandbox = TestRepo::with(&[("a", "1")]);
        let outside = sandbox.outside();
        let env = env(&[("HOME", &outside)]);
        let open = |dir: &str| {
            let state = outside.join(dir).join(".git/xtask");
            PoolFinder { state: &state, env: &env, root: None }.open().unwrap().dir
        };
        let first = open("repo");
        assert!(first.starts_with(outside.join(".cache/xtask/worktrees")) || cfg!(target_os = "macos"));
        let copy = outside.join("copy");
        TestRepo::git_in(&outside, &["clone", "--quiet", "repo", copy.to_str().unwrap()], &[]);
        let second = open("copy");
        assert_ne!(first, second);
        fs::rename(outside.join("repo"), outside.join("moved")).unwrap();
        fs::rename(&copy, outside.join("repo")).unwrap();
        // Another repository has the path of the first.
        let (moved, third) = (open("moved"), open("repo"));
        assert!(![&first, &second].contains(&&third) && ![&first, &second].contains(&&moved));
        let state = outside.join("repo/.git/xtask");
        let finder = PoolFinder { state: &state, env: &env, root: None };
        let abandoned: Vec<PathBuf> = finder.abandoned().into_iter().map(|pool| pool.dir).collect();
        assert!(abandoned.len() == 2 && abandoned.contains(&first) && abandoned.contains(&second));
        let lock = FileLock::named(&first.join("gate-1.lock")).unwrap();
        assert_eq!(finder.remove_unused().unwrap(), RemovedWorktrees { worktrees: 0, pools: 1 });
        assert!(first.exists() && !second.exists() && third.exists() && moved.exists());
        drop(lock);
        assert_eq!(finder.remove_unused().unwrap().pools, 1);
        fs::rename(outside.join("moved"), outside.join("repo-2")).unwrap();
    }

    #[test]
    fn pool_is_never_in_a_work_tree() {
        let sandbox = TestRepo::with(&[("a", "1")]);
        let (state, outside) = (sandbox.state(), sandbox.outside());
        let temp = outside.join("temp");
        fs::create_dir(&temp).unwrap();
        // The work tree is the home folder.
        let home = env(&[("HOME", &sandbox.dir), ("TMPDIR", &temp)]);
        let finder = PoolFinder { state: &state, env: &home, root: None };
        let pool = finder.open().unwrap();
        assert!(pool.path().starts_with(&temp));
        assert!(
            pool.fallback_reason().unwrap().contains("is in the work tree"),
            "{:?}",
            pool.fallback_reason()
        );
        assert!(state.join(ROOTS).exists() && !sandbox.path(".cache").exists());
        assert_eq!(finder.existing().len(), 1);
        let link = outside.join("link");
        std::os::unix::fs::symlink(sandbox.path(".git"), &link).unwrap();
        let (inside, above) = (sandbox.path("new/deep"), outside.clone());
        for (root, why) in [
            (&inside, "is in the work tree"),
            (&above, "contains the work tree"),
            (&link, "is in the work tree"),
        ] {
            let finder = PoolFinder { root: root.to_str(), ..finder };
            let error = finder.open().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!(!inside.exists());
        let other = outside.join("other/../elsewhere");
        let pool = PoolFinder { root: other.to_str(), ..finder }.open().unwrap();
        assert!(pool.path().starts_with(outside.join("elsewhere")), "{}", pool.path().display());
    }
}
