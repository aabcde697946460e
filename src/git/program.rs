//! The `git` program, with a known environment: none of the caller's `GIT_*` variables, no hooks,
//! no prompts, no optional locks, no replaced objects. It must not know what it is asked for.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use crate::base::env::Env;
use crate::git::error::GitError;
use crate::process::children;
use crate::process::guard::Guard;
use crate::process::orphans::RUN_VARIABLE;
use crate::process::program::find_program;
use crate::process::run::{Ended, run};
use crate::process::session;
use crate::process::spawn::{Limits, Spawn};
use crate::process::stop::Stop;

/// How `git` is started.
#[derive(Clone, Debug)]
pub struct GitProgram {
    vars: Vec<(OsString, OsString)>,
    /// This program, which can be a guard.
    own: PathBuf,
}

/// The start of each command line.
const OPTIONS: [&str; 4] = ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"];

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
        Self { vars, own: env.program().to_owned() }
    }

    /// Runs git and returns its standard output.
    pub(super) fn run<S: AsRef<OsStr>>(&self, place: Place<'_>, args: &[S]) -> Result<Vec<u8>, GitError> {
        Self::output(&mut self.command(place, args), name_of(args))
    }

    /// Lists an index file, whatever its format is.
    pub(super) fn list_index(&self, place: Place<'_>, index: &Path) -> Result<Vec<u8>, GitError> {
        let args = ["ls-files", "-t", "--stage", "-z"];
        Self::output(self.command(place, &args).env("GIT_INDEX_FILE", index), name_of(&args))
    }

    fn output(command: &mut Command, what: String) -> Result<Vec<u8>, GitError> {
        match command.stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => Ok(output.stdout),
            Ok(output) => Err(failure(what, &output)),
            Err(source) => Err(GitError::Start { what, source }),
        }
    }

    /// A guard for [`Self::run_apart`] and [`Self::converse`], which keeps `held` open until all that git
    /// started has ended; none where there is no room for a process.
    pub(super) fn guard(&self, held: Option<&File>) -> Option<Arc<Guard>> {
        Guard::start(&self.own, &Self::mark(), held).ok().map(Arc::new)
    }

    /// Runs git as tasks are run: without a terminal, on which a filter or ssh could ask, and ended by
    /// `guard` if this process is killed.
    pub(super) fn run_apart<S: AsRef<OsStr>>(
        &self,
        place: Place<'_>,
        args: &[S],
        guard: Option<Arc<Guard>>,
    ) -> Result<(), GitError> {
        let what = name_of(args);
        let path = self.vars.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        let program = find_program("git".as_ref(), path, place.work_dir)
            .map_err(|error| GitError::Start { what: what.clone(), source: io::Error::other(error) })?;
        let options = OPTIONS.iter().map(OsString::from);
        let mut env: Vec<(OsString, OsString)> = self.variables(place).collect();
        env.push((RUN_VARIABLE.into(), Self::mark().into()));
        let spawn = Spawn {
            program,
            args: options.chain(args.iter().map(|arg| arg.as_ref().to_owned())).collect(),
            dir: place.work_dir.to_owned(),
            env,
            mask: Arc::default(),
            limits: Limits::default(),
            guard,
        };
        let finished = run(&spawn, &Stop::new(), &mut ());
        let message = match (finished.ended, finished.log.text.trim()) {
            (Ended::Exit(0), _) => return Ok(()),
            (Ended::Exit(code), "") => format!("exit status {code}"),
            (Ended::Signal(signal), "") => format!("killed by signal {signal}"),
            (Ended::NotStarted(why), _) => why,
            (_, text) => text.to_owned(),
        };
        Err(GitError::Program { what, message })
    }

    /// What marks processes that git started for this one.
    fn mark() -> String {
        format!("git-{}", std::process::id())
    }

    /// Runs git without a terminal, on which a filter could ask, writes `input` to it and hands its output
    /// to `read` meanwhile.
    pub(super) fn converse<S: AsRef<OsStr>, T>(
        &self,
        place: Place<'_>,
        args: &[S],
        input: &[u8],
        read: impl FnOnce(&mut dyn BufRead) -> io::Result<T>,
    ) -> Result<T, GitError> {
        let what = name_of(args);
        let start = |source| GitError::Start { what: what.clone(), source };
        let mut command = self.command(place, args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env(RUN_VARIABLE, Self::mark());
        session::start_in_new_session(&mut command).map_err(start)?;
        let mut child = children::start(|| command.spawn(), |child| vec![child.id()]).map_err(start)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // Three pipes, each of which can fill up: one thread for each.
        let (result, stderr) = std::thread::scope(|scope| {
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
            let stderr = scope.spawn(move || {
                let mut text = Vec::new();
                stderr.map(|mut stderr| io::Read::read_to_end(&mut stderr, &mut text));
                text
            });
            // The reader goes with the closure, so a git that still writes ends by a broken pipe.
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
    fn command<S: AsRef<OsStr>>(&self, place: Place<'_>, args: &[S]) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(self.variables(place)).current_dir(place.work_dir).args(OPTIONS).args(args);
        command
    }

    /// The environment of a call; of two values of a variable the second counts.
    fn variables(&self, place: Place<'_>) -> impl Iterator<Item = (OsString, OsString)> {
        let own = [
            ("GIT_DIR", place.git_dir.as_os_str()),
            ("GIT_WORK_TREE", place.work_dir.as_os_str()),
            ("GIT_OPTIONAL_LOCKS", "0".as_ref()),
            ("GIT_NO_REPLACE_OBJECTS", "1".as_ref()),
            ("GIT_TERMINAL_PROMPT", "0".as_ref()),
            ("LC_ALL", "C".as_ref()),
        ];
        let own = own.map(|(name, value)| (OsString::from(name), value.to_owned()));
        self.vars.iter().cloned().chain(own)
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
