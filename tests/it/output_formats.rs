//! Reports of a run: JSON, `JUnit` and trace files, and output without control characters if there
//! is no terminal.

use crate::project::Project;

const TASKS: &str = r#"
    [tasks.all]
    needs = ["good", "bad", "after"]
    [tasks.good]
    group = "unit"
    run = "printf '\\033[31mred\\033[0m <&> \\007\\r\\n'"
    inputs = ["?in"]
    [tasks.bad]
    group = "unit"
    run = "echo broken; exit 1"
    [tasks.after]
    run = "true"
    needs = ["bad"]
    "#;

#[test]
fn each_event_is_one_line_of_json() {
    let project = Project::new(TASKS);
    let ran = project.xtask(&["all", "-k", "--format", "json"]).ends(1);
    let events = ran.events();
    assert_eq!(events[0]["event"], "run-started");
    assert_eq!(events[0]["version"], 2);
    assert_eq!(events.last().unwrap()["event"], "run-finished");
    assert_eq!(events.last().unwrap()["verdict"]["kind"], "failed");
    let finished: Vec<_> = events.iter().filter(|event| event["event"] == "task-finished").collect();
    assert_eq!(finished.len(), 3);
    let bad = finished.iter().find(|event| event["task"] == "bad").unwrap();
    assert_eq!(bad["status"]["kind"], "failed");
    assert_eq!(bad["log"]["text"], "broken\n");
    assert!(ran.err.is_empty(), "{}", ran.err);
}

#[test]
fn junit_and_trace_files_are_written() {
    let project = Project::new(TASKS);
    project
        .xtask(&["all", "-k", "--junit", "../reports/junit.xml", "--trace", "../reports/trace.json"])
        .ends(1);
    let junit = project.read("../reports/junit.xml");
    for part in ["tests=\"3\"", "failures=\"1\"", "skipped", "red &lt;&amp;&gt;", "broken"] {
        assert!(junit.contains(part), "{part}: {junit}");
    }
    let trace: serde_json::Value = serde_json::from_str(&project.read("../reports/trace.json")).unwrap();
    assert_eq!(trace["traceEvents"].as_array().unwrap().len(), 2);
}

#[test]
fn output_without_a_terminal_has_no_control_characters() {
    let project = Project::new(TASKS);
    let ran = project.xtask(&["all", "-k", "-o", "all", "-j1"]).ends(1);
    assert!(!ran.err.chars().any(|c| c.is_control() && c != '\n'), "{:?}", ran.err);
    let forced = project.xtask_env(&["all", "-k", "-j1"], &[("CLICOLOR_FORCE", "1")]);
    assert!(forced.err.contains('\u{1b}'));
    let off = project.xtask_env(&["all", "-k", "-j1"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]);
    assert!(!off.err.contains('\u{1b}'));
    assert_screens!();
}

#[test]
fn logs_of_hits_are_printed_on_request() {
    let project = Project::new(TASKS);
    project.xtask(&["good"]).ends(0);
    project.xtask(&["good"]).ends(0);
    project.xtask(&["good", "--output", "all"]).ends(0);
    assert_screens!();
}

#[test]
fn streamed_lines_start_with_the_task_name() {
    let project = Project::new("[tasks.t]\nrun = \"echo one; echo two >&2\"\n");
    project.xtask(&["t", "--output", "stream"]).ends(0);
    assert_screens!();
}

#[test]
fn unwritable_report_is_an_error_before_the_run() {
    let project = Project::new(TASKS);
    project.write("file", "");
    project.xtask(&["good", "--junit", "file/junit.xml"]).ends(5);
    assert_screens!();
}
