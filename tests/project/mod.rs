//! Gives each test a repository of its own: real git, the real program, temporary folders, and only a few
//! environment variables.
//!
//! What users see is stored as a snapshot, so that a changed message shows up as a diff. A test runs the
//! program with [`Project::xtask`], checks exit statuses, files and JSON values itself, and ends with
//! `assert_screens!()`. That compares everything its runs printed, with times, ids and temporary folders
//! masked.
//!
//! After a message has changed, `INSTA_UPDATE=always cargo test -p xtask --test it` rewrites the files in
//! `snapshots/`; review the diff as a user would. Where the order of lines can vary, such as with tasks that
//! run at the same time, use `-j1`, or check the important line with [`CommandOutput::says`].

pub(crate) mod doc_page;
pub(crate) mod ports;
mod remote;
#[macro_use]
pub(crate) mod screens;
pub(crate) mod server;

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a test waits for a condition before it fails. It is never a limit on how fast the program must
/// be.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A temporary folder with a repository and a home folder.
pub(crate) struct Project {
    temp: TempDir,
    /// Whether each written tasks.toml gets `in-place = false`.
    has_private_gates: bool,
}

/// The output and the exit status of a finished process.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    /// The exit status; 128+n if signal n killed the process.
    pub(crate) status: i32,
    /// The standard output.
    pub(crate) out: String,
    /// The standard error.
    pub(crate) err: String,
}

impl Project {
    /// Creates a repository with this tasks.toml, committed.
    pub(crate) fn new(tasks: &str) -> Self {
        Self::without_git(tasks).with_repository()
    }

    /// Creates a repository whose gates always run their tasks in private worktrees.
    pub(crate) fn with_private_gates(tasks: &str) -> Self {
        Self::folder(tasks, true).with_repository()
    }

    fn with_repository(self) -> Self {
        self.git(&["init", "-q", "-b", "main"]);
        self.commit("first");
        self
    }

    /// Creates a folder with this tasks.toml, without a repository.
    pub(crate) fn without_git(tasks: &str) -> Self {
        Self::folder(tasks, false)
    }

    fn folder(tasks: &str, has_private_gates: bool) -> Self {
        let project = Self { temp: TempDir::new().unwrap(), has_private_gates };
        fs::create_dir(project.root()).unwrap();
        fs::create_dir(project.home()).unwrap();
        // When coverage is measured, a program that runs with a task's environment writes its profile into
        // its current folder. Git must ignore these files.
        if std::env::var_os("LLVM_PROFILE_FILE").is_some() {
            let ignore = project.home().join(".config/git/ignore");
            fs::create_dir_all(ignore.parent().unwrap()).unwrap();
            fs::write(ignore, "*.profraw\n").unwrap();
        }
        project.write("tasks.toml", tasks);
        project
    }

    /// Returns the top of the work tree.
    pub(crate) fn root(&self) -> PathBuf {
        // Git and the program resolve symlinks in this path.
        self.temp.path().canonicalize().unwrap().join("repo")
    }

    /// Returns the folder that contains the repository. Tests put files there that must be outside of it.
    pub(crate) fn parent_folder(&self) -> PathBuf {
        self.temp.path().canonicalize().unwrap()
    }

    /// Returns the home folder.
    pub(crate) fn home(&self) -> PathBuf {
        self.parent_folder().join("home")
    }

