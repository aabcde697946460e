//! `xtask merge-runs FILE…`: merges the shards of a run.

use crate::project::screens::mask;
use crate::project::{CommandOutput, Project};

const TASKS: &str = r#"
    [tasks.ci]
    needs = ["app", "unit"]
    [tasks.app]
    run = "test -e out"
    inputs = ["app"]
    needs = ["build"]
    [tasks.build]
    run = "echo built > out"
    inputs = ["src"]
    outputs = ["out"]
    pass-env = ["FLAGS"]
    [tasks.t]
    group = "unit"
    matrix = { n = ["1", "2", "3", "4"] }
    run = "test {{ matrix.n }} != ${BAD-0}"
    inputs = ["src"]
    pass-env = ["?BAD"]
    "#;

/// Creates a repository and a clone of it, which do not share a cache.
fn two_machines() -> [Project; 2] {
    let [one, two] = [(); 2].map(|()| {
        let project = Project::new(TASKS);
        project.write("src", "1\n").write("app", "1\n").write(".gitignore", "out\n").commit("files");
        project
    });
    [one, two]
}

/// Runs a shard on a machine. Its manifest is written beside the repository of the first machine.
fn run_shard(machines: &[Project; 2], (machine, shard): (usize, &str), vars: &[(&str, &str)]) -> String {
    let file = machines[0].parent_folder().join(format!("{}.json", shard.replace('/', "-")));
    let file = file.to_str().unwrap().to_owned();
    let ran = machines[machine].xtask_env(&["ci", "-k", "--shard", shard, "--manifest", &file], vars);
    assert!(ran.status < 2, "{}", ran.err);
    file
}

#[test]
fn merged_shards_of_two_clones_equal_the_whole_run() {
    let machines = two_machines();
    let files = [run_shard(&machines, (0, "1/2"), &[]), run_shard(&machines, (1, "2/2"), &[])];
    let merge = ["merge-runs", &files[1], &files[0], "--manifest", "../whole.json", "--junit", "../j/u.xml"];
    let merged = machines[0].xtask(&merge).ends(0);
    let lines: Vec<&str> = merged.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", merged.out);
    assert!(lines[0].starts_with("shard 1/2"), "in the order of the shards: {}", merged.out);
    assert!(lines[2].starts_with("ci passed: 6 tasks in 2 shards · tree "), "{}", merged.out);
    let junit = machines[0].read("../j/u.xml");
    for task in ["app", "build", "t[n=1]", "t[n=2]", "t[n=3]", "t[n=4]"] {
        assert!(junit.contains(&format!("name=\"{task}\"")), "{task}: {junit}");
    }
    // The merged run is equal to a run on one machine.
    machines[1].xtask(&["ci"]).ends(0);
    let whole = machines[0].parent_folder().join("whole.json");
    machines[1].xtask(&["diff-run", whole.to_str().unwrap(), "last"]).ends(0);
    let json = machines[0].xtask(&["merge-runs", &files[0], &files[1], "--json"]).ends(0).json();
    assert_eq!((&json["passed"], &json["tasks"]), (&true.into(), &6.into()));
    assert_eq!(json["shards"][1]["shard"]["index"], 2);
    assert_screens!();
}

#[test]
fn failed_shard_fails_the_run() {
    let machines = two_machines();
    let bad = [("BAD", "2")];
    let files = [run_shard(&machines, (0, "1/2"), &bad), run_shard(&machines, (1, "2/2"), &bad)];
    machines[0].xtask(&["merge-runs", &files[0], &files[1]]).ends(1);
    assert_screens!();
}

#[test]
fn missing_or_duplicate_shard_fails_the_run() {
    let machines = two_machines();
    let one = run_shard(&machines, (0, "1/3"), &[]);
    let two = run_shard(&machines, (1, "2/3"), &[]);
    machines[0].xtask(&["merge-runs", &one, &two]).ends(1);
    let three = run_shard(&machines, (1, "3/3"), &[]);
    machines[0].xtask(&["merge-runs", &one, &two, &three]).ends(0);
    machines[0].xtask(&["merge-runs", &one, &two, &three, &two]).ends(1);
    assert_screens!();
}

