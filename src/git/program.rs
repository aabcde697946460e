//! The `git` program, with a known environment: none of the caller's `GIT_*` variables, no hooks,
//! no prompts, no optional locks, no replaced objects. It must not know what it is asked for.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::error::GitError;
use crate::ground::env::Env;

/// How `git` is started.
#[derive(Clone, Debug)]
pub struct GitProgram {
    vars: Vec<(OsString, OsString)>,
}

/// The repository and the folder that a call is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'p> {
    /// The git folder.
    pub(super) git_dir: &'p Path,
    /// The top of the work tree, where the program stands.
    pub(super) work_dir: &'p Path,
}

impl GitProgram {
    /// With the variables of `env` that are not git's own.
    pub fn new(env: &Env) -> Self {
        let vars = env
            .vars()
            .filter(|(name, _)| !name.as_bytes().starts_with(b"GIT_"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self { vars }
    }

    /// Runs git and returns what it printed.
    pub(super) fn run<S: AsRef<OsStr>>(&self, place: Place<'_>, args: &[S]) -> Result<Vec<u8>, GitError> {
        let what = name_of(args);
        let output = self
            .command(place, args)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| GitError::Start { what: what.clone(), source })?;
        if output.status.success() { Ok(output.stdout) } else { Err(failure(what, &output)) }
    }

    /// What an index file holds, in whatever form it is.
    pub(super) fn list_index(&self, place: Place<'_>, index: &Path) -> Result<Vec<u8>, GitError> {
        let args = ["ls-files", "-t", "--stage", "-z"];
        let what = name_of(&args);
        let output = self
            .command(place, &args)
            .env("GIT_INDEX_FILE", index)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| GitError::Start { what: what.clone(), source })?;
        if output.status.success() { Ok(output.stdout) } else { Err(failure(what, &output)) }
    }

    /// Runs git, which keeps `held` open until it ends, as its standard input, which it does not read.
    pub(super) fn run_holding<S: AsRef<OsStr>>(
        &self,
        place: Place<'_>,
        args: &[S],
        held: File,
    ) -> Result<Vec<u8>, GitError> {
        let what = name_of(args);
        let output = self
            .command(place, args)
            .stdin(Stdio::from(held))
            .output()
            .map_err(|source| GitError::Start { what: what.clone(), source })?;
        if output.status.success() { Ok(output.stdout) } else { Err(failure(what, &output)) }
    }

    /// Runs git, writes `input` to it and hands its output to `read` meanwhile.
    pub(super) fn converse<S: AsRef<OsStr>, T>(
        &self,
        place: Place<'_>,
        args: &[S],
        input: &[u8],
        read: impl FnOnce(&mut dyn BufRead) -> std::io::Result<T>,
    ) -> Result<T, GitError> {
        let what = name_of(args);
        let start = |source| GitError::Start { what: what.clone(), source };
        let mut child = self
            .command(place, args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // Three pipes, each of which can fill up: one thread for each.
        let (result, stderr) = std::thread::scope(|scope| {
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
            let stderr = scope.spawn(move || {
                let mut text = Vec::new();
                stderr.map(|mut stderr| std::io::Read::read_to_end(&mut stderr, &mut text));
                text
            });
            // The reader goes with the closure, so a git that still writes ends by a broken pipe.
            let result = stdout.map(|stdout| read(&mut BufReader::with_capacity(64 * 1024, stdout)));
            (result, stderr.join().unwrap_or_default())
        });
        let status = child.wait().map_err(start)?;
        match result {
            Some(Ok(value)) if status.success() => Ok(value),
            Some(Err(source)) if status.success() => Err(GitError::Start { what, source }),
            _ => Err(failure(what, &Output { status, stdout: Vec::new(), stderr })),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where git is started")]
    fn command<S: AsRef<OsStr>>(&self, place: Place<'_>, args: &[S]) -> Command {
        let mut command = Command::new("git");
        command
            .env_clear()
            .envs(self.vars.iter().map(|(name, value)| (name, value)))
            .env("GIT_DIR", place.git_dir)
            .env("GIT_WORK_TREE", place.work_dir)
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .current_dir(place.work_dir)
            .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"])
            .args(args);
        command
    }
}

fn name_of<S: AsRef<OsStr>>(args: &[S]) -> String {
    let words = args.iter().map(|arg| arg.as_ref().to_string_lossy());
    words.filter(|word| !word.starts_with('-') && !word.contains('=')).take(2).collect::<Vec<_>>().join(" ")
}

fn failure(what: String, output: &Output) -> GitError {
    let text = String::from_utf8_lossy(&output.stderr);
    let message = match text.trim() {
        "" => output.status.to_string(),
        text => text.to_owned(),
    };
    GitError::Program { what, message }
}
