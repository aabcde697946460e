//! The folder that git takes hooks from, as git itself decides it. It must not know what lies there.

use std::path::PathBuf;

use crate::git::repository::Repository;

/// Where hooks lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HooksDir {
    /// The folder.
    pub path: PathBuf,
    /// Whether `core.hooksPath` leads away from the repository's own folder.
    pub is_elsewhere: bool,
}

impl Repository {
    /// The folder that git takes hooks from: `core.hooksPath` of any configuration file, or else
    /// `hooks` in the folder that linked worktrees share.
    pub fn hooks_dir(&self) -> HooksDir {
        let own = self.common_dir().join("hooks");
        let inner = self.lock();
        let configured = inner.config().and_then(|config| config.get_path("core.hooksPath")).ok();
        let Some(path) = configured.filter(|path| !path.as_os_str().is_empty()) else {
            return HooksDir { path: own, is_elsewhere: false };
        };
        // A relative one counts from where hooks run: the top of the work tree.
        let path: PathBuf = self.work_dir().join(path).components().collect();
        let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        HooksDir { is_elsewhere: real(&path) != real(&own), path }
    }
}
