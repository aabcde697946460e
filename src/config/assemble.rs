//! Makes one config of all files: each is read, names are resolved over all of them, and tasks and
//! services take what their files' defaults say. It must not know how the files were found.

use std::sync::Arc;

use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Origin, Pattern, Patterns, What};
use crate::config::config_file::{Document, Part, Sections};
use crate::config::diagnostic::{self, Diagnostics, Findings, Flawed};
use crate::config::model::{Command, Config, SourceFile, Task};
use crate::config::naming;
use crate::config::resolve::{Linking, needs, overlaps};
use crate::config::sections::common_keys;
use crate::config::sections::drafts::{Draft, Links, ServiceDraft};
use crate::config::sections::{ci, hooks, settings};
use crate::config::source::Source;
use crate::config::syntax::document::{Entry, Extent};

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
pub(crate) fn parse_all(sources: &[Source<'_>], included: Vec<Findings>) -> Result<Config, Diagnostics> {
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
    let mut services: Vec<ServiceDraft<'_>> = Vec::new();
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
    overlaps::check(&drafts, &parts, findings);
    let worktree = std::mem::take(&mut parts[0].worktree);
    config.worktree = worktree.finish(&parts[0].frame(&config.settings));
    let finish = |(draft, links): (Draft<'_>, Links)| {
        let frame = parts[draft.file].frame(&config.settings);
        draft.finish(links, &frame)
    };
    config.tasks = drafts.into_iter().zip(linked.tasks).map(finish).collect();
    let finish = |(service, links): (ServiceDraft<'_>, Links)| {
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
        task.tools = common_keys::once(task.tools.iter().chain(used).map(String::as_str));
    }
    config
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
