//! Tasks of the scripts in a package.json. It must not know how package managers are detected.

use serde_json::Value;

use crate::base::path::RepoPath;
use crate::base::pattern::{Pattern, PatternBase};
use crate::base::{tool_files, yaml};
use crate::init::package_manager::PackageManager;
use crate::init::proposals::{Candidate, Proposals, TaskKind};
use crate::init::survey::{Folder, Survey};

const FILE: &str = "package.json";

/// A purpose of scripts, and the usual names for it.
struct ScriptUse {
    name: &'static str,
    kind: TaskKind,
    about: &'static str,
    scripts: &'static [&'static str],
    /// Scripts that fix what these find.
    fixes: &'static [&'static str],
}

const SCRIPT_USES: &[ScriptUse] = &[
    ScriptUse {
        name: "format",
        kind: TaskKind::Format,
        about: "Check the formatting",
        scripts: &["format:check", "fmt:check"],
        fixes: &["format:fix", "format", "fmt"],
    },
    ScriptUse { name: "lint", kind: TaskKind::Lint, about: "Lint", scripts: &["lint"], fixes: &["lint:fix"] },
    ScriptUse {
        name: "typecheck",
        kind: TaskKind::Types,
        about: "Check the types",
        scripts: &["typecheck", "type-check", "check-types"],
        fixes: &[],
    },
    ScriptUse { name: "build", kind: TaskKind::Build, about: "Build", scripts: &["build"], fixes: &[] },
    ScriptUse { name: "test", kind: TaskKind::Test, about: "Run the tests", scripts: &["test"], fixes: &[] },
    ScriptUse {
        name: "integration",
        kind: TaskKind::Integration,
        about: "Run the integration tests",
        scripts: &["test:integration"],
        fixes: &[],
    },
    ScriptUse {
        name: "e2e",
        kind: TaskKind::E2e,
        about: "Run the end-to-end tests",
        scripts: &["test:e2e"],
        fixes: &[],
    },
];

/// Scripts that run until they are stopped.
const ENDLESS: &[&str] = &["dev", "start", "watch", "serve"];

/// A package with its scripts.
struct Package<'s> {
    folder: &'s Folder,
    scripts: Vec<(String, String)>,
    manager: PackageManager,
    needs_install: bool,
    /// Whether it refers to files outside of its folder.
    reads_outside: bool,
}

/// Adds tasks for scripts that check, test or build something.
pub(super) fn propose(survey: &Survey, folder: &Folder, found: &mut Proposals) {
    let Some(text) = folder.text(FILE) else { return };
    let Some(value) = parse_package(text) else {
        found.omit(folder.path_of(FILE), "it is not JSON");
        return;
    };
    let package = Package::new(survey, folder, &value);
    let joins = survey.upward(folder).skip(1).any(|above| {
        let runs = PackageManager::detect(survey, above).run_in("", None).is_some();
        runs && is_member(above, &folder.path)
    });
    if joins {
        return;
    }
    let members = package.members(survey);
    for it in SCRIPT_USES {
        if let Some(task) =
            package.own_task(it, found).or_else(|| package.workspace_task(it, &members, found))
        {
            package.add(task, found);
        }
    }
    package.omit_endless(found);
    if folder.has_untracked("node_modules") {
        found.links.insert(folder.path_of("node_modules"));
    }
}

impl<'s> Package<'s> {
    fn new(survey: &Survey, folder: &'s Folder, value: &Value) -> Self {
        let scripts = value.get("scripts").and_then(Value::as_object).into_iter().flatten();
        let scripts = scripts.filter_map(|(name, line)| Some((name.clone(), line.as_str()?.to_owned())));
        let any = |key: &str| value.get(key).and_then(Value::as_object).is_some_and(|all| !all.is_empty());
        let wants = any("dependencies") || any("devDependencies");
        let has = survey.upward(folder).any(|folder| folder.has_untracked("node_modules"));
        let text = folder.text(FILE).unwrap_or_default();
        let outside = text.contains("../")
            || text.contains("\"workspace:")
            || folder.text("tsconfig.json").is_some_and(|text| {
                // A configuration file that it extends is already an input.
                text.lines().any(|line| line.contains("../") && !line.contains("\"extends\""))
            });
        Self {
            folder,
            scripts: scripts.collect(),
            manager: PackageManager::detect(survey, folder),
            needs_install: wants && !has,
            reads_outside: outside
                || survey.upward(folder).skip(1).any(|above| is_member(above, &folder.path)),
        }
    }

    fn line(&self, script: &str) -> Option<&str> {
        self.scripts.iter().find(|(name, _)| name == script).map(|(_, line)| line.as_str())
    }

    /// Returns the name and the command of the package's script for a purpose.
    fn script(&self, it: &ScriptUse) -> Option<(&'static str, &str)> {
        it.scripts.iter().find_map(|name| Some((*name, self.line(name)?)))
    }

    /// Returns the task of the package's own script.
    fn own_task(&self, it: &ScriptUse, found: &mut Proposals) -> Option<Candidate> {
        let (script, line) = self.script(it)?;
        if let Some(why) = refusal(line) {
            found.omit(format!("script `{script}` of {}", self.folder.path_of(FILE)), why);
            return None;
        }
        let fix = it.fixes.iter().find(|name| self.line(name).is_some());
        Some(Candidate {
            run: self.manager.run(script),
            fix: fix.map(|name| self.manager.run(name)),
            rewrites: rewrites(line),
            ..self.task(it)
        })
    }

