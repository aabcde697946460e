//! Writes a first tasks.toml. It must not know how the tasks were tried.

use std::collections::BTreeSet;

use crate::init::package_manager::quote_word;
use crate::init::proposals::{Candidate, Compose, Install, Proposals, TaskKind};
use crate::init::quote;

/// The line that tells editors where the schema is.
const SCHEMA: &str = "https://raw.githubusercontent.com/taskgate/taskgate/main/schema/tasks.schema.json";
/// The groups that have to pass before a push, in their usual order.
const GROUPS: &[&str] = &["lint", "unit", "integration", "e2e", "build"];

const EXAMPLE: &str = "\
# Nothing was found here that could be a task, so this is an example.
# A task has at least a name and a command; `inputs` are the files that it reads.
[tasks.hello]
description = \"An example: it passes\"
group = \"lint\"
run = \"echo hello\"
# inputs = [\"src/**\"]
";

/// Whether a task is written as a task or as a comment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inclusion {
    /// As a task.
    Kept,
    /// As a comment, for this reason.
    LeftOut(String),
}

/// Whether `xtask init` ran the tasks before it wrote them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrialMode {
    /// Each was run once, and those that are kept passed.
    Once,
    /// They were not run.
    Not,
}

/// Formats the tasks.toml; `inclusions` has an item for each task of `found`.
pub fn tasks_toml(found: &Proposals, inclusions: &[Inclusion], mode: TrialMode) -> String {
    let kept: Vec<&Candidate> = found
        .tasks
        .iter()
        .zip(inclusions)
        .filter(|(_, inclusion)| **inclusion == Inclusion::Kept)
        .map(|(task, _)| task)
        .collect();
    let used = Used { groups: groups(&kept), sets: used_sets(found, &kept), kept: &kept };
    let mut text = header(kept.len(), mode);
    text.push_str(&shared(found, &used));
    text.push_str(&gate(found, &used));
    if found.tasks.is_empty() {
        text.push_str(&format!("\n{EXAMPLE}"));
    }
    let mut origin = None;
    for (task, inclusion) in found.tasks.iter().zip(inclusions) {
        if origin != Some(&task.origin) {
            text.push_str(&format!("\n# ---- {}\n", quote::comment(&task.origin)));
            origin = Some(&task.origin);
        }
        text.push('\n');
        match inclusion {
            Inclusion::Kept => text.push_str(&table(task, &kept)),
            Inclusion::LeftOut(why) => {
                text.push_str(&format!("# left out: {}\n", quote::comment(why)));
                text.push_str(&how_to_add(found, task, &used));
                text.push_str(&commented(&table(task, &kept)));
            }
        }
    }
    found.services.iter().for_each(|compose| text.push_str(&services(compose)));
    text.push_str(&omissions(found));
    text
}

/// What the tasks use that are written as tasks.
struct Used<'f> {
    kept: &'f [&'f Candidate],
    groups: Vec<&'static str>,
    sets: BTreeSet<&'f String>,
}

impl Used<'_> {
    fn has_tool(&self, name: &String) -> bool {
        self.kept.iter().any(|task| task.tools.contains(name))
    }
}

/// Returns the groups of tasks, in their usual order.
fn groups(tasks: &[&Candidate]) -> Vec<&'static str> {
    let has = |group: &&&str| tasks.iter().any(|task| task.kind.group() == **group);
    GROUPS.iter().filter(has).copied().collect()
}

/// Formats what has to be changed elsewhere if a task that was left out becomes one.
fn how_to_add(found: &Proposals, task: &Candidate, used: &Used<'_>) -> String {
    let sets = used_sets(found, &[task]).into_iter().filter(|name| !used.sets.contains(name));
    let lines: Vec<String> = sets
        .chain(task.tools.iter().filter(|name| !used.has_tool(name)))
        .map(|name| quote::key(name))
        .collect();
    let group = task.kind.group();
    let is_in_gate = used.groups.contains(&group);
    if lines.is_empty() && is_in_gate {
        return String::new();
    }
    let mut text = "# To add it, remove the `# ` here".to_owned();
    if !lines.is_empty() {
        text.push_str(&format!(" and, above, that of {}", lines.join(", ")));
    }
    if !is_in_gate {
        text.push_str(&format!("; then add {} to `needs` of ci", quote::string(group)));
    }
    text.push_str(".\n");
    text
}

fn header(kept: usize, mode: TrialMode) -> String {
    let tried = match mode {
        _ if kept == 0 => "# Written by `xtask init`.",
        TrialMode::Once => {
            "# Written by `xtask init` for what it found here. Each task was tried once and passed; those that did\n\
             # not pass are comments with the reason."
        }
        TrialMode::Not => {
            "# Written by `xtask init --no-run` for what it found here. The tasks were not tried, so some may not\n\
             # pass on the files as they are."
        }
    };
    format!(
        "\
#:schema {SCHEMA}
#
# The tasks of this repository, for taskgate: it runs them in parallel, takes from its cache what has
# passed with the same files, tools and variables, and asks before a push whether all of them passed.
{tried} Try next:
#
#   xtask                  lists the tasks
#   xtask ci               runs everything that must pass before a push
#   xtask hooks install    tests each push before git sends it
"
    )
}

