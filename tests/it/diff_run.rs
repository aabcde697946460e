//! Tests of `xtask diff-run A B`, which describes why two runs differ.

use crate::project::Project;

const TASKS: &str = r#"
    [tools]
    tool = "cat ../version"
    [tasks.all]
    needs = ["build", "unit", "docs", "lint"]
    [tasks.build]
    run = "cat src/a > out"
    inputs = ["src/**"]
    outputs = ["out"]
    tools = ["tool"]
    pass-env = ["FLAGS"]
    [tasks.unit]
    run = "cat out"
    inputs = ["test/**"]
    needs = ["build"]
    [tasks.docs]
    run = "true"
    inputs = ["docs/**"]
    needs = ["unit"]
    [tasks.lint]
    run = "test ! -e ../broken"
    inputs = ["test/**"]
    "#;

fn project() -> Project {
    let project = Project::new(TASKS);
    project.write("src/a", "1\n").write("test/t", "1\n").write("docs/d", "1\n").write(".gitignore", "out\n");
    project.write("../version", "tool 1.94.0\n");
    project.commit("files");
    project
}

/// Returns the lines after the names of the runs.
fn differences(project: &Project, args: &[&str], status: i32) -> Vec<String> {
    let args: Vec<&str> = ["diff-run"].iter().chain(args).copied().collect();
    let ran = project.xtask(&args).ends(status);
    ran.out.lines().skip(2).map(str::to_owned).collect()
}

#[test]
fn equal_runs_are_the_same_on_any_machine() {
    let project = project();
    project.xtask_env(&["all", "--jobs", "1"], &[("GITHUB_ACTIONS", "true")]).ends(0);
    project.xtask(&["all", "--jobs", "3"]).ends(0);
    assert_eq!(
        differences(&project, &["last~1", "last"], 0),
        [
            "no difference in 4 tasks",
            "remark: jobs is 1 in A, 3 in B; that makes no difference",
            "remark: ci is GitHub Actions in A, none in B; that makes no difference",
        ]
    );
}

#[test]
fn root_cause_is_reported_once() {
    let project = project();
    project.xtask(&["all", "--manifest", "../a.json"]).ends(0);
    // With another tool and another variable, `build` differs, but its outputs are the same.
    project.write("../version", "tool 1.95.0\n");
    project.xtask_env(&["all", "--manifest", "../b.json"], &[("FLAGS", "-D warnings")]).ends(0);
    assert_eq!(
        differences(&project, &["../a.json", "../b.json"], 1),
        [
            "1 of 4 tasks differ",
            "build: FLAGS: unset → \"-D warnings\", tool tool: tool 1.94.0 → tool 1.95.0",
        ]
    );
    // With another file, `build` differs, and all tasks that need it follow.
    project.write("src/a", "2\n");
    project.xtask_env(&["all", "--manifest", "../c.json"], &[("FLAGS", "-D warnings")]).ends(0);
    let tree = |rev: &str| project.git(&["rev-parse", rev])[..10].to_owned();
    project.commit("changed");
    let (a, b) = (tree("HEAD~1^{tree}"), tree("HEAD^{tree}"));
    assert_eq!(
        differences(&project, &["../b.json", "../c.json"], 1),
        [
            format!("the trees differ: {a} in A, {b} in B; 3 of 4 tasks differ"),
            "build: src/a changed".to_owned(),
            "docs, unit: because build differs".to_owned(),
        ]
    );
    let json = project.xtask(&["diff-run", "../b.json", "../c.json", "--json"]).ends(1).json();
    assert_eq!(json["same"], false);
    assert_eq!(json["tasks"][0]["task"], "build");
    assert_eq!(json["tasks"][0]["causes"][0]["text"], "src/a changed");
    assert_eq!(json["tasks"][1]["causes"][0]["task"], "build");
}

#[test]
fn different_status_with_the_same_key_is_reported() {
    let project = project();
    project.xtask(&["all"]).ends(0);
    project.write("../broken", "");
    project.xtask(&["all", "--force", "--keep-going"]).ends(1);
    assert_eq!(
        differences(&project, &["last~1", "last"], 1),
        [
            "1 of 4 tasks differ",
            "lint: passed in A, failed (exit status 1) in B with the same key: \
             it depends on something that its key does not hold",
        ]
    );
}

#[test]
fn different_outputs_with_the_same_key_are_a_root_cause() {
    let project = project();
    project.write("tasks.toml", TASKS.replace("cat src/a > out", "cat ../random src/a > out"));
    project.commit("random");
    for (random, file) in [("1", "../a.json"), ("2", "../b.json")] {
        project.write("../random", random);
        project.xtask(&["all", "--force", "--manifest", file]).ends(0);
    }
    assert_eq!(
        differences(&project, &["../a.json", "../b.json"], 1),
        [
            "3 of 4 tasks differ",
            "build: wrote other outputs with the same key: \
             it depends on something that its key does not hold",
            "docs, unit: because build differs",
        ]
    );
}

#[test]
fn tasks_missing_from_one_run_are_reported() {
    let project = project();
    project.xtask(&["all"]).ends(0);
    project.xtask(&["docs"]).ends(0);
    assert_eq!(differences(&project, &["last~1", "last"], 1), ["1 of 4 tasks differ", "lint: only in A"]);
    project.write("src/a", "");
    project.write("tasks.toml", TASKS.replace("cat src/a > out", "exit 3"));
    project.xtask(&["unit"]).ends(1);
    let lines = differences(&project, &["last~1", "last"], 1);
    assert!(lines.contains(&"docs: only in A".to_owned()), "{lines:?}");
    assert!(lines.contains(&"unit: passed in A, not run in B: build did not pass".to_owned()), "{lines:?}");
    let build = "build: run: cat src/a > out → exit 3, src/a changed";
    assert!(lines.contains(&build.to_owned()), "{lines:?}");
}

#[test]
fn unknown_run_is_an_error() {
    let project = project();
    project.xtask(&["diff-run", "last", "last"]).ends(4);
    project.xtask(&["lint"]).ends(0);
    project.xtask(&["diff-run", "last", "last~1"]).ends(4);
    project.xtask(&["diff-run", "last", "nowhere"]).ends(4);
    project.xtask(&["diff-run", "last", "last"]).ends(0);
    for (text, message) in [
        ("{\"half", "it is not a run's manifest"),
        ("{}", "it is not a run's manifest"),
        ("{\"version\": 3}", "version 3"),
        ("{\"manifest\": 1}", "version 1"),
    ] {
        project.write("../m.json", text);
        project.xtask(&["diff-run", "../m.json", "last"]).ends(5).says(message);
    }
    let runs = project.state().join("runs");
    for entry in std::fs::read_dir(&runs).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "zst") {
            std::fs::remove_file(path).unwrap();
        }
    }
    project.xtask(&["diff-run", "last", "last"]).ends(4);
    assert_screens!();
}
