//! The branches and tags of a remote, as it says itself at this moment. No ref of this repository is changed, so that
//! nobody can prepare an answer here. It must not know why they are wanted.

use std::collections::BTreeMap;
use std::time::Duration;

use git2::Oid;

use crate::git::error::GitError;
use crate::git::repository::{Commit, Repository};

/// How long a question or a transfer may take.
const TRANSFER: Duration = Duration::from_secs(60);
/// What a remote adds to the name of a tag for the commit that it points to.
const PEELED: &str = "^{}";

/// The refs of a remote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteRefs {
    remote: String,
    /// The ids of objects, by the full names of refs.
    ids: BTreeMap<String, String>,
}

impl RemoteRefs {
    /// Returns the name of the remote.
    pub fn remote(&self) -> &str {
        &self.remote
    }

    /// Returns the names of the tags that point to a commit.
    pub fn tags_of(&self, commit: &str) -> Vec<String> {
        let points_there = |(name, id): (&String, &String)| {
            let name = name.strip_prefix("refs/tags/")?;
            (id == commit).then(|| name.strip_suffix(PEELED).unwrap_or(name).to_owned())
        };
        self.ids.iter().filter_map(points_there).collect()
    }
}

impl Repository {
    /// Asks a remote for its branches and tags.
    ///
    /// # Errors
    /// The remote can't be reached.
    pub fn remote_refs(&self, remote: &str) -> Result<RemoteRefs, GitError> {
        let words = ["ls-remote", "--quiet", remote, "HEAD", "refs/heads/*", "refs/tags/*"];
        let listed = self.program().transfer(self.dirs(), &words, TRANSFER)?;
        // A remote may print more than refs.
        let line = |line: &str| {
            let (id, name) = line.split_once('\t')?;
            let is_ref = name == "HEAD" || name.starts_with("refs/");
            (is_ref && Oid::from_str(id).is_ok()).then(|| (name.trim_end().to_owned(), id.to_owned()))
        };
        let ids = listed.lines().filter_map(line).collect();
        Ok(RemoteRefs { remote: remote.to_owned(), ids })
    }

    /// Returns the commit of the remote's default branch, and brings it here; `None` if it has none.
    ///
    /// # Errors
    /// The commit can't be brought here.
    pub fn remote_default(&self, refs: &RemoteRefs) -> Result<Option<Commit>, GitError> {
        self.remote_commit(refs, "HEAD")
    }

    /// Returns the commit of a branch in a remote, and brings it here; `None` if there is no such branch.
    ///
    /// # Errors
    /// The commit can't be brought here.
    pub fn remote_branch(&self, refs: &RemoteRefs, branch: &str) -> Result<Option<Commit>, GitError> {
        self.remote_commit(refs, &format!("refs/heads/{branch}"))
    }

    /// Returns the names of those of the wanted branches of a remote that contain a commit.
    ///
    /// # Errors
    /// A branch can't be brought here or read.
    pub fn remote_branches_with(
        &self,
        refs: &RemoteRefs,
        commit: &str,
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<String>, GitError> {
        let failed = || GitError::object("find the branches of", &commit);
        let id = Oid::from_str(commit).map_err(failed())?;
        let names = refs.ids.keys().filter_map(|name| name.strip_prefix("refs/heads/"));
        let mut found = Vec::new();
        for name in names.filter(|name| is_wanted(name)) {
            let Some(tip) = self.remote_branch(refs, name)? else { continue };
            let tip = Oid::from_str(&tip.id).map_err(failed())?;
            if tip == id || self.lock().graph_descendant_of(tip, id).map_err(failed())? {
                found.push(name.to_owned());
            }
        }
        Ok(found)
    }

    fn remote_commit(&self, refs: &RemoteRefs, name: &str) -> Result<Option<Commit>, GitError> {
        let Some(id) = refs.ids.get(name) else { return Ok(None) };
        if let Ok(commit) = self.resolve(id) {
            return Ok(Some(commit));
        }
        let words =
            ["fetch", "--quiet", "--no-write-fetch-head", "--no-tags", "--refmap=", &refs.remote, name];
        self.program().transfer(self.dirs(), &words, TRANSFER)?;
        self.resolve(id).map(Some)
    }
}
