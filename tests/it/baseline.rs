//! The baseline with which a gate compares its tree, and how it is shared.

use crate::quality_rules::{LCOV, SARIF, assert_fails, assert_passes, project_with_gate};

#[test]
fn coverage_drop_is_measured_against_the_merge_base() {
    let project = project_with_gate("coverage = { max-drop = 2.0 }\nfindings = { new = 0 }");
    let ran = project.xtask(&["ci"]);
    assert_passes(&ran);
    project.publish();
    let ran = project.xtask(&["ci", "--force"]);
    assert_passes(&ran);
    project.git(&["switch", "-q", "-c", "topic"]);
    // Higher coverage is never a failure.
    project.write("in/lcov.info", LCOV.replace("DA:9,0", "DA:9,1").replace("LH:8", "LH:9")).commit("more");
    let ran = project.xtask(&["ci"]);
    assert_passes(&ran);
    project.write("in/lcov.info", LCOV.replace("DA:8,1", "DA:8,0").replace("LH:8", "LH:7")).commit("less");
    assert_fails(&project.xtask(&["ci"]), "coverage.max-drop");
    // The pre-push hook runs the same gate, and the result is the same.
    project.write("tasks.toml", format!("{}\n[hooks]\npre-push = ['ci']\n", project.read("tasks.toml")));
    project.commit("gated");
    assert_fails(&project.xtask(&["gate"]), "coverage.max-drop");
    assert_screens!();
}

#[test]
fn record_of_one_commit_is_not_used_for_another() {
    let project = project_with_gate("findings = { new = 0 }");
    project.xtask(&["baseline", "show"]).ends(5);
    project.xtask(&["baseline", "show", "HEAD"]).ends(0);
    assert_screens!();
}

#[test]
fn moved_finding_is_not_new_and_another_is() {
    let project = project_with_gate("findings = { new = 0 }");
    project.publish();
    assert_passes(&project.xtask(&["ci"]));
    project.git(&["switch", "-q", "-c", "topic"]);
    project.write("src/a.py", "zero\none\n  two\nthree\n");
    project.write("in/lint.sarif", SARIF.replace("\"startLine\":2", "\"startLine\":3")).commit("moved");
    assert_passes(&project.xtask(&["ci"]));
    project.write("in/lint.sarif", SARIF.replace("\"startLine\":2", "\"startLine\":4")).commit("new");
    assert_fails(&project.xtask(&["ci"]), "findings.new");
}

#[test]
fn accepted_finding_does_not_allow_another_of_its_kind() {
    let project = project_with_gate("findings = { new = 0 }");
    project.publish();
    let accepted = SARIF.replace(
        r#""ruleId":"R1""#,
        r#""ruleId":"R1","suppressions":[{"kind":"inSource","status":"accepted"}]"#,
    );
    project.write("in/lint.sarif", &accepted).commit("accepted");
    project.git(&["push", "-q", "origin", "main"]);
    assert_passes(&project.xtask(&["ci"]));
    project.git(&["switch", "-q", "-c", "topic"]);
    let result =
        |text: &str| text[text.find(r#"{"ruleId""#).unwrap()..text.rfind("]}]}").unwrap()].to_owned();
    let both = accepted.replace(&result(&accepted), &format!("{},{}", result(&accepted), result(SARIF)));
    project.write("in/lint.sarif", both).commit("both");
    assert_fails(&project.xtask(&["ci"]), "findings.new");
}

#[test]
fn records_are_shared_by_notes_and_by_a_file() {
    let project = project_with_gate("baseline = 'baseline.json'\ncoverage = { max-drop = 0 }");
    project.publish();
    assert_passes(&project.xtask(&["ci"]));
    let pushed = project.xtask(&["baseline", "push"]);
    assert_passes(&pushed);
    let clone = project.clone_remote();
    clone.git(&["switch", "-q", "-c", "topic"]);
    clone.write("in/lcov.info", LCOV.replace("DA:8,1", "DA:8,0").replace("LH:8", "LH:7")).commit("less");
    let ran = clone.xtask(&["ci"]);
    assert_passes(&ran);
    assert_passes(&clone.xtask(&["baseline", "fetch"]));
    clone.xtask(&["baseline", "show"]);
    assert_fails(&clone.xtask(&["ci"]), "coverage.max-drop");
    // The committed file is used in its version at the merge base.
    assert_passes(&project.xtask(&["baseline", "write", "baseline.json"]));
    project.commit("baseline");
    project.git(&["push", "-q", "origin", "main"]);
    let other = project.clone_remote();
    other.git(&["switch", "-q", "-c", "topic"]);
    other.write("in/lcov.info", LCOV.replace("DA:8,1", "DA:8,0").replace("LH:8", "LH:7")).commit("less");
    assert_fails(&other.xtask(&["ci"]), "coverage.max-drop");
    assert_screens!();
}

#[test]
fn unreadable_committed_baseline_is_an_error() {
    let project =
        project_with_gate("baseline = 'base.json'\ncoverage = { max-drop = 0 }\nfindings = { new = 0 }");
    project.publish();
    project.git(&["switch", "-q", "-c", "early"]);
    assert_passes(&project.xtask(&["ci"]));
    project.git(&["switch", "-q", "main"]);
    project.write("base.json", "{\n").commit("broken");
    project.git(&["push", "-q", "origin", "main"]);
    project.git(&["switch", "-q", "-c", "topic"]);
    project.write("new.txt", "").commit("topic");
    let ran = project.xtask(&["ci"]);
    assert_fails(&ran, "coverage.max-drop");
    assert_fails(&ran, "findings.new");
    let broken = project.git(&["rev-parse", "--short=10", "origin/main"]);
    let broken = broken.trim();
    let message =
        format!("the baseline base.json of {broken} (the merge base with origin/main) can't be read");
    ran.says(&message);
    project.xtask(&["baseline", "show"]).ends(5);
    // The record of the commit itself takes precedence over the file, so the problem can be fixed.
    assert_passes(&project.xtask(&["run", "quality", "--at", broken]));
    assert_passes(&project.xtask(&["ci"]));
    assert_screens!();
}
