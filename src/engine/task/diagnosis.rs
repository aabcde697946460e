//! Finds the usual cause of a failure in the exit status of a task, its log and the scripts that it calls. It
//! must not format hints, nor decide whether a task failed.

use std::collections::BTreeSet;
use std::path::Path;

use crate::base::env::Env;
use crate::config::model::{Command, Task};
use crate::engine::task::{passed_variables, task_env};
use crate::event::Ended;
use crate::failure_hint::{self, Hint};
use crate::process::find_program::Interpreter;

/// How many lines at the end of a log are read.
const LOG_LINES: usize = 60;
/// How many variables a hint names at most.
const MAX_NAMES: usize = 6;
/// Folders of a project in which package managers install programs.
const PROGRAM_FOLDERS: &[&str] = &["node_modules/.bin", ".venv/bin", "venv/bin", "vendor/bin", "bin"];

/// A failed task, and where it ran.
pub struct FailedTask<'a> {
    /// The task.
    pub task: &'a Task,
    /// How it ended.
    pub ended: &'a Ended,
    /// Its log.
    pub log: &'a str,
    /// The top of the work tree.
    pub root: &'a Path,
    /// The caller's environment.
    pub env: &'a Env,
}

/// Returns hints about the usual cause of a failed task.
pub fn hints(failed: &FailedTask<'_>) -> Vec<Hint> {
    let mut hints: Vec<Hint> = failed.status_hint().into_iter().collect();
    let names = failed.variables();
    if !names.is_empty() {
        hints.push(Hint::Variables { names });
    }
    hints
}

