//! A package.json with its scripts, and what each of them calls: other scripts, scripts of workspace members,
//! tools. It must not know which scripts become tasks.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use crate::init::package_manager::PackageManager;
use crate::init::shell_line::{ShellCommand, commands};
use crate::init::survey::{Folder, Survey};

/// The name of the file.
pub(super) const FILE: &str = "package.json";

/// A part of a script.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// A script of the same package.
    Own {
        /// Its name.
        script: String,
        /// Its arguments, as words of a shell.
        args: Vec<String>,
    },
    /// Scripts of workspace members.
    Members {
        /// The name or path of one member, if it is for one.
        selector: Option<String>,
        /// The names of the scripts.
        scripts: Vec<String>,
    },
    /// Another command.
    Tool(ShellCommand),
}

/// All that a script runs, with the scripts that it calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Flat {
    /// The tools.
    pub(super) tools: Vec<ShellCommand>,
    /// The scripts of workspace members.
    pub(super) members: Vec<(Option<String>, Vec<String>)>,
    /// The scripts of the package, with the script itself.
    pub(super) scripts: BTreeSet<String>,
}

impl Flat {
    /// Returns whether it only runs scripts of workspace members.
    pub(super) fn only_delegates(&self) -> bool {
        self.tools.is_empty() && !self.members.is_empty()
    }
}

/// A package.
pub(super) struct Package<'s> {
    /// Its folder.
    pub(super) folder: &'s Folder,
    /// Its file.
    pub(super) value: Value,
    /// The program that runs its scripts.
    pub(super) manager: PackageManager,
    /// Its scripts, in the order of the file.
    pub(super) scripts: Vec<(String, String)>,
}

impl<'s> Package<'s> {
    /// Reads the package of a folder; `None` if its file is not a JSON object.
    pub(super) fn read(survey: &Survey, folder: &'s Folder) -> Option<Self> {
        let value = parse_package(folder.text(FILE)?)?;
        let scripts = value.get("scripts").and_then(Value::as_object).into_iter().flatten();
        let scripts =
            scripts.filter_map(|(name, line)| Some((name.clone(), line.as_str()?.to_owned()))).collect();
        Some(Self { folder, manager: PackageManager::detect(survey, folder), scripts, value })
    }

    /// Returns the name.
    pub(super) fn name(&self) -> Option<&str> {
        self.value.get("name").and_then(Value::as_str)
    }

    /// Returns the line of a script.
    pub(super) fn line(&self, script: &str) -> Option<&str> {
        self.scripts.iter().find(|(name, _)| name == script).map(|(_, line)| line.as_str())
    }

    /// Returns the names and versions of the packages that it depends on.
    pub(super) fn dependencies(&self) -> Vec<(&str, &str)> {
        let keys = ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"];
        let tables = keys.iter().filter_map(|key| self.value.get(key)?.as_object());
        tables.flatten().filter_map(|(name, version)| Some((name.as_str(), version.as_str()?))).collect()
    }

    /// Returns the parts of a script, with the scripts that its package manager runs before and after it.
    pub(super) fn parts(&self, script: &str) -> Vec<Part> {
        let around = [format!("pre{script}"), script.to_owned(), format!("post{script}")];
        let lines: Vec<&str> = around.iter().filter_map(|name| self.line(name)).collect();
        lines.into_iter().flat_map(commands).flat_map(|command| self.resolve(&command)).collect()
    }

    /// Returns all that a script runs.
    pub(super) fn flat(&self, script: &str) -> Flat {
        let mut flat = Flat::default();
        self.flatten(script, &mut flat);
        flat
    }

    fn flatten(&self, script: &str, flat: &mut Flat) {
        if !flat.scripts.insert(script.to_owned()) {
            return;
        }
        for part in self.parts(script) {
            match part {
                Part::Own { script, args } => {
                    self.flatten(&script, flat);
                    if let Some(last) = flat.tools.last_mut() {
                        last.words.extend(args);
                    }
                }
                Part::Members { selector, scripts } => flat.members.push((selector, scripts)),
                Part::Tool(command) => flat.tools.push(command),
            }
        }
    }

    /// Returns what a command calls.
    pub(super) fn resolve(&self, command: &ShellCommand) -> Vec<Part> {
        if command.folder.is_some() {
            return vec![Part::Tool(command.clone())];
        }
        let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
        let parts = match &*words {
            ["npm", "test" | "t" | "tst", rest @ ..] => self.call("test", rest),
            ["npm" | "bun" | "pnpm" | "yarn", rest @ ..] => self.managed(words[0], rest),
            ["node", "--run", script, rest @ ..] => self.call(script, rest),
            ["run-s" | "run-p" | "npm-run-all" | "npm-run-all2" | "run-z", names @ ..] => {
                let names = names.iter().filter(|name| !name.starts_with('-'));
                names.flat_map(|name| self.call(name, &[])).collect()
            }
            ["concurrently", lines @ ..] => {
                let lines = lines.iter().filter(|line| !line.starts_with('-'));
                let part = |line: &&str| match line.strip_prefix("npm:") {
                    Some(script) => self.call(script, &[]),
                    None => commands(line).iter().flat_map(|command| self.resolve(command)).collect(),
                };
                lines.flat_map(part).collect()
            }
            ["turbo", "run", rest @ ..] | ["turbo" | "lage", rest @ ..] => {
                let names = rest.iter().take_while(|word| **word != "--");
                let names: Vec<&str> = names.filter(|word| !word.starts_with('-')).copied().collect();
                members(None, &names)
            }
            ["nx", "run-many" | "affected", rest @ ..] => members(None, &nx_targets(rest)),
            ["lerna", "run", script, ..] => members(None, &[script]),
            _ => Vec::new(),
        };
        if parts.is_empty() { vec![Part::Tool(command.clone())] } else { parts }
    }

