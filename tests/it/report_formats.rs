//! Reports in the dialects of real tools: valid ones are accepted, failed tests are named, and
//! reports that could hide a failure are rejected.

use crate::project::{CommandOutput, Project};
use crate::quality_rules::{assert_fails, assert_passes};

/// Reads a recorded report of a real tool.
fn recorded_report(path: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/ci-reports/tests/reports");
    std::fs::read(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Creates a task that copies `in/` to `out/` as its reports, and a gate with these rules.
fn project_with_reports(reports: &str, rules: &str) -> Project {
    let project = Project::new(&format!(
        r"
        [tasks.unit]
        run = 'rm -rf out; cp -r in out'
        inputs = ['in/**']
        reports = {{ {reports} }}

        [gates.quality]
        {rules}
        "
    ));
    project.write(".gitignore", "out/\n");
    project
}

const TESTS: &str = "tests = { failed = 0, min-count = 1 }";
const SUITE: &str = "<testsuite name='till' tests='1' failures='0'><testcase name='adds'/></testsuite>";

fn run_with_junit(bytes: impl AsRef<[u8]>) -> CommandOutput {
    let project = project_with_reports("junit = 'out/*.xml'", TESTS);
    project.write("in/a.xml", bytes).commit("report");
    project.xtask(&["quality"])
}

#[test]
fn valid_reports_of_test_tools_pass() {
    for path in [
        "boost/skipped.xml",
        "catch2/assertions.xml",
        "doctest/skipped.xml",
        "gotestsum/stderr.xml",
        "jest/todo.xml",
        "mocha/pending.xml",
        "newman/scripts.xml",
        "node/nested.xml",
        "surefire/rerun-flaky.xml",
    ] {
        let ran = run_with_junit(recorded_report(path));
        assert_eq!(ran.status, 0, "{path}: {}{}", ran.out, ran.err);
    }
    run_with_junit(recorded_report("mocha/pending.xml")).ends(0);
    assert_screens!();
}

#[test]
fn failed_runs_name_their_tests() {
    for (path, name) in [
        ("behave/TESTS-a.xml", "a.till › bad"),
        ("boost/failed.xml", "sub › bad"),
        ("catch2/failed.xml", "c2-bad.global › throws"),
        ("ctest/till.xml", "bad"),
        ("cucumber-js/till.xml", "till › undefined"),
        ("doctest/failed.xml", "dt.cpp › bad"),
        ("googletest/till.xml", "Till › Bad"),
        ("mocha/hooks.xml", "till ehook \"before each\" hook for \"second\": each"),
        ("newman/refused.xml", "a: 1 error declared, 0 listed"),
        ("nose2/till.xml", "test_u.T › test_bad"),
        ("pytest/teardown.xml", "test_p › test_td: failed on teardown"),
        ("robot/till.xml", "A › Bad"),
        ("unittest-xml-reporting/TEST-unittest.suite._ErrorHolder.xml", "setUpClass (test_u.S)"),
        ("vitest/broken.xml", "b.test.mjs"),
    ] {
        assert_fails(&run_with_junit(recorded_report(path)), name);
    }
    let failed = "<testcase name='bad'><failure message='no'/></testcase>";
    for (text, name) in [
        (format!("<testsuite tests='1' failures='1' errors='1'>{failed}</testsuite>"), "bad: no"),
        ("<testsuite name='s' tests='0'><error message='no set-up'/></testsuite>".to_owned(), "s: no set-up"),
        ("<testsuites name='all'><error message='no set-up'/></testsuites>".to_owned(), "all: no set-up"),
        (format!("<testsuite tests='1'><testcase name='a'>{failed}</testcase></testsuite>"), "bad: no"),
        (format!("<testsuite><group>{failed}</group></testsuite>"), "bad: no"),
        (
            "<testsuite><testcase name='odd one'><result><error/></result></testcase></testsuite>".to_owned(),
            "odd one",
        ),
    ] {
        assert_fails(&run_with_junit(&text), name);
    }
}

#[test]
fn totals_reveal_unlisted_failures() {
    let all = |attributes: &str| format!("<testsuites {attributes}>{SUITE}</testsuites>");
    for (text, message) in [
        (all("name='all' failures='2'"), "all: 2 failures declared, 0 listed"),
        (all("name='all' errors='2'"), "all: 2 errors declared, 0 listed"),
        (all("errors='2'"), "(the whole report): 2 errors declared, 0 listed"),
        // A test is skipped or repeated in addition to the missing failure.
        (all("name='all' tests='3' skipped='1' failures='1'"), "all: 1 failure declared, 0 listed"),
        (
            "<testsuite name='s' tests='4' failures='3'><testcase name='f'><flakyFailure/></testcase></testsuite>"
                .to_owned(),
            "s: 3 failures declared, 0 listed",
        ),
        (
            "<testsuite name='s' hostname='tbd' tests='9' failures='1'><testcase name='a' status='run'/></testsuite>"
                .to_owned(),
            "s: 1 failure declared, 0 listed",
        ),
    ] {
        assert_fails(&run_with_junit(&text), message);
    }
    // Nothing explains the missing tests.
    let ran = run_with_junit("<testsuite name='s' tests='3'><testcase name='a'/></testsuite>");
    assert_fails(&ran, "`s` says that it has 3 tests, and has 1");
}

#[test]
fn reports_in_old_encodings_are_read() {
    let text = |encoding: &str, name: &[u8]| {
        let start = format!(
            "<?xml version=\"1.0\" encoding=\"{encoding}\"?>\r\n<testsuite tests=\"1\"><testcase name=\""
        );
        [start.as_bytes(), name, b"\"><failure/></testcase></testsuite>"].concat()
    };
    assert_fails(&run_with_junit(text("ISO-8859-1", b"gr\xf6\xdfer")), "größer");
    assert_fails(&run_with_junit(text("windows-1252", b"5 \x80")), "5 €");
    let wide: Vec<u8> = "<testsuite><testcase name='größer'><failure/></testcase></testsuite>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_fails(&run_with_junit([b"\xff\xfe", &*wide].concat()), "größer");
    assert_fails(&run_with_junit([b"\xff\xfe", &wide[..wide.len() / 2]].concat()), "cut off");
    assert_fails(
        &run_with_junit(text("klingon", b"a")),
        "its encoding `klingon` is unknown; write it in UTF-8",
    );
    // Tests print characters that XML forbids.
    assert_fails(
        &run_with_junit(
            "<testsuite><testcase name='a&#0;b'><failure>\u{1b}[31mred</failure></testcase></testsuite>",
        ),
        "red",
    );
}

/// For each kind, a file in which nothing was run and one in which something was.
const FILES: [(&str, &str, &str, &str); 5] = [
    (
        "junit",
        "tests = { failed = 0, min-count = 1 }",
        "<testsuite name='off' tests='1' skipped='1'><testcase name='a'><skipped/></testcase></testsuite>",
        SUITE,
    ),
    (
        "lcov",
        "coverage = { min = 50 }",
        "TN:\nSF:a\nLF:0\nLH:0\nend_of_record\n",
        "SF:b\nDA:1,1\nend_of_record\n",
    ),
    (
        "cobertura",
        "coverage = { min = 50 }",
        "<coverage lines-valid='0'><packages/></coverage>",
        "<coverage><packages><package><classes><class filename='b'><lines><line number='1' hits='1'/></lines></class></classes></package></packages></coverage>",
    ),
    (
        "cyclonedx",
        "licences = { allow = ['MIT'] }",
        r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}"#,
        r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", "name": "a", "licenses": [{"expression": "MIT"}]}]}"#,
    ),
    (
        "spdx",
        "licences = { allow = ['MIT'] }",
        r#"{"spdxVersion": "SPDX-2.3", "packages": []}"#,
        r#"{"spdxVersion": "SPDX-2.3", "packages": [{"name": "a", "licenseDeclared": "MIT"}]}"#,
    ),
];

#[test]
fn one_report_of_a_kind_must_not_be_empty() {
    for (kind, rules, nothing, something) in FILES {
        let project = project_with_reports(&format!("{kind} = ['out/*', 'out/more/*']"), rules);
        project.write("in/off", nothing).write("in/more/on", something).commit("both");
        assert_passes(&project.xtask(&["quality"]));
        project.write("in/more/on", nothing).write("in/more/off", nothing);
        let ran = project.xtask(&["quality"]);
        assert_fails(&ran, "report out/more/off: nothing was examined");
        std::fs::remove_dir_all(project.path("in/more")).unwrap();
        project.write("in/more/off", nothing);
        assert_fails(&project.xtask(&["quality"]), "; the other report of its kind says the same");
        // A damaged file does not count as one in which nothing was run.
        let cut = &something[..something.len() - 4];
        project.write("in/more/off", something).write("in/off", cut);
        assert_fails(&project.xtask(&["quality"]), "report out/off: ");
    }
    // A report of another kind does not make up for it.
    let (kind, _, nothing, something) = FILES[0];
    let project = project_with_reports(&format!("{kind} = 'out/a', lcov = 'out/b'"), TESTS);
    project.write("in/a", nothing).write("in/b", FILES[1].3).commit("two kinds");
    assert_fails(
        &project.xtask(&["quality"]),
        "report out/a: nothing was examined: no test was run; 1 were skipped",
    );
    project.write("in/a", something);
    assert_passes(&project.xtask(&["quality"]));
    // Tools write an empty LCOV file if nothing is covered. An empty XML file is damaged.
    for (kind, rules, status) in [("lcov", "coverage = { min = 50 }", 0), ("junit", TESTS, 1)] {
        let project = project_with_reports(&format!("{kind} = 'out/*'"), rules);
        let whole = if kind == "lcov" { FILES[1].3 } else { SUITE };
        project.write("in/empty", "").write("in/on", whole).commit("empty");
        let ran = project.xtask(&["quality"]);
        assert_eq!(ran.status, status, "{kind}: {}", ran.err);
        project.write("in/on", "");
        assert_fails(&project.xtask(&["quality"]), "empty");
    }
    assert_screens!();
}

#[test]
fn project_without_dependencies_passes() {
    let licences = "licences = { allow = ['MIT'] }";
    let project = project_with_reports("cyclonedx = 'out/*.json'", licences);
    project.write("in/a.json", recorded_report("no-dependencies/lib.cdx.json")).commit("none");
    project.xtask(&["quality"]).ends(0);
    project.write("in/a.json", recorded_report("cyclonedx-py/no-dependencies.cdx.json"));
    assert_passes(&project.xtask(&["quality"]));
    let text = String::from_utf8(recorded_report("no-dependencies/lib.cdx.json")).unwrap();
    for (what, with) in
        [("\"name\":\"lib\"", "\"name\":\".\""), ("\"type\":\"library\"", "\"type\":\"file\"")]
    {
        project.write("in/a.json", text.replace(what, with));
        assert_fails(&project.xtask(&["quality"]), "nothing was examined");
    }
    let project = project_with_reports("spdx = 'out/*.json'", licences);
    let spdx = r#"{"spdxVersion": "SPDX-2.3", "packages": [{"SPDXID": "r", "name": "lib"}], "documentDescribes": ["r"]}"#;
    project.write("in/a.json", spdx).commit("none");
    assert_passes(&project.xtask(&["quality"]));
    project.write("in/a.json", spdx.replace("\"lib\"", "\"/src\""));
    assert_fails(&project.xtask(&["quality"]), "its only package is the folder or file that it describes");
    assert_screens!();
}

#[test]
fn scan_with_explained_errors_is_incomplete() {
    for path in ["spotbugs/missing-classes.sarif", "eslint/unparsable.sarif"] {
        let rules = "findings = { high = 0 }";
        let whole = project_with_reports("sarif = 'out/a.sarif'", rules);
        whole.write("in/a.sarif", recorded_report(path)).commit("scan");
        assert_fails(&whole.xtask(&["quality"]), "not everything was examined");
        let part = project_with_reports("sarif = 'out/a.sarif', partial = 'optional classes'", rules);
        part.write("in/a.sarif", recorded_report(path)).commit("scan");
        assert_passes(&part.xtask(&["quality"]));
        // A failure that no reported error explains means that the scan did not run.
        let silent = String::from_utf8(recorded_report(path)).unwrap().replace("\"error\"", "\"note\"");
        part.write("in/a.sarif", silent);
        assert_fails(&part.xtask(&["quality"]), "the tool failed");
    }
}

#[test]
fn coverage_in_other_counters_is_read() {
    let coverage = |bytes: &[u8], min: &str| {
        let project =
            project_with_reports("cobertura = 'out/a.xml'", &format!("coverage = {{ min = {min} }}"));
        project.write("in/a.xml", bytes).commit("coverage");
        project.xtask(&["quality"])
    };
    let microsoft = recorded_report("ms-coverage/till.xml");
    coverage(&microsoft, "66").ends(0);
    let methods = "<coverage lines-valid='2'><packages><package><classes><class filename='a'><methods><method name='m'><lines>\
                   <line number='1' hits='1'/><line number='2' hits='0'/></lines></method></methods><lines/></class></classes></package></packages></coverage>";
    coverage(methods.as_bytes(), "50").ends(0);
    // Lines that only the totals count can't improve the result.
    let hiding = methods.replace("lines-valid='2'", "lines-valid='10' lines-covered='1'");
    assert_fails(&coverage(hiding.as_bytes(), "50"), "1 of 10 lines");
    // coverage.py writes this with several `--cov` options.
    let two = "<coverage><sources><source>/a</source><source>/b</source></sources><packages>\
               <package name='a'><classes><class filename='u.py'><lines><line number='1' hits='1'/></lines></class></classes></package>\
               <package name='b'><classes><class filename='u.py'><lines><line number='1' hits='0'/></lines></class></classes></package>\
               </packages></coverage>";
    assert_fails(&coverage(two.as_bytes(), "50"), "use the tool's LCOV report");
    assert_screens!();
}

#[test]
fn failed_task_with_a_missing_report_still_names_its_failed_tests() {
    let project = Project::new(
        r"
        [tasks.unit]
        run = 'mkdir -p out; cp in.xml out/a.xml; exit 1'
        inputs = ['in.xml']
        reports = { lcov = 'out/lcov.info', junit = 'out/a.xml' }
        ",
    );
    project.write(".gitignore", "out/\n").write("in.xml", recorded_report("robot/till.xml")).commit("in");
    let ran = project.xtask(&["unit", "--format", "json"]).ends(1);
    let events = ran.events();
    let unit = events.iter().find(|event| event["event"] == "task-finished").unwrap();
    assert_eq!(unit["reported"]["tests"]["failed"][0]["name"], "A › Bad", "{}", ran.out);
}
