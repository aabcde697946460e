//! A repository: its folders, what its revisions name, and the content of its objects. It does not
//! know the state of the work tree.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use git2::{ErrorCode, ObjectType, Oid, RepositoryOpenFlags};

use crate::base::env::Env;
use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::git_program::{GitDirs, GitProgram};
use crate::git::index::Index;
use crate::git::index::file::{self as index_file, ParsedIndex};
use crate::git::settings::GitSettings;
use crate::git::snapshot::{ContentId, SnapshotEntry};

/// The mode of a symlink in a tree.
const SYMLINK: i32 = 0o120_000;

/// A git repository with a work tree.
pub struct Repository {
    /// One thread at a time may use libgit2's handle.
    inner: Mutex<git2::Repository>,
    work_dir: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    opener: RepositoryOpener,
    settings: GitSettings,
    sparse_files: OnceLock<Vec<SnapshotEntry>>,
}

/// What is needed to open a repository.
#[derive(Clone, Debug)]
pub(super) struct RepositoryOpener {
    program: GitProgram,
    /// The folder of the user's configuration files, such as `~/.config`.
    home: Option<PathBuf>,
    /// The filter drivers that may run when a submodule is compared with its commit.
    permitted_filters: Vec<String>,
}

/// A commit and its tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// The commit's id, in hexadecimal.
    pub id: String,
    /// The id of the commit's tree, in hexadecimal.
    pub tree: String,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("git_dir", &self.git_dir).finish_non_exhaustive()
    }
}

impl Repository {
    /// Opens the repository that contains `dir`; returns `None` if there is none. The caller's
    /// `GIT_*` variables are not read: a run in a hook uses the repository of its folder.
    ///
    /// # Errors
    /// The repository is bare, damaged or unreadable.
    pub fn discover(dir: &Path, env: &Env) -> Result<Option<Self>, GitError> {
        let set = |name| env.var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        let opener = RepositoryOpener { program: GitProgram::new(env), home, permitted_filters: Vec::new() };
        match git2::Repository::open_ext(dir, RepositoryOpenFlags::empty(), [] as [&OsStr; 0]) {
            Ok(inner) => Self::from_git2(inner, opener).map(Some),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(GitError::repository("open the repository of", dir)(error)),
        }
    }

    fn from_git2(inner: git2::Repository, opener: RepositoryOpener) -> Result<Self, GitError> {
        let git_dir = without_trailing_slash(inner.path());
        let Some(work_dir) = inner.workdir().map(without_trailing_slash) else {
            return Err(GitError::Bare { path: git_dir });
        };
        let config = inner
            .config()
            .and_then(|mut config| config.snapshot())
            .map_err(GitError::repository("read the configuration of", &git_dir))?;
        let settings = GitSettings::from_config(&config, &work_dir, opener.home.as_deref());
        let common_dir = without_trailing_slash(inner.commondir());
        Ok(Self {
            inner: Mutex::new(inner),
            work_dir,
            git_dir,
            common_dir,
            opener,
            settings,
            sparse_files: OnceLock::new(),
        })
    }

    /// Returns the top folder of the work tree.
    pub fn work_dir(&self) -> &Path {
        &self.work_dir
    }

    /// Returns the git folder that linked worktrees share, such as `.git`.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Returns the git folder with this work tree's own index and HEAD.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// Describes HEAD in a few words: its branch, or the short id of its commit.
    pub fn head(&self) -> String {
        let inner = self.lock();
        match inner.head() {
            Ok(head) if head.is_branch() => String::from_utf8_lossy(head.shorthand_bytes()).into_owned(),
            Ok(head) => head
                .target()
                .map_or_else(|| "detached".to_owned(), |id| format!("detached at {}", &id.to_string()[..7])),
            Err(error) if error.code() == ErrorCode::UnbornBranch => "no commit yet".to_owned(),
            Err(_) => "no readable HEAD".to_owned(),
        }
    }

    /// Returns the commit of HEAD; `None` before the first commit.
    ///
    /// # Errors
    /// HEAD can't be read.
    pub fn head_commit(&self) -> Result<Option<Commit>, GitError> {
        let inner = self.lock();
        match inner.head().and_then(|head| head.peel_to_commit()) {
            Ok(commit) => Ok(Some(Commit::from_git2(&commit))),
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => Ok(None),
            Err(error) => Err(GitError::object("read", &"HEAD")(error)),
        }
    }

    /// Returns the commit that `rev` names: a branch, a tag, an id of at least four digits, or any of
    /// these followed by `~`, `^` or `@{…}`.
    ///
    /// # Errors
    /// `rev` names nothing, several objects, or something other than a commit.
    pub fn resolve(&self, rev: &str) -> Result<Commit, GitError> {
        let inner = self.lock();
        let object = inner.revparse_single(rev).and_then(|object| object.peel_to_commit());
        let commit = object.map_err(|source| GitError::Revision { rev: rev.to_owned(), source })?;
        Ok(Commit::from_git2(&commit))
    }

