//! Tests what is printed for each CI service about the same run.

use super::*;

/// Makes control characters visible and replaces the token of each fence by its number.
fn visible(text: &str) -> String {
    let mut text = text.replace('\u{1b}', "<esc>").replace('\r', "<cr>");
    for number in 1.. {
        let Some(at) = text.find("::stop-commands::") else { break };
        let token = text[at + 17..at + 17 + 32].to_owned();
        assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
        text = text.replace(&format!("::stop-commands::{token}"), &format!("::stop::<{number}>"));
        text = text.replace(&token, &format!("<{number}>"));
    }
    text
}

#[test]
fn github_gets_groups_fences_and_annotations() {
    insta::assert_snapshot!(visible(&printed(&run(&shop()), Output::Grouped, github())));
}

#[test]
fn gitlab_gets_sections_and_coverage() {
    insta::assert_snapshot!(visible(&printed(&run(&shop()), Output::Grouped, gitlab())));
}

#[test]
fn buildkite_gets_headings() {
    insta::assert_snapshot!(visible(&printed(&run(&shop()), Output::Grouped, buildkite())));
}

#[test]
fn azure_gets_groups_issues_and_a_summary() {
    insta::assert_snapshot!(visible(&printed(&run(&shop()), Output::Grouped, azure())));
}

#[test]
fn passed_run_has_no_extra_output() {
    let events = run(&[task("build", Status::Passed, "compiled\n")]);
    insta::assert_snapshot!(printed(&events, Output::Failed, github()), @r"
    ci: 1 task · tree 3f2a9c1d5e
    ✓ build       2.0 s  first run
    passed: 1 ran, saved 1m 01s, in 9.0 s
    ");
}

#[test]
fn streamed_lines_share_a_fence_until_the_next_command() {
    let output = |text: &str| at(10, What::TaskOutput { task: "unit".to_owned(), text: text.to_owned() });
    let mut events = vec![started("ci", 1), output("one\n"), output("two\nthree\n")];
    events.extend(run(&[task("unit", failed(), "one\ntwo\nthree\n")]).into_iter().skip(1));
    insta::assert_snapshot!(visible(&printed(&events, Output::Stream, github())), @r"
    ci: 1 task · tree 3f2a9c1d5e
    ::stop::<1>
    unit │ one
    unit │ two
    unit │ three
    ✗ unit        2.0 s  exit status 1 · first run
    ── unit: exit status 1, 2.0 s ────────────────────────────────────────────
    one
    two
    three
    ::<1>::
    $ make unit

    failed: unit
    failed: 1 ran, saved 1m 01s, in 9.0 s
    show this again: xtask log 20261121-093015-4711a
    ::error title=unit failed%3A exit status 1::one%0Atwo%0Athree
    ");
}

#[test]
fn omitted_output_is_mentioned() {
    let many = |i: u32| finding(Severity::High, &format!("rule-{i}"), Some(spot("a.rs", i)));
    let mut scan = task("scan", Status::Passed, "");
    let findings = (1..=13).map(many).collect();
    scan.reported = Some(Box::new(Reported { findings, more_findings: 4, ..Reported::default() }));
    let text = printed(&run(&[scan]), Output::Failed, github());
    assert_eq!(text.matches("::warning ").count(), 10, "{text}");
    let said = "not annotated: 3 warnings and 4 of which only the number is known; GitHub shows 10 of a kind for each step\n";
    assert!(text.ends_with(said), "{text}");
}

#[test]
fn changed_lines_come_first_and_are_computed_only_if_needed() {
    let scan = |places: &[u32]| {
        let mut scan = task("scan", Status::Passed, "");
        let findings = places.iter().map(|line| finding(Severity::High, "rule", Some(spot("a.rs", *line))));
        scan.reported = Some(Box::new(Reported { findings: findings.collect(), ..Reported::default() }));
        run(&[scan])
    };
    let changed = || Some(ChangedLines::from_ranges([("a.rs".to_owned(), (40, 50))]));
    let context = AnnotationContext { root: ROOT.to_owned(), changed: Some(Box::new(changed)) };
    let text = printed_at(&scan(&[1, 45, 90]), Paint::PLAIN, Output::Failed, github(), context);
    let lines: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("::warning file=a.rs,line=")).collect();
    let lines: Vec<&str> = lines.iter().filter_map(|line| line.split(',').next()).collect();
    assert_eq!(lines, ["45", "1", "90"]);
    let unasked = || -> Option<ChangedLines> { panic!("no finding has a location") };
    let context = AnnotationContext { root: ROOT.to_owned(), changed: Some(Box::new(unasked)) };
    printed_at(&run(&[task("unit", failed(), "")]), Paint::PLAIN, Output::Failed, github(), context);
}

#[test]
fn coverage_is_that_of_the_gate_or_of_all_tasks_together() {
    let with = |name: &str, part, whole| {
        let mut task = task(name, Status::Passed, "");
        task.reported =
            Some(Box::new(Reported { coverage: Some(Ratio { part, whole }), ..Reported::default() }));
        task
    };
    let two = [with("a", 1, 4), with("b", 3, 4)];
    assert!(printed(&run(&two), Output::Failed, gitlab()).ends_with("\ncoverage: 50.00%\n"));
    let mut all = two.to_vec();
    all.extend(shop());
    assert!(printed(&run(&all), Output::Failed, gitlab()).ends_with("\ncoverage: 76.20%\n"));
    let none = [with("a", 0, 0)];
    assert!(!printed(&run(&none), Output::Failed, gitlab()).contains("coverage"));
}