impl FailedTask<'_> {
    /// Returns a hint about the meaning of the task's exit status or signal.
    fn status_hint(&self) -> Option<Hint> {
        match self.ended {
            Ended::Exit { code: 127 } => Some(
                self.last_lines().find_map(|line| self.not_found(line)).unwrap_or(Hint::Shell { code: 127 }),
            ),
            Ended::Exit { code: 126 } => Some(
                self.last_lines()
                    .find_map(|line| self.not_executable(line))
                    .unwrap_or(Hint::Shell { code: 126 }),
            ),
            Ended::Exit { code } if self.is_shell() && failure_hint::is_fatal(code - 128) => {
                Some(Hint::Signal { signal: code - 128, by_shell: true })
            }
            Ended::Signal { signal } if failure_hint::is_fatal(*signal) => {
                Some(Hint::Signal { signal: *signal, by_shell: false })
            }
            _ => None,
        }
    }

    fn is_shell(&self) -> bool {
        matches!(self.task.command(), Some(Command::Shell(_)))
    }

    /// Returns the last lines of the log, the last one first.
    fn last_lines(&self) -> impl Iterator<Item = &str> {
        self.log.lines().rev().map(str::trim).filter(|line| !line.is_empty()).take(LOG_LINES)
    }

    /// Returns the hint for a line in which a shell or `env` says that a command was not found.
    fn not_found(&self, line: &str) -> Option<Hint> {
        if let Some((front, _)) = line.split_once(": bad interpreter:") {
            return Some(self.bad_interpreter(front));
        }
        if let Some(rest) = line.strip_suffix(": No such file or directory")
            && let Some((front, name)) = rest.split_once(": ")
            && front.rsplit('/').next() == Some("env")
        {
            return Some(self.not_found_by_env(unquoted(name.trim_start_matches("can't execute "))));
        }
        let name = if let Some(rest) = line.strip_suffix(": command not found") {
            last_part(rest)
        } else if let Some((_, name)) = line.split_once("command not found: ") {
            name
        } else if let Some((_, name)) = line.split_once("Unknown command: ") {
            name
        } else {
            let cut =
                [": not found", ": cannot execute: required file not found", ": no such file or directory"];
            last_part(cut.iter().find_map(|end| line.strip_suffix(end))?)
        };
        let name = unquoted(name);
        (!name.is_empty() && !name.contains(char::is_whitespace)).then(|| self.command_not_found(name))
    }

    /// Returns the hint for a program that `env` did not find. The first line of a script may name it.
    fn not_found_by_env(&self, name: &str) -> Hint {
        let cut = name.trim_end_matches("\\r").trim_end_matches('\r');
        let script = self
            .scripts()
            .find(|script| self.interpreter(script).is_some_and(|it| it.text.split(' ').nth(1) == Some(cut)));
        if cut != name {
            return Hint::LineEnds { script, interpreter: format!("/usr/bin/env {cut}") };
        }
        match script {
            Some(_) => Hint::Interpreter { script, interpreter: format!("/usr/bin/env {cut}") },
            None => self.command_not_found(cut),
        }
    }

    /// Returns the hint for a line such as `bash: line 1: ./x.sh: /bin/foo^M: bad interpreter: …`. `front` is
    /// the part up to the interpreter.
    fn bad_interpreter(&self, front: &str) -> Hint {
        let (rest, interpreter) = front.rsplit_once(": ").unwrap_or(("", front));
        let script = Some(last_part(rest)).filter(|script| !script.is_empty());
        let cut = interpreter.trim_end_matches("^M").trim_end_matches('\r');
        let (script, known) = (script.map(str::to_owned), cut.to_owned());
        let has_cr = cut != interpreter
            || script.as_deref().and_then(|it| self.interpreter(it)).is_some_and(|it| it.has_carriage_return);
        if has_cr {
            Hint::LineEnds { script, interpreter: known }
        } else {
            Hint::Interpreter { script, interpreter: known }
        }
    }

    /// Returns the hint for a command that a shell did not find.
    fn command_not_found(&self, name: &str) -> Hint {
        if name.contains('/') {
            if let Some(found) = self.interpreter(name) {
                let (script, interpreter) = (Some(name.to_owned()), found.text);
                return if found.has_carriage_return {
                    Hint::LineEnds { script, interpreter }
                } else {
                    Hint::Interpreter { script, interpreter }
                };
            }
            return Hint::CommandNotFound { command: name.to_owned(), found_in: None };
        }
        let dir = self.task.env.cwd.under(self.root);
        let found_in = PROGRAM_FOLDERS.iter().find(|folder| dir.join(folder).join(name).is_file());
        Hint::CommandNotFound { command: name.to_owned(), found_in: found_in.map(|it| (*it).to_owned()) }
    }

    /// Returns the hint for a line about a file that can't be executed.
    fn not_executable(&self, line: &str) -> Option<Hint> {
        if let Some((front, _)) = line.split_once(": bad interpreter:") {
            return Some(self.bad_interpreter(front));
        }
        let lower = line.to_lowercase();
        let path = |end: &str| -> Option<String> {
            let front = line.get(..lower.find(end)?)?;
            Some(unquoted(last_part(front)).to_owned())
        };
        if let Some(path) = path(": permission denied") {
            let full = self.task.env.cwd.under(self.root).join(&path);
            return Some(if full.is_dir() { Hint::IsFolder { path } } else { Hint::NotExecutable { path } });
        }
        if let Some(path) = path(": is a directory") {
            return Some(Hint::IsFolder { path });
        }
        let path = path(": cannot execute binary file").or_else(|| path(": exec format error"))?;
        Some(Hint::NotAProgram { path })
    }

    /// Returns the words of its command that are paths.
    fn scripts(&self) -> impl Iterator<Item = String> {
        let text = match self.task.command() {
            Some(Command::Shell(line)) => line.clone(),
            Some(Command::Argv(words)) => words.join(" "),
            _ => String::new(),
        };
        let words: Vec<String> = text
            .split(|c: char| c.is_whitespace() || ";|&()'\"".contains(c))
            .filter(|word| word.contains('/'))
            .map(str::to_owned)
            .collect();
        words.into_iter()
    }

    fn interpreter(&self, script: &str) -> Option<Interpreter> {
        let dir = self.task.env.cwd.under(self.root);
        Interpreter::of_script(&dir.join(script), self.env.var("PATH"), &dir)
    }

    /// Returns the variables that the caller has and the task does not get, if the log of the failure
    /// mentions them or if they locate a tool that the task did not find.
    fn variables(&self) -> Vec<String> {
        let why = match self.ended {
            Ended::NotStarted { why } => why.as_str(),
            Ended::Exit { .. } => "",
            _ => return Vec::new(),
        };
        let command = match self.task.command() {
            Some(Command::Shell(line)) => line.clone(),
            Some(Command::Argv(words)) => words.join(" "),
            _ => String::new(),
        };
        let lines: Vec<&str> = self.last_lines().chain([why]).collect();
        let is_lost = matches!(self.ended, Ended::Exit { code: 126 | 127 } | Ended::NotStarted { .. })
            || lines.iter().any(|line| says_not_found(line));
        let text = lines.join("\n") + "\n" + &command;
        let words: BTreeSet<&str> =
            text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).collect();
        let names = self.env.vars().filter(|(_, value)| !value.is_empty());
        let names = names.filter_map(|(name, _)| name.to_str()).filter(|name| self.is_withheld(name));
        let names = names.filter(|name| {
            let is_known = is_lost && TOOLS.iter().any(|tool| tool.has(name) && tool.is_in(&words));
            is_known || lines.iter().any(|line| mentions_missing(line, name)) || is_used(&command, name)
        });
        names.take(MAX_NAMES).map(str::to_owned).collect()
    }

    /// Returns whether the caller has this variable and the task does not get it.
    fn is_withheld(&self, name: &str) -> bool {
        let declared = &self.task.env.variables;
        let is_base = passed_variables::is_passed(name)
            || task_env::PINNED.iter().any(|(pinned, _)| *pinned == name)
            || SET_BY_SHELL.contains(&name);
        !is_base
            && !name.starts_with("XTASK_")
            && !OUTPUT_ONLY.contains(&name)
            // Git's own variables are withheld on purpose.
            && !name.starts_with("GIT_")
            && !declared.set.contains_key(name)
            && !declared.from_files.contains_key(name)
            && !declared.passed.iter().any(|pass| pass.name == name)
            && !declared.secret.iter().any(|secret| secret == name)
    }
}

