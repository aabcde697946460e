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
}
