//! The keys that a task may also take from `[defaults]`. It must not know the keys that only tasks have.
//!
//! A task's value replaces the default. `env`, `pass-env` and `secret-env` are merged by variable: the task's
//! declaration of a variable replaces the default's. `tools` are merged. Names that a list repeats count
//! once.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::base::path::RepoPath;
use crate::base::pattern::{PatternBase, Patterns};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::model::{EnvFile, Tool};
use crate::config::naming;
use crate::config::schema::all_keys;
use crate::config::schema::values::SYSTEMS;
use crate::config::sections::file_sets::{self, FileSets};
use crate::config::sections::values;
use crate::config::sections::variables::Variables;
use crate::config::syntax::document::{Entry, Syntax, Table, Text, Value};
use crate::config::syntax::matrix::Variants;
use crate::config::wording;

/// What is needed to read the values of a file.
#[derive(Debug)]
pub(crate) struct ParseContext<'c, 'd> {
    pub(crate) base: &'c RepoPath,
    /// The file's project, and its number.
    pub(crate) project: &'c str,
    pub(crate) file: usize,
    pub(crate) sets: &'c FileSets<'d>,
    pub(crate) tools: &'c BTreeMap<String, Tool>,
    pub(crate) variants: &'c Variants,
    pub(crate) syntax: Syntax,
}

/// The values of these keys in one table, as far as it has them.
#[derive(Debug, Default)]
pub(crate) struct CommonKeys<'d> {
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

impl<'d> CommonKeys<'d> {
    /// Returns the defaults that also apply to services: how a command is run, but nothing that only tasks
    /// have.
    pub(crate) fn for_services(&self) -> Self {
        Self {
            shell: self.shell.clone(),
            variables: self.variables.clone(),
            env_files: self.env_files.clone(),
            ..Self::default()
        }
    }

    /// Reads `[defaults]`.
    pub(crate) fn defaults(
        table: &Table<'d>,
        context: &ParseContext<'_, 'd>,
        sink: &mut DiagnosticSink,
    ) -> Self {
        let mut defaults = Self::default();
        for entry in table {
            if !defaults.take(entry, context, sink) {
                sink.add(all_keys::DEFAULTS.unknown_key(&entry.key, "`[defaults]`"));
            }
        }
        defaults.variables.check(sink);
        defaults
    }

    /// Reads the entry if its key is one of these. Returns whether it is.
    pub(crate) fn take(
        &mut self,
        entry: &Entry<'d>,
        context: &ParseContext<'_, 'd>,
        sink: &mut DiagnosticSink,
    ) -> bool {
        let value = entry.value;
        let example = "\"30s\", \"10m\" or \"1h 30m\"";
        match entry.key.text {
            "shell" => self.shell = values::shell(value, sink),
            "inputs" => {
                let origin = PatternBase { base: context.base, anchored: false };
                self.inputs = file_sets::list_items(value, origin, sink)
                    .map(|lines| context.sets.resolve(&lines, sink));
            }
            "tools" => self.tools = tools(value, context, sink),
            "timeout" => self.timeout = values::duration(value, example, sink),
            "slow-after" => {
                self.slow_after = values::duration(value, example, sink);
            }
            "retries" => self.retries = retries(value, sink),
            "slots" => self.slots = slots(value, sink),
            "locks" => self.locks = locks(value, sink),
            "os" => self.os = systems(value, sink),
            "cache" => self.cache = value.boolean(sink),
            "sandbox" => self.sandbox = value.boolean(sink),
            "services" => self.services = value.texts(sink),
            "env-file" => self.env_files = Some(env_files(value, context, sink)),
            _ => return self.variables.take(entry, sink),
        }
        true
    }
}

/// Returns the qualified names of the tools in a list.
fn tools(value: Value<'_>, context: &ParseContext<'_, '_>, sink: &mut DiagnosticSink) -> Vec<String> {
    let mut tools = Vec::new();
    for Text { text, span } in value.texts(sink).unwrap_or_default() {
        let mut called =
            naming::enclosing_projects(context.project).map(|project| naming::qualified(project, text));
        if let Some(found) = called.find(|name| context.tools.contains_key(name)) {
            tools.push(found);
        } else if context.syntax == Syntax::Valid {
            let hint = wording::suggestion(
                text,
                context.tools.keys().map(|tool| naming::own_name(tool, context.project)),
                "",
                "tools are written in `[tools]`, such as `rustc = \"rustc -vV\"`",
            );
            let message = format!("there is no tool `{}`", wording::escape_name(text));
            sink.add(
                Diagnostic::new(span, message)
                    .label("unknown tool")
                    .hint(hint)
                    .caused_by_missing(&["tools", "include"]),
            );
        }
    }
    tools
}

/// Reads one file or several. `?` before a path says that the file may be missing.
fn env_files(value: Value<'_>, context: &ParseContext<'_, '_>, sink: &mut DiagnosticSink) -> Vec<EnvFile> {
    let texts = match value.elements() {
        Some(_) => value.texts(sink),
        None => value.text("a file, or an array of files", sink).map(|text| vec![text]),
    };
    let mut files = Vec::new();
    for Text { text, span } in texts.unwrap_or_default() {
        let (text, may_miss) = text.strip_prefix('?').map_or((text, false), |path| (path, true));
        let path = values::file(&Text { text, span }, context.base, ".env", sink);
        files.extend(path.map(|path| EnvFile { path, may_miss }));
    }
    files
}

fn retries(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<u32> {
    let number = value.integer("a number of retries", sink)?;
    let retries = u32::try_from(number).ok();
    if retries.is_none() {
        sink.add(
            Diagnostic::new(value.span(), format!("{number} is not a number of retries"))
                .label("out of range")
                .hint("0 is none, 2 is at most three attempts"),
        );
    }
    retries
}

fn slots(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<NonZeroU32> {
    let number = value.integer("a number of job slots", sink)?;
    let slots = u32::try_from(number).ok().and_then(NonZeroU32::new);
    if slots.is_none() {
        sink.add(
            Diagnostic::new(value.span(), format!("{number} is not a number of job slots"))
                .label("out of range")
                .hint("a task takes at least 1"),
        );
    }
    slots
}

fn locks(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<Vec<String>> {
    let names = value.texts(sink)?;
    for name in &names {
        if let Some(refusal) = wording::invalid_name(name, "a lock") {
            sink.add(refusal);
        }
    }
    Some(sorted_unique(names.iter().map(|name| name.text)))
}

fn systems(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<Vec<String>> {
    let names = value.texts(sink)?;
    for Text { text, span } in &names {
        if SYSTEMS.contains(text) {
            continue;
        }
        let hint = match *text {
            "darwin" | "osx" => "did you mean `macos`?".to_owned(),
            _ => wording::suggestion(text, SYSTEMS.into_iter(), "", ""),
        };
        let message = format!("there is no system `{}`", wording::escape_name(text));
        sink.add(Diagnostic::new(span.clone(), message).label("unknown system").hint(hint));
    }
    Some(sorted_unique(names.iter().map(|name| name.text)))
}

/// Sorts names and removes repetitions.
pub(crate) fn sorted_unique<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}
