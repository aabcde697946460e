//! The project: where its tasks.toml is, what the file says, and in which repository it is. It must not know
//! what is done with it.
//!
//! In a repository, the outermost tasks.toml between the top of the work tree and the current folder is used;
//! outside a repository, the nearest one above the current folder.

use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use crate::base::env::Env;
use crate::base::file;
use crate::base::path::RepoPath;
use crate::cli::config_memory::StoredConfigs;
use crate::cli::failure::Failure;
use crate::config::load::{self, ConfigTree, FILE, LoadError, TreeEntry};
use crate::config::model::Config;
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::TreeReading;
use crate::engine::report::baseline::TreeOrigin;
use crate::gate::definition;
use crate::git::snapshot::Mode;
use crate::git::{Commit, GitError, Repository, browse};

const NO_REPOSITORY: Failure =
    Failure::NoRepository { what: "there are no commits, no cache and no past runs" };

/// A repository, or a folder, with a tasks.toml.
pub struct Project {
    /// The top of the work tree; outside a repository, the folder of tasks.toml.
    pub root: PathBuf,
    /// The repository.
    pub repository: Option<Repository>,
    /// The content of tasks.toml.
    pub config: Config,
    state: Option<PathBuf>,
}

impl Project {
    /// Opens the project of the folder `dir`.
    ///
    /// # Errors
    /// There is no tasks.toml, it is invalid, or git failed.
    pub fn open(env: &Env, dir: &Path) -> Result<Self, Failure> {
        let place = Place::find(env, dir)?;
        let config = place.load_config(env)?;
        Ok(place.with_config(config))
    }

    /// Opens the project of the folder `dir`, and reads its work tree at the same time, unless this is the first
    /// command there: what an invalid tasks.toml refuses leaves no state. The work tree may be unreadable.
    ///
    /// # Errors
    /// There is no tasks.toml, it is invalid, or git failed.
    pub fn open_with_tree(
        env: &Env,
        dir: &Path,
    ) -> Result<(Self, Option<Result<TreeReading, GitError>>), Failure> {
        let place = Place::find(env, dir)?;
        let state = place.state.as_deref().filter(|state| state.is_dir());
        let (config, reading) = rayon::join(
            || place.load_config(env),
            || Some(TreeReading::of_work_tree(place.repository.as_ref()?, Some(state?))),
        );
        Ok((place.with_config(config?), reading))
    }

    /// Returns the tasks.toml of a commit, without checking it out.
    ///
    /// # Errors
    /// The commit has no tasks.toml, or an invalid one.
    pub fn config_at(&self, commit: &Commit) -> Result<Config, Failure> {
        let repository = self.repository()?;
        let folders = [RepoPath::top(), self.config.base.clone()];
        let config = definition::load_config(repository, &commit.tree, &folders, &commit.id[..10])?;
        let no_config = || Failure::NoConfig { folder: format!("the tree of {}", &commit.id[..10]) };
        Ok(with_absolute_paths(config.ok_or_else(no_config)?, &self.root))
    }

    /// Returns the repository.
    ///
    /// # Errors
    /// There is none.
    pub fn repository(&self) -> Result<&Repository, Failure> {
        self.repository.as_ref().ok_or(NO_REPOSITORY)
    }

    /// Returns the location of a run in the working directory.
    pub fn location<'a>(&'a self, env: &'a Env) -> RunLocation<'a> {
        RunLocation {
            tree: self.repository.as_ref().map_or(Tree::None, Tree::WorkDir),
            root: &self.root,
            state: self.state(),
            env,
            origin: self.repository.as_ref().map(|repository| TreeOrigin { repository, commit: None }),
            hold: None,
            access: None,
        }
    }

    /// Returns the state directory. It is in the repository, shared by linked worktrees.
    pub fn state(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    /// Returns the state directory.
    ///
    /// # Errors
    /// There is no repository.
    pub fn state_dir(&self) -> Result<&Path, Failure> {
        self.state().ok_or(NO_REPOSITORY)
    }
}

/// Where a project is.
struct Place {
    root: PathBuf,
    repository: Option<Repository>,
    state: Option<PathBuf>,
    /// The folder of tasks.toml.
    base: RepoPath,
    /// The folder in which the search began.
    dir: PathBuf,
}

impl Place {
    fn find(env: &Env, dir: &Path) -> Result<Self, Failure> {
        let repository = Repository::discover(dir, env)?;
        let (root, base) = match &repository {
            Some(repository) => {
                let root = repository.work_dir().to_owned();
                let outermost = folders_up(&root, dir).into_iter().rev().find(|base| has_file(&root, base));
                (root, outermost)
            }
            None => match dir.ancestors().find(|folder| folder.join(FILE).is_file()) {
                Some(folder) => (folder.to_owned(), Some(RepoPath::top())),
                None => (dir.to_owned(), None),
            },
        };
        let base = base.ok_or_else(|| no_config(dir, &root))?;
        let state = repository.as_ref().map(|repository| repository.common_dir().join("xtask"));
        Ok(Self { root, repository, state, base, dir: dir.to_owned() })
    }

