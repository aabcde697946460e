//! `xtask ci init` and `xtask ci check`: the files that make CI systems run the same tasks. It must not
//! overwrite what people wrote.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::base::text::count;
use crate::cli::ci::existing::Existing;
use crate::cli::ci::text_file::{read_text, write_text};
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::config::model::Provider;
use crate::git::{Repository, WorkTreeReader};
use crate::graph::{Graph, Reach};
use crate::reporter::style::Tone;
use crate::select::Selection;
use crate::workflow::badges::{self, BadgePolicy, HostedRepo};
use crate::workflow::ci_facts::{self, CiFacts};
use crate::workflow::handwritten::Sections;
use crate::workflow::location::{self, Choice};
use crate::workflow::outside_changes::{find_drift, find_interference};
use crate::workflow::runner::{self, Runner};
use crate::workflow::{self, Draft, OverwritePolicy, dependabot, ecosystem, github, gitlab, pr_template};

/// Arguments of `ci`.
#[derive(Args, Debug, Clone)]
pub struct CiArgs {
    /// What to do with the files of CI systems
    #[command(subcommand)]
    pub action: CiAction,
}

/// An action on the files of CI systems.
#[derive(Subcommand, Debug, Clone)]
pub enum CiAction {
    /// Write them: workflow, pull request template, `dependabot.yml`
    #[command(after_help = "\
Examples:
  xtask ci init
  xtask ci init --name checks

A new workflow gets the setup of tools that the tasks need, from the files of the repository and from the
workflows in it. Afterwards, what is between the lines `xtask: begin` and `xtask: end` of a file is yours and
is kept. A file that was not written by this command is left alone: beside ci.yml, it writes taskgate.yml.")]
    Init(CiInitArgs),
    /// Show where they differ from what `init` would write
    #[command(after_help = "\
Example:
  xtask ci check

Comments, blank lines, hand-written sections and the commits that actions are pinned to don't count.
Exit status 1 if something differs.")]
    Check,
}

/// Arguments of `ci init`.
#[derive(Args, Debug, Clone, Default)]
pub struct CiInitArgs {
    /// Overwrite files that people wrote
    #[arg(long)]
    pub force: bool,
    /// The name of the workflow [default: ci, or taskgate if that file is yours]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Put badges into README.md, after its first heading
    #[arg(long)]
    pub badges: bool,
}

/// Writes or checks the files.
///
/// # Errors
/// There is no repository, tasks.toml is invalid, there is nothing for CI to run, or the disk failed.
pub fn run(session: &Session, args: CiArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    match args.action {
        CiAction::Init(args) => CiFiles::open(session, &project, &args)?.init(&args),
        CiAction::Check => CiFiles::open(session, &project, &CiInitArgs::default())?.check(),
    }
}

/// A repository and the CI files that belong into it.
struct CiFiles<'s> {
    session: &'s Session,
    root: PathBuf,
    facts: CiFacts,
    paths: Vec<String>,
    /// The CI systems, each with the path of its file.
    providers: Vec<(Provider, String)>,
    drafts: Vec<Draft>,
    /// The host of `origin`, and the name of the repository there.
    origin: Option<(String, String)>,
    branch: String,
}

impl<'s> CiFiles<'s> {
    fn open(session: &'s Session, project: &Project, args: &CiInitArgs) -> Result<Self, Failure> {
        let repository =
            project.repository.as_ref().ok_or(Failure::NoRepository { what: "no CI system can run it" })?;
        let config = &project.config;
        // Names in `ci.run` were checked when tasks.toml was read, so only the default can be missing.
        let selection = Selection::from_names(config, &config.ci.run).map_err(|_| Failure::NothingForCi)?;
        let graph = Graph::new(config, &selection.tasks, Reach::WithNeeds);
        let root = project.root.clone();
        let paths = paths(repository, project.state())?;
        let mut facts = CiFacts::new(config, &graph, runner(&root, &paths)?);
        let attributes = read_text(&root.join(".gitattributes"))?.unwrap_or_default();
        facts.checkout.lfs =
            attributes.lines().any(|line| !line.starts_with('#') && line.contains("filter=lfs"));
        facts.checkout.submodules = paths.iter().any(|path| path == ".gitmodules");
        let home = repository
            .remotes()
            .into_iter()
            .find(|(name, _)| name == "origin")
            .and_then(|(_, url)| ci_facts::slug(&url));
        let host = home.as_ref().map(|(host, _)| host.as_str());
        let providers = if config.ci.providers.is_empty() {
            detect_providers(host, &paths)
        } else {
            config.ci.providers.clone()
        };
        let is_generated = |path: &str| {
            let text = read_text(&root.join(path)).ok().flatten();
            text.is_some_and(|text| workflow::is_generated(&text))
        };
        let choice = Choice { name: args.name.as_deref(), force: args.force };
        let located = providers.into_iter().map(|provider| {
            let path = location::choose(provider, &paths, &is_generated, choice);
            refuse_name(&path, choice.name).map(|()| (provider, path))
        });
        let providers = located.collect::<Result<Vec<_>, _>>()?;
        let branch = repository.default_branch().unwrap_or_else(|| "main".to_owned());
        let mut files =
            Self { session, root, facts, paths, providers, drafts: Vec::new(), origin: home, branch };
        files.drafts = files.drafts()?;
        Ok(files)
    }