#[test]
fn shards_of_different_runs_are_refused() {
    let machines = two_machines();
    let one = run_shard(&machines, (0, "1/2"), &[]);
    let refused = |other: &str, message: &str| {
        let merged = machines[0].xtask(&["merge-runs", &one, other]).ends(5);
        merged.says(message);
    };
    let three = run_shard(&machines, (1, "2/3"), &[]);
    refused(&three, "one is of 2 shards and the other of 3 shards");
    let other = run_shard(&machines, (1, "2/2"), &[("FLAGS", "-O")]);
    refused(&other, "different plans");
    refused(&other, "differ: build: FLAGS: unset → \"-O\"");
    machines[1].write(".git/timings", "{ \"build\": 7 }");
    let file = machines[0].parent_folder().join("timed.json");
    let args = ["ci", "--shard", "2/2", "--timings", ".git/timings", "--manifest", file.to_str().unwrap()];
    machines[1].xtask(&args).ends(0);
    refused(file.to_str().unwrap(), "the times that they were split by");
    machines[1].write("app", "2\n");
    let tree = run_shard(&machines, (1, "2/2"), &[]);
    refused(&tree, "shards of different trees");
    let whole = machines[0].parent_folder().join("all.json");
    machines[0].xtask(&["ci", "--manifest", whole.to_str().unwrap()]).ends(0);
    refused(whole.to_str().unwrap(), "is not the manifest of a shard");
    refused("nowhere.json", "nowhere.json");
    machines[0].xtask(&["merge-runs"]).ends(2);
}

