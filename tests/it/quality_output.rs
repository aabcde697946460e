//! Quality gates: how they are listed and shown, and how a recorded verdict is shown again.

use crate::project::Project;

const TASKS: &str = r#"
    [tasks.unit]
    run = "true"
    reports = { junit = "out/junit.xml" }
    [gates.quality]
    tests = { failed = 0 }
    coverage = { min = 80 }
    [gates.strict]
    description = "All that is demanded before a release"
    by-name = true
    secrets = 0
    "#;

/// Writes the record of a run in which `quality` ended with `status`, with the violations.
fn write_record(project: &Project, run: &str, status: &str) {
    let violations: Vec<String> =
        (1..=12).map(|test| format!(r#"{{"text":"t{test}: expected 1"}}"#)).collect();
    let events = [
        format!(
            r#"{{"at":0,"event":"run-started","version":2,"run":"{run}","started":1795255815000,"names":["quality"],"tree":"1a2b3c4d5e6f","tasks":1,"hits":0,"jobs":1,"width":7}}"#
        ),
        format!(
            r#"{{"at":5,"event":"task-finished","task":"quality","group":null,"status":{status},"reason":{{"kind":"first-run"}},"started":1,"took":4,"attempts":1,"stored":{{"kind":"not-tried"}},"log":{{"text":"","left_out":0}},"command":"","evidence":{{"rules":[{{"rule":"coverage.min","required":"≥ 80 %","actual":"91.0 % (91 of 100 lines)","verdict":"holds"}},{{"rule":"tests.failed","required":"none","actual":"12 of 40 tests","verdict":"broken","violations":[{}]}}],"reports":[{{"task":"unit","kind":"junit","path":"out/junit.xml","digest":"00"}}],"record":{{}}}}}}"#,
            violations.join(",")
        ),
        r#"{"at":6,"event":"run-finished","verdict":{"kind":"failed"},"took":6,"hits":0,"executed":1,"failed":["quality"],"flaky":[],"slow":[],"skipped":0,"saved":0}"#.to_owned(),
    ];
    project.write(&format!(".git/xtask/runs/{run}.jsonl"), events.join("\n") + "\n");
}

const FAILED: &str = r#"{"kind":"failed","ended":{"kind":"rules","broken":1}}"#;

#[test]
fn gates_are_listed_and_shown() {
    let project = Project::new(TASKS);
    project.xtask(&[]).ends(0);
    project.xtask(&["graph", "quality", "--format", "dot"]).ends(0);
    let text = project.xtask(&["graph", "unit"]).ends(0);
    assert_eq!(text.out, "quality\n└─ unit\n", "the gate is next to the tasks that it reads");
    project.xtask(&["graph", "quality", "--format", "mermaid"]).ends(0);
    let graph = project.xtask(&["graph", "quality", "--format", "json"]).ends(0);
    let graph: serde_json::Value = serde_json::from_str(&graph.out).unwrap();
    let gates: Vec<bool> =
        graph["tasks"].as_array().unwrap().iter().map(|task| task["gate"].as_bool().unwrap()).collect();
    assert_eq!(gates.iter().filter(|is_gate| **is_gate).count(), 1);
    assert_screens!();
}

#[test]
fn invalid_options_for_a_gate_are_refused() {
    let project = Project::new(TASKS);
    project.xtask(&["audit", "quality"]).ends(2);
    project.xtask(&["quality", "--", "x"]).ends(2);
    project.xtask(&["fix", "quality"]).ends(2);
    assert_screens!();
}

#[test]
fn latest_recorded_verdict_is_explained_completely() {
    let project = Project::new(TASKS);
    project
        .xtask(&["explain-gate", "qualty"])
        .ends(4)
        .says("unknown gate `qualty`")
        .says("hint: did you mean `quality`?");
    project.xtask(&["explain-gate", "unit"]).ends(4).says("its gates are quality, strict");
    project
        .xtask(&["explain-gate", "quality"])
        .ends(4)
        .says("no recorded run judged `quality`")
        .says("hint: run it: xtask run quality");
    write_record(&project, "20261121-093015-000aa", r#"{"kind":"passed"}"#);
    write_record(&project, "20261121-093016-000aa", FAILED);
    // A later run without a verdict on the gate.
    let other = r#"{"at":0,"event":"run-started","version":2,"run":"20261121-093017-000aa","started":1,"names":[],"tree":null,"tasks":0,"hits":0,"jobs":1,"width":1}"#;
    project.write(".git/xtask/runs/20261121-093017-000aa.jsonl", other);
    let explained = project.xtask(&["explain-gate", "quality"]).ends(0);
    insta::assert_snapshot!(explained.out, @r"
    gate quality failed · run 20261121-093016-000aa of 2026-11-21T10:10:15Z · tree 1a2b3c4d5e
      ✓ coverage.min  ≥ 80 %  91.0 % (91 of 100 lines)  holds
      ✗ tests.failed  none    12 of 40 tests            broken
      tests.failed:
        t1: expected 1
        t2: expected 1
        t3: expected 1
        t4: expected 1
        t5: expected 1
        t6: expected 1
        t7: expected 1
        t8: expected 1
        t9: expected 1
        t10: expected 1
        t11: expected 1
        t12: expected 1
      reports:
        out/junit.xml  junit of unit
    ");
    let json = project.xtask(&["explain-gate", "quality", "--json"]).ends(0);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["run"], "20261121-093016-000aa");
    assert_eq!((&json["holds"], &json["tree"]), (&false.into(), &"1a2b3c4d5e6f".into()));
    assert_eq!(json["evidence"]["rules"][1]["violations"].as_array().unwrap().len(), 12);
    project.xtask(&["explain-gate", "strict"]).ends(4).says("no recorded run judged `strict`");
}

#[test]
fn recorded_run_shows_the_table_of_a_gate_again() {
    let project = Project::new(TASKS);
    write_record(&project, "20261121-093016-000aa", FAILED);
    insta::assert_snapshot!(project.xtask(&["log", "--last"]).ends(0).out, @r"
    quality: 1 task · tree 1a2b3c4d5e
    ✗ quality      4 ms  1 rule is broken · first run
      ✓ coverage.min  ≥ 80 %  91.0 % (91 of 100 lines)  holds
      ✗ tests.failed  none    12 of 40 tests            broken
      tests.failed:
        t1: expected 1
        t2: expected 1
        t3: expected 1
        t4: expected 1
        t5: expected 1
        t6: expected 1
        t7: expected 1
        t8: expected 1
        t9: expected 1
        t10: expected 1
        … and 2 more
      all violations: xtask explain-gate quality
    failed: quality
    failed: 1 ran, in 6 ms
    show this again: xtask log 20261121-093016-000aa
    ");
    write_record(&project, "20261121-093017-000aa", r#"{"kind":"hit"}"#);
    let quiet = project.xtask(&["log", "--last"]).ends(0);
    assert!(!quiet.out.contains("tests.failed"), "{}", quiet.out);
    project.xtask(&["log", "--last", "--output", "all"]).ends(0).prints("tests.failed");
}

#[test]
fn explain_gate_completes_gates() {
    let project = Project::new(TASKS);
    project.xtask(&["explain-gate", "--help"]).ends(0);
    project.xtask(&["__complete", "fish", "--", "xtask", "explain-gate", ""]).ends(0);
    assert_screens!();
}

#[test]
fn incomplete_scan_fails_unless_the_task_gives_a_reason() {
    const RUN: &str = r#"{"tool": {"driver": {"name": "scan"}}, "results": [], "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": [{"level": "error", "message": {"text": "can't parse a.py"}}]}]}"#;
    let tasks = |partial: &str| {
        format!(
            "[tasks.scan]\nrun = 'cp scan.json out.sarif'\nreports = {{ sarif = 'out.sarif'{partial} }}\n[gates.clean]\nfindings = {{ total = 0 }}\n"
        )
    };
    let project = Project::new(&tasks(""));
    project.write("scan.json", format!(r#"{{"version": "2.1.0", "runs": [{RUN}]}}"#));
    project.xtask(&["clean"]).ends(1);
    project.write("tasks.toml", tasks(", partial = 'a.py is no Python'"));
    project.xtask(&["clean"]).ends(0);
    project.write("tasks.toml", tasks(""));
    project.xtask(&["clean"]).ends(1);
    assert_screens!();
}
