//! `xtask log`: a recorded run redraws what was seen.

use crate::project::Project;

const TASKS: &str = r#"
[tasks.all]
needs = ["good", "bad"]
[tasks.good]
run = "echo fine"
inputs = ["in"]
[tasks.bad]
run = "echo broken; exit 1"
inputs = ["in"]
"#;

#[test]
fn a_record_redraws_the_same_output() {
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
    project.xtask(&["log"]).ends(0).prints("no run is recorded yet");
    project.xtask(&["log", "--last"]).ends(4).says("no run is recorded yet");
    project.xtask(&["good"]).ends(0);
    project.xtask(&["all"]).ends(1);
    let list = project.xtask(&["log"]).ends(0);
    assert_eq!(list.out.lines().count(), 2);
    let newest = list.out.lines().next().unwrap();
    assert!(newest.contains("failed") && newest.contains("bad"), "{newest}");
    assert_eq!(project.xtask(&["log", "--failed"]).ends(0).out.lines().count(), 1);
    let id = newest.split(' ').next().unwrap();
    project.xtask(&["log", &id[9..]]).ends(0).prints("broken");
    project.xtask(&["log", "--last", "--failed"]).ends(0).prints("broken");
    project.xtask(&["log", id, "--task", "good"]).ends(0).prints("good");
    project.xtask(&["log", "nothing"]).ends(4).says("no run is recorded as `nothing`");
}
