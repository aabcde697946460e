//! Tests of `reports` and `[gates]`: the text of a file, and the config or the messages that it results in.

use super::*;
use crate::base::pattern::Pattern;
use crate::config::assemble::parse_files;
use crate::config::diagnostic::DiagnosticSink;
use crate::quality::rules::{self, Bound, Comparison, Day, Suppression};
use ci_reports::ReportKind;
use ci_reports::facts::Unit;
use model::Gate;

/// Two tasks that write reports. Each test adds its gates to them.
const REPORTING: &str = r#"
[tasks.unit]
group = "test"
run = "pytest"
reports = { junit = "out/junit.xml", lcov = "out/lcov.info" }

[tasks.scan]
group = "lint"
run = "scan"
reports = { sarif = ["out/a.sarif", "out/more/*.sarif"] }

[tasks.clippy]
group = "lint"
run = "cargo clippy"
"#;

fn with(gate: &str) -> String {
    format!("{REPORTING}\n{gate}")
}

fn gate<'c>(config: &'c Config, name: &str) -> &'c Gate {
    task(config, name).gate().unwrap()
}

#[test]
fn reports_count_as_outputs() {
    let config = parse_ok(&with(
        "[tasks.more]\nmatrix = { py = ['3.11', '3.12'] }\nrun = 'x'\noutputs = ['dist-{{ matrix.py }}/**', '!dist-{{ matrix.py }}/r.xml']\nreports = { junit = 'dist-{{ matrix.py }}/r.xml' }",
    ));
    let unit = task(&config, "unit");
    let kinds: Vec<ReportKind> = unit.reports().iter().map(|report| report.kind).collect();
    assert_eq!(kinds, [ReportKind::Junit, ReportKind::Lcov]);
    assert!(unit.reports()[0].files.matches(&path("out/junit.xml")));
    assert!(
        !unit.reports()[0].files.matches(&path("web/out/junit.xml")),
        "reports are anchored like outputs"
    );
    assert!(unit.outputs.matches(&path("out/lcov.info")) && !unit.outputs.matches(&path("out/x")));
    let scan = task(&config, "scan");
    assert_eq!(scan.reports().len(), 1);
    assert_eq!(scan.reports()[0].files.items().len(), 2);
    assert!(scan.outputs.matches(&path("out/more/b.sarif")));
    let variant = task(&config, "more[py=3.12]");
    assert!(variant.reports()[0].files.matches(&path("dist-3.12/r.xml")));
    assert!(
        variant.outputs.matches(&path("dist-3.12/r.xml")),
        "a report is an output even if it is excluded"
    );
    assert!(task(&config, "clippy").reports().is_empty());
}

#[test]
fn only_scanner_reports_can_be_partial() {
    let config = parse_ok(
        "[tasks.a]\nrun = 'x'\nreports = { partial = ' it is generated ', junit = 'a.xml', sarif = 'a.sarif', secrets = 'b.sarif' }",
    );
    let reports = task(&config, "a").reports();
    let reasons: Vec<_> = reports.iter().map(|report| (report.kind, report.partial.as_deref())).collect();
    let reason = Some("it is generated");
    assert_eq!(
        reasons,
        [(ReportKind::Junit, None), (ReportKind::Sarif, reason), (ReportKind::Secrets, reason)]
    );
}

#[test]
fn report_keys_are_the_report_kinds() {
    let kinds: Vec<&str> = ReportKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(all_keys::KINDS[..], kinds);
    let and_why: Vec<&str> = kinds.into_iter().chain(["partial"]).collect();
    assert_eq!(all_keys::REPORTS.names().collect::<Vec<_>>(), and_why);
}