    /// Returns the commit of an object, with tags peeled; `None` if the object is a tree or a blob,
    /// or a tag of one.
    ///
    /// # Errors
    /// The object is missing or can't be read.
    pub fn peel(&self, id: &str) -> Result<Option<Commit>, GitError> {
        let inner = self.lock();
        let oid = Oid::from_str(id).map_err(GitError::object("find", &id))?;
        let object = inner.find_object(oid, None).map_err(GitError::object("find", &id))?;
        // Only commits and tags can be peeled.
        Ok(object.peel_to_commit().ok().map(|commit| Commit::from_git2(&commit)))
    }

    /// Returns whether git ignores a path of the work tree, as a file or as a folder. The path need
    /// not exist.
    pub fn ignores(&self, path: &RepoPath) -> bool {
        let inner = self.lock();
        let is_ignored = |path: &Path| inner.is_path_ignored(path).unwrap_or(false);
        !path.is_top() && (is_ignored(path.as_path()) || is_ignored(&path.as_path().join("")))
    }

    /// Returns the branch that this clone takes for the default branch of `origin`.
    pub fn default_branch(&self) -> Option<String> {
        let inner = self.lock();
        let head = inner.find_reference("refs/remotes/origin/HEAD").ok()?;
        let target = head.symbolic_target().ok()??;
        target.strip_prefix("refs/remotes/origin/").map(str::to_owned)
    }

    /// Returns the names and addresses of the remotes. Of two addresses it is the one that is pushed
    /// to.
    pub fn remotes(&self) -> Vec<(String, String)> {
        let inner = self.lock();
        let Ok(names) = inner.remotes() else { return Vec::new() };
        let names = names.iter().filter_map(|name| name.ok().flatten());
        let address = |name: &str| {
            let remote = inner.find_remote(name).ok()?;
            let url = remote.pushurl_bytes().unwrap_or_else(|| remote.url_bytes());
            Some((name.to_owned(), String::from_utf8_lossy(url).into_owned()))
        };
        names.filter_map(address).collect()
    }

    /// Returns `user.name <user.email>` from git's configuration.
    pub fn user(&self) -> Option<String> {
        let inner = self.lock();
        let config = inner.config().ok()?;
        let name = config.get_string("user.name").ok()?;
        Some(match config.get_string("user.email") {
            Ok(email) => format!("{name} <{email}>"),
            Err(_) => name,
        })
    }

    /// Returns the bytes of a file in a tree, as git stores them; `None` if the tree has no such
    /// file.
    ///
    /// # Errors
    /// The tree or the file can't be read.
    pub fn read_file(&self, tree: &str, path: &RepoPath) -> Result<Option<Vec<u8>>, GitError> {
        self.read_entry(tree, path, |mode| mode != SYMLINK)
    }

    /// Returns the target of a symlink in a tree; `None` if there is no symlink at `path`.
    ///
    /// # Errors
    /// The tree or the symlink can't be read.
    pub fn read_link(&self, tree: &str, path: &RepoPath) -> Result<Option<Vec<u8>>, GitError> {
        self.read_entry(tree, path, |mode| mode == SYMLINK)
    }