    /// Returns the files as they must be.
    fn drafts(&self) -> Result<Vec<Draft>, Failure> {
        let all = || self.paths.iter().map(String::as_str);
        let mut drafts = Vec::new();
        for (provider, path) in &self.providers {
            match provider {
                Provider::GitHub => {
                    drafts.push(github::draft(&self.facts, &self.branches(path)?, path));
                    if !dependabot::has_other(all()) {
                        drafts.push(dependabot::draft(ecosystem::detect(all())));
                    }
                }
                Provider::GitLab => drafts.push(gitlab::draft(&self.facts, path)),
            }
            if !pr_template::has_other(all(), *provider) {
                drafts.push(pr_template::draft(&self.facts, *provider));
            }
        }
        Ok(drafts)
    }

    /// Returns the branches whose pushes GitHub runs. The default branch can differ between clones, so the
    /// branches in the existing file come first.
    fn branches(&self, path: &str) -> Result<Vec<String>, Failure> {
        if !self.facts.branches.is_empty() {
            return Ok(self.facts.branches.clone());
        }
        let there = read_text(&self.root.join(path))?.filter(|text| workflow::is_generated(text));
        let named = there.map(|text| github::branches(&text)).unwrap_or_default();
        Ok(if named.is_empty() { vec![self.branch.clone()] } else { named })
    }

    fn init(&self, args: &CiInitArgs) -> Result<End, Failure> {
        let existing = Existing::read(&self.root, &self.paths)?;
        let mut writes: Vec<(&Draft, String, Vec<String>)> = Vec::new();
        let mut lines = Vec::new();
        let mut refused = Vec::new();
        for draft in &self.drafts {
            match file_state(&self.root, draft)? {
                FileState::Missing => writes.push(self.first(draft, &existing)),
                FileState::HandWritten | FileState::Unreadable(_) if args.force => {
                    writes.push(self.first(draft, &existing));
                }
                FileState::HandWritten if draft.policy == OverwritePolicy::Required => {
                    refused.push(format!("{}: it was not written by this command", draft.path));
                }
                FileState::HandWritten => {
                    lines.push(format!("kept: {} (not written by this command)", draft.path));
                }
                FileState::Unreadable(why) => refused.push(format!("{}: {why}", draft.path)),
                FileState::Generated { current, expected, orphaned, interference } => {
                    lines.extend(interference.map(|problem| format!("note: {}: {problem}", draft.path)));
                    if !orphaned.is_empty() && !args.force {
                        refused.push(format!(
                            "{}: the new file has no place for the hand-written section `{}`",
                            draft.path,
                            orphaned.join("`, `")
                        ));
                    } else if current == expected {
                        lines.push(format!("unchanged: {}", draft.path));
                    } else {
                        writes.push((draft, expected, Vec::new()));
                    }
                }
            }
        }
        if !refused.is_empty() {
            return Err(Failure::Usage {
                text: format!("nothing was written: {}", refused.join("; ")),
                hint: Some("move it away, or overwrite it: xtask ci init --force".to_owned()),
            });
        }
        let new: Vec<String> = writes.iter().map(|(draft, ..)| draft.path.clone()).collect();
        for (draft, text, notes) in writes {
            write_text(&self.root.join(&draft.path), &text)?;
            lines.push(format!("wrote {}", draft.path));
            lines.extend(notes);
        }
        for (provider, path) in &self.providers {
            match provider {
                Provider::GitHub if new.contains(path) => lines.extend(existing.replaced(&self.facts, path)),
                Provider::GitLab if self.lacks_include(path)? => {
                    let include = gitlab::include_lines(path);
                    lines.push(format!("note: {} does not include {path} yet; add:", gitlab::PATH));
                    lines.extend(include.lines().map(|line| format!("    {line}")));
                }
                Provider::GitHub | Provider::GitLab => {}
            }
        }
        lines.extend(self.readme(args)?);
        lines.extend(self.facts.unserved.iter().map(|system| {
            format!("note: no CI runner is known for the system {system}, so its tasks don't run in CI")
        }));
        self.session.eprint(&(lines.join("\n") + "\n"));
        Ok(End::Passed)
    }

