//! A bare repository beside the project that it pushes to, with the gate as pre-push hook.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};

use super::{Project, Ran};

impl Project {
    /// A project with this tasks.toml, a remote `origin`, and the gate at these stages. What is
    /// committed first is not pushed yet.
    pub(crate) fn gated(tasks: &str, stages: &[&str]) -> Self {
        let project = Self::new(tasks);
        let bare = project.bare();
        project.git(&["init", "-q", "--bare", bare.to_str().unwrap()]);
        project.git(&["remote", "add", "origin", bare.to_str().unwrap()]);
        for stage in stages {
            project.hook(stage);
        }
        project
    }

    /// Makes the remote `origin`, with the branch `main` as it is here.
    pub(crate) fn publish(&self) -> &Self {
        let bare = self.bare();
        self.git(&["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()]);
        self.git(&["remote", "add", "origin", bare.to_str().unwrap()]);
        self.git(&["push", "-q", "origin", "main"]);
        self
    }

    /// Another project: a clone of the remote.
    pub(crate) fn cloned(&self) -> Self {
        let project = Self::without_git("");
        fs::remove_dir_all(project.root()).unwrap();
        let (bare, root) = (self.bare(), project.root());
        self.git(&["clone", "-q", bare.to_str().unwrap(), root.to_str().unwrap()]);
        project
    }

    /// The remote repository.
    pub(crate) fn bare(&self) -> PathBuf {
        self.beside().join("bare.git")
    }

    /// Has git call the gate at a stage, as an installed hook does.
    pub(crate) fn hook(&self, stage: &str) {
        let path = self.path(".git/hooks").join(stage);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = format!("#!/bin/sh\nexec '{}' hook {stage} \"$@\"\n", env!("CARGO_BIN_EXE_xtask"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// `git push`, ready to be given more.
    pub(crate) fn push_command(&self, args: &[&str]) -> Command {
        let mut command = self.command("git");
        command.arg("push").args(args);
        command
    }

    /// Pushes to the remote.
    pub(crate) fn push(&self, refs: &[&str]) -> Ran {
        let output = self.push_command(&["origin"]).args(refs).output().unwrap();
        Ran::new(&format!("git push origin {}", refs.join(" ")), output)
    }

    /// Starts a push in a process group of its own, its standard error going to a file beside the
    /// repository.
    pub(crate) fn start_push(&self, refs: &[&str]) -> Child {
        use std::os::unix::process::CommandExt as _;
        let err = fs::File::options().create(true).append(true).open(self.beside().join("err")).unwrap();
        let mut command = self.push_command(&["origin"]);
        command.args(refs).process_group(0).stderr(err).spawn().unwrap()
    }

    /// The id that a ref of the remote has; `None` if it has no such ref.
    pub(crate) fn remote(&self, name: &str) -> Option<String> {
        let bare = self.bare();
        let args = ["--git-dir", bare.to_str().unwrap(), "rev-parse", "-q", "--verify", name];
        let output = self.command("git").args(args).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
    }

    /// What must be the same before and after a gate: status, stash, index, config, HEAD, branches.
    pub(crate) fn fingerprint(&self) -> String {
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
