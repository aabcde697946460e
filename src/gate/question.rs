//! The questions that are asked of a gate: one for each distinct tree. It must not know the answers.

use crate::config::stage::Stage;
use crate::gate::push::Pushed;
use crate::git::{Commit, GitError, Repository};

/// May this tree pass this stage?
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// What the tree is called in messages: its commit's short id, or `index`.
    pub what: String,
    /// The tree.
    pub tree: String,
    /// The commit that the worktree's HEAD is to name; `None` before the first one.
    pub commit: Option<String>,
    /// The refs whose push waits for the answer.
    pub refs: Vec<String>,
    /// The stages whose tasks are asked for; the first that tasks.toml names counts.
    pub stages: Vec<Stage>,
}

impl Question {
    /// About a commit, as a push asks.
    pub fn of_commit(commit: &Commit) -> Self {
        Self {
            what: short(&commit.id),
            tree: commit.tree.clone(),
            commit: Some(commit.id.clone()),
            refs: Vec::new(),
            stages: vec![Stage::PRE_PUSH],
        }
    }

    /// About what is staged, whose tree is `tree`, on top of `head`.
    pub fn of_index(tree: String, head: Option<&Commit>, stages: Vec<Stage>) -> Self {
        let commit = head.map(|commit| commit.id.clone());
        Self { what: INDEX.to_owned(), tree, commit, refs: Vec::new(), stages }
    }

    /// Whether it is about what is staged.
    pub fn is_staged(&self) -> bool {
        self.what == INDEX
    }
}

/// What the staged tree is called.
const INDEX: &str = "index";

/// What a push asks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// One question for each distinct tree, in the order of the refs.
    pub questions: Vec<Question>,
    /// Refs that lead to no commit, so that there is nothing to run.
    pub without_commit: Vec<String>,
}

/// The questions that follow from what is pushed. Deletions ask nothing.
///
/// # Errors
/// An object can't be read.
pub fn of_push(repository: &Repository, pushed: &[Pushed]) -> Result<Asked, GitError> {
    let mut asked = Asked::default();
    for reference in pushed.iter().filter(|reference| !reference.is_deletion()) {
        let name = reference.remote_ref.clone();
        let Some(commit) = repository.peel(&reference.id)? else {
            asked.without_commit.push(name);
            continue;
        };
        match asked.questions.iter_mut().find(|question| question.tree == commit.tree) {
            Some(question) => question.refs.push(name),
            None => asked.questions.push(Question { refs: vec![name], ..Question::of_commit(&commit) }),
        }
    }
    Ok(asked)
}

/// The digits of an id that people read.
fn short(id: &str) -> String {
    id.chars().take(7).collect()
}
