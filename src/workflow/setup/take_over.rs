//! The setup steps of workflows that people wrote, as far as they can be taken over into another job. It must
//! not know which tools the tasks need.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::workflow::ci_facts::TaskCommand;
use crate::workflow::commands;
use crate::workflow::existing::Job;
use crate::workflow::step::Step;

/// Words in the names of actions, scripts and targets that make a machine ready.
const SETUP_WORDS: [&str; 9] =
    ["setup", "install", "toolchain", "bootstrap", "prepare", "deps", "mise-action", "rust-cache", "rustup"];
/// Contexts of a job that another job does not have.
const FOREIGN: [&str; 8] =
    ["matrix.", "secrets.", "secrets[", "needs.", "inputs.", "vars.", "env.", "strategy."];
/// Words in the names of jobs that use other versions than most.
const SPECIAL: [&str; 6] = ["msrv", "min", "nightly", "beta", "cover", "bench"];
/// Actions that a job uses more than once.
const REPEATABLE: [&str; 2] = ["actions/cache", "taiki-e/install-action"];

/// The steps that were taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The steps.
    pub steps: Vec<Step>,
    /// The jobs that they are from.
    pub from: Vec<String>,
    /// The setup steps that can't be taken over, with the reasons.
    pub omitted: Vec<String>,
}

/// Takes over the setup of the jobs that run commands of tasks, or else of the job that tests.
pub fn take_over(jobs: &[Job], tasks: &[TaskCommand]) -> Taken {
    let mut relevant: Vec<(usize, usize, &Job)> = jobs
        .iter()
        .map(|job| {
            let matching = |step: &Step| step.script().map_or(0, |script| replaced(script, tasks).len());
            let counts: Vec<usize> = job.steps.iter().map(matching).collect();
            let end = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
            (counts.iter().sum(), end, job)
        })
        .filter(|(count, ..)| *count > 0)
        .collect();
    let is_special = |job: &Job| SPECIAL.iter().any(|word| job.id.contains(word));
    relevant.sort_by_key(|(count, _, job)| (is_special(job), std::cmp::Reverse(*count)));
    let is_guess = relevant.is_empty();
    if is_guess {
        let is_test = |job: &&Job| job.label().to_lowercase().contains("test");
        let job = jobs.iter().find(is_test).filter(|job| job.steps.iter().any(is_setup));
        relevant.extend(job.map(|job| (0, job.steps.len(), job)));
    }
    let mut taken = Taken::default();
    for (_, end, job) in relevant {
        let before = taken.steps.len();
        // A job that runs other commands may install less.
        let is_part =
            |step: &&Step| is_guess && step.script().is_some_and(|script| script.contains("pip install"));
        for step in job.steps[..end].iter().filter(|step| is_setup(step) && !is_part(step)) {
            taken.add(step, job);
        }
        if taken.steps.len() > before {
            taken.from.push(job.label());
        }
    }
    taken
}

/// Returns the commands of a script that tasks run too.
pub fn replaced(script: &str, tasks: &[TaskCommand]) -> Vec<String> {
    let is_replaced = |command: &String| {
        !is_install(command)
            && tasks
                .iter()
                .flat_map(|task| commands::split(&task.line))
                .any(|own| commands::is_same(&own, command))
    };
    commands::split(script).into_iter().filter(is_replaced).collect()
}

