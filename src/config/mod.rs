//! tasks.toml: raw text → spanned document → typed [`model::Config`], with every diagnostic of all
//! files in one go. It must not know git, the cache or the file system: text goes in.

mod bounds;
mod ci;
mod circle;
pub mod diagnostic;
mod document;
pub mod dotenv;
mod env_files;
mod files;
mod gate_rules;
mod gates;
mod hooks;
pub mod include;
mod keys;
mod links;
mod matrix;
pub mod model;
mod naming;
mod needs;
mod outputs;
mod part;
mod reports;
pub mod schema;
mod services;
mod settings;
mod shared;
pub mod stage;
mod suppressions;
mod task_table;
pub mod template;
#[cfg(test)]
mod tests;
mod variables;
mod worktree;

use std::ops::Range;
use std::sync::Arc;

use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Origin, Pattern, Patterns, What};
use diagnostic::{Diagnostic, Diagnostics, Findings, Flawed};
use document::{Entry, Extent};
use links::Linking;
use model::{Command, Config, SourceFile, Task};
use part::{Document, Part, Sections};
use services::Draught;
use task_table::{Draft, Links};
pub use variables::port_variable;

/// The name of a task or service within its project.
pub fn own_name(task: &Task) -> &str {
    naming::own(&task.name, &task.project)
}

/// What a program in Rust may be made of. All of the tree, since nothing tells which of its crates
/// belong to the program.
fn program() -> Patterns {
    const FILES: [&str; 7] = [
        "*.rs",
        "Cargo.toml",
        "Cargo.lock",
        "/.cargo/config",
        "/.cargo/config.toml",
        "/rust-toolchain",
        "/rust-toolchain.toml",
    ];
    let top = RepoPath::top();
    let pattern = |text: &&str| Pattern::parse(text, Origin { base: &top, anchored: false }).ok();
    let item = |pattern| Item::adding(What::One(pattern));
    Patterns::new(FILES.iter().filter_map(pattern).map(item).collect())
}

/// A tasks.toml to be read.
#[derive(Clone, Debug)]
pub struct Source<'s> {
    /// The file as messages name it.
    pub name: &'s str,
    /// What is in it.
    pub text: &'s str,
    /// The folder that holds it.
    pub base: RepoPath,
    /// The project that it is within the file that includes it, and so on; empty for the outermost.
    pub project: &'s str,
}

/// Reads one tasks.toml, without what it includes.
///
/// # Errors
/// All that is wrong with it. Where its syntax is broken, names that are not found are not
/// reported, since what defines them may be in the broken part.
pub fn parse(source: &Source<'_>) -> Result<Config, Diagnostics> {
    parse_all(std::slice::from_ref(source), vec![Findings::default()])
}

/// Reads files that include each other, the outermost first; `included` has what was found when they
/// were brought together.
fn parse_all(sources: &[Source<'_>], included: Vec<Findings>) -> Result<Config, Diagnostics> {
    let mut findings: Vec<Findings> = sources.iter().map(|_| Findings::default()).collect();
    let documents: Vec<Document<'_>> = sources
        .iter()
        .zip(&mut findings)
        .map(|(source, findings)| Document::read(source, findings))
        .collect();
    let config = join(&documents, &mut findings);
    diagnostic::drop_consequences(&mut findings);
    let mut flawed = Vec::new();
    for ((document, mut findings), included) in documents.iter().zip(findings).zip(included) {
        document.tidy(&mut findings);
        findings.0.extend(included.0);
        if !findings.0.is_empty() {
            flawed.push(Flawed::new(document.source.name, document.source.text, findings));
        }
    }
    if flawed.is_empty() { Ok(config) } else { Err(Diagnostics::new(flawed)) }
}

/// What messages about a file need.
fn source_file(sections: &Sections<'_>) -> SourceFile {
    let Source { name, text, base, project } = sections.document.source;
    // Of a file of a commit, the name has the commit in front.
    let own = name.rsplit(['/', ':']).next().unwrap_or(name);
    let tool = |entry: &Entry<'_>| (naming::joined(project, entry.key.text), entry.key.span.clone());
    SourceFile {
        name: (*name).to_owned(),
        path: base.child(own.as_bytes()),
        base: base.clone(),
        text: Arc::from(*text),
        sets: Vec::new(),
        tools: sections.tools.iter().map(tool).collect(),
    }
}

/// Something that is wrong with a config for a tree, although it can be read.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The number of the file.
    pub file: usize,
    /// What is wrong, in one line.
    pub message: String,
    /// The bytes of the file that are, and what is written under them.
    pub span: Range<usize>,
    /// A few words about them.
    pub label: String,
    /// Other places that have part in it, with a few words each.
    pub others: Vec<(Range<usize>, String)>,
    /// What to do.
    pub hint: String,
}

