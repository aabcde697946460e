//! Tasks of packages with scripts, and of the members of their workspaces. It must not know which scripts are
//! chosen, or how package managers are detected.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::tool_files;
use crate::init::build_outputs;
use crate::init::check_tools;
use crate::init::ci_commands::{CiCommand, CiCommands};
use crate::init::package_manager::PackageManager;
use crate::init::package_scripts::{FILE, Package, Part};
use crate::init::proposals::{Candidate, Proposals, TaskKind};
use crate::init::script_choice::{Choice, Choices, Wishes, choose};
use crate::init::script_names::{MAIN, ScriptUse, script_use};
use crate::init::survey::{Folder, Survey};
use crate::init::workspace::{self, Workspace, is_member};

/// The most tasks of members that are written one by one.
const MOST_TASKS: usize = 40;
/// Names of folders that are checked only where CI does so.
const SITES: &[&str] = &["docs", "website", "site", "www", "bench", "benchmarks", "benchmark"];
/// Files that show that a folder installs its own dependencies.
const LOCKS: &[&str] =
    &["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb", "npm-shrinkwrap.json"];

/// Adds tasks for scripts that check, test or build something.
pub(super) fn propose(survey: &Survey, ci: &CiCommands, folder: &Folder, found: &mut Proposals) {
    if folder.text(FILE).is_none() {
        return;
    }
    let Some(package) = Package::read(survey, folder) else {
        found.omit(folder.path_of(FILE), "it is not JSON");
        return;
    };
    // The members of a workspace are read with its root.
    if survey.upward(folder).skip(1).any(|above| is_member(above, &folder.path)) {
        return;
    }
    let name = folder.path.rsplit('/').next().unwrap_or_default();
    let has_top = survey.upward(folder).skip(1).any(|above| above.has(FILE));
    let in_ci = ci.all.iter().any(|it| it.folder == folder.path);
    let top = survey.folder("");
    let has_code = ["package.json", "go.mod", "Cargo.toml", "pyproject.toml", "setup.py"]
        .iter()
        .any(|mark| top.is_some_and(|top| top.has(mark)));
    let is_site = SITES.contains(&name) && has_code;
    if is_site && !in_ci {
        return;
    }
    if has_top && !in_ci && (!LOCKS.iter().any(|name| folder.has(name))) {
        let is_check = |(script, _): &(String, String)| {
            matches!(script_use(&package, script), ScriptUse::Check(_) | ScriptUse::Watch)
        };
        if package.scripts.iter().any(is_check) {
            found.omit(folder.path_of(FILE), "it is not a member of the workspace above it");
        }
        return;
    }
    let workspace = Workspace::read(survey, package);
    let planner = Planner { survey, ci, workspace };
    planner.propose(found);
}

struct Planner<'s> {
    survey: &'s Survey,
    ci: &'s CiCommands,
    workspace: Workspace<'s>,
}

/// Scripts of workspace members, each with the member that it is for, if it is for one.
type MemberScripts = Vec<(Option<String>, Vec<String>)>;

/// A package with its chosen scripts.
struct Chosen<'p, 's> {
    package: &'p Package<'s>,
    choices: Choices,
}

impl<'s> Planner<'s> {
    fn propose(&self, found: &mut Proposals) {
        let root = &self.workspace.root;
        let (by_ci, mut delegated) = Self::called(root, &self.commands(root));
        let knows_ci = !by_ci.is_empty() || !delegated.is_empty();
        let kinds: Vec<TaskKind> = MAIN.iter().map(|(kind, _)| *kind).collect();
        let mut own = choose(root, &Wishes { kinds: &kinds, by_ci: &by_ci, knows_ci });
        delegated.append(&mut own.delegated.clone());
        let covered: Vec<_> = own.taken.iter().flat_map(|choice| choice.members.clone()).collect();
        let taken: BTreeSet<TaskKind> = own.taken.iter().map(|choice| choice.kind).collect();
        let kinds: Vec<TaskKind> = kinds.into_iter().filter(|kind| !taken.contains(kind)).collect();
        let members: Vec<Chosen<'_, 's>> = self
            .workspace
            .members
            .iter()
            .map(|member| {
                let mut chosen = self.member(member, &kinds, &delegated, knows_ci);
                let is_covered = |choice: &Choice| {
                    covered.iter().any(|(selector, scripts)| {
                        scripts.contains(&choice.script)
                            && self.workspace.selects(selector.as_deref(), member)
                    })
                };
                chosen.choices.taken.retain(|choice| !is_covered(choice));
                chosen
            })
            .collect();
        if self.workspace.members.is_empty() {
            own.delegated.clear();
        }
        let mut all = vec![Chosen { package: root, choices: own }];
        let count: usize = members.iter().map(|it| it.choices.taken.len()).sum();
        if count <= MOST_TASKS || !self.group(&members, found) {
            all.extend(members);
        }
        let mut names = BTreeMap::new();
        for it in &all {
            self.add(it, found, &mut names);
        }
        for it in &all {
            self.add_needs(it, &names, found);
        }
        Self::omit(&all, found);
        for package in std::iter::once(root).chain(&self.workspace.members) {
            if package.folder.has_untracked("node_modules") {
                found.links.insert(package.folder.path_of("node_modules"));
            }
        }
    }

