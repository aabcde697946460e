//! tasks.toml: raw text → spanned document → typed [`model::Config`], with every diagnostic of the
//! file in one go. It must not know git, the cache or the file system: text goes in.

mod circle;
pub mod diagnostic;
mod document;
mod files;
mod hooks;
mod keys;
mod matrix;
pub mod model;
mod needs;
mod outputs;
mod settings;
mod shared;
pub mod stage;
mod task_table;
#[cfg(test)]
mod tests;
mod variables;
mod worktree;

use crate::ground::path::RepoPath;
use diagnostic::{Diagnostics, Findings, Lines};
use document::{Entry, Extent, Table};
use files::Sets;
use matrix::Variants;
use model::Config;
use shared::{Scope, Shared};
use task_table::Frame;

/// A tasks.toml to be read.
#[derive(Clone, Debug)]
pub struct Source<'s> {
    /// The file as messages name it.
    pub name: &'s str,
    /// What is in it.
    pub text: &'s str,
    /// The folder that holds it.
    pub base: RepoPath,
}

/// Reads tasks.toml.
///
/// # Errors
/// All that is wrong with it. Where its syntax is broken, names that are not found are not
/// reported, since what defines them may be in the broken part.
pub fn parse(source: &Source<'_>) -> Result<Config, Diagnostics> {
    let mut findings = Findings::default();
    let mut root = document::read(source.text, &mut findings);
    let broken = findings.0.len();
    let variants = matrix::expand(&mut root, &mut findings);
    let extent = if broken == 0 { Extent::Whole } else { Extent::Broken };
    let lines = Lines::of(source.text);
    let sections = Sections::of(&root, extent, &variants, &mut findings);
    let config = read(source, &sections, &lines, &mut findings);
    matrix::drop_repeats(&mut findings, &variants);
    document::drop_echoes(&mut findings, broken, &lines);
    if findings.0.is_empty() { Ok(config) } else { Err(Diagnostics::new(source.name, source.text, findings)) }
}

/// The tables at the top of the file.
struct Sections<'d> {
    settings: Table<'d>,
    files: Table<'d>,
    tools: Table<'d>,
    defaults: Table<'d>,
    tasks: Table<'d>,
    hooks: Table<'d>,
    worktree: Table<'d>,
    variants: &'d Variants,
    extent: Extent,
}

impl<'d> Sections<'d> {
    fn of(
        root: &'d toml::de::DeTable<'d>,
        extent: Extent,
        variants: &'d Variants,
        findings: &mut Findings,
    ) -> Self {
        let (settings, files, tools, defaults, tasks, hooks, worktree) = Default::default();
        let mut sections =
            Self { settings, files, tools, defaults, tasks, hooks, worktree, variants, extent };
        for Entry { key, value } in document::entries(root) {
            let section = match key.text {
                "settings" => &mut sections.settings,
                "files" => &mut sections.files,
                "tools" => &mut sections.tools,
                "defaults" => &mut sections.defaults,
                "tasks" => &mut sections.tasks,
                "hooks" => &mut sections.hooks,
                "worktree" => &mut sections.worktree,
                _ => {
                    // Behind a broken `[header]` the keys of its table seem to stand at the top.
                    if extent == Extent::Whole {
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

fn read(source: &Source<'_>, sections: &Sections<'_>, lines: &Lines<'_>, findings: &mut Findings) -> Config {
    let Sections { settings, files, tools, defaults, tasks, hooks, worktree, variants, extent } = sections;
    let base = &source.base;
    let settings = settings::read(settings, findings);
    let tools = settings::tools(tools, findings);
    let sets = Sets::read(files, base, *extent, findings);
    let scope = Scope { base, sets: &sets, tools: &tools, variants, extent: *extent };
    let defaults = Shared::defaults(defaults, &scope, findings);
    let drafts = task_table::read(tasks, &scope, findings);
    let hooks = hooks::read(hooks, &drafts, *extent, findings);
    let worktree = worktree::read(worktree, &scope, findings);
    let needs = needs::resolve(&drafts, *extent, findings);
    outputs::check_overlaps(&drafts, &defaults, findings);
    let frame = Frame { defaults: &defaults, settings: &settings, base, lines };
    let worktree = worktree.finish(&frame);
    let tasks = drafts.into_iter().zip(needs).map(|(draft, needs)| draft.finish(needs, &frame)).collect();
    Config { base: base.clone(), settings, tools, tasks, hooks, worktree }
}
