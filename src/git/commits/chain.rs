//! A chain: a branch that only ever grows by commits with one text each, in this repository and in a
//! remote. It must not know what the texts mean.
//!
//! The branch of this repository, below `refs/taskgate/chains/`, has all commits: those of the remote and,
//! after them, those that could not be pushed yet. No work tree, index or branch of the user is involved.

use std::path::Path;
use std::time::Duration;
use std::{fs, thread};

use git2::{ErrorCode, Oid, Sort};

use crate::git::error::GitError;
use crate::git::git_program::GitProgram;
use crate::git::repository::Repository;

/// The only file of each commit.
const FILE: &str = "record.json";

/// How the fingerprint of an ssh key begins.
const SSH_KEY: &str = "SHA256:";

/// How long one transfer may take.
const TRANSFER: Duration = Duration::from_secs(60);

/// How often a locked ref is tried until its lock is taken for one that a killed process has left, and the time
/// between two attempts.
const LOCK_TRIES: usize = 100;
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// How often a push is tried while others push to the same chain.
const ATTEMPTS: usize = 20;

/// A chain of one name.
#[derive(Debug)]
pub struct Chain<'r> {
    repository: &'r Repository,
    /// The name of its branch: `xtask-deploy/staging`.
    name: String,
    /// The name or URL of the remote; `None`: it is in this repository only.
    remote: Option<String>,
}

/// A commit of a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its id.
    pub commit: String,
    /// Its text.
    pub text: String,
}

/// What became of a new commit.
#[derive(Debug)]
pub enum Appended {
    /// The remote has it, or there is no remote.
    Shared(String),
    /// Only this repository has it, since the remote can't be used. It is pushed with the next one.
    Pending(String, ChainError),
}

/// Whether a commit is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signing {
    /// It is not.
    None,
    /// With the key of the user's git configuration. The remote must have the commit then.
    WithUserKey,
}

/// A valid signature of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signer {
    /// The name in the file of allowed signers.
    pub principal: String,
    /// The fingerprint of the key.
    pub key: String,
}