    /// Returns a file with its first content, and what the user should know of it.
    fn first<'d>(&self, draft: &'d Draft, existing: &Existing) -> (&'d Draft, String, Vec<String>) {
        let is_workflow = self.providers.iter().any(|(_, path)| *path == draft.path);
        let mut filled = draft.clone();
        let notes = if is_workflow {
            existing.fill(&mut filled, &self.facts, &self.root, &self.paths)
        } else {
            Vec::new()
        };
        (draft, filled.first.fill(&draft.text), notes)
    }

    /// Returns whether GitLab's own file does not include the file at a path.
    fn lacks_include(&self, path: &str) -> Result<bool, Failure> {
        let text = read_text(&self.root.join(gitlab::PATH))?.unwrap_or_default();
        Ok(path != gitlab::PATH && !text.contains(path))
    }

    /// Prints the badges, and puts them into the README if it has a place for them.
    fn readme(&self, args: &CiInitArgs) -> Result<Option<String>, Failure> {
        let Some((host, slug)) = &self.origin else {
            let text = "note: no badges, since there is no remote `origin` at a host such as github.com";
            return Ok(Some(text.to_owned()));
        };
        let github = self.providers.iter().find(|(provider, _)| *provider == Provider::GitHub);
        let workflow = github.and_then(|(_, path)| path.rsplit('/').next()).unwrap_or_default();
        let home = HostedRepo { host, slug, branch: &self.branch, workflow };
        // A repository is at one provider; the other has a copy.
        let is_others = Provider::ALL.into_iter().any(|(_, provider)| is_host_of(host, provider));
        let is_at =
            |provider: &Provider| is_host_of(host, *provider) || self.providers.len() == 1 && !is_others;
        let at = self.providers.iter().map(|(provider, _)| provider).filter(|provider| is_at(provider));
        let badges: Vec<String> = at.map(|provider| badges::badge(*provider, home)).collect();
        if badges.is_empty() {
            return Ok(None);
        }
        self.session.print(&(badges.join("\n") + "\n"))?;
        let path = self.root.join("README.md");
        let Some(there) = read_text(&path)? else { return Ok(None) };
        let ask = if args.badges { BadgePolicy::InsertOrReplace } else { BadgePolicy::ReplaceOnly };
        match badges::write(&there, &badges, ask) {
            Some(new) if new != there => {
                write_text(&path, &new)?;
                Ok(Some("wrote the badges into README.md".to_owned()))
            }
            None if args.badges => {
                Ok(Some("note: README.md has no first heading, so the badges are not in it".to_owned()))
            }
            _ => Ok(None),
        }
    }

    fn check(&self) -> Result<End, Failure> {
        let mut lines = Vec::new();
        let mut checked = 0;
        let mut is_refused = false;
        for draft in self.drafts.iter().filter(|draft| draft.policy != OverwritePolicy::Unchecked) {
            match self.differences(draft)? {
                None => {}
                Some(found) => {
                    checked += 1;
                    is_refused |= found.is_refused;
                    lines.extend(found.lines);
                }
            }
        }
        for (_, path) in self.providers.iter().filter(|(provider, _)| *provider == Provider::GitLab) {
            if self.lacks_include(path)? {
                lines.push(format!("{}: it does not include {path}", gitlab::PATH));
            }
        }
        let paint = self.session.paint_err();
        if lines.is_empty() {
            let files = count(checked, "file");
            self.session.eprint(&format!("{files} for CI up to date\n"));
            return Ok(End::Passed);
        }
        let mark = paint.tone(Tone::Bad, "drift:");
        let mut text = String::new();
        for line in &lines {
            text.push_str(&format!("{mark} {line}\n"));
        }
        // Without `--force`, files that are not ours are never overwritten.
        let force = if is_refused { " --force (or move away what you want to keep)" } else { "" };
        text.push_str(&format!(
            "{} {} ci init{force}; your own lines belong between `xtask: begin` and `xtask: end`\n",
            paint.tone(Tone::Strong, "hint:"),
            self.facts.call
        ));
        self.session.eprint(&text);
        Ok(End::Failed)
    }

    /// Returns where a file differs from its draft; `None` if there is nothing to compare.
    fn differences(&self, draft: &Draft) -> Result<Option<Differences>, Failure> {
        let path = &draft.path;
        let missing = || Differences { lines: vec![format!("{path}: it is missing")], is_refused: false };
        let refused = |line: String| Differences { lines: vec![line], is_refused: true };
        match file_state(&self.root, draft)? {
            FileState::Missing => Ok(Some(missing())),
            FileState::HandWritten if draft.policy == OverwritePolicy::Required => {
                Ok(Some(refused(format!("{path}: it was not written by `xtask ci init`"))))
            }
            FileState::HandWritten => Ok(None),
            FileState::Unreadable(why) => Ok(Some(refused(format!("{path}: {why}")))),
            FileState::Generated { current, expected, orphaned, interference } => {
                let is_refused = !orphaned.is_empty();
                let orphaned = orphaned.iter().map(|name| {
                    format!("{path}: the new file has no place for the hand-written section `{name}`")
                });
                let interference = interference.map(|problem| format!("{path}: {problem}"));
                let drift = find_drift(&expected, &current).map(|found| format!("{path}:{found}"));
                let lines = orphaned.chain(interference).chain(drift).collect();
                Ok(Some(Differences { lines, is_refused }))
            }
        }
    }
}

