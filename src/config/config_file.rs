//! One file of a config: its document, its sections, and what its tasks share. It must not know the
//! other files.

use std::collections::BTreeMap;

use toml::de::DeTable;

use crate::config::diagnostic::{Diagnostic, Findings, Lines};
use crate::config::load::include;
use crate::config::model::{NamedSet, Settings, Tool};
use crate::config::schema::keys;
use crate::config::sections::common_keys::{Scope, Shared};
use crate::config::sections::drafts::{Draft, Frame, ServiceDraft, WorktreeDraft};
use crate::config::sections::file_sets::Sets;
use crate::config::sections::gates;
use crate::config::sections::services;
use crate::config::sections::tasks;
use crate::config::sections::worktree;
use crate::config::source::Source;
use crate::config::syntax::document::{self, Entry, Extent, Table, Text};
use crate::config::syntax::matrix::{self, Variants};

/// Sections that only the outermost file has.
const OUTERMOST: [&str; 4] = ["settings", "hooks", "worktree", "ci"];

/// A file as TOML, with the tasks that its matrices make.
pub(crate) struct Document<'s> {
    pub(crate) source: &'s Source<'s>,
    pub(crate) extent: Extent,
    root: DeTable<'s>,
    variants: Variants,
    lines: Lines<'s>,
    /// Errors of syntax.
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
}

/// The tasks, with the gates behind them, and the services of a file.
pub(crate) struct Contents<'d> {
    pub(crate) tasks: Vec<Draft<'d>>,
    pub(crate) services: Vec<ServiceDraft<'d>>,
}

/// What a file holds besides its tasks and services.
pub(crate) struct Part<'d> {
    document: &'d Document<'d>,
    pub(crate) defaults: Shared<'d>,
    pub(crate) hooks: Table<'d>,
    pub(crate) worktree: WorktreeDraft<'d>,
    pub(crate) ci: Table<'d>,
    pub(crate) sets: Vec<NamedSet>,
}

impl<'s> Document<'s> {
    /// Reads the syntax of a file.
    pub(crate) fn read(source: &'s Source<'s>, findings: &mut Findings) -> Self {
        let mut root = document::read(source.text, findings);
        let broken = findings.0.len();
        let variants = matrix::expand(&mut root, findings);
        let extent = Extent::of(broken == 0);
        Self { source, extent, root, variants, lines: Lines::of(source.text), broken }
    }

    /// Takes out findings that only repeat others.
    pub(crate) fn tidy(&self, findings: &mut Findings) {
        matrix::drop_repeats(findings, &self.variants);
        document::drop_echoes(findings, self.broken, &self.lines);
    }

    /// The tables of the file.
    pub(crate) fn sections(&self, findings: &mut Findings) -> Sections<'_> {
        let mut sections = Sections::of(self);
        for Entry { key, value } in document::entries(&self.root) {
            if OUTERMOST.contains(&key.text) && !self.source.project.is_empty() {
                findings.add(misplaced(&key));
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
                "include" => {
                    // Its files have been brought together already.
                    include::read(value, &self.source.base, findings);
                    continue;
                }
                _ => {
                    // Behind a broken `[header]` the keys of its table seem to stand at the top.
                    if self.extent == Extent::Whole {
                        findings.add(keys::TOP.refusal(&key, "the top of tasks.toml"));
                    }
                    continue;
                }
            };
            let hint = format!("begin it with `[{}]` on a line of its own", key.text);
            *section = value.table(&hint, findings).unwrap_or_default();
        }
        sections
    }
}

impl<'d> Sections<'d> {
    /// Of a file that has none.
    fn of(document: &'d Document<'d>) -> Self {
        let (settings, files, tools, defaults) = Default::default();
        let (tasks, services, gates, hooks, worktree, ci) = Default::default();
        Self { document, settings, tools, files, defaults, tasks, services, gates, hooks, worktree, ci }
    }
}

fn misplaced(key: &Text<'_>) -> Diagnostic {
    Diagnostic::new(key.span.clone(), format!("`[{}]` belongs in the outermost tasks.toml", key.text))
        .label("this file is included by another")
        .hint("move it to the file that includes this one")
}

impl<'d> Part<'d> {
    /// Reads the sections of the file with this number, and its tasks. `tools` are those of all files.
    pub(crate) fn read(
        sections: Sections<'d>,
        tools: &BTreeMap<String, Tool>,
        (file, extent): (usize, Extent),
        findings: &mut Findings,
    ) -> (Self, Contents<'d>) {
        let document = sections.document;
        let Source { base, project, .. } = document.source;
        let sets = Sets::read(&sections.files, base, document.extent, findings);
        let scope = Scope { base, project, file, sets: &sets, tools, variants: &document.variants, extent };
        let defaults = Shared::defaults(&sections.defaults, &scope, findings);
        let mut tasks = tasks::read(&sections.tasks, &scope, findings);
        let gates = gates::read(&sections.gates, &tasks, &scope, findings);
        tasks.extend(gates);
        let services = services::read(&sections.services, &scope, findings);
        let worktree = worktree::read(&sections.worktree, &scope, findings);
        (
            Self { document, defaults, hooks: sections.hooks, worktree, ci: sections.ci, sets: sets.named() },
            Contents { tasks, services },
        )
    }

    /// What the tasks of the file share.
    pub(crate) fn frame<'f>(&'f self, settings: &'f Settings) -> Frame<'f, 'd> {
        let Document { source, lines, .. } = self.document;
        Frame { defaults: &self.defaults, settings, source, lines }
    }
}
