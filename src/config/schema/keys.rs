//! The keys that each table of tasks.toml knows, those that are planned, and what to say to any
//! other. It must not know what the keys mean.

use crate::base::name;
use crate::config::diagnostic::Diagnostic;
use crate::config::syntax::document::Text;

/// The keys of one kind of table.
#[derive(Debug)]
pub(crate) struct Keys {
    known: &'static [&'static str],
    /// Keys of the design that are still to come, and what to do until then.
    planned: &'static [(&'static str, &'static str)],
    /// Keys that are right elsewhere or have another name here, and where or which.
    elsewhere: &'static [(&'static str, &'static str)],
}

pub(crate) const TOP: Keys = Keys {
    known: &[
        "include", "settings", "files", "tools", "defaults", "tasks", "services", "gates", "hooks",
        "worktree", "ci",
    ],
    planned: &[
        ("environments", "take it out"),
        ("notify", "take it out"),
        ("cache", "take it out; the size of the cache is `cache-size` in `[settings]`"),
    ],
    elsewhere: &[
        ("task", "tasks are written as `[tasks.NAME]`"),
        ("env", "for all tasks, write it as `[defaults.env]`"),
        ("reports", "it belongs in the task that writes them"),
        ("gate", "gates are written as `[gates.NAME]`"),
        ("shell", "it belongs in `[settings]`"),
        ("jobs", "it belongs in `[settings]`"),
        ("cache-size", "it belongs in `[settings]`"),
    ],
};

pub(crate) const CI: Keys = Keys {
    known: &["run", "shards", "timings", "branches", "providers", "install", "timeout"],
    planned: &[],
    elsewhere: &[
        ("needs", "did you mean `run`? A task of this name is `[tasks.ci]`"),
        ("os", "systems come from the tasks' own `os`"),
        ("matrix", "variants come from the tasks' own `matrix`"),
        ("setup", "write the steps between the markers in the generated file, where they are kept"),
        ("branch", "did you mean `branches`?"),
        ("provider", "did you mean `providers`?"),
    ],
};

pub(crate) const SETTINGS: Keys = Keys {
    known: &["jobs", "cache-size", "shell"],
    planned: &[],
    elsewhere: &[
        ("timeout", "it belongs in `[defaults]` or in a task"),
        ("env", "it belongs in `[defaults]` or in a task"),
    ],
};

pub(crate) const TASK: Keys = Keys {
    known: &[
        "description",
        "group",
        "run",
        "fix",
        "finally",
        "shell",
        "cwd",
        "inputs",
        "outputs",
        "reports",
        "needs",
        "matrix",
        "env",
        "pass-env",
        "secret-env",
        "tools",
        "timeout",
        "slow-after",
        "retries",
        "locks",
        "slots",
        "os",
        "cache",
        "sandbox",
        "services",
        "env-file",
        "rust",
    ],
    planned: &[],
    elsewhere: &[
        ("command", "did you mean `run`?"),
        ("cmd", "did you mean `run`?"),
        ("cmds", "did you mean `run`?"),
        ("script", "did you mean `run`?"),
        ("depends", "did you mean `needs`?"),
        ("depends-on", "did you mean `needs`?"),
        ("depends_on", "did you mean `needs`?"),
        ("deps", "did you mean `needs`?"),
        ("dir", "did you mean `cwd`?"),
        ("workdir", "did you mean `cwd`?"),
        ("sources", "did you mean `inputs`?"),
        ("generates", "did you mean `outputs`?"),
        ("platforms", "did you mean `os`?"),
        ("report", "did you mean `reports`?"),
        ("gate", "a gate is a table of its own: `[gates.NAME]`"),
        ("coverage", "it is a rule of a gate: `[gates.NAME]`"),
        ("parallel", "tasks always run in parallel, as far as `needs` and `locks` let them"),
    ],
};

pub(crate) const WORKTREE: Keys = Keys {
    known: &["root", "link", "copy", "filters", "setup"],
    planned: &[],
    elsewhere: &[
        ("inputs", "it belongs in the setup: `[worktree.setup]` with `run` and `inputs`"),
        ("run", "did you mean `setup`?"),
        ("links", "did you mean `link`?"),
        ("dir", "did you mean `root`?"),
    ],
};

pub(crate) const TOOL: Keys = Keys {
    known: &["run", "cwd"],
    planned: &[],
    elsewhere: &[
        ("probe", "did you mean `run`?"),
        ("command", "did you mean `run`?"),
        ("version", "write what prints it: `run = \"node --version\"`"),
        ("dir", "did you mean `cwd`?"),
    ],
};

pub(crate) const SETUP: Keys = Keys {
    known: &[
        "run",
        "inputs",
        "shell",
        "cwd",
        "env",
        "pass-env",
        "secret-env",
        "tools",
        "timeout",
        "slow-after",
        "description",
    ],
    planned: &[],
    elsewhere: &[("outputs", "what it writes stays in the worktree: take it out")],
};

