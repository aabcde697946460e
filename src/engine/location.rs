//! Where a run takes place: in which tree and folder, with which state directory. This module must not read
//! any of them.

use std::fs::File;
use std::path::Path;

use crate::base::env::Env;
use crate::cache::Cache;
use crate::engine::report::baseline::TreeOrigin;
use crate::engine::work_tree_access::WorkTreeAccess;
use crate::git::{Repository, WorkTreeReader};

/// The tree that a plan is made for.
#[derive(Clone, Copy)]
pub enum Tree<'a> {
    /// The files of a repository's work tree.
    WorkDir(&'a Repository),
    /// A tree that is not checked out, by its id, and the filter drivers that may run to read it.
    Objects(&'a Repository, &'a str, &'a [String]),
    /// None: there is no repository.
    None,
}

impl<'a> Tree<'a> {
    /// Returns the repository of the tree.
    pub fn repository(self) -> Option<&'a Repository> {
        match self {
            Self::WorkDir(repository) | Self::Objects(repository, ..) => Some(repository),
            Self::None => None,
        }
    }
}

/// The location of a plan and of its run.
#[derive(Clone, Copy)]
pub struct RunLocation<'a> {
    /// The tree that is planned.
    pub tree: Tree<'a>,
    /// The top of the work tree in which tasks run.
    pub root: &'a Path,
    /// The state directory; `None` outside a repository.
    pub state: Option<&'a Path>,
    /// The environment from which tasks get theirs.
    pub env: &'a Env,
    /// The commit that the tree is from or is based on; `None` outside a repository.
    pub origin: Option<TreeOrigin<'a>>,
    /// An open file whose lock keeps a private worktree. The guard gets a copy, so that the lock is free
    /// only when all processes of the run are dead.
    pub hold: Option<&'a File>,
    /// Finds tasks of a private worktree that open files of the user's work tree.
    pub access: Option<&'a WorkTreeAccess>,
}

/// The cache, the state directory and the work tree of a run in a repository.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    /// The state directory.
    pub state: &'a Path,
    /// The cache.
    pub cache: &'a Cache,
    /// The reader of the work tree, with which it is read again.
    pub tree: &'a WorkTreeReader,
}