#[test]
fn gate_needs_the_tasks_whose_reports_it_reads() {
    let config = parse_ok(&with(
        r#"
[gates.quality]
description = "All that is demanded"
group = "gates"
coverage = { min = 80, max-drop = 2.5, paths = { "billing/**" = 100.0 } }
tests = { failed = 0, min-count = 1, skipped = 3, flaky = 4 }
findings = { critical = 0, high = 1, medium = 2, low = 3, note = 4, total = 5 }
secrets = 0
licences = { allow = ["MIT", "BSD-*"], deny = ["GPL-*"] }
performance = { "http_req_duration.p95" = "<= 100ms", "checks.rate" = ">= 99%" }
sonar = "ok"
suppress = [
  { rule = "CVE-2024-1", path = "web/**", reason = "not reached", expires = 2026-12-31 },
  { licence = "GPL-3.0-only", package = "readline", reason = "at build time alone", expires = "2027-01-31" },
]
[tasks.all]
needs = ["quality"]
[hooks]
pre-push = ["quality"]
"#,
    ));
    let quality = task(&config, "quality");
    assert!(!quality.is_aggregate() && quality.command().is_none() && quality.is_cached());
    assert!(quality.inputs.is_empty() && quality.outputs.is_empty());
    assert_eq!(quality.description.as_deref(), Some("All that is demanded"));
    assert_eq!(quality.group.as_deref(), Some("gates"));
    assert_eq!(need_names(&config, "quality"), ["unit", "scan"]);
    assert_eq!(need_names(&config, "all"), ["quality"]);
    assert_eq!(quality.place.line, 17);
    let Gate { rules, base, baseline, .. } = gate(&config, "quality");
    assert_eq!((base, baseline), (&None, &None));
    let coverage = rules.coverage.as_ref().unwrap();
    assert_eq!((coverage.min, coverage.max_drop), (Some(80.0), Some(2.5)));
    assert_eq!((coverage.paths[0].0.text(), coverage.paths[0].1), ("billing/**", 100.0));
    assert_eq!(
        rules.tests,
        Some(rules::Tests { failed: Some(0), skipped: Some(3), flaky: Some(4), min_count: Some(1) })
    );
    let findings = rules.findings.unwrap();
    assert_eq!([findings.critical, findings.high, findings.medium], [Some(0), Some(1), Some(2)]);
    assert_eq!(
        [findings.low, findings.note, findings.total, findings.new],
        [Some(3), Some(4), Some(5), None]
    );
    assert_eq!((rules.secrets, rules.sonar), (Some(0), true));
    let licences = rules.licences.as_ref().unwrap();
    assert_eq!(
        (&licences.allow[..], &licences.deny[..]),
        (&["MIT".to_owned(), "BSD-*".to_owned()][..], &["GPL-*".to_owned()][..])
    );
    let bound = |name: &str, comparison, value, unit, written: &str| Bound {
        name: name.to_owned(),
        comparison,
        value,
        unit,
        written: written.to_owned(),
    };
    assert_eq!(
        rules.performance,
        [
            bound("http_req_duration.p95", Comparison::AtMost, 100.0, Unit::Millis, "<= 100 ms"),
            bound("checks.rate", Comparison::AtLeast, 0.99, Unit::Share, ">= 99 %"),
        ]
    );
    let [cve, licence] = &rules.suppressions[..] else { panic!("{:?}", rules.suppressions) };
    assert_eq!(cve.path.as_ref().map(Pattern::text), Some("web/**"));
    assert_eq!((&*cve.rule, &*cve.reason, &*cve.location), ("CVE-2024-1", "not reached", "tasks.toml:28"));
    assert_eq!(cve.expires, Day { year: 2026, month: 12, day: 31 });
    assert_eq!(
        licence,
        &Suppression {
            rule: "licence".to_owned(),
            licence: Some("GPL-3.0-only".to_owned()),
            path: None,
            package: Some("readline".to_owned()),
            reason: "at build time alone".to_owned(),
            expires: Day { year: 2027, month: 1, day: 31 },
            location: "tasks.toml:29".to_owned(),
        }
    );
}

#[test]
fn gate_reads_the_tree_only_for_new_findings() {
    let config = parse_ok(&with(
        "[gates.a]\nof = ['lint', 'scan']\nsecrets = 0\n[gates.b]\nof = ['test']\nbase = 'origin/main'\nbaseline = 'base.json'\nfindings = { new = 0 }\n",
    ));
    assert_eq!(need_names(&config, "a"), ["scan"], "the tasks of the group that write reports");
    assert_eq!(need_names(&config, "b"), ["unit"]);
    assert!(task(&config, "a").inputs.is_empty() && task(&config, "b").inputs.is_whole());
    assert_eq!(gate(&config, "b").base.as_deref(), Some("origin/main"));
    assert_eq!(gate(&config, "b").baseline, Some(path("base.json")));
}

