//! The folder from which git takes hooks. It does not know which hooks are in it.

use std::path::PathBuf;

use crate::git::repository::Repository;

/// The folder of git's hooks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HooksDir {
    /// The path of the folder.
    pub path: PathBuf,
    /// Whether `core.hooksPath` names a folder other than the repository's own.
    pub is_custom: bool,
}

impl Repository {
    /// Returns the folder from which git takes hooks: `core.hooksPath` of any configuration file, or
    /// else `hooks` in the folder that linked worktrees share.
    pub fn hooks_dir(&self) -> HooksDir {
        let own = self.common_dir().join("hooks");
        let inner = self.lock();
        let configured = inner.config().and_then(|config| config.get_path("core.hooksPath")).ok();
        let Some(path) = configured.filter(|path| !path.as_os_str().is_empty()) else {
            return HooksDir { path: own, is_custom: false };
        };
        // A relative path starts where hooks run: at the top of the work tree.
        let path: PathBuf = self.work_dir().join(path).components().collect();
        let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        HooksDir { is_custom: real(&path) != real(&own), path }
    }
}
