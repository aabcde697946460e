//! `xtask log`: prints the output of a recorded run again.

use crate::project::Project;

const TASKS: &str = r#"
    [tasks.all]
    needs = ["good", "bad"]
    [tasks.good]
    run = "echo fine"
    inputs = ["?in"]
    [tasks.bad]
    run = "echo broken; exit 1"
    inputs = ["?in"]
    "#;

#[test]
fn recorded_run_is_printed_again_unchanged() {
    let project = Project::new(TASKS);
    for args in [&["all", "-k"][..], &["good"], &["all", "-k", "--output", "grouped"]] {
        let ran = project.xtask(args);
        let output = if args.contains(&"grouped") { "grouped" } else { "failed" };
        let log = project.xtask(&["log", "--last", "--output", output]).ends(0);
        assert_eq!(log.out, ran.err);
    }
}

#[test]
fn runs_are_listed_and_found() {
    let project = Project::new(TASKS);
    project.xtask(&["log"]).ends(0);
    project.xtask(&["log", "--last"]).ends(4);
    project.xtask(&["good"]).ends(0);
    project.xtask(&["all"]).ends(1);
    let list = project.xtask(&["log"]).ends(0);
    assert_eq!(list.out.lines().count(), 2);
    let newest = list.out.lines().next().unwrap();
    assert!(newest.contains("failed") && newest.contains("bad"), "{newest}");
    assert_eq!(project.xtask(&["log", "--failed"]).ends(0).out.lines().count(), 1);
    let id = newest.split(' ').next().unwrap();
    project.xtask(&["log", &id[9..]]).ends(0);
    project.xtask(&["log", "--last", "--failed"]).ends(0);
    project.xtask(&["log", id, "--task", "good"]).ends(0);
    project.xtask(&["log", "nothing"]).ends(4);
    assert_screens!();
}

#[test]
fn details_missing_in_a_run_are_reported() {
    let project = Project::new(TASKS);
    project.xtask(&["good"]).ends(0);
    let id = project.xtask(&["log"]).ends(0).out.split(' ').next().unwrap().to_owned();
    project
        .xtask(&["log", "--last", "--task", "bad"])
        .ends(2)
        .says(&format!("the run {id} had no task `bad`"))
        .says(&format!("hint: `xtask log {id}` shows its tasks"));
    project
        .xtask(&["log", "--last", "--service", "db"])
        .ends(2)
        .says(&format!("the run {id} had no service `db`"));
    project.xtask(&["log", "--last", "--failed"]).ends(0);
    assert_screens!();
}

#[test]
fn runs_are_printed_as_json() {
    let project = Project::new(TASKS);
    project.xtask(&["good"]).ends(0);
    project.xtask(&["all", "-k"]).ends(1);
    let runs = project.xtask(&["log", "--format", "json"]).ends(0).events();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0]["summary"]["verdict"]["kind"], "failed");
    assert_eq!(runs[0]["summary"]["failed"][0], "bad");
    assert_eq!(runs[1]["started"]["names"][0], "good");
    assert_eq!(runs[1]["summary"]["verdict"]["kind"], "passed");
    let id = runs[1]["run"].as_str().unwrap();
    let events = project.xtask(&["log", id, "--format", "json"]).ends(0).events();
    assert_eq!(events[0]["event"], "run-started");
    assert_eq!(events.last().unwrap()["event"], "run-finished");
}

#[test]
fn unfinished_run_is_listed_and_printed() {
    let project = Project::new(TASKS);
    project.xtask(&["good"]).ends(0);
    let runs = std::fs::read_dir(project.state().join("runs")).unwrap();
    let mut records = runs.map(|entry| entry.unwrap().path());
    let record = records.find(|path| path.extension().is_some_and(|ending| ending == "jsonl")).unwrap();
    let text = std::fs::read_to_string(&record).unwrap();
    let end = text.trim_end().rfind('\n').unwrap();
    assert!(text[end..].contains("run-finished"), "{text}");
    std::fs::write(&record, &text[..=end]).unwrap();
    project.xtask(&["log"]).ends(0);
    // A run without an end counts as failed, since it is unknown whether it passed.
    project.xtask(&["log", "--failed"]).ends(0);
    project.xtask(&["log", "--last"]).ends(0);
    assert_screens!();
}

#[test]
fn log_of_a_task_has_all_its_attempts() {
    let project = Project::new(
        r#"
        [tasks.again]
        run = "[ -e ../once ] && echo better || { touch ../once; echo worse; exit 1; }"
        retries = 1
        "#,
    );
    project.xtask(&["again"]).ends(0);
    let log = project.xtask(&["log", "--last", "--task", "again"]).ends(0).out;
    let (first, second) = log.split_once("better").unwrap();
    assert!(first.contains("again: attempt 1") && first.contains("worse"), "{log}");
    assert!(!second.contains("worse"), "{log}");
}
