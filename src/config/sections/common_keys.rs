//! The keys that a task may also take from `[defaults]`. It must not know the keys that are a
//! task's own.
//!
//! A task's value replaces the default. `env`, `pass-env` and `secret-env` are joined by variable,
//! the task's declaration of one replacing the default's; `tools` are joined. Names that a list
//! repeats count once.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::base::path::RepoPath;
use crate::base::pattern::{Origin, Patterns};
use crate::base::units;
use crate::config::diagnostic::{Diagnostic, Findings};
use crate::config::model::{EnvFile, Tool};
use crate::config::naming;
use crate::config::schema::keys;
use crate::config::sections::file_sets::{self, Sets};
use crate::config::sections::settings;
use crate::config::sections::variables::Variables;
use crate::config::syntax::document::{Entry, Extent, Table, Text, Value};
use crate::config::syntax::matrix::Variants;

/// Systems that a task can be bound to.
pub(crate) const SYSTEMS: [&str; 4] = ["linux", "macos", "windows", "freebsd"];

/// What the values of a task may refer to.
#[derive(Debug)]
pub(crate) struct Scope<'c, 'd> {
    pub(crate) base: &'c RepoPath,
    /// The file's project, and its number.
    pub(crate) project: &'c str,
    pub(crate) file: usize,
    pub(crate) sets: &'c Sets<'d>,
    pub(crate) tools: &'c BTreeMap<String, Tool>,
    pub(crate) variants: &'c Variants,
    pub(crate) extent: Extent,
}

/// The values of one table, as far as it has them.
#[derive(Debug, Default)]
pub(crate) struct Shared<'d> {
    pub(crate) shell: Option<Vec<String>>,
    pub(crate) inputs: Option<Patterns>,
    pub(crate) variables: Variables<'d>,
    pub(crate) tools: Vec<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) slow_after: Option<Duration>,
    pub(crate) retries: Option<u32>,
    pub(crate) locks: Option<Vec<String>>,
    pub(crate) slots: Option<NonZeroU32>,
    pub(crate) os: Option<Vec<String>>,
    pub(crate) cache: Option<bool>,
    pub(crate) sandbox: Option<bool>,
    pub(crate) services: Option<Vec<Text<'d>>>,
    pub(crate) env_files: Option<Vec<EnvFile>>,
}

impl<'d> Shared<'d> {
    /// What services take of the defaults: how a command is run, but nothing that is a task's.
    pub(crate) fn for_services(&self) -> Self {
        Self {
            shell: self.shell.clone(),
            variables: self.variables.clone(),
            env_files: self.env_files.clone(),
            ..Self::default()
        }
    }

    /// Reads `[defaults]`.
    pub(crate) fn defaults(table: &Table<'d>, scope: &Scope<'_, 'd>, findings: &mut Findings) -> Self {
        let mut defaults = Self::default();
        for entry in table {
            if !defaults.take(entry, scope, findings) {
                findings.add(keys::DEFAULTS.refusal(&entry.key, "`[defaults]`"));
            }
        }
        defaults.variables.check(findings);
        defaults
    }

    /// Takes the entry if its key is one of these.
    pub(crate) fn take(&mut self, entry: &Entry<'d>, scope: &Scope<'_, 'd>, findings: &mut Findings) -> bool {
        let value = entry.value;
        let duration = "a duration such as \"30s\", \"10m\" or \"1h 30m\"";
        match entry.key.text {
            "shell" => self.shell = settings::shell(value, findings),
            "inputs" => {
                let origin = Origin { base: scope.base, anchored: false };
                self.inputs = file_sets::lines(value, origin, findings)
                    .map(|lines| scope.sets.resolve(&lines, findings));
            }
            "tools" => self.tools = tools(value, scope, findings),
            "timeout" => self.timeout = settings::unit(value, duration, units::parse_duration, findings),
            "slow-after" => {
                self.slow_after = settings::unit(value, duration, units::parse_duration, findings);
            }
            "retries" => self.retries = retries(value, findings),
            "slots" => self.slots = slots(value, findings),
            "locks" => self.locks = locks(value, findings),
            "os" => self.os = systems(value, findings),
            "cache" => self.cache = value.boolean(findings),
            "sandbox" => self.sandbox = value.boolean(findings),
            "services" => self.services = value.texts(findings),
            "env-file" => self.env_files = Some(env_files(value, scope, findings)),
            _ => return self.variables.take(entry, findings),
        }
        true
    }
}

