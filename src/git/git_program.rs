//! Starts the `git` program in a known environment: without the caller's `GIT_*` variables, hooks,
//! prompts, optional locks and replaced objects.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::base::env::Env;
use crate::base::units;
use crate::git::error::GitError;
use crate::process::children;
use crate::process::find_program::find_program;
use crate::process::guard::Guard;
use crate::process::orphans::RUN_VARIABLE;
use crate::process::run::{Ended, run};
use crate::process::session;
use crate::process::spawn::{Limits, Spawn};
use crate::process::stop::Stop;

/// Starts `git`.
#[derive(Clone, Debug)]
pub struct GitProgram {
    vars: Vec<(OsString, OsString)>,
    /// The path of this program, which is also the guard.
    own: PathBuf,
}

/// The options of each call.
const OPTIONS: [&str; 4] = ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"];

/// The git folder and the work tree of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct GitDirs<'p> {
    /// The git folder.
    pub(super) git_dir: &'p Path,
    /// The top of the work tree, which is the working directory of the call.
    pub(super) work_dir: &'p Path,
}

impl GitProgram {
    /// Uses the variables of `env` that are not git's own.
    pub fn new(env: &Env) -> Self {
        let vars = env
            .vars()
            .filter(|(name, _)| !name.as_bytes().starts_with(b"GIT_"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self { vars, own: env.program().to_owned() }
    }

    /// Runs git and returns its standard output.
    pub(super) fn run<S: AsRef<OsStr>>(&self, dirs: GitDirs<'_>, args: &[S]) -> Result<Vec<u8>, GitError> {
        Self::output(&mut self.command(dirs, args), subcommand(args))
    }

    /// Lists an index file, whatever its format is.
    pub(super) fn list_index(&self, dirs: GitDirs<'_>, index: &Path) -> Result<Vec<u8>, GitError> {
        let args = ["ls-files", "-t", "--stage", "-z"];
        Self::output(self.command(dirs, &args).env("GIT_INDEX_FILE", index), subcommand(&args))
    }

    /// Runs git with another index file.
    pub(super) fn run_with_index<S: AsRef<OsStr>>(
        &self,
        dirs: GitDirs<'_>,
        args: &[S],
        index: &Path,
    ) -> Result<Vec<u8>, GitError> {
        Self::output(self.command(dirs, args).env("GIT_INDEX_FILE", index), subcommand(args))
    }

    fn output(command: &mut Command, what: String) -> Result<Vec<u8>, GitError> {
        match command.stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => Ok(output.stdout),
            Ok(output) => Err(failure(what, &output)),
            Err(source) => Err(GitError::Start { what, source }),
        }
    }

    /// Starts a guard for [`Self::run_without_terminal`] and [`Self::run_with_input`], which keeps
    /// `held` open until all that git started has ended; returns `None` if no process can be started.
    pub(super) fn guard(&self, held: Option<&File>) -> Option<Arc<Guard>> {
        Guard::start(&self.own, &Self::process_mark(), held).ok().map(Arc::new)
    }

    /// Runs git as tasks are run: without a terminal, on which a filter or ssh could prompt, and with
    /// a guard that ends it if this process is killed.
    pub(super) fn run_without_terminal<S: AsRef<OsStr>>(
        &self,
        dirs: GitDirs<'_>,
        args: &[S],
        guard: Option<Arc<Guard>>,
    ) -> Result<(), GitError> {
        self.run_limited(dirs, args, Limits::default(), guard).map(drop)
    }

    fn run_limited<S: AsRef<OsStr>>(
        &self,
        dirs: GitDirs<'_>,
        args: &[S],
        limits: Limits,
        guard: Option<Arc<Guard>>,
    ) -> Result<String, GitError> {
        let what = subcommand(args);
        let path = self.vars.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        let program = find_program("git".as_ref(), path, dirs.work_dir)
            .map_err(|error| GitError::Start { what: what.clone(), source: io::Error::other(error) })?;
        let options = OPTIONS.iter().map(OsString::from);
        let mut env: Vec<(OsString, OsString)> = self.variables(dirs).collect();
        env.push((RUN_VARIABLE.into(), Self::process_mark().into()));
        let spawn = Spawn {
            program,
            args: options.chain(args.iter().map(|arg| arg.as_ref().to_owned())).collect(),
            dir: dirs.work_dir.to_owned(),
            env,
            mask: Arc::default(),
            limits,
            guard,
        };
        let finished = run(&spawn, &Stop::new(), &mut ());
        let message = match (finished.ended, finished.log.text.trim()) {
            (Ended::Exit(0), _) => return Ok(finished.log.text),
            (Ended::Exit(code), "") => format!("exit status {code}"),
            (Ended::TimedOut, text) => {
                format!("no answer after {}\n{text}", limits.timeout.map(units::duration).unwrap_or_default())
            }
            (Ended::Signal(signal), "") => format!("killed by signal {signal}"),
            (Ended::NotStarted(why), _) => why,
            (_, text) => text.to_owned(),
        };
        Err(GitError::Program { what, message })
    }

    /// Runs a call that talks to a remote, without a terminal and for at most `timeout`. Returns what it printed,
    /// also on standard error.
    pub(super) fn transfer(
        &self,
        dirs: GitDirs<'_>,
        args: &[&str],
        timeout: Duration,
    ) -> Result<String, GitError> {
        let limits = Limits { timeout: Some(timeout), ..Limits::default() };
        self.run_limited(dirs, args, limits, self.guard(None))
    }

    /// Returns the mark of the processes that git starts for this process.
    fn process_mark() -> String {
        format!("git-{}", std::process::id())
    }

    /// Runs git without a terminal, on which a filter could prompt, with `input` as its standard
    /// input. `read` reads its standard output in the meantime.
    pub(super) fn run_with_input<S: AsRef<OsStr>, T>(
        &self,
        dirs: GitDirs<'_>,
        args: &[S],
        input: &[u8],
        read: impl FnOnce(&mut dyn BufRead) -> io::Result<T>,
    ) -> Result<T, GitError> {
        let what = subcommand(args);
        let start = |source| GitError::Start { what: what.clone(), source };
        let mut command = self.command(dirs, args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env(RUN_VARIABLE, Self::process_mark());
        session::start_in_new_session(&mut command).map_err(start)?;
        let mut child = children::start(|| command.spawn(), |child| vec![child.id()]).map_err(start)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // Each of the three pipes can fill up, so each has a thread.
        let (result, stderr) = std::thread::scope(|scope| {
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
            let stderr = scope.spawn(move || {
                let mut text = Vec::new();
                stderr.map(|mut stderr| io::Read::read_to_end(&mut stderr, &mut text));
                text
            });
            // The closure drops the reader, so a git that still writes ends with a broken pipe.
            let result = stdout.map(|stdout| read(&mut BufReader::with_capacity(64 * 1024, stdout)));
            (result, stderr.join().unwrap_or_default())
        });
        let status = children::reap(child.id(), || child.wait()).map_err(start)?;
        match result {
            Some(Ok(value)) if status.success() => Ok(value),
            Some(Err(source)) if status.success() => Err(GitError::Start { what, source }),
            _ => Err(failure(what, &Output { status, stdout: Vec::new(), stderr })),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where git is started")]
    fn command<S: AsRef<OsStr>>(&self, dirs: GitDirs<'_>, args: &[S]) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(self.variables(dirs)).current_dir(dirs.work_dir).args(OPTIONS).args(args);
        command
    }

    /// Returns the environment of a call. The last value of a variable counts.
    fn variables(&self, dirs: GitDirs<'_>) -> impl Iterator<Item = (OsString, OsString)> {
        let own = [
            ("GIT_DIR", dirs.git_dir.as_os_str()),
            ("GIT_WORK_TREE", dirs.work_dir.as_os_str()),
            ("GIT_OPTIONAL_LOCKS", "0".as_ref()),
            ("GIT_NO_REPLACE_OBJECTS", "1".as_ref()),
            ("GIT_TERMINAL_PROMPT", "0".as_ref()),
            ("LC_ALL", "C".as_ref()),
        ];
        let own = own.map(|(name, value)| (OsString::from(name), value.to_owned()));
        self.vars.iter().cloned().chain(own)
    }
}

fn subcommand<S: AsRef<OsStr>>(args: &[S]) -> String {
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