#[test]
fn gate_of_an_included_file_reads_tasks_of_its_folder() {
    let report = |name: &str| format!("[tasks.t]\nrun = 'x'\nreports = {{ junit = '{name}.xml' }}\n");
    let outer =
        format!("{}[gates.all]\nsecrets = 0\n[gates.some]\nof = ['api:t']\nsecrets = 0\n", report("o"));
    let inner =
        format!("{}[gates.q]\nsecrets = 0\ncoverage = {{ paths = {{ 'src/**' = 1 }} }}\n", report("i"));
    let sources = [
        SourceText { name: "tasks.toml", text: &outer, base: RepoPath::top(), project: "" },
        SourceText { name: "api/tasks.toml", text: &inner, base: path("api"), project: "api" },
        SourceText { name: "api/x/tasks.toml", text: &report("x"), base: path("api/x"), project: "api:x" },
    ];
    let config = parse_files(&sources, (0..3).map(|_| DiagnosticSink::default()).collect()).unwrap();
    assert_eq!(need_names(&config, "all"), ["t", "api:t", "api:x:t"]);
    assert_eq!(need_names(&config, "some"), ["api:t"]);
    assert_eq!(need_names(&config, "api:q"), ["api:t", "api:x:t"]);
    let pattern = &gate(&config, "api:q").rules.coverage.as_ref().unwrap().paths[0].0;
    assert!(pattern.matches(&path("api/src/a.rs")) && !pattern.matches(&path("src/a.rs")));
    assert!(task(&config, "api:t").outputs.matches(&path("api/i.xml")));
}

#[test]
fn invalid_reports_are_errors() {
    let reports = |value: &str| messages(&format!("[tasks.a]\nrun = 'x'\nreports = {value}"));
    let cases = [
        ("true", "expected a table, found a boolean"),
        ("'out/junit.xml'", "expected a table, found a string"),
        ("{}", "`reports` names no report"),
        ("{ junitt = 'a.xml' }", "`reports` has no key `junitt`"),
        ("{ junit = [] }", "`junit` names no file"),
        ("{ junit = 1 }", "expected a file, or an array of files, found an integer"),
        ("{ junit = '' }", "an empty pattern matches nothing"),
        ("{ junit = '!a.xml' }", "a report can't be excluded"),
        ("{ junit = '@set' }", "a report can't be a set"),
        ("{ junit = '../a.xml' }", "`../a.xml` can't be matched: it is outside the repository"),
        (
            "{ junit = '/out/a.xml' }",
            "`/out/a.xml` is an absolute path, and a report must be in the repository",
        ),
        (
            "{ junit = ['/a/*.xml', 'a.xml'] }",
            "`/a/*.xml` is an absolute path, and a report must be in the repository",
        ),
        ("{ junit = ['a.xml', 'a.xml'] }", "`a.xml` is listed twice in `junit`"),
        ("{ junit = '.git/HEAD' }", "output `.git/HEAD` would include files of git"),
        ("{ junit = 'a.xml', partial = 'x' }", "`partial` needs `sarif` or `secrets`"),
        ("{ sarif = 'a.sarif', partial = ' ' }", "`partial` is not a line of text"),
        ("{ sarif = 'a.sarif', partial = true }", "expected a string, found a boolean"),
        ("{ junit = 'tasks.toml' }", "output `tasks.toml` would include tasks.toml itself"),
    ];
    for (value, message) in cases {
        assert_eq!(reports(value), [message], "{value}");
    }
    assert_eq!(
        messages("[tasks.a]\nrun = 'x'\n[tasks.b]\nneeds = ['a']\nreports = { junit = 'a.xml' }"),
        ["`reports` has no effect without `run`"]
    );
    assert_eq!(
        messages(
            "[tasks.a]\nrun = 'x'\noutputs = ['out/**']\n[tasks.b]\nrun = 'x'\nreports = { junit = 'out/a.xml' }"
        ),
        ["`a` and `b` may write the same output"]
    );
    assert_eq!(messages("[defaults]\nreports = { junit = 'a.xml' }"), ["`[defaults]` has no key `reports`"]);
}