/// Variables that a log may mention, but that only change what is printed.
const OUTPUT_ONLY: &[&str] = &["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"];

/// Variables that a shell or a terminal sets for itself.
const SET_BY_SHELL: &[&str] =
    &["_", "PWD", "OLDPWD", "SHLVL", "LINES", "COLUMNS", "LANGUAGE", "LC_ALL", "LC_CTYPE", "PS1", "IFS"];

/// The variables that configure a tool, and the words by which a command or a log mentions the tool.
struct Tool {
    /// Names; one that ends with `*` is a prefix.
    variables: &'static [&'static str],
    words: &'static [&'static str],
}

const TOOLS: &[Tool] = &[
    Tool {
        variables: &["RUSTUP_HOME", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_REGISTRIES_*"],
        words: &["cargo", "rustc", "rustup", "rustfmt", "clippy"],
    },
    Tool {
        variables: &["JAVA_HOME", "JDK_HOME", "MAVEN_*", "M2_HOME", "GRADLE_*", "SDKMAN_DIR"],
        words: &["java", "javac", "mvn", "mvnw", "gradle", "gradlew", "sbt", "JAVA_HOME", "jvm", "kotlinc"],
    },
    Tool {
        variables: &[
            "VIRTUAL_ENV",
            "CONDA_PREFIX",
            "PYENV_VERSION",
            "PYTHONPATH",
            "PYTHONHOME",
            "PIP_INDEX_URL",
            "PIP_EXTRA_INDEX_URL",
            "UV_*",
            "POETRY_*",
        ],
        words: &[
            "python",
            "python3",
            "pip",
            "pip3",
            "pytest",
            "uv",
            "poetry",
            "pyenv",
            "ModuleNotFoundError",
            "conda",
            "mypy",
            "ruff",
        ],
    },
    Tool {
        variables: &[
            "NVM_*",
            "VOLTA_HOME",
            "FNM_*",
            "NODE_PATH",
            "NODE_OPTIONS",
            "PNPM_HOME",
            "BUN_INSTALL",
            "COREPACK_*",
            "NPM_TOKEN",
            "NPM_CONFIG_*",
            "npm_config_registry",
        ],
        words: &["node", "npm", "npx", "pnpm", "yarn", "bun", "corepack", "volta"],
    },
    Tool {
        variables: &[
            "GOPATH",
            "GOROOT",
            "GOMODCACHE",
            "GOCACHE",
            "GOPROXY",
            "GOPRIVATE",
            "GONOSUMDB",
            "GOFLAGS",
            "GOTOOLCHAIN",
            "GOENV",
        ],
        words: &["go", "gofmt", "golangci-lint"],
    },
    Tool {
        variables: &["ANDROID_*"],
        words: &["android", "adb", "gradle", "gradlew", "sdkmanager", "ANDROID_HOME", "SDK"],
    },
    Tool { variables: &["DOTNET_*", "NUGET_*"], words: &["dotnet", "msbuild", "nuget"] },
    Tool {
        variables: &["GEM_*", "BUNDLE_*", "RBENV_*", "RUBYLIB", "RUBYOPT"],
        words: &["ruby", "gem", "bundle", "bundler", "rake", "rspec", "rbenv"],
    },
    Tool { variables: &["COMPOSER_*"], words: &["php", "composer", "phpunit"] },
    Tool {
        variables: &["DOCKER_*", "COMPOSE_*", "BUILDX_*", "TESTCONTAINERS_*"],
        words: &["docker", "docker-compose", "podman", "testcontainers", "Testcontainers"],
    },
    Tool { variables: &["KUBECONFIG", "KUBE_*", "HELM_*"], words: &["kubectl", "helm", "kustomize", "kind"] },
    Tool { variables: &["AWS_*"], words: &["aws", "sam", "cdk", "terraform", "boto3", "s3", "AWS"] },
    Tool {
        variables: &["GOOGLE_*", "CLOUDSDK_*"],
        words: &["gcloud", "gsutil", "bq", "terraform", "google", "firebase"],
    },
    Tool { variables: &["AZURE_*", "ARM_*"], words: &["az", "azure", "terraform"] },
    Tool { variables: &["TF_*", "TERRAFORM_*"], words: &["terraform", "tofu", "terragrunt"] },
    Tool {
        variables: &["SSH_AUTH_SOCK", "SSH_AGENT_PID"],
        words: &["ssh", "publickey", "scp", "rsync", "git", "sftp"],
    },
    Tool {
        variables: &["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"],
        words: &["shared", "libraries", "dlopen", "dyld", "Library", "ld"],
    },
    Tool {
        variables: &[
            "PKG_CONFIG_PATH",
            "PKG_CONFIG_LIBDIR",
            "CPATH",
            "C_INCLUDE_PATH",
            "LIBRARY_PATH",
            "CMAKE_PREFIX_PATH",
        ],
        words: &["pkg-config", "cmake", "gcc", "cc", "ld", "meson", "clang"],
    },
    Tool { variables: &["ASDF_*", "MISE_*", "RTX_*"], words: &["asdf", "mise", "rtx", "shim", "shims"] },
    Tool { variables: &["NIX_*", "IN_NIX_SHELL"], words: &["nix", "nix-shell"] },
    Tool {
        variables: &["DATABASE_URL", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"],
        words: &["psql", "postgres", "postgresql", "sqlx", "diesel"],
    },
    Tool {
        variables: &["DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"],
        words: &["display", "DISPLAY", "X11", "GTK", "Qt"],
    },
    Tool { variables: &["FTP_PROXY", "ftp_proxy", "RSYNC_PROXY"], words: &["proxy", "resolve", "connect"] },
];

impl Tool {
    fn has(&self, name: &str) -> bool {
        self.variables.iter().any(|known| match known.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == *known,
        })
    }

    fn is_in(&self, words: &BTreeSet<&str>) -> bool {
        self.words.iter().any(|word| words.contains(word))
    }
}

/// Returns whether a line says that something was not found.
fn says_not_found(line: &str) -> bool {
    const SIGNS: &[&str] = &[
        "not found",
        "no such file",
        "no module named",
        "could not choose",
        "could not find",
        "could not resolve",
        "cannot find",
        "can't find",
        "cannot open shared object",
        "cannot connect",
        "unable to locate",
        "unable to find",
        "not installed",
        "is not set",
        "not configured",
        "permission denied",
        "no default is configured",
        "connection refused",
        "no credentials",
        "credentials",
        "unauthorized",
        "authentication",
    ];
    let lower = line.to_lowercase();
    SIGNS.iter().any(|sign| lower.contains(sign))
}

/// Returns whether a line says that a variable is missing.
fn mentions_missing(line: &str, name: &str) -> bool {
    const SIGNS: &[&str] = &[
        "set",
        "unbound",
        "undefined",
        "missing",
        "environ",
        "env",
        "keyerror",
        "not found",
        "require",
        "must",
        "empty",
        "variable",
        "parameter",
        "null",
        "none",
        "$",
        "no such",
        "provide",
        "expected",
    ];
    // A short name without an underscore may be an ordinary word.
    if name.len() < 2 || !has_word(line, name) {
        return false;
    }
    let rest = line.replace(name, "").to_lowercase();
    SIGNS.iter().any(|sign| rest.contains(sign))
}

/// Returns whether a command uses a variable without a default value.
fn is_used(command: &str, name: &str) -> bool {
    let mut parts = command.split('$').skip(1);
    parts.any(|part| {
        let part = part.strip_prefix('{').unwrap_or(part);
        part.strip_prefix(name).is_some_and(|rest| {
            let is_longer = rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
            let has_default = [":-", ":=", "-"].iter().any(|mark| rest.starts_with(mark));
            !is_longer && !has_default
        })
    })
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|part| part == word)
}