/// Formats what tasks share. An item that only commented tasks use becomes a comment too.
fn shared(found: &Proposals, used: &Used<'_>) -> String {
    let mut text = String::new();
    let line = |name: &str, value: String, is_used: bool| {
        let line = format!("{} = {value}\n", quote::key(name));
        if is_used { line } else { commented(&line) }
    };
    if !found.sets.is_empty() {
        text.push_str(
            "\n# Sets of files, used as \"@name\" in `inputs`. A task runs again if one of its inputs changed; without\n\
             # `inputs` these are all files. Add what a task reads besides. Files that configure tools are named\n\
             # whether or not they exist: a task has to run again when one is added.\n[files]\n",
        );
        for (name, files) in &found.sets {
            text.push_str(&line(name, quote::lines(files), used.sets.contains(name)));
        }
    }
    if !found.tools.is_empty() {
        text.push_str("\n# Commands that print the versions of tools. If the output changes, the tasks that name the tool run again.\n[tools]\n");
        for (name, probe) in &found.tools {
            let run = quote::string(&probe.run);
            let value = match &*probe.folder {
                "" => run,
                folder => format!("{{ run = {run}, cwd = {} }}", quote::string(folder)),
            };
            text.push_str(&line(name, value, used.has_tool(name)));
        }
    }
    text.push_str("\n# For all tasks. ");
    if found.pass_env.is_empty() {
        text.push_str(
            "A task gets a few basic variables, and those that it names in `env` and `pass-env`.\n",
        );
    } else {
        text.push_str(
            "A task gets a few basic variables, and those that are named here or in the task. With `?`\n\
             # in front, a change of the value does not run the task again.\n",
        );
    }
    text.push_str("[defaults]\ntimeout = \"30m\"\n");
    if !found.pass_env.is_empty() {
        let names: Vec<&String> = found.pass_env.iter().collect();
        text.push_str(&format!("pass-env = {}\n", quote::array(&names)));
    }
    text
}

/// Returns the sets that tasks use, directly or through other sets.
fn used_sets<'f>(found: &'f Proposals, kept: &[&Candidate]) -> BTreeSet<&'f String> {
    let names = |inputs: &[String], name: &String| inputs.contains(&format!("@{name}"));
    let by_tasks = |name: &&String| kept.iter().any(|task| names(&task.inputs, name));
    let mut used: BTreeSet<&String> = found.sets.keys().filter(by_tasks).collect();
    loop {
        let by_sets = |name: &&String| used.iter().any(|user| names(&found.sets[*user], name));
        let more: Vec<&String> =
            found.sets.keys().filter(|name| !used.contains(name)).filter(by_sets).collect();
        if more.is_empty() {
            return used;
        }
        used.extend(more);
    }
}

/// Formats the tasks that a push has to pass.
fn gate(found: &Proposals, used: &Used<'_>) -> String {
    let mut text =
        "\n# The tasks or groups that must pass before a push. `xtask hooks install` turns this on.\n\
                    [hooks]\npre-push = [\"ci\"]\n"
            .to_owned();
    text.push_str(&worktree(found));
    text.push_str("\n[tasks.ci]\ndescription = \"Everything that must pass before a push\"\n");
    let all: Vec<&Candidate> = found.tasks.iter().collect();
    let mut more = groups(&all);
    more.retain(|group| !used.groups.contains(group));
    let example = ["lint"];
    let needs = if found.tasks.is_empty() { &example[..] } else { &used.groups };
    if needs.is_empty() {
        text.push_str(&format!(
            "# No task below passed. When one does, write what must pass in place of `run`:\n\
             # needs = {}   # groups, or names of tasks\n\
             run = \"echo 'tasks.toml has no task that passes' >&2; exit 1\"\n",
            quote::array(&more)
        ));
        return text;
    }
    text.push_str(&format!("needs = {}   # groups, or names of tasks", quote::array(needs)));
    if !more.is_empty() {
        let more: Vec<String> = more.into_iter().map(quote::string).collect();
        text.push_str(&format!("; what was left out would add {}", more.join(", ")));
    }
    text.push('\n');
    text
}