/// Why a chain can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The remote can't be reached.
    #[error("{remote} can't be reached: {message}")]
    Unreachable {
        /// The remote.
        remote: String,
        /// The last line that git printed.
        message: String,
    },
    /// The remote refuses the push.
    #[error("{remote} refuses pushes to {branch}: {message}")]
    Refused {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
        /// What the remote said.
        message: String,
    },
    /// A lock file of a killed git process is left in the remote.
    #[error("{remote} has a stale lock file: {message}")]
    StaleLock {
        /// The remote.
        remote: String,
        /// What the remote said; it names the file.
        message: String,
    },
    /// The branch of the remote does not continue the known one.
    #[error("{branch} was rewritten in {remote}: it no longer contains {commit}")]
    Rewritten {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
        /// The last known commit.
        commit: String,
    },
    /// Others keep pushing to the branch.
    #[error("others keep pushing to {branch} in {remote}")]
    Busy {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
    },
    /// The commit can't be signed.
    #[error("can't sign: {0}")]
    Sign(String),
    /// The local repository can't be used.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl<'r> Chain<'r> {
    /// Returns the chain of this name. `remote` is the name or URL of a repository.
    pub fn new(repository: &'r Repository, name: &str, remote: Option<String>) -> Self {
        Self { repository, name: name.to_owned(), remote }
    }

    /// Returns the remote, if it has one.
    pub fn remote(&self) -> Option<&str> {
        self.remote.as_deref()
    }

    fn branch(&self) -> String {
        format!("refs/heads/{}", self.name)
    }

    fn local_ref(&self) -> String {
        format!("refs/taskgate/chains/{}", self.name)
    }

    /// Returns the ref with the last known tip of the remote.
    fn remote_ref(&self) -> String {
        format!("refs/taskgate/remote-chains/{}", self.name)
    }

    /// Returns the ref that a fetch writes.
    fn fetched_ref(&self) -> String {
        format!("refs/taskgate/fetched-chains/{}", self.name)
    }

    /// Brings the commits of the remote here. Commits that the remote lacks are put after them.
    ///
    /// # Errors
    /// The remote can't be used, or its branch was rewritten. The local chain is then unchanged.
    pub fn fetch(&self) -> Result<(), ChainError> {
        let Some(remote) = &self.remote else { return Ok(()) };
        // With a pattern, it is no error if the remote does not have the branch yet.
        let refspec = format!("+{}*:{}*", self.branch(), self.fetched_ref());
        let words = ["fetch", "--quiet", "--no-write-fetch-head", "--no-tags", remote, &refspec];
        self.transfer(&words).map_err(|error| self.refusal(remote, &error.to_string()))?;
        self.advance(remote)?;
        self.rebase()
    }

    /// Takes what was fetched as the tip of the remote, if it continues the known one.
    fn advance(&self, remote: &str) -> Result<(), ChainError> {
        let Some(fetched) = self.tip(&self.fetched_ref())? else { return Ok(()) };
        let known = self.tip(&self.remote_ref())?;
        let inner = self.repository.lock();
        let failed = || GitError::object("compare", &self.name);
        if let Some(known) = known
            && known != fetched
            && !inner.graph_descendant_of(fetched, known).map_err(failed())?
        {
            return Err(ChainError::Rewritten {
                remote: remote.to_owned(),
                branch: self.name.clone(),
                commit: known.to_string(),
            });
        }
        let set = inner.reference(&self.remote_ref(), fetched, true, "fetched");
        set.map_err(GitError::object("set", &self.remote_ref()))?;
        Ok(())
    }

    /// Puts the commits that the remote lacks after the commits of the remote.
    fn rebase(&self) -> Result<(), ChainError> {
        let Some(remote) = self.tip(&self.remote_ref())? else { return Ok(()) };
        let local = self.tip(&self.local_ref())?;
        let mut tip = remote;
        for pending in self.pending()? {
            tip = self.copy(pending, tip)?;
        }
        if local != Some(tip) {
            self.set_local(tip, local)?;
        }
        Ok(())
    }

    /// Returns the commits, the oldest first, as far as this repository knows them.
    ///
    /// # Errors
    /// A commit is missing or is not one of a chain.
    pub fn links(&self) -> Result<Vec<Link>, ChainError> {
        let Some(tip) = self.tip(&self.local_ref())? else { return Ok(Vec::new()) };
        let commits = self.walk(tip, None)?;
        commits.into_iter().map(|commit| self.link(commit)).collect()
    }

    /// Appends a commit and pushes it, with all that could not be pushed before.
    ///
    /// # Errors
    /// The commit can't be made or signed. A signed commit must get to the remote; any other one stays
    /// pending if it does not.
    pub fn append(&self, summary: &str, text: &str, signing: Signing) -> Result<Appended, ChainError> {
        let mut made: Option<Oid> = None;
        for _ in 0..ATTEMPTS {
            if let Err(error) = self.fetch() {
                if signing == Signing::WithUserKey {
                    return Err(error);
                }
                let commit = match made {
                    Some(commit) => commit,
                    None => self.commit(summary, text, signing)?,
                };
                return Ok(Appended::Pending(commit.to_string(), error));
            }
            // A fetch has put the commit of a former attempt after those of the others.
            let commit = match (made, signing) {
                (Some(_), Signing::None) => self.tip(&self.local_ref())?,
                _ => None,
            };
            let commit = match commit {
                Some(commit) => commit,
                None => self.commit(summary, text, signing)?,
            };
            made = Some(commit);
            match self.push() {
                Ok(true) => return Ok(Appended::Shared(commit.to_string())),
                Ok(false) if signing == Signing::WithUserKey => self.drop_last(commit)?,
                Ok(false) => {}
                Err(error) if signing == Signing::WithUserKey => {
                    self.drop_last(commit)?;
                    return Err(error);
                }
                Err(error) => return Ok(Appended::Pending(commit.to_string(), error)),
            }
        }
        let busy =
            ChainError::Busy { remote: self.remote.clone().unwrap_or_default(), branch: self.name.clone() };
        match made {
            Some(commit) if signing == Signing::None => Ok(Appended::Pending(commit.to_string(), busy)),
            _ => Err(busy),
        }
    }

    /// Returns who signed a commit, if it is someone in the file of allowed signers and the signature is
    /// valid.
    ///
    /// # Errors
    /// git can't be run.
    pub fn signer(&self, commit: &str, allowed_signers: &Path) -> Result<Option<Signer>, ChainError> {
        let file = format!("gpg.ssh.allowedSignersFile={}", allowed_signers.display());
        let words = ["-c", &file, "log", "-1", "--format=%G?%n%GS%n%GF", commit];
        let output = self.program().run(self.repository.dirs(), &words)?;
        let output = String::from_utf8_lossy(&output);
        let mut lines = output.lines();
        let (status, principal, key) = (lines.next(), lines.next(), lines.next());
        Ok(match (status, principal, key) {
            // Of another kind of key, the file of allowed signers says nothing.
            (Some("G"), Some(principal), Some(key)) if !principal.is_empty() && key.starts_with(SSH_KEY) => {
                Some(Signer { principal: principal.to_owned(), key: key.to_owned() })
            }
            _ => None,
        })
    }

    /// Returns who the user is by the key of their git configuration, if it is in the file of allowed signers. The
    /// commit that is signed for this belongs to no chain.
    ///
    /// # Errors
    /// Nothing can be signed, or git can't be run.
    pub fn own_signer(&self, allowed_signers: &Path) -> Result<Option<Signer>, ChainError> {
        let tree = self.tree("")?;
        let commit = self.signed_commit(tree, None, &self.name)?;
        self.signer(&commit.to_string(), allowed_signers)
    }

    /// Makes a commit after the last one of the local chain.
    fn commit(&self, summary: &str, text: &str, signing: Signing) -> Result<Oid, ChainError> {
        // CI systems skip a push whose last message says so.
        let message = format!("{summary}\n\n[skip ci]\n");
        loop {
            let parent = self.tip(&self.local_ref())?;
            let tree = self.tree(text)?;
            let commit = match signing {
                Signing::None => self.plain_commit(tree, parent, &message)?,
                Signing::WithUserKey => self.signed_commit(tree, parent, &message)?,
            };
            match self.set_local(commit, parent) {
                // Another process of this machine was faster.
                Err(GitError::Object { source, .. }) if is_race(&source) => {}
                set => {
                    set?;
                    return Ok(commit);
                }
            }
        }
    }

    fn tree(&self, text: &str) -> Result<Oid, GitError> {
        let inner = self.repository.lock();
        let failed = || GitError::object("write a record of", &self.name);
        let blob = inner.blob(text.as_bytes()).map_err(failed())?;
        let mut tree = inner.treebuilder(None).map_err(failed())?;
        tree.insert(FILE, blob, 0o100_644).map_err(failed())?;
        tree.write().map_err(failed())
    }

    fn plain_commit(&self, tree: Oid, parent: Option<Oid>, message: &str) -> Result<Oid, GitError> {
        let inner = self.repository.lock();
        let failed = || GitError::object("write a record of", &self.name);
        let author = inner.signature().or_else(|_| git2::Signature::now("xtask", "xtask@localhost"));
        let author = author.map_err(failed())?;
        let tree = inner.find_tree(tree).map_err(failed())?;
        let parent = parent.map(|parent| inner.find_commit(parent)).transpose().map_err(failed())?;
        let parents: Vec<_> = parent.iter().collect();
        inner.commit(None, &author, &author, message, &tree, &parents).map_err(failed())
    }

    fn signed_commit(&self, tree: Oid, parent: Option<Oid>, message: &str) -> Result<Oid, ChainError> {
        let (tree, parent) = (tree.to_string(), parent.map(|parent| parent.to_string()));
        let mut words = vec!["commit-tree", &tree, "-S", "-m", message.trim_end()];
        if let Some(parent) = &parent {
            words.extend(["-p", parent]);
        }
        let output = self.program().run(self.repository.dirs(), &words).map_err(|error| match error {
            GitError::Program { message, .. } => ChainError::Sign(last_line(&message)),
            error => error.into(),
        })?;
        let id = String::from_utf8_lossy(&output);
        let id = Oid::from_str(id.trim()).map_err(GitError::object("sign a record of", &self.name))?;
        Ok(id)
    }

    /// Copies a commit to another parent.
    fn copy(&self, commit: Oid, parent: Oid) -> Result<Oid, GitError> {
        let inner = self.repository.lock();
        let failed = || GitError::object("copy", &commit);
        let commit = inner.find_commit(commit).map_err(failed())?;
        let parent = inner.find_commit(parent).map_err(failed())?;
        let tree = commit.tree().map_err(failed())?;
        let message = commit.message().unwrap_or_default();
        let (author, committer) = (commit.author(), commit.committer());
        inner.commit(None, &author, &committer, message, &tree, &[&parent]).map_err(failed())
    }

    /// Pushes the local chain. Returns `false` if the remote has commits that are missing here.
    fn push(&self) -> Result<bool, ChainError> {
        let Some(remote) = &self.remote else { return Ok(true) };
        let refspec = format!("{}:{}", self.local_ref(), self.branch());
        let Err(error) = self.transfer(&["push", "--quiet", "--no-verify", remote, &refspec]) else {
            if let Some(tip) = self.tip(&self.local_ref())? {
                let inner = self.repository.lock();
                let set = inner.reference(&self.remote_ref(), tip, true, "pushed");
                set.map_err(GitError::object("set", &self.remote_ref()))?;
            }
            return Ok(true);
        };
        let message = error.to_string();
        let is_behind = ["fetch first", "non-fast-forward", "but expected", "reference already exists"]
            .iter()
            .any(|sign| message.contains(sign));
        if is_behind { Ok(false) } else { Err(self.refusal(remote, &message)) }
    }

    /// Returns what git's message about a failed transfer means.
    fn refusal(&self, remote: &str, message: &str) -> ChainError {
        let remote = remote.to_owned();
        let says = |signs: &[&str]| signs.iter().any(|sign| message.contains(sign));
        if says(&[".lock': File exists"]) {
            let line = message.lines().find(|line| line.contains(".lock'")).unwrap_or(message);
            return ChainError::StaleLock { remote, message: line.trim().to_owned() };
        }
        let said = last_line(message);
        if says(&[
            "remote rejected",
            "protected branch",
            "hook declined",
            "denied",
            "read-only",
            "not allowed",
        ]) && !says(&["(publickey", "Authentication failed"])
        {
            return ChainError::Refused { remote, branch: self.name.clone(), message: said };
        }
        ChainError::Unreachable { remote, message: said }
    }

    /// Forgets the last commit of the local chain. Earlier ones that the remote lacks stay pending.
    fn drop_last(&self, commit: Oid) -> Result<(), GitError> {
        let inner = self.repository.lock();
        let found = inner.find_commit(commit).map_err(GitError::object("read", &commit))?;
        let parent = found.parent_ids().next();
        drop(found);
        drop(inner);
        if let Some(parent) = parent {
            return self.set_local(parent, Some(commit));
        }
        let inner = self.repository.lock();
        let reference = inner.find_reference(&self.local_ref());
        let deleted = reference.and_then(|mut reference| reference.delete());
        deleted.map_err(GitError::object("delete", &self.local_ref()))
    }

    /// Returns the commits that the remote is not known to have, the oldest first.
    fn pending(&self) -> Result<Vec<Oid>, GitError> {
        let Some(local) = self.tip(&self.local_ref())? else { return Ok(Vec::new()) };
        self.walk(local, self.tip(&self.remote_ref())?)
    }

    fn walk(&self, tip: Oid, hidden: Option<Oid>) -> Result<Vec<Oid>, GitError> {
        let inner = self.repository.lock();
        let failed = || GitError::object("read", &self.name);
        let mut walk = inner.revwalk().map_err(failed())?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE).map_err(failed())?;
        walk.push(tip).map_err(failed())?;
        if let Some(hidden) = hidden {
            walk.hide(hidden).map_err(failed())?;
        }
        walk.collect::<Result<_, _>>().map_err(failed())
    }

    fn link(&self, commit: Oid) -> Result<Link, ChainError> {
        let inner = self.repository.lock();
        let failed = || GitError::object("read the record of", &commit);
        let tree = inner.find_commit(commit).and_then(|commit| commit.tree()).map_err(failed())?;
        let entry = tree.get_name(FILE).map(|entry| entry.id());
        let entry = entry.ok_or_else(|| git2::Error::from_str("it has no file record.json"));
        let blob = entry.and_then(|id| inner.find_blob(id)).map_err(failed())?;
        let text = String::from_utf8_lossy(blob.content()).into_owned();
        Ok(Link { commit: commit.to_string(), text })
    }

    fn tip(&self, reference: &str) -> Result<Option<Oid>, GitError> {
        match self.repository.lock().refname_to_id(reference) {
            Ok(tip) => Ok(Some(tip)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(GitError::object("read", &reference)(error)),
        }
    }

    /// Moves the local chain from `from` to `to`.
    fn set_local(&self, to: Oid, from: Option<Oid>) -> Result<(), GitError> {
        let name = self.local_ref();
        let mut tries = 0;
        loop {
            match self.try_set_local(&name, to, from) {
                Err(error) if error.code() == ErrorCode::Locked && tries < 2 * LOCK_TRIES => {}
                set => return set.map_err(GitError::object("set", &name)),
            }
            tries += 1;
            if tries == LOCK_TRIES {
                // A process that was killed while it set the ref has left its lock: nobody holds it for so long.
                let lock = self.repository.common_dir().join(format!("{name}.lock"));
                // Another process may have removed it.
                let _ = fs::remove_file(lock);
            }
            thread::sleep(LOCK_WAIT);
        }
    }

    fn try_set_local(&self, name: &str, to: Oid, from: Option<Oid>) -> Result<(), git2::Error> {
        let inner = self.repository.lock();
        let set = match from {
            Some(from) => inner.reference_matching(name, to, true, from, "record"),
            None => inner.reference(name, to, false, "record"),
        };
        set.map(|_| ())
    }

    fn transfer(&self, words: &[&str]) -> Result<(), GitError> {
        self.program().transfer(self.repository.dirs(), words, TRANSFER).map(drop)
    }

    fn program(&self) -> &GitProgram {
        self.repository.program()
    }
}

/// Returns whether a ref was not set because another process has set it meanwhile.
fn is_race(error: &git2::Error) -> bool {
    matches!(error.code(), ErrorCode::Modified | ErrorCode::Exists)
}

/// Returns the last line of a message of git that says something.
fn last_line(message: &str) -> String {
    let noise = [
        "hint:",
        "error: failed to push some refs",
        "Please make sure you have the correct access rights",
        "and the repository exists.",
    ];
    let is_said = |line: &&str| !line.is_empty() && !noise.iter().any(|noise| line.starts_with(noise));
    message.lines().map(str::trim).rev().find(is_said).unwrap_or(message.trim()).to_owned()
}