const JUNIT: &str = r#"<testsuites tests="2" failures="0"><testsuite name="s" tests="2" failures="0"><testcase classname="s" name="a" time="0.1"/><testcase classname="s" name="b" time="0.1"><flakyFailure message="once"/></testcase></testsuite></testsuites>
"#;
const FAILING: &str = r#"<testsuites tests="1" failures="1"><testsuite name="s" tests="1" failures="1"><testcase classname="s" name="b" file="src/b.py" line="3" time="0.1"><failure message="expected 1">expected 1</failure></testcase></testsuite></testsuites>
"#;
/// A report that covers eight of ten lines.
const LCOV: &str = "SF:src/a.py\nDA:1,1\nDA:2,1\nDA:3,1\nDA:4,1\nDA:5,1\nDA:6,1\nDA:7,1\nDA:8,1\nDA:9,0\nDA:10,0\nend_of_record\n";
const SARIF: &str = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"lint","rules":[{"id":"R1","defaultConfiguration":{"level":"error"}}]}},"results":[{"ruleId":"R1","message":{"text":"weak"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/a.py"},"region":{"startLine":2}}}]}]}]}
"#;

/// Creates a project whose reports come from both shards, and a gate with these rules.
fn with_gate(rules: &str) -> Project {
    let tasks = format!(
        r#"
        [tasks.ci]
        needs = ["unit", "cover", "scan", "plain"]
        [tasks.unit]
        run = "mkdir -p out && cp in/junit.xml out/ && test ! -e in/broken"
        inputs = ["in/junit.xml", "?in/broken"]
        reports = {{ junit = "out/junit.xml" }}
        [tasks.cover]
        run = "mkdir -p out && cp in/lcov.info out/"
        inputs = ["in/lcov.info"]
        reports = {{ lcov = "out/lcov.info" }}
        [tasks.scan]
        run = "mkdir -p out && cp in/lint.sarif out/"
        inputs = ["in/lint.sarif"]
        reports = {{ sarif = "out/lint.sarif" }}
        [tasks.plain]
        run = "echo said; test ! -e in/bad"
        inputs = ["?in/bad"]
        [gates.quality]
        {rules}
        "#
    );
    let project = Project::new(&tasks);
    project.write(".gitignore", "out/\n").write("in/junit.xml", JUNIT).write("in/lcov.info", LCOV);
    project.write("in/lint.sarif", SARIF).write("src/a.py", "one\ntwo\n").commit("reports");
    project
}

/// Runs both shards in one repository and returns their manifests, as arguments for the merge.
fn run_shards(project: &Project) -> [String; 2] {
    ["1", "2"].map(|shard| {
        let file = format!("../shard-{shard}.json");
        let ran =
            project.xtask(&["ci", "-k", "--force", "--shard", &format!("{shard}/2"), "--manifest", &file]);
        assert!(ran.status < 2, "{}", ran.err);
        file
    })
}

fn run_and_merge(project: &Project, more: &[&str], vars: &[(&str, &str)]) -> CommandOutput {
    let [one, two] = run_shards(project);
    let args: Vec<&str> = ["merge-runs", &one, &two].iter().chain(more).copied().collect();
    project.xtask_env(&args, vars)
}

const BROKEN_RULES: &str =
    "coverage = { min = 90, max-drop = 1 }\ntests = { failed = 0 }\nfindings = { high = 0 }";

#[test]
fn github_summary_covers_the_whole_run() {
    let project = with_gate(BROKEN_RULES);
    let summary = project.parent_folder().join("summary.md");
    let vars = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
    let ran = run_and_merge(&project, &[], &vars).ends(1);
    // Lines with digests of the tree and the plan are left out, since they change with each version.
    let is_shown = |line: &&str| !line.starts_with("shard ") && !line.starts_with("ci failed: 4 tasks in ");
    let lines: Vec<&str> = ran.out.lines().filter(is_shown).collect();
    insta::assert_snapshot!(mask(&lines.join("\n")), @r"
    gate quality is broken
      ✗ coverage.min  ≥ 90 %  80.0 % (8 of 10 lines)  broken
      ? coverage.max-drop  at most 1 points less than before  80.0 % (8 of 10 lines); not compared: can't compare with `origin/HEAD`: this clone has no such commit  not judged
      ✓ tests.failed  none  0 of 2 tests  holds
      ✗ findings.high  none  1  broken
      baseline: none: can't compare with `origin/HEAD`: this clone has no such commit
      coverage.min:
        src/a.py:9  2 of 10 lines not covered: 9-10
      findings.high:
        src/a.py:2  R1: weak (lint)
    failed: quality
    ::error file=src/a.py,line=2,title=lint%3A R1::weak
    ::error file=src/a.py,line=9,endLine=10,title=quality%3A coverage.min::2 of 10 lines not covered: 9-10
    ");
    assert_eq!(ran.err, "");
    let text = std::fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("## `ci` ❌ failed\n\n5 executed · 0 cached · took "), "{text}");
    for part in ["| `unit` | ✅ passed |", "### Gate `quality`", "Flaky tests: `s › b`", "Baseline: ``none: "]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn annotations_of_shards_are_not_repeated() {
    let project = with_gate("tests = { failed = 0 }\ncoverage = { min = 90 }");
    project.write("in/junit.xml", FAILING).write("in/broken", "").write("in/bad", "").commit("broken");
    let mut annotated: Vec<String> = Vec::new();
    for shard in ["1/2", "2/2"] {
        let ran = project.xtask(&["ci", "-k", "--shard", shard, "--ci", "github"]);
        let lines = ran.err.lines().chain(ran.out.lines()).filter(|line| is_annotation(line));
        annotated.extend(lines.map(str::to_owned));
    }
    annotated.sort();
    assert_eq!(
        annotated,
        [
            "::error file=src/b.py,line=3,title=s › b failed::expected 1",
            "::error title=plain failed%3A exit status 1::said",
            "::warning file=src/a.py,line=2,title=lint%3A R1::weak",
        ]
    );
    let file = project.parent_folder().join("s.md");
    let ran = run_and_merge(&project, &["--ci", "github", "--summary", file.to_str().unwrap()], &[]).ends(1);
    assert!(!ran.out.lines().any(is_annotation), "{}", ran.out);
    let text = std::fs::read_to_string(file).unwrap();
    for part in ["### Failed tests", "### The last lines of `plain`", "| `quality` | – skipped |"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // If `--ci` names the reporter, it prints in addition to the JSON.
    let ran = run_and_merge(&project, &["--json", "--ci", "github"], &[]).ends(1);
    assert_eq!(ran.json()["gates"][0]["unjudged"], "unit did not pass");
    run_and_merge(&project, &["--json"], &[("GITHUB_ACTIONS", "true")]).ends(1);
    assert_screens!();
}

fn is_annotation(line: &str) -> bool {
    ["::error", "::warning", "::notice"].iter().any(|command| line.starts_with(command))
}

#[test]
fn gitlab_gets_the_coverage_of_the_whole_run() {
    let project = with_gate(BROKEN_RULES);
    let ran = run_and_merge(&project, &[], &[("GITLAB_CI", "true")]).ends(1);
    assert!(ran.out.ends_with("\ncoverage: 80.00%\n"), "{}", ran.out);
    let quality = project.read(".xtask-artifacts/gl-code-quality-report.json");
    assert!(quality.contains("src/a.py") && quality.contains("\"critical\""), "{quality}");
    assert!(project.read(".xtask-artifacts/junit.xml").contains("name=\"quality\""));
}

#[test]
fn missing_shard_is_reported_by_all_reporters() {
    let project = with_gate("tests = { failed = 0 }");
    let [one, _] = run_shards(&project);
    project.xtask(&["merge-runs", &one, "--ci", "github", "--junit", "../j.xml"]).ends(1);
    assert!(project.read("../j.xml").contains("its manifest is missing"));
    assert_screens!();
}

#[test]
fn gitlab_gets_no_coverage_of_a_shard() {
    let project = with_gate("tests = { failed = 0 }");
    let [one, two] = run_shards(&project);
    let merged = |files: &[&str]| {
        let ran = project.xtask(&[&["merge-runs", "--ci", "gitlab"], files].concat());
        (ran.status, ran.out.lines().any(|line| line.starts_with("coverage:")))
    };
    assert_eq!(merged(&[&one]), (1, false));
    assert_eq!(merged(&[&two]), (1, false));
    assert_eq!(merged(&[&one, &two, &two]), (1, false));
    assert_eq!(merged(&[&one, &two]), (0, true));
}

#[test]
fn merge_gives_the_verdict_of_a_whole_run() {
    for rules in ["coverage = { min = 80 }\ntests = { failed = 0 }", BROKEN_RULES] {
        let project = with_gate(rules);
        let clone = project.parent_folder().join("clone");
        project.git(&["clone", "-q", ".", clone.to_str().unwrap()]);
        // With the remote, the clone would find another baseline.
        project.git(&["-C", clone.to_str().unwrap(), "remote", "remove", "origin"]);
        let ran = run_and_merge(&project, &["--manifest", "../merged.json", "--json"], &[]);
        let evidence = ran.json()["gates"][0]["evidence"].clone();
        let tasks = evidence["reports"].as_array().unwrap().iter().map(|report| &report["task"]);
        assert_eq!(tasks.collect::<Vec<_>>(), ["cover", "scan", "unit"]);
        // The clone has an empty cache and no history.
        let whole = ["-C", clone.to_str().unwrap(), "ci", "-k", "--format", "json", "--manifest"];
        let whole = project.xtask(&[&whole[..], &["../whole.json"]].concat());
        assert_eq!(whole.status, ran.status, "{}", whole.err);
        let judged = whole
            .events()
            .into_iter()
            .find(|event| event["task"] == "quality" && event["event"] == "task-finished");
        assert_eq!(judged.unwrap()["evidence"], evidence);
        let diff = project.xtask(&["diff-run", "../whole.json", "../merged.json"]);
        assert_eq!((diff.status, diff.out.contains("no difference in 5 tasks")), (0, true), "{}", diff.out);
    }
}

#[test]
fn gate_of_a_failed_task_is_skipped_like_in_a_whole_run() {
    let project = with_gate("tests = { failed = 0 }");
    project.write("in/broken", "").commit("broken");
    run_and_merge(&project, &["--manifest", "../merged.json"], &[]).ends(1);
    project.xtask(&["ci", "-k", "--force", "--manifest", "../whole.json"]).ends(1);
    project.xtask(&["diff-run", "../whole.json", "../merged.json"]).ends(0);
}

#[test]
fn last_line_of_a_shard_says_what_is_left() {
    let project = with_gate("tests = { failed = 0 }");
    let ran = project.xtask(&["ci", "--shard", "1/2", "--summary", "../s.md"]).ends(0);
    assert_eq!(ran.err.lines().last(), Some("left to `xtask merge-runs`: quality"), "{}", ran.err);
    assert!(project.read("../s.md").contains("Left to `xtask merge-runs`: `quality`"));
    let again = project.xtask(&["log", "--last"]).ends(0);
    assert_eq!(again.out.lines().last(), ran.err.lines().last());
    project.xtask(&["plain", "--shard", "1/2"]).ends(0);
    assert_screens!();
}