pub(crate) const SERVICE: Keys = Keys {
    known: &[
        "description",
        "run",
        "shell",
        "cwd",
        "inputs",
        "needs",
        "services",
        "env",
        "pass-env",
        "secret-env",
        "tools",
        "port",
        "ready",
        "stop",
        "env-file",
    ],
    planned: &[],
    elsewhere: &[
        ("command", "did you mean `run`?"),
        ("cmd", "did you mean `run`?"),
        ("image", "a service is a command: run = \"docker run --rm …\""),
        ("ports", "did you mean `port`?"),
        ("depends-on", "did you mean `needs` or `services`?"),
        ("depends_on", "did you mean `needs` or `services`?"),
        ("healthcheck", "did you mean `ready`?"),
        ("timeout", "the time that it may take to be ready is `timeout` in `ready`"),
        ("outputs", "what it writes is not kept: take it out"),
        ("reports", "a task writes reports: take it out"),
    ],
};

pub(crate) const READY: Keys = Keys {
    known: &["tcp", "unix", "http", "log", "command", "timeout"],
    planned: &[],
    elsewhere: &[
        ("https", "write http = \"https://…\""),
        ("port", "write tcp = \"localhost:PORT\""),
        ("socket", "did you mean `unix`?"),
    ],
};

pub(crate) const STOP: Keys =
    Keys { known: &["signal", "grace"], planned: &[], elsewhere: &[("timeout", "did you mean `grace`?")] };

/// The kinds of reports, as `ci_reports::ReportKind` has them.
pub(crate) const KINDS: [&str; 10] =
    ["junit", "lcov", "cobertura", "sarif", "secrets", "cyclonedx", "spdx", "k6", "sonar", "facts"];

pub(crate) const REPORTS: Keys = Keys {
    known: &[
        "junit",
        "lcov",
        "cobertura",
        "sarif",
        "secrets",
        "cyclonedx",
        "spdx",
        "k6",
        "sonar",
        "facts",
        "partial",
    ],
    planned: &[],
    elsewhere: &[
        ("xml", "did you mean `junit` or `cobertura`?"),
        ("coverage", "did you mean `lcov` or `cobertura`?"),
        ("tests", "did you mean `junit`?"),
        ("sbom", "did you mean `cyclonedx` or `spdx`?"),
        ("reason", "did you mean `partial`?"),
        ("incomplete", "did you mean `partial`?"),
    ],
};

/// The rules of a gate.
pub(crate) const RULES: [&str; 7] =
    ["coverage", "tests", "findings", "secrets", "licences", "performance", "sonar"];

pub(crate) const GATE: Keys = Keys {
    known: &[
        "description",
        "group",
        "of",
        "base",
        "baseline",
        "by-name",
        "coverage",
        "tests",
        "findings",
        "secrets",
        "licences",
        "performance",
        "sonar",
        "suppress",
    ],
    planned: &[],
    elsewhere: &[
        ("licenses", "did you mean `licences`?"),
        ("licence", "did you mean `licences`?"),
        ("license", "did you mean `licences`?"),
        ("needs", "did you mean `of`, the tasks whose reports it reads?"),
        ("tasks", "did you mean `of`, the tasks whose reports it reads?"),
        ("run", "a gate runs nothing: it reads the reports of tasks"),
        ("reports", "it belongs in the task that writes them; `of` names the task"),
        ("min", "it belongs in `coverage`: coverage = { min = 80 }"),
        ("max-drop", "it belongs in `coverage`: coverage = { max-drop = 2 }"),
        ("suppressions", "did you mean `suppress`?"),
        ("ignore", "did you mean `suppress`?"),
    ],
};

pub(crate) const COVERAGE: Keys = Keys {
    known: &["min", "max-drop", "paths"],
    planned: &[],
    elsewhere: &[("lines", "did you mean `min`?"), ("drop", "did you mean `max-drop`?")],
};

pub(crate) const TESTS: Keys = Keys {
    known: &["failed", "skipped", "flaky", "min-count"],
    planned: &[],
    elsewhere: &[
        ("count", "did you mean `min-count`?"),
        ("min", "did you mean `min-count`?"),
        ("failures", "did you mean `failed`?"),
        ("errors", "an error counts as `failed`"),
    ],
};

pub(crate) const FINDINGS: Keys = Keys {
    known: &["critical", "high", "medium", "low", "note", "total", "new"],
    planned: &[],
    elsewhere: &[
        ("error", "did you mean `high`, which SARIF's `error` is?"),
        ("warning", "did you mean `medium`, which SARIF's `warning` is?"),
        ("max", "did you mean `total`?"),
    ],
};

