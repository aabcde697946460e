//! A task for the hooks of pre-commit. It must not know which hooks there are.

use crate::init::proposals::{Candidate, Proposals, TaskKind};
use crate::init::survey::Folder;

const FILE: &str = ".pre-commit-config.yaml";

/// Adds a task that runs the hooks.
pub(super) fn propose(folder: &Folder, found: &mut Proposals) {
    // pre-commit only looks for its file at the top.
    if !folder.is_top() || !folder.has(FILE) {
        return;
    }
    let tool = found.tool(folder, "pre-commit", "pre-commit --version");
    found.pass_env.insert("?PRE_COMMIT_HOME".to_owned());
    found.add(Candidate {
        about: "Run the hooks of pre-commit".to_owned(),
        run: "pre-commit run --all-files --show-diff-on-failure".to_owned(),
        tools: vec![tool],
        programs: vec!["pre-commit".to_owned()],
        // Many hooks fix what they find.
        rewrites: true,
        remark: Some("Checks all files, not only the staged ones.".to_owned()),
        ..Candidate::new(folder, FILE, "pre-commit", TaskKind::Lint)
    });
}
