//! Hints: what the end of a task usually means and what to do about it, as data. It must not know how the
//! reason was found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the end of a task usually means.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Hint {
    /// The caller has variables that the task may need and does not get.
    Variables {
        /// Their names. Their values are not recorded.
        names: Vec<String>,
    },
    /// There is no such command.
    CommandNotFound {
        /// The command as it was called.
        command: String,
        /// A folder of the repository that contains it, such as `node_modules/.bin`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found_in: Option<String>,
    },
    /// The task calls a file that is not executable.
    NotExecutable {
        /// The file as it was called.
        path: String,
    },
    /// The task calls a folder.
    IsFolder {
        /// The folder as it was called.
        path: String,
    },
    /// The interpreter of a script is missing.
    Interpreter {
        /// The script, if it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        script: Option<String>,
        /// The interpreter in its first line.
        interpreter: String,
    },
    /// A script has Windows line ends, so the name of its interpreter ends with a carriage return.
    LineEnds {
        /// The script, if it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        script: Option<String>,
        /// The interpreter in its first line, without the carriage return.
        interpreter: String,
    },
    /// A file is neither a program for this machine nor a script with an interpreter line.
    NotAProgram {
        /// The file as it was called.
        path: String,
    },
    /// It exited with 126 or 127, and the log does not say why.
    Shell {
        /// The exit status.
        code: i32,
    },
    /// A signal killed it.
    Signal {
        /// The number of the signal.
        signal: i32,
        /// Whether it was reported by a shell, as an exit status above 128.
        by_shell: bool,
    },
    /// The task ran in a private worktree, which does not have files of the work tree that its log names.
    NotInTree {
        /// The files and folders.
        paths: Vec<String>,
        /// What to do.
        remedy: Remedy,
    },
}

/// What gives a task in a private worktree the files that it lacks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Remedy {
    /// `link` of `[worktree]`.
    Link {
        /// The whole list, with what it contains already.
        list: Vec<String>,
    },
    /// `copy` of `[worktree]`.
    Copy {
        /// The whole list, with what it contains already.
        list: Vec<String>,
    },
    /// `needs` of the task.
    Needs {
        /// The task.
        task: String,
        /// The task that writes the files.
        needs: String,
    },
    /// Git neither tracks nor ignores the files.
    Add,
}

/// How many paths a hint names at most.
const MAX_PATHS: usize = 3;

/// Signals that kill tests and tools: number, name and usual meaning.
const SIGNALS: &[(i32, &str, &str)] = &[
    (1, "SIGHUP", "its terminal or session ended"),
    (2, "SIGINT", "something interrupted it"),
    (3, "SIGQUIT", "something asked it to quit"),
    (4, "SIGILL", "it was built for another processor, or it aborted itself"),
    (5, "SIGTRAP", "it aborted itself, or a breakpoint was left in it"),
    (6, "SIGABRT", "it aborted itself: a failed assertion, a panic, a corrupted heap"),
    (7, "SIGBUS", "a memory access failed: a mapped file was cut off, or the disk or /dev/shm is full"),
    (8, "SIGFPE", "an arithmetic error, such as a division by zero"),
    (
        9,
        "SIGKILL",
        "possibly out of memory (see `dmesg`, or the container's memory limit), or another program killed it",
    ),
    (11, "SIGSEGV", "it crashed: invalid memory access"),
    (13, "SIGPIPE", "the reader of its output ended first, such as `| head`"),
    (14, "SIGALRM", "a time limit of its own"),
    (15, "SIGTERM", "another program ended it"),
    (24, "SIGXCPU", "its limit of processor time (`ulimit -t`)"),
    (25, "SIGXFSZ", "its limit of file size (`ulimit -f`)"),
    (31, "SIGSYS", "it made a system call that is not allowed here (seccomp)"),
];

/// Returns whether this is a signal that kills tests and tools.
pub fn is_fatal(signal: i32) -> bool {
    SIGNALS.iter().any(|(number, ..)| *number == signal)
}

/// Variables whose values are only places on this machine, so that they need not be part of the key. Those that every
/// command gets anyway are not among them.
const PLACES: &[&str] = &[
    "CARGO_TARGET_DIR",
    "BUN_INSTALL",
    "FNM_DIR",
    "GRADLE_USER_HOME",
    "SDKMAN_DIR",
    "GEM_HOME",
    "SSH_AUTH_SOCK",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "KUBECONFIG",
];

/// Returns whether a variable's name says that its value is a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "API_KEY", "PRIVATE_KEY", "ACCESS_KEY"]
        .iter()
        .any(|part| name.contains(part))
}

