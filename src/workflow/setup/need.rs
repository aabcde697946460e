//! What a machine needs for the tasks of one language, for each CI system, and the files and commands that it
//! follows from. It must not know any language.

use std::collections::BTreeSet;

use crate::workflow::ci_facts::{CiFacts, TaskCommand};
use crate::workflow::commands;
use crate::workflow::step::Step;

/// Programs that can start any other.
const OPAQUE: [&str; 8] = ["make", "just", "task", "mise", "sh", "bash", "tox", "pre-commit"];

/// What the tasks of one language need.
#[derive(Clone, Debug)]
pub struct Need {
    /// What it is, and from which file that follows, for messages.
    pub label: String,
    /// An image for GitLab that has the toolchain.
    pub image: String,
    /// The parts, in the order in which they are installed.
    pub parts: Vec<Part>,
}

/// A step of a [`Need`].
#[derive(Clone, Debug)]
pub struct Part {
    /// The step of GitHub's workflow.
    pub step: Step,
    /// What the steps of an existing workflow contain, one of these, if they do the same.
    pub covered_by: &'static [&'static str],
    /// The line of a script that does the same on Debian.
    pub line: Option<String>,
    /// Whether the image of the language makes the line unnecessary.
    pub is_in_image: bool,
    /// The name in mise's configuration that makes the step unnecessary.
    pub mise_name: Option<&'static str>,
}

impl Part {
    /// Creates a step that installs a toolchain.
    pub fn toolchain(mise_name: &'static str, covered_by: &'static [&'static str], step: Step) -> Self {
        Self { step, covered_by, line: None, is_in_image: true, mise_name: Some(mise_name) }
    }

    /// Creates a step that runs a line in a folder.
    pub fn line(name: &str, folder: &str, covered_by: &'static [&'static str], line: &str) -> Self {
        let step = Step::run(name, line).in_folder(folder);
        let line = if folder.is_empty() { line.to_owned() } else { format!("(cd {folder} && {line})") };
        Self { step, covered_by, line: Some(line), is_in_image: false, mise_name: None }
    }

    /// Sets the line of a script that does the same on Debian.
    pub fn on_debian(mut self, line: &str) -> Self {
        self.line = Some(line.to_owned());
        self
    }
}

/// The files of a repository.
pub struct Files<'a> {
    paths: BTreeSet<&'a str>,
    read: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Files<'a> {
    /// Creates the files with these paths, whose texts `read` returns.
    pub fn new(paths: &'a [String], read: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { paths: paths.iter().map(String::as_str).collect(), read }
    }

    /// Returns whether there is a file.
    pub fn has(&self, folder: &str, name: &str) -> bool {
        self.paths.contains(join(folder, name).as_str())
    }

    /// Returns the text of a file.
    pub fn text(&self, folder: &str, name: &str) -> Option<String> {
        if self.has(folder, name) { (self.read)(&join(folder, name)) } else { None }
    }

    /// Returns the first of these files that a folder has.
    pub fn first<'n>(&self, folder: &str, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.has(folder, name))
    }

    /// Returns the paths that end like this.
    pub fn ending<'s>(&'s self, end: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.paths.iter().copied().filter(move |path| path.ends_with(end))
    }
}

/// Returns the path of a file in a folder.
pub fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// What the commands of tasks say.
#[derive(Default)]
pub struct Uses {
    /// All words.
    pub words: BTreeSet<String>,
    /// The programs that are called, without those that only find another.
    pub programs: BTreeSet<String>,
    /// Those of them that are not run in the environment of a project.
    pub plain: BTreeSet<String>,
    /// The folders that commands run in or name.
    folders: BTreeSet<String>,
}

impl Uses {
    /// Collects what the commands, services and tools of tasks say.
    pub fn new(facts: &CiFacts, files: &Files<'_>) -> Self {
        let mut uses = Self::default();
        for TaskCommand { folder, line } in facts.commands.iter().chain(&facts.probes) {
            uses.folders.insert(folder.clone());
            for command in commands::split(line) {
                uses.programs.extend(commands::gist(&command).into_iter().next());
                uses.plain.extend(commands::plain_program(&command));
                for word in commands::words(&command) {
                    let path = join(folder, word.trim_start_matches("./").trim_end_matches('/'));
                    let manifests = ["package.json", "pyproject.toml", "go.mod", "Cargo.toml"];
                    if files.first(&path, &manifests).is_some() {
                        uses.folders.insert(path);
                    }
                    let parts = word.split(|c: char| !c.is_alphanumeric() && !"_-.+".contains(c));
                    uses.words.extend(parts.filter(|part| !part.is_empty()).map(str::to_owned));
                    uses.words.insert(word);
                }
            }
        }
        uses
    }

    /// Returns whether a command names one of these words.
    pub fn any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.words.contains(*word))
    }

    /// Returns whether commands may call one of these programs.
    pub fn may_call(&self, programs: &[&str]) -> bool {
        self.any(programs)
            || self.programs.iter().any(|program| OPAQUE.contains(&program.as_str()) || program.contains('/'))
    }

    /// Returns, for each folder that commands run in, the nearest at or above it with one of these files.
    pub fn roots(&self, files: &Files<'_>, names: &[&str]) -> BTreeSet<String> {
        let nearest = |folder: &String| {
            let mut folder = folder.as_str();
            loop {
                if files.first(folder, names).is_some() {
                    return Some(folder.to_owned());
                }
                folder = match folder.rsplit_once('/') {
                    Some((above, _)) => above,
                    None if folder.is_empty() => return None,
                    None => "",
                };
            }
        };
        self.folders.iter().filter_map(nearest).collect()
    }

    /// Returns the folders with lock files that commands run in or below, and those with a manifest that no
    /// lock file covers.
    pub fn locked_roots(&self, files: &Files<'_>, locks: &[&str], manifests: &[&str]) -> BTreeSet<String> {
        let mut roots = self.roots(files, locks);
        let is_below = |folder: &str| {
            roots
                .iter()
                .any(|above| above.is_empty() || folder == above || folder.starts_with(&format!("{above}/")))
        };
        let lone: Vec<String> =
            self.roots(files, manifests).into_iter().filter(|folder| !is_below(folder)).collect();
        roots.extend(lone);
        roots
    }
}
