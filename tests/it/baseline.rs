//! The baseline with which a gate compares its tree, and how it is shared.

use crate::quality_rules::{LCOV, SARIF, fails, passes, shop};

#[test]
fn coverage_drop_is_measured_against_the_merge_base() {
    let project = shop("coverage = { max-drop = 2.0 }\nfindings = { new = 0 }");
    let ran = project.xtask(&["ci"]);
    passes(&ran);
    project.publish();
    let ran = project.xtask(&["ci", "--force"]);
    passes(&ran);
    project.git(&["switch", "-q", "-c", "topic"]);
    // Higher coverage is never a failure.
    project.write("in/lcov.info", LCOV.replace("DA:9,0", "DA:9,1").replace("LH:8", "LH:9")).commit("more");
    let ran = project.xtask(&["ci"]);
    passes(&ran);
    project.write("in/lcov.info", LCOV.replace("DA:8,1", "DA:8,0").replace("LH:8", "LH:7")).commit("less");
    fails(&project.xtask(&["ci"]), "coverage.max-drop");
    // The pre-push hook runs the same gate, and the result is the same.
    project.write("tasks.toml", format!("{}\n[hooks]\npre-push = ['ci']\n", project.read("tasks.toml")));
    project.commit("gated");
    fails(&project.xtask(&["gate"]), "coverage.max-drop");
    assert_screens!();
}

#[test]
fn record_of_one_commit_is_not_used_for_another() {
    let project = shop("findings = { new = 0 }");
    project.xtask(&["baseline", "show"]).ends(5);
    project.xtask(&["baseline", "show", "HEAD"]).ends(0);
    assert_screens!();
}

#[test]
fn moved_finding_is_not_new_and_another_is() {
    let project = shop("findings = { new = 0 }");
    project.publish();
    passes(&project.xtask(&["ci"]));
    project.git(&["switch", "-q", "-c", "topic"]);
    project.write("src/a.py", "zero\none\n  two\nthree\n");
    project.write("in/lint.sarif", SARIF.replace("\"startLine\":2", "\"startLine\":3")).commit("moved");
    passes(&project.xtask(&["ci"]));
    project.write("in/lint.sarif", SARIF.replace("\"startLine\":2", "\"startLine\":4")).commit("new");
    fails(&project.xtask(&["ci"]), "findings.new");
}

#[test]
fn accepted_finding_does_not_allow_another_of_its_kind() {
    let project = shop("findings = { new = 0 }");
    project.publish();
    let accepted = SARIF.replace(
        r#""ruleId":"R1""#,
        r#""ruleId":"R1","suppressions":[{"kind":"inSource","status":"accepted"}]"#,
    );
    project.write("in/lint.sarif", &accepted).commit("accepted");
    project.git(&["push", "-q", "origin", "main"]);
    passes(&project.xtask(&["ci"]));
    project.git(&["switch", "-q", "-c", "topic"]);
    let result =
        |text: &str| text[text.find(r#"{"ruleId""#).unwrap()..text.rfind("]}]}").unwrap()].to_owned();
    let both = accepted.replace(&result(&accepted), &format!("{},{}", result(&accepted), result(SARIF)));
    project.write("in/lint.sarif", both).commit("both");
    fails(&project.xtask(&["ci"]), "findings.new");
}

#[test]
fn records_are_shared_by_notes_and_by_a_file() {
    let project = shop("baseline = 'baseline.json'\ncoverage = { max-drop = 0 }");
    project.publish();
    passes(&project.xtask(&["ci"]));
    let pushed = project.xtask(&["baseline", "push"]);
    passes(&pushed);
    let clone = project.clone_remote();
    clone.git(&["switch", "-q", "-c", "topic"]);
    clone.write("in/lcov.info", LCOV.replace("DA:8,1", "DA:8,0").replace("LH:8", "LH:7")).commit("less");
    let ran = clone.xtask(&["ci"]);
    passes(&ran);
    passes(&clone.xtask(&["baseline", "fetch"]));
    clone.xtask(&["baseline", "show"]);
    fails(&clone.xtask(&["ci"]), "coverage.max-drop");
    // The committed file is used in its version at the merge base.
    passes(&project.xtask(&["baseline", "write", "baseline.json"]));
    project.commit("baseline");
    project.git(&["push", "-q", "origin", "main"]);
    let other = project.clone_remote();
    other.git(&["switch", "-q", "-c", "topic"]);
    other.write("in/lcov.info", LCOV.replace("DA:8,1", "DA:8,0").replace("LH:8", "LH:7")).commit("less");
    fails(&other.xtask(&["ci"]), "coverage.max-drop");
    assert_screens!();
}

#[test]
fn unreadable_committed_baseline_is_an_error() {
    let project = shop("baseline = 'base.json'\ncoverage = { max-drop = 0 }\nfindings = { new = 0 }");
    project.publish();
    project.git(&["switch", "-q", "-c", "early"]);
    passes(&project.xtask(&["ci"]));
    project.git(&["switch", "-q", "main"]);
    project.write("base.json", "{\n").commit("broken");
    project.git(&["push", "-q", "origin", "main"]);
    project.git(&["switch", "-q", "-c", "topic"]);
    project.write("new.txt", "").commit("topic");
    let ran = project.xtask(&["ci"]);
    fails(&ran, "coverage.max-drop");
    fails(&ran, "findings.new");
    let broken = project.git(&["rev-parse", "--short=10", "origin/main"]);
    let broken = broken.trim();
    let message =
        format!("the baseline base.json of {broken} (the merge base with origin/main) can't be read");
    ran.says(&message);
    project.xtask(&["baseline", "show"]).ends(5);
    // The record of the commit itself takes precedence over the file, so the problem can be fixed.
    passes(&project.xtask(&["run", "quality", "--at", broken]));
    passes(&project.xtask(&["ci"]));
    assert_screens!();
}