    /// Returns the commands of CI in the folder of a package.
    fn commands(&self, package: &Package<'_>) -> Vec<&'s CiCommand> {
        self.ci.all.iter().filter(|it| it.folder == package.folder.path).collect()
    }

    /// Returns the scripts of a package that these commands run, directly or through others, and those of
    /// members.
    fn called(package: &Package<'_>, commands: &[&CiCommand]) -> (BTreeSet<String>, MemberScripts) {
        let (mut scripts, mut members) = (BTreeSet::new(), Vec::new());
        for part in commands.iter().flat_map(|it| package.resolve(&it.command)) {
            match part {
                Part::Own { script, .. } => {
                    members.extend(package.flat(&script).members);
                    scripts.insert(script);
                }
                Part::Members { selector, scripts } => members.push((selector, scripts)),
                Part::Tool(_) => {}
            }
        }
        (scripts, members)
    }

    fn member<'p>(
        &self,
        member: &'p Package<'s>,
        kinds: &[TaskKind],
        delegated: &[(Option<String>, Vec<String>)],
        knows_ci: bool,
    ) -> Chosen<'p, 's> {
        let (mut by_ci, _) = Self::called(member, &self.commands(member));
        for (selector, scripts) in delegated {
            if self.workspace.selects(selector.as_deref(), member) {
                by_ci.extend(scripts.iter().filter(|script| member.line(script).is_some()).cloned());
            }
        }
        // Sites and benchmarks are checked only where CI does so.
        let name = member.folder.path.rsplit('/').next().unwrap_or_default();
        let kinds = if SITES.contains(&name) { &[] } else { kinds };
        Chosen { package: member, choices: choose(member, &Wishes { kinds, by_ci: &by_ci, knows_ci }) }
    }

    /// Adds one task a kind for the scripts of all members. Returns whether the package manager can run them.
    fn group(&self, members: &[Chosen<'_, 's>], found: &mut Proposals) -> bool {
        let root = &self.workspace.root;
        if root.manager.run_in("", None).is_none() {
            return false;
        }
        let mut scripts: BTreeMap<(TaskKind, &str), usize> = BTreeMap::new();
        for choice in members.iter().flat_map(|it| &it.choices.taken) {
            *scripts.entry((choice.kind, &choice.script)).or_default() += 1;
        }
        let mut builds = Vec::new();
        for ((kind, script), count) in scripts {
            let Some(run) = root.manager.run_in(script, None) else { continue };
            // A script of one or two members of many is not worth a task of all.
            if count < 3 && members.len() > 10 {
                continue;
            }
            let mut task = self.task(root, kind, &script.replace(':', "-"), found);
            task.run = run;
            if kind == TaskKind::Build {
                builds.push(task.name.clone());
            } else if kind != TaskKind::Format {
                task.needs.clone_from(&builds);
            }
            found.add(task);
        }
        true
    }

