//! Chooses the scripts of a package that become tasks, so that no two do the same work. It must not know
//! workspaces, or what a task needs besides its command.

use std::collections::{BTreeMap, BTreeSet};

use crate::init::check_tools;
use crate::init::package_manager::quote_word;
use crate::init::package_scripts::{Package, Part};
use crate::init::proposals::TaskKind;
use crate::init::script_names::{AGGREGATES, MAIN, ScriptUse, script_use};
use crate::init::shell_line::{ShellCommand, commands};

/// A script that becomes a task.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// Its name.
    pub(super) script: String,
    /// What it is for.
    pub(super) kind: TaskKind,
    /// The command.
    pub(super) run: String,
    /// The command that fixes what it finds.
    pub(super) fix: Option<String>,
    /// The scripts that build what it uses.
    pub(super) needs: Vec<String>,
    /// Its tools.
    pub(super) tools: Vec<ShellCommand>,
    /// The scripts of workspace members that it runs.
    pub(super) members: Vec<(Option<String>, Vec<String>)>,
}

impl Choice {
    fn essences(&self) -> BTreeSet<String> {
        self.tools.iter().map(ShellCommand::essence).collect()
    }

    fn programs(&self) -> BTreeSet<&str> {
        self.tools.iter().map(ShellCommand::program).collect()
    }
}

/// The scripts that are taken, and what they leave to workspace members.
#[derive(Clone, Debug, Default)]
pub(super) struct Choices {
    /// The scripts that become tasks.
    pub(super) taken: Vec<Choice>,
    /// Scripts of workspace members that these packages' scripts run.
    pub(super) delegated: Vec<(Option<String>, Vec<String>)>,
    /// Scripts that are not taken, with the reason.
    pub(super) omitted: Vec<(String, &'static str)>,
}

/// What is known before scripts are chosen.
pub(super) struct Wishes<'w> {
    /// The kinds whose main script is taken whether CI runs it or not.
    pub(super) kinds: &'w [TaskKind],
    /// The scripts that CI runs.
    pub(super) by_ci: &'w BTreeSet<String>,
    /// Whether it is known what CI runs.
    pub(super) knows_ci: bool,
}

/// Chooses scripts.
pub(super) fn choose(package: &Package<'_>, wishes: &Wishes<'_>) -> Choices {
    let mut chooser =
        Chooser { package, choices: Choices::default(), visited: BTreeSet::new(), covered: BTreeSet::new() };
    chooser.take_main(wishes);
    chooser.take_others(wishes);
    chooser.remove_duplicates(wishes);
    chooser.find_fixes(wishes);
    chooser.choices
}

struct Chooser<'p> {
    package: &'p Package<'p>,
    choices: Choices,
    visited: BTreeSet<String>,
    /// Scripts that are parts of others that are taken whole.
    covered: BTreeSet<String>,
}

