//! Notes on commits: text beside the history, which git can push and fetch. It does not know the
//! meaning of the notes.

use git2::{ErrorCode, Oid};

use crate::git::error::GitError;
use crate::git::git_program::GitProgram;
use crate::git::repository::Repository;

/// The notes of one ref below `refs/notes/`.
#[derive(Clone, Copy, Debug)]
pub struct Notes<'r> {
    repository: &'r Repository,
    /// The ref's name below `refs/notes/`.
    name: &'static str,
}

/// Options with which git works if no user is configured.
const DEFAULT_USER: [&str; 4] = ["-c", "user.name=xtask", "-c", "user.email=xtask@localhost"];

/// How often notes are merged with those of the remote before the push is given up.
const ATTEMPTS: usize = 5;

impl<'r> Notes<'r> {
    /// Returns the notes of this name.
    pub fn new(repository: &'r Repository, name: &'static str) -> Self {
        Self { repository, name }
    }

    fn reference(&self) -> String {
        format!("refs/notes/{}", self.name)
    }

    /// Returns the note on a commit; `None` if there is none.
    ///
    /// # Errors
    /// The notes are damaged.
    pub fn get(&self, commit: &str) -> Result<Option<String>, GitError> {
        let inner = self.repository.lock();
        let oid = Oid::from_str(commit).map_err(GitError::object("find", &commit))?;
        match inner.find_note(Some(&self.reference()), oid) {
            Ok(note) => Ok(Some(String::from_utf8_lossy(note.message_bytes()).into_owned())),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(GitError::object("read the note on", &commit)(error)),
        }
    }

    /// Sets the note on a commit, and replaces an existing one.
    ///
    /// # Errors
    /// The note can't be written.
    pub fn set(&self, commit: &str, text: &str) -> Result<(), GitError> {
        let inner = self.repository.lock();
        let oid = Oid::from_str(commit).map_err(GitError::object("find", &commit))?;
        let author = inner.signature().or_else(|_| git2::Signature::now("xtask", "xtask@localhost"));
        let author = author.map_err(GitError::object("sign the note on", &commit))?;
        let name = self.reference();
        let noted = inner.note(&author, &author, Some(&name), oid, text, true);
        noted.map(|_| ()).map_err(GitError::object("note on", &commit))
    }

    /// Merges the notes of a remote into the local ones: lines of both are kept.
    ///
    /// # Errors
    /// The remote can't be reached.
    pub fn fetch(&self, remote: &str) -> Result<(), GitError> {
        let (own, theirs) = (self.reference(), format!("{}-of-remote", self.reference()));
        let git = |words: &[&str]| self.program().run(self.repository.dirs(), words);
        if git(&["ls-remote", remote, &own])?.is_empty() {
            return Ok(());
        }
        git(&["fetch", "--quiet", "--no-write-fetch-head", remote, &format!("+{own}:{theirs}")])?;
        let merge = ["notes", "--ref", self.name, "merge", "--quiet", "--strategy", "cat_sort_uniq", &theirs];
        // The author of the merge does not matter, but git requires one.
        let words: Vec<&str> = DEFAULT_USER.iter().copied().chain(merge).collect();
        git(&words)?;
        git(&["update-ref", "-d", &theirs])?;
        Ok(())
    }

    /// Pushes the local notes to a remote, merged with those that it has.
    ///
    /// # Errors
    /// The remote can't be reached, or others keep pushing to it.
    pub fn push(&self, remote: &str) -> Result<(), GitError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.fetch(remote)?;
            let own = self.reference();
            let words = ["push", "--quiet", "--no-verify", remote, &format!("{own}:{own}")];
            match self.program().run(self.repository.dirs(), &words) {
                Err(_) if attempt < ATTEMPTS => {}
                ended => return ended.map(|_| ()),
            }
        }
    }

    fn program(&self) -> &'r GitProgram {
        self.repository.program()
    }
}
