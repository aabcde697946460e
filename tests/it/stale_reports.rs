//! Which reports count: only those that their task wrote, unchanged.

use crate::project::{CommandOutput, Project};
use crate::quality_rules::{FAILING, JUNIT, LCOV, SARIF, assert_fails, assert_passes, project_with_gate};

#[test]
fn invalid_report_fails_its_task() {
    let files = [("junit.xml", JUNIT), ("lcov.info", LCOV), ("lint.sarif", SARIF)];
    for (at, (file, whole)) in files.iter().enumerate() {
        let project = project_with_gate("tests = { failed = 0 }");
        assert_passes(&project.xtask(&["ci"]));
        let other = files[(at + 1) % files.len()].1;
        let path = format!("in/{file}");
        let out = format!("out/{file}");
        let say = |project: &Project, words: &[&str]| {
            let ran = project.xtask(&["ci"]);
            assert_fails(&ran, &out);
            assert!(words.iter().any(|word| ran.err.contains(word)), "{file} {words:?}: {}", ran.err);
        };
        project.write(&path, "");
        say(&project, &["empty"]);
        project.write(&path, &whole[..whole.len() / 2]);
        say(&project, &["cut off", ": not a"]);
        project.write(&path, other);
        say(&project, &[": not a"]);
        std::fs::remove_file(project.path(&path)).unwrap();
        // Files from an earlier run do not count for this one.
        say(&project, &["stale: it was last written", "missing: "]);
        std::fs::remove_dir_all(project.path("out")).unwrap();
        say(&project, &["missing: the task did not write it"]);
    }
}

/// Creates a project in which `unit` reports tests. `other` runs after it, overwrites its report
/// and reports coverage.
fn two_writers(unit: &str, other: &str, rules: &str) -> Project {
    let project = Project::new(&format!(
        r"
        [tasks.unit]
        run = 'mkdir -p out && cp in/{unit} out/junit.xml'
        inputs = ['in/**']
        reports = {{ junit = 'out/junit.xml' }}

        [tasks.other]
        run = 'cp in/lcov.info out/; {other}'
        needs = ['unit']
        cache = false
        reports = {{ lcov = 'out/lcov.info' }}

        [tasks.ci]
        needs = ['unit', 'other']

        [gates.quality]
        {rules}
        "
    ));
    project.write(".gitignore", "out/\n").write("in/good.xml", JUNIT).write("in/bad.xml", FAILING);
    project.write("in/lcov.info", LCOV).commit("reports");
    project
}

#[test]
fn gate_reads_reports_as_they_were_when_the_task_ended() {
    let project = two_writers("bad.xml", "cp in/good.xml out/junit.xml", "tests = { failed = 0 }");
    assert_fails(&project.xtask(&["ci"]), "tests.failed");
    let project = two_writers("good.xml", "cp in/bad.xml out/junit.xml", "tests = { failed = 0 }");
    assert_passes(&project.xtask(&["ci"]));
}

#[test]
fn report_of_a_hit_changed_by_another_task_fails_the_gate() {
    for other in
        ["cp in/good.xml out/junit.xml", "rm out/junit.xml", "echo >> out/junit.xml", ": > out/junit.xml"]
    {
        let project = two_writers("bad.xml", other, "tests = { failed = 1 }");
        assert_passes(&project.xtask(&["ci"]));
        // With new rules the gate is judged again, with the report that the cache restored and
        // `other` has overwritten since.
        let tasks = project.read("tasks.toml").replace("failed = 1", "failed = 0");
        project.write("tasks.toml", tasks);
        assert_fails(
            &project.xtask(&["ci"]),
            "report out/junit.xml: changed after `unit` ended; do two tasks write it?",
        );
        // A shard that would pass the report on fails too.
        let ran = project.xtask(&["ci", "--shard", "1/1"]);
        assert_fails(&ran, "unit: report out/junit.xml: changed after `unit` ended");
    }
    assert_screens!();
}