impl Chooser<'_> {
    fn use_of(&self, script: &str) -> ScriptUse {
        script_use(self.package, script)
    }

    fn take_main(&mut self, wishes: &Wishes<'_>) {
        for (kind, names) in MAIN.iter().filter(|(kind, _)| wishes.kinds.contains(kind)) {
            let is_it = |name: &&&str| {
                self.package.line(name).is_some() && self.use_of(name) == ScriptUse::Check(*kind)
            };
            // CI's choice comes first.
            let by_ci = names.iter().filter(is_it).find(|name| wishes.by_ci.contains(**name));
            if let Some(name) = by_ci.or_else(|| names.iter().find(is_it)) {
                self.take(name, *kind, &[]);
            }
        }
    }

    fn take_others(&mut self, wishes: &Wishes<'_>) {
        let package = self.package;
        for (script, _) in &package.scripts {
            if self.visited.contains(script) {
                continue;
            }
            let kind = match self.use_of(script) {
                ScriptUse::Check(kind) => kind,
                ScriptUse::Placeholder => {
                    self.omit(script, "it is the placeholder that npm writes");
                    continue;
                }
                ScriptUse::Watch => {
                    self.omit(script, "it watches files and never ends");
                    continue;
                }
                ScriptUse::Endless => {
                    self.omit(script, "it runs until it is stopped");
                    continue;
                }
                ScriptUse::Fix(_) | ScriptUse::Other => continue,
            };
            let is_quick =
                matches!(kind, TaskKind::Lint | TaskKind::Types | TaskKind::Format | TaskKind::Integration);
            let calls_scripts = package.parts(script).iter().all(|part| matches!(part, Part::Own { .. }));
            if wishes.by_ci.contains(script)
                || AGGREGATES.contains(&script.as_str()) && calls_scripts
                || !wishes.knows_ci && is_quick && wishes.kinds.contains(&kind)
            {
                self.take(script, kind, &[]);
            } else if package.flat(script).only_delegates() {
                // The scripts of the members are tasks of their own.
            } else if kind == TaskKind::Build {
                // Most are parts of another build, or build for another purpose.
            } else if wishes.knows_ci {
                self.omit(script, "CI does not run it");
            } else {
                self.omit(script, "another script does the like");
            }
        }
    }

    fn omit(&mut self, script: &str, why: &'static str) {
        self.choices.omitted.push((script.to_owned(), why));
    }

    /// Takes a script, or the scripts and commands that it consists of.
    fn take(&mut self, script: &str, kind: TaskKind, args: &[String]) {
        if !self.visited.insert(script.to_owned()) {
            return;
        }
        let parts = self.package.parts(script);
        let tools: Vec<&ShellCommand> = parts
            .iter()
            .filter_map(|part| match part {
                Part::Tool(command) => Some(command),
                _ => None,
            })
            .collect();
        let own: Vec<(&str, &[String])> = parts
            .iter()
            .filter_map(|part| match part {
                Part::Own { script, args } => Some((script.as_str(), args.as_slice())),
                _ => None,
            })
            .collect();
        let members: Vec<_> = parts
            .iter()
            .filter_map(|part| match part {
                Part::Members { selector, scripts } => Some((selector.clone(), scripts.clone())),
                _ => None,
            })
            .collect();
        if tools.is_empty() && own.is_empty() && !members.is_empty() {
            self.choices.delegated.extend(members);
            return;
        }
        let checks: Vec<(&str, &[String], TaskKind)> = own
            .iter()
            .filter_map(|(own, args)| match self.use_of(own) {
                ScriptUse::Check(kind) => Some((*own, *args, kind)),
                _ => None,
            })
            .collect();
        let is_clear = checks.len() == own.len()
            && own.iter().all(|(_, args)| args.is_empty())
            && members.is_empty()
            && tools.iter().all(|tool| tool.is_plain && tool.folder.is_none());
        let consists_of_scripts = tools.is_empty() && !checks.is_empty();
        if kind == TaskKind::Build || own.is_empty() || !args.is_empty() || !consists_of_scripts && !is_clear
        {
            self.take_whole(script, kind, args);
            return;
        }
        let mut needs = Vec::new();
        for (own, args, own_kind) in checks {
            self.take(own, own_kind, args);
            if own_kind == TaskKind::Build {
                needs.push(own.to_owned());
            }
        }
        self.choices.delegated.extend(members);
        // What is left is a task for each kind.
        let mut left: BTreeMap<TaskKind, Vec<ShellCommand>> = BTreeMap::new();
        for tool in tools {
            left.entry(check_tools::kind(tool).unwrap_or(kind)).or_default().push(tool.clone());
        }
        for (own_kind, tools) in left {
            let lines: Vec<String> = tools.iter().map(|tool| self.package.manager.exec(&tool.text)).collect();
            self.choices.taken.push(Choice {
                script: if own_kind == kind { script.to_owned() } else { tools[0].program().to_owned() },
                kind: own_kind,
                run: lines.join(" && "),
                fix: None,
                needs: if own_kind == TaskKind::Format { Vec::new() } else { needs.clone() },
                tools,
                members: Vec::new(),
            });
        }
    }

    fn take_whole(&mut self, script: &str, kind: TaskKind, args: &[String]) {
        let flat = self.package.flat(script);
        let manager = self.package.manager;
        let last = self.package.parts(script).into_iter().next_back();
        let words: Vec<String> = args.iter().map(|word| quote_word(word)).collect();
        let run = match &last {
            _ if !args.is_empty() => manager.run_with(script, &words.join(" ")),
            Some(Part::Tool(command)) if stays_open(command) => manager.run_with(script, "--run"),
            Some(Part::Tool(command)) if command.program() == "react-scripts" && kind == TaskKind::Test => {
                format!("CI=true {}", manager.run(script))
            }
            Some(Part::Tool(command)) if command.program() == "ng" && kind == TaskKind::Test => {
                manager.run_with(script, "--watch=false")
            }
            _ => manager.run(script),
        };
        self.covered.extend(flat.scripts.into_iter().filter(|name| name != script));
        let taken = Choice {
            script: script.to_owned(),
            kind,
            run,
            fix: None,
            needs: Vec::new(),
            tools: flat.tools,
            members: flat.members,
        };
        self.choices.taken.push(taken);
    }

    /// Removes scripts that others run too.
    fn remove_duplicates(&mut self, wishes: &Wishes<'_>) {
        let by_ci = |choice: &Choice| wishes.by_ci.contains(&choice.script);
        let covered = &self.covered;
        self.choices.taken.retain(|choice| {
            !covered.contains(&choice.script) || by_ci(choice) && choice.kind == TaskKind::Build
        });
        let all = self.choices.taken.clone();
        let mut index = 0;
        self.choices.taken.retain(|choice| {
            let own = choice.essences();
            let is_same = all.iter().enumerate().any(|(at, other)| {
                let others = other.essences();
                at != index && !own.is_empty() && own.is_subset(&others) && (own != others || at < index)
            });
            index += 1;
            !is_same
        });
    }

    /// Finds the scripts that fix what checks find. A script that only fixes, with a tool that can also only
    /// check, becomes a check itself.
    fn find_fixes(&mut self, wishes: &Wishes<'_>) {
        let package = self.package;
        let fixes: Vec<(&str, TaskKind, Vec<ShellCommand>)> = package
            .scripts
            .iter()
            .filter_map(|(script, _)| match self.use_of(script) {
                ScriptUse::Fix(kind) => Some((script.as_str(), kind, package.flat(script).tools)),
                _ => None,
            })
            .collect();
        let mut used = BTreeSet::new();
        for choice in &mut self.choices.taken {
            let programs = choice.programs();
            let same_tools = |tools: &[ShellCommand]| {
                tools.iter().map(ShellCommand::program).collect::<BTreeSet<_>>() == programs
            };
            // A tool that is not known is named by nobody, so its name decides.
            let related = |script: &str| is_fix_of(script, &choice.script);
            let fix = fixes
                .iter()
                .find(|(script, _, tools)| related(script) && same_tools(tools))
                .or_else(|| fixes.iter().find(|(_, _, tools)| !tools.is_empty() && same_tools(tools)))
                .or_else(|| fixes.iter().find(|(script, kind, _)| *kind == choice.kind && related(script)));
            let is_fixable = matches!(choice.kind, TaskKind::Format | TaskKind::Lint);
            if let Some((script, ..)) = fix.filter(|_| is_fixable) {
                choice.fix = Some(package.manager.run(script));
                used.insert(*script);
            }
        }
        for (script, kind, tools) in fixes {
            let has_check = |tool: &ShellCommand| {
                self.choices.taken.iter().any(|it| it.kind == kind && it.programs().contains(tool.program()))
            };
            let is_covered = tools.iter().any(has_check) || !wishes.kinds.contains(&kind);
            if used.contains(script) || is_covered || package.flat(script).scripts.len() > 1 {
                continue;
            }
            let form = |tool: &ShellCommand| {
                check_tools::check_form(tool).filter(|_| tool.is_plain && tool.folder.is_none())
            };
            let Some(lines) = tools.iter().map(form).collect::<Option<Vec<String>>>() else { continue };
            if lines.is_empty() {
                continue;
            }
            let run: Vec<String> = lines.iter().map(|line| package.manager.exec(line)).collect();
            self.choices.taken.push(Choice {
                script: script.to_owned(),
                kind,
                run: run.join(" && "),
                fix: Some(package.manager.run(script)),
                needs: Vec::new(),
                tools: lines.iter().flat_map(|line| commands(line)).collect(),
                members: Vec::new(),
            });
        }
        self.choices.taken.sort_by_key(|choice| choice.kind);
    }
}

/// Returns whether vitest would watch files if it had a terminal.
fn stays_open(command: &ShellCommand) -> bool {
    command.program() == "vitest"
        && !command.has_any(&["--run", "run", "--watch=false", "--no-watch"])
        && !matches!(command.subcommand(), "bench" | "list" | "related" | "run")
}

/// Returns whether `fix` has a name such as `lint:fix` for `lint`, or `format` for `format:check`.
fn is_fix_of(fix: &str, script: &str) -> bool {
    let stem = |name: &str| -> String {
        let parts = name.split([':', '-', '_']);
        let own = parts.filter(|part| !matches!(*part, "check" | "fix" | "write" | "ci" | "test"));
        own.collect::<Vec<_>>().join(":").replace("fmt", "format")
    };
    stem(fix) == stem(script)
}