    /// Returns the full path of a file in the work tree.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// Returns the state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.path(".git/xtask")
    }

    /// Returns the folder of private worktrees and sandboxes, if there is one.
    pub(crate) fn pool(&self) -> Option<PathBuf> {
        let roots = [".cache", "Library/Caches"].map(|cache| self.home().join(cache).join("xtask/worktrees"));
        let entries = roots.iter().filter_map(|root| fs::read_dir(root).ok()).flatten();
        // A test may have moved the repository, so the owner is compared.
        let owned = |pool: &PathBuf| {
            let owner = fs::read_to_string(pool.join("repository")).unwrap_or_default();
            Path::new(&owner) == self.path(".git")
        };
        entries.map(|entry| entry.unwrap().path()).find(owned)
    }

    /// Returns the names of the private worktrees, sorted.
    pub(crate) fn worktrees(&self) -> Vec<String> {
        let entries = self.pool().map(|pool| fs::read_dir(pool).unwrap());
        let names =
            entries.into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("gate-")).collect();
        names.sort();
        names
    }

    /// Returns the first private worktree.
    pub(crate) fn worktree(&self) -> PathBuf {
        self.pool().unwrap().join("gate-1")
    }

    /// Returns how many files and folders are left in the folder of sandboxes.
    pub(crate) fn sandboxes(&self) -> usize {
        self.pool().map_or(0, |pool| fs::read_dir(pool.join("sandboxes")).map_or(0, Iterator::count))
    }

    /// Writes a file and creates the folders above it. A tasks.toml can be an indented raw string.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match str::from_utf8(text.as_ref()) {
            Ok(text) if path.ends_with("tasks.toml") => {
                let text = unindent(text);
                let text = if self.has_private_gates { private_gates(&text) } else { text };
                fs::write(path, text).unwrap();
            }
            _ => fs::write(path, text).unwrap(),
        }
        self
    }

    /// Reads a file.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Sets permission bits.
    pub(crate) fn chmod(&self, path: &str, mode: u32) -> &Self {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Commits all changes in the work tree, even if there are none.
    pub(crate) fn commit(&self, message: &str) -> &Self {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self
    }

    /// Runs git, which must succeed. Returns its output without the last line end.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let output = self.command("git").args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Returns a command that runs in the work tree with only a few environment variables.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.root()).env_clear().stdin(Stdio::null());
        // `LLVM_PROFILE_FILE` says where a program writes its coverage data, also when git runs it as a hook.
        for name in ["PATH", "CARGO_HOME", "RUSTUP_HOME", "TMPDIR", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", self.home())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@example.com")
            .env("GIT_COMMITTER_NAME", "A")
            .env("GIT_COMMITTER_EMAIL", "a@example.com");
        command
    }

    /// Returns the command of the program, so that a test can change it before it runs.
    pub(crate) fn xtask_command(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_xtask"));
        command.args(args);
        command
    }

    /// Runs the program until it ends.
    pub(crate) fn xtask(&self, args: &[&str]) -> CommandOutput {
        self.xtask_env(args, &[])
    }

    /// Runs the program with these additional variables until it ends.
    pub(crate) fn xtask_env(&self, args: &[&str], vars: &[(&str, &str)]) -> CommandOutput {
        let output = self.xtask_command(args).envs(vars.iter().copied()).output().unwrap();
        // The caller's `PATH` is different on each machine.
        let shown = vars.iter().filter(|(name, _)| *name != "PATH");
        let vars = shown.map(|(name, value)| format!("{name}={value} ")).collect::<String>();
        CommandOutput::new(&format!("{vars}xtask {}", args.join(" ")), output)
    }

    /// Starts the program in a process group of its own. Its outputs are appended to the files `out` and
    /// `err` in [`Self::parent_folder`].
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.start_command(self.xtask_command(args))
    }

    /// Starts a command in the same way as [`Self::start`].
    pub(crate) fn start_command(&self, mut command: Command) -> Child {
        use std::os::unix::process::CommandExt as _;
        let file = |name: &str| {
            fs::File::options().create(true).append(true).open(self.parent_folder().join(name)).unwrap()
        };
        command.process_group(0).stdout(file("out")).stderr(file("err")).spawn().unwrap()
    }

    /// Waits until a file that is written now is newer than all that was written so far.
    pub(crate) fn settle(&self) {
        use std::os::unix::fs::MetadataExt as _;
        let time = |name: &str| {
            let path = self.parent_folder().join(name);
            fs::write(&path, "").unwrap();
            let metadata = fs::metadata(path).unwrap();
            (metadata.mtime(), metadata.mtime_nsec())
        };
        let before = time("old");
        wait_for("a newer time", || time("new") > before);
    }

    /// Returns the answer of the probe of `tool`, which the task `t` names, and whether it was remembered.
    #[track_caller]
    pub(crate) fn probe_answer(&self, vars: &[(&str, &str)]) -> (String, bool) {
        let json = self.xtask_env(&["why", "t", "--json"], vars).ends(0).json();
        let fields = json["fields"].as_array().unwrap();
        let tool = fields.iter().find(|field| field["field"] == "tool tool").unwrap();
        (tool["value"].as_str().unwrap().trim().to_owned(), tool["remembered"].is_u64())
    }

    /// Returns the lines of a file that tasks append to; none if the file is missing.
    pub(crate) fn lines(&self, path: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(path)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Returns all files of the cache in the state directory.
    pub(crate) fn cache_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut stack = vec![self.state().join("cache/entries"), self.state().join("cache/blobs")];
        while let Some(folder) = stack.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { stack.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    }
}