impl Taken {
    fn add(&mut self, step: &Step, job: &Job) {
        let mut keys = step.keys.clone();
        if let Some(condition) = keys.remove("if") {
            let condition = condition.to_string().to_lowercase();
            let is_linux =
                ["linux", "ubuntu"].iter().any(|name| condition.contains(name)) && !condition.contains('!');
            if ["windows", "macos"].iter().any(|name| condition.contains(name)) && !is_linux {
                return;
            }
            if !is_linux {
                self.omit(step, job, "it has a condition");
                return;
            }
        }
        let ids: BTreeSet<&str> =
            self.steps.iter().filter_map(|step| step.keys.get("id")?.as_str()).collect();
        let name = keys.remove("name").and_then(|name| resolve(&name, &job.matrix, &ids));
        let Some(Value::Object(mut keys)) = resolve(&Value::Object(keys), &job.matrix, &ids) else {
            self.omit(step, job, "it needs values of its own job");
            return;
        };
        keys.extend(name.map(|name| ("name".to_owned(), name)));
        let new = Step { keys, comment: step.comment.clone() };
        let is_known = |old: &Step| match (old.action(), new.action()) {
            (Some(old), Some(new)) if old == new => !REPEATABLE.contains(&new) && !new.starts_with('.'),
            _ => false,
        };
        let is_equal = |old: &Step| {
            ["uses", "with", "run", "working-directory"]
                .iter()
                .all(|key| old.keys.get(*key) == new.keys.get(*key))
        };
        if !self.steps.iter().any(|old| is_known(old) || is_equal(old)) {
            self.steps.push(new);
        }
    }

    fn omit(&mut self, step: &Step, job: &Job, why: &str) {
        let line = format!("{}: {}: {why}", job.label(), step.label());
        if !self.omitted.contains(&line) {
            self.omitted.push(line);
        }
    }
}

/// Returns whether a step makes the machine ready and does nothing else.
fn is_setup(step: &Step) -> bool {
    let has_word = |name: &str| SETUP_WORDS.iter().any(|word| name.contains(word));
    match (step.action(), step.script()) {
        (Some("actions/cache"), _) => true,
        (Some(action), _) => has_word(action) && !action.starts_with('$'),
        (None, Some(script)) => {
            let commands = commands::split(script);
            commands.iter().any(|command| is_install(command))
                && commands.iter().all(|command| is_install(command) || is_neutral(command))
        }
        (None, None) => false,
    }
}

fn is_neutral(command: &str) -> bool {
    let words = commands::words(command);
    let neutral = ["cd", "mkdir", "export", "set", "source", ".", "echo", "cp", "ln", "node", "python"];
    let is_version = words.iter().any(|word| word == "--version" || word == "-V");
    match words.first().map(String::as_str) {
        Some("node" | "python") => is_version,
        Some(word) => neutral.contains(&word) || is_version,
        None => true,
    }
}

/// Returns whether a command installs or configures tools or packages.
fn is_install(command: &str) -> bool {
    if ["GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT"].iter().any(|file| command.contains(file)) {
        return true;
    }
    let words = commands::words(command);
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "sudo").collect();
    let words = match words.as_slice() {
        ["python" | "python3" | "py", "-m", rest @ ..] => rest,
        ["uv", "pip", rest @ ..] => rest,
        all => all,
    };
    let operands = |rest: &[&str]| rest.iter().any(|word| !word.starts_with('-'));
    let has = |wanted: &str| words.contains(&wanted);
    match words {
        ["apt-get" | "apt" | "brew" | "apk" | "corepack" | "rustup" | "venv", ..] => true,
        // A package that is named changes package.json, unless it is global.
        ["npm" | "pnpm", "install" | "i", rest @ ..] => !operands(rest) || has("-g") || has("--global"),
        ["npm", "ci" | "clean-install", ..] | ["yarn"] => true,
        ["yarn" | "bun", "install" | "i", ..] => true,
        ["yarn", first, ..] if first.starts_with("--") => true,
        ["pip" | "pip3" | "install", ..] => has("install"),
        [
            "uv" | "poetry" | "pdm" | "pipenv" | "pipx" | "hatch" | "bundle" | "composer" | "mise",
            second,
            ..,
        ] => ["sync", "install", "config", "venv", "tool", "python", "self", "env"].contains(second),
        ["cargo", "install" | "binstall" | "fetch", ..] | ["dotnet", "restore" | "tool", ..] => true,
        ["go", "install" | "get", ..] | ["go", "mod", "download", ..] | ["git", "config", ..] => true,
        ["curl" | "wget", ..] => command.contains("install"),
        ["npx" | "pnpm" | "yarn" | "bunx" | "npm", ..] if has("playwright") => has("install"),
        ["make" | "just" | "task" | "npm" | "pnpm" | "yarn", rest @ ..] => {
            rest.iter().any(|word| SETUP_WORDS.iter().any(|setup| word.contains(setup)))
        }
        [program, ..] if program.contains('/') => SETUP_WORDS.iter().any(|word| program.contains(word)),
        _ => false,
    }
}

