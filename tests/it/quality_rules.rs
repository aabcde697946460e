//! Judging of quality gates: rules at their limits, what is reported about them, and what is
//! cached.

use crate::project::{CommandOutput, Project};

pub(crate) const JUNIT: &str = r#"<testsuites tests="3" failures="0"><testsuite name="s" tests="3" failures="0"><testcase classname="s" name="a" time="0.1"/><testcase classname="s" name="b" time="0.1"/><testcase classname="s" name="c" time="0.1"/></testsuite></testsuites>
"#;
pub(crate) const FAILING: &str = r#"<testsuites tests="2" failures="1"><testsuite name="s" tests="2" failures="1"><testcase classname="s" name="a" time="0.1"/><testcase classname="s" name="b" file="src/b.py" line="3" time="0.1"><failure message="expected 1">expected 1</failure></testcase></testsuite></testsuites>
"#;
/// Covers eight of ten lines of one file, and all two lines of another.
pub(crate) const LCOV: &str = "SF:src/a.py\nDA:1,1\nDA:2,1\nDA:3,1\nDA:4,1\nDA:5,1\nDA:6,1\nDA:7,1\nDA:8,1\nDA:9,0\nDA:10,0\nLF:10\nLH:8\nend_of_record\nSF:billing/b.py\nDA:1,4\nDA:2,4\nLF:2\nLH:2\nend_of_record\n";
pub(crate) const SARIF: &str = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"lint","rules":[{"id":"R1","defaultConfiguration":{"level":"error"}}]}},"results":[{"ruleId":"R1","message":{"text":"old"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/a.py"},"region":{"startLine":2}}}]}]}]}
"#;

/// Creates a task that copies `in/` to `out/` as its reports, and a gate with these rules.
pub(crate) fn project_with_gate(rules: &str) -> Project {
    let tasks = format!(
        "[tasks.unit]\nrun = 'mkdir -p out && cp in/* out/'\ninputs = ['in/**']\nreports = {{ junit = 'out/junit.xml', lcov = 'out/lcov.info', sarif = 'out/lint.sarif' }}\n\n[tasks.ci]\nneeds = ['unit']\n\n[gates.quality]\n{rules}\n"
    );
    let project = Project::new(&tasks);
    project.write(".gitignore", "out/\n").write("in/junit.xml", JUNIT).write("in/lcov.info", LCOV);
    project.write("in/lint.sarif", SARIF);
    project.write("src/a.py", "one\ntwo\nthree\n").write("billing/b.py", "x\n");
    project.commit("reports");
    project
}

pub(crate) fn assert_passes(ran: &CommandOutput) {
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
}

pub(crate) fn assert_fails(ran: &CommandOutput, with: &str) {
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains(with), "{with}: {}", ran.err);
}

#[test]
fn gate_needs_the_tasks_with_its_reports_and_is_cached() {
    let project = project_with_gate("coverage = { min = 80 }\ntests = { failed = 0, min-count = 3 }");
    let ran = project.xtask(&["ci"]);
    assert_passes(&ran);
    let again = project.xtask(&["ci"]);
    assert_passes(&again);
    // A hit of the task restores its reports.
    std::fs::remove_dir_all(project.path("out")).unwrap();
    assert_passes(&project.xtask(&["quality", "--force"]));
    // Changed rules are applied to the same reports without running the task.
    let tasks = project.read("tasks.toml").replace("min = 80", "min = 90");
    project.write("tasks.toml", tasks);
    let ran = project.xtask(&["ci"]);
    assert_fails(&ran, "83.3");
    // With `--only`, the gate is not judged.
    assert_passes(&project.xtask(&["run", "unit", "--only"]));
    assert_fails(&project.xtask(&["run", "unit"]), "coverage.min");
    assert_screens!();
}

#[test]
fn all_rules_are_reported() {
    let project = project_with_gate(
        "coverage = { min = 90, paths = { 'billing/**' = 100 } }\ntests = { failed = 0, min-count = 4 }\nfindings = { high = 0, critical = 0 }",
    );
    let ran = project.xtask(&["ci"]);
    assert_fails(&ran, "3 rules are broken");
    for rule in
        ["coverage.min", "coverage.paths", "tests.failed", "tests.min-count", "findings.high", "src/a.py:2"]
    {
        assert!(ran.err.contains(rule), "{rule}: {}", ran.err);
    }
    project.xtask(&["explain-gate", "quality"]);
    assert_screens!();
}

#[test]
fn each_rule_changes_only_at_its_own_threshold() {
    // Each case is a rule at its limit, the same rule beyond the limit, and the name of the rule.
    let cases = [
        ("coverage = { min = 83.3 }", "coverage = { min = 83.4 }", "coverage.min"),
        (
            "coverage = { min = 83, paths = { 'src/**' = 80 } }",
            "coverage = { min = 83, paths = { 'src/**' = 80.1 } }",
            "coverage.paths",
        ),
        ("tests = { min-count = 3 }", "tests = { min-count = 4 }", "tests.min-count"),
        ("findings = { high = 1 }", "findings = { high = 0 }", "findings.high"),
        (
            "findings = { total = 1, critical = 0 }",
            "findings = { total = 0, critical = 0 }",
            "findings.total",
        ),
    ];
    for (at, past, rule) in cases {
        assert_passes(&project_with_gate(at).xtask(&["ci"]));
        let ran = project_with_gate(past).xtask(&["ci"]);
        assert_fails(&ran, rule);
    }
    assert_screens!();
}
#[test]
fn failed_task_names_its_failed_tests() {
    let project = project_with_gate("tests = { failed = 0 }");
    let tasks = project.read("tasks.toml").replace("cp in/* out/", "cp in/* out/; exit 1");
    project.write("tasks.toml", tasks).write("in/junit.xml", FAILING);
    let ran = project.xtask(&["ci", "--format", "json"]);
    assert_eq!(ran.status, 1);
    // Without the exit status, the gate still finds the failure.
    let tasks = project.read("tasks.toml").replace("; exit 1", "");
    project.write("tasks.toml", tasks);
    assert_fails(&project.xtask(&["ci"]), "tests.failed");
    assert_screens!();
}

#[test]
fn gate_without_its_tasks_has_no_reports() {
    let project = project_with_gate("tests = { failed = 0 }");
    assert_passes(&project.xtask(&["run", "unit", "--only"]));
    assert_fails(&project.xtask(&["run", "quality", "--only"]), "the task did not run, because of `--only`");
}

#[test]
fn secret_in_a_report_is_masked_everywhere() {
    let tasks = r#"[tasks.scan]
run = '''mkdir -p out; printf '{"facts":1,"examined":1,"packages":[{"name":"%s","version":"1","licences":["%s"]}],"measures":{"m.%s":1}}' $TOK $TOK $TOK > out/f.json'''
secret-env = ["TOK"]
reports = { facts = "out/f.json" }
[gates.q]
licences = { allow = ["MIT"] }
"#;
    let project = Project::new(tasks);
    project.write(".gitignore", "out/\n").commit("ignored");
    let args = ["scan", "--junit", "../j.xml", "--summary", "../s.md"];
    let ran = project.xtask_env(&args, &[("TOK", "hunter2hunter2")]);
    assert_fails(&ran, "licences");
    let records = std::fs::read_dir(project.state().join("runs")).unwrap().map(|file| file.unwrap().path());
    let texts = records.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
    let others = ["../j.xml", "../s.md"].map(|path| project.read(path));
    for text in texts.chain(others).chain([ran.err.clone(), ran.out.clone()]) {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn expired_suppression_fails() {
    let rules = |expires: &str| {
        format!(
            "findings = {{ high = 0 }}\nsuppress = [{{ rule = 'R1', path = 'src/**', reason = 'known', expires = {expires} }}]"
        )
    };
    assert_passes(&project_with_gate(&rules("2999-12-31")).xtask(&["ci"]));
    assert_fails(&project_with_gate(&rules("2020-01-01")).xtask(&["ci"]), "expired");
}

#[test]
fn gates_of_shards_are_left_to_the_merge() {
    let tasks = |min: u32| {
        format!(
            r"
            [tasks.unit]
            run = 'mkdir -p out && cp in/junit.xml out/'
            reports = {{ junit = 'out/junit.xml' }}
            [tasks.cover]
            run = 'mkdir -p out && cp in/lcov.info out/'
            reports = {{ lcov = 'out/lcov.info' }}
            [tasks.ci]
            needs = ['unit', 'cover']
            [gates.quality]
            coverage = {{ min = {min} }}
            tests = {{ failed = 0, min-count = 3 }}
            "
        )
    };
    for (min, status) in [(83, 0), (84, 1)] {
        let project = Project::new(&tasks(min));
        project.write(".gitignore", "out/\n").write("in/junit.xml", JUNIT).write("in/lcov.info", LCOV);
        project.commit("reports");
        for shard in ["1", "2"] {
            let manifest = format!("../{shard}.json");
            let ran = project.xtask(&["ci", "--shard", &format!("{shard}/2"), "--manifest", &manifest]);
            assert_passes(&ran);
        }
        let merged = project.xtask(&["merge-runs", "../1.json", "../2.json"]);
        assert_eq!(merged.status, status, "{}{}", merged.out, merged.err);
    }
    assert_screens!();
}

#[test]
fn old_verdict_is_not_shown_as_that_of_a_newer_run() {
    let project = project_with_gate("tests = { failed = 0 }");
    project.xtask(&["explain-gate", "quality"]).ends(4);
    assert_passes(&project.xtask(&["ci"]));
    project.xtask(&["explain-gate", "quality"]).ends(0);
    project.git(&["rm", "-q", "in/junit.xml"]);
    project.commit("no report");
    project.xtask(&["ci"]).ends(1);
    let shown = project.xtask(&["explain-gate", "quality"]).ends(0);
    let second = shown.out.lines().nth(1).unwrap_or_default();
    assert!(second.starts_with("  in the newer run "), "{}", shown.out);
    assert!(second.ends_with(" it was not judged: unit did not pass"), "{}", shown.out);
    let json = project.xtask(&["explain-gate", "quality", "--json"]).ends(0).json();
    assert_eq!(json["unjudged_since"]["why"], "unit did not pass");
    project.write("in/junit.xml", JUNIT).commit("back");
    assert_passes(&project.xtask(&["ci", "--force"]));
    project.xtask(&["explain-gate", "quality"]).ends(0);
    assert_screens!();
}

#[test]
fn gate_of_a_task_for_another_system_is_skipped() {
    let other = if cfg!(target_os = "macos") { "linux" } else { "macos" };
    let here = std::env::consts::OS;
    let task = |name: &str, os: &str, reports: &str| {
        format!(
            r"
            [tasks.{name}]
            run = 'mkdir -p out && cp in/* out/'
            inputs = ['in/**']
            os = ['{os}']
            reports = {{ {reports} }}
            "
        )
    };
    let mac = task("mac", other, "junit = 'out/junit.xml'");
    let ci = r"
        [tasks.ci]
        needs = ['mac']
        [gates.quality]
        of = ['mac']
        tests = { failed = 0 }
        ";
    let project = Project::new(&format!("{mac}{ci}"));
    project
        .write(".gitignore", "out/\n")
        .write("in/junit.xml", JUNIT)
        .write("in/lcov.info", LCOV)
        .commit("all");
    let ran = project.xtask(&["ci", "quality"]).ends(0);
    ran.says(&format!("reads only mac, which does not run on {here}"));
    project.xtask(&["ci", "--shard", "1/1", "--manifest", "../s.json"]).ends(0);
    let merged = project.xtask(&["merge-runs", "../s.json"]).ends(0);
    merged.prints(&format!("is not judged: reads only mac, which does not run on {here}"));
    // The gate also reads a task that runs on this system, but that task reports only coverage.
    let own = task("own", here, "lcov = 'out/lcov.info'");
    let ci = ci.replace("['mac']", "['mac', 'own']");
    project.write("tasks.toml", format!("{mac}{own}{ci}")).commit("both");
    let ran = project.xtask(&["ci", "quality"]);
    assert_fails(&ran, &format!("mac does not run on {here}"));
    project.xtask(&["ci", "--shard", "1/1", "--manifest", "../s.json"]).ends(0);
    let merged = project.xtask(&["merge-runs", "../s.json"]).ends(1);
    merged.prints(&format!("mac does not run on {here}"));
    assert_screens!();
}
