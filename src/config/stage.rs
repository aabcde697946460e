//! The hooks of git that run on the side of the person who commits and pushes. It must not know what runs in
//! a hook.

/// A client-side hook, by git's name for it; see `githooks(5)`. `fsmonitor-watchman` and the `p4-*` hooks are
/// not included, since they answer questions of git, nor are the hooks of a server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Stage {
    place: usize,
}

/// A row of the table of stages.
struct Row {
    name: &'static str,
    reads_stdin: bool,
}

const fn row(name: &'static str) -> Row {
    Row { name, reads_stdin: false }
}

const fn reading(name: &'static str) -> Row {
    Row { name, reads_stdin: true }
}

const ROWS: [Row; 17] = [
    row("applypatch-msg"),
    row("pre-applypatch"),
    row("post-applypatch"),
    row("pre-commit"),
    row("pre-merge-commit"),
    row("prepare-commit-msg"),
    row("commit-msg"),
    row("post-commit"),
    row("pre-rebase"),
    row("post-checkout"),
    row("post-merge"),
    reading("pre-push"),
    reading("post-rewrite"),
    reading("reference-transaction"),
    row("sendemail-validate"),
    row("pre-auto-gc"),
    row("post-index-change"),
];

impl Stage {
    /// Runs before the pushed commits are sent.
    pub const PRE_PUSH: Self = Self { place: 11 };
    /// Runs before a commit is made.
    pub const PRE_COMMIT: Self = Self { place: 3 };
    /// Runs before the commit of a merge is made.
    pub const PRE_MERGE_COMMIT: Self = Self { place: 4 };

    /// Returns all stages.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        (0..ROWS.len()).map(|place| Self { place })
    }

    /// Returns the stage with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|stage| stage.name() == name)
    }

    /// Returns git's name for it, which is the name of the hook's file.
    pub fn name(self) -> &'static str {
        ROWS[self.place].name
    }

    /// Returns whether git writes to the hook's standard input.
    pub fn reads_stdin(self) -> bool {
        ROWS[self.place].reads_stdin
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