/// Returns a value with the values of the matrix in place of its expressions; `None` if it needs something
/// else that only its job has.
fn resolve(value: &Value, matrix: &Map<String, Value>, ids: &BTreeSet<&str>) -> Option<Value> {
    Some(match value {
        Value::String(text) => Value::String(resolve_text(text, matrix, ids)?),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| resolve(item, matrix, ids)).collect::<Option<_>>()?)
        }
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| Some((key.clone(), resolve(value, matrix, ids)?)));
            Value::Object(entries.collect::<Option<_>>()?)
        }
        other => other.clone(),
    })
}

fn resolve_text(text: &str, matrix: &Map<String, Value>, ids: &BTreeSet<&str>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let (expression, after) = after.split_once("}}")?;
        out.push_str(before);
        let (name, default) = expression.trim().split_once(" || ").unwrap_or((expression.trim(), ""));
        let default = default.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        let of_matrix = name.strip_prefix("matrix.").map(|key| choose(key, matrix));
        match of_matrix {
            Some(value) => out.push_str(&value.or(default.map(str::to_owned))?),
            None if FOREIGN.iter().any(|context| expression.contains(context)) => return None,
            None => {
                let mut steps = expression.split("steps.").skip(1);
                let is_known = |name: &str| ids.contains(name.split('.').next().unwrap_or(name));
                if !steps.all(is_known) {
                    return None;
                }
                out.push_str(&format!("${{{{{expression}}}}}"));
            }
        }
        rest = after;
    }
    Some(out + rest)
}