#[test]
fn invalid_gates_are_errors() {
    let cases = [
        ("[gates]\nq = 1", "expected a table, found an integer"),
        ("[gates.'a b']\nsecrets = 0", "`a b` can't be the name of a gate"),
        ("[gates.q]", "gate `q` has no rule"),
        ("[gates.q]\nsuppress = []", "gate `q` has no rule"),
        ("[gates.q]\nsecrets = 0\ncoverag = 1", "gate `q` has no key `coverag`"),
        ("[gates.q]\nsecrets = 0\nlicenses = {}", "gate `q` has no key `licenses`"),
        ("[gates.q]\nsecrets = 0\nof = []", "`of` names no task"),
        (
            "[gates.q]\nsecrets = 0\nof = ['nope']",
            "gate `q` reads `nope`, which is neither a task nor a group",
        ),
        ("[gates.q]\nsecrets = 0\nof = ['clippy']", "`clippy` writes no reports that gate `q` could read"),
        (
            "[gates.q]\nsecrets = 0\n[gates.r]\nof = ['q']\nsecrets = 0",
            "`q` is a gate, and a gate writes no reports",
        ),
        ("[gates.q]\nsecrets = 0\nof = ['q']", "`q` is a gate, and a gate writes no reports"),
        ("[gates.q]\nsecrets = 0\nbase = '--all'", "`--all` is not a branch or revision"),
        ("[gates.q]\nsecrets = 0\nbaseline = '../x'", "`../x` is not a file of the repository"),
        ("[gates.q]\nsecrets = -1", "-1 is not a number of secrets"),
        ("[gates.q]\nsecrets = '0'", "expected a number of secrets, found a string"),
        ("[gates.q]\nsonar = 'green'", "`green` is not a value of `sonar`"),
        ("[gates.q]\ntests = {}", "`tests` requires nothing"),
        ("[gates.q]\ntests = { fail = 0 }", "`tests` has no key `fail`"),
        ("[gates.q]\ntests = { failed = 0.5 }", "expected a number of tests, found a float"),
        ("[gates.q]\nfindings = { hihg = 0 }", "`findings` has no key `hihg`"),
        ("[gates.q]\ncoverage = { min = 101 }", "101 can't be a percentage here"),
        ("[gates.q]\ncoverage = { min = -0.5 }", "-0.5 can't be a percentage here"),
        ("[gates.q]\ncoverage = { min = nan }", "this is not a percentage"),
        ("[gates.q]\ncoverage = { min = 80.00000001 }", "80.00000001 can't be a percentage here"),
        ("[gates.q]\ncoverage = { min = '80' }", "expected a percentage, found a string"),
        ("[gates.q]\ncoverage = 80", "expected a table, found an integer"),
        ("[gates.q]\ncoverage = { paths = {} }", "`paths` requires nothing"),
        ("[gates.q]\ncoverage = { paths = { '!a' = 1 } }", "a covered path can't be excluded"),
        ("[gates.q]\nlicences = { allow = [] }", "`allow` requires nothing"),
        ("[gates.q]\nlicences = { allow = ['MIT OR X'] }", "`MIT OR X` is an expression, not a licence"),
        ("[gates.q]\nperformance = {}", "`performance` requires nothing"),
        (
            "[gates.q]\nperformance = { a = '100ms' }",
            "`100ms` is not a bound: it does not begin with a comparison",
        ),
        ("[gates.q]\nperformance = { a = '<= 1 h' }", "`<= 1 h` is not a bound: its unit is unknown"),
        ("[gates.q]\nperformance = { a = 1 }", "expected a bound such as \"<= 100ms\", found an integer"),
    ];
    for (text, message) in cases {
        assert_eq!(messages(&with(text)), [message], "{text}");
    }
    assert_eq!(messages("[gates.q]\nsecrets = 0"), ["gate `q` reads no reports"]);
}

