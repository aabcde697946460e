//! Tests of the reader of SARIF.

use super::super::facts::{Severity, content_digest};
use super::*;

fn read(kind: ReportKind, text: &str) -> Result<Facts, ParseError> {
    crate::read(kind, &mut text.as_bytes())
}

fn file(run: &str) -> String {
    format!(r#"{{"runs": [{{{run}}}], "version": "2.1.0"}}"#)
}

fn one(run: &str) -> Finding {
    let mut findings = read(ReportKind::Sarif, &file(run))
        .unwrap_or_else(|error| panic!("{error}: {run}"))
        .findings
        .unwrap();
    assert_eq!(findings.len(), 1, "{run}");
    findings.remove(0)
}

fn error_of(text: &str) -> String {
    read(ReportKind::Sarif, text).unwrap_err().to_string()
}

const TOOL: &str = r#""tool": {"driver": {"name": "scan", "rules": [
    {"id": "plain"},
    {"id": "note", "defaultConfiguration": {"level": "note"}},
    {"id": "error", "shortDescription": {"text": "Is  wrong"}, "defaultConfiguration": {"level": "error"}},
    {"id": "number", "defaultConfiguration": {"level": "note"}, "properties": {"security-severity": "9.8", "tags": "x"}},
    {"id": "small", "defaultConfiguration": {"level": "error"}, "properties": {"security-severity": 2.5}},
    {"id": "none", "defaultConfiguration": {"level": "error"}, "properties": {"security-severity": "0.0"}}
]}, "extensions": [{"name": "pack", "guid": "g-1", "rules": [{"id": "more", "defaultConfiguration": {"level": "error"}}, {"id": "plain", "defaultConfiguration": {"level": "note"}}]}]}"#;

