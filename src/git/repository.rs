//! A repository: where its parts lie, what its revisions name and what its objects hold. It must
//! not know the state of the work tree.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use git2::{ErrorCode, ObjectType, Oid, RepositoryOpenFlags};

use crate::base::env::Env;
use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::index::Index;
use crate::git::index::file::{self as index_file, Read};
use crate::git::program::{GitProgram, Place};
use crate::git::settings::Settings;
use crate::git::snapshot::{ContentId, Entry};

/// The mode of a symlink in a tree.
const SYMLINK: i32 = 0o120_000;

/// A git repository with a work tree.
pub struct Repository {
    /// libgit2's handle is for one thread at a time.
    inner: Mutex<git2::Repository>,
    work_dir: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    opener: Opener,
    settings: Settings,
    left_out: OnceLock<Vec<Entry>>,
}

/// What it takes to open a repository.
#[derive(Clone, Debug)]
pub(super) struct Opener {
    program: GitProgram,
    /// The folder of the user's configuration files, such as `~/.config`.
    home: Option<PathBuf>,
    /// Filter drivers that may run to compare a submodule with its commit.
    permitted: Vec<String>,
}

/// A commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Its id, in hexadecimal.
    pub id: String,
    /// The id of its tree, in hexadecimal.
    pub tree: String,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("git_dir", &self.git_dir).finish_non_exhaustive()
    }
}

impl Repository {
    /// The repository that holds `dir`; `None` if none does. The caller's `GIT_*` variables are not
    /// read: a run in a hook is a run of the repository it stands in.
    ///
    /// # Errors
    /// It is bare, damaged or not to be read.
    pub fn discover(dir: &Path, env: &Env) -> Result<Option<Self>, GitError> {
        let set = |name| env.var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        let opener = Opener { program: GitProgram::new(env), home, permitted: Vec::new() };
        match git2::Repository::open_ext(dir, RepositoryOpenFlags::empty(), [] as [&OsStr; 0]) {
            Ok(inner) => Self::of(inner, opener).map(Some),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(GitError::repository("open the repository of", dir)(error)),
        }
    }

    fn of(inner: git2::Repository, opener: Opener) -> Result<Self, GitError> {
        let git_dir = plain(inner.path());
        let Some(work_dir) = inner.workdir().map(plain) else { return Err(GitError::Bare { path: git_dir }) };
        let config = inner
            .config()
            .and_then(|mut config| config.snapshot())
            .map_err(GitError::repository("read the configuration of", &git_dir))?;
        let settings = Settings::read(&config, &work_dir, opener.home.as_deref());
        let common_dir = plain(inner.commondir());
        Ok(Self {
            inner: Mutex::new(inner),
            work_dir,
            git_dir,
            common_dir,
            opener,
            settings,
            left_out: OnceLock::new(),
        })
    }

    /// The top of the work tree.
    pub fn work_dir(&self) -> &Path {
        &self.work_dir
    }

    /// The folder that linked worktrees share, such as `.git`.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The folder of this work tree's own index and HEAD.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// What HEAD is, in a few words: a branch, or a commit's short id.
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

    /// The commit of HEAD; `None` before the first one.
    ///
    /// # Errors
    /// HEAD is damaged.
    pub fn head_commit(&self) -> Result<Option<Commit>, GitError> {
        let inner = self.lock();
        match inner.head().and_then(|head| head.peel_to_commit()) {
            Ok(commit) => Ok(Some(Commit::of(&commit))),
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => Ok(None),
            Err(error) => Err(GitError::object("read", &"HEAD")(error)),
        }
    }

    /// The commit that `rev` names: a branch, a tag, an id of at least four digits, or any of them
    /// with `~`, `^` or `@{…}` behind it.
    ///
    /// # Errors
    /// It names nothing, more than one object, or something other than a commit.
    pub fn resolve(&self, rev: &str) -> Result<Commit, GitError> {
        let inner = self.lock();
        let object = inner.revparse_single(rev).and_then(|object| object.peel_to_commit());
        let commit = object.map_err(|source| GitError::Revision { rev: rev.to_owned(), source })?;
        Ok(Commit::of(&commit))
    }

    /// The commit that an object leads to, tags peeled; `None` if it leads to a tree or a blob.
    ///
    /// # Errors
    /// There is no such object, or it can't be read.
    pub fn peel(&self, id: &str) -> Result<Option<Commit>, GitError> {
        let inner = self.lock();
        let oid = Oid::from_str(id).map_err(GitError::object("find", &id))?;
        let object = inner.find_object(oid, None).map_err(GitError::object("find", &id))?;
        // Other things than commits and tags can't be peeled.
        Ok(object.peel_to_commit().ok().map(|commit| Commit::of(&commit)))
    }