/// Makes diagnostics of what is wrong with a config for a tree.
pub fn refuse(config: &Config, refusals: Vec<Refusal>) -> Diagnostics {
    let mut findings: Vec<Findings> = config.files.iter().map(|_| Findings::default()).collect();
    for refusal in refusals {
        let diagnostic =
            Diagnostic::new(refusal.span, refusal.message).label(refusal.label).hint(refusal.hint);
        let others = refusal.others.into_iter();
        findings[refusal.file]
            .add(others.fold(diagnostic, |diagnostic, (span, label)| diagnostic.other(span, label)));
    }
    let files = config.files.iter().zip(findings).filter(|(_, findings)| !findings.0.is_empty());
    Diagnostics::new(files.map(|(file, findings)| Flawed::new(&file.name, &file.text, findings)).collect())
}

/// Makes one config of all files.
fn join(documents: &[Document<'_>], findings: &mut [Findings]) -> Config {
    let extent = Extent::of(documents.iter().all(|document| document.extent == Extent::Whole));
    let sections: Vec<_> =
        documents.iter().zip(findings.iter_mut()).map(|(document, found)| document.sections(found)).collect();
    let mut config = Config { base: documents[0].source.base.clone(), ..Config::default() };
    config.settings = settings::read(&sections[0].settings, &mut findings[0]);
    for (part, found) in sections.iter().zip(findings.iter_mut()) {
        let base = &part.document.source.base;
        config.tools.extend(settings::tools(&part.tools, (base, part.document.source.project), found));
    }
    config.files = sections.iter().map(source_file).collect();
    let mut drafts: Vec<Draft<'_>> = Vec::new();
    let mut services: Vec<Draught<'_>> = Vec::new();
    let mut parts: Vec<Part<'_>> = Vec::with_capacity(sections.len());
    for (file, (sections, found)) in sections.into_iter().zip(findings.iter_mut()).enumerate() {
        let (mut part, contents) = Part::read(sections, &config.tools, (file, extent), found);
        config.files[file].sets = std::mem::take(&mut part.sets);
        parts.push(part);
        drafts.extend(contents.tasks);
        services.extend(contents.services);
    }
    let names = needs::names(&drafts);
    config.hooks = hooks::read(&parts[0].hooks, &names, extent, &mut findings[0]);
    config.ci = ci::read(&parts[0].ci, (&names, extent), &config.base, &mut findings[0]);
    let linking = Linking { drafts: &drafts, services: &services, parts: &parts, names: &names, extent };
    let linked = linking.resolve(findings);
    outputs::check_overlaps(&drafts, &parts, findings);
    let worktree = std::mem::take(&mut parts[0].worktree);
    config.worktree = worktree.finish(&parts[0].frame(&config.settings));
    let finish = |(draft, links): (Draft<'_>, Links)| {
        let frame = parts[draft.file].frame(&config.settings);
        draft.finish(links, &frame)
    };
    config.tasks = drafts.into_iter().zip(linked.tasks).map(finish).collect();
    let finish = |(service, links): (Draught<'_>, Links)| {
        let frame = parts[service.draft.file].frame(&config.settings);
        service.finish(links, &frame)
    };
    config.services = services.into_iter().zip(linked.services).map(finish).collect();
    let is_function = |task: &Task| matches!(task.run, Some(Command::Rust(_)));
    if config.tasks.iter().any(is_function) {
        config.program = program();
    }
    for task in &mut config.tasks {
        // What a service is may decide what comes of the tasks that use it.
        let used = task.uses.iter().flat_map(|id| &config.services[id.0].task.tools);
        task.tools = shared::once(task.tools.iter().chain(used).map(String::as_str));
    }
    config
}