/// Returns the lines of tasks.toml that pass these variables on.
fn lines(names: &[String]) -> String {
    let quoted = |names: Vec<String>| format!("[{}]", names.join(", "));
    let (secret, plain): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| is_secret(name));
    let plain: Vec<String> = plain
        .iter()
        .map(
            |name| {
                if PLACES.contains(&name.as_str()) { format!("\"?{name}\"") } else { format!("\"{name}\"") }
            },
        )
        .collect();
    let secret: Vec<String> = secret.iter().map(|name| format!("\"{name}\"")).collect();
    let mut lines = Vec::new();
    if !plain.is_empty() {
        lines.push(format!("pass-env = {}", quoted(plain)));
    }
    if !secret.is_empty() {
        lines.push(format!("secret-env = {}", quoted(secret)));
    }
    lines.join(" and ")
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let provide = |f: &mut fmt::Formatter<'_>, key: &str, list: &[String]| {
            let list: Vec<String> = list.iter().map(|path| format!("{path:?}")).collect();
            write!(f, "add to [worktree] of tasks.toml: {key} = [{}]", list.join(", "))
        };
        match self {
            Self::Link { list } => provide(f, "link", list),
            Self::Copy { list } => provide(f, "copy", list),
            Self::Needs { task, needs } => write!(f, "add to the task {task}: needs = [\"{needs}\"]"),
            Self::Add => f.write_str("git add"),
        }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variables { names } => {
                let verb = if names.len() == 1 { "is" } else { "are" };
                write!(
                    f,
                    "{} {verb} set here and not passed to it; if it needs that, add to the task or to [defaults]: {}",
                    names.join(", "),
                    lines(names)
                )
            }
            Self::CommandNotFound { command, found_in: Some(folder) } => {
                write!(f, "command not found: `{command}`; it is in {folder}: call it as {folder}/{command}")
            }
            Self::CommandNotFound { command, found_in: None } if command.contains('/') => {
                write!(f, "there is no file {command} in the folder that the task runs in")
            }
            Self::CommandNotFound { command, found_in: None } => write!(
                f,
                "command not found: `{command}`; install it, or add its folder to PATH where xtask is called"
            ),
            Self::NotExecutable { path } => {
                write!(
                    f,
                    "{path} is not executable: chmod +x {path}; in git: git update-index --chmod=+x {path}"
                )
            }
            Self::IsFolder { path } => write!(f, "{path} is a folder, not a program"),
            Self::Interpreter { script: Some(script), interpreter } => write!(
                f,
                "{script} can't be started: its first line names `{interpreter}`, which is missing; install it or correct the line"
            ),
            Self::Interpreter { script: None, interpreter } => write!(
                f,
                "the first line of a script names `{interpreter}`, which is missing; install it or correct the line"
            ),
            Self::LineEnds { script, interpreter } => write!(
                f,
                "{} has CRLF line ends, so `{interpreter}\\r` is looked for; convert it to LF, and add `{} text eol=lf` to .gitattributes",
                script.as_deref().unwrap_or("a script"),
                script.as_deref().map_or("*.sh", |script| script.trim_start_matches("./")),
            ),
            Self::NotAProgram { path } => write!(
                f,
                "{path} is not a program for this machine; a script needs a first line such as #!/bin/sh"
            ),
            Self::NotInTree { paths, remedy } => {
                let (is, it) = if paths.len() == 1 { ("is", "it") } else { ("are", "them") };
                let shown = crate::base::text::first_of(paths, MAX_PATHS);
                match remedy {
                    Remedy::Add => write!(
                        f,
                        "{shown} {is} in your work tree and not in the commit; if it belongs there: git add {}",
                        paths.join(" ")
                    ),
                    Remedy::Needs { needs, .. } => write!(
                        f,
                        "{shown} {is} in your work tree and not in the private worktree; {needs} writes {it}: {remedy}"
                    ),
                    _ => write!(
                        f,
                        "{shown} {is} in your work tree and not in the private worktree, since git ignores {it}; {remedy}"
                    ),
                }
            }
            Self::Shell { code: 126 } => {
                f.write_str("exit status 126 usually means that a file was called that can't be executed")
            }
            Self::Shell { code } => {
                write!(f, "exit status {code} usually means that a command was not found")
            }
            Self::Signal { signal, by_shell } => {
                let known = SIGNALS.iter().find(|(number, ..)| number == signal);
                let (name, meaning) = known.map_or(("a signal", ""), |(_, name, meaning)| (*name, *meaning));
                if *by_shell {
                    let code = 128 + signal;
                    write!(f, "exit status {code} usually means {name} (signal {signal}): {meaning}")
                } else {
                    write!(f, "{name}: {meaning}")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hint_passes_a_variable_in_the_suitable_way() {
        let names = |names: &[&str]| Hint::Variables { names: names.iter().map(|&n| n.to_owned()).collect() };
        assert_eq!(
            names(&["GEM_HOME", "JAVA_HOME", "NPM_TOKEN"]).to_string(),
            "GEM_HOME, JAVA_HOME, NPM_TOKEN are set here and not passed to it; if it needs that, add to the task or to \
             [defaults]: pass-env = [\"?GEM_HOME\", \"JAVA_HOME\"] and secret-env = [\"NPM_TOKEN\"]"
        );
        assert!(names(&["JAVA_HOME"]).to_string().starts_with("JAVA_HOME is set here"));
    }

    #[test]
    fn signal_is_named_with_its_meaning() {
        let text = Hint::Signal { signal: 9, by_shell: true }.to_string();
        assert!(text.starts_with("exit status 137 usually means SIGKILL (signal 9): possibly out of memory"));
        assert_eq!(
            Hint::Signal { signal: 11, by_shell: false }.to_string(),
            "SIGSEGV: it crashed: invalid memory access"
        );
    }

    #[test]
    fn script_with_carriage_returns_is_named_with_the_fix() {
        let hint = Hint::LineEnds { script: Some("./x.sh".to_owned()), interpreter: "/bin/sh".to_owned() };
        assert_eq!(
            hint.to_string(),
            "./x.sh has CRLF line ends, so `/bin/sh\\r` is looked for; convert it to LF, and add `x.sh text eol=lf` to .gitattributes"
        );
    }
}
