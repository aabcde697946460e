//! What loading a config asked of a tree of files, and what the tree answered. Loading is a pure function of
//! these answers, so the same answers give the same config. It must not know what the files say.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

use crate::base::digest::{Digest, FieldHasher};
use crate::base::path::RepoPath;
use crate::config::load::tree::{ConfigTree, TreeEntry};

/// A question that a tree was asked, with the digest of its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    question: Question,
    digest: [u8; Digest::LEN],
}

/// A question about a path; see the methods of [`ConfigTree`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Question {
    List(RepoPath),
    Link(RepoPath),
    Read(RepoPath),
}

/// A tree that notes what it was asked.
pub(crate) struct RecordingTree<'t, L> {
    tree: &'t L,
    answers: RefCell<Vec<Answer>>,
}

impl<'t, L> RecordingTree<'t, L> {
    pub(crate) fn new(tree: &'t L) -> Self {
        Self { tree, answers: RefCell::default() }
    }

    /// Returns all answers, in the order of the questions.
    pub(crate) fn into_answers(self) -> Vec<Answer> {
        self.answers.into_inner()
    }

    fn note(&self, question: Question, digest: Digest) {
        self.answers.borrow_mut().push(Answer { question, digest: *digest.bytes() });
    }
}

impl<L: ConfigTree> ConfigTree for RecordingTree<'_, L> {
    type Error = L::Error;

    fn list(&self, folder: &RepoPath) -> Result<Vec<TreeEntry>, L::Error> {
        let entries = self.tree.list(folder)?;
        self.note(Question::List(folder.clone()), list_digest(&entries));
        Ok(entries)
    }

    fn link(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, L::Error> {
        let target = self.tree.link(path)?;
        self.note(Question::Link(path.clone()), optional_digest(target.as_deref()));
        Ok(target)
    }

    fn read(&self, path: &RepoPath) -> Result<Option<String>, L::Error> {
        let text = self.tree.read(path)?;
        self.note(Question::Read(path.clone()), optional_digest(text.as_deref().map(str::as_bytes)));
        Ok(text)
    }

    fn read_beside(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, L::Error> {
        // Files of variables are read each time, since their values may be secrets.
        self.tree.read_beside(path)
    }

    fn name(&self, path: &RepoPath) -> String {
        self.tree.name(path)
    }
}

/// Asks a tree the same questions. Returns the texts that it read, in order; `None` if an answer differs or
/// can't be had.
pub(crate) fn texts_if_same<L: ConfigTree>(tree: &L, answers: &[Answer]) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    for Answer { question, digest } in answers {
        let now = match question {
            Question::List(folder) => list_digest(&tree.list(folder).ok()?),
            Question::Link(path) => optional_digest(tree.link(path).ok()?.as_deref()),
            Question::Read(path) => {
                let text = tree.read(path).ok()?;
                let digest = optional_digest(text.as_deref().map(str::as_bytes));
                texts.extend(text);
                digest
            }
        };
        if now.bytes() != digest {
            return None;
        }
    }
    Some(texts)
}

fn list_digest(entries: &[TreeEntry]) -> Digest {
    let mut fields = FieldHasher::new("list");
    for TreeEntry { path, is_folder } in entries {
        fields.add(path.bytes()).number(u64::from(*is_folder));
    }
    fields.digest()
}

fn optional_digest(bytes: Option<&[u8]>) -> Digest {
    let mut fields = FieldHasher::new(if bytes.is_some() { "some" } else { "none" });
    fields.add(bytes.unwrap_or_default()).digest()
}
