//! The hooks of git that run on the side of the person who commits and pushes. It must not know what runs in
//! a hook.

use serde::{Deserialize, Serialize};

/// A client-side hook, by git's name for it; see `githooks(5)`. `fsmonitor-watchman` and the `p4-*` hooks are
/// not included, since they answer questions of git, nor are the hooks of a server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Stage {
    index: usize,
}

/// A row of the table of stages.
struct StageInfo {
    name: &'static str,
    reads_stdin: bool,
}

const fn stage(name: &'static str) -> StageInfo {
    StageInfo { name, reads_stdin: false }
}

const fn stage_with_stdin(name: &'static str) -> StageInfo {
    StageInfo { name, reads_stdin: true }
}

const STAGES: [StageInfo; 17] = [
    stage("applypatch-msg"),
    stage("pre-applypatch"),
    stage("post-applypatch"),
    stage("pre-commit"),
    stage("pre-merge-commit"),
    stage("prepare-commit-msg"),
    stage("commit-msg"),
    stage("post-commit"),
    stage("pre-rebase"),
    stage("post-checkout"),
    stage("post-merge"),
    stage_with_stdin("pre-push"),
    stage_with_stdin("post-rewrite"),
    stage_with_stdin("reference-transaction"),
    stage("sendemail-validate"),
    stage("pre-auto-gc"),
    stage("post-index-change"),
];

impl Stage {
    /// Runs before the pushed commits are sent.
    pub const PRE_PUSH: Self = Self { index: 11 };
    /// Runs before a commit is made.
    pub const PRE_COMMIT: Self = Self { index: 3 };
    /// Runs before the commit of a merge is made.
    pub const PRE_MERGE_COMMIT: Self = Self { index: 4 };

    /// Returns all stages.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        (0..STAGES.len()).map(|place| Self { index: place })
    }

    /// Returns the stage with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|stage| stage.name() == name)
    }

    /// Returns git's name for it, which is the name of the hook's file.
    pub fn name(self) -> &'static str {
        STAGES[self.index].name
    }

    /// Returns whether git writes to the hook's standard input.
    pub fn reads_stdin(self) -> bool {
        STAGES[self.index].reads_stdin
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_have_the_names_of_their_hooks() {
        for (stage, name) in [
            (Stage::PRE_PUSH, "pre-push"),
            (Stage::PRE_COMMIT, "pre-commit"),
            (Stage::PRE_MERGE_COMMIT, "pre-merge-commit"),
        ] {
            assert_eq!(Stage::parse(name), Some(stage));
        }
        assert!(Stage::PRE_PUSH.reads_stdin() && !Stage::PRE_COMMIT.reads_stdin());
        assert_eq!(Stage::parse("update"), None);
    }
}