    fn read_entry(
        &self,
        tree: &str,
        path: &RepoPath,
        is_wanted: impl Fn(i32) -> bool,
    ) -> Result<Option<Vec<u8>>, GitError> {
        let inner = self.lock();
        let is_wanted = |entry: &git2::TreeEntry<'_>| {
            entry.kind() == Some(ObjectType::Blob) && is_wanted(entry.filemode())
        };
        let Some(entry) = self.entry_at(&inner, tree, path)?.filter(is_wanted) else { return Ok(None) };
        let blob = match inner.find_blob(entry.id()) {
            Err(error) if self.has_fetched(&error, &entry.id().to_string()) => inner.find_blob(entry.id()),
            found => found,
        };
        Ok(Some(blob.map_err(GitError::object("read", &path))?.content().to_owned()))
    }

    /// Returns the bytes of a blob.
    pub(super) fn read_blob(&self, id: &ContentId) -> Result<Vec<u8>, GitError> {
        let read = |inner: &git2::Repository| {
            inner.find_blob(Oid::from_bytes(&id.0)?).map(|blob| blob.content().to_owned())
        };
        let inner = self.lock();
        match read(&inner) {
            Err(error) if self.has_fetched(&error, &id.hex()) => read(&inner),
            read => read,
        }
        .map_err(GitError::object("read the blob", &id.hex()))
    }

    /// Returns a tree. If a partial clone lacks it, git fetches it.
    pub(super) fn tree<'r>(
        &self,
        inner: &'r git2::Repository,
        id: Oid,
    ) -> Result<git2::Tree<'r>, git2::Error> {
        match inner.find_tree(id) {
            Err(error) if self.has_fetched(&error, &id.to_string()) => inner.find_tree(id),
            found => found,
        }
    }

    /// Returns whether git has an object that libgit2 does not find. In a partial clone git fetches a
    /// missing object when it is asked for it.
    fn has_fetched(&self, error: &git2::Error, id: &str) -> bool {
        error.code() == ErrorCode::NotFound
            && self.program().run(self.dirs(), &["cat-file", "-e", id]).is_ok()
    }

    /// Returns the entry of a tree at `path`. Each tree on the way is looked up by itself, because
    /// libgit2 does not distinguish a tree that a partial clone lacks from one that does not exist.
    pub(super) fn entry_at(
        &self,
        inner: &git2::Repository,
        tree: &str,
        path: &RepoPath,
    ) -> Result<Option<git2::TreeEntry<'static>>, GitError> {
        let id = Oid::from_str(tree).map_err(GitError::object("read the tree", &tree))?;
        let mut found = self.tree(inner, id).map_err(GitError::object("read the tree", &tree))?;
        let mut parts = path.parts().peekable();
        while let Some(part) = parts.next() {
            let Some(entry) = found.iter().find(|entry| entry.name_bytes() == part) else { return Ok(None) };
            if parts.peek().is_none() {
                return Ok(Some(entry.to_owned()));
            }
            if entry.kind() != Some(ObjectType::Tree) {
                return Ok(None);
            }
            let id = entry.id();
            drop(entry);
            found = self.tree(inner, id).map_err(GitError::object("read the tree", &id))?;
        }
        Ok(None)
    }

    /// Reads the index as it is now.
    pub(super) fn index(&self) -> Result<Index, GitError> {
        self.index_at(None)
    }

    /// Reads this index file, or the work tree's own if `file` is `None`.
    pub(super) fn index_at(&self, file: Option<&Path>) -> Result<Index, GitError> {
        let path = file.map_or_else(|| self.git_dir.join("index"), Path::to_owned);
        match index_file::load(&path).map_err(FileError::context("read", &path))? {
            ParsedIndex::Complete(index) => Ok(index),
            ParsedIndex::Unsupported => {
                let listing = self.program().list_index(self.dirs(), &path)?;
                index_file::from_listing(&listing).ok_or_else(|| GitError::Program {
                    what: "ls-files --stage".to_owned(),
                    message: "its output has an unknown format".to_owned(),
                })
            }
        }
    }

    /// Locks libgit2's handle.
    pub(super) fn lock(&self) -> MutexGuard<'_, git2::Repository> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files that a sparse checkout leaves out, once they have been read.
    pub(super) fn known_sparse_files(&self) -> &OnceLock<Vec<SnapshotEntry>> {
        &self.sparse_files
    }

    pub(super) fn settings(&self) -> &GitSettings {
        &self.settings
    }

    pub(super) fn program(&self) -> &GitProgram {
        &self.opener.program
    }

    pub(super) fn opener(&self) -> &RepositoryOpener {
        &self.opener
    }

    pub(super) fn dirs(&self) -> GitDirs<'_> {
        GitDirs { git_dir: &self.git_dir, work_dir: &self.work_dir }
    }
}

impl RepositoryOpener {
    /// Returns a copy that permits these filter drivers in the repositories that it opens.
    pub(super) fn with_permitted_filters(&self, filters: &[String]) -> Self {
        Self { permitted_filters: filters.to_vec(), ..self.clone() }
    }

    /// Returns the filter drivers that may run.
    pub(super) fn permitted_filters(&self) -> &[String] {
        &self.permitted_filters
    }

    /// Opens the repository whose work tree is exactly `dir`, such as a submodule; returns `None` if
    /// there is none.
    pub(super) fn open(&self, dir: &Path) -> Result<Option<Repository>, GitError> {
        match git2::Repository::open_ext(dir, RepositoryOpenFlags::NO_SEARCH, [] as [&OsStr; 0]) {
            Ok(inner) if inner.is_bare() => Ok(None),
            Ok(inner) => Repository::from_git2(inner, self.clone()).map(Some),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(GitError::repository("open the repository", dir)(error)),
        }
    }
}

impl Commit {
    pub(super) fn from_git2(commit: &git2::Commit<'_>) -> Self {
        Self { id: commit.id().to_string(), tree: commit.tree_id().to_string() }
    }
}

/// Removes the slash that libgit2 appends to folders.
fn without_trailing_slash(path: &Path) -> PathBuf {
    path.components().collect()
}