impl CommandOutput {
    /// Creates it from a finished process. The snapshot shows the command as `…`.
    pub(crate) fn from_output(output: Output) -> Self {
        Self::new("…", output)
    }

    /// Creates it from a finished process. The snapshot shows the command as `command`.
    fn new(command: &str, output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let signal = output.status.signal().map(|signal| 128 + signal);
        let ran = Self {
            status: output.status.code().or(signal).unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        screens::record(command, &ran);
        ran
    }

    /// Checks that the exit status is `status`.
    #[track_caller]
    pub(crate) fn ends(self, status: i32) -> Self {
        assert_eq!(self.status, status, "\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Checks that standard error contains `text`.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "stderr does not contain {text:?}:\n{}", self.err);
        self
    }

    /// Checks that standard error does not contain `text`.
    #[track_caller]
    pub(crate) fn does_not_say(self, text: &str) -> Self {
        assert!(!self.err.contains(text), "stderr contains {text:?}:\n{}", self.err);
        self
    }

    /// Checks that standard output contains `text`.
    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        assert!(self.out.contains(text), "stdout does not contain {text:?}:\n{}", self.out);
        self
    }

    /// Parses standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}:\n{}", self.out))
    }

    /// Parses each line of standard output as JSON.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<serde_json::Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

/// Returns a tasks.toml with `in-place = false`.
fn private_gates(text: &str) -> String {
    const KEY: &str = "[worktree]\nin-place = false\n";
    if text.contains("in-place") {
        text.to_owned()
    } else if text.contains("[worktree]\n") {
        text.replacen("[worktree]\n", KEY, 1)
    } else {
        format!("{text}\n{KEY}")
    }
}

/// Removes the indentation of the first line from all lines, if the text begins with a line end.
fn unindent(text: &str) -> String {
    let Some(text) = text.strip_prefix('\n').filter(|text| text.starts_with(' ')) else {
        return text.to_owned();
    };
    let indentation = &text[..text.len() - text.trim_start_matches(' ').len()];
    let lines = text.split('\n').map(|line| line.strip_prefix(indentation).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Waits until `condition` is true.
#[track_caller]
pub(crate) fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < TIMEOUT, "timed out waiting for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal by its name to a process, or to a group if `pid` is negative.
pub(crate) fn signal(name: &str, pid: i32) {
    let status = Command::new("kill").args(["-s", name, "--", &pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill -s {name} {pid}");
}

/// Returns the ids of the processes whose command line contains `mark`.
pub(crate) fn processes(mark: &str) -> Vec<i32> {
    let own = std::process::id();
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != own)
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let is_zombie = state.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z"));
            !is_zombie && String::from_utf8_lossy(&line).contains(mark)
        })
        .map(|pid| i32::try_from(pid).unwrap())
        .collect()
}

/// Flips one bit of a file, in the byte at this position.
pub(crate) fn flip_bit(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    let mut file = fs::File::options().write(true).truncate(true).open(path).unwrap();
    file.write_all(&bytes).unwrap();
}