#[test]
fn report_through_a_symlink_counts_for_one_run_only() {
    for (link, dir) in
        [("ln -sf ../real/x.xml rep/a.xml", "rep"), ("ln -sfn real rep; mv real/x.xml real/a.xml", ".")]
    {
        let project = Project::new(&format!(
            r"
            [tasks.unit]
            run = 'mkdir -p {dir} real; cp in.xml real/x.xml; {link}'
            inputs = ['in.xml']
            reports = {{ junit = 'rep/a.xml' }}

            [gates.quality]
            tests = {{ failed = 0 }}
            "
        ));
        project.write(".gitignore", "rep\nreal/\n").write("in.xml", FAILING).commit("in");
        let ran = project.xtask(&["quality"]);
        assert_fails(&ran, "tests.failed");
        // The target of the symlink is changed by hand. The gate must still fail.
        project.write("real/x.xml", JUNIT).write("real/a.xml", JUNIT);
        assert_fails(&project.xtask(&["quality"]), "tests.failed");
        // A gate that holds is not a hit after its report changed.
        project.write("in.xml", JUNIT);
        assert_passes(&project.xtask(&["quality"]));
        project.write("real/x.xml", FAILING).write("real/a.xml", FAILING);
        let ran = project.xtask(&["quality", "--format", "json"]);
        assert_eq!(ran.status, 0, "the task runs again and the gate is judged again: {}", ran.out);
    }
    assert_screens!();
}

#[test]
fn two_gates_read_the_same_reports() {
    let rules = "tests = { failed = 0 }\n[gates.more]\ntests = { min-count = 3 }\ncoverage = { min = 80 }";
    let ran = project_with_gate(rules).xtask(&["ci", "-j1"]);
    assert_passes(&ran);
    assert_screens!();
}

/// Creates a task that runs `first` and fails, and succeeds without writing anything when it is
/// retried.
fn task_with_retry(first: &str, more: &str) -> Project {
    let project = Project::new(&format!(
        "[tasks.unit]\nrun = 'if test -e ~/tried; then exit 0; fi; : > ~/tried; {first}; exit 1'\nretries = 1\ncache = false\nreports = {{ junit = 'out/junit.xml' }}\n{more}"
    ));
    project.write(".gitignore", "out/\n").write("in.xml", JUNIT).commit("in");
    project
}

#[test]
fn report_of_a_failed_attempt_does_not_count_for_the_next() {
    let write = "mkdir -p out; cp in.xml out/junit.xml";
    assert_fails(
        &task_with_retry(write, "").xtask(&["unit"]),
        "report out/junit.xml: missing: the task did not write it",
    );
    assert_fails(
        &task_with_retry(write, "sandbox = true\n").xtask(&["unit"]),
        "report out/junit.xml: missing: the task did not write it",
    );
    // A stale report that git tracks is not removed, but is reported.
    let project = task_with_retry(write, "");
    project.write("out/junit.xml", FAILING).git(&["add", "-f", "out/junit.xml"]);
    project.commit("tracked");
    assert_fails(
        &project.xtask(&["unit"]),
        "report out/junit.xml: stale: it was last written before the task",
    );
    assert_eq!(project.read("out/junit.xml"), JUNIT);
    // Outside a repository, the report of the failed attempt is still detected as stale.
    let project = Project::without_git(&task_with_retry(write, "").read("tasks.toml"));
    project.write("in.xml", JUNIT);
    assert_fails(
        &project.xtask(&["unit"]),
        "report out/junit.xml: stale: it was last written before the task",
    );
}

#[test]
fn unwritten_report_is_stale_at_any_age() {
    let project = project_with_gate("tests = { failed = 0 }");
    let tasks = project.read("tasks.toml").replace("cp in/* out/", "cp in/l* out/");
    project.write("tasks.toml", tasks).write("out/junit.xml", JUNIT);
    let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    std::fs::File::open(project.path("out/junit.xml")).unwrap().set_modified(soon).unwrap();
    assert_fails(&project.xtask(&["ci"]), "report out/junit.xml: stale: it was last written before the task");
    assert_eq!(project.read("out/junit.xml"), JUNIT, "the origin of the file is unknown");
}

/// Creates a task that writes a report for each file in `in/`, as Surefire does for each test
/// class.
fn project_with_classes(more: &str) -> Project {
    let project = Project::new(&format!(
        r"
        [tasks.unit]
        run = 'mkdir -p out; for f in in/*; do cp $f out/TEST-${{f#in/}}; done; test ! -e in/broken.xml'
        inputs = ['in/**']
        reports = {{ junit = 'out/TEST-*.xml' }}
        {more}
        [gates.quality]
        tests = {{ min-count = 1 }}
        "
    ));
    project.write(".gitignore", "out/\n").write("in/a.xml", JUNIT).write("in/b.xml", JUNIT).commit("in");
    project
}

fn remove(project: &Project, path: &str) {
    std::fs::remove_file(project.path(path)).unwrap();
}