/// The tools that are named, by their names with their projects.
fn tools(value: Value<'_>, scope: &Scope<'_, '_>, findings: &mut Findings) -> Vec<String> {
    let mut tools = Vec::new();
    for Text { text, span } in value.texts(findings).unwrap_or_default() {
        let mut called = naming::scopes(scope.project).map(|project| naming::joined(project, text));
        if let Some(found) = called.find(|name| scope.tools.contains_key(name)) {
            tools.push(found);
        } else if scope.extent == Extent::Whole {
            let hint = keys::suggestion(
                text,
                scope.tools.keys().map(|tool| naming::own(tool, scope.project)),
                ("", "tools are written in `[tools]`, such as `rustc = \"rustc -vV\"`"),
            );
            let message = format!("there is no tool `{}`", keys::shown(text));
            findings.add(
                Diagnostic::new(span, message).label("unknown tool").hint(hint).lacks(&["tools", "include"]),
            );
        }
    }
    tools
}

/// One file or several, `?` in front of one that may be missing.
fn env_files(value: Value<'_>, scope: &Scope<'_, '_>, findings: &mut Findings) -> Vec<EnvFile> {
    let texts = match value.elements() {
        Some(_) => value.texts(findings),
        None => value.text("a file, or an array of files", findings).map(|text| vec![text]),
    };
    let mut files = Vec::new();
    for Text { text, span } in texts.unwrap_or_default() {
        let (path, may_miss) = text.strip_prefix('?').map_or((text, false), |path| (path, true));
        match scope.base.join(path).filter(|path| !path.is_top()) {
            Some(path) => files.push(EnvFile { path, may_miss }),
            None => findings.add(
                Diagnostic::new(span, format!("`{}` is no file of the repository", keys::shown(text)))
                    .label("not a file here")
                    .hint("write a path relative to this file's folder, such as \".env\"; \"?.env\" may be missing"),
            ),
        }
    }
    files
}

fn retries(value: Value<'_>, findings: &mut Findings) -> Option<u32> {
    let number = value.integer("a number of retries", findings)?;
    let retries = u32::try_from(number).ok();
    if retries.is_none() {
        findings.add(
            Diagnostic::new(value.span(), format!("{number} is not a number of retries"))
                .label("out of range")
                .hint("0 is none, 2 is at most three attempts"),
        );
    }
    retries
}

fn slots(value: Value<'_>, findings: &mut Findings) -> Option<NonZeroU32> {
    let number = value.integer("a number of job slots", findings)?;
    let slots = u32::try_from(number).ok().and_then(NonZeroU32::new);
    if slots.is_none() {
        findings.add(
            Diagnostic::new(value.span(), format!("{number} is not a number of job slots"))
                .label("out of range")
                .hint("a task takes at least 1"),
        );
    }
    slots
}

fn locks(value: Value<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let names = value.texts(findings)?;
    for name in &names {
        if let Some(refusal) = keys::name_refusal(name, "a lock") {
            findings.add(refusal);
        }
    }
    Some(once(names.iter().map(|name| name.text)))
}

fn systems(value: Value<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let names = value.texts(findings)?;
    for Text { text, span } in &names {
        if SYSTEMS.contains(text) {
            continue;
        }
        let hint = match *text {
            "darwin" | "osx" => "did you mean `macos`?".to_owned(),
            _ => keys::suggestion(text, SYSTEMS.into_iter(), ("", "")),
        };
        let message = format!("there is no system `{}`", keys::shown(text));
        findings.add(Diagnostic::new(span.clone(), message).label("unknown system").hint(hint));
    }
    Some(once(names.iter().map(|name| name.text)))
}

/// Names sorted, each once.
pub(crate) fn once<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}