    fn add(
        &self,
        it: &Chosen<'_, 's>,
        found: &mut Proposals,
        names: &mut BTreeMap<(String, String), String>,
    ) {
        let package = it.package;
        for choice in &it.choices.taken {
            let is_only = it.choices.taken.iter().filter(|other| other.kind == choice.kind).count() == 1;
            let name =
                if is_only { kind_name(choice.kind).to_owned() } else { choice.script.replace(':', "-") };
            let mut task = self.task(package, choice.kind, &name, found);
            task.run.clone_from(&choice.run);
            task.fix.clone_from(&choice.fix);
            task.rewrites = choice.tools.iter().any(check_tools::is_rewrite);
            if !is_only {
                task.about = format!("{} ({})", task.about, choice.script);
            }
            let run_in: Vec<(&Package<'_>, &String)> = self
                .workspace
                .members
                .iter()
                .flat_map(|member| {
                    let own = choice
                        .members
                        .iter()
                        .filter(|(selector, _)| self.workspace.selects(selector.as_deref(), member));
                    own.flat_map(|(_, scripts)| scripts)
                        .filter(|script| member.line(script).is_some())
                        .map(move |script| (member, script))
                })
                .collect();
            if choice.kind == TaskKind::Build {
                let folders = build_outputs::folders(self.survey, package, &choice.tools);
                task.outputs = build_outputs::patterns(package, &folders);
                for (member, script) in &run_in {
                    let folders = build_outputs::folders(self.survey, member, &member.flat(script).tools);
                    task.outputs.extend(build_outputs::patterns(member, &folders));
                }
                // A second build adds to what the first has written.
                let first =
                    it.choices.taken.iter().find(|it| it.kind == TaskKind::Build).map(|it| &it.script);
                let first =
                    first.and_then(|script| names.get(&(package.folder.path.clone(), script.clone())));
                if let Some(first) = first {
                    let written = found.outputs_of(first);
                    task.outputs.retain(|pattern| !written.contains(pattern));
                    task.needs.push(first.clone());
                }
            }
            let place = &package.folder.path;
            let programs = choice.tools.iter().map(|tool| (place.clone(), tool.program().to_owned()));
            found.programs_run.extend(programs);
            let name = found.add(task);
            for (member, script) in run_in {
                names.entry((member.folder.path.clone(), script.clone())).or_insert_with(|| name.clone());
            }
            names.insert((package.folder.path.clone(), choice.script.clone()), name);
        }
    }

    /// Returns a task without a command.
    fn task(&self, package: &Package<'_>, kind: TaskKind, name: &str, found: &mut Proposals) -> Candidate {
        let folder = package.folder;
        let mut task =
            Candidate { about: about(kind).to_owned(), ..Candidate::new(folder, FILE, name, kind) };
        // Bun runs scripts without node.
        let programs = match package.manager {
            PackageManager::Bun => vec!["bun"],
            manager => vec!["node", manager.program()],
        };
        for program in programs {
            // The members of a workspace share its programs.
            let place = self.workspace.root.folder;
            task.tools.push(found.tool(place, program, &format!("{program} --version")));
            task.programs.push(program.to_owned());
        }
        let is_root = folder.path == self.workspace.root.folder.path;
        task.inputs = if is_root {
            workspace::inputs(self.survey, folder, &BTreeSet::new())
        } else {
            self.workspace.inputs(self.survey, package)
        };
        if !task.inputs.is_empty() {
            // Tools also look for their configuration in the folders above.
            task.inputs.push(found.settings("node-settings", tool_files::NODE));
        }
        let has_modules = self.survey.upward(folder).any(|folder| folder.has_untracked("node_modules"));
        if !package.dependencies().is_empty() && !has_modules {
            let install = package.manager.install(self.survey, folder);
            task.advice = Some(format!("node_modules is missing: {install}"));
        }
        task
    }

    /// Adds the builds that must pass before other tasks of a package.
    fn add_needs(
        &self,
        it: &Chosen<'_, 's>,
        names: &BTreeMap<(String, String), String>,
        found: &mut Proposals,
    ) {
        let package = it.package;
        let name = |package: &Package<'_>, script: &str| {
            names.get(&(package.folder.path.clone(), script.to_owned())).cloned()
        };
        let own_builds: Vec<&Choice> =
            it.choices.taken.iter().filter(|choice| choice.kind == TaskKind::Build).collect();
        for choice in &it.choices.taken {
            let Some(task) = name(package, &choice.script) else { continue };
            let mut needs: BTreeSet<String> =
                choice.needs.iter().filter_map(|script| name(package, script)).collect();
            for member in self.workspace.uses(package) {
                if !reads_builds(choice, package, &self.workspace.root)
                    || !build_outputs::needs_build(self.survey, member)
                {
                    continue;
                }
                let builds = names.iter().filter(|((folder, _), _)| *folder == member.folder.path);
                let is_build = |name: &&String| found.kind_of(name) == Some(TaskKind::Build);
                needs.extend(builds.map(|(_, name)| name).filter(is_build).cloned());
            }
            if choice.kind != TaskKind::Build {
                let before = own_builds.iter().filter(|build| {
                    checks_build(choice, self.survey, package) || self.ci_builds_first(package, build, choice)
                });
                needs.extend(before.filter_map(|build| name(package, &build.script)));
            }
            needs.remove(&task);
            found.add_needs(&task, needs);
        }
    }

