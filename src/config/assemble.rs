//! Makes one config of all files of a repository: reads each file, resolves names across all of them, and
//! applies the defaults of each file. It must not know how the files were found.

use std::sync::Arc;

use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Matcher, Pattern, PatternBase, Patterns};
use crate::config::config_file::{ConfigFile, Document, Sections};
use crate::config::diagnostic::{self, DiagnosticSink, Diagnostics, FileDiagnostics};
use crate::config::model::{Command, Config, SourceFile, Task};
use crate::config::naming;
use crate::config::resolve::{Resolver, needs, overlaps};
use crate::config::sections::common_keys;
use crate::config::sections::deploy::{self, DeployContext};
use crate::config::sections::drafts::{Dependencies, ServiceDraft, TaskDraft};
use crate::config::sections::{ci, hooks, settings};
use crate::config::source::SourceText;
use crate::config::syntax::document::{Entry, Syntax};

/// Parses one tasks.toml, without the files that it includes.
///
/// # Errors
/// Returns all errors of the file. If its syntax is broken, unknown names are not reported, since the broken
/// part may define them.
pub fn parse(source: &SourceText<'_>) -> Result<Config, Diagnostics> {
    parse_files(std::slice::from_ref(source), vec![DiagnosticSink::default()])
}

/// Parses files that include each other, the outermost first. `included` has the errors that were found when
/// the files were loaded.
pub(crate) fn parse_files(
    sources: &[SourceText<'_>],
    included: Vec<DiagnosticSink>,
) -> Result<Config, Diagnostics> {
    let mut sink: Vec<DiagnosticSink> = sources.iter().map(|_| DiagnosticSink::default()).collect();
    let documents: Vec<Document<'_>> =
        sources.iter().zip(&mut sink).map(|(source, sink)| Document::read(source, sink)).collect();
    let config = join(&documents, &mut sink);
    diagnostic::drop_consequences(&mut sink);
    let mut invalid_files = Vec::new();
    for ((document, mut sink), included) in documents.iter().zip(sink).zip(included) {
        document.drop_repeated_diagnostics(&mut sink);
        sink.0.extend(included.0);
        if !sink.0.is_empty() {
            invalid_files.push(FileDiagnostics::new(document.source.name, document.source.text, sink));
        }
    }
    if invalid_files.is_empty() { Ok(config) } else { Err(Diagnostics::new(invalid_files)) }
}

/// Makes one config of all files.
fn join(documents: &[Document<'_>], sink: &mut [DiagnosticSink]) -> Config {
    let syntax = Syntax::new(documents.iter().all(|document| document.syntax == Syntax::Valid));
    let sections: Vec<_> =
        documents.iter().zip(sink.iter_mut()).map(|(document, found)| document.sections(found)).collect();
    let mut config = Config { base: documents[0].source.base.clone(), ..Config::default() };
    config.settings = settings::read(&sections[0].settings, &mut sink[0]);
    for (config_file, found) in sections.iter().zip(sink.iter_mut()) {
        let base = &config_file.document.source.base;
        config.tools.extend(settings::tools(
            &config_file.tools,
            base,
            config_file.document.source.project,
            found,
        ));
    }
    config.files = sections.iter().map(source_file).collect();
    let mut drafts: Vec<TaskDraft<'_>> = Vec::new();
    let mut services: Vec<ServiceDraft<'_>> = Vec::new();
    let mut config_files: Vec<ConfigFile<'_>> = Vec::with_capacity(sections.len());
    for (file, (sections, found)) in sections.into_iter().zip(sink.iter_mut()).enumerate() {
        let (mut config_file, contents) = ConfigFile::read(sections, &config.tools, file, syntax, found);
        config.files[file].sets = std::mem::take(&mut config_file.sets);
        config_files.push(config_file);
        drafts.extend(contents.tasks);
        services.extend(contents.services);
    }
    let names = needs::name_index(&drafts);
    config.hooks = hooks::read(&config_files[0].hooks, &names, syntax, &mut sink[0]);
    config.ci = ci::read(&config_files[0].ci, &names, syntax, &config.base, &mut sink[0]);
    let lines = config_files[0].file_defaults(&config.settings).lines;
    let context = DeployContext {
        base: &config.base,
        file: documents[0].source.name,
        lines,
        syntax,
        names: &names,
        drafts: &drafts,
        services: &services,
    };
    let tables = &config_files[0].deploy;
    config.deploy = deploy::settings::read(&tables.settings, syntax, &mut sink[0]);
    config.artifacts = deploy::artifacts::read(&tables.artifacts, &context, &mut sink[0]);
    config.environments =
        deploy::environments::read(&tables.environments, &config.artifacts, &context, &mut sink[0]);
    let resolver =
        Resolver { drafts: &drafts, services: &services, config_files: &config_files, names: &names, syntax };
    let resolved = resolver.resolve(sink);
    overlaps::check(&drafts, &config_files, sink);
    let worktree = std::mem::take(&mut config_files[0].worktree);
    config.worktree = worktree.finish(&config_files[0].file_defaults(&config.settings));
    let finish = |(draft, dependencies): (TaskDraft<'_>, Dependencies)| {
        let file_defaults = config_files[draft.file].file_defaults(&config.settings);
        draft.finish(dependencies, &file_defaults)
    };
    config.tasks = drafts.into_iter().zip(resolved.tasks).map(finish).collect();
    let finish = |(service, dependencies): (ServiceDraft<'_>, Dependencies)| {
        let file_defaults = config_files[service.draft.file].file_defaults(&config.settings);
        service.finish(dependencies, &file_defaults)
    };
    config.services = services.into_iter().zip(resolved.services).map(finish).collect();
    let is_function = |task: &Task| matches!(task.command(), Some(Command::Rust(_)));
    if config.tasks.iter().any(is_function) {
        config.program = program();
    }
    for task in &mut config.tasks {
        // The version of a service's tools may change the result of the tasks that use it.
        let used = task.env.uses.iter().flat_map(|id| &config.services[id.0].tools);
        task.tools = common_keys::sorted_unique(task.tools.iter().chain(used).map(String::as_str));
    }
    config
}

/// Returns what messages about a file need.
fn source_file(sections: &Sections<'_>) -> SourceFile {
    let SourceText { name, text, base, project } = sections.document.source;
    // In a commit, the name starts with the commit: `HEAD:tasks.toml`.
    let own = name.rsplit(['/', ':']).next().unwrap_or(name);
    let tool = |entry: &Entry<'_>| (naming::qualified(project, entry.key.text), entry.key.span.clone());
    SourceFile {
        name: (*name).to_owned(),
        path: base.child(own.as_bytes()),
        base: base.clone(),
        text: Arc::from(*text),
        sets: Vec::new(),
        tools: sections.tools.iter().map(tool).collect(),
    }
}

/// Returns the files that a program in Rust may be built from. They may be anywhere in the tree, since
/// nothing says which crates belong to the program.
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
    let pattern = |text: &&str| Pattern::parse(text, PatternBase { base: &top, anchored: false }).ok();
    let item = |pattern| Item::including(Matcher::Pattern(pattern));
    Patterns::new(FILES.iter().filter_map(pattern).map(item).collect())
}
