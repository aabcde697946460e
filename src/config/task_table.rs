//! `[tasks.*]`: one table each, read into a draft whose needs and outputs are checked against the
//! others later. It must not know those others.

use std::collections::BTreeMap;

use super::Source;
use super::diagnostic::{Diagnostic, Findings, Lines};
use super::document::{Entry, Extent, Table, Text, Value};
use super::gates;
use super::keys;
use super::model::{Command, Place, ServiceId, Settings, Task, TaskId};
use super::naming::{self, Called};
use super::outputs::Outputs;
use super::reports::Reports;
use super::settings;
use super::shared::{self, Scope, Shared};
use super::variables::Declared;
use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;

/// Keys that serve a task's commands, so an aggregate may have them for its `fix` alone.
const FOR_COMMANDS: [&str; 6] = ["shell", "cwd", "env", "env-file", "pass-env", "secret-env"];
/// Keys in whose texts the ports of services are put in.
const FILLED: [&str; 4] = ["run", "fix", "finally", "env"];
/// Keys that an aggregate may have.
const FOR_AGGREGATES: [&str; 4] = ["description", "group", "needs", "fix"];

/// A task as its table says it.
#[derive(Debug)]
pub(super) struct Draft<'d> {
    /// The number of the file that defines it, and the file's project.
    pub(super) file: usize,
    pub(super) project: String,
    /// Its name within its project.
    pub(super) name: Text<'d>,
    pub(super) group: Option<Text<'d>>,
    /// The task that it was made of, if a matrix made it.
    pub(super) variant_of: Option<String>,
    pub(super) needs: Vec<Text<'d>>,
    /// Services whose port its texts name.
    pub(super) ports: Vec<Text<'d>>,
    pub(super) outputs: Outputs,
    /// What `reports` says, if it is there.
    pub(super) reports: Option<Reports<'d>>,
    /// What it demands, if it is a gate.
    pub(super) gate: Option<Box<gates::Draught<'d>>>,
    pub(super) shared: Shared<'d>,
    kind: Kind,
    description: Option<String>,
    run: Option<Command>,
    fix: Option<Command>,
    finally: Option<Command>,
    cwd: Option<RepoPath>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It has `run`, be it right or wrong.
    Runs,
    /// It is run for tasks.
    Service,
    /// It judges what tasks report.
    Gate,
    Aggregate,
}

/// Reads `[tasks]`.
pub(super) fn read<'d>(table: &Table<'d>, scope: &Scope<'_, 'd>, findings: &mut Findings) -> Vec<Draft<'d>> {
    let mut drafts = Vec::with_capacity(table.len());
    for entry in table {
        let Entry { key, value } = entry;
        if let Some(refusal) = keys::name_refusal(&entry.written(scope.variants), "a task") {
            findings.add(refusal);
        }
        let hint = format!("write it as `[tasks.{}]` with `run = \"…\"` below", keys::shown(key.text));
        if let Some(entries) = value.table(&hint, findings) {
            drafts.push(Draft::read(key.clone(), &entries, scope, findings));
        }
    }
    drafts
}

