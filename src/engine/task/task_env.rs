//! The environment of a task's commands: a short base that is the same everywhere, and what the task
//! declares. Nothing else of the caller's environment may be passed on.
//!
//! - [`passed_variables`]: passed on from the caller, since they say where things are on this machine.
//! - [`PINNED`]: fixed, since they change what tools print and how they sort, or make them ask questions.
//! - Set by the run: `XTASK_RUN`, `XTASK_TASK`, the ports of services, and in a run that was started by a
//!   task of another run `XTASK_WITHIN`.
//!
//! None of these variables is part of the key. A task that needs another value declares it.
//!
//! In a private worktree, a value with a path in the user's work tree gets the same path in the private
//! worktree instead: for example an entry of `PATH` such as `.venv/bin`, or a folder in a variable of
//! `pass-env`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::base::env::Env;
use crate::config::model::{CommandVariables, Service, Task};
use crate::engine::services::service_ports::ServicePorts;
use crate::engine::task::passed_variables;
use crate::process::orphans::SERVICE_DIR_VARIABLE;

/// Variables that every command gets with this value.
pub const PINNED: &[(&str, &str)] = &[
    ("LANG", "C.UTF-8"),
    ("TERM", "dumb"),
    ("TZ", "UTC"),
    // There is no terminal to ask for a password, and a task would wait for a dialog.
    ("GCM_INTERACTIVE", "never"),
    ("SSH_ASKPASS_REQUIRE", "never"),
];

/// The tasks of other runs that have started this run, one in each line, the outermost first.
const PARENT_TASKS: &str = "XTASK_WITHIN";

/// All environment variables of a command.
pub type EnvVars = Vec<(OsString, OsString)>;

/// Returns the environment of a tool's probe: the base, and the variables that tasks with this tool pass on,
/// so that the probe finds the same tool.
pub fn for_probe(env: &Env, run: &str, passed: &[&str]) -> EnvVars {
    let mut all = base(env);
    all.extend(passed.iter().filter_map(|name| Some((OsString::from(name), env.passed(name)?.into_owned()))));
    all.insert("XTASK_RUN".into(), run.into());
    all.into_iter().collect()
}

/// Returns the environment of a task's commands.
pub fn for_task(env: &Env, run: &str, task: &Task, ports: &ServicePorts) -> EnvVars {
    let mut all = declared(env, run, &task.env.variables, ports);
    all.insert("XTASK_TASK".into(), (&task.name).into());
    all.into_iter().collect()
}

/// Returns the environment of a service's commands. `dir` is its folder for temporary files.
pub fn for_service(env: &Env, run: &str, dir: &Path, service: &Service, ports: &ServicePorts) -> EnvVars {
    let mut all = declared(env, run, &service.env.variables, ports);
    all.insert("XTASK_SERVICE".into(), (&service.name).into());
    all.insert(SERVICE_DIR_VARIABLE.into(), dir.into());
    all.into_iter().collect()
}

/// Returns the base with the declared variables, in which ports of services are filled in.
fn declared(
    env: &Env,
    run: &str,
    declared: &CommandVariables,
    ports: &ServicePorts,
) -> BTreeMap<OsString, OsString> {
    let mut all = base(env);
    let set = |value: &str| env.moved(OsStr::new(value)).into_owned();
    all.extend(declared.from_files.iter().map(|(name, value)| (OsString::from(name), set(&value.0))));
    all.extend(declared.passed.iter().filter_map(|variable| pass(env, &variable.name)));
    // A secret is passed in the same form in which it is masked.
    let secrets = declared.secret.iter();
    all.extend(secrets.filter_map(|name| Some((name.into(), declared.value(env, name)?.to_owned()))));
    all.extend(declared.set.iter().map(|(name, value)| (name.into(), set(&ports.fill(value)))));
    let parents = parent_tasks(env);
    if !parents.is_empty() {
        all.insert(PARENT_TASKS.into(), parents.join("\n").into());
    }
    all.insert("XTASK_RUN".into(), run.into());
    all.extend(ports.variables());
    all
}

/// Returns the variables that all commands get.
fn base(env: &Env) -> BTreeMap<OsString, OsString> {
    let passed = passed_variables::names(env).filter_map(|name| pass(env, name));
    passed.chain(PINNED.iter().map(|(name, value)| (name.into(), value.into()))).collect()
}

/// Returns a variable of the caller.
fn pass(env: &Env, name: &str) -> Option<(OsString, OsString)> {
    env.passed(name).map(|value| (name.into(), value.into_owned()))
}

/// Returns the id of a task of a run.
pub fn task_id(run: &str, task: &str) -> String {
    format!("{run} {task}")
}

/// Returns the ids of the tasks of other runs that have started this run, the outermost first.
pub fn parent_tasks(env: &Env) -> Vec<String> {
    let mut parents: Vec<String> =
        text(env, PARENT_TASKS).unwrap_or_default().lines().map(str::to_owned).collect();
    if let (Some(run), Some(task)) = (parent_run(env), text(env, "XTASK_TASK")) {
        parents.push(task_id(&run, &task));
    }
    parents
}

/// Returns the id of the run that has started this run.
pub fn parent_run(env: &Env) -> Option<String> {
    text(env, "XTASK_RUN")
}

fn text(env: &Env, name: &str) -> Option<String> {
    env.var(name).map(|value| value.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undeclared_variables_are_not_passed() {
        let vars = [
            ("PATH", "/bin"),
            ("LANG", "de_DE.UTF-8"),
            ("GIT_DIR", "/x"),
            ("CI", "true"),
            ("CARGO_HOME", "/c"),
            ("RUSTUP_TOOLCHAIN", "nightly"),
            ("XTASK_TASK", "outer"),
        ];
        let env = Env::new(vars.map(|(n, v)| (n.into(), v.into())), "/".into());
        let names = |all: EnvVars| -> Vec<String> {
            all.into_iter().map(|(n, v)| format!("{}={}", n.display(), v.display())).collect()
        };
        assert_eq!(
            names(for_probe(&env, "r", &[])),
            [
                "CARGO_HOME=/c",
                "GCM_INTERACTIVE=never",
                "LANG=C.UTF-8",
                "PATH=/bin",
                "SSH_ASKPASS_REQUIRE=never",
                "TERM=dumb",
                "TZ=UTC",
                "XTASK_RUN=r"
            ]
        );
    }
}