/// Formats what a private worktree needs besides the tree.
fn worktree(found: &Proposals) -> String {
    let mut lines = String::new();
    for (key, paths, why) in
        [("link", &found.links, "hard links to these"), ("copy", &found.copies, "copies of these")]
    {
        if !paths.is_empty() {
            let paths: Vec<&String> = paths.iter().collect();
            lines.push_str(&format!("# It gets {why} ignored files.\n{key} = {}\n", quote::array(&paths)));
        }
    }
    if let Some(setup) = setup(&found.setups) {
        lines.push_str(&format!(
            "# It runs this first, and again when one of the inputs has changed.\n{setup}"
        ));
    }
    if lines.is_empty() {
        return lines;
    }
    format!(
        "\n# A push is tested in a private worktree, which has no ignored files of its own at first.\n[worktree]\n{lines}"
    )
}

/// Formats the setup of private worktrees, if there is one.
fn setup(installs: &[Install]) -> Option<String> {
    let first = installs.first()?;
    let inputs: Vec<&String> = installs.iter().flat_map(|install| &install.inputs).collect();
    let inputs = quote::array(&inputs);
    if installs.len() == 1 {
        let cwd = match &*first.folder {
            "" => String::new(),
            folder => format!(", cwd = {}", quote::string(folder)),
        };
        return Some(format!("setup = {{ run = {}{cwd}, inputs = {inputs} }}\n", quote::string(&first.run)));
    }
    let run = |install: &Install| match &*install.folder {
        "" => install.run.clone(),
        folder => format!("(cd {} && {})", quote_word(folder), install.run),
    };
    let runs: Vec<String> = installs.iter().map(run).collect();
    Some(format!("setup = {{ run = {}, inputs = {inputs} }}\n", quote::string(&runs.join(" && "))))
}

fn table(task: &Candidate, kept: &[&Candidate]) -> String {
    let mut text = String::new();
    if let Some(remark) = &task.remark {
        text.push_str(&format!("# {}\n", quote::comment(remark)));
    }
    text.push_str(&format!("[tasks.{}]\n", quote::key(&task.name)));
    let mut line = |key: &str, value: String| text.push_str(&format!("{key} = {value}\n"));
    line("description", quote::string(&task.about));
    line("group", quote::string(task.kind.group()));
    line("run", quote::string(&task.run));
    if let Some(fix) = &task.fix {
        line("fix", quote::string(fix));
    }
    if !task.folder.is_empty() {
        line("cwd", quote::string(&task.folder));
    }
    if !task.inputs.is_empty() {
        line("inputs", quote::array(&task.inputs));
    } else if !may_read_tasks_toml(task) {
        // Otherwise each edit of tasks.toml would run it again.
        line("inputs", "[\"!tasks.toml\"]   # all other files".to_owned());
    }
    if !task.outputs.is_empty() {
        line("outputs", quote::array(&task.outputs));
    }
    let needs: Vec<&String> =
        task.needs.iter().filter(|name| kept.iter().any(|task| task.name == **name)).collect();
    if !needs.is_empty() {
        line("needs", quote::array(&needs));
    }
    if !task.tools.is_empty() {
        line("tools", quote::array(&task.tools));
    }
    if !task.locks.is_empty() {
        line("locks", quote::array(&task.locks));
    }
    text
}

/// Returns whether a task checks files of all kinds.
fn may_read_tasks_toml(task: &Candidate) -> bool {
    task.kind == TaskKind::Format || task.origin.contains("pre-commit")
}

/// Formats an example for each service, as comments.
fn services(compose: &Compose) -> String {
    let path = quote::comment(&compose.path);
    let Some(services) = &compose.services else {
        return format!(
            "\n# {path} could not be read by `xtask init`, so its services are not shown here.\n"
        );
    };
    let mut text = format!(
        "\n# ---- {path}\n\n# Its services. A task that uses one names it: services = [\"{}\"]\n",
        services.first().map_or("", |service| &service.name)
    );
    let file = if compose.is_default { String::new() } else { format!(" -f {}", quote_word(&compose.path)) };
    for service in services {
        let run = quote::string(&format!("docker compose{file} up {}", quote_word(&service.name)));
        let ready = service.port.map_or_else(
            || "ready = { log = \"ready\", timeout = \"30s\" }   # it publishes no port".to_owned(),
            |port| format!("ready = {{ tcp = \"127.0.0.1:{port}\", timeout = \"30s\" }}"),
        );
        text.push_str(&commented(&format!(
            "[services.{}]\nrun = {run}\n{ready}\n",
            quote::key(&service.name)
        )));
    }
    text
}

/// Formats what was found but is not a task, as comments.
fn omissions(found: &Proposals) -> String {
    let omitted = found.omitted.iter().map(|it| format!("{}: {}", it.what, it.why));
    let lines: Vec<String> = omitted.chain(found.remarks.iter().cloned()).collect();
    if lines.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = lines.iter().map(|line| format!("#   {}\n", quote::comment(line))).collect();
    format!("\n# ---- Found, but not written as a task\n#\n{}", lines.concat())
}

fn commented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("# {line}\n")).collect();
    lines.concat()
}