#[test]
fn invalid_suppressions_are_errors() {
    let cases = [
        ("'x'", "expected an array of tables, found a string"),
        ("['x']", "expected a table, found a string"),
        ("[{ reason = 'x', expires = 2026-01-01 }]", "a suppression needs a `rule` or a `licence`"),
        ("[{ rule = 'x', expires = 2026-01-01 }]", "a suppression needs a reason"),
        ("[{ rule = 'x', reason = 'x' }]", "a suppression needs a day on which it expires"),
        ("[{ rule = 'x', reason = ' ', expires = 2026-01-01 }]", "`reason` is not a line of text"),
        ("[{ rule = 'x', reason = 'x', expires = '2026-02-30' }]", "`2026-02-30` is not a day"),
        (
            "[{ rule = 'x', reason = 'x', expires = 2026-02-03T00:00:00Z }]",
            "`2026-02-03T00:00:00Z` is not a day",
        ),
        ("[{ rule = 'x', reason = 'x', expires = 2026 }]", "expected a day, found an integer"),
        (
            "[{ rule = 'x', package = 'p', reason = 'x', expires = 2026-01-01 }]",
            "`package` can't be used with `rule`",
        ),
        (
            "[{ rule = 'x', licence = 'p', reason = 'x', expires = 2026-01-01 }]",
            "`licence` can't be used with `rule`",
        ),
        (
            "[{ licence = 'x', path = 'p', reason = 'x', expires = 2026-01-01 }]",
            "`path` can't be used with `licence`",
        ),
        ("[{ rule = 'x', reason = 'x', until = 2026-01-01 }]", "a suppression has no key `until`"),
    ];
    for (value, message) in cases {
        let found = messages(&with(&format!("[gates.q]\nsecrets = 0\nsuppress = {value}")));
        assert!(found.iter().any(|found| found == message), "{value}: {found:?}");
    }
}

#[test]
fn cycle_through_a_gate_is_an_error() {
    assert_eq!(
        messages(
            "[tasks.a]\nrun = 'x'\nneeds = ['q']\nreports = { junit = 'a.xml' }\n[gates.q]\nsecrets = 0"
        ),
        ["tasks need each other in a cycle: a → q → a"]
    );
}

#[test]
fn messages_about_gates_show_the_location() {
    insta::assert_snapshot!(parse_errors(
        r#"
[tasks.unit]
run = "pytest"
reports = { junitt = "out/junit.xml" }
[gates.unit]
licenses = { allow = ["MIT"] }
performance = { p95 = "<= 100 parsecs" }
suppress = [{ rule = "CVE-2024-1" }]
"#
    ), @r#"
    error: `reports` has no key `junitt`
     --> tasks.toml:4:13
      |
    4 | reports = { junitt = "out/junit.xml" }
      |             ^^^^^^ not a key here
      |
      = help: did you mean `junit`?

    error: `unit` is already a task
     --> tasks.toml:5:8
      |
    2 | [tasks.unit]
      |        ---- the task
    ...
    5 | [gates.unit]
      |        ^^^^ a gate of the same name
      |
      = help: give the gate another name: `xtask NAME` runs tasks and gates alike

    error: gate `unit` has no key `licenses`
     --> tasks.toml:6:1
      |
    6 | licenses = { allow = ["MIT"] }
      | ^^^^^^^^ not a key here
      |
      = help: did you mean `licences`?

    error: `<= 100 parsecs` is not a bound: its unit is unknown
     --> tasks.toml:7:23
      |
    7 | performance = { p95 = "<= 100 parsecs" }
      |                       ^^^^^^^^^^^^^^^^ not understood
      |
      = help: write <, <=, >, >= or ==, a number and a unit (µs, ms, s, m, B, kB, MB, GB, KiB, MiB, GiB, %), or none

    error: a suppression needs a reason
     --> tasks.toml:8:13
      |
    8 | suppress = [{ rule = "CVE-2024-1" }]
      |             ^^^^^^^^^^^^^^^^^^^^^^^ no `reason`
      |
      = help: write it as { rule = "CVE-2024-1", path = "web/**", reason = "why", expires = 2026-12-31 }

    error: a suppression needs a day on which it expires
     --> tasks.toml:8:13
      |
    8 | suppress = [{ rule = "CVE-2024-1" }]
      |             ^^^^^^^^^^^^^^^^^^^^^^^ no `expires`
      |
      = help: write it as { rule = "CVE-2024-1", path = "web/**", reason = "why", expires = 2026-12-31 }
    "#);
}
