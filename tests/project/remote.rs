//! A bare repository that the project pushes to, with the gate as a git hook.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};

use super::{CommandOutput, Project};

impl Project {
    /// Creates a project with this tasks.toml, a remote `origin`, and the gate as a hook at these stages. The
    /// first commit is not pushed yet.
    pub(crate) fn with_gate(tasks: &str, stages: &[&str]) -> Self {
        Self::new(tasks).with_remote(stages)
    }

    /// Creates the same with gates that always run their tasks in private worktrees.
    pub(crate) fn with_gate_in_private_worktree(tasks: &str) -> Self {
        Self::with_private_gates(tasks).with_remote(&["pre-push"])
    }

    fn with_remote(self, stages: &[&str]) -> Self {
        let bare = self.bare();
        self.git(&["init", "-q", "--bare", bare.to_str().unwrap()]);
        self.git(&["remote", "add", "origin", bare.to_str().unwrap()]);
        for stage in stages {
            self.hook(stage);
        }
        self
    }

    /// Creates the remote `origin` and pushes the branch `main` to it.
    pub(crate) fn publish(&self) -> &Self {
        let bare = self.bare();
        self.git(&["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()]);
        self.git(&["remote", "add", "origin", bare.to_str().unwrap()]);
        self.git(&["push", "-q", "origin", "main"]);
        self
    }

    /// Clones the remote as another project.
    pub(crate) fn clone_remote(&self) -> Self {
        let project = Self::without_git("");
        fs::remove_dir_all(project.root()).unwrap();
        let (bare, root) = (self.bare(), project.root());
        self.git(&["clone", "-q", bare.to_str().unwrap(), root.to_str().unwrap()]);
        project
    }

    /// Returns the path of the remote repository.
    pub(crate) fn bare(&self) -> PathBuf {
        self.parent_folder().join("bare.git")
    }

    /// Installs a git hook that calls the gate, as `hooks install` does.
    pub(crate) fn hook(&self, stage: &str) {
        let path = self.path(".git/hooks").join(stage);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = format!("#!/bin/sh\nexec '{}' hook {stage} \"$@\"\n", env!("CARGO_BIN_EXE_xtask"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Returns the command `git push` with these arguments, so that a test can change it before it runs.
    pub(crate) fn push_command(&self, args: &[&str]) -> Command {
        let mut command = self.command("git");
        command.arg("push").args(args);
        command
    }

    /// Pushes to the remote.
    pub(crate) fn push(&self, refs: &[&str]) -> CommandOutput {
        let output = self.push_command(&["origin"]).args(refs).output().unwrap();
        CommandOutput::new(&format!("git push origin {}", refs.join(" ")), output)
    }

    /// Starts a push in a process group of its own. Its standard error is appended to the file `err` in
    /// [`Self::parent_folder`].
    pub(crate) fn start_push(&self, refs: &[&str]) -> Child {
        use std::os::unix::process::CommandExt as _;
        let err =
            fs::File::options().create(true).append(true).open(self.parent_folder().join("err")).unwrap();
        let mut command = self.push_command(&["origin"]);
        command.args(refs).process_group(0).stderr(err).spawn().unwrap()
    }

    /// Returns the commit id of a ref of the remote, or `None` if it has no such ref.
    pub(crate) fn remote(&self, name: &str) -> Option<String> {
        let bare = self.bare();
        let args = ["--git-dir", bare.to_str().unwrap(), "rev-parse", "-q", "--verify", name];
        let output = self.command("git").args(args).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
    }

    /// Returns everything that a gate must not change: status, stash, index, config, HEAD, branches and
    /// worktrees.
    pub(crate) fn git_state(&self) -> String {
        let read = |path: &str| {
            let bytes = fs::read(self.path(path)).unwrap_or_default();
            bytes.escape_ascii().to_string()
        };
        [
            self.git(&["--no-optional-locks", "status", "--porcelain=v2", "--untracked-files=all"]),
            self.git(&["stash", "list"]),
            read(".git/index"),
            read(".git/config"),
            read(".git/HEAD"),
            self.git(&["for-each-ref", "refs/heads", "refs/tags", "refs/stash"]),
            self.git(&["worktree", "list", "--porcelain"]),
        ]
        .join("\n")
    }
}