/// The differences between a file and its draft.
struct Differences {
    lines: Vec<String>,
    /// Whether the file is overwritten only with `--force`.
    is_refused: bool,
}

/// The state of a file compared with its draft.
enum FileState {
    Missing,
    /// People wrote it.
    HandWritten,
    /// Its hand-written parts can't be read.
    Unreadable(String),
    Generated {
        current: String,
        /// The draft with the hand-written sections of the file.
        expected: String,
        /// Hand-written sections that the draft has no place for.
        orphaned: Vec<String>,
        /// What hand-written sections do besides adding to what they are in.
        interference: Option<String>,
    },
}

fn file_state(root: &Path, draft: &Draft) -> Result<FileState, Failure> {
    let Some(current) = read_text(&root.join(&draft.path))? else { return Ok(FileState::Missing) };
    if !workflow::is_generated(&current) {
        return Ok(FileState::HandWritten);
    }
    Ok(match Sections::parse(&current) {
        Err(error) => FileState::Unreadable(error.to_string()),
        Ok(sections) => FileState::Generated {
            expected: sections.fill(&draft.text),
            orphaned: sections.orphaned_sections(&draft.text).into_iter().map(str::to_owned).collect(),
            interference: match draft.policy {
                OverwritePolicy::Unchecked => None,
                _ => find_interference(&draft.text, &sections),
            },
            current,
        },
    })
}

/// Returns how the repository's runner is called.
fn runner(root: &Path, paths: &[String]) -> Result<Runner, Failure> {
    let config = read_text(&root.join(".cargo/config.toml"))?;
    let mut manifests = Vec::new();
    for path in paths.iter().filter(|path| path.ends_with("xtask/Cargo.toml")) {
        manifests.extend(read_text(&root.join(path))?);
    }
    Ok(runner::detect(config.as_deref(), &manifests))
}

/// Refuses a name that can't be used, or that another file would have to give up.
fn refuse_name(path: &str, name: Option<&str>) -> Result<(), Failure> {
    let Some(name) = name else { return Ok(()) };
    if !location::is_name(name) {
        return Err(Failure::Usage {
            text: format!("`{name}` can't be the name of a workflow"),
            hint: Some("letters, digits, `-` and `_`, and not `shard`".to_owned()),
        });
    }
    let folder = path.rsplit_once('/').map(|(folder, _)| folder);
    match folder.map(|folder| format!("{folder}/{name}.yml")) {
        Some(wanted) if wanted != path => Err(Failure::Usage {
            text: format!("{path} was written by this command already"),
            hint: Some(format!("git mv {path} {wanted} && xtask ci init")),
        }),
        _ => Ok(()),
    }
}

/// Returns the CI systems of a repository whose tasks.toml names none.
fn detect_providers(host: Option<&str>, paths: &[String]) -> Vec<Provider> {
    let has_workflow = location::github_workflows(paths).next().is_some();
    let has_pipeline = paths.iter().any(|path| path == gitlab::PATH);
    let known = [(Provider::GitHub, has_workflow), (Provider::GitLab, has_pipeline)].into_iter();
    let there = known.filter(|(provider, has)| host.is_some_and(|host| is_host_of(host, *provider)) || *has);
    let providers: Vec<Provider> = there.map(|(provider, _)| provider).collect();
    if providers.is_empty() { vec![Provider::GitHub] } else { providers }
}

/// Returns whether the name of a host contains the provider's.
fn is_host_of(host: &str, provider: Provider) -> bool {
    let word = Provider::ALL.into_iter().find(|(_, known)| *known == provider).map(|(word, _)| word);
    host.split('.').any(|part| Some(part) == word)
}

/// Returns the files of the work tree, without ignored ones.
fn paths(repository: &Repository, state: Option<&Path>) -> Result<Vec<String>, Failure> {
    let snapshot = WorkTreeReader::open(repository, state)?.snapshot()?;
    let paths = snapshot.entries().iter();
    Ok(paths.filter_map(|entry| std::str::from_utf8(entry.path.bytes()).ok().map(str::to_owned)).collect())
}