    /// Returns what a package manager runs.
    fn managed(&self, program: &str, words: &[&str]) -> Vec<Part> {
        let (mut selector, mut recursive, mut rest) = (None, false, words);
        // Options are in front of `run`, and for npm and bun also after it.
        let mut named: Vec<&str> = Vec::new();
        while let [word, tail @ ..] = rest {
            rest = tail;
            match *word {
                "--" => break,
                "-r" | "--recursive" | "--workspaces" | "-ws" | "--parallel" => recursive = true,
                "--filter" | "-F" | "-C" | "--dir" | "--workspace" | "--cwd" | "--prefix" => {
                    if let [value, tail @ ..] = rest {
                        selector = Some((*value).to_owned());
                        rest = tail;
                    }
                    recursive = true;
                }
                "-w" if program == "npm" => {
                    selector = rest.first().map(|value| (*value).to_owned());
                    rest = rest.get(1..).unwrap_or_default();
                    recursive = true;
                }
                "workspace" if program == "yarn" && named.is_empty() => {
                    selector = rest.first().map(|value| (*value).to_owned());
                    rest = rest.get(1..).unwrap_or_default();
                    recursive = true;
                }
                "workspaces" if program == "yarn" && named.is_empty() => {
                    rest = rest.strip_prefix(&["foreach"]).unwrap_or(rest);
                    recursive = true;
                }
                option if option.starts_with("--filter=") || option.starts_with("--workspace=") => {
                    selector = option.split_once('=').map(|(_, value)| value.to_owned());
                    recursive = true;
                }
                option if option.starts_with('-') && named.iter().all(|word| is_run(word)) => {}
                word => {
                    named.push(word);
                    if !is_run(word) {
                        // npm takes its own options after the script, too.
                        let more =
                            rest.iter().any(|word| matches!(*word, "--workspaces" | "-ws" | "--filter"));
                        recursive |= program == "npm" && more;
                        break;
                    }
                }
            }
        }
        let [.., script] = &*named else { return Vec::new() };
        if is_run(script) {
            return Vec::new();
        }
        let says_run = named.len() > 1;
        if recursive {
            let builtin =
                !says_run && matches!(*script, "install" | "i" | "exec" | "add" | "publish" | "pack");
            return if builtin { Vec::new() } else { members(selector, &[script]) };
        }
        let is_builtin = program == "bun" && matches!(*script, "test" | "build" | "install" | "add");
        if says_run || program != "npm" && !is_builtin {
            let own = self.call(script, rest);
            if !own.is_empty() {
                return own;
            }
            // Package managers also run programs of dependencies, and bun runs files.
            let known = matches!(
                *script,
                "install" | "i" | "add" | "ci" | "exec" | "dlx" | "publish" | "pack" | "audit"
            );
            if !known && program != "npm" {
                let start = words.iter().position(|word| word == script).unwrap_or_default();
                let words: Vec<String> = words[start..].iter().map(|word| (*word).to_owned()).collect();
                let text = if program == "bun" && script.contains('.') {
                    format!("bun {}", words.join(" "))
                } else {
                    words.join(" ")
                };
                return commands(&text).into_iter().map(Part::Tool).collect();
            }
        }
        Vec::new()
    }

    /// Returns the scripts that a name, a pattern such as `test:*` or a regular expression such as `/^test:/`
    /// names.
    fn call(&self, name: &str, args: &[&str]) -> Vec<Part> {
        let args: Vec<String> =
            args.iter().filter(|word| **word != "--").map(|word| (*word).to_owned()).collect();
        let own = |script: &str| Part::Own { script: script.to_owned(), args: args.clone() };
        if let Some(pattern) = name.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) {
            let Ok(pattern) = Regex::new(pattern.0) else { return Vec::new() };
            return self
                .scripts
                .iter()
                .filter(|(it, _)| pattern.is_match(it))
                .map(|(it, _)| own(it))
                .collect();
        }
        if let Some(start) = name.strip_suffix('*').map(|start| start.trim_end_matches('*')) {
            let depth = name.matches(':').count();
            let fits = |it: &str| {
                it.starts_with(start) && (name.ends_with("**") || it.matches(':').count() == depth)
            };
            return self.scripts.iter().filter(|(it, _)| fits(it)).map(|(it, _)| own(it)).collect();
        }
        if self.line(name).is_some() { vec![own(name)] } else { Vec::new() }
    }
}

fn is_run(word: &str) -> bool {
    matches!(word, "run" | "run-script")
}

fn members(selector: Option<String>, scripts: &[&str]) -> Vec<Part> {
    let scripts = scripts.iter().map(|script| (*script).to_owned()).collect();
    vec![Part::Members { selector, scripts }]
}

/// Returns the targets of a call of nx.
fn nx_targets<'w>(words: &[&'w str]) -> Vec<&'w str> {
    let mut targets = Vec::new();
    let mut words = words.iter().copied().peekable();
    while let Some(word) = words.next() {
        if let Some((_, values)) =
            word.split_once('=').filter(|(key, _)| matches!(*key, "-t" | "--target" | "--targets"))
        {
            targets.extend(values.split(','));
        } else if matches!(word, "-t" | "--target" | "--targets") {
            while let Some(value) = words.next_if(|word| !word.starts_with('-')) {
                targets.extend(value.split(','));
            }
        }
    }
    targets
}

/// Parses a package.json.
pub(super) fn parse_package(text: &str) -> Option<Value> {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).ok().filter(Value::is_object)
}
