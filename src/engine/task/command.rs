//! Prepares the command of a task: its program, arguments, folder, environment and limits. It must not start
//! the command.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::path::RepoPath;
use crate::config::model::{Command, TimeLimits};
use crate::engine::task::rust_task;
use crate::engine::task::task_env::EnvVars;
use crate::process::find_program::find_program;
use crate::process::guard::Guard;
use crate::process::secret_mask::Mask;
use crate::process::spawn::{Limits, Spawn};

/// The time between TERM and KILL for a process group.
pub const GRACE: Duration = Duration::from_secs(5);

/// Shells that know `"$@"`. Arguments can be appended to a command line of these shells.
const POSIX_SHELLS: &[&str] = &["sh", "bash", "dash", "zsh", "ksh", "ash"];

/// The data that all commands of a run share.
#[derive(Clone)]
pub struct CommandContext<'a> {
    /// The top of the work tree.
    pub root: &'a Path,
    /// Masks secrets.
    pub mask: Arc<Mask>,
    /// The guard, which ends processes that outlive this one.
    pub guard: Option<Arc<Guard>>,
    /// The programs that were already found.
    pub programs: &'a ProgramCache,
}

/// Programs by name and search path, so that a thousand tasks don't search for the same shell a thousand
/// times.
#[derive(Debug, Default)]
pub struct ProgramCache(Mutex<HashMap<(String, Option<OsString>), PathBuf>>);

impl ProgramCache {
    fn find(&self, name: &str, path: Option<OsString>, dir: &Path) -> Result<PathBuf, String> {
        let find =
            |path: Option<&OsStr>| find_program(name.as_ref(), path, dir).map_err(|error| error.to_string());
        // A program that is named by a path, or found in a relative folder, depends on the folder too.
        let relative = path.as_ref().is_some_and(|path| std::env::split_paths(path).any(|p| p.is_relative()));
        if name.contains('/') || relative {
            return find(path.as_deref());
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), path);
        if let Some(found) = known.get(&key) {
            return Ok(found.clone());
        }
        let found = find(key.1.as_deref())?;
        known.insert(key, found.clone());
        Ok(found)
    }
}

/// Returns program and arguments of a command, followed by `args`.
pub fn command_words(shell: &[String], command: &Command, args: &[String]) -> Vec<String> {
    match command {
        Command::Argv(words) => words.iter().chain(args).cloned().collect(),
        Command::Shell(line) => shell_words(shell, line, args),
        Command::Rust(name) => {
            let words = [rust_task::PROGRAM, rust_task::ARGUMENT, name].map(str::to_owned);
            words.into_iter().chain(args.iter().cloned()).collect()
        }
    }
}

/// Returns the words that run a line in a shell. If the line refers to its arguments (`"$@"`, `$1`), they are
/// passed to the shell; otherwise they are quoted and appended to the line.
fn shell_words(shell: &[String], line: &str, args: &[String]) -> Vec<String> {
    let mut words = shell.to_vec();
    let name = shell.first().and_then(|program| program.rsplit('/').next()).unwrap_or_default();
    if args.is_empty() {
        words.push(line.to_owned());
    } else if !POSIX_SHELLS.contains(&name) {
        words.push(line.to_owned());
        words.extend_from_slice(args);
    } else if takes_arguments(line) {
        words.extend([line.to_owned(), name.to_owned()]);
        words.extend_from_slice(args);
    } else {
        let quoted = shlex::try_join(args.iter().map(String::as_str)).unwrap_or_default();
        words.push(format!("{} {quoted}", line.trim_end()));
    }
    words
}

fn takes_arguments(line: &str) -> bool {
    ["$@", "$*", "$1", "${@", "${*", "${1"].iter().any(|mark| line.contains(mark))
}

/// Returns the command as a person would type it, without secrets. Words are masked before they are quoted,
/// since a secret may contain quotes.
pub fn display(command: &Command, args: &[String], mask: &Mask) -> String {
    let join = |words: &[String]| {
        let words: Vec<String> = words.iter().map(|word| mask.text(word)).collect();
        shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default()
    };
    let text = match command {
        Command::Argv(words) if args.is_empty() => join(words),
        Command::Argv(words) => format!("{} {}", join(words), join(args)),
        Command::Rust(name) if args.is_empty() => format!("(Rust) {name}"),
        Command::Rust(name) => format!("(Rust) {name} {}", join(args)),
        Command::Shell(line) if args.is_empty() => line.clone(),
        Command::Shell(line) => format!("{} {}", line.trim_end(), join(args)),
    };
    mask.text(&text)
}

/// Returns a command that is ready to start.
///
/// # Errors
/// The program is missing. The error is a message that names it.
pub fn spawn(
    context: &CommandContext<'_>,
    cwd: &RepoPath,
    words: &[String],
    env_vars: EnvVars,
    times: TimeLimits,
) -> Result<Spawn, String> {
    let dir = cwd.under(context.root);
    let (program, args) = words.split_first().ok_or("the command is empty")?;
    let path = env_vars.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    let program = context.programs.find(program, path, &dir)?;
    let limits =
        Limits { timeout: times.timeout, slow_after: times.slow_after, grace: GRACE, ..Limits::default() };
    Ok(Spawn {
        program,
        args: args.iter().map(OsString::from).collect(),
        dir,
        env: env_vars,
        mask: Arc::clone(&context.mask),
        limits,
        guard: context.guard.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_reach_commands_of_all_shells() {
        let sh = ["sh".to_owned(), "-ec".to_owned()];
        let python = ["python3".to_owned(), "-c".to_owned()];
        let args = ["a b".to_owned(), "-x".to_owned()];
        assert_eq!(shell_words(&sh, "cargo test", &[]), ["sh", "-ec", "cargo test"]);
        assert_eq!(shell_words(&sh, "cargo test\n", &args), ["sh", "-ec", "cargo test 'a b' -x"]);
        assert_eq!(shell_words(&sh, "echo \"$@\"", &args), ["sh", "-ec", "echo \"$@\"", "sh", "a b", "-x"]);
        assert_eq!(shell_words(&python, "print(1)", &args), ["python3", "-c", "print(1)", "a b", "-x"]);
    }
}