#[test]
fn report_of_a_removed_test_is_removed() {
    for more in ["", "sandbox = true", "cache = false"] {
        let project = project_with_classes(more);
        assert_passes(&project.xtask(&["unit"]));
        remove(&project, "in/b.xml");
        assert_passes(&project.xtask(&["unit"]));
        assert!(!project.path("out/TEST-b.xml").exists(), "{more}");
    }
    // Stale reports of a failed run are removed too.
    let project = project_with_classes("");
    project.write("in/broken.xml", JUNIT);
    assert_fails(&project.xtask(&["unit"]), "exit status 1");
    assert!(project.path("out/TEST-broken.xml").exists());
    remove(&project, "in/broken.xml");
    assert_passes(&project.xtask(&["unit"]));
    // Stale reports that the cache restored are removed too.
    let project = project_with_classes("");
    assert_passes(&project.xtask(&["unit"]));
    std::fs::remove_dir_all(project.path("out")).unwrap();
    std::fs::remove_dir_all(project.state().join("reports")).unwrap();
    assert_passes(&project.xtask(&["unit"]));
    assert!(project.path("out/TEST-b.xml").exists(), "the report is restored");
    remove(&project, "in/b.xml");
    assert_passes(&project.xtask(&["unit"]));
}

#[test]
fn files_not_known_to_be_the_tasks_own_are_never_deleted() {
    let project = project_with_classes("");
    project.write("out/TEST-mine.xml", JUNIT);
    let ran = project.xtask(&["unit"]);
    assert_fails(&ran, "report out/TEST-mine.xml: stale: it was last written before the task started");
    assert!(project.path("out/TEST-mine.xml").exists());
    assert_fails(&project.xtask(&["unit"]), "out/TEST-mine.xml");
    remove(&project, "out/TEST-mine.xml");
    assert_passes(&project.xtask(&["unit"]));
    // A stale report that git tracks by now is not removed.
    project.git(&["add", "-f", "out/TEST-b.xml"]);
    remove(&project, "in/b.xml");
    project.commit("kept");
    assert_fails(
        &project.xtask(&["unit"]),
        "report out/TEST-b.xml: stale: it was last written before the task",
    );
    assert_eq!(project.read("out/TEST-b.xml"), JUNIT);
    // Nothing is removed through a symlink to a folder outside the work tree.
    let project = project_with_gate("tests = { failed = 0 }");
    assert_passes(&project.xtask(&["ci"]));
    std::fs::rename(project.path("out"), project.path("../elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", project.path("out")).unwrap();
    project.write("tasks.toml", project.read("tasks.toml").replace("cp in/* out/", "cp in/l* out/"));
    assert_fails(&project.xtask(&["ci"]), "report out/junit.xml: stale: it was last written before the task");
    assert_eq!(project.read("../elsewhere/junit.xml"), JUNIT);
}

#[test]
fn other_file_at_a_former_report_path_is_not_deleted() {
    // A report that was changed by hand after the run is not removed.
    let project = project_with_classes("");
    assert_passes(&project.xtask(&["unit"]));
    remove(&project, "in/b.xml");
    project.write("out/TEST-b.xml", FAILING);
    assert_fails(
        &project.xtask(&["unit"]),
        "report out/TEST-b.xml: stale: it was last written before the task",
    );
    assert_eq!(project.read("out/TEST-b.xml"), FAILING);
    remove(&project, "out/TEST-b.xml");
    assert_passes(&project.xtask(&["unit"]));
    // A file is not removed from a work tree in which the task never wrote it.
    let project = project_with_classes("");
    assert_passes(&project.xtask(&["unit"]));
    project.git(&["worktree", "add", "-q", "--detach", "../linked"]);
    project.write("../linked/out/TEST-b.xml", JUNIT).write("../linked/in/c.xml", JUNIT);
    remove(&project, "../linked/in/b.xml");
    let linked = project.parent_folder().join("linked");
    let ran = project.xtask_command(&["unit"]).current_dir(&linked).output().unwrap();
    assert_fails(
        &CommandOutput::from_output(ran),
        "report out/TEST-b.xml: stale: it was last written before the task",
    );
    assert_eq!(project.read("../linked/out/TEST-b.xml"), JUNIT);
}

#[test]
fn failed_attempt_in_a_sandbox_names_its_own_failed_tests() {
    let project = project_with_gate("tests = { failed = 0 }");
    project.write("tasks.toml", project.read("tasks.toml").replace("inputs =", "sandbox = true\ninputs ="));
    assert_passes(&project.xtask(&["unit"]));
    let tasks = project.read("tasks.toml").replace("cp in/* out/", "cp in/* out/; exit 1");
    project.write("tasks.toml", tasks).write("in/junit.xml", FAILING);
    let ran = project.xtask(&["unit", "--format", "json"]);
    assert_eq!(ran.status, 1);
    assert_screens!();
}

#[test]
fn report_outside_the_repository_is_refused() {
    let project = project_with_gate("tests = { failed = 0 }");
    let tasks = project.read("tasks.toml").replace("'out/junit.xml'", "'/tmp/junit.xml'");
    project.write("tasks.toml", tasks);
    project.xtask(&["ci"]).ends(3);
    assert_screens!();
}

#[test]
fn backdated_report_fails_its_task() {
    let project = project_with_gate("tests = { failed = 0 }");
    let tasks = project
        .read("tasks.toml")
        .replace("cp in/* out/", "cp in/* out/ && touch -d 2020-01-01 out/lcov.info");
    project.write("tasks.toml", tasks);
    assert_fails(
        &project.xtask(&["ci"]),
        "report out/lcov.info: stale: it was last written before the task started",
    );
}

#[test]
fn copy_of_an_earlier_report_is_stale() {
    for more in ["", "sandbox = true"] {
        let project = Project::new(&format!(
            r"
            [tasks.unit]
            run = 'mkdir -p out; cp -p in.xml out/a.xml; test ! -e whole || touch -d @$(date +%s) out/a.xml'
            inputs = ['in.xml', 'whole']
            reports = {{ junit = 'out/a.xml' }}
            {more}
            "
        ));
        project.write(".gitignore", "out/\n").write("in.xml", JUNIT).commit("in");
        let before = std::time::SystemTime::now() - std::time::Duration::from_millis(500);
        std::fs::File::open(project.path("in.xml")).unwrap().set_modified(before).unwrap();
        assert_fails(
            &project.xtask(&["unit"]),
            "report out/a.xml: stale: it was last written before the task",
        );
        // Archives restore times in whole seconds. Such a report is accepted.
        project.write("whole", "");
        assert_passes(&project.xtask(&["unit"]));
    }
}

#[test]
fn all_files_that_have_to_be_deleted_are_named() {
    let project = project_with_classes("");
    for name in ["1", "2"] {
        project.write(&format!("out/TEST-{name}.xml"), JUNIT);
    }
    assert_fails(
        &project.xtask(&["unit"]),
        "report out/TEST-1.xml: stale: it was last written before the task started, and so were out/TEST-2.xml; delete those that no task writes any more",
    );
    for name in 3..=8 {
        project.write(&format!("out/TEST-{name}.xml"), JUNIT);
    }
    assert_fails(&project.xtask(&["unit"]), "out/TEST-4.xml, out/TEST-5.xml and 3 more; delete");
}

#[test]
fn sandboxed_task_can_write_the_same_report_again() {
    let project = project_with_gate("tests = { failed = 0 }");
    let tasks = project.read("tasks.toml").replace("inputs =", "sandbox = true\ninputs =");
    project.write("tasks.toml", tasks);
    assert_passes(&project.xtask(&["ci"]));
    project.write("in/more", "");
    assert_passes(&project.xtask(&["ci"]));
}

/// Returns the new content of the report with this index, or `None` to delete it.
type Change<'c> = &'c dyn Fn(usize) -> Option<Vec<u8>>;

/// Recorded reports of real tools, at least one of each kind.
const RECORDED: [(&str, &str); 21] = [
    ("junit", "catch2/assertions.xml"),
    ("junit", "mocha/pending.xml"),
    ("cobertura", "ms-coverage/till.xml"),
    ("cyclonedx", "no-dependencies/lib.cdx.json"),
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
fn each_recorded_report_is_rejected_if_truncated_or_empty() {
    let kept = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/ci-reports/tests/reports");
    let mut tasks = String::new();
    for (at, (kind, _)) in RECORDED.iter().enumerate() {
        tasks.push_str(&format!(
            "[tasks.t{at}]\ngroup = 'all'\nrun = '''mkdir -p out; rm -f out/{at}; if test -e in/{at}; then cp in/{at} out/; fi; if test -e in/old; then touch -d 2020-01-01 out/{at}; fi'''\ninputs = ['?in/{at}', '?in/old']\nreports = {{ {kind} = 'out/{at}' }}\n"
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
    let ends = |ran: &CommandOutput| -> Vec<(String, String)> {
        let events = ran.events().into_iter().filter(|event| event["event"] == "task-finished");
        let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        events.map(|event| (word(&event["task"]), word(&event["status"]["ended"]["kind"]))).collect()
    };
    assert_passes(&put(&|at| Some(whole[at].clone())));
    // The next report of another kind.
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
    assert_screens!();
}