    fn load_config(&self, env: &Env) -> Result<Config, Failure> {
        let files = WorkTreeFiles { root: &self.root, repository: self.repository.as_ref() };
        let path = self.base.child(FILE.as_bytes());
        let loaded = match self.state.as_ref().and_then(|state| StoredConfigs::open(env, state)) {
            Some(memory) => load::load_remembered(&files, &path, &memory),
            None => load::load(&files, &path),
        }
        .map_err(|error| match error {
            LoadError::Wrong(diagnostics) => Failure::Config(diagnostics),
            LoadError::Tree(error) => error,
        })?;
        Ok(with_absolute_paths(loaded.ok_or_else(|| no_config(&self.dir, &self.root))?, &self.root))
    }

    fn with_config(self, config: Config) -> Project {
        let Self { root, repository, state, .. } = self;
        Project { root, repository, config, state }
    }
}

fn no_config(dir: &Path, root: &Path) -> Failure {
    Failure::NoConfig { folder: searched_folders(dir, root) }
}

/// Reads tasks.toml files from a work tree.
struct WorkTreeFiles<'a> {
    root: &'a Path,
    repository: Option<&'a Repository>,
}

impl WorkTreeFiles<'_> {
    /// Returns a file that a sparse checkout leaves out: the tasks in it exist all the same.
    fn left_out(&self, path: &RepoPath) -> Result<Option<(Mode, Vec<u8>)>, Failure> {
        Ok(self.repository.map(|repository| repository.sparse_file(path)).transpose()?.flatten())
    }
}

impl ConfigTree for WorkTreeFiles<'_> {
    type Error = Failure;

    fn list(&self, folder: &RepoPath) -> Result<Vec<TreeEntry>, Failure> {
        const ENDING: &str = ".toml";
        let names = match self.repository {
            Some(repository) => {
                let mut names = repository.browse_work_tree(folder, ENDING)?;
                names.extend(repository.sparse_names(folder, ENDING)?);
                names.sort();
                // A sparse checkout may leave out a part of a folder, so that both lists have it.
                names.dedup();
                names
            }
            None => browse::browse_folder(self.root, folder, ENDING)?,
        };
        Ok(names.into_iter().map(|name| TreeEntry { path: name.path, is_folder: name.is_folder }).collect())
    }

    fn link(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, Failure> {
        // Outside of git there is no commit in which a symlink's target could be missing.
        if self.repository.is_none() {
            return Ok(None);
        }
        if let Ok(target) = std::fs::read_link(path.under(self.root)) {
            return Ok(Some(target.into_os_string().into_vec()));
        }
        let left_out = self.left_out(path)?;
        Ok(left_out.filter(|(mode, _)| *mode == Mode::Symlink).map(|(_, target)| target))
    }

    fn read(&self, path: &RepoPath) -> Result<Option<String>, Failure> {
        let on_disk = path.under(self.root);
        // A folder with this name is not a file, as in a commit.
        if on_disk.is_dir() {
            return Ok(None);
        }
        let bytes = match file::read(&on_disk)? {
            Some(bytes) => Some(bytes),
            None => self.left_out(path)?.map(|(_, bytes)| bytes),
        };
        Ok(bytes.map(|bytes| definition::text(bytes, path)).transpose()?)
    }

    fn read_beside(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, Failure> {
        match file::read(&path.under(self.root))? {
            Some(bytes) => Ok(Some(bytes)),
            None => Ok(self.left_out(path)?.map(|(_, bytes)| bytes)),
        }
    }

    fn name(&self, path: &RepoPath) -> String {
        path.to_string()
    }
}

/// Returns a configuration in which the paths of environments are absolute.
fn with_absolute_paths(mut config: Config, root: &Path) -> Config {
    for environment in &mut config.environments {
        environment.make_absolute(root);
    }
    config
}

/// Returns the folders whose tasks.toml may be used for a caller in `dir`, the outermost first.
pub fn definition_folders(root: &Path, dir: &Path) -> Vec<RepoPath> {
    let mut folders = folders_up(root, dir);
    folders.reverse();
    folders
}

/// Returns the folders from `dir` up to `root`, as paths of the repository.
fn folders_up(root: &Path, dir: &Path) -> Vec<RepoPath> {
    use std::os::unix::ffi::OsStrExt as _;
    let inside = dir.strip_prefix(root).unwrap_or(Path::new(""));
    inside.ancestors().map(|folder| RepoPath::from_git(folder.as_os_str().as_bytes())).collect()
}

fn has_file(root: &Path, base: &RepoPath) -> bool {
    base.child(FILE.as_bytes()).under(root).is_file()
}

fn searched_folders(dir: &Path, root: &Path) -> String {
    if dir == root {
        dir.display().to_string()
    } else {
        format!("{} or a folder above it, up to {}", dir.display(), root.display())
    }
}
