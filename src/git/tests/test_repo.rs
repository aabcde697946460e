//! Real git repositories in temporary folders, for tests.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::base::env::Env;
use crate::base::path::RepoPath;
use crate::base::stat::Moment;
use crate::git::snapshot::Snapshot;
use crate::git::{Repository, WorkTreeReader};

impl Repository {
    /// Returns the snapshot of the staged tree.
    pub(crate) fn staged_snapshot(&self) -> Snapshot {
        self.commit_snapshot(&self.staged_tree(None).unwrap(), &[]).unwrap()
    }
}

/// A repository in a temporary folder. The configuration of this machine does not affect it.
pub(crate) struct TestRepo {
    folder: tempfile::TempDir,
    pub(crate) dir: PathBuf,
}

impl TestRepo {
    /// Creates an empty repository.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().canonicalize().unwrap().join("repo");
        std::fs::create_dir(&dir).unwrap();
        let repo = Self { folder, dir };
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo
    }

    /// Creates a repository with these files and commits them. All files are older than the index.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let repo = Self::new();
        for (path, text) in files {
            repo.write(path, text);
        }
        repo.commit();
        repo
    }

    /// Returns the folder that contains the repository's folder.
    pub(crate) fn outside(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.join(".git/xtask")
    }

    /// Returns a folder for private worktrees.
    pub(crate) fn pool(&self) -> PathBuf {
        self.outside().join("pool")
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    pub(crate) fn env(&self) -> Env {
        let home = self.outside();
        let vars = [("HOME", home.as_os_str()), ("PATH", OsStr::new(path_variable()))];
        let vars = vars.map(|(name, value)| (OsString::from(name), value.to_owned()));
        Env::new(vars, self.dir.clone())
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn chmod(&self, path: &str, mode: u32) {
        std::fs::set_permissions(self.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        Self::git_in(&self.dir, args, &[])
    }

    pub(crate) fn git_in(dir: &Path, args: &[&str], vars: &[(&str, &OsStr)]) -> String {
        let output = git_command(dir).args(args).envs(vars.iter().copied()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Stages and commits everything, and waits until the index is newer than all files.
    pub(crate) fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message=x"]);
        self.settle();
    }

    /// Waits for the next tick of the file system's clock, and makes git write the index again.
    pub(crate) fn settle(&self) {
        self.next_tick();
        // Git reads a file again if its time is equal to that of the index.
        self.git(&["update-index", "-q", "--refresh", "--force-write-index"]);
        self.next_tick();
    }

    /// Waits until a file that is written now is newer than all others.
    pub(crate) fn next_tick(&self) {
        let start = Moment::now(&self.dir).unwrap().time;
        while Moment::now(&self.dir).unwrap().time == start {
            std::thread::yield_now();
        }
    }

    pub(crate) fn repository(&self) -> Repository {
        Repository::discover(&self.dir, &self.env()).unwrap().unwrap()
    }

    pub(crate) fn reader(&self) -> WorkTreeReader {
        WorkTreeReader::open(&self.repository(), Some(&self.state())).unwrap()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.reader().snapshot().unwrap()
    }

    /// Returns the tree that git itself writes for the work tree, without changing the index.
    pub(crate) fn tree_by_git(&self) -> String {
        let index = self.outside().join("index");
        // Git compares the times of files with that of the index, so the copy gets the same time.
        let original = self.path(".git/index");
        if let Ok(meta) = std::fs::metadata(&original) {
            std::fs::copy(&original, &index).unwrap();
            let copy = std::fs::File::options().append(true).open(&index).unwrap();
            copy.set_modified(meta.modified().unwrap()).unwrap();
        }
        let vars = [("GIT_INDEX_FILE", index.as_os_str())];
        Self::git_in(&self.dir, &["add", "--all"], &vars);
        let tree = Self::git_in(&self.dir, &["write-tree"], &vars);
        let _ = std::fs::remove_file(index);
        tree
    }
}

/// Returns a git command that ignores the configuration of this machine.
pub(crate) fn git_command(dir: &Path) -> Command {
    #[expect(clippy::disallowed_methods, reason = "tests start git themselves")]
    let mut command = Command::new("git");
    command.env_clear().env("PATH", path_variable()).current_dir(dir);
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_AUTHOR_NAME", "a"),
        ("GIT_AUTHOR_EMAIL", "a@example.com"),
        ("GIT_COMMITTER_NAME", "a"),
        ("GIT_COMMITTER_EMAIL", "a@example.com"),
    ] {
        command.env(name, value);
    }
    command.args(["-c", "protocol.file.allow=always"]);
    command
}

fn path_variable() -> &'static str {
    static PATH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PATH.get_or_init(|| {
        let env = Env::capture().unwrap();
        env.var("PATH").unwrap().to_str().unwrap().to_owned()
    })
}

/// Returns the paths of a snapshot.
pub(crate) fn paths(snapshot: &Snapshot) -> Vec<String> {
    snapshot.entries().iter().map(|entry| entry.path.to_string()).collect()
}

/// Returns the path with this text.
pub(crate) fn path(text: &str) -> RepoPath {
    RepoPath::from_git(text.as_bytes())
}

/// Returns these bytes, which need not be UTF-8, as a text of the operating system.
pub(crate) fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}