impl<'d> Draft<'d> {
    pub(super) fn read(
        name: Text<'d>,
        table: &[Entry<'d>],
        scope: &Scope<'_, 'd>,
        findings: &mut Findings,
    ) -> Self {
        let has = |key: &str| table.iter().any(|entry| entry.key.text == key);
        let kind = if has("run") || has("rust") { Kind::Runs } else { Kind::Aggregate };
        let mut draft = Self::new(kind, name, scope);
        draft.take_all(table, scope, findings);
        let key = |name: &str| table.iter().find(|entry| entry.key.text == name).map(|entry| &entry.key);
        if let (Some(rust), Some(run)) = (key("rust"), key("run")) {
            findings.add(
                Diagnostic::new(rust.span.clone(), "a task has either `run` or `rust`")
                    .label("a second way to run it")
                    .other(run.span.clone(), "one way")
                    .hint("take one of them out"),
            );
        }
        if draft.kind == Kind::Aggregate {
            draft.check_aggregate(table, scope, findings);
        }
        draft
    }

    fn new(kind: Kind, name: Text<'d>, scope: &Scope<'_, 'd>) -> Self {
        let origin = (kind != Kind::Service).then(|| scope.variants.origin(name.text)).flatten();
        Self {
            kind,
            variant_of: origin.map(str::to_owned),
            file: scope.file,
            project: scope.project.to_owned(),
            name,
            group: None,
            needs: Vec::new(),
            ports: Vec::new(),
            outputs: Outputs::default(),
            reports: None,
            gate: None,
            shared: Shared::default(),
            description: None,
            run: None,
            fix: None,
            finally: None,
            cwd: None,
        }
    }

    fn take_all(&mut self, table: &[Entry<'d>], scope: &Scope<'_, 'd>, findings: &mut Findings) {
        for entry in table {
            if FILLED.contains(&entry.key.text) {
                entry.value.ports(&mut self.ports);
            }
            if !self.take(entry, scope, findings) && !self.shared.take(entry, scope, findings) {
                let called = format!("task `{}`", keys::shown(self.name.text));
                findings.add(keys::TASK.refusal(&entry.key, &called));
            }
        }
        self.shared.variables.check(findings);
        if let Some(reports) = &mut self.reports {
            self.outputs.add(std::mem::take(&mut reports.files));
        }
        self.outputs.protect(scope.base, findings);
    }

    /// Reads what a service has in common with a task.
    pub(super) fn of_service(
        name: Text<'d>,
        table: &[Entry<'d>],
        scope: &Scope<'_, 'd>,
        findings: &mut Findings,
    ) -> Self {
        let mut draft = Self::new(Kind::Service, name, scope);
        draft.take_all(table, scope, findings);
        draft
    }

    /// Reads a gate.
    pub(super) fn of_gate(
        name: Text<'d>,
        table: Table<'d>,
        scope: &Scope<'_, 'd>,
        findings: &mut Findings,
    ) -> Self {
        let (of_task, own): (Vec<_>, Vec<_>) =
            table.into_iter().partition(|entry| ["description", "group"].contains(&entry.key.text));
        let gate = gates::Draught::read(&name, &own, scope, findings);
        let mut draft = Self::new(Kind::Gate, name, scope);
        for entry in of_task {
            draft.take(&entry, scope, findings);
        }
        draft.gate = Some(Box::new(gate));
        draft
    }

    /// Whether it is a task with a command of its own, and so takes services from the defaults.
    pub(super) fn is_run(&self) -> bool {
        self.kind == Kind::Runs || (self.kind == Kind::Aggregate && self.fix.is_some())
    }

    /// Takes the entry if its key is a task's own.
    fn take(&mut self, entry: &Entry<'d>, scope: &Scope<'_, 'd>, findings: &mut Findings) -> bool {
        let value = entry.value;
        match entry.key.text {
            "description" => self.description = description(value, findings),
            "group" => {
                self.group = value.text("the name of a group", findings);
                let refusal = self.group.as_ref().and_then(|group| keys::name_refusal(group, "a group"));
                findings.0.extend(refusal);
            }
            "run" => self.run = command(value, "`run`", findings).or(self.run.take()),
            "rust" => self.run = function(value, findings).map(Command::Rust).or(self.run.take()),
            "fix" => self.fix = command(value, "`fix`", findings),
            "finally" => self.finally = command(value, "`finally`", findings),
            "cwd" => self.cwd = settings::folder(value, scope.base, findings),
            "outputs" => self.outputs = Outputs::read(value, scope.base, findings),
            "reports" => self.reports = Some(Reports::read(value, scope.base, findings)),
            "needs" => self.needs = value.texts(findings).unwrap_or_default(),
            _ => return false,
        }
        true
    }

    fn check_aggregate(&self, table: &[Entry<'d>], scope: &Scope<'_, 'd>, findings: &mut Findings) {
        let has = |key: &str| table.iter().any(|entry| entry.key.text == key);
        let gathers = table.iter().any(|entry| {
            entry.key.text == "needs" && entry.value.elements().is_none_or(|mut all| all.next().is_some())
        });
        let name = keys::shown(self.name.text);
        if !gathers {
            // In a broken file the line with `run` may be the broken one.
            if scope.extent == Extent::Whole {
                findings.add(
                    Diagnostic::new(self.name.span.clone(), format!("task `{name}` does nothing"))
                        .label("neither `run` nor `needs`")
                        .hint("add `run` with a command, or `needs` with tasks that it gathers")
                        .lacks(&["run", "rust", "needs"]),
                );
            }
            return;
        }
        for Entry { key, .. } in table {
            let is_for_fix = FOR_COMMANDS.contains(&key.text) && has("fix");
            if keys::TASK.knows(key.text) && !FOR_AGGREGATES.contains(&key.text) && !is_for_fix {
                findings.add(
                    Diagnostic::new(key.span.clone(), format!("`{}` has no meaning without `run`", key.text))
                        .label(format!("`{name}` runs nothing"))
                        .hint("take it out, or add `run`; a task with `needs` alone only gathers them")
                        .lacks(&["run", "rust"]),
                );
            }
        }
    }

    /// All that it is called by.
    pub(super) fn called(&self) -> Called<'_> {
        Called {
            own: self.name.text,
            project: &self.project,
            group: self.group.as_ref().map(|group| group.text),
            variant_of: self.variant_of.as_deref(),
        }
    }

    /// Its name with its project, as messages show it.
    pub(super) fn shown(&self) -> String {
        keys::shown(&naming::joined(&self.project, self.name.text))
    }

    /// The systems it runs on; empty: all.
    pub(super) fn systems<'s>(&'s self, defaults: &'s Shared<'_>) -> &'s [String] {
        self.shared.os.as_ref().or(defaults.os.as_ref()).map_or(&[], Vec::as_slice)
    }

    /// The task, with what it takes from the defaults and settings.
    pub(super) fn finish(self, links: Links, frame: &Frame<'_, 'd>) -> Task {
        let Frame { defaults, settings, source, lines } = frame;
        let own = self.shared;
        let has_command = matches!(self.kind, Kind::Runs | Kind::Service);
        let Declared { env, pass, secret } = if has_command || self.fix.is_some() {
            own.variables.over(&defaults.variables)
        } else {
            Declared::default()
        };
        let shell = own.shell.or_else(|| defaults.shell.clone()).unwrap_or_else(|| settings.shell.clone());
        let (line, column) = lines.place(self.name.span.start);
        let gate = self.gate.map(|gate| Box::new(gate.finish(source.name, lines)));
        let mut task = Task {
            name: naming::joined(&self.project, self.name.text),
            description: self.description,
            group: self.group.map(|group| group.text.to_owned()),
            variant_of: self.variant_of.map(|origin| naming::joined(&self.project, &origin)),
            project: self.project,
            run: self.run,
            fix: self.fix,
            finally: self.finally,
            shell,
            cwd: self.cwd.unwrap_or_else(|| source.base.clone()),
            inputs: gate.as_ref().map_or_else(Patterns::default, |gate| gates::inputs(gate)),
            outputs: self.outputs.patterns,
            needs: links.needs,
            services: links.services,
            uses: links.uses,
            env,
            pass_env: pass,
            secret_env: secret,
            env_files: own.env_files.or_else(|| defaults.env_files.clone()).unwrap_or_default(),
            file_env: BTreeMap::new(),
            missing_file: None,
            tools: Vec::new(),
            timeout: None,
            slow_after: None,
            retries: 0,
            locks: Vec::new(),
            slots: std::num::NonZeroU32::MIN,
            os: Vec::new(),
            cache: true,
            sandbox: false,
            reports: self.reports.map(|reports| reports.list).unwrap_or_default(),
            gate,
            place: Place { file: source.name.to_owned(), line, column },
        };
        if has_command {
            task.inputs = own.inputs.or_else(|| defaults.inputs.clone()).unwrap_or_else(Patterns::whole);
            task.tools = shared::once(defaults.tools.iter().chain(&own.tools).map(String::as_str));
            task.timeout = own.timeout.or(defaults.timeout);
            task.slow_after = own.slow_after.or(defaults.slow_after);
            task.retries = own.retries.or(defaults.retries).unwrap_or(0);
            task.locks = own.locks.or_else(|| defaults.locks.clone()).unwrap_or_default();
            task.slots = own.slots.or(defaults.slots).unwrap_or(task.slots);
            task.os = own.os.or_else(|| defaults.os.clone()).unwrap_or_default();
            task.cache = own.cache.or(defaults.cache).unwrap_or(true);
            task.sandbox = own.sandbox.or(defaults.sandbox).unwrap_or(false);
        }
        task
    }
}

/// What a task needs and uses.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    pub(super) needs: Vec<TaskId>,
    pub(super) services: BTreeMap<String, ServiceId>,
    pub(super) uses: Vec<ServiceId>,
}

