//! The questions that a gate answers, one for each distinct tree. This module does not know the answers.

use crate::config::hook_stage::Stage;
use crate::gate::push::PushedRef;
use crate::git::{Commit, GitError, Repository};

/// The question whether a tree passes the tasks of a stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// What the tree is called in messages: its commit's short id, or `index`.
    pub what: String,
    /// The id of the tree.
    pub tree: String,
    /// The commit that HEAD of the private worktree is set to; `None` before the first commit.
    pub commit: Option<String>,
    /// The remote refs that are pushed if the tree passes.
    pub refs: Vec<String>,
    /// The stages to check. Only the first one for which tasks.toml names tasks is used.
    pub stages: Vec<Stage>,
    /// The tasks and groups to check; empty: those that tasks.toml names for the stage.
    pub names: Vec<String>,
}

impl Question {
    /// Creates the question about the tree of a commit, for the stage `pre-push`.
    pub fn from_commit(commit: &Commit) -> Self {
        Self {
            what: short(&commit.id),
            tree: commit.tree.clone(),
            commit: Some(commit.id.clone()),
            refs: Vec::new(),
            stages: vec![Stage::PRE_PUSH],
            names: Vec::new(),
        }
    }

    /// Creates the question whether the tree of a commit passes these tasks and groups.
    pub fn from_names(commit: &Commit, names: Vec<String>) -> Self {
        Self { names, ..Self::from_commit(commit) }
    }

    /// Creates the question about the staged tree `tree`, on top of the commit `head`.
    pub fn from_index(tree: String, head: Option<&Commit>, stages: Vec<Stage>) -> Self {
        let commit = head.map(|commit| commit.id.clone());
        Self { what: INDEX.to_owned(), tree, commit, refs: Vec::new(), stages, names: Vec::new() }
    }

    /// Returns whether the question is about the staged tree.
    pub fn is_staged(&self) -> bool {
        self.what == INDEX
    }
}

/// The name of the staged tree in messages.
const INDEX: &str = "index";

/// The questions of a push.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PushQuestions {
    /// One question for each distinct tree, in the order of the refs.
    pub questions: Vec<Question>,
    /// The remote refs whose new object is not a commit, so there is nothing to run.
    pub without_commit: Vec<String>,
}

/// Returns the questions about the pushed refs. A deleted ref needs none.
///
/// # Errors
/// Fails if an object can't be read.
pub fn questions_of_push(repository: &Repository, pushed: &[PushedRef]) -> Result<PushQuestions, GitError> {
    let mut asked = PushQuestions::default();
    for reference in pushed.iter().filter(|reference| !reference.is_deletion()) {
        let name = reference.remote_ref.clone();
        let Some(commit) = repository.peel(&reference.id)? else {
            asked.without_commit.push(name);
            continue;
        };
        match asked.questions.iter_mut().find(|question| question.tree == commit.tree) {
            Some(question) => question.refs.push(name),
            None => asked.questions.push(Question { refs: vec![name], ..Question::from_commit(&commit) }),
        }
    }
    Ok(asked)
}

/// Returns the short form of an id.
fn short(id: &str) -> String {
    id.chars().take(7).collect()
}