    /// Returns whether each job of CI that runs a script has built before.
    fn ci_builds_first(&self, package: &Package<'_>, build: &Choice, choice: &Choice) -> bool {
        if matches!(choice.kind, TaskKind::Format | TaskKind::Lint) {
            return false;
        }
        let calls = |it: &CiCommand, script: &str| {
            let parts = package.resolve(&it.command);
            parts.iter().any(|part| matches!(part, Part::Own { script: own, .. } if own == script || package.flat(own).scripts.contains(script)))
        };
        let commands = self.commands(package);
        let mut runs = commands.iter().enumerate().filter(|(_, it)| calls(it, &choice.script)).peekable();
        runs.peek().is_some()
            && runs.all(|(at, run)| {
                commands[..at].iter().any(|it| it.job == run.job && calls(it, &build.script))
            })
    }

    /// Lists the scripts that are not taken, a line for each reason.
    fn omit(all: &[Chosen<'_, 's>], found: &mut Proposals) {
        let mut reasons: BTreeMap<&str, Vec<(String, Vec<String>)>> = BTreeMap::new();
        for it in all {
            let file = it.package.folder.path_of(FILE);
            for (script, why) in &it.choices.omitted {
                let files = reasons.entry(why).or_default();
                match files.last_mut() {
                    Some((known, scripts)) if *known == file => scripts.push(format!("`{script}`")),
                    _ => files.push((file.clone(), vec![format!("`{script}`")])),
                }
            }
        }
        for (why, files) in reasons {
            let is_one = files.iter().map(|(_, scripts)| scripts.len()).sum::<usize>() == 1;
            let files: Vec<String> = files
                .into_iter()
                .map(|(file, scripts)| format!("{} of {file}", scripts.join(", ")))
                .collect();
            let (word, why) = if is_one { ("script", why.to_owned()) } else { ("scripts", plural(why)) };
            found.omit(format!("{word} {}", files.join("; ")), why);
        }
    }
}

/// Returns whether a task reads the builds of the packages that its package depends on.
fn reads_builds(choice: &Choice, package: &Package<'_>, root: &Package<'_>) -> bool {
    // A linter only reads them if it knows types.
    let is_typed = |folder: &Folder| {
        let texts =
            folder.names().filter(|name| name.starts_with("eslint.")).filter_map(|name| folder.text(name));
        let marks = ["projectService", "TypeChecked", "parserOptions", "type-aware"];
        texts.into_iter().any(|text| marks.iter().any(|mark| text.contains(mark)))
    };
    match choice.kind {
        TaskKind::Format => false,
        TaskKind::Lint => is_typed(package.folder) || is_typed(root.folder),
        _ => true,
    }
}

/// Returns whether a task looks at what its own package's build writes.
fn checks_build(choice: &Choice, survey: &Survey, package: &Package<'_>) -> bool {
    let folders = build_outputs::folders(survey, package, &[]);
    choice.tools.iter().any(|tool| {
        let names = |word: &str| folders.iter().any(|folder| word.split('/').any(|part| part == folder));
        let ignores =
            |word: &str| word.contains("ignore") || word.contains("exclude") || word.starts_with('!');
        matches!(tool.program(), "publint" | "attw" | "size-limit" | "bundlesize" | "check-dts-exports")
            || tool.args().any(|word| names(word) && !ignores(word))
    })
}

fn plural(why: &str) -> String {
    why.replace("CI does not run it", "CI does not run them")
        .replace("it runs until it is stopped", "they run until they are stopped")
        .replace("it watches files and never ends", "they watch files and never end")
        .replace("another script does the like", "other scripts do the like")
}

fn kind_name(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Format => "format",
        TaskKind::Lint => "lint",
        TaskKind::Types => "typecheck",
        TaskKind::Build => "build",
        TaskKind::Test => "test",
        TaskKind::Integration => "integration",
        TaskKind::E2e => "e2e",
    }
}

fn about(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Format => "Check the formatting",
        TaskKind::Lint => "Lint",
        TaskKind::Types => "Check the types",
        TaskKind::Build => "Build",
        TaskKind::Test => "Run the tests",
        TaskKind::Integration => "Run the integration tests",
        TaskKind::E2e => "Run the end-to-end tests",
    }
}