/// What the tasks of a file share.
#[derive(Debug)]
pub(super) struct Frame<'f, 'd> {
    pub(super) defaults: &'f Shared<'d>,
    pub(super) settings: &'f Settings,
    pub(super) source: &'f Source<'f>,
    pub(super) lines: &'f Lines<'f>,
}

fn description(value: Value<'_>, findings: &mut Findings) -> Option<String> {
    let text = value.text("a string", findings)?;
    if text.text.chars().any(char::is_control) {
        findings.add(
            Diagnostic::new(text.span, "a description is one line of plain text")
                .label("has a line end or another control character")
                .hint("shorten it; longer words can stand in a comment"),
        );
        return None;
    }
    Some(text.text.trim().to_owned()).filter(|text| !text.is_empty())
}

pub(super) fn command(value: Value<'_>, key: &str, findings: &mut Findings) -> Option<Command> {
    let hint = "write a shell line such as \"cargo test\", or a program and its arguments such as [\"cargo\", \"test\"]";
    if value.elements().is_some() {
        let texts = value.texts(findings)?;
        return settings::argv(value, texts, (key, hint), findings).map(Command::Argv);
    }
    if !value.is_text() {
        findings.add(value.mismatch("a string or an array of strings").hint(hint));
        return None;
    }
    let line = value.text("a string or an array of strings", findings)?;
    if line.text.trim().is_empty() {
        findings
            .add(Diagnostic::new(line.span, format!("{key} is empty")).label("nothing to run").hint(hint));
        return None;
    }
    Some(Command::Shell(line.text.to_owned()))
}

/// The name of a function of the repository's own program.
fn function(value: Value<'_>, findings: &mut Findings) -> Option<String> {
    let name = value.text("the name of a function that the program registers", findings)?;
    findings.0.extend(keys::name_refusal(&name, "a Rust task"));
    Some(name.text.to_owned())
}
