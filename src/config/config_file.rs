//! One file of a config: its TOML document, its sections, and what its tasks share. It must not know the
//! other files.

use std::collections::BTreeMap;

use toml::de::DeTable;

use crate::config::diagnostic::{Diagnostic, DiagnosticSink, LineIndex};
use crate::config::load::include;
use crate::config::model::{NamedSet, Settings, Tool};
use crate::config::schema::all_keys;
use crate::config::sections::common_keys::{CommonKeys, ParseContext};
use crate::config::sections::drafts::{FileDefaults, ServiceDraft, TaskDraft, WorktreeDraft};
use crate::config::sections::file_sets::FileSets;
use crate::config::sections::gates;
use crate::config::sections::services;
use crate::config::sections::tasks;
use crate::config::sections::worktree;
use crate::config::source::SourceText;
use crate::config::syntax::document::{self, Entry, Syntax, Table, Text};
use crate::config::syntax::matrix::{self, Variants};

/// Sections that only the outermost file may have.
const OUTERMOST: [&str; 7] = ["settings", "hooks", "worktree", "ci", "artifacts", "deploy", "environments"];

/// A parsed file, in which each matrix is expanded into its tasks.
pub(crate) struct Document<'s> {
    pub(crate) source: &'s SourceText<'s>,
    pub(crate) syntax: Syntax,
    root: DeTable<'s>,
    variants: Variants,
    lines: LineIndex<'s>,
    /// The number of syntax errors.
    broken: usize,
}

/// The tables at the top of a file.
pub(crate) struct Sections<'d> {
    pub(crate) document: &'d Document<'d>,
    pub(crate) settings: Table<'d>,
    pub(crate) tools: Table<'d>,
    files: Table<'d>,
    defaults: Table<'d>,
    tasks: Table<'d>,
    services: Table<'d>,
    gates: Table<'d>,
    hooks: Table<'d>,
    worktree: Table<'d>,
    ci: Table<'d>,
    deploy: DeployTables<'d>,
}

/// The tables about deploying.
#[derive(Default)]
pub(crate) struct DeployTables<'d> {
    pub(crate) artifacts: Table<'d>,
    pub(crate) settings: Table<'d>,
    pub(crate) environments: Table<'d>,
}

/// The tasks, the gates (after the tasks) and the services of a file.
pub(crate) struct FileDrafts<'d> {
    pub(crate) tasks: Vec<TaskDraft<'d>>,
    pub(crate) services: Vec<ServiceDraft<'d>>,
}

/// What a file contains besides tasks and services.
pub(crate) struct ConfigFile<'d> {
    document: &'d Document<'d>,
    pub(crate) defaults: CommonKeys<'d>,
    pub(crate) hooks: Table<'d>,
    pub(crate) worktree: WorktreeDraft<'d>,
    pub(crate) ci: Table<'d>,
    pub(crate) deploy: DeployTables<'d>,
    pub(crate) sets: Vec<NamedSet>,
}

impl<'s> Document<'s> {
    /// Parses the TOML of a file and expands its matrices.
    pub(crate) fn read(source: &'s SourceText<'s>, sink: &mut DiagnosticSink) -> Self {
        let mut root = document::read(source.text, sink);
        let broken = sink.0.len();
        let variants = matrix::expand(&mut root, sink);
        let syntax = Syntax::new(broken == 0);
        Self { source, syntax, root, variants, lines: LineIndex::new(source.text), broken }
    }

    /// Removes diagnostics that only repeat others.
    pub(crate) fn drop_repeated_diagnostics(&self, sink: &mut DiagnosticSink) {
        matrix::drop_repeats(sink, &self.variants);
        document::drop_repeated_errors(sink, self.broken, &self.lines);
    }

    /// Returns the tables of the file.
    pub(crate) fn sections(&self, sink: &mut DiagnosticSink) -> Sections<'_> {
        let mut sections = Sections::empty(self);
        for Entry { key, value } in document::entries(&self.root) {
            if OUTERMOST.contains(&key.text) && !self.source.project.is_empty() {
                sink.add(misplaced(&key));
                continue;
            }
            let section = match key.text {
                "settings" => &mut sections.settings,
                "files" => &mut sections.files,
                "tools" => &mut sections.tools,
                "defaults" => &mut sections.defaults,
                "tasks" => &mut sections.tasks,
                "services" => &mut sections.services,
                "gates" => &mut sections.gates,
                "hooks" => &mut sections.hooks,
                "worktree" => &mut sections.worktree,
                "ci" => &mut sections.ci,
                "artifacts" => &mut sections.deploy.artifacts,
                "deploy" => &mut sections.deploy.settings,
                "environments" => &mut sections.deploy.environments,
                "include" => {
                    // `load/include.rs` has loaded these files already; here only errors are reported.
                    include::read(value, &self.source.base, sink);
                    continue;
                }
                _ => {
                    // After a broken `[header]`, the keys of its table seem to be at the top.
                    if self.syntax == Syntax::Valid {
                        sink.add(all_keys::TOP.unknown_key(&key, "the top of tasks.toml"));
                    }
                    continue;
                }
            };
            let hint = format!("begin it with `[{}]` on a line of its own", key.text);
            *section = value.table(&hint, sink).unwrap_or_default();
        }
        sections
    }
}

impl<'d> Sections<'d> {
    /// Returns the sections of a file that has none.
    fn empty(document: &'d Document<'d>) -> Self {
        let (settings, files, tools, defaults) = Default::default();
        let (tasks, services, gates, hooks, worktree, ci) = Default::default();
        let deploy = DeployTables::default();
        Self {
            document,
            settings,
            tools,
            files,
            defaults,
            tasks,
            services,
            gates,
            hooks,
            worktree,
            ci,
            deploy,
        }
    }
}

fn misplaced(key: &Text<'_>) -> Diagnostic {
    Diagnostic::new(key.span.clone(), format!("`[{}]` belongs in the outermost tasks.toml", key.text))
        .label("this file is included by another")
        .hint("move it to the file that includes this one")
}

impl<'d> ConfigFile<'d> {
    /// Reads the sections and tasks of one file. `file` is its number, and `tools` are those of all files.
    pub(crate) fn read(
        sections: Sections<'d>,
        tools: &BTreeMap<String, Tool>,
        file: usize,
        syntax: Syntax,
        sink: &mut DiagnosticSink,
    ) -> (Self, FileDrafts<'d>) {
        let document = sections.document;
        let SourceText { base, project, .. } = document.source;
        let sets = FileSets::read(&sections.files, base, document.syntax, sink);
        let context =
            ParseContext { base, project, file, sets: &sets, tools, variants: &document.variants, syntax };
        let defaults = CommonKeys::defaults(&sections.defaults, &context, sink);
        let mut tasks = tasks::read(&sections.tasks, &context, sink);
        let gates = gates::read(&sections.gates, &tasks, &context, sink);
        tasks.extend(gates);
        let services = services::read(&sections.services, &context, sink);
        let worktree = worktree::read(&sections.worktree, &context, sink);
        (
            Self {
                document,
                defaults,
                hooks: sections.hooks,
                worktree,
                ci: sections.ci,
                deploy: sections.deploy,
                sets: sets.named(),
            },
            FileDrafts { tasks, services },
        )
    }

    /// Returns what the tasks of the file share.
    pub(crate) fn file_defaults<'f>(&'f self, settings: &'f Settings) -> FileDefaults<'f, 'd> {
        let Document { source, lines, .. } = self.document;
        FileDefaults { defaults: &self.defaults, settings, source, lines }
    }
}