/// Chooses a value of the matrix: of systems Linux, of versions the stable or the highest.
fn choose(key: &str, matrix: &Map<String, Value>) -> Option<String> {
    let listed = matrix.get(key).and_then(Value::as_array).into_iter().flatten();
    let included = matrix.get("include").and_then(Value::as_array).into_iter().flatten();
    let values: Vec<String> = listed
        .chain(included.filter_map(|entry| entry.get(key)))
        .filter_map(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .filter(|value| !value.is_empty())
        .collect();
    let named = |wanted: &str| values.iter().find(|value| value.contains(wanted));
    let stable = values.iter().find(|value| ["stable", "lts/*", "latest"].contains(&value.as_str()));
    let highest = values.iter().filter_map(|value| Some((version(value)?, value))).max();
    named("ubuntu").or(stable).or(highest.map(|(_, value)| value)).or(values.first()).cloned()
}

/// Returns the numbers of a plain version such as `22`, `3.13` or `20.x`.
fn version(text: &str) -> Option<Vec<u32>> {
    let text = text.trim_start_matches('v').trim_end_matches(".x");
    text.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::existing::github_jobs;

    fn tasks(lines: &[&str]) -> Vec<TaskCommand> {
        lines.iter().map(|line| TaskCommand { folder: String::new(), line: (*line).to_owned() }).collect()
    }

    fn take(steps: &str, matrix: &str, lines: &[&str]) -> Taken {
        let text = format!(
            "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    strategy:\n      matrix: {matrix}\n    steps:\n{steps}"
        );
        let jobs = github_jobs("w.yml", &text);
        assert_eq!(jobs.len(), 1, "{text}");
        take_over(&jobs, &tasks(lines))
    }

    fn labels(taken: &Taken) -> Vec<String> {
        taken.steps.iter().map(Step::label).collect()
    }

    #[test]
    fn setup_before_the_last_replaced_command_is_taken() {
        let steps = "
      - uses: actions/checkout@v4
      - uses: pnpm/action-setup@v4
      - run: pnpm install --frozen-lockfile
      - run: pnpm build
      - run: pnpm exec playwright install chromium
      - run: pnpm test
      - run: pnpm i react@16
      - uses: codecov/codecov-action@v4
";
        let taken = take(steps, "{}", &["pnpm run test"]);
        let expected =
            ["pnpm/action-setup", "pnpm install --frozen-lockfile", "pnpm exec playwright install chromium"];
        assert_eq!(labels(&taken), expected);
        assert_eq!(taken.from, ["w.yml (test)"]);
        // Without a command in common, it is the job that tests.
        assert_eq!(labels(&take(steps, "{}", &["make"])).len(), 3);
    }

    #[test]
    fn values_of_the_matrix_are_chosen() {
        let cases = [
            ("{v: [18, 20.x, 9]}", Some("20.x")),
            ("{v: ['3.9', '3.13', '3.14-dev']}", Some("3.13")),
            ("{v: [1.70.0, stable, nightly]}", Some("stable")),
            ("{include: [{v: '3.10'}, {v: pypy}]}", Some("3.10")),
            ("{v: [{a: 1}]}", None),
            ("{}", None),
        ];
        for (matrix, expected) in cases {
            let steps = "      - uses: actions/setup-x@v1\n        with: {version: '${{ matrix.v }}'}\n      - run: make\n";
            let taken = take(steps, matrix, &["make"]);
            let found = taken.steps.first().map(|step| step.keys["with"]["version"].as_str().unwrap());
            assert_eq!(found, expected, "{matrix}");
            assert_eq!(taken.omitted.is_empty(), expected.is_some());
        }
    }

    #[test]
    fn what_needs_its_own_job_is_omitted() {
        let steps = "
      - {id: dir, run: echo dir=x >> $GITHUB_OUTPUT}
      - {uses: actions/cache@v4, with: {path: '${{ steps.dir.outputs.dir }}', key: 'a-${{ runner.os }}'}}
      - {uses: a/setup-b@v1, with: {token: '${{ secrets.TOKEN }}'}}
      - {uses: a/setup-c@v1, with: {x: '${{ steps.other.outputs.y }}'}}
      - {if: matrix.fast, run: pip install x}
      - {if: runner.os == 'Linux', run: sudo apt-get install -y y}
      - {if: runner.os == 'Windows', run: npm ci}
      - run: make
";
        let taken = take(steps, "{}", &["make"]);
        assert_eq!(
            labels(&taken),
            ["echo dir=x >> $GITHUB_OUTPUT", "actions/cache", "sudo apt-get install -y y"]
        );
        assert_eq!(
            taken.omitted,
            [
                "w.yml (test): a/setup-b: it needs values of its own job",
                "w.yml (test): a/setup-c: it needs values of its own job",
                "w.yml (test): pip install x: it has a condition",
            ]
        );
    }

    #[test]
    fn installs_are_told_from_other_commands() {
        let installs = [
            "npm ci",
            "npm i -g npm@11",
            "pip install -e .[dev]",
            "python -m pip install x",
            "uv sync --locked",
            "uv pip install -e .",
            "scripts/install",
            "make install-dev",
            "yarn",
            "yarn --frozen-lockfile",
            "sudo apt-get install -y x",
            "echo x >> \"$GITHUB_ENV\"",
            "cargo install just",
            "bun install",
            "npx playwright install --with-deps",
            "rustup component add clippy",
            "poetry install",
        ];
        for command in installs {
            assert!(is_install(command), "{command}");
        }
        for command in [
            "npm test",
            "npm i react@16",
            "uv run pytest",
            "yarn test",
            "make",
            "pytest",
            "scripts/test",
            "cargo test",
        ] {
            assert!(!is_install(command), "{command}");
        }
    }
}
