//! Tests of `xtask cache`: statistics, verification and garbage collection.

use crate::project::{Project, flip_bit};

const TASKS: &str = "[settings]\ncache-size = \"1 MiB\"\n[tasks.t]\nrun = \"head -c 300000 /dev/urandom > out\"\n\
                     inputs = [\"?in\"]\noutputs = [\"out\"]\n";

#[test]
fn cache_stays_below_its_size_limit() {
    let project = Project::new(TASKS);
    project.write(".gitignore", "out\n");
    for i in 0..8 {
        project.write("in", format!("{i}\n"));
        project.xtask(&["t"]).ends(0);
    }
    let stored: u64 = project.cache_files().iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
    assert!(stored > 0);
    // Only entries are removed at once. New blobs are kept for a while, because another run may need them.
    let entries = project.state().join("cache/entries");
    let left = project.cache_files().iter().filter(|file| file.starts_with(&entries)).count();
    assert!(left < 8, "{left} entries");
    project.xtask(&["t"]).ends(0);
    project.xtask(&["cache", "stats"]).ends(0);
    project.xtask(&["cache", "verify"]).ends(0);
    assert_screens!();
}

#[test]
fn verify_finds_and_removes_damage() {
    let project = Project::new(TASKS);
    project.write(".gitignore", "out\n");
    project.xtask(&["t"]).ends(0);
    for file in project.cache_files() {
        flip_bit(&file, 60);
    }
    project.xtask(&["cache", "verify"]).ends(1);
    project.xtask(&["cache", "verify"]).ends(0);
    project.xtask(&["t"]).ends(0);
    assert_screens!();
}

#[test]
fn clear_and_gc_report_what_they_removed() {
    let project = Project::new(TASKS);
    project.write(".gitignore", "out\n");
    project.xtask(&["t"]).ends(0);
    project.xtask(&["cache", "gc"]).ends(0);
    project.xtask(&["cache", "clear"]).ends(0);
    project.xtask(&["t"]).ends(0);
    assert_screens!();
}
