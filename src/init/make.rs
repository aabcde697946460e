//! Proposes tasks for the targets of a Makefile and the recipes of a justfile, by their names. It must not
//! know what they do.

use crate::init::proposals::{Candidate, Proposals, TaskKind};
use crate::init::survey::Folder;

const MAKEFILES: &[&str] = &["GNUmakefile", "makefile", "Makefile"];
const JUSTFILES: &[&str] = &["justfile", "Justfile", ".justfile"];

/// Known names of targets, each with its kind, the kinds of tasks that make it unnecessary, and a
/// description.
const KNOWN: &[(&str, TaskKind, &[TaskKind], &str)] = &[
    ("fmt-check", TaskKind::Format, &[TaskKind::Format], "Check the formatting"),
    ("lint", TaskKind::Lint, &[TaskKind::Lint], "Lint"),
    ("check", TaskKind::Lint, &[TaskKind::Lint, TaskKind::Test], "Check"),
    ("build", TaskKind::Build, &[TaskKind::Build], "Build"),
    ("test", TaskKind::Test, &[TaskKind::Test], "Run the tests"),
    ("integration", TaskKind::Integration, &[TaskKind::Integration], "Run the integration tests"),
    ("e2e", TaskKind::E2e, &[TaskKind::E2e], "Run the end-to-end tests"),
];

/// Adds tasks for targets with known names, unless other tasks do the same.
pub(super) fn propose(folder: &Folder, found: &mut Proposals) {
    if let Some((file, text)) = folder.first_existing(MAKEFILES) {
        add(folder, file, "make", &targets(text), found);
    }
    if let Some((file, text)) = folder.first_existing(JUSTFILES) {
        add(folder, file, "just", &recipes(text), found);
    }
}

fn add(folder: &Folder, file: &str, program: &str, names: &[String], found: &mut Proposals) {
    let place = folder.path_of(file);
    let wanted: Vec<_> = KNOWN
        .iter()
        .filter(|(name, _, same, _)| names.iter().any(|there| there == name) && !found.has(folder, same))
        .collect();
    let others: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !wanted.iter().any(|(known, ..)| known == name))
        .take(12)
        .collect();
    for (name, kind, _, about) in wanted {
        let tool = found.tool(folder, program, &format!("{program} --version"));
        found.add(Candidate {
            about: (*about).to_owned(),
            run: format!("{program} {name}"),
            tools: vec![tool],
            programs: vec![program.to_owned()],
            // The files that its commands read are unknown, so the inputs are the whole tree.
            inputs: Vec::new(),
            ..Candidate::new(folder, file, name, *kind)
        });
    }
    if !others.is_empty() {
        found.remarks.push(format!("{place} has also: {}", others.join(", ")));
    }
}

/// Returns the targets of a Makefile, without pattern rules, special targets and computed names.
fn targets(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with(['\t', ' ', '#', '.'])) {
        let Some((names, rest)) = line.split_once(':') else { continue };
        if rest.starts_with('=') || rest.starts_with(":=") || names.contains('=') {
            continue;
        }
        keep(names.split_whitespace(), &mut all);
    }
    all
}

/// Returns the recipes of a justfile that can be run without arguments.
fn recipes(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with(['\t', ' ', '#', '['])) {
        let Some((head, rest)) = line.split_once(':') else { continue };
        let mut words = head.trim_start_matches('@').split_whitespace();
        let name = words.next().unwrap_or_default();
        let bare = words.all(|word| word.contains('=') || word.starts_with('*'));
        if rest.starts_with('=') || !bare || name.starts_with('_') {
            continue;
        }
        keep(std::iter::once(name), &mut all);
    }
    all
}

fn keep<'n>(names: impl Iterator<Item = &'n str>, all: &mut Vec<String>) {
    let plain = |name: &&str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    for name in names.filter(plain) {
        if !all.iter().any(|known| known == name) {
            all.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_distinguished_from_other_lines() {
        let text = "\
CC := gcc\nX = a:b\nURL ::= x\n.PHONY: lint test\nlint test: deps # both\n\techo a: b\n%.o: %.c\n\tcc\n\
$(OUT)/x: y\nbuild::\n\ttrue\n# note: no\nexport FOO=a:b\n";
        assert_eq!(targets(text), ["lint", "test", "build"]);
    }

    #[test]
    fn recipe_that_needs_arguments_is_not_a_task() {
        let text = "\
set shell := [\"sh\", \"-c\"]\nversion := \"1\"\n@lint:\n  echo a: b\ntest *args: build\n  x\n\
deploy target:\n  x\nserve port='1':\n  x\n[private]\n_hidden:\n  x\nalias t := test\nbuild:\n  x\n";
        assert_eq!(recipes(text), ["lint", "test", "serve", "build"]);
    }
}