pub(crate) const LICENCES: Keys = Keys { known: &["allow", "deny"], planned: &[], elsewhere: &[] };

pub(crate) const SUPPRESSION: Keys = Keys {
    known: &["rule", "path", "licence", "package", "reason", "expires"],
    planned: &[],
    elsewhere: &[
        ("license", "did you mean `licence`?"),
        ("id", "did you mean `rule`?"),
        ("until", "did you mean `expires`?"),
        ("expiry", "did you mean `expires`?"),
        ("why", "did you mean `reason`?"),
    ],
};

const NOT_SHARED: &str = "it differs from task to task: write it in each";

pub(crate) const DEFAULTS: Keys = Keys {
    known: &[
        "shell",
        "inputs",
        "env",
        "pass-env",
        "secret-env",
        "tools",
        "timeout",
        "slow-after",
        "retries",
        "locks",
        "slots",
        "os",
        "cache",
        "sandbox",
        "services",
        "env-file",
    ],
    planned: &[],
    elsewhere: &[
        ("description", NOT_SHARED),
        ("group", NOT_SHARED),
        ("run", NOT_SHARED),
        ("fix", NOT_SHARED),
        ("finally", NOT_SHARED),
        ("cwd", NOT_SHARED),
        ("outputs", NOT_SHARED),
        ("reports", NOT_SHARED),
        ("needs", NOT_SHARED),
        ("matrix", NOT_SHARED),
        ("rust", NOT_SHARED),
        ("jobs", "it belongs in `[settings]`"),
        ("cache-size", "it belongs in `[settings]`"),
    ],
};

impl Keys {
    pub(crate) fn known(&self) -> &'static [&'static str] {
        self.known
    }

    #[cfg(test)]
    pub(crate) fn planned(&self) -> impl Iterator<Item = &'static str> {
        self.planned.iter().map(|(key, _)| *key)
    }

    pub(crate) fn knows(&self, key: &str) -> bool {
        self.known.contains(&key)
    }

    /// What to say to a key that the table does not take; `table` is its name in messages.
    pub(crate) fn refusal(&self, key: &Text<'_>, table: &str) -> Diagnostic {
        let find = |list: &'static [(&'static str, &'static str)]| {
            list.iter().find(|(name, _)| *name == key.text).map(|(_, text)| *text)
        };
        if let Some(until_then) = find(self.planned) {
            return Diagnostic::new(key.span.clone(), format!("`{}` is not yet supported here", key.text))
                .label("not yet supported")
                .hint(until_then);
        }
        let message = format!("{table} has no key `{}`", shown(key.text));
        let planned = self.planned.iter().map(|(name, _)| *name);
        let (hint, meant) = match find(self.elsewhere) {
            Some(text) => (text.to_owned(), quoted_key(text)),
            None => match name::nearest(key.text, self.known.iter().copied().chain(planned)) {
                Some(near) => (format!("did you mean `{near}`?"), Some(near)),
                None => (format!("its keys are {}", self.known.join(", ")), None),
            },
        };
        let mut refusal = Diagnostic::new(key.span.clone(), message).label("not a key here").hint(hint);
        refusal.meant = meant;
        refusal
    }
}

/// The first key that a text quotes: `tasks` of "tasks are written as `[tasks.NAME]`".
fn quoted_key(text: &'static str) -> Option<&'static str> {
    let key = text.split('`').nth(1)?.trim_start_matches('[');
    key.split([']', '.', ' ']).next().filter(|key| !key.is_empty())
}

/// A name of any characters, on one line and not too long.
pub(crate) fn shown(name: &str) -> String {
    let escaped: String = name.escape_debug().take(60).collect();
    if name.chars().count() > 60 { format!("{escaped}…") } else { escaped }
}

/// `did you mean …?`, or the names that there are.
pub(crate) fn suggestion<'a>(
    given: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    (prefix, none): (&str, &str),
) -> String {
    if let Some(near) = name::nearest(given, known.clone()) {
        return format!("did you mean `{prefix}{near}`?");
    }
    let mut names: Vec<String> = known.take(9).map(|name| format!("`{prefix}{name}`")).collect();
    match names.len() {
        0 => none.to_owned(),
        9 => {
            names.truncate(8);
            format!("there are {} and more", names.join(", "))
        }
        1 => format!("there is only {}", names[0]),
        _ => format!("there are {}", names.join(", ")),
    }
}

/// Reports a name that can't be one.
pub(crate) fn name_refusal(name: &Text<'_>, what: &str) -> Option<Diagnostic> {
    let why = name::refusal(name.text)?;
    let message = match shown(name.text) {
        empty if empty.is_empty() => format!("an empty text can't be {what}'s name"),
        shown => format!("`{shown}` can't be {what}'s name"),
    };
    Some(Diagnostic::new(name.span.clone(), message).label("not a name").hint(why))
}
