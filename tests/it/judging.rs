//! Quality gates judged: reports that are no evidence, rules that flip, baselines, and what of it is cached.

use crate::project::{Project, Ran};

const JUNIT: &str = r#"<testsuites tests="3" failures="0"><testsuite name="s" tests="3" failures="0"><testcase classname="s" name="a" time="0.1"/><testcase classname="s" name="b" time="0.1"/><testcase classname="s" name="c" time="0.1"/></testsuite></testsuites>
"#;
const FAILING: &str = r#"<testsuites tests="2" failures="1"><testsuite name="s" tests="2" failures="1"><testcase classname="s" name="a" time="0.1"/><testcase classname="s" name="b" file="src/b.py" line="3" time="0.1"><failure message="expected 1">expected 1</failure></testcase></testsuite></testsuites>
"#;
/// Eight of ten lines, and all of two.
const LCOV: &str = "SF:src/a.py\nDA:1,1\nDA:2,1\nDA:3,1\nDA:4,1\nDA:5,1\nDA:6,1\nDA:7,1\nDA:8,1\nDA:9,0\nDA:10,0\nLF:10\nLH:8\nend_of_record\nSF:billing/b.py\nDA:1,4\nDA:2,4\nLF:2\nLH:2\nend_of_record\n";
const SARIF: &str = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"lint","rules":[{"id":"R1","defaultConfiguration":{"level":"error"}}]}},"results":[{"ruleId":"R1","message":{"text":"old"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/a.py"},"region":{"startLine":2}}}]}]}]}
"#;

/// A task that reports what lies in `in/`, and a gate with these rules.
fn shop(rules: &str) -> Project {
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

fn passes(ran: &Ran) {
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
}

fn fails(ran: &Ran, with: &str) {
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains(with), "{with}: {}", ran.err);
}

#[test]
fn a_gate_is_part_of_what_writes_its_reports_and_is_cached() {
    let project = shop("coverage = { min = 80 }\ntests = { failed = 0, min-count = 3 }");
    let ran = project.xtask(&["ci"]);
    passes(&ran);
    assert!(ran.err.contains("quality") && ran.err.contains("coverage.min"), "{}", ran.err);
    let again = project.xtask(&["ci"]);
    passes(&again);
    assert!(again.err.contains("2 cached, nothing ran"), "{}", again.err);
    // Its reports come back with the hit of the task.
    std::fs::remove_dir_all(project.path("out")).unwrap();
    passes(&project.xtask(&["quality", "--force"]));
    // Other rules judge the same reports, without the task.
    let tasks = project.read("tasks.toml").replace("min = 80", "min = 90");
    project.write("tasks.toml", tasks);
    let ran = project.xtask(&["ci"]);
    fails(&ran, "83.3");
    assert!(ran.err.contains("1 cached"), "{}", ran.err);
    // What was not asked for with its needs is not judged.
    passes(&project.xtask(&["run", "unit", "--only"]));
    fails(&project.xtask(&["run", "unit"]), "coverage.min");
}

#[test]
fn all_rules_are_told_and_not_only_the_first() {
    let project = shop(
        "coverage = { min = 90, paths = { 'billing/**' = 100 } }\ntests = { failed = 0, min-count = 4 }\nfindings = { high = 0, critical = 0 }",
    );
    let ran = project.xtask(&["ci"]);
    fails(&ran, "3 rules are broken");
    for rule in
        ["coverage.min", "coverage.paths", "tests.failed", "tests.min-count", "findings.high", "src/a.py:2"]
    {
        assert!(ran.err.contains(rule), "{rule}: {}", ran.err);
    }
    let explained = project.xtask(&["explain-gate", "quality"]);
    assert!(explained.out.contains("tests.min-count"), "{}{}", explained.out, explained.err);
}

#[test]
fn each_rule_flips_at_its_threshold_and_nothing_else_does() {
    // A rule at its threshold, the same past it, and its name.
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
        passes(&shop(at).xtask(&["ci"]));
        let ran = shop(past).xtask(&["ci"]);
        fails(&ran, rule);
        assert!(ran.err.contains("1 rule is broken"), "{rule}: {}", ran.err);
    }
}

#[test]
fn a_report_that_is_no_evidence_fails_its_task() {
    let files = [("junit.xml", JUNIT), ("lcov.info", LCOV), ("lint.sarif", SARIF)];
    for (at, (file, whole)) in files.iter().enumerate() {
        let project = shop("tests = { failed = 0 }");
        passes(&project.xtask(&["ci"]));
        let other = files[(at + 1) % files.len()].1;
        let path = format!("in/{file}");
        let out = format!("out/{file}");
        let say = |project: &Project, words: &[&str]| {
            let ran = project.xtask(&["ci"]);
            fails(&ran, &out);
            assert!(words.iter().any(|word| ran.err.contains(word)), "{file} {words:?}: {}", ran.err);
        };
        project.write(&path, "");
        say(&project, &["it is empty"]);
        project.write(&path, &whole[..whole.len() / 2]);
        say(&project, &["it is cut off", "it is not"]);
        project.write(&path, other);
        say(&project, &["it is not"]);
        std::fs::remove_file(project.path(&path)).unwrap();
        // What an earlier run left does not count for this one.
        say(&project, &["is older than the task", "was not written"]);
        std::fs::remove_dir_all(project.path("out")).unwrap();
        say(&project, &["was not written"]);
    }
}

/// `unit` reports tests, and `other`, which runs behind it, writes over that and reports coverage.
fn two_writers(unit: &str, other: &str, rules: &str) -> Project {
    let project = Project::new(&format!(
        "[tasks.unit]\nrun = 'mkdir -p out && cp in/{unit} out/junit.xml'\ninputs = ['in/**']\nreports = {{ junit = 'out/junit.xml' }}\n\n[tasks.other]\nrun = 'cp in/lcov.info out/; {other}'\nneeds = ['unit']\ncache = false\nreports = {{ lcov = 'out/lcov.info' }}\n\n[tasks.ci]\nneeds = ['unit', 'other']\n\n[gates.quality]\n{rules}\n"
    ));
    project.write(".gitignore", "out/\n").write("in/good.xml", JUNIT).write("in/bad.xml", FAILING);
    project.write("in/lcov.info", LCOV).commit("reports");
    project
}

#[test]
fn a_gate_is_told_what_a_report_said_when_its_task_ended() {
    let project = two_writers("bad.xml", "cp in/good.xml out/junit.xml", "tests = { failed = 0 }");
    fails(&project.xtask(&["ci"]), "tests.failed");
    let project = two_writers("good.xml", "cp in/bad.xml out/junit.xml", "tests = { failed = 0 }");
    passes(&project.xtask(&["ci"]));
}

#[test]
fn a_report_of_a_hit_that_another_task_changes_fails_the_gate() {
    for other in
        ["cp in/good.xml out/junit.xml", "rm out/junit.xml", "echo >> out/junit.xml", ": > out/junit.xml"]
    {
        let project = two_writers("bad.xml", other, "tests = { failed = 1 }");
        passes(&project.xtask(&["ci"]));
        // Judged anew, by what the cache put back and `other` has spoilt since.
        let tasks = project.read("tasks.toml").replace("failed = 1", "failed = 0");
        project.write("tasks.toml", tasks);
        fails(
            &project.xtask(&["ci"]),
            "report out/junit.xml: it was changed after `unit` ended; do two tasks write it?",
        );
    }
}

#[test]
fn two_gates_are_told_the_same() {
    let rules = "tests = { failed = 0 }\n[gates.more]\ntests = { min-count = 3 }\ncoverage = { min = 80 }";
    let ran = shop(rules).xtask(&["ci"]);
    passes(&ran);
    assert!(ran.err.contains("tests.min-count") && ran.err.contains("tests.failed"), "{}", ran.err);
}

/// A task that runs `first` and fails, and passes at once when it is tried again.
fn tried_twice(first: &str, more: &str) -> Project {
    let project = Project::new(&format!(
        "[tasks.unit]\nrun = 'if test -e ~/tried; then exit 0; fi; : > ~/tried; {first}; exit 1'\nretries = 1\ncache = false\nreports = {{ junit = 'out/junit.xml' }}\n{more}"
    ));
    project.write(".gitignore", "out/\n").write("in.xml", JUNIT).commit("in");
    project
}

#[test]
fn the_report_of_a_failed_attempt_is_none_of_the_next() {
    let write = "mkdir -p out; cp in.xml out/junit.xml";
    fails(&tried_twice(write, "").xtask(&["unit"]), "report out/junit.xml: it was not written");
    fails(
        &tried_twice(write, "sandbox = true\n").xtask(&["unit"]),
        "report out/junit.xml: it was not written",
    );
    // What git tracks stays, and is told.
    let project = tried_twice(write, "");
    project.write("out/junit.xml", FAILING).git(&["add", "-f", "out/junit.xml"]);
    project.commit("tracked");
    fails(&project.xtask(&["unit"]), "report out/junit.xml: it is older than the task");
    assert_eq!(project.read("out/junit.xml"), JUNIT);
    // Outside a repository nothing is known of former runs, but all of this one.
    let project = Project::without_git(&tried_twice(write, "").read("tasks.toml"));
    project.write("in.xml", JUNIT);
    fails(&project.xtask(&["unit"]), "report out/junit.xml: it is older than the task");
}

#[test]
fn a_report_that_was_not_written_is_none_however_young_it_is() {
    let project = shop("tests = { failed = 0 }");
    let tasks = project.read("tasks.toml").replace("cp in/* out/", "cp in/l* out/");
    project.write("tasks.toml", tasks).write("out/junit.xml", JUNIT);
    let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    std::fs::File::open(project.path("out/junit.xml")).unwrap().set_modified(soon).unwrap();
    fails(&project.xtask(&["ci"]), "report out/junit.xml: it is older than the task");
    assert_eq!(project.read("out/junit.xml"), JUNIT, "nobody knows whose it is");
}

/// A task that writes a report for each file in `in/`, as Surefire does for each test class.
fn classes(more: &str) -> Project {
    let project = Project::new(&format!(
        "[tasks.unit]\nrun = 'mkdir -p out; for f in in/*; do cp $f out/TEST-${{f#in/}}; done; test ! -e in/broken.xml'\ninputs = ['in/**']\nreports = {{ junit = 'out/TEST-*.xml' }}\n{more}\n[gates.quality]\ntests = {{ min-count = 1 }}\n"
    ));
    project.write(".gitignore", "out/\n").write("in/a.xml", JUNIT).write("in/b.xml", JUNIT).commit("in");
    project
}

fn remove(project: &Project, path: &str) {
    std::fs::remove_file(project.path(path)).unwrap();
}

#[test]
fn the_report_of_a_test_that_is_gone_goes_with_it() {
    for more in ["", "sandbox = true", "cache = false"] {
        let project = classes(more);
        passes(&project.xtask(&["unit"]));
        remove(&project, "in/b.xml");
        passes(&project.xtask(&["unit"]));
        assert!(!project.path("out/TEST-b.xml").exists(), "{more}");
    }
    // Of a run that failed as well.
    let project = classes("");
    project.write("in/broken.xml", JUNIT);
    fails(&project.xtask(&["unit"]), "exit status 1");
    assert!(project.path("out/TEST-broken.xml").exists());
    remove(&project, "in/broken.xml");
    passes(&project.xtask(&["unit"]));
    // And of what the cache put there.
    let project = classes("");
    passes(&project.xtask(&["unit"]));
    std::fs::remove_dir_all(project.path("out")).unwrap();
    std::fs::remove_dir_all(project.state().join("reports")).unwrap();
    passes(&project.xtask(&["unit"]));
    assert!(project.path("out/TEST-b.xml").exists(), "it is restored");
    remove(&project, "in/b.xml");
    passes(&project.xtask(&["unit"]));
}

#[test]
fn what_is_not_known_to_be_the_task_s_own_is_never_deleted() {
    let project = classes("");
    project.write("out/TEST-mine.xml", JUNIT);
    let ran = project.xtask(&["unit"]);
    fails(&ran, "report out/TEST-mine.xml: it is older than the task that should have written it");
    assert!(project.path("out/TEST-mine.xml").exists());
    fails(&project.xtask(&["unit"]), "out/TEST-mine.xml");
    remove(&project, "out/TEST-mine.xml");
    passes(&project.xtask(&["unit"]));
    // A report that git tracks by now.
    project.git(&["add", "-f", "out/TEST-b.xml"]);
    remove(&project, "in/b.xml");
    project.commit("kept");
    fails(&project.xtask(&["unit"]), "report out/TEST-b.xml: it is older than the task");
    assert_eq!(project.read("out/TEST-b.xml"), JUNIT);
    // Nothing is taken out of a folder elsewhere.
    let project = shop("tests = { failed = 0 }");
    passes(&project.xtask(&["ci"]));
    std::fs::rename(project.path("out"), project.path("../elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", project.path("out")).unwrap();
    project.write("tasks.toml", project.read("tasks.toml").replace("cp in/* out/", "cp in/l* out/"));
    fails(&project.xtask(&["ci"]), "report out/junit.xml: it is older than the task");
    assert_eq!(project.read("../elsewhere/junit.xml"), JUNIT);
}

#[test]
fn a_failed_attempt_in_a_sandbox_tells_its_own_tests() {
    let project = shop("tests = { failed = 0 }");
    project.write("tasks.toml", project.read("tasks.toml").replace("inputs =", "sandbox = true\ninputs ="));
    passes(&project.xtask(&["unit"]));
    let tasks = project.read("tasks.toml").replace("cp in/* out/", "cp in/* out/; exit 1");
    project.write("tasks.toml", tasks).write("in/junit.xml", FAILING);
    let ran = project.xtask(&["unit", "--format", "json"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains(r#""path":"src/b.py""#), "{}", ran.out);
}

#[test]
fn a_report_elsewhere_on_the_machine_is_refused() {
    let project = shop("tests = { failed = 0 }");
    let tasks = project.read("tasks.toml").replace("'out/junit.xml'", "'/tmp/junit.xml'");
    project.write("tasks.toml", tasks);
    let ran = project.xtask(&["ci"]).ends(3);
    let ran = ran.says("tasks.toml:4:").says("`/tmp/junit.xml` is an absolute path");
    ran.says("without the `/`");
}

#[test]
fn a_back_dated_report_fails_its_task() {
    let project = shop("tests = { failed = 0 }");
    let tasks = project
        .read("tasks.toml")
        .replace("cp in/* out/", "cp in/* out/ && touch -d 2020-01-01 out/lcov.info");
    project.write("tasks.toml", tasks);
    fails(
        &project.xtask(&["ci"]),
        "report out/lcov.info: it is older than the task that should have written it",
    );
}

#[test]
fn a_failed_task_still_tells_which_tests_failed() {
    let project = shop("tests = { failed = 0 }");
    let tasks = project.read("tasks.toml").replace("cp in/* out/", "cp in/* out/; exit 1");
    project.write("tasks.toml", tasks).write("in/junit.xml", FAILING);
    let ran = project.xtask(&["ci", "--format", "json"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains(r#""path":"src/b.py""#), "{}", ran.out);
    // The same without the exit status is found by the gate.
    let tasks = project.read("tasks.toml").replace("; exit 1", "");
    project.write("tasks.toml", tasks);
    fails(&project.xtask(&["ci"]), "tests.failed");
}

#[test]
fn a_drop_is_measured_against_the_merge_base() {
    let project = shop("coverage = { max-drop = 2.0 }\nfindings = { new = 0 }");
    let ran = project.xtask(&["ci"]);
    passes(&ran);
    assert!(ran.err.contains("origin/HEAD"), "there is no remote yet: {}", ran.err);
    project.publish();
    let ran = project.xtask(&["ci", "--force"]);
    passes(&ran);
    assert!(ran.err.contains("nothing is recorded of"), "{}", ran.err);
    project.git(&["switch", "-q", "-c", "topic"]);
    // Higher is never a failure.
    project.write("in/lcov.info", LCOV.replace("DA:9,0", "DA:9,1").replace("LH:8", "LH:9")).commit("more");
    let ran = project.xtask(&["ci"]);
    passes(&ran);
    assert!(ran.err.contains("(the merge base with origin/main)"), "{}", ran.err);
    project.write("in/lcov.info", LCOV.replace("DA:8,1", "DA:8,0").replace("LH:8", "LH:7")).commit("less");
    fails(&project.xtask(&["ci"]), "coverage.max-drop");
    // The gate of the commit asks the same question, and so has the same answer.
    project.write("tasks.toml", format!("{}\n[hooks]\npre-push = ['ci']\n", project.read("tasks.toml")));
    project.commit("gated");
    fails(&project.xtask(&["gate"]), "coverage.max-drop");
}

#[test]
fn what_is_recorded_of_no_commit_can_be_asked_of_another() {
    let project = shop("findings = { new = 0 }");
    let ran = project.xtask(&["baseline", "show"]).ends(5).says("`origin/HEAD` is no base to compare with");
    ran.says("or name another: xtask baseline show REV\n").does_not_say("--affected");
    project.xtask(&["baseline", "show", "HEAD"]).ends(0).prints("nothing is recorded of");
}

#[test]
fn a_finding_that_moves_is_not_new_and_another_is() {
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
fn what_is_accepted_makes_no_room_for_another_of_its_kind() {
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
fn a_gate_alone_has_no_evidence() {
    let project = shop("tests = { failed = 0 }");
    passes(&project.xtask(&["run", "unit", "--only"]));
    fails(&project.xtask(&["run", "quality", "--only"]), "not run with `--only`");
}

#[test]
fn a_secret_in_a_report_is_hidden_everywhere() {
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
    fails(&ran, "licences");
    let records = std::fs::read_dir(project.state().join("runs")).unwrap().map(|file| file.unwrap().path());
    let texts = records.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
    let others = ["../j.xml", "../s.md"].map(|path| project.read(path));
    for text in texts.chain(others).chain([ran.err.clone(), ran.out.clone()]) {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_sandboxed_task_may_write_the_same_report_again() {
    let project = shop("tests = { failed = 0 }");
    let tasks = project.read("tasks.toml").replace("inputs =", "sandbox = true\ninputs =");
    project.write("tasks.toml", tasks);
    passes(&project.xtask(&["ci"]));
    project.write("in/more", "");
    passes(&project.xtask(&["ci"]));
}

#[test]
fn a_suppression_that_has_expired_fails() {
    let rules = |expires: &str| {
        format!(
            "findings = {{ high = 0 }}\nsuppress = [{{ rule = 'R1', path = 'src/**', reason = 'known', expires = {expires} }}]"
        )
    };
    passes(&shop(&rules("2999-12-31")).xtask(&["ci"]));
    fails(&shop(&rules("2020-01-01")).xtask(&["ci"]), "expired");
}

#[test]
fn what_was_recorded_is_shared_by_notes_and_by_a_file() {
    let project = shop("baseline = 'baseline.json'\ncoverage = { max-drop = 0 }");
    project.publish();
    passes(&project.xtask(&["ci"]));
    let pushed = project.xtask(&["baseline", "push"]);
    passes(&pushed);
    let clone = project.cloned();
    clone.git(&["switch", "-q", "-c", "topic"]);
    clone.write("in/lcov.info", LCOV.replace("DA:8,1", "DA:8,0").replace("LH:8", "LH:7")).commit("less");
    let ran = clone.xtask(&["ci"]);
    passes(&ran);
    assert!(ran.err.contains("xtask baseline fetch"), "{}", ran.err);
    passes(&clone.xtask(&["baseline", "fetch"]));
    let shown = clone.xtask(&["baseline", "show"]);
    assert!(shown.out.contains("quality: 10 of 12 lines covered"), "{}", shown.out);
    fails(&clone.xtask(&["ci"]), "coverage.max-drop");
    // A committed file counts as the merge base has it.
    passes(&project.xtask(&["baseline", "write", "baseline.json"]));
    project.commit("baseline");
    project.git(&["push", "-q", "origin", "main"]);
    let other = project.cloned();
    other.git(&["switch", "-q", "-c", "topic"]);
    other.write("in/lcov.info", LCOV.replace("DA:8,1", "DA:8,0").replace("LH:8", "LH:7")).commit("less");
    fails(&other.xtask(&["ci"]), "coverage.max-drop");
}

#[test]
fn shards_leave_their_gates_to_the_merge() {
    let tasks = |min: u32| {
        format!(
            "[tasks.unit]\nrun = 'mkdir -p out && cp in/junit.xml out/'\nreports = {{ junit = 'out/junit.xml' }}\n[tasks.cover]\nrun = 'mkdir -p out && cp in/lcov.info out/'\nreports = {{ lcov = 'out/lcov.info' }}\n[tasks.ci]\nneeds = ['unit', 'cover']\n[gates.quality]\ncoverage = {{ min = {min} }}\ntests = {{ failed = 0, min-count = 3 }}\n"
        )
    };
    for (min, status) in [(83, 0), (84, 1)] {
        let project = Project::new(&tasks(min));
        project.write(".gitignore", "out/\n").write("in/junit.xml", JUNIT).write("in/lcov.info", LCOV);
        project.commit("reports");
        for shard in ["1", "2"] {
            let manifest = format!("../{shard}.json");
            let ran = project.xtask(&["ci", "--shard", &format!("{shard}/2"), "--manifest", &manifest]);
            passes(&ran);
            assert!(!ran.err.contains("coverage.min"), "{}", ran.err);
        }
        let merged = project.xtask(&["merge-runs", "../1.json", "../2.json"]);
        assert_eq!(merged.status, status, "{}{}", merged.out, merged.err);
        assert!(
            merged.out.contains("coverage.min") && merged.out.contains("tests.min-count"),
            "{}",
            merged.out
        );
    }
}

/// What becomes of the report of this number; `None`: it is deleted.
type Change<'c> = &'c dyn Fn(usize) -> Option<Vec<u8>>;

/// Reports that real tools wrote, of each kind.
const RECORDED: [(&str, &str); 17] = [
    ("junit", "pytest/shop.xml"),
    ("junit", "jest/sum.xml"),
    ("junit", "nextest/till.xml"),
    ("junit", "playwright/till.xml"),
    ("junit", "node/node.xml"),
    ("lcov", "coverage.py/lcov.info"),
    ("lcov", "node/lcov.info"),
    ("cobertura", "jest/cobertura.xml"),
    ("sarif", "semgrep/shop.sarif"),
    ("sarif", "bandit/shop.sarif"),
    ("sarif", "zizmor/ci.sarif"),
    ("secrets", "secretlint/leak.sarif"),
    ("cyclonedx", "npm/shop.cdx.json"),
    ("cyclonedx", "cyclonedx-py/shop.cdx.json"),
    ("spdx", "npm/shop.spdx.json"),
    ("k6", "k6/handle-summary.json"),
    ("sonar", "sonar/passed.json"),
];

#[test]
fn each_report_of_a_real_tool_is_evidence_only_as_it_was_written() {
    let kept = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reports");
    let mut tasks = String::new();
    for (at, (kind, _)) in RECORDED.iter().enumerate() {
        tasks.push_str(&format!(
            "[tasks.t{at}]\ngroup = 'all'\nrun = '''mkdir -p out; rm -f out/{at}; if test -e in/{at}; then cp in/{at} out/; fi; if test -e in/old; then touch -d 2020-01-01 out/{at}; fi'''\ninputs = ['in/{at}', 'in/old']\nreports = {{ {kind} = 'out/{at}' }}\n"
        ));
    }
    let project = Project::new(&tasks);
    project.write(".gitignore", "out/\n");
    let whole: Vec<Vec<u8>> =
        RECORDED.iter().map(|(_, path)| std::fs::read(kept.join(path)).unwrap()).collect();
    let put = |change: Change<'_>| {
        for at in 0..RECORDED.len() {
            match change(at) {
                Some(bytes) => drop(project.write(&format!("in/{at}"), bytes)),
                None => std::fs::remove_file(project.path(&format!("in/{at}"))).unwrap(),
            }
        }
        project.xtask(&["all", "--keep-going", "--format", "json"])
    };
    let ends = |ran: &Ran| -> Vec<(String, String)> {
        let events = ran.events().into_iter().filter(|event| event["event"] == "task-finished");
        let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        events.map(|event| (word(&event["task"]), word(&event["status"]["ended"]["how"]))).collect()
    };
    passes(&put(&|at| Some(whole[at].clone())));
    // The next of another kind.
    let other = |at: usize| {
        let mut others = (1..RECORDED.len()).map(|on| (at + on) % RECORDED.len());
        let is_sarif = |kind: &str| ["sarif", "secrets"].contains(&kind);
        let differs = |other: &usize| {
            let (own, its) = (RECORDED[at].0, RECORDED[*other].0);
            own != its && !(is_sarif(own) && is_sarif(its))
        };
        whole[others.find(differs).unwrap()].clone()
    };
    let changes: [(&str, Change<'_>); 4] = [
        ("emptied", &|_| Some(Vec::new())),
        ("cut off", &|at| Some(whole[at][..whole[at].len() * 2 / 3].to_vec())),
        ("of another kind", &|at| Some(other(at))),
        ("deleted", &|_| None),
    ];
    for (what, change) in changes {
        let ran = put(change);
        assert_eq!(ran.status, 1, "{what}");
        let ends = ends(&ran);
        assert_eq!(ends.len(), RECORDED.len(), "{what}");
        assert!(ends.iter().all(|(_, how)| how == "report"), "{what}: {ends:?}");
    }
    project.write("in/old", "");
    let ran = put(&|at| Some(whole[at].clone()));
    assert!(ran.status == 1 && ends(&ran).iter().all(|(_, how)| how == "report"), "{:?}", ends(&ran));
    assert!(ran.out.contains("it is older than the task"), "{}", ran.out);
}