    /// Returns the task of the scripts of workspace members.
    fn workspace_task(
        &self,
        it: &ScriptUse,
        members: &[Package<'_>],
        found: &mut Proposals,
    ) -> Option<Candidate> {
        let having: Vec<(&Package<'_>, &'static str, &str)> = members
            .iter()
            .filter_map(|member| member.script(it).map(|(name, line)| (member, name, line)))
            .collect();
        let (_, script, _) = *having.first()?;
        let (mut good, mut all) = (Vec::new(), true);
        for (member, name, line) in &having {
            let why = refusal(line)
                .or((*name != script).then_some("other packages of the workspace use another name"));
            match why {
                None => good.push((*member, *line)),
                Some(why) => {
                    all = false;
                    found.omit(format!("script `{name}` of {}", member.folder.path_of(FILE)), why);
                }
            }
        }
        if good.is_empty() {
            return None;
        }
        let below = |path: &str| {
            path.strip_prefix(&self.folder.path).unwrap_or(path).trim_start_matches('/').to_owned()
        };
        let paths: Vec<String> = good.iter().map(|(member, _)| below(&member.folder.path)).collect();
        let run = self.manager.run_in(script, (!all).then_some(&paths))?;
        Some(Candidate { run, rewrites: good.iter().any(|(_, line)| rewrites(line)), ..self.task(it) })
    }

    fn task(&self, it: &ScriptUse) -> Candidate {
        Candidate { about: it.about.to_owned(), ..Candidate::new(self.folder, FILE, it.name, it.kind) }
    }

    fn add(&self, mut task: Candidate, found: &mut Proposals) {
        // Bun runs scripts without node.
        let programs = match self.manager {
            PackageManager::Bun => vec!["bun"],
            manager => vec!["node", manager.program()],
        };
        for program in programs {
            task.tools.push(found.tool(self.folder, program, &format!("{program} --version")));
            task.programs.push(program.to_owned());
        }
        if self.reads_outside {
            task.inputs.clear();
        } else if !task.inputs.is_empty() {
            // Tools also look for their configuration in the folders above.
            task.inputs.push(found.settings("node-settings", tool_files::NODE));
        }
        if self.needs_install {
            task.advice = Some(format!("node_modules is missing: {}", self.manager.install()));
        }
        found.add(task);
    }

    /// Returns the packages of its workspace, if their scripts can be run from here.
    fn members<'a>(&self, survey: &'a Survey) -> Vec<Package<'a>> {
        if self.manager.run_in("", None).is_none() {
            return Vec::new();
        }
        let below = survey.folders().filter(|folder| is_member(self.folder, &folder.path));
        let package =
            |folder: &'a Folder| Some(Package::new(survey, folder, &parse_package(folder.text(FILE)?)?));
        below.filter_map(package).collect()
    }

    fn omit_endless(&self, found: &mut Proposals) {
        let there: Vec<String> =
            ENDLESS.iter().filter(|name| self.line(name).is_some()).map(|name| format!("`{name}`")).collect();
        let (what, why) = match &*there {
            [] => return,
            [_] => ("script", "it runs until it is stopped"),
            _ => ("scripts", "they run until they are stopped"),
        };
        found.omit(format!("{what} {} of {}", there.join(", "), self.folder.path_of(FILE)), why);
    }
}

fn parse_package(text: &str) -> Option<Value> {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).ok().filter(Value::is_object)
}

/// Returns why a script is not a task.
fn refusal(line: &str) -> Option<&'static str> {
    let watches = |word: &str| matches!(word, "--watch" | "--watchAll" | "--watch=true" | "nodemon");
    if line.contains("no test specified") {
        Some("it is the placeholder that npm writes")
    } else if line.split_whitespace().any(watches) {
        Some("it watches files and never ends")
    } else {
        None
    }
}

fn rewrites(line: &str) -> bool {
    line.split_whitespace().any(|word| matches!(word, "--fix" | "--write"))
}

/// Returns whether the folder `path` is in the workspace of `root`.
fn is_member(root: &Folder, path: &str) -> bool {
    let base = RepoPath::from_git(root.path.as_bytes());
    let path = RepoPath::from_git(path.as_bytes());
    let (mut included, mut excluded) = (false, false);
    for text in workspace(root) {
        let (excludes, text) = text.strip_prefix('!').map_or((false, &*text), |rest| (true, rest));
        let text = text.trim_start_matches("./");
        let pattern = Pattern::parse(text.trim_end_matches('/'), PatternBase { base: &base, anchored: true });
        // A pattern also matches the contents of a folder that it matches, but only the folder itself is a
        // member.
        let exact =
            text.contains("**") || base.parts().count() + text.split('/').count() == path.parts().count();
        if path != base
            && path.is_within(&base)
            && exact
            && pattern.is_ok_and(|pattern| pattern.matches(&path))
        {
            if excludes { excluded = true } else { included = true }
        }
    }
    included && !excluded
}

/// Returns the patterns of the members of a workspace.
fn workspace(root: &Folder) -> Vec<String> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let manifest = root.text(FILE).and_then(parse_package);
    let listed = manifest.as_ref().and_then(|value| value.get("workspaces"));
    let mut patterns =
        listed.map(|listed| texts(listed.get("packages").unwrap_or(listed))).unwrap_or_default();
    let pnpm = root.text("pnpm-workspace.yaml").and_then(|text| yaml::parse(text).ok());
    patterns.extend(pnpm.iter().flat_map(|value| texts(&value["packages"])));
    patterns
}
