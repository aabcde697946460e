//! Benchmarks of the parts of a null run: snapshot, keys, scheduling. Run them with `cargo bench`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench stands in for the user's shell")]

use std::path::Path;
use std::process::Command;

use divan::{Bencher, black_box};
use taskgate::base::env::Env;
use taskgate::base::path::RepoPath;
use taskgate::base::pattern::Pattern;
use taskgate::config::{SourceText, parse};
use taskgate::config_lint;
use taskgate::engine::run::scheduler::{Action, Cost, Message, OnFailure, Scheduler};
use taskgate::git::snapshot::{ContentId, Mode, Snapshot, SnapshotEntry};
use taskgate::git::{Repository, WorkTreeReader};
use taskgate::graph::{Graph, Reach};
use taskgate::plan::InputDigests;

fn main() {
    divan::main();
}

/// Returns a tasks.toml with this many tasks. They need each other as a binary tree, and each reads a package
/// of its own.
fn tasks_toml(tasks: usize) -> String {
    let mut text = String::new();
    for i in 0..tasks {
        let needs: Vec<String> =
            [2 * i + 1, 2 * i + 2].iter().filter(|n| **n < tasks).map(|n| format!("\"p{n}\"")).collect();
        text += &format!(
            "[tasks.p{i}]\nrun = \":\"\ninputs = [\"packages/p{i}/**\"]\nneeds = [{}]\n",
            needs.join(", ")
        );
    }
    text
}

fn path(package: usize, file: usize) -> String {
    format!("packages/p{package}/f{file}.txt")
}

#[divan::bench(args = [1_000])]
fn read_tasks_toml(bencher: Bencher<'_, '_>, tasks: usize) {
    let text = tasks_toml(tasks);
    bencher.bench(|| {
        parse(&SourceText { name: "tasks.toml", text: black_box(&text), base: RepoPath::top(), project: "" })
            .is_ok()
    });
}

#[divan::bench(args = [10_000, 100_000])]
fn snapshot_of_clean_files(bencher: Bencher<'_, '_>, files: usize) {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().canonicalize().unwrap();
    for i in 0..files {
        let path = root.join(path(i / 100, i % 100));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{i}\n")).unwrap();
    }
    git(&root, &["init", "-q"]);
    git(&root, &["add", "-A"]);
    let env = Env::new([], root.clone());
    let repository = Repository::discover(&root, &env).unwrap().unwrap();
    let state = root.join(".git/xtask");
    std::fs::create_dir_all(&state).unwrap();
    let read = || WorkTreeReader::open(&repository, Some(&state)).unwrap();
    let reader = read();
    reader.snapshot().unwrap();
    reader.save().unwrap();
    bencher.bench_local(|| read().snapshot().unwrap().entries().len());
}

fn git(root: &Path, args: &[&str]) {
    let status = Command::new("git").args(args).current_dir(root).status().unwrap();
    assert!(status.success(), "git {args:?}");
}

#[divan::bench(args = [1_000])]
fn input_digests(bencher: Bencher<'_, '_>, tasks: usize) {
    let text = tasks_toml(tasks);
    let config =
        parse(&SourceText { name: "tasks.toml", text: &text, base: RepoPath::top(), project: "" }).unwrap();
    let ids: Vec<_> = config.ids().collect();
    let graph = Graph::new(&config, &ids, Reach::WithNeeds);
    let entries = (0..tasks).flat_map(|package| (0..10).map(move |file| (package, file)));
    let entry = |(package, file)| SnapshotEntry {
        path: RepoPath::from_git(path(package, file).into_bytes()),
        mode: Mode::File,
        id: ContentId([7; 20]),
        stat: None,
        tracked: true,
        not_checked_out: false,
    };
    let snapshot = Snapshot::new(entries.map(entry).collect());
    bencher.bench(|| InputDigests::new(&config, &graph, black_box(&snapshot)));
}

struct Nothing;

impl config_lint::TreeLookup for Nothing {
    fn ignores(&self, _: &RepoPath) -> bool {
        false
    }

    fn link(&self, _: &RepoPath) -> Option<String> {
        None
    }

    fn root(&self) -> Option<String> {
        None
    }

    fn is_absent(&self, _: &Pattern) -> bool {
        false
    }
}

#[divan::bench(args = [1_000])]
fn effect_of_patterns(bencher: Bencher<'_, '_>, tasks: usize) {
    let text = tasks_toml(tasks);
    let config =
        parse(&SourceText { name: "tasks.toml", text: &text, base: RepoPath::top(), project: "" }).unwrap();
    let ids: Vec<_> = config.ids().collect();
    let graph = Graph::new(&config, &ids, Reach::WithNeeds);
    let entries = (0..tasks).flat_map(|package| (0..10).map(move |file| (package, file)));
    let entry = |(package, file)| SnapshotEntry {
        path: RepoPath::from_git(path(package, file).into_bytes()),
        mode: Mode::File,
        id: ContentId([7; 20]),
        stat: None,
        tracked: true,
        not_checked_out: false,
    };
    let snapshot = Snapshot::new(entries.map(entry).collect());
    bencher.bench(|| config_lint::check(&config, &graph, black_box(&snapshot), &Nothing, 10));
}

#[divan::bench(args = [1_000])]
fn schedule(bencher: Bencher<'_, '_>, tasks: usize) {
    let text = tasks_toml(tasks);
    let config =
        parse(&SourceText { name: "tasks.toml", text: &text, base: RepoPath::top(), project: "" }).unwrap();
    let ids: Vec<_> = config.ids().collect();
    let graph = Graph::new(&config, &ids, Reach::WithNeeds);
    bencher.bench(|| {
        let costs = vec![Cost { slots: 1, locks: Vec::new(), expected: 5 }; graph.nodes.len()];
        let mut scheduler = Scheduler::new(&graph, costs, 2, OnFailure::Stop);
        let mut actions = scheduler.begin();
        while let Some(action) = actions.pop() {
            if let Action::Start(id) = action {
                actions.extend(scheduler.on(Message::Passed(id)));
            }
        }
        scheduler.is_finished()
    });
}