#[test]
fn rule_provides_what_a_result_lacks() {
    let cases = [
        (r#""ruleId": "plain""#, Severity::Medium),
        (r#""ruleId": "unknown""#, Severity::Medium),
        (r#""ruleId": "note""#, Severity::Note),
        (r#""ruleIndex": 1"#, Severity::Note),
        (r#""rule": {"index": 1}"#, Severity::Note),
        (r#""rule": {"id": "note"}"#, Severity::Note),
        (r#""ruleId": "note", "ruleIndex": -1"#, Severity::Note),
        // The rule at the index does not have this id, so the id is used.
        (r#""ruleId": "note", "ruleIndex": 2"#, Severity::Note),
        (r#""ruleId": "error/2", "ruleIndex": 2"#, Severity::High),
        (r#""ruleId": "error/2/3""#, Severity::High),
        (r#""ruleId": "more""#, Severity::High),
        (r#""ruleId": "plain", "rule": {"index": 1, "toolComponent": {"index": 0}}"#, Severity::Note),
        (r#""ruleId": "plain", "rule": {"toolComponent": {"name": "pack"}}"#, Severity::Note),
        (r#""ruleId": "plain", "rule": {"toolComponent": {"guid": "g-1"}}"#, Severity::Note),
        (r#""ruleId": "plain", "rule": {"toolComponent": {"name": "scan"}}"#, Severity::Medium),
        (r#""ruleId": "note", "level": "error""#, Severity::High),
        (r#""ruleId": "error", "level": "none""#, Severity::Note),
        (r#""ruleId": "number""#, Severity::Critical),
        (r#""ruleId": "number", "level": "warning""#, Severity::Critical),
        (r#""ruleId": "number", "properties": {"security-severity": "5"}"#, Severity::Medium),
        (r#""ruleId": "small""#, Severity::Low),
        (r#""ruleId": "none""#, Severity::High),
        (r#""ruleId": "number", "kind": "review""#, Severity::Note),
        (r#""ruleId": "error", "kind": "open", "level": "none""#, Severity::Note),
        (r#""ruleId": "error", "kind": "fail""#, Severity::High),
    ];
    for (result, severity) in cases {
        // Rules may come before or after the results.
        let results = format!(r#""results": [{{{result}, "message": {{"text": "m"}}}}]"#);
        for run in [format!("{TOOL}, {results}"), format!("{results}, {TOOL}")] {
            assert_eq!(one(&run).severity, severity, "{result}");
        }
    }
}

#[test]
fn invocation_can_override_a_rule() {
    let set = |descriptor: &str, level: &str| {
        format!(
            r#"{{"executionSuccessful": true, "ruleConfigurationOverrides": [
                {{"descriptor": {{{descriptor}}}, "configuration": {{"enabled": true{level}}}}}]}}"#
        )
    };
    let plain = r#"{"executionSuccessful": true}"#;
    let note = r#""ruleId": "note""#;
    let error = r#", "level": "error""#;
    let from = |call: i64| format!(r#"{note}, "provenance": {{"invocationIndex": {call}}}"#);
    let more = r#""index": 0, "toolComponent": {"index": 0}"#;
    let by_id = set(r#""id": "note""#, error);
    let cases = [
        (note.to_owned(), vec![by_id.clone()], Severity::High),
        (note.to_owned(), vec![set(r#""index": 1"#, error)], Severity::High),
        (r#""ruleIndex": 1"#.to_owned(), vec![by_id.clone()], Severity::High),
        (r#""ruleId": "note/2""#.to_owned(), vec![by_id.clone()], Severity::High),
        (note.to_owned(), vec![set(r#""id": "plain""#, error)], Severity::Note),
        (format!(r#"{note}, "level": "warning""#), vec![by_id.clone()], Severity::Medium),
        (format!(r#"{note}, "kind": "review""#), vec![by_id.clone()], Severity::Note),
        // The invocation of a result is known if the result names it, or if there is only one.
        (from(0), vec![by_id.clone(), plain.to_owned()], Severity::High),
        (from(1), vec![by_id.clone(), plain.to_owned()], Severity::Note),
        (from(1), vec![plain.to_owned(), by_id.clone()], Severity::High),
        (from(-1), vec![by_id.clone()], Severity::High),
        (from(7), vec![by_id.clone()], Severity::Note),
        (note.to_owned(), vec![by_id.clone(), plain.to_owned()], Severity::Note),
        // A configuration without a level has the level of a warning, but does not lower the level
        // of an error.
        (note.to_owned(), vec![set(r#""id": "note""#, "")], Severity::Medium),
        (r#""ruleId": "error""#.to_owned(), vec![set(r#""id": "error""#, "")], Severity::High),
        (
            r#""ruleId": "error""#.to_owned(),
            vec![set(r#""id": "error""#, r#", "level": "note""#)],
            Severity::Note,
        ),
        (r#""ruleId": "more""#.to_owned(), vec![set(more, r#", "level": "none""#)], Severity::Note),
        (r#""ruleId": "unknown/1""#.to_owned(), vec![set(r#""id": "unknown""#, error)], Severity::High),
        (r#""ruleId": "number""#.to_owned(), vec![set(r#""id": "number""#, error)], Severity::Critical),
    ];
    for (result, calls, severity) in cases {
        let calls = format!(r#""invocations": [{}]"#, calls.join(","));
        let results = format!(r#""results": [{{{result}, "message": {{"text": "m"}}}}]"#);
        for run in [format!("{TOOL}, {calls}, {results}"), format!("{results}, {TOOL}, {calls}")] {
            assert_eq!(one(&run).severity, severity, "{result} {calls}");
        }
    }
    let twice = set(r#""id": "note""#, error).replace(
        r#""ruleConfigurationOverrides": ["#,
        r#""ruleConfigurationOverrides": [{"descriptor": {"id": "note"}, "configuration": {"level": "none"}},"#,
    );
    let run = |call: &str| format!(r#"{TOOL}, "invocations": [{call}], "results": [{{{note}}}]"#);
    assert_eq!(one(&run(&twice)).severity, Severity::High);
    assert!(error_of(&file(&run(&by_id.replace("error", "fatal")))).contains("unknown level `fatal`"));
}

#[test]
fn passing_results_are_not_findings() {
    for result in [
        r#""kind": "pass""#,
        r#""kind": "notApplicable""#,
        r#""kind": "informational""#,
        r#""baselineState": "absent""#,
    ] {
        let facts = read(ReportKind::Sarif, &file(&format!(r#"{TOOL}, "results": [{{{result}}}]"#))).unwrap();
        assert_eq!(facts.findings, Some(Vec::new()), "{result}");
    }
}

#[test]
fn suppressed_result_is_accepted_unless_the_suppression_was_rejected() {
    let cases = [
        ("[]", None),
        ("null", None),
        (r#"[{"kind": "inSource"}]"#, Some("suppressed in the source, without a reason")),
        (r#"[{"kind": "external", "status": "accepted", "justification": "is a test"}]"#, Some("is a test")),
        (r#"[{"kind": "external", "status": "underReview", "justification": "x"}]"#, None),
        (r#"[{"kind": "inSource"}, {"kind": "external", "status": "rejected"}]"#, None),
    ];
    for (suppressions, accepted) in cases {
        let finding = one(&format!(r#""results": [{{"ruleId": "a", "suppressions": {suppressions}}}]"#));
        assert_eq!(finding.accepted.as_deref(), accepted, "{suppressions}");
    }
}

#[test]
fn uris_become_paths() {
    let bases = r#""originalUriBaseIds": {"ROOT": {"uri": "file:///home/dev/shop/"}, "SRC": {"uri": "src/", "uriBaseId": "ROOT"},
        "%SRCROOT%": {"description": {"text": "the root"}}, "ROUND": {"uri": "a/", "uriBaseId": "ROUND"}},
        "artifacts": [{"location": {"uri": "b%20c.py", "uriBaseId": "SRC"}}]"#;
    let cases = [
        (r#"{"uri": "src/a.py"}"#, "src/a.py"),
        (r#"{"uri": "src/a.py", "uriBaseId": "%SRCROOT%"}"#, "src/a.py"),
        (r#"{"uri": "src/a.py", "uriBaseId": "OTHER"}"#, "src/a.py"),
        (r#"{"uri": "a.py", "uriBaseId": "SRC"}"#, "/home/dev/shop/src/a.py"),
        (r#"{"index": 0}"#, "/home/dev/shop/src/b c.py"),
        (r#"{"uri": "file:///x/a.py", "uriBaseId": "SRC", "index": 0}"#, "/x/a.py"),
    ];
    for (location, path) in cases {
        let results = format!(
            r#""results": [{{"locations": [{{"physicalLocation": {{"artifactLocation": {location},
                "region": {{"startLine": 3, "endLine": 5, "snippet": {{"text": "eval( x )"}}}}}}}}, {{}}]}}]"#
        );
        for run in [format!("{bases}, {results}"), format!("{results}, {bases}")] {
            let finding = one(&run);
            let place = finding.place.unwrap();
            assert_eq!(
                (place.path.as_str(), place.line, place.end_line),
                (path, Some(3), Some(5)),
                "{location}"
            );
            assert_eq!(finding.content, Some(content_digest("eval(x)")));
        }
    }
    let round = r#"{"uri": "a.py", "uriBaseId": "ROUND"}"#;
    let run = format!(
        r#"{bases}, "results": [{{"locations": [{{"physicalLocation": {{"artifactLocation": {round}}}}}]}}]"#
    );
    assert!(one(&run).place.is_some());
}

#[test]
fn secrets_are_distinguished_and_never_printed() {
    let results = r#""results": [{"ruleId": "token", "message": {"text": "found FAKE-0000"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": "a"}, "region": {"snippet": {"text": "FAKE-0000"}}}}]}]"#;
    let tool = |name: &str, rule: &str| {
        format!(
            r#""tool": {{"driver": {{"name": "{name}", "rules": [{{"id": "token"{rule}}}]}}}}, {results}"#
        )
    };
    let tagged =
        r#", "properties": {"tags": ["security", "Secret"]}, "fullDescription": {"text": "A token"}"#;
    let cases = [
        (ReportKind::Sarif, tool("scan", ""), (Some(1), None), ""),
        (ReportKind::Sarif, tool("gitleaks", ""), (None, Some(1)), "token"),
        (ReportKind::Sarif, tool("Nosey Parker", ""), (None, Some(1)), "token"),
        (ReportKind::Sarif, tool("detect-secrets", ""), (None, Some(1)), "token"),
        (ReportKind::Sarif, tool("Trivy", tagged), (Some(0), Some(1)), "A token"),
        (ReportKind::Secrets, tool("scan", ""), (None, Some(1)), "token"),
        (ReportKind::Secrets, tool("scan", tagged), (None, Some(1)), "A token"),
        (ReportKind::Sarif, tool("gitleaks", "").replace(results, r#""results": []"#), (None, Some(0)), ""),
        (ReportKind::Sarif, tool("scan", "").replace(results, r#""results": []"#), (Some(0), None), ""),
    ];
    for (kind, run, counts, message) in cases {
        let facts = read(kind, &file(&run)).unwrap();
        let count = |list: &Option<Vec<Finding>>| list.as_ref().map(Vec::len);
        assert_eq!((count(&facts.findings), count(&facts.secrets)), counts, "{run}");
        for secret in facts.secrets.iter().flatten() {
            assert_eq!(secret.message, message);
            assert!(!format!("{secret:?}").contains("FAKE-0000"));
        }
    }
}

#[test]
fn error_does_not_quote_the_report() {
    let text = file(r#""results": [{"ruleIndex": "FAKE-0000"}]"#);
    assert_eq!(
        error_of(&text),
        "not a SARIF 2.1.0 report: invalid type: a string, expected i64 (line 1, column 48)"
    );
}

#[test]
fn run_that_examined_nothing_is_empty() {
    let cases = [
        (r#"{"version": "2.1.0"}"#.to_owned(), "nothing was examined: it has no runs"),
        (r#"{"version": "2.1.0", "runs": null}"#.to_owned(), "nothing was examined: it has no runs"),
        (r#"{"version": "2.1.0", "runs": []}"#.to_owned(), "nothing was examined: it has no runs"),
        (file(TOOL), "nothing was examined: scan: its run has no list of `results`"),
        (file(r#""results": null"#), "nothing was examined: the scanner: its run has no list of `results`"),
        (
            format!(r#"{{"version": "2.1.0", "runs": [{{"results": []}}, {{{TOOL}}}]}}"#),
            "nothing was examined: scan: its run has no list of `results`",
        ),
        (
            format!(r#"{{"version": "2.1.0", "runs": [{{{TOOL}, "results": null}}, {{"results": []}}]}}"#),
            "nothing was examined: scan: its run has no list of `results`",
        ),
        (
            file(&format!(
                r#"{TOOL}, "results": [], "invocations": [{{"executionSuccessful": true}}, {{"executionSuccessful": false, "exitCode": 2}}]"#
            )),
            "the tool failed: scan: exit status 2",
        ),
        (
            file(
                r#""results": [], "invocations": [{"executionSuccessful": false, "exitCodeDescription": "no rules"}]"#,
            ),
            "the tool failed: the scanner: no rules",
        ),
        (r#"{"runs": []}"#.to_owned(), "it has no `version`"),
        (r#"{"version": "2.1.0", "runs": [], "runs": []}"#.to_owned(), "duplicate key `runs`"),
        (
            file(r#""results": [{"properties": {"security-severity": "9.8", "security-severity": "1"}}]"#),
            "duplicate key `security-severity`",
        ),
        (r#"{"version": "1.0.0", "runs": []}"#.to_owned(), "its version is `1.0.0`"),
        (r#"{"version": "2.1.0", "runs": [null]}"#.to_owned(), "a run is `null`"),
        (r#"{"version": "2.1.0", "runs": [}"#.to_owned(), "expected value (line 1, column 31)"),
        (
            "\n\n  {\"version\": 3}".to_owned(),
            "invalid type: integer `3`, expected a string (line 3, column 16)",
        ),
        (file(r#""results": [{"level": "fatal"}]"#), "unknown level `fatal`"),
        (format!("{} {{}}", file(r#""results": []"#)), "trailing characters"),
        (r#"{"version": "2.1.0", "runs": [{"results": ["#.to_owned(), "cut off: it ends in line 1"),
    ];
    for (text, message) in cases {
        let error = error_of(&text);
        assert!(error.contains(message), "{error}");
    }
}

/// Returns a report without results. The second invocation also has the properties `said`.
fn invoked(name: &str, said: &str) -> String {
    file(&format!(
        r#""invocations": [{{"executionSuccessful": true}}, {{"executionSuccessful": true, {said}}}],
            "tool": {{"driver": {{"name": "{name}"}}}}, "results": []"#
    ))
}

#[test]
fn error_notification_means_an_incomplete_scan() {
    let error =
        r#"{"level": "error", "descriptor": {"id": "SyntaxError"}, "message": {"text": "can't parse  it"}"#;
    let place = r#""locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/a.py"}}}]"#;
    let cases = [
        (format!(r#""toolExecutionNotifications": [{error}}}]"#), "scan: can't parse it"),
        (format!(r#""toolConfigurationNotifications": [{error}}}]"#), "scan: can't parse it"),
        (
            format!(r#""toolExecutionNotifications": [{{"level": "note"}}, {error}, {place}}}]"#),
            "scan: can't parse it (src/a.py)",
        ),
        (
            format!(
                r#""toolExecutionNotifications": [{error}}}, {{"level": "error"}}], "toolConfigurationNotifications": [{error}}}]"#
            ),
            "scan: can't parse it, and 2 more errors",
        ),
        (
            r#""toolExecutionNotifications": [{"level": "error", "descriptor": {"id": "Timeout"}}]"#
                .to_owned(),
            "scan: error `Timeout`",
        ),
        (r#""toolExecutionNotifications": [{"level": "fatal"}]"#.to_owned(), "scan: an error"),
    ];
    for (said, message) in cases {
        let text = invoked("scan", &said);
        assert_eq!(error_of(&text), format!("not everything was examined: {message}"), "{said}");
        let part = super::super::read_file(ReportKind::Sarif, Completeness::Partial, &mut text.as_bytes());
        assert_eq!(part.unwrap().facts.findings, Some(Vec::new()), "{said}");
    }
    // The message of a scanner for secrets may contain a secret, so it is left out.
    let text = invoked("gitleaks", &format!(r#""toolExecutionNotifications": [{error}, {place}}}]"#));
    let message = "not everything was examined: gitleaks: error `SyntaxError` (src/a.py)";
    assert_eq!(error_of(&text), message);
}

#[test]
fn other_notifications_do_not_mean_an_incomplete_scan() {
    for list in [
        "null",
        "[]",
        "[{}]",
        r#"[{"message": {"text": "a warning, as it has no level"}}]"#,
        r#"[{"level": "none"}, {"level": "note", "descriptor": {"id": "js/diagnostics/extracted-files"}}]"#,
        r#"[{"level": "warning", "message": {"text": "slow"}}]"#,
    ] {
        for key in ["toolExecutionNotifications", "toolConfigurationNotifications"] {
            let facts = read(ReportKind::Sarif, &invoked("scan", &format!(r#""{key}": {list}"#))).unwrap();
            assert_eq!(facts.findings, Some(Vec::new()), "{key} {list}");
        }
    }
}

#[test]
fn failed_invocation_is_an_error_and_not_an_incomplete_scan() {
    for (run, message) in [
        (r#""results": [], "invocations": [{"executionSuccessful": false}]"#, "the tool failed"),
        (TOOL, "nothing was examined"),
    ] {
        let text = file(run);
        let error = super::super::read_file(ReportKind::Sarif, Completeness::Partial, &mut text.as_bytes())
            .unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn memory_is_bounded() {
    let deep = format!(r#"{{"x": {}"#, "[".repeat(100_000));
    assert_eq!(error_of(&deep), "too large: values are nested more than 100 times");
    let endless =
        std::io::Read::chain(&br#"{"runs": [{"results": [{"message": {"text": ""#[..], std::io::repeat(b'x'));
    let error = crate::read(ReportKind::Sarif, &mut std::io::BufReader::new(endless)).unwrap_err();
    assert_eq!(error.to_string(), "too large: a string in it has more than 64 MiB");
}

#[test]
fn incomplete_scan_lists_its_errors() {
    let call = |said: &str| {
        file(&format!(
            r#""invocations": [{{"executionSuccessful": false, {said}}}], "tool": {{"driver": {{"name": "scan"}}}}, "results": []"#
        ))
    };
    let part =
        |text: &str| super::super::read_file(ReportKind::Sarif, Completeness::Partial, &mut text.as_bytes());
    let error = r#"{"level": "error", "message": {"text": "can't parse a.js"}}"#;
    let cases = [
        format!(r#""toolExecutionNotifications": [{error}]"#),
        format!(r#""exitCode": 2, "exitCodeDescription": "MISSING CLASS", "toolConfigurationNotifications": [{error}]"#),
        // PMD writes its errors in this way.
        r#""toolExecutionNotifications": [{"message": {"text": "can't parse a.js"}, "exception": {"kind": "x"}}]"#
            .to_owned(),
        r#""toolExecutionNotifications": [{"level": "warning", "message": {"text": "can't parse a.js"}, "exception": {}}]"#
            .to_owned(),
        r#""toolConfigurationNotifications": [{"message": {"text": "can't parse a.js"}}]"#.to_owned(),
    ];
    for said in cases {
        let text = call(&said);
        assert_eq!(error_of(&text), "not everything was examined: scan: can't parse a.js", "{said}");
        assert_eq!(part(&text).unwrap().facts.findings, Some(Vec::new()), "{said}");
    }
    // These properties do not explain the failure, or not all of it.
    for said in [
        r#""exitCode": 2"#.to_owned(),
        r#""toolExecutionNotifications": [{"level": "warning", "message": {"text": "slow"}}]"#.to_owned(),
        r#""toolExecutionNotifications": [{"level": "note"}]"#.to_owned(),
        format!(r#""exitSignalName": "SIGKILL", "toolExecutionNotifications": [{error}]"#),
        format!(r#""exitSignalNumber": 9, "toolExecutionNotifications": [{error}]"#),
        format!(r#""processStartFailureMessage": "no such file", "toolExecutionNotifications": [{error}]"#),
    ] {
        let error = part(&call(&said)).unwrap_err().to_string();
        assert!(error.starts_with("the tool failed: scan: "), "{said}: {error}");
    }
    let other =
        call(&format!(r#""toolExecutionNotifications": [{error}]}}, {{"executionSuccessful": false"#));
    let error = part(&other).unwrap_err().to_string();
    assert_eq!(error, "the tool failed: scan: `executionSuccessful` is false");
}