/// Returns the part after the last colon: `foo` of `sh: 1: foo`.
fn last_part(text: &str) -> &str {
    text.rsplit(": ").next().unwrap_or(text).trim()
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(|c| matches!(c, '\'' | '"' | '`' | '‘' | '’' | '“' | '”'))
}

/// Returns the hints without variables and files that were named before in this run, and remembers the new
/// ones.
pub fn without_repeated(hints: Vec<Hint>, named_before: &mut BTreeSet<String>) -> Vec<Hint> {
    let new_hints = hints.into_iter().filter_map(|hint| match hint {
        Hint::Variables { names } => {
            let names: Vec<String> =
                names.into_iter().filter(|name| named_before.insert(name.clone())).collect();
            (!names.is_empty()).then_some(Hint::Variables { names })
        }
        Hint::NotInTree { paths, remedy } => {
            let is_new = named_before.insert(format!("{} {remedy}", paths.join(" ")));
            is_new.then_some(Hint::NotInTree { paths, remedy })
        }
        other => Some(other),
    });
    new_hints.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::path::RepoPath;
    use crate::config::{SourceText, parse};

    fn hinted(run: &str, ended: &Ended, log: &str, vars: &[(&str, &str)], root: &Path) -> Vec<Hint> {
        let text = format!("[tasks.t]\nrun = {run}\npass-env = [\"KNOWN\"]\n");
        let config =
            parse(&SourceText { name: "tasks.toml", text: &text, base: RepoPath::top(), project: "" })
                .unwrap();
        let task = config.tasks.first().unwrap();
        let all: Vec<(&str, &str)> =
            [("PATH", "/usr/bin:/bin")].into_iter().chain(vars.iter().copied()).collect();
        hints(&FailedTask {
            task,
            ended,
            log,
            root,
            env: &Env::new(all.iter().map(|(n, v)| (n.into(), v.into())), "/".into()),
        })
    }

    #[test]
    fn missing_command_is_recognised_in_messages_of_all_shells() {
        let root = tempfile::tempdir().unwrap();
        let not_found = |log: &str| hinted("'x'", &Ended::Exit { code: 127 }, log, &[], root.path());
        for log in [
            "sh: 1: foo: not found",
            "sh: foo: not found",
            "bash: line 1: foo: command not found",
            "zsh:1: command not found: foo",
            "fish: Unknown command: foo",
            "some\noutput\n/bin/sh: 12: foo: not found\nnpm error code 127\n",
            "env: 'foo': No such file or directory",
            "/usr/bin/env: ‘foo’: No such file or directory",
        ] {
            let hint = Hint::CommandNotFound { command: "foo".to_owned(), found_in: None };
            assert_eq!(not_found(log), [hint], "{log}");
        }
        assert_eq!(not_found("nothing"), [Hint::Shell { code: 127 }]);
    }

    /// A command, its log, the caller's variables, and the names that the hint must contain.
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

    #[test]
    fn withheld_variables_are_named_if_the_failure_mentions_them() {
        let root = tempfile::tempdir().unwrap();
        let exit = Ended::Exit { code: 1 };
        let cases: &[Case<'_>] = &[
            ("'x'", "x: line 1: MY_TOKEN: unbound variable", &[("MY_TOKEN", "v")], &["MY_TOKEN"]),
            ("'x'", "KeyError: 'MY_URL'", &[("MY_URL", "v"), ("MY_URL2", "v")], &["MY_URL"]),
            ("'x'", "MY_URL is fine", &[("MY_URL", "v")], &[]),
            ("'x'", "KNOWN is not set", &[("KNOWN", "v")], &[]),
            ("'x'", "MY_URL is not set", &[], &[]),
            ("'x'", "MY_URL is not set", &[("MY_URL", "")], &[]),
            ("'curl $MY_URL'", "curl: no URL", &[("MY_URL", "v")], &["MY_URL"]),
            ("'curl ${MY_URL:-x}'", "curl: no URL", &[("MY_URL", "v")], &[]),
            ("'mvn test'", "2 tests failed", &[("JAVA_HOME", "/j")], &[]),
            (
                "'mvn test'",
                "The JAVA_HOME environment variable is not defined",
                &[("JAVA_HOME", "/j")],
                &["JAVA_HOME"],
            ),
            (
                "'pytest'",
                "ModuleNotFoundError: No module named 'x'",
                &[("VIRTUAL_ENV", "/v")],
                &["VIRTUAL_ENV"],
            ),
            ("'make'", "PWD is not set; GIT_DIR is not set", &[("PWD", "/"), ("GIT_DIR", "/")], &[]),
        ];
        for (run, log, vars, expected) in cases {
            let names: Vec<String> = hinted(run, &exit, log, vars, root.path())
                .into_iter()
                .flat_map(|hint| if let Hint::Variables { names } = hint { names } else { Vec::new() })
                .collect();
            assert_eq!(names, *expected, "{run} {log}");
        }
    }

    #[test]
    fn missing_interpreter_of_a_script_is_named() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).unwrap();
        write("crlf.sh", "#!/bin/sh\r\necho\r\n");
        write("typo.py", "#!/usr/bin/env pyhton\n");
        write("gone.sh", "#!/no/such/bash\n");
        let not_found = |run: &str, log: &str| hinted(run, &Ended::Exit { code: 127 }, log, &[], root.path());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            not_found("'./crlf.sh'", "sh: 1: ./crlf.sh: not found"),
            [Hint::LineEnds { script: some("./crlf.sh"), interpreter: "/bin/sh".to_owned() }]
        );
        assert_eq!(
            not_found("'./typo.py'", "env: 'pyhton': No such file or directory"),
            [Hint::Interpreter { script: some("./typo.py"), interpreter: "/usr/bin/env pyhton".to_owned() }]
        );
        assert_eq!(
            not_found("'./gone.sh'", "bash: line 1: ./gone.sh: cannot execute: required file not found"),
            [Hint::Interpreter { script: some("./gone.sh"), interpreter: "/no/such/bash".to_owned() }]
        );
        assert_eq!(
            not_found("'./x'", "/usr/bin/env: ‘python3\\r’: No such file or directory"),
            [Hint::LineEnds { script: None, interpreter: "/usr/bin/env python3".to_owned() }]
        );
        let denied = |log: &str| hinted("'x'", &Ended::Exit { code: 126 }, log, &[], root.path());
        assert_eq!(
            denied("sh: 1: ./crlf.sh: Permission denied"),
            [Hint::NotExecutable { path: "./crlf.sh".to_owned() }]
        );
        assert_eq!(
            denied("bash: line 1: ./gone.sh: /no/such/bash: bad interpreter: No such file or directory"),
            [Hint::Interpreter { script: some("./gone.sh"), interpreter: "/no/such/bash".to_owned() }]
        );
        assert_eq!(denied("sh: 1: ./x: Exec format error"), [Hint::NotAProgram { path: "./x".to_owned() }]);
    }

    #[test]
    fn status_above_128_is_a_signal_only_from_a_shell() {
        let root = tempfile::tempdir().unwrap();
        let of = |run: &str, ended| hinted(run, &ended, "", &[], root.path());
        assert_eq!(of("'x'", Ended::Exit { code: 137 }), [Hint::Signal { signal: 9, by_shell: true }]);
        assert_eq!(of("['x']", Ended::Exit { code: 137 }), []);
        assert_eq!(of("'x'", Ended::Exit { code: 255 }), []);
        assert_eq!(of("['x']", Ended::Signal { signal: 11 }), [Hint::Signal { signal: 11, by_shell: false }]);
    }
}