    /// Whether git ignores a path of the work tree, be it a file or a folder, there or not.
    pub fn ignores(&self, path: &RepoPath) -> bool {
        let inner = self.lock();
        let is_ignored = |path: &Path| inner.is_path_ignored(path).unwrap_or(false);
        !path.is_top() && (is_ignored(path.as_path()) || is_ignored(&path.as_path().join("")))
    }

    /// The branch that this clone takes for the default one of `origin`.
    pub fn default_branch(&self) -> Option<String> {
        let inner = self.lock();
        let head = inner.find_reference("refs/remotes/origin/HEAD").ok()?;
        let target = head.symbolic_target().ok()??;
        target.strip_prefix("refs/remotes/origin/").map(str::to_owned)
    }

    /// Names and addresses of the remotes; of two addresses, the one that is pushed to.
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

    /// `user.name <user.email>` as configured.
    pub fn user(&self) -> Option<String> {
        let inner = self.lock();
        let config = inner.config().ok()?;
        let name = config.get_string("user.name").ok()?;
        Some(match config.get_string("user.email") {
            Ok(email) => format!("{name} <{email}>"),
            Err(_) => name,
        })
    }

    /// The bytes of a file in a tree, as git stores them; `None` if the tree has no such file.
    ///
    /// # Errors
    /// The tree or the file can't be read.
    pub fn read_file(&self, tree: &str, path: &RepoPath) -> Result<Option<Vec<u8>>, GitError> {
        self.read_entry(tree, path, |mode| mode != SYMLINK)
    }

    /// What a symlink of a tree points to; `None` if the tree has none at `path`.
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

    /// The bytes of a blob.
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

    /// A tree, which git fetches if this clone left it out.
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

    /// Whether git has the object that libgit2 does not: a partial clone fetches it when git, which
    /// knows the way to it, is asked for it.
    fn has_fetched(&self, error: &git2::Error, id: &str) -> bool {
        error.code() == ErrorCode::NotFound
            && self.program().run(self.place(), &["cat-file", "-e", id]).is_ok()
    }

    /// The entry of a tree at `path`. Each tree on the way is looked up by itself: to libgit2, one
    /// that a partial clone left out is the same as none.
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

    /// A picture of the index as it is now.
    pub(super) fn index(&self) -> Result<Index, GitError> {
        self.index_at(None)
    }

    /// A picture of this index file, or else of the work tree's own.
    pub(super) fn index_at(&self, file: Option<&Path>) -> Result<Index, GitError> {
        let path = file.map_or_else(|| self.git_dir.join("index"), Path::to_owned);
        match index_file::read(&path).map_err(FileError::of("read", &path))? {
            Read::Done(index) => Ok(index),
            Read::Unknown => {
                let listing = self.program().list_index(self.place(), &path)?;
                index_file::from_listing(&listing).ok_or_else(|| GitError::Program {
                    what: "ls-files --stage".to_owned(),
                    message: "it printed what can't be understood".to_owned(),
                })
            }
        }
    }

    /// libgit2's handle, for one thread at a time.
    pub(super) fn lock(&self) -> MutexGuard<'_, git2::Repository> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a sparse checkout leaves out, once it was looked for.
    pub(super) fn known_left_out(&self) -> &OnceLock<Vec<Entry>> {
        &self.left_out
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn program(&self) -> &GitProgram {
        &self.opener.program
    }

    pub(super) fn opener(&self) -> &Opener {
        &self.opener
    }

    pub(super) fn place(&self) -> Place<'_> {
        Place { git_dir: &self.git_dir, work_dir: &self.work_dir }
    }
}

impl Opener {
    /// The same, for repositories in which these filter drivers may run.
    pub(super) fn permitting(&self, filters: &[String]) -> Self {
        Self { permitted: filters.to_vec(), ..self.clone() }
    }

    /// Filter drivers that may run.
    pub(super) fn permitted(&self) -> &[String] {
        &self.permitted
    }

    /// The repository whose work tree is exactly `dir`, such as a submodule; `None` if there is none.
    pub(super) fn open(&self, dir: &Path) -> Result<Option<Repository>, GitError> {
        match git2::Repository::open_ext(dir, RepositoryOpenFlags::NO_SEARCH, [] as [&OsStr; 0]) {
            Ok(inner) if inner.is_bare() => Ok(None),
            Ok(inner) => Repository::of(inner, self.clone()).map(Some),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(GitError::repository("open the repository", dir)(error)),
        }
    }
}

impl Commit {
    pub(super) fn of(commit: &git2::Commit<'_>) -> Self {
        Self { id: commit.id().to_string(), tree: commit.tree_id().to_string() }
    }
}

/// Without the slash that libgit2 ends a folder with.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}
