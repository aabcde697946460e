//! `--shard K/N`: runs one part of a plan.

use crate::project::Project;

const TASKS: &str = r#"
    [tasks.ci]
    needs = ["unit", "app"]
    [tasks.app]
    run = "echo app >> ran; test -e out"
    inputs = ["app"]
    needs = ["build"]
    [tasks.build]
    run = "echo build >> ran; echo built > out"
    inputs = ["src"]
    outputs = ["out"]
    [tasks.t]
    group = "unit"
    matrix = { n = ["1", "2", "3", "4"] }
    run = "echo t{{ matrix.n }} >> ran"
    inputs = ["src"]
    "#;

fn project() -> Project {
    let project = Project::new(TASKS);
    project.write("src", "1\n").write("app", "1\n").write(".gitignore", "ran\nout\n").commit("files");
    project
}

/// Runs a shard, and returns the note about it and the tasks that it ran.
fn ran(project: &Project, shard: &str, more: &[&str]) -> (String, Vec<String>) {
    project.write("ran", "");
    let args: Vec<&str> = ["ci", "--shard", shard, "--force"].iter().chain(more).copied().collect();
    let ran = project.xtask(&args).ends(0);
    let note = ran.err.lines().find(|line| line.contains("shard ")).unwrap().to_owned();
    let mut lines = project.lines("ran");
    lines.sort();
    (note, lines)
}

#[test]
fn shards_are_disjoint_and_complete() {
    let project = project();
    let (first, one) = ran(&project, "1/2", &[]);
    let (second, two) = ran(&project, "2/2", &[]);
    let plan = first.split("plan ").nth(1).unwrap();
    assert_eq!(first, format!("note: shard 1 of 2: 3 of 6 tasks · plan {plan}"));
    assert_eq!(second, format!("note: shard 2 of 2: 3 of 6 tasks · plan {plan}"));
    let mut all = [one.clone(), two.clone()].concat();
    all.sort();
    assert_eq!(all, ["app", "build", "t1", "t2", "t3", "t4"]);
    let together = |ran: &[String]| ran.contains(&"app".to_owned()) == ran.contains(&"build".to_owned());
    assert!(together(&one) && together(&two), "{one:?} {two:?}");
}

#[test]
fn empty_shard_runs_nothing_and_passes() {
    let project = project();
    let (note, ran) = ran(&project, "9/9", &[]);
    assert!(note.contains("shard 9 of 9: none of 6 tasks, so there is nothing to run · plan "), "{note}");
    assert!(ran.is_empty());
}

#[test]
fn recorded_durations_balance_shards_and_are_part_of_the_plan() {
    let project = project();
    let (plain, _) = ran(&project, "1/2", &[]);
    project.write(".git/timings", r#"{ "t[n=3]": 5000, "build": 10, "app": 10 }"#);
    let with = ["--timings", ".git/timings"];
    let (note, one) = ran(&project, "1/2", &with);
    let (_, two) = ran(&project, "2/2", &with);
    assert_ne!(note.split("plan ").nth(1), plain.split("plan ").nth(1));
    let alone = if one.len() == 1 { &one } else { &two };
    assert_eq!(alone, &["t3"], "{one:?} {two:?}");
    let timings = project.xtask(&["log", "--timings"]).ends(0).json();
    assert!(timings["t[n=1]"].is_u64() && timings["build"].is_u64(), "{timings}");
    project.write(".git/timings", "[]");
    project.xtask(&["ci", "--shard", "1/2", "--timings", ".git/timings"]).ends(5);
    project.xtask(&["ci", "--shard", "1/2", "--timings", "nowhere"]).ends(5);
    project.xtask(&["ci", "--timings", ".git/timings"]).ends(2);
    assert_screens!();
}

#[test]
fn shared_need_runs_in_several_shards_and_is_reported() {
    let tasks = r#"
        [tasks.build]
        run = "echo build >> ran"
        inputs = ["src"]
        [tasks.t]
        matrix = { n = ["1", "2", "3", "4", "5", "6"] }
        run = "echo t{{ matrix.n }} >> ran"
        inputs = ["src"]
        needs = ["build"]
        "#;
    let project = Project::new(tasks);
    project.write("src", "1\n").write(".gitignore", "ran\n").commit("files");
    for (shard, own) in [("1/2", 3), ("2/2", 3)] {
        project.write("ran", "");
        project.xtask(&["t", "--shard", shard, "--force"]).ends(0);
        let ran = project.lines("ran");
        assert_eq!(ran[0], "build");
        assert_eq!(ran.len(), own + 1, "{ran:?}");
    }
    assert_screens!();
}

#[test]
fn plan_does_not_depend_on_the_cache() {
    let project = project();
    let plan = |args: &[&str]| project.xtask(args).ends(0).json()["plan"].as_str().unwrap().to_owned();
    let cold = plan(&["plan", "ci", "--shard", "1/2", "--json"]);
    project.xtask(&["build"]).ends(0);
    assert_eq!(plan(&["plan", "ci", "--shard", "2/2", "--json"]), cold);
    project.xtask(&["ci"]).ends(0);
    assert_eq!(plan(&["plan", "ci", "--shard", "1/2", "--json"]), cold);
    assert_ne!(plan(&["plan", "ci", "--shard", "1/3", "--json"]), cold);
    project.write("app", "2\n");
    assert_ne!(plan(&["plan", "ci", "--shard", "1/2", "--json"]), cold);
    let dry = project.xtask(&["ci", "--shard", "1/2", "--dry-run"]).ends(0);
    assert_eq!(dry.out.lines().count(), 4, "{}", dry.out);
    assert_screens!();
}

#[test]
fn affected_tasks_are_split() {
    let project = project();
    project.git(&["branch", "base"]);
    project.write("app", "2\n");
    project.xtask(&["ci", "--affected=base", "--shard", "1/1"]).ends(0);
    project.xtask(&["unit", "--only", "--shard", "1/2"]).ends(0);
    assert_screens!();
}

#[test]
fn invalid_shard_is_a_usage_error() {
    let project = project();
    for (shard, message) in [
        ("0/4", "must be between 1 and 4"),
        ("5/4", "must be between 1 and 4"),
        ("x", "expected K/N"),
        ("1/0", "between 1 and 1000"),
    ] {
        project.xtask(&["ci", "--shard", shard]).ends(2).says(message);
        project.xtask(&["plan", "ci", "--shard", shard]).ends(2).says(message);
    }
}

#[test]
fn files_collected_for_ci_are_not_part_of_the_tree() {
    let project = project();
    let args = ["ci", "--shard", "1/1", "--manifest", ".xtask-artifacts/m.json"];
    project.xtask(&args).ends(0);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    project.xtask(&["merge-runs", ".xtask-artifacts/m.json", "--junit", ".xtask-artifacts/j.xml"]).ends(0);
    project.xtask(&["ci"]).ends(0);
    assert_screens!();
}
